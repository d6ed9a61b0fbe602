//! `assay audit`: the audit trail, verified, exported and watched.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use clap::Subcommand;
use engine::accounts::Actor;
use engine::audit::{
    Anchor, AuditEntry, AuditFilter, AuditRecord, Report, SealDocument, StoredEntry, hex, verify,
};
use engine::ports::{AuditLog, PageRequest, Ports};
use engine::{Code, Error};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::output;
use crate::config::Settings;
use crate::keys::Keys;
use crate::{sealing, wire};

/// Entries and seals read at a time.
const BATCH: u32 = 1_000;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read the whole trail and name the first row or seal that does not fit.
    Verify(Verify),
    /// Write entries, then the seals over them, as lines of JSON.
    Export(Export),
    /// Show the newest entries.
    Tail(Tail),
}

#[derive(Debug, clap::Args)]
pub struct Verify {
    /// Heads noted outside the database; `audit-anchors.jsonl` in BACKUP_DIR or DATA_DIR if it is there.
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Export {
    /// Not before this time or day, such as 2026-11-22T08:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<DateTime<Utc>>,
    /// Before this time or day.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<DateTime<Utc>>,
    /// One JSON object a line; the only form there is, so it may be left out.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Tail {
    /// How many.
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    lines: u32,
    /// Wait for more and show them as they come.
    #[arg(long, short)]
    follow: bool,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

pub async fn run(command: Command, settings: &Settings) -> Result<ExitCode, Error> {
    let app = wire::open_store_alone(settings).await?;
    match command {
        // What is verified is left as it is found, so this leaves no entry.
        Command::Verify(args) => run_verify(&args, &app.ports, settings).await,
        Command::Export(args) => {
            let actor = super::local_actor(&app, settings).await?;
            let changes = json!({ "since": args.since, "until": args.until });
            record(&app.ports, &actor, "audit_exported", changes).await?;
            export(&args, &app.ports).await?;
            sealing::seal_once(&app.ports, settings).await;
            Ok(ExitCode::SUCCESS)
        }
        Command::Tail(args) => {
            let actor = super::local_actor(&app, settings).await?;
            let changes = json!({ "follow": args.follow });
            record(&app.ports, &actor, "audit_read", changes).await?;
            tail(&args, &app.ports).await?;
            sealing::seal_once(&app.ports, settings).await;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn run_verify(args: &Verify, ports: &Ports, settings: &Settings) -> Result<ExitCode, Error> {
    let anchors = anchors(args, settings)?;
    let keys = Keys::open(settings)?;
    let log: &dyn AuditLog = &*ports.store;
    let newest = log
        .audit_entries(&AuditFilter::default(), PageRequest::first(1))
        .await?;
    let newest = newest.items.first().map_or(0, |entry| entry.id);
    let report = {
        // The identifier of the newest entry is close to their number.
        let bar = ProgressBar::new(u64::try_from(newest).unwrap_or(0));
        let style = ProgressStyle::with_template("verifying [{bar:30}] {pos} entries");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let report = verify(log, &keys.verifying, &anchors, &|read| {
            bar.set_position(read)
        })
        .await;
        bar.finish_and_clear();
        report?
    };
    if args.json {
        let fault = report.fault.as_ref().map(ToString::to_string);
        output::json_line(&json!({ "report": report, "fault": fault }));
    } else if report.fault.is_none() {
        output::data(&summary(&report));
    }
    match report.fault {
        None => Ok(ExitCode::SUCCESS),
        Some(fault) => {
            output::say(&format!("error: {fault} [{}]", Code::AuditTampered));
            output::say(
                "hint: keep the database as it is, and compare with a backup from before that was verified",
            );
            Ok(ExitCode::from(1))
        }
    }
}

fn anchors(args: &Verify, settings: &Settings) -> Result<Vec<Anchor>, Error> {
    let usual = sealing::anchor_file(settings);
    let file = match &args.anchor {
        Some(file) => file,
        None if usual.exists() => &usual,
        None => return Ok(Vec::new()),
    };
    let (anchors, spoilt) = sealing::read_anchors(file)?;
    if spoilt > 0 {
        output::say(&format!(
            "{spoilt} lines of `{}` are no heads and were left out",
            file.display()
        ));
    }
    Ok(anchors)
}

fn summary(report: &Report) -> String {
    let anchors = match report.anchors {
        0 => "no head noted outside the database was compared".to_owned(),
        count => format!("{count} of them compared with heads noted outside the database"),
    };
    format!(
        "everything fits: {} entries under {} seals, {anchors}; {} entries not sealed yet",
        report.sealed, report.seals, report.unsealed
    )
}

async fn export(args: &Export, ports: &Ports) -> Result<(), Error> {
    let log: &dyn AuditLog = &*ports.store;
    let mut ids: Option<(i64, i64)> = None;
    let mut after = 0;
    loop {
        let entries = log.stored_entries(after, BATCH).await?;
        let Some(last) = entries.last() else {
            break;
        };
        after = last.record.id;
        for entry in &entries {
            let at = entry.record.timestamp;
            if args.since.is_some_and(|since| at < since)
                || args.until.is_some_and(|until| at >= until)
            {
                continue;
            }
            let id = entry.record.id;
            ids = Some((ids.map_or(id, |(first, _)| first), id));
            output::json_line(&exported(entry));
        }
    }
    let Some((first, last)) = ids else {
        return Ok(());
    };
    let mut after = 0;
    loop {
        let seals = log.seals(after, BATCH).await?;
        let Some(newest) = seals.last() else {
            return Ok(());
        };
        after = newest.number;
        for seal in seals
            .iter()
            .filter(|seal| seal.last_row >= first && seal.first_row <= last)
        {
            output::json_line(&json!({ "seal": SealDocument::from(seal) }));
        }
    }
}

/// Returns an entry with what is sealed of it; canonical bytes that are no text, which only tampering leaves, in hex.
fn exported(entry: &StoredEntry) -> serde_json::Value {
    let mut exported = json!({
        "entry": entry.record,
        "hash": hex(&entry.hash),
        "leaf": hex(&entry.leaf()),
    });
    match std::str::from_utf8(&entry.canonical) {
        Ok(text) => exported["canonical"] = text.into(),
        Err(_) => exported["canonical_hex"] = hex(&entry.canonical).into(),
    }
    exported
}

async fn tail(args: &Tail, ports: &Ports) -> Result<(), Error> {
    let log: &dyn AuditLog = &*ports.store;
    let page = PageRequest::first(args.lines);
    let newest = log.audit_entries(&AuditFilter::default(), page).await?;
    let mut after = newest.items.first().map_or(0, |entry| entry.id);
    for entry in newest.items.iter().rev() {
        show(entry, args.json);
    }
    if !args.follow {
        return Ok(());
    }
    let mut every = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = every.tick() => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
        for entry in log.stored_entries(after, BATCH).await? {
            after = entry.record.id;
            show(&entry.record, args.json);
        }
    }
}

fn show(entry: &AuditRecord, as_json: bool) {
    if as_json {
        return output::json_line(entry);
    }
    let who = entry
        .user_id
        .map_or_else(|| "nobody".to_owned(), |id| format!("user {id}"));
    let what = match entry.resource_id {
        Some(id) => format!("{} {id}", entry.resource),
        None => entry.resource.clone(),
    };
    let at = entry.timestamp.to_rfc3339_opts(SecondsFormat::Millis, true);
    let line = format!(
        "{} {at} {who} {} {what} {}",
        entry.id, entry.action, entry.changes
    );
    // What people wrote must not steer the terminal.
    output::data(&line.replace(char::is_control, "\u{fffd}"));
}

async fn record(
    ports: &Ports,
    actor: &Actor,
    action: &'static str,
    changes: serde_json::Value,
) -> Result<(), Error> {
    let now = ports.clock.now();
    let audit = AuditEntry::new(now, Some(actor.user_id), action, "audit_log", changes);
    ports.store.record(&audit).await
}

/// Parses a time in RFC 3339, or a day, which begins at midnight UTC.
fn time(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(day.and_time(chrono::NaiveTime::MIN).and_utc());
    }
    DateTime::parse_from_rfc3339(text)
        .map(|at| at.to_utc())
        .map_err(|_| {
            "it is neither a day such as 2026-11-22 nor a time such as 2026-11-22T08:00:00Z".into()
        })
}
