//! Which embedder is opened.

use super::*;
use crate::config::EnvVars;

fn settings(folder: &Path, provider: Option<&str>, model: Option<&str>) -> Settings {
    let text = |text: &str| Some(text.to_owned());
    let vars = EnvVars {
        data_dir: text(&folder.display().to_string()),
        assay_cache_dir: text(&folder.display().to_string()),
        embedding_provider: provider.and_then(text),
        embedding_model: model.and_then(text),
        embedding_base_url: text("http://localhost:1/v1"),
        ..EnvVars::default()
    };
    Settings::read(&vars, None).unwrap()
}

#[test]
fn a_missing_embedding_model_is_an_error_only_if_it_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let open = |provider, model| embedder(&settings(folder.path(), provider, model));
    assert!(open(None, None).unwrap().is_none());
    assert!(open(Some("none"), None).unwrap().is_none());
    for (provider, model) in [(Some("gguf"), None), (None, Some("no/such.gguf"))] {
        let error = open(provider, model).err().unwrap();
        assert_eq!(error.code(), Code::ModelMissing);
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_remote_embedder_is_opened_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let opened = embedder(&settings(folder.path(), Some("openai"), Some("small")));
    assert_eq!(opened.unwrap().unwrap().identity().name, "small");
}
