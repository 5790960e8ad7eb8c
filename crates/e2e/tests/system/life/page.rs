//! The local page, asked as a browser and as a foreign site would.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{Process, Signal, System};
use serde_json::Value;

use super::wrapper;
use crate::{services, system};

/// The page of an installation, while its process runs.
struct Page {
    process: Process,
    port: u16,
    cookie: String,
}

impl Page {
    /// Opens it: nobody is let in without the address, which works once.
    fn open(system: &System, command: &mut Command) -> Result<Self> {
        let mut process = Process::start("the page", command, &system.folder.path().join("page.log"))?;
        let line = process.line("its address", Duration::from_secs(20), |line| line.contains("/?token="))?;
        let address = line.split_whitespace().last().context("no address")?;
        let (host, path) = address.trim_start_matches("http://").split_once('/').context("no path")?;
        let port = host.rsplit(':').next().and_then(|port| port.parse().ok()).context("no port")?;
        let mut page = Self { process, port, cookie: String::new() };
        let host = format!("Host: {host}\r\n");
        ensure!(page.ask("GET /", &host)?.0 == 401, "it is open to everyone");
        let (status, head, _) = page.ask(&format!("GET /{path}"), &host)?;
        ensure!(status == 303 && head.contains("SameSite=Strict"), "{head}");
        page.cookie =
            head.split("Set-Cookie: ").nth(1).and_then(|rest| rest.split(';').next()).context("no cookie")?.to_owned();
        ensure!(page.ask(&format!("GET /{path}"), &host)?.0 == 401, "the token works twice");
        Ok(page)
    }

    /// One request with these header lines; gives status, head and body.
    fn ask(&self, request: &str, headers: &str) -> Result<(u16, String, Vec<u8>)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        write!(stream, "{request} HTTP/1.1\r\n{headers}\r\n")?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").context("no head")?;
        let body = bytes.split_off(end + 4);
        let head = String::from_utf8_lossy(&bytes).into_owned();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).context("no status")?;
        Ok((status, head, body))
    }

    fn own(&self) -> String {
        format!("Host: 127.0.0.1:{}\r\nCookie: {}\r\n", self.port, self.cookie)
    }

    fn get(&self, path: &str) -> Result<Value> {
        let (status, _, body) = self.ask(&format!("GET {path}"), &self.own())?;
        ensure!(status == 200, "{path}: {status} {}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body)?)
    }

    fn post(&self, path: &str) -> Result<Vec<u8>> {
        let headers = format!("{}Origin: http://127.0.0.1:{}\r\n", self.own(), self.port);
        let (status, _, body) = self.ask(&format!("POST {path}"), &headers)?;
        ensure!(status == 200, "{path}: {status} {}", String::from_utf8_lossy(&body));
        Ok(body)
    }
}

#[test]
fn the_page_shows_and_does_what_its_owner_asks_and_nothing_for_others() -> Result<()> {
    system(|system| {
        let agent = system.agent("shown")?;
        let page = Page::open(system, &mut wrapper(&agent, &["open"]))?;
        let port = page.port;
        let (status, head, body) = page.ask("GET /", &page.own())?;
        ensure!(status == 200 && head.contains("default-src 'none'"), "{head}");
        ensure!(String::from_utf8_lossy(&body).contains("Sallyport agent"), "no page");
        ensure!(page.get("/api/status")?["status"]["server"]["online"] == true, "{:#}", page.get("/api/status")?);
        ensure!(
            page.get("/api/log?program=wrapper&level=info")?["lines"].as_array().is_some_and(|lines| !lines.is_empty()),
            "no log"
        );
        let foreign = format!("Host: 127.0.0.1:{port}\r\nCookie: {}\r\nOrigin: https://evil.example\r\n", page.cookie);
        ensure!(page.ask("POST /api/restart", &foreign)?.0 == 403, "a foreign site restarts it");
        let rebound = format!("Host: evil.example:{port}\r\nCookie: {}\r\n", page.cookie);
        ensure!(page.ask("GET /api/status", &rebound)?.0 == 421, "a foreign name reads it");

        let examined: Value = serde_json::from_slice(&page.post("/api/doctor")?)?;
        ensure!(examined["findings"].as_array().is_some_and(|findings| findings.len() > 10), "{examined:#}");
        ensure!(page.post("/api/bundle")?.starts_with(b"PK"), "no zip");
        let before = agent.agent_process();
        page.post("/api/restart")?;
        sallyport_e2e::until("another agent process", || {
            let now = agent.agent_process();
            Ok(now.is_some() && now != before)
        })?;
        // What it may not do itself it says how to do.
        let service = page.get("/api/service")?;
        ensure!(service["word"] == "install" && service["hindrance"].is_string(), "{service:#}");
        ensure!(service["command"].as_str().is_some_and(|command| command.ends_with("service install")), "{service:#}");
        let headers = format!("{}Origin: http://127.0.0.1:{port}\r\n", page.own());
        ensure!(page.ask("POST /api/service/install", &headers)?.0 == 409, "it installs without rights");
        ensure!(page.ask("POST /api/service/install", &foreign)?.0 == 403, "a foreign site installs it");
        page.process.signal(Signal::INT)?;
        Ok(())
    })
}

#[test]
fn the_page_installs_and_removes_the_service_where_its_process_may() -> Result<()> {
    system(|system| {
        let (machine, _agent) = services::machine(system)?;
        let page = Page::open(system, &mut machine.command(services::WRAPPER, &["open"]))?;
        let service = page.get("/api/service")?;
        ensure!(service["word"] == "install" && service["hindrance"].is_null(), "{service:#}");
        page.post("/api/service/install")?;
        system.online("site")?;
        let service = page.get("/api/service")?;
        ensure!(service["word"] == "uninstall" && service["name"] == "sallyport-agent", "{service:#}");
        page.post("/api/service/uninstall")?;
        system.offline("site")?;
        ensure!(page.get("/api/service")?["word"] == "install");
        page.process.signal(Signal::INT)?;
        Ok(())
    })
}
