//! The server's HTTP API as a client sees it.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use ureq::http::Request;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Connections that are kept for the next request: enough for every client of a benchmark to have its own.
const KEPT_MAX: usize = 64;

/// A client of one server.
#[derive(Clone)]
pub struct Api {
    agent: ureq::Agent,
    url: String,
    token: Option<String>,
}

/// An answer, good or bad.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The version of what was read.
    pub etag: Option<String>,
    /// The JSON body, or null.
    pub body: Value,
}

impl Api {
    /// Trusts the certificate in a PEM file alone.
    pub fn new(url: &str, ca: &Path) -> Result<Self> {
        let pem = std::fs::read(ca).with_context(|| format!("reading {}", ca.display()))?;
        let mut roots = Vec::new();
        for item in ureq::tls::parse_pem(&pem) {
            if let PemItem::Certificate(certificate) = item? {
                roots.push(certificate);
            }
        }
        Ok(Self::trusting(url, roots))
    }

    fn trusting(url: &str, roots: Vec<Certificate<'static>>) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .max_idle_connections(KEPT_MAX)
            .max_idle_connections_per_host(KEPT_MAX)
            .build();
        Self { agent: config.new_agent(), url: url.to_owned(), token: None }
    }

    /// The same client with a login.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// The login's token.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Sends a request; any answer will do.
    pub fn send(&self, method: &str, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Result<Reply> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = match body {
            Some(body) => self.agent.run(request.header("content-type", "application/json").body(body.to_string())?),
            None => self.agent.run(request.body(())?),
        };
        let mut response = sent.with_context(|| format!("{method} {path}"))?;
        let etag = response.headers().get("etag").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string()?;
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(json!(text)) };
        Ok(Reply { status, etag, body })
    }

    /// Reads; anything but success is an error that shows the problem.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.good("GET", path, None)
    }

    /// Asks for a change; anything but success is an error that shows the problem.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.good("POST", path, Some(body))
    }

    /// Changes what is there, with the version that was just read.
    pub fn edit(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let now = self.send("GET", path, None, &[])?;
        let etag = now.etag.clone().with_context(|| format!("GET {path} gave no ETag: {now:?}"))?;
        succeeded(method, path, self.send(method, path, Some(body), &[("if-match", &etag)])?)
    }

    /// Reads bytes.
    pub fn download(&self, path: &str) -> Result<Vec<u8>> {
        let mut request = Request::builder().uri(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = self.agent.run(request.body(())?)?;
        let status = response.status();
        let mut bytes = Vec::new();
        response.body_mut().as_reader().read_to_end(&mut bytes)?;
        if status.is_success() {
            return Ok(bytes);
        }
        bail!("GET {path}: {status}: {}", String::from_utf8_lossy(&bytes))
    }

    fn good(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        succeeded(method, path, self.send(method, path, body, &[])?)
    }
}

fn succeeded(method: &str, path: &str, reply: Reply) -> Result<Value> {
    if (200..300).contains(&reply.status) {
        return Ok(reply.body);
    }
    bail!("{method} {path}: {}: {:#}", reply.status, reply.body)
}
