//! What runs in the folder, and what it has been told.

use sallyport_protocol::{ExecutedBy, Finding, Timestamp};
use sallyport_site::lock;

use super::{failed, ok, skipped, warning};
use crate::doctor::facts::Facts;

/// Crashes of this time are told.
const CRASHES_OF: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 60 * 60);

pub(super) fn process(facts: &Facts) -> Finding {
    const CHECK: &str = "process";
    if let Some(program) = &facts.missing_program {
        return failed(
            CHECK,
            format!("{program} is missing"),
            "download the agent again and unzip it over this folder",
        );
    }
    let Some(wrapper) = &facts.wrapper else {
        return match &facts.agent {
            Some(agent) => warning(
                CHECK,
                format!("agent process {} runs without its wrapper", agent.process_id),
                "nothing restarts it: start it with start.sh, start.bat or the service",
            ),
            None => failed(
                CHECK,
                "nothing runs from this folder",
                "start it with start.sh, start.bat or the service; logs/ says why it ended",
            ),
        };
    };
    let way = lock::way(wrapper.executed_by);
    let seen = format!("wrapper process {} runs {way}", wrapper.process_id);
    let Some(agent) = &facts.agent else {
        let status = facts.status.as_deref().unwrap_or("it does not run");
        return failed(CHECK, format!("{seen}; its agent: {status}"), "the log of the wrapper says why it ended");
    };
    if facts.process.is_some_and(|process| process.stopped) {
        return failed(
            CHECK,
            format!("{seen}; agent process {} is stopped (SIGSTOP)", agent.process_id),
            "the wrapper restarts it within 30 s; find out who stops it",
        );
    }
    ok(CHECK, format!("{seen}; agent process {} runs", agent.process_id))
}

pub(super) fn service(facts: &Facts) -> Finding {
    const CHECK: &str = "service";
    match facts.wrapper.as_ref().map(|wrapper| wrapper.executed_by) {
        Some(ExecutedBy::Service) => ok(CHECK, "a service manager has started it"),
        Some(way) => warning(
            CHECK,
            format!("it runs {}, so that nothing starts it after the machine does", lock::way(way)),
            "where it shall run for good, have a service manager start it",
        ),
        None => skipped(CHECK, "nothing runs"),
    }
}

pub(super) fn settings(facts: &Facts) -> Finding {
    const CHECK: &str = "settings";
    match &facts.settings {
        Ok(warnings) if warnings.is_empty() => ok(CHECK, "appsettings.json is understood"),
        Ok(warnings) => warning(CHECK, warnings.join("; "), "correct the keys in appsettings.json"),
        Err(reason) => failed(CHECK, reason.clone(), "correct appsettings.json, or download the agent again"),
    }
}

pub(super) fn updates(facts: &Facts) -> Finding {
    const CHECK: &str = "updates";
    let text = facts.updates.text.clone().filter(|text| !text.is_empty());
    let text = text.unwrap_or_else(|| "nothing is known of other versions".to_owned());
    if facts.updates.failed.is_empty() {
        return ok(CHECK, text);
    }
    let seen = format!("{text}; failed here: {}", facts.updates.failed.join("; "));
    warning(CHECK, seen, "sallyport-wrapper retry-update tries a failed version again")
}

pub(super) fn policy(facts: &Facts) -> Finding {
    const CHECK: &str = "policy";
    match &facts.policy {
        None => ok(CHECK, "the site has set no policy.toml"),
        Some(Ok(size)) => ok(CHECK, format!("policy.toml is there ({size} bytes)")),
        Some(Err(reason)) => failed(CHECK, reason.clone(), "let the user that runs the agent read it"),
    }
}

pub(super) fn crashes(facts: &Facts) -> Finding {
    const CHECK: &str = "crashes";
    let since: Timestamp = facts.now.minus(CRASHES_OF);
    let recent: Vec<_> = facts.crashes.iter().filter(|crash| crash.at >= since).collect();
    match recent.last() {
        None => ok(CHECK, "none in the last seven days"),
        Some(last) => warning(
            CHECK,
            format!("{} in the last seven days; the last: the {} {}", recent.len(), last.program, last.cause.words()),
            &format!("send a support bundle; {} says more", last.file),
        ),
    }
}
