//! Agents: made, changed, deactivated.

use serde_json::json;

use crate::server::Server;

#[test]
fn an_agent_is_made_with_a_name_that_can_name_a_file_and_is_not_taken() {
    let server = Server::start();
    let administrator = server.administrator();
    let made = administrator.post("/api/v1/agents", &json!({ "name": "client-server", "levels": { "file": "Debug" } }));
    let agent = made.is(201);
    assert_eq!(made.header("etag"), "\"1\"");
    assert_eq!(made.header("location"), format!("/api/v1/agents/{}", agent["id"].as_str().unwrap()));
    assert_eq!(
        (&agent["status"], &agent["levels"]["file"], &agent["active"]),
        (&json!("offline"), &json!("Debug"), &json!(true))
    );
    for path in [agent["id"].as_str().unwrap(), "client-server"] {
        assert_eq!(administrator.get(&format!("/api/v1/agents/{path}")).is(200)["name"], "client-server");
    }
    administrator.post("/api/v1/agents", &json!({ "name": "CLIENT-server" })).refused(409, "name_taken");
    for name in ["", "../x", "a\\b", "background", &"x".repeat(65), "a\nb"] {
        administrator.post("/api/v1/agents", &json!({ "name": name })).refused(422, "invalid");
    }
    administrator.post("/api/v1/agents", &json!({ "name": "x", "levels": { "file": "Loud" } })).refused(422, "invalid");
    administrator.post("/api/v1/agents", &json!({ "nmae": "x" })).refused(422, "invalid");
    administrator.post("/api/v1/agents", &json!({ "name": "x", "platform": "amiga" })).refused(422, "invalid");
    let counts = administrator.get("/api/v1/agents-status").is(200);
    assert_eq!(counts["online"].as_u64().unwrap() + counts["offline"].as_u64().unwrap(), 2);
}

#[test]
fn an_edit_needs_the_version_it_is_based_on() {
    let server = Server::start();
    let administrator = server.administrator();
    administrator.post("/api/v1/agents", &json!({ "name": "one" })).is(201);
    let path = "/api/v1/agents/one";
    administrator.json("PATCH", path, &[], &json!({ "name": "two" })).refused(428, "version_required");
    administrator.patch(path, "\"9\"", &json!({ "name": "two" })).refused(412, "changed_meanwhile");
    administrator.patch(path, "nonsense", &json!({ "name": "two" })).refused(400, "bad_request");
    let edited = administrator.patch(path, "\"1\"", &json!({ "levels": { "file": "Trace", "console": "Error" } }));
    assert_eq!(edited.is(200)["levels"], json!({ "file": "Trace", "console": "Error" }));
    assert_eq!(edited.header("etag"), "\"2\"");
    administrator.patch(path, "\"1\"", &json!({ "name": "two" })).refused(412, "changed_meanwhile");
    assert_eq!(administrator.patch(path, "*", &json!({ "name": "two" })).is(200)["name"], "two");
    let levels = administrator.put("/api/v1/agents/two/levels", "*", &json!({ "file": "Info", "console": "Info" }));
    assert_eq!(levels.is(200)["version"], 4);
    administrator.patch("/api/v1/agents/background", "*", &json!({ "name": "x" })).refused(409, "background_agent");
}

#[test]
fn another_environments_agents_are_not_found_on_any_route() {
    let server = Server::start();
    server.sandbox();
    let production = server.administrator();
    let sandbox = production.environment("sandbox");
    let agent = production.post("/api/v1/agents", &json!({ "name": "one" })).is(201);
    for wanted in [agent["id"].as_str().unwrap(), "one"] {
        let path = format!("/api/v1/agents/{wanted}");
        sandbox.get(&path).refused(404, "not_found");
        sandbox.patch(&path, "*", &json!({ "name": "x" })).refused(404, "not_found");
        sandbox.get(&format!("{path}/download")).refused(404, "not_found");
        sandbox.get(&format!("{path}/log")).refused(404, "not_found");
        sandbox.put(&format!("{path}/levels"), "*", &json!({})).refused(404, "not_found");
        for action in ["restart", "deactivate", "reactivate", "rotate"] {
            sandbox.send("POST", &format!("{path}/{action}"), &[], b"").refused(404, "not_found");
        }
    }
    assert_eq!(sandbox.get("/api/v1/agents").is(200)["total"], 1, "its own background agent");
    sandbox.post("/api/v1/agents", &json!({ "name": "one" })).is(201);
    production.environment("nowhere").get("/api/v1/agents").refused(404, "not_found");
}

#[test]
fn an_agent_is_deactivated_unless_an_active_step_needs_it() {
    let server = Server::start();
    let administrator = server.administrator();
    administrator.post("/api/v1/agents", &json!({ "name": "one" })).is(201);
    let task = |active: bool| {
        format!(
            "task: copy\nactive: {active}\nsteps:\n- name: read\n  connector: file\n  agent: one\n  with: {{path: in.csv}}\n\
             - name: write\n  connector: file\n  agent: one\n  input: read\n  with: {{path: out.csv}}\n"
        )
    };
    administrator.send("POST", "/api/v1/tasks", &[], task(true).as_bytes()).is(201);
    let deactivate = || administrator.send("POST", "/api/v1/agents/one/deactivate", &[], b"");
    let refused = deactivate();
    refused.refused(409, "in_use");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("copy") && detail.contains("read"), "{detail}");
    administrator.patch("/api/v1/agents/one", "*", &json!({ "name": "two" })).refused(409, "in_use");

    administrator.send("PUT", "/api/v1/tasks/copy", &[("if-match", "*")], task(false).as_bytes()).is(200);
    assert_eq!(deactivate().is(200)["active"], false);
    assert_eq!(administrator.get("/api/v1/agents?active=false").is(200)["total"], 1);
    let reactivated = administrator.send("POST", "/api/v1/agents/one/reactivate", &[], b"");
    assert_eq!(reactivated.is(200)["active"], true);
    let background = administrator.send("POST", "/api/v1/agents/background/deactivate", &[], b"");
    background.refused(409, "background_agent");
    administrator.send("POST", "/api/v1/agents/one/restart", &[], b"").refused(409, "agent_offline");
}

#[test]
fn a_name_that_is_no_text_is_a_problem_like_any_other() {
    let server = Server::start();
    let administrator = server.administrator();
    for path in ["/api/v1/agents/%FF", "/api/v1/runs/%FF/log", "/api/v1/connections/%FF"] {
        administrator.get(path).refused(400, "bad_request");
    }
}
