//! Traces, as a collector receives them: an HTTP server in the test that takes OTLP as protobuf.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Text;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::fixture::{Fixture, PASSWORD, ScriptedModel, Server};

/// Keeps what is exported to it.
struct Collector {
    address: std::net::SocketAddr,
    received: Received,
    _runtime: tokio::runtime::Runtime,
}

type Received = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

impl Collector {
    fn start() -> Self {
        let received = Received::default();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/otlp/v1/traces", post(take))
            .with_state(Arc::clone(&received));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            received,
            _runtime: runtime,
        }
    }

    fn endpoint(&self) -> String {
        format!("http://{}/otlp", self.address)
    }

    fn exports(&self) -> Vec<(HeaderMap, Bytes)> {
        self.received.lock().unwrap().clone()
    }

    /// Returns everything as it came over the wire, where every text stands as it is.
    fn bytes(&self) -> Vec<u8> {
        let exports = self.exports();
        exports.iter().flat_map(|(_, body)| body.to_vec()).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.exports().into_iter().flat_map(|(_, body)| {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            request.resource_spans
        });
        resources
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect()
    }
}

async fn take(State(received): State<Received>, headers: HeaderMap, body: Bytes) -> StatusCode {
    received.lock().unwrap().push((headers, body));
    StatusCode::OK
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const UNSAMPLED: &str = "aaf92f3577b34da6a3ce929d0e0e4736";

/// Asks with a `traceparent` and other headers that a caller may choose.
fn send(server: &Server, token: &str, path: &str, body: &Value, headers: &[(&str, &str)]) -> u16 {
    let mut request = Client::new()
        .post(format!("{}{path}", server.url))
        .bearer_auth(token)
        .json(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().unwrap().status().as_u16()
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|pair| pair.key == key)?;
    match found.value.clone()?.value? {
        Text::StringValue(text) => Some(text),
        Text::IntValue(number) => Some(number.to_string()),
        other => panic!("{key} is {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_question_is_traced_under_its_callers_trace_with_one_span_for_each_port_call() {
    let fixture = Fixture::new();
    let model = ScriptedModel::always("```sql\nSELECT count(*) FROM customers\n```");
    let collector = Collector::start();
    let headers_file = fixture.original_folder().with_file_name("otlp-headers");
    std::fs::write(&headers_file, "api-key=sesame%3D\n").unwrap();
    let server = Server::start_with(
        &fixture,
        &model,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
            (
                "OTEL_EXPORTER_OTLP_HEADERS_FILE",
                headers_file.to_str().unwrap(),
            ),
            ("OTEL_SERVICE_NAME", "assay-under-test"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test"),
        ],
    );
    let token = server.token("admin@localhost", PASSWORD);
    let question = json!({ "question": "How many customers are there?" });
    let sampled = format!("00-{TRACE}-{CALLER}-01");
    let unsampled = format!("00-{UNSAMPLED}-{CALLER}-00");
    let path = "/api/v1/questions";
    assert_eq!(
        send(
            &server,
            &token,
            path,
            &question,
            &[("traceparent", &sampled)]
        ),
        200
    );
    assert_eq!(
        send(
            &server,
            &token,
            path,
            &question,
            &[("traceparent", &unsampled)]
        ),
        200
    );
    assert!(server.stop());

    let spans = collector.spans();
    let of_trace = |id: &str| {
        spans
            .iter()
            .filter(|span| hex(&span.trace_id) == id)
            .collect::<Vec<_>>()
    };
    assert!(
        of_trace(UNSAMPLED).is_empty(),
        "the caller said not to trace it"
    );
    let traced = of_trace(TRACE);
    let request = traced
        .iter()
        .find(|span| span.name == "POST /api/v1/questions");
    let request = request.unwrap_or_else(|| panic!("{traced:#?}"));
    assert_eq!(hex(&request.parent_span_id), CALLER);
    assert_eq!(attribute(request, "http.route").as_deref(), Some(path));
    assert_eq!(
        attribute(request, "http.response.status_code").as_deref(),
        Some("200")
    );
    assert!(attribute(request, "request.id").is_some());
    let calls = [
        "store.session_actor",
        "store.begin_query",
        "target.current",
        "store.all_terms",
        "generator.generate",
        "engine.guard",
        "target.query",
        "store.finish_query",
        "store.note_last_query",
    ];
    for call in calls {
        let span = traced.iter().find(|span| span.name == call);
        let span = span.unwrap_or_else(|| panic!("no {call}: {traced:#?}"));
        assert_eq!(span.parent_span_id, request.span_id, "{call}");
        assert!(span.start_time_unix_nano >= request.start_time_unix_nano);
        assert!(span.end_time_unix_nano <= request.end_time_unix_nano);
    }
    // Nobody asked for what the server does by itself.
    assert!(spans.iter().all(|span| span.name != "store.seal"));

    let exports = collector.exports();
    assert!(
        exports
            .iter()
            .all(|(headers, _)| headers["api-key"] == "sesame=")
    );
    let text = String::from_utf8_lossy(&collector.bytes()).into_owned();
    for said in ["assay-under-test", "deployment.environment"] {
        assert!(text.contains(said), "{said}");
    }
    fixture.assert_original_untouched();
}

#[test]
fn no_word_of_a_question_its_sql_its_rows_or_its_asker_leaves_in_a_trace() {
    let fixture = Fixture::new();
    let model = ScriptedModel::always(
        "```sql\nSELECT name FROM customers WHERE name <> 'Zanzibar' ORDER BY name\n```",
    );
    let collector = Collector::start();
    let server = Server::start_with(
        &fixture,
        &model,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
            // Whatever is logged, nothing more is exported.
            ("RUST_LOG", "trace"),
        ],
    );
    let token = server.token("admin@localhost", PASSWORD);
    let chosen = [
        ("x-request-id", "Kilimanjaro"),
        ("tracestate", "vendor=Kilimanjaro"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("user-agent", "Kilimanjaro"),
    ];
    let asks = [
        (
            "/api/v1/questions",
            json!({ "question": "Who is not from Timbuktu?" }),
            200,
        ),
        (
            "/api/v1/sql/execute",
            json!({ "sql": "SELECT Ouagadougou FROM customers" }),
            422,
        ),
        (
            "/api/v1/sql/execute",
            json!({ "sql": "SELECT abs(name || 'Ouagadougou') FROM customers" }),
            200,
        ),
        (
            "/api/v1/sql/validate",
            json!({ "sql": "DELETE FROM customers WHERE name = 'Ouagadougou'" }),
            422,
        ),
        ("/api/v1/Antananarivo?Antananarivo", json!({}), 404),
    ];
    for (path, body, status) in asks {
        assert_eq!(
            send(&server, &token, path, &body, &chosen),
            status,
            "{path} {body}"
        );
    }
    let session: Value = server.log_in("admin@localhost", PASSWORD).json().unwrap();
    let failed = server.log_in("Reykjavik@example.org", "wrong Reykjavik");
    assert_eq!(failed.status(), 401);
    assert!(server.stop());

    let names: Vec<_> = collector
        .spans()
        .into_iter()
        .map(|span| span.name)
        .collect();
    for name in [
        "target.query",
        "store.user_by_email",
        "POST none",
        "engine.guard",
    ] {
        assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
    }
    let refused = collector
        .spans()
        .into_iter()
        .filter_map(|span| attribute(&span, "error.type"));
    let refused: Vec<_> = refused.collect();
    assert!(
        refused.contains(&"sql_not_read_only".to_owned()),
        "{refused:?}"
    );
    let exported = collector.bytes();
    let is_exported = |secret: &str| {
        exported
            .windows(secret.len())
            .any(|part| part == secret.as_bytes())
    };
    assert!(
        is_exported("/api/v1/questions"),
        "the search finds what is there"
    );
    let tokens = ["access_token", "refresh_token"]
        .map(|token| session[token].as_str().unwrap_or("Lilongwe"));
    let secrets = [
        "Timbuktu",
        "Zanzibar",
        "Ouagadougou",
        "Antananarivo",
        "Kilimanjaro",
        "Reykjavik",
        "Edsger",
        "SELECT",
        "customers",
        "admin@localhost",
        PASSWORD,
        tokens[0],
        tokens[1],
        "127.0.0.1",
    ];
    for secret in secrets {
        assert!(!is_exported(secret), "{secret}");
    }
}

#[test]
fn a_collector_that_is_not_there_costs_one_warning_and_no_answer() {
    let fixture = Fixture::new();
    let model = ScriptedModel::always("```sql\nSELECT count(*) FROM customers\n```");
    // A port that was free a moment ago.
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let server = Server::start_with(
        &fixture,
        &model,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &nobody),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "200"),
        ],
    );
    let token = server.token("admin@localhost", PASSWORD);
    let question = json!({ "question": "How many customers are there?" });
    // More spans than one export takes, so that more than one fails.
    for _ in 0..60 {
        assert_eq!(
            send(&server, &token, "/api/v1/questions", &question, &[]),
            200
        );
    }
    let log = server.log();
    assert!(server.stop());
    let log = log.to_the_end();
    let warnings = log
        .iter()
        .filter(|line| line.contains("the collector takes no traces"));
    assert_eq!(warnings.count(), 1, "{log:#?}");
}
