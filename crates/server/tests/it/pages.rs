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
