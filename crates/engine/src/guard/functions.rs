//! The functions that generated SQL may call. What is not named here does not run.

use super::Refused;
use super::names::nearest;
use crate::error::{Code, Error};

/// Sorted, so that a look-up is a binary search. Left out on purpose: whatever loads code or touches files
/// (`load_extension`, `readfile`, `fts3_tokenizer`), whatever tells about the process (`sqlite_*`, `changes`), and
/// `zeroblob` and `randomblob`, whose one argument decides how much memory is taken. `printf` and its like are bounded
/// by the database's limit on the length of a value.
const ALLOWED: &[&str] = &[
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "avg",
    "bm25",
    "ceil",
    "ceiling",
    "char",
    "coalesce",
    "concat",
    "concat_ws",
    "cos",
    "cosh",
    "count",
    "cume_dist",
    "date",
    "datetime",
    "degrees",
    "dense_rank",
    "exp",
    "first_value",
    "floor",
    "format",
    "glob",
    "group_concat",
    "hex",
    "highlight",
    "if",
    "ifnull",
    "iif",
    "instr",
    "json",
    "json_array",
    "json_array_length",
    "json_error_position",
    "json_extract",
    "json_group_array",
    "json_group_object",
    "json_insert",
    "json_object",
    "json_patch",
    "json_pretty",
    "json_quote",
    "json_remove",
    "json_replace",
    "json_set",
    "json_type",
    "json_valid",
    "jsonb",
    "jsonb_array",
    "jsonb_extract",
    "jsonb_group_array",
    "jsonb_group_object",
    "jsonb_insert",
    "jsonb_object",
    "jsonb_patch",
    "jsonb_remove",
    "jsonb_replace",
    "jsonb_set",
    "julianday",
    "lag",
    "last_value",
    "lead",
    "length",
    "like",
    "likelihood",
    "likely",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "max",
    "min",
    "mod",
    "nth_value",
    "ntile",
    "nullif",
    "octet_length",
    "percent_rank",
    "pi",
    "pow",
    "power",
    "printf",
    "quote",
    "radians",
    "random",
    "rank",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "sin",
    "sinh",
    "snippet",
    "soundex",
    "sqrt",
    "strftime",
    "string_agg",
    "substr",
    "substring",
    "sum",
    "tan",
    "tanh",
    "time",
    "timediff",
    "total",
    "trim",
    "trunc",
    "typeof",
    "unhex",
    "unicode",
    "unistr",
    "unixepoch",
    "unlikely",
    "upper",
];

/// What to write instead of a function of another database.
const INSTEAD: &[(&str, &str)] = &[
    ("array_agg", "group_concat(x) or json_group_array(x)"),
    ("char_length", "length(x)"),
    ("charindex", "instr(text, part)"),
    ("curdate", "date('now')"),
    ("current_date", "date('now')"),
    ("date_add", "date(x, '+1 day')"),
    ("date_diff", "julianday(a) - julianday(b)"),
    ("date_format", "strftime('%Y-%m', x)"),
    ("date_part", "cast(strftime('%Y', x) AS INTEGER)"),
    ("date_sub", "date(x, '-1 day')"),
    ("date_trunc", "strftime('%Y-%m-01', x)"),
    ("dateadd", "date(x, '+1 day')"),
    ("datediff", "julianday(a) - julianday(b)"),
    ("datepart", "cast(strftime('%Y', x) AS INTEGER)"),
    ("day", "cast(strftime('%d', x) AS INTEGER)"),
    ("dayofweek", "cast(strftime('%w', x) AS INTEGER)"),
    ("extract", "cast(strftime('%Y', x) AS INTEGER)"),
    ("getdate", "datetime('now')"),
    ("greatest", "max(a, b)"),
    ("hour", "cast(strftime('%H', x) AS INTEGER)"),
    ("isnull", "ifnull(x, y)"),
    ("least", "min(a, b)"),
    ("left", "substr(x, 1, n)"),
    ("len", "length(x)"),
    ("listagg", "group_concat(x, ', ')"),
    ("month", "cast(strftime('%m', x) AS INTEGER)"),
    ("now", "datetime('now')"),
    ("nvl", "ifnull(x, y)"),
    ("position", "instr(text, part)"),
    ("quarter", "(cast(strftime('%m', x) AS INTEGER) + 2) / 3"),
    ("regexp", "LIKE or GLOB"),
    ("right", "substr(x, -n)"),
    ("stddev", "sqrt(avg(x * x) - avg(x) * avg(x))"),
    ("str_to_date", "date(x)"),
    ("strpos", "instr(text, part)"),
    ("to_char", "strftime('%Y-%m', x)"),
    ("to_date", "date(x)"),
    ("truncate", "trunc(x)"),
    ("week", "cast(strftime('%W', x) AS INTEGER)"),
    ("year", "cast(strftime('%Y', x) AS INTEGER)"),
];

/// Accepts a call of the function of this name.
///
/// # Errors
///
/// [`Code::FunctionNotAllowed`] with what to write instead, where that is known.
pub(super) fn check(name: &str) -> Result<(), Refused> {
    let lower = name.to_ascii_lowercase();
    if ALLOWED.binary_search(&lower.as_str()).is_ok() {
        return Ok(());
    }
    Err(refusal(name, &lower))
}

/// Says whether generated SQL may call the function of this name; names compare without regard to ASCII case.
pub fn is_allowed_function(name: &str) -> bool {
    ALLOWED
        .binary_search(&name.to_ascii_lowercase().as_str())
        .is_ok()
}

/// Returns the functions that generated SQL may call, in small letters, sorted.
pub fn allowed_functions() -> &'static [&'static str] {
    ALLOWED
}

/// Says whether the name of a function that generated SQL may call begins like this, in small letters.
pub fn begins_function(beginning: &str) -> bool {
    let first = ALLOWED.partition_point(|name| *name < beginning);
    ALLOWED
        .get(first)
        .is_some_and(|name| name.starts_with(beginning))
}

/// Returns the refusal of a function that is not allowed.
fn refusal(name: &str, lower: &str) -> Refused {
    let error = Error::new(
        Code::FunctionNotAllowed,
        format!(
            "the function {} may not be called",
            super::names::shown(name)
        ),
    );
    let instead = INSTEAD.iter().find(|(known, _)| *known == lower);
    Box::new(match (instead, nearest(lower, ALLOWED.iter().copied())) {
        (Some((_, text)), _) => error.with_hint(format!("write {text}")),
        (None, Some(close)) => error.with_hint(format!("did you mean {close}?")),
        (None, None) => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_in_lower_case() {
        assert!(ALLOWED.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(
            ALLOWED
                .iter()
                .all(|name| *name == name.to_ascii_lowercase())
        );
    }

    #[test]
    fn dangerous_functions_are_not_on_the_list() {
        for name in [
            "load_extension",
            "readfile",
            "writefile",
            "edit",
            "fts3_tokenizer",
            "zeroblob",
            "randomblob",
        ] {
            assert!(check(name).is_err(), "{name}");
        }
        assert!(check("COUNT").is_ok());
    }

    #[test]
    fn a_function_of_another_database_is_answered_with_ours() {
        let hint = |name| {
            check(name)
                .err()
                .and_then(|error| error.hint().map(str::to_owned))
        };
        assert_eq!(
            hint("DATEDIFF").as_deref(),
            Some("write julianday(a) - julianday(b)")
        );
        assert_eq!(hint("cout").as_deref(), Some("did you mean count?"));
        assert_eq!(hint("load_extension"), None);
    }
}
