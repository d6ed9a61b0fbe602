//! Spans on their way to the collector: in batches, from a thread of its own, over the HTTP client of the rest of the
//! program. At most 2,048 spans wait; what comes on top is dropped, as is a batch that the collector does not take.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use engine::{Code, Error};
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    Protocol, SpanExporter as OtlpExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
};
use reqwest::redirect::Policy;
use tokio::runtime::Handle;

use crate::config::TraceSettings;

/// The attributes that may leave. Each has values from a short list of ours, numbers, or identifiers.
const ATTRIBUTES: [&str; 5] = [
    "http.request.method",
    "http.route",
    "http.response.status_code",
    "request.id",
    "error.type",
];

/// Spans that wait to be exported at most.
const MAX_WAITING: usize = 2_048;
/// Spans of one export at most.
const MAX_BATCH: usize = 512;
/// From one export to the next, unless a batch is full before.
const EXPORT_EVERY: Duration = Duration::from_secs(5);
/// From one warning to the next.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Returns what makes spans and sends them off.
///
/// # Errors
///
/// [`Code::InvalidSetting`].
pub fn provider(settings: &TraceSettings) -> Result<SdkTracerProvider, Error> {
    let exporter = OtlpExporter::builder()
        .with_http()
        .with_http_client(Client::new(settings)?)
        .with_headers(settings.headers.iter().cloned().collect())
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(&settings.url)
        .with_timeout(settings.timeout)
        .build()
        .map_err(|fault| {
            Error::new(
                Code::InvalidSetting,
                "traces cannot be exported as configured",
            )
            .with_hint("look at the variables that begin with OTEL_EXPORTER_OTLP_")
            .with_cause(fault)
        })?;
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(MAX_WAITING)
        .with_max_export_batch_size(MAX_BATCH)
        .with_scheduled_delay(EXPORT_EVERY)
        .build();
    let processor = BatchSpanProcessor::builder(Fenced::new(exporter))
        .with_batch_config(batches)
        .build();
    let share = match settings.sampler.ratio {
        1.0 => Sampler::AlwaysOn,
        0.0 => Sampler::AlwaysOff,
        ratio => Sampler::TraceIdRatioBased(ratio),
    };
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_resource(resource(settings));
    let provider = if settings.sampler.follows_parent {
        provider.with_sampler(Sampler::ParentBased(Box::new(share)))
    } else {
        provider.with_sampler(share)
    };
    Ok(provider.build())
}

fn resource(settings: &TraceSettings) -> Resource {
    let given = settings.attributes.iter();
    let given = given.map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(given)
        .with_service_name(settings.service_name.clone())
        .build()
}

/// Takes away what may not leave, and says so when nothing leaves at all.
#[derive(Debug)]
struct Fenced<E> {
    exporter: E,
    lost: Mutex<Lost>,
}

/// Spans that the collector did not take since the last warning.
#[derive(Debug, Default)]
struct Lost {
    spans: usize,
    warned: Option<Instant>,
}

impl<E> Fenced<E> {
    fn new(exporter: E) -> Self {
        Self {
            exporter,
            lost: Mutex::default(),
        }
    }

    /// Warns of spans that were lost, at most once in [`WARN_EVERY`].
    fn warn(&self, spans: usize, fault: &dyn std::fmt::Display) {
        let Ok(mut lost) = self.lost.lock() else {
            return;
        };
        lost.spans += spans;
        if lost.warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            tracing::warn!(spans = lost.spans, "the collector takes no traces: {fault}");
            *lost = Lost {
                spans: 0,
                warned: Some(Instant::now()),
            };
        }
    }
}

impl<E: SpanExporter> SpanExporter for Fenced<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        for span in &mut batch {
            span.attributes
                .retain(|attribute| ATTRIBUTES.contains(&attribute.key.as_str()));
            span.events = Default::default();
            span.links = Default::default();
        }
        let spans = batch.len();
        let exported = self.exporter.export(batch).await;
        if let Err(fault) = &exported {
            self.warn(spans, fault);
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// The HTTP client of the rest of the program. The thread that exports has no runtime, so requests run on that of the
/// process.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

impl Client {
    fn new(settings: &TraceSettings) -> Result<Self, Error> {
        let client = reqwest::Client::builder()
            .timeout(settings.timeout)
            // A redirect would carry the headers to a place that nobody configured.
            .redirect(Policy::none())
            .build()
            .map_err(|fault| {
                Error::new(Code::Internal, "the HTTP client cannot be made").with_cause(fault)
            })?;
        Ok(Self {
            client,
            runtime: Handle::current(),
        })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let response = client.execute(request).await?;
            let status = response.status();
            let headers = response.headers().clone();
            let body = response.bytes().await?;
            Ok::<_, reqwest::Error>((status, headers, body))
        });
        // Its URL may hold a password.
        let (status, headers, body) = sent.await?.map_err(reqwest::Error::without_url)?;
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}
