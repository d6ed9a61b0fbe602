//! The model worker: the only process that runs llama.cpp. Reads orders from its parent, answers them one at a time, and
//! ends with its parent.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use engine::{Code, Error};
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::{LogOptions, send_logs_to_tracing};

use super::cpu;
use super::embedding::EmbeddingSession;
use super::protocol::{
    Order, Outcome, PREAMBLE, Report, Role, Task, WorkerSettings, read_frame, write_frame,
};
use super::session::{Session, Writing};
use crate::model_file;

/// Serves the parent behind `orders` and `reports`, which are this process's standard input and output. When the orders
/// end, which they do when the parent dies, the whole process exits, even in the middle of an evaluation.
///
/// # Errors
///
/// If the parent cannot be written to or sends what is not an order, or if the model cannot be loaded, which the parent
/// is told.
pub fn run(orders: impl Read + Send + 'static, mut reports: impl Write) -> Result<(), Error> {
    let broken = |error: io::Error| {
        Error::new(Code::GeneratorFailed, "the pipe to the parent broke").with_cause(error)
    };
    reports
        .write_all(PREAMBLE)
        .and_then(|()| reports.flush())
        .map_err(broken)?;
    let cancelled = Arc::new(AtomicU64::new(0));
    let orders = listen(orders, Arc::clone(&cancelled));
    let Ok(Order::Start(settings)) = orders.recv() else {
        return Err(Error::new(
            Code::GeneratorFailed,
            "the first order is not to start",
        ));
    };
    let started = Instant::now();
    let served = with_model(&settings, |model| {
        let load_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        write_frame(&mut reports, &Report::Ready { load_ms })?;
        while let Ok(order) = orders.recv() {
            let Order::Work { id, task } = order else {
                continue;
            };
            let is_cancelled = || cancelled.load(Ordering::Relaxed) == id;
            let mut broken = Ok(());
            let mut tell = |more: &str| {
                let more = more.to_owned();
                if broken.is_ok() {
                    broken = write_frame(&mut reports, &Report::Wrote { id, more });
                }
            };
            let outcome = model(task, &is_cancelled, &mut tell);
            broken?;
            let report = match outcome {
                Ok(outcome) => Report::Done { id, outcome },
                Err(error) => Report::Failed {
                    id,
                    error: error.into(),
                },
            };
            write_frame(&mut reports, &report)?;
        }
        Ok(())
    });
    match served {
        Ok(result) => result.map_err(broken),
        Err(error) => {
            write_frame(&mut reports, &Report::Unfit(error.clone().into())).map_err(broken)?;
            Err(error)
        }
    }
}

/// Reads orders on a thread of their own, so that a cancel is seen and the parent's death is not missed while the model
/// works. Requests are numbered from 1, so 0 cancels nothing.
fn listen(mut orders: impl Read + Send + 'static, cancelled: Arc<AtomicU64>) -> Receiver<Order> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        loop {
            match read_frame(&mut orders) {
                Ok(Some(Order::Cancel { id })) => cancelled.store(id, Ordering::Relaxed),
                Ok(Some(order)) => {
                    if sender.send(order).is_err() {
                        break;
                    }
                }
                Ok(None) => std::process::exit(0),
                Err(error) => {
                    tracing::error!(%error, "the parent sent what is not an order");
                    std::process::exit(2);
                }
            }
        }
    });
    receiver
}

/// A loaded model: does a task, looks now and then whether it is cancelled, and tells what it writes.
type Model<'m> =
    dyn FnMut(Task, &dyn Fn() -> bool, &mut dyn FnMut(&str)) -> Result<Outcome, Error> + 'm;

/// Loads the model and lets `serve` use it.
fn with_model<T>(
    settings: &WorkerSettings,
    serve: impl FnOnce(&mut Model<'_>) -> T,
) -> Result<T, Error> {
    cpu::check()?;
    let file = model_file::open(&settings.model_path, Some(&settings.model_sha256))?;
    let unfit = |cause: &dyn std::fmt::Display| {
        Error::new(
            Code::InvalidModel,
            format!("llama.cpp cannot load `{}`", file.path.display()),
        )
        .with_hint("use another GGUF file, or run `assay model pull`")
        .with_cause(cause)
    };
    let is_verbose = tracing::enabled!(tracing::Level::DEBUG);
    send_logs_to_tracing(LogOptions::default().with_logs_enabled(is_verbose));
    let backend = LlamaBackend::init().map_err(|error| unfit(&error))?;
    let params = LlamaModelParams::default().with_n_gpu_layers(0);
    let model =
        LlamaModel::load_from_file(&backend, &file.path, &params).map_err(|error| unfit(&error))?;
    let mistaken = || settings.kind().failed("was told to do what it is not for");
    match &settings.role {
        Role::Generator(role) => {
            let mut session = Session::new(&backend, &model, settings, role)?;
            Ok(serve(&mut |task, is_cancelled, tell| match task {
                Task::Generate {
                    prompt,
                    max_tokens,
                    sampling,
                    names,
                    ahead,
                    is_heard,
                } => {
                    let mut silent = |_: &str| {};
                    let mut writing = Writing {
                        max_tokens,
                        names: names.as_deref(),
                        ahead,
                        tell: if is_heard { tell } else { &mut silent },
                        is_cancelled,
                    };
                    session
                        .generate(&prompt, sampling.as_ref(), &mut writing)
                        .map(Outcome::Replies)
                }
                Task::Embed { .. } => Err(mistaken()),
            }))
        }
        Role::Embedder(role) => {
            let mut session = EmbeddingSession::new(&backend, &model, settings.threads, role)?;
            Ok(serve(&mut |task, is_cancelled, _| match task {
                Task::Embed { texts } => session.embed(&texts, is_cancelled).map(Outcome::Vectors),
                Task::Generate { .. } => Err(mistaken()),
            }))
        }
    }
}
