//! Who may use the page: pure, so that every way in can be tried in a table.
//!
//! Any program and any web site that this machine's browser shows can send requests to a port of the loopback address.
//! A foreign `Host` is a name that somebody has made point here; a foreign `Origin` is a site that asks by the browser
//! of a person who is logged in.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sallyport_protocol::Timestamp;
use sallyport_site::random;

use super::request::Request;

/// How long the address with the token works.
const TOKEN_FOR: Duration = Duration::from_secs(10 * 60);

/// The secrets of one page.
pub(super) struct Guard {
    port: u16,
    /// Until it is used.
    token: Mutex<Option<String>>,
    until: Timestamp,
    session: String,
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is answered.
    Welcome,
    /// The token was good, this once: the browser gets the cookie.
    Exchange { cookie: String },
    /// It is not.
    Refused { status: u16, why: &'static str },
}

impl Guard {
    pub(super) fn new(port: u16, now: Timestamp) -> std::io::Result<Self> {
        let token = Mutex::new(Some(random::secret()?));
        Ok(Self { port, token, until: now.plus(TOKEN_FOR), session: random::secret()? })
    }

    /// Where the page is, with the token while that is unused.
    pub(super) fn address(&self) -> String {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default();
        format!("http://127.0.0.1:{}/?token={token}", self.port)
    }

    pub(super) fn judge(&self, request: &Request, now: Timestamp) -> Judgement {
        let refused = |status, why| Judgement::Refused { status, why };
        let own = format!("127.0.0.1:{}", self.port);
        if request.header("host") != Some(own.as_str()) {
            return refused(421, "this page answers only to its own address");
        }
        let reads = request.method == "GET";
        let origin = request.header("origin");
        if request.has("origin") && origin != Some(format!("http://{own}").as_str()) {
            return refused(403, "another site asks");
        }
        // What changes something comes from the page's own script, which browsers say.
        if !reads && (request.method != "POST" || !request.has("origin")) {
            return refused(403, "only the page itself may ask for this");
        }
        if let Some(token) = request.value("token").filter(|_| reads && request.path == "/") {
            return self.exchange(token, now);
        }
        let site = request.header("sec-fetch-site");
        if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
            return refused(403, "another site asks");
        }
        match request.cookie(&self.cookie_name()) {
            Some(shown) if same(shown, &self.session) => Judgement::Welcome,
            _ => refused(401, "run `sallyport-wrapper open` for an address that works"),
        }
    }

    fn exchange(&self, shown: &str, now: Timestamp) -> Judgement {
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if now < self.until && token.as_ref().is_some_and(|token| same(token, shown)) {
            *token = None;
            let cookie = format!("{}={}; HttpOnly; SameSite=Strict; Path=/", self.cookie_name(), self.session);
            return Judgement::Exchange { cookie };
        }
        Judgement::Refused { status: 401, why: "this address has been used; run `sallyport-wrapper open` for another" }
    }

    /// Cookies know no ports: two pages of one machine need two names.
    fn cookie_name(&self) -> String {
        format!("sallyport_{}", self.port)
    }
}

/// Compares in a time that says nothing about where they differ.
fn same(one: &str, other: &str) -> bool {
    let differ = one.bytes().zip(other.bytes()).fold(0, |differ, (one, other)| differ | (one ^ other));
    one.len() == other.len() && differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(guard: &Guard, text: &str) -> u16 {
        let text = text.replace('\n', "\r\n") + "\r\n\r\n";
        match guard.judge(&Request::of(&text), Timestamp(0)) {
            Judgement::Welcome => 200,
            Judgement::Exchange { .. } => 303,
            Judgement::Refused { status, .. } => status,
        }
    }

    #[test]
    fn the_address_works_once_and_not_for_ever() {
        let guard = Guard::new(80, Timestamp(0)).unwrap();
        let (_, path) = guard.address().split_once(":80").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let asked = format!("GET {path} HTTP/1.1\nHost: 127.0.0.1:80");
        assert_eq!(status(&guard, "GET /?token=x HTTP/1.1\nHost: 127.0.0.1:80"), 401);
        let late = Guard { until: Timestamp(0), ..Guard::new(80, Timestamp(0)).unwrap() };
        let (_, late_path) = late.address().split_once(":80").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert_eq!(status(&late, &format!("GET {late_path} HTTP/1.1\nHost: 127.0.0.1:80")), 401);
        let Judgement::Exchange { cookie } =
            guard.judge(&Request::of(&(asked.replace('\n', "\r\n") + "\r\n\r\n")), Timestamp(0))
        else {
            panic!("the token was not taken");
        };
        assert!(cookie.contains("HttpOnly; SameSite=Strict"));
        assert_eq!(status(&guard, &asked), 401);
        let pair = cookie.split(';').next().unwrap();
        assert_eq!(status(&guard, &format!("GET / HTTP/1.1\nHost: 127.0.0.1:80\nCookie: {pair}")), 200);
    }

    #[test]
    fn foreign_hosts_sites_and_methods_are_refused_even_with_the_cookie() {
        let guard = Guard::new(80, Timestamp(0)).unwrap();
        let cookie = format!("Cookie: a=b; {}={}", guard.cookie_name(), guard.session);
        let check = |expected, head: &str| {
            assert_eq!(status(&guard, &format!("{head}\n{cookie}")), expected, "{head}");
        };
        check(200, "GET /api/status HTTP/1.1\nHost: 127.0.0.1:80");
        check(200, "GET / HTTP/1.1\nHost: 127.0.0.1:80\nSec-Fetch-Site: none");
        check(200, "POST /api/restart HTTP/1.1\nHost: 127.0.0.1:80\nOrigin: http://127.0.0.1:80");
        check(421, "GET / HTTP/1.1\nHost: evil.example");
        check(421, "GET / HTTP/1.1\nHost: 127.0.0.1");
        check(421, "GET / HTTP/1.1\nX: y");
        check(403, "POST /api/restart HTTP/1.1\nHost: 127.0.0.1:80\nOrigin: https://evil.example");
        check(403, "POST /api/restart HTTP/1.1\nHost: 127.0.0.1:80\nOrigin: null");
        check(403, "POST /api/restart HTTP/1.1\nHost: 127.0.0.1:80");
        check(403, "GET /api/status HTTP/1.1\nHost: 127.0.0.1:80\nSec-Fetch-Site: cross-site");
        check(403, "PUT / HTTP/1.1\nHost: 127.0.0.1:80\nOrigin: http://127.0.0.1:80");
        assert_eq!(status(&guard, "GET /api/status HTTP/1.1\nHost: 127.0.0.1:80"), 401);
        assert_eq!(status(&guard, "GET / HTTP/1.1\nHost: 127.0.0.1:80\nCookie: sallyport_80=x"), 401);
    }
}
