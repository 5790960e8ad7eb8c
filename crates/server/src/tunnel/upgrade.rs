//! From an HTTP request to a tunnel line. By hand: a WebSocket library would look into every byte.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderName, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Parts};
use hyper_util::rt::TokioIo;
use sallyport_dataplane::Ahead;
use sallyport_dataplane::tunnel::{Line, TLS_BYTES};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The answer to the request, and the line once that has been sent; `None` where the request asks for no WebSocket.
pub(crate) fn upgrade(
    parts: &mut http::request::Parts,
) -> Option<(Response, impl Future<Output = Option<Line>> + Send + use<>)> {
    let headers = &parts.headers;
    let asked = is(headers, &header::UPGRADE, "websocket") && is(headers, &header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| asked)?;
    let accept = derive_accept_key(key.as_bytes());
    let upgrading = parts.extensions.remove::<OnUpgrade>()?;
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .body(Body::empty())
        .ok()?;
    let line = async move {
        let upgraded = upgrading.await.ok()?;
        Some(match upgraded.downcast::<TokioIo<TlsStream<Ahead<TcpStream>>>>() {
            Ok(Parts { io, read_buf, .. }) => {
                let mut stream = io.into_inner();
                stream.get_mut().1.set_buffer_limit(Some(TLS_BYTES));
                Line::new(stream, &read_buf, false)
            }
            // A proxy does TLS.
            Err(upgraded) => Line::new(TokioIo::new(upgraded), b"", false),
        })
    };
    Some((response, line))
}

/// Whether a header has this value, in whatever case.
pub(crate) fn is(headers: &HeaderMap, name: &HeaderName, value: &str) -> bool {
    headers.get(name).is_some_and(|given| given.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
}
