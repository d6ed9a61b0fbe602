//! Originals in every state in which a program may leave them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use engine::Code;
use rusqlite::Connection;
use stores::golden_copy::{CopyPhase, CopyProgress, GoldenCopy};

use super::scene::{Scene, assert_refused, ensure, quiet};

/// Copies the database at `from` with its journals, as they are now, to be the original.
fn take_as_original(scene: &Scene, from: &Path) {
    for suffix in ["", "-wal", "-journal"] {
        let member = format!("{}{suffix}", from.display());
        if Path::new(&member).exists() {
            fs::copy(&member, scene.original_member(suffix)).unwrap();
        }
    }
}

/// Opens a database elsewhere whose files can be taken while it is at work.
fn busy_database(scene: &Scene) -> (Connection, std::path::PathBuf) {
    let path = scene.path().join("busy.db");
    (Connection::open(&path).unwrap(), path)
}

/// Fills a table over many pages and leaves a transaction open that has spilled into the file.
fn spill_a_transaction(connection: &Connection) {
    connection
        .execute_batch(
            "PRAGMA cache_size = 5;
             CREATE TABLE t(id INTEGER PRIMARY KEY, text TEXT);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
             INSERT INTO t SELECT i, 'before ' || printf('%0200d', i) FROM n;
             BEGIN; UPDATE t SET text = 'after' || substr(text, 7); DELETE FROM t WHERE id > 2000;",
        )
        .unwrap();
}

#[test]
fn a_plain_database_is_copied_byte_for_byte() {
    let scene = Scene::with_parts();
    let ensured = ensure(&scene).unwrap();
    assert!(ensured.is_new);
    assert_eq!(
        fs::read(scene.working_copy()).unwrap(),
        fs::read(scene.original()).unwrap()
    );
    let metadata = fs::metadata(scene.working_copy()).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o444);
    assert_eq!(
        fs::metadata(scene.generations())
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
    let provenance = ensured.generation.provenance();
    assert_eq!(provenance.fingerprint, ensured.fingerprint);
    assert_eq!(provenance.copied_at, "2023-11-14T22:13:20Z");
    assert!(!provenance.original_changed);
    assert_eq!(
        ensured
            .generation
            .schema()
            .table("parts")
            .unwrap()
            .row_count,
        Some(100)
    );
}

#[test]
fn rows_committed_to_a_wal_are_in_the_copy_and_uncommitted_ones_are_not() {
    let scene = Scene::empty();
    let (writer, path) = busy_database(&scene);
    writer
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = 5;
             CREATE TABLE t(id INTEGER PRIMARY KEY, text TEXT); INSERT INTO t VALUES (1, 'one');
             PRAGMA wal_checkpoint; INSERT INTO t VALUES (2, 'two');
             BEGIN;
             WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
             INSERT INTO t SELECT i, printf('%0200d', i) FROM n;",
        )
        .unwrap();
    take_as_original(&scene, &path);
    assert!(fs::metadata(scene.original_member("-wal")).unwrap().len() > 100_000);
    ensure(&scene).unwrap();
    assert_eq!(scene.ask_copy::<i64>("SELECT count(*) FROM t"), 2);
    assert_eq!(scene.ask_copy::<String>("PRAGMA journal_mode"), "delete");
}

#[test]
fn a_write_that_only_reached_the_wal_makes_a_new_fingerprint() {
    let scene = Scene::empty();
    let writer = Connection::open(scene.original()).unwrap();
    writer
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t(a); INSERT INTO t VALUES (1); PRAGMA wal_checkpoint;")
        .unwrap();
    let first = ensure(&scene).unwrap();
    let main_file = fs::read(scene.original()).unwrap();
    writer.execute_batch("INSERT INTO t VALUES (2)").unwrap();
    assert_eq!(fs::read(scene.original()).unwrap(), main_file);
    assert!(first.generation.provenance().original_changed);
    let second = ensure(&scene).unwrap();
    assert!(second.is_new);
    assert_ne!(second.fingerprint, first.fingerprint);
    assert_eq!(scene.ask_copy::<i64>("SELECT count(*) FROM t"), 2);
}

#[test]
fn a_database_in_wal_mode_without_a_wal_needs_none_to_be_read() {
    let scene =
        Scene::with("PRAGMA journal_mode = WAL; CREATE TABLE t(a); INSERT INTO t VALUES (1);");
    assert!(!scene.original_member("-wal").exists());
    ensure(&scene).unwrap();
    assert_eq!(scene.ask_copy::<i64>("SELECT a FROM t"), 1);
    assert_eq!(scene.ask_copy::<String>("PRAGMA journal_mode"), "delete");
}

#[test]
fn an_empty_wal_that_a_reader_left_does_not_count_as_a_change() {
    let scene = Scene::with("PRAGMA journal_mode = WAL; CREATE TABLE t(a)");
    let first = ensure(&scene).unwrap();
    fs::write(scene.original_member("-wal"), b"").unwrap();
    assert!(!first.generation.provenance().original_changed);
    assert!(!ensure(&scene).unwrap().is_new);
}

#[test]
fn a_hot_journal_is_rolled_back_in_the_copy_only() {
    let scene = Scene::empty();
    let (writer, path) = busy_database(&scene);
    spill_a_transaction(&writer);
    take_as_original(&scene, &path);
    let bytes = fs::read(scene.original()).unwrap();
    assert!(
        bytes.windows(9).any(|window| window == b"after 000"),
        "nothing spilled"
    );
    ensure(&scene).unwrap();
    assert_eq!(scene.ask_copy::<i64>("SELECT count(*) FROM t"), 3000);
    assert_eq!(
        scene.ask_copy::<i64>("SELECT count(*) FROM t WHERE text LIKE 'after%'"),
        0
    );
    assert!(!scene.generations().join("copy.db-journal").exists());
}

#[test]
fn a_spent_journal_that_is_kept_on_disk_changes_nothing() {
    let scene = Scene::with(
        "PRAGMA journal_mode = PERSIST; CREATE TABLE t(a); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2);",
    );
    assert!(
        fs::metadata(scene.original_member("-journal"))
            .unwrap()
            .len()
            > 0
    );
    ensure(&scene).unwrap();
    assert_eq!(scene.ask_copy::<i64>("SELECT count(*) FROM t"), 2);
}

/// Ends a journal as SQLite does in a transaction over several databases.
fn name_super_journal(journal: &Path, super_journal: &Path) {
    let name = super_journal.to_str().unwrap().as_bytes();
    let sum: u32 = name.iter().map(|&byte| u32::from(byte)).sum();
    let mut bytes = fs::read(journal).unwrap();
    bytes.extend((0x4000_0000_u32 / 4096 + 1).to_be_bytes());
    bytes.extend(name);
    bytes.extend(u32::try_from(name.len()).unwrap().to_be_bytes());
    bytes.extend(sum.to_be_bytes());
    bytes.extend([0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]);
    fs::write(journal, bytes).unwrap();
}

#[test]
fn a_journal_whose_super_journal_exists_is_rolled_back_and_the_super_journal_stays() {
    let scene = Scene::empty();
    let (writer, path) = busy_database(&scene);
    spill_a_transaction(&writer);
    take_as_original(&scene, &path);
    let super_journal = scene.original_member("-mj1");
    fs::write(&super_journal, b"/elsewhere/other.db-journal\0").unwrap();
    name_super_journal(&scene.original_member("-journal"), &super_journal);
    ensure(&scene).unwrap();
    assert_eq!(
        scene.ask_copy::<i64>("SELECT count(*) FROM t WHERE text LIKE 'before%'"),
        3000
    );
    assert!(super_journal.exists());
}

#[test]
fn a_journal_whose_super_journal_is_gone_belongs_to_a_committed_transaction() {
    let scene = Scene::empty();
    let (writer, path) = busy_database(&scene);
    spill_a_transaction(&writer);
    take_as_original(&scene, &path);
    writer.execute_batch("COMMIT").unwrap();
    fs::copy(&path, scene.original()).unwrap();
    name_super_journal(
        &scene.original_member("-journal"),
        &scene.original_member("-mj1"),
    );
    ensure(&scene).unwrap();
    assert_eq!(
        scene.ask_copy::<i64>("SELECT count(*) FROM t WHERE text LIKE 'after%'"),
        2000
    );
}

#[test]
fn a_write_during_the_copy_makes_it_start_again() {
    let scene = Scene::with_parts();
    let writer = Mutex::new(Some(Connection::open(scene.original()).unwrap()));
    let starts = AtomicU32::new(0);
    let ensured = scene.golden_copy().ensure(&|progress: CopyProgress| {
        if progress.phase != CopyPhase::Copying {
            return;
        }
        if progress.done == 0 {
            starts.fetch_add(1, Ordering::Relaxed);
        } else if let Some(writer) = writer.lock().unwrap().take() {
            writer
                .execute_batch("INSERT INTO parts(name) VALUES ('meanwhile')")
                .unwrap();
        }
    });
    assert!(ensured.unwrap().is_new);
    assert_eq!(starts.into_inner(), 2);
    assert_eq!(scene.ask_copy::<i64>("SELECT count(*) FROM parts"), 101);
}

#[test]
fn an_original_that_never_rests_is_given_up_and_the_previous_copy_stays() {
    let scene = Scene::with_parts();
    let golden_copy = scene.golden_copy();
    let first = golden_copy.ensure(&quiet).unwrap();
    scene.change_original("INSERT INTO parts(name) VALUES ('later')");
    let writer = Mutex::new(Connection::open(scene.original()).unwrap());
    let starts = AtomicU32::new(0);
    let error = golden_copy
        .refresh(&|progress: CopyProgress| {
            if progress.phase == CopyPhase::Copying && progress.done == 0 {
                starts.fetch_add(1, Ordering::Relaxed);
            } else if progress.phase == CopyPhase::Copying {
                let writer = writer.lock().unwrap();
                writer
                    .execute_batch("INSERT INTO parts(name) VALUES ('again')")
                    .unwrap();
            }
        })
        .err()
        .unwrap();
    assert_eq!(error.code(), Code::GoldenCopyMismatch);
    assert_eq!(starts.into_inner(), scene.settings().attempts);
    assert_eq!(
        golden_copy.generation().unwrap().provenance().fingerprint,
        first.fingerprint
    );
    assert_eq!(scene.ask_copy::<i64>("SELECT count(*) FROM parts"), 100);
    assert_eq!(scene.generation_files(".db").len(), 1);
}

#[test]
fn an_original_in_a_folder_that_cannot_be_written_is_copied() {
    let scene = Scene::with_parts();
    let folder = scene.original().parent().unwrap().to_owned();
    fs::set_permissions(scene.original(), fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    let ensured = ensure(&scene);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(ensured.unwrap().is_new);
}

#[test]
fn a_database_without_any_table_is_allowed() {
    let scene = Scene::with("CREATE TABLE t(a); DROP TABLE t;");
    assert!(
        ensure(&scene)
            .unwrap()
            .generation
            .schema()
            .tables
            .is_empty()
    );
}

#[test]
fn an_original_behind_a_link_is_copied_with_the_journals_of_the_file_itself() {
    let scene = Scene::empty();
    let real = scene.path().join("real.db");
    let writer = Connection::open(&real).unwrap();
    writer
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t(a); INSERT INTO t VALUES (7)")
        .unwrap();
    std::os::unix::fs::symlink(&real, scene.original()).unwrap();
    ensure(&scene).unwrap();
    assert_eq!(scene.ask_copy::<i64>("SELECT a FROM t"), 7);
}

#[test]
fn what_is_no_database_is_refused_with_a_reason() {
    let scene = Scene::empty();
    assert!(
        assert_refused(&scene, Code::TargetNotFound)
            .message()
            .contains("business data.db")
    );

    fs::write(scene.original(), b"").unwrap();
    assert!(
        assert_refused(&scene, Code::InvalidTarget)
            .message()
            .contains("is empty")
    );

    let noise: Vec<u8> = (0..8192_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    fs::write(scene.original(), &noise).unwrap();
    assert!(
        assert_refused(&scene, Code::InvalidTarget)
            .message()
            .contains("encrypted")
    );

    fs::write(scene.original(), b"id,name\n1,bolt\n").unwrap();
    assert_refused(&scene, Code::InvalidTarget);

    let header_only = [b"SQLite format 3\0".as_slice(), &noise].concat();
    fs::write(scene.original(), header_only).unwrap();
    assert_refused(&scene, Code::InvalidTarget);

    fs::remove_file(scene.original()).unwrap();
    fs::create_dir(scene.original()).unwrap();
    assert!(
        assert_refused(&scene, Code::InvalidTarget)
            .message()
            .contains("folder")
    );

    fs::remove_dir(scene.original()).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(scene.original())
        .status()
        .unwrap();
    assert!(made.success());
    assert!(
        assert_refused(&scene, Code::InvalidTarget)
            .message()
            .contains("not a regular file")
    );
}

#[test]
fn an_original_that_may_not_be_read_is_refused() {
    let scene = Scene::with_parts();
    fs::set_permissions(scene.original(), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(scene.original()).is_ok() {
        eprintln!("skipped: this user may read everything");
        return;
    }
    let error = scene.golden_copy().ensure(&quiet).err().unwrap();
    assert_eq!(error.code(), Code::TargetNotFound);
}

/// A database of some hundred pages.
fn many_pages() -> Scene {
    Scene::with(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, text TEXT); CREATE INDEX by_text ON t(text);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
         INSERT INTO t SELECT i, printf('%0100d', i) FROM n;",
    )
}

#[test]
fn a_truncated_database_is_refused_even_without_the_integrity_check() {
    let scene = many_pages();
    let bytes = fs::read(scene.original()).unwrap();
    fs::write(scene.original(), &bytes[..bytes.len() / 2]).unwrap();
    assert!(
        assert_refused(&scene, Code::InvalidTarget)
            .message()
            .contains("damaged")
    );
    let mut settings = scene.settings();
    settings.integrity_check = false;
    let error = GoldenCopy::new(settings)
        .unwrap()
        .ensure(&quiet)
        .err()
        .unwrap();
    assert_eq!(error.code(), Code::InvalidTarget);
}

#[test]
fn a_damaged_page_is_refused_and_the_previous_copy_stays() {
    let scene = many_pages();
    let golden_copy = scene.golden_copy();
    let first = golden_copy.ensure(&quiet).unwrap();
    let mut bytes = fs::read(scene.original()).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0x5a);
    fs::write(scene.original(), &bytes).unwrap();
    let witness = scene.witness();
    let error = golden_copy.refresh(&quiet).err().unwrap();
    assert_eq!(error.code(), Code::InvalidTarget);
    assert!(error.message().contains("damaged"), "{error}");
    witness.assert_untouched();
    assert_eq!(
        golden_copy.generation().unwrap().provenance().fingerprint,
        first.fingerprint
    );
    assert_eq!(scene.ask_copy::<i64>("SELECT count(*) FROM t"), 5000);
}

#[test]
fn rows_that_break_their_own_constraints_are_copied_as_they_are() {
    let scene = Scene::with(
        "CREATE TABLE t(a INTEGER CHECK (a > 0), b TEXT); INSERT INTO t VALUES (1, NULL);
         PRAGMA ignore_check_constraints = ON; INSERT INTO t VALUES (-1, NULL);
         PRAGMA writable_schema = ON;
         UPDATE sqlite_master SET sql = 'CREATE TABLE t(a INTEGER CHECK (a > 0), b TEXT NOT NULL)';",
    );
    ensure(&scene).unwrap();
    assert_eq!(scene.ask_copy::<i64>("SELECT count(*) FROM t"), 2);
}
