//! What every request must be, and what every answer says to the browser.
//!
//! A page of another site can make a browser send requests here. It must not see an answer, and it must not
//! keep the machine busy. Nor may a name that an attacker owns lead here (DNS rebinding), because the browser
//! would take both for one site.

use super::problem::Problem;
use super::{Board, PATIENCE};
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;

/// Names under which the page may be opened.
pub(super) struct Hosts(Vec<String>);

impl Hosts {
    pub(super) fn new(more: &[String]) -> Self {
        let more = more.iter().map(|name| name.to_ascii_lowercase());
        Self(std::iter::once("localhost".to_owned()).chain(more).collect())
    }

    /// Whether a `Host` header names this machine. An address of numbers is no name that an attacker could
    /// own.
    fn allow(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
            None => host.rsplit_once(':').map_or(host, |(name, _)| name),
        };
        name.parse::<IpAddr>().is_ok() || self.0.contains(&name.to_ascii_lowercase())
    }
}

/// Scripts, styles, pictures and requests come from here alone, and no other page may show this one.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

/// Refuses requests that other sites cause, and adds the headers of every answer.
pub(super) async fn check(State(board): State<Arc<Board>>, request: Request, next: Next) -> Response {
    let mut response = match problem(&board.hosts, request.headers(), request.uri().path()) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let policy = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(policy, HeaderValue::from_static("same-origin"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn problem(hosts: &Hosts, headers: &HeaderMap, path: &str) -> Option<Problem> {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text(&HOST).unwrap_or_default();
    if headers.get_all(HOST).iter().count() != 1 || !hosts.allow(host) {
        return Some(Problem::foreign("this name is not one of this page: --allow-host NAME allows it"));
    }
    if text(&ORIGIN).is_some_and(|origin| origin.strip_prefix("http://") != Some(host)) {
        return Some(Problem::foreign("this request comes from another site"));
    }
    // A link on another page may lead to a page here.
    let is_page = ["/", "/report", "/explore"].contains(&path);
    let [site, mode] = ["sec-fetch-site", "sec-fetch-mode"].map(HeaderName::from_static);
    let is_visit = is_page && text(&mode) == Some("navigate");
    let is_own = matches!(text(&site), None | Some("same-origin" | "none"));
    (!is_own && !is_visit).then(|| Problem::foreign("this request comes from another site"))
}

/// Ends a request that takes too long.
pub(super) async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::slow().into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(headers: &[(&'static str, &'static str)], path: &str) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        // Repeated headers stay.
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value)| {
            map.append(name, value);
        });
        problem(&Hosts::new(&["Lab.example".to_owned()]), &map, path).is_none()
    }

    #[test]
    fn only_names_of_this_machine_are_hosts() {
        for host in
            ["localhost", "localhost:6060", "127.0.0.1:6060", "[::1]:6060", "10.1.2.3", "lab.EXAMPLE:80"]
        {
            assert!(allowed(&[("host", host)], "/"), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example:6060", "127.0.0.1.evil.example", "?"] {
            assert!(!allowed(&[("host", host)], "/"), "{host}");
        }
        assert!(!allowed(&[], "/") && !allowed(&[("host", "localhost"), ("host", "localhost")], "/"));
    }

    #[test]
    fn other_sites_cause_no_request_but_a_visit() {
        let here = ("host", "localhost:6060");
        assert!(allowed(&[here, ("origin", "http://localhost:6060")], "/api/draw"));
        for origin in ["http://localhost:8000", "https://localhost:6060", "null", "http://evil.example"] {
            assert!(!allowed(&[here, ("origin", origin)], "/api/draw"), "{origin}");
        }
        for (site, mode, path, expected) in [
            ("same-origin", "cors", "/api/draw", true),
            ("none", "navigate", "/latents.npy", true),
            ("cross-site", "navigate", "/explore", true),
            ("cross-site", "no-cors", "/explore", false),
            ("cross-site", "navigate", "/draw.png", false),
            ("same-site", "cors", "/api/draw", false),
        ] {
            let headers = [here, ("sec-fetch-site", site), ("sec-fetch-mode", mode)];
            assert_eq!(allowed(&headers, path), expected, "{site} {mode} {path}");
        }
    }
}
