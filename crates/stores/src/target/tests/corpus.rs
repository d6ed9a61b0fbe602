//! The two corpora of the guard, read as crates/engine/corpus/README.md says.

use std::fs;
use std::path::PathBuf;

use super::support::Target;

/// One file of a corpus.
pub(super) struct Class {
    pub(super) name: String,
    pub(super) lines: Vec<String>,
}

/// Returns the classes of `hostile` or `benign`, in order of name.
pub(super) fn classes(corpus: &str) -> Vec<Class> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder().join(corpus))
        .expect("the corpus")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| Class {
            name: path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned(),
            lines: fs::read_to_string(&path)
                .expect("text")
                .lines()
                .filter(|line| !line.is_empty() && !line.starts_with("-- "))
                .map(decode)
                .collect(),
        })
        .collect()
}

/// Makes the company that the corpora are written against, and hides what they say is hidden.
pub(super) fn company() -> Target {
    let read = |name: &str| fs::read_to_string(folder().join(name)).expect("part of the corpus");
    let hidden = read("hidden.txt");
    let hidden: Vec<&str> = hidden.lines().filter(|line| !line.is_empty()).collect();
    Target::new(&read("schema.sql"), &hidden)
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../engine/corpus")
}

fn decode(line: &str) -> String {
    let mut decoded = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(['\\', '{']) {
        decoded.push_str(&rest[..start]);
        rest = &rest[start..];
        let (text, length) = if let Some(repeat) = rest.strip_prefix("{repeat:") {
            let end = repeat.find('}').expect("an end of the repetition");
            let (count, text) = repeat[..end].split_once(':').expect("a count");
            (
                decode(text).repeat(count.parse().expect("a number")),
                "{repeat:".len() + end + 1,
            )
        } else if let Some(code) = rest.strip_prefix("\\u{") {
            let end = code.find('}').expect("an end of the code point");
            let number = u32::from_str_radix(&code[..end], 16).expect("a number");
            (
                char::from_u32(number).expect("a character").to_string(),
                "\\u{".len() + end + 1,
            )
        } else {
            let escaped = ["\\n", "\\r", "\\t", "\\0", "\\\\"]
                .into_iter()
                .zip(["\n", "\r", "\t", "\0", "\\"])
                .find(|(escape, _)| rest.starts_with(escape));
            // A brace that repeats nothing stands for itself.
            escaped.map_or_else(
                || (rest[..1].to_owned(), 1),
                |(_, meant)| (meant.to_owned(), 2),
            )
        };
        decoded.push_str(&text);
        rest = &rest[length..];
    }
    decoded + rest
}

#[test]
fn escapes_are_decoded() {
    assert_eq!(
        decode(r"a\n{repeat:3:\t(}\0\\n{}\u{2003}|"),
        "a\n\t(\t(\t(\0\\n{}\u{2003}|"
    );
}
