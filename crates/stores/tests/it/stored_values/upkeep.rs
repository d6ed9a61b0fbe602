//! How the index comes to be, stays whole and goes.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use engine::guard::guard;
use engine::ports::{Clock, QueryLimits};
use engine::prompt::GeneratedSql;
use engine::result::Value;
use stores::golden_copy::{GoldenCopy, GoldenCopySettings};
use stores::target::values::build;

use super::*;

const GERMANY: [&str; 2] = [
    "customers.country = Germany (2, exact)",
    "suppliers.country = Germany (1, exact)",
];

#[tokio::test]
async fn the_index_is_private_and_is_used_again() {
    let scene = Scene::company();
    assert_eq!(scene.found("Germany", &[]).await.len(), 2);
    let metadata = fs::metadata(scene.index()).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o400);
    assert!(!scene.folder.path().join("copy.values.part").exists());
    let made = metadata.modified().unwrap();
    let scene = scene.reopened();
    assert_eq!(scene.found("in Germany", &[]).await, GERMANY);
    assert_eq!(
        fs::metadata(scene.index()).unwrap().modified().unwrap(),
        made
    );
}

#[tokio::test]
async fn an_index_that_cannot_be_used_is_built_anew() {
    let scene = Scene::company();
    scene.found("Germany", &[]).await;
    let whole = fs::read(scene.index()).unwrap();
    let mut torn = whole.clone();
    torn[5_000..9_000].fill(0xaa);
    let damages: [&[u8]; 4] = [
        b"",
        b"not a database at all",
        &whole[..whole.len() / 2],
        &torn,
    ];
    let mut scene = scene;
    for damage in damages {
        fs::remove_file(scene.index()).unwrap();
        fs::write(scene.index(), damage).unwrap();
        scene = scene.reopened();
        assert_eq!(
            scene.found("in Germany", &[]).await,
            GERMANY,
            "{} bytes",
            damage.len()
        );
        assert_ne!(fs::read(scene.index()).unwrap(), damage);
    }
    for other in [
        "UPDATE meta SET value = '0' WHERE name = 'format'",
        "UPDATE meta SET value = 'another content' WHERE name = 'content'",
        "DELETE FROM meta",
        "DROP TABLE meta",
    ] {
        fs::set_permissions(scene.index(), fs::Permissions::from_mode(0o600)).unwrap();
        let index = Connection::open(scene.index()).unwrap();
        index
            .execute_batch(&format!("DELETE FROM entries; {other}"))
            .unwrap();
        drop(index);
        scene = scene.reopened();
        assert_eq!(scene.found("in Germany", &[]).await, GERMANY, "{other}");
    }
}

#[tokio::test]
async fn an_index_that_is_damaged_while_in_use_is_built_anew() {
    let scene = Scene::company();
    assert_eq!(scene.found("in Germany", &[]).await, GERMANY);
    // The same file, which is open: every page but the first is rubbish from here on.
    fs::set_permissions(scene.index(), fs::Permissions::from_mode(0o600)).unwrap();
    let length = fs::metadata(scene.index()).unwrap().len();
    let rubbish = vec![0xaa; usize::try_from(length).unwrap() - 4_096];
    let file = fs::OpenOptions::new()
        .write(true)
        .open(scene.index())
        .unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &rubbish, 4_096).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    // Pages that are still in memory are as good as ever: SQLite is told to give up those that nobody uses.
    let memory = Connection::open_in_memory().unwrap();
    memory
        .execute_batch("PRAGMA soft_heap_limit = 1; PRAGMA soft_heap_limit = 0;")
        .unwrap();
    let mut was_replaced = false;
    for word in ["Brazil", "London", "express", "France"]
        .into_iter()
        .cycle()
    {
        let found = scene.look(&format!("in {word}"), &[]).await;
        let now = fs::metadata(scene.index()).map(|metadata| metadata.permissions().mode() & 0o777);
        was_replaced |= now.is_ok_and(|mode| mode == 0o400);
        if was_replaced && found.values.len() == 1 {
            break;
        }
        assert!(Instant::now() < deadline, "the index stays damaged");
    }
    assert_eq!(scene.found("in Germany", &[]).await, GERMANY);
}

#[tokio::test]
async fn a_copy_that_cannot_be_read_has_no_index() {
    let folder = tempfile::tempdir().unwrap();
    let source = ValueIndexSource {
        copy: folder.path().join("gone.db"),
        schema: Arc::default(),
        content: String::new(),
        index: folder.path().join("gone.values.db"),
        limits: ValueIndexLimits::default(),
    };
    let index = ValueIndex::start(source, Box::new(()));
    let visible = VisibleSchema::new(&Default::default(), &Visibility::everything());
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let found = index.find("in Germany", &visible, 8).await.unwrap();
        assert_eq!(found.values, []);
        if found.index == ValueIndexState::Missing {
            break;
        }
        assert!(Instant::now() < deadline, "{:?}", found.index);
        tokio::task::yield_now().await;
    }
    assert!(!folder.path().join("gone.values.part").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_rows_are_indexed_while_questions_are_answered() {
    let scene = Scene::with(
        "CREATE TABLE events (id INTEGER PRIMARY KEY, country TEXT, who TEXT, code TEXT, at TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
         INSERT INTO events SELECT i, 'Country ' || char(65 + i % 20), 'person ' || (i % 90000) || ' x',
             'EV-' || i, '2024-01-01T00:00:00Z' FROM n;
         INSERT INTO events VALUES (NULL, 'Atlantis', 'Nemo', 'EV-x', NULL);",
        ValueIndexLimits::default(),
    );
    let begun = Instant::now();
    let visible = scene.see(&[]);
    let count = guard(&GeneratedSql::new("SELECT count(*) FROM events"), &visible).unwrap();
    let mut answered = 0;
    let found = loop {
        let found = scene
            .generation
            .find_values("events in Atlantis", &visible, 8);
        let found = found.await.unwrap();
        if found.index != ValueIndexState::Building {
            break found;
        }
        let rows = scene
            .generation
            .query(&count, &QueryLimits::default())
            .await;
        assert_eq!(rows.unwrap().rows, [[Value::Integer(1_000_001)]]);
        answered += 1;
    };
    let built = begun.elapsed();
    assert!(answered > 0, "nobody could ask meanwhile");
    assert_eq!(as_text(&found), ["events.country = Atlantis (1, exact)"]);
    // More people than there is room for: those of them that recur are known.
    assert_eq!(found.index, ValueIndexState::Bounded);
    let columns: Vec<&str> = found
        .left_out
        .iter()
        .map(|one| one.column.as_str())
        .collect();
    assert_eq!(columns, ["who"]);
    let person = scene.found("what did person 77 x do", &[]).await;
    assert_eq!(person, ["events.who = person 77 x (12, exact)"]);
    let bytes = fs::metadata(scene.index()).unwrap().len();
    eprintln!(
        "indexed a million rows in {built:?}, {bytes} bytes, {answered} questions answered meanwhile"
    );
    assert!(bytes < 64 << 20, "{bytes} bytes");
}

#[test]
fn building_stops_when_it_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    Connection::open(&copy)
        .unwrap()
        .execute_batch(COMPANY)
        .unwrap();
    let source = ValueIndexSource {
        schema: Arc::new(read_schema(&copy, &Default::default(), &|_, _| ()).unwrap()),
        copy,
        content: String::new(),
        index: folder.path().join("copy.values.db"),
        limits: ValueIndexLimits::default(),
    };
    let part = folder.path().join("part");
    assert!(build(&source, &part, &|| true).is_err());
    let built = build(&source, &part, &|| false).unwrap();
    assert!(built.values > 20 && built.bytes > 0, "{built:?}");
}

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }
}

#[tokio::test]
async fn each_generation_has_an_index_that_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original.db");
    let change = |sql: &str| {
        Connection::open(&original)
            .unwrap()
            .execute_batch(sql)
            .unwrap()
    };
    change(COMPANY);
    let settings = GoldenCopySettings {
        keep_generations: 1,
        pause: Duration::ZERO,
        value_index: Some(ValueIndexLimits::default()),
        ..GoldenCopySettings::new(
            original.clone(),
            folder.path().join("ours/copy.db"),
            Arc::new(FixedClock),
        )
    };
    let golden_copy = GoldenCopy::new(settings).unwrap();
    let indexes = || -> Vec<String> {
        let entries = fs::read_dir(folder.path().join("ours/copy.db.generations")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains(".values.")).collect()
    };
    let see = |generation: &Arc<dyn TargetGeneration>| {
        VisibleSchema::new(generation.schema(), &Visibility::everything())
    };
    let first = golden_copy.ensure(&|_| ()).unwrap();
    let found = look(
        &*first.generation,
        "in Atlantis or Peru",
        &see(&first.generation),
    )
    .await;
    assert_eq!(as_text(&found), ["suppliers.country = Peru (1, exact)"]);

    change("UPDATE suppliers SET country = 'Atlantis' WHERE country = 'Peru'");
    let second = golden_copy.refresh(&|_| ()).unwrap();
    let found = look(
        &*second.generation,
        "in Atlantis or Peru",
        &see(&second.generation),
    )
    .await;
    assert_eq!(as_text(&found), ["suppliers.country = Atlantis (1, exact)"]);
    // Who holds the old one still finds what was in it.
    let found = look(
        &*first.generation,
        "in Atlantis or Peru",
        &see(&first.generation),
    )
    .await;
    assert_eq!(as_text(&found), ["suppliers.country = Peru (1, exact)"]);
    let old = first.fingerprint.clone();
    assert!(indexes().contains(&format!("{old}.values.db")));

    drop(first);
    change("DELETE FROM suppliers");
    let deadline = Instant::now() + Duration::from_secs(60);
    // The thread that built lets go of the old generation a moment after it has.
    while indexes().iter().any(|name| name.starts_with(&old)) {
        assert!(Instant::now() < deadline, "{:?}", indexes());
        change("INSERT INTO numbers VALUES (1, 1)");
        golden_copy.refresh(&|_| ()).unwrap();
    }
    let last = golden_copy.generation().unwrap();
    let found = look(&*last, "in Atlantis or Germany", &see(&last)).await;
    assert_eq!(as_text(&found), ["customers.country = Germany (2, exact)"]);
}
