//! The `assay` binary: HTTP, command line, configuration and wiring.

mod accounts;
mod cli;
mod config;
mod demo_company;
mod export;
mod first_run;
mod http;
mod keys;
mod mailer;
mod schedule;
mod sealing;
mod telemetry;
mod wire;
mod worker;

use std::process::ExitCode;

use clap::Parser;

use telemetry::Telemetry;

fn main() -> ExitCode {
    // A worker is started by Assay itself and must see nothing of the user's settings.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|arg| arg == "model-worker")
    {
        return cli::model_worker::run();
    }
    let dotenv = dotenvy::dotenv();
    let cli = cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(fault) => {
            eprintln!("error: the program cannot start its threads: {fault}");
            return ExitCode::from(2);
        }
    };
    let settings = cli.settings();
    let (telemetry, started) = {
        let _runtime = runtime.enter();
        Telemetry::start(&cli.log_settings(), cli.traces(&settings))
    };
    if let Err(fault) = dotenv
        && !fault.not_found()
    {
        tracing::warn!(".env cannot be read and is left out: {fault}");
    }
    let code = match started {
        Ok(()) => runtime.block_on(cli::run(cli, settings)),
        Err(error) => cli::fail(&error),
    };
    telemetry.end();
    // A statement that is being interrupted need not be waited for.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    code
}
