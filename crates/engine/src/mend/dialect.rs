//! Words of other databases in SQLite's own. Works on words and signs outside literals, because what it is given does not
//! parse; each rule is one that has one meaning only, and what none of them knows is left for the guard to explain.

use crate::pieces::{Call, Pieces};

/// Translations of one text; each takes one reading of it.
const MAX_TRANSLATIONS: usize = 40;

/// Returns `text` in SQLite's words, or `None` if no rule knows anything in it.
pub(super) fn translate(text: &str) -> Option<String> {
    let mut translated: Option<String> = None;
    for _ in 0..MAX_TRANSLATIONS {
        let current = translated.as_deref().unwrap_or(text);
        let pieces = Pieces::of(current);
        let Some(next) = (0..pieces.len()).find_map(|at| once(&pieces, at)) else {
            break;
        };
        translated = Some(next);
    }
    translated
}

/// Applies the first rule that knows what stands at one place.
fn once(pieces: &Pieces<'_>, at: usize) -> Option<String> {
    let word = pieces.word(at)?;
    match word.as_str() {
        "::" => return cast(pieces, at),
        "ilike" => return Some(pieces.replaced(at, at, "LIKE")),
        "date" | "timestamp" if pieces.is_text(at + 1) => {
            return Some(pieces.replaced(at, at, ""));
        }
        "interval" => return interval(pieces, at),
        "fetch" => return fetch(pieces, at),
        _ => {}
    }
    let call = pieces.call(at)?;
    let new = called(&word, &call)?;
    Some(pieces.replaced(at, call.end, &new))
}

/// `FETCH FIRST 5 ROWS ONLY`.
fn fetch(pieces: &Pieces<'_>, at: usize) -> Option<String> {
    let word = |offset: usize| pieces.word(at + offset).unwrap_or_default();
    let count: u64 = pieces.get(at + 2)?.parse().ok()?;
    let is_it = ["first", "next"].contains(&word(1).as_str())
        && ["row", "rows"].contains(&word(3).as_str())
        && word(4) == "only";
    is_it.then(|| pieces.replaced(at, at + 4, &format!("LIMIT {count}")))
}

/// `x + INTERVAL 14 DAY`, `x - INTERVAL '14 days'`, and the same inside `DATE_ADD(x, ..)`, which comes by first.
fn interval(pieces: &Pieces<'_>, at: usize) -> Option<String> {
    let (span, end) = span_at(pieces, at)?;
    let sign = at.checked_sub(1)?;
    let is_minus = match pieces.get(sign)? {
        "+" => false,
        "-" => true,
        _ => return None,
    };
    let start = pieces.operand_before(sign)?;
    let moved = span.moved(pieces.text(start, sign - 1), is_minus);
    Some(pieces.replaced(start, end, &moved))
}

/// A length of time.
struct Span {
    count: i64,
    unit: &'static str,
}

impl Span {
    fn of(count: &str, unit: &str) -> Option<Self> {
        let count: i64 = count.parse().ok()?;
        let (factor, unit) = match unit.to_lowercase().trim_end_matches('s') {
            "day" => (1, "days"),
            "week" => (7, "days"),
            "month" => (1, "months"),
            "quarter" => (3, "months"),
            "year" => (1, "years"),
            "hour" => (1, "hours"),
            "minute" => (1, "minutes"),
            "second" => (1, "seconds"),
            _ => return None,
        };
        Some(Self {
            count: count.checked_mul(factor)?,
            unit,
        })
    }

    /// Writes the time that lies this much after `from`, or before it.
    fn moved(&self, from: &str, is_before: bool) -> String {
        let function = match self.unit {
            "hours" | "minutes" | "seconds" => "datetime",
            _ => "date",
        };
        let count = if is_before { -self.count } else { self.count };
        format!("{function}({from}, '{count:+} {}')", self.unit)
    }
}

/// Reads `INTERVAL 14 DAY`, `INTERVAL '14' DAY` or `INTERVAL '14 days'` and returns it with its last place.
fn span_at(pieces: &Pieces<'_>, at: usize) -> Option<(Span, usize)> {
    if pieces.word(at)? != "interval" {
        return None;
    }
    let count = pieces.get(at + 1)?.trim_matches('\'');
    let mut words = count.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(count), Some(unit), None) => Some((Span::of(count, unit)?, at + 1)),
        (Some(count), None, None) => Some((Span::of(count, pieces.get(at + 2)?)?, at + 2)),
        _ => None,
    }
}

/// `x::type`.
fn cast(pieces: &Pieces<'_>, at: usize) -> Option<String> {
    let start = pieces.operand_before(at)?;
    let value = pieces.text(start, at - 1);
    let kind = pieces.word(at + 1)?;
    let mut end = at + 1;
    if let Some(call) = pieces.call(end) {
        // `numeric(10, 2)`; the digits behind the point are not SQLite's to keep.
        end = call.end;
    } else if kind == "double" && pieces.word(at + 2).as_deref() == Some("precision") {
        end = at + 2;
    }
    let new = match kind.as_str() {
        "date" => format!("date({value})"),
        "timestamp" | "timestamptz" | "datetime" => format!("datetime({value})"),
        "int" | "integer" | "bigint" | "smallint" | "int4" | "int8" => {
            format!("CAST({value} AS INTEGER)")
        }
        "float" | "real" | "double" | "numeric" | "decimal" | "float8" | "float4" => {
            format!("CAST({value} AS REAL)")
        }
        "text" | "varchar" | "char" | "string" => format!("CAST({value} AS TEXT)"),
        _ => return None,
    };
    Some(pieces.replaced(start, end, &new))
}

/// Writes a call of another database's function in SQLite's.
fn called(name: &str, call: &Call<'_>) -> Option<String> {
    let args: Vec<&str> = call.args.iter().map(|arg| arg.text).collect();
    let field = |format: &str, of: &str| format!("CAST(strftime('{format}', {of}) AS INTEGER)");
    Some(match (name, &args[..]) {
        ("now" | "getdate" | "sysdate" | "current_timestamp" | "localtimestamp", []) => {
            "datetime('now')".to_owned()
        }
        ("curdate" | "current_date" | "today", []) => "date('now')".to_owned(),
        ("date_add" | "adddate" | "date_sub" | "subdate", [from, _]) => {
            let inner = Pieces::of(args[1]);
            let (span, end) = span_at(&inner, 0)?;
            (end + 1 == inner.len()).then_some(())?;
            span.moved(from, name.contains("sub"))
        }
        ("dateadd", [unit, count, from]) => Span::of(count, unit)?.moved(from, false),
        // Whole days, whatever the time of day, as MySQL counts them.
        ("datediff", [late, early]) => {
            format!("CAST(julianday(date({late})) - julianday(date({early})) AS INTEGER)")
        }
        ("datediff", [unit, early, late]) if unit.eq_ignore_ascii_case("day") => {
            format!("CAST(julianday(date({late})) - julianday(date({early})) AS INTEGER)")
        }
        ("extract", [field_from]) => {
            let (unit, of) = split_at_word(field_from, "from")?;
            field(part(unit)?, of)
        }
        ("date_part", [unit, of]) => field(part(unit.trim_matches('\''))?, of),
        ("date_trunc", [unit, of]) => match unit.trim_matches('\'').to_lowercase().as_str() {
            "year" => format!("strftime('%Y-01-01', {of})"),
            "month" => format!("strftime('%Y-%m-01', {of})"),
            "day" => format!("date({of})"),
            _ => return None,
        },
        ("date_format", [of, pattern]) => format!("strftime('{}', {of})", mysql_format(pattern)?),
        ("to_char", [of, pattern]) => format!("strftime('{}', {of})", postgres_format(pattern)?),
        ("year" | "month" | "day" | "dayofmonth" | "hour" | "minute" | "second", [of]) => {
            field(part(name)?, of)
        }
        ("left", [of, count]) => format!("substr({of}, 1, {count})"),
        ("right", [of, count]) if count.parse::<u32>().is_ok() => format!("substr({of}, -{count})"),
        ("len" | "char_length" | "character_length", [of]) => format!("length({of})"),
        ("isnull" | "nvl", [of, other]) => format!("ifnull({of}, {other})"),
        ("greatest", [_, _, ..]) => format!("max({})", args.join(", ")),
        ("least", [_, _, ..]) => format!("min({})", args.join(", ")),
        ("count" | "sum" | "avg" | "min" | "max", [of]) => {
            let (value, condition) = split_at_word(of, "where")?;
            format!("{name}({value}) FILTER (WHERE {condition})")
        }
        _ => return None,
    })
}

/// Splits at a word that stands outside parentheses and literals, unless a query does so too.
fn split_at_word<'t>(text: &'t str, word: &str) -> Option<(&'t str, &'t str)> {
    let pieces = Pieces::of(text);
    let mut depth = 0_usize;
    let mut found = None;
    for at in 0..pieces.len() {
        match pieces.get(at)? {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            _ => match pieces.word(at).as_deref() {
                Some("select") => return None,
                Some(other) if other == word && found.is_none() => found = Some(at),
                _ => {}
            },
        }
    }
    let at = found?;
    let last = pieces.len().checked_sub(1)?;
    (at > 0 && at < last).then(|| (pieces.text(0, at - 1), pieces.text(at + 1, last)))
}

/// Returns how strftime writes one part of a date as a number.
fn part(unit: &str) -> Option<&'static str> {
    Some(match unit.to_lowercase().as_str() {
        "year" => "%Y",
        "month" => "%m",
        "day" | "dayofmonth" => "%d",
        "hour" => "%H",
        "minute" => "%M",
        "second" => "%S",
        "dow" => "%w",
        "doy" => "%j",
        _ => return None,
    })
}

fn mysql_format(pattern: &str) -> Option<String> {
    let inner = pattern.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => return None,
            '%' => out.push_str(match chars.next()? {
                'Y' => "%Y",
                'm' => "%m",
                'd' => "%d",
                'H' => "%H",
                'i' => "%M",
                's' | 'S' => "%S",
                _ => return None,
            }),
            other => out.push(other),
        }
    }
    Some(out)
}

fn postgres_format(pattern: &str) -> Option<String> {
    let inner = pattern.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut out = inner.to_owned();
    for (theirs, ours) in [
        ("YYYY", "%Y"),
        ("HH24", "%H"),
        ("MM", "%m"),
        ("DD", "%d"),
        ("MI", "%M"),
        ("SS", "%S"),
    ] {
        out = out.replace(theirs, ours);
    }
    // What is left of their letters is a part that is not known here.
    let rest: String = ["%Y", "%H", "%m", "%d", "%M", "%S"]
        .iter()
        .fold(out.clone(), |rest, ours| rest.replace(ours, ""));
    (!rest.contains(|c: char| c.is_alphanumeric() || c == '\'')).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(theirs: &str, ours: Option<&str>) {
        let sql = format!("SELECT {theirs} FROM visits");
        let expected = ours.map(|ours| format!("SELECT {ours} FROM visits"));
        assert_eq!(translate(&sql), expected, "{theirs}");
    }

    #[test]
    fn dates_are_moved_by_modifiers() {
        for (theirs, ours) in [
            ("due + INTERVAL 14 DAY", "date(due, '+14 days')"),
            ("v.due - interval '2' week", "date(v.due, '-14 days')"),
            (
                "CURRENT_DATE - INTERVAL '3 months'",
                "date(CURRENT_DATE, '-3 months')",
            ),
            (
                "NOW() - INTERVAL 2 HOUR",
                "datetime(datetime('now'), '-2 hours')",
            ),
            ("(a + b) + INTERVAL 1 YEAR", "date((a + b), '+1 years')"),
            ("DATE_ADD(due, INTERVAL 14 DAY)", "date(due, '+14 days')"),
            (
                "date_sub(CURDATE(), interval 1 quarter)",
                "date(date('now'), '-3 months')",
            ),
            ("DATEADD(day, -7, due)", "date(due, '-7 days')"),
            (
                "DATE '2024-01-31' + INTERVAL '1' DAY",
                "date('2024-01-31', '+1 days')",
            ),
        ] {
            check(theirs, Some(ours));
        }
    }

    #[test]
    fn parts_of_dates_are_numbers() {
        let part = |format: &str| format!("CAST(strftime('{format}', due) AS INTEGER)");
        for (theirs, format) in [
            ("YEAR(due)", "%Y"),
            ("month( due )", "%m"),
            ("EXTRACT(YEAR FROM due)", "%Y"),
            ("extract(dow from due)", "%w"),
            ("DATE_PART('day', due)", "%d"),
        ] {
            check(theirs, Some(&part(format)));
        }
        check(
            "DATEDIFF(left_on, came_on)",
            Some("CAST(julianday(date(left_on)) - julianday(date(came_on)) AS INTEGER)"),
        );
        check(
            "DATEDIFF(DAY, came_on, left_on)",
            Some("CAST(julianday(date(left_on)) - julianday(date(came_on)) AS INTEGER)"),
        );
        check(
            "DATE_TRUNC('month', due)",
            Some("strftime('%Y-%m-01', due)"),
        );
        check("DATE_FORMAT(due, '%Y-%m')", Some("strftime('%Y-%m', due)"));
        check(
            "TO_CHAR(due, 'YYYY-MM-DD')",
            Some("strftime('%Y-%m-%d', due)"),
        );
    }

    #[test]
    fn casts_likes_and_filters_are_sqlites() {
        for (theirs, ours) in [
            ("due::date", "date(due)"),
            (
                "SUM(paid)::numeric(10, 2) / 3",
                "CAST(SUM(paid) AS REAL) / 3",
            ),
            ("v.a::double precision", "CAST(v.a AS REAL)"),
            ("'7'::int", "CAST('7' AS INTEGER)"),
            ("a ILIKE '%x%'", "a LIKE '%x%'"),
            (
                "COUNT(id WHERE a = 'where')",
                "count(id) FILTER (WHERE a = 'where')",
            ),
            (
                "COUNT(DISTINCT id WHERE f(a) > 1)",
                "count(DISTINCT id) FILTER (WHERE f(a) > 1)",
            ),
            ("LEFT(name, 3)", "substr(name, 1, 3)"),
            ("NVL(a, b)", "ifnull(a, b)"),
            ("GREATEST(a, b, 3)", "max(a, b, 3)"),
        ] {
            check(theirs, Some(ours));
        }
        assert_eq!(
            translate("SELECT a FROM t ORDER BY a FETCH FIRST 5 ROWS ONLY").as_deref(),
            Some("SELECT a FROM t ORDER BY a LIMIT 5")
        );
    }

    #[test]
    fn what_is_not_known_for_certain_is_left_alone() {
        for theirs in [
            "'due + INTERVAL 14 DAY'",
            "\"YEAR(due)\"",
            "due -- YEAR(due)\n",
            "/* x::date */ due",
            "due + INTERVAL n DAY",
            "due + INTERVAL '1 day 2 hours'",
            "INTERVAL 14 DAY",
            "year",
            "a.year",
            "date(due)",
            "YEAR(a, b)",
            "DATE_FORMAT(due, '%W')",
            "TO_CHAR(due, 'Month')",
            "x::money",
            "count((SELECT 1 FROM t WHERE a))",
            "a LEFT JOIN (SELECT 1) b",
            "DATEDIFF(month, a, b)",
            "EXTRACT(EPOCH FROM due)",
        ] {
            check(theirs, None);
        }
    }
}
