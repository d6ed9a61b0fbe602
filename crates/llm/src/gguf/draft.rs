//! A reply while it is written: its text, how likely it is, and when it is over.

use engine::decoding::Names;
use engine::ports::Likelihood;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;

use super::choosing::{Chosen, admitted};
use super::protocol::{Reply, WireTokens};

/// The longest run of tokens whose repetition is looked for.
const LONGEST_CYCLE: usize = 32;

/// A reply is given up once its end is the same tokens over and over, this many times and this many tokens at least. No
/// statement needs that, and a model that began it goes on until its tokens are spent.
const CYCLES: usize = 4;
const REPEATED_TOKENS: usize = 48;

/// A reply that may still grow.
#[derive(Debug, Default)]
pub(super) struct Draft {
    max_tokens: u32,
    bytes: Vec<u8>,
    tokens: Vec<i32>,
    generated: u32,
    is_complete: bool,
    /// It only repeats itself.
    is_stuck: bool,
    /// Nothing that was likely was admitted, so it goes on as it likes.
    is_beyond_help: bool,
    /// Bytes that were told.
    told: usize,
    sum_of_logprobs: f64,
    least_logprob: f64,
}

impl Draft {
    pub(super) fn new(max_tokens: u32) -> Self {
        Self {
            max_tokens,
            ..Self::default()
        }
    }

    /// Says whether another token is wanted: it has neither ended by itself nor all the tokens that it may have, and does
    /// not only repeat itself.
    pub(super) fn is_open(&self) -> bool {
        !self.is_complete && !self.is_stuck && self.generated < self.max_tokens
    }

    /// Returns the tokens of its text.
    pub(super) fn generated(&self) -> u32 {
        self.generated
    }

    /// Chooses the next token by the logits of all, one that leaves the names in it right if there are `names`.
    pub(super) fn choose(
        &mut self,
        vocab: &LlamaVocab<'_>,
        logits: &[f32],
        names: Option<&Names>,
        choose: impl FnMut(&[f32]) -> Option<Chosen>,
    ) -> Option<Chosen> {
        let names = names.filter(|_| !self.is_beyond_help);
        let admits = |id| names.is_none_or(|names| self.admits(vocab, LlamaToken(id), names));
        let (chosen, is_admitted) = admitted(logits, choose, admits)?;
        self.is_beyond_help |= !is_admitted;
        Some(chosen)
    }

    fn admits(&self, vocab: &LlamaVocab<'_>, token: LlamaToken, names: &Names) -> bool {
        if vocab.is_eog(token) {
            return names.admit_whole(&String::from_utf8_lossy(&self.bytes));
        }
        let mut bytes = self.bytes.clone();
        bytes.extend(vocab.token_to_piece(token, false, None));
        // A character that is not finished says nothing yet.
        std::str::from_utf8(&bytes).map_or(true, |text| names.admit(text))
    }

    /// Returns the text that was not returned before, without a character that is not finished.
    pub(super) fn tell(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.bytes[self.told..]);
        let text = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
        self.told += text.len();
        text.to_owned()
    }

    /// Takes the next token, which may be the one that ends it.
    pub(super) fn take(&mut self, vocab: &LlamaVocab<'_>, chosen: Chosen) {
        let token = LlamaToken(chosen.id);
        if vocab.is_eog(token) {
            self.is_complete = true;
        } else {
            self.add(&vocab.token_to_piece(token, false, None), chosen.logprob);
            self.tokens.push(chosen.id);
            self.is_stuck = repeats_itself(&self.tokens);
        }
    }

    fn add(&mut self, piece: &[u8], logprob: f64) {
        self.generated += 1;
        self.sum_of_logprobs += logprob;
        self.least_logprob = self.least_logprob.min(logprob);
        self.bytes.extend(piece);
        self.is_complete = has_closed_fence(&self.bytes);
    }

    /// Returns what was written, with the tokens of its prompt and its own.
    pub(super) fn finish(self, prompt: WireTokens) -> Reply {
        Reply {
            likelihood: self.likelihood(),
            text: String::from_utf8_lossy(&self.bytes).into_owned(),
            is_complete: self.is_complete,
            tokens: WireTokens {
                generated: self.generated.into(),
                ..prompt
            },
        }
    }

    /// `None` for an empty text, and for what is no number: no model should give that, and no pipe could carry it.
    fn likelihood(&self) -> Option<Likelihood> {
        let likelihood = Likelihood {
            mean_logprob: self.sum_of_logprobs / f64::from(self.generated),
            least_logprob: self.least_logprob,
        };
        likelihood.mean_logprob.is_finite().then_some(likelihood)
    }
}

/// Says whether tokens end in the same ones over and over.
fn repeats_itself(tokens: &[i32]) -> bool {
    (1..=LONGEST_CYCLE).any(|cycle| {
        let repeated = (cycle * CYCLES).max(REPEATED_TOKENS);
        tokens
            .len()
            .checked_sub(repeated)
            .map(|start| &tokens[start..])
            .is_some_and(|end| end[cycle..] == end[..repeated - cycle])
    })
}

/// Says whether a code fence was opened and closed: nothing after it is of use, and every token costs time.
fn has_closed_fence(text: &[u8]) -> bool {
    const FENCE: &[u8] = b"```";
    let find = |text: &[u8]| text.windows(FENCE.len()).position(|window| window == FENCE);
    let Some(opening) = find(text) else {
        return false;
    };
    let inside = &text[opening + FENCE.len()..];
    let Some(line_end) = inside.iter().position(|byte| *byte == b'\n') else {
        return false;
    };
    find(&inside[line_end..]).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_open_until_its_fence_is_closed_or_its_tokens_are_spent() {
        let mut draft = Draft::new(3);
        for piece in ["```", "\n1\n", "```"] {
            assert!(draft.is_open());
            draft.add(piece.as_bytes(), -1.0);
        }
        assert!(!draft.is_open() && draft.is_complete);

        let mut draft = Draft::new(2);
        draft.add(b"SELECT", -1.0);
        assert!(draft.is_open());
        draft.add(b" 1", -1.0);
        assert!(!draft.is_open() && !draft.is_complete);
        assert!(!Draft::new(0).is_open());
    }

    #[test]
    fn its_text_is_told_in_whole_characters() {
        let mut draft = Draft::new(9);
        assert_eq!(draft.tell(), "");
        draft.add(b"SEL", -1.0);
        assert_eq!(draft.tell(), "SEL");
        assert_eq!(draft.tell(), "");
        let [first, second] = *"\u{e4}".as_bytes() else {
            panic!("two bytes");
        };
        draft.add(&[b'E', first], -1.0);
        assert_eq!(draft.tell(), "E");
        draft.add(&[second, b'C'], -1.0);
        assert_eq!(draft.tell(), "\u{e4}C");
    }

    #[test]
    fn its_likelihood_is_of_its_tokens() {
        let mut draft = Draft::new(9);
        assert_eq!(draft.likelihood(), None);
        for logprob in [-0.5, -2.0, -0.5] {
            draft.add(b"a", logprob);
        }
        let likelihood = draft.likelihood().unwrap();
        assert_eq!(likelihood.mean_logprob, -1.0);
        assert_eq!(likelihood.least_logprob, -2.0);
        draft.add(b"a", f64::NAN);
        assert_eq!(draft.likelihood(), None);
    }

    #[test]
    fn what_only_repeats_itself_is_given_up() {
        let check = |tokens: Vec<i32>, expected| assert_eq!(repeats_itself(&tokens), expected);
        let cycle = |length: i32, tokens: i32| (0..tokens).map(move |place| place % length);
        check(vec![7; 47], false);
        check(vec![7; 48], true);
        check(cycle(32, 127).collect(), false);
        check(cycle(32, 128).collect(), true);
        check(cycle(33, 400).collect(), false);
        check((0..20).chain(cycle(5, 48)).collect(), true);
        // A list that goes on is no repetition, however long.
        check((0..400).flat_map(|number| [1, number, 2]).collect(), false);
        check(cycle(5, 48).chain([9]).collect(), false);
    }

    #[test]
    fn a_fence_is_closed_by_a_second_one_on_a_later_line() {
        let check = |text: &str, expected| {
            assert_eq!(has_closed_fence(text.as_bytes()), expected, "{text}")
        };
        check("SELECT 1", false);
        check("```sql", false);
        check("```sql\nSELECT 1\n", false);
        check("```sql\nSELECT 1\n``", false);
        check("```sql\nSELECT 1\n```", true);
        check("Here:\n```\nSELECT 1```", true);
        check("``````", false);
    }
}
