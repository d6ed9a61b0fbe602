//! The cookies of the web interface, and the defence against other sites that use them.
//!
//! Both cookies are out of reach of scripts. A request that changes something and is recognised by a cookie must come
//! from a page of ours: `SameSite` alone would let pages of a neighbour domain through.

use axum::http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method};
use engine::{Code, Error};

use super::site::Site;

/// Holds the access token.
pub const SESSION: &str = "assay_session";
/// Holds the refresh token; sent to the routes of `auth` only.
pub const REFRESH: &str = "assay_refresh";

/// Returns the value of a cookie.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
        .filter(|value| !value.is_empty())
}

/// Returns the headers that hand a session to a browser; each token with the seconds that it is good for.
pub fn set(site: &Site, access: (&str, i64), refresh: (&str, i64)) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.append(SET_COOKIE, cookie(site, SESSION, access, "/"));
    headers.append(SET_COOKIE, cookie(site, REFRESH, refresh, "/api/v1/auth"));
    headers
}

/// Returns the headers that take a session from a browser.
pub fn clear(site: &Site) -> HeaderMap {
    set(site, ("", 0), ("", 0))
}

fn cookie(site: &Site, name: &str, (value, max_age): (&str, i64), path: &str) -> HeaderValue {
    let secure = if site.is_https() { "; Secure" } else { "" };
    let path = format!("{}{path}", site.base_path());
    let text = format!(
        "{name}={value}; Path={path}; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}"
    );
    HeaderValue::from_str(&text).expect("tokens and the path of a URL are visible ASCII")
}

/// Says whether a request that a cookie recognises may do what it asks for: reading always, the rest only from a page
/// of ours.
pub fn is_from_our_page(method: &Method, headers: &HeaderMap, site: &Site) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return true;
    }
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).unwrap_or_default();
    if let Some(fetched_by) = headers.get("sec-fetch-site").map(text) {
        return fetched_by == "same-origin" || fetched_by == "none";
    }
    // A browser too old for that header sends the origin of the page with everything that is not a GET.
    let Some(origin) = headers.get(ORIGIN).map(text) else {
        return false;
    };
    let host = headers.get(HOST).map(text);
    origin.eq_ignore_ascii_case(site.origin())
        || origin
            .split_once("://")
            .is_some_and(|(_, page)| host.is_some_and(|host| page.eq_ignore_ascii_case(&host)))
}

/// Returns the error for a request that is not from a page of ours.
pub fn cross_site() -> Error {
    Error::new(
        Code::CrossSite,
        "a page of another site cannot use this cookie",
    )
    .with_hint("programs send the token as `Authorization: Bearer TOKEN`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    axum::http::HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn cookies_are_out_of_reach_of_scripts_and_other_sites() {
        let written = |url: &str| -> Vec<String> {
            let headers = set(&Site::new(url, vec![]), ("abc", 900), ("f.r", 1_209_600));
            let values = headers.get_all(SET_COOKIE).iter();
            values
                .map(|value| value.to_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(
            written("https://assay.example.org"),
            [
                "assay_session=abc; Path=/; Max-Age=900; HttpOnly; SameSite=Strict; Secure",
                "assay_refresh=f.r; Path=/api/v1/auth; Max-Age=1209600; HttpOnly; SameSite=Strict; Secure",
            ]
        );
        assert_eq!(
            written("http://localhost:8000/bi")[1],
            "assay_refresh=f.r; Path=/bi/api/v1/auth; Max-Age=1209600; HttpOnly; SameSite=Strict"
        );
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let headers = headers(&[("cookie", "a=1; assay_session=x=y;b=2")]);
        assert_eq!(read(&headers, SESSION), Some("x=y"));
        assert_eq!(read(&headers, REFRESH), None);
        assert_eq!(read(&headers, "session"), None);
    }

    #[test]
    fn only_pages_of_ours_change_something_with_a_cookie() {
        let site = Site::new("https://assay.example.org", vec![]);
        type Case = (Method, &'static [(&'static str, &'static str)], bool);
        let cases: &[Case] = &[
            (Method::GET, &[("sec-fetch-site", "cross-site")], true),
            (Method::POST, &[("sec-fetch-site", "same-origin")], true),
            (Method::POST, &[("sec-fetch-site", "none")], true),
            (Method::POST, &[("sec-fetch-site", "same-site")], false),
            (Method::DELETE, &[("sec-fetch-site", "cross-site")], false),
            (
                Method::POST,
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "https://assay.example.org"),
                ],
                false,
            ),
            (
                Method::POST,
                &[("origin", "https://assay.example.org")],
                true,
            ),
            (
                Method::POST,
                &[("origin", "https://evil.example.org")],
                false,
            ),
            (
                Method::PATCH,
                &[
                    ("origin", "http://127.0.0.1:8000"),
                    ("host", "127.0.0.1:8000"),
                ],
                true,
            ),
            (Method::POST, &[("origin", "null"), ("host", "null")], false),
            (Method::POST, &[], false),
        ];
        for (method, pairs, expected) in cases {
            let found = is_from_our_page(method, &headers(pairs), &site);
            assert_eq!(found, *expected, "{method} {pairs:?}");
        }
    }
}
