//! Errors as problem documents (RFC 9457): what went wrong, and what to do about it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use imgsearch::decode::DecodeError;
use imgsearch::{Error, index};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of a problem document.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What went wrong with a request.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What went wrong, as a sentence for people.
    detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// The result of a request.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("error"),
            status: status.as_u16(),
            detail: detail.into(),
            hint: None,
        }
    }

    /// A request that cannot be understood.
    pub fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the problem that an error of the library is.
    pub fn of(error: &Error, hint: Option<String>) -> Self {
        let mut problem = Self::new(status_of(error), error.to_string());
        problem.hint = hint;
        problem
    }

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Returns the status for an error.
fn status_of(error: &Error) -> StatusCode {
    match error {
        Error::Image { source, .. } => of_decode(source),
        Error::UnknownWords(_)
        | Error::NothingShown
        | Error::BadWords(_)
        | Error::BadQuestion(_)
        | Error::NoLabels { .. }
        | Error::NoTextTower { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Error::NoSuchImage { .. } => StatusCode::NOT_FOUND,
        Error::FileChanged { .. } => StatusCode::GONE,
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            StatusCode::GONE
        }
        Error::Index(error) => of_index(error),
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn of_decode(error: &DecodeError) -> StatusCode {
    match error {
        DecodeError::TooManyBytes { .. }
        | DecodeError::TooManyPixels { .. }
        | DecodeError::TooMuchMemory { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        DecodeError::MemoryBusy { .. } => StatusCode::SERVICE_UNAVAILABLE,
        DecodeError::NotAnImage | DecodeError::Unsupported(_) | DecodeError::NotSupported(_) => {
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        }
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn of_index(error: &index::Error) -> StatusCode {
    match error {
        // Locked: it is being made, or made ready after a crash.
        index::Error::IndexNotFound { .. } | index::Error::Locked { .. } => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        index::Error::InvalidInput(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), axum::Json(&self)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, MEDIA_TYPE);
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}
