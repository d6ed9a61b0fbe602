//! Closes the audit trail into sealed blocks and notes each head outside the database: in the log and in a file.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::audit::{Anchor, SealingKey};
use engine::ports::{Clock, Ports, SystemStore};
use engine::{Code, Error};
use tokio::time::MissedTickBehavior;

use crate::config::Settings;
use crate::keys::Keys;

/// How long an entry waits for its seal at most, as long as the store keeps up.
const EVERY: Duration = Duration::from_secs(1);
/// Heads that wait for a file that cannot be written; the newest of them stands for all before it.
const MAX_WAITING: usize = 1_000;

/// Seals, and remembers what could not be noted yet.
pub struct Sealer {
    store: Arc<dyn SystemStore>,
    clock: Arc<dyn Clock>,
    key: SealingKey,
    file: PathBuf,
    waiting: VecDeque<Anchor>,
}

impl Sealer {
    /// Takes what it needs.
    pub fn new(ports: &Ports, keys: &Keys, settings: &Settings) -> Self {
        Self {
            store: Arc::clone(&ports.store),
            clock: Arc::clone(&ports.clock),
            key: keys.sealing.clone(),
            file: anchor_file(settings),
            waiting: VecDeque::new(),
        }
    }

    /// Seals all that is committed and notes the heads.
    ///
    /// # Errors
    ///
    /// [`Code::SystemStoreDown`], [`Code::InvalidSetting`] if the file cannot be written; what is missing in it is added
    /// the next time.
    pub async fn seal(&mut self) -> Result<(), Error> {
        while let Some(seal) = self.store.seal(&self.key, self.clock.now()).await? {
            let anchor = Anchor::of(&seal);
            tracing::info!(
                seal.number = seal.number,
                seal.rows = seal.row_count,
                seal.hash = anchor.hash,
                "sealed the audit trail"
            );
            self.waiting.push_back(anchor);
            if self.waiting.len() > MAX_WAITING {
                self.waiting.pop_front();
            }
        }
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut lines = String::new();
        for anchor in &self.waiting {
            lines.push_str(&serde_json::to_string(anchor).unwrap_or_default());
            lines.push('\n');
        }
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || append(&file, &lines)).await;
        written
            .map_err(std::io::Error::other)
            .flatten()
            .map_err(|fault| {
                Error::new(
                    Code::InvalidSetting,
                    format!("cannot write `{}`", self.file.display()),
                )
                .with_hint("choose another folder with BACKUP_DIR or DATA_DIR")
                .with_cause(fault)
            })?;
        self.waiting.clear();
        Ok(())
    }

    /// Seals every second until `end`, and then once more. A fault is logged when it begins and when it is over.
    ///
    /// What is being sealed when the end comes is sealed to its end: PostgreSQL keeps the lock of a seal that is cut off
    /// until it notices, and nobody else can seal meanwhile.
    pub async fn run(mut self, end: impl Future<Output = ()>) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut fault: Option<Code> = None;
        let mut end = std::pin::pin!(end);
        let mut is_over = false;
        while !is_over {
            tokio::select! {
                _ = every.tick() => {}
                () = &mut end => is_over = true,
            }
            match self.seal().await {
                Ok(()) => {
                    if fault.take().is_some() {
                        tracing::warn!("the audit trail is sealed again");
                    }
                }
                Err(error) => {
                    if fault.replace(error.code()) != Some(error.code()) {
                        tracing::error!(
                            code = error.code().as_str(),
                            cause = error.cause().unwrap_or_default(),
                            "the audit trail cannot be sealed: {error}"
                        );
                    }
                }
            }
        }
    }
}

/// Seals once, at the end of a command. The command is done, so a fault is only logged; the next one seals.
pub async fn seal_once(ports: &Ports, settings: &Settings) {
    let done = match Keys::open(settings) {
        Ok(keys) => Sealer::new(ports, &keys, settings).seal().await,
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        tracing::warn!(
            code = error.code().as_str(),
            "the audit trail was not sealed: {error}"
        );
    }
}

/// Returns the file that heads are noted in.
pub fn anchor_file(settings: &Settings) -> PathBuf {
    settings.anchor_folder.join("audit-anchors.jsonl")
}

/// Sets the noted heads aside after another store took the place of the one they are of; returns where they are now.
///
/// # Errors
///
/// [`Code::InvalidSetting`] if the file cannot be renamed.
pub fn set_anchors_aside(settings: &Settings, at: DateTime<Utc>) -> Result<Option<PathBuf>, Error> {
    let file = anchor_file(settings);
    if !file.exists() {
        return Ok(None);
    }
    let name = format!("audit-anchors.until-{}.jsonl", at.format("%Y%m%dT%H%M%SZ"));
    let aside = file.with_file_name(name);
    std::fs::rename(&file, &aside).map_err(|fault| {
        Error::new(
            Code::InvalidSetting,
            format!("cannot rename `{}`", file.display()),
        )
        .with_cause(fault)
    })?;
    Ok(Some(aside))
}

/// Reads the heads noted in a file; also returns how many lines are no heads, as a crash may leave one. Whoever could
/// spoil a line could as well remove it, so a spoilt one is worth a word and no more.
///
/// # Errors
///
/// [`Code::InvalidRequest`] if the file cannot be read.
pub fn read_anchors(file: &Path) -> Result<(Vec<Anchor>, usize), Error> {
    let text = std::fs::read_to_string(file).map_err(|fault| {
        Error::new(
            Code::InvalidRequest,
            format!("cannot read `{}`", file.display()),
        )
        .with_cause(fault)
    })?;
    let mut anchors = Vec::new();
    let mut spoilt = 0;
    for line in text.lines() {
        match serde_json::from_str(line) {
            Ok(anchor) => anchors.push(anchor),
            Err(_) => spoilt += 1,
        }
    }
    Ok((anchors, spoilt))
}

/// Appends lines in one write, so that those of replicas do not mix, and waits until they are on the disk.
fn append(path: &Path, lines: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let is_new = !path.exists();
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .open(path)?;
    if !is_new && !ends_with_line(&mut file)? {
        // A crash cut the last line off; it must not swallow the next one.
        file.write_all(b"\n")?;
    }
    file.write_all(lines.as_bytes())?;
    file.sync_all()?;
    if is_new {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn ends_with_line(file: &mut File) -> std::io::Result<bool> {
    use std::io::{Read, Seek, SeekFrom};
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(number: i64) -> String {
        format!("{{\"number\":{number},\"hash\":\"00\"}}\n")
    }

    #[test]
    fn lines_are_appended_and_a_cut_one_swallows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/anchors.jsonl");
        append(&path, &anchor(1)).unwrap();
        append(&path, &(anchor(2) + &anchor(3))).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        append(&path, &anchor(4)).unwrap();
        let (anchors, spoilt) = read_anchors(&path).unwrap();
        let numbers: Vec<i64> = anchors.iter().map(|anchor| anchor.number).collect();
        assert_eq!((numbers.as_slice(), spoilt), (&[1, 2, 4][..], 1));
        assert!(read_anchors(&folder.path().join("none")).is_err());
    }
}
