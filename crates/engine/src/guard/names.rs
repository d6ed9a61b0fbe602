//! Names as SQL writes them, and the nearest name to one that does not exist.

use std::borrow::Cow;

/// Returns the name that `raw` stands for: quotes of all four kinds are taken off and doubled ones made single.
pub(crate) fn decode(raw: &str) -> Cow<'_, str> {
    let Some(quote) = raw
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '`' | '\'' | '['))
    else {
        return Cow::Borrowed(raw);
    };
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or("");
    if quote == '[' || !inner.contains(quote) {
        return Cow::Borrowed(inner);
    }
    let quote = String::from(quote);
    Cow::Owned(inner.replace(&quote.repeat(2), &quote))
}

/// Says whether two names are one; SQLite ignores the case of ASCII letters only.
pub(crate) fn same(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right)
}

/// Cuts a name down to what a message can carry.
pub(super) fn shown(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(80) {
        Some((end, _)) => Cow::Owned(format!("{}...", &name[..end])),
        None => Cow::Borrowed(name),
    }
}

/// Returns the candidate that is most like `name`, if one is alike enough to be meant.
pub(crate) fn nearest<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let wanted = folded(name);
    if wanted.is_empty() {
        return None;
    }
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let found = folded(candidate);
            let length = wanted.len().max(found.len());
            let distance = if wanted == found {
                0
            } else {
                let distance = edit_distance(&wanted, &found);
                let shorter = wanted.len().min(found.len());
                let is_part =
                    shorter >= 3 && (contains(&found, &wanted) || contains(&wanted, &found));
                if distance > (length / 3).max(1) && !is_part {
                    return None;
                }
                distance
            };
            Some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Lower case, letters and digits only, at most 64 of them: `Order ID`, `order_id` and `orderid` are one.
fn folded(name: &str) -> Vec<char> {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .take(64)
        .collect()
}

fn contains(longer: &[char], part: &[char]) -> bool {
    longer.windows(part.len()).any(|window| window == part)
}

/// Levenshtein's distance, one row at a time.
fn edit_distance(left: &[char], right: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_of_every_kind_come_off() {
        for (raw, name) in [
            ("a", "a"),
            ("\"a\"", "a"),
            ("[a b]", "a b"),
            ("`a``b`", "a`b"),
            ("'it''s'", "it's"),
            ("\"\"", ""),
            ("\"a\"\"\"", "a\""),
        ] {
            assert_eq!(decode(raw), name);
        }
    }

    #[test]
    fn the_nearest_name_is_one_that_could_be_meant() {
        let names = ["customers", "orders", "order_details"];
        assert_eq!(nearest("custmers", names), Some("customers"));
        assert_eq!(nearest("customer", names), Some("customers"));
        assert_eq!(nearest("Order Details", names), Some("order_details"));
        assert_eq!(nearest("invoices", names), None);
        assert_eq!(nearest("", names), None);
    }
}
