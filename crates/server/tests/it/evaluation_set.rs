//! The developers' evaluation set measures only as long as nothing of it is known here: no question, no database and no
//! gold SQL of it may stand in code, prompts, examples or documentation.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is looked through: everything that is written by people. Recorded runs name databases on purpose.
const WRITTEN: [&str; 11] = [
    "crates",
    "docs",
    "evals",
    "scripts",
    "deploy",
    "ui",
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Makefile",
    "compose.yaml",
];
const LEFT_OUT: [&str; 6] = [
    "evals/runs",
    "docs/accuracy.md",
    "ui/node_modules",
    "ui/dist",
    "ui/test-results",
    "target",
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The set itself, where it is at hand.
const SET: &str = "../shared/eval/dev/questions.jsonl";

#[test]
fn nothing_of_the_evaluation_set_stands_in_this_project() {
    let fingerprints = fingerprints();
    let mut files = Vec::new();
    for name in WRITTEN {
        add_files(&workspace().join(name), &mut files);
    }
    assert!(files.len() > 300, "only {} files were found", files.len());
    let mut known = Vec::new();
    for file in files {
        // What is not text holds no question.
        if let Ok(text) = std::fs::read_to_string(&file) {
            let found = found_in(&text, &fingerprints);
            known.extend(found.map(|words| format!("{}: {words}", file.display())));
        }
    }
    assert!(known.is_empty(), "{}", known.join("\n"));
}

#[test]
fn a_question_that_stands_somewhere_is_found() {
    let mut fingerprints = Fingerprints::new();
    let words = "how many zebras live in each zoo of";
    fingerprints.entry(8).or_default().insert(fnv1a(words));
    let check = |text: &str, expected| {
        assert_eq!(found_in(text, &fingerprints).count(), expected, "{text}")
    };
    check("// \"How many zebras\n// live in each zoo of Norway?\"", 1);
    check("How many zebras live in each zoo?", 0);
}

#[test]
fn the_fingerprints_are_those_of_the_set() {
    let set = workspace().join(SET);
    if !set.exists() {
        eprintln!("skipped: the evaluation set is not at hand");
        return;
    }
    let made = Command::new(workspace().join("scripts/eval-fingerprints"))
        .arg(&set)
        .output()
        .expect("the script runs");
    let kept = std::fs::read_to_string(workspace().join("evals/dev.fingerprints")).unwrap();
    assert_eq!(String::from_utf8_lossy(&made.stdout), kept);
}

/// Hashes of so many words.
type Fingerprints = HashMap<usize, HashSet<u64>>;

fn fingerprints() -> Fingerprints {
    let text = std::fs::read_to_string(workspace().join("evals/dev.fingerprints")).unwrap();
    let mut fingerprints = Fingerprints::new();
    for line in text.lines() {
        let mut parts = line.split(' ').skip(1);
        let words = parts.next().and_then(|words| words.parse().ok());
        let hash = parts
            .next()
            .and_then(|hash| u64::from_str_radix(hash, 16).ok());
        let (Some(words), Some(hash)) = (words, hash) else {
            panic!("`{line}` is no fingerprint");
        };
        fingerprints.entry(words).or_default().insert(hash);
    }
    fingerprints
}

fn add_files(path: &Path, files: &mut Vec<PathBuf>) {
    let is_left_out = LEFT_OUT
        .iter()
        .any(|name| path.starts_with(workspace().join(name)));
    if is_left_out {
        return;
    }
    match std::fs::read_dir(path) {
        Ok(entries) => {
            for entry in entries {
                add_files(&entry.unwrap().path(), files);
            }
        }
        Err(_) if path.is_file() => files.push(path.to_owned()),
        Err(_) => {}
    }
}

fn found_in<'a>(
    text: &str,
    fingerprints: &'a Fingerprints,
) -> impl Iterator<Item = String> + use<'a> {
    let text = text.to_lowercase();
    let words: Vec<String> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    fingerprints.iter().flat_map(move |(length, hashes)| {
        let found: Vec<String> = words
            .windows(*length)
            .map(|words| words.join(" "))
            .filter(|words| hashes.contains(&fnv1a(words)))
            .collect();
        found
    })
}

/// FNV-1a, 64 bits; the script that makes the fingerprints has the same.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
