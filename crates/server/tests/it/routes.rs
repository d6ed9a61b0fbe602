//! Every route, for everyone who may come. A route that the description has and this table lacks fails.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::fixture::{Fixture, PASSWORD, ScriptedModel, Server};

/// What comes of a request that is as empty as can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// 401 `missing_credentials`.
    LogIn,
    /// 403 `role_too_low`.
    Denied,
    /// The caller may; whether the request makes sense is another matter.
    Let,
}

use Outcome::{Denied, Let, LogIn};

const OPEN: [Outcome; 4] = [Let, Let, Let, Let];
const VIEWER: [Outcome; 4] = [LogIn, Let, Let, Let];
const ANALYST: [Outcome; 4] = [LogIn, Denied, Let, Let];
const ADMIN: [Outcome; 4] = [LogIn, Denied, Denied, Let];

/// Method, path, and what comes of it with no session, as viewer, as analyst and as administrator.
const ROUTES: &[(&str, &str, [Outcome; 4])] = &[
    ("GET", "/health/live", OPEN),
    ("GET", "/health/ready", OPEN),
    ("GET", "/metrics", ADMIN),
    ("POST", "/api/v1/auth/login", OPEN),
    ("POST", "/api/v1/auth/refresh", OPEN),
    ("POST", "/api/v1/auth/logout", VIEWER),
    ("POST", "/api/v1/auth/logout-all", VIEWER),
    ("POST", "/api/v1/auth/password", VIEWER),
    ("POST", "/api/v1/auth/forgot", OPEN),
    ("POST", "/api/v1/auth/reset", OPEN),
    ("POST", "/api/v1/auth/register", OPEN),
    ("POST", "/api/v1/auth/invitations/accept", OPEN),
    ("GET", "/api/v1/me", VIEWER),
    ("PATCH", "/api/v1/me", VIEWER),
    ("GET", "/api/v1/users", ADMIN),
    ("POST", "/api/v1/users", ADMIN),
    ("GET", "/api/v1/users/{id}", ADMIN),
    ("PATCH", "/api/v1/users/{id}", ADMIN),
    ("POST", "/api/v1/users/{id}/logout", ADMIN),
    ("POST", "/api/v1/users/{id}/reset-password", ADMIN),
    ("GET", "/api/v1/invitations", ADMIN),
    ("POST", "/api/v1/invitations", ADMIN),
    ("DELETE", "/api/v1/invitations/{id}", ADMIN),
    ("GET", "/api/v1/api-keys", VIEWER),
    ("POST", "/api/v1/api-keys", VIEWER),
    ("DELETE", "/api/v1/api-keys/{id}", VIEWER),
    ("POST", "/api/v1/questions", VIEWER),
    ("DELETE", "/api/v1/questions/{id}", VIEWER),
    ("GET", "/api/v1/questions/{id}/events", VIEWER),
    ("GET", "/api/v1/suggestions", VIEWER),
    ("POST", "/api/v1/sql/execute", ANALYST),
    ("POST", "/api/v1/sql/validate", ANALYST),
    ("POST", "/api/v1/sql/explain", ANALYST),
    ("GET", "/api/v1/schema", VIEWER),
    ("GET", "/api/v1/conversations", VIEWER),
    ("POST", "/api/v1/conversations", VIEWER),
    ("GET", "/api/v1/conversations/{id}", VIEWER),
    ("PATCH", "/api/v1/conversations/{id}", VIEWER),
    ("DELETE", "/api/v1/conversations/{id}", VIEWER),
    ("GET", "/api/v1/queries", VIEWER),
    ("GET", "/api/v1/queries/{id}", VIEWER),
    ("POST", "/api/v1/queries/{id}/run", VIEWER),
    ("GET", "/api/v1/queries/{id}/result", VIEWER),
    ("PUT", "/api/v1/queries/{id}/feedback", VIEWER),
    ("GET", "/api/v1/queries/{id}/feedback", VIEWER),
    ("GET", "/api/v1/feedback", ADMIN),
    ("GET", "/api/v1/ontology", VIEWER),
    ("POST", "/api/v1/ontology", ANALYST),
    ("GET", "/api/v1/ontology/{id}", VIEWER),
    ("PATCH", "/api/v1/ontology/{id}", ANALYST),
    ("DELETE", "/api/v1/ontology/{id}", ANALYST),
    ("POST", "/api/v1/ontology/import", ANALYST),
    ("GET", "/api/v1/ontology/export", VIEWER),
    ("GET", "/api/v1/verified-queries", ANALYST),
    ("POST", "/api/v1/verified-queries", ANALYST),
    ("GET", "/api/v1/verified-queries/{id}", ANALYST),
    ("PATCH", "/api/v1/verified-queries/{id}", ANALYST),
    ("DELETE", "/api/v1/verified-queries/{id}", ANALYST),
    ("POST", "/api/v1/verified-queries/{id}/approve", ADMIN),
    ("POST", "/api/v1/verified-queries/{id}/reject", ADMIN),
    ("GET", "/api/v1/policies", ADMIN),
    ("POST", "/api/v1/policies", ADMIN),
    ("DELETE", "/api/v1/policies/{id}", ADMIN),
    ("GET", "/api/v1/configurations", ADMIN),
    ("PUT", "/api/v1/configurations/{key}", ADMIN),
    ("DELETE", "/api/v1/configurations/{key}", ADMIN),
    ("GET", "/api/v1/audit-logs", ADMIN),
    ("GET", "/api/v1/audit-logs/{id}", ADMIN),
    ("GET", "/api/v1/audit-logs/{id}/proof", ADMIN),
    ("GET", "/api/v1/audit-logs/seals", ADMIN),
    ("GET", "/api/v1/target", ADMIN),
    ("POST", "/api/v1/target/verify", ADMIN),
    ("POST", "/api/v1/target/refresh", ADMIN),
    ("POST", "/api/v1/target/restore", ADMIN),
    ("GET", "/api/v1/backups", ADMIN),
    ("POST", "/api/v1/backups", ADMIN),
    ("POST", "/api/v1/backups/{name}/verify", ADMIN),
    ("GET", "/api/v1/index", ADMIN),
    ("GET", "/api/v1/jobs", ADMIN),
    ("POST", "/api/v1/jobs", ADMIN),
    ("GET", "/api/v1/jobs/{id}", ADMIN),
    ("DELETE", "/api/v1/jobs/{id}", ADMIN),
];

/// Routes after which the caller must log in again.
const ENDS_SESSIONS: &[&str] = &["/api/v1/auth/logout", "/api/v1/auth/logout-all"];

const PEOPLE: [&str; 3] = ["viewer@localhost", "analyst@localhost", "admin@localhost"];

#[test]
fn every_route_lets_in_whom_it_should() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let server = Server::start(&fixture, &model);
    let admin = server.token(PEOPLE[2], PASSWORD);
    for role in ["viewer", "analyst"] {
        let user = json!({ "email": format!("{role}@localhost"), "full_name": role, "role": role, "password": PASSWORD });
        let created = server.send("POST", "/api/v1/users", Some(&admin), &user);
        assert_eq!(created.status(), 201, "{}", created.text().unwrap());
    }
    let mut tokens = PEOPLE.map(|email| server.token(email, PASSWORD));

    for (method, path, expected) in ROUTES {
        for (index, expected) in expected.iter().enumerate() {
            let token = index.checked_sub(1).map(|index| tokens[index].clone());
            let found = outcome(&server, method, path, token.as_deref());
            assert_eq!(found, *expected, "{method} {path} of caller {index}");
            if let Some(index) = index.checked_sub(1)
                && ENDS_SESSIONS.contains(path)
            {
                tokens[index] = server.token(PEOPLE[index], PASSWORD);
            }
        }
        if expected[0] == LogIn {
            let path = path.replace("{id}", "999999");
            let forged = server.send(method, &path, Some("e30.e30.e30"), &Value::Null);
            assert_eq!(forged.status(), 401, "{method} {path}");
            let problem: Value = forged.json().unwrap();
            assert_eq!(problem["code"], "session_expired", "{method} {path}");
        }
    }
}

fn outcome(server: &Server, method: &str, path: &str, token: Option<&str>) -> Outcome {
    let body = match method {
        "GET" | "DELETE" => Value::Null,
        _ => json!({}),
    };
    let path = path.replace("{id}", "999999");
    let response = server.send(method, &path, token, &body);
    let status = response.status().as_u16();
    let problem: Value = response.json().unwrap_or_default();
    match (status, problem["code"].as_str()) {
        (401, Some("missing_credentials")) if path != "/api/v1/auth/refresh" => LogIn,
        (403, Some("role_too_low")) => Denied,
        (500.., _) => panic!("{method} {path}: {problem}"),
        _ => Let,
    }
}

#[test]
fn every_route_of_the_description_is_in_the_table() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let server = Server::start(&fixture, &model);
    let api = server.send("GET", "/api/v1/openapi.json", None, &Value::Null);
    let api: Value = api.json().unwrap();
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
    let problem = &api["components"]["schemas"]["Problem"];
    assert!(problem["properties"]["code"].is_object(), "{problem}");
}
