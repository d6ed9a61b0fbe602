//! Says which table a column is of that two tables have, where a join makes both the same.

use crate::pieces::Pieces;

/// Returns `text` with the table before each `column` that has none: the first of the two that a condition of a join
/// holds equal, so that an outer join keeps its rows. Only where there is one SELECT.
pub(super) fn qualify(text: &str, column: &str) -> Option<String> {
    let pieces = Pieces::of(text);
    let is_word = |at: usize, word: &str| pieces.word(at).as_deref() == Some(word);
    let is = |at: usize, text: &str| pieces.get(at) == Some(text);
    let is_column = |at: usize| {
        pieces
            .get(at)
            .is_some_and(|piece| piece.eq_ignore_ascii_case(column))
    };
    let places = 0..pieces.len();
    if places.clone().filter(|&at| is_word(at, "select")).count() != 1 {
        return None;
    }
    // `a . column = b . column`
    let is_join = |at: usize| {
        is(at + 1, ".")
            && is_column(at + 2)
            && is(at + 3, "=")
            && is(at + 5, ".")
            && is_column(at + 6)
    };
    let from = places.clone().find(|&at| is_word(at, "from"))?;
    let join = (from..pieces.len()).find(|&at| is_join(at))?;
    let named = |at: usize| {
        let name = pieces.get(at)?;
        (from..join).find(|&at| {
            pieces
                .get(at)
                .is_some_and(|piece| piece.eq_ignore_ascii_case(name))
        })
    };
    let table = match named(join)? <= named(join + 4)? {
        true => pieces.get(join)?,
        false => pieces.get(join + 4)?,
    };
    let stands_alone = |at: usize| {
        let before = at.checked_sub(1);
        is_column(at)
            && !is(at + 1, ".")
            && !is(at + 1, "(")
            && before.is_none_or(|before| !is(before, ".") && !is_word(before, "as"))
    };
    let mut mended = text.to_owned();
    // From the end, so that the places before stay what they are.
    for at in places.rev().filter(|&at| stands_alone(at)) {
        let column = pieces.get(at)?;
        mended = Pieces::of(&mended).replaced(at, at, &format!("{table}.{column}"));
    }
    (mended != text).then_some(mended)
}
