//! Makes texts equal that differ in case, accents, white space and punctuation only.

use unicode_normalization::UnicodeNormalization;

/// Returns a text in lower case without accents, with one space for each run of white space.
///
/// Compatible forms of a character become one (NFKD), the marks over Latin, Greek and Cyrillic letters go, letters that
/// are written as one but are no accent (`ß`, `ø`, `æ`, `ł`) become what people type for them. Folding twice changes
/// nothing more.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.nfkd().flat_map(char::to_lowercase).nfkd() {
        match c {
            '\u{300}'..='\u{36f}' => {}
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'þ' => folded.push_str("th"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' | 'ð' => folded.push('d'),
            'ħ' => folded.push('h'),
            'ı' => folded.push('i'),
            'ς' => folded.push('σ'),
            '’' | '‘' | 'ʼ' => folded.push('\''),
            _ => folded.push(c),
        }
    }
    let composed: String = folded.nfc().collect();
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the words of a folded text with one space between them; two values with the same key are the same but for
/// case, accents, white space and punctuation. Empty for a text without letters or digits.
pub fn key(text: &str) -> String {
    let folded = fold(text);
    let words: Vec<&str> = super::words::spans(&folded)
        .map(|(start, end)| &folded[start..end])
        .collect();
    words.join(" ")
}
