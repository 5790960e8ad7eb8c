//! Who is let in: credentials, certificates, copies.

use std::time::Duration;

use anyhow::{Result, ensure};
use sallyport_e2e::{Installed, System, within};
use serde_json::json;

use crate::system;

/// Waits until an agent's own log says something.
fn logged(agent: &Installed, what: &str, words: &[&str]) -> Result<()> {
    within(Duration::from_secs(40), what, || {
        let log = agent.agent_log().to_lowercase();
        Ok(words.iter().any(|word| log.contains(&word.to_lowercase())).then_some(()))
    })
}

#[test]
fn a_wrong_password_is_told_from_a_revoked_one() -> Result<()> {
    system(|system| {
        let mut wrong = system.install("wrong")?;
        wrong.edit_settings(|settings| settings["Settings"]["Password"] = json!("not-the-password"))?;
        wrong.start()?;
        logged(&wrong, "the wrong password to be named", &["password"])?;
        ensure!(!system.is_online("wrong")?);
        ensure!(!wrong.agent_log().contains("not-the-password"), "the password is in the log");

        let mut rotated = system.agent("rotated")?;
        system.api().post("/api/v1/agents/rotated/rotate", &json!({}))?;
        system.offline("rotated")?;
        logged(&rotated, "the revoked password to be named", &["revoked", "rotated"])?;
        rotated.stop()?;

        // With a new download it is online again.
        let mut again = system.download("rotated", "rotated-again")?;
        again.start()?;
        system.online("rotated")
    })
}

#[test]
fn a_server_whose_certificate_nobody_vouches_for_is_not_talked_to() -> Result<()> {
    system(|system| {
        let mut agent = system.install("careful")?;
        let other = System::with(Default::default(), |other| {
            // The certificate of another server's CA in the place of the right one.
            std::fs::copy(other.server.ca(), agent.folder().join("server-ca.pem"))?;
            Ok(())
        });
        other?;
        agent.start()?;
        logged(&agent, "the certificate to be named", &["certificate"])?;
        ensure!(!system.is_online("careful")?);
        let password = std::fs::read_to_string(agent.folder().join("appsettings.json"))?;
        ensure!(password.contains("\"Password\""), "the settings are gone");
        Ok(())
    })
}

#[test]
fn a_copy_of_an_installation_is_refused_while_the_first_is_online() -> Result<()> {
    system(|system| {
        let first = system.agent("original")?;
        let mut copy = system.download("original", "copy")?;
        copy.start()?;
        logged(&copy, "the duplicate to be named", &["duplicate"])?;
        let shown = system.show_agent("original")?;
        let first_pid = first.agent_process().map(u64::from);
        ensure!(shown["detail"]["process_id"].as_u64() == first_pid, "the copy took the place: {shown:#}");
        ensure!(system.server.output().to_lowercase().contains("duplicate"), "the server's log says nothing");
        Ok(())
    })
}

#[test]
fn deactivation_follows_its_rules() -> Result<()> {
    system(|system| {
        let mut agent = system.agent("client")?;
        let api = system.api();
        let online = api.send("POST", "/api/v1/agents/client/deactivate", Some(&json!({})), &[])?;
        ensure!(online.status == 409, "an online agent was deactivated: {online:?}");

        system.task(&json!({"task": "copy", "steps": [
            {"name": "read", "connector": "file", "agent": "client", "with": {"path": "in.csv"}},
            {"name": "write", "connector": "file", "agent": "client", "input": "read", "with": {"path": "out.csv"}},
        ]}))?;
        agent.stop()?;
        system.offline("client")?;
        let used = api.send("POST", "/api/v1/agents/client/deactivate", Some(&json!({})), &[])?;
        ensure!(used.status == 409, "an agent in use was deactivated: {used:?}");
        let text = used.body.to_string();
        ensure!(text.contains("copy") && text.contains("read"), "task and step are not named: {text}");

        api.edit(
            "PUT",
            "/api/v1/tasks/copy",
            &json!({"task": "copy", "active": false, "steps": [
                {"name": "read", "connector": "file", "agent": "client", "with": {"path": "in.csv"}},
                {"name": "write", "connector": "file", "agent": "client", "input": "read", "with": {"path": "out.csv"}},
            ]}),
        )?;
        api.post("/api/v1/agents/client/deactivate", &json!({}))?;
        agent.start()?;
        logged(&agent, "the deactivation to be named", &["deactivated"])?;
        ensure!(!system.is_online("client")?);
        api.post("/api/v1/agents/client/reactivate", &json!({}))?;
        // A refused login is tried again slowly; a person who waits starts it anew.
        agent.stop()?;
        agent.start()?;
        system.online("client")
    })
}
