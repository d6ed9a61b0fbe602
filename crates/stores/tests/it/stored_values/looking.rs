//! What is found, and by whom.

use super::*;

#[tokio::test]
async fn values_are_found_letter_for_letter_folded_misspelt_and_in_part() {
    let scene = Scene::company();
    for (question, expected) in [
        (
            "How many customers in Germany?",
            &[
                "customers.country = Germany (2, exact)",
                "suppliers.country = Germany (1, exact)",
            ][..],
        ),
        (
            "sales in sao paulo",
            &["customers.city = São Paulo (1, folded)"],
        ),
        ("SALES IN KOLN", &["customers.city = Köln (1, folded)"]),
        (
            "what did muller gmbh buy",
            &["customers.name = Müller GmbH (1, folded)"],
        ),
        (
            "customers in Germny",
            &[
                "customers.country = Germany (2, fuzzy)",
                "suppliers.country = Germany (1, fuzzy)",
            ],
        ),
        (
            "sales in New York",
            &["customers.city = New York (1, exact)"],
        ),
        ("sales in Nwe York", &["customers.city = York (1, exact)"]),
        (
            "sales in the united kingdoms",
            &["customers.country = United Kingdom (1, fuzzy)"],
        ),
        (
            "which are shipped",
            &[
                "orders.status = shipped (2, exact)",
                "orders.status = Shipped (1, folded)",
            ],
        ),
        (
            "orders that are in transit",
            &["orders.status = in transit (1, exact)"],
        ),
        (
            "what did Lovelace buy",
            &["customers.name = Ada Lovelace (1, part)"],
        ),
        ("orders by express", &["orders.code = express (1, exact)"]),
        ("where is quokka", &["odd \"table.a b = Quokka (1, folded)"]),
        (
            "who is \"Robert'); DROP TABLE customers;--\"?",
            &["customers.name = Robert'); DROP TABLE customers;-- (1, exact)"],
        ),
        ("how many customers are there", &[]),
        ("orders of 2024-01-01", &[]),
        ("where is the wombat", &[]),
        ("", &[]),
        ("' OR 1=1 -- \" ) MATCH *", &[]),
    ] {
        assert_eq!(scene.found(question, &[]).await, expected, "{question}");
    }
}

#[tokio::test]
async fn hidden_columns_leave_no_trace() {
    let scene = Scene::company();
    let hidden = &["customers.country", "suppliers.secret"];
    assert_eq!(
        scene.found("customers in Germany", hidden).await,
        ["suppliers.country = Germany (1, exact)"]
    );
    // The city is seen, the secret of the same name is not.
    assert_eq!(
        scene.found("who is in Berlin", hidden).await,
        ["customers.city = Berlin (1, exact)"]
    );
    for question in [
        "where is Zanzibar",
        "where is Zanzibr",
        "is it \"Timbuktu\"",
        "sales in the USA",
        "sales in the United",
    ] {
        let found = scene.look(question, hidden).await;
        assert_eq!(found.values, [], "{question}");
        assert_eq!(
            (found.index, found.left_out.len()),
            (ValueIndexState::Complete, 0)
        );
    }
    // What is found is what would be found if the hidden columns were not there at all.
    let without = Scene::with(
        &format!(
            "{COMPANY} DROP VIEW german; ALTER TABLE customers DROP COLUMN country;
             ALTER TABLE suppliers DROP COLUMN secret;"
        ),
        ValueIndexLimits::default(),
    );
    for question in [
        "customers in Germny or Berlin with Zanzibar",
        "Apple in New York shipped to Frnace",
        "Apple",
        "united kingdom of muller gmbh",
    ] {
        let hidden = scene
            .found(question, &["german", hidden[0], hidden[1]])
            .await;
        assert_eq!(hidden, without.found(question, &[]).await, "{question}");
    }
    assert_eq!(
        scene
            .found("customers in Germany", &["customers", "suppliers"])
            .await,
        [""; 0]
    );
}

#[tokio::test]
async fn columns_cut_for_their_size_are_told_to_those_who_see_them() {
    let many = "CREATE TABLE people (name TEXT, kind TEXT);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
        INSERT INTO people SELECT 'Person ' || char(97 + i % 26, 97 + i / 26 % 26, 97 + i / 676), 'human' FROM n;
        INSERT INTO people VALUES ('Person bba', 'human');";
    let limits = ValueIndexLimits {
        max_values_per_column: 100,
        ..ValueIndexLimits::default()
    };
    let scene = Scene::with(many, limits);
    let found = scene.look("who is human", &[]).await;
    assert_eq!(as_text(&found), ["people.kind = human (1001, exact)"]);
    assert_eq!(found.index, ValueIndexState::Bounded);
    assert_eq!(found.left_out.len(), 1);
    assert_eq!(found.left_out[0].column, "name");
    // Met among the first, and again at the end: every row of it is counted.
    assert_eq!(
        scene.found("is person bba there", &[]).await,
        ["people.name = Person bba (2, folded)"]
    );
    let found = scene.look("who is human", &["people.name"]).await;
    assert_eq!(
        (found.index, found.left_out.len()),
        (ValueIndexState::Complete, 0)
    );

    for limits in [
        ValueIndexLimits {
            max_values: 1,
            ..ValueIndexLimits::default()
        },
        ValueIndexLimits {
            max_bytes: 9,
            ..ValueIndexLimits::default()
        },
        ValueIndexLimits {
            max_table_bytes: 80,
            ..ValueIndexLimits::default()
        },
        ValueIndexLimits {
            timeout: Duration::ZERO,
            ..ValueIndexLimits::default()
        },
    ] {
        let found = Scene::with(many, limits).look("who is human", &[]).await;
        assert_eq!(found.index, ValueIndexState::Bounded, "{limits:?}");
    }
}

#[tokio::test]
async fn a_database_without_text_has_an_index_without_values() {
    let scene = Scene::with(
        "CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (1, NULL)",
        ValueIndexLimits::default(),
    );
    let found = scene.look("is there anything in Germany", &[]).await;
    assert_eq!(
        (found.values.len(), found.index),
        (0, ValueIndexState::Complete)
    );
}

#[tokio::test]
async fn at_most_as_many_are_found_as_are_wanted() {
    let scene = Scene::company();
    let question = "Germany, Berlin, London, Brazil, France, Peru, USA, express, shipped";
    let visible = scene.see(&[]);
    let all = scene.look(question, &[]).await;
    assert_eq!(all.values.len(), DEFAULT_LIMIT);
    for limit in 0..5 {
        let some = scene
            .generation
            .find_values(question, &visible, limit)
            .await;
        assert_eq!(some.unwrap().values, all.values[..limit]);
    }
}
