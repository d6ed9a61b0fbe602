//! What an evaluation found, counted and drawn.

use std::collections::BTreeMap;
use std::io::Write;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use engine::Error;
use engine::evaluation::statistics::{Paired, Share, paired, percentile, share};
use serde::Serialize;

use super::eval::Arm;
use super::eval::curves::Calibration;
use super::eval::record::{NoAnswer, Record, RecordVerdict, RunSettings};

/// Questions that models fine-tuned on Spider were trained on; counted, but also left out for a figure of their own.
const SEEN_IN_TRAINING: &str = "spider-train";

/// All that an evaluation found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// One entry for each way of answering.
    pub runs: Vec<RunReport>,
    /// Each way against the next.
    pub paired: Vec<PairedReport>,
}

/// What one way of answering gave.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// How it was made.
    pub settings: RunSettings,
    /// Figures over all questions, then over parts of them.
    pub groups: Vec<GroupReport>,
    /// Times and tokens.
    pub costs: Costs,
    /// How well confidence tells right answers from wrong ones; null where nothing was answered.
    pub calibration: Option<Calibration>,
    /// Whether the state of prompt prefixes was kept.
    pub prefix: PrefixReuse,
    /// Questions that do not count because their own gold SQL fails.
    pub no_gold: Vec<String>,
}

/// Figures over some questions.
#[derive(Debug, Clone, Serialize)]
pub struct GroupReport {
    /// Which: `all`, a hardness, a source.
    pub name: String,
    /// Right by the test-suite rule.
    pub test_suite: Share,
    /// Right by BIRD's rule.
    pub bird: Share,
    /// SQL that could not run.
    pub invalid_sql: u64,
    /// Decisions not to answer.
    pub refused: u64,
    /// Time-outs and faults.
    pub failed: u64,
}

/// Times and tokens per question.
#[derive(Debug, Clone, Serialize)]
pub struct Costs {
    /// From question to answer.
    pub seconds: Spread,
    /// Of these, in the model.
    pub generate_seconds: Spread,
    /// Tokens of prompts, reused ones included.
    pub prompt_tokens: Spread,
    /// Tokens of prompts whose state was kept.
    pub reused_tokens: Spread,
    /// Tokens generated.
    pub generated_tokens: Spread,
    /// Repairs of all questions together.
    pub repairs: u64,
}

/// The middle and the upper end of some figures.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Spread {
    /// Half of them are at most this.
    pub p50: f64,
    /// 19 of 20 are at most this.
    pub p95: f64,
}

/// Whether prompts reused the state kept of their prefix, over all questions but the first about each database.
#[derive(Debug, Clone, Serialize)]
pub struct PrefixReuse {
    /// How many questions that are, those without token counts left out.
    pub questions: u64,
    /// Those of them that evaluated some token of the prefix again.
    pub exceptions: Vec<String>,
}

/// Two ways of answering the same questions.
#[derive(Debug, Clone, Serialize)]
pub struct PairedReport {
    /// The ways, in the order in which the difference takes them.
    pub arms: [Arm; 2],
    /// By the test-suite rule.
    pub test_suite: Paired,
    /// By BIRD's rule.
    pub bird: Paired,
    /// By the test-suite rule, over follow-up questions only, where the set has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_ups: Option<Paired>,
}

impl Report {
    /// Counts the records of ways of answering, which hold the same questions in the same order.
    ///
    /// # Errors
    ///
    /// [`engine::Code::EmptyInput`] if no question counts.
    pub fn new(runs: Vec<(RunSettings, Vec<Record>)>) -> Result<Self, Error> {
        let next = runs.iter().skip(1);
        let paired = runs
            .iter()
            .zip(next)
            .map(|(first, second)| {
                Ok(PairedReport {
                    arms: [first.0.arm, second.0.arm],
                    test_suite: compare(&first.1, &second.1, |record| record.test_suite)?,
                    bird: compare(&first.1, &second.1, |record| record.bird)?,
                    follow_ups: {
                        let first: Vec<Record> =
                            first.1.iter().filter(|one| follows(one)).cloned().collect();
                        match first.iter().any(counts) {
                            true => Some(compare(&first, &second.1, |record| record.test_suite)?),
                            false => None,
                        }
                    },
                })
            })
            .collect::<Result<_, Error>>()?;
        let runs = runs
            .into_iter()
            .map(|(settings, records)| RunReport::new(settings, &records))
            .collect::<Result<_, _>>()?;
        Ok(Self { runs, paired })
    }
}

fn compare(
    first: &[Record],
    second: &[Record],
    is_right: fn(&Record) -> bool,
) -> Result<Paired, Error> {
    let second: BTreeMap<&str, &Record> = second
        .iter()
        .map(|record| (record.id.as_str(), record))
        .collect();
    let both = first
        .iter()
        .filter(|record| counts(record))
        .filter_map(|record| {
            let other = second
                .get(record.id.as_str())
                .filter(|other| counts(other))?;
            Some((is_right(record), is_right(other)))
        });
    paired(both)
}

fn follows(record: &Record) -> bool {
    record.follows.is_some()
}

fn counts(record: &Record) -> bool {
    record.verdict != RecordVerdict::NoGold
}

impl RunReport {
    fn new(settings: RunSettings, records: &[Record]) -> Result<Self, Error> {
        let counted: Vec<&Record> = records.iter().filter(|record| counts(record)).collect();
        let figures = |values: fn(&Record) -> f64| {
            Spread::of(counted.iter().map(|record| values(record)).collect())
        };
        Ok(Self {
            settings,
            groups: groups(&counted)?,
            costs: Costs {
                seconds: figures(|record| record.seconds),
                generate_seconds: figures(|record| record.generate_seconds),
                prompt_tokens: figures(|record| record.tokens.prompt as f64),
                reused_tokens: figures(|record| record.tokens.prompt_reused as f64),
                generated_tokens: figures(|record| record.tokens.generated as f64),
                repairs: counted.iter().map(|record| u64::from(record.repairs)).sum(),
            },
            calibration: Calibration::of(records).ok(),
            prefix: PrefixReuse::of(records),
            no_gold: records
                .iter()
                .filter(|record| !counts(record))
                .map(|record| record.id.clone())
                .collect(),
        })
    }
}

/// Returns all questions, all but those seen in training, those that follow another and those that do not, then those of
/// each hardness and of each source.
fn groups(records: &[&Record]) -> Result<Vec<GroupReport>, Error> {
    let mut parts: Vec<(String, Vec<&Record>)> = vec![("all".to_owned(), records.to_vec())];
    let unseen: Vec<&Record> = records
        .iter()
        .copied()
        .filter(|record| record.source.as_deref() != Some(SEEN_IN_TRAINING))
        .collect();
    if unseen.len() < records.len() {
        parts.push((format!("all but {SEEN_IN_TRAINING}"), unseen));
    }
    let (following, first): (Vec<&Record>, Vec<&Record>) =
        records.iter().partition(|record| follows(record));
    if !following.is_empty() {
        parts.push(("first turns".to_owned(), first));
        parts.push(("second turns".to_owned(), following));
    }
    parts.extend(split(
        records,
        "no hardness",
        |record| record.hardness.as_deref(),
        hardness_rank,
    ));
    parts.extend(split(
        records,
        "no source",
        |record| record.source.as_deref(),
        |_| 0,
    ));
    parts
        .into_iter()
        .filter(|(_, records)| !records.is_empty())
        .map(|(name, records)| GroupReport::new(name, &records))
        .collect()
}

/// Splits records by a label, ranked and then sorted by it.
fn split<'a>(
    records: &[&'a Record],
    without: &'static str,
    label: fn(&Record) -> Option<&str>,
    rank: fn(&str) -> usize,
) -> Vec<(String, Vec<&'a Record>)> {
    let mut parts: BTreeMap<(usize, String), Vec<&Record>> = BTreeMap::new();
    for record in records {
        let (rank, label) =
            label(record).map_or((usize::MAX, without), |label| (rank(label), label));
        parts
            .entry((rank, label.to_owned()))
            .or_default()
            .push(record);
    }
    parts
        .into_iter()
        .map(|((_, label), records)| (label, records))
        .collect()
}

fn hardness_rank(hardness: &str) -> usize {
    let known = ["easy", "medium", "hard", "extra"];
    known
        .iter()
        .position(|name| *name == hardness)
        .unwrap_or(known.len())
}

impl GroupReport {
    fn new(name: String, records: &[&Record]) -> Result<Self, Error> {
        let count = |is: &dyn Fn(&Record) -> bool| {
            records.iter().filter(|record| is(record)).count() as u64
        };
        let no_answer = |kind: NoAnswer| count(&|record| record.no_answer == Some(kind));
        let of = records.len() as u64;
        Ok(Self {
            name,
            test_suite: share(count(&|record| record.test_suite), of)?,
            bird: share(count(&|record| record.bird), of)?,
            invalid_sql: no_answer(NoAnswer::InvalidSql),
            refused: no_answer(NoAnswer::Refused),
            failed: no_answer(NoAnswer::Failed),
        })
    }
}

impl Spread {
    /// Of no figures both ends are 0; a report over no questions is refused before anybody sees that.
    fn of(values: Vec<f64>) -> Self {
        let at = |percent| percentile(&values, percent).unwrap_or_default();
        Self {
            p50: at(50.0),
            p95: at(95.0),
        }
    }
}

impl PrefixReuse {
    fn of(records: &[Record]) -> Self {
        let later: Vec<&Record> = records
            .iter()
            .filter(|record| !record.is_first_of_database && record.tokens.prompt_prefix > 0)
            .collect();
        let again = later
            .iter()
            .filter(|record| record.tokens.prompt_reused < record.tokens.prompt_prefix);
        Self {
            questions: later.len() as u64,
            exceptions: again.map(|record| record.id.clone()).collect(),
        }
    }
}

/// Draws a report.
///
/// # Errors
///
/// If `out` cannot be written.
pub fn print(report: &Report, out: &mut dyn Write) -> std::io::Result<()> {
    for run in &report.runs {
        let settings = &run.settings;
        writeln!(
            out,
            "{}: {}, prompt {}",
            settings.arm.as_str(),
            settings.predictor.model.name,
            settings.predictor.prompt_version
        )?;
        writeln!(out, "{}", accuracy_table(run))?;
        writeln!(out, "{}", costs_table(&run.costs))?;
        if let Some(calibration) = &run.calibration {
            writeln!(out, "{}", calibration_line(calibration))?;
        }
        writeln!(out, "{}", prefix_line(&run.prefix))?;
        if !run.no_gold.is_empty() {
            writeln!(
                out,
                "Not counted, their gold SQL fails: {}.",
                run.no_gold.join(", ")
            )?;
        }
        writeln!(out)?;
    }
    for paired in &report.paired {
        let [first, second] = paired.arms.map(Arm::as_str);
        writeln!(out, "{first} against {second}, question by question")?;
        writeln!(out, "{}", paired_table(paired))?;
    }
    Ok(())
}

fn accuracy_table(run: &RunReport) -> Table {
    let header = [
        "questions",
        "n",
        "EX test-suite",
        "95 %",
        "EX BIRD",
        "95 %",
        "invalid SQL",
        "refused",
        "failed",
    ];
    let rows = run.groups.iter().map(|group| {
        let of = group.test_suite.of;
        vec![
            group.name.clone(),
            of.to_string(),
            percent(group.test_suite.share),
            range(group.test_suite.low, group.test_suite.high),
            percent(group.bird.share),
            range(group.bird.low, group.bird.high),
            percent(group.invalid_sql as f64 / of as f64),
            group.refused.to_string(),
            group.failed.to_string(),
        ]
    });
    table(&header, rows)
}

fn costs_table(costs: &Costs) -> Table {
    let row = |name: &str, spread: Spread, digits: usize| {
        vec![
            name.to_owned(),
            format!("{:.digits$}", spread.p50),
            format!("{:.digits$}", spread.p95),
        ]
    };
    let rows = [
        row("seconds", costs.seconds, 2),
        row("seconds in the model", costs.generate_seconds, 2),
        row("prompt tokens", costs.prompt_tokens, 0),
        row("prompt tokens reused", costs.reused_tokens, 0),
        row("tokens generated", costs.generated_tokens, 0),
        vec![
            "repairs, all questions".to_owned(),
            costs.repairs.to_string(),
            String::new(),
        ],
    ];
    table(&["per question", "p50", "p95"], rows)
}

/// Says how precise answers would be if only the surest were given, each judged by a fit to the other databases.
fn calibration_line(calibration: &Calibration) -> String {
    let mut text = format!(
        "Confidence, fitted to the other databases: AUC {:.2}",
        calibration.auc
    );
    if let Some(point) = calibration.at_coverage(0.6) {
        text.push_str(&format!(
            "; of the surest 60 % of all questions {} are right ({})",
            percent(point.precision.share),
            range(point.precision.low, point.precision.high)
        ));
    }
    match calibration.at_precision(0.97) {
        Some(point) => text.push_str(&format!(
            "; 97 % are right of the surest {}.",
            percent(point.coverage)
        )),
        None => text.push_str("; at no coverage are 97 % right."),
    }
    text
}

fn prefix_line(prefix: &PrefixReuse) -> String {
    match (prefix.questions, &prefix.exceptions[..]) {
        (0, _) => "Prefix reuse: no question after the first of its database reports token counts."
            .to_owned(),
        (questions, []) => format!(
            "Every prefix token was reused from the second question of each database on: {questions} questions, no exception."
        ),
        (questions, exceptions) => format!(
            "Prefix tokens were evaluated again by {} of the {questions} questions after the first of their database: {}.",
            exceptions.len(),
            exceptions.join(", ")
        ),
    }
}

fn paired_table(report: &PairedReport) -> Table {
    let [first, second] = report.arms.map(Arm::as_str);
    let header = [
        "rule".to_owned(),
        "both right".to_owned(),
        format!("only {first}"),
        format!("only {second}"),
        "both wrong".to_owned(),
        "difference, points".to_owned(),
        "95 %".to_owned(),
        "McNemar p (exact)".to_owned(),
        "p (mid)".to_owned(),
    ];
    let row = |name: &str, paired: &Paired| {
        vec![
            name.to_owned(),
            paired.both_right.to_string(),
            paired.only_first.to_string(),
            paired.only_second.to_string(),
            paired.both_wrong.to_string(),
            format!("{:+.1}", paired.difference * 100.0),
            format!("{:+.1} to {:+.1}", paired.low * 100.0, paired.high * 100.0),
            format!("{:.4}", paired.p_exact),
            format!("{:.4}", paired.p_mid),
        ]
    };
    let mut rows = vec![
        row("test-suite", &report.test_suite),
        row("BIRD", &report.bird),
    ];
    if let Some(follow_ups) = &report.follow_ups {
        rows.push(row("test-suite, second turns", follow_ups));
    }
    table(&header.each_ref().map(String::as_str), rows)
}

/// Draws rows under a header; the first column is words, the others are figures.
fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_header(header.to_vec())
        .add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn range(low: f64, high: f64) -> String {
    format!("{:.1} to {:.1}", low * 100.0, high * 100.0)
}
