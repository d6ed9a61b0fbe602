//! Accounts over HTTP: cookies, keys, letters and administrators, with the real program.

use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};

use crate::fixture::{Fixture, PASSWORD, ScriptedModel, Server};
use crate::story::problem;

const ADMIN: &str = "admin@localhost";
const ELSE: &str = "plinth-cobalt-vesper-nine";

fn start(vars: &[(&str, &str)]) -> (Fixture, Server) {
    let fixture = Fixture::new();
    let server = Server::start_with(&fixture, &ScriptedModel::replying(&[]), vars);
    (fixture, server)
}

fn user(server: &Server, admin: &str, email: &str, role: &str) -> i64 {
    let body =
        json!({ "email": email, "full_name": "Someone", "role": role, "password": PASSWORD });
    let created = server.send("POST", "/api/v1/users", Some(admin), &body);
    assert_eq!(created.status(), StatusCode::CREATED);
    created.json::<Value>().unwrap()["id"].as_i64().unwrap()
}

fn me(server: &Server, token: &str) -> Response {
    server.send("GET", "/api/v1/me", Some(token), &Value::Null)
}

/// Waits for a letter in the outbox and returns the token in its link.
pub fn token_of_letter(fixture: &Fixture, to: &str) -> String {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let letters = std::fs::read_dir(fixture.data_dir().join("outbox"));
        for entry in letters.into_iter().flatten() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            if text.starts_with(&format!("To: {to}\n"))
                && let Some((_, rest)) = text.split_once("#token=")
            {
                return rest.lines().next().unwrap().to_owned();
            }
        }
        assert!(std::time::Instant::now() < deadline, "no letter to {to}");
        std::thread::yield_now();
    }
}

#[test]
fn a_browser_has_its_session_in_cookies_that_other_sites_cannot_use() {
    let (fixture, server) = start(&[("PUBLIC_URL", "https://assay.example.org")]);
    let client = Client::new();
    let post = |path: &str, cookies: &str, site: &str, body: &Value| {
        client
            .post(format!("{}{path}", server.url))
            .header("cookie", cookies)
            .header("sec-fetch-site", site)
            .json(body)
            .send()
            .unwrap()
    };
    let login = json!({ "email": ADMIN, "password": PASSWORD, "cookie": true });
    let elsewhere = post("/api/v1/auth/login", "", "cross-site", &login);
    problem(elsewhere, StatusCode::FORBIDDEN, "cross_site");
    let opened = post("/api/v1/auth/login", "", "same-origin", &login);
    let cookies = cookies_of(&opened);
    let body: Value = opened.json().unwrap();
    assert!(body.get("access_token").is_none() && body.get("refresh_token").is_none());

    let seen = client
        .get(format!("{}/api/v1/me", server.url))
        .header("cookie", &cookies)
        .send()
        .unwrap();
    assert_eq!(seen.status(), StatusCode::OK);
    for site in ["cross-site", "same-site"] {
        let forged = post("/api/v1/auth/logout-all", &cookies, site, &json!({}));
        problem(forged, StatusCode::FORBIDDEN, "cross_site");
    }
    let refreshed = post("/api/v1/auth/refresh", &cookies, "same-origin", &json!({}));
    assert_eq!(refreshed.status(), StatusCode::OK);
    let cookies = cookies_of(&refreshed);
    let out = post("/api/v1/auth/logout", &cookies, "same-origin", &json!({}));
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    let cleared: Vec<_> = out.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cleared.len(), 2);
    assert!(
        cleared
            .iter()
            .all(|cookie| cookie.to_str().unwrap().contains("Max-Age=0"))
    );
    let after = post("/api/v1/auth/logout", &cookies, "same-origin", &json!({}));
    problem(after, StatusCode::UNAUTHORIZED, "session_expired");

    let denials: i64 = fixture
        .system_store()
        .query_row(
            "SELECT count(*) FROM audit_logs WHERE action = 'denied'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(denials, 2, "those of someone who was recognised");
}

fn cookies_of(response: &Response) -> String {
    let cookies: Vec<&str> = response
        .headers()
        .get_all("set-cookie")
        .iter()
        .map(|cookie| cookie.to_str().unwrap())
        .collect();
    assert_eq!(cookies.len(), 2);
    for cookie in &cookies {
        assert!(
            cookie.ends_with("; HttpOnly; SameSite=Strict; Secure"),
            "{cookie}"
        );
    }
    let pairs = cookies
        .iter()
        .map(|cookie| cookie.split_once(';').unwrap().0);
    pairs.collect::<Vec<_>>().join("; ")
}

#[test]
fn a_key_works_for_programs_and_all_is_over_when_its_owner_is_deactivated() {
    let (_fixture, server) = start(&[]);
    let admin = server.token(ADMIN, PASSWORD);
    let id = user(&server, &admin, "ada@example.org", "analyst");
    let token = server.token("Ada@example.org", PASSWORD);

    let wish = json!({ "name": "report", "scope": "viewer" });
    let made = server.send("POST", "/api/v1/api-keys", Some(&token), &wish);
    assert_eq!(made.status(), StatusCode::CREATED);
    let made: Value = made.json().unwrap();
    let key = made["key"].as_str().unwrap();
    assert_eq!(me(&server, key).status(), StatusCode::OK);
    let sql = json!({ "sql": "SELECT 1" });
    let above = server.send("POST", "/api/v1/sql/execute", Some(key), &sql);
    problem(above, StatusCode::FORBIDDEN, "role_too_low");
    let itself = server.send("POST", "/api/v1/api-keys", Some(key), &wish);
    problem(itself, StatusCode::FORBIDDEN, "session_required");
    let listed = server.send("GET", "/api/v1/api-keys?limit=1", Some(key), &Value::Null);
    let listed = listed.text().unwrap();
    assert!(listed.contains("report") && !listed.contains(key));

    let path = format!("/api/v1/users/{id}");
    let out = json!({ "is_active": false });
    let changed = server.send("PATCH", &path, Some(&admin), &out);
    assert_eq!(changed.json::<Value>().unwrap()["is_active"], false);
    for shown in [token.as_str(), key] {
        problem(
            me(&server, shown),
            StatusCode::UNAUTHORIZED,
            "session_expired",
        );
    }
    let last = server.send("PATCH", "/api/v1/users/1", Some(&admin), &out);
    problem(last, StatusCode::CONFLICT, "last_admin");

    let found = server.send(
        "GET",
        "/api/v1/users?is_active=false&search=ADA&role=analyst",
        Some(&admin),
        &Value::Null,
    );
    let found: Value = found.json().unwrap();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    assert_eq!(found["next_cursor"], Value::Null);
    assert!(!found.to_string().contains("$2b$"));
    for query in [
        "limit=0",
        "limit=501",
        "cursor=x",
        "role=king",
        "search=%00",
    ] {
        let path = format!("/api/v1/users?{query}");
        let refused = server.send("GET", &path, Some(&admin), &Value::Null);
        problem(refused, StatusCode::BAD_REQUEST, "invalid_request");
    }
}

#[test]
fn people_are_invited_forget_their_password_and_log_out_everywhere() {
    let (fixture, server) = start(&[("REGISTRATION", "invite")]);
    let admin = server.token(ADMIN, PASSWORD);
    let invitation = json!({ "email": "ada@example.org", "role": "viewer" });
    let invited = server.send("POST", "/api/v1/invitations", Some(&admin), &invitation);
    assert_eq!(invited.status(), StatusCode::CREATED);
    let token = token_of_letter(&fixture, "ada@example.org");
    let post = |path: &str, body: &Value| server.send("POST", path, None, body);
    let guessable =
        json!({ "token": token, "full_name": "Ada Lovelace", "password": "Lovelace1815!" });
    let refused = post("/api/v1/auth/invitations/accept", &guessable);
    problem(refused, StatusCode::BAD_REQUEST, "invalid_password");
    let body = json!({ "token": token, "full_name": "Ada Lovelace", "password": PASSWORD });
    let joined = post("/api/v1/auth/invitations/accept", &body);
    assert_eq!(joined.status(), StatusCode::CREATED);
    let own_way = json!({ "email": "bob@example.org", "full_name": "Bob", "password": PASSWORD });
    let refused = post("/api/v1/auth/register", &own_way);
    problem(refused, StatusCode::FORBIDDEN, "registration_closed");
    std::fs::remove_dir_all(fixture.data_dir().join("outbox")).unwrap();

    let session: Value = server.log_in("ada@example.org", PASSWORD).json().unwrap();
    let before = session["access_token"].as_str().unwrap();
    for email in ["ada@example.org", "nobody@example.org"] {
        let forgotten = post("/api/v1/auth/forgot", &json!({ "email": email }));
        assert_eq!(forgotten.status(), StatusCode::ACCEPTED);
        assert_eq!(forgotten.text().unwrap(), "");
    }
    let token = token_of_letter(&fixture, "ada@example.org");
    let reset = json!({ "token": token, "new_password": ELSE });
    assert_eq!(
        post("/api/v1/auth/reset", &reset).status(),
        StatusCode::NO_CONTENT
    );
    problem(
        post("/api/v1/auth/reset", &reset),
        StatusCode::BAD_REQUEST,
        "invalid_token",
    );
    problem(
        me(&server, before),
        StatusCode::UNAUTHORIZED,
        "session_expired",
    );
    let shown = json!({ "refresh_token": session["refresh_token"] });
    let refused = post("/api/v1/auth/refresh", &shown);
    problem(refused, StatusCode::UNAUTHORIZED, "session_expired");

    let sessions = [(); 2].map(|()| server.token("ada@example.org", ELSE));
    let ended = server.send(
        "POST",
        "/api/v1/auth/logout-all",
        Some(&sessions[0]),
        &Value::Null,
    );
    assert_eq!(ended.json::<Value>().unwrap()["sessions"], 2);
    for token in &sessions {
        problem(
            me(&server, token),
            StatusCode::UNAUTHORIZED,
            "session_expired",
        );
    }
}

#[test]
fn a_key_that_signs_is_replaced_without_logging_anyone_out() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let (old, new) = ("o".repeat(32), "n".repeat(32));
    let server = Server::start_with(&fixture, &model, &[("JWT_SECRET", &old)]);
    let token = server.token(ADMIN, PASSWORD);
    drop(server);
    let vars = [("JWT_SECRET", new.as_str()), ("JWT_SECRET_PREVIOUS", &old)];
    let server = Server::start_with(&fixture, &model, &vars);
    assert_eq!(me(&server, &token).status(), StatusCode::OK);
    drop(server);
    let server = Server::start_with(&fixture, &model, &vars[..1]);
    problem(
        me(&server, &token),
        StatusCode::UNAUTHORIZED,
        "session_expired",
    );
}

#[test]
fn whoever_tries_too_often_is_told_when_to_come_back() {
    let (_fixture, server) = start(&[("LOGIN_TRIES_PER_ACCOUNT", "2")]);
    for _ in 0..2 {
        let wrong = server.log_in("nobody@example.org", PASSWORD);
        problem(wrong, StatusCode::UNAUTHORIZED, "invalid_credentials");
    }
    let throttled = server.log_in("nobody@example.org", PASSWORD);
    let wait = throttled.headers()["retry-after"].to_str().unwrap();
    assert!((1..=450).contains(&wait.parse::<u32>().unwrap()), "{wait}");
    problem(throttled, StatusCode::TOO_MANY_REQUESTS, "rate_limited");
    assert_eq!(server.log_in(ADMIN, PASSWORD).status(), StatusCode::OK);
}
