//! Paths for people: pages of the web UI, and problems where there is nothing.

use reqwest::blocking::{Client, Response};

use crate::fixture::{Fixture, ScriptedModel, Server};

#[test]
fn every_path_is_a_page_a_file_or_a_problem() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let server = Server::start(&fixture, &model);
    let get = |path: &str| -> Response {
        Client::new()
            .get(format!("{}{path}", server.url))
            .send()
            .unwrap()
    };
    for page in ["/", "/history", "/admin/users", "/index.html"] {
        let page = get(page);
        assert_eq!(page.status(), 200);
        assert!(
            page.headers()["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/html")
        );
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(page.text().unwrap().contains("<title>Assay"));
    }
    for nothing in [
        "/api",
        "/api/v1/nothing",
        "/health/nothing",
        "/assets/nothing.js",
        "/../Cargo.toml",
    ] {
        let problem = get(nothing);
        assert_eq!(problem.status(), 404, "{nothing}");
        assert_eq!(
            problem.headers()["content-type"],
            "application/problem+json",
            "{nothing}"
        );
    }
    let posted = Client::new()
        .post(format!("{}/history", server.url))
        .send()
        .unwrap();
    assert_eq!(posted.status(), 404);
}

/// What a browser asks for a page of another site before it sends anything.
fn preflight(server: &Server, origin: &str) -> Response {
    Client::new()
        .request(
            reqwest::Method::OPTIONS,
            format!("{}/api/v1/questions", server.url),
        )
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        )
        .send()
        .unwrap()
}

#[test]
fn only_named_sites_may_ask_and_none_with_a_cookie() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let site = "https://intranet.example.org";
    let server = Server::start_with(&fixture, &model, &[("EMBED_ORIGINS", site)]);
    let allowed = preflight(&server, site);
    assert_eq!(allowed.status(), 200);
    assert_eq!(allowed.headers()["access-control-allow-origin"], site);
    assert!(
        !allowed
            .headers()
            .contains_key("access-control-allow-credentials")
    );
    for other in [
        "https://elsewhere.example.org",
        "http://intranet.example.org",
        "null",
    ] {
        let refused = preflight(&server, other);
        assert!(
            !refused
                .headers()
                .contains_key("access-control-allow-origin"),
            "{other}"
        );
    }
    let script = Client::new()
        .get(format!("{}/embed/example.html", server.url))
        .header("origin", site)
        .send()
        .unwrap();
    assert_eq!(script.status(), 200);
    assert_eq!(script.headers()["access-control-allow-origin"], site);

    let closed = Server::start(&Fixture::new(), &model);
    assert!(
        !preflight(&closed, site)
            .headers()
            .contains_key("access-control-allow-origin")
    );
}
