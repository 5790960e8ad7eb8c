//! HTTP through an agent: real clients, a real service, and what happens when something on the way breaks.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{Service, Signal, System, descriptors_of, free_port, until, usage_of, within};
use serde_json::{Value, json};

use crate::system;
use crate::tunnels::good;

/// What a service sees of the person who asks.
const KEY: &str = "the service's own key";

/// A connection `name` to a service at a port of the loopback, as the agent `site` sees it.
fn connect(system: &System, name: &str, port: u16, more: &Value) -> Result<()> {
    let mut settings = json!({"url": format!("http://127.0.0.1:{port}/base"), "secret_header": "X-Api-Key"});
    if let (Some(settings), Some(more)) = (settings.as_object_mut(), more.as_object()) {
        settings.extend(more.clone());
    }
    system.connection(name, "http", "site", &settings, &json!({"header": KEY}))
}

/// A curl that trusts the server and says nothing of itself; without a token.
fn stranger(system: &System) -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "300", "--path-as-is", "--cacert"]);
    command.arg(system.server.ca());
    command
}

/// The same with the administrator's token.
fn curl(system: &System) -> Command {
    let mut command = stranger(system);
    let token = system.api().token().unwrap_or_default();
    command.arg("-H").arg(format!("Authorization: Bearer {token}"));
    command
}

fn url(system: &System, path: &str) -> String {
    format!("{}/via/{path}", system.server.url())
}

fn get(system: &System, path: &str) -> Result<String> {
    good(curl(system).arg("--fail-with-body").arg(url(system, path)))
}

/// Status, and the problem's code and detail.
fn refused(command: &mut Command) -> Result<(u16, String)> {
    let output = command.args(["-w", "\n%{http_code}"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').context("no status")?;
    Ok((status.parse()?, body.to_owned()))
}

fn piped(command: &mut Command, input: &[u8]) -> Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("its input")?.write_all(input)?;
    Ok(child.wait_with_output()?)
}

#[test]
fn requests_of_every_kind_reach_a_service_with_the_connections_own_key() -> Result<()> {
    system(|system| {
        let service = Service::start(system.folder.path())?;
        let _agent = system.agent("site")?;
        connect(system, "erp", service.port(), &json!({}))?;

        let heard: Value =
            serde_json::from_str(&good(curl(system).args(["-b", "theme=dark; sallyport_login=stolen"]).args([
                "-H",
                "X-Api-Key: guessed",
                &url(system, "erp/headers?a=b%20c"),
            ]))?)?;
        let token = system.api().token().unwrap_or_default();
        ensure!(heard["x-api-key"] == KEY && heard["path"] == "/base/headers?a=b%20c", "{heard:#}");
        ensure!(
            heard["host"] == format!("127.0.0.1:{}", service.port()) && heard["cookie"] == "theme=dark",
            "{heard:#}"
        );
        ensure!(heard.get("authorization").is_none() && !heard.to_string().contains(token), "{heard:#}");

        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let counted = good(curl(system).args(["-X", method, "-d", "four", &url(system, "erp/count")]))?;
            ensure!(counted.contains("\"length\": 4, "), "{method}: {counted}");
        }
        let chunked = piped(
            curl(system)
                .args(["-X", "PUT", "-H", "Transfer-Encoding: chunked", "--data-binary", "@-"])
                .arg(url(system, "erp/count")),
            &vec![b'x'; 1_000_000],
        )?;
        let chunked = String::from_utf8_lossy(&chunked.stdout).into_owned();
        ensure!(chunked.contains("\"length\": 1000000") && chunked.contains("\"chunked\": true"), "{chunked}");

        let head = good(curl(system).args(["--head", &url(system, "erp/zeros/12345")]))?.to_lowercase();
        ensure!(head.starts_with("http/1.1 200") && head.contains("content-length: 12345"), "{head}");
        ensure!(
            good(curl(system).args(["-o", "/dev/null", "-w", "%{size_download}", &url(system, "erp/chunks/700000")]))?
                == "700000"
        );

        let redirected = |to: &str| {
            good(curl(system).args(["-o", "/dev/null", "-D", "-", &url(system, &format!("erp/redirect?{to}"))]))
        };
        let inside = redirected(&format!("http://127.0.0.1:{}/base/headers", service.port()))?.to_lowercase();
        ensure!(inside.contains("location: /via/erp/headers\r\n"), "{inside}");
        ensure!(inside.contains("set-cookie: id=1; path=/via/erp/\r\n"), "{inside}");
        let elsewhere = redirected("http://169.254.169.254/latest")?.to_lowercase();
        ensure!(elsewhere.contains("location: http://169.254.169.254/latest\r\n"), "{elsewhere}");
        let followed = good(curl(system).args(["-L", &url(system, "erp/redirect?/base/headers")]))?;
        ensure!(followed.contains("/base/headers"), "{followed}");

        let stolen = good(curl(system).args(["-D", "-", &url(system, "erp/steal")]))?.to_lowercase();
        ensure!(!stolen.contains("stolen") && !stolen.contains("clear-site-data"), "{stolen}");
        ensure!(stolen.contains("content-security-policy: sandbox allow-scripts"), "{stolen}");
        let locked = good(curl(system).args(["-D", "-", &url(system, "erp/locked")]))?.to_lowercase();
        ensure!(locked.starts_with("http/1.1 401") && !locked.contains("www-authenticate"), "{locked}");
        ensure!(
            good(curl(system).args(["-o", "/dev/null", "-w", "%{redirect_url}", &url(system, "erp")]))?
                .ends_with("/via/erp/")
        );
        ensure!(get(system, "erp/")? == "the base");

        let tested = system.api().post("/api/v1/connections/erp/test", &json!({}))?;
        ensure!(tested["passed"] == true && tested.to_string().contains("credentials were sent"), "{tested:#}");
        Ok(())
    })
}

#[test]
fn a_gigabyte_passes_each_way_and_nobody_holds_it() -> Result<()> {
    const BYTES: u64 = 1 << 30;
    /// Beside what the processes held before.
    const MORE_MAX: u64 = 64 << 20;
    system(|system| {
        let service = Service::start(system.folder.path())?;
        let agent = system.agent("site")?;
        connect(system, "erp", service.port(), &json!({}))?;
        get(system, "erp/")?;
        let processes = [
            system.server.process.as_ref().context("the server runs")?.id(),
            agent.agent_process().context("the agent")?,
        ];
        let peaks = || -> Result<Vec<u64>> { processes.iter().map(|pid| Ok(usage_of(*pid)?.peak)).collect() };
        let before = peaks()?;
        let down = good(curl(system).args([
            "-o",
            "/dev/null",
            "-w",
            "%{size_download}",
            &url(system, &format!("erp/zeros/{BYTES}")),
        ]))?;
        ensure!(down == BYTES.to_string(), "{down}");
        let file = system.folder.path().join("zeros");
        std::fs::File::create(&file)?.set_len(BYTES)?;
        let up = good(curl(system).arg("-T").arg(&file).arg(url(system, "erp/count")))?;
        ensure!(up.contains(&format!("\"length\": {BYTES}")), "{up}");
        let after = peaks()?;
        ensure!(
            after.iter().zip(&before).all(|(after, before)| after - before < MORE_MAX),
            "{before:?} became {after:?}"
        );
        Ok(())
    })
}

#[test]
fn only_tokens_open_it_and_no_other_page_can_use_one_that_is_remembered() -> Result<()> {
    system(|system| {
        let service = Service::start(system.folder.path())?;
        let _agent = system.agent("site")?;
        connect(system, "erp", service.port(), &json!({}))?;
        system.connection("shell", "tcp", "site", &json!({"host": "127.0.0.1", "port": 22}), &json!({}))?;
        let (page, token) = (url(system, "erp/headers"), system.api().token().unwrap_or_default());

        let asked = good(stranger(system).args(["-D", "-", &page]))?;
        ensure!(
            asked.starts_with("HTTP/1.1 401") && asked.to_lowercase().contains("www-authenticate: basic"),
            "{asked}"
        );
        ensure!(refused(stranger(system).args(["-b", &format!("sallyport_login={token}"), &page]))?.0 == 401);
        ensure!(refused(stranger(system).args(["-u", "anyone:guessed", &page]))?.0 == 401);
        ensure!(refused(stranger(system).args(["-H", "Authorization: Bearer guessed", &page]))?.0 == 401);
        let basic = || {
            let mut command = stranger(system);
            command.args(["-u", &format!("anyone:{token}")]);
            command
        };
        let heard = good(basic().arg(&page))?;
        ensure!(heard.contains(KEY) && !heard.contains("authorization"), "{heard}");
        for header in
            ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://evil.example", "Origin: null"]
        {
            let (status, said) = refused(basic().args(["-H", header, &page]))?;
            ensure!(status == 403 && said.contains("foreign_origin"), "{header}: {status} {said}");
        }
        for (path, status, code) in
            [("nothing/", 404, "not_found"), ("shell/", 409, "no_tunnel"), ("erp/../admin", 400, "bad_request")]
        {
            let (found, said) = refused(curl(system).arg(url(system, path)))?;
            ensure!(found == status && said.contains(code), "{path}: {found} {said}");
        }
        ensure!(refused(curl(system).args(["-X", "TRACE", &page]))?.0 == 405);
        let large = format!("X-Large: {}", "x".repeat(60_000));
        let (status, said) = refused(curl(system).args(["-H", &large, &page]))?;
        ensure!(status == 431 && said.contains("head_too_large"), "{status} {said}");

        // A browser gets an address that is its credential, and that ends with the token.
        let made = system.api().post("/api/v1/tokens", &json!({"name": "browser"}))?;
        let passed = made["secret"].as_str().context("the token")?;
        let opens = ["-H", "Sec-Fetch-Site: none", "-H", "Sec-Fetch-Mode: navigate", "-H", "Sec-Fetch-Dest: document"];
        let view =
            good(stranger(system).args(["-u", &format!(":{passed}"), "-w", "%{redirect_url}"]).args(opens).arg(&page))?;
        ensure!(view.contains("/view/") && view.ends_with("/headers"), "{view}");
        let seen = good(stranger(system).args(["-D", "-", "-H", "Origin: null", &view]))?.to_lowercase();
        ensure!(seen.contains(KEY) && seen.contains("access-control-allow-origin: *"), "{seen}");
        ensure!(seen.contains(&format!("\"origin\": \"http://127.0.0.1:{}\"", service.port())), "{seen}");
        let preflight =
            ["-X", "OPTIONS", "-H", "Access-Control-Request-Method: PUT", "-H", "Access-Control-Request-Headers: x-a"];
        let allowed = good(stranger(system).args(["-D", "-"]).args(preflight).arg(&view))?.to_lowercase();
        ensure!(allowed.starts_with("http/1.1 204") && allowed.contains("allow-methods: put"), "{allowed}");
        let id = made["token"]["id"].as_str().context("the token's id")?;
        let gone = system.api().send("DELETE", &format!("/api/v1/tokens/{id}"), None, &[])?;
        ensure!(gone.status == 204, "{gone:?}");
        ensure!(refused(stranger(system).arg(&view))?.0 == 404);
        Ok(())
    })
}

#[test]
fn what_fails_is_named_with_what_to_do() -> Result<()> {
    system(|system| {
        let service = Service::start(system.folder.path())?;
        let mut agent = system.agent("site")?;
        connect(system, "erp", service.port(), &json!({"answer_seconds": 1}))?;
        connect(system, "nobody", free_port()?, &json!({}))?;
        let fails = |path: &str, status: u16, words: &[&str]| -> Result<()> {
            let (found, said) = refused(curl(system).arg(url(system, path)))?;
            ensure!(found == status && words.iter().all(|word| said.contains(word)), "{path}: {found} {said}");
            Ok(())
        };
        fails("nobody/", 502, &["target_failed", "nothing listens there"])?;
        fails("erp/hang", 504, &["target_silent", "answer_seconds"])?;
        // The line is free for the next, whatever became of the one before.
        ensure!(get(system, "erp/")? == "the base");
        let early = good(
            curl(system)
                .args(["-H", "Expect: 100-continue", "-d", "@-", &url(system, "erp/refuse")])
                .stdin(Stdio::null()),
        )?;
        ensure!(early == "too much", "{early}");

        let rule = format!("127.0.0.1:{}", service.port());
        let wrapper = agent.folder().join("sallyport-wrapper");
        good(Command::new(&wrapper).args(["policy", "deny", &rule]))?;
        until("the rule to hold", || Ok(refused(curl(system).arg(url(system, "erp/")))?.0 == 403))?;
        fails("erp/", 403, &["not_allowed_by_site", &format!("deny {rule}")])?;
        until("the agent to log it", || Ok(agent.agent_log().contains(&format!("deny {rule}"))))?;
        good(Command::new(&wrapper).args(["policy", "allow", &rule]))?;
        until("the site to allow it again", || Ok(get(system, "erp/").is_ok()))?;

        // The agent dies in the middle: half an answer never looks whole.
        let came = system.folder.path().join("half");
        let half = curl(system).arg("-o").arg(&came).arg(url(system, "erp/half")).stderr(Stdio::piped()).spawn()?;
        until("the answer to be on its way", || Ok(std::fs::metadata(&came).is_ok_and(|file| file.len() > 0)))?;
        agent.signal_agent(Signal::KILL)?;
        let broken = half.wait_with_output()?;
        ensure!(!broken.status.success(), "half an answer looked whole");
        until("the agent to be back", || Ok(get(system, "erp/").is_ok()))?;
        agent.stop()?;
        system.offline("site")?;
        fails("erp/", 503, &["agent_away", "offline"])
    })
}

#[test]
fn certificates_are_checked_on_the_agent() -> Result<()> {
    system(|system| {
        let tls = system.server.data().join("tls");
        let service = Service::encrypted(system.folder.path(), &tls.join("server.pem"), &tls.join("server.key"))?;
        let _agent = system.agent("site")?;
        let address = format!("https://localhost:{}", service.port());
        let ca = std::fs::read_to_string(tls.join("ca.pem"))?;
        connect(system, "known", service.port(), &json!({"url": address, "ca": ca}))?;
        connect(system, "unknown", service.port(), &json!({"url": address}))?;
        connect(system, "unchecked", service.port(), &json!({"url": address, "verify": false}))?;
        for name in ["known", "unchecked"] {
            ensure!(get(system, &format!("{name}/"))? == "the base", "{name}");
            ensure!(
                system.api().post(&format!("/api/v1/connections/{name}/test"), &json!({}))?["passed"] == true,
                "{name}"
            );
        }
        let (status, said) = refused(curl(system).arg(url(system, "unknown/")))?;
        ensure!(status == 502 && said.contains("TLS failed") && said.contains("`ca`"), "{status} {said}");
        const BYTES: u64 = 64 << 20;
        let down = good(curl(system).args([
            "-o",
            "/dev/null",
            "-w",
            "%{size_download}",
            &url(system, &format!("known/chunks/{BYTES}")),
        ]))?;
        ensure!(down == BYTES.to_string(), "{down}");
        Ok(())
    })
}

#[test]
fn a_thousand_requests_of_one_client_leave_nothing_behind() -> Result<()> {
    system(|system| {
        let service = Service::start(system.folder.path())?;
        let agent = system.agent("site")?;
        connect(system, "erp", service.port(), &json!({}))?;
        let (server, process) = (
            system.server.process.as_ref().context("the server runs")?.id(),
            agent.agent_process().context("the agent's process")?,
        );
        let descriptors = || -> Result<[usize; 2]> { Ok([descriptors_of(server)?, descriptors_of(process)?]) };
        let many = |count: usize| -> Result<String> {
            let pattern = url(system, &format!("erp/count?[1-{count}]"));
            good(curl(system).args(["-d", "four", "-o", "/dev/null", "-w", "%{http_code} %{num_connects}\n", &pattern]))
        };
        many(20)?;
        let before = descriptors()?;
        let said = many(1000)?;
        ensure!(said.lines().filter(|line| line.starts_with("200 ")).count() == 1000, "{said}");
        ensure!(said.lines().filter(|line| *line == "200 0").count() == 999, "the connection was not kept");
        within(Duration::from_secs(60), &format!("descriptors to be as before, {before:?}"), || {
            let now = descriptors()?;
            Ok(now.iter().zip(&before).all(|(now, before)| now <= before).then_some(()))
        })?;
        let counted = good(Command::new(agent.folder().join("sallyport-wrapper")).args(["ledger", "show"]))?;
        ensure!(counted.contains("erp"), "{counted}");
        Ok(())
    })
}
