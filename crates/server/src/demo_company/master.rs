//! Everything that stands before the first order: departments, people, suppliers, products, customers, accounts.

use std::collections::HashSet;

use rusqlite::{Connection, params};

use super::calendar::{DAYS, date_of};
use super::words::{
    ACCOUNTS, CATEGORIES, COMPANY_FIRST, COMPANY_SECOND, COUNTRIES, Country, DEPARTMENTS,
    FIRST_NAMES, JOBS, LAST_NAMES, SUPPLIER_SECOND, VARIANTS,
};
use super::{Cents, Dice, euros, id};

const SUPPLIERS: usize = 24;

/// What the orders need to know about the company. Identifiers are positions plus one.
pub struct Company {
    /// All employees.
    pub employees: Vec<Employee>,
    /// All products.
    pub products: Vec<Product>,
    /// All customers in the order in which they registered.
    pub customers: Vec<Customer>,
    /// The number of suppliers.
    pub suppliers: usize,
}

/// One employee.
pub struct Employee {
    /// Takes orders.
    pub is_account_manager: bool,
    /// The day on which the employee came, counted from the first of the three years; negative before it.
    pub hired: i64,
    /// The day on which the employee left.
    pub left: Option<i64>,
    /// Per month.
    pub salary: Cents,
}

impl Employee {
    /// Is employed on this day.
    pub fn works_on(&self, day: i64) -> bool {
        self.hired <= day && self.left.is_none_or(|left| day < left)
    }
}

/// One product.
pub struct Product {
    /// Its category, as an index.
    pub category: usize,
    /// Its supplier, as an index.
    pub supplier: usize,
    /// Today's list price.
    pub price: Cents,
    /// What the supplier charges.
    pub cost: Cents,
    /// The day from which it is not sold any more.
    pub discontinued: Option<usize>,
}

/// One customer.
pub struct Customer {
    /// Retail, hospitality, trade or public sector.
    pub segment: &'static str,
    /// The day of registration; negative before the three years.
    pub registered: i64,
    /// Pays in advance.
    pub prepays: bool,
    /// Pays VAT: is in the company's own country.
    pub is_domestic: bool,
    /// The account manager, as an index of employees.
    pub account_manager: Option<usize>,
    /// Registered and never ordered.
    pub never_orders: bool,
}

/// Writes all of it and returns what the orders need.
pub fn fill(connection: &Connection, orders: u64, dice: &mut Dice) -> rusqlite::Result<Company> {
    let mut people = People::default();
    let employees = fill_employees(connection, &mut people, dice)?;
    fill_suppliers(connection, &mut people, dice)?;
    let products = fill_products(connection, dice)?;
    let customers = fill_customers(connection, orders, &employees, &mut people, dice)?;
    let mut insert = connection.prepare("INSERT INTO accounts VALUES (?, ?, ?)")?;
    for (number, name, kind) in ACCOUNTS {
        insert.execute(params![number, name, kind])?;
    }
    Ok(Company {
        employees,
        products,
        customers,
        suppliers: SUPPLIERS,
    })
}

/// Makes names that are not used twice before all combinations are used up.
#[derive(Default)]
struct People {
    used: HashSet<(usize, usize)>,
}

impl People {
    fn next(&mut self, dice: &mut Dice) -> (&'static str, &'static str) {
        if self.used.len() == FIRST_NAMES.len() * LAST_NAMES.len() {
            self.used.clear();
        }
        loop {
            let name = (dice.index(FIRST_NAMES.len()), dice.index(LAST_NAMES.len()));
            if self.used.insert(name) {
                return (FIRST_NAMES[name.0], LAST_NAMES[name.1]);
            }
        }
    }

    fn full_name(&mut self, dice: &mut Dice) -> String {
        let (first, last) = self.next(dice);
        format!("{first} {last}")
    }
}

fn fill_employees(
    connection: &Connection,
    people: &mut People,
    dice: &mut Dice,
) -> rusqlite::Result<Vec<Employee>> {
    let mut insert = connection.prepare("INSERT INTO departments VALUES (?, ?, ?, ?)")?;
    for (index, (name, city, budget)) in DEPARTMENTS.iter().enumerate() {
        insert.execute(params![id(index), name, city, euros(*budget)])?;
    }
    let mut insert =
        connection.prepare("INSERT INTO employees VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    let mut employees = Vec::new();
    let mut leads: [Option<usize>; DEPARTMENTS.len()] = [None; DEPARTMENTS.len()];
    for (title, department, people_count, base_salary) in JOBS {
        for position in 0..people_count {
            let own = employees.len();
            let (first, last) = people.next(dice);
            let leads_department = leads[department].is_none();
            let manager = leads[department].or((own > 0).then_some(0));
            // Half of each job was there before the three years, so that somebody takes the first order.
            let hired = if leads_department || position * 2 < people_count {
                dice.between(-2900, -200)
            } else {
                dice.between(-200, 900)
            };
            let leaves = !leads_department && position % 4 == 3;
            let left = leaves.then(|| hired.max(0) + dice.between(90, 190));
            let salary = base_salary * dice.between(90, 115) / 100 / 1000 * 1000;
            insert.execute(params![
                id(own),
                first,
                last,
                format!(
                    "{}.{}@demo-company.example",
                    first.to_lowercase(),
                    last.to_lowercase()
                ),
                title,
                id(department),
                manager.map(id),
                date_of(hired),
                left.map(date_of),
                euros(salary),
            ])?;
            leads[department].get_or_insert(own);
            employees.push(Employee {
                is_account_manager: title == "Account Manager",
                hired,
                left,
                salary,
            });
        }
    }
    Ok(employees)
}

fn fill_suppliers(
    connection: &Connection,
    people: &mut People,
    dice: &mut Dice,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare("INSERT INTO suppliers VALUES (?, ?, ?, ?, ?, ?, ?)")?;
    for index in 0..SUPPLIERS {
        let country = &COUNTRIES[dice.weighted(COUNTRIES.iter().map(|country| country.weight))];
        // 29 and 48 share no factor, so no two of the 24 suppliers begin alike.
        let name = format!(
            "{} {}",
            COMPANY_FIRST[(index * 29 + 7) % COMPANY_FIRST.len()],
            SUPPLIER_SECOND[index % SUPPLIER_SECOND.len()]
        );
        let contact = (!dice.chance(80)).then(|| people.full_name(dice));
        let phone = (!dice.chance(120)).then(|| phone(country, dice));
        let city = *dice.pick(country.cities);
        let lead_time = dice.between(3, 45);
        insert.execute(params![
            id(index),
            name,
            contact,
            phone,
            city,
            country.name,
            lead_time
        ])?;
    }
    Ok(())
}

fn fill_products(connection: &Connection, dice: &mut Dice) -> rusqlite::Result<Vec<Product>> {
    let mut insert = connection.prepare("INSERT INTO categories VALUES (?, ?, ?)")?;
    for (index, category) in CATEGORIES.iter().enumerate() {
        insert.execute(params![id(index), category.name, category.description])?;
    }
    let mut insert =
        connection.prepare("INSERT INTO products VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    let mut products = Vec::new();
    for (category_index, category) in CATEGORIES.iter().enumerate() {
        for (number, (name, base_price)) in category.products.iter().enumerate() {
            for (variant_number, (variant, percent)) in VARIANTS.iter().enumerate() {
                let own = products.len();
                // Prices end in 0 or 5 cents.
                let price = base_price * percent / 100 / 5 * 5;
                let cost = price * dice.between(42, 55) / 100;
                let discontinued = (own % 23 == 11)
                    .then(|| usize::try_from(dice.between(500, 1000)).expect("it is positive"));
                let stock = if discontinued.is_some() {
                    0
                } else {
                    dice.between(0, 420)
                };
                // Three suppliers a category, two of them shared with the next; the last few have no product at all.
                let supplier = category_index * 2 + number % 3;
                insert.execute(params![
                    id(own),
                    format!("{}-{}{:02}", category.code, variant_number + 1, number + 1),
                    format!("{variant} {name}"),
                    id(category_index),
                    id(supplier),
                    euros(price),
                    euros(cost),
                    stock,
                    dice.between(2, 12) * 10,
                    discontinued.map(|day| date_of(day as i64)),
                ])?;
                products.push(Product {
                    category: category_index,
                    supplier,
                    price,
                    cost,
                    discontinued,
                });
            }
        }
    }
    Ok(products)
}

/// A customer as a row, before it is known whether a duplicate will be made of it.
#[derive(Clone)]
struct CustomerRow {
    name: String,
    country: usize,
    city: &'static str,
    segment: &'static str,
    credit_limit: Option<Cents>,
    account_manager: Option<usize>,
}

fn fill_customers(
    connection: &Connection,
    orders: u64,
    employees: &[Employee],
    people: &mut People,
    dice: &mut Dice,
) -> rusqlite::Result<Vec<Customer>> {
    // More orders come from more customers, and from each of them more orders.
    let count = usize::try_from(orders.isqrt() * 8)
        .unwrap_or(usize::MAX)
        .max(20);
    let mut registered: Vec<i64> = (0..count)
        .map(|index| {
            if index * 100 < count * 55 {
                dice.between(-1800, -1)
            } else {
                dice.between(0, DAYS as i64 - 20)
            }
        })
        .collect();
    registered.sort_unstable();
    let managers: Vec<usize> = (0..employees.len())
        .filter(|index| employees[*index].is_account_manager)
        .collect();
    let mut insert =
        connection.prepare("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    let mut names = HashSet::new();
    let mut rows: Vec<CustomerRow> = Vec::with_capacity(count);
    let mut customers = Vec::with_capacity(count);
    for (index, registered) in registered.into_iter().enumerate() {
        // A blemish of every real list of customers: somebody typed one in again, a little differently.
        let row = if index % 140 == 97 {
            retyped(&rows[index - 61], index / 140)
        } else {
            new_customer(&mut names, &managers, dice)
        };
        let country = &COUNTRIES[row.country];
        let contact = (!dice.chance(50)).then(|| people.full_name(dice));
        let email = (!dice.chance(40)).then(|| format!("purchasing@{}.example", slug(&row.name)));
        let phone = (!dice.chance(70)).then(|| phone(country, dice));
        insert.execute(params![
            id(index),
            row.name,
            contact,
            email,
            phone,
            row.city,
            country.name,
            row.segment,
            row.credit_limit.map(euros),
            date_of(registered),
            row.account_manager.map(id),
        ])?;
        customers.push(Customer {
            segment: row.segment,
            registered,
            prepays: row.credit_limit.is_none(),
            is_domestic: row.country == 0,
            account_manager: row.account_manager,
            never_orders: index % 43 == 29,
        });
        rows.push(row);
    }
    Ok(customers)
}

fn new_customer(names: &mut HashSet<String>, managers: &[usize], dice: &mut Dice) -> CustomerRow {
    let country = dice.weighted(COUNTRIES.iter().map(|country| country.weight));
    let city = *dice.pick(COUNTRIES[country].cities);
    let mut draw = || {
        let (second, segment) = *dice.pick(&COMPANY_SECOND);
        (format!("{} {second}", dice.pick(&COMPANY_FIRST)), segment)
    };
    let (mut name, segment) = (0..12)
        .map(|_| draw())
        .find(|(name, _)| !names.contains(name))
        .unwrap_or_else(&mut draw);
    // With thousands of customers the words run out; then branches follow.
    if names.contains(&name) {
        name = format!("{name} {city}");
    }
    if names.contains(&name) {
        name = format!("{name} {}", names.len());
    }
    names.insert(name.clone());
    CustomerRow {
        name,
        country,
        city,
        segment,
        credit_limit: (!dice.chance(180)).then(|| dice.between(4, 60) * 50_000),
        account_manager: (!dice.chance(100)).then(|| *dice.pick(managers)),
    }
}

/// Returns the same customer as somebody else would have typed it.
fn retyped(row: &CustomerRow, turn: usize) -> CustomerRow {
    let name = match turn % 4 {
        0 => row.name.to_uppercase(),
        1 => format!("{} {}", row.name, COUNTRIES[row.country].legal_form),
        2 => row.name.replacen(' ', "  ", 1),
        _ => row.name.replacen(' ', "-", 1),
    };
    CustomerRow {
        name,
        ..row.clone()
    }
}

/// Returns a telephone number that nobody has: 555 numbers are not given out.
fn phone(country: &Country, dice: &mut Dice) -> String {
    format!(
        "{} {} 555 {:04}",
        country.dialling_code,
        dice.between(20, 89),
        dice.below(10_000)
    )
}

fn slug(name: &str) -> String {
    name.split(|character: char| !character.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect::<Vec<_>>()
        .join("-")
}
