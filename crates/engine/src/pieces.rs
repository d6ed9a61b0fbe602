//! Splits SQL of any kind into words, numbers, literals and signs. Never fails: what is broken stays in one piece.

/// The pieces of a text, without spaces and comments.
pub(crate) struct Pieces<'t> {
    text: &'t str,
    spans: Vec<(usize, usize)>,
}

/// A name with what stands in parentheses behind it.
pub(crate) struct Call<'t> {
    pub(crate) args: Vec<Arg<'t>>,
    /// The place of the closing parenthesis.
    pub(crate) end: usize,
}

/// One argument, as written.
pub(crate) struct Arg<'t> {
    pub(crate) text: &'t str,
}

impl<'t> Pieces<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        let mut spans = Vec::new();
        let mut start = 0;
        while let Some(first) = text[start..].chars().next() {
            let rest = &text[start..];
            let until =
                |end: Option<usize>, length: usize| end.map_or(rest.len(), |at| at + length);
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let (length, counts) = match first {
                c if c.is_whitespace() => (c.len_utf8(), false),
                '-' if rest.starts_with("--") => (until(rest.find('\n'), 1), false),
                '/' if rest.starts_with("/*") => (until(rest.find("*/"), 2), false),
                '\'' | '"' | '`' => (quoted(rest, first), true),
                '[' => (until(rest.find(']'), 1), true),
                ':' if rest.starts_with("::") => (2, true),
                c if c.is_ascii_digit() => {
                    let is_part = |c: char| is_word(c) || c == '.';
                    (rest.find(|c| !is_part(c)).unwrap_or(rest.len()), true)
                }
                c if is_word(c) => (rest.find(|c| !is_word(c)).unwrap_or(rest.len()), true),
                c => (c.len_utf8(), true),
            };
            if counts {
                spans.push((start, start + length));
            }
            start += length;
        }
        Self { text, spans }
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns a piece as written.
    pub(crate) fn get(&self, at: usize) -> Option<&'t str> {
        let &(start, end) = self.spans.get(at)?;
        Some(&self.text[start..end])
    }

    /// Returns a word, or `::`, in small letters; not one that a point ties to what stands before it.
    pub(crate) fn word(&self, at: usize) -> Option<String> {
        let piece = self.get(at)?;
        let is_word = piece == "::" || piece.starts_with(|c: char| c.is_alphabetic() || c == '_');
        let is_tied = at.checked_sub(1).and_then(|before| self.get(before)) == Some(".");
        (is_word && !is_tied).then(|| piece.to_lowercase())
    }

    /// Says whether the last piece reaches to the end of the text, so that more text may make it longer.
    pub(crate) fn is_open(&self) -> bool {
        self.spans
            .last()
            .is_some_and(|&(_, end)| end == self.text.len())
    }

    pub(crate) fn is_text(&self, at: usize) -> bool {
        self.get(at).is_some_and(|piece| piece.starts_with('\''))
    }

    /// Returns what stands from one place to another.
    pub(crate) fn text(&self, first: usize, last: usize) -> &'t str {
        &self.text[self.spans[first].0..self.spans[last].1]
    }

    /// Returns the whole text with what stands from one place to another replaced.
    pub(crate) fn replaced(&self, first: usize, last: usize, new: &str) -> String {
        let (start, end) = (self.spans[first].0, self.spans[last].1);
        let after = &self.text[end..];
        let after = if new.is_empty() {
            after.trim_start()
        } else {
            after
        };
        format!("{}{new}{after}", &self.text[..start])
    }

    /// Returns the call whose name stands here.
    pub(crate) fn call(&self, at: usize) -> Option<Call<'t>> {
        if self.get(at + 1)? != "(" {
            return None;
        }
        let mut args = Vec::new();
        let mut depth = 0_usize;
        let mut first = at + 2;
        for place in at + 1..self.len() {
            let piece = self.get(place)?;
            match piece {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && piece == ",") {
                if place > first {
                    args.push(Arg {
                        text: self.text(first, place - 1),
                    });
                }
                first = place + 1;
            }
            if depth == 0 {
                return Some(Call { args, end: place });
            }
        }
        None
    }

    /// Returns where the operand begins that ends before this place: a name with its table, a literal, a call, or
    /// something in parentheses.
    pub(crate) fn operand_before(&self, at: usize) -> Option<usize> {
        let last = at.checked_sub(1)?;
        let is_name = |at: usize| {
            self.get(at).is_some_and(|piece| {
                piece.starts_with(|c: char| c.is_alphabetic() || "_\"`[".contains(c))
            })
        };
        let mut start = last;
        if self.get(last)? == ")" {
            let mut depth = 0_usize;
            loop {
                match self.get(start)? {
                    ")" => depth += 1,
                    "(" => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                start = start.checked_sub(1)?;
            }
            let before = start.checked_sub(1);
            return match before {
                Some(name) if is_name(name) && !self.is_keyword(name) => Some(name),
                _ => Some(start),
            };
        }
        let is_operand = is_name(last) && !self.is_keyword(last)
            || self.is_text(last)
            || self.get(last)?.starts_with(|c: char| c.is_ascii_digit());
        if !is_operand {
            return None;
        }
        while start >= 2 && self.get(start - 1)? == "." && is_name(start - 2) {
            start -= 2;
        }
        Some(start)
    }

    fn is_keyword(&self, at: usize) -> bool {
        const WORDS: [&str; 24] = [
            "select", "distinct", "where", "and", "or", "not", "in", "on", "then", "else", "when",
            "case", "by", "having", "from", "as", "between", "like", "is", "null", "over",
            "exists", "end", "using",
        ];
        self.word(at)
            .is_some_and(|word| WORDS.contains(&word.as_str()))
    }
}

/// Returns the length of a quoted piece; a doubled quote does not end it.
fn quoted(rest: &str, quote: char) -> usize {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            match chars.peek() {
                Some((_, next)) if *next == quote => {
                    chars.next();
                }
                _ => return at + 1,
            }
        }
    }
    rest.len()
}
