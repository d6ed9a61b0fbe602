use std::sync::atomic::{AtomicUsize, Ordering};

use futures::executor::block_on;
use futures::future::join_all;
use proptest::prelude::*;

use super::*;
use crate::error::Code;
use crate::prompt::{self, SendValues};
use crate::question::Question;
use crate::schema::{Column, Table, TableKind};

const VALUES: [SendValues; 3] = [SendValues::None, SendValues::Samples, SendValues::All];

/// A schema of tables `t0`, `t1` ... with so many columns each, `c0`, `c1` ..., and a view over each first column.
fn schema(columns: &[usize], sample: &str) -> Arc<Schema> {
    let table = |index: usize, count: &usize| Table {
        name: format!("t{index}"),
        kind: TableKind::Table,
        columns: (0..*count)
            .map(|number| Column {
                name: format!("c{number}"),
                declared_type: "TEXT".into(),
                samples: vec![sample.into()],
                distinct: Some(1),
                ..Column::default()
            })
            .collect(),
        primary_key: vec!["c0".into()],
        foreign_keys: vec![],
        row_count: Some(1),
        ddl: format!("CREATE TABLE t{index} (c0, -- {sample}\n c1)"),
        reads: vec![],
    };
    Arc::new(Schema {
        tables: columns
            .iter()
            .enumerate()
            .map(|(index, count)| table(index, count))
            .collect(),
    })
}

fn hidden_name() -> impl Strategy<Value = String> {
    (0..3_usize, prop::option::of(0..3_usize)).prop_map(|(table, column)| match column {
        Some(column) => format!("T{table}.c{column}"),
        None => format!("t{table}"),
    })
}

fn visibilities() -> impl Strategy<Value = Vec<Visibility>> {
    let visibility = prop::collection::vec(hidden_name(), 0..4).prop_map(Visibility::hiding);
    prop::collection::vec(visibility, 1..6)
}

/// What one question does: which schema, seen by whom, told how much; or a new generation takes the place of a schema.
fn steps() -> impl Strategy<Value = Vec<(usize, usize, usize, bool)>> {
    prop::collection::vec((0..8_usize, 0..6_usize, 0..3_usize, any::<bool>()), 1..80)
}

fn same(remembered: &VisibleSchema, made: &VisibleSchema, values: SendValues) {
    assert_eq!(remembered.tables(), made.tables());
    assert_eq!(remembered.hash(), made.hash());
    assert_eq!(remembered.schema_fingerprint(), made.schema_fingerprint());
    for table in made.tables() {
        assert_eq!(
            remembered.has_hidden_columns(&table.name),
            made.has_hidden_columns(&table.name)
        );
    }
    let question = Question::parse("How many?").expect("a question");
    assert_eq!(
        prompt::first(&question, remembered, values, &[]),
        prompt::first(&question, made, values, &[])
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_remembered_is_what_would_be_made_now(
        shapes in prop::collection::vec((prop::collection::vec(1..4_usize, 1..4), "[a-c]{1,3}"), 1..8),
        visibilities in visibilities(),
        steps in steps(),
    ) {
        let known = Known::default();
        let make = |index: usize| {
            let (columns, sample) = &shapes[index % shapes.len()];
            schema(columns, sample)
        };
        let mut schemas: Vec<Arc<Schema>> = (0..shapes.len()).map(make).collect();
        for (schema, visibility, values, is_replaced) in steps {
            let index = schema % schemas.len();
            if is_replaced {
                // Dropped before the next one is made, so that the next one may lie where it lay.
                schemas[index] = Arc::default();
                schemas[index] = make(schema + values);
            }
            let visibility = &visibilities[visibility % visibilities.len()];
            let remembered = known.visible(&schemas[index], visibility);
            let made = VisibleSchema::new(&schemas[index], visibility);
            same(&remembered, &made, VALUES[values]);
            prop_assert!(lock(&known.visible).len() <= MAX_VISIBLE);
        }
    }
}

#[test]
fn threads_of_different_roles_each_see_their_own() {
    let known = Known::default();
    let schema = schema(&[3, 3, 3], "a");
    std::thread::scope(|scope| {
        for hidden in 0..6_usize {
            let (known, schema) = (&known, &schema);
            scope.spawn(move || {
                let visibility = Visibility::hiding([format!("t{}.c{}", hidden % 3, hidden / 3)]);
                for _ in 0..40 {
                    let made = VisibleSchema::new(schema, &visibility);
                    same(&known.visible(schema, &visibility), &made, SendValues::All);
                }
            });
        }
    });
}

#[test]
fn a_second_question_of_one_role_makes_nothing() {
    let known = Known::default();
    let schema = schema(&[2, 2], "a");
    let everything = Visibility::everything();
    let first = known.visible(&schema, &everything);
    known.visible(&schema, &Visibility::hiding(["t0"]));
    assert!(Arc::ptr_eq(&first, &known.visible(&schema, &everything)));
}

#[test]
fn rows_are_read_once_for_each_version() {
    block_on(async {
        let remembered = Remembered::default();
        let reads = AtomicUsize::new(0);
        let of = async |version: &str| {
            let read = async { Ok(reads.fetch_add(1, Ordering::Relaxed)) };
            remembered.of(&Version::stored(version), read).await
        };
        for (version, rows) in [("a", 0), ("a", 0), ("b", 1), ("b", 1), ("a", 2)] {
            assert_eq!(of(version).await, Ok(Arc::new(rows)), "{version}");
        }
    });
}

#[test]
fn questions_that_miss_at_once_wait_for_one_read() {
    block_on(async {
        let remembered = Remembered::default();
        let reads = AtomicUsize::new(0);
        let (go, gate) = futures::channel::oneshot::channel::<()>();
        let gate = futures::FutureExt::shared(gate);
        let all = join_all((0..20).map(|_| {
            let (gate, reads) = (gate.clone(), &reads);
            let read = async move {
                gate.await
                    .map_err(|_| Error::new(Code::Internal, "closed"))?;
                Ok(reads.fetch_add(1, Ordering::Relaxed))
            };
            remembered.of_version("a", read)
        }));
        let (rows, _) = futures::join!(all, async { go.send(()) });
        assert!(rows.iter().all(|rows| *rows == Ok(Arc::new(0))), "{rows:?}");
        assert_eq!(reads.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_read_that_fails_or_is_given_up_leaves_the_next_one_to_read() {
    block_on(async {
        let remembered = Remembered::default();
        let down = || Error::new(Code::SystemStoreDown, "gone");
        let failed = remembered.of_version("a", async { Err(down()) }).await;
        assert_eq!(failed, Err(down()));
        let mut given_up = Box::pin(remembered.of_version("a", std::future::pending()));
        assert!(futures::FutureExt::now_or_never(&mut given_up).is_none());
        drop(given_up);
        assert_eq!(
            remembered.of_version("a", async { Ok(7) }).await,
            Ok(Arc::new(7))
        );
    });
}

#[test]
fn a_user_is_worth_noting_once_a_second() {
    let known = Known::default();
    let at = |milliseconds| DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds);
    let worth = |user, milliseconds| known.is_worth_noting(user, at(milliseconds));
    assert!(worth(1, 0));
    assert!(!worth(1, 999));
    assert!(worth(2, 999));
    assert!(worth(1, 1_000));
    assert!(!worth(1, 1_500));
    // A clock that was set back must not silence anyone for as long as it was ahead.
    assert!(worth(1, -3_600_000));
}

#[test]
fn no_more_users_are_remembered_than_there_is_room_for() {
    let known = Known::default();
    let now = DateTime::UNIX_EPOCH;
    for user in 0..=2 * MAX_NOTED as i64 {
        assert!(known.is_worth_noting(user, now));
    }
    assert_eq!(lock(&known.noted).len(), MAX_NOTED);
    assert!(known.is_worth_noting(-1, now + TimeDelta::seconds(2)));
    assert_eq!(lock(&known.noted).len(), 1);
}

impl<T> Remembered<T> {
    async fn of_version(
        &self,
        version: &str,
        read: impl Future<Output = Result<T, Error>>,
    ) -> Result<Arc<T>, Error> {
        self.of(&Version::stored(version), read).await
    }
}
