//! Writes the demo company: a made-up wholesaler with three years of orders and the accounts that go with them, as one
//! SQLite file. The same options give the same rows on every machine: no clock, no floating-point arithmetic beyond one
//! division, one seeded stream of random numbers.

mod calendar;
mod ledger;
mod master;
#[cfg(test)]
mod tests;
mod trade;
mod words;

use std::fmt::Display;
use std::fs::File;
use std::path::{Path, PathBuf};

use engine::{Code, Error};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rusqlite::Connection;

/// The tables in the order in which they are filled.
pub const TABLES: [&str; 11] = [
    "departments",
    "employees",
    "categories",
    "suppliers",
    "products",
    "customers",
    "orders",
    "order_lines",
    "returns",
    "accounts",
    "accounting_transactions",
];

/// What to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoOptions {
    /// Orders in the three years; one order makes about eight rows. From 1 to 20,000,000.
    pub orders: u64,
    /// Another seed gives another company of the same shape.
    pub seed: u64,
    /// Replace a file that is there already.
    pub overwrite: bool,
}

impl Default for DemoOptions {
    /// 12,000 orders: about 100,000 rows.
    fn default() -> Self {
        Self {
            orders: 12_000,
            seed: 20_230_101,
            overwrite: false,
        }
    }
}

/// What was generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoSummary {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub size_bytes: u64,
    /// Rows per table, in the order of [`TABLES`].
    pub tables: Vec<(&'static str, u64)>,
}

impl DemoSummary {
    /// Returns the number of rows of all tables together.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|(_, rows)| rows).sum()
    }
}

/// Generates the demo company at `path`, hearing orders done and orders in all through `progress` now and then.
///
/// The file is written beside `path` under another name, synced and then renamed, so that `path` is never half a file.
///
/// # Errors
///
/// [`Code::Conflict`] if `path` exists and may not be overwritten, [`Code::InvalidSetting`] if `orders` is out of
/// range, [`Code::Internal`] if writing fails.
pub fn generate(
    path: &Path,
    options: &DemoOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<DemoSummary, Error> {
    if !(1..=20_000_000).contains(&options.orders) {
        return Err(Error::new(
            Code::InvalidSetting,
            format!(
                "{} orders cannot be generated, 1 to 20000000 can",
                options.orders
            ),
        ));
    }
    if path.exists() && !options.overwrite {
        return Err(exists_already(path));
    }
    let failed = |cause: &dyn Display| {
        Error::new(
            Code::Internal,
            format!("the demo company cannot be written to `{}`", path.display()),
        )
        .with_cause(cause)
    };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    let scratch = tempfile::Builder::new()
        .prefix(".demo-company-")
        .suffix(".tmp")
        .tempfile_in(folder)
        .map_err(|error| failed(&error))?
        .into_temp_path();
    let tables = fill(&scratch, options, progress).map_err(|error| failed(&error))?;
    let size_bytes = publish(scratch, path, options.overwrite).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            exists_already(path)
        } else {
            failed(&error)
        }
    })?;
    Ok(DemoSummary {
        path: path.to_owned(),
        size_bytes,
        tables,
    })
}

fn exists_already(path: &Path) -> Error {
    Error::new(
        Code::Conflict,
        format!("`{}` exists already", path.display()),
    )
    .with_hint("name another file, or allow it to be replaced")
}

/// Fills an empty database file and returns the rows per table.
fn fill(
    file: &Path,
    options: &DemoOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> rusqlite::Result<Vec<(&'static str, u64)>> {
    let connection = Connection::open(file)?;
    // The file is thrown away if anything fails, so neither a journal nor a sync on the way is worth its time.
    connection.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF;
         PRAGMA cache_size = -65536; PRAGMA locking_mode = EXCLUSIVE; BEGIN;",
    )?;
    connection.execute_batch(include_str!("schema.sql"))?;
    let mut dice = Dice::new(options.seed);
    let company = master::fill(&connection, options.orders, &mut dice)?;
    trade::fill(&connection, &company, options.orders, &mut dice, progress)?;
    connection.execute_batch(include_str!("finish.sql"))?;
    connection.execute_batch("COMMIT;")?;
    let mut counts = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let rows: i64 =
            connection.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| {
                row.get(0)
            })?;
        counts.push((table, rows.unsigned_abs()));
    }
    connection.close().map_err(|(_, error)| error)?;
    Ok(counts)
}

/// Syncs the finished file, gives it the permissions of an ordinary new file and its name; returns its size in bytes.
fn publish(scratch: tempfile::TempPath, path: &Path, overwrite: bool) -> std::io::Result<u64> {
    let file = File::open(&scratch)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.sync_all()?;
    let size_bytes = file.metadata()?.len();
    if overwrite {
        scratch.persist(path)?;
    } else {
        scratch.persist_noclobber(path)?;
    }
    Ok(size_bytes)
}

/// Money in cents: sums of integers are exact, and only what is written becomes a decimal.
type Cents = i64;

/// Returns the decimal amount that is stored for an amount in cents.
fn euros(cents: Cents) -> f64 {
    cents as f64 / 100.0
}

/// Returns the identifier of the row at this position: positions count from 0, identifiers from 1.
fn id(position: usize) -> i64 {
    i64::try_from(position).expect("no list here is longer than an i64 counts") + 1
}

/// A seeded stream of choices. Drawing is written out here, because the results of `rand`'s own methods may change
/// from one release to the next and these may not.
struct Dice(ChaCha8Rng);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Returns a number from 0 to `bound - 1`; 0 when `bound` is 0. Its bias, below 2^-32 for all bounds used, is
    /// nothing for demo data.
    fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.0.next_u64()) * u128::from(bound);
        u64::try_from(product >> 64)
            .expect("a product of two 64-bit numbers has at most 64 bits above the 64th")
    }

    /// Returns a number from `low` to `high`, both included.
    fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = high.abs_diff(low) + 1;
        low + self.below(width).cast_signed()
    }

    /// Returns an index of something with `length` items.
    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("an index below a usize is a usize")
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.index(items.len())]
    }

    /// Is true `share` times of a thousand.
    fn chance(&mut self, share: u64) -> bool {
        self.below(1000) < share
    }

    /// Returns the index of one of the weights, the heavier the likelier.
    fn weighted(&mut self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        let total: u64 = weights.clone().map(u64::from).sum();
        let mut drawn = self.below(total);
        for (index, weight) in weights.enumerate() {
            if drawn < u64::from(weight) {
                return index;
            }
            drawn -= u64::from(weight);
        }
        0
    }
}
