use chrono::DateTime;
use proptest::prelude::*;

use super::*;
use crate::policy::{Visibility, VisibleSchema};
use crate::schema::{Column, Schema, Table, TableKind};

fn new_term(name: &str, description: &str, synonyms: &[&str]) -> NewTerm {
    NewTerm {
        term_name: name.into(),
        description: description.into(),
        synonyms: synonyms.iter().map(|synonym| (*synonym).into()).collect(),
        data_source: None,
        owner: None,
    }
}

fn stored(id: i64, term: NewTerm) -> BusinessTerm {
    BusinessTerm {
        id,
        term_name: term.term_name,
        description: term.description,
        synonyms: term.synonyms,
        data_source: term.data_source,
        owner: term.owner,
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
    }
}

#[test]
fn a_term_is_tidied() {
    let term = NewTerm {
        data_source: Some("  ".into()),
        owner: Some(" Ada\n Lovelace ".into()),
        ..new_term(" Net\trevenue ", "after\nrefunds", &[" net  sales"])
    };
    let term = term.checked().expect("nothing is wrong with it");
    assert_eq!(term.term_name, "Net revenue");
    assert_eq!(term.description, "after refunds");
    assert_eq!(term.synonyms, ["net sales"]);
    assert_eq!(
        (term.data_source, term.owner.as_deref()),
        (None, Some("Ada Lovelace"))
    );
}

#[test]
fn all_that_is_wrong_with_a_term_is_told() {
    let check = |term: NewTerm, expected: &[&str]| {
        let fault = term.checked().expect_err("something is wrong");
        assert_eq!(fault.code(), Code::InvalidRequest);
        for part in expected {
            assert!(fault.message().contains(part), "{fault} lacks {part}");
        }
    };
    check(
        new_term("", " ", &[]),
        &["`term_name` is empty", "`description` is empty"],
    );
    check(
        new_term(&"x".repeat(101), "d", &["a\u{7}b"]),
        &["`term_name` has 101 characters", "a synonym holds control"],
    );
    check(
        new_term("Sales", "d", &["SALES"]),
        &["`SALES` stands there twice"],
    );
    check(new_term("a", "d", &["ä", "Ä"]), &["`Ä` stands there twice"]);
    let many: Vec<String> = (0..51).map(|number| format!("s{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    check(new_term("a", "d", &many), &["51 synonyms"]);
}

#[test]
fn a_change_is_judged_with_what_stays() {
    let term = stored(1, new_term("Sales", "what came in", &["turnover"]));
    let change = TermChange {
        term_name: Some("turnover".into()),
        ..TermChange::default()
    };
    assert!(change.applied_to(&term).checked().is_err());
    let change = TermChange {
        owner: Some(None),
        description: Some(" all  of it ".into()),
        ..TermChange::default()
    };
    let checked = change
        .applied_to(&term)
        .checked()
        .expect("nothing is wrong");
    let change = change.with_texts_of(checked);
    assert_eq!(change.description.as_deref(), Some("all of it"));
    assert_eq!((change.owner, change.term_name), (Some(None), None));
}

// ---------------------------------------------------------------------------------------------------------------------
// Mentions

#[test]
fn terms_are_mentioned_as_whole_words_the_longest_first() {
    let terms: Vec<BusinessTerm> = [
        ("revenue", &[][..]),
        ("net revenue", &["take-home"]),
        ("active customer", &["regular"]),
        ("city", &[]),
        ("news", &[]),
        ("净收入", &[]),
        ("Größe", &[]),
        ("C", &[]),
    ]
    .into_iter()
    .enumerate()
    .map(|(id, (name, synonyms))| {
        stored(
            i64::try_from(id).expect("few"),
            new_term(name, "d", synonyms),
        )
    })
    .collect();
    let check = |question: &str, expected: &[&str]| {
        let found: Vec<&str> = mentioned(question, &terms)
            .into_iter()
            .map(|term| term.term_name.as_str())
            .collect();
        assert_eq!(found, expected, "{question}");
    };
    check("What is the NET Revenue?", &["net revenue"]);
    check(
        "Is revenue more than net revenue?",
        &["net revenue", "revenue"],
    );
    check(
        "revenues of take-home, take home",
        &["net revenue", "revenue"],
    );
    check(
        "How many active customers, by cities?",
        &["active customer", "city"],
    );
    check("How many customers are active?", &[]);
    check("Which new prevenue?", &[]);
    check("上个月的净收入是多少", &["净收入"]);
    check("welche größe?", &["Größe"]);
    check("CS or CPU?", &[]);
    check("", &[]);
}

// ---------------------------------------------------------------------------------------------------------------------
// YAML

#[track_caller]
fn faults(yaml: &str) -> Vec<(u64, String)> {
    read_yaml(yaml)
        .expect_err("something is wrong")
        .into_iter()
        .map(|fault| (fault.line, fault.message))
        .collect()
}

#[test]
fn a_file_is_read() {
    let yaml = "\
# what we mean
terms:
  - term_name: Net revenue
    description: >
      What is left
      after refunds.
    synonyms: [net sales, \"2024\"]
    data_source: invoices.total
    owner: ~
  - name: Customer
    description: Who buys
";
    let terms = read_yaml(yaml).expect("nothing is wrong");
    assert_eq!(terms.len(), 2);
    assert_eq!(terms[0].description, "What is left after refunds.");
    assert_eq!(terms[0].synonyms, ["net sales", "2024"]);
    assert_eq!(terms[0].owner, None);
    assert_eq!(terms[1].term_name, "Customer");
}

#[test]
fn all_faults_of_a_file_are_told_with_their_lines() {
    let yaml = "\
version: 1
terms:
  - term_name: Net revenue
    description: fine
    synonims: [x]
  - description: no name
    synonyms:
      - good
      - 2024
      - GOOD
  - Sales
  - name: NET REVENUE
    description: again
    owner: [a]
    owner: b
  - name: a
    term_name: b
    description: \"\"
    data_source: true
";
    let found = faults(yaml);
    let lines: Vec<u64> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(
        lines,
        [1, 5, 6, 9, 10, 11, 12, 14, 15, 16, 18, 19],
        "{found:#?}"
    );
    for (line, part) in [
        (1, "unknown field `version`"),
        (5, "unknown field `synonims`"),
        (6, "no `term_name`"),
        (9, "put it in quotes"),
        (10, "twice"),
        (11, "must have fields, it is text"),
        (12, "stands in line 3 already"),
        (14, "`owner` must be text, it is a list"),
        (15, "`owner` stands there twice"),
        (16, "another word"),
        (18, "`description` is empty"),
        (19, "put it in quotes"),
    ] {
        let (_, message) = found
            .iter()
            .find(|(at, _)| *at == line)
            .expect("the line has a fault");
        assert!(
            message.contains(part),
            "line {line}: {message} lacks {part}"
        );
    }
}

#[test]
fn what_is_not_a_list_of_terms_is_refused() {
    for (yaml, line, part) in [
        ("", 1, "must have fields"),
        ("[]", 1, "must have fields"),
        ("terms: 3", 1, "must be a list"),
        ("other: []", 1, "unknown field"),
        ("terms:\n  - name: [", 2, ""),
        ("terms: []\n---\nterms: []\n", 2, ""),
        ("terms:\n- &a name: x\n", 2, ""),
        ("terms:\n- <<: {name: x}\n", 2, ""),
    ] {
        let found = faults(yaml);
        let is_told = found
            .iter()
            .any(|(at, message)| *at == line && message.contains(part));
        assert!(is_told, "{yaml:?}: {found:?}");
    }
}

#[test]
fn a_small_file_cannot_become_a_huge_one() {
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (last, next) in ["a", "b", "c", "d", "e", "f", "g", "h"]
        .iter()
        .zip(["b", "c", "d", "e", "f", "g", "h", "i"])
    {
        bomb.push_str(&format!(
            "{next}: &{next} [{}]\n",
            vec![format!("*{last}"); 9].join(", ")
        ));
    }
    assert_eq!(faults(&bomb).len(), 1);
    let deep = format!("terms: {}", "[".repeat(100_000));
    assert_eq!(faults(&deep).len(), 1);
    let large = format!("terms: [] #{}", "x".repeat(MAX_YAML_BYTES));
    assert!(faults(&large)[0].1.contains("are allowed"));
}

#[test]
fn a_flood_of_faults_is_cut() {
    let yaml = format!("terms:\n{}", "- x\n".repeat(5_000));
    let error = Error::from(read_yaml(&yaml).expect_err("all of it is wrong"));
    assert_eq!(error.code(), Code::InvalidRequest);
    assert!(error.message().ends_with("and 4000 more"));
}

fn text() -> impl Strategy<Value = String> {
    let awkward = prop::sample::select(vec![
        "no",
        "null",
        "~",
        "1.50",
        "0x10",
        "2024-01-01",
        "- a",
        "a: b",
        "# c",
        "*x",
        "&x",
        "'",
        "\"",
        "{",
        "[",
        "|",
        ">",
        "%",
        "@",
        "`",
        "!",
        "true",
        ".inf",
        "=",
        "<<",
        "é",
        "净",
        "\\n",
        "?",
        ",",
    ]);
    prop_oneof![
        awkward.clone().prop_map(str::to_owned),
        "\\PC{1,60}",
        (awkward, "\\PC{0,120}").prop_map(|(start, rest)| format!("{start} {rest}")),
    ]
}

proptest! {
    #[test]
    fn what_is_exported_imports_to_the_same(
        names in prop::collection::hash_set(text(), 1..4),
        description in text(),
        synonyms in prop::collection::hash_set(text(), 0..4),
        data_source in prop::option::of(text()),
        owner in prop::option::of(text()),
    ) {
        let mut seen = HashSet::new();
        let terms: Vec<BusinessTerm> = names
            .into_iter()
            .map(|name| NewTerm {
                synonyms: synonyms.iter().cloned().collect(),
                data_source: data_source.clone(),
                owner: owner.clone(),
                ..new_term(&name, &description, &[])
            })
            .filter_map(|term| term.checked().ok())
            .filter(|term| seen.insert(fold(&term.term_name)))
            .map(|term| stored(1, term))
            .collect();
        let yaml = write_yaml(&terms).expect("it can be written");
        let again = read_yaml(&yaml).map_err(|faults| format!("{faults:?}\n{yaml}"));
        let again: Vec<BusinessTerm> = again.expect("it can be read").into_iter().map(|term| stored(1, term)).collect();
        prop_assert_eq!(again, terms, "{}", yaml);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Hidden names

fn table(name: &str, columns: &[&str]) -> Table {
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
        foreign_keys: vec![],
        row_count: None,
        ddl: String::new(),
        reads: vec![],
    }
}

#[test]
fn hidden_names_are_found_in_prose() {
    let schema = Schema {
        tables: vec![
            table("people", &["id", "Salary", "bonus"]),
            table("jobs", &["id", "bonus"]),
            table("Order Details", &["price"]),
        ],
    };
    let visibility = Visibility::hiding(["people.salary", "people.bonus", "order details"]);
    let hidden = HiddenNames::between(&schema, &VisibleSchema::new(&schema, &visibility));
    for (texts, expected) in [
        (&["people.salary"][..], true),
        (&["sum of SALARIES"], true),
        (&["SELECT \"salary\" FROM people"], true),
        (&["\"Order Details\".x"], true),
        (&["the price"], true),
        (&["order of the details"], false),
        (&["jobs.bonus"], false),
        (&["bonus", "of people"], true),
        (&["people.id"], false),
        (&["unsalaried"], false),
        (&[], false),
    ] {
        assert_eq!(hidden.are_in(texts.iter().copied()), expected, "{texts:?}");
    }
    let all = VisibleSchema::new(&schema, &Visibility::everything());
    let nothing = HiddenNames::between(&schema, &all);
    assert!(!nothing.are_in(["people.salary"]));
}
