//! Logging in: the header that carries the credentials, and the words of a refusal.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sallyport_protocol::{Refusal, RefusalCode, Secret};
use serde::Deserialize;

/// The value of an `Authorization` (or `Proxy-Authorization`) header.
pub fn basic(username: &str, password: &Secret) -> Secret {
    Secret::new(format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose()))))
}

/// Understands the answer to a refused login (any status but 101); a body that is not ours still gives a refusal
/// that names the status, because a proxy or load balancer may stand between. The API's problems are read too.
pub fn refusal(status: u16, body: &[u8]) -> Refusal {
    #[derive(Deserialize)]
    struct Body {
        refusal: Refusal,
    }
    if let Ok(Body { refusal }) = serde_json::from_slice(body) {
        return refusal;
    }
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
    }
    if let Ok(Problem { detail }) = serde_json::from_slice(body) {
        let code = if status >= 500 { RefusalCode::Unavailable } else { RefusalCode::Other };
        return Refusal { code, message: detail, retry_after_seconds: None };
    }
    let (code, hint) = match status {
        401 | 403 => {
            (RefusalCode::Other, "check Username and Password in appsettings.json, or download the agent again")
        }
        404 => (RefusalCode::Other, "check ServerAddress in appsettings.json"),
        407 => (RefusalCode::Other, "check ProxyUsername and ProxyPassword in appsettings.json"),
        429 | 502..=504 => (RefusalCode::Unavailable, "the server or a load balancer before it is busy or stopped"),
        _ => (RefusalCode::Other, "something other than the server may be answering at this address"),
    };
    Refusal { code, message: format!("the server answered HTTP {status}: {hint}"), retry_after_seconds: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_base64_of_name_and_password() {
        assert_eq!(basic("Aladdin", &Secret::new("open sesame")).expose(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn refusals_are_read_from_the_body_or_made_from_the_status() {
        let body = br#"{"status":403,"refusal":{"code":"deactivated","message":"Agent x is deactivated."}}"#;
        assert_eq!(refusal(403, body).code, RefusalCode::Deactivated);
        assert_eq!(refusal(503, b"<html>").code, RefusalCode::Unavailable);
        assert!(refusal(404, b"").message.contains("404"));
    }
}
