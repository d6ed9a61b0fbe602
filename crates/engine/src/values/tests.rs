use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::policy::Visibility;
use crate::schema::{Column, Schema, Table, TableKind};

/// Values in memory, cut to what is visible, as [`ValueLookup`] asks.
struct Stored {
    places: Vec<ValuePlace>,
}

impl Stored {
    fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.places.iter().map(|place| key(&place.value)).collect();
        keys.sort();
        keys.dedup();
        keys
    }
}

impl ValueLookup for Stored {
    fn with_key(&mut self, wanted: &str) -> Result<Vec<ValuePlace>, Error> {
        let places = self.places.iter();
        Ok(places
            .filter(|place| key(&place.value) == wanted)
            .cloned()
            .collect())
    }

    fn near(&mut self, word: &str) -> Result<Vec<String>, Error> {
        let keys = self.keys();
        let words = keys.iter().flat_map(|key| key.split(' '));
        Ok(words
            .filter(|other| distance(word, other, slips_allowed(word)).is_some())
            .map(str::to_owned)
            .collect())
    }

    fn containing(&mut self, words: &[&str], max: usize) -> Result<Option<Vec<ValuePlace>>, Error> {
        let wanted = format!(" {} ", words.join(" "));
        let keys: Vec<String> = self
            .keys()
            .into_iter()
            .filter(|key| format!(" {key} ").contains(&wanted) && key.len() + 2 > wanted.len())
            .collect();
        if keys.len() > max {
            return Ok(None);
        }
        let places = self.places.iter();
        Ok(Some(
            places
                .filter(|place| keys.contains(&key(&place.value)))
                .cloned()
                .collect(),
        ))
    }
}

const DATA: &[(&str, &str, &str, u64)] = &[
    ("customers", "country", "Germany", 12),
    ("suppliers", "country", "Germany", 3),
    ("customers", "country", "USA", 7),
    ("customers", "city", "New York", 4),
    ("customers", "city", "New York City", 2),
    ("customers", "city", "York", 1),
    ("customers", "city", "São Paulo", 5),
    ("customers", "name", "Müller & Söhne GmbH", 1),
    ("customers", "name", "O'Brien's; DROP TABLE x", 1),
    ("employees", "full_name", "Ada Lovelace", 1),
    ("employees", "full_name", "Grace Hopper", 1),
    ("orders", "status", "shipped", 90),
    ("orders", "status", "Shipped", 1),
    ("orders", "status", "in transit", 8),
    ("orders", "status", "all", 2),
    ("orders", "status", "order", 2),
    ("orders", "year", "2024", 9),
    ("products", "name", "Laptop", 1),
    ("products", "name", "Phone Case", 1),
    ("products", "size", "X", 1),
    ("places", "name", "東京", 2),
    ("a", "c", "Common", 5),
    ("b", "c", "Common", 6),
    ("d", "c", "Common", 7),
    ("e", "c", "Common", 8),
];

fn schema() -> Schema {
    let mut tables: Vec<Table> = Vec::new();
    for (table, column, ..) in DATA {
        let column = Column {
            name: (*column).into(),
            ..Column::default()
        };
        match tables.iter_mut().find(|known| known.name == *table) {
            Some(known) if known.column(&column.name).is_none() => known.columns.push(column),
            Some(_) => {}
            None => tables.push(Table {
                name: (*table).into(),
                kind: TableKind::Table,
                columns: vec![column],
                primary_key: vec![],
                foreign_keys: vec![],
                row_count: None,
                ddl: String::new(),
                reads: vec![],
            }),
        }
    }
    Schema { tables }
}

fn visible(hidden: &[&str]) -> Arc<VisibleSchema> {
    VisibleSchema::new(&schema(), &Visibility::hiding(hidden))
}

fn found_by(question: &str, hidden: &[&str]) -> Vec<StoredValue> {
    let visible = visible(hidden);
    let places = DATA
        .iter()
        .map(|(table, column, value, rows)| ValuePlace {
            table: (*table).into(),
            column: (*column).into(),
            value: (*value).into(),
            rows: *rows,
        })
        .filter(|place| {
            visible
                .table(&place.table)
                .is_some_and(|table| table.column(&place.column).is_some())
        })
        .collect();
    find(question, &visible, &mut Stored { places }, DEFAULT_LIMIT).expect("a lookup in memory")
}

#[track_caller]
fn check(question: &str, expected: &[&str]) {
    let found: Vec<String> = found_by(question, &[])
        .into_iter()
        .map(|found| {
            let matched = format!("{:?}", found.matched).to_lowercase();
            format!(
                "{}.{} = {} {matched}",
                found.table, found.column, found.value
            )
        })
        .collect();
    assert_eq!(found, expected, "{question}");
}

#[test]
fn a_value_is_found_letter_for_letter_or_folded() {
    check(
        "How many customers in Germany?",
        &[
            "customers.country = Germany exact",
            "suppliers.country = Germany exact",
        ],
    );
    check(
        "how many suppliers in GERMANY?",
        &[
            "suppliers.country = Germany folded",
            "customers.country = Germany folded",
        ],
    );
    check(
        "sales in sao  paulo",
        &["customers.city = São Paulo folded"],
    );
    check(
        "What did muller & sohne gmbh buy?",
        &["customers.name = Müller & Söhne GmbH folded"],
    );
    check("Umsatz in 東京?", &["places.name = 東京 exact"]);
}

#[test]
fn one_spelling_of_two_is_exact() {
    check(
        "Which orders are shipped?",
        &[
            "orders.status = shipped exact",
            "orders.status = Shipped folded",
        ],
    );
}

#[test]
fn a_slip_or_an_ending_is_fuzzy() {
    check(
        "customers in Germny",
        &[
            "customers.country = Germany fuzzy",
            "suppliers.country = Germany fuzzy",
        ],
    );
    check(
        "how many laptops were sold",
        &["products.name = Laptop fuzzy"],
    );
    check(
        "price of phone cases",
        &["products.name = Phone Case fuzzy"],
    );
    check(
        "sales to Grcae Hoper",
        &["employees.full_name = Grace Hopper fuzzy"],
    );
    // Four letters are near too many others.
    check("sales in Yrok", &[]);
}

#[test]
fn the_longest_mention_takes_the_place_of_those_inside_it() {
    check("sales in New York", &["customers.city = New York exact"]);
    check(
        "sales in New York City",
        &["customers.city = New York City exact"],
    );
    check("sales in York", &["customers.city = York exact"]);
}

#[test]
fn a_quoted_text_comes_first_whatever_it_is() {
    check(
        "Which Germany orders have status \"all\"?",
        &[
            "orders.status = all exact",
            "customers.country = Germany exact",
            "suppliers.country = Germany exact",
        ],
    );
    check("year '2024'", &["orders.year = 2024 exact"]);
    check("size 'x'", &["products.size = X folded"]);
    check(
        "name is ‘O'Brien's; DROP TABLE x’",
        &["customers.name = O'Brien's; DROP TABLE x exact"],
    );
}

#[test]
fn numbers_common_words_and_names_of_the_schema_are_no_values() {
    check("orders in 2024", &[]);
    check("show all orders", &[]);
    check("All orders", &[]);
    check("what is in the order", &[]);
    check("list x", &[]);
    // Written as a name is, a common word may be one.
    check("orders of status All", &["orders.status = all folded"]);
}

#[test]
fn a_name_finds_the_value_that_it_is_a_part_of() {
    check(
        "Whom did Lovelace hire?",
        &["employees.full_name = Ada Lovelace part"],
    );
    check("who is lovelace", &[]);
    // The mention is known already.
    check("in New York", &["customers.city = New York exact"]);
}

#[test]
fn of_many_columns_those_named_and_those_with_most_rows_are_told() {
    check(
        "how common are Common ones",
        &[
            "e.c = Common exact",
            "d.c = Common exact",
            "b.c = Common exact",
        ],
    );
    check(
        "how many a have Common",
        &[
            "a.c = Common exact",
            "e.c = Common exact",
            "d.c = Common exact",
        ],
    );
}

#[test]
fn what_is_hidden_leaves_no_trace() {
    let of = |found: Vec<StoredValue>| -> Vec<(String, u64)> {
        found.into_iter().map(|one| (one.table, one.rows)).collect()
    };
    let hidden = found_by("customers in Germany", &["customers.country"]);
    assert_eq!(of(hidden), [("suppliers".to_owned(), 3)]);
    // Known only to a hidden column, a word is as good as unknown.
    assert_eq!(found_by("sales in USA", &["customers"]), []);
    // Nor does it keep another spelling from being found.
    let hidden = found_by("which are Shipped", &["orders"]);
    assert_eq!(hidden, []);
}

#[test]
fn folding_is_what_people_expect() {
    for (text, folded) in [
        ("  MÜLLER\t& Söhne ", "muller & sohne"),
        ("Straße", "strasse"),
        ("Łódź", "lodz"),
        ("İstanbul", "istanbul"),
        ("Ærø", "aero"),
        ("ΟΔΟΣ", "οδοσ"),
        ("ﬁne ＡＢＣ", "fine abc"),
        ("한국어", "한국어"),
        ("O’Brien", "o'brien"),
    ] {
        assert_eq!(fold(text), folded, "{text}");
    }
    assert_eq!(key("O'Brien-Smith, Ltd."), "o brien smith ltd");
    assert_eq!(key("東京 駅"), "東 京 駅");
    assert_eq!(key(" -- "), "");
}

#[test]
fn distances_count_edits_and_swaps() {
    for (left, right, edits) in [
        ("germany", "germany", Some(0)),
        ("germny", "germany", Some(1)),
        ("frnace", "france", Some(1)),
        ("kitten", "sitting", None),
        ("", "ab", Some(2)),
        ("größe", "grösse", Some(2)),
    ] {
        assert_eq!(distance(left, right, 2), edits, "{left} {right}");
    }
}

/// A word with so many random edits.
fn misspell(word: &str, edits: &[(u8, u8, u8)]) -> String {
    let mut chars: Vec<char> = word.chars().collect();
    for &(kind, at, letter) in edits {
        let at = usize::from(at) % chars.len().max(1);
        let letter = char::from(b'a' + letter % 26);
        match kind % 4 {
            0 => chars.insert(at, letter),
            1 if chars.len() > 1 => {
                chars.remove(at);
            }
            2 if at + 1 < chars.len() => chars.swap(at, at + 1),
            _ => chars[at] = letter,
        }
    }
    chars.into_iter().collect()
}

proptest! {
    #[test]
    fn folding_twice_changes_nothing_more(text in any::<String>()) {
        let once = fold(&text);
        prop_assert_eq!(fold(&once), once.clone());
        prop_assert_eq!(key(&once), key(&text));
        prop_assert_eq!(key(&key(&text)), key(&text));
    }

    #[test]
    fn distance_is_the_same_both_ways_and_never_more_than_said(
        left in "[abc]{0,7}", right in "[abc]{0,7}", most in 0_usize..4,
    ) {
        let edits = distance(&left, &right, most);
        prop_assert_eq!(edits, distance(&right, &left, most));
        prop_assert!(edits.is_none_or(|edits| edits <= most));
        prop_assert_eq!(edits == Some(0), left == right);
    }

    /// What a word is looked up by never misses one that is near enough.
    #[test]
    fn words_that_are_near_have_a_slip_in_common(
        word in "[a-e]{5,12}",
        edits in prop::collection::vec(any::<(u8, u8, u8)>(), 0..3),
    ) {
        let other = misspell(&word, &edits);
        let allowed = slips_allowed(&word).min(slips_allowed(&other));
        if distance(&word, &other, allowed).is_some() {
            let there = slips(&word, slips_allowed(&word));
            let here = slips(&other, slips_allowed(&other));
            prop_assert!(here.iter().any(|slip| there.contains(slip)), "{} {}", word, other);
        }
    }

    #[test]
    fn any_question_is_read_and_answered_alike_twice(question in any::<String>()) {
        let question: String = question.chars().take(300).collect();
        prop_assert_eq!(found_by(&question, &[]), found_by(&question, &[]));
    }

    /// Whatever stands around a value, it is found, unless a longer one holds it.
    #[test]
    fn a_quoted_value_is_found_in_any_question(
        index in 0..DATA.len(), before in "[a-z ]{0,20}", after in "[a-z ]{0,20}",
    ) {
        let (_, _, value, _) = DATA[index];
        let question = format!("{before} \"{value}\" {after}");
        let found = found_by(&question, &[]);
        prop_assert!(found.iter().any(|one| one.value == value), "{} {:?}", question, found);
    }
}
