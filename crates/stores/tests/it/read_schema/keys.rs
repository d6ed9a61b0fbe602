//! Keys that nobody declared.

use super::schema_of;

/// Returns the inferred keys of a database made by `sql`.
fn inferred(sql: &str) -> Vec<String> {
    let schema = schema_of(sql);
    let mut keys = Vec::new();
    for table in &schema.tables {
        for key in table.foreign_keys.iter().filter(|key| key.inferred) {
            keys.push(format!(
                "{}.{} -> {}.{}",
                table.name, key.columns[0], key.table, key.referenced[0]
            ));
        }
    }
    keys
}

const CUSTOMERS: &str = "CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT);
    INSERT INTO customers VALUES (11, 'a'), (12, 'b'), (13, 'c');";

#[test]
fn a_column_named_after_a_table_and_its_key_refers_to_it() {
    let found = inferred(&format!(
        "{CUSTOMERS} CREATE TABLE orders(id INTEGER PRIMARY KEY, customer_id INT);
         INSERT INTO orders VALUES (1, 11), (2, 13), (3, NULL);"
    ));
    assert_eq!(found, ["orders.customer_id -> customers.id"]);
}

#[test]
fn the_same_name_in_capitals_without_separators_works_too() {
    let found = inferred(
        "CREATE TABLE Customers(CustomerID TEXT PRIMARY KEY); INSERT INTO Customers VALUES ('ALFKI'), ('BONAP');
         CREATE TABLE Categories(CategoryID INTEGER PRIMARY KEY); INSERT INTO Categories VALUES (1), (2);
         CREATE TABLE Orders(OrderID INTEGER PRIMARY KEY, CustomerID TEXT, CategoryId INTEGER);
         INSERT INTO Orders VALUES (10, 'ALFKI', 1), (11, 'BONAP', 2);",
    );
    assert_eq!(
        found,
        [
            "Orders.CustomerID -> Customers.CustomerID",
            "Orders.CategoryId -> Categories.CategoryID"
        ]
    );
}

#[test]
fn a_role_before_the_name_and_a_parent_are_understood() {
    let found = inferred(&format!(
        "{CUSTOMERS} CREATE TABLE invoices(id INTEGER PRIMARY KEY, billing_customer_id INT, parent_id INT);
         INSERT INTO invoices VALUES (1, 11, NULL), (2, 12, 1), (3, 12, 2);"
    ));
    assert_eq!(
        found,
        [
            "invoices.billing_customer_id -> customers.id",
            "invoices.parent_id -> invoices.id"
        ]
    );
}

#[test]
fn a_telling_key_name_that_one_table_has_is_enough() {
    let found = inferred(
        "CREATE TABLE schools(CDSCode TEXT PRIMARY KEY); INSERT INTO schools VALUES ('0110'), ('0111');
         CREATE TABLE scores(row_no INTEGER, CDSCode TEXT); INSERT INTO scores VALUES (1, '0110'), (1, '0111');",
    );
    assert_eq!(found, ["scores.CDSCode -> schools.CDSCode"]);
}

#[test]
fn a_table_without_a_declared_key_can_be_referred_to_by_a_column_that_is_unique() {
    let found = inferred(
        "CREATE TABLE customers(id INTEGER, name TEXT); INSERT INTO customers VALUES (11, 'a'), (12, 'b');
         CREATE TABLE orders(customer_id INTEGER); INSERT INTO orders VALUES (11), (12), (12);",
    );
    assert_eq!(found, ["orders.customer_id -> customers.id"]);
}

#[test]
fn values_that_do_not_occur_there_forbid_it() {
    let orders = |values: &str| {
        inferred(&format!(
            "{CUSTOMERS} CREATE TABLE orders(customer_id INT); INSERT INTO orders VALUES {values};"
        ))
    };
    assert!(orders("(1), (2), (3)").is_empty());
    assert!(orders("(11), (12), (99)").is_empty());
    assert!(orders("(NULL)").is_empty(), "no value is no evidence");
    assert_eq!(
        orders("(11), (12), (0), (-1)").len(),
        1,
        "0 and -1 mean nobody"
    );
}

#[test]
fn a_few_orphans_are_forgiven() {
    let found = inferred(
        "CREATE TABLE customers(id INTEGER PRIMARY KEY); CREATE TABLE orders(customer_id INT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO customers SELECT i FROM n;
         INSERT INTO orders SELECT id + 5 FROM customers;",
    );
    assert_eq!(found, ["orders.customer_id -> customers.id"]);
}

#[test]
fn values_of_another_type_forbid_it() {
    let found = inferred(&format!(
        "{CUSTOMERS} CREATE TABLE orders(customer_id TEXT); INSERT INTO orders VALUES ('11'), ('12');"
    ));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn names_that_say_nothing_lead_nowhere() {
    let found = inferred(&format!(
        "{CUSTOMERS} CREATE TABLE teams(id INTEGER PRIMARY KEY, amount INT, name TEXT, ref_no INT);
         INSERT INTO teams VALUES (11, 11, 'a', 12), (12, 12, 'b', 13);"
    ));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn two_tables_that_fit_equally_well_mean_neither() {
    let found = inferred(
        "CREATE TABLE customer(id INTEGER PRIMARY KEY); INSERT INTO customer VALUES (1), (2);
         CREATE TABLE customers(id INTEGER PRIMARY KEY); INSERT INTO customers VALUES (1), (2);
         CREATE TABLE orders(customer_id INT); INSERT INTO orders VALUES (1), (2);",
    );
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_column_in_a_declared_key_gets_no_other() {
    let found = inferred(&format!(
        "{CUSTOMERS} CREATE TABLE people(id INTEGER PRIMARY KEY); INSERT INTO people VALUES (11), (12);
         CREATE TABLE orders(customer_id INT REFERENCES people(id)); INSERT INTO orders VALUES (11), (12);"
    ));
    assert!(found.is_empty(), "{found:?}");
}
