//! The names as a grammar, for servers that hold a reply to one: GBNF, as llama.cpp and what is built like it read it.

use std::fmt::Write;

use super::{Names, words};
use crate::guard::allowed_functions;

/// More names than this make a grammar that costs a server more than it is worth.
const MAX_NAMES: usize = 2_000;

/// What does not depend on the names. A word is never beside another without a mark between them. What a grammar cannot
/// follow is left open: a name given by AS, what rows are ordered by, and short words, which stand for tables.
const RULES: &str = r#"root ::= ( "```" "sql"? "\n" )? select ( mark+ word )* mark* ( "\n"? "```" )?
select ::= "SELECT" | "select"
word ::= keyword | name | short | number | "AS" space own | "as" space own | "ORDER" space "BY" space own | "order" space "by" space own
mark ::= [ \n\t,.;()=<>!+*/%|-] | "'" ( [^'\n] | "''" )* "'" | "\"" quoted "\"" | "`" quoted "`" | "[" quoted "]"
space ::= [ \n]
own ::= [a-zA-Z_] [a-zA-Z0-9_]*
short ::= [a-zA-Z] [a-zA-Z]? [0-9]? [0-9]?
number ::= [0-9]+ ( "." [0-9]+ )?
"#;

impl Names {
    /// Returns the grammar of replies whose words are words of SQL, functions that may be called, and these names; `None`
    /// if there are none, or too many. It cannot say which table a column is of: [`Names::admit`] can.
    pub fn to_gbnf(&self) -> Option<String> {
        let names = self.all();
        if names.is_empty() || names.len() > MAX_NAMES {
            return None;
        }
        let is_plain = |name: &&&str| {
            let mut bytes = name.bytes();
            bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let plain: Vec<String> = names
            .iter()
            .filter(is_plain)
            .map(|name| any_case(name))
            .collect();
        let quoted: Vec<String> = names
            .iter()
            .filter(|name| !name.chars().any(char::is_control))
            .map(|name| any_case(name))
            .collect();
        let keywords = words::all().filter(|word| *word != "as" && *word != "order");
        let keywords: Vec<String> = keywords
            .chain(allowed_functions().iter().copied())
            .map(|word| format!("\"{word}\" | \"{}\"", word.to_uppercase()))
            .collect();
        let mut grammar = RULES.to_owned();
        for (rule, alternatives) in [("keyword", keywords), ("name", plain), ("quoted", quoted)] {
            // A rule without alternatives is not one.
            let alternatives = match alternatives.is_empty() {
                true => "short".to_owned(),
                false => alternatives.join(" | "),
            };
            let _ = writeln!(grammar, "{rule} ::= {alternatives}");
        }
        Some(grammar)
    }
}

/// Writes a name in small letters so that its ASCII letters may be of either case.
fn any_case(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        let _ = match c {
            'a'..='z' => write!(text, "[{c}{}]", c.to_ascii_uppercase()),
            '"' | '\\' => write!(text, "\"\\{c}\""),
            _ => write!(text, "\"{c}\""),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_in_the_grammar_in_any_case() {
        let names = Names::new([("orders", vec!["Total", "unit price", "say \"x\""])]);
        let grammar = names.to_gbnf().expect("there are names");
        let rule = |name: &str| {
            let line = grammar.lines().find(|line| line.starts_with(name));
            line.unwrap_or_else(|| panic!("no {name}")).to_owned()
        };
        assert_eq!(
            rule("name ::="),
            "name ::= [oO][rR][dD][eE][rR][sS] | [tT][oO][tT][aA][lL]"
        );
        assert!(rule("quoted ::=").contains("[uU][nN][iI][tT]\" \"[pP][rR]"));
        assert!(rule("quoted ::=").contains("[sS][aA][yY]\" \"\"\\\"\"[xX]"));
        assert!(rule("keyword ::=").contains("\"count\" | \"COUNT\""));
        assert!(!rule("keyword ::=").contains("\"load_extension\""));
    }

    #[test]
    fn too_many_names_are_no_grammar() {
        let columns: Vec<String> = (0..MAX_NAMES).map(|n| format!("c{n}")).collect();
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        assert!(Names::new([("t", columns)]).to_gbnf().is_none());
        assert!(Names::default().to_gbnf().is_none());
    }
}
