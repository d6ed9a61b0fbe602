//! Schema linking: which tables a question needs, when a schema is too large to show whole.
//!
//! Words and vectors are asked apart and their rankings fused, because each finds what the other misses: words know the
//! names of this schema, vectors know that a client is a customer. Then come the tables that join what was found.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::policy::VisibleSchema;
use crate::schema::Table;

/// Fusion by reciprocal ranks with this constant.
///
/// Source: Cormack, Clarke, Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods",
/// SIGIR 2009, where it is 60.
const FUSION: f32 = 60.0;
/// The saturation and length parameters of BM25, as commonly used.
///
/// Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009.
const BM25_K1: f32 = 1.2;
const BM25_B: f32 = 0.5;
/// What a part of a word counts, beside a whole one.
const PART: f32 = 0.4;
/// What a table deserves that is joined to one of the best: a place some twenty ranks behind it.
const PARTNER: f32 = 0.75;
/// Tables whose joins are followed.
const SEEDS: usize = 6;
/// Joins from one seed to another at most.
const MAX_PATH: usize = 3;

/// What speaks for tables besides the words of the question. Names that are not visible are passed over.
#[derive(Debug, Clone, Default)]
pub struct Clues {
    /// Tables near in meaning with their similarity, from the vector store; a table may stand there often.
    pub near: Vec<(String, f32)>,
    /// Tables of values that the question mentions, of terms it mentions, and of verified queries like it.
    pub named: Vec<String>,
}

/// The words of a visible schema, weighed. Made once for each.
#[derive(Debug, Clone)]
pub struct Lexicon {
    /// For each table, how often each word stands in it; a word of its name counts more.
    tables: Vec<HashMap<String, f32>>,
    /// The words of each table's name.
    names: Vec<Vec<String>>,
    lengths: Vec<f32>,
    mean_length: f32,
    /// In how many tables each word stands.
    occurs_in: HashMap<String, f32>,
}

impl Lexicon {
    /// Reads the names of tables and columns and the sample values.
    pub fn of(visible: &VisibleSchema) -> Self {
        let tables: Vec<HashMap<String, f32>> = visible.tables().iter().map(words_in).collect();
        let lengths: Vec<f32> = tables.iter().map(|words| words.values().sum()).collect();
        let mut occurs_in: HashMap<String, f32> = HashMap::new();
        for words in &tables {
            for word in words.keys() {
                *occurs_in.entry(word.clone()).or_default() += 1.0;
            }
        }
        let mean_length = lengths.iter().sum::<f32>() / lengths.len().max(1) as f32;
        let names = visible.tables().iter().map(|table| words_of(&table.name));
        Self {
            names: names.collect(),
            tables,
            lengths,
            mean_length: mean_length.max(1.0),
            occurs_in,
        }
    }

    /// Says whether a word, as [`words_of`] has it, stands in the schema.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.occurs_in.contains_key(word)
    }

    /// Returns the tables of whose names every word is in the question.
    fn named_whole(&self, question: &str) -> Vec<usize> {
        let asked: BTreeSet<String> = words_of(question).into_iter().collect();
        let is_named =
            |name: &Vec<String>| !name.is_empty() && name.iter().all(|word| asked.contains(word));
        let places = self.names.iter().enumerate();
        places
            .filter(|(_, name)| is_named(name))
            .map(|(index, _)| index)
            .collect()
    }

    /// Scores every table by the words of the question: BM25, where a word that only begins or ends like one of the
    /// question counts in part.
    fn scores(&self, question: &str) -> Vec<f32> {
        let asked: BTreeSet<String> = words_of(question)
            .into_iter()
            .filter(|word| word.chars().count() > 1 && !says_nothing(word))
            .collect();
        // Each word of the schema is compared with each of the question once, not once for each table.
        let mut weights: HashMap<&str, Vec<(usize, f32)>> = HashMap::new();
        for word in self.occurs_in.keys() {
            for (index, wanted) in asked.iter().enumerate() {
                let likeness = likeness(wanted, word);
                if likeness > 0.0 {
                    weights.entry(word).or_default().push((index, likeness));
                }
            }
        }
        let count = self.tables.len() as f32;
        self.tables
            .iter()
            .zip(&self.lengths)
            .map(|(words, length)| {
                // Of several words like one of the question, the best counts.
                let mut best = vec![0.0_f32; asked.len()];
                for (word, frequency) in words {
                    for &(index, likeness) in weights.get(word.as_str()).into_iter().flatten() {
                        let occurs_in = self.occurs_in[word];
                        let rarity = (1.0 + (count - occurs_in + 0.5) / (occurs_in + 0.5)).ln();
                        let norm = 1.0 - BM25_B + BM25_B * length / self.mean_length;
                        let saturated = frequency * (BM25_K1 + 1.0) / (frequency + BM25_K1 * norm);
                        best[index] = best[index].max(likeness * rarity * saturated);
                    }
                }
                best.iter().sum()
            })
            .collect()
    }
}

fn words_in(table: &Table) -> HashMap<String, f32> {
    let mut words: HashMap<String, f32> = HashMap::new();
    let mut count = |text: &str, weight: f32| {
        for word in words_of(text) {
            *words.entry(word).or_default() += weight;
        }
    };
    // `employees` is more about employees than `plant_employees` is.
    let length = words_of(&table.name).len().max(1) as f32;
    count(&table.name, 3.0 / length.sqrt());
    for column in &table.columns {
        count(&column.name, 1.0);
        count(column.description.as_deref().unwrap_or_default(), 0.25);
        for sample in &column.samples {
            if sample.parse::<f64>().is_err() {
                count(sample, 0.25);
            }
        }
    }
    words
}

/// Returns the indices of all visible tables, the likeliest first; ties keep the order of the schema.
pub fn rank_tables(
    question: &str,
    visible: &VisibleSchema,
    lexicon: &Lexicon,
    clues: &Clues,
) -> Vec<usize> {
    let tables = visible.tables();
    let places: HashMap<String, usize> = tables
        .iter()
        .enumerate()
        .map(|(index, table)| (table.name.to_ascii_lowercase(), index))
        .collect();
    let place = |name: &str| places.get(&name.to_ascii_lowercase()).copied();

    let by_words = lexicon.scores(question);
    let mut by_meaning = vec![0.0_f32; tables.len()];
    for (name, similarity) in &clues.near {
        if let Some(index) = place(name) {
            by_meaning[index] = by_meaning[index].max(*similarity);
        }
    }
    let mut scores = vec![0.0_f32; tables.len()];
    for ranking in [&by_words, &by_meaning] {
        for (rank, index) in ranked(ranking).into_iter().enumerate() {
            if ranking[index] > 0.0 {
                scores[index] += 1.0 / (FUSION + rank as f32 + 1.0);
            }
        }
    }
    let named = clues.named.iter().filter_map(|name| place(name));
    for index in named.chain(lexicon.named_whole(question)) {
        scores[index] += 1.0 / (FUSION + 1.0);
    }
    let joined = joined(tables, &scores, &place);
    for (index, score) in joined {
        scores[index] = scores[index].max(score);
    }
    ranked(&scores)
}

fn ranked(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    order
}

/// Returns what the tables on the ways between the best ones deserve, and the direct partners of the best: what joins
/// two tables of an answer is part of the answer, though no word of the question names it.
fn joined(
    tables: &[Table],
    scores: &[f32],
    place: &dyn Fn(&str) -> Option<usize>,
) -> Vec<(usize, f32)> {
    let mut partners: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); tables.len()];
    for (index, table) in tables.iter().enumerate() {
        for other in table
            .foreign_keys
            .iter()
            .filter_map(|key| place(&key.table))
        {
            partners[index].insert(other);
            partners[other].insert(index);
        }
    }
    let seeds: Vec<usize> = ranked(scores)
        .into_iter()
        .take(SEEDS)
        .filter(|&index| scores[index] > 0.0)
        .collect();
    let mut deserved = Vec::new();
    for (rank, &seed) in seeds.iter().enumerate() {
        for &partner in &partners[seed] {
            deserved.push((partner, scores[seed] * PARTNER));
        }
        let ways = ways_from(seed, &partners);
        for &other in &seeds[..rank] {
            let mut at = other;
            let lower = scores[seed].min(scores[other]);
            while let Some(&before) = ways.get(&at) {
                at = before;
                if at != seed {
                    // Right behind the two that it joins.
                    deserved.push((at, lower * 0.999));
                }
            }
        }
    }
    deserved
}

/// Returns for each table within reach the one before it on a shortest way from `seed`.
fn ways_from(seed: usize, partners: &[BTreeSet<usize>]) -> HashMap<usize, usize> {
    let mut before = HashMap::new();
    let mut queue = VecDeque::from([(seed, 0)]);
    while let Some((at, length)) = queue.pop_front() {
        if length == MAX_PATH {
            continue;
        }
        for &next in &partners[at] {
            if next != seed && !before.contains_key(&next) {
                before.insert(next, at);
                queue.push_back((next, length + 1));
            }
        }
    }
    before
}

/// Splits text into lower-case words without a plural ending; `CamelCase` and `snake_case` are taken apart, and so are
/// letters from digits.
pub fn words_of(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut word = String::new();
    let chars: Vec<char> = text.chars().chain([' ']).collect();
    for (at, &c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| chars[at]);
        let starts_word = before.is_some_and(|before| {
            (c.is_uppercase() && before.is_lowercase())
                || (c.is_uppercase()
                    && before.is_uppercase()
                    && chars.get(at + 1).is_some_and(|next| next.is_lowercase()))
                || (c.is_numeric() != before.is_numeric() && before.is_alphanumeric())
        });
        if (!c.is_alphanumeric() || starts_word) && !word.is_empty() {
            found.push(singular(&std::mem::take(&mut word)));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
    }
    found
}

fn singular(word: &str) -> String {
    match word {
        _ if word.len() > 4 && word.ends_with("ies") => format!("{}y", &word[..word.len() - 3]),
        _ if word.len() > 4
            && ["sses", "xes", "ches", "shes"]
                .iter()
                .any(|ending| word.ends_with(ending)) =>
        {
            word[..word.len() - 2].to_owned()
        }
        _ if word.len() > 3
            && word.ends_with('s')
            && !word.ends_with("ss")
            && !word.ends_with("us")
            && !word.ends_with("is") =>
        {
            word[..word.len() - 1].to_owned()
        }
        _ => word.to_owned(),
    }
}

/// Returns how much a word of a schema is like a word of the question: 1.0 the same, less when one begins or ends with
/// the other (`cust`, `stuid`, `teaches` and `teacher`), 0.0 not at all.
pub(crate) fn likeness(wanted: &str, word: &str) -> f32 {
    if wanted == word {
        return 1.0;
    }
    let (short, long) = if wanted.len() < word.len() {
        (wanted, word)
    } else {
        (word, wanted)
    };
    let is_part = short.len() >= 3
        && (long.starts_with(short) || (short.len() >= 4 && long.ends_with(short)));
    let stem = |word: &str| -> String { word.chars().take(5).collect() };
    let is_of_one_stem = short.chars().count() >= 6 && stem(short) == stem(long);
    if is_part || is_of_one_stem { PART } else { 0.0 }
}

/// Words of questions that are in the way more often than they help.
pub(crate) fn says_nothing(word: &str) -> bool {
    matches!(
        word,
        "the"
            | "and"
            | "or"
            | "of"
            | "in"
            | "on"
            | "at"
            | "to"
            | "for"
            | "from"
            | "by"
            | "with"
            | "is"
            | "are"
            | "was"
            | "were"
            | "be"
            | "been"
            | "do"
            | "doe"
            | "does"
            | "did"
            | "have"
            | "has"
            | "had"
            | "how"
            | "many"
            | "much"
            | "what"
            | "which"
            | "who"
            | "whose"
            | "where"
            | "when"
            | "there"
            | "that"
            | "thi"
            | "this"
            | "these"
            | "those"
            | "it"
            | "their"
            | "each"
            | "all"
            | "any"
            | "me"
            | "show"
            | "list"
            | "give"
            | "find"
            | "return"
            | "tell"
            | "please"
            | "an"
            | "as"
            | "not"
            | "than"
            | "more"
            | "most"
            | "least"
            | "les"
            | "less"
            | "number"
            | "total"
            | "average"
            | "maximum"
            | "minimum"
            | "count"
            | "different"
            | "we"
            | "our"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Visibility;
    use crate::schema::{Column, ForeignKey, Schema, TableKind};

    fn table(name: &str, columns: &[&str], refers_to: &[&str]) -> Table {
        Table {
            name: name.into(),
            kind: TableKind::Table,
            columns: columns
                .iter()
                .map(|name| Column {
                    name: (*name).into(),
                    ..Column::default()
                })
                .collect(),
            primary_key: vec![],
            foreign_keys: refers_to
                .iter()
                .map(|other| ForeignKey {
                    columns: vec![columns[0].into()],
                    table: (*other).into(),
                    referenced: vec!["id".into()],
                    inferred: false,
                })
                .collect(),
            row_count: None,
            ddl: String::new(),
            reads: vec![],
        }
    }

    fn ranked_names(question: &str, tables: &[Table], clues: &Clues) -> Vec<String> {
        let schema = Schema {
            tables: tables.to_vec(),
        };
        let visible = VisibleSchema::new(&schema, &Visibility::everything());
        rank_tables(question, &visible, &Lexicon::of(&visible), clues)
            .into_iter()
            .map(|index| tables[index].name.clone())
            .collect()
    }

    #[test]
    fn tables_named_in_the_question_come_first_and_their_partners_next() {
        let tables = [
            table("logs", &["id"], &[]),
            table("regions", &["id", "label"], &[]),
            table("SalesOrders", &["region_id", "amount"], &["regions"]),
        ];
        assert_eq!(
            ranked_names("Total amount of sales orders?", &tables, &Clues::default()),
            ["SalesOrders", "regions", "logs"]
        );
    }

    #[test]
    fn what_joins_two_tables_of_the_question_comes_before_what_only_sounds_like_it() {
        let tables = [
            table("student_notes", &["body"], &[]),
            table("course_fees", &["amount"], &[]),
            table("students", &["id", "name"], &[]),
            table("enrolments", &["id", "year"], &["students", "courses"]),
            table("courses", &["id", "title"], &[]),
        ];
        let names = ranked_names(
            "Which students take which courses?",
            &tables,
            &Clues::default(),
        );
        assert!(names[..3].contains(&"enrolments".to_owned()), "{names:?}");
    }

    #[test]
    fn nearness_and_named_tables_count_beside_words() {
        let tables = [
            table("alpha", &["x"], &[]),
            table("customers", &["id"], &[]),
            table("beta", &["y"], &[]),
        ];
        let clues = Clues {
            near: vec![("CUSTOMERS".into(), 0.6), ("hidden".into(), 0.9)],
            named: vec!["beta".into()],
        };
        assert_eq!(
            ranked_names("Who are our clients?", &tables, &clues),
            ["customers", "beta", "alpha"]
        );
    }

    #[test]
    fn names_are_taken_apart_into_words() {
        for (name, words) in [
            ("SalesOrders", vec!["sale", "order"]),
            ("order_line_items", vec!["order", "line", "item"]),
            ("HTTPServer2", vec!["http", "server", "2"]),
            ("Companies", vec!["company"]),
            ("addresses", vec!["address"]),
            ("status", vec!["status"]),
            ("", vec![]),
        ] {
            assert_eq!(words_of(name), words, "{name}");
        }
    }
}
