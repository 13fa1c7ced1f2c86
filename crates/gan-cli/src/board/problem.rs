//! Why a request has no answer.

use crate::exit;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use std::fmt::Display;

/// The status of an answer, and one sentence for people.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    message: String,
}

impl Problem {
    fn new(status: StatusCode, message: impl Display) -> Self {
        // candle appends a backtrace to its messages if RUST_BACKTRACE is set.
        let message = message.to_string();
        Self { status, message: message.lines().next().unwrap_or_default().to_owned() }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// A request that nobody can answer.
    pub(super) fn bad(message: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// A request from another site.
    pub(super) fn foreign(message: impl Display) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub(super) fn missing(message: impl Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(super) fn slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "this takes too long")
    }

    /// Too much is being computed.
    pub(super) fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once: try again")
    }

    pub(super) fn internal(error: &dyn Display) -> Self {
        tracing::warn!("a request failed: {error}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "this failed; the program's log says why")
    }
}

/// What the files or the numbers do not allow. The reader of the page is the user of the program, so the
/// reason is shown.
impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, exit::message(&error))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.message).into_response();
        response.headers_mut().insert(CONTENT_TYPE, super::files::TEXT);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, axum::http::HeaderValue::from_static("1"));
        }
        response
    }
}
