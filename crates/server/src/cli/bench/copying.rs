//! The golden copy of a large file beside `cp` and fsync, in turns, so that both meet the same machine.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::Error;
use stores::golden_copy::{GoldenCopy, GoldenCopySettings};

use super::super::output;
use super::{Figure, demo, failed, median, ratio, seconds};
use crate::wire::SystemClock;

/// How often each is measured.
const TURNS: usize = 5;

/// Measures copies of a demo company of so many orders.
pub fn figures(folder: &Path, orders: u64) -> Result<Vec<Figure>, Error> {
    output::say(&format!("generating a file of {orders} orders"));
    let begun = Instant::now();
    let original = demo(folder, "original", orders)?;
    let generated = begun.elapsed();
    let bytes = std::fs::metadata(&original).map_err(failed)?.len();
    let size = format!("{:.2} GB", bytes as f64 / 1e9);

    output::say(&format!("copying {size}, {TURNS} turns"));
    let (mut plain, mut quick, mut checked) = (Vec::new(), Vec::new(), Vec::new());
    // Once unmeasured, so that the file is in the cache for all that follow.
    cp(&original, &folder.join("cp.sqlite"))?;
    for _ in 0..TURNS {
        plain.push(cp(&original, &folder.join("cp.sqlite"))?);
        quick.push(golden_copy(folder, &original, false)?);
        checked.push(golden_copy(folder, &original, true)?);
    }
    std::fs::remove_file(&original).map_err(failed)?;
    let (plain, quick, checked) = (median(plain), median(quick), median(checked));
    let beside = |ours| {
        format!(
            "{} times cp --reflink=never and fsync, {}",
            ratio(ours, plain),
            seconds(plain)
        )
    };
    Ok(vec![
        Figure::new(
            format!("golden copy of {size}, median of {TURNS}"),
            seconds(quick),
            beside(quick),
        ),
        Figure::new(
            format!("the same with integrity_check, median of {TURNS}"),
            seconds(checked),
            beside(checked),
        ),
        Figure::new(
            format!("demo company of {orders} orders, generated"),
            seconds(generated),
            size,
        ),
    ])
}

fn cp(original: &Path, copy: &Path) -> Result<Duration, Error> {
    let begun = Instant::now();
    let status = Command::new("cp")
        .arg("--reflink=never")
        .arg(original)
        .arg(copy)
        .status()
        .map_err(failed)?;
    if !status.success() {
        return Err(failed("cp failed"));
    }
    File::open(copy)
        .and_then(|file| file.sync_all())
        .map_err(failed)?;
    let time = begun.elapsed();
    std::fs::remove_file(copy).map_err(failed)?;
    Ok(time)
}

/// Makes a first copy: hashing, copying, hashing again, checking, reading the schema, putting it in service.
fn golden_copy(folder: &Path, original: &Path, integrity_check: bool) -> Result<Duration, Error> {
    let target = tempfile::tempdir_in(folder).map_err(failed)?;
    let working_copy = target.path().join("copy.sqlite");
    let settings = GoldenCopySettings {
        integrity_check,
        ..GoldenCopySettings::new(original.to_owned(), working_copy, Arc::new(SystemClock))
    };
    let begun = Instant::now();
    GoldenCopy::new(settings)?.ensure(&|_| ())?;
    Ok(begun.elapsed())
}
