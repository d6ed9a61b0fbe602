//! The real local model, end to end. Skipped, and said so, where no model is installed, unless REQUIRE_SERVICES=1.

use std::path::PathBuf;

use serde_json::Value;

use crate::fixture::Fixture;

/// Returns the cache folder that holds the default model.
fn cache_with_model() -> Option<PathBuf> {
    let folder = llm::pull::cache_dir(|name| std::env::var_os(name))?;
    let model = llm::pull::models_dir(&folder)
        .join(llm::pull::default_model(llm::pull::Purpose::Generating).file_name);
    if model.is_file() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("REQUIRE_SERVICES").is_none(),
        "there is no model at {}",
        model.display()
    );
    eprintln!("skipped: there is no model at {}", model.display());
    None
}

#[test]
fn the_local_model_answers_and_reuses_the_schema_after_a_restart() {
    let Some(cache) = cache_with_model() else {
        return;
    };
    let fixture = Fixture::new();
    // States of earlier runs must not help, so they go to a cache of this test's own.
    let own_cache = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(
        llm::pull::models_dir(&cache),
        llm::pull::models_dir(own_cache.path()),
    )
    .unwrap();
    let ask = |question: &str| -> Value {
        let original = fixture.original_path();
        let output = fixture
            .assay()
            .env("ASSAY_CACHE_DIR", own_cache.path())
            // What is drawn beside it counts the prompt again, and finds all of it held.
            .env("LLM_CANDIDATES", "0")
            .args(["ask", "--db", &original, "--json", question])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let first = ask("How many customers are from Germany?");
    assert_eq!(first["rows"], serde_json::json!([[2]]), "{first}");
    assert_eq!(first["tokens"]["prompt_reused"], 0);

    // Each command is a process of its own, so the second one finds the state on disk.
    let second = ask("How many orders are there?");
    assert_eq!(second["rows"], serde_json::json!([[3]]), "{second}");
    let prefix = second["tokens"]["prompt_prefix"].as_u64().unwrap();
    assert!(prefix > 0);
    assert!(
        second["tokens"]["prompt_reused"].as_u64().unwrap() >= prefix,
        "{second}"
    );
    fixture.assert_original_untouched();
}
