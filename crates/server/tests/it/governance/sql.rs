//! SQL that is looked at and not run.

use super::*;

#[test]
fn sql_is_validated_without_being_run() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let server = Server::start(&fixture, &model);
    let admin = Person::admin(&server);
    let (analyst, _) = admin.creating("analyst");
    let validate = |sql: &str| analyst.post("/sql/validate", json!({ "sql": sql }));
    let good: Value = validate("SELECT name FROM customers;").json().unwrap();
    assert_eq!(good["tables"], json!(["customers"]), "{good}");
    problem(
        validate("DELETE FROM customers"),
        StatusCode::UNPROCESSABLE_ENTITY,
        "sql_not_read_only",
    );
    problem(validate("SELECT"), StatusCode::BAD_REQUEST, "invalid_sql");
    assert_eq!(
        items(&admin.get("/audit-logs?action=sql_validated")).len(),
        3
    );
    assert_eq!(items(&analyst.get("/queries")).len(), 0);
}

#[test]
fn sql_is_explained_without_being_run_or_naming_what_is_hidden() {
    let fixture = Fixture::with(
        "CREATE INDEX orders_by_customer_and_total ON orders (customer_id, total);
         CREATE INDEX customers_by_country ON customers (country);",
    );
    let model = ScriptedModel::replying(&[]);
    let server = Server::start(&fixture, &model);
    let admin = Person::admin(&server);
    let (analyst, _) = admin.creating("analyst");
    let explain = |sql: &str| analyst.post("/sql/explain", json!({ "sql": sql }));
    let sql = "SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.customer_id = 1";
    let plan: Value = explain(sql).json().unwrap();
    assert_eq!(plan["tables"], json!(["orders", "customers"]), "{plan}");
    let indexes = |plan: &Value| plan.to_string().contains("orders_by_customer_and_total");
    assert!(indexes(&plan), "{plan}");

    let policy = json!({ "role": "analyst", "table_name": "orders", "column_name": "total" });
    assert_eq!(admin.post("/policies", policy).status(), 201);
    let plan: Value = explain(sql).json().unwrap();
    let step = &plan["plan"].as_array().unwrap()[..];
    assert!(
        step.iter()
            .any(|step| step["source"] == "o" && step["uses_index"] == true),
        "{plan}"
    );
    assert!(
        !indexes(&plan) && !plan.to_string().contains("total"),
        "{plan}"
    );
    let all: Value = explain("SELECT * FROM orders").json().unwrap();
    assert!(!all["sql"].as_str().unwrap().contains("total"), "{all}");
    problem(
        explain("SELECT total FROM orders"),
        StatusCode::UNPROCESSABLE_ENTITY,
        "unknown_column",
    );
    problem(
        explain("DELETE FROM customers"),
        StatusCode::UNPROCESSABLE_ENTITY,
        "sql_not_read_only",
    );
    let recorded = admin.get("/audit-logs?action=sql_explained");
    let recorded = items(&recorded);
    assert_eq!(recorded.len(), 5);
    assert_eq!(recorded[0]["changes"]["error"], "sql_not_read_only");
    assert_eq!(items(&analyst.get("/queries")).len(), 0);

    let shown = fixture.run(&["sql", "--db", &fixture.original_path(), "--explain", sql]);
    let shown = shown.expect_code(0).stdout();
    assert!(shown.contains("SEARCH o USING COVERING INDEX"), "{shown}");
    fixture.assert_original_untouched();
}
