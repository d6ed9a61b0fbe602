//! What an index of a thousand tables costs, in the process and in Chroma: with vectors that cost nothing, with the
//! embedding model, and again when one table has changed.

use std::path::Path;
use std::time::Instant;

use async_trait::async_trait;
use engine::Error;
use engine::indexing::{Source, index};
use engine::ports::{Embedder, EmbedderIdentity, Embedding, VectorStore};
use engine::schema::Schema;

use super::super::output;
use super::{Figure, failed, linking, seconds};
use crate::config::{Settings, VectorSettings};
use crate::wire;

/// Numbers of a vector, as many as small embedding models give.
const DIMENSION: usize = 384;

/// Measures both stores; Chroma only if there is one, the embedding model only if it is asked for and installed.
pub async fn figures(
    folder: &Path,
    args: &super::Args,
    settings: &Settings,
) -> Result<Vec<Figure>, Error> {
    let tables: Vec<_> = linking::made_up().take(linking::WIDE).collect();
    let mut schema = Schema { tables };
    let before = Source::of_schema(&schema);
    if let Some(table) = schema.tables.first_mut() {
        table.name.push_str("_archive");
    }
    let after = Source::of_schema(&schema);

    let open = |vectors| {
        wire::vectors(&Settings {
            vectors,
            ..settings.clone()
        })
    };
    let mut figures = Vec::new();
    let in_process = open(VectorSettings::Memory {
        folder: folder.join("index"),
    })?;
    figures.extend(store_figures("in the process", &*in_process, &before, &after).await?);
    match &args.chroma {
        Some(url) => {
            let store = open(VectorSettings::Chroma {
                url: url.clone(),
                tenant: None,
                database: Some(format!("assay_bench_index_{}", std::process::id())),
                token: None,
            })?;
            figures.extend(store_figures("in Chroma", &*store, &before, &after).await?);
        }
        None => figures.push(Figure::new(
            "index in Chroma",
            "-",
            "TEST_CHROMA_URL is not set",
        )),
    }
    if !args.no_model {
        figures.extend(with_model(folder, settings, &before).await?);
    }
    Ok(figures)
}

async fn store_figures(
    place: &str,
    store: &dyn VectorStore,
    before: &Source,
    after: &Source,
) -> Result<Vec<Figure>, Error> {
    output::say(&format!("an index of {} tables {place}", linking::WIDE));
    let documents = before.documents.len();
    Ok(vec![
        Figure::new(
            format!("index of {} tables {place}", linking::WIDE),
            seconds(timed(store, &Digests, before).await?),
            format!("{documents} documents; embedding not counted"),
        ),
        Figure::new(
            format!("index {place} after one table's change"),
            seconds(timed(store, &Digests, after).await?),
            "embedding not counted",
        ),
    ])
}

async fn timed(
    store: &dyn VectorStore,
    embedder: &dyn Embedder,
    source: &Source,
) -> Result<std::time::Duration, Error> {
    let begun = Instant::now();
    let made = index(
        store,
        embedder,
        &wire::SystemClock,
        source,
        false,
        &|_, _, _, _| (),
    )
    .await?;
    let time = begun.elapsed();
    if made.was_fresh || made.documents != source.documents.len() as u64 {
        return Err(failed("the index was not made"));
    }
    Ok(time)
}

/// Indexes with the local embedding model.
#[cfg(feature = "gguf")]
async fn with_model(
    folder: &Path,
    settings: &Settings,
    source: &Source,
) -> Result<Vec<Figure>, Error> {
    let what = format!("index of {} tables with the embedding model", linking::WIDE);
    let embedder = match wire::gguf_embedder(settings) {
        Ok(embedder) => embedder,
        Err(error) if error.code() == engine::Code::ModelMissing => {
            let missing = "none is installed: assay model pull";
            return Ok(vec![Figure::new(what, "-", missing)]);
        }
        Err(error) => return Err(error),
    };
    embedder.warm().await?;
    output::say(&what);
    let store = wire::vectors(&Settings {
        vectors: VectorSettings::Memory {
            folder: folder.join("index-with-model"),
        },
        ..settings.clone()
    })?;
    let texts: std::collections::HashSet<_> =
        source.documents.iter().map(|one| &one.text).collect();
    let time = timed(&*store, &embedder, source).await?;
    Ok(vec![Figure::new(
        what,
        seconds(time),
        format!(
            "{} texts, {:.0} a second",
            texts.len(),
            texts.len() as f64 / time.as_secs_f64()
        ),
    )])
}

#[cfg(not(feature = "gguf"))]
async fn with_model(_: &Path, _: &Settings, _: &Source) -> Result<Vec<Figure>, Error> {
    Ok(Vec::new())
}

/// Vectors that cost next to nothing: bytes of a hash, stretched.
struct Digests;

#[async_trait]
impl Embedder for Digests {
    fn identity(&self) -> EmbedderIdentity {
        EmbedderIdentity {
            name: "digests".into(),
            hash: "digests".into(),
            is_remote: false,
        }
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Embedding>, Error> {
        let vector = |text: &String| {
            let mut bytes = [0; DIMENSION];
            let mut hasher = blake3::Hasher::new();
            hasher
                .update(text.as_bytes())
                .finalize_xof()
                .fill(&mut bytes);
            Embedding::normalised(bytes.iter().map(|byte| f32::from(*byte) - 127.5).collect())
        };
        texts.iter().map(vector).collect()
    }
}
