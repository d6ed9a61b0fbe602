//! How far two words are apart, and a way to find the near ones among many.

/// Letters at the beginning of a word that [`slips`] looks at.
///
/// Source: Wolf Garbe's SymSpell. Two words that are at most so many edits apart have beginnings from which so many
/// deletions make the same text.
pub const MAX_SLIP_CHARS: usize = 7;

/// Returns how many edits a word of this length may be off: none below five letters, where every word is near another;
/// one below eight; else two.
pub fn slips_allowed(word: &str) -> usize {
    match word.chars().count() {
        0..=4 => 0,
        5..=7 => 1,
        _ => 2,
    }
}

/// Returns the number of letters to insert, delete, replace or swap with their neighbour to make one word of the other,
/// or `None` if it is more than `most`.
///
/// Source: optimal string alignment, the restricted Damerau-Levenshtein distance.
pub fn distance(left: &str, right: &str, most: usize) -> Option<usize> {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    if left.len().abs_diff(right.len()) > most {
        return None;
    }
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        if row.iter().all(|&edits| edits > most) {
            return None;
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|&edits| edits <= most)
}

/// Returns what is left of the beginning of a word after each way to delete at most `most` of its letters, each text
/// once, in order. Words at most `most` edits apart have one of these in common.
pub fn slips(word: &str, most: usize) -> Vec<String> {
    let beginning: String = word.chars().take(MAX_SLIP_CHARS).collect();
    let mut all = vec![beginning];
    let mut newest = 0;
    for _ in 0..most {
        let end = all.len();
        for index in newest..end {
            let chars: Vec<char> = all[index].chars().collect();
            for gone in 0..chars.len() {
                let mut rest = chars.clone();
                rest.remove(gone);
                all.push(rest.into_iter().collect());
            }
        }
        newest = end;
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Returns the English singulars and plurals that a word may stand for.
pub fn endings(word: &str) -> Vec<String> {
    if word.chars().count() < 4 {
        return Vec::new();
    }
    let mut others = Vec::new();
    if let Some(stem) = word.strip_suffix("ies") {
        others.push(format!("{stem}y"));
    }
    if let Some(stem) = word.strip_suffix("es") {
        others.push(stem.to_owned());
    }
    match word.strip_suffix('s') {
        Some(stem) if !stem.ends_with('s') => others.push(stem.to_owned()),
        Some(_) => others.push(format!("{word}es")),
        None => {
            if let Some(stem) = word.strip_suffix('y') {
                others.push(format!("{stem}ies"));
            }
            others.push(format!("{word}s"));
            others.push(format!("{word}es"));
        }
    }
    others.retain(|other| other.chars().count() >= 3);
    others
}
