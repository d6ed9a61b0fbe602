//! What an answer carries besides its rows: where each of its parts comes from.

use super::{Found, Trace};
use crate::chart::chart;
use crate::confidence::{Fit, Signals};
use crate::ports::ModelIdentity;
use crate::question::{Answer, Receipt};
use crate::{reading, words};

/// Puts the answer together, but for the time that committing it takes.
pub(super) fn evidence(query_id: i64, question: &str, trace: &Trace, found: Found) -> Answer {
    let signals = signals(trace, &found);
    let Found {
        guarded,
        rows,
        target,
    } = found;
    // A person vouches for a verified query; SQL of one's own is one's own.
    let confidence = (signals.drawn > 0).then(|| Fit::in_use().confidence(&signals));
    let provenance = target.provenance();
    let model = trace.model.clone().unwrap_or_else(|| ModelIdentity {
        name: "none".into(),
        hash: String::new(),
        is_remote: false,
    });
    let receipt = Receipt {
        question: question.to_owned(),
        sql: guarded.text().to_owned(),
        copy_fingerprint: provenance.fingerprint,
        schema_fingerprint: guarded.visible().schema_fingerprint().to_owned(),
        visible_schema_hash: guarded.visible().hash().to_owned(),
        model_hash: model.hash.clone(),
        prompt_hash: trace.prompt_hash.clone(),
        row_count: rows.rows.len() as u64,
        result_hash: rows.hash(),
    };
    Answer {
        query_id,
        question: question.to_owned(),
        conversation_id: trace.conversation_id,
        understood_as: trace.understood_as.clone(),
        sql: guarded.text().to_owned(),
        sentence: words::sentence(&rows),
        chart: chart(&rows),
        no_rows: trace.no_rows.clone(),
        tables: guarded.tables().to_vec(),
        reading: reading::read(&guarded),
        confidence,
        signals,
        corrections: trace.corrections.clone(),
        doubts: trace
            .findings
            .iter()
            .map(|finding| finding.message.clone())
            .collect(),
        terms: trace.terms.clone(),
        verified_queries: trace.verified.clone(),
        values: trace.values.clone(),
        origin: trace.origin,
        degraded: trace.degraded.clone(),
        columns: rows.columns,
        rows: rows.rows,
        truncated: rows.truncated,
        repairs: trace.repairs,
        data_as_of: provenance.data_as_of,
        copied_at: provenance.copied_at,
        original_changed: provenance.original_changed,
        model,
        values_sent: trace.values_sent.to_owned(),
        timings_ms: trace.timings,
        tokens: trace.tokens,
        receipt,
    }
}

/// Returns what speaks for and against what was found.
pub(super) fn signals(trace: &Trace, found: &Found) -> Signals {
    Signals {
        repairs: trace.repairs,
        findings: trace.findings.iter().map(|finding| finding.kind).collect(),
        tables: u32::try_from(found.guarded.tables().len()).unwrap_or(u32::MAX),
        characters: u32::try_from(found.guarded.text().chars().count()).unwrap_or(u32::MAX),
        subqueries: subqueries(found.guarded.text()),
        rows: found.rows.rows.len() as u64,
        ..trace.signals.clone()
    }
}

/// Counts the words SELECT after the first, outside of texts and quoted names.
fn subqueries(sql: &str) -> u32 {
    let mut bare = String::with_capacity(sql.len());
    let mut quote = None;
    for c in sql.chars() {
        match quote {
            Some(end) if c == end => quote = None,
            Some(_) => {}
            None if matches!(c, '\'' | '"' | '`') => quote = Some(c),
            None => bare.push(c),
        }
    }
    let words = bare.split(|c: char| !c.is_alphanumeric() && c != '_');
    let selects = words.filter(|word| word.eq_ignore_ascii_case("select"));
    u32::try_from(selects.skip(1).count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subqueries_are_counted_outside_of_quotes() {
        let check = |sql: &str, expected| assert_eq!(subqueries(sql), expected, "{sql}");
        check("SELECT 1", 0);
        check("SELECT 'select', \"select\" FROM t", 0);
        check(
            "SELECT a FROM t WHERE a IN (select b FROM u) UNION SELECT 2",
            2,
        );
        check("SELECT selected FROM t", 0);
    }
}
