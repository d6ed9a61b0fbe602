//! Which of several statements is the answer: those whose rows agree speak for each other, what is suspicious speaks
//! against. Self-consistency over results (Wang et al., arXiv 2203.11171; for SQL, Li et al., AlphaCode-style
//! clustering by execution, as in MBR-Exec, Shi et al., arXiv 2204.11454).

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::Finding;
use crate::guard::GuardedSql;
use crate::policy::Role;
use crate::ports::Likelihood;
use crate::result::{ResultSet, Value};

/// Which statements the model is held to the visible names for, while it writes them (see [`mod@crate::decoding`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constrained {
    /// None.
    Never,
    /// The last repair, after which there is no answer.
    Last,
    /// All.
    Always,
}

/// How an answer is decided on; each part can be left out, to measure what it is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deciding {
    /// What the guard refuses is corrected where the correction is certain, before the model is asked again.
    pub mends: bool,
    /// Statements are looked over for what is suspicious, and corrected where that is certain.
    pub checks: bool,
    /// The model is held to the visible names while it writes.
    pub constrained: Constrained,
    /// Statements drawn beside the first one; 0 is none.
    pub candidates: u32,
    /// If they do not agree, one more than that is drawn again.
    pub insists: bool,
    /// They are drawn for every question, and not only when the first one leaves a doubt.
    pub always: bool,
    /// How far drawn statements stray from the likeliest; 0 is not at all.
    pub temperature: f32,
}

impl Default for Deciding {
    /// All of it, drawing only on a doubt.
    fn default() -> Self {
        Self {
            mends: true,
            checks: true,
            constrained: Constrained::Last,
            candidates: 3,
            insists: true,
            always: false,
            temperature: 0.7,
        }
    }
}

/// How sure an answer must be for each role; below it Assay asks back. 0 answers whatever runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// For who cannot read the SQL.
    pub viewer: f64,
    /// For who can.
    pub analyst: f64,
    /// For administrators.
    pub admin: f64,
}

impl Thresholds {
    /// Answers whatever runs.
    pub const NONE: Self = Self {
        viewer: 0.0,
        analyst: 0.0,
        admin: 0.0,
    };

    /// Returns the threshold of a role.
    pub fn of(&self, role: Role) -> f64 {
        match role {
            Role::Viewer => self.viewer,
            Role::Analyst => self.analyst,
            Role::Admin => self.admin,
        }
    }
}

/// The first statement is settled without drawing more if the model was nowhere less sure of a token than this. Of the
/// answers to the developer set 86 % of 131 above it were right and 65 % of 43 below.
const SURE_LOGPROB: f64 = -0.9;

/// What the likeliest reply counts more than one that was drawn: it is right more often.
const FIRST_WEIGHT: f64 = 0.5;

/// A statement that ran.
pub(super) struct Contender {
    pub(super) guarded: GuardedSql,
    pub(super) rows: ResultSet,
    /// What the rows say, of which equal ones agree.
    pub(super) content: Content,
    pub(super) findings: Vec<Finding>,
    /// What was wrong with it and was put right.
    pub(super) corrections: Vec<String>,
    /// It is not as the model wrote it.
    pub(super) corrected: bool,
    pub(super) likelihood: Option<Likelihood>,
    /// How often the model wrote it.
    pub(super) drawn: u32,
    /// It is the likeliest reply, not a drawn one.
    pub(super) is_first: bool,
}

impl Contender {
    /// Says whether nothing would be gained by drawing more.
    pub(super) fn is_settled(&self) -> bool {
        let is_sure = self
            .likelihood
            .is_none_or(|likelihood| likelihood.least_logprob >= SURE_LOGPROB);
        is_sure && self.findings.is_empty() && !self.rows.rows.is_empty()
    }

    /// What it counts in the vote of results.
    fn weight(&self) -> f64 {
        let mut weight = f64::from(self.drawn);
        if self.is_first {
            weight += FIRST_WEIGHT;
        }
        if !self.findings.is_empty() {
            weight *= 0.5;
        }
        if self.rows.rows.is_empty() {
            weight *= 0.5;
        }
        weight
    }

    fn mean_logprob(&self) -> f64 {
        self.likelihood
            .map_or(f64::NEG_INFINITY, |likelihood| likelihood.mean_logprob)
    }
}

/// What was chosen, and how many agree.
pub(super) struct Choice {
    pub(super) chosen: Contender,
    /// Statements with the same rows, itself included.
    pub(super) agreeing: u32,
    /// The best statement of each other result, those that most agree on first.
    pub(super) others: Vec<Contender>,
}

/// Says whether as many statements as were `drawn` ran and have the same rows.
pub(super) fn all_agree<'c>(ran: impl Iterator<Item = &'c Contender>, drawn: u32) -> bool {
    let mut count = 0;
    let mut contents = BTreeSet::new();
    for one in ran {
        count += one.drawn;
        contents.insert(&one.content);
    }
    count == drawn && contents.len() <= 1
}

/// Says whether no further reply of the likeliest kind could change which rows are chosen.
pub(super) fn is_decided(contenders: &[Contender]) -> bool {
    let mut weights: BTreeMap<&Content, f64> = BTreeMap::new();
    for one in contenders {
        *weights.entry(&one.content).or_default() += one.weight();
    }
    let mut weights: Vec<f64> = weights.into_values().collect();
    weights.sort_by(|a, b| b.total_cmp(a));
    let second = weights.get(1).copied().unwrap_or_default();
    weights
        .first()
        .is_some_and(|best| *best > second + 1.0 + FIRST_WEIGHT)
}

/// Chooses among statements that ran; `None` if there is none.
pub(super) fn choose(contenders: Vec<Contender>) -> Option<Choice> {
    let mut groups: BTreeMap<Content, Vec<Contender>> = BTreeMap::new();
    for contender in contenders {
        let key = contender.content;
        groups.entry(key).or_default().push(contender);
    }
    let weight = |group: &[Contender]| group.iter().map(Contender::weight).sum::<f64>();
    let likeliest = |group: &[Contender]| {
        group
            .iter()
            .map(Contender::mean_logprob)
            .fold(f64::NEG_INFINITY, f64::max)
    };
    let mut groups: Vec<Vec<Contender>> = groups.into_values().collect();
    groups.sort_by(|a, b| {
        weight(b)
            .total_cmp(&weight(a))
            .then_with(|| likeliest(b).total_cmp(&likeliest(a)))
    });
    let mut groups = groups.into_iter();
    let best = groups.next()?;
    Some(Choice {
        agreeing: best.iter().map(|one| one.drawn).sum(),
        chosen: best_of(best)?,
        others: groups.filter_map(best_of).collect(),
    })
}

/// Of equal rows, the statement that is least suspicious, then the model's own first.
fn best_of(group: Vec<Contender>) -> Option<Contender> {
    group.into_iter().max_by(|a, b| {
        b.findings
            .len()
            .cmp(&a.findings.len())
            .then(a.is_first.cmp(&b.is_first))
            .then_with(|| a.mean_logprob().total_cmp(&b.mean_logprob()))
    })
}

/// What two results share if they have the same rows: their values without the names of columns and, because most
/// questions ask for no order, without the order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Content([u8; 32]);

impl Content {
    pub(super) fn of(rows: &ResultSet) -> Self {
        let mut lines: Vec<String> = rows
            .rows
            .iter()
            .map(|row| row.iter().map(cell).collect::<Vec<_>>().join("\u{1f}"))
            .collect();
        lines.sort_unstable();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(rows.columns.len() as u64).to_le_bytes());
        for line in lines {
            hasher.update(&(line.len() as u64).to_le_bytes());
            hasher.update(line.as_bytes());
        }
        Self(hasher.finalize().into())
    }
}

/// How far a sum of reals may be from a whole number, by its size, and be one.
const WHOLE_WITHIN: f64 = 1e-12;

/// The reals below this have every whole number among them.
const EXACT_BELOW: f64 = (1_u64 << 53) as f64;

/// Writes a value so that equal ones are written alike: sums of reals in another order differ in their last digits,
/// whole numbers in none.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "n".into(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => {
            let whole = number.round();
            let is_whole = (number - whole).abs() <= whole.abs() * WHOLE_WITHIN;
            match is_whole && whole.abs() < EXACT_BELOW {
                true => (whole as i64).to_string(),
                false => format!("{number:.9e}"),
            }
        }
        Value::Text(text) => format!("t{text}"),
        Value::Blob(_) => format!("b{}", value.to_text()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::guard::guard;
    use crate::policy::{Visibility, VisibleSchema};
    use crate::prompt::GeneratedSql;
    use crate::result::ResultColumn;
    use crate::schema::Schema;

    fn contender(sql: &str, rows: &[&[i64]], drawn: u32, mean_logprob: f64) -> Contender {
        let visible = Arc::new(VisibleSchema::new(
            &Schema::default(),
            &Visibility::everything(),
        ));
        let columns = rows.first().map_or(1, |row| row.len());
        let rows = ResultSet {
            columns: (0..columns)
                .map(|n| ResultColumn {
                    name: format!("{sql} {n}"),
                    kind: "integer".into(),
                })
                .collect(),
            rows: rows
                .iter()
                .map(|row| row.iter().map(|n| Value::Integer(*n)).collect())
                .collect(),
            truncated: false,
        };
        Contender {
            guarded: guard(&GeneratedSql::new(sql), &visible).expect("it may run"),
            content: Content::of(&rows),
            rows,
            findings: Vec::new(),
            corrections: Vec::new(),
            corrected: false,
            likelihood: Some(Likelihood {
                mean_logprob,
                least_logprob: mean_logprob * 10.0,
            }),
            drawn,
            is_first: false,
        }
    }

    fn first(contender: Contender) -> Contender {
        Contender {
            is_first: true,
            ..contender
        }
    }

    fn chosen(contenders: Vec<Contender>) -> (String, u32) {
        let choice = choose(contenders).expect("there is one");
        (choice.chosen.guarded.text().to_owned(), choice.agreeing)
    }

    #[test]
    fn rows_that_most_agree_on_win_whatever_their_order_and_names() {
        let contenders = vec![
            first(contender("SELECT 1", &[&[1], &[2]], 1, -0.1)),
            contender("SELECT 2", &[&[3], &[4]], 2, -0.2),
            contender("SELECT 3", &[&[4], &[3]], 1, -0.3),
        ];
        assert_eq!(chosen(contenders), ("SELECT 2".into(), 3));
    }

    #[test]
    fn the_likeliest_reply_wins_against_a_single_drawn_one() {
        let contenders = vec![
            contender("SELECT 2", &[&[2]], 1, -0.01),
            first(contender("SELECT 1", &[&[1]], 1, -0.1)),
        ];
        assert_eq!(chosen(contenders), ("SELECT 1".into(), 1));
    }

    #[test]
    fn a_repair_is_of_use_where_it_may_change_the_choice() {
        let check = |drawn: &[(i64, u32)], expected| {
            let contenders: Vec<Contender> = drawn
                .iter()
                .map(|&(n, count)| contender(&format!("SELECT {n}"), &[&[n]], count, -0.1))
                .collect();
            assert_eq!(is_decided(&contenders), expected, "{drawn:?}");
            let before = chosen(contenders).0;
            let mut contenders: Vec<Contender> = drawn
                .iter()
                .map(|&(n, count)| contender(&format!("SELECT {n}"), &[&[n]], count, -0.1))
                .collect();
            let second = drawn.get(1).map_or(9, |&(n, _)| n);
            contenders.push(first(contender("SELECT 0", &[&[second]], 1, -0.01)));
            let stays = chosen(contenders).0 == before;
            assert_eq!(stays, expected, "{drawn:?}");
        };
        check(&[(1, 2)], true);
        check(&[(1, 1)], false);
        check(&[(1, 3), (2, 1)], true);
        check(&[(1, 3), (2, 2)], false);
    }

    #[test]
    fn what_is_suspicious_or_empty_counts_less() {
        let mut suspicious = first(contender("SELECT 1", &[&[1]], 1, -0.1));
        suspicious.findings.push(Finding {
            kind: crate::checks::FindingKind::NoRows,
            message: String::new(),
            rewrite: None,
        });
        let contenders = vec![suspicious, contender("SELECT 2", &[&[2]], 1, -0.2)];
        assert_eq!(chosen(contenders).0, "SELECT 2");
        let contenders = vec![
            first(contender("SELECT 1", &[], 1, -0.1)),
            contender("SELECT 2", &[&[2]], 1, -0.2),
        ];
        assert_eq!(chosen(contenders).0, "SELECT 2");
    }

    #[test]
    fn numbers_agree_but_for_their_last_digits_and_never_with_text() {
        let real = |number: f64| ResultSet {
            columns: Vec::new(),
            rows: vec![vec![Value::Real(number)]],
            truncated: false,
        };
        let content = |rows: &ResultSet| Content::of(rows);
        assert_eq!(content(&real(0.1 + 0.2)), content(&real(0.3)));
        assert_ne!(content(&real(0.3)), content(&real(0.31)));
        // Cents of millions, added up in another order, and to a whole sum.
        assert_eq!(
            content(&real(12_345_678.9)),
            content(&real(12_345_678.900_000_002))
        );
        assert_eq!(
            content(&real(123_456_789_012.000_02)),
            content(&real(123_456_789_012.0))
        );
        let whole = |value| ResultSet {
            rows: vec![vec![value]],
            ..real(0.0)
        };
        assert_eq!(content(&whole(Value::Integer(3))), content(&real(3.0)));
        assert_eq!(content(&whole(Value::Integer(0))), content(&real(-0.0)));
        // Times in milliseconds, of one second.
        assert_ne!(
            content(&whole(Value::Integer(1_700_000_000_123))),
            content(&whole(Value::Integer(1_700_000_000_124)))
        );
        assert_ne!(
            content(&whole(Value::Integer(i64::MAX))),
            content(&whole(Value::Integer(i64::MAX - 1)))
        );
        assert_ne!(
            content(&whole(Value::Text("3".into()))),
            content(&whole(Value::Integer(3)))
        );
    }
}
