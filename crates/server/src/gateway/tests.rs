//! Logins, admissions and what passes through a session, over real sockets.

use std::time::Duration;

use sallyport_domain::licence::Tier;
use sallyport_protocol::{
    AgentExit, AgentMessage, ConnectionOrder, ConnectionTest, InstallationId, InstanceId, Levels, LogBatch, LogLevel,
    LogLine, PreviewOrder, Refusal, RefusalCode, ServerToAgent, ServerToWrapper, Stage, Timestamp, Versions,
    WrapperMessage, path,
};
use sallyport_store::{Admit, AgentEdit, AgentUse, LogFilter, SessionKind};
use tokio::task::JoinSet;

use super::{AskError, exit_text};
use crate::rig::{Rig, hear, presence, say};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_says_why_as_http() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let good = rig.agent("one").await;
    let mut wrong = good.clone();
    wrong.password = "guess".into();
    let (status, body) = rig.dial(path::AGENT, &wrong).await.unwrap_err();
    assert_eq!(status, 401);
    assert!(body.contains("\"wrong_credentials\""), "{body}");

    let mut unknown = good.clone();
    unknown.agent = sallyport_protocol::AgentId::new();
    let (status, body) = rig.dial(path::DATA, &unknown).await.unwrap_err();
    assert_eq!(status, 401);
    assert!(body.contains("\"unknown_agent\""), "{body}");

    let edit = AgentEdit { active: Some(false), ..AgentEdit::default() };
    let rule = |_: &AgentUse<'_>| Ok::<(), sallyport_store::Error>(());
    rig.store.edit_agent(rig.environment, good.agent, (None, Timestamp(0)), edit, rule).await.unwrap();
    let (status, body) = rig.dial(path::WRAPPER, &good).await.unwrap_err();
    assert_eq!(status, 403);
    assert!(body.contains("\"deactivated\""), "{body}");

    rig.stop.cancel();
    let (status, body) = rig.dial(path::AGENT, &good).await.unwrap_err();
    assert_eq!(status, 503);
    assert!(body.contains("\"unavailable\""), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_agents_at_once_get_as_many_places_as_the_licence_has() {
    for (tier, places) in [(Tier::Trial, 1), (Tier::Standard, 3)] {
        let rig = std::sync::Arc::new(Rig::start(tier, LONG).await);
        let mut racers = JoinSet::new();
        for number in 0..10 {
            let login = rig.agent(&format!("agent {number}")).await;
            let rig = std::sync::Arc::clone(&rig);
            racers.spawn(async move {
                let mut agent = rig.hello(&login, InstanceId::new(), vec![]).await;
                let first = agent.next().await;
                (agent, first)
            });
        }
        let (mut in_, mut out) = (Vec::new(), 0);
        while let Some(raced) = racers.join_next().await {
            match raced.unwrap() {
                (agent, ServerToAgent::Welcome { .. }) => in_.push(agent),
                (_, ServerToAgent::Refused { refusal }) => {
                    assert_eq!(refusal.code, RefusalCode::LicenceFull);
                    assert_eq!(refusal.message, format!("Max parallel agents {places} reached."));
                    out += 1;
                }
                (_, other) => panic!("{other:?}"),
            }
        }
        assert_eq!((in_.len(), out), (places, 10 - places));
        let filter =
            LogFilter { search: Some(format!("Max parallel agents {places} reached.!")), ..LogFilter::default() };
        let lines = rig.store.agent_log(rig.environment, filter, Default::default()).await.unwrap();
        assert_eq!(usize::try_from(lines.total).unwrap(), out, "every refused agent's log says so");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_refused_while_the_first_process_answers() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut first = rig.online(&login, vec![]).await;
    let mut answering = JoinSet::new();
    // Reading answers pings.
    answering.spawn(async move {
        let last = first.next().await;
        (first, last)
    });
    let mut copy = rig.hello(&login, InstanceId::new(), vec![]).await;
    let ServerToAgent::Refused { refusal } = copy.next().await else { panic!("the copy was let in") };
    assert_eq!(refusal.code, RefusalCode::DuplicateIdentity);
    assert_eq!(refusal.message.matches("machine `machine`, folder `/opt/machine`, process 4711").count(), 2);
    let revoked =
        Refusal { code: RefusalCode::RevokedCredentials, message: "rotated".into(), retry_after_seconds: None };
    rig.gateway.disconnect(login.agent, revoked);
    let (_, last) = answering.join_next().await.unwrap().unwrap();
    assert!(matches!(last, ServerToAgent::Refused { refusal } if refusal.code == RefusalCode::RevokedCredentials));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_does_not_answer_is_replaced() {
    let rig = Rig::start(Tier::Trial, LONG).await;
    let login = rig.agent("one").await;
    // It holds its socket and never reads: no ping is answered.
    let silent = rig.online(&login, vec![]).await;
    let mut next = rig.hello(&login, InstanceId::new(), vec![]).await;
    assert!(matches!(next.next().await, ServerToAgent::Welcome { .. }));
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_process_takes_its_own_place_at_once() {
    let rig = Rig::start(Tier::Trial, LONG).await;
    let (login, instance) = (rig.agent("one").await, InstanceId::new());
    let mut half_open = rig.hello(&login, instance, vec![]).await;
    assert!(matches!(half_open.next().await, ServerToAgent::Welcome { .. }));
    let mut again = rig.hello(&login, instance, vec![]).await;
    assert!(matches!(again.next().await, ServerToAgent::Welcome { .. }));
    again.say(&AgentMessage::Heartbeat { seq: 1, said_at: rig.clock.now() }).await;
    assert!(matches!(again.next().await, ServerToAgent::HeartbeatAck { seq: 1, .. }));
    assert!(rig.gateway.clock_offset_micros(login.agent).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_without_overlap_are_refused() {
    let rig = Rig::start(Tier::Trial, LONG).await;
    let login = rig.agent("one").await;
    let mut socket = rig.dial(path::AGENT, &login).await.unwrap();
    let mut message = crate::rig::hello(InstanceId::new(), vec![]);
    if let AgentMessage::Hello { versions, .. } = &mut message {
        *versions = Versions { min: 900, max: 901, capabilities: vec![] };
    }
    say(&mut socket, &message).await;
    let ServerToAgent::Refused { refusal } = hear(&mut socket).await else { panic!("it was let in") };
    assert_eq!(refusal.code, RefusalCode::VersionTooOld);
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_levels_and_logs_pass_through_a_session() {
    let rig = Rig::start(Tier::Trial, LONG).await;
    let login = rig.agent("one").await;
    let mut agent = rig.online(&login, vec![]).await;

    let levels = Levels { file: LogLevel::Debug, console: LogLevel::Error };
    rig.gateway.set_levels(login.agent, levels);
    assert_eq!(agent.next().await, ServerToAgent::SetLevels { levels });

    let order = ConnectionOrder { name: "db".into(), settings: serde_json::json!({}), secrets: Default::default() };
    let test =
        ConnectionTest { stages: vec![Stage { stage: "port".into(), ok: false, detail: "closed".into(), millis: 1 }] };
    let asked = rig.gateway.test_connection(login.agent, "postgres", order);
    let answer = async {
        let ServerToAgent::TestConnection { request, .. } = agent.next().await else { panic!("no question") };
        agent.say(&AgentMessage::ConnectionTested { request, test: test.clone() }).await;
    };
    let (answered, ()) = tokio::join!(asked, answer);
    assert_eq!(answered.unwrap(), test);

    // What an agent has not said that it can, it is not asked for.
    let order = PreviewOrder {
        step: "orders".into(),
        kind: "file".into(),
        connection: None,
        settings: serde_json::json!({}),
        rows: 1,
        who: String::new(),
    };
    assert_eq!(rig.gateway.preview(login.agent, order).await, Err(AskError::TooOld));

    let line = LogLine {
        at: Timestamp(1),
        level: LogLevel::Info,
        target: "t".into(),
        event: None,
        message: "hello from the site".into(),
        run: None,
    };
    let batch = LogBatch { seq: 1, dropped: 0, lines: vec![line] };
    for _ in 0..2 {
        agent.say(&AgentMessage::Logs { batch: batch.clone() }).await;
        assert_eq!(agent.next().await, ServerToAgent::LogsAck { seq: 1 });
    }
    let filter = LogFilter { search: Some("hello from the site".into()), ..LogFilter::default() };
    let stored = rig.store.agent_log(rig.environment, filter, Default::default()).await.unwrap();
    assert_eq!(stored.total, 1, "a repeated batch is stored once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapper_says_why_its_agent_is_down_and_restarts_it() {
    let rig = Rig::start(Tier::Trial, LONG).await;
    let login = rig.agent("one").await;
    let mut socket = rig.dial(path::WRAPPER, &login).await.unwrap();
    let hello = WrapperMessage::Hello {
        versions: Versions::ours(&[]),
        presence: presence("machine", 1),
        installation: InstallationId::new(),
        instance: InstanceId::new(),
    };
    say(&mut socket, &hello).await;
    assert!(matches!(hear(&mut socket).await, ServerToWrapper::Welcome { .. }));
    let exit = AgentExit {
        at: Timestamp(5),
        code: Some(101),
        stderr: vec!["thread panicked".into()],
        restarts: 2,
        next_start_ms: 2000,
        ..AgentExit::default()
    };
    for _ in 0..2 {
        say(&mut socket, &WrapperMessage::AgentExited { exit: exit.clone() }).await;
    }
    say(&mut socket, &WrapperMessage::Heartbeat { seq: 1, said_at: Timestamp(0) }).await;
    assert!(matches!(hear(&mut socket).await, ServerToWrapper::HeartbeatAck { seq: 1, .. }));
    let filter = LogFilter { event: Some("uncaughtException".into()), ..LogFilter::default() };
    let lines = rig.store.agent_log(rig.environment, filter, Default::default()).await.unwrap().items;
    let texts: Vec<_> = lines.iter().map(|line| line.message.as_str()).collect();
    assert_eq!(texts, ["agent process exited with code 101, restarting in 2 s (3rd restart)"]);
    let agent = rig.store.agent(rig.environment, "one").await.unwrap();
    assert_eq!(agent.last_exit, Some(exit));

    rig.gateway.restart(login.agent, "eva", "it hangs").await.unwrap();
    let reason = "agent `one` was restarted by eva: it hangs".to_owned();
    let told = loop {
        match hear(&mut socket).await {
            // Said whenever it changes.
            ServerToWrapper::AgentSeen { .. } => {}
            told => break told,
        }
    };
    assert_eq!(told, ServerToWrapper::RestartAgent { reason });
}

#[tokio::test(flavor = "multi_thread")]
async fn at_its_stop_the_server_says_when_to_come_again() {
    let rig = Rig::start(Tier::Trial, LONG).await;
    let login = rig.agent("one").await;
    let mut agent = rig.online(&login, vec![]).await;
    rig.gateway.go_away(Duration::from_secs(5));
    assert!(matches!(agent.next().await, ServerToAgent::GoAway { .. }));
}

#[test]
fn an_exit_reads_like_a_sentence() {
    let exit = |code, signal, restarts, next_start_ms, expected| {
        exit_text(&AgentExit { code, signal, restarts, next_start_ms, expected, ..AgentExit::default() })
    };
    assert_eq!(
        exit(Some(1), None, 0, 1500, false),
        "agent process exited with code 1, restarting in 2 s (1st restart)"
    );
    assert_eq!(
        exit(None, Some(9), 10, 500, false),
        "agent process was ended by signal 9, restarting in 500 ms (11th restart)"
    );
    assert_eq!(exit(Some(0), None, 3, 0, true), "agent process exited with code 0, as asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_rotated_between_login_and_hello_opens_nothing() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut agent = rig.dial(path::AGENT, &login).await.unwrap();
    let mut wrapper = rig.dial(path::WRAPPER, &login).await.unwrap();
    rig.store.revoke_credentials(rig.environment, login.agent, rig.clock.now()).await.unwrap();
    say(&mut agent, &crate::rig::hello(InstanceId::new(), vec![])).await;
    let ServerToAgent::Refused { refusal } = hear(&mut agent).await else { panic!("the agent was let in") };
    assert_eq!(refusal.code, RefusalCode::RevokedCredentials);
    let hello = WrapperMessage::Hello {
        versions: Versions::ours(&[]),
        presence: presence("machine", 1),
        installation: InstallationId::new(),
        instance: InstanceId::new(),
    };
    say(&mut wrapper, &hello).await;
    let ServerToWrapper::Refused { refusal } = hear(&mut wrapper).await else { panic!("the wrapper was let in") };
    assert_eq!(refusal.code, RefusalCode::RevokedCredentials);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_too_old_is_counted_and_in_the_agents_log() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut socket = rig.dial(path::AGENT, &login).await.unwrap();
    let AgentMessage::Hello { versions, presence, installation, instance, running, programs } =
        crate::rig::hello(InstanceId::new(), vec![])
    else {
        unreachable!()
    };
    let versions = Versions { min: 0, max: 0, ..versions };
    say(&mut socket, &AgentMessage::Hello { versions, presence, installation, instance, running, programs }).await;
    let ServerToAgent::Refused { refusal } = hear(&mut socket).await else { panic!("it was let in") };
    assert_eq!(refusal.code, RefusalCode::VersionTooOld);
    assert_eq!(rig.gateway.figures().refused_total, 1);
    let filter = LogFilter { search: Some("speaks protocol 0 to 0".into()), ..LogFilter::default() };
    assert_eq!(rig.store.agent_log(rig.environment, filter, Default::default()).await.unwrap().total, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_after_the_goodbye_is_sent_away_too() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    rig.gateway.go_away(Duration::ZERO);
    let mut late = rig.hello(&login, InstanceId::new(), vec![]).await;
    assert!(matches!(late.next().await, ServerToAgent::Welcome { .. }));
    assert!(matches!(late.next().await, ServerToAgent::GoAway { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_end_was_not_stored_is_taken_off_later() {
    let rig = Rig::start(Tier::Trial, LONG).await;
    let (one, two) = (rig.agent("one").await, rig.agent("two").await);
    // As if its release had failed: a row without a session, and one that has just been admitted.
    let long_ago = Timestamp(rig.clock.now().0 - 120_000_000);
    for (login, now) in [(&one, long_ago), (&two, rig.clock.now())] {
        let admit = Admit {
            agent: login.agent,
            credential: None,
            replica: "rig".into(),
            instance: InstanceId::new(),
            installation: InstallationId::new(),
            address: None,
            presence: presence("machine", 1),
            programs: vec![],
            replace: false,
            now,
        };
        rig.store.admit(SessionKind::Wrapper, admit.clone()).await.unwrap();
        if login.agent == one.agent {
            rig.store.admit(SessionKind::Agent, admit).await.unwrap();
        }
    }
    super::release_leftovers(&rig.gateway).await.unwrap();
    let stands = async |kind, agent| rig.store.session(kind, agent).await.unwrap().is_some();
    assert!(!stands(SessionKind::Agent, one.agent).await && !stands(SessionKind::Wrapper, one.agent).await);
    assert!(stands(SessionKind::Wrapper, two.agent).await, "a newcomer is left alone");
    let mut agent = rig.online(&two, vec![]).await;
    super::release_leftovers(&rig.gateway).await.unwrap();
    agent.say(&AgentMessage::Heartbeat { seq: 1, said_at: Timestamp(0) }).await;
    assert!(matches!(agent.next().await, ServerToAgent::HeartbeatAck { .. }), "who is here stays");
}
