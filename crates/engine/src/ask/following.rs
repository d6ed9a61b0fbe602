//! Questions that lean on the one before in their conversation: from here on they are what they mean standing alone, and
//! only the prompt is told how they were asked.

use super::{Asked, Sight, Trace};
use crate::conversation::{self, FollowUp, Turn};
use crate::ports::Generator;
use crate::prompt::{self, Prompt, SendValues};

/// Returns the question as a follow-up; `None` if it stands alone.
pub(super) fn follow_up(asked: &Asked<'_>, sight: &Sight) -> Option<FollowUp> {
    let previous = asked.previous.filter(|_| asked.settings.follow_ups)?;
    let follow_up = conversation::follow_up(previous, asked.question, &sight.visible)?;
    let may_be_told = may_be_told(
        previous,
        &*asked.ports.generator,
        asked.settings.send_values,
    );
    Some(FollowUp {
        sql: follow_up.sql.filter(|_| may_be_told),
        ..follow_up
    })
}

/// SQL that another model wrote may hold values that this one, being remote, may not see.
fn may_be_told(previous: &Turn, generator: &dyn Generator, send_values: SendValues) -> bool {
    let model = generator.identity();
    let is_its_own = previous.generator.as_ref() == Some(&model.name);
    !model.is_remote || send_values == SendValues::All || is_its_own
}

/// Returns the question with what it means standing alone in its place.
pub(super) fn standing_alone<'a>(
    asked: &Asked<'a>,
    follow_up: Option<&'a FollowUp>,
    trace: &mut Trace,
) -> Asked<'a> {
    trace.understood_as = follow_up.map(|one| one.stand_alone.as_str().to_owned());
    Asked {
        question: follow_up.map_or(asked.question, |one| &one.stand_alone),
        follow_up,
        ..*asked
    }
}

/// Asks for the follow-up, beside the question before.
pub(super) fn told(asked: &Asked<'_>, prompt: Prompt) -> Prompt {
    match asked.follow_up {
        Some(follow_up) => prompt::following(prompt, follow_up),
        None => prompt,
    }
}
