//! What is known of an agent's health, and what its wrapper may ask.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sallyport_protocol::{Clock, Crash, ExitCause, RequestId, Timestamp};
use serde_json::json;

use crate::download::{basic, open};
use crate::server::{Answer, Client, Server};

fn checkup(client: &Client, basic: &str) -> Answer {
    client.send("GET", "/connect/checkup", &[("authorization", basic)], b"")
}

fn login(client: &Client, agent: &str) -> String {
    client.post("/api/v1/agents", &json!({ "name": agent })).is(201);
    basic(&mut open(&client.get(&format!("/api/v1/agents/{agent}/download?platform=linux-x86_64"))))
}

/// The user of one login with the password of another.
fn mixed(user: &str, password: &str) -> String {
    let part = |login: &str, index: usize| {
        let text = STANDARD.decode(login.trim_start_matches("Basic ")).unwrap();
        String::from_utf8(text).unwrap().split(':').nth(index).unwrap().to_owned()
    };
    format!("Basic {}", STANDARD.encode(format!("{}:{}", part(user, 0), part(password, 1))))
}

#[test]
fn a_login_may_ask_what_it_would_meet() {
    let server = Server::start();
    server.release("linux-x86_64", "");
    server.sandbox();
    let administrator = server.administrator();
    let mine = login(&administrator, "mine");
    let theirs = login(&administrator.environment("sandbox"), "theirs");
    let stranger = server.stranger();
    let good = checkup(&stranger, &mine).is(200);
    assert_eq!((&good["name"], &good["online"], &good["agents_online"]), (&json!("mine"), &json!(false), &json!(0)));
    assert!(good["versions"]["max"].is_u64() && good["server_time"].is_i64(), "{good}");
    let code = |basic: &str| checkup(&stranger, basic).json()["refusal"]["code"].clone();
    assert_eq!(code(&mixed(&mine, &theirs)), "other_environment");
    assert_eq!(code("Basic eDp5"), "unknown_agent");
    let shown = administrator.get("/api/v1/agents/mine").is(200);
    assert_eq!(shown["liveness"]["cause"], "credentials", "{shown}");
    assert_eq!(shown["liveness"]["agent"]["state"], "unknown", "{shown}");
    let listed = administrator.get("/api/v1/agents").is(200);
    assert!(listed["items"].as_array().unwrap().iter().all(|agent| agent["liveness"].is_null()), "{listed}");
}

#[test]
fn crashes_are_listed_and_downloaded_in_their_environment_alone() {
    let server = Server::start();
    server.sandbox();
    let administrator = server.administrator();
    let made = administrator.post("/api/v1/agents", &json!({ "name": "broken" })).is(201);
    assert_eq!(administrator.get("/api/v1/agents/broken/crashes").is(200)["items"], json!([]));
    let id = made["id"].as_str().unwrap().parse().unwrap();
    let crash = Crash {
        at: Timestamp(1_000_000),
        program: "agent".to_owned(),
        version: "1.2.3".to_owned(),
        os: "x".to_owned(),
        cause: ExitCause::Panic,
        message: "no such row".to_owned(),
        thread: Some("main".to_owned()),
        place: None,
        stack: "0: main".to_owned(),
        last_lines: vec!["the last line".to_owned()],
        file: "uncaughtException-1.json".to_owned(),
    };
    let now = Clock::system().now();
    let twice = server.store(async |store| {
        [store.note_crash(id, crash.clone(), now).await.unwrap(), store.note_crash(id, crash, now).await.unwrap()]
    });
    assert_eq!(twice, [true, false]);
    let listed = administrator.get("/api/v1/agents/broken/crashes").is(200);
    assert_eq!((&listed["total"], &listed["items"][0]["cause"]), (&json!(1), &json!("panic")), "{listed}");
    let path = "/api/v1/agents/broken/crashes/uncaughtException-1.json";
    let whole = administrator.get(path);
    assert!(whole.header("content-disposition").contains("uncaughtException-1.json"));
    assert_eq!(whole.is(200)["last_lines"], json!(["the last line"]));
    assert_eq!(administrator.get("/api/v1/agents/broken").is(200)["last_crash"]["message"], "no such row");
    administrator.get("/api/v1/agents/broken/crashes/other.json").refused(404, "not_found");
    administrator.environment("sandbox").get(path).refused(404, "not_found");
}

#[test]
fn without_a_wrapper_nothing_is_examined_and_no_bundle_is_taken_unasked() {
    let server = Server::start();
    server.release("linux-x86_64", "");
    let administrator = server.administrator();
    let mine = login(&administrator, "away");
    for verb in ["doctor", "bundle"] {
        administrator.post(&format!("/api/v1/agents/away/{verb}"), &json!({})).refused(409, "agent_offline");
    }
    let path = format!("/connect/bundle?request={}", RequestId::new());
    let stranger = server.stranger();
    assert_eq!(stranger.send("POST", &path, &[("authorization", &mine)], b"PK").status, 410);
    assert_eq!(stranger.send("POST", &path, &[], b"PK").status, 401);
}
