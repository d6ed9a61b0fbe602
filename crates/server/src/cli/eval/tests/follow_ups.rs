//! Questions that follow another.

use super::*;

/// Two turns over one database, and a third that follows what has no answer.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let item = |id: &str, gold: &str, follows: Value| json!({ "id": id, "db": "shop", "question": id, "gold_sql": gold, "follows": follows });
    let items = [
        item("all", "SELECT count(*) FROM products", Value::Null),
        item("only pans", "SELECT 1", json!("all")),
        item("refused", "SELECT 1", Value::Null),
        item("and pots", "SELECT 1", json!("refused")),
    ];
    let lines: Vec<String> = items.iter().map(Value::to_string).collect();
    std::fs::write(fixture.args().questions, lines.join("\n")).unwrap();
    fixture
}

fn scripted(arm: Arm) -> Scripted {
    let count = "SELECT count(*) FROM products";
    Scripted::new(
        arm,
        &[
            ("all", count),
            ("only pans", "SELECT 2"),
            // What is shown of the turn before stands before the question.
            ("all: SELECT count(*) FROM products: only pans", "SELECT 1"),
            ("and pots", "SELECT 1"),
        ],
    )
}

#[tokio::test]
async fn a_second_turn_leans_on_the_sql_that_the_first_was_answered_with() {
    let fixture = fixture();
    let (args, one) = (fixture.args(), predictors([scripted(Arm::Product)]));
    let report = evaluate(&args, &one).await.unwrap();
    let lines = fixture.lines(&fixture.out());
    let right: Vec<&Value> = lines.iter().map(|line| &line["test_suite"]).collect();
    assert_eq!(right, [true, true, false, true]);
    assert_eq!(lines[1]["follows"], "all");
    assert!(lines[0].get("follows").is_none());
    let groups = &report.runs[0].groups;
    let share = |name: &str| {
        let group = groups.iter().find(|group| group.name == name).unwrap();
        (group.test_suite.right, group.test_suite.of)
    };
    assert_eq!(share("first turns"), (1, 2));
    assert_eq!(share("second turns"), (2, 2));
    assert!(report.paired.is_empty());
}

#[tokio::test]
async fn a_run_that_was_cut_off_leans_on_what_was_kept() {
    let fixture = fixture();
    let cut_off = Scripted {
        fails_after: 1,
        ..scripted(Arm::Product)
    };
    let broken = evaluate(&fixture.args(), &predictors([cut_off])).await;
    assert!(broken.is_err());
    let (args, one) = (fixture.args(), predictors([scripted(Arm::Product)]));
    evaluate(&args, &one).await.unwrap();
    assert_eq!(fixture.lines(&fixture.out())[1]["test_suite"], true);
}

#[tokio::test]
async fn second_turns_are_compared_apart() {
    let fixture = fixture();
    let both = predictors([scripted(Arm::Product), scripted(Arm::Alone)]);
    let args = Args {
        arms: vec![Arm::Product, Arm::Alone],
        ..fixture.args()
    };
    let report = evaluate(&args, &both).await.unwrap();
    let paired = &report.paired[0];
    let follow_ups = paired.follow_ups.as_ref().unwrap();
    assert_eq!(
        (
            follow_ups.both_right,
            follow_ups.only_first,
            follow_ups.both_wrong
        ),
        (2, 0, 0)
    );
    assert_eq!(paired.test_suite.both_right, 3);
}

#[test]
fn a_question_follows_one_before_it() {
    let fixture = fixture();
    let path = fixture.args().questions;
    let text = std::fs::read_to_string(&path).unwrap();
    for (follows, line) in [("nobody", 2), ("and pots", 2)] {
        let changed = text.replace(r#""follows":"all""#, &format!(r#""follows":"{follows}""#));
        assert_ne!(changed, text);
        std::fs::write(&path, changed).unwrap();
        let error = questions::load(&path, None).err().unwrap();
        assert!(
            error
                .message()
                .contains(&format!("line {line}: no question `{follows}`")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn all_gold_of_the_two_turn_cases_has_one_answer() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../evals/demo_company_follow_ups.jsonl");
    let set = questions::load(&path, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let groups = questions::group_by_database(set.items, folder.path()).unwrap();
    let group = &groups[0];
    let reversed = rusqlite::Connection::open(&group.path).unwrap();
    reversed
        .execute_batch("PRAGMA reverse_unordered_selects = ON")
        .unwrap();
    let mut kinds: HashMap<&str, usize> = HashMap::new();
    for item in &group.items {
        let orders = orders_rows(&item.gold_sql).unwrap();
        let rows = run_gold(&group.path, &item.gold_sql).await;
        let rows = rows.unwrap_or_else(|error| panic!("{}: {error}", item.id));
        let blank = engine::result::Value::Null;
        let says_something = rows.rows.iter().flatten().any(|value| *value != blank);
        assert!(says_something, "{}", item.id);
        let again = gold::rows_on(&reversed, &item.gold_sql).unwrap();
        assert!(judge(&rows, &again, orders).test_suite, "{}", item.id);
        let kind = item.source.as_deref().unwrap();
        assert_eq!(kind == "first turn", item.follows.is_none(), "{}", item.id);
        *kinds.entry(kind).or_default() += 1;
    }
    assert!(kinds["first turn"] >= 44, "{kinds:?}");
    assert_eq!(group.items.len(), 2 * kinds["first turn"]);
    assert!(kinds["topic change"] >= 8 && kinds.len() >= 12, "{kinds:?}");
}
