//! What is kept of each question: one JSON line, written as soon as it is known, so that a run that is cut off can go
//! on. Neither questions nor gold SQL are in it: sets have licences of their own.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use engine::confidence::Signals;
use engine::evaluation::{Difference, Verdict};
use engine::ports::TokenCounts;
use engine::result::ResultSet;
use engine::{Code, Error, Kind};
use serde::{Deserialize, Serialize};

use super::questions::Item;
use super::{Arm, Prediction, PredictorSettings, in_file};

/// What became of one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The question's identifier.
    pub id: String,
    /// Its database.
    pub db: String,
    /// Its hardness, if its source rates it.
    pub hardness: Option<String>,
    /// Its source.
    pub source: Option<String>,
    /// The question before in its conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// The SQL of the answer; null when there was none.
    pub sql: Option<String>,
    /// The SQL that was refused or failed, when there was no answer.
    pub rejected_sql: Option<String>,
    /// Right or wrong by the test-suite rule, or the question's own fault.
    pub verdict: RecordVerdict,
    /// Right by the test-suite rule.
    pub test_suite: bool,
    /// Right by BIRD's rule.
    pub bird: bool,
    /// Why, in words.
    pub reason: String,
    /// Rows of the gold SQL; null if it failed.
    pub rows_gold: Option<usize>,
    /// Rows of the answer.
    pub rows_predicted: Option<usize>,
    /// The code of the refusal or error, when there was no answer.
    pub refusal_code: Option<String>,
    /// What kind of no-answer it was.
    pub no_answer: Option<NoAnswer>,
    /// Generations after the first.
    pub repairs: u32,
    /// What speaks for and against the answer; null without one.
    #[serde(default)]
    pub signals: Option<Signals>,
    /// From question to answer.
    pub seconds: f64,
    /// Of these, in the model.
    pub generate_seconds: f64,
    /// Tokens of all generations.
    pub tokens: TokenCounts,
    /// The first question about this database since the process started.
    pub is_first_of_database: bool,
}

/// The verdict on one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordVerdict {
    /// The rows are right.
    Right,
    /// They are not, or there are none.
    Wrong,
    /// The gold SQL failed, so there is nothing to compare with; the question does not count.
    NoGold,
}

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoAnswer {
    /// The SQL could not run: it does not parse, or names what does not exist.
    InvalidSql,
    /// It was decided not to answer.
    Refused,
    /// Something broke or took too long.
    Failed,
}

impl NoAnswer {
    fn of(fault: Code) -> Self {
        match fault {
            // The model's reply was no SQL at all: nobody's SQL was invalid.
            Code::GeneratorGaveNoSql => NoAnswer::Failed,
            code if code.is_repairable() => NoAnswer::InvalidSql,
            code if code.kind() == Kind::Refused => NoAnswer::Refused,
            _ => NoAnswer::Failed,
        }
    }
}

impl Record {
    /// Puts together what is known of one question.
    pub fn new(
        item: &Item,
        gold: &Result<(ResultSet, bool), String>,
        prediction: Prediction,
        verdict: Option<Verdict>,
        is_first_of_database: bool,
    ) -> Self {
        let rows_gold = gold.as_ref().ok().map(|(rows, _)| rows.rows.len());
        let rows_predicted = prediction.result.as_ref().ok().map(|rows| rows.rows.len());
        let reason = match (gold, &prediction.result, verdict) {
            (Err(message), ..) => format!("the gold SQL fails: {message}"),
            (_, Err(error), _) => format!("{}: {}", error.code(), error.message()),
            (
                _,
                _,
                Some(Verdict {
                    difference: Some(Difference::RowCount),
                    ..
                }),
            ) => format!(
                "{}: {} instead of {}",
                Difference::RowCount,
                rows_predicted.unwrap_or_default(),
                rows_gold.unwrap_or_default()
            ),
            (
                _,
                _,
                Some(Verdict {
                    difference: Some(difference),
                    ..
                }),
            ) => difference.to_string(),
            _ => "the same rows".to_owned(),
        };
        let is_answered = prediction.result.is_ok();
        let error = prediction.result.as_ref().err();
        Self {
            id: item.id.clone(),
            db: item.db.clone(),
            hardness: item.hardness.clone(),
            source: item.source.clone(),
            follows: item.follows.clone(),
            verdict: match (gold, verdict) {
                (Err(_), _) => RecordVerdict::NoGold,
                (_, Some(verdict)) if verdict.test_suite => RecordVerdict::Right,
                _ => RecordVerdict::Wrong,
            },
            test_suite: verdict.is_some_and(|verdict| verdict.test_suite),
            bird: verdict.is_some_and(|verdict| verdict.bird),
            reason,
            rows_gold,
            rows_predicted,
            refusal_code: error.map(|error| error.code().to_string()),
            no_answer: error.map(|error| NoAnswer::of(prediction.fault.unwrap_or(error.code()))),
            sql: prediction.sql.clone().filter(|_| is_answered),
            rejected_sql: prediction.sql.filter(|_| !is_answered),
            repairs: prediction.repairs,
            signals: prediction.signals,
            seconds: prediction.seconds,
            generate_seconds: prediction.generate_seconds,
            tokens: prediction.tokens,
            is_first_of_database,
        }
    }
}

/// Everything that the lines of one file have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSettings {
    /// The way of answering.
    pub arm: Arm,
    /// BLAKE3, in hex, of the file of questions.
    pub questions_hash: String,
    /// Model, prompt and limits.
    #[serde(flatten)]
    pub predictor: PredictorSettings,
}

/// The records of one way of answering, in a file if there is one. Its settings are kept beside it, in
/// `FILE.settings.json`, so that every line of the file is a question.
pub struct Output {
    settings: RunSettings,
    records: HashMap<String, Record>,
    file: Option<(PathBuf, File)>,
}

impl Output {
    /// Opens a file and reads what is in it; `fresh` discards that. Half a line at its end, left by a run that was cut
    /// off, is removed.
    ///
    /// # Errors
    ///
    /// If the file was made with other settings, is no file of records, or cannot be read or written.
    pub fn open(path: Option<&Path>, settings: RunSettings, fresh: bool) -> Result<Self, Error> {
        let Some(path) = path else {
            return Ok(Self {
                settings,
                records: HashMap::new(),
                file: None,
            });
        };
        let settings_path = settings_file(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(in_file(folder))?;
        }
        let existing = if fresh {
            None
        } else {
            read_if_there(path)?.filter(|text| !text.is_empty())
        };
        let mut records = HashMap::new();
        let mut kept = 0;
        if let Some(text) = existing {
            let earlier = read_if_there(&settings_path)?.ok_or_else(|| {
                in_file(path)(format!(
                    "how it was made is not known: `{}` is missing",
                    settings_path.display()
                ))
            })?;
            let earlier: RunSettings =
                serde_json::from_str(&earlier).map_err(in_file(&settings_path))?;
            if earlier != settings {
                let message = format!(
                    "it was made with other settings ({})",
                    differing(&earlier, &settings).join(", ")
                );
                return Err(in_file(path)(message)
                    .with_hint("name another file, or start over with --fresh"));
            }
            (records, kept) = read_records(path, &text)?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(in_file(path))?;
        file.set_len(kept as u64).map_err(in_file(path))?;
        file.flush().map_err(in_file(path))?;
        std::fs::write(
            &settings_path,
            serde_json::to_string_pretty(&settings).map_err(in_file(&settings_path))? + "\n",
        )
        .map_err(in_file(&settings_path))?;
        Ok(Self {
            settings,
            records,
            file: Some((path.to_owned(), file)),
        })
    }

    /// Says whether a question is done.
    pub fn has(&self, id: &str) -> bool {
        self.records.contains_key(id)
    }

    /// Returns the SQL that answered a question.
    pub fn sql_of(&self, id: &str) -> Option<&str> {
        self.records.get(id)?.sql.as_deref()
    }

    /// Keeps a record.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn append(&mut self, record: Record) -> Result<(), Error> {
        if let Some((path, file)) = &mut self.file {
            let line = serde_json::to_string(&record).map_err(in_file(path))? + "\n";
            // One write, so that a line is there or not.
            file.write_all(line.as_bytes()).map_err(in_file(path))?;
        }
        self.records.insert(record.id.clone(), record);
        Ok(())
    }

    /// Returns how it stands, for a progress bar.
    pub fn tally(&self) -> String {
        let right = self
            .records
            .values()
            .filter(|record| record.test_suite)
            .count();
        format!("{right} of {} right", self.records.len())
    }

    /// Returns the records of these questions, in their order.
    pub fn finish(mut self, ids: &[&str]) -> (RunSettings, Vec<Record>) {
        let records = ids
            .iter()
            .filter_map(|id| self.records.remove(*id))
            .collect();
        (self.settings, records)
    }
}

fn settings_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".settings.json");
    name.into()
}

fn read_if_there(path: &Path) -> Result<Option<String>, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(in_file(path)(error)),
    }
}

/// Returns the records of whole lines, and how many bytes those lines have.
fn read_records(path: &Path, text: &str) -> Result<(HashMap<String, Record>, usize), Error> {
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let mut records = HashMap::new();
    for (number, line) in (1..).zip(text[..whole].lines()) {
        let record: Record = serde_json::from_str(line)
            .map_err(|cause| in_file(path)(format!("line {number} is no result: {cause}")))?;
        records.insert(record.id.clone(), record);
    }
    Ok((records, whole))
}

fn differing(earlier: &RunSettings, now: &RunSettings) -> Vec<&'static str> {
    let (before, after) = (&earlier.predictor, &now.predictor);
    [
        (earlier.arm != now.arm, "way of answering"),
        (earlier.questions_hash != now.questions_hash, "questions"),
        (before.model != after.model, "model"),
        (before.prompt_version != after.prompt_version, "prompt"),
        (before.options != after.options, "options"),
    ]
    .into_iter()
    .filter_map(|(differs, name)| differs.then_some(name))
    .collect()
}
