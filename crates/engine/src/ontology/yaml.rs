//! Terms as a YAML file, to be kept beside the code of a business and reviewed like it.
//!
//! A file is read into a tree that knows its lines before anything is judged, so that all faults are told at once.
//! Anchors, aliases and merge keys have no use here and are refused: they are how a small file becomes a huge one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy, MessageFormatter, Spanned};

use super::{BusinessTerm, NewTerm, Part, fold};
use crate::error::{Code, Error};

/// The largest file in bytes.
pub const MAX_YAML_BYTES: usize = 1 << 20;
/// The most faults that are listed.
const MAX_FAULTS: usize = 1_000;

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct YamlFault {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for YamlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// One line for each fault, in the order of the file.
impl From<Vec<YamlFault>> for Error {
    fn from(faults: Vec<YamlFault>) -> Self {
        let mut lines: Vec<String> = faults
            .iter()
            .take(MAX_FAULTS)
            .map(YamlFault::to_string)
            .collect();
        if faults.len() > MAX_FAULTS {
            lines.push(format!("and {} more", faults.len() - MAX_FAULTS));
        }
        Error::new(Code::InvalidRequest, lines.join("\n")).with_hint(
            "a file has a list `terms`, whose entries have `term_name`, `description` and, where wanted, `synonyms`, \
             `data_source` and `owner`",
        )
    }
}

/// Reads terms from YAML: a list under `terms`, each with `term_name` (or `name`), `description`, and optionally
/// `synonyms`, `data_source` and `owner`.
///
/// # Errors
///
/// Every fault there is. A file that is not YAML has one, because nothing can be said of what follows it.
pub fn read_yaml(text: &str) -> Result<Vec<NewTerm>, Vec<YamlFault>> {
    if text.len() > MAX_YAML_BYTES {
        let message = format!(
            "the file has {} bytes, {MAX_YAML_BYTES} are allowed",
            text.len()
        );
        return Err(vec![YamlFault { line: 1, message }]);
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_aliases: 0, max_anchors: 0, max_depth: 16, max_documents: 1 },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        with_snippet: false,
    };
    let root: Spanned<Node> = serde_saphyr::from_str_with_options(text, options)
        .map_err(|fault| vec![not_yaml(&fault)])?;
    let mut reader = Reader { faults: Vec::new() };
    let terms = reader.file(root);
    reader.faults.sort();
    if reader.faults.is_empty() {
        Ok(terms)
    } else {
        Err(reader.faults)
    }
}

/// Writes terms as YAML that [`read_yaml`] reads to the same.
///
/// # Errors
///
/// [`Code::Internal`] if a text cannot be written.
pub fn write_yaml(terms: &[BusinessTerm]) -> Result<String, Error> {
    #[derive(Serialize)]
    struct File<'t> {
        terms: Vec<Term<'t>>,
    }
    #[derive(Serialize)]
    struct Term<'t> {
        term_name: &'t str,
        description: &'t str,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        synonyms: &'t [String],
        #[serde(skip_serializing_if = "Option::is_none")]
        data_source: Option<&'t str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        owner: Option<&'t str>,
    }
    let file = File {
        terms: terms
            .iter()
            .map(|term| Term {
                term_name: &term.term_name,
                description: &term.description,
                synonyms: &term.synonyms,
                data_source: term.data_source.as_deref(),
                owner: term.owner.as_deref(),
            })
            .collect(),
    };
    serde_saphyr::to_string(&file).map_err(|fault| {
        Error::new(Code::Internal, "the terms cannot be written as YAML").with_cause(fault)
    })
}

fn not_yaml(fault: &serde_saphyr::Error) -> YamlFault {
    let message = serde_saphyr::UserMessageFormatter.format_message(fault);
    YamlFault {
        line: fault.location().map_or(1, |at| at.line()),
        message: message.escape_debug().to_string(),
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The tree

enum Node {
    Text(String),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
    Nothing,
    /// A number or a truth value: read as such it is not the text that was written (`1.50`, `0x10`, `no`).
    Unquoted,
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a list or fields")
            }
            fn visit_str<E>(self, text: &str) -> Result<Node, E> {
                Ok(Node::Text(text.to_owned()))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
                Ok(Node::Unquoted)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
                Ok(Node::Unquoted)
            }
            fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
                Ok(Node::Unquoted)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
                Ok(Node::Unquoted)
            }
            fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
                Ok(Node::Unquoted)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
                Ok(Node::Unquoted)
            }
            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Nothing)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Node::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Node::Map(fields))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl Node {
    fn kind(&self) -> &'static str {
        match self {
            Node::Text(_) => "text",
            Node::List(_) => "a list",
            Node::Map(_) => "fields",
            Node::Nothing => "nothing",
            Node::Unquoted => "a number or a truth value; put it in quotes",
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// From the tree to terms

struct Reader {
    faults: Vec<YamlFault>,
}

/// The fields of one mapping by name, each with the line of its value.
type Fields = HashMap<String, (u64, Node)>;

impl Reader {
    fn fault(&mut self, line: u64, message: impl Into<String>) {
        self.faults.push(YamlFault {
            line,
            message: message.into(),
        });
    }

    fn file(&mut self, root: Spanned<Node>) -> Vec<NewTerm> {
        let line = root.referenced.line();
        let mut fields = match self.fields(line, root.value, "the file", &["terms"]) {
            Some(fields) => fields,
            None => return Vec::new(),
        };
        let Some((line, list)) = fields.remove("terms") else {
            self.fault(line.max(1), "there is no list `terms`");
            return Vec::new();
        };
        let Node::List(entries) = list else {
            self.fault(
                line,
                format!("`terms` must be a list, it is {}", list.kind()),
            );
            return Vec::new();
        };
        let mut names: HashMap<String, u64> = HashMap::new();
        let mut terms = Vec::new();
        for entry in entries {
            let line = entry.referenced.line();
            let Some((term, name_line)) = self.term(line, entry.value) else {
                continue;
            };
            match names.get(&fold(&term.term_name)) {
                Some(first) if !term.term_name.is_empty() => self.fault(
                    name_line,
                    format!("`{}` stands in line {first} already", term.term_name),
                ),
                _ => {
                    names.insert(fold(&term.term_name), name_line);
                }
            }
            terms.push(term);
        }
        terms
    }

    /// Returns a term, tidied, and the line of its name.
    fn term(&mut self, line: u64, node: Node) -> Option<(NewTerm, u64)> {
        const KNOWN: [&str; 6] = [
            "term_name",
            "name",
            "description",
            "synonyms",
            "data_source",
            "owner",
        ];
        let mut fields = self.fields(line, node, "a term", &KNOWN)?;
        if let Some((second, _)) = fields.get("name")
            && fields.contains_key("term_name")
        {
            let second = *second;
            self.fault(
                second,
                "`name` is another word for `term_name`; write one of them",
            );
        }
        let name = if fields.contains_key("term_name") {
            "term_name"
        } else {
            "name"
        };
        // The lines of what could be read; of the rest it has been said what is wrong.
        let mut read: HashMap<Part, u64> = HashMap::new();
        let mut text = |reader: &mut Self, field: &str, part: Part, is_needed: bool| {
            match fields.remove(field) {
                Some((line, Node::Text(text))) => {
                    read.insert(part, line);
                    return Some(text);
                }
                Some((_, Node::Nothing)) if !is_needed => {}
                Some((line, other)) => {
                    reader.fault(
                        line,
                        format!("`{field}` must be text, it is {}", other.kind()),
                    );
                }
                None if !is_needed => {}
                None => {
                    let field = if field == "name" { "term_name" } else { field };
                    reader.fault(line, format!("the term has no `{field}`"));
                }
            }
            None
        };
        let term_name = text(self, name, Part::Name, true);
        let description = text(self, "description", Part::Description, true);
        let data_source = text(self, "data_source", Part::DataSource, false);
        let owner = text(self, "owner", Part::Owner, false);
        let synonyms = match fields.remove("synonyms") {
            Some((line, node)) => self.synonyms(line, node, &mut read),
            None => Vec::new(),
        };
        let term = NewTerm {
            term_name: term_name.unwrap_or_default(),
            description: description.unwrap_or_default(),
            synonyms,
            data_source,
            owner,
        }
        .tidied();
        for (part, message) in term.faults() {
            if let Some(line) = read.get(&part) {
                self.fault(*line, message);
            }
        }
        Some((term, read.get(&Part::Name).copied().unwrap_or(line)))
    }

    fn synonyms(&mut self, line: u64, node: Node, read: &mut HashMap<Part, u64>) -> Vec<String> {
        let entries = match node {
            Node::List(entries) => entries,
            Node::Nothing => return Vec::new(),
            other => {
                self.fault(
                    line,
                    format!("`synonyms` must be a list, it is {}", other.kind()),
                );
                return Vec::new();
            }
        };
        read.insert(Part::Synonyms, line);
        let mut synonyms = Vec::new();
        for entry in entries {
            let line = entry.referenced.line();
            match entry.value {
                Node::Text(text) => {
                    read.insert(Part::Synonym(synonyms.len()), line);
                    synonyms.push(text);
                }
                other => self.fault(
                    line,
                    format!("a synonym must be text, it is {}", other.kind()),
                ),
            }
        }
        synonyms
    }

    /// Takes a mapping apart; unknown and repeated fields are faults.
    fn fields(&mut self, line: u64, node: Node, what: &str, known: &[&str]) -> Option<Fields> {
        let Node::Map(entries) = node else {
            self.fault(
                line.max(1),
                format!("{what} must have fields, it is {}", node.kind()),
            );
            return None;
        };
        let mut fields = Fields::new();
        for (key, value) in entries {
            let line = key.referenced.line();
            let name = key.value;
            if !known.contains(&name.as_str()) {
                let name: String = name.chars().take(80).collect();
                self.fault(line, format!("unknown field `{}`", name.escape_debug()));
                continue;
            }
            match fields.entry(name) {
                Entry::Occupied(known) => {
                    self.fault(line, format!("`{}` stands there twice", known.key()));
                }
                Entry::Vacant(new) => {
                    new.insert((value.referenced.line(), value.value));
                }
            }
        }
        Some(fields)
    }
}
