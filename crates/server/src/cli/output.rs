//! What people and programs see: answers as tables or JSON on standard output, progress on standard error.

use std::io::Write;
use std::sync::Mutex;
use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use engine::Error;
use engine::ports::{PlanStep, Progress, Step};
use engine::question::{Answer, Outcome, Refusal};
use engine::result::{ResultColumn, Value};
use engine::validation::Explained;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Value as Json, json};
use stores::golden_copy::{CopyPhase, CopyProgress};

/// Rows of a result that are drawn; JSON has them all.
const MAX_DRAWN_ROWS: usize = 40;

/// Writes a line of data to standard output. A reader that went away is not an error.
pub fn data(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Writes a line of talk to standard error.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Marks on standard error where a question can be typed.
pub fn mark() {
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "> ").and_then(|()| out.flush());
}

/// Writes one object on one line.
pub fn json_line(object: &impl Serialize) {
    match serde_json::to_string(object) {
        Ok(text) => data(&text),
        Err(fault) => say(&format!(
            "error: the result cannot be written as JSON: {fault}"
        )),
    }
}

/// Returns what came of a question as one JSON object with a `status`.
pub fn outcome_json(outcome: &Outcome) -> Json {
    match outcome {
        Outcome::Answered(answer) => with_status(
            "answered",
            serde_json::to_value(answer).unwrap_or(Json::Null),
        ),
        Outcome::Refused(refusal) => refusal_json(refusal),
    }
}

fn refusal_json(refusal: &Refusal) -> Json {
    let body = json!({
        "query_id": refusal.query_id,
        "sql": refusal.sql,
        "error": error_json(&refusal.error),
        "timings_ms": refusal.timings_ms,
        "tokens": refusal.tokens,
        "repairs": refusal.repairs,
        "choices": refusal.choices,
    });
    with_status("refused", body)
}

/// Returns an error as JSON.
pub fn error_json(error: &Error) -> Json {
    json!({ "code": error.code().as_str(), "message": error.message(), "hint": error.hint() })
}

fn with_status(status: &str, body: Json) -> Json {
    let mut object = serde_json::Map::new();
    object.insert("status".into(), status.into());
    if let Json::Object(body) = body {
        object.extend(body);
    }
    Json::Object(object)
}

/// Draws an answer: SQL, rows, sentence, evidence.
pub fn answer(answer: &Answer) {
    if let Some(understood_as) = &answer.understood_as {
        say(&format!("understood as: {}", clean(understood_as)));
    }
    say(&format!("{}\n", answer.sql.trim()));
    data(&draw(&answer.columns, &answer.rows));
    let hidden = answer.rows.len().saturating_sub(MAX_DRAWN_ROWS);
    if hidden > 0 {
        say(&format!(
            "... and {hidden} more rows; --json shows all of them"
        ));
    }
    say(&format!("\n{}", answer.sentence));
    if let Some(no_rows) = &answer.no_rows {
        say(&format!("Why: {}.", clean(&no_rows.text)));
    }
    say(&format!("Read as: {}", clean(&answer.reading.sentence)));
    for correction in &answer.corrections {
        say(&format!("Corrected: {}", clean(correction)));
    }
    for doubt in &answer.doubts {
        say(&format!("Doubtful: {}", clean(doubt)));
    }
    say(&evidence(answer));
}

/// Draws how SQL would run: the text, the steps as a tree, the tables.
pub fn explained(explained: &Explained) {
    say(&format!("{}\n", explained.validated.sql.trim()));
    let mut tree = String::new();
    draw_steps(&explained.plan, 0, &mut tree);
    data(tree.trim_end());
    if !explained.validated.tables.is_empty() {
        say(&format!("\nfrom {}", explained.validated.tables.join(", ")));
    }
}

fn draw_steps(steps: &[PlanStep], depth: usize, tree: &mut String) {
    for step in steps {
        tree.push_str(&"  ".repeat(depth));
        tree.push_str(&clean(&step.detail));
        tree.push('\n');
        draw_steps(&step.steps, depth + 1, tree);
    }
}

fn evidence(answer: &Answer) -> String {
    let mut parts = vec![format!("data as of {}", answer.data_as_of)];
    if answer.original_changed {
        parts.push("the original has changed since".into());
    }
    if !answer.tables.is_empty() {
        parts.push(format!("from {}", answer.tables.join(", ")));
    }
    if !answer.terms.is_empty() {
        parts.push(format!("terms: {}", answer.terms.join(", ")));
    }
    let tokens = &answer.tokens;
    if tokens.prompt > 0 {
        parts.push(format!("{:.1} s", answer.timings_ms.total / 1e3));
        parts.push(format!(
            "{} prompt tokens ({} reused), {} generated",
            tokens.prompt, tokens.prompt_reused, tokens.generated
        ));
    }
    if answer.repairs > 0 {
        parts.push(format!("{} repairs", answer.repairs));
    }
    if answer.model.is_remote {
        parts.push(format!(
            "values sent to {}: {}",
            answer.model.name, answer.values_sent
        ));
    }
    parts.join(" | ")
}

/// Draws rows as a table as wide as the terminal allows; numbers stand right.
fn draw(columns: &[ResultColumn], rows: &[Vec<Value>]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(columns.iter().map(|column| clean(&column.name)));
    for row in rows.iter().take(MAX_DRAWN_ROWS) {
        table.add_row(row.iter().map(|value| match value {
            Value::Null => "NULL".to_owned(),
            other => clean(&other.to_text()),
        }));
    }
    for (index, column) in columns.iter().enumerate() {
        if matches!(column.kind.as_str(), "integer" | "real")
            && let Some(drawn) = table.column_mut(index)
        {
            drawn.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// Cell values are untrusted: control characters would steer the terminal.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .take(500)
        .collect()
}

/// Shows what a question is doing, on a terminal only.
pub struct StepSpinner(ProgressBar);

impl StepSpinner {
    /// Starts turning.
    pub fn start() -> Self {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }
}

impl Progress for StepSpinner {
    fn step(&self, step: Step) {
        self.0.set_message(match step {
            Step::Understanding => "looking at the data",
            Step::Searching => "looking up what the question mentions",
            Step::Generating => "writing SQL",
            Step::Checking => "checking the SQL",
            Step::Running => "running the SQL",
            Step::Repairing => "mending the SQL",
        });
    }
}

impl Drop for StepSpinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Shows how a copy comes along, on a terminal only.
pub struct CopyBar {
    bar: ProgressBar,
    phase: Mutex<Option<CopyPhase>>,
}

impl CopyBar {
    /// Shows nothing before the first report.
    pub fn new() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            phase: Mutex::new(None),
        }
    }

    /// Takes one report.
    pub fn report(&self, progress: CopyProgress) {
        let Ok(mut phase) = self.phase.lock() else {
            return;
        };
        if *phase != Some(progress.phase) {
            *phase = Some(progress.phase);
            self.bar
                .set_draw_target(indicatif::ProgressDrawTarget::stderr());
            self.bar.set_length(progress.total);
            self.bar.set_style(style(progress));
            self.bar.set_message(match progress.phase {
                CopyPhase::Waiting => "waiting for another process",
                CopyPhase::Fingerprinting => "reading the original",
                CopyPhase::Copying => "copying",
                CopyPhase::Verifying => "verifying the copy",
                CopyPhase::Recovering => "replaying the journal",
                CopyPhase::CheckingIntegrity => "checking integrity",
                CopyPhase::ReadingSchema => "reading the schema",
                CopyPhase::Publishing => "putting the copy in service",
            });
        }
        self.bar.set_position(progress.done);
    }
}

impl Drop for CopyBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(progress: CopyProgress) -> ProgressStyle {
    let template = match progress.phase {
        _ if progress.total == 0 => "{spinner} {msg}",
        CopyPhase::ReadingSchema => "{msg} [{bar:30}] {pos}/{len} tables",
        _ => "{msg} [{bar:30}] {bytes}/{total_bytes}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_steer_the_terminal() {
        let columns = [ResultColumn {
            name: "name".into(),
            kind: "text".into(),
        }];
        let drawn = draw(&columns, &[vec![Value::Text("\u{1b}[2Jgone".into())]]);
        assert!(!drawn.contains('\u{1b}'), "{drawn}");
        assert!(drawn.contains("gone"));
    }
}
