//! What an export of a million rows takes: rows a second, and what memory the server takes more for it. The server is a
//! process of its own, so that its memory is its own.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use engine::Error;
use futures::StreamExt;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::{Figure, demo, failed, peak_bytes};
use crate::cli::output;
use crate::demo_company::DemoOptions;

const ROWS: u32 = 1_000_000;

/// Numbers, names that repeat and sums: what people export.
const SQL: &str = "SELECT order_line_id, company_name, country, quantity, line_total \
                   FROM order_lines CROSS JOIN customers LIMIT 1000000";

const PASSWORD: &str = "four words without relation";

/// Exports the same answer in each format.
pub async fn figures(folder: &Path) -> Result<Vec<Figure>, Error> {
    output::say("exports");
    let database = demo(folder, "exports", DemoOptions::default().orders)?;
    let server = Server::start(&folder.join("exports"), &database).await?;
    let body = json!({ "sql": SQL });
    let answer = server.post("/api/v1/sql/execute", &body).await?;
    let id = answer["query_id"]
        .as_i64()
        .ok_or_else(|| failed(format!("the statement did not run: {answer}")))?;
    let mut figures = Vec::new();
    for format in ["csv", "json", "parquet", "arrow", "xlsx"] {
        figures.push(server.exported(id, format).await?);
    }
    Ok(figures)
}

struct Server {
    /// Killed when dropped.
    child: Child,
    url: String,
    client: Client,
    token: String,
}

impl Server {
    async fn start(folder: &Path, database: &Path) -> Result<Self, Error> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let address = free.local_addr().map_err(failed)?;
        drop(free);
        let child = Command::new(std::env::current_exe().map_err(failed)?)
            .arg("serve")
            .env_clear()
            .env("DATA_DIR", folder)
            .env("LISTEN", address.to_string())
            .env("TARGET_DB_SOURCE", database)
            .env("INIT_ADMIN_PASSWORD", PASSWORD)
            .env("EMBEDDING_PROVIDER", "none")
            // A model that is never asked.
            .env("LLM_PROVIDER", "openai")
            .env("LLM_BASE_URL", "http://127.0.0.1:9/v1")
            .env("LLM_MODEL", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let mut server = Self {
            child,
            url: format!("http://{address}"),
            client: Client::new(),
            token: String::new(),
        };
        server.wait_until_ready().await?;
        let body = json!({ "email": "admin@localhost", "password": PASSWORD });
        let session = server.post("/api/v1/auth/login", &body).await?;
        let token = session["access_token"].as_str();
        token
            .ok_or_else(|| failed(format!("no login: {session}")))?
            .clone_into(&mut server.token);
        Ok(server)
    }

    async fn wait_until_ready(&self) -> Result<(), Error> {
        let until = Instant::now() + Duration::from_secs(60);
        let url = format!("{}/health/ready", self.url);
        loop {
            match self.client.get(&url).send().await {
                Ok(response) if response.status().is_success() => return Ok(()),
                _ if Instant::now() > until => return Err(failed("the server is not ready")),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let request = self.client.post(format!("{}{path}", self.url));
        let response = request.bearer_auth(&self.token).json(body).send().await;
        response.map_err(failed)?.json().await.map_err(failed)
    }

    async fn exported(&self, id: i64, format: &str) -> Result<Figure, Error> {
        let before = self.peak_mebibytes()?;
        let url = format!("{}/api/v1/queries/{id}/result?format={format}", self.url);
        let begun = Instant::now();
        let response = self.client.get(url).bearer_auth(&self.token).send().await;
        let response = response
            .and_then(|response| response.error_for_status())
            .map_err(failed)?;
        let rows = response.headers().get("x-assay-rows").cloned();
        if rows.as_ref().and_then(|rows| rows.to_str().ok()) != Some(&ROWS.to_string()) {
            return Err(failed(format!("{rows:?} rows were exported")));
        }
        let mut bytes = 0;
        let mut body = response.bytes_stream();
        while let Some(chunk) = body.next().await {
            bytes += chunk.map_err(failed)?.len();
        }
        let seconds = begun.elapsed().as_secs_f64();
        let after = self.peak_mebibytes()?;
        Ok(Figure::new(
            format!("export of 1,000,000 rows of 5 columns, {format}"),
            format!("{:.0} rows/s", f64::from(ROWS) / seconds),
            format!(
                "{:.1} MB in {seconds:.1} s; the server's peak memory went from {before:.0} to {after:.0} MiB",
                bytes as f64 / 1e6
            ),
        ))
    }

    fn peak_mebibytes(&self) -> Result<f64, Error> {
        let process = self.child.id().ok_or_else(|| failed("the server ended"))?;
        let bytes = peak_bytes(process).ok_or_else(|| failed("the system tells no memory"))?;
        Ok(bytes as f64 / f64::from(1 << 20))
    }
}
