//! Whatever the data and the question, what is said to stand in the data does.

use proptest::prelude::*;

use engine::ports::ValueMatch;
use engine::values::fold;

use super::*;

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["Paris", "paris", "PARIS", "Pariss", "New York", "new  york", "Müller", "muller", "it's", "x\"y"])
            .prop_map(str::to_owned),
        1 => "[A-Za-zäß' ]{1,12}",
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_is_found_stands_in_the_data_in_as_many_rows(
        rows in prop::collection::vec((word(), word()), 0..30),
        asked in prop::collection::vec(word(), 1..6),
        hides in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let connection = Connection::open(folder.path().join("copy.db")).unwrap();
            connection.execute_batch("CREATE TABLE t (a TEXT, b TEXT)").unwrap();
            for row in &rows {
                connection.execute("INSERT INTO t VALUES (?1, ?2)", (&row.0, &row.1)).unwrap();
            }
            let generation = open(folder.path(), ValueIndexLimits::default());
            let hidden: &[&str] = if hides { &["t.b"] } else { &[] };
            let visible = VisibleSchema::new(generation.schema(), &Visibility::hiding(hidden));
            let question = asked.join(" or ");
            let found = look(&generation, &question, &visible).await;
            assert_eq!(found.index, ValueIndexState::Complete);
            for value in &found.values {
                let sql = format!("SELECT count(*) FROM t WHERE {} = ?1", value.column);
                let count: u32 = connection.query_row(&sql, [&value.value], |row| row.get(0)).unwrap();
                assert_eq!(u64::from(count), value.rows, "{value:?}");
                assert!(value.rows > 0 && (value.column == "a" || !hides), "{value:?}");
                match value.matched {
                    ValueMatch::Exact => assert!(question.contains(&value.value), "{value:?}"),
                    ValueMatch::Folded => {
                        let words = engine::values::key(&value.words);
                        assert_eq!(engine::values::key(&value.value), words, "{value:?}");
                    }
                    ValueMatch::Fuzzy => {}
                    ValueMatch::Part => {
                        assert!(fold(&value.value).contains(&fold(&value.words)), "{value:?}");
                    }
                }
            }
            assert_eq!(look(&generation, &question, &visible).await, found);
        });
    }
}
