//! Bodies, parameters and preconditions, each refused as a problem.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use futures_util::StreamExt;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use serde::de::DeserializeOwned;

use crate::http::problem::{Code, Problem, Result};

/// How much of a body that is too large is read before the connection is closed on it.
const DRAIN_BYTES_MAX: usize = 16 * super::BODY_BYTES_MAX;

/// A body that has not come by then is not waited for.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        if !says_json(request.headers()) {
            return Err(Problem::new(Code::MediaType, "send JSON, with `Content-Type: application/json`"));
        }
        parsed(&whole(request).await?).map(Self)
    }
}

/// A JSON body that may be absent.
pub(crate) struct MaybeBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for MaybeBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let bytes = whole(request).await?;
        if bytes.trim_ascii().is_empty() {
            return Ok(Self(T::default()));
        }
        parsed(&bytes).map(Self)
    }
}

/// JSON that does not parse is a bad request; JSON that does not fit is invalid and the field is named.
fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        let code = if error.is_data() { Code::Invalid } else { Code::BadRequest };
        Problem::new(code, format!("the body: {error}"))
    })
}

fn says_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// A body as it came.
pub(crate) struct Raw(pub(crate) Vec<u8>);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        whole(request).await.map(Self)
    }
}

/// A text body, whatever its declared type: YAML has several.
pub(crate) struct Text(pub(crate) String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        String::from_utf8(whole(request).await?)
            .map(Self)
            .map_err(|_| Problem::new(Code::BadRequest, "the body is not UTF-8"))
    }
}

/// The body, if it is within the limit. A larger one is read to its end, within reason, before it is refused: a
/// connection that is closed on a client that still writes shows it a broken pipe instead of the answer.
async fn whole(request: Request) -> Result<Vec<u8>> {
    within(BODY_WITHIN, request).await
}

async fn within(limit: Duration, request: Request) -> Result<Vec<u8>> {
    tokio::time::timeout(limit, read(request)).await.unwrap_or_else(|_| {
        Err(Problem::new(Code::SlowBody, format!("the body did not come within {} s", limit.as_secs())))
    })
}

async fn read(request: Request) -> Result<Vec<u8>> {
    let mut stream = request.into_body().into_data_stream();
    let (mut body, mut seen) = (Vec::new(), 0);
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| Problem::new(Code::BadRequest, format!("reading the body: {error}")))?;
        seen += part.len();
        if seen > DRAIN_BYTES_MAX {
            break;
        }
        if seen <= super::BODY_BYTES_MAX {
            body.extend_from_slice(&part);
        }
    }
    if seen <= super::BODY_BYTES_MAX { Ok(body) } else { Err(too_large()) }
}

fn too_large() -> Problem {
    Problem::new(Code::TooLarge, format!("the body is larger than {} bytes", super::BODY_BYTES_MAX))
}

/// Names and ids between the slashes.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(segments)) => Ok(Self(segments)),
            Err(rejection) => Err(Problem::new(Code::BadRequest, rejection.body_text())),
        }
    }
}

/// Parameters behind the question mark.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        Query::<T>::from_request_parts(parts, state)
            .await
            .map(|Query(params)| Self(params))
            .map_err(|rejection: QueryRejection| Problem::new(Code::BadRequest, rejection.body_text()))
    }
}

/// The version that an edit is based on; `None` for `*`.
pub(crate) struct IfMatch(pub(crate) Option<i64>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let value = parts.headers.get(header::IF_MATCH).ok_or_else(|| {
            Problem::new(
                Code::VersionRequired,
                "send `If-Match` with the `ETag` of what you read, or `*` to change whatever stands",
            )
        })?;
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        text.trim_start_matches("W/").trim_matches('"').parse().map(|version| Self(Some(version))).map_err(|_| {
            Problem::new(
                Code::BadRequest,
                "`If-Match` is not an `ETag` that this server gave; expected a form like \"3\"",
            )
        })
    }
}

/// As [`IfMatch`], where an absent one means that any version will do.
pub(crate) struct SomeIfMatch(pub(crate) Option<i64>);

impl<S: Send + Sync> FromRequestParts<S> for SomeIfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        if !parts.headers.contains_key(header::IF_MATCH) {
            return Ok(Self(None));
        }
        IfMatch::from_request_parts(parts, state).await.map(|IfMatch(expected)| Self(expected))
    }
}

/// The `ETag` of a version.
pub(crate) fn etag(version: i64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&format!("\"{version}\"")) {
        headers.insert(header::ETAG, value);
    }
    headers
}

/// Adds where the answered thing lies.
pub(crate) fn located(mut headers: HeaderMap, place: &str) -> HeaderMap {
    if let Ok(place) = HeaderValue::from_str(place) {
        headers.insert(header::LOCATION, place);
    }
    headers
}

#[cfg(test)]
mod tests;
