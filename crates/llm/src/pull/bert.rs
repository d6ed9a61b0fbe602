//! Writes a BERT model for sentence embeddings as GGUF, as llama.cpp wants it: the vectors of words in Q8_0, matrices in half
//! precision, everything else in 32 bits. Matrices in Q8_0 would have llama.cpp round what is multiplied by them too, and a
//! text would get another vector among others than alone (ADR 16). Written here and not by llama.cpp's own tools, because these need C++ in this process, and because the bytes
//! must not change with its version: the file is pinned by its hash.
//!
//! Source: keys, names of tensors and the form of the vocabulary are those of `BertModel` in llama.cpp's
//! `conversion/bert.py`; which tensors stay in 32 bits, of `conversion/base.py`.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;

use super::gguf_writer::{self, Kind, Tensor, Value};
use super::safetensors::Safetensors;

/// Of all models of this family; neither weights nor vocabulary tell.
const LAYER_NORM_EPSILON: f32 = 1e-12;
/// Mean of all tokens, in llama.cpp's numbers.
const MEAN_POOLING: u32 = 1;
/// Most tensors in half precision, in llama.cpp's numbers.
const FILE_TYPE: u32 = 1;
const QUANTIZATION_VERSION: u32 = 2;
/// Kinds of tokens, in llama.cpp's numbers.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;

/// What weights and vocabulary do not tell.
pub(super) struct About<'a> {
    /// The model's name.
    pub name: &'a str,
    /// The SPDX identifier of its licence.
    pub license: &'a str,
    /// Attention heads of each layer.
    pub heads: u32,
}

/// Writes the model of these weights and this vocabulary to a file. `on_written` hears how many numbers of how many are
/// written.
///
/// # Errors
///
/// If a file cannot be read or written, or is not of a BERT model with a WordPiece vocabulary.
pub(super) fn write(
    weights: &Path,
    tokenizer: &Path,
    about: &About<'_>,
    to: &Path,
    on_written: impl Fn(u64, u64),
) -> io::Result<()> {
    let mut weights = Safetensors::open(weights)?;
    let vocabulary = Vocabulary::read(tokenizer)?;
    let plan = Plan::of(&weights)?;
    if vocabulary.tokens.len() as u64 != plan.tokens {
        return Err(io::Error::other(
            "weights and vocabulary are of different models",
        ));
    }
    let special = |name: &str| vocabulary.special(name).map(Value::U32);
    let small = |number: u64| {
        u32::try_from(number)
            .map(Value::U32)
            .map_err(io::Error::other)
    };
    let license = about.license.to_ascii_lowercase();
    let keys = [
        ("general.architecture", Value::Text("bert")),
        ("general.type", Value::Text("model")),
        ("general.name", Value::Text(about.name)),
        ("general.license", Value::Text(&license)),
        ("general.file_type", Value::U32(FILE_TYPE)),
        (
            "general.quantization_version",
            Value::U32(QUANTIZATION_VERSION),
        ),
        ("bert.context_length", small(plan.positions)?),
        ("bert.embedding_length", small(plan.width)?),
        ("bert.feed_forward_length", small(plan.inner_width)?),
        ("bert.block_count", small(plan.layers)?),
        ("bert.attention.head_count", Value::U32(about.heads)),
        (
            "bert.attention.layer_norm_epsilon",
            Value::F32(LAYER_NORM_EPSILON),
        ),
        ("bert.attention.causal", Value::Bool(false)),
        ("bert.pooling_type", Value::U32(MEAN_POOLING)),
        ("tokenizer.ggml.model", Value::Text("bert")),
        ("tokenizer.ggml.token_type_count", small(plan.segments)?),
        ("tokenizer.ggml.bos_token_id", special("[CLS]")?),
        ("tokenizer.ggml.unknown_token_id", special("[UNK]")?),
        // Misspelt in llama.cpp.
        ("tokenizer.ggml.seperator_token_id", special("[SEP]")?),
        ("tokenizer.ggml.padding_token_id", special("[PAD]")?),
        ("tokenizer.ggml.mask_token_id", special("[MASK]")?),
        ("tokenizer.ggml.tokens", Value::Texts(&vocabulary.phantom())),
        ("tokenizer.ggml.token_type", Value::I32s(&vocabulary.kinds)),
    ];
    let total = plan.tensors.iter().map(|(_, tensor)| count(tensor)).sum();
    let mut written = 0;
    let (sources, tensors): (Vec<_>, Vec<_>) = plan.tensors.into_iter().unzip();
    let mut to = BufWriter::with_capacity(1 << 20, File::create(to)?);
    gguf_writer::write(&mut to, &keys, &tensors, |index| {
        on_written(written, total);
        written += count(&tensors[index]);
        weights.read(&sources[index])
    })?;
    on_written(total, total);
    Ok(())
}

fn count(tensor: &Tensor) -> u64 {
    tensor.shape.iter().product()
}

/// What is written, as the weights say.
struct Plan {
    tokens: u64,
    width: u64,
    inner_width: u64,
    positions: u64,
    segments: u64,
    layers: u64,
    /// The name of each tensor in the weights, and what becomes of it.
    tensors: Vec<(String, Tensor)>,
}

impl Plan {
    fn of(weights: &Safetensors) -> io::Result<Self> {
        const WORDS: &str = "embeddings.word_embeddings.weight";
        const POSITIONS: &str = "embeddings.position_embeddings.weight";
        const SEGMENTS: &str = "embeddings.token_type_embeddings.weight";
        let mut tensors = Vec::new();
        let mut add = |from: String, name: String, kind| {
            // GGUF names the length of a row first.
            let shape = weights.shape(&from)?.iter().rev().copied().collect();
            tensors.push((from, Tensor { name, shape, kind }));
            io::Result::Ok(())
        };
        add(WORDS.into(), "token_embd.weight".into(), Kind::Q8_0)?;
        add(POSITIONS.into(), "position_embd.weight".into(), Kind::F32)?;
        add(SEGMENTS.into(), "token_types.weight".into(), Kind::F32)?;
        for part in ["weight", "bias"] {
            let from = format!("embeddings.LayerNorm.{part}");
            add(from, format!("token_embd_norm.{part}"), Kind::F32)?;
        }
        let layer_has = |layer| weights.has(&format!("encoder.layer.{layer}.output.dense.weight"));
        let layers = (0..).take_while(|layer| layer_has(*layer)).count() as u64;
        for layer in 0..layers {
            for (from, name, matrix) in LAYER {
                for (part, kind) in [("weight", matrix), ("bias", Kind::F32)] {
                    let from = format!("encoder.layer.{layer}.{from}.{part}");
                    add(from, format!("blk.{layer}.{name}.{part}"), kind)?;
                }
            }
        }
        let rows = |name: &str| weights.shape(name).map(|shape| shape.first().copied());
        let known =
            |length: Option<u64>| length.ok_or_else(|| io::Error::other("not a BERT model"));
        Ok(Self {
            tokens: known(rows(WORDS)?)?,
            width: known(rows("embeddings.LayerNorm.weight")?)?,
            inner_width: known(rows("encoder.layer.0.intermediate.dense.weight")?)?,
            positions: known(rows(POSITIONS)?)?,
            segments: known(rows(SEGMENTS)?)?,
            layers,
            tensors,
        })
    }
}

/// The parts of a layer: the name in the weights, the name in GGUF, and how its weight is stored.
const LAYER: [(&str, &str, Kind); 8] = [
    ("attention.self.query", "attn_q", Kind::F16),
    ("attention.self.key", "attn_k", Kind::F16),
    ("attention.self.value", "attn_v", Kind::F16),
    ("attention.output.dense", "attn_output", Kind::F16),
    ("attention.output.LayerNorm", "attn_output_norm", Kind::F32),
    ("intermediate.dense", "ffn_up", Kind::F16),
    ("output.dense", "ffn_down", Kind::F16),
    ("output.LayerNorm", "layer_output_norm", Kind::F32),
];

/// The tokens by number.
struct Vocabulary {
    tokens: Vec<String>,
    kinds: Vec<i32>,
}

/// `tokenizer.json`, as far as it matters here.
#[derive(Deserialize)]
struct TokenizerFile {
    model: WordPiece,
    added_tokens: Vec<AddedToken>,
    normalizer: Json,
}

#[derive(Deserialize)]
struct WordPiece {
    #[serde(rename = "type")]
    kind: String,
    vocab: serde_json::Map<String, Json>,
}

#[derive(Deserialize)]
struct AddedToken {
    id: usize,
    special: bool,
}

impl Vocabulary {
    fn read(path: &Path) -> io::Result<Self> {
        let file: TokenizerFile = serde_json::from_slice(&std::fs::read(path)?)?;
        // llama.cpp lowercases text for such a vocabulary.
        if file.model.kind != "WordPiece" || file.normalizer["lowercase"] != true {
            return Err(io::Error::other("not a lowercasing WordPiece vocabulary"));
        }
        let mut tokens = vec![None; file.model.vocab.len()];
        for (token, id) in file.model.vocab {
            let id = id.as_u64().and_then(|id| usize::try_from(id).ok());
            let place = id.and_then(|id| tokens.get_mut(id));
            let place =
                place.ok_or_else(|| io::Error::other("a token has an impossible number"))?;
            *place = Some(token);
        }
        let tokens: Option<Vec<String>> = tokens.into_iter().collect();
        let tokens = tokens.ok_or_else(|| io::Error::other("two tokens have one number"))?;
        let mut kinds = vec![NORMAL; tokens.len()];
        for token in file.added_tokens.iter().filter(|token| token.special) {
            let kind = kinds.get_mut(token.id);
            *kind.ok_or_else(|| io::Error::other("a special token is not in the vocabulary"))? =
                CONTROL;
        }
        Ok(Self { tokens, kinds })
    }

    fn special(&self, name: &str) -> io::Result<u32> {
        let found = self.tokens.iter().position(|token| token == name);
        found
            .filter(|id| self.kinds[*id] == CONTROL)
            .and_then(|id| u32::try_from(id).ok())
            .ok_or_else(|| io::Error::other(format!("the vocabulary has no {name}")))
    }

    /// Returns the tokens as llama.cpp spells them: the beginning of a word is marked with U+2581, and what goes on
    /// within a word, marked with `##` at its publisher, is not.
    fn phantom(&self) -> Vec<String> {
        let spell = |(token, kind): (&String, &i32)| match token.strip_prefix("##") {
            _ if *kind == CONTROL => token.clone(),
            Some(rest) => rest.to_owned(),
            None => format!("\u{2581}{token}"),
        };
        self.tokens.iter().zip(&self.kinds).map(spell).collect()
    }
}
