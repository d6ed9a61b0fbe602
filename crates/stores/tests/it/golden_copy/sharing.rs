//! Several threads and processes at one working copy, and the bounded cache of copies.

use std::fs;
use std::process::{Command, Output};
use std::sync::Arc;

use engine::Error;
use engine::ports::Clock;
use stores::golden_copy::{CopyPhase, CopyProgress, GoldenCopy, copy_in_cache, prune_copies};

use super::scene::{FixedClock, Scene, quiet};

/// Runs [`a_process_that_another_test_starts`] in a process of its own, through a shell that runs `before` first.
pub(super) fn in_another_process(scene: &Scene, die_at: &str, before: &str) -> Output {
    Command::new("sh")
        .arg("-c")
        .arg(format!("{before} exec \"$0\" \"$@\""))
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "golden_copy::sharing::a_process_that_another_test_starts",
            "--nocapture",
        ])
        .env("GOLDEN_COPY_SCENE", scene.path())
        .env("GOLDEN_COPY_DIE_AT", die_at)
        .output()
        .unwrap()
}

#[test]
fn a_process_that_another_test_starts() {
    let (Ok(path), Ok(die_at)) = (
        std::env::var("GOLDEN_COPY_SCENE"),
        std::env::var("GOLDEN_COPY_DIE_AT"),
    ) else {
        return;
    };
    let path = std::path::PathBuf::from(path);
    let original = path.join("theirs/business data.db");
    let settings = stores::golden_copy::GoldenCopySettings::new(
        original,
        path.join("ours/target/working.db"),
        Arc::new(FixedClock),
    );
    let result = GoldenCopy::new(settings).and_then(|golden_copy| {
        golden_copy.ensure(&|progress: CopyProgress| {
            if format!("{:?}", progress.phase) == die_at {
                std::process::abort();
            }
        })
    });
    match result {
        Ok(ensured) => eprintln!("is_new={}", ensured.is_new),
        Err(error) => eprintln!("code={} hint={:?}", error.code().as_str(), error.hint()),
    }
}

#[test]
fn concurrent_starts_copy_once() {
    let scene = Scene::with_parts();
    let witness = scene.witness();
    let made = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| scene.golden_copy().ensure(&quiet).unwrap().is_new))
            .collect();
        let processes: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| in_another_process(&scene, "", "")))
            .collect();
        let in_threads = threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap().then_some(()))
            .count();
        let in_processes = processes
            .into_iter()
            .map(|process| String::from_utf8(process.join().unwrap().stderr).unwrap())
            .inspect(|output| assert!(output.contains("is_new="), "{output}"))
            .filter(|output| output.contains("is_new=true"))
            .count();
        in_threads + in_processes
    });
    assert_eq!(made, 1);
    assert_eq!(scene.generation_files(".db").len(), 1);
    witness.assert_untouched();
}

#[test]
fn a_process_killed_at_any_point_leaves_nothing_that_the_next_start_does_not_clean() {
    for phase in [
        CopyPhase::Copying,
        CopyPhase::Verifying,
        CopyPhase::Recovering,
        CopyPhase::CheckingIntegrity,
        CopyPhase::ReadingSchema,
        CopyPhase::Publishing,
    ] {
        let scene = Scene::with_parts();
        let witness = scene.witness();
        let output = in_another_process(&scene, &format!("{phase:?}"), "");
        assert!(!output.status.success(), "{phase:?} was not reached");
        assert!(fs::symlink_metadata(scene.working_copy()).is_err());
        let is_private = |name: &String| name.starts_with("private-");
        assert!(
            scene.generation_files("").iter().any(is_private),
            "{phase:?}"
        );

        assert!(scene.golden_copy().ensure(&quiet).unwrap().is_new);
        assert!(
            !scene.generation_files("").iter().any(is_private),
            "{phase:?}"
        );
        assert_eq!(scene.ask_copy::<i64>("SELECT count(*) FROM parts"), 100);
        witness.assert_untouched();
    }
}

#[test]
fn files_without_a_manifest_and_manifests_without_a_file_are_leftovers() {
    let scene = Scene::with_parts();
    fs::create_dir_all(scene.generations()).unwrap();
    let stray = "ab".repeat(32);
    fs::write(scene.generations().join(format!("{stray}.db")), b"half").unwrap();
    fs::write(
        scene
            .generations()
            .join(format!("{}.json", "cd".repeat(32))),
        b"{}",
    )
    .unwrap();
    fs::write(scene.generations().join(format!("{stray}.tmp")), b"{").unwrap();
    fs::write(scene.generations().join("notes.txt"), b"someone's").unwrap();
    let golden_copy = scene.golden_copy();
    let fingerprint = golden_copy.ensure(&quiet).unwrap().fingerprint;
    let expected = ["db", "json", "lease"].map(|ending| format!("{fingerprint}.{ending}"));
    let others = ["lock".to_owned(), "notes.txt".to_owned()];
    assert_eq!(
        scene.generation_files(""),
        [expected.as_slice(), &others].concat()
    );
}

#[test]
fn a_process_follows_what_another_one_put_in_service() {
    let scene = Scene::with_parts();
    let (serving, refreshing) = (scene.golden_copy(), scene.golden_copy());
    let first = serving.ensure(&quiet).unwrap();
    scene.change_original("DELETE FROM parts WHERE id > 10");
    let second = refreshing.refresh(&quiet).unwrap();
    assert_eq!(
        serving.generation().unwrap().provenance().fingerprint,
        second.fingerprint
    );
    assert_eq!(first.generation.provenance().fingerprint, first.fingerprint);
}

#[test]
fn a_full_disk_is_said_clearly_and_publishes_nothing() {
    let scene = Scene::with("CREATE TABLE t(a); INSERT INTO t VALUES (zeroblob(2000000));");
    let witness = scene.witness();
    let output = in_another_process(&scene, "", "trap '' XFSZ; ulimit -f 500;");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("code=target_database_down"), "{said}");
    assert!(said.contains("free some space"), "{said}");
    assert!(fs::symlink_metadata(scene.working_copy()).is_err());
    assert_eq!(scene.generation_files(""), ["lock"]);
    witness.assert_untouched();
}

/// A clock that tells a chosen second.
struct At(i64);

impl Clock for At {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        chrono::DateTime::from_timestamp(self.0, 0).unwrap()
    }
}

fn cached(scene: &Scene, name: &str, second: i64) -> Result<GoldenCopy, Error> {
    let original = scene.path().join(name);
    if !original.exists() {
        fs::copy(scene.original(), &original).unwrap();
    }
    let golden_copy = GoldenCopy::new(copy_in_cache(
        &scene.path().join("cache"),
        &original,
        Arc::new(At(second)),
    )?)?;
    golden_copy.ensure(&quiet)?;
    Ok(golden_copy)
}

fn cached_copies(scene: &Scene) -> usize {
    fs::read_dir(scene.path().join("cache")).unwrap().count()
}

#[test]
fn copies_in_the_cache_go_in_the_order_of_their_last_use_and_never_while_used() {
    let scene = Scene::with_parts();
    let held = cached(&scene, "oldest.db", 1).unwrap();
    cached(&scene, "old.db", 2).unwrap();
    cached(&scene, "new.db", 3).unwrap();
    cached(&scene, "old.db", 4).unwrap();
    assert_eq!(cached_copies(&scene), 3);

    let cache = scene.path().join("cache");
    assert_eq!(prune_copies(&cache, 2, u64::MAX).unwrap(), 1);
    assert!(
        !cached(&scene, "old.db", 5)
            .unwrap()
            .status()
            .generations
            .is_empty()
    );
    assert!(held.generation().is_ok(), "the oldest is in use and stays");
    assert_eq!(cached_copies(&scene), 2);

    drop(held);
    assert_eq!(prune_copies(&cache, 1, u64::MAX).unwrap(), 1);
    assert_eq!(prune_copies(&cache, 10, 1000).unwrap(), 1);
    assert_eq!(cached_copies(&scene), 0);
}

#[test]
fn pruning_touches_nothing_but_copies() {
    let scene = Scene::with_parts();
    cached(&scene, "one.db", 1).unwrap();
    let cache = scene.path().join("cache");
    fs::write(cache.join("keep.txt"), b"x").unwrap();
    fs::create_dir(cache.join("folder")).unwrap();
    assert_eq!(prune_copies(&cache, 0, 0).unwrap(), 1);
    assert_eq!(cached_copies(&scene), 2);
    assert_eq!(
        prune_copies(&scene.path().join("no such cache"), 0, 0).unwrap(),
        0
    );
}

#[test]
fn a_process_follows_a_restore_by_another_one_though_the_fingerprint_is_the_same() {
    let scene = Scene::with_parts();
    let (serving, restoring) = (scene.golden_copy(), scene.golden_copy());
    let first = serving.ensure(&quiet).unwrap();
    assert!(Arc::ptr_eq(
        &serving.generation().unwrap(),
        &first.generation
    ));
    let restored = restoring.restore(&quiet).unwrap();
    assert_eq!(restored.fingerprint, first.fingerprint);
    assert!(!Arc::ptr_eq(
        &serving.generation().unwrap(),
        &first.generation
    ));
}
