//! From facts to findings. No I/O.

mod installation;
mod login;
mod machine;
mod trust;
mod way;

use sallyport_protocol::{Finding, Verdict};

use super::facts::Facts;

/// The findings, one for each check, in the order in which a person would look.
pub(crate) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![installation::process(facts), installation::service(facts), installation::settings(facts)];
    match &facts.network {
        Some(network) => findings.extend([
            way::dns(network),
            way::proxy(network),
            way::route(network),
            trust::tls(network),
            trust::clock(network),
            login::credentials(facts, network),
            login::licence(network),
            login::version(network),
        ]),
        None => findings.extend(
            ["dns", "proxy", "route", "tls", "clock", "credentials", "licence", "version"]
                .map(|check| skipped(check, "the settings cannot be used")),
        ),
    }
    findings.extend([
        machine::logs(facts),
        machine::disk(facts),
        machine::descriptors(facts),
        machine::memory(facts),
        installation::updates(facts),
        installation::policy(facts),
        installation::crashes(facts),
    ]);
    findings
}

fn finding(check: &str, verdict: Verdict, seen: impl Into<String>, advice: &str) -> Finding {
    let advice = (!advice.is_empty()).then(|| advice.to_owned());
    Finding { check: check.to_owned(), verdict, seen: seen.into(), advice }
}

fn ok(check: &str, seen: impl Into<String>) -> Finding {
    finding(check, Verdict::Ok, seen, "")
}

fn warning(check: &str, seen: impl Into<String>, advice: &str) -> Finding {
    finding(check, Verdict::Warning, seen, advice)
}

fn failed(check: &str, seen: impl Into<String>, advice: &str) -> Finding {
    finding(check, Verdict::Failed, seen, advice)
}

fn skipped(check: &str, why: &str) -> Finding {
    finding(check, Verdict::Skipped, format!("not looked at: {why}"), "")
}

#[cfg(test)]
mod tests;
