//! Bounds the disk that sorting and DISTINCT may take. SQLite has no such limit, so its temporary files are measured.

use std::fs;
use std::os::unix::fs::MetadataExt;

/// The bytes that all temporary files of this process may have together.
const MAX_BYTES: u64 = 2 << 30;
const OPEN_FILES: &str = "/dev/fd";

/// Says whether files can be measured here; where they cannot, SQLite must keep temporary data in memory, which
/// is bounded by its heap limit.
pub(super) fn can_be_measured() -> bool {
    fs::read_dir(OPEN_FILES).is_ok()
}

/// Says whether the files that this process holds open without a name, as SQLite holds its temporary ones, are larger
/// than they may be together.
pub(super) fn are_too_large() -> bool {
    total_bytes() > MAX_BYTES
}

fn total_bytes() -> u64 {
    let Ok(entries) = fs::read_dir(OPEN_FILES) else {
        return 0;
    };
    entries
        .flatten()
        .filter_map(|entry| fs::metadata(entry.path()).ok())
        .filter(|file| file.is_file() && file.nlink() == 0)
        .map(|file| file.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_without_a_name_is_measured() {
        assert!(can_be_measured());
        let before = total_bytes();
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(&[0; 70_000]).expect("some bytes");
        assert!(total_bytes() >= before + 70_000);
    }
}
