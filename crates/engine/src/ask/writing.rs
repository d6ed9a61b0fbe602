//! SQL while the model writes it, for who watches. It was neither guarded nor run yet.

use std::sync::{Mutex, PoisonError};

use crate::ports::Progress;
use crate::prompt::begun;

/// Hears a reply bit by bit, and tells what of it is SQL.
pub(super) struct Writing<'p> {
    progress: &'p dyn Progress,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    reply: String,
    /// Bytes of the statement that were told.
    told: usize,
}

impl<'p> Writing<'p> {
    pub(super) fn of(progress: &'p dyn Progress) -> Self {
        Self {
            progress,
            heard: Mutex::default(),
        }
    }

    /// Takes what the reply goes on with.
    pub(super) fn hear(&self, more: &str) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.reply.push_str(more);
        let Some((sql, _)) = begun(&heard.reply) else {
            return;
        };
        // Spaces wait for what follows them: the end of the block has some before it.
        let new = sql.trim_end().get(heard.told..).unwrap_or_default();
        if !new.is_empty() {
            self.progress.writing(new);
            heard.told += new.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl Progress for Told {
        fn step(&self, _: crate::ports::Step) {}
        fn writing(&self, more: &str) {
            self.0.lock().unwrap().push(more.to_owned());
        }
    }

    fn check(pieces: &[&str], expected: &[&str]) {
        let told = Told::default();
        let writing = Writing::of(&told);
        for piece in pieces {
            writing.hear(piece);
        }
        assert_eq!(*told.0.lock().unwrap(), expected, "{pieces:?}");
    }

    #[test]
    fn only_the_statement_is_told() {
        check(
            &["``", "`", "sql", "\n", "SELECT", " 1", "\n", "``", "`"],
            &["SELECT", " 1"],
        );
        check(
            &["Here:\n```sql\nSELECT 1\n```\nThat is it."],
            &["SELECT 1"],
        );
        check(&["SELECT", " `a", "` FROM t"], &["SELECT `a", "` FROM t"]);
        check(&["I do not", " know."], &[]);
        check(&["```sql\nSELECT 'ä", "ö' "], &["SELECT 'ä", "ö'"]);
    }
}
