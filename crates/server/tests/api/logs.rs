//! Logs, read and followed.

use sallyport_protocol::{InstanceId, LogBatch, LogLevel, LogLine, RunId, Timestamp};
use sallyport_store::{LogSource, NewRun, RunCommit, RunLogLine, RunStand};
use serde_json::json;

use crate::server::{Client, Server};

/// A run that has ended, with two lines in its log.
fn ended_run(server: &Server, administrator: &Client) -> RunId {
    let task = "task: t\nsteps:\n- {name: read, connector: file, agent: background, with: {path: in.csv}}\n\
                - {name: write, connector: file, agent: background, input: read, with: {path: out.csv}}\n";
    administrator.send("POST", "/api/v1/tasks", &[], task.as_bytes()).is(201);
    server.store(async |store| {
        let company = store.all_companies().await.unwrap().remove(0);
        let environment = store.environment(company.id, None).await.unwrap().id;
        let task = store.task(environment, "t").await.unwrap();
        let id = RunId::new();
        let new = NewRun {
            id,
            environment,
            task: task.id,
            task_version: task.current.id,
            task_name: task.name,
            start_key: None,
            state: "scheduled".into(),
            trigger: "api".into(),
            who: "test".into(),
            trigger_name: None,
            due_at: None,
            late_at: None,
            priority: 0,
            parameters: serde_json::Map::new(),
            rerun_of: None,
            queued_at: Timestamp(1),
            machine: "{}".into(),
            steps: Vec::new(),
            stand: RunStand::default(),
            full_refresh: false,
        };
        store.start_run(new).await.unwrap();
        let line = |level, message: &str| RunLogLine {
            step: Some("read".into()),
            attempt: Some(1),
            at: Timestamp(2),
            level,
            message: message.into(),
        };
        let commit = RunCommit {
            id,
            expected: 1,
            state: "failed".into(),
            failure_kind: Some("connector".into()),
            reason: Some("no such file".into()),
            started_at: Some(Timestamp(2)),
            finished_at: Some(Timestamp(3)),
            machine: "{}".into(),
            steps: Vec::new(),
            log: vec![line(LogLevel::Info, "reading"), line(LogLevel::Error, "no such file")],
            checkpoints: Vec::new(),
        };
        store.commit_run(commit).await.unwrap();
        id
    })
}

#[test]
fn a_followed_run_gives_each_line_once_and_ends_with_the_run() {
    let server = Server::start();
    let administrator = server.administrator();
    let run = ended_run(&server, &administrator);
    let path = format!("/api/v1/runs/{run}/log");
    let log = administrator.get(&path).is(200);
    assert_eq!(log["total"], 2);
    let first = log["items"][0]["seq"].as_i64().unwrap();
    assert_eq!(administrator.get(&format!("{path}?level=Error")).is(200)["items"][0]["message"], "no such file");
    assert_eq!(administrator.get(&format!("{path}?after={first}")).is(200)["total"], 1);
    assert_eq!(administrator.get(&format!("{path}?step=write")).is(200)["total"], 0);
    administrator.get(&format!("{path}?level=loud")).refused(422, "invalid");

    let stream = administrator.get(&format!("{path}/stream"));
    assert_eq!(stream.header("content-type"), "text/event-stream");
    let text = stream.text();
    assert_eq!(text.matches("event: line").count(), 2, "{text}");
    assert!(text.trim_end().lines().rev().any(|line| line.contains("\"state\":\"failed\"")), "{text}");
    let seen = first.to_string();
    let rest = administrator.send("GET", &format!("{path}/stream"), &[("last-event-id", &seen)], b"").text();
    assert_eq!((rest.matches("event: line").count(), rest.matches("event: end").count()), (1, 1), "{rest}");

    let cancel = administrator.send("POST", &format!("/api/v1/runs/{run}/cancel"), &[], b"");
    cancel.refused(409, "run_ended");
}

#[test]
fn agents_logs_are_filtered() {
    let server = Server::start();
    let administrator = server.administrator();
    let agent = administrator.post("/api/v1/agents", &json!({ "name": "one" })).is(201);
    let id = agent["id"].as_str().unwrap().parse().unwrap();
    let line = |level, event: Option<&str>, message: &str| LogLine {
        at: Timestamp(5),
        level,
        target: "sallyport".into(),
        event: event.map(Into::into),
        message: message.into(),
        run: None,
    };
    let lines = vec![
        line(LogLevel::Info, None, "hello"),
        line(LogLevel::Warning, Some("heartbeatFailed"), "no answer"),
        line(LogLevel::Error, None, "broken"),
    ];
    let batch = LogBatch { seq: 1, dropped: 0, lines };
    server.store(async |store| {
        store.store_log_batch(id, LogSource::Wrapper, InstanceId::new(), batch, Timestamp(6)).await.unwrap()
    });
    let total = |query: &str| administrator.get(&format!("/api/v1/logs?agent=one&{query}")).is(200)["total"].clone();
    assert_eq!(total(""), 3);
    assert_eq!(total("level=warning"), 2);
    assert_eq!(total("event=heartbeatFailed"), 1);
    assert_eq!(total("source=wrapper&search=HELLO"), 1);
    assert_eq!(total("source=agent"), 0);
    assert_eq!(administrator.get("/api/v1/agents/one/log").is(200)["items"][0]["message"], "broken");
    administrator.get("/api/v1/logs?source=nobody").refused(422, "invalid");
    administrator.get("/api/v1/logs?agent=nobody").refused(404, "not_found");
}

#[test]
fn another_environments_lines_are_not_shown() {
    let server = Server::start();
    server.sandbox();
    let production = server.administrator();
    let sandbox = production.environment("sandbox");
    let ids: Vec<_> = [&production, &sandbox]
        .iter()
        .map(|client| {
            client.post("/api/v1/agents", &json!({ "name": "one" })).is(201)["id"].as_str().unwrap().to_owned()
        })
        .collect();
    let batch = |message: &str| LogBatch {
        seq: 1,
        dropped: 0,
        lines: vec![LogLine {
            at: Timestamp(5),
            level: LogLevel::Info,
            target: "sallyport".into(),
            event: None,
            message: message.into(),
            run: None,
        }],
    };
    server.store(async |store| {
        for (id, message) in ids.iter().zip(["of production", "of sandbox"]) {
            let id = id.parse().unwrap();
            store.store_log_batch(id, LogSource::Agent, InstanceId::new(), batch(message), Timestamp(6)).await.unwrap();
        }
    });
    for (client, own, other) in
        [(&production, "of production", "of sandbox"), (&sandbox, "of sandbox", "of production")]
    {
        for path in ["/api/v1/logs?agent=one", "/api/v1/logs", "/api/v1/agents/one/log"] {
            let text = client.get(path).text();
            assert!(text.contains(own) && !text.contains(other), "{path}: {text}");
        }
    }
    // Followed: what the other environment's agents say does not pass by either.
    let url = format!("{}/api/v1/logs/stream", sandbox.base);
    let agent =
        ureq::Agent::config_builder().timeout_global(Some(std::time::Duration::from_secs(30))).build().new_agent();
    let request = ureq::http::Request::builder()
        .uri(url)
        .header("authorization", format!("Bearer {}", sandbox.token.as_ref().unwrap()))
        .header("sallyport-environment", "sandbox")
        .header("last-event-id", "0");
    let answer = agent.run(request.body(()).unwrap()).unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(answer.into_body().into_reader()));
    let first = lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("data:"))).unwrap().unwrap();
    assert!(first.contains("of sandbox"), "{first}");
}
