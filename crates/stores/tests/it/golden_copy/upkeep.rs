//! Reuse, refresh, retention, verification, restoring, and what is said of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use engine::Code;
use rusqlite::{Connection, OpenFlags};
use stores::golden_copy::{CopyPhase, CopyProgress, GoldenCopy, OriginalState};

use super::scene::{PARTS, Scene, ensure, quiet};

#[test]
fn an_unchanged_original_is_not_copied_again() {
    let scene = Scene::with_parts();
    let first = ensure(&scene).unwrap();
    let has_copied = AtomicBool::new(false);
    let again = scene
        .golden_copy()
        .ensure(&|progress: CopyProgress| {
            has_copied.fetch_or(progress.phase == CopyPhase::Copying, Ordering::Relaxed);
        })
        .unwrap();
    assert!(!again.is_new);
    assert!(!has_copied.into_inner());
    assert_eq!(again.fingerprint, first.fingerprint);
    assert_eq!(**again.generation.schema(), **first.generation.schema());
}

#[test]
fn a_refresh_without_a_change_keeps_the_very_generation() {
    let scene = Scene::with_parts();
    let golden_copy = scene.golden_copy();
    let first = golden_copy.ensure(&quiet).unwrap();
    let second = golden_copy.refresh(&quiet).unwrap();
    assert!(std::sync::Arc::ptr_eq(
        &first.generation,
        &second.generation
    ));
}

#[test]
fn a_generation_that_is_held_survives_refreshes_and_goes_when_it_is_dropped() {
    let scene = Scene::with_parts();
    let mut settings = scene.settings();
    settings.keep_generations = 1;
    let golden_copy = GoldenCopy::new(settings).unwrap();
    let held = golden_copy.ensure(&quiet).unwrap();
    let file = scene.generations().join(format!("{}.db", held.fingerprint));
    for round in 0..3 {
        scene.change_original(&format!("INSERT INTO parts(name) VALUES ('new {round}')"));
        assert!(golden_copy.refresh(&quiet).unwrap().is_new);
    }
    let old = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let rows: i64 = old
        .query_row("SELECT count(*) FROM parts", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 100);
    assert!(held.generation.provenance().original_changed);
    assert_eq!(
        held.generation.schema().table("parts").unwrap().row_count,
        Some(100)
    );
    assert_eq!(
        scene.generation_files(".db").len(),
        2,
        "the held one and the one in service"
    );

    drop(held);
    scene.change_original("DELETE FROM parts WHERE id = 1");
    golden_copy.refresh(&quiet).unwrap();
    assert!(!file.exists());
    assert_eq!(scene.generation_files(".db").len(), 1);
    assert_eq!(scene.generation_files(".lease").len(), 1);
    assert_eq!(scene.ask_copy::<i64>("SELECT count(*) FROM parts"), 102);
}

#[test]
fn old_generations_are_kept_up_to_the_count_and_one_that_comes_back_is_reused() {
    let scene = Scene::with_parts();
    let mut settings = scene.settings();
    settings.keep_generations = 2;
    let golden_copy = GoldenCopy::new(settings).unwrap();
    let first_bytes = fs::read(scene.original()).unwrap();
    let first = golden_copy.ensure(&quiet).unwrap().fingerprint;
    scene.change_original("UPDATE parts SET name = 'x' WHERE id = 1");
    let second = golden_copy.refresh(&quiet).unwrap().fingerprint;
    let status = golden_copy.status();
    let kept: Vec<String> = status
        .generations
        .into_iter()
        .map(|kept| kept.fingerprint)
        .collect();
    assert_eq!(kept, [second.clone(), first.clone()]);

    fs::write(scene.original(), first_bytes).unwrap();
    let back = golden_copy.refresh(&quiet).unwrap();
    assert_eq!((back.fingerprint, back.is_new), (first.clone(), false));
    assert_eq!(golden_copy.status().in_service.unwrap().fingerprint, first);
    assert_eq!(
        scene.ask_copy::<String>("SELECT name FROM parts WHERE id = 1"),
        "part 1"
    );
}

#[test]
fn whoever_opens_the_working_copy_during_refreshes_always_finds_a_whole_one() {
    let scene = Scene::with("CREATE TABLE version(n); INSERT INTO version VALUES (0);");
    let golden_copy = scene.golden_copy();
    golden_copy.ensure(&quiet).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut last, mut reads) = (0, 0);
            while !is_over.load(Ordering::Relaxed) || reads == 0 {
                let seen = scene.ask_copy::<i64>("SELECT n FROM version");
                assert!(seen >= last, "went back from {last} to {seen}");
                (last, reads) = (seen, reads + 1);
            }
        });
        for _ in 0..25 {
            scene.change_original("UPDATE version SET n = n + 1");
            golden_copy.refresh(&quiet).unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
    assert_eq!(scene.ask_copy::<i64>("SELECT n FROM version"), 25);
}

fn tamper(scene: &Scene) {
    let path = fs::canonicalize(scene.working_copy()).unwrap();
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes
        .windows(7)
        .position(|window| window == b"part 42")
        .unwrap();
    bytes[at..at + 7].copy_from_slice(b"part 99");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    fs::File::open(&path)
        .unwrap()
        .set_modified(modified)
        .unwrap();
}

#[test]
fn a_tampered_working_copy_is_found_by_verify_and_mended_by_restore() {
    let scene = Scene::with_parts();
    let golden_copy = scene.golden_copy();
    golden_copy.ensure(&quiet).unwrap();
    let verified = golden_copy.verify(&quiet).unwrap();
    assert_eq!(
        (verified.problems, verified.original_state),
        (vec![], OriginalState::Unchanged)
    );

    tamper(&scene);
    let verified = golden_copy.verify(&quiet).unwrap();
    assert!(!verified.is_intact());
    assert!(
        verified.problems[0].contains("not those that were copied"),
        "{:?}",
        verified.problems
    );

    let witness = scene.witness();
    assert!(golden_copy.restore(&quiet).unwrap().is_new);
    witness.assert_untouched();
    assert!(golden_copy.verify(&quiet).unwrap().is_intact());
    assert_eq!(
        scene.ask_copy::<String>("SELECT name FROM parts WHERE id = 42"),
        "part 42"
    );
}

#[test]
fn a_working_copy_that_lost_its_end_or_its_file_is_made_anew_at_the_next_start() {
    let scene = Scene::with_parts();
    ensure(&scene).unwrap();
    let path = fs::canonicalize(scene.working_copy()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(ensure(&scene).unwrap().is_new);
    assert_eq!(scene.ask_copy::<i64>("SELECT count(*) FROM parts"), 100);

    fs::remove_file(&path).unwrap();
    assert!(ensure(&scene).unwrap().is_new);
    assert_eq!(scene.ask_copy::<i64>("SELECT count(*) FROM parts"), 100);
}

#[test]
fn a_working_copy_that_was_only_touched_is_kept() {
    let scene = Scene::with_parts();
    ensure(&scene).unwrap();
    let path = fs::canonicalize(scene.working_copy()).unwrap();
    let file = fs::File::open(&path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    assert!(!ensure(&scene).unwrap().is_new);
}

#[test]
fn a_changed_original_is_reported_and_a_touched_one_is_not() {
    let scene = Scene::with_parts();
    let golden_copy = scene.golden_copy();
    let ensured = golden_copy.ensure(&quiet).unwrap();
    assert_eq!(
        golden_copy.status().original_state,
        Some(OriginalState::Unchanged)
    );

    let original = fs::File::open(scene.original()).unwrap();
    original
        .set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    assert!(!ensured.generation.provenance().original_changed);
    assert_eq!(
        golden_copy.status().original_state,
        Some(OriginalState::Unchanged)
    );

    scene.change_original("UPDATE parts SET name = 'y' WHERE id = 7");
    assert!(ensured.generation.provenance().original_changed);
    assert_eq!(
        golden_copy.status().original_state,
        Some(OriginalState::Changed)
    );
    assert_eq!(
        golden_copy.verify(&quiet).unwrap().original_state,
        OriginalState::Changed
    );
}

#[test]
fn a_big_original_that_was_only_touched_counts_as_changed_until_a_refresh_has_read_it() {
    let scene = Scene::with("CREATE TABLE t(a); INSERT INTO t VALUES (zeroblob(70000000));");
    let mut settings = scene.settings();
    settings.integrity_check = false;
    let golden_copy = GoldenCopy::new(settings).unwrap();
    let ensured = golden_copy.ensure(&quiet).unwrap();
    let original = fs::File::open(scene.original()).unwrap();
    original
        .set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    assert!(ensured.generation.provenance().original_changed);
    assert_eq!(
        golden_copy.status().original_state,
        Some(OriginalState::Unchanged)
    );

    assert!(!golden_copy.refresh(&quiet).unwrap().is_new);
    let provenance = golden_copy.generation().unwrap().provenance();
    assert!(!provenance.original_changed);
    assert_eq!(provenance.data_as_of, "1970-01-01T00:00:00Z");
}

#[test]
fn the_previous_generation_serves_when_the_original_is_gone_even_after_a_restart() {
    let scene = Scene::with_parts();
    let first = ensure(&scene).unwrap();
    let away = scene.path().join("away.db");
    fs::rename(scene.original(), &away).unwrap();
    assert!(first.generation.provenance().original_changed);

    let restarted = scene.golden_copy();
    assert_eq!(
        restarted.ensure(&quiet).err().unwrap().code(),
        Code::TargetNotFound
    );
    assert_eq!(
        restarted.generation().unwrap().provenance().fingerprint,
        first.fingerprint
    );
    assert!(matches!(
        restarted.status().original_state,
        Some(OriginalState::Unreadable { .. })
    ));

    fs::rename(away, scene.original()).unwrap();
    assert!(!first.generation.provenance().original_changed);
    assert!(!restarted.ensure(&quiet).unwrap().is_new);
}

#[test]
fn without_a_copy_there_is_nothing_in_service() {
    let scene = Scene::with_parts();
    let golden_copy = scene.golden_copy();
    assert_eq!(
        golden_copy.generation().err().unwrap().code(),
        Code::TargetDatabaseDown
    );
    assert_eq!(
        golden_copy.verify(&quiet).err().unwrap().code(),
        Code::TargetDatabaseDown
    );
    let status = golden_copy.status();
    assert_eq!((status.in_service, status.original_state), (None, None));
}

fn assert_setting_refused(scene: &Scene, working_copy: std::path::PathBuf) {
    let witness = scene.witness();
    let mut settings = scene.settings();
    settings.working_copy = working_copy.clone();
    let error = GoldenCopy::new(settings).err().expect("must be refused");
    assert_eq!(
        error.code(),
        Code::InvalidSetting,
        "{}",
        working_copy.display()
    );
    assert!(error.hint().is_some());
    witness.assert_untouched();
}

#[test]
fn the_original_can_never_be_the_working_copy() {
    let scene = Scene::with_parts();
    assert_setting_refused(&scene, scene.original());
    assert_setting_refused(
        &scene,
        scene.path().join("theirs/../theirs/business data.db"),
    );
    assert_setting_refused(&scene, scene.original_member("-wal"));
    assert_setting_refused(&scene, scene.original_member("-journal"));

    let link = scene.path().join("link.db");
    symlink(scene.original(), &link).unwrap();
    assert_setting_refused(&scene, link);
    let hard_link = scene.path().join("hard.db");
    fs::hard_link(scene.original(), &hard_link).unwrap();
    assert_setting_refused(&scene, hard_link);
    let folder = scene.path().join("folder");
    symlink(scene.original().parent().unwrap(), &folder).unwrap();
    assert_setting_refused(&scene, folder.join("business data.db"));

    ensure(&scene).unwrap();
    let mut settings = scene.settings();
    settings.original = scene.working_copy();
    assert_eq!(
        GoldenCopy::new(settings).err().unwrap().code(),
        Code::InvalidSetting
    );
}

#[test]
fn a_file_that_assay_did_not_make_is_not_replaced() {
    let scene = Scene::with_parts();
    let precious = scene.path().join("precious.db");
    fs::write(&precious, b"mine").unwrap();
    assert_setting_refused(&scene, precious.clone());
    assert_eq!(fs::read(&precious).unwrap(), b"mine");
}

#[test]
fn the_data_folder_may_be_moved_as_a_whole() {
    let scene = Scene::with(PARTS);
    ensure(&scene).unwrap();
    let moved = scene.path().join("moved");
    fs::rename(scene.path().join("ours"), &moved).unwrap();
    let mut settings = scene.settings();
    settings.working_copy = moved.join("target/working.db");
    let golden_copy = GoldenCopy::new(settings).unwrap();
    assert!(!golden_copy.ensure(&quiet).unwrap().is_new);
    assert!(golden_copy.verify(&quiet).unwrap().is_intact());
}
