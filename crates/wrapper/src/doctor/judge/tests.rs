use sallyport_protocol::{Checkup, Crash, ExecutedBy, ExitCause, Refusal, RefusalCode, Timestamp, Versions};
use sallyport_site::dial::Kind;
use sallyport_site::lock::Holder;
use sallyport_site::machine::Process;

use super::*;
use crate::doctor::facts::{Login, Logs, Network, TlsTrouble, Updates};

const GIB: u64 = 1024 * 1024 * 1024;

fn holder(process_id: u32) -> Holder {
    Holder { process_id, executed_by: ExecutedBy::Service, since: Timestamp(1_000_000_000) }
}

fn checkup() -> Checkup {
    Checkup {
        server_time: Timestamp(0),
        name: "lab".to_owned(),
        versions: Versions::ours(&[]),
        agents_max: Some(5),
        agents_online: 2,
        online: true,
    }
}

fn network() -> Network {
    Network {
        server: "s:443".to_owned(),
        proxy: None,
        name: ("s".to_owned(), Ok(vec![[10, 0, 0, 1].into()])),
        way: Ok("direct to 10.0.0.1:443".to_owned()),
        tls: Some(Ok(())),
        clock_ahead_ms: Some(12),
        login: Some(Login::Good(checkup())),
    }
}

fn healthy() -> Facts {
    let process =
        Process { stopped: false, open_files: Some(30), open_files_max: Some(4096), memory_bytes: Some(40 << 20) };
    Facts {
        now: Timestamp(2_000_000_000),
        wrapper: Some(holder(1)),
        agent: Some(holder(2)),
        process: Some(process),
        missing_program: None,
        status: None,
        settings: Ok(Vec::new()),
        network: Some(network()),
        logs: Logs { unwritable: None, written_at: Some(Timestamp(1_500_000_000)) },
        free_bytes: Some(50 * GIB),
        memory: Some((4 * GIB, 8 * GIB)),
        open_files_max: Some(4096),
        updates: Updates::default(),
        policy: None,
        crashes: Vec::new(),
    }
}

/// One change to healthy facts, and what one check then says.
fn check(name: &str, expected: Verdict, words: &str, change: impl FnOnce(&mut Facts)) {
    let mut facts = healthy();
    change(&mut facts);
    let findings = judge(&facts);
    let found = findings.iter().find(|finding| finding.check == name).unwrap();
    let text = format!("{} {}", found.seen, found.advice.as_deref().unwrap_or_default());
    assert!(found.verdict == expected && text.contains(words), "wanted {expected:?} and `{words}`: {found:?}");
    assert_eq!(found.advice.is_some(), matches!(expected, Verdict::Failed | Verdict::Warning), "{found:?}");
}

fn on_way(change: impl FnOnce(&mut Network)) -> impl FnOnce(&mut Facts) {
    |facts| change(facts.network.as_mut().unwrap())
}

fn refused(code: RefusalCode) -> impl FnOnce(&mut Facts) {
    let refusal = Refusal { code, message: "No.".to_owned(), retry_after_seconds: None };
    on_way(|network| network.login = Some(Login::Refused(refusal)))
}

fn untrusted(word: &'static str, issuer: &str) -> impl FnOnce(&mut Network) {
    let trouble = TlsTrouble {
        word,
        message: "the words of TLS".to_owned(),
        issuer: Some(issuer.to_owned()),
        expected: vec!["Our CA".to_owned()],
    };
    |network| {
        network.tls = Some(Err(trouble));
        network.login = None;
    }
}

fn blocked(kind: Kind) -> impl FnOnce(&mut Network) {
    move |network| {
        network.way = Err((kind, "the words of the dial".to_owned()));
        (network.tls, network.login, network.clock_ahead_ms) = (None, None, None);
    }
}

#[test]
fn a_healthy_installation_has_nothing_to_do_in_any_check() {
    let findings = judge(&healthy());
    for finding in &findings {
        assert_eq!((finding.verdict, &finding.advice), (Verdict::Ok, &None), "{finding:?}");
    }
    let mut names: Vec<&str> = findings.iter().map(|finding| finding.check.as_str()).collect();
    assert_eq!(names.len(), 18);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 18);
}

#[test]
fn processes() {
    use Verdict::{Failed, Skipped, Warning};
    check("process", Failed, "nothing runs", |facts| (facts.wrapper, facts.agent) = (None, None));
    check("process", Warning, "without its wrapper", |facts| facts.wrapper = None);
    check("process", Failed, "down, started again", |facts| {
        (facts.agent, facts.status) = (None, Some("down, started again in 4 s".to_owned()));
    });
    check("process", Failed, "SIGSTOP", |facts| facts.process.as_mut().unwrap().stopped = true);
    check("process", Failed, "Agent/x is missing", |facts| facts.missing_program = Some("Agent/x".to_owned()));
    check("service", Warning, "in the foreground", |facts| {
        facts.wrapper.as_mut().unwrap().executed_by = ExecutedBy::Foreground;
    });
    check("service", Skipped, "nothing runs", |facts| facts.wrapper = None);
}

#[test]
fn bad_settings_leave_the_way_to_the_server_alone() {
    check("settings", Verdict::Warning, "`Usernme`", |facts| facts.settings = Ok(vec!["`Usernme`?".to_owned()]));
    for name in ["dns", "proxy", "route", "tls", "clock", "credentials", "licence", "version"] {
        check(name, Verdict::Skipped, "the settings cannot be used", |facts| {
            (facts.settings, facts.network) = (Err("no JSON".to_owned()), None);
        });
    }
    check("settings", Verdict::Failed, "no JSON", |facts| facts.settings = Err("no JSON".to_owned()));
}

#[test]
fn ways_that_are_blocked() {
    use Verdict::{Failed, Skipped};
    let with_proxy = |kind| {
        on_way(move |network| {
            network.proxy = Some(("p:3128".to_owned(), "HTTPS_PROXY"));
            blocked(kind)(network);
        })
    };
    check("dns", Failed, "ServerAddress", on_way(|network| network.name.1 = Err("no such name".to_owned())));
    check("route", Skipped, "no address", on_way(blocked(Kind::Dns)));
    check("route", Failed, "network connection", on_way(blocked(Kind::NoRoute)));
    check("route", Failed, "whether the server runs", on_way(blocked(Kind::Refused)));
    check("route", Failed, "firewall", on_way(blocked(Kind::Timeout)));
    check("tls", Skipped, "no connection", on_way(blocked(Kind::Timeout)));
    check("proxy", Failed, "set ProxyUsername", with_proxy(Kind::ProxyNeedsCredentials));
    check("proxy", Failed, "correct ProxyUsername", with_proxy(Kind::ProxyWrongCredentials));
    check("proxy", Failed, "(set in HTTPS_PROXY)", with_proxy(Kind::ProxyUnreachable));
    check("proxy", Failed, "CONNECT", with_proxy(Kind::ProxyRefused));
    check("proxy", Failed, "HTTP proxy", with_proxy(Kind::ProxyProtocol));
    check("route", Skipped, "the proxy does not open", with_proxy(Kind::ProxyWrongCredentials));
}

#[test]
fn certificates_that_are_not_trusted() {
    let unknown = "tls_unknown_authority";
    check("tls", Verdict::Failed, "with another key", on_way(untrusted(unknown, "Our CA")));
    check("tls", Verdict::Failed, "neither server-ca.pem", on_way(untrusted(unknown, "Other CA")));
    check("tls", Verdict::Failed, "something on the way inspects TLS", on_way(untrusted(unknown, "Zscaler Root")));
    check(
        "tls",
        Verdict::Failed,
        "the proxy p:1 inspects TLS",
        on_way(|network| {
            network.proxy = Some(("p:1".to_owned(), "appsettings.json"));
            untrusted(unknown, "Site Proxy")(network);
        }),
    );
    check("tls", Verdict::Failed, "renew the certificate", on_way(untrusted("tls_expired", "Our CA")));
    check(
        "tls",
        Verdict::Failed,
        "this machine's clock",
        on_way(|network| {
            untrusted("tls_expired", "Our CA")(network);
            network.clock_ahead_ms = Some(365 * 86_400_000);
        }),
    );
    check("tls", Verdict::Failed, "ServerAddress", on_way(untrusted("tls_wrong_name", "Our CA")));
    check("tls", Verdict::Failed, "the port", on_way(untrusted("tls_not_tls", "")));
    check("credentials", Verdict::Skipped, "no trusted connection", on_way(untrusted(unknown, "x")));
}

#[test]
fn clocks() {
    let by = |millis| on_way(move |network| network.clock_ahead_ms = millis);
    check("clock", Verdict::Ok, "within a second", by(Some(-900)));
    check("clock", Verdict::Warning, "60 s ahead", by(Some(60_000)));
    check("clock", Verdict::Failed, "365 days behind", by(Some(-365 * 86_400_000)));
    check("clock", Verdict::Skipped, "did not say", by(None));
}

#[test]
fn logins_are_told_apart() {
    for (code, words) in [
        (RefusalCode::UnknownAgent, "unknown user name"),
        (RefusalCode::WrongCredentials, "wrong password"),
        (RefusalCode::RevokedCredentials, "revoked password"),
        (RefusalCode::ExpiredCredentials, "expired password"),
        (RefusalCode::OtherEnvironment, "another environment"),
        (RefusalCode::Deactivated, "reactivate it"),
        (RefusalCode::Other, "ServerAddress"),
    ] {
        check("credentials", Verdict::Failed, words, refused(code));
    }
    check("credentials", Verdict::Warning, "try again", refused(RefusalCode::Unavailable));
    check("credentials", Verdict::Skipped, "too old", on_way(|network| network.login = Some(Login::Unasked)));
    check(
        "credentials",
        Verdict::Failed,
        "broke",
        on_way(|network| network.login = Some(Login::Broken("it broke".to_owned()))),
    );
    check("credentials", Verdict::Warning, "a copy", |facts| facts.agent = None);
    check("licence", Verdict::Skipped, "", refused(RefusalCode::WrongCredentials));
}

#[test]
fn places_and_versions() {
    let with = |change: fn(&mut Checkup)| {
        on_way(move |network| {
            let mut changed = checkup();
            change(&mut changed);
            network.login = Some(Login::Good(changed));
        })
    };
    check("licence", Verdict::Failed, "full", with(|checkup| (checkup.online, checkup.agents_online) = (false, 5)));
    check("licence", Verdict::Ok, "", with(|checkup| checkup.agents_online = 5));
    check("licence", Verdict::Ok, "no limit", with(|checkup| checkup.agents_max = None));
    check(
        "version",
        Verdict::Failed,
        "the server 7 to 9",
        with(|checkup| {
            (checkup.versions.min, checkup.versions.max) = (7, 9);
        }),
    );
}

#[test]
fn the_machine() {
    use Verdict::{Failed, Ok, Skipped, Warning};
    check("logs", Failed, "full", |facts| facts.logs.unwritable = Some("disk full".to_owned()));
    check("logs", Warning, "since the wrapper has started", |facts| facts.logs.written_at = Some(Timestamp(1)));
    check("disk", Failed, "10 MiB", |facts| facts.free_bytes = Some(10 << 20));
    check("disk", Warning, "500 MiB", |facts| facts.free_bytes = Some(500 << 20));
    check("disk", Skipped, "", |facts| facts.free_bytes = None);
    check("descriptors", Failed, "4000 of 4096", |facts| facts.process.as_mut().unwrap().open_files = Some(4000));
    check("descriptors", Warning, "may have 256", |facts| (facts.process, facts.open_files_max) = (None, Some(256)));
    check("memory", Failed, "10 MiB of", |facts| facts.memory = Some((10 << 20, 8 * GIB)));
    check("memory", Ok, "the agent holds 40 MiB", |_| {});
    check("updates", Warning, "retry-update", |facts| facts.updates.failed = vec!["1.2.3: it crashed".to_owned()]);
    check("policy", Failed, "denied", |facts| facts.policy = Some(Err("permission denied".to_owned())));
    check("policy", Ok, "17 bytes", |facts| facts.policy = Some(std::result::Result::Ok(17)));
    let crash = |at| Crash {
        at: Timestamp(at),
        program: "agent".to_owned(),
        version: String::new(),
        os: String::new(),
        cause: ExitCause::OutOfMemory,
        message: String::new(),
        thread: None,
        place: None,
        stack: String::new(),
        last_lines: Vec::new(),
        file: "uncaughtException-1.json".to_owned(),
    };
    check("crashes", Warning, "ran out of memory", |facts| facts.crashes = vec![crash(1_900_000_000)]);
    check("crashes", Ok, "none", |facts| {
        (facts.now, facts.crashes) = (Timestamp(i64::MAX / 2), vec![crash(1_900_000_000)]);
    });
}
