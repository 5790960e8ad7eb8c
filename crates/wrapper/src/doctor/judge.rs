//! From facts to findings. No I/O.

use sallyport_protocol::{ExecutedBy, Finding, RefusalCode, Timestamp, Verdict, Versions};
use sallyport_site::dial::Kind;
use sallyport_site::lock;

use super::facts::{Facts, Login, Network, TlsTrouble};
use crate::status::span;

/// Below this an agent soon cannot write its logs, journal and downloads.
const DISK_BYTES_MIN: u64 = 200 * 1024 * 1024;
const DISK_BYTES_FEW: u64 = 1024 * 1024 * 1024;
/// Below this nothing of use can be done with rows.
const MEMORY_BYTES_MIN: u64 = 64 * 1024 * 1024;
const MEMORY_BYTES_FEW: u64 = 256 * 1024 * 1024;
/// An agent needs about two a stream, its files and its connections to the server.
const OPEN_FILES_MIN: u64 = 128;
const OPEN_FILES_FEW: u64 = 1024;
/// A clock that is wrong by less disturbs only those who compare logs.
const CLOCK_MS_FEW: i64 = 10_000;
/// By more, certificates and limits of time begin to go wrong.
const CLOCK_MS_MAX: i64 = 300_000;
/// A log file is written to at the start at the latest; clocks of files are coarse.
const LOG_LATE: std::time::Duration = std::time::Duration::from_secs(60);
/// Crashes of this time are told.
const CRASHES_OF: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 60 * 60);

/// Names of authorities that products make which look into TLS; a proxy's own certificate is recognised without.
const INSPECTORS: [&str; 17] = [
    "mitmproxy",
    "zscaler",
    "fortinet",
    "fortigate",
    "blue coat",
    "bluecoat",
    "symantec web",
    "netskope",
    "palo alto",
    "sophos",
    "barracuda",
    "checkpoint",
    "cisco umbrella",
    "mcafee",
    "forcepoint",
    "kaspersky",
    "squid",
];

/// The findings, one for each check, in the order in which a person would look.
pub(crate) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![process(facts), service(facts), settings(facts)];
    match &facts.network {
        Some(network) => findings.extend([
            dns(network),
            proxy(network),
            route(network),
            tls(network),
            clock(network),
            credentials(facts, network),
            licence(network),
            version(network),
        ]),
        None => findings.extend(
            ["dns", "proxy", "route", "tls", "clock", "credentials", "licence", "version"]
                .map(|check| skipped(check, "the settings cannot be used")),
        ),
    }
    findings.extend([logs(facts), disk(facts), descriptors(facts), memory(facts), updates(facts), policy(facts)]);
    findings.push(crashes(facts));
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

fn process(facts: &Facts) -> Finding {
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

fn service(facts: &Facts) -> Finding {
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

fn settings(facts: &Facts) -> Finding {
    const CHECK: &str = "settings";
    match &facts.settings {
        Ok(warnings) if warnings.is_empty() => ok(CHECK, "appsettings.json is understood"),
        Ok(warnings) => warning(CHECK, warnings.join("; "), "correct the keys in appsettings.json"),
        Err(reason) => failed(CHECK, reason.clone(), "correct appsettings.json, or download the agent again"),
    }
}

fn dns(network: &Network) -> Finding {
    const CHECK: &str = "dns";
    let (name, addresses) = &network.name;
    match addresses {
        Ok(addresses) => {
            let shown: Vec<String> = addresses.iter().take(4).map(ToString::to_string).collect();
            ok(CHECK, format!("{name} is {}", shown.join(", ")))
        }
        Err(reason) if network.proxy.is_some() => {
            failed(CHECK, reason.clone(), "check ProxyServerAddress and this machine's name servers")
        }
        Err(reason) => failed(CHECK, reason.clone(), "check ServerAddress and this machine's name servers"),
    }
}

/// Whether a failed dial is a matter of the proxy.
fn at_proxy(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::ProxyUnreachable
            | Kind::ProxyRefused
            | Kind::ProxyNeedsCredentials
            | Kind::ProxyWrongCredentials
            | Kind::ProxyProtocol
    )
}

fn proxy(network: &Network) -> Finding {
    const CHECK: &str = "proxy";
    let Some((proxy, set_in)) = &network.proxy else { return ok(CHECK, "none is set") };
    match &network.way {
        Ok(way) => ok(CHECK, format!("{way}, set in {set_in}, opens the way")),
        Err((kind, message)) if at_proxy(*kind) => {
            let advice = match kind {
                Kind::ProxyNeedsCredentials => "set ProxyUsername and ProxyPassword in appsettings.json",
                Kind::ProxyWrongCredentials => "correct ProxyUsername and ProxyPassword in appsettings.json",
                Kind::ProxyRefused => "have the proxy allow CONNECT to the server's host and port",
                Kind::ProxyUnreachable => "check ProxyServerAddress, and whether the proxy runs",
                _ => "ProxyServerAddress must name an HTTP proxy",
            };
            failed(CHECK, format!("{message} (set in {set_in})"), advice)
        }
        Err(_) => skipped(CHECK, &format!("{proxy} was not reached")),
    }
}

fn route(network: &Network) -> Finding {
    const CHECK: &str = "route";
    match &network.way {
        Ok(way) => ok(CHECK, format!("{} is reached, {way}", network.server)),
        Err((Kind::Dns, _)) => skipped(CHECK, "the name has no address"),
        Err((kind, _)) if at_proxy(*kind) => skipped(CHECK, "the proxy does not open the way"),
        Err((kind, message)) => {
            let advice = match kind {
                Kind::NoRoute => "check this machine's network connection and routes",
                Kind::Refused => "check whether the server runs, and the port in ServerAddress",
                Kind::Timeout => "have the firewall let outbound connections to this port pass, or set a proxy",
                Kind::Reset => "a firewall forbids the connection: have it let this port pass",
                _ => "see the system's message",
            };
            failed(CHECK, message.clone(), advice)
        }
    }
}

fn tls(network: &Network) -> Finding {
    const CHECK: &str = "tls";
    match &network.tls {
        None => skipped(CHECK, "there is no connection"),
        Some(Ok(())) => ok(CHECK, "the server's certificate is trusted"),
        Some(Err(trouble)) => tls_trouble(network, trouble),
    }
}

fn tls_trouble(network: &Network, trouble: &TlsTrouble) -> Finding {
    const CHECK: &str = "tls";
    let clock_is_wrong = network.clock_ahead_ms.is_some_and(|ahead| ahead.abs() > CLOCK_MS_MAX);
    match trouble.word {
        "tls_expired" | "tls_not_yet_valid" if clock_is_wrong => failed(
            CHECK,
            "the server's certificate is valid, but not at the time that this machine's clock shows",
            "set this machine's clock; see the check `clock`",
        ),
        "tls_expired" => failed(CHECK, trouble.message.clone(), "renew the certificate on the server"),
        "tls_unknown_authority" => unknown_authority(network, trouble),
        "tls_wrong_name" => {
            failed(CHECK, trouble.message.clone(), "set ServerAddress to a name that the certificate holds")
        }
        "tls_not_tls" => failed(CHECK, trouble.message.clone(), "check the port in ServerAddress"),
        _ => failed(CHECK, trouble.message.clone(), "a firewall or proxy may cut TLS off; ask who looks after it"),
    }
}

/// Three cases look the same to TLS: the file is of another server, the server got a new authority, or somebody on the
/// way shows a certificate of their own.
fn unknown_authority(network: &Network, trouble: &TlsTrouble) -> Finding {
    const CHECK: &str = "tls";
    let issuer = trouble.issuer.as_deref().unwrap_or("an authority that does not say its name");
    if trouble.expected.iter().any(|expected| expected == issuer) {
        return failed(
            CHECK,
            format!("the certificate is signed by `{issuer}`, the name in server-ca.pem, but with another key"),
            "the server was set up anew: download the agent again, or copy its server-ca.pem",
        );
    }
    let small = issuer.to_lowercase();
    let inspector = INSPECTORS.iter().any(|known| small.contains(known));
    if inspector || network.proxy.is_some() {
        let who =
            network.proxy.as_ref().map_or("something on the way".to_owned(), |(proxy, _)| format!("the proxy {proxy}"));
        return failed(
            CHECK,
            format!("{who} inspects TLS: the certificate that arrives is signed by `{issuer}`"),
            "have it pass this server's connections untouched, or append its authority's certificate to server-ca.pem",
        );
    }
    failed(
        CHECK,
        format!("the certificate is signed by `{issuer}`, which neither server-ca.pem nor this machine trusts"),
        "if that is the right server, put its authority into server-ca.pem or download the agent again",
    )
}

fn clock(network: &Network) -> Finding {
    const CHECK: &str = "clock";
    let Some(ahead) = network.clock_ahead_ms else { return skipped(CHECK, "the server did not say its time") };
    let seen = match ahead {
        -1000..=1000 => "this machine's clock is the server's within a second".to_owned(),
        1001.. => format!("this machine's clock is {} ahead of the server's", span(ahead.unsigned_abs() / 1000)),
        _ => format!("this machine's clock is {} behind the server's", span(ahead.unsigned_abs() / 1000)),
    };
    let advice = "set the clock and keep it by NTP";
    match ahead.abs() {
        off if off > CLOCK_MS_MAX => failed(CHECK, seen, advice),
        off if off > CLOCK_MS_FEW => warning(CHECK, seen, advice),
        _ => ok(CHECK, seen),
    }
}

fn credentials(facts: &Facts, network: &Network) -> Finding {
    const CHECK: &str = "credentials";
    match &network.login {
        None => skipped(CHECK, "there is no trusted connection"),
        Some(Login::Unasked) => skipped(CHECK, "the server is too old to be asked"),
        Some(Login::Broken(reason)) => failed(CHECK, reason.clone(), "try again; the server's log says more"),
        Some(Login::Good(checkup)) if checkup.online && facts.agent.is_none() => warning(
            CHECK,
            format!("the server knows agent `{}`, and sees it online, but none runs from this folder", checkup.name),
            "a copy of this folder may run elsewhere; give each copy an agent of its own",
        ),
        Some(Login::Good(checkup)) => ok(CHECK, format!("the server knows agent `{}`", checkup.name)),
        Some(Login::Refused(refusal)) => {
            let what = match refusal.code {
                RefusalCode::UnknownAgent => "unknown user name",
                RefusalCode::WrongCredentials => "wrong password",
                RefusalCode::RevokedCredentials => "revoked password",
                RefusalCode::ExpiredCredentials => "expired password",
                RefusalCode::OtherEnvironment => "credentials of another environment",
                RefusalCode::Deactivated => "the agent is deactivated",
                RefusalCode::Unavailable => return warning(CHECK, refusal.message.clone(), "try again in a minute"),
                _ => "refused",
            };
            let advice = match refusal.code {
                RefusalCode::Deactivated => "reactivate it on the platform",
                RefusalCode::Other => "see what answers at ServerAddress",
                _ => "download the agent again, or copy appsettings.json from a new download",
            };
            failed(CHECK, format!("{what}: {}", refusal.message), advice)
        }
    }
}

fn licence(network: &Network) -> Finding {
    const CHECK: &str = "licence";
    let Some(Login::Good(checkup)) = &network.login else { return skipped(CHECK, "the server did not know the agent") };
    let Some(most) = checkup.agents_max else {
        return ok(CHECK, format!("no limit; {} other agents are online", checkup.agents_online));
    };
    let seen = format!("{} other agents are online, the licence lets {most} in", checkup.agents_online);
    if !checkup.online && checkup.agents_online >= most {
        return failed(CHECK, format!("full: {seen}"), "stop another agent, or enlarge the licence");
    }
    ok(CHECK, seen)
}

fn version(network: &Network) -> Finding {
    const CHECK: &str = "version";
    let Some(Login::Good(checkup)) = &network.login else { return skipped(CHECK, "the server did not know the agent") };
    let ours = Versions::ours(&[]);
    match ours.agree(&checkup.versions) {
        Some(protocol) => {
            ok(CHECK, format!("wrapper {} and the server speak protocol {protocol}", env!("CARGO_PKG_VERSION")))
        }
        None => failed(
            CHECK,
            format!(
                "wrapper {} speaks protocol {} to {}, the server {} to {}",
                env!("CARGO_PKG_VERSION"),
                ours.min,
                ours.max,
                checkup.versions.min,
                checkup.versions.max
            ),
            "download the agent again, or update the server, whichever is older",
        ),
    }
}

fn logs(facts: &Facts) -> Finding {
    const CHECK: &str = "logs";
    if let Some(reason) = &facts.logs.unwritable {
        return failed(CHECK, reason.clone(), "give the user that runs this the right to write to logs/, and space");
    }
    let Some(wrapper) = &facts.wrapper else { return ok(CHECK, "logs/ can be written to") };
    let due = wrapper.since.minus(LOG_LATE);
    match facts.logs.written_at {
        Some(at) if at >= due => ok(CHECK, "logs/ can be written to, and is"),
        _ => warning(
            CHECK,
            "nothing was written to logs/ since the wrapper has started",
            "its user may lack the right to write there, or the disk was full; restart it",
        ),
    }
}

/// A warning or a failure where something is below its bounds.
fn amount(check: &str, seen: String, have: u64, (few, least): (u64, u64), advice: &str) -> Finding {
    match have {
        have if have < least => failed(check, seen, advice),
        have if have < few => warning(check, seen, advice),
        _ => ok(check, seen),
    }
}

fn disk(facts: &Facts) -> Finding {
    const CHECK: &str = "disk";
    let Some(free) = facts.free_bytes else { return skipped(CHECK, "this system does not say what is free") };
    let seen = format!("{} free where the agent lies", bytes(free));
    amount(
        CHECK,
        seen,
        free,
        (DISK_BYTES_FEW, DISK_BYTES_MIN),
        "make space; files/, work/ and logs/ may hold what can go",
    )
}

fn descriptors(facts: &Facts) -> Finding {
    const CHECK: &str = "descriptors";
    let process = facts.process.unwrap_or_default();
    let Some(most) = process.open_files_max.or(facts.open_files_max) else {
        return skipped(CHECK, "this system does not say how many files may be open");
    };
    let advice = "raise the limit of open files (ulimit -n, LimitNOFILE=)";
    if let Some(open) = process.open_files.filter(|open| open.saturating_mul(10) >= most.saturating_mul(9)) {
        return failed(CHECK, format!("the agent has {open} of {most} files and connections open"), advice);
    }
    let seen = match process.open_files {
        Some(open) => format!("the agent has {open} of {most} files and connections open"),
        None => format!("an agent may have {most} files and connections open"),
    };
    amount(CHECK, seen, most, (OPEN_FILES_FEW, OPEN_FILES_MIN), advice)
}

fn memory(facts: &Facts) -> Finding {
    const CHECK: &str = "memory";
    let Some((available, all)) = facts.memory else {
        return skipped(CHECK, "this system does not say what is available");
    };
    let held = facts.process.and_then(|process| process.memory_bytes);
    let agent = held.map_or(String::new(), |held| format!("; the agent holds {}", bytes(held)));
    let seen = format!("{} of {} available{agent}", bytes(available), bytes(all));
    amount(CHECK, seen, available, (MEMORY_BYTES_FEW, MEMORY_BYTES_MIN), "end what else uses memory, or add some")
}

fn updates(facts: &Facts) -> Finding {
    const CHECK: &str = "updates";
    let text = facts.updates.text.clone().filter(|text| !text.is_empty());
    let text = text.unwrap_or_else(|| "nothing is known of other versions".to_owned());
    if facts.updates.failed.is_empty() {
        return ok(CHECK, text);
    }
    let seen = format!("{text}; failed here: {}", facts.updates.failed.join("; "));
    warning(CHECK, seen, "sallyport-wrapper retry-update tries a failed version again")
}

fn policy(facts: &Facts) -> Finding {
    const CHECK: &str = "policy";
    match &facts.policy {
        None => ok(CHECK, "the site has set no policy.toml"),
        Some(Ok(size)) => ok(CHECK, format!("policy.toml is there ({size} bytes)")),
        Some(Err(reason)) => failed(CHECK, reason.clone(), "let the user that runs the agent read it"),
    }
}

fn crashes(facts: &Facts) -> Finding {
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

fn bytes(count: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    match count {
        0..MIB => format!("{} KiB", count / 1024),
        MIB..10_737_418_240 => format!("{} MiB", count / MIB),
        _ => format!("{} GiB", count / (1024 * MIB)),
    }
}

#[cfg(test)]
mod tests;
