//! The parameters of a request, read so that mistakes become problem documents.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::params::Params;
use super::problem::Problem;

/// The parameters in the address of a request.
pub struct Query(pub Params);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        serde_html_form::from_str(query).map(Self).map_err(|error| {
            Problem::bad(format!("the parameters of the address are wrong: {error}"))
        })
    }
}
