//! The embedding model.

use super::env_vars::EnvVars;
use super::faults::{Faults, given};

/// Which embedding model.
#[derive(Clone, PartialEq, Eq)]
pub enum EmbeddingSettings {
    /// None: words are matched by their letters only.
    None,
    /// The default local one if its file is there, else none.
    IfInstalled,
    /// A local file, whose absence is an error.
    Gguf {
        /// A pinned model's name or a path; `None` is the default model.
        model: Option<String>,
    },
    /// A server that speaks OpenAI's embeddings.
    Remote {
        /// Its base URL; `None` is OpenAI's own.
        base_url: Option<String>,
        /// The model's name.
        model: String,
        /// The key.
        api_key: Option<String>,
    },
}

/// Keys are never printed.
impl std::fmt::Debug for EmbeddingSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EmbeddingSettings::None => f.write_str("none"),
            EmbeddingSettings::IfInstalled => f.write_str("gguf if installed"),
            EmbeddingSettings::Gguf { model } => write!(f, "gguf {model:?}"),
            EmbeddingSettings::Remote {
                base_url, model, ..
            } => write!(f, "openai {base_url:?} {model}"),
        }
    }
}

pub(super) fn read(vars: &EnvVars, faults: &mut Faults) -> EmbeddingSettings {
    let model = given(vars.embedding_model.as_ref()).map(str::to_owned);
    let api_key = faults.secret(
        "EMBEDDING_API_KEY",
        vars.embedding_api_key.as_ref(),
        vars.embedding_api_key_file.as_ref(),
    );
    let provider = given(vars.embedding_provider.as_ref()).map(str::to_ascii_lowercase);
    match provider.as_deref() {
        None if model.is_none() => EmbeddingSettings::IfInstalled,
        // Whoever names a file wants that file.
        None | Some("gguf") => EmbeddingSettings::Gguf { model },
        Some("none") => EmbeddingSettings::None,
        Some("openai") => EmbeddingSettings::Remote {
            base_url: given(vars.embedding_base_url.as_ref()).map(str::to_owned),
            model: model.unwrap_or_else(|| {
                faults.add(
                    "EMBEDDING_MODEL",
                    "EMBEDDING_PROVIDER is `openai`; name the model it should use",
                );
                String::new()
            }),
            api_key,
        },
        Some(other) => {
            faults.add(
                "EMBEDDING_PROVIDER",
                format!("`{other}` is not known; use `gguf`, `openai` or `none`"),
            );
            EmbeddingSettings::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: [Option<&str>; 2], expected: &str, faulty: &[&str]) {
        let [provider, model] = variables.map(|text| text.map(str::to_owned));
        let vars = EnvVars {
            embedding_provider: provider,
            embedding_model: model,
            embedding_api_key: Some("sk-very-secret".into()),
            ..EnvVars::default()
        };
        let mut faults = Faults::default();
        assert_eq!(format!("{:?}", read(&vars, &mut faults)), expected);
        let named: Vec<_> = faults.0.iter().map(|fault| fault.variable).collect();
        assert_eq!(named, faulty);
    }

    #[test]
    fn only_a_model_that_was_asked_for_has_to_be_there() {
        check([None, None], "gguf if installed", &[]);
        check([Some(""), Some("")], "gguf if installed", &[]);
        check([Some("GGUF"), None], "gguf None", &[]);
        check([None, Some("a.gguf")], "gguf Some(\"a.gguf\")", &[]);
        check([Some("none"), Some("a.gguf")], "none", &[]);
    }

    #[test]
    fn a_remote_model_is_named_and_its_key_is_never_printed() {
        check([Some("openai"), Some("small")], "openai None small", &[]);
        check([Some("openai"), None], "openai None ", &["EMBEDDING_MODEL"]);
        check([Some("chroma"), None], "none", &["EMBEDDING_PROVIDER"]);
    }
}
