//! Parameters of runs and variables of the environment.

use serde_json::json;

use crate::server::Server;

const DAILY: &str = "
task: daily
parameters:
  - { name: day, type: date, required: true }
  - { name: mode, choices: [full, delta], default: delta }
steps:
  - { name: read, connector: file, agent: background, with: { path: '{{ variables.folder }}/{{ parameters.day }}.csv' } }
";

#[test]
fn variables_are_set_listed_and_removed_and_are_no_place_for_secrets() {
    let server = Server::start();
    server.sandbox();
    let person = server.administrator();
    let set = |name: &str, value: &str| {
        person.json("PUT", &format!("/api/v1/variables/{name}"), &[], &json!({ "value": value }))
    };
    assert_eq!(set("folder", "in").is(200)["value"], "in");
    assert_eq!(set("folder", "out").is(200)["value"], "out");
    let listed = person.get("/api/v1/variables").is(200);
    assert_eq!((&listed["total"], &listed["items"][0]["value"]), (&json!(1), &json!("out")));
    assert_eq!(person.environment("sandbox").get("/api/v1/variables").is(200)["total"], 0);

    let refused = set("db_password", "x");
    refused.refused(422, "invalid");
    assert!(refused.json()["detail"].as_str().unwrap().contains("connection's `secrets`"));
    set("a-b", "x").refused(422, "invalid");
    set("long", &"x".repeat(9000)).refused(422, "invalid");

    assert_eq!(person.delete("/api/v1/variables/folder").status, 204);
    person.delete("/api/v1/variables/folder").refused(404, "not_found");
}

#[test]
fn a_task_names_variables_that_exist_and_a_run_gets_parameters_that_fit() {
    let server = Server::start();
    let person = server.administrator();
    let save = || person.send("POST", "/api/v1/tasks", &[("content-type", "application/yaml")], DAILY.as_bytes());
    let refused = save();
    refused.refused(422, "invalid_task");
    assert_eq!(refused.json()["problems"][0]["code"], "expression");
    person.json("PUT", "/api/v1/variables/folder", &[], &json!({ "value": "in" })).is(200);
    save().is(201);

    let start =
        |parameters: serde_json::Value| person.post("/api/v1/tasks/daily/runs", &json!({ "parameters": parameters }));
    let run = start(json!({ "day": "2026-01-31" })).is(201);
    assert_eq!(run["parameters"], json!({ "day": "2026-01-31", "mode": "delta" }));
    let shown = person.get(&format!("/api/v1/runs/{}", run["id"].as_str().unwrap())).is(200);
    assert_eq!(shown["parameters"], run["parameters"]);

    let refused = start(json!({ "mode": "fast", "dya": 1 }));
    refused.refused(422, "invalid");
    let problems = refused.json()["problems"].clone();
    let paths: Vec<_> = problems.as_array().unwrap().iter().map(|problem| problem["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/parameters/dya", "/parameters/day", "/parameters/mode"]);
    assert!(person.post("/api/v1/tasks/daily/runs", &json!({ "parameters": [] })).status >= 400);
}
