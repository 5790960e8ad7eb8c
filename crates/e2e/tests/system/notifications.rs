//! People are told about failures and recoveries, by mail and by webhook, also over a kill of the server.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{Call, Hook, MailServer, System, within};
use serde_json::{Value, json};

use crate::system;

/// No wait here is longer.
const DEADLINE: Duration = Duration::from_secs(90);

const SECRET: &str = "signing secret of the test";

fn copy(name: &str) -> Value {
    json!({"task": name, "steps": [
        {"name": "read", "connector": "file", "agent": "background", "with": {"path": "in.csv"}},
        {"name": "write", "connector": "file", "agent": "background", "input": "read", "with": {"path": "out.csv"}},
    ]})
}

fn mail_server(system: &System) -> Result<MailServer> {
    let tls = system.server.data().join("tls");
    MailServer::start(&system.folder.path().join("mails"), &tls.join("server.pem"), &tls.join("server.key"))
}

fn mail_channel(system: &System, server: &MailServer) -> Result<Value> {
    let ca = std::fs::read_to_string(system.server.ca())?;
    let (user, _) = MailServer::LOGIN;
    Ok(json!({"name": "mail", "kind": "smtp", "settings": {
        "host": "localhost", "port": server.port, "ca": ca, "user": user,
        "from": "Sallyport <sallyport@example.org>", "to": ["ops@example.org"],
    }}))
}

fn hook_channel(url: &str) -> Value {
    json!({"name": "hook", "kind": "webhook", "settings": {"url": url}, "secrets": {"secret": SECRET}})
}

/// Calls about an event.
fn about(hook: &Hook, event: &str) -> Result<Vec<Call>> {
    let mut found = Vec::new();
    for call in hook.calls() {
        if call.json()?["event"] == event {
            found.push(call);
        }
    }
    Ok(found)
}

#[test]
fn a_failure_and_its_recovery_come_by_mail_and_webhook() -> Result<()> {
    system(|system| {
        let (mails, hook) = (mail_server(system)?, Hook::start()?);
        let cli = system.cli()?;
        let (channel, password) = (system.folder.path().join("mail.json"), system.folder.path().join("password"));
        std::fs::write(&channel, mail_channel(system, &mails)?.to_string())?;
        std::fs::write(&password, MailServer::LOGIN.1)?;
        let secret = format!("password={}", password.display());
        let apply = ["notifications", "apply", "-f", channel.to_str().context("path")?, "--secret-file", &secret];
        cli.good(&apply)?;
        system.api().post("/api/v1/notifications/channels", &hook_channel(&hook.url))?;
        ensure!(cli.good(&["notifications", "test", "mail"])?.contains("delivery"));
        ensure!(mails.mails()?.len() == 1, "the test's mail");

        system.task(&copy("orders"))?;
        let run = system.run("orders")?;
        system.must_be(&run, "failed")?;
        let id = run["id"].as_str().context("id")?;
        let mail = within(DEADLINE, "the failure's mail", || Ok(mails.mails()?.into_iter().nth(1)))?;
        let link = format!("{}/runs/{id}", system.server.url());
        for part in
            ["Subject: [Sallyport", "orders failed", "in.csv", &link, "The end of its log:", "Message-ID: <notice_"]
        {
            ensure!(mail.contains(part), "`{part}` is not in\n{mail}");
        }
        let call = within(DEADLINE, "the failure's call", || Ok(about(&hook, "failure")?.pop()))?;
        let body = call.json()?;
        ensure!(body["run"]["id"] == id && body["run"]["link"] == link.as_str(), "{body:#}");
        ensure!(body["run"]["log"].as_array().is_some_and(|log| !log.is_empty()), "{body:#}");
        ensure!(call.header("idempotency-key") == body["id"].as_str().unwrap_or("-"));
        ensure!(call.header("x-sallyport-signature").starts_with("sha256="));

        // A second failure is not told, the recovery is.
        system.run("orders")?;
        std::fs::write(system.server.background_files()?.join("in.csv"), "a\n1\n")?;
        system.run_well("orders")?;
        let mail = within(DEADLINE, "the recovery's mail", || Ok(mails.mails()?.into_iter().nth(2)))?;
        ensure!(mail.contains("orders works again"), "{mail}");
        within(DEADLINE, "the recovery's call", || Ok(about(&hook, "recovery")?.pop()))?;
        ensure!(about(&hook, "failure")?.len() == 1, "{:?}", hook.calls());
        within(DEADLINE, "all to be known as sent", || {
            let sent = cli.good(&["notifications", "deliveries", "--state", "sent", "-o", "json"])?;
            let sent: Value = serde_json::from_str(&sent)?;
            Ok(sent.as_array().filter(|sent| sent.len() == 4).map(|_| ()))
        })?;
        let shown = cli.good(&["notifications", "show", "mail"])?;
        ensure!(!shown.contains(MailServer::LOGIN.1) && !system.server.output().contains(MailServer::LOGIN.1));
        ensure!(!system.server.output().contains(SECRET));
        Ok(())
    })
}

#[test]
fn a_notice_survives_a_kill_and_a_receiver_that_is_down() -> Result<()> {
    system(|system| {
        let hook = Hook::start()?;
        hook.refuse(true);
        system.api().post("/api/v1/notifications/channels", &hook_channel(&hook.url))?;
        system.task(&copy("orders"))?;
        let run = system.run("orders")?;
        system.must_be(&run, "failed")?;
        // Between the run's end and the delivery.
        system.server.kill()?;
        system.server.start_again()?;
        let refused = within(DEADLINE, "a try", || Ok(about(&hook, "failure")?.pop()))?;
        within(DEADLINE, "the channel to show why", || {
            let channel = system.api().get("/api/v1/notifications/channels/hook")?;
            Ok(channel["problem"].as_str().filter(|problem| problem.contains("503")).map(ToOwned::to_owned))
        })?;
        hook.refuse(false);
        // A change of the channel tries what waits at once.
        system.api().edit("PUT", "/api/v1/notifications/channels/hook", &hook_channel(&hook.url))?;
        let sent = within(DEADLINE, "the delivery", || {
            let sent = system.api().get("/api/v1/notifications/deliveries?state=sent")?;
            Ok(sent["items"].get(0).cloned())
        })?;
        ensure!(sent["run_id"] == run["id"], "{sent:#}");
        let last = about(&hook, "failure")?.pop().context("no call")?;
        let ids =
            (refused.header("idempotency-key"), last.header("idempotency-key"), sent["id"].as_str().unwrap_or("-"));
        ensure!(ids.0 == ids.1 && ids.1 == ids.2, "one notice keeps its id: {ids:?}");
        Ok(())
    })
}

#[test]
fn a_late_run_is_told_and_more_than_the_hour_allows_is_held() -> Result<()> {
    system(|system| {
        let hook = Hook::start()?;
        let mut channel = hook_channel(&hook.url);
        channel["hourly"] = json!(1);
        channel["rules"] = json!([{"events": ["late"]}]);
        system.api().post("/api/v1/notifications/channels", &channel)?;
        // Nobody ever starts this agent.
        system.api().post("/api/v1/agents", &json!({"name": "away"}))?;
        system.task(&json!({"task": "waits", "limit": 10,
            "triggers": [{"name": "hook", "webhook": {}, "late_after": "1s"}],
            "steps": [{"name": "read", "connector": "file", "agent": "away", "with": {"path": "in.csv"}},
                {"name": "write", "connector": "file", "agent": "away", "input": "read", "with": {"path": "out.csv"}}],
        }))?;
        let fire = "/api/v1/tasks/waits/triggers/hook/fire";
        let first = system.api().post(fire, &json!({}))?;
        let call = within(DEADLINE, "the late run's call", || Ok(about(&hook, "late")?.pop()))?.json()?;
        ensure!(call["run"]["id"] == first["id"] && call["run"]["late_at"].is_string(), "{call:#}");
        let second = system.api().post(fire, &json!({}))?;
        let held = within(DEADLINE, "the second to be held", || {
            let held = system.api().get("/api/v1/notifications/deliveries?state=held")?;
            Ok(held["items"].get(0).cloned())
        })?;
        ensure!(held["run_id"] == second["id"], "{held:#}");
        let waiting = system.api().get("/api/v1/notifications/deliveries?state=waiting")?;
        ensure!(waiting["items"][0]["event"] == "summary" && waiting["total"] == 1, "{waiting:#}");
        ensure!(about(&hook, "late")?.len() == 1, "{:?}", hook.calls());
        Ok(())
    })
}
