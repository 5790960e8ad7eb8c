//! The file as JSON: parsing, and writing with the keys in their order.

use sallyport_protocol::Levels;
use serde_json::{Map, Value, json};

use super::{Error, KEYS, Settings};
use crate::address::bracketed;

/// Parses the text; a byte order mark, as Windows editors write it, is skipped.
pub(super) fn parse(text: &str, path: &str) -> Result<Value, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str(text).map_err(|error| Error::Json { path: path.to_owned(), reason: error.to_string() })
}

/// The document of settings.
pub(super) fn from_settings(settings: &Settings) -> Value {
    let mut levels = Map::new();
    levels.insert("Default".to_owned(), settings.library_level.name().into());
    for (target, level) in &settings.targets {
        levels.insert(target.clone(), level.name().into());
    }
    let proxy = settings.proxy.as_ref();
    let credentials = proxy.and_then(|proxy| proxy.credentials.as_ref());
    json!({
        "Logging": { "LogLevel": levels },
        "Settings": {
            "AllowAutoUpdate": settings.allow_auto_update,
            "Username": settings.username,
            "Password": settings.password.expose(),
            "ServerAddress": settings.server_address.to_string(),
            "ReconnectTimeoutSeconds": settings.reconnect_timeout.as_secs(),
            "FileLogLevel": settings.file_level.name(),
            "ConsoleLogLevel": settings.console_level.name(),
            "LogAPICallBody": settings.log_api_call_body,
            "NotifyUpdated": settings.notify_updated,
            "SuppressUpdate": settings.suppress_update,
            "IsTesting": settings.is_testing,
            "ProxyUsername": credentials.map(|(username, _)| username.as_str()),
            "ProxyPassword": credentials.map(|(_, password)| password.expose()),
            "ProxyServerAddress": proxy.map(|proxy| format!("http://{}:{}", bracketed(&proxy.host), proxy.port)),
            "PrintQueueEvents": settings.print_queue_events,
        }
    })
}

/// Sets both levels; says whether that changed anything.
pub(super) fn set_levels(document: &mut Value, levels: Levels) -> bool {
    let Some(section) = document.get_mut("Settings").and_then(Value::as_object_mut) else { return false };
    let mut changed = false;
    for (key, level) in [("FileLogLevel", levels.file), ("ConsoleLogLevel", levels.console)] {
        let old = section.insert(key.to_owned(), level.name().into());
        changed |= old.as_ref().and_then(Value::as_str) != Some(level.name());
    }
    changed
}

/// The text: `Logging`, then `Settings` with its keys in their order, then what is unknown.
pub(super) fn render(document: &Value) -> String {
    let mut text = String::new();
    members(&mut text, document, &["Logging", "Settings"], 0);
    text.push('\n');
    text
}

fn members(text: &mut String, value: &Value, first: &[&str], depth: usize) {
    let Some(object) = value.as_object().filter(|object| depth < 2 && !object.is_empty()) else {
        // Deeper or simple values need no order; only nested lines need their indentation.
        let pretty = serde_json::to_string_pretty(value).unwrap_or_else(|_| "null".to_owned());
        text.push_str(&pretty.replace('\n', &format!("\n{}", "  ".repeat(depth))));
        return;
    };
    let known = first.iter().filter_map(|key| object.get_key_value(*key));
    let unknown = object.iter().filter(|(key, _)| !first.contains(&key.as_str()));
    text.push('{');
    for (at, (key, member)) in known.chain(unknown).enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(&format!("\n{}{}: ", "  ".repeat(depth + 1), Value::from(key.as_str())));
        let order: &[&str] = if key == "Settings" { &KEYS } else { &["LogLevel"] };
        members(text, member, order, depth + 1);
    }
    text.push_str(&format!("\n{}}}", "  ".repeat(depth)));
}
