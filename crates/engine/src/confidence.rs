//! How likely an answer is right: one number from 0 to 1, made of what was seen while answering.
//!
//! The number is a logistic regression over [`Signals`], fitted on questions whose right answers are known and kept with
//! the day, the model and the figures of the fit ([`Fit`]). It says what share of answers with such signals was right
//! there; data that are harder than those of the fit make it too high.

mod fitting;

pub use fitting::{Observation, fit, leave_one_group_out};

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::checks::FindingKind;

/// What speaks for and against an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Signals {
    /// Mean natural-log probability that the model gave the tokens of the SQL; null where it does not tell.
    pub mean_logprob: Option<f64>,
    /// The least of them.
    pub least_logprob: Option<f64>,
    /// Statements that the model wrote for the question.
    pub drawn: u32,
    /// Those of them that ran.
    pub ran: u32,
    /// Those of them whose rows were these.
    pub agreeing: u32,
    /// Statements that were written after a fault.
    pub repairs: u32,
    /// What is suspicious about the statement that was chosen.
    pub findings: Vec<FindingKind>,
    /// The statement was corrected after the model wrote it.
    pub corrected: bool,
    /// Tables it reads.
    pub tables: u32,
    /// Characters of its SQL.
    #[serde(default)]
    pub characters: u32,
    /// Subqueries and further parts of its SQL.
    #[serde(default)]
    pub subqueries: u32,
    /// Rows of the result.
    pub rows: u64,
}

/// What was found out about the SQL of an answer, to be told again wherever the same SQL answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// What spoke for and against it.
    pub signals: Signals,
    /// What is suspicious about it, in words: one for each of the findings of `signals`.
    pub doubts: Vec<String>,
    /// What was wrong with it and was put right.
    pub corrections: Vec<String>,
}

/// Names of what the regression weighs, in the order of [`features`].
const NAMES: [&str; 7] = [
    "intercept",
    "least log probability",
    "all agree",
    "findings",
    "no rows",
    "a subquery",
    "hundreds of characters",
];

/// What stands for agreement where only one statement was written, because it left no doubt: of 121 such answers to the
/// developer set, this share had the same rows in three more that were drawn.
const AGREED_UNSEEN: f64 = 0.77;

/// Returns the numbers that the regression weighs; each is between -10 and 10.
pub fn features(signals: &Signals) -> Vec<f64> {
    let all_agree = match signals.drawn {
        0 | 1 => AGREED_UNSEEN,
        drawn => f64::from(u8::from(signals.agreeing >= drawn)),
    };
    let flag = |is: bool| f64::from(u8::from(is));
    vec![
        1.0,
        signals.least_logprob.unwrap_or(0.0).max(-5.0),
        all_agree,
        flag(!signals.findings.is_empty()),
        flag(signals.rows == 0),
        // Few statements of any set have more than one: what several weigh would be a guess.
        flag(signals.subqueries > 0),
        f64::from(signals.characters.min(1_000)) / 100.0,
    ]
}

/// A fitted regression with where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    /// The day, in UTC.
    pub date: String,
    /// The model whose answers it was fitted on.
    pub model: String,
    /// The set of questions, and how many.
    pub fitted_on: String,
    /// The version of the prompt then.
    pub prompt_version: String,
    /// What each weight weighs.
    pub names: Vec<String>,
    /// The weights.
    pub weights: Vec<f64>,
}

impl Fit {
    /// Puts a fit together from its weights.
    pub fn new(weights: Vec<f64>, date: &str, model: &str, fitted_on: &str, prompt: &str) -> Self {
        Self {
            date: date.to_owned(),
            model: model.to_owned(),
            fitted_on: fitted_on.to_owned(),
            prompt_version: prompt.to_owned(),
            names: NAMES.iter().map(|name| (*name).to_owned()).collect(),
            weights,
        }
    }

    /// Returns the confidence in an answer with these signals, from 0 to 1.
    pub fn confidence(&self, signals: &Signals) -> f64 {
        fitting::probability(&self.weights, &features(signals))
    }

    /// The fit in use.
    pub fn in_use() -> &'static Self {
        static IN_USE: LazyLock<Fit> = LazyLock::new(|| {
            serde_json::from_str(include_str!("confidence/fit.json"))
                .expect("the fit in the source is whole; a test reads it")
        });
        &IN_USE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_in_use_is_whole_and_weighs_what_is_measured() {
        let fit = Fit::in_use();
        assert_eq!(fit.names, NAMES);
        assert_eq!(fit.weights.len(), NAMES.len());
        assert_eq!(features(&Signals::default()).len(), NAMES.len());
    }

    #[test]
    fn what_speaks_for_an_answer_raises_the_confidence_in_it() {
        let good = Signals {
            mean_logprob: Some(-0.01),
            least_logprob: Some(-0.1),
            drawn: 5,
            ran: 5,
            agreeing: 5,
            tables: 1,
            characters: 60,
            rows: 1,
            ..Signals::default()
        };
        let bad = Signals {
            mean_logprob: Some(-0.4),
            least_logprob: Some(-2.5),
            agreeing: 1,
            ran: 2,
            repairs: 1,
            findings: vec![FindingKind::InventedLiteral],
            tables: 4,
            characters: 480,
            rows: 0,
            ..good.clone()
        };
        let fit = Fit::in_use();
        let (good, bad) = (fit.confidence(&good), fit.confidence(&bad));
        assert!(good > 0.7 && bad < 0.5, "{good} {bad}");
        assert!((0.0..=1.0).contains(&good) && (0.0..=1.0).contains(&bad));
    }
}
