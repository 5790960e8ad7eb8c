//! The server's HTTP API as the commands use it.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sallyport_protocol::Secret;
use serde_json::Value;
use ureq::http::{Method, Request, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::config::Config;
use crate::credentials::{self, Credentials};
use crate::error::{Doing, Error, Exit, Result};
use crate::trust;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection's test waits for the agent, which waits for its target.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(90);
/// How many items of a list are asked for at once.
const PAGE: usize = 200;

/// Talks to one server as one person.
pub(crate) struct Client {
    agent: Agent,
    address: String,
    token: Option<Secret>,
    ca: Option<String>,
}

/// The body of a request.
pub(crate) enum Payload<'a> {
    /// As JSON.
    Json(&'a Value),
    /// A document as a person wrote it.
    Yaml(&'a str),
    /// A file, sent as it is read.
    File(&'a std::fs::File),
}

/// What the server answered.
pub(crate) struct Answer {
    /// The version of what was read, for `If-Match`.
    pub(crate) etag: Option<String>,
    /// The JSON body; null where there was none.
    pub(crate) body: Value,
}

impl Client {
    /// With the login of `given`, or of the server that was logged in to last.
    pub(crate) fn open(given: Option<&str>, config: &Config) -> Result<Self> {
        let credentials = Credentials::load(config)?;
        let address = credentials.address(given, config)?;
        let login = credentials.servers.get(&address).cloned().unwrap_or_default();
        let mut ca = login.ca.clone();
        if let Some(path) = &config.ca {
            let text = std::fs::read_to_string(path).doing(|| format!("reading {}", path.display()))?;
            ca = Some(text);
        }
        let token = match &config.token_file {
            Some(path) => Some(credentials::token_in(path)?),
            None => Some(login.token.clone()).filter(|token| !token.is_empty()),
        };
        if token.is_none() {
            return Err(Error::new(
                Exit::NotAllowed,
                format!("not logged in to {address}: `sallyport login {address}`"),
            ));
        }
        Self::with(&address, ca.as_deref(), token)
    }

    /// To an address that may not be logged in to yet.
    pub(crate) fn with(address: &str, ca: Option<&str>, token: Option<Secret>) -> Result<Self> {
        let roots: Vec<Certificate<'static>> =
            trust::roots(ca)?.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .unversioned_rustls_crypto_provider(trust::provider())
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(RESPONSE_TIMEOUT))
            .user_agent(concat!("sallyport/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let (address, ca) = (address.trim_end_matches('/').to_owned(), ca.map(str::to_owned));
        Ok(Self { agent, address, token, ca })
    }

    /// The address it talks to.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What a connection beside the API is made with: whom to trust, and the value of the `Authorization` header.
    pub(crate) fn credentials(&self) -> Result<(Arc<rustls::ClientConfig>, Secret)> {
        let token = self.token.as_ref().map(Secret::expose).unwrap_or_default();
        Ok((trust::config(self.ca.as_deref())?, Secret::new(format!("Bearer {token}"))))
    }

    /// Reads one thing.
    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        self.send(&Method::GET, path, None, &[])
    }

    /// Reads a list to its end.
    pub(crate) fn list(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = self.page(path, query, PAGE, cursor.as_deref())?;
            items.extend(page.0);
            match page.1 {
                Some(next) => cursor = Some(next),
                None => return Ok(items),
            }
        }
    }

    /// Reads one page of a list, and where the next one starts.
    pub(crate) fn page(
        &self,
        path: &str,
        query: &[(&str, &str)],
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<(Vec<Value>, Option<String>)> {
        let limit = limit.to_string();
        let mut all = vec![("limit", limit.as_str())];
        all.extend_from_slice(query);
        all.extend(cursor.map(|cursor| ("cursor", cursor)));
        let mut body = self.get(&with_query(path, &all))?.body;
        let items = match body.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => return Err(Error::failed(format!("the server's answer to {path} is no list"))),
        };
        Ok((items, body.get("next_cursor").and_then(Value::as_str).map(str::to_owned)))
    }

    /// Asks for a change.
    pub(crate) fn post(&self, path: &str, body: Option<&Value>) -> Result<Answer> {
        self.send(&Method::POST, path, body, &[])
    }

    /// Sends a document as it was written.
    pub(crate) fn send_document(
        &self,
        method: &Method,
        path: &str,
        document: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer> {
        self.answer(method, path, Some(&Payload::Yaml(document)), headers)
    }

    /// Sends one request and takes its JSON answer; a problem becomes an error.
    pub(crate) fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Answer> {
        self.answer(method, path, body.map(Payload::Json).as_ref(), headers)
    }

    fn answer(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Payload<'_>>,
        headers: &[(&str, &str)],
    ) -> Result<Answer> {
        let mut response = self.request(method, path, body, headers)?;
        let etag = response.headers().get("etag").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let text = response.body_mut().read_to_string().map_err(|error| self.broken(method, path, &error))?;
        let body = if text.is_empty() { Value::Null } else { parse(path, &text)? };
        Ok(Answer { etag, body })
    }

    /// Sends a file, whatever its size.
    pub(crate) fn upload(&self, method: &Method, path: &str, from: &Path) -> Result<Answer> {
        let file = std::fs::File::open(from).doing(|| format!("reading {}", from.display()))?;
        self.answer(method, path, Some(&Payload::File(&file)), &[])
    }

    /// Saves an answer to a new file that only its owner can read; gives its size. `progress` hears of every piece.
    pub(crate) fn download(&self, path: &str, to: &Path, progress: impl FnMut(u64)) -> Result<u64> {
        self.save(&Method::GET, path, to, progress)
    }

    /// The same of what is only made when it is asked for.
    pub(crate) fn fetch(&self, path: &str, to: &Path) -> Result<u64> {
        self.save(&Method::POST, path, to, |_| {})
    }

    fn save(&self, method: &Method, path: &str, to: &Path, mut progress: impl FnMut(u64)) -> Result<u64> {
        let response = self.request(method, path, None, &[])?;
        let mut reader = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut file = private_file(to).doing(|| format!("writing {}", to.display()))?;
        let mut buffer = vec![0; 64 * 1024];
        let mut total = 0;
        loop {
            let read = reader.read(&mut buffer).doing(|| format!("downloading {path}"))?;
            if read == 0 {
                return Ok(total);
            }
            file.write_all(&buffer[..read]).doing(|| format!("writing {}", to.display()))?;
            total += read as u64;
            progress(total);
        }
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Payload<'_>>,
        headers: &[(&str, &str)],
    ) -> Result<Response<Body>> {
        let mut request = Request::builder().method(method).uri(format!("{}{}", self.address, path));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {}", token.expose()));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = match body {
            Some(Payload::Json(value)) => {
                let request = request.header("content-type", "application/json").body(value.to_string());
                request.map(|request| self.agent.run(request))
            }
            Some(Payload::Yaml(text)) => {
                let request = request.header("content-type", "application/yaml").body((*text).to_owned());
                request.map(|request| self.agent.run(request))
            }
            Some(Payload::File(file)) => {
                let request = request.header("content-type", "application/octet-stream").body(*file);
                request.map(|request| self.agent.run(request))
            }
            None => request.body(()).map(|request| self.agent.run(request)),
        };
        let response = sent
            .map_err(|error| Error::usage(format!("`{}` is no server's address: {error}", self.address)))?
            .map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(refused(path, response)) }
    }

    fn unreachable(&self, error: &ureq::Error) -> Error {
        let text = error.to_string();
        let made = Error::failed(format!("cannot reach {}: {text}", self.address));
        if text.contains("certificate") || text.contains("UnknownIssuer") {
            return made
                .problem(format!("log in anew to decide about its certificate: `sallyport login {}`", self.address));
        }
        made.passing()
    }

    fn broken(&self, method: &Method, path: &str, error: &ureq::Error) -> Error {
        Error::failed(format!("the answer of {} broke off: {error}", self.address))
            .detail(format!("{method} {path}"))
            .passing()
    }
}

/// Makes a file that only its owner can read. What an earlier attempt has left is not written into: its mode may be
/// another.
pub(crate) fn private_file(path: &Path) -> std::io::Result<std::fs::File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Adds a query to a path.
pub(crate) fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// Percent-encodes one segment of a path or one value of a query.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn parse(path: &str, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        Error::failed(format!("the server's answer to {path} is no JSON: is the address that of a Sallyport server?"))
            .detail(error.to_string())
    })
}

fn refused(path: &str, mut response: Response<Body>) -> Error {
    let status = response.status();
    let text = response.body_mut().read_to_string().unwrap_or_default();
    let problem: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let exit = match status.as_u16() {
        401 | 403 => Exit::NotAllowed,
        404 => Exit::NotFound,
        409 | 412 => Exit::Conflict,
        _ => Exit::Failed,
    };
    let say = |key: &str| problem.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let message = say("detail").or_else(|| say("title")).map_or_else(|| format!("{status}"), str::to_owned);
    let mut error = Error::new(exit, message);
    error.passing = status.is_server_error() || status.as_u16() == 429;
    for (key, item) in problem.as_object().into_iter().flatten() {
        match (key.as_str(), item) {
            ("problems" | "errors", Value::Array(items)) => error.problems.extend(items.iter().map(one_problem)),
            ("advice", Value::String(advice)) => error.problems.push(advice.clone()),
            ("title" | "detail" | "type", _) => {}
            (key, Value::String(text)) => error.detail.push(format!("{key}: {text}")),
            (key, other) => error.detail.push(format!("{key}: {other}")),
        }
    }
    error.detail(format!("{status} from {path}"))
}

/// One wrong field of a document: `steps[1].with.path: is missing`.
pub(crate) fn one_problem(item: &Value) -> String {
    let say = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
    if let Value::String(text) = item {
        return text.clone();
    }
    let place = ["path", "field", "step"].into_iter().map(say).find(|text| !text.is_empty()).unwrap_or_default();
    let message = ["message", "detail", "problem"].into_iter().map(say).find(|text| !text.is_empty());
    let message = message.map_or_else(|| item.to_string(), str::to_owned);
    if place.is_empty() { message } else { format!("{place}: {message}") }
}

#[cfg(test)]
mod tests;
