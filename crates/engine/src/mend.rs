//! Slips of a model that have one certain correction, corrected without asking it again: a column on the alias of the
//! wrong table or of one of two that a join makes equal, text in double quotes, a table that is not joined, `SELECT TOP n`
//! and other words of other databases.
//! What comes out goes through the guard like any other text.

mod ambiguous;
mod dialect;
mod missing_join;

use crate::error::{Code, Correction, Error};
use crate::prompt::GeneratedSql;

/// How many slips of one text are corrected; each takes one more run of the guard, some microseconds.
pub const MAX_MENDS: usize = 8;

/// Returns `sql` without the slip that `fault` is about, or `None` if the slip has no certain correction.
pub fn mend(sql: &GeneratedSql, fault: &Error) -> Option<GeneratedSql> {
    let text = sql.as_str();
    let mended = match fault.correction() {
        Some(Correction::Replace { wrong, right }) => replace_outside_literals(text, wrong, right),
        Some(Correction::Join(join)) => missing_join::add(text, join),
        None => match fault.code() {
            Code::InvalidSql => match fault.message().strip_prefix("ambiguous column name: ") {
                Some(column) => ambiguous::qualify(text, column),
                None => dialect::translate(text).or_else(|| top_to_limit(text)),
            },
            Code::FunctionNotAllowed => dialect::translate(text),
            _ => None,
        },
    };
    mended.map(GeneratedSql::new)
}

/// Replaces `wrong` wherever it stands as whole words outside text literals, without regard to ASCII case.
fn replace_outside_literals(text: &str, wrong: &str, right: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut found = false;
    let mut rest = text;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    while let Some(first) = rest.chars().next() {
        let before_is_word = out
            .chars()
            .next_back()
            .is_some_and(|c| is_word(c) || c == '.');
        let starts_word = !wrong.starts_with(is_word) || !before_is_word;
        if starts_word
            && let Some(head) = rest.get(..wrong.len())
            && head.eq_ignore_ascii_case(wrong)
            && !(wrong.ends_with(is_word) && rest[wrong.len()..].starts_with(is_word))
        {
            out.push_str(right);
            rest = &rest[wrong.len()..];
            found = true;
            continue;
        }
        // A doubled quote inside a literal ends it and begins the next, which comes to the same.
        let length = match first {
            '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            _ => first.len_utf8(),
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    found.then_some(out)
}

/// Moves `TOP n` of the outermost SELECT, which other databases have, to a `LIMIT n` at its end.
fn top_to_limit(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches(';').trim_end();
    let mut words = text.split_whitespace();
    let select = words
        .next()
        .filter(|word| word.eq_ignore_ascii_case("select"))?;
    let mut word = words.next()?;
    let distinct = word.eq_ignore_ascii_case("distinct");
    if distinct {
        word = words.next()?;
    }
    if !word.eq_ignore_ascii_case("top") {
        return None;
    }
    let count = words.next()?;
    let digits = count.trim_start_matches('(').trim_end_matches(')');
    digits.parse::<u32>().ok()?;
    let has_limit = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| word.eq_ignore_ascii_case("limit"));
    if has_limit {
        return None;
    }
    // Both words were split off `text`, so they stand in it in this order.
    let after_top = &text[text.find(word)? + word.len()..];
    let rest = &after_top[after_top.find(count)? + count.len()..];
    let distinct = if distinct { " DISTINCT" } else { "" };
    Some(format!("{select}{distinct}{rest} LIMIT {digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, fault: Error, expected: Option<&str>) {
        let mended = mend(&GeneratedSql::new(sql), &fault);
        assert_eq!(mended.as_ref().map(GeneratedSql::as_str), expected, "{sql}");
    }

    #[test]
    fn a_column_moves_to_the_alias_that_has_it() {
        let fault = || {
            Error::new(Code::UnknownColumn, "no such column: T2.name")
                .with_correction("T2.name", "T1.name")
        };
        check(
            "SELECT t2.name, T2.names, AT2.name FROM a AS T1 JOIN b AS T2 WHERE x = 'T2.name'",
            fault(),
            Some(
                "SELECT T1.name, T2.names, AT2.name FROM a AS T1 JOIN b AS T2 WHERE x = 'T2.name'",
            ),
        );
        check("SELECT 1", fault(), None);
    }

    #[test]
    fn text_in_double_quotes_becomes_text() {
        let fault = Error::new(Code::DoubleQuotedString, "no such column")
            .with_correction("\"it's\"", "'it''s'");
        check(
            "SELECT 1 FROM t WHERE a = \"it's\"",
            fault,
            Some("SELECT 1 FROM t WHERE a = 'it''s'"),
        );
    }

    #[test]
    fn a_column_that_a_join_makes_equal_gets_its_table() {
        let fault = || Error::new(Code::InvalidSql, "ambiguous column name: id");
        check(
            "SELECT Id, count(*) AS id FROM a AS T1 LEFT JOIN b AS T2 ON T2.id = T1.ID WHERE id > 1 GROUP BY id",
            fault(),
            Some(
                "SELECT T1.Id, count(*) AS id FROM a AS T1 LEFT JOIN b AS T2 ON T2.id = T1.ID WHERE T1.id > 1 GROUP BY T1.id",
            ),
        );
        check(
            "SELECT id, 'id' FROM a JOIN b ON a.id = b.id",
            fault(),
            Some("SELECT a.id, 'id' FROM a JOIN b ON a.id = b.id"),
        );
        // Nothing says that both are the same.
        check("SELECT id FROM a JOIN b ON a.id = b.a_id", fault(), None);
        // The tables of another SELECT may be meant.
        check(
            "SELECT id FROM a JOIN b ON a.id = b.id WHERE x IN (SELECT id FROM c)",
            fault(),
            None,
        );
    }

    #[test]
    fn top_becomes_limit() {
        let fault = || Error::new(Code::InvalidSql, "near \"5\": syntax error");
        check(
            "SELECT TOP 5 a, TOP FROM t ORDER BY a DESC;",
            fault(),
            Some("SELECT a, TOP FROM t ORDER BY a DESC LIMIT 5"),
        );
        check(
            "select distinct top (3) a FROM t",
            fault(),
            Some("select DISTINCT a FROM t LIMIT 3"),
        );
        check("SELECT TOP 5 a FROM t LIMIT 3", fault(), None);
        check("SELECT a FROM t WHERE", fault(), None);
        check("SELECT TOP many FROM t", fault(), None);
    }

    /// Mends until the guard is content or no correction is left.
    fn through_the_guard(sql: &str) -> String {
        let column = |name: &str| crate::schema::Column {
            name: name.into(),
            ..Default::default()
        };
        let table = |name: &str, columns: &[&str], keys: &[(&str, &str)]| crate::schema::Table {
            name: name.into(),
            kind: crate::schema::TableKind::Table,
            columns: columns.iter().copied().map(column).collect(),
            primary_key: vec!["id".into()],
            foreign_keys: keys
                .iter()
                .map(|(own, other)| crate::schema::ForeignKey {
                    columns: vec![(*own).into()],
                    table: (*other).into(),
                    referenced: vec!["id".into()],
                    inferred: false,
                })
                .collect(),
            row_count: None,
            ddl: String::new(),
            reads: vec![],
        };
        let schema = crate::schema::Schema {
            tables: vec![
                table(
                    "visits",
                    &["id", "patient_id", "doctor_id", "second_doctor_id", "cost"],
                    &[
                        ("patient_id", "patients"),
                        ("doctor_id", "doctors"),
                        ("second_doctor_id", "doctors"),
                    ],
                ),
                table("patients", &["id", "full_name", "order"], &[]),
                table("doctors", &["id", "specialty"], &[]),
                table("drugs", &["id", "dose"], &[]),
            ],
        };
        let visible = crate::policy::VisibleSchema::new(&schema, &Default::default());
        let mut text = GeneratedSql::new(sql);
        for _ in 0..MAX_MENDS {
            let Err(fault) = crate::guard::guard(&text, &visible) else {
                break;
            };
            match mend(&text, &fault) {
                Some(better) => text = better,
                None => return fault.message().to_owned(),
            }
        }
        text.as_str().to_owned()
    }

    #[test]
    fn the_table_of_a_column_is_joined_where_there_is_one_way_to() {
        for (sql, expected) in [
            (
                "SELECT v.cost, v.full_name FROM visits AS v WHERE v.cost > 3",
                "SELECT v.cost, patients.full_name FROM visits AS v JOIN patients ON patients.id = v.patient_id WHERE \
                 v.cost > 3",
            ),
            (
                "SELECT full_name, count(*) FROM visits GROUP BY full_name",
                "SELECT patients.full_name, count(*) FROM visits JOIN patients ON patients.id = visits.patient_id GROUP \
                 BY patients.full_name",
            ),
            (
                "SELECT cost FROM visits WHERE id IN (SELECT id FROM visits WHERE full_name = 'full_name') ORDER BY cost",
                "SELECT cost FROM visits WHERE id IN (SELECT id FROM visits JOIN patients ON patients.id = \
                 visits.patient_id WHERE patients.full_name = 'full_name') ORDER BY cost",
            ),
            (
                "SELECT cost FROM visits UNION SELECT v.full_name FROM visits v UNION SELECT id FROM drugs",
                "SELECT cost FROM visits UNION SELECT patients.full_name FROM visits v JOIN patients ON patients.id = \
                 v.patient_id UNION SELECT id FROM drugs",
            ),
            (
                "SELECT p.full_name FROM patients p WHERE p.cost > 3",
                "SELECT p.full_name FROM patients p JOIN visits ON visits.patient_id = p.id WHERE visits.cost > 3",
            ),
            // Two keys lead to doctors, and none to drugs.
            (
                "SELECT v.specialty FROM visits v",
                "no such column: v.specialty",
            ),
            ("SELECT dose FROM visits", "no such column: dose"),
            ("SELECT v.absent FROM visits v", "no such column: v.absent"),
        ] {
            assert_eq!(through_the_guard(sql), expected);
        }
    }

    #[test]
    fn words_of_other_databases_are_translated() {
        assert_eq!(
            through_the_guard(
                "SELECT YEAR(full_name), id::text FROM patients WHERE full_name ILIKE 'a%'"
            ),
            "SELECT CAST(strftime('%Y', full_name) AS INTEGER), CAST(id AS TEXT) FROM patients WHERE full_name LIKE 'a%'"
        );
    }
}
