//! The three years as days 0 to 1,095, and how many orders each of them brings.

use chrono::{Datelike, Days, NaiveDate};

use super::Dice;

/// 2023, 2024 and 2025.
pub const DAYS: usize = 365 + 366 + 365;

/// How busy each month is; 10 is average. The last quarter brings the gift trade, the summer is quiet.
const MONTHS: [u64; 12] = [9, 8, 10, 11, 11, 10, 8, 8, 10, 11, 14, 13];

/// How busy Monday to Sunday are; on Sundays only the web shop is open.
const WEEKDAYS: [u64; 7] = [13, 13, 12, 12, 11, 4, 3];

/// The days of the three years, with their dates as text made once.
pub struct Calendar {
    days: Vec<Day>,
}

/// One day.
pub struct Day {
    /// ISO 8601.
    pub date: String,
    /// 0 for January.
    pub month: usize,
    /// 0 for the first year.
    pub year: usize,
    /// From 1.
    pub day_of_month: u32,
    /// The next day is in another month.
    pub ends_month: bool,
}

impl Calendar {
    /// Makes the calendar.
    pub fn new() -> Self {
        let days = (0..DAYS as u64)
            .map(|day| {
                let date = first_day() + Days::new(day);
                Day {
                    date: date.to_string(),
                    month: date.month0() as usize,
                    year: usize::try_from(date.year() - first_day().year())
                        .expect("no day is before the first year"),
                    day_of_month: date.day(),
                    ends_month: (date + Days::new(1)).month() != date.month(),
                }
            })
            .collect();
        Self { days }
    }

    /// Returns a day of the three years.
    pub fn day(&self, day: usize) -> &Day {
        &self.days[day]
    }

    /// Returns the date of a day as text; days after the last are dates too, for promises into the future.
    pub fn date(&self, day: usize) -> String {
        match self.days.get(day) {
            Some(day) => day.date.clone(),
            None => date_of(day as i64),
        }
    }

    /// Splits `orders` over the days: growing by two thirds over the three years, with seasons, quiet week-ends and
    /// noise. The parts add up to exactly `orders`.
    pub fn orders_per_day(&self, orders: u64, dice: &mut Dice) -> Vec<u64> {
        let weights: Vec<u64> = (0..DAYS)
            .map(|day| {
                let date = first_day() + Days::new(day as u64);
                let growth = 1000 + 700 * day as u64 / DAYS as u64;
                let weekday = WEEKDAYS[date.weekday().num_days_from_monday() as usize];
                let holiday = if date.month() == 12 && date.day() >= 24 {
                    3
                } else {
                    10
                };
                growth * weekday * MONTHS[date.month0() as usize] * holiday * (80 + dice.below(41))
            })
            .collect();
        let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        let mut passed: u128 = 0;
        let mut given: u64 = 0;
        weights
            .iter()
            .map(|weight| {
                passed += u128::from(*weight);
                let due = u64::try_from(passed * u128::from(orders) / total)
                    .expect("a share of the orders is not more than the orders");
                let today = due - given;
                given = due;
                today
            })
            .collect()
    }
}

/// Returns the ISO 8601 date of a day counted from the first of the three years; negative days are before it.
pub fn date_of(day: i64) -> String {
    let date = if day < 0 {
        first_day() - Days::new(day.unsigned_abs())
    } else {
        first_day() + Days::new(day.unsigned_abs())
    };
    date.to_string()
}

fn first_day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2023, 1, 1).expect("2023-01-01 is a date")
}
