//! Three years of orders, day by day: what is ordered, shipped, paid for and sent back, each written on its day.

use std::collections::BTreeMap;

use rusqlite::{Connection, Statement, params};

use super::calendar::{Calendar, DAYS};
use super::ledger::{BANK, Ledger, PAYABLE, RECEIVABLE, RETURNS, REVENUE, Subject, VAT};
use super::master::{Company, Customer};
use super::words::CATEGORIES;
use super::{Cents, Dice, euros, id};

/// VAT in per cent; only customers in the company's own country pay it.
const VAT_PERCENT: i64 = 21;

/// List prices of each year in per cent of today's.
const PRICE_LEVELS: [i64; 3] = [94, 97, 100];

/// Writes orders, order lines, returns and accounting transactions.
pub fn fill(
    connection: &Connection,
    company: &Company,
    orders: u64,
    dice: &mut Dice,
    progress: &mut dyn FnMut(u64, u64),
) -> rusqlite::Result<()> {
    let calendar = Calendar::new();
    let per_day = calendar.orders_per_day(orders, dice);
    let mut trade = Trade {
        company,
        calendar: &calendar,
        insert_order: connection
            .prepare("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?,
        insert_line: connection.prepare("INSERT INTO order_lines VALUES (?, ?, ?, ?, ?, ?, ?)")?,
        insert_return: connection.prepare("INSERT INTO returns VALUES (?, ?, ?, ?, ?, ?)")?,
        ledger: Ledger::new(connection, company.suppliers)?,
        due: BTreeMap::new(),
        orders: 0,
        lines: 0,
        returns: 0,
    };
    trade.ledger.open(&calendar.day(0).date, orders)?;
    let mut shelves = Shelves::new(company, 0, 0);
    for (day, count) in per_day.into_iter().enumerate() {
        if calendar.day(day).day_of_month == 1 {
            shelves = Shelves::new(company, day, calendar.day(day).month);
        }
        let registered = company
            .customers
            .partition_point(|customer| customer.registered <= day as i64);
        for _ in 0..count {
            trade.order(day, &company.customers[..registered], &shelves, dice)?;
        }
        trade.events(day)?;
        trade.close_day(day, dice)?;
        progress(trade.orders.unsigned_abs(), orders);
    }
    Ok(())
}

/// What can be bought this month, and how likely each product is.
struct Shelves {
    /// Products as indices, with the sum of the weights up to and with each.
    products: Vec<(usize, u64)>,
}

impl Shelves {
    fn new(company: &Company, day: usize, month: usize) -> Self {
        let mut sum = 0;
        let products = company
            .products
            .iter()
            .enumerate()
            // A month's shelves are filled on its first day; what ends during the month is left out from its start.
            .filter(|(_, product)| product.discontinued.is_none_or(|end| day + 31 < end))
            .map(|(index, product)| {
                // Some products sell better than others, for no reason that data would show.
                let popularity = 4 + (index as u64 * 7) % 13;
                sum += popularity * u64::from(CATEGORIES[product.category].season[month]);
                (index, sum)
            })
            .collect();
        Self { products }
    }

    fn take(&self, dice: &mut Dice) -> usize {
        let total = self.products.last().map_or(0, |(_, sum)| *sum);
        let drawn = dice.below(total);
        let place = self.products.partition_point(|(_, sum)| *sum <= drawn);
        self.products[place].0
    }
}

/// One line of an order that is being put together.
struct Line {
    product: usize,
    quantity: i64,
    unit_price: Cents,
    discount_percent: i64,
    total: Cents,
}

/// Something that will happen on a later day.
enum Event {
    /// Goods leave, and the invoice with them.
    Shipped {
        order: i64,
        net: Cents,
        vat: Cents,
        costs: Vec<(usize, Cents)>,
    },
    /// The customer pays.
    Paid { order: i64, gross: Cents },
    /// Goods come back and money goes back.
    Returned {
        order: i64,
        line: i64,
        quantity: i64,
        reason: Option<&'static str>,
        refund: Cents,
        vat: Cents,
    },
    /// We pay a supplier.
    SupplierPaid { supplier: usize, amount: Cents },
}

struct Trade<'a> {
    company: &'a Company,
    calendar: &'a Calendar,
    insert_order: Statement<'a>,
    insert_line: Statement<'a>,
    insert_return: Statement<'a>,
    ledger: Ledger<'a>,
    /// Events by day. What falls after the last day never happens: those invoices stay open.
    due: BTreeMap<usize, Vec<Event>>,
    orders: i64,
    lines: i64,
    returns: i64,
}

impl Trade<'_> {
    /// Writes one order with its lines and decides all that will come of it.
    fn order(
        &mut self,
        day: usize,
        registered: &[Customer],
        shelves: &Shelves,
        dice: &mut Dice,
    ) -> rusqlite::Result<()> {
        self.orders += 1;
        let order = self.orders;
        let customer_index = choose_customer(registered, dice);
        let customer = &registered[customer_index];
        let (channel, employee) = self.taken_by(customer, day, dice);
        let payment_method = match (customer.prepays, channel) {
            (true, "web") => "card",
            (true, _) => "prepaid",
            (false, "web") if dice.chance(200) => "card",
            (false, _) => "invoice",
        };
        let lines = self.choose_lines(customer, day, shelves, dice);
        let net: Cents = lines.iter().map(|line| line.total).sum();

        let is_cancelled = dice.chance(30);
        let is_late = dice.chance(50);
        let gift_season_delay = i64::from(self.calendar.day(day).month >= 10);
        let lag = if is_late {
            dice.between(9, 22)
        } else {
            dice.between(1, 5) + gift_season_delay
        };
        let shipped = day + usize::try_from(lag).expect("a lag is positive");
        let delivered = shipped + 1 + dice.index(4);
        let required = day + 7 + dice.index(8);
        let leaves_in_time = !is_cancelled && shipped < DAYS;
        let status = match () {
            () if is_cancelled => "cancelled",
            () if !leaves_in_time => "open",
            () if delivered >= DAYS => "shipped",
            () => "delivered",
        };
        // A blemish: now and then the warehouse forgets to note the day.
        let is_noted = leaves_in_time && order % 1_999 != 1_234;
        self.insert_order.execute(params![
            order,
            id(customer_index),
            employee.map(id),
            self.calendar.day(day).date,
            self.calendar.date(required),
            is_noted.then(|| self.calendar.date(shipped)),
            channel,
            payment_method,
            status,
            euros(net),
        ])?;
        let first_line = self.lines + 1;
        for line in &lines {
            self.lines += 1;
            self.insert_line.execute(params![
                self.lines,
                order,
                id(line.product),
                line.quantity,
                euros(line.unit_price),
                line.discount_percent as f64 / 100.0,
                euros(line.total),
            ])?;
        }
        if leaves_in_time {
            let vat_of = |net: Cents| {
                if customer.is_domestic {
                    (net * VAT_PERCENT + 50) / 100
                } else {
                    0
                }
            };
            let vat = vat_of(net);
            let costs = lines
                .iter()
                .map(|line| {
                    let product = &self.company.products[line.product];
                    (product.supplier, product.cost * line.quantity)
                })
                .collect();
            self.later(
                shipped,
                Event::Shipped {
                    order,
                    net,
                    vat,
                    costs,
                },
            );
            // A few customers never pay.
            if payment_method != "invoice" {
                self.later(
                    shipped,
                    Event::Paid {
                        order,
                        gross: net + vat,
                    },
                );
            } else if !dice.chance(12) {
                self.later(
                    shipped + 10 + dice.index(38),
                    Event::Paid {
                        order,
                        gross: net + vat,
                    },
                );
            }
            for (number, line) in (first_line..).zip(&lines) {
                if dice.chance(26) {
                    let quantity = if dice.chance(400) {
                        line.quantity
                    } else {
                        dice.between(1, line.quantity)
                    };
                    let refund = line.total * quantity / line.quantity;
                    let reasons = [
                        "damaged",
                        "damaged",
                        "not as described",
                        "wrong item",
                        "late",
                    ];
                    let reason = (!dice.chance(90)).then(|| *dice.pick(&reasons));
                    let event = Event::Returned {
                        order,
                        line: number,
                        quantity,
                        reason,
                        refund,
                        vat: vat_of(refund),
                    };
                    self.later(delivered + 3 + dice.index(24), event);
                }
            }
        }
        Ok(())
    }

    fn later(&mut self, day: usize, event: Event) {
        if day < DAYS {
            self.due.entry(day).or_default().push(event);
        }
    }

    /// Returns the channel of an order and who took it; the web shop takes its own.
    fn taken_by(
        &self,
        customer: &Customer,
        day: usize,
        dice: &mut Dice,
    ) -> (&'static str, Option<usize>) {
        // The web shop grows from two fifths of the orders to three fifths.
        if dice.chance(400 + 200 * day as u64 / DAYS as u64) {
            return ("web", None);
        }
        let employees = &self.company.employees;
        let is_there = |index: &usize| employees[*index].works_on(day as i64);
        let employee = customer.account_manager.filter(is_there).or_else(|| {
            let there: Vec<usize> = (0..employees.len())
                .filter(|index| employees[*index].is_account_manager && is_there(index))
                .collect();
            (!there.is_empty()).then(|| *dice.pick(&there))
        });
        let channel = if dice.chance(450) {
            "phone"
        } else {
            "field sales"
        };
        (channel, employee)
    }

    fn choose_lines(
        &self,
        customer: &Customer,
        day: usize,
        shelves: &Shelves,
        dice: &mut Dice,
    ) -> Vec<Line> {
        let count = 1 + dice.weighted([20, 25, 22, 16, 10, 7].into_iter());
        let most = match customer.segment {
            "trade" => 14,
            "retail" => 30,
            "hospitality" => 44,
            _ => 36,
        };
        let mut lines: Vec<Line> = Vec::with_capacity(count);
        while lines.len() < count {
            let index = shelves.take(dice);
            if lines.iter().any(|line| line.product == index) {
                continue;
            }
            let product = &self.company.products[index];
            let unit_price = product.price * PRICE_LEVELS[self.calendar.day(day).year] / 100;
            // Nobody orders forty benches.
            let quantity = dice.between(1, if unit_price > 5_000 { most / 3 } else { most });
            let discount_percent = match quantity {
                30.. => 10,
                12.. => 5,
                _ if dice.chance(60) => 15,
                _ => 0,
            };
            let total = (quantity * unit_price * (100 - discount_percent) + 50) / 100;
            lines.push(Line {
                product: index,
                quantity,
                unit_price,
                discount_percent,
                total,
            });
        }
        lines
    }

    /// Writes what was decided earlier to happen on this day.
    fn events(&mut self, day: usize) -> rusqlite::Result<()> {
        let calendar = self.calendar;
        let date = &calendar.day(day).date;
        let of_order = |order| Subject {
            order: Some(order),
            supplier: None,
        };
        for event in self.due.remove(&day).unwrap_or_default() {
            match event {
                Event::Shipped {
                    order,
                    net,
                    vat,
                    costs,
                } => {
                    let entries = [(RECEIVABLE, net + vat), (REVENUE, -net), (VAT, -vat)];
                    self.ledger.post(date, "Sale", &of_order(order), &entries)?;
                    for (supplier, cost) in costs {
                        self.ledger.goods_left(supplier, cost);
                    }
                }
                Event::Paid { order, gross } => {
                    let entries = [(BANK, gross), (RECEIVABLE, -gross)];
                    self.ledger
                        .post(date, "Payment received", &of_order(order), &entries)?;
                }
                Event::Returned {
                    order,
                    line,
                    quantity,
                    reason,
                    refund,
                    vat,
                } => {
                    self.returns += 1;
                    self.insert_return.execute(params![
                        self.returns,
                        line,
                        date,
                        quantity,
                        reason,
                        euros(refund)
                    ])?;
                    let entries = [(RETURNS, refund), (VAT, vat), (BANK, -refund - vat)];
                    self.ledger.post(
                        date,
                        "Refund of returned goods",
                        &of_order(order),
                        &entries,
                    )?;
                }
                Event::SupplierPaid { supplier, amount } => {
                    let subject = Subject {
                        order: None,
                        supplier: Some(supplier),
                    };
                    let entries = [(PAYABLE, amount), (BANK, -amount)];
                    self.ledger
                        .post(date, "Supplier paid", &subject, &entries)?;
                }
            }
        }
        Ok(())
    }

    fn close_day(&mut self, number: usize, dice: &mut Dice) -> rusqlite::Result<()> {
        let day = self.calendar.day(number);
        self.ledger.close_day(number, day, self.company, dice)?;
        if day.ends_month {
            for (supplier, amount) in self.ledger.restock(&day.date, dice)? {
                self.later(number + 30, Event::SupplierPaid { supplier, amount });
            }
        }
        Ok(())
    }
}

/// Returns the index of the customer who orders: the longer registered the likelier, a few key accounts often.
fn choose_customer(registered: &[Customer], dice: &mut Dice) -> usize {
    loop {
        let index = if dice.chance(140) {
            dice.index(registered.len().min(24))
        } else {
            dice.index(registered.len())
                .min(dice.index(registered.len()))
        };
        // Not all of them are marked as never ordering: only every 43rd is.
        if !registered[index].never_orders {
            return index;
        }
    }
}
