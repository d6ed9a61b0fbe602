//! Other spellings of the same word.

use super::Token;

/// Writes a word in one of its spellings; a contraction becomes its words. `second` and `may` are left alone: they mean
/// other things too.
pub(super) fn respelled(token: Token) -> Vec<Token> {
    let Token::Word(word) = token else {
        return vec![token];
    };
    if let Some(sounds) = expanded(&word) {
        return sounds.into_iter().map(Token::Word).collect();
    }
    // `full-time`, not `A-17` nor `-5`.
    let parts: Vec<&str> = word.split('-').collect();
    let is_compound = parts.len() > 1
        && parts
            .iter()
            .all(|part| part.chars().count() > 1 && part.chars().all(char::is_alphabetic));
    if is_compound && word != "e-mail" {
        let spelled = |part: &&str| Token::Word(spelling(part).to_owned());
        return parts.iter().map(spelled).collect();
    }
    match thousands(&word) {
        Some(number) => vec![Token::Word(number)],
        None if word == "percent" => vec![Token::Sign('%')],
        None => vec![Token::Word(spelling(&word).to_owned())],
    }
}

fn expanded(word: &str) -> Option<Vec<String>> {
    let pair = match word {
        "i'd" => ("i", "would"),
        "let's" => ("let", "us"),
        "won't" => ("will", "not"),
        "can't" | "cannot" => ("can", "not"),
        "what's" | "who's" | "where's" | "when's" | "which's" | "how's" | "there's" | "that's" => {
            (word.split('\'').next()?, "is")
        }
        _ => {
            let (base, rest) = [
                ("n't", "not"),
                ("'re", "is"),
                ("'ve", "have"),
                ("'ll", "will"),
            ]
            .into_iter()
            .find_map(|(ending, rest)| Some((word.strip_suffix(ending)?, rest)))?;
            (base, rest)
        }
    };
    Some(vec![spelling(pair.0).to_owned(), pair.1.to_owned()])
}

/// `5k` is 5000.
fn thousands(word: &str) -> Option<String> {
    let number = word.strip_suffix('k')?;
    let is_whole = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_whole.then(|| format!("{number}000"))
}

pub(super) fn spelling(word: &str) -> &str {
    match word {
        "two" => "2",
        "three" => "3",
        "four" => "4",
        "five" => "5",
        "six" => "6",
        "seven" => "7",
        "eight" => "8",
        "nine" => "9",
        "ten" => "10",
        "eleven" => "11",
        "twelve" | "dozen" => "12",
        "fifteen" => "15",
        "twenty" => "20",
        "thirty" => "30",
        "forty" => "40",
        "fifty" => "50",
        "1st" => "first",
        "2nd" => "second",
        "3rd" => "third",
        "4th" => "fourth",
        "5th" => "fifth",
        "jan" => "january",
        "feb" => "february",
        "apr" => "april",
        "jun" => "june",
        "jul" => "july",
        "aug" => "august",
        "sep" | "sept" => "september",
        "oct" => "october",
        "nov" => "november",
        "dec" => "december",
        "avg" | "mean" => "average",
        "max" => "maximum",
        "min" => "minimum",
        "qty" => "quantity",
        "unique" => "distinct",
        "biggest" | "greatest" => "largest",
        "colour" => "color",
        "colours" => "colors",
        "centre" => "center",
        "centres" => "centers",
        "fibre" => "fiber",
        "litre" => "liter",
        "litres" => "liters",
        "metre" => "meter",
        "metres" => "meters",
        "kilometre" => "kilometer",
        "kilometres" => "kilometers",
        "organisation" => "organization",
        "organisations" => "organizations",
        "neighbourhood" => "neighborhood",
        "neighbourhoods" => "neighborhoods",
        "traveller" => "traveler",
        "travellers" => "travelers",
        "enrolment" => "enrollment",
        "enrolments" => "enrollments",
        "defence" => "defense",
        "catalogue" => "catalog",
        "cancelled" => "canceled",
        "licence" => "license",
        "licences" => "licenses",
        "programme" => "program",
        "programmes" => "programs",
        "theatre" => "theater",
        "theatres" => "theaters",
        "labour" => "labor",
        "aluminium" => "aluminum",
        "grey" => "gray",
        "e-mail" => "email",
        "e-mails" => "emails",
        "are" => "is",
        "were" => "was",
        "does" => "do",
        "has" => "have",
        other => other,
    }
}
