//! The web console: files built from `console/`, inside the program, so that nothing is fetched from elsewhere.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, header};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::http::problem::{Code, Problem};

#[derive(RustEmbed)]
#[folder = "../../console/dist"]
struct Files;

const INDEX: &str = "index.html";

/// Files under it have a hash of their content in their name.
const HASHED: &str = "assets/";

/// Scripts, pictures and requests are the server's own. Styles may stand in the page: the components set them.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// What no route answers: a file of the console, or its page for an address inside it. Programs, and addresses that
/// are the API's, get a problem.
pub(crate) async fn serve(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    let asks = matches!(*request.method(), Method::GET | Method::HEAD);
    match Files::get(path).filter(|_| asks) {
        Some(file) => answer(path, file),
        None if asks && is_page(path, request.headers()) => index(),
        None => nothing_here(),
    }
}

fn index() -> Response {
    Files::get(INDEX).map_or_else(nothing_here, |file| answer(INDEX, file))
}

/// Whether a browser wants to show what is at this address.
fn is_page(path: &str, headers: &HeaderMap) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    !matches!(first, "api" | "assets" | "hooks" | "via" | "view") && (path.is_empty() || accepts.contains("text/html"))
}

fn answer(path: &str, file: EmbeddedFile) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, content_type(path));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    if path.starts_with(HASHED) {
        headers.insert(header::CACHE_CONTROL, FOR_EVER);
    }
    (headers, file.data).into_response()
}

/// The types that the build makes.
fn content_type(path: &str) -> HeaderValue {
    HeaderValue::from_static(match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    })
}

fn nothing_here() -> Response {
    Problem::new(Code::NoSuchRoute, "there is nothing at this address; see /api/docs").into_response()
}

#[cfg(test)]
mod tests;
