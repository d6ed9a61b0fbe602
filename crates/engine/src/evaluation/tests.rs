use proptest::prelude::*;

use super::*;
use crate::result::{ResultColumn, Value};

fn result(rows: Vec<Vec<Value>>) -> ResultSet {
    let width = rows.first().map_or(0, Vec::len);
    let column = |name: usize| ResultColumn {
        name: name.to_string(),
        kind: "mixed".to_owned(),
    };
    ResultSet {
        columns: (0..width).map(column).collect(),
        rows,
        truncated: false,
    }
}

/// Reads a table: rows are split by `;`, cells by blanks. `_` is NULL, `'a` is text, `x'a` is bytes, a number with a point
/// or an exponent is real, any other is whole.
fn table(text: &str) -> ResultSet {
    let cell = |cell: &str| match cell {
        "_" => Value::Null,
        "inf" => Value::Real(f64::INFINITY),
        _ => match (cell.strip_prefix('\''), cell.strip_prefix("x'")) {
            (Some(text), _) => Value::Text(text.to_owned()),
            (_, Some(bytes)) => Value::Blob(bytes.as_bytes().to_vec()),
            _ if cell.contains(['.', 'e']) => Value::Real(cell.parse().expect("a real number")),
            _ => Value::Integer(cell.parse().expect("a whole number")),
        },
    };
    let rows = text.split(';').map(str::split_whitespace);
    result(
        rows.map(|row| row.map(cell).collect::<Vec<_>>())
            .filter(|row| !row.is_empty())
            .collect(),
    )
}

use Difference::{ColumnCount, Order, RowCount, Values};

#[test]
fn both_rules_say_what_they_are_known_for() {
    // Gold, predicted, whether the gold orders; the difference by the test-suite rule, and whether BIRD's is content.
    for (gold, predicted, ordered, difference, bird) in [
        ("1 'a; 2 'b", "1 'a; 2 'b", true, None, true),
        // Rows in any order, unless the gold orders.
        ("1 'a; 2 'b", "2 'b; 1 'a", false, None, true),
        ("1 'a; 2 'b", "2 'b; 1 'a", true, Some(Order), true),
        // Columns in any order by the test-suite rule only, also where rows are in order.
        ("1 'a; 2 'b", "'b 2; 'a 1", false, None, false),
        ("1 'a; 2 'b", "'a 1; 'b 2", true, None, false),
        ("1 'a; 2 'b", "'b 2; 'a 1", true, Some(Order), false),
        // Bags and sets.
        ("1; 1; 2", "1; 2; 2", false, Some(Values), true),
        ("1; 1; 2", "1; 2", false, Some(RowCount), true),
        ("1; 2", "1; 2; 3", false, Some(RowCount), false),
        // The columns are right one by one, but their rows are not.
        ("1 2; 3 4", "1 4; 3 2", false, Some(Values), false),
        ("1 1 2; 2 2 1", "1 2 2; 2 1 1", false, None, false),
        ("0 0; 1 1", "0 1; 1 0", false, Some(Values), false),
        // Column counts.
        ("1 2; 3 4", "1 2 2; 3 4 4", false, Some(ColumnCount), false),
        // Nothing is nothing, whatever the columns.
        ("", "", true, None, true),
        ("", "1", false, Some(RowCount), false),
        // Numbers.
        ("3", "3.0", false, None, true),
        ("3", "3.0000009", false, None, true),
        ("3", "3.00001", false, Some(Values), false),
        ("0.0", "0.0000009", false, None, true),
        ("0.1", "0.10001", false, Some(Values), false),
        ("123456789.0", "123456790.0", false, None, true),
        ("123456789", "123456790", false, Some(Values), false),
        ("123456789", "123456790.0", false, None, true),
        (
            "9007199254740992",
            "9007199254740993",
            false,
            Some(Values),
            false,
        ),
        ("-0.0", "0", false, None, true),
        ("inf", "inf", false, None, true),
        ("inf", "1e300", false, Some(Values), false),
        // Types.
        ("_", "_", false, None, true),
        ("_", "0", false, Some(Values), false),
        ("_", "'", false, Some(Values), false),
        ("1", "'1", false, Some(Values), false),
        ("'a", "x'a", false, Some(Values), false),
        ("'a", "'A", false, Some(Values), false),
    ] {
        let verdict = judge(&table(gold), &table(predicted), ordered);
        let expected = Verdict {
            test_suite: difference.is_none(),
            bird,
            difference,
        };
        assert_eq!(
            verdict, expected,
            "gold {gold}, predicted {predicted}, ordered {ordered}"
        );
    }
}

#[test]
fn noise_in_sums_does_not_tear_rows_apart() {
    let gold = table("0.1 'b; 0.1 'a; 0.30000000000000004 'c");
    let predicted = table("'a 0.10000000000000002; 'c 0.3; 'b 0.1");
    assert!(judge(&gold, &predicted, false).test_suite);
}

#[test]
fn what_was_cut_off_is_wrong() {
    let whole = table("1");
    let cut = ResultSet {
        truncated: true,
        ..whole.clone()
    };
    for (gold, predicted) in [(&whole, &cut), (&cut, &whole)] {
        let verdict = judge(gold, predicted, false);
        assert_eq!(verdict.difference, Some(Difference::Truncated));
        assert!(!verdict.bird);
    }
}

#[test]
fn only_an_outermost_order_by_orders() {
    for (sql, expected) in [
        ("SELECT a FROM t ORDER BY a", true),
        ("SELECT a FROM t ORDER BY a LIMIT 1;", true),
        ("SELECT a FROM t", false),
        ("SELECT a FROM (SELECT a FROM t ORDER BY a)", false),
        ("SELECT a FROM t WHERE b = 'order by c'", false),
        ("SELECT row_number() OVER (ORDER BY a) FROM t", false),
        ("SELECT group_concat(a ORDER BY b) FROM t", false),
        ("SELECT a FROM t UNION SELECT b FROM u ORDER BY 1", true),
        (
            "WITH x AS (SELECT a FROM t ORDER BY a) SELECT * FROM x",
            false,
        ),
        (
            "WITH x AS (SELECT a FROM t) SELECT * FROM x ORDER BY a",
            true,
        ),
        ("SELECT a FROM t WHERE b = \"x\" -- order by a", false),
        ("VALUES (1), (2)", false),
    ] {
        assert_eq!(orders_rows(sql), Ok(expected), "{sql}");
    }
    for sql in [
        "",
        "SELEC 1",
        "DELETE FROM t",
        "EXPLAIN SELECT 1 ORDER BY 1",
    ] {
        let code = orders_rows(sql).map_err(|error| error.code());
        assert_eq!(code, Err(Code::InvalidSql), "{sql}");
    }
}

/// A table that is hard to match by columns alone: cells 0 and 1 with as many of each in every column.
fn balanced(columns: usize, rows: usize, reverse: bool) -> ResultSet {
    let cell = |row: usize, column: usize| {
        let bit = (row * (2 * column + 3) / 2 + column * column / 3 + row * row * column) % 2;
        Value::Integer(i64::try_from(bit).expect("a bit"))
    };
    let columns: Vec<usize> = if reverse {
        (0..columns).rev().collect()
    } else {
        (0..columns).collect()
    };
    let rows = (0..rows).flat_map(|row| {
        let one: Vec<Value> = columns.iter().map(|column| cell(row, *column)).collect();
        let flip = |value: &Value| match value {
            Value::Integer(bit) => Value::Integer(1 - bit),
            other => other.clone(),
        };
        let other = one.iter().map(flip).collect();
        [one, other]
    });
    result(rows.collect())
}

#[test]
fn wide_tables_of_columns_that_look_alike_are_decided_soon() {
    // 60 columns have 8e81 permutations; each pair here must be decided by a search that prunes.
    let empty = result(vec![vec![Value::Null; 60]; 50]);
    assert!(judge(&empty, &empty, false).test_suite);
    let verdict = judge(&balanced(60, 40, false), &balanced(60, 40, true), false);
    assert!(verdict.test_suite, "{verdict:?}");
    // Each column is a cycle of ones one further on; cutting one cycle in two leaves every count as it was.
    let ring = |lengths: &[usize]| {
        let mut rows = Vec::new();
        let width: usize = lengths.iter().sum();
        let mut from = 0;
        for length in lengths {
            for place in 0..*length {
                let mut row = vec![Value::Integer(0); width];
                row[from + place] = Value::Integer(1);
                row[from + (place + 1) % length] = Value::Integer(1);
                rows.push(row);
            }
            from += length;
        }
        result(rows)
    };
    assert!(judge(&ring(&[5, 7]), &ring(&[7, 5]), false).test_suite);
    assert!(!judge(&ring(&[12]), &ring(&[6, 6]), false).test_suite);
    assert!(!judge(&ring(&[24]), &ring(&[12, 12]), false).test_suite);
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (-3_i64..4).prop_map(Value::Integer),
        (-3_i32..4).prop_map(|number| Value::Real(f64::from(number) / 2.0)),
        "[ab]{0,2}".prop_map(Value::Text),
        proptest::collection::vec(0_u8..2, 0..2).prop_map(Value::Blob),
    ]
}

/// A table of up to 5 columns and 8 rows, a permutation of its rows and one of its columns.
fn any_table() -> impl Strategy<Value = (ResultSet, Vec<usize>, Vec<usize>)> {
    (1_usize..6, 1_usize..9).prop_flat_map(|(width, height)| {
        let row = proptest::collection::vec(any_value(), width);
        (
            proptest::collection::vec(row, height).prop_map(result),
            Just((0..height).collect::<Vec<_>>()).prop_shuffle(),
            Just((0..width).collect::<Vec<_>>()).prop_shuffle(),
        )
    })
}

fn permuted(table: &ResultSet, rows: &[usize], columns: &[usize]) -> ResultSet {
    let row = |row: &usize| {
        columns
            .iter()
            .map(|column| table.rows[*row][*column].clone())
            .collect()
    };
    result(rows.iter().map(row).collect())
}

/// The test-suite rule as one would write it without caring about time.
fn same_by_trying_everything(gold: &ResultSet, predicted: &ResultSet) -> bool {
    fn permutations(items: &[usize]) -> Vec<Vec<usize>> {
        if items.is_empty() {
            return vec![Vec::new()];
        }
        let with_first = |place: usize| {
            let mut rest = items.to_vec();
            let first = rest.remove(place);
            permutations(&rest).into_iter().map(move |mut tail| {
                tail.insert(0, first);
                tail
            })
        };
        (0..items.len()).flat_map(with_first).collect()
    }
    let same = |a: &Value, b: &Value| match (a, b) {
        (Value::Integer(a), Value::Real(b)) | (Value::Real(b), Value::Integer(a)) => {
            *a as f64 == *b
        }
        _ => a == b,
    };
    let columns: Vec<usize> = (0..gold.columns.len()).collect();
    permutations(&columns).iter().any(|columns| {
        let mut left = predicted.rows.clone();
        gold.rows.iter().all(|row| {
            let fits = |other: &Vec<Value>| {
                columns
                    .iter()
                    .zip(row)
                    .all(|(column, value)| same(value, &other[*column]))
            };
            left.iter()
                .position(fits)
                .map(|place| left.swap_remove(place))
                .is_some()
        })
    })
}

proptest! {
    #[test]
    fn permuting_rows_and_columns_keeps_a_right_answer_right((table, rows, columns) in any_table()) {
        prop_assert!(judge(&table, &permuted(&table, &rows, &columns), false).test_suite);
        let in_place: Vec<usize> = (0..table.rows.len()).collect();
        prop_assert!(judge(&table, &permuted(&table, &in_place, &columns), true).test_suite);
        let columns: Vec<usize> = (0..table.columns.len()).collect();
        prop_assert!(judge(&table, &permuted(&table, &rows, &columns), false).bird);
    }

    #[test]
    fn the_search_agrees_with_trying_everything(
        (table, rows, columns) in any_table(),
        row in any::<prop::sample::Index>(),
        column in any::<prop::sample::Index>(),
        value in any_value(),
    ) {
        let mut other = permuted(&table, &rows, &columns);
        let (row, column) = (row.index(table.rows.len()), column.index(table.columns.len()));
        other.rows[row][column] = value;
        let expected = same_by_trying_everything(&table, &other);
        prop_assert_eq!(judge(&table, &other, false).test_suite, expected);
        // The rule does not care which of the two is gold.
        prop_assert_eq!(judge(&other, &table, false).test_suite, expected);
    }
}
