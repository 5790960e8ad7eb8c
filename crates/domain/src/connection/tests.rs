use sallyport_protocol::{Origin, Reach};
use serde_json::json;

use super::*;

fn catalog() -> Vec<Descriptor> {
    let descriptor = |kind: &str, origin, reach, secrets: &[&str]| Descriptor {
        kind: kind.into(),
        title: kind.into(),
        summary: String::new(),
        origin,
        reach,
        promise: None,
        needs_connection: true,
        connection_schema: Some(json!({
            "type": "object",
            "properties": { "host": { "type": "string" } },
            "required": ["host"],
            "additionalProperties": false,
        })),
        secrets: secrets.iter().map(ToString::to_string).collect(),
        read_schema: None,
        write_schema: None,
    };
    vec![
        descriptor("postgres", Origin::BuiltIn, Reach::Network, &["password"]),
        descriptor("program", Origin::ThirdParty, Reach::Programs, &[]),
        Descriptor { connection_schema: None, ..descriptor("memory", Origin::BuiltIn, Reach::Nothing, &[]) },
        Descriptor {
            connection_schema: Some(json!({
                "type": "object",
                "properties": { "root": { "type": "string", "format": "path" }, "note": { "type": "string" } },
            })),
            ..descriptor("file", Origin::BuiltIn, Reach::Files, &[])
        },
    ]
}

fn codes(name: &str, kind: &str, settings: Value, secrets: &[&str], agent: Kind) -> Vec<(String, String)> {
    let secrets: Vec<String> = secrets.iter().map(ToString::to_string).collect();
    let draft = Draft { name, kind, settings: &settings, secrets: &secrets, agent: Some(("one", agent)) };
    check(draft, &catalog()).into_iter().map(|problem| (problem.path, problem.code)).collect()
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let found = codes(" a/b", "postgres", json!({ "hsot": "x" }), &["passwort"], Kind::Background);
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert!(paths.contains(&"/name") && paths.contains(&"/secrets/passwort") && paths.contains(&"/agent"), "{found:?}");
    assert!(paths.iter().any(|path| path.starts_with("/settings")), "{found:?}");
}

#[test]
fn good_connections_pass() {
    let host = json!({ "host": "db" });
    assert!(codes("client-db", "postgres", host.clone(), &["password"], Kind::Remote).is_empty());
    assert!(codes("sap", "program", host, &["whatever"], Kind::Remote).is_empty());
}

#[test]
fn kinds_without_connections_are_refused() {
    assert_eq!(codes("a", "oracle", json!({}), &[], Kind::Remote), [("/kind".into(), "unknown_connector".into())]);
    assert_eq!(codes("a", "memory", json!({}), &[], Kind::Remote), [("/kind".into(), "no_connection".into())]);
}

#[test]
fn the_background_agent_takes_no_absolute_paths() {
    let outside = json!({ "root": "/etc", "note": "/etc" });
    let refused = [("/settings/root".to_owned(), "absolute_path".to_owned())];
    assert_eq!(codes("a", "file", outside.clone(), &[], Kind::Background), refused);
    assert!(codes("a", "file", outside, &[], Kind::Remote).is_empty());
    assert!(codes("a", "file", json!({ "root": "in/today" }), &[], Kind::Background).is_empty());
}
