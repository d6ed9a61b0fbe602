//! Dates and phrases that always mean the same, written in one of their ways.

use super::{Token, is_word, starts_with};

/// Writes each full date as ISO 8601 does: `3 March 2024`, `March 3rd, 2024`, `the 3rd of March 2024`.
pub(super) fn dated(tokens: Vec<Token>) -> Vec<Token> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        match date_at(&tokens[at..]) {
            Some((date, length)) => {
                out.push(Token::Word(date));
                at += length;
            }
            None => {
                out.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    out
}

fn date_at(tokens: &[Token]) -> Option<(String, usize)> {
    let word = |at: usize| match tokens.get(at) {
        Some(Token::Word(word)) => Some(word.as_str()),
        _ => None,
    };
    let month = |at: usize| {
        let name = word(at)?;
        let name = if name == "mar" { "march" } else { name };
        MONTHS
            .iter()
            .position(|month| *month == name)
            .map(|at| at + 1)
    };
    let day = |at: usize| {
        let text = match word(at)? {
            "first" => "1",
            "second" => "2",
            "third" => "3",
            "fourth" => "4",
            "fifth" => "5",
            text => text,
        };
        let digits = ["st", "nd", "rd", "th"]
            .iter()
            .find_map(|ending| text.strip_suffix(ending))
            .unwrap_or(text);
        digits
            .parse::<u32>()
            .ok()
            .filter(|day| (1..=31).contains(day) && digits.len() <= 2)
    };
    let year = |at: usize| {
        let at = at + usize::from(tokens.get(at) == Some(&Token::Sign(',')));
        let text = word(at)?;
        let is_year = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_year.then(|| (text.to_owned(), at + 1))
    };
    let (day, month, rest) = match (day(0), month(0)) {
        (Some(day), _) => {
            let at = 1 + usize::from(word(1) == Some("of"));
            (day, month(at)?, at + 1)
        }
        (None, Some(month)) => (day(1)?, month, 2),
        (None, None) => return None,
    };
    let (year, length) = year(rest)?;
    Some((format!("{year}-{month:02}-{day:02}"), length))
}

/// Writes phrases that always mean the same in one of their ways.
pub(super) fn rewritten(tokens: Vec<Token>) -> Vec<Token> {
    const PHRASES: [(&[&str], &[&str]); 18] = [
        (&["for", "each"], &["per"]),
        (&["for", "every"], &["per"]),
        (&["with", "no"], &["without"]),
        (&["without", "any"], &["without"]),
        (&["no", "more", "than"], &["at", "most"]),
        (&["no", "less", "than"], &["at", "least"]),
        (&["no", "fewer", "than"], &["at", "least"]),
        (&["fewer", "than"], &["less", "than"]),
        (&["most", "recent"], &["latest"]),
        (&["priciest"], &["most", "expensive"]),
        (&["least", "expensive"], &["cheapest"]),
        (&["each", "one", "of"], &["each"]),
        (&["from", "year"], &["from"]),
        (&["in", "year"], &["in"]),
        (&["in", "month", "of"], &["in"]),
        (&["sum", "of"], &["total"]),
        (&["total", "of"], &["total"]),
        (&["average", "of"], &["average"]),
    ];
    let mut out: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let rest = &tokens[at..];
        // `in year 2020`, not `in year of birth order`.
        let phrase = PHRASES.iter().find(|(phrase, _)| {
            starts_with(rest, phrase)
                && (!phrase.contains(&"year") || is_number(rest.get(phrase.len())))
        });
        match phrase {
            Some((phrase, instead)) => {
                out.extend(instead.iter().map(|word| Token::Word((*word).to_owned())));
                at += phrase.len();
            }
            None if is_number(rest.first()) && is_word(rest.get(1), "million") => {
                out.push(millions(&rest[0]));
                at += 2;
            }
            None => {
                out.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    out
}

fn is_number(token: Option<&Token>) -> bool {
    matches!(token, Some(Token::Word(word)) if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()))
}

fn millions(number: &Token) -> Token {
    match number {
        Token::Word(number) => Token::Word(format!("{number}000000")),
        other => other.clone(),
    }
}

/// The months, in their order.
pub(super) const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
