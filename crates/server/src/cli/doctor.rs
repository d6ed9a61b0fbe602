//! `assay doctor`: every part checked, each with a tick or a cross and what to do.

use std::process::ExitCode;
use std::time::Duration;

use engine::Error;
use engine::ports::{GenerationLimits, Generator};
use engine::prompt::Prompt;
use serde::Serialize;

use super::output::{self, CopyBar};
use crate::config::{LlmProvider, Settings};
use crate::wire;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also let the model write a few words, which takes some seconds.
    #[arg(long)]
    generate: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Check {
    part: &'static str,
    ok: bool,
    found: String,
    hint: Option<String>,
}

pub async fn run(args: Args, settings: &Settings) -> Result<ExitCode, Error> {
    let mut checks = Vec::new();
    let mut check = |part: &'static str, result: Result<String, Error>| {
        let check = match result {
            Ok(found) => Check {
                part,
                ok: true,
                found,
                hint: None,
            },
            Err(error) => Check {
                part,
                ok: false,
                found: error.message().to_owned(),
                hint: error.hint().map(str::to_owned),
            },
        };
        if !args.json {
            output::data(&format!(
                "{} {:<14} {}",
                if check.ok { '✓' } else { '✗' },
                check.part,
                check.found
            ));
            if let Some(hint) = &check.hint {
                output::data(&format!("  {:<14} hint: {hint}", ""));
            }
        }
        checks.push(check);
    };

    check("data folder", Ok(settings.data_dir.display().to_string()));
    check("system store", system_store(settings));
    check("target", target(settings));
    let generator = model(settings);
    check(
        "model",
        generator
            .as_ref()
            .map(|(_, found)| found.clone())
            .map_err(Clone::clone),
    );
    if args.generate
        && let Ok((generator, _)) = &generator
    {
        check("generation", generation(generator.as_ref()).await);
    }

    let all_ok = checks.iter().all(|check| check.ok);
    if args.json {
        output::json_line(&serde_json::json!({ "ok": all_ok, "checks": checks }));
    }
    Ok(ExitCode::from(u8::from(!all_ok)))
}

fn system_store(settings: &Settings) -> Result<String, Error> {
    let path = settings.system_store.display();
    // Looking must not create what is looked for.
    if !settings.system_store.exists() {
        return Ok(format!("SQLite, made at the first start: {path}"));
    }
    wire::open_store(settings)?;
    Ok(format!("SQLite, up to date: {path}"))
}

fn target(settings: &Settings) -> Result<String, Error> {
    let bar = CopyBar::new();
    match wire::open_golden_copy(settings, None, &|progress| bar.report(progress))? {
        None => Ok("none configured; `assay ask --db FILE` works on any SQLite file".into()),
        Some(golden_copy) => {
            let status = golden_copy.status();
            let holds = status.in_service.map_or_else(String::new, |copy| {
                format!(
                    ": {} tables and views, {} rows, data as of {}",
                    copy.tables, copy.rows, copy.data_as_of
                )
            });
            Ok(format!("{}{holds}", status.original.display()))
        }
    }
}

fn model(settings: &Settings) -> Result<(std::sync::Arc<dyn Generator>, String), Error> {
    let generator = wire::generator(&settings.llm)?;
    let name = generator.identity().name;
    let found = match &settings.llm.provider {
        LlmProvider::Gguf { .. } => format!(
            "{name}, local: {}",
            wire::model_file(&settings.llm)?.path.display()
        ),
        LlmProvider::Remote { kind, .. } => {
            format!(
                "{name} by {kind}, told these values of the data: {}",
                settings.llm.send_values.as_str()
            )
        }
    };
    Ok((generator, found))
}

async fn generation(generator: &dyn Generator) -> Result<String, Error> {
    let prompt = Prompt {
        system: "You write SQLite queries. Answer with one SQL query only.".into(),
        schema: "CREATE TABLE numbers (n INTEGER);\n\n".into(),
        tail: "Question: How many numbers are there?\n".into(),
    };
    let limits = GenerationLimits {
        max_tokens: 40,
        timeout: Duration::from_secs(120),
    };
    let started = std::time::Instant::now();
    let reply = generator.generate(&prompt, &limits).await?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(format!(
        "{} tokens in {seconds:.1} s, its start included",
        reply.tokens.generated
    ))
}
