//! What the page answers.

use std::fmt::Write as _;

use sallyport_protocol::{Clock, LogLevel};
use sallyport_site::log::{self, Program};
use sallyport_site::{Layout, lock};
use serde_json::{Value, json};

use super::request::Request;
use crate::service::{self, Asked, Word};
use crate::{bundle, command, doctor, status};

const HTML: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");

/// Nothing from elsewhere, and nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// The most lines of a log that are shown.
const LINES_MAX: usize = 2000;

/// An answer.
pub(super) struct Answer {
    status: u16,
    kind: &'static str,
    more: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    fn new(kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, kind, more: String::new(), body: body.into() }
    }

    fn json(value: &Value) -> Self {
        Self::new("application/json", value.to_string())
    }

    pub(super) fn plain(status: u16, text: &str) -> Self {
        Self { status, ..Self::new("text/plain; charset=utf-8", format!("{text}\n")) }
    }

    /// Gives the cookie, and takes the token out of the address.
    pub(super) fn exchange(cookie: &str) -> Self {
        Self { status: 303, more: format!("Location: /\r\nSet-Cookie: {cookie}\r\n"), ..Self::new("text/plain", "") }
    }

    /// Status line and headers.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} .\r\n", self.status);
        // Writing to a text cannot fail.
        let _ = write!(
            head,
            "Content-Type: {}\r\nContent-Length: {}\r\nContent-Security-Policy: {POLICY}\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n\
             Cross-Origin-Resource-Policy: same-origin\r\nConnection: close\r\n{}\r\n",
            self.kind,
            self.body.len(),
            self.more
        );
        head.into_bytes()
    }
}

/// Answers a request that may be answered.
pub(super) fn to(request: &Request, layout: &Layout, clock: &Clock) -> Answer {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/") => Answer::new("text/html; charset=utf-8", HTML),
        ("GET", "/page.js") => Answer::new("text/javascript; charset=utf-8", SCRIPT),
        ("GET", "/page.css") => Answer::new("text/css; charset=utf-8", STYLE),
        ("GET", "/api/status") => Answer::json(&overview(layout)),
        ("GET", "/api/log") => Answer::json(&lines(request, layout)),
        ("POST", "/api/doctor") => match serde_json::to_value(doctor::examine(layout, clock)) {
            Ok(examination) => Answer::json(&examination),
            Err(error) => Answer::plain(500, &error.to_string()),
        },
        ("POST", "/api/bundle") => match bundle::make(layout, clock) {
            Ok(zip) => Answer::new("application/zip", zip),
            Err(error) => Answer::plain(500, &format!("the bundle could not be made: {error}")),
        },
        ("POST", "/api/restart") => match command::ask_restart(layout) {
            Ok(()) => Answer::json(&json!({"asked": true})),
            Err(reason) => Answer::plain(409, &reason),
        },
        ("GET", "/api/service") => Answer::json(&service(layout)),
        ("POST", "/api/service/install") => change(layout, Word::Install),
        ("POST", "/api/service/uninstall") => change(layout, Word::Uninstall),
        _ => Answer::plain(404, "there is no such page"),
    }
}

fn overview(layout: &Layout) -> Value {
    let running = lock::holder(&layout.wrapper_lock()).is_some();
    json!({
        "home": layout.home().display().to_string(),
        "version": env!("CARGO_PKG_VERSION"),
        "running": running,
        "status": status::read(&layout.status()).filter(|_| running),
    })
}

/// Whether the folder is a service, whether this process may change that, and the command for who may.
fn service(layout: &Layout) -> Value {
    let service::Prospect { name, word, hindrance } = service::prospect(layout);
    let word = if word == Word::Uninstall { "uninstall" } else { "install" };
    let program = layout.wrapper_program();
    json!({
        "name": name,
        "word": word,
        "hindrance": hindrance,
        "command": format!("\"{}\" service {word}", program.display()),
    })
}

fn change(layout: &Layout, word: Word) -> Answer {
    match service::perform(layout, &Asked { word, name: None, user: None }) {
        Ok(()) => Answer::json(&service(layout)),
        Err(refusal) => Answer::plain(409, &refusal.message),
    }
}

/// The end of a log, the lines of at least a level. What follows a line without a head of its own belongs to it.
fn lines(request: &Request, layout: &Layout) -> Value {
    let program = if request.value("program") == Some("wrapper") { Program::Wrapper } else { Program::Agent };
    let least = request.value("level").map_or(LogLevel::Trace, rank);
    let mut shown = false;
    let all = log::recent(&layout.logs(), program, LINES_MAX).into_iter().map(|line| {
        let level = line.split_once(": level=").and_then(|(_, rest)| rest.split_once(',')).map(|(level, _)| level);
        json!({"level": level, "text": line})
    });
    let kept: Vec<Value> = all
        .filter(|line| {
            if let Some(level) = line["level"].as_str() {
                shown = rank(level) >= least;
            }
            shown
        })
        .collect();
    json!({ "lines": kept })
}

/// What is no level is shown with the gravest.
fn rank(level: &str) -> LogLevel {
    level.parse().unwrap_or(LogLevel::Fatal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_nobody_else_and_holds_no_code_inside() {
        for text in [HTML, SCRIPT, STYLE] {
            assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("@import"));
        }
        assert!(!HTML.contains("style=") && !HTML.contains("onclick") && !SCRIPT.contains("innerHTML"));
    }

    #[test]
    fn the_log_is_filtered_by_level_and_keeps_what_follows_a_line() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::new(home.path());
        layout.create_folders().unwrap();
        let text = "t: level=info, logName=a, one\nt: level=error, logName=b, two\n  at frame\nt: level=debug, logName=a, three\n";
        std::fs::write(layout.logs().join("server-2026-01-01.log"), text).unwrap();
        let shown = |query: &str| {
            let request = Request::of(&format!("GET /api/log?{query} HTTP/1.1\r\n\r\n"));
            lines(&request, &layout)["lines"].as_array().unwrap().len()
        };
        assert_eq!((shown(""), shown("level=warning"), shown("program=wrapper")), (4, 2, 0));
    }
}
