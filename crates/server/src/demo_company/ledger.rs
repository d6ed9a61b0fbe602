//! The accounts: every voucher is written here, and only balanced ones.

use rusqlite::{Connection, Statement, params};

use super::calendar::Day;
use super::master::Company;
use super::{Cents, Dice, euros, id};

/// Numbers in the chart of accounts.
pub const BANK: i64 = 1000;
pub const RECEIVABLE: i64 = 1100;
pub const INVENTORY: i64 = 1200;
const EQUIPMENT: i64 = 1500;
pub const PAYABLE: i64 = 2000;
pub const VAT: i64 = 2100;
const LOAN: i64 = 2500;
const CAPITAL: i64 = 3000;
pub const REVENUE: i64 = 4000;
pub const RETURNS: i64 = 4100;
const COST_OF_GOODS: i64 = 5000;
const SALARIES: i64 = 6000;
const RENT: i64 = 6100;
const UTILITIES: i64 = 6200;
const MARKETING: i64 = 6300;

/// What a voucher is about.
#[derive(Default)]
pub struct Subject {
    /// The order that caused it.
    pub order: Option<i64>,
    /// The supplier, as an index.
    pub supplier: Option<usize>,
}

/// Writes vouchers in the order of their dates and keeps the running sums that month ends need.
pub struct Ledger<'connection> {
    insert: Statement<'connection>,
    transactions: i64,
    vouchers: i64,
    /// VAT owed and not yet paid over.
    vat_owed: Cents,
    /// The cost of what was shipped this month, per supplier.
    shipped_cost: Vec<Cents>,
}

impl<'connection> Ledger<'connection> {
    /// Opens the books.
    pub fn new(connection: &'connection Connection, suppliers: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            insert: connection.prepare(
                "INSERT INTO accounting_transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?,
            transactions: 0,
            vouchers: 0,
            vat_owed: 0,
            shipped_cost: vec![0; suppliers],
        })
    }

    /// Writes one voucher. `entries` are accounts with what is debited (positive) or credited (negative); those of
    /// nothing are left out.
    pub fn post(
        &mut self,
        date: &str,
        description: &str,
        subject: &Subject,
        entries: &[(i64, Cents)],
    ) -> rusqlite::Result<()> {
        // Invariant: no voucher is written that does not balance.
        assert_eq!(
            entries.iter().map(|(_, amount)| amount).sum::<Cents>(),
            0,
            "{description} of {date} does not balance"
        );
        self.vouchers += 1;
        for (account, amount) in entries.iter().filter(|(_, amount)| *amount != 0) {
            self.transactions += 1;
            if *account == VAT {
                self.vat_owed -= amount;
            }
            self.insert.execute(params![
                self.transactions,
                self.vouchers,
                date,
                account,
                euros((*amount).max(0)),
                euros((-amount).max(0)),
                description,
                subject.order,
                subject.supplier.map(id),
            ])?;
        }
        Ok(())
    }

    /// Notes the cost of goods that left the warehouse; it is written at the end of the month.
    pub fn goods_left(&mut self, supplier: usize, cost: Cents) {
        self.shipped_cost[supplier] += cost;
    }

    /// Writes what the owners and the bank brought in. `orders` sets the scale.
    pub fn open(&mut self, date: &str, orders: u64) -> rusqlite::Result<()> {
        let scale = orders.cast_signed();
        let (bank, inventory, equipment) = (7_500 * scale, 6_000 * scale, 2_500 * scale);
        let loan = 4_000 * scale;
        self.post(
            date,
            "Opening balance",
            &Subject::default(),
            &[
                (BANK, bank),
                (INVENTORY, inventory),
                (EQUIPMENT, equipment),
                (LOAN, -loan),
                (CAPITAL, loan - bank - inventory - equipment),
            ],
        )
    }

    /// Writes what is due on this day whatever is sold: rent, running costs, salaries and, at the end of a month, the
    /// cost of goods, and at the end of a quarter VAT.
    pub fn close_day(
        &mut self,
        number: usize,
        day: &Day,
        company: &Company,
        dice: &mut Dice,
    ) -> rusqlite::Result<()> {
        let expense = |account, amount: Cents| [(account, amount), (BANK, -amount)];
        let nothing = Subject::default();
        match day.day_of_month {
            1 => {
                let rent = [1_450_000, 1_490_000, 1_530_000][day.year];
                self.post(&day.date, "Rent", &nothing, &expense(RENT, rent))?;
            }
            12 => {
                let is_winter = matches!(day.month, 0 | 1 | 10 | 11);
                let utilities =
                    dice.between(310_000, 420_000) + if is_winter { 260_000 } else { 0 };
                self.post(
                    &day.date,
                    "Electricity, gas and water",
                    &nothing,
                    &expense(UTILITIES, utilities),
                )?;
                let is_gift_season = matches!(day.month, 9..=11);
                let marketing =
                    dice.between(500_000, 900_000) + if is_gift_season { 1_100_000 } else { 0 };
                self.post(
                    &day.date,
                    "Marketing",
                    &nothing,
                    &expense(MARKETING, marketing),
                )?;
            }
            25 => {
                let salaries = company
                    .employees
                    .iter()
                    .filter(|employee| employee.works_on(number as i64))
                    .map(|employee| employee.salary)
                    .sum();
                self.post(
                    &day.date,
                    "Salaries",
                    &nothing,
                    &expense(SALARIES, salaries),
                )?;
            }
            _ => {}
        }
        if day.ends_month {
            self.close_month(day)?;
        }
        Ok(())
    }

    fn close_month(&mut self, day: &Day) -> rusqlite::Result<()> {
        let cost: Cents = self.shipped_cost.iter().sum();
        let entries = [(COST_OF_GOODS, cost), (INVENTORY, -cost)];
        self.post(
            &day.date,
            "Cost of goods sold",
            &Subject::default(),
            &entries,
        )?;
        if day.month % 3 == 2 {
            let owed = self.vat_owed;
            let entries = [(VAT, owed), (BANK, -owed)];
            self.post(&day.date, "VAT paid over", &Subject::default(), &entries)?;
        }
        Ok(())
    }

    /// Orders again what left the warehouse this month and a little more, and returns each supplier with the amount.
    pub fn restock(
        &mut self,
        date: &str,
        dice: &mut Dice,
    ) -> rusqlite::Result<Vec<(usize, Cents)>> {
        let mut purchases = Vec::new();
        for supplier in 0..self.shipped_cost.len() {
            let amount = self.shipped_cost[supplier] * dice.between(96, 108) / 100;
            self.shipped_cost[supplier] = 0;
            if amount > 0 {
                let subject = Subject {
                    order: None,
                    supplier: Some(supplier),
                };
                self.post(
                    date,
                    "Purchase of goods",
                    &subject,
                    &[(INVENTORY, amount), (PAYABLE, -amount)],
                )?;
                purchases.push((supplier, amount));
            }
        }
        Ok(purchases)
    }
}
