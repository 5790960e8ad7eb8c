//! The doctor tells apart what is wrong, with real proxies, clocks, disks and certificates.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{Installed, Process, Signal, SmallDisk, Squid, System, free_port, signal_to, within};
use serde_json::{Value, json};

use super::{Findings, by_check, under, wrapper};
use crate::system;

fn set(agent: &Installed, values: &[(&str, Value)]) -> Result<()> {
    agent.edit_settings(|settings| {
        for (key, value) in values {
            settings["Settings"][key] = value.clone();
        }
    })
}

#[test]
fn a_healthy_agent_has_nothing_that_fails() -> Result<()> {
    system(|system| {
        let agent = system.agent("well")?;
        let findings = Findings::of(&agent)?;
        for check in ["process", "settings", "dns", "proxy", "route", "tls", "clock", "credentials", "licence"] {
            findings.must(check, "ok", "")?;
        }
        for check in ["version", "logs", "descriptors", "updates", "policy", "crashes"] {
            findings.must(check, "ok", "")?;
        }
        findings.must("service", "warning", "in the foreground")?;
        let text = wrapper(&agent, &["doctor"]).output()?;
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        ensure!(text.contains("0 failed") && text.contains("the server knows agent `well`"), "{text}");
        Ok(())
    })
}

#[test]
fn the_way_to_the_server_is_told_apart() -> Result<()> {
    system(|system| {
        let agent = system.install("site")?;
        let right = json!(format!("https://localhost:{}", system.server.port()));
        set(&agent, &[("ServerAddress", json!(format!("https://localhost:{}", free_port()?)))])?;
        let findings = Findings::of(&agent)?;
        findings.must("route", "failed", "whether the server runs")?;
        findings.must("tls", "skipped", "")?;
        set(&agent, &[("ServerAddress", json!("https://no-such-host.invalid"))])?;
        let findings = Findings::of(&agent)?;
        findings.must("dns", "failed", "no-such-host.invalid")?;
        findings.must("route", "skipped", "")?;
        set(&agent, &[("ServerAddress", right)])?;
        authority(&agent.folder().join("server-ca.pem"), "Another Company")?;
        let findings = Findings::of(&agent)?;
        findings.must("tls", "failed", "neither server-ca.pem nor this machine trusts")?;
        findings.must("credentials", "skipped", "")?;
        set(&agent, &[("Usernme", json!("x")), ("Username", json!(7))])?;
        let findings = Findings::of(&agent)?;
        findings.must("settings", "failed", "Username")?;
        findings.must("dns", "skipped", "the settings cannot be used")
    })
}

/// Makes an authority of its own.
fn authority(path: &Path, name: &str) -> Result<()> {
    let key = path.with_extension("key");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9"])
        .args(["-subj", &format!("/CN={name}"), "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(path)
        .output()?;
    ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

#[test]
fn proxies_are_told_apart() -> Result<()> {
    system(|system| {
        let mut agent = system.install("behind")?;
        let squid = Squid::start(system.folder.path())?;
        let (user, password) = Squid::login();
        set(&agent, &[("ProxyServerAddress", json!(squid.address()))])?;
        Findings::of(&agent)?.must("proxy", "failed", "set ProxyUsername and ProxyPassword")?;
        set(&agent, &[("ProxyUsername", json!(user)), ("ProxyPassword", json!("not-the-password"))])?;
        Findings::of(&agent)?.must("proxy", "failed", "correct ProxyUsername")?;
        set(&agent, &[("ProxyPassword", json!(password))])?;
        let findings = Findings::of(&agent)?;
        findings.must("proxy", "ok", "with Basic authentication")?;
        findings.must("credentials", "ok", "the server knows agent `behind`")?;
        let gone = format!("http://127.0.0.1:{}", free_port()?);
        set(&agent, &[("ProxyServerAddress", json!(gone))])?;
        Findings::of(&agent)?.must("proxy", "failed", "whether the proxy runs")?;

        let (_mitmproxy, address) = inspecting_proxy(system)?;
        let none = [("ProxyUsername", Value::Null), ("ProxyPassword", Value::Null)];
        set(&agent, &none)?;
        set(&agent, &[("ProxyServerAddress", json!(address))])?;
        let findings = Findings::of(&agent)?;
        findings.must("tls", "failed", "inspects TLS: the certificate that arrives is signed by `mitmproxy`")?;
        // As its site would: its authority is added to the file.
        let own = fs::read_to_string(system.folder.path().join("mitmproxy/mitmproxy-ca-cert.pem"))?;
        let file = agent.folder().join("server-ca.pem");
        fs::write(&file, format!("{}\n{own}", fs::read_to_string(&file)?))?;
        let findings = Findings::of(&agent)?;
        findings.must("tls", "ok", "")?;
        findings.must("credentials", "ok", "")?;
        // What is told as good is: control connections go through it.
        agent.start()?;
        system.online("behind")?;
        agent.stop()
    })
}

/// A proxy that opens TLS and shows certificates of its own.
fn inspecting_proxy(system: &System) -> Result<(Process, String)> {
    let (port, home) = (free_port()?, system.folder.path().join("mitmproxy"));
    fs::create_dir_all(&home)?;
    let mut command = Command::new("mitmdump");
    command.args(["--listen-host", "127.0.0.1", "--listen-port", &port.to_string(), "--ssl-insecure", "--set"]);
    command.arg(format!("confdir={}", home.display()));
    let process = Process::start("mitmproxy", &mut command, &system.folder.path().join("mitmproxy.log"))?;
    within(Duration::from_secs(60), "mitmproxy to listen", || {
        let listens = std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        Ok((listens && home.join("mitmproxy-ca-cert.pem").is_file()).then_some(()))
    })?;
    Ok((process, format!("http://127.0.0.1:{port}")))
}

#[test]
fn a_clock_that_is_a_year_off_is_measured_and_named_as_the_cause() -> Result<()> {
    system(|system| {
        let agent = system.install("late")?;
        for (by, words) in [("+3 years", "ahead"), ("-3 years", "behind")] {
            let findings = Findings::from(&mut under(&agent, &["faketime", by], &["doctor", "--json"]))?;
            findings.must("clock", "failed", words)?;
            findings.must("tls", "failed", "set this machine's clock")?;
            findings.must("credentials", "skipped", "")?;
        }
        let findings = Findings::from(&mut under(&agent, &["faketime", "+2 minutes"], &["doctor", "--json"]))?;
        findings.must("clock", "warning", "ahead")?;
        findings.must("credentials", "ok", "")
    })
}

#[test]
fn logins_are_told_apart_and_the_platform_says_the_same_cause() -> Result<()> {
    system(|system| {
        let agent = system.install("locked")?;
        let settings: Value = serde_json::from_str(&fs::read_to_string(agent.folder().join("appsettings.json"))?)?;
        let password = settings["Settings"]["Password"].clone();
        let cause = |expected: &str| -> Result<()> {
            let shown = system.show_agent("locked")?;
            ensure!(shown["liveness"]["cause"] == expected, "wanted {expected}: {:#}", shown["liveness"]);
            Ok(())
        };
        cause("never_started")?;
        set(&agent, &[("Password", json!("nobody's-password"))])?;
        Findings::of(&agent)?.must("credentials", "failed", "wrong password")?;
        cause("credentials")?;
        set(&agent, &[("Password", password)])?;
        system.api().post("/api/v1/agents/locked/deactivate", &json!({}))?;
        Findings::of(&agent)?.must("credentials", "failed", "reactivate it")?;
        cause("deactivated")?;
        system.api().post("/api/v1/agents/locked/reactivate", &json!({}))?;
        system.api().post("/api/v1/agents/locked/rotate", &json!({}))?;
        Findings::of(&agent)?.must("credentials", "failed", "revoked password")?;
        set(&agent, &[("Username", json!("0198c0de-0000-7000-8000-000000000001"))])?;
        Findings::of(&agent)?.must("credentials", "failed", "unknown user name")
    })
}

#[test]
fn a_full_licence_is_found_without_taking_a_place() -> Result<()> {
    System::with(sallyport_e2e::Options { licence: "trial", ..Default::default() }, |system| {
        let first = system.agent("first")?;
        let second = system.install("second")?;
        Findings::of(&second)?.must("licence", "failed", "full")?;
        Findings::of(&first)?.must("licence", "ok", "")?;
        ensure!(system.is_online("first")?, "the question took the place");
        Ok(())
    })
}

#[test]
fn a_full_disk_and_a_stopped_agent_are_found() -> Result<()> {
    system(|system| {
        let disk = SmallDisk::mount(&system.folder.path().join("small"), 400)?;
        system.api().post("/api/v1/agents", &json!({"name": "full"}))?;
        let mut agent = system.download("full", "small/full")?;
        agent.start()?;
        system.online("full")?;
        agent.signal_agent(Signal::STOP)?;
        Findings::of(&agent)?.must("process", "failed", "SIGSTOP")?;
        agent.signal_agent(Signal::CONT)?;
        disk.fill()?;
        let findings = Findings::of(&agent)?;
        findings.must("disk", "failed", "make space")?;
        findings.must("logs", "failed", "")?;
        disk.empty()?;
        agent.stop()
    })
}

#[test]
fn the_platform_examines_while_the_agent_is_down_and_says_so_in_its_audit() -> Result<()> {
    system(|system| {
        let agent = system.agent("down")?;
        let examined = system.api().post("/api/v1/agents/down/doctor", &json!({}))?;
        let findings = by_check(&examined);
        ensure!(findings.get("process").is_some_and(|finding| finding.verdict == "ok"), "{examined:#}");
        let process = agent.agent_process().context("the agent does not run")?;
        // An agent that cannot be started.
        fs::remove_file(agent.folder().join("Agent/sallyport-agent"))?;
        fs::write(agent.folder().join("Agent/sallyport-agent"), "no program")?;
        signal_to(process, Signal::KILL)?;
        system.offline("down")?;
        let examined = system.api().post("/api/v1/agents/down/doctor", &json!({}))?;
        let findings = by_check(&examined);
        ensure!(examined["verdict"] == "failed", "{examined:#}");
        ensure!(findings.get("process").is_some_and(|finding| finding.verdict == "failed"), "{examined:#}");
        let said = system.cli()?.run(&["agents", "doctor", "down"], "")?;
        ensure!(said.status.code() == Some(1), "{said:?}");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        ensure!(said.contains("process") && said.contains("FAILED") | said.contains("failed"), "{said}");
        let audit = system.api().get("/api/v1/audit?action=agent.doctor")?;
        ensure!(audit["items"].as_array().is_some_and(|lines| lines.len() == 3), "{audit:#}");
        Ok(())
    })
}

#[test]
fn a_bundle_holds_what_helps_and_no_secret_from_here_and_from_the_platform() -> Result<()> {
    system(|system| {
        let agent = system.install("packed")?;
        set(&agent, &[("LogAPICallBody", json!(true)), ("FileLogLevel", json!("Debug"))])?;
        let settings: Value = serde_json::from_str(&fs::read_to_string(agent.folder().join("appsettings.json"))?)?;
        let password = settings["Settings"]["Password"].as_str().context("no password")?.to_owned();
        let mut agent = agent;
        agent.start()?;
        system.online("packed")?;
        let out = system.folder.path().join("here.zip");
        let made = wrapper(&agent, &["bundle", "--out", &out.display().to_string()]).output()?;
        ensure!(made.status.success(), "{made:?}");
        check_bundle(&fs::read(&out)?, &password)?;
        let folder = system.folder.path().join("fetched");
        system.cli()?.good(&["agents", "bundle", "packed", &folder.display().to_string()])?;
        check_bundle(&fs::read(folder.join("packed.bundle.zip"))?, &password)?;
        let audit = system.api().get("/api/v1/audit?action=agent.bundle")?;
        ensure!(audit["items"].as_array().is_some_and(|lines| lines.len() == 1), "{audit:#}");
        Ok(())
    })
}

fn check_bundle(zip: &[u8], password: &str) -> Result<()> {
    use std::io::Read as _;
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(zip))?;
    let mut names = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let name = entry.name()?.into_owned();
        let mut text = Vec::new();
        entry.read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        ensure!(!text.contains(password), "the password is in {name}");
        names.push(name);
    }
    for wanted in ["doctor.txt", "doctor.json", "versions.json", "settings/appsettings.json", "state/status.json"] {
        ensure!(names.iter().any(|name| name == wanted), "{wanted} is missing: {names:?}");
    }
    for wanted in ["logs/server-", "logs/wrapper-"] {
        ensure!(names.iter().any(|name| name.starts_with(wanted)), "{wanted} is missing: {names:?}");
    }
    Ok(())
}
