//! When two questions mean the same, judged by their words alone.
//!
//! Vectors cannot decide this: "shipped" and "not shipped", 2023 and 2024, "sold to" and "bought from" lie as near to each
//! other as two ways of asking the same. So a question is rewritten by rules that never change which rows are asked for,
//! and two questions mean the same only if what is left is the same, word for word and in the same order. Numbers,
//! dates, quoted strings, names, negations, superlatives, aggregates and comparisons all are words that are left.
//! What the rules do not cover is a miss, which costs one generation; a false hit would cost trust. The pairs in
//! `corpus/semantic_cache` hold the rules to this.

mod phrases;
mod relative_time;
mod spelling;

pub use relative_time::speaks_of_relative_time;

use unicode_normalization::UnicodeNormalization;

use phrases::{dated, rewritten};
use spelling::respelled;

/// Returns the question without what does not matter to any question: white space, final punctuation, case.
///
/// Case is kept inside quotes, and in short words written in capitals only, unless all of the question is: `US` is not
/// `us`.
pub fn normalised(question: &str) -> String {
    texts(&tokens(question)).join(" ")
}

/// Returns what a question means, as far as rules can tell: two questions with one meaning ask for the same rows.
pub fn meaning(question: &str) -> String {
    let tokens = tokens(question).into_iter().flat_map(respelled).collect();
    let tokens = without_opening(tokens);
    let tokens = without_fillers(tokens);
    let tokens = rewritten(dated(tokens));
    texts(&counted(tokens)).join(" ")
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// Letters, digits and what joins them, folded.
    Word(String),
    /// In quotes: as it is, with the quotes made alike.
    Quoted(String),
    /// A sign that may mean something: `%`, `$`, `<`.
    Sign(char),
}

fn texts(tokens: &[Token]) -> Vec<String> {
    tokens
        .iter()
        .map(|token| match token {
            Token::Word(word) => word.clone(),
            Token::Quoted(text) => serde_json::Value::from(text.as_str()).to_string(),
            Token::Sign(sign) => sign.to_string(),
        })
        .collect()
}

fn tokens(question: &str) -> Vec<Token> {
    let is_shouted = !question.chars().any(char::is_lowercase);
    // Compatible characters are one: full-width letters, ligatures, composed and decomposed accents.
    let chars: Vec<char> = question.nfkc().map(plain_quote).collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        if let Some(end) = end_of_quoted(&chars, at) {
            tokens.push(Token::Quoted(chars[at + 1..end].iter().collect()));
            at = end + 1;
        } else if is_part_of_word(&chars, at) {
            let start = at;
            while at < chars.len() && is_part_of_word(&chars, at) {
                at += 1;
            }
            let word: String = chars[start..at].iter().collect();
            // `grade A` is no article.
            let is_label = !tokens.is_empty() && word.len() == 1 && !is_shouted;
            tokens.push(Token::Word(if is_label {
                word
            } else {
                folded(&word, is_shouted)
            }));
        } else {
            let means_nothing = c.is_whitespace()
                || matches!(c, '?' | '!' | '\'')
                || (c == '.' && !is_numero(&tokens, &chars, at));
            if !means_nothing {
                tokens.push(Token::Sign(c));
            }
            at += 1;
        }
    }
    tokens
}

/// `no. 5` and `no. of` are about a number, `no 5` is not.
fn is_numero(tokens: &[Token], chars: &[char], at: usize) -> bool {
    let mut after = chars[at + 1..].iter().skip_while(|c| c.is_whitespace());
    let next = after.next();
    is_word(tokens.last(), "no")
        && (next.is_some_and(char::is_ascii_digit)
            || (next == Some(&'o') && after.next() == Some(&'f')))
}

fn plain_quote(c: char) -> char {
    match c {
        '\u{2018}' | '\u{2019}' | '`' => '\'',
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '«' | '»' => '"',
        _ => c,
    }
}

/// A quote opens where no word is going on and closes before one ends, so that apostrophes are none.
fn end_of_quoted(chars: &[char], at: usize) -> Option<usize> {
    let quote = chars[at];
    let opens = matches!(quote, '"' | '\'')
        && (at == 0 || !chars[at - 1].is_alphanumeric())
        && chars.get(at + 1).is_some_and(|next| !next.is_whitespace());
    if !opens {
        return None;
    }
    (at + 1..chars.len()).find(|&end| {
        chars[end] == quote
            && chars
                .get(end + 1)
                .is_none_or(|after| !after.is_alphanumeric())
    })
}

/// Letters and digits; signs that stand inside a word or a number; and the sign of a number.
fn is_part_of_word(chars: &[char], at: usize) -> bool {
    let c = chars[at];
    let is_letter = |at: usize| {
        chars
            .get(at)
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '\u{300}'..='\u{36f}'))
    };
    let is_digit = |at: usize| chars.get(at).is_some_and(char::is_ascii_digit);
    let follows_letter = at > 0 && is_letter(at - 1);
    match c {
        _ if is_letter(at) => true,
        '_' => true,
        '.' | ',' | ':' => {
            at > 0 && is_digit(at - 1) && is_digit(at + 1) || starts_fraction(chars, at)
        }
        '-' | '+' => {
            (follows_letter && is_letter(at + 1))
                || ((is_digit(at + 1) || starts_fraction(chars, at + 1))
                    && (at == 0 || chars[at - 1].is_whitespace()))
        }
        '\'' | '/' | '@' | '&' => follows_letter && is_letter(at + 1),
        _ => false,
    }
}

/// `.5`, at the beginning of a word.
fn starts_fraction(chars: &[char], at: usize) -> bool {
    chars.get(at) == Some(&'.')
        && chars.get(at + 1).is_some_and(char::is_ascii_digit)
        && (at == 0 || !chars[at - 1].is_alphanumeric())
}

fn folded(word: &str, is_shouted: bool) -> String {
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    let is_capitals = (2..=4).contains(&letters) && !word.chars().any(char::is_lowercase);
    if is_capitals && !is_shouted {
        return word.to_owned();
    }
    let word = word.to_lowercase();
    // Commas that only part thousands.
    let mut groups = word.split(',');
    let is_grouped = groups
        .next()
        .is_some_and(|first| (1..=3).contains(&first.trim_start_matches(['-', '+']).len()))
        && groups.all(|group| {
            group.split('.').next().is_some_and(|whole| {
                whole.len() == 3 && whole.bytes().all(|byte| byte.is_ascii_digit())
            })
        });
    if is_grouped && word.contains(',') {
        word.replace(',', "")
    } else {
        word
    }
}

/// Drops what only makes a question of a wish: "please show me", "could you tell me", "what are the".
fn without_opening(tokens: Vec<Token>) -> Vec<Token> {
    const OPENINGS: [&[&str]; 48] = [
        &["please"],
        &["kindly"],
        &["pls"],
        &["hi"],
        &["hello"],
        &["hey"],
        &["could", "you"],
        &["can", "you"],
        &["would", "you"],
        &["will", "you"],
        &["could", "you", "please"],
        &["can", "i", "see"],
        &["could", "i", "see"],
        &["can", "i", "have"],
        &["could", "i", "have"],
        &["can", "i", "get"],
        &["could", "i", "get"],
        &["may", "i", "see"],
        &["may", "i", "have"],
        &["may", "i", "ask"],
        &["i", "would", "like", "to", "know"],
        &["i", "would", "like", "to", "see"],
        &["i", "would", "like", "to", "have"],
        &["i", "would", "like"],
        &["i", "want", "to", "know"],
        &["i", "want", "to", "see"],
        &["i", "want"],
        &["i", "need", "to", "know"],
        &["i", "need", "to", "see"],
        &["i", "need", "you", "to"],
        &["i", "need"],
        &["i", "was", "wondering"],
        &["let", "me", "know"],
        &["let", "me", "see"],
        &["let", "us", "see"],
        &["do", "you", "know"],
        &["tell", "me"],
        &["tell", "us"],
        &["show", "me"],
        &["show", "us"],
        &["give", "me"],
        &["give", "us"],
        &["give"],
        &["get", "me"],
        &["get"],
        &["what", "is"],
        &["find"],
        &["find", "me"],
    ];
    let mut from = 0;
    loop {
        let rest = &tokens[from..];
        let opening = OPENINGS
            .iter()
            .filter(|opening| starts_with(rest, opening))
            .map(|opening| opening.len())
            .max();
        // These are nouns too: "list price", "return rate". A determiner tells them apart.
        let verb = matches!(rest, [Token::Word(verb), Token::Word(next), ..]
            if matches!(verb.as_str(), "show" | "list" | "display" | "return" | "retrieve" | "provide" | "enumerate")
                && matches!(next.as_str(), "the" | "a" | "all" | "every" | "each" | "my" | "our" | "how" | "which" | "what" | "who"));
        match opening.or(verb.then_some(1)) {
            // A question of nothing but openings keeps its last one.
            Some(length) if from + length < tokens.len() => from += length,
            _ => break,
        }
    }
    let mut tokens = tokens[from..].to_vec();
    // "Show me all customers": so does "show me the customers".
    if from > 0
        && is_word(tokens.first(), "all")
        && tokens.len() > 1
        && !is_word(tokens.get(1), "of")
    {
        tokens.remove(0);
    }
    loop {
        let ending = ENDINGS.iter().find(|ending| ends_with(&tokens, ending));
        match ending {
            Some(ending) if ending.len() < tokens.len() => {
                tokens.truncate(tokens.len() - ending.len());
                if tokens.last() == Some(&Token::Sign(',')) && tokens.len() > 1 {
                    tokens.pop();
                }
            }
            _ => return tokens,
        }
    }
}

const ENDINGS: [&[&str]; 5] = [
    &["please"],
    &["thanks"],
    &["thank", "you"],
    &["for", "me"],
    &["if", "possible"],
];

fn is_word(token: Option<&Token>, wanted: &str) -> bool {
    matches!(token, Some(Token::Word(word)) if word == wanted)
}

fn starts_with(tokens: &[Token], words: &[&str]) -> bool {
    words
        .iter()
        .enumerate()
        .all(|(at, wanted)| is_word(tokens.get(at), wanted))
}

fn ends_with(tokens: &[Token], words: &[&str]) -> bool {
    tokens.len() >= words.len() && starts_with(&tokens[tokens.len() - words.len()..], words)
}

/// Drops articles, the comma before the last of several, and `of the` after what picks from a group.
fn without_fillers(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept: Vec<Token> = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.iter().enumerate() {
        let next = tokens.get(at + 1);
        let is_article =
            matches!(token, Token::Word(word) if matches!(word.as_str(), "the" | "a" | "an"));
        let is_serial_comma =
            *token == Token::Sign(',') && (is_word(next, "and") || is_word(next, "or"));
        let picks = ["which", "each"]
            .iter()
            .any(|word| is_word(kept.last(), word));
        let is_of_group = picks && starts_with(&tokens[at..], &["of", "the"]);
        if !is_article && !is_serial_comma && !is_of_group {
            kept.push(token.clone());
        }
    }
    kept
}

/// Makes one word of the ways to begin a question for a number: "how many", "the number of", "count the".
fn counted(mut tokens: Vec<Token>) -> Vec<Token> {
    const WAYS: [&[&str]; 9] = [
        &["how", "many"],
        &["total", "number", "of"],
        &["total", "number"],
        &["number", "of"],
        &["total", "count", "of"],
        &["total", "count"],
        &["count", "of"],
        &["count", "all"],
        &["count"],
    ];
    if starts_with(&tokens, &["no"])
        && tokens.get(1) == Some(&Token::Sign('.'))
        && is_word(tokens.get(2), "of")
    {
        tokens.drain(..2);
        tokens.insert(0, Token::Word("number".into()));
    }
    if tokens.first() == Some(&Token::Sign('#')) && is_word(tokens.get(1), "of") {
        tokens[0] = Token::Word("number".into());
    }
    // Further on it is a value: "customers by number of orders".
    let Some(way) = WAYS.iter().find(|way| starts_with(&tokens, way)) else {
        return tokens;
    };
    if way.len() == tokens.len() {
        return tokens;
    }
    tokens.splice(..way.len(), [Token::Word("how-many".into())]);
    // "How many orders are there in 2024", "how many claims are over 5000": the verb only makes the sentence. In the past
    // it does so before a participle: "how many orders were placed".
    let verb = tokens
        .iter()
        .take(5)
        .position(|token| is_word(Some(token), "is") || is_word(Some(token), "was"));
    if let Some(verb) = verb.filter(|&verb| verb > 1) {
        let is_plain = tokens[1..verb]
            .iter()
            .all(|token| matches!(token, Token::Word(word) if !binds(word)));
        let next = tokens.get(verb + 1);
        let is_passive = matches!(next, Some(Token::Word(word)) if word.ends_with("ed"));
        if is_plain && next.is_some() && (is_word(tokens.get(verb), "is") || is_passive) {
            let length = 1 + usize::from(is_word(next, "there"));
            tokens.drain(verb..verb + length);
        }
    }
    tokens
}

/// After these a verb belongs to something else than what is counted.
fn binds(word: &str) -> bool {
    matches!(
        word,
        "that"
            | "which"
            | "who"
            | "whose"
            | "where"
            | "when"
            | "with"
            | "of"
            | "in"
            | "and"
            | "or"
            | "not"
    )
}
