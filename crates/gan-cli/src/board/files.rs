//! Files inside the program: styles and scripts.

use super::problem::Problem;
use axum::extract::Path;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

pub(super) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub(super) const PNG: HeaderValue = HeaderValue::from_static("image/png");
pub(super) const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
const SVG: HeaderValue = HeaderValue::from_static("image/svg+xml");
const CSS: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
const JS: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");

pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, Problem> {
    let (kind, text) = match &name[..] {
        "report.css" => (CSS, include_str!("../../templates/report.css")),
        "board.css" => (CSS, include_str!("../../assets/board.css")),
        "report.js" => (JS, include_str!("../../templates/report.js")),
        "live.js" => (JS, include_str!("../../assets/live.js")),
        "explore.js" => (JS, include_str!("../../assets/explore.js")),
        "panels.js" => (JS, include_str!("../../assets/panels.js")),
        "icon.svg" => (SVG, include_str!("../../assets/icon.svg")),
        _ => return Err(Problem::missing("there is no such file")),
    };
    Ok(([(CONTENT_TYPE, kind)], text).into_response())
}

pub(super) async fn missing() -> Problem {
    Problem::missing("there is no such page")
}
