//! The web UI: files that are in the program. A path that is none of them is a page of the UI, which finds it itself.

use axum::extract::Request;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::error;

/// What `npm run build` leaves in `ui/dist`; nothing if it was not run before the program was built.
#[derive(RustEmbed)]
#[folder = "../../ui/dist"]
struct Files;

const INDEX: &str = "index.html";

/// Everything comes from here and nothing is written into the page; charts are drawn without `eval`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
     font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What is not for people who look at pages.
const NOT_PAGES: [&str; 4] = ["api", "health", "metrics", "docs"];

/// Answers what no route does: with a file or a page of the UI, else with a problem.
pub async fn file_or_page(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    let first = path.split('/').next().unwrap_or_default();
    let is_page =
        matches!(*request.method(), Method::GET | Method::HEAD) && !NOT_PAGES.contains(&first);
    if !is_page {
        return error::not_found().await.into_response();
    }
    let headers = request.headers();
    if let Some(response) = file(path, headers) {
        return response;
    }
    // A script that is not there is no page.
    if path
        .rsplit('/')
        .next()
        .is_some_and(|name| name.contains('.'))
    {
        return error::not_found().await.into_response();
    }
    file(INDEX, headers).unwrap_or_else(not_built)
}

fn file(path: &str, headers: &HeaderMap) -> Option<Response> {
    let plain = Files::get(path)?;
    let tag = tag(&plain);
    let is_known = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let kept = [
        (ETAG, tag),
        (CACHE_CONTROL, caching(path).to_owned()),
        (VARY, "accept-encoding".to_owned()),
        (CONTENT_SECURITY_POLICY, POLICY.to_owned()),
    ];
    if is_known {
        return Some((StatusCode::NOT_MODIFIED, kept).into_response());
    }
    let kind = [(CONTENT_TYPE, media_type(path))];
    let accepts_gzip = headers
        .get(ACCEPT_ENCODING)
        .and_then(|accepted| accepted.to_str().ok())
        .is_some_and(|accepted| accepted.contains("gzip"));
    let packed = accepts_gzip
        .then(|| Files::get(&format!("{path}.gz")))
        .flatten();
    Some(match packed {
        Some(packed) => {
            let encoding = [(CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
            (kept, kind, encoding, packed.data).into_response()
        }
        None => (kept, kind, plain.data).into_response(),
    })
}

/// The build names what is under `assets` by its content; everything else is asked for anew each time.
fn caching(path: &str) -> &'static str {
    match path.starts_with("assets/") {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    }
}

fn tag(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let hex: String = hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{hex}\"")
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// A program that was built without the UI says how to get it.
fn not_built() -> Response {
    let page = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Assay</title>\
        <h1>Assay is running</h1><p>This program was built without its web pages. <code>make build</code> builds both. \
        The <a href=\"/docs\">HTTP interface</a> is here.</p></html>\n";
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, page).into_response()
}
