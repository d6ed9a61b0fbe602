//! What this process tells of itself: the log on standard error, and traces to a collector where one is set.
//!
//! A span leaves only if it was opened for that: the layer that exports looks at spans with the target [`TARGET`] and at
//! no event, and [`exporter`] lets through the attributes of one short list. So a question, SQL, a value, an address or a
//! token cannot leave because somebody logs it.

mod exporter;
mod ports;
mod requests;

use std::io::IsTerminal;
use std::time::Duration;

use engine::Error;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::TraceSettings;
pub use ports::Traced;
pub use requests::request;

/// The target of every span that is exported. `engine` names it too.
const TARGET: &str = "assay::trace";

/// How long the end of the process waits for a collector at most.
const MAX_FLUSH: Duration = Duration::from_secs(5);

/// How the log is written.
pub struct LogSettings<'a> {
    /// What is logged unless `RUST_LOG` says otherwise.
    pub default_filter: &'a str,
    /// One JSON object a line.
    pub is_json: bool,
}

/// Exports spans until it is ended.
pub struct Telemetry {
    traces: Option<(SdkTracerProvider, Duration)>,
}

impl Telemetry {
    /// Begins to log, and to export traces if there are settings for it. Without them no layer is installed, and a span
    /// costs a look at one flag. Must be called within the runtime, which carries the exports.
    ///
    /// # Errors
    ///
    /// [`engine::Code::InvalidSetting`] if no exporter can be made of the settings; the log works all the same.
    pub fn start(
        log: &LogSettings<'_>,
        traces: Option<&TraceSettings>,
    ) -> (Self, Result<(), Error>) {
        let log = log_layer(log);
        let provider = match traces.map(exporter::provider).transpose() {
            Ok(Some(provider)) => provider,
            nothing => {
                tracing_subscriber::registry().with(log).init();
                return (Self { traces: None }, nothing.map(|_| ()));
            }
        };
        let spans = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("assay"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(TARGET, LevelFilter::DEBUG));
        tracing_subscriber::registry().with(log).with(spans).init();
        let patience = traces.map_or(MAX_FLUSH, |traces| traces.timeout.min(MAX_FLUSH));
        let traces = Some((provider, patience));
        (Self { traces }, Ok(()))
    }

    /// Exports what is left. Blocks, so it must not be called on a thread of the runtime, which must still be there.
    pub fn end(self) {
        if let Some((provider, patience)) = self.traces {
            // Whatever could not be delivered has been warned of.
            let _ = provider.shutdown_with_timeout(patience);
        }
    }
}

fn log_layer(settings: &LogSettings<'_>) -> Box<dyn Layer<Registry> + Send + Sync> {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(settings.default_filter));
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    if settings.is_json {
        let log = log.json().flatten_event(true).with_current_span(true);
        log.with_filter(filter).boxed()
    } else {
        let is_colourful =
            std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        log.with_ansi(is_colourful).with_filter(filter).boxed()
    }
}
