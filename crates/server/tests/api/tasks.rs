//! Tasks, their versions and the way to a run.

use serde_json::json;

use crate::server::{Answer, Client, Server};

const COPY: &str = "# copies a file\ntask: copy\nsteps:\n- name: read\n  connector: file\n  agent: background\n  \
                    with: {path: in.csv}\n- name: write\n  connector: file\n  agent: background\n  input: read\n  \
                    with: {path: out.csv}\n";

fn post(client: &Client, path: &str, document: &str) -> Answer {
    client.send("POST", path, &[("content-type", "application/yaml")], document.as_bytes())
}

fn put(client: &Client, path: &str, if_match: &str, document: &str) -> Answer {
    client.send("PUT", path, &[("if-match", if_match)], document.as_bytes())
}

#[test]
fn a_document_is_kept_as_written_and_its_versions_stay() {
    let server = Server::start();
    let administrator = server.administrator();
    let made = post(&administrator, "/api/v1/tasks", COPY);
    let task = made.is(201);
    assert_eq!(made.header("etag"), "\"1\"");
    assert_eq!(task["document"], COPY);
    assert_eq!((&task["summary"]["name"], &task["summary"]["steps"]), (&json!("copy"), &json!(2)));
    post(&administrator, "/api/v1/tasks", COPY).refused(409, "name_taken");

    let second = COPY.replace("out.csv", "other.csv");
    administrator.send("PUT", "/api/v1/tasks/copy", &[], second.as_bytes()).refused(428, "version_required");
    put(&administrator, "/api/v1/tasks/copy", "\"7\"", &second).refused(412, "changed_meanwhile");
    assert_eq!(put(&administrator, "/api/v1/tasks/copy", "\"1\"", &second).is(200)["summary"]["version"], 2);
    let versions = administrator.get("/api/v1/tasks/copy/versions").is(200);
    let numbers: Vec<_> = versions["items"].as_array().unwrap().iter().map(|v| v["version"].clone()).collect();
    assert_eq!(numbers, [2, 1]);
    assert_eq!(versions["items"][1]["document"], COPY);
}

#[test]
fn a_dry_run_says_what_would_happen_and_does_nothing() {
    let server = Server::start();
    let administrator = server.administrator();
    let dry = |document: &str| post(&administrator, "/api/v1/tasks?dry_run=true", document).is(200);
    assert_eq!(dry(COPY)["action"], "create");
    administrator.get("/api/v1/tasks/copy").refused(404, "not_found");
    post(&administrator, "/api/v1/tasks", COPY).is(201);
    assert_eq!(dry(COPY)["action"], "none");
    let changed = dry(&COPY.replace("out.csv", "other.csv"));
    assert_eq!(changed["action"], "change");
    let diff = changed["diff"].as_str().unwrap();
    assert!(diff.contains("-  with: {path: out.csv}") && diff.contains("+  with: {path: other.csv}"), "{diff}");
    let refused = dry(&COPY.replace("agent: background", "agent: nobody"));
    assert_eq!(refused["action"], "refuse");
    assert!(!refused["problems"].as_array().unwrap().is_empty());
    assert_eq!(administrator.get("/api/v1/tasks/copy").is(200)["summary"]["version"], 1);
}

#[test]
fn problems_name_step_and_field() {
    let server = Server::start();
    let administrator = server.administrator();
    let wrong = COPY.replace("agent: background", "agent: nobody").replace("path: in.csv", "pth: in.csv");
    let refused = post(&administrator, "/api/v1/tasks", &wrong);
    refused.refused(422, "invalid_task");
    let body = refused.json();
    let steps: Vec<_> = body["problems"].as_array().unwrap().iter().filter_map(|p| p["step"].as_str()).collect();
    assert!(steps.contains(&"read") && steps.contains(&"write"), "{body}");
    let validated = post(&administrator, "/api/v1/tasks/validate", &wrong).is(200);
    assert_eq!(validated["valid"], false);
    assert_eq!(post(&administrator, "/api/v1/tasks/validate", COPY).is(200)["valid"], true);
    post(&administrator, "/api/v1/tasks", "task: [").refused(422, "invalid_task");
    post(&administrator, "/api/v1/tasks", &"x".repeat(2 * 1024 * 1024)).refused(413, "too_large");
    assert_eq!(server.stranger().get("/api/v1/task-schema").is(200)["title"], "Task");
    let catalogue = administrator.get("/api/v1/connectors").is(200);
    assert!(catalogue["items"].as_array().unwrap().iter().any(|item| item["kind"] == "file"));
}

#[test]
fn another_environments_tasks_and_runs_are_not_found() {
    let server = Server::start();
    server.sandbox();
    let production = server.administrator();
    let sandbox = production.environment("sandbox");
    let task = post(&production, "/api/v1/tasks", COPY).is(201);
    let run = production.send("POST", "/api/v1/tasks/copy/runs", &[], b"").is(201);
    for wanted in [task["summary"]["id"].as_str().unwrap(), "copy"] {
        let path = format!("/api/v1/tasks/{wanted}");
        sandbox.get(&path).refused(404, "not_found");
        put(&sandbox, &path, "*", COPY).refused(404, "not_found");
        sandbox.get(&format!("{path}/versions")).refused(404, "not_found");
        sandbox.send("POST", &format!("{path}/runs"), &[], b"").refused(404, "not_found");
        sandbox.delete(&path).refused(404, "not_found");
    }
    let path = format!("/api/v1/runs/{}", run["id"].as_str().unwrap());
    sandbox.get(&path).refused(404, "not_found");
    sandbox.get(&format!("{path}/log")).refused(404, "not_found");
    sandbox.get(&format!("{path}/log/stream")).refused(404, "not_found");
    sandbox.send("POST", &format!("{path}/cancel"), &[], b"").refused(404, "not_found");
    assert_eq!(sandbox.get("/api/v1/runs").is(200)["total"], 0);
    assert_eq!(production.get(&path).is(200)["steps"].as_array().unwrap().len(), 2);
    production.get("/api/v1/runs/run_nonsense").refused(404, "not_found");
}

#[test]
fn one_idempotency_key_starts_one_run() {
    let server = Server::start();
    let administrator = server.administrator();
    post(&administrator, "/api/v1/tasks", COPY).is(201);
    let start = |key: &str| administrator.send("POST", "/api/v1/tasks/copy/runs", &[("idempotency-key", key)], b"");
    let first = start("a").is(201);
    assert_eq!(start("a").is(200)["id"], first["id"]);
    assert_ne!(start("b").is(201)["id"], first["id"]);
    start(&"x".repeat(201)).refused(400, "bad_request");
    post(&administrator, "/api/v1/tasks", &COPY.replace("task: copy", "task: idle\nactive: false")).is(201);
    administrator.send("POST", "/api/v1/tasks/idle/runs", &[], b"").refused(409, "task_inactive");
    administrator.get("/api/v1/runs?state=sleeping").refused(422, "invalid");
    assert_eq!(administrator.get("/api/v1/runs?task=copy").is(200)["total"], 2);
}
