//! What the file may say, and what is said about the rest.

use sallyport_protocol::Levels;
use serde_json::{Value, json};

use super::*;

/// The sections of a file that is right, with some keys replaced.
fn text(changes: &Value) -> String {
    let mut settings = json!({
        "Username": "b10db7c4-6698-4d21-9c0c-7d7bbfa9e300",
        "Password": "hunter2",
        "ServerAddress": "https://sallyport.example.com:8443",
    });
    for (key, value) in changes.as_object().unwrap() {
        settings[key] = value.clone();
    }
    json!({ "Logging": { "LogLevel": { "Default": "Information" } }, "Settings": settings }).to_string()
}

fn load(changes: &Value) -> Loaded {
    Settings::parse(&text(changes), "appsettings.json").unwrap()
}

/// The one error of a file with these changes, which must not show the password.
fn error(changes: &Value) -> String {
    let message = Settings::parse(&text(changes), "appsettings.json").unwrap_err().to_string();
    assert!(!message.contains("hunter2"), "{message}");
    message
}

#[test]
fn absent_and_null_keys_have_their_defaults() {
    let changes: serde_json::Map<_, _> = KEYS
        .iter()
        .filter(|key| !["Username", "Password", "ServerAddress"].contains(key))
        .map(|key| ((*key).to_owned(), Value::Null))
        .collect();
    let nulls = load(&Value::Object(changes)).settings;
    let loaded = load(&json!({}));
    let settings = loaded.settings;
    assert_eq!(nulls, settings);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert!(settings.allow_auto_update && settings.notify_updated);
    assert!(
        !settings.suppress_update
            && !settings.is_testing
            && !settings.log_api_call_body
            && !settings.print_queue_events
    );
    assert_eq!(settings.reconnect_timeout, Duration::from_secs(15));
    assert_eq!(settings.levels(), Levels::default());
    assert_eq!(settings.proxy, None);
}

#[test]
fn the_file_of_other_agents_is_understood() {
    let settings = load(&json!({
        "AllowAutoUpdate": false, "ReconnectTimeoutSeconds": 30, "FileLogLevel": "Trace", "ConsoleLogLevel": "warning",
        "LogAPICallBody": true, "NotifyUpdated": false, "SuppressUpdate": true, "IsTesting": true,
        "ProxyUsername": "u", "ProxyPassword": "p", "ProxyServerAddress": "http://proxy:8080", "PrintQueueEvents": true,
    }))
    .settings;
    assert!(!settings.allow_auto_update && !settings.notify_updated);
    assert!(
        settings.suppress_update && settings.is_testing && settings.log_api_call_body && settings.print_queue_events
    );
    assert_eq!(settings.reconnect_timeout, Duration::from_secs(30));
    assert_eq!(settings.levels(), Levels { file: LogLevel::Trace, console: LogLevel::Warning });
    let proxy = settings.proxy.unwrap();
    assert_eq!(
        (proxy.to_string().as_str(), proxy.credentials),
        ("proxy:8080", Some(("u".to_owned(), Secret::new("p"))))
    );
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let text = format!("\u{feff}{}", text(&json!({})));
    assert!(Settings::parse(&text, "appsettings.json").is_ok());
}

#[test]
fn unknown_keys_are_warnings_with_the_nearest_known_key() {
    let text = text(&json!({ "FileLoglevel": "Debug", "PrintQueEvents": true }));
    let text = text.replacen("\"Logging\"", "\"Loging\":{},\"Logging\"", 1);
    let warnings = Settings::parse(&text, "appsettings.json").unwrap().warnings.join("\n");
    for expected in [
        "unknown key `Settings.FileLoglevel` has no effect; the nearest known key is `Settings.FileLogLevel`",
        "`Settings.PrintQueEvents` has no effect; the nearest known key is `Settings.PrintQueueEvents`",
        "`Loging` has no effect; the nearest known key is `Logging`",
        "appsettings.json:",
    ] {
        assert!(warnings.contains(expected), "{warnings}");
    }
}

#[test]
fn every_bad_value_is_named_at_once_with_what_is_allowed() {
    let message = error(&json!({
        "AllowAutoUpdate": "yes", "ReconnectTimeoutSeconds": 0, "FileLogLevel": "Verbose", "ConsoleLogLevel": 3,
        "ServerAddress": "http://plain", "ProxyServerAddress": "socks5://hunter2@x", "Username": 7, "Password": null,
    }));
    for expected in [
        "appsettings.json: ",
        "AllowAutoUpdate is `\"yes\"`: allowed are true and false",
        "ReconnectTimeoutSeconds is `0`: allowed are whole numbers from 1 to 3600",
        "FileLogLevel is `\"Verbose\"`: allowed are Trace, Debug, Info, Warning, Error, Fatal",
        "ConsoleLogLevel is `3`",
        "ServerAddress is `http://plain`: expected https://host",
        "ProxyServerAddress: expected http://host:port",
        "Username must be a text in quotes",
        "Password is missing",
    ] {
        assert!(message.contains(expected), "`{expected}` is not in: {message}");
    }
}

#[test]
fn bad_levels_of_targets_and_sections_of_the_wrong_shape_are_errors() {
    let bad = text(&json!({})).replace("\"Information\"", "\"Loud\"");
    assert!(Settings::parse(&bad, "f").unwrap_err().to_string().contains("Logging.LogLevel.Default is `\"Loud\"`"));
    assert!(Settings::parse("{\"Settings\": 1}", "f").unwrap_err().to_string().contains("Settings must be an object"));
    assert!(Settings::parse("[]", "f").unwrap_err().to_string().contains("sections Logging and Settings"));
    let comment = Settings::parse("{ // no\n}", "f").unwrap_err().to_string();
    assert!(comment.contains("f is not valid JSON") && comment.contains("line 1"), "{comment}");
}

#[test]
fn proxy_credentials_go_together() {
    assert!(error(&json!({"ProxyServerAddress": "p:1", "ProxyPassword": "hunter2"})).contains("ProxyUsername is not"));
    let warnings = load(&json!({"ProxyUsername": "u"})).warnings;
    assert!(warnings.join("").contains("no effect without ProxyServerAddress"), "{warnings:?}");
}

#[test]
fn targets_are_kept_apart_from_the_default() {
    let text = text(&json!({}))
        .replace("\"Default\":\"Information\"", "\"Default\":\"Error\",\"sallyport_agent::run\":\"Debug\"");
    let settings = Settings::parse(&text, "f").unwrap().settings;
    assert_eq!(settings.library_level, LogLevel::Error);
    assert_eq!(settings.targets.get("sallyport_agent::run"), Some(&LogLevel::Debug));
}

#[test]
fn what_is_written_reads_the_same() {
    let settings = load(
        &json!({"ProxyUsername": "u", "ProxyPassword": "p", "ProxyServerAddress": "[::1]:8080", "IsTesting": true}),
    )
    .settings;
    let written = settings.to_json();
    let again = Settings::parse(written.expose(), "f").unwrap();
    assert_eq!(again.settings, settings);
    assert!(again.warnings.is_empty());
    let places = KEYS.map(|key| written.expose().find(&format!("\"{key}\"")).unwrap());
    assert!(places.is_sorted(), "{}", written.expose());
}

#[test]
fn levels_are_rewritten_and_everything_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("appsettings.json");
    fs::write(&path, text(&json!({"Own": {"a": [1]}, "FileLogLevel": "Trace"}))).unwrap();
    let levels = Levels { file: LogLevel::Error, console: LogLevel::Debug };
    rewrite_levels(&path, levels).unwrap();
    let settings = Settings::load(&path).unwrap().settings;
    assert_eq!((settings.levels(), settings.password), (levels, Secret::new("hunter2")));
    let json: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(json["Settings"]["Own"], json!({"a": [1]}));
    let missing = rewrite_levels(&folder.path().join("no.json"), levels).unwrap_err().to_string();
    assert!(missing.contains("no.json") && missing.contains("missing"), "{missing}");
}
