//! Bodies, parameters and preconditions, each refused as a problem.

use axum::Json;
use axum::extract::rejection::{BytesRejection, JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use futures_util::StreamExt;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::http::problem::{Code, Problem, Result};

/// How much of a body that is too large is read before the connection is closed on it.
const DRAIN_BYTES_MAX: usize = 16 * super::BODY_BYTES_MAX;

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        Json::<T>::from_request(request, state).await.map(|Json(body)| Self(body)).map_err(
            |rejection| match rejection {
                JsonRejection::MissingJsonContentType(_) => {
                    Problem::new(Code::MediaType, "send JSON, with `Content-Type: application/json`")
                }
                JsonRejection::JsonDataError(error) => Problem::new(Code::Invalid, error.body_text()),
                JsonRejection::BytesRejection(error) => unreadable(&error),
                other => Problem::new(Code::BadRequest, other.body_text()),
            },
        )
    }
}

/// A JSON body that may be absent.
pub(crate) struct MaybeBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for MaybeBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let Text(text) = Text::from_request(request, state).await?;
        if text.trim().is_empty() {
            return Ok(Self(T::default()));
        }
        serde_json::from_str(&text).map(Self).map_err(|error| Problem::new(Code::Invalid, format!("the body: {error}")))
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

fn unreadable(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large();
    }
    Problem::new(Code::BadRequest, rejection.body_text())
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
