//! Which model writes SQL and which makes vectors.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use engine::ports::{Embedder, Generation, GenerationLimits, Generator, ModelIdentity};
use engine::prompt::Prompt;
use engine::{Code, Error};
use llm::remote::{
    ApiKey, Provider, RemoteEmbedder, RemoteEmbedderSettings, RemoteGenerator, RemoteSettings,
};

use crate::config::{EmbeddingSettings, LlmProvider, LlmSettings, Settings};

/// Opens the generator that is configured; a local one starts its worker at the first question.
///
/// # Errors
///
/// [`Code::ModelMissing`], [`Code::InvalidModel`], [`Code::InvalidSetting`].
pub fn generator(settings: &LlmSettings) -> Result<Arc<dyn Generator>, Error> {
    match &settings.provider {
        LlmProvider::Gguf { .. } => {
            gguf(settings).map(|generator| Arc::new(generator) as Arc<dyn Generator>)
        }
        LlmProvider::Remote {
            kind,
            base_url,
            model,
            api_key,
            grammar,
        } => {
            let provider = match kind.as_str() {
                "anthropic" => Provider::Anthropic,
                _ => Provider::OpenAi,
            };
            let remote = RemoteSettings {
                base_url: base_url.clone(),
                api_key: api_key.as_ref().map(ApiKey::new),
                grammar: *grammar,
                ..RemoteSettings::new(provider, model)
            };
            Ok(Arc::new(RemoteGenerator::new(remote)?))
        }
    }
}

/// Returns the file of the local model that is configured.
///
/// # Errors
///
/// [`Code::InvalidSetting`] if no cache folder is known.
pub fn model_file(settings: &LlmSettings) -> Result<llm::pull::ChosenModel, Error> {
    let model = match &settings.provider {
        LlmProvider::Gguf { model, .. } => model.as_deref(),
        LlmProvider::Remote { .. } => None,
    };
    Ok(llm::pull::choose(
        llm::pull::Purpose::Generating,
        model,
        &llm::pull::models_dir(&cache_dir(settings)?),
    ))
}

/// Returns the cache folder of models and prefix states.
///
/// # Errors
///
/// [`Code::InvalidSetting`] if none is known.
pub fn cache_dir(settings: &LlmSettings) -> Result<PathBuf, Error> {
    settings.cache_dir.clone().ok_or_else(|| {
        Error::new(
            Code::InvalidSetting,
            "there is no home folder to keep models in",
        )
        .with_hint("set ASSAY_CACHE_DIR to a folder")
    })
}

/// Opens the local model, with everything that the benchmark asks of it besides the port.
///
/// # Errors
///
/// [`Code::ModelMissing`], [`Code::InvalidModel`], [`Code::InvalidSetting`].
#[cfg(feature = "gguf")]
pub fn gguf(settings: &LlmSettings) -> Result<llm::gguf::GgufGenerator, Error> {
    let file = model_file(settings)?;
    let mut gguf = llm::gguf::GgufSettings::new(file.path);
    gguf.pinned_sha256 = file.pinned_sha256;
    gguf.state_dir = Some(cache_dir(settings)?.join("prefix-states"));
    if let LlmProvider::Gguf {
        threads,
        context_tokens,
        ..
    } = &settings.provider
    {
        gguf.threads = *threads;
        gguf.context_tokens = *context_tokens;
    }
    llm::gguf::GgufGenerator::open(gguf)
}

#[cfg(not(feature = "gguf"))]
fn gguf(_: &LlmSettings) -> Result<NoGenerator, Error> {
    Err(Error::new(
        Code::ModelMissing,
        "this program was built without the local model",
    )
    .with_hint("build it with the feature `gguf`, or set LLM_PROVIDER"))
}

/// Opens the embedder that is configured; a local one starts its worker at the first text. `None` if there is none, and
/// words are matched by their letters only.
///
/// # Errors
///
/// [`Code::ModelMissing`] if a local model was asked for and is not there, [`Code::InvalidModel`],
/// [`Code::InvalidSetting`].
pub fn embedder(settings: &Settings) -> Result<Option<Arc<dyn Embedder>>, Error> {
    match &settings.embedding {
        EmbeddingSettings::None => Ok(None),
        EmbeddingSettings::IfInstalled => match local_embedder(settings) {
            Err(error) if error.code() == Code::ModelMissing => Ok(None),
            opened => opened.map(Some),
        },
        EmbeddingSettings::Gguf { .. } => local_embedder(settings).map(Some),
        EmbeddingSettings::Remote {
            base_url,
            model,
            api_key,
        } => {
            let mut remote = RemoteEmbedderSettings::new(model);
            remote.base_url = base_url.clone();
            remote.api_key = api_key.as_ref().map(ApiKey::new);
            Ok(Some(Arc::new(RemoteEmbedder::new(remote)?)))
        }
    }
}

/// Opens the local embedding model, with everything that the benchmark asks of it besides the port. One that is
/// configured as remote is the default here.
///
/// # Errors
///
/// [`Code::ModelMissing`], [`Code::InvalidModel`], [`Code::InvalidSetting`].
#[cfg(feature = "gguf")]
pub fn gguf_embedder(settings: &Settings) -> Result<llm::gguf::GgufEmbedder, Error> {
    use llm::pull::{Purpose, choose, models_dir};
    let name = match &settings.embedding {
        EmbeddingSettings::Gguf { model } => model.as_deref(),
        _ => None,
    };
    let models_dir = models_dir(&cache_dir(&settings.llm)?);
    let file = choose(Purpose::Embedding, name, &models_dir);
    let mut gguf = llm::gguf::GgufEmbedderSettings::new(file.path);
    gguf.pinned_sha256 = file.pinned_sha256;
    llm::gguf::GgufEmbedder::open(gguf)
}

#[cfg(feature = "gguf")]
fn local_embedder(settings: &Settings) -> Result<Arc<dyn Embedder>, Error> {
    Ok(Arc::new(gguf_embedder(settings)?))
}

#[cfg(not(feature = "gguf"))]
fn local_embedder(_: &Settings) -> Result<Arc<dyn Embedder>, Error> {
    Err(Error::new(
        Code::ModelMissing,
        "this program was built without the local embedding model",
    )
    .with_hint("build it with the feature `gguf`, or set EMBEDDING_PROVIDER"))
}

/// Returns what stands where no model is needed.
pub fn no_generator() -> Arc<dyn Generator> {
    Arc::new(NoGenerator)
}

/// Stands where no model is needed.
struct NoGenerator;

#[async_trait]
impl Generator for NoGenerator {
    fn identity(&self) -> ModelIdentity {
        ModelIdentity {
            name: "none".into(),
            hash: String::new(),
            is_remote: false,
        }
    }

    async fn generate(&self, _: &Prompt, _: &GenerationLimits) -> Result<Generation, Error> {
        Err(Error::new(
            Code::ModelMissing,
            "no language model is open here",
        ))
    }
}
