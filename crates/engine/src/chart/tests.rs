use super::*;
use crate::result::{ResultColumn, Value};

fn result(columns: &[&str], rows: &[&[Json]]) -> ResultSet {
    let value = |value: &Json| match value {
        Json::Null => Value::Null,
        Json::Number(number) if number.is_i64() => Value::Integer(number.as_i64().unwrap()),
        Json::Number(number) => Value::Real(number.as_f64().unwrap()),
        other => Value::Text(other.as_str().unwrap().to_owned()),
    };
    ResultSet {
        columns: columns
            .iter()
            .map(|name| ResultColumn {
                name: (*name).into(),
                kind: "text".into(),
            })
            .collect(),
        rows: rows
            .iter()
            .map(|row| row.iter().map(value).collect())
            .collect(),
        truncated: false,
    }
}

/// Rows of a label and numbers: `label(3)` is `("row 0", 0), ("row 1", 10), ...`.
fn rows(count: usize, row: impl Fn(usize) -> Vec<Json>) -> Vec<Vec<Json>> {
    (0..count).map(row).collect()
}

fn check(columns: &[&str], rows: &[Vec<Json>], expected: &[ChartKind]) -> Option<Chart> {
    let rows: Vec<&[Json]> = rows.iter().map(Vec::as_slice).collect();
    let result = result(columns, &rows);
    let chart = chart(&result);
    let kinds: Vec<ChartKind> = chart
        .iter()
        .flat_map(|chart| &chart.options)
        .map(|option| option.kind)
        .collect();
    assert_eq!(kinds, expected, "{columns:?}");
    for option in chart.iter().flat_map(|chart| &chart.options) {
        if !option.spec.is_null() {
            assert_valid(&option.spec, columns.len());
        }
    }
    chart
}

/// Fields are columns that there are, nothing is fetched, and no name of the data stands but as a title or a value.
fn assert_valid(spec: &Json, columns: usize) {
    assert_eq!(spec["data"], json!({ "name": "rows" }));
    fn walk(json: &Json, columns: usize) {
        match json {
            Json::Object(map) => {
                for (key, value) in map {
                    assert!(
                        !matches!(key.as_str(), "url" | "signal" | "expr" | "href"),
                        "{key}"
                    );
                    if key == "field" {
                        let field = value.as_str().unwrap();
                        let is_column = field
                            .strip_prefix('c')
                            .and_then(|number| number.parse::<usize>().ok())
                            .is_some_and(|number| number < columns);
                        assert!(is_column || field == "time", "{field}");
                    }
                    if key == "calculate" {
                        assert!(!value.as_str().unwrap().contains("evil"), "{value}");
                    }
                    walk(value, columns);
                }
            }
            Json::Array(items) => items.iter().for_each(|item| walk(item, columns)),
            _ => {}
        }
    }
    walk(spec, columns);
}

#[test]
fn one_number_is_a_figure() {
    check(&["count(*)"], &[vec![json!(122)]], &[ChartKind::Figure]);
    check(&["name"], &[vec![json!("Ada")]], &[]);
    check(&["customer_id"], &[vec![json!(7)]], &[]);
    check(&["total"], &[vec![Json::Null]], &[]);
    check(&["a", "b"], &[vec![json!(1), json!(2)]], &[]);
    check(&["a"], &[], &[]);
}

#[test]
fn values_over_time_are_a_line() {
    let months = rows(12, |i| {
        vec![json!(format!("2024-{:02}", i + 1)), json!(i * 10)]
    });
    let expected = [ChartKind::Line, ChartKind::Area, ChartKind::Bar];
    let chart = check(&["month", "total"], &months, &expected).unwrap();
    let line = &chart.options[0].spec;
    assert_eq!(line["encoding"]["x"]["scale"]["type"], "utc");
    assert_eq!(
        line["transform"][0]["calculate"],
        "datum.c0 === null ? null : utcParse(datum.c0, '%Y-%m')"
    );
    let years = rows(4, |i| vec![json!(2020 + i), json!(5)]);
    check(&["year", "total"], &years, &expected);
    // Not said to be years.
    check(&["a", "b"], &years, &[]);
    let days = rows(50, |i| {
        vec![
            json!(format!("2024-03-{:02}T10:00:00", i % 28 + 1)),
            json!(i),
        ]
    });
    // Two values on one day are no line.
    check(&["day", "total"], &days, &[]);
    let losses = rows(5, |i| {
        vec![json!(format!("2024-03-0{}", i + 1)), json!(2.5 - i as f64)]
    });
    check(
        &["day", "profit"],
        &losses,
        &[ChartKind::Line, ChartKind::Bar],
    );
    check(
        &["day", "profit"],
        &rows(3, |i| vec![json!(format!("2024-13-0{}", i + 1)), json!(i)]),
        &[ChartKind::Bar, ChartKind::Pie],
    );
}

#[test]
fn several_lines_share_an_axis_only_if_they_fit_on_it() {
    let both = |scale: i64| {
        rows(6, |i| {
            vec![json!(2020 + i), json!(i + 1), json!((i as i64 + 1) * scale)]
        })
    };
    let chart = check(&["year", "sold", "returned"], &both(5), &[ChartKind::Line]).unwrap();
    assert_eq!(
        chart.options[0].spec["layer"].as_array().map(Vec::len),
        Some(2)
    );
    let chart = check(
        &["year", "pieces", "revenue"],
        &both(10_000),
        &[ChartKind::Line, ChartKind::Area, ChartKind::Bar],
    )
    .unwrap();
    assert_eq!(chart.options[0].spec["encoding"]["y"]["field"], "c1");
    let per_country = rows(12, |i| {
        vec![json!(2020 + i / 3), json!(["A", "B", "C"][i % 3]), json!(i)]
    });
    let chart = check(
        &["year", "country", "total"],
        &per_country,
        &[ChartKind::Line],
    )
    .unwrap();
    assert_eq!(chart.options[0].spec["encoding"]["color"]["field"], "c1");
}

#[test]
fn categories_are_bars_and_a_pie_only_of_few_parts() {
    let products = |count| rows(count, |i| vec![json!(format!("P{i}")), json!(i + 1)]);
    check(
        &["product", "sold"],
        &products(6),
        &[ChartKind::Bar, ChartKind::Pie],
    );
    let chart = check(&["product", "sold"], &products(20), &[ChartKind::Bar]).unwrap();
    assert_eq!(
        chart.options[0].spec["encoding"]["y"]["field"], "c0",
        "they lie down"
    );
    check(&["product", "sold"], &products(41), &[]);
    let mut twice = products(4);
    twice.push(twice[0].clone());
    check(&["product", "sold"], &twice, &[]);
    let negative = rows(4, |i| vec![json!(format!("P{i}")), json!(1 - i as i64)]);
    check(&["product", "change"], &negative, &[ChartKind::Bar]);
    // Keys are names, not sizes.
    let keys = rows(4, |i| vec![json!(i), json!(i * 2 + 1)]);
    check(
        &["customer_id", "orders"],
        &keys,
        &[ChartKind::Bar, ChartKind::Pie],
    );
    let two = rows(6, |i| {
        vec![json!(format!("P{i}")), json!(i + 1), json!(i + 2)]
    });
    check(
        &["product", "sold", "left"],
        &two,
        &[ChartKind::GroupedBar, ChartKind::Scatter],
    );
}

#[test]
fn pairs_and_clouds() {
    let pairs = rows(12, |i| {
        vec![
            json!(["North", "South", "East", "West"][i / 3]),
            json!(["A", "B", "C"][i % 3]),
            json!(i + 1),
        ]
    });
    let chart = check(
        &["region", "kind", "sold"],
        &pairs,
        &[ChartKind::GroupedBar, ChartKind::StackedBar],
    )
    .unwrap();
    assert_eq!(chart.options[0].spec["encoding"]["color"]["field"], "c1");
    let owned = rows(6, |i| {
        vec![
            json!(format!("Team {i}")),
            json!(["A", "B"][i % 2]),
            json!(i + 1),
        ]
    });
    let chart = check(&["team", "city", "budget"], &owned, &[ChartKind::Bar]).unwrap();
    let encoding = &chart.options[0].spec["encoding"];
    assert_eq!(
        (&encoding["color"]["field"], &encoding["yOffset"]),
        (&json!("c1"), &Json::Null)
    );
    let cloud = rows(30, |i| vec![json!(i), json!(i * i)]);
    check(&["height", "weight"], &cloud, &[ChartKind::Scatter]);
    check(&["height", "weight"], &cloud[..3], &[]);
    check(
        &["name", "city"],
        &rows(5, |i| vec![json!("a"), json!(format!("{i}"))]),
        &[],
    );
}

#[test]
fn no_name_of_the_data_is_read_as_more_than_a_name() {
    let evil = "evil'); alert(1); ('";
    let data = rows(6, |i| {
        vec![
            json!(format!("2024-01-0{}", i + 1)),
            json!(i + 1),
            json!(i + 3),
        ]
    });
    check(&[evil, evil, "datum.evil[0]"], &data, &[ChartKind::Line]);
    let named = rows(6, |i| {
        vec![json!(format!("evil{i}")), json!(i + 1), json!(i + 3)]
    });
    check(
        &[evil, "evil", "__proto__"],
        &named,
        &[ChartKind::GroupedBar, ChartKind::Scatter],
    );
}

#[test]
fn a_result_that_was_cut_off_says_so_and_is_no_whole() {
    let rows = rows(4, |i| vec![json!(format!("P{i}")), json!(i + 1)]);
    let rows: Vec<&[Json]> = rows.iter().map(Vec::as_slice).collect();
    let mut cut = result(&["product", "sold"], &rows);
    cut.truncated = true;
    let chart = chart(&cut).unwrap();
    assert!(chart.truncated);
    assert_eq!(chart.options.len(), 1, "no pie");
}
