use std::time::Duration;

use proptest::prelude::*;
use sallyport_protocol::Timestamp;
use serde_json::json;

use super::*;

fn told(states: &[RunState], rule: &Rule) -> Vec<Event> {
    let mut failing = false;
    let mut told = Vec::new();
    for state in states {
        let verdict = weigh(failing, What::Ended(*state));
        failing = verdict.failing;
        told.extend(verdict.occasion.filter(|o| tells(std::slice::from_ref(rule), "orders", *o)).map(|o| o.event));
    }
    told
}

#[test]
fn a_failing_task_is_told_once_until_it_recovers() {
    use RunState::{Cancelled, Failed, NoData, Succeeded, TimedOut};
    let states = [Succeeded, Failed, TimedOut, Cancelled, Failed, NoData, Succeeded, Failed];
    assert_eq!(told(&states, &Rule::default()), [Event::Failure, Event::Recovery, Event::Failure]);
    let repeat = Rule { repeat: true, ..Rule::default() };
    assert_eq!(told(&states, &repeat).iter().filter(|event| **event == Event::Failure).count(), 4);
    let recovery = Rule { events: vec![Event::Recovery], ..Rule::default() };
    assert_eq!(told(&states, &recovery), [Event::Recovery]);
}

#[test]
fn a_late_run_says_nothing_of_how_it_will_end() {
    for failing in [false, true] {
        let verdict = weigh(failing, What::Late);
        assert_eq!(verdict.failing, failing);
        assert_eq!(verdict.occasion.map(|occasion| occasion.event), Some(Event::Late));
    }
}

#[test]
fn a_rule_is_for_its_tasks_or_for_all() {
    let occasion = Occasion { event: Event::Failure, first: true };
    let some = Rule { tasks: vec!["Orders".into()], ..Rule::default() };
    assert!(tells(std::slice::from_ref(&some), "orders", occasion));
    assert!(!tells(&[some], "stock", occasion));
    assert!(tells(&[Rule::default()], "stock", occasion));
    assert!(!tells(&[], "stock", occasion));
}

proptest! {
    /// Failure and recovery take turns, whatever happens in between, and the last one told is how the task stands.
    #[test]
    fn failure_and_recovery_take_turns(places in proptest::collection::vec(3..9_usize, 0..40)) {
        let states: Vec<RunState> = places.into_iter().map(|place| RunState::ALL[place]).collect();
        let told = told(&states, &Rule::default());
        for (place, event) in told.iter().enumerate() {
            let expected = if place % 2 == 0 { Event::Failure } else { Event::Recovery };
            prop_assert_eq!(*event, expected);
        }
        let last = states.iter().rev().find(|state| **state != RunState::Cancelled);
        prop_assert_eq!(last.is_some_and(|state| !state.is_good()), told.last() == Some(&Event::Failure));
    }
}

#[test]
fn tries_are_bounded_and_ever_further_apart() {
    let start = Timestamp(1_700_000_000_000_000);
    let pauses: Vec<Duration> =
        (1..=ATTEMPTS_MAX).map_while(|attempts| next_try(attempts, start)).map(|at| at.since(start)).collect();
    assert_eq!(u32::try_from(pauses.len()).unwrap(), ATTEMPTS_MAX - 1);
    assert!(pauses.is_sorted() && pauses[0] >= Duration::from_secs(10), "{pauses:?}");
    assert_eq!(next_try(0, start), None);
}

fn places(kind: &str, settings: serde_json::Value, secrets: &[&str], hourly: u32) -> Vec<String> {
    let secrets: Vec<String> = secrets.iter().map(|name| (*name).to_owned()).collect();
    let draft = Draft { name: "ops", kind, settings: &settings, secrets: &secrets, rules: &[Rule::default()], hourly };
    check(draft).into_iter().map(|problem| problem.path).collect()
}

#[test]
fn channels_that_could_not_work_are_refused_with_their_place() {
    let mail = json!({ "host": "mail.example.org", "from": "a@example.org", "to": ["b@example.org"] });
    assert_eq!(places("smtp", mail.clone(), &[], 30), [""; 0]);
    assert_eq!(places("smtp", mail, &["password"], 0), ["/settings/user", "/hourly"]);
    let clear = json!({ "host": "h", "tls": "none", "user": "u", "from": "a@b", "to": [] });
    assert_eq!(places("smtp", clear, &["password"], 30), ["/settings/to", "/settings/tls"]);
    let local = json!({ "host": "127.0.0.1", "tls": "none", "user": "u", "from": "a@b", "to": ["b@c"] });
    assert_eq!(places("smtp", local, &["password"], 30), [""; 0]);
    assert_eq!(places("pigeon", json!({}), &[], 30), ["/kind"]);
    assert_eq!(places("webhook", json!({ "url": "https://example.org/x", "more": 1 }), &[], 30), ["/settings"]);
    assert_eq!(places("webhook", json!({ "url": "https://example.org/x" }), &["secret"], 30), [""; 0]);
    assert_eq!(places("webhook", json!({ "url": "https://example.org/x" }), &["pass"], 30), ["/secrets/pass"]);
    for url in ["ftp://example.org", "file:///etc/passwd", "https://", "https://u:p@example.org", "http://a b"] {
        assert_eq!(places("webhook", json!({ "url": url }), &[], 30), ["/settings/url"], "{url}");
    }
}
