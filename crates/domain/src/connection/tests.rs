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
    let draft = Draft { name, kind, settings: &settings, secrets: &secrets, agents: &[("one", agent)] };
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

#[test]
fn several_agents_are_different_remote_ones() {
    let check = |agents: &[(&str, Kind)]| -> Vec<String> {
        let settings = json!({ "root": "in" });
        let draft = Draft { name: "a", kind: "file", settings: &settings, secrets: &[], agents };
        super::check(draft, &catalog())
            .into_iter()
            .map(|problem| format!("{} {}", problem.path, problem.code))
            .collect()
    };
    let remote = |name| (name, Kind::Remote);
    assert!(check(&[remote("one"), remote("two")]).is_empty());
    assert_eq!(check(&[remote("one"), remote("two"), remote("one")]), ["/agents/2 twice"]);
    assert_eq!(check(&[remote("one"), ("background", Kind::Background)]), ["/agents/1 agent_not_allowed"]);
    let names: Vec<String> = (0..17).map(|number| number.to_string()).collect();
    let many: Vec<(&str, Kind)> = names.iter().map(|name| remote(name.as_str())).collect();
    assert_eq!(check(&many), ["/agents too_many"]);
}

#[test]
fn the_first_that_is_online_serves() {
    use Standing::{Deactivated, Offline, Online};
    let check = |stands: &[Standing], expected: Option<usize>| {
        assert_eq!(serving(0..stands.len(), |at| stands[*at]), expected, "{stands:?}");
    };
    check(&[Online, Online], Some(0));
    check(&[Offline, Online], Some(1));
    check(&[Deactivated, Offline, Offline], Some(1));
    check(&[Deactivated, Deactivated], Some(0));
    check(&[], None);
}

#[test]
fn trouble_begins_with_the_first_failure_and_ends_with_an_answer() {
    use sallyport_protocol::Timestamp;

    use super::Reach;

    let reach = Reach::default().opened(Timestamp(1)).failed("refused".to_owned(), Timestamp(2));
    let reach = reach.failed("silent".to_owned(), Timestamp(5));
    let trouble = Trouble { since: Timestamp(2), at: Timestamp(5), count: 2, reason: "silent".to_owned() };
    assert_eq!(reach, Reach { opened_at: Some(Timestamp(1)), trouble: Some(trouble) });
    assert_eq!(reach.opened(Timestamp(7)), Reach { opened_at: Some(Timestamp(7)), trouble: None });
}
