//! The API's description.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::server::Server;

/// Every address and method; a change here is a change for every client.
#[test]
fn the_addresses_are_these() {
    let described = serde_json::to_value(sallyport_server::openapi()).unwrap();
    let mut routes: Vec<String> = Vec::new();
    for (path, item) in described["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            routes.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    insta::assert_snapshot!(routes.join("\n"));
}

#[test]
fn the_description_is_whole() {
    let server = Server::start();
    let described = server.stranger().get("/api/openapi.json").is(200);
    assert!(described["openapi"].as_str().unwrap().starts_with("3.1"), "{}", described["openapi"]);
    let mut names = BTreeSet::new();
    for (path, item) in described["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap_or_default();
            assert!(!name.is_empty() && names.insert(name.to_owned()), "{method} {path}: `{name}` is there twice");
            assert!(!operation["summary"].as_str().unwrap_or_default().is_empty(), "{method} {path} has no summary");
            assert!(operation["responses"]["default"].is_object(), "{method} {path} names no problem");
        }
    }
    let mut references = Vec::new();
    collect(&described, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(described.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn the_page_loads_nothing_and_knows_every_route_and_code() {
    let server = Server::start();
    let stranger = server.stranger();
    let page = stranger.get("/api/docs");
    let text = page.text();
    assert!(!text.contains("<script") && !text.contains(" src=") && !text.contains("<link"));
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let described = stranger.get("/api/openapi.json").is(200);
    for path in described["paths"].as_object().unwrap().keys() {
        assert!(text.contains(&format!("<code>{path}</code>")), "{path}");
    }
    assert!(text.contains("id=\"problem-changed_meanwhile\""));
    assert_eq!(stranger.get("/").header("content-type"), "text/html; charset=utf-8");
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                references.push(reference.clone());
            }
            map.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}
