//! Questions that ask for something else tomorrow.

use super::phrases::MONTHS;
use super::spelling::spelling;
use super::{Token, tokens};

/// Says whether what a question asks for changes with the day on which it is asked.
pub fn speaks_of_relative_time(question: &str) -> bool {
    const ALONE: [&str; 33] = [
        "today",
        "today's",
        "tonight",
        "yesterday",
        "yesterday's",
        "tomorrow",
        "tomorrow's",
        "now",
        "nowadays",
        "currently",
        "current",
        "recent",
        "recently",
        "lately",
        "ago",
        "ytd",
        "mtd",
        "qtd",
        "wtd",
        "upcoming",
        "overdue",
        "late",
        "due",
        "expired",
        "expiring",
        "old",
        "older",
        "age",
        "aged",
        "latest",
        "newest",
        "so-far",
        "date",
    ];
    const LEADING: [&str; 10] = [
        "this",
        "last",
        "past",
        "previous",
        "next",
        "coming",
        "prior",
        "preceding",
        "same",
        "since",
    ];
    const PERIODS: [&str; 30] = [
        "day",
        "days",
        "week",
        "weeks",
        "weekend",
        "month",
        "months",
        "quarter",
        "quarters",
        "year",
        "years",
        "hour",
        "hours",
        "minute",
        "minutes",
        "fiscal",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "morning",
        "evening",
        "january",
        "spring",
        "summer",
        "autumn",
        "winter",
    ];
    let words: Vec<String> = tokens(question)
        .into_iter()
        .filter_map(|token| match token {
            Token::Word(word) => Some(spelling(&word.to_lowercase()).to_owned()),
            _ => None,
        })
        .collect();
    let is_period =
        |word: &String| PERIODS.contains(&word.as_str()) || MONTHS.contains(&word.as_str());
    let near_period = |at: usize| words[at + 1..].iter().take(3).any(is_period);
    words.iter().enumerate().any(|(at, word)| {
        ALONE.contains(&word.as_str()) || (LEADING.contains(&word.as_str()) && near_period(at))
    })
}
