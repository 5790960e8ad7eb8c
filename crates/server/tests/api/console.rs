//! What the console asks for besides: people, saved views, the audit, an agent's history and uses, a log's download.

use std::time::Duration;

use sallyport_protocol::{InstanceId, LogBatch, LogLevel, LogLine, Timestamp};
use sallyport_store::LogSource;
use serde_json::json;

use crate::server::{EMAIL, Server};

/// Asks again until there is an answer.
fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1500 {
        if let Some(answer) = ask() {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("it did not come true within 30 s");
}

#[test]
fn the_people_of_the_company_are_listed_without_secrets() {
    let server = Server::start();
    let answer = server.administrator().get("/api/v1/users");
    assert_eq!(answer.is(200)["items"][0]["email"], EMAIL);
    assert!(!answer.text().contains("password"), "{}", answer.text());
    server.stranger().get("/api/v1/users").refused(401, "not_logged_in");
}

#[test]
fn views_belong_to_a_person_and_an_environment() {
    let server = Server::start();
    server.sandbox();
    let ada = server.administrator();
    let path = "/api/v1/views/agents/Offline%20ones";
    ada.json("PUT", path, &[], &json!({ "query": "status=offline" })).is(200);
    let views = ada.get("/api/v1/views").is(200);
    assert_eq!(views["items"], json!([{ "list": "agents", "name": "Offline ones", "query": "status=offline" }]));
    assert_eq!(ada.environment("sandbox").get("/api/v1/views").is(200)["total"], 0);
    ada.json("PUT", "/api/v1/views/secrets/x", &[], &json!({ "query": "" })).refused(422, "invalid");
    ada.json("PUT", "/api/v1/views/agents/%20", &[], &json!({ "query": "" })).refused(422, "invalid");
    let long = json!({ "query": "x".repeat(3000) });
    ada.json("PUT", path, &[], &long).refused(422, "invalid");
    assert_eq!(ada.delete(path).status, 204);
    ada.delete(path).refused(404, "not_found");
}

#[test]
fn what_people_change_is_in_the_audit_and_what_they_read_is_not() {
    let server = Server::start();
    let ada = server.administrator();
    let agent = ada.post("/api/v1/agents", &json!({ "name": "one" })).is(201);
    ada.patch("/api/v1/agents/one", "*", &json!({ "name": "two" })).is(200);
    ada.post("/api/v1/agents/background/restart", &json!({})).refused(409, "background_agent");
    ada.post("/api/v1/agents", &json!({ "nmae": "x" })).refused(422, "invalid");
    ada.get("/api/v1/agents").is(200);
    ada.json("PUT", "/api/v1/variables/region", &[], &json!({ "value": "north" })).is(200);
    let token = ada.post("/api/v1/tokens", &json!({ "name": "ci" })).is(201)["secret"].as_str().unwrap().to_owned();
    ada.with_token(&token).delete("/api/v1/variables/region").is(204);

    let audit = ada.get("/api/v1/audit").is(200);
    let lines: Vec<_> = audit["items"].as_array().unwrap().iter().rev().collect();
    let said: Vec<_> =
        lines.iter().map(|line| (line["action"].as_str().unwrap(), line["status"].as_u64().unwrap())).collect();
    let expected = [
        ("agent.add", 201),
        ("agent.change", 200),
        ("agent.restart", 409),
        ("variable.change", 200),
        ("token.add", 201),
        ("variable.remove", 204),
    ];
    assert_eq!(said, expected);
    assert_eq!((&lines[0]["target"], &lines[0]["target_name"]), (&agent["id"], &json!("one")));
    assert_eq!(lines[1]["target_name"], "one");
    assert_eq!((&lines[0]["who"], &lines[0]["by_api_token"]), (&json!(EMAIL), &json!(false)));
    assert_eq!(lines[5]["by_api_token"], true);
    assert_eq!(ada.get("/api/v1/audit?action=agent").is(200)["total"], 3);
    assert_eq!(ada.get("/api/v1/audit?search=background").is(200)["total"], 1);
}

#[test]
fn an_agents_uses_are_the_active_steps_that_it_serves() {
    let server = Server::start();
    let ada = server.administrator();
    ada.post("/api/v1/agents", &json!({ "name": "one" })).is(201);
    let task = "task: t\nsteps:\n- {name: read, connector: file, agent: one, with: {path: in.csv}}\n\
                - {name: write, connector: file, agent: background, input: read, with: {path: out.csv}}\n";
    ada.send("POST", "/api/v1/tasks", &[], task.as_bytes()).is(201);
    let uses = ada.get("/api/v1/agents/one/uses").is(200);
    assert_eq!(uses["items"], json!([{ "task": "t", "step": "read" }]));
    // The background agent comes online with the server.
    let history = until(|| {
        let history = ada.get("/api/v1/agents/background/history").is(200);
        (history["total"] != 0).then_some(history)
    });
    assert!(history["items"][0]["since"].is_string() && history["items"][0]["until"].is_null(), "{history}");
    assert_eq!(ada.get("/api/v1/agents/one/history").is(200)["total"], 0);
    ada.get("/api/v1/agents/nobody/uses").refused(404, "not_found");
}

#[test]
fn runs_are_found_by_agent_name_and_trigger() {
    let server = Server::start();
    let ada = server.administrator();
    ada.post("/api/v1/agents", &json!({ "name": "one" })).is(201);
    let task = "task: copy-orders\nsteps:\n- {name: read, connector: file, agent: one, with: {path: in.csv}}\n\
                - {name: write, connector: file, agent: one, input: read, with: {path: out.csv}}\n";
    ada.send("POST", "/api/v1/tasks", &[], task.as_bytes()).is(201);
    let run = ada.post("/api/v1/tasks/copy-orders/runs", &json!({})).is(201);
    let total = |query: &str| ada.get(&format!("/api/v1/runs?{query}")).is(200)["total"].clone();
    assert_eq!(total("agent=one"), 1);
    assert_eq!(total("agent=background"), 0);
    assert_eq!(total("search=ORDERS&trigger=person"), 1);
    assert_eq!(total("trigger=schedule"), 0);
    ada.get("/api/v1/runs?agent=nobody").refused(404, "not_found");
    let steps = ada.get(&format!("/api/v1/runs/{}", run["id"].as_str().unwrap())).is(200)["steps"].clone();
    assert_eq!((&steps[0]["does"], &steps[0]["inputs"]), (&json!("file"), &json!([])));
    assert_eq!(steps[1]["inputs"], json!(["read"]));
}

#[test]
fn the_whole_log_is_downloaded_as_text() {
    let server = Server::start();
    let ada = server.administrator();
    let agent = ada.post("/api/v1/agents", &json!({ "name": "one" })).is(201);
    let id = agent["id"].as_str().unwrap().parse().unwrap();
    let line = |number: i64| LogLine {
        at: Timestamp(number),
        level: if number % 10 == 0 { LogLevel::Error } else { LogLevel::Info },
        target: "sallyport".into(),
        event: None,
        message: format!("line {number}\nand more"),
        run: None,
    };
    let batch = LogBatch { seq: 1, dropped: 0, lines: (1..=1200).map(line).collect() };
    server.store(async |store| {
        store.store_log_batch(id, LogSource::Agent, InstanceId::new(), batch, Timestamp(6)).await.unwrap()
    });
    let file = ada.get("/api/v1/agents/one/log/download");
    assert_eq!(file.status, 200);
    assert!(file.header("content-disposition").contains("filename=\"one.log\""));
    let text = file.text();
    let entries: Vec<_> = text.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(entries.len(), 1200);
    assert!(entries[0].ends_with("Info    agent sallyport: line 1"), "{}", entries[0]);
    assert!(entries[1199].ends_with("line 1200"));
    let errors = ada.get("/api/v1/agents/one/log/download?level=Error").text();
    assert_eq!(errors.lines().filter(|line| line.contains(" Error ")).count(), 120);
    let first = ada.get("/api/v1/agents/one/log?sort=seq&limit=1").is(200)["items"][0]["seq"].as_i64().unwrap();
    let before = ada.get(&format!("/api/v1/agents/one/log?before={}&sort=-seq", first + 10)).is(200);
    assert_eq!((&before["total"], &before["items"][0]["seq"]), (&json!(10), &json!(first + 9)));
}
