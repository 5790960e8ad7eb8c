//! `appsettings.json`: what a person sets there is what happens. The rules of each key are tested with its code; here
//! they are seen from outside.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use sallyport_e2e::{Installed, Options, System, tpch, within};
use serde_json::json;

use crate::{system, to_csv};

fn says(agent: &Installed, what: &str, words: &[&str]) -> Result<()> {
    within(Duration::from_secs(30), what, || {
        let text = format!("{}{}{}", agent.console(), agent.wrapper_log(), agent.agent_log());
        Ok(words.iter().all(|word| text.contains(word)).then_some(()))
    })
}

#[test]
fn the_download_has_every_key_and_the_same_file_twice() -> Result<()> {
    system(|system| {
        let agent = system.install("client")?;
        let outer = std::fs::read_to_string(agent.folder().join("appsettings.json"))?;
        let inner = std::fs::read_to_string(agent.folder().join("Agent/appsettings.json"))?;
        ensure!(outer == inner, "the two files differ");
        let settings: serde_json::Value = serde_json::from_str(&outer)?;
        for key in [
            "AllowAutoUpdate",
            "Username",
            "Password",
            "ServerAddress",
            "ReconnectTimeoutSeconds",
            "FileLogLevel",
            "ConsoleLogLevel",
            "LogAPICallBody",
            "NotifyUpdated",
            "SuppressUpdate",
            "IsTesting",
            "ProxyUsername",
            "ProxyPassword",
            "ProxyServerAddress",
            "PrintQueueEvents",
        ] {
            ensure!(settings["Settings"].get(key).is_some(), "{key} is missing: {settings:#}");
        }
        ensure!(settings["Logging"]["LogLevel"]["Default"].is_string(), "{settings:#}");
        for file in
            ["start.sh", "start.bat", "scheduler.bat", "sallyport-wrapper", "Agent/sallyport-agent", "server-ca.pem"]
        {
            ensure!(agent.folder().join(file).is_file(), "{file} is missing");
        }
        Ok(())
    })
}

#[test]
fn a_mistyped_key_is_a_warning_and_a_bad_value_an_error() -> Result<()> {
    system(|system| {
        let mut agent = system.install("client")?;
        agent.edit_settings(|settings| settings["Settings"]["FileLogLevl"] = json!("Debug"))?;
        agent.start()?;
        system.online("client")?;
        says(&agent, "a warning about the mistyped key", &["FileLogLevl", "FileLogLevel"])?;
        agent.stop()?;

        agent.edit_settings(|settings| settings["Settings"]["ConsoleLogLevel"] = json!("Loud"))?;
        agent.start()?;
        let words = ["appsettings.json", "ConsoleLogLevel", "Loud", "Trace", "Fatal"];
        says(&agent, "an error about the bad value", &words)?;
        ensure!(!system.is_online("client")?, "it went online in spite of a bad setting");
        Ok(())
    })
}

#[test]
fn file_and_console_have_levels_of_their_own() -> Result<()> {
    system(|system| {
        system
            .api()
            .post("/api/v1/agents", &json!({"name": "client", "levels": {"file": "Debug", "console": "Error"}}))?;
        let mut agent = system.download("client", "client")?;
        agent.start()?;
        system.online("client")?;
        within(Duration::from_secs(20), "details in the file", || {
            Ok(agent.agent_log().contains("level=debug").then_some(()))
        })?;
        let console = agent.console();
        ensure!(
            !console.contains("  debug  ") && !console.contains("  info  "),
            "the console is not quiet:\n{console}"
        );
        Ok(())
    })
}

#[test]
fn bodies_are_logged_when_asked_for_and_without_secrets() -> Result<()> {
    system(|system| {
        let levels = json!({"file": "Debug", "console": "Error"});
        system.api().post("/api/v1/agents", &json!({"name": "client", "levels": levels}))?;
        let mut agent = system.download("client", "client")?;
        agent.edit_settings(|settings| {
            settings["Settings"]["LogAPICallBody"] = json!(true);
            settings["Settings"]["PrintQueueEvents"] = json!(true);
        })?;
        agent.start()?;
        system.online("client")?;
        let settings = json!({"host": "127.0.0.1", "port": 1, "database": "sales", "user": "reader"});
        system.connection("db", "postgres", "client", &settings, &json!({"password": "a-secret-word"}))?;
        // It fails, since nobody listens there: what matters is that the agent was sent the password.
        system.api().send("POST", "/api/v1/connections/db/test", Some(&json!({})), &[])?;
        let body = within(Duration::from_secs(20), "the body of the test in the log", || {
            let log = agent.agent_log();
            let body = log.lines().find(|line| line.contains(r#"\"type\":\"test_connection\""#)).map(str::to_owned);
            Ok(body)
        })?;
        ensure!(body.contains(r#"\"password\":\"***\""#), "the body shows no hidden password: {body}");
        for event in ["queued", "sent", "acknowledged"] {
            let line = format!("logName=sallyport_agent::queue::ship, {event}, message_kind=");
            within(Duration::from_secs(20), event, || Ok(agent.agent_log().contains(&line).then_some(())))?;
        }
        for text in [agent.agent_log(), agent.console(), system.server.output()] {
            ensure!(!text.contains("a-secret-word"), "the password is in a log");
        }
        Ok(())
    })
}

#[test]
fn a_trial_of_the_installation_ends_at_the_first_refusal() -> Result<()> {
    system(|system| {
        let mut agent = system.install("client")?;
        agent.edit_settings(|settings| {
            settings["Settings"]["IsTesting"] = json!(true);
            settings["Settings"]["Password"] = json!("not-the-password");
        })?;
        agent.start()?;
        let Some(mut wrapper) = agent.wrapper.take() else { anyhow::bail!("no wrapper") };
        let status = wrapper.wait(Duration::from_secs(30))?;
        ensure!(!status.success(), "a refused trial is no success");
        Ok(())
    })
}

#[test]
fn a_folder_has_one_wrapper_and_it_obeys_commands() -> Result<()> {
    system(|system| {
        let mut agent = system.agent("client")?;
        let program = agent.folder().join("sallyport-wrapper");
        let run = |arguments: &[&str]| std::process::Command::new(&program).args(arguments).output();
        let second = run(&[])?;
        let text = format!("{}{}", String::from_utf8_lossy(&second.stdout), String::from_utf8_lossy(&second.stderr));
        let holder = agent.wrapper.as_ref().map(|wrapper| wrapper.id().to_string()).unwrap_or_default();
        ensure!(!second.status.success() && text.contains(&holder), "the holder {holder} is not named: {text}");

        let status = run(&["status", "--json"])?;
        let shown: serde_json::Value = serde_json::from_slice(&status.stdout)?;
        let pid = agent.agent_process().unwrap_or_default();
        ensure!(shown.to_string().contains(&pid.to_string()), "the agent's process {pid} is not named: {shown:#}");

        ensure!(run(&["restart"])?.status.success());
        within(Duration::from_secs(20), "another agent process", || {
            Ok(agent.agent_process().filter(|now| *now != pid))
        })?;
        system.online("client")?;
        ensure!(run(&["stop"])?.status.success());
        let Some(mut wrapper) = agent.wrapper.take() else { anyhow::bail!("no wrapper") };
        wrapper.wait(Duration::from_secs(15))?;
        ensure!(agent.agent_process().is_none(), "the agent outlived a stop");
        Ok(())
    })
}

/// Says on the server that there is another version of the agent: the same program with a few bytes behind its end.
fn offer_another_version(system: &System, agent: &Installed) -> Result<Vec<u8>> {
    let mut program = std::fs::read(agent.folder().join("Agent/sallyport-agent"))?;
    program.extend_from_slice(b"another version");
    std::fs::write(system.server.release().join("sallyport-agent"), &program)?;
    Ok(program)
}

#[test]
fn another_version_is_installed_as_the_settings_allow() -> Result<()> {
    System::with(Options { own_release: true, ..Options::default() }, |system| {
        let mut agent = system.install("client")?;
        let program = agent.folder().join("Agent/sallyport-agent");
        let present = std::fs::read(&program)?;
        let offered = offer_another_version(system, &agent)?;
        let said = |agent: &Installed| agent.wrapper_log().contains("another version of the agent was installed");
        for (key, value, updates, tells) in [
            ("AllowAutoUpdate", false, false, false),
            ("SuppressUpdate", true, false, false),
            ("NotifyUpdated", false, true, false),
            ("NotifyUpdated", true, true, true),
        ] {
            let original = std::fs::read_to_string(agent.folder().join("appsettings.json"))?;
            std::fs::write(&program, &present)?;
            agent.edit_settings(|settings| settings["Settings"][key] = json!(value))?;
            agent.start()?;
            system.online("client")?;
            let now = std::fs::read(&program)?;
            ensure!((now == offered) == updates, "{key} = {value}: another program is there or is not, wrongly");
            agent.stop()?;
            ensure!(said(&agent) == tells, "{key} = {value}: the log tells of it or does not, wrongly");
            agent.edit_settings(|settings| {
                if let Ok(was) = serde_json::from_str(&original) {
                    *settings = was;
                }
            })?;
        }
        Ok(())
    })
}

#[test]
fn a_message_without_an_answer_is_sent_again_after_the_time_that_was_set() -> Result<()> {
    system(|system| {
        let mut agent = system.install("client")?;
        agent.edit_settings(|settings| settings["Settings"]["ReconnectTimeoutSeconds"] = json!(2))?;
        agent.start()?;
        system.online("client")?;
        let database = system.folder.join("in.sqlite")?;
        tpch::sqlite(&database, 0.001)?;
        system.connection("db", "sqlite", "client", &json!({"path": database}), &json!({}))?;
        let long = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 30000000) \
                    select max(i) as i from n";
        system.task(&to_csv("count", long, "client", "n.csv"))?;
        let id = system.start_run("count")?;
        system.run_that(&id, "to run", |run| run["state"] == "running")?;
        let server = system.server.process.as_ref().context("the server does not run")?;
        server.signal(Signal::STOP)?;
        let told = says(&agent, "the agent to give the silent connection up", &["within 2 s"]);
        server.signal(Signal::CONT)?;
        told?;
        system.must_be(&system.ended(&id)?, "succeeded")
    })
}
