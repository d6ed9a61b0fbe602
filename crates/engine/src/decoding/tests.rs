use std::sync::Arc;

use super::*;
use crate::guard::guard;
use crate::guard::tests::company;
use crate::prompt::GeneratedSql;

/// Boats, whose they are, and races.
fn names() -> Arc<Names> {
    Arc::new(Names::new([
        ("boats", vec!["id", "owner_id", "tonnage"]),
        ("Owners", vec!["owner_id", "Name", "country"]),
        ("match", vec!["id", "year"]),
    ]))
}

fn check(statement: &str, expected: bool) {
    let names = names();
    let reply = format!("```sql\n{statement}");
    assert_eq!(names.admit(&reply), expected, "{statement}");
}

#[test]
fn what_may_still_come_right_is_admitted() {
    for statement in [
        "",
        "SEL",
        "SELECT ",
        "SELECT na",
        "SELECT name",
        "SELECT T1.name, T2.ton",
        "SELECT T1.name, T1.country, T2.id",
        "SELECT T1.name FROM owners AS T1",
        "SELECT name FROM boats",
        "SELECT name FROM boats JO",
        "SELECT name FROM boats AS p JOIN owners ON p.owner_id = owners.owner_id WHERE tonnage > 3",
        "SELECT COUNT(*) AS fleet FROM boats GROUP BY owner_id ORDER BY fleet DESC LIMIT 3",
        "SELECT COUNT(*) fleet FROM boats ORDER BY fle",
        "SELECT MAX(total) FROM",
        "SELECT strftime('%Y', year) FROM match WHERE year IS NOT NULL",
        "SELECT CAST(tonnage AS INTEGER) FROM boats",
        "SELECT name FROM owners WHERE owner_id IN (SELECT owner_id FROM boats WHERE tonnage > ",
        "SELECT name FROM owners AS p WHERE EXISTS (SELECT 1 FROM boats WHERE boats.owner_id = p.owner_id)",
        "SELECT (SELECT COUNT(*) FROM boats WHERE owner_id = p.owner_id) FROM owners AS p",
        "SELECT id FROM boats WHERE owner_id IN (SELECT id FROM owners)",
        "SELECT p.id FROM boats AS p, owners WHERE name = 'FROM nowhere'",
        "SELECT name FROM owners WHERE country = \"Russia\"",
        "SELECT `name` FROM `owners`",
        "SELECT T1.`na",
        "SELECT T1.`name`",
        "SELECT `",
        "SELECT \"name\" FROM \"owners\" WHERE [owner_id] = 2",
        "WITH rich AS (SELECT owner_id AS who, tonnage FROM boats) SELECT who, xyz FROM rich",
        "SELECT total FROM (SELECT SUM(tonnage) AS ",
        "SELECT name FROM owners UNION SELECT id FROM match ORDER BY name",
        "SELECT m.year FROM match AS m JOIN main.boats ON m.id = boats.id",
        "SELECT name FROM owners ORDER BY name COLLATE NOCASE, rowid",
        "SELECT id, RANK() OVER (PARTITION BY owner_id ORDER BY tonnage DESC) AS place FROM boats WHERE id > 2",
        "SELECT tonnage FROM boats WHERE id BETWEEN 1 AND 3 -- and xyz",
    ] {
        // What is not a column of any table is only admitted where a subquery may name it so.
        let is_free = statement.contains("total");
        check(statement, !is_free);
    }
}

#[test]
fn what_cannot_come_right_is_not() {
    for statement in [
        // No table has it.
        "SELECT boats_name",
        "SELECT T1.countries",
        "SELECT name FROM persons",
        "SELECT name FROM owners JOIN xy",
        // Another table has it.
        "SELECT name FROM boats WHERE",
        "SELECT name FROM boats GROUP",
        "SELECT name FROM boats GR",
        "SELECT name FROM boats;",
        "SELECT name FROM boats\n```",
        "SELECT name FROM boats\n`",
        "SELECT T1.name FROM boats AS T1",
        "SELECT T1.name, T1.ton",
        "SELECT T1.name, max(T1.tonnage)",
        "SELECT boats.name",
        "SELECT p.id FROM boats AS p WHERE p.na",
        "SELECT p.id FROM boats AS p WHERE p.name ",
        "SELECT id FROM boats WHERE countr",
        "SELECT id FROM boats WHERE country ",
        "SELECT p.id FROM boats AS p JOIN owners AS q ON p.name",
        "SELECT p.id FROM boats AS p JOIN owners AS q ON p.owner_id = r.owner_id",
        "SELECT id FROM boats UNION SELECT name FROM match ORDER",
        "SELECT `nam2` FROM",
        "SELECT T1.`na`",
        "SELECT p.`owner`",
    ] {
        check(statement, false);
    }
}

#[test]
fn a_reply_that_ends_is_held_to_all_it_named() {
    let check = |reply: &str, expected| assert_eq!(names().admit_whole(reply), expected, "{reply}");
    check("SELECT name FROM owners", true);
    check("SELECT name FROM boats", false);
    check("SELECT na", false);
    check("I cannot answer this.", true);
    check(
        "```sql\nSELECT id FROM boats\n```\nThat is all: name FROM boats.",
        true,
    );
}

#[test]
fn what_is_no_statement_is_left_alone() {
    for reply in [
        "Sorry, xyz",
        "```",
        "```sq",
        "Here it is:\n```sql\nSELECT id",
        "DROP TABLE xyz",
    ] {
        assert!(names().admit(reply), "{reply}");
    }
}

#[test]
fn names_cross_a_pipe() {
    let names = names();
    let text = serde_json::to_string(&*names).unwrap();
    assert_eq!(serde_json::from_str::<Names>(&text).unwrap(), *names);
}

/// Names that no prompt shows, and columns of a subquery that are named before it.
const NOT_SHOWN: &[&str] = &[
    "sqlite_",
    "pragma_",
    "main.",
    "_rowid_",
    "from (select",
    "from (values",
    "my cte",
    "sooner",
    "json_each",
    "json_tree",
    "over (base",
    ", v as (",
];

#[test]
fn no_beginning_of_a_statement_that_runs_is_passed_over() {
    let names = Names::of(&company::visible());
    let mut count = 0;
    let mut passed_over = Vec::new();
    for (_, _, sql) in company::lines("benign") {
        if NOT_SHOWN
            .iter()
            .any(|name| sql.to_lowercase().contains(name))
        {
            continue;
        }
        if guard(&GeneratedSql::new(&sql), &company::visible()).is_err() {
            continue;
        }
        count += 1;
        let mut ends = sql.char_indices().map(|(end, _)| end);
        let wrong = ends.find(|end| !names.admit(&format!("```sql\n{}", &sql[..*end])));
        if let Some(end) = wrong {
            passed_over.push(format!("{} ... of {sql}", &sql[..end]));
        } else if !names.admit_whole(&format!("```sql\n{sql}\n```")) {
            passed_over.push(sql);
        }
    }
    assert_eq!(passed_over, Vec::<String>::new());
    assert!(count > 100, "{count} statements of the corpus");
}
