//! How a follow-up is asked: beside the question before and its SQL.

use super::{Prompt, quoted};
use crate::conversation::FollowUp;

/// Characters of SQL that are shown at most; longer SQL is left out.
const MAX_SQL_CHARS: usize = 3_000;
/// What ends a block of code.
const FENCE: &str = "```";

/// Puts the question before and its SQL into the tail, and asks for the SQL of the follow-up.
///
/// Both questions are people's and the SQL is a model's, so the questions are quoted on one line each and SQL that would
/// end its block is left out.
pub fn following(prompt: Prompt, follow_up: &FollowUp) -> Prompt {
    let mut tail = format!("Previous question: {}\n", quoted(&follow_up.previous));
    let sql = follow_up.sql.as_deref().map(str::trim);
    let shown = sql.filter(|sql| {
        !sql.contains(FENCE) && !sql.contains('\0') && sql.chars().count() <= MAX_SQL_CHARS
    });
    if let Some(sql) = shown {
        tail.push_str(&format!("Its SQL:\n{FENCE}sql\n{sql}\n{FENCE}\n"));
    }
    tail.push_str(&format!(
        "Follow-up question: {}\nChange what the follow-up changes, keep the rest of the previous question. Write the SQL \
         that answers the follow-up.\n",
        quoted(follow_up.asked.as_str())
    ));
    Prompt { tail, ..prompt }
}

#[cfg(test)]
mod tests;
