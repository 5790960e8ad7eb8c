//! From JSON to checked settings; every problem is collected.

use std::collections::BTreeMap;
use std::time::Duration;

use sallyport_protocol::{LogLevel, Secret};
use serde_json::{Map, Value};

use super::{Error, KEYS, Loaded, RECONNECT_TIMEOUT_DEFAULT, Settings};
use crate::dial::Proxy;

/// Longest `ReconnectTimeoutSeconds`: longer ones would keep a dead connection for longer than a person waits.
const RECONNECT_SECONDS_MAX: u64 = 3600;

/// Checks the document.
pub(super) fn settings(json: &Value, path: &str) -> Result<Loaded, Error> {
    let mut reader = Reader { path, values: Map::new(), problems: Vec::new(), warnings: Vec::new() };
    let (library_level, targets) = reader.sections(json);
    let username = reader.required("Username", "the login that came with the download");
    let password = reader.required("Password", "the password that came with the download");
    let server_text = reader.required("ServerAddress", "the server's address, such as https://sallyport.example.com");
    let server_address = server_text.as_deref().and_then(|text| {
        let parsed = text.parse();
        if let Err(error) = &parsed {
            reader.problems.push(format!("ServerAddress is `{text}`: {error}"));
        }
        parsed.ok()
    });
    let proxy = reader.proxy();
    let reconnect_timeout = reader.reconnect_timeout();
    let file_level = reader.level("FileLogLevel");
    let console_level = reader.level("ConsoleLogLevel");
    let mut flag = |key, default| reader.flag(key, default);
    let allow_auto_update = flag("AllowAutoUpdate", true);
    let log_api_call_body = flag("LogAPICallBody", false);
    let notify_updated = flag("NotifyUpdated", true);
    let suppress_update = flag("SuppressUpdate", false);
    let is_testing = flag("IsTesting", false);
    let print_queue_events = flag("PrintQueueEvents", false);
    match (reader.problems.is_empty(), server_address) {
        (true, Some(server_address)) => Ok(Loaded {
            settings: Settings {
                targets,
                library_level,
                allow_auto_update,
                username: username.unwrap_or_default(),
                password: Secret::new(password.unwrap_or_default()),
                server_address,
                reconnect_timeout,
                file_level,
                console_level,
                log_api_call_body,
                notify_updated,
                suppress_update,
                is_testing,
                proxy,
                print_queue_events,
            },
            warnings: reader.warnings,
        }),
        _ => Err(Error::Values { path: path.to_owned(), problems: reader.problems }),
    }
}

struct Reader<'a> {
    path: &'a str,
    values: Map<String, Value>,
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl Reader<'_> {
    /// Takes the two sections apart.
    fn sections(&mut self, json: &Value) -> (LogLevel, BTreeMap<String, LogLevel>) {
        let Some(document) = json.as_object() else {
            self.problems.push("expected an object with the sections Logging and Settings".to_owned());
            return Default::default();
        };
        self.warn_unknown(document, &["Logging", "Settings"], "");
        self.values = self.section(document, "Settings");
        let values = self.values.clone();
        self.warn_unknown(&values, &KEYS, "Settings.");
        let logging = self.section(document, "Logging");
        self.warn_unknown(&logging, &["LogLevel"], "Logging.");
        let mut targets = BTreeMap::new();
        for (target, value) in self.section(&logging, "LogLevel") {
            let level = self.level_of(&format!("Logging.LogLevel.{target}"), &value);
            targets.insert(target, level);
        }
        (targets.remove("Default").unwrap_or_default(), targets)
    }

    fn section(&mut self, parent: &Map<String, Value>, key: &str) -> Map<String, Value> {
        match parent.get(key) {
            Some(Value::Object(members)) => members.clone(),
            None | Some(Value::Null) => Map::new(),
            Some(_) => {
                self.problems.push(format!("{key} must be an object"));
                Map::new()
            }
        }
    }

    fn warn_unknown(&mut self, found: &Map<String, Value>, known: &[&str], section: &str) {
        for key in found.keys().filter(|key| !known.contains(&key.as_str())) {
            let distance = |name: &&&str| strsim::damerau_levenshtein(&name.to_lowercase(), &key.to_lowercase());
            let nearest = known.iter().min_by_key(distance).copied().unwrap_or_default();
            self.warnings.push(format!(
                "{}: unknown key `{section}{key}` has no effect; the nearest known key is `{section}{nearest}`",
                self.path
            ));
        }
    }

    /// The value of a key; `None` when absent or null.
    fn value(&self, key: &str) -> Option<Value> {
        self.values.get(key).filter(|value| !value.is_null()).cloned()
    }

    fn flag(&mut self, key: &str, default: bool) -> bool {
        match self.value(key) {
            None => default,
            Some(Value::Bool(flag)) => flag,
            Some(other) => {
                self.problems.push(format!("{key} is {}: allowed are true and false", shown(&other)));
                default
            }
        }
    }

    fn level(&mut self, key: &str) -> LogLevel {
        self.value(key).map_or_else(LogLevel::default, |value| self.level_of(key, &value))
    }

    fn level_of(&mut self, key: &str, value: &Value) -> LogLevel {
        let level = value.as_str().and_then(|text| text.parse().ok());
        if level.is_none() && !value.is_null() {
            let names = LogLevel::ALL.map(LogLevel::name).join(", ");
            self.problems.push(format!("{key} is {}: allowed are {names}", shown(value)));
        }
        level.unwrap_or_default()
    }

    fn reconnect_timeout(&mut self) -> Duration {
        let Some(value) = self.value("ReconnectTimeoutSeconds") else { return RECONNECT_TIMEOUT_DEFAULT };
        match value.as_u64() {
            Some(seconds @ 1..=RECONNECT_SECONDS_MAX) => Duration::from_secs(seconds),
            _ => {
                self.problems.push(format!(
                    "ReconnectTimeoutSeconds is {}: allowed are whole numbers from 1 to {RECONNECT_SECONDS_MAX}",
                    shown(&value)
                ));
                RECONNECT_TIMEOUT_DEFAULT
            }
        }
    }

    /// A text, never shown in a problem because some of them are secret.
    fn text(&mut self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => Some(text).filter(|text| !text.is_empty()),
            _ => {
                self.problems.push(format!("{key} must be a text in quotes, or null"));
                None
            }
        }
    }

    fn required(&mut self, key: &str, what: &str) -> Option<String> {
        let problems = self.problems.len();
        let text = self.text(key);
        if text.is_none() && self.problems.len() == problems {
            self.problems.push(format!("{key} is missing: it must hold {what}"));
        }
        text
    }

    fn proxy(&mut self) -> Option<Proxy> {
        let username = self.text("ProxyUsername");
        let password = self.text("ProxyPassword");
        let Some(address) = self.text("ProxyServerAddress") else {
            if username.is_some() || password.is_some() {
                self.warnings.push(format!(
                    "{}: ProxyUsername and ProxyPassword have no effect without ProxyServerAddress",
                    self.path
                ));
            }
            return None;
        };
        let mut proxy = match Proxy::parse(&address) {
            Ok(proxy) => proxy,
            Err(error) => {
                self.problems.push(format!("ProxyServerAddress: {error}"));
                return None;
            }
        };
        match (username, password) {
            (Some(username), password) => {
                proxy.credentials = Some((username, Secret::new(password.unwrap_or_default())))
            }
            (None, Some(_)) => self.problems.push("ProxyPassword is set but ProxyUsername is not".to_owned()),
            (None, None) => {}
        }
        Some(proxy)
    }
}

/// A value for a message, cut when it is long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    let cut: String = text.chars().take(60).collect();
    if cut.len() < text.len() { format!("`{cut}…`") } else { format!("`{text}`") }
}
