//! The wrapper's own connection: what the server hears, and what it may ask for.

use sallyport_protocol::{AgentExit, ServerToWrapper, WrapperMessage};
use serde_json::json;

use crate::home::eventually;
use crate::server::Server;

fn exit(message: WrapperMessage) -> Option<AgentExit> {
    match message {
        WrapperMessage::AgentExited { exit } => Some(exit),
        _ => None,
    }
}

#[test]
fn it_is_online_and_reports_what_the_agent_does() {
    let server = Server::start();
    let home = server.home(&json!({}));
    let wrapper = home.start_running();
    let presence = server.hear(|message| match message {
        WrapperMessage::Hello { presence, .. } => Some(presence),
        _ => None,
    });
    assert_eq!(presence.process_id, wrapper.process_id());
    assert_eq!(presence.agent_version.as_deref(), Some("9.9.9"));
    assert_eq!(presence.ip_address.as_deref(), Some("127.0.0.1"));
    assert!(presence.wrapper_version.is_some() && presence.can_write && presence.can_execute_process);
    let logins = server.logins();
    assert!(logins.iter().all(|login| login.eq_ignore_ascii_case("authorization: Basic dTpodW50ZXIy")), "{logins:?}");
    // The two come in either order.
    let text = format!("Online as \"client-server\" at {}", server.address);
    let (mut started, mut online) = (false, false);
    server.hear(|message| {
        match message {
            WrapperMessage::AgentStarted { .. } => started = true,
            WrapperMessage::Logs { batch } => online |= batch.lines.iter().any(|line| line.message.starts_with(&text)),
            _ => {}
        }
        (started && online).then_some(())
    });
    let (_, status, _) = home.run(&["status"]);
    assert!(status.contains("Server   online as \"client-server\""), "{status}");

    home.run(&["stop"]);
    assert!(server.hear(exit).expected);
    server.hear(|message| matches!(message, WrapperMessage::Leaving { .. }).then_some(()));
    assert_eq!(wrapper.end().0, 0);
    assert_eq!(home.read("state/spool/wrapper-reports.json"), "[]");
}

#[test]
fn the_platform_can_have_the_agent_restarted() {
    let server = Server::start();
    let home = server.home(&json!({}));
    let _wrapper = home.start_running();
    server.hear(|message| matches!(message, WrapperMessage::AgentStarted { .. }).then_some(()));
    server.say(ServerToWrapper::RestartAgent { reason: "test".to_owned() });
    let exit = server.hear(exit);
    assert!(exit.expected && exit.next_start_ms == 0);
    eventually("another agent runs", || home.starts().len() == 2);
    assert_eq!(home.read("Agent/ends"), "stopped\n");
}

#[test]
fn reports_that_nobody_heard_survive_a_restart_of_the_wrapper() {
    let server = Server::start();
    let home = server.home(&json!({}));
    home.settings("https://127.0.0.1:1", &json!({}));
    home.write("Agent/exit-with", "3");
    let wrapper = home.start();
    eventually("it crashed", || home.read("state/spool/wrapper-reports.json").contains("\"agent_exited\""));
    wrapper.kill();

    std::fs::remove_file(home.path("Agent/exit-with")).unwrap();
    home.settings(&server.address, &json!({}));
    let _wrapper = home.start_running();
    let exit = server.hear(exit);
    assert_eq!((exit.code, exit.stderr.len()), (Some(3), 40));
    eventually("the server's hearing is proved", || home.read("state/spool/wrapper-reports.json") == "[]");
}

#[test]
fn a_heartbeat_without_an_answer_breaks_the_connection_and_reports_are_repeated() {
    let server = Server::start();
    server.manners.lock().unwrap().silent = true;
    let home = server.home(&json!({ "ReconnectTimeoutSeconds": 1 }));
    let _wrapper = home.start();
    let started = |message| match message {
        WrapperMessage::AgentStarted { process_id, .. } => Some(process_id),
        _ => None,
    };
    let first = server.hear(started);
    server.hear(|message| matches!(message, WrapperMessage::Hello { .. }).then_some(()));
    server.manners.lock().unwrap().silent = false;
    assert_eq!(server.hear(started), first);
    eventually("the server's hearing is proved", || home.read("state/spool/wrapper-reports.json") == "[]");
    assert!(home.wrapper_log().contains("logName=heartbeatFailed, heartbeat not acknowledged"));
}

#[test]
fn a_server_that_goes_away_is_found_again() {
    let server = Server::start();
    let home = server.home(&json!({}));
    let _wrapper = home.start_running();
    let hello = |message| matches!(message, WrapperMessage::Hello { .. }).then_some(());
    server.hear(hello);
    server.say(ServerToWrapper::GoAway { spread_ms: 200 });
    server.hear(hello);
}

#[test]
fn a_refused_login_is_said_with_its_reason_and_the_agent_runs_on() {
    let server = Server::start();
    let message = "Agent client-server is deactivated; reactivate it on the platform.";
    let body = json!({ "refusal": { "code": "deactivated", "message": message } }).to_string();
    server.manners.lock().unwrap().refuse = Some((403, body));
    let home = server.home(&json!({}));
    let wrapper = home.start_running();
    eventually("the reason is shown", || home.run(&["status"]).1.contains(message));
    assert!(
        home.wrapper_log().contains("level=warning, logName=heartbeatFailed, the server does not let the wrapper in")
    );
    server.manners.lock().unwrap().refuse = None;
    server.hear(|message| matches!(message, WrapperMessage::Hello { .. }).then_some(()));
    assert_eq!(home.starts().len(), 1);
    drop(wrapper);
}

#[test]
fn a_trial_ends_when_the_login_is_refused() {
    let server = Server::start();
    server.manners.lock().unwrap().refuse = Some((401, "not ours".to_owned()));
    let home = server.home(&json!({ "IsTesting": true }));
    let wrapper = home.start();
    let (code, greeting) = wrapper.end();
    assert_eq!(code, 78);
    assert!(greeting.contains("IsTesting is set"), "{greeting}");
    assert!(home.wrapper_log().contains("check Username and Password"));
}

#[test]
fn an_unknown_authority_is_said_in_words() {
    let server = Server::start();
    let home = server.home(&json!({}));
    let other = Server::start();
    home.settings(&other.address, &json!({}));
    let _wrapper = home.start_running();
    eventually("the reason is shown", || {
        home.run(&["status"]).1.contains("signed by an authority that is not trusted here")
    });
}

#[test]
fn bodies_are_logged_on_demand_without_secrets() {
    let server = Server::start();
    let quiet = server.home(&json!({ "FileLogLevel": "Trace" }));
    let wrapper = quiet.start_running();
    server.hear(|message| matches!(message, WrapperMessage::AgentStarted { .. }).then_some(()));
    drop(wrapper);
    assert!(!quiet.wrapper_log().contains("body="));

    let talkative = server.home(&json!({ "FileLogLevel": "Debug", "LogAPICallBody": true }));
    let _wrapper = talkative.start_running();
    eventually("bodies are logged", || talkative.wrapper_log().contains("received, body="));
    assert!(!talkative.wrapper_log().contains("hunter2"));
}
