//! Every route, with no session and with a forged one. A route that the description has and this table lacks fails.

use std::collections::BTreeSet;

use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::Value;

use crate::fixture::{Fixture, ScriptedModel, Server};

/// Method, path, and whether a session is needed.
const ROUTES: &[(&str, &str, bool)] = &[
    ("GET", "/health/live", false),
    ("GET", "/health/ready", false),
    ("POST", "/api/v1/auth/login", false),
    ("POST", "/api/v1/auth/logout", true),
    ("GET", "/api/v1/me", true),
    ("POST", "/api/v1/questions", true),
    ("POST", "/api/v1/sql/execute", true),
    ("GET", "/api/v1/target", true),
    ("POST", "/api/v1/target/verify", true),
    ("POST", "/api/v1/target/refresh", true),
    ("POST", "/api/v1/target/restore", true),
];

#[test]
fn every_route_is_described_and_asks_for_a_session_where_one_is_needed() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let server = Server::start(&fixture, &model);
    let client = Client::new();

    let api: Value = client
        .get(format!("{}/api/v1/openapi.json", server.url))
        .send()
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(api["openapi"], "3.1.0");
    let described: BTreeSet<(String, String)> = api["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods
                .as_object()
                .unwrap()
                .keys()
                .map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let listed: BTreeSet<(String, String)> = ROUTES
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(described, listed);

    for (method, path, needs_session) in ROUTES.iter().filter(|route| route.2) {
        for (token, code) in [
            (None, "missing_credentials"),
            (Some("e30.e30.e30"), "session_expired"),
        ] {
            let mut request = client.request(
                Method::from_bytes(method.as_bytes()).unwrap(),
                format!("{}{path}", server.url),
            );
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let response = request.send().unwrap();
            assert_eq!(response.status(), 401, "{method} {path} {needs_session}");
            let problem: Value = response.json().unwrap();
            assert_eq!(problem["code"], code, "{method} {path}");
        }
    }
}
