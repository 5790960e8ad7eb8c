//! Limits of runs at one time, and what a run says that waits for one.

use serde_json::json;

use crate::server::Server;

const WAITING: &str = "
task: TASK
limit: 10
steps: [{ name: read, connector: file, agent: pc, with: { path: a.csv } }]
";

#[test]
fn limits_are_set_and_taken_away() {
    let server = Server::start();
    server.sandbox();
    let person = server.administrator();
    person.post("/api/v1/agents", &json!({ "name": "pc" })).is(201);
    let set = |place: &str, limit: i64| {
        person.json("PUT", &format!("/api/v1/limits/{place}"), &[], &json!({ "limit": limit }))
    };
    set("agent/pc", 2).is(200);
    set("agent/PC", 3).is(200);
    set("environment/production", 5).is(200);
    set("agent/pc", 0).refused(422, "invalid");
    set("agent/nobody", 1).refused(404, "not_found");
    set("environment/sandbox", 1).refused(422, "invalid");
    set("task/copy", 1).refused(422, "invalid");
    let listed = person.get("/api/v1/limits").is(200)["items"].clone();
    let expected = json!([
        { "kind": "agent", "name": "pc", "limit": 3 }, { "kind": "environment", "name": "production", "limit": 5 },
    ]);
    assert_eq!(listed, expected);
    assert_eq!(person.environment("sandbox").get("/api/v1/limits").is(200)["items"], json!([]));
    assert_eq!(person.delete("/api/v1/limits/agent/pc").status, 204);
    assert_eq!(person.get("/api/v1/limits").is(200)["items"].as_array().unwrap().len(), 1);
}

#[test]
fn a_run_that_waits_says_for_what() {
    let server = Server::start();
    let person = server.administrator();
    person.post("/api/v1/agents", &json!({ "name": "pc" })).is(201);
    person.json("PUT", "/api/v1/limits/agent/pc", &[], &json!({ "limit": 1 })).is(200);
    let start = |task: &str| {
        let document = WAITING.replace("TASK", task);
        person.send("POST", "/api/v1/tasks", &[("content-type", "application/yaml")], document.as_bytes()).is(201);
        let run = person.send("POST", &format!("/api/v1/tasks/{task}/runs"), &[], b"").is(201);
        run["id"].as_str().unwrap().to_owned()
    };
    let (first, second) = (start("one"), start("two"));
    let shown = || person.get(&format!("/api/v1/runs/{second}")).is(200);
    let reason = format!("waiting: agent `pc` serves at most 1 run at one time, 1 is running ({first})");
    assert_eq!((&shown()["state"], &shown()["reason"]), (&json!("scheduled"), &json!(reason)));
    let listed = person.get("/api/v1/runs?state=scheduled").is(200);
    assert_eq!(listed["items"][0]["reason"], json!(reason));
}
