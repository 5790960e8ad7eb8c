//! Connections and their secrets.

use serde_json::{Value, json};

use crate::server::{Client, Server};

const SECRET: &str = "s3cr3t-of-the-database";

fn document() -> Value {
    json!({
        "name": "client-db", "kind": "postgres", "agent": "one",
        "settings": { "host": "db.example.org", "database": "shop", "user": "reader" },
        "secrets": { "password": SECRET },
    })
}

fn prepared() -> (Server, Client) {
    let server = Server::start();
    let administrator = server.administrator();
    administrator.post("/api/v1/agents", &json!({ "name": "one" })).is(201);
    (server, administrator)
}

#[test]
fn secrets_go_in_and_never_out() {
    let (server, administrator) = prepared();
    let made = administrator.post("/api/v1/connections", &document());
    assert_eq!(made.is(201)["secrets"], json!({ "password": "***" }));
    let shown = administrator.get("/api/v1/connections/client-db");
    let list = administrator.get("/api/v1/connections");
    let mut changed = document();
    changed["settings"]["port"] = json!(5433);
    changed["secrets"] = json!({ "password": "***" });
    let replaced = administrator.put("/api/v1/connections/client-db", "\"1\"", &changed);
    assert_eq!(replaced.is(200)["settings"]["port"], 5433);
    assert_eq!(replaced.json()["secrets"], json!({ "password": "***" }), "what is not sent stays");
    for answer in [made, shown, list, replaced] {
        assert!(!answer.text().contains(SECRET));
    }
    changed["secrets"] = json!({ "password": null });
    let removed = administrator.put("/api/v1/connections/client-db", "*", &changed);
    assert_eq!(removed.is(200)["secrets"], json!({}));
    let folder = server.stop();
    let database = std::fs::read(folder.path().join("sallyport.db")).unwrap();
    assert!(!database.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
}

#[test]
fn every_wrong_field_is_named_at_once() {
    let (_server, administrator) = prepared();
    let wrong = json!({
        "name": "a/b", "kind": "postgres", "agent": "nobody",
        "settings": { "hsot": "db" }, "secrets": { "passwort": "x" },
    });
    let refused = administrator.post("/api/v1/connections", &wrong);
    refused.refused(422, "invalid");
    let body = refused.json();
    let paths: Vec<_> = body["problems"].as_array().unwrap().iter().filter_map(|p| p["path"].as_str()).collect();
    for path in ["/name", "/agent", "/secrets/passwort"] {
        assert!(paths.contains(&path), "{paths:?}");
    }
    assert!(paths.iter().any(|path| path.starts_with("/settings")), "{paths:?}");
    assert!(!refused.text().contains("\"x\""));
    let mut on_background = document();
    on_background["agent"] = json!("background");
    let refused = administrator.post("/api/v1/connections", &on_background);
    assert_eq!(refused.json()["problems"][0]["code"], "agent_not_allowed", "{}", refused.text());
}

#[test]
fn the_servers_own_files_are_out_of_reach() {
    let (server, administrator) = prepared();
    let database = server.data_dir().join("sallyport.db");
    for (kind, settings) in [("file", json!({ "root": "/etc" })), ("sqlite", json!({ "path": database }))] {
        let mut document = json!({ "name": kind, "kind": kind, "agent": "background", "settings": settings });
        let refused = administrator.post("/api/v1/connections", &document);
        refused.refused(422, "invalid");
        assert_eq!(refused.json()["problems"][0]["code"], "absolute_path", "{}", refused.text());
        document["agent"] = json!("one");
        administrator.post("/api/v1/connections", &document).is(201);
        // Nor by the way of a change.
        document["agent"] = json!("background");
        administrator.put(&format!("/api/v1/connections/{kind}"), "*", &document).refused(422, "invalid");
    }
}

#[test]
fn another_environments_connections_are_not_found() {
    let (server, production) = prepared();
    server.sandbox();
    let made = production.post("/api/v1/connections", &document()).is(201);
    let sandbox = production.environment("sandbox");
    for wanted in [made["id"].as_str().unwrap(), "client-db"] {
        let path = format!("/api/v1/connections/{wanted}");
        sandbox.get(&path).refused(404, "not_found");
        sandbox.put(&path, "*", &document()).refused(404, "not_found");
        sandbox.delete(&path).refused(404, "not_found");
        sandbox.send("POST", &format!("{path}/test"), &[], b"").refused(404, "not_found");
    }
    sandbox.post("/api/v1/connections", &document()).refused(422, "invalid");
}

#[test]
fn a_connection_in_use_stays() {
    let (_server, administrator) = prepared();
    administrator.post("/api/v1/connections", &document()).is(201);
    let task = "task: t\nsteps:\n- {name: read, connection: client-db, with: {table: orders}}\n\
                - {name: write, connector: file, agent: one, input: read, with: {path: out.csv}}\n";
    administrator.send("POST", "/api/v1/tasks", &[], task.as_bytes()).is(201);
    administrator.delete("/api/v1/connections/client-db").refused(409, "in_use");
    let mut renamed = document();
    renamed["name"] = json!("other");
    administrator.put("/api/v1/connections/client-db", "*", &renamed).refused(409, "in_use");
    assert_eq!(administrator.delete("/api/v1/tasks/t").status, 204);
    assert_eq!(administrator.delete("/api/v1/connections/client-db").status, 204);
    administrator.get("/api/v1/connections/client-db").refused(404, "not_found");
}

#[test]
fn a_test_needs_the_agent() {
    let (_server, administrator) = prepared();
    administrator.post("/api/v1/connections", &document()).is(201);
    let refused = administrator.send("POST", "/api/v1/connections/client-db/test", &[], b"");
    refused.refused(409, "agent_offline");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("client-db") && detail.contains("one"), "{detail}");
}
