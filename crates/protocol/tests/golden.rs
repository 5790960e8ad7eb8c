//! Messages of every release, kept as files: a build reads what each of them has sent, and says all of it again; it may
//! say more.

use sallyport_protocol::{
    AgentId, AgentMessage, Clock, DataReply, DataRequest, LogLevel, Secret, ServerToAgent, ServerToWrapper, Timestamp,
    TunnelWord, Versions, WrapperMessage,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Whether every member of the older message is there with its value; newer fields may stand beside them.
fn holds(said: &Value, older: &Value) -> bool {
    match (said, older) {
        (Value::Object(said), Value::Object(older)) => {
            older.iter().all(|(key, value)| said.get(key).is_some_and(|said| holds(said, value)))
        }
        (Value::Array(said), Value::Array(older)) => {
            said.len() == older.len() && said.iter().zip(older).all(|(said, older)| holds(said, older))
        }
        _ => said == older,
    }
}

fn check<M: Serialize + DeserializeOwned>(file: &str) {
    let lines: Vec<&str> = file.lines().filter(|line| !line.trim().is_empty()).collect();
    assert!(!lines.is_empty());
    for line in lines {
        let message: M = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let said = serde_json::to_value(&message).unwrap_or_default();
        let heard: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(holds(&said, &heard), "{line}\nis now said as\n{said}");
    }
}

#[test]
fn messages_of_release_0_1_0_are_understood() {
    check::<AgentMessage>(include_str!("golden/0.1.0-agent.jsonl"));
    check::<ServerToAgent>(include_str!("golden/0.1.0-to-agent.jsonl"));
    check::<WrapperMessage>(include_str!("golden/0.1.0-wrapper.jsonl"));
    check::<ServerToWrapper>(include_str!("golden/0.1.0-to-wrapper.jsonl"));
    check::<DataRequest>(include_str!("golden/0.1.0-data-request.jsonl"));
    check::<DataReply>(include_str!("golden/0.1.0-data-reply.jsonl"));
    check::<TunnelWord>(include_str!("golden/0.1.0-tunnel.jsonl"));
}

#[test]
fn words_of_a_later_release_are_told_apart_from_garbage() {
    let later = r#"{"type":"sing","song":"a field this build does not know"}"#;
    assert_eq!(serde_json::from_str::<AgentMessage>(later).unwrap(), AgentMessage::Unknown);
    assert_eq!(serde_json::from_str::<ServerToAgent>(later).unwrap(), ServerToAgent::Unknown);
    assert!(serde_json::from_str::<AgentMessage>("{}").is_err());
    let more = r#"{"type":"heartbeat","seq":1,"said_at":5,"mood":"fine"}"#;
    let expected = AgentMessage::Heartbeat { seq: 1, said_at: Timestamp(5) };
    assert_eq!(serde_json::from_str::<AgentMessage>(more).unwrap(), expected);
}

#[test]
fn versions_agree_on_the_newest_in_common() {
    let versions = |min, max| Versions { min, max, capabilities: Vec::new() };
    assert_eq!(versions(1, 3).agree(&versions(2, 5)), Some(3));
    assert_eq!(versions(1, 1).agree(&versions(1, 9)), Some(1));
    assert_eq!(versions(1, 2).agree(&versions(3, 4)), None);
}

#[test]
fn secrets_do_not_print_and_ids_do() {
    let secret = Secret::new("swordfish");
    assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    let id = AgentId::new();
    assert!(id.to_string().starts_with("agent_"));
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(id.to_string().replace("agent", "run").parse::<AgentId>().unwrap_err().expected, "agent");
}

#[test]
fn levels_are_read_as_people_write_them() {
    for (text, level) in [("Trace", LogLevel::Trace), ("information", LogLevel::Info), ("WARN", LogLevel::Warning)] {
        assert_eq!(text.parse(), Ok(level));
    }
    assert!("loud".parse::<LogLevel>().is_err());
}

#[test]
fn a_fixed_clock_stands_until_it_is_moved() {
    let clock = Clock::fixed(Timestamp(10));
    assert_eq!(clock.now(), Timestamp(10));
    clock.advance(std::time::Duration::from_micros(5));
    assert_eq!(clock.now(), Timestamp(15));
    assert!(Clock::system().now() > Timestamp(1_700_000_000_000_000));
}
