//! Agents whose site lets nobody out but through a proxy.

use std::time::Duration;

use anyhow::{Result, ensure};
use sallyport_e2e::{Squid, within};
use serde_json::json;

use crate::system;

#[test]
fn an_agent_goes_through_a_proxy_with_basic_authentication() -> Result<()> {
    system(|system| {
        let squid = Squid::start(system.folder.path())?;
        let (user, password) = Squid::login();
        let mut agent = system.install("behind")?;
        agent.edit_settings(|settings| {
            let settings = &mut settings["Settings"];
            settings["ProxyServerAddress"] = json!(squid.address());
            settings["ProxyUsername"] = json!(user);
            settings["ProxyPassword"] = json!(password);
        })?;
        agent.start()?;
        system.online("behind")?;
        agent.stop()?;
        let port = format!(":{}", system.server.port());
        within(Duration::from_secs(20), "squid to log the tunnel", || {
            let log = squid.access_log();
            Ok(log
                .lines()
                .any(|line| line.contains("CONNECT") && line.contains(&port) && line.contains("/200"))
                .then_some(()))
        })
    })
}

#[test]
fn a_wrong_proxy_password_is_named_as_such_and_leaks_nowhere() -> Result<()> {
    system(|system| {
        let squid = Squid::start(system.folder.path())?;
        let mut agent = system.install("behind")?;
        agent.edit_settings(|settings| {
            let settings = &mut settings["Settings"];
            settings["ProxyServerAddress"] = json!(squid.address());
            settings["ProxyUsername"] = json!("site");
            settings["ProxyPassword"] = json!("not-the-password");
        })?;
        agent.start()?;
        within(Duration::from_secs(30), "the agent to name the proxy's refusal", || {
            Ok(agent
                .agent_log()
                .lines()
                .any(|line| line.contains("407") || line.contains("ProxyPassword"))
                .then_some(()))
        })?;
        ensure!(!system.is_online("behind")?, "it is online past the proxy");
        for text in [agent.agent_log(), agent.wrapper_log(), agent.console()] {
            ensure!(!text.contains("not-the-password"), "the password is in a log:\n{text}");
        }
        Ok(())
    })
}

#[test]
fn the_proxy_of_the_environment_is_used_unless_the_server_is_exempt() -> Result<()> {
    system(|system| {
        let squid = Squid::start(system.folder.path())?;
        let (user, password) = Squid::login();
        let proxy = squid.address().replace("http://", &format!("http://{user}:{password}@"));
        let mut agent = system.install("behind")?;
        agent.set_variable("HTTPS_PROXY", &proxy);
        agent.start()?;
        system.online("behind")?;
        agent.stop()?;
        let port = format!(":{}", system.server.port());
        within(Duration::from_secs(20), "squid to log the tunnel", || {
            Ok(squid.access_log().contains(&port).then_some(()))
        })?;

        let passed = squid.access_log().len();
        agent.set_variable("NO_PROXY", "localhost");
        agent.start()?;
        system.online("behind")?;
        agent.stop()?;
        ensure!(squid.access_log().len() == passed, "an exempt host went through the proxy");
        Ok(())
    })
}
