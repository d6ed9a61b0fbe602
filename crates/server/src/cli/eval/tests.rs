use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::*;

/// Answers from a script, and counts how often it is asked.
struct Scripted {
    arm: Arm,
    model: &'static str,
    /// SQL by question; a question without any is refused.
    sql: HashMap<&'static str, &'static str>,
    asked: AtomicUsize,
    fails_after: usize,
}

impl Scripted {
    fn new(arm: Arm, sql: &[(&'static str, &'static str)]) -> Self {
        Self {
            arm,
            model: "script",
            sql: sql.iter().copied().collect(),
            asked: AtomicUsize::new(0),
            fails_after: usize::MAX,
        }
    }
}

#[async_trait]
impl Predictor for Scripted {
    fn arm(&self) -> Arm {
        self.arm
    }

    fn settings(&self) -> PredictorSettings {
        PredictorSettings {
            model: ModelIdentity {
                name: self.model.to_owned(),
                hash: "0".to_owned(),
                is_remote: false,
            },
            prompt_version: "1".to_owned(),
            options: json!({ "max_repairs": 0 }),
        }
    }

    async fn predict(
        &self,
        database: &Path,
        question: &str,
        previous: Option<Previous<'_>>,
    ) -> Prediction {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let told = previous.map_or_else(
            || question.to_owned(),
            |before| format!("{}: {}: {question}", before.question, before.sql),
        );
        let sql = self.sql.get(told.as_str()).copied();
        let result = match sql {
            _ if asked >= self.fails_after => {
                Err(Error::new(Code::ModelMissing, "the model has gone"))
            }
            None => Err(Error::new(
                Code::CannotBeAnswered,
                "nothing here answers this",
            )),
            Some(sql) => run_gold(database, sql)
                .await
                .map_err(|message| Error::new(Code::CannotBeAnswered, message)),
        };
        Prediction {
            fault: sql.filter(|_| result.is_err()).map(|_| Code::InvalidSql),
            sql: sql.map(str::to_owned),
            result,
            seconds: 1.5,
            generate_seconds: 1.0,
            tokens: TokenCounts {
                prompt: 120,
                prompt_reused: if asked == 0 { 0 } else { 100 },
                prompt_prefix: 100,
                generated: 20,
            },
            repairs: 0,
            signals: None,
        }
    }
}

/// Four questions over one small database and one over another.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, rows) in [("shop", "(1, 'pan'), (2, 'pot')"), ("other", "(7, 'lid')")] {
            let connection =
                rusqlite::Connection::open(folder.path().join(format!("{name}.sqlite"))).unwrap();
            let sql = format!(
                "CREATE TABLE products (id INTEGER, name TEXT); INSERT INTO products VALUES {rows};"
            );
            connection.execute_batch(&sql).unwrap();
        }
        let item = |id: &str, db: &str, gold: &str, hardness: Value, source: &str| json!({ "id": id, "db": db, "question": id, "evidence": "", "gold_sql": gold, "hardness": hardness, "source": source });
        let items = [
            item(
                "right",
                "shop",
                "SELECT id, name FROM products ORDER BY id",
                json!("easy"),
                "own",
            ),
            item(
                "lid",
                "other",
                r#"SELECT id FROM products WHERE name = "lid""#,
                json!("hard"),
                "own",
            ),
            item(
                "wrong",
                "shop",
                "SELECT name FROM products",
                json!("easy"),
                "spider-train",
            ),
            item("invalid", "shop", "SELECT 1", Value::Null, "own"),
            item("refused", "shop", "SELECT 2", Value::Null, "own"),
        ];
        let lines: Vec<String> = items.iter().map(Value::to_string).collect();
        std::fs::write(folder.path().join("questions.jsonl"), lines.join("\n")).unwrap();
        Self { folder }
    }

    fn args(&self) -> Args {
        Args {
            questions: self.folder.path().join("questions.jsonl"),
            databases: self.folder.path().to_owned(),
            limit: None,
            json: Some(self.out()),
            fresh: false,
            arms: vec![Arm::Product],
            replies: None,
            constrained: None,
            schema: None,
            fit: None,
            report: None,
        }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("runs").join("out.jsonl")
    }

    fn lines(&self, path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

const ANSWERS: [(&str, &str); 4] = [
    ("right", "SELECT name, id FROM products"),
    ("lid", "SELECT id FROM products"),
    ("wrong", "SELECT id FROM products"),
    ("invalid", "SELECT price FROM products"),
];

fn predictors(scripted: impl IntoIterator<Item = Scripted>) -> Vec<Arc<dyn Predictor>> {
    scripted
        .into_iter()
        .map(|one| Arc::new(one) as Arc<dyn Predictor>)
        .collect()
}

#[tokio::test]
async fn every_question_gets_one_line_with_its_verdict() {
    let fixture = Fixture::new();
    let report = evaluate(
        &fixture.args(),
        &predictors([Scripted::new(Arm::Product, &ANSWERS)]),
    )
    .await
    .unwrap();

    let lines = fixture.lines(&fixture.out());
    let find = |id: &str| lines.iter().find(|line| line["id"] == id).unwrap();
    assert_eq!(lines.len(), 5);
    // By database, in the order of the file.
    let order: Vec<&str> = lines
        .iter()
        .map(|line| line["id"].as_str().unwrap())
        .collect();
    assert_eq!(order, ["right", "wrong", "invalid", "refused", "lid"]);
    for (id, verdict, bird, sql, reason) in [
        (
            "right",
            "right",
            false,
            json!(ANSWERS[0].1),
            "the same rows",
        ),
        ("lid", "right", true, json!(ANSWERS[1].1), "the same rows"),
        ("wrong", "wrong", false, json!(ANSWERS[2].1), "other values"),
        (
            "invalid",
            "wrong",
            false,
            Value::Null,
            "cannot_be_answered: no such column: price in SELECT price FROM products at offset 7",
        ),
        (
            "refused",
            "wrong",
            false,
            Value::Null,
            "cannot_be_answered: nothing here answers this",
        ),
    ] {
        let line = find(id);
        assert_eq!(
            (&line["verdict"], &line["bird"]),
            (&json!(verdict), &json!(bird)),
            "{id}"
        );
        assert_eq!(
            (&line["sql"], &line["reason"]),
            (&sql, &json!(reason)),
            "{id}"
        );
    }
    assert_eq!(
        (
            &find("right")["rows_gold"],
            &find("right")["rows_predicted"]
        ),
        (&json!(2), &json!(2))
    );
    assert_eq!(find("invalid")["rejected_sql"], ANSWERS[3].1);
    assert_eq!(
        (&find("invalid")["no_answer"], &find("refused")["no_answer"]),
        (&json!("invalid_sql"), &json!("refused"))
    );
    // No text of the set is in what may be published.
    assert!(
        lines
            .iter()
            .all(|line| line.get("question").is_none() && line.get("gold_sql").is_none())
    );

    let all = &report.runs[0].groups[0];
    assert_eq!(
        (all.test_suite.right, all.test_suite.of, all.bird.right),
        (2, 5, 1)
    );
    assert_eq!((all.invalid_sql, all.refused, all.failed), (1, 1, 0));
    let names: Vec<&str> = report.runs[0]
        .groups
        .iter()
        .map(|group| group.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "all",
            "all but spider-train",
            "easy",
            "hard",
            "no hardness",
            "own",
            "spider-train"
        ]
    );
    assert_eq!(
        (
            report.runs[0].prefix.questions,
            report.runs[0].prefix.exceptions.len()
        ),
        (3, 0)
    );
    let summary: Value =
        serde_json::from_str(&std::fs::read_to_string(summary_file(&fixture.out())).unwrap())
            .unwrap();
    assert_eq!(summary["runs"][0]["groups"][0]["test_suite"]["right"], 2);
}

#[tokio::test]
async fn a_run_that_was_cut_off_goes_on_where_it_was() {
    let fixture = Fixture::new();
    let mut broken = Scripted::new(Arm::Product, &ANSWERS);
    broken.fails_after = 2;
    let error = evaluate(&fixture.args(), &predictors([broken]))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("the model has gone"),
        "{error:#}"
    );
    assert_eq!(fixture.lines(&fixture.out()).len(), 2);
    // The third line was being written when the power went.
    let mut text = std::fs::read_to_string(fixture.out()).unwrap();
    text.push_str("{\"id\":\"inval");
    std::fs::write(fixture.out(), text).unwrap();

    let second = Arc::new(Scripted::new(Arm::Product, &ANSWERS));
    let report = evaluate(
        &fixture.args(),
        &[Arc::clone(&second) as Arc<dyn Predictor>],
    )
    .await
    .unwrap();
    assert_eq!(second.asked.load(Ordering::SeqCst), 3);
    assert_eq!(fixture.lines(&fixture.out()).len(), 5);
    assert_eq!(report.runs[0].groups[0].test_suite.right, 2);

    let third = Arc::new(Scripted::new(Arm::Product, &ANSWERS));
    evaluate(&fixture.args(), &[Arc::clone(&third) as Arc<dyn Predictor>])
        .await
        .unwrap();
    assert_eq!(third.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_file_of_another_model_is_not_gone_on_with_unless_started_over() {
    let fixture = Fixture::new();
    evaluate(
        &fixture.args(),
        &predictors([Scripted::new(Arm::Product, &ANSWERS)]),
    )
    .await
    .unwrap();
    let other = || {
        let mut other = Scripted::new(Arm::Product, &ANSWERS[..1]);
        other.model = "another";
        predictors([other])
    };
    let error = evaluate(&fixture.args(), &other()).await.unwrap_err();
    assert!(
        error.to_string().contains("other settings (model)"),
        "{error:#}"
    );
    assert_eq!(fixture.lines(&fixture.out()).len(), 5);
    let fresh = Args {
        fresh: true,
        ..fixture.args()
    };
    let report = evaluate(&fresh, &other()).await.unwrap();
    assert_eq!(report.runs[0].groups[0].test_suite.right, 1);
    assert_eq!(fixture.lines(&fixture.out()).len(), 5);
}

#[tokio::test]
async fn two_ways_of_answering_are_compared_question_by_question() {
    let fixture = Fixture::new();
    let args = Args {
        arms: vec![Arm::Product, Arm::Plain],
        ..fixture.args()
    };
    let arms = [
        Scripted::new(Arm::Product, &ANSWERS),
        Scripted::new(Arm::Plain, &ANSWERS[1..]),
    ];
    let report = evaluate(&args, &predictors(arms)).await.unwrap();
    let paired = report.paired[0].test_suite;
    assert_eq!(
        (
            paired.both_right,
            paired.only_first,
            paired.only_second,
            paired.both_wrong
        ),
        (1, 1, 0, 3)
    );
    assert_eq!(fixture.lines(&fixture.out()).len(), 5);
    let plain = fixture
        .folder
        .path()
        .join("runs")
        .join("out.jsonl.plain.jsonl");
    assert_eq!(fixture.lines(&plain).len(), 5);

    let mut drawn = Vec::new();
    eval_report::print(&report, &mut drawn).unwrap();
    let drawn = String::from_utf8(drawn).unwrap();
    for expected in [
        "product: script",
        "40.0 %",
        "only product",
        "+20.0",
        "no exception",
    ] {
        assert!(drawn.contains(expected), "no {expected} in\n{drawn}");
    }
}

#[tokio::test]
async fn a_limit_asks_the_first_questions_only_and_can_be_raised() {
    let fixture = Fixture::new();
    for (limit, expected) in [(Some(2), 2), (Some(4), 4), (None, 5)] {
        let args = Args {
            limit,
            ..fixture.args()
        };
        let report = evaluate(&args, &predictors([Scripted::new(Arm::Product, &ANSWERS)]))
            .await
            .unwrap();
        assert_eq!(report.runs[0].groups[0].test_suite.of, expected);
        assert_eq!(fixture.lines(&fixture.out()).len() as u64, expected);
    }
}

#[tokio::test]
async fn gold_that_fails_does_not_count_and_is_named() {
    let fixture = Fixture::new();
    let questions = fixture.folder.path().join("questions.jsonl");
    let text = std::fs::read_to_string(&questions)
        .unwrap()
        .replace("SELECT 1", "SELECT gone FROM products");
    std::fs::write(&questions, text).unwrap();
    let report = evaluate(
        &fixture.args(),
        &predictors([Scripted::new(Arm::Product, &ANSWERS)]),
    )
    .await
    .unwrap();
    assert_eq!(report.runs[0].no_gold, ["invalid"]);
    assert_eq!(report.runs[0].groups[0].test_suite.of, 4);
}

#[tokio::test]
async fn a_set_that_cannot_be_asked_says_why() {
    let fixture = Fixture::new();
    let questions = fixture.folder.path().join("questions.jsonl");
    let good = std::fs::read_to_string(&questions).unwrap();
    for (text, expected) in [
        (good.replace("\"shop\"", "\"gone\""), "for `gone`"),
        (good.replace("\"shop\"", "\"../shop\""), "for `../shop`"),
        (good.replace("\"wrong\"", "\"right\""), "occurs twice"),
        (good.replace("\"gold_sql\"", "\"sql\""), "line 1"),
        (String::new(), "no questions"),
    ] {
        std::fs::write(&questions, text).unwrap();
        let error = evaluate(
            &fixture.args(),
            &predictors([Scripted::new(Arm::Product, &[])]),
        )
        .await
        .unwrap_err();
        assert!(
            format!("{error:#}").contains(expected),
            "{error:#} does not say {expected}"
        );
    }
}

mod follow_ups;

#[test]
fn evidence_is_asked_as_a_business_note() {
    let line = json!({ "id": "1", "db": "x", "question": "How many?", "evidence": " Count rows. ", "gold_sql": "SELECT 1" });
    let item: Item = serde_json::from_value(line).unwrap();
    assert_eq!(
        item.full_question(),
        "How many? (Business note: Count rows.)"
    );
}

#[tokio::test]
async fn all_gold_of_the_demo_company_has_one_answer() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../evals/demo_company.jsonl");
    let set = questions::load(&path, None).unwrap();
    assert_eq!(set.items.len(), 40);
    let folder = tempfile::tempdir().unwrap();
    let groups = questions::group_by_database(set.items, folder.path()).unwrap();
    assert_eq!(groups.len(), 1);
    let group = &groups[0];
    // The same rows, whatever way SQLite happens to walk its tables: no order left open decides an answer.
    let reversed = rusqlite::Connection::open(&group.path).unwrap();
    reversed
        .execute_batch("PRAGMA reverse_unordered_selects = ON")
        .unwrap();
    let mut hardness: HashMap<&str, usize> = HashMap::new();
    for item in &group.items {
        *hardness
            .entry(item.hardness.as_deref().unwrap())
            .or_default() += 1;
        assert_eq!(
            (item.source.as_deref(), item.evidence.as_str()),
            (Some("demo"), ""),
            "{}",
            item.id
        );
        let orders =
            orders_rows(&item.gold_sql).unwrap_or_else(|error| panic!("{}: {error}", item.id));
        let rows = run_gold(&group.path, &item.gold_sql)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", item.id));
        assert!(
            (1..=1_000).contains(&rows.rows.len()),
            "{}: {} rows",
            item.id,
            rows.rows.len()
        );
        let blank = engine::result::Value::Null;
        assert!(
            rows.rows
                .iter()
                .any(|row| row.iter().any(|value| *value != blank)),
            "{}",
            item.id
        );
        let again = gold::rows_on(&reversed, &item.gold_sql).unwrap();
        assert!(
            judge(&rows, &again, orders).test_suite,
            "{}: the answer depends on chance",
            item.id
        );
    }
    for (name, least) in [("easy", 8), ("medium", 8), ("hard", 8), ("extra", 6)] {
        assert!(hardness[name] >= least, "{hardness:?}");
    }
}
