//! The ways to the far end: none, OpenSSH, rathole, Sallyport by its command and by an entry of its server.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{Cli, Folder, Installed, Process, Server, Sshd, Tunnel, free_port, root, until};
use serde_json::json;

use super::load::connects;
use crate::Options;

/// A way, and the processes whose cost counts.
pub(crate) struct Road {
    pub(crate) name: &'static str,
    /// Where it begins.
    pub(crate) port: u16,
    pub(crate) processes: Vec<(&'static str, u32)>,
    pub(crate) kept: Kept,
}

/// What must live as long as the way. The order of the fields is the order in which they are stopped.
pub(crate) enum Kept {
    Nothing,
    Ssh { _client: Process, _server: Sshd },
    Rathole { _client: Process, _server: Process },
    Ours { _tunnel: Option<Tunnel>, _agent: Installed, server: Server },
}

/// Straight.
pub(crate) fn none(far: u16) -> Road {
    Road { name: "no tunnel", port: far, processes: Vec::new(), kept: Kept::Nothing }
}

/// `ssh -R`: the client stands where our agent does. One process of `sshd` serves it.
pub(crate) fn ssh(folder: &Folder, far: u16) -> Result<Road> {
    let server = Sshd::start(folder.path())?;
    let begins = free_port()?;
    let mut dial = server.client(server.port());
    dial.args(["-N", "-c", "aes128-gcm@openssh.com", "-o", "ExitOnForwardFailure=yes"]);
    dial.args(["-R", &format!("127.0.0.1:{begins}:127.0.0.1:{far}"), "127.0.0.1"]);
    let client = Process::start("ssh", &mut dial, &folder.path().join("ssh.log"))?;
    until("ssh to forward", || Ok(std::net::TcpStream::connect(("127.0.0.1", begins)).is_ok()))
        .with_context(|| client.output())?;
    let mut processes = vec![("ssh", client.id()), ("sshd", server.process.id())];
    processes.extend(below(server.process.id())?.into_iter().map(|pid| ("sshd", pid)));
    Ok(Road { name: "OpenSSH -R", port: begins, processes, kept: Kept::Ssh { _client: client, _server: server } })
}

/// rathole with TLS: its client stands where our agent does. It opens data connections ahead, as we do.
pub(crate) fn rathole(folder: &Folder, far: u16) -> Result<Road> {
    let program = root().join("target/tools/rathole/bin/rathole");
    ensure!(program.is_file(), "{} is missing", program.display());
    let home = folder.path().join("rathole");
    std::fs::create_dir_all(&home)?;
    certificate(&home)?;
    let (listens, begins) = (free_port()?, free_port()?);
    let server = format!(
        "[server]\nbind_addr = \"127.0.0.1:{listens}\"\ndefault_token = \"bench\"\n[server.transport]\ntype = \"tls\"\n\
         [server.transport.tls]\npkcs12 = \"{}\"\npkcs12_password = \"bench\"\n\
         [server.services.far]\nbind_addr = \"127.0.0.1:{begins}\"\n",
        home.join("identity.pfx").display()
    );
    let client = format!(
        "[client]\nremote_addr = \"127.0.0.1:{listens}\"\ndefault_token = \"bench\"\n[client.transport]\ntype = \"tls\"\n\
         [client.transport.tls]\ntrusted_root = \"{}\"\nhostname = \"localhost\"\n\
         [client.services.far]\nlocal_addr = \"127.0.0.1:{far}\"\n",
        home.join("certificate.pem").display()
    );
    let start = |name: &str, settings: &str| {
        let file = home.join(format!("{name}.toml"));
        std::fs::write(&file, settings)?;
        Process::start(name, Command::new(&program).arg(&file), &home.join(format!("{name}.log")))
    };
    let server = start("server", &server)?;
    let client = start("client", &client)?;
    until("rathole to forward", || Ok(std::net::TcpStream::connect(("127.0.0.1", begins)).is_ok()))
        .with_context(|| client.output() + &server.output())?;
    let processes = vec![("client", client.id()), ("server", server.id())];
    Ok(Road { name: "rathole TLS", port: begins, processes, kept: Kept::Rathole { _client: client, _server: server } })
}

/// A certificate for `localhost`, alone and in one file with its key.
fn certificate(home: &Path) -> Result<()> {
    let openssl = |words: &str| {
        let done = Command::new("openssl").current_dir(home).args(words.split(' ')).output()?;
        ensure!(done.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    };
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
         -keyout key.pem -out certificate.pem",
    )?;
    openssl("pkcs12 -export -inkey key.pem -in certificate.pem -passout pass:bench -out identity.pfx")
}

/// Server, agent and `sallyport tunnel`.
pub(crate) fn ours(folder: &Folder, options: &Options, far: u16) -> Result<Road> {
    let home = folder.path().join("command");
    let (server, agent) = site(&home, options, far, String::new())?;
    let cli = Cli::new(options.profile, &home.join("config"), &home)?;
    let (email, password) = Server::administrator();
    let ca = server.ca();
    let ca = ca.to_str().context("the CA's path")?;
    cli.good_with(&["login", &server.url(), "--email", email, "--password-stdin", "--ca", ca], password)?;
    let tunnel = Tunnel::open(&cli, "far", &[], &home.join("tunnel.log"))?;
    let mut processes = processes(&server, &agent)?;
    processes.push(("command", tunnel.process.id()));
    let port = tunnel.port();
    Ok(Road { name: "Sallyport", port, processes, kept: Kept::Ours { _tunnel: Some(tunnel), _agent: agent, server } })
}

/// Server and agent: connections are made on the server's machine, as with the others.
pub(crate) fn entry(folder: &Folder, options: &Options, far: u16) -> Result<Road> {
    let port = free_port()?;
    let file =
        format!("[[entry]]\nlisten = \"127.0.0.1:{port}\"\nenvironment = \"production\"\nconnection = \"far\"\n");
    let (server, agent) = site(&folder.path().join("entry"), options, far, file)?;
    until("the entry to lead there", || Ok(connects(port, 1).is_ok()))?;
    let processes = processes(&server, &agent)?;
    Ok(Road { name: "Sallyport, entry", port, processes, kept: Kept::Ours { _tunnel: None, _agent: agent, server } })
}

fn processes(server: &Server, agent: &Installed) -> Result<Vec<(&'static str, u32)>> {
    Ok(vec![
        ("server", server.process.as_ref().context("the server does not run")?.id()),
        ("agent", agent.agent_process().context("the agent does not run")?),
    ])
}

/// A server with this file, an agent, and a connection to the far end.
fn site(home: &Path, options: &Options, far: u16, file: String) -> Result<(Server, Installed)> {
    std::fs::create_dir_all(home)?;
    let made = sallyport_e2e::Options { profile: options.profile, file, ..sallyport_e2e::Options::default() };
    let server = Server::start(home, &made)?;
    server.api.post("/api/v1/agents", &json!({"name": "site"}))?;
    let zip = server.api.download("/api/v1/agents/site/download?policy=permissive")?;
    let mut agent = Installed::unzip("site", &zip, &home.join("site"))?;
    agent.start()?;
    until("the agent to be online", || Ok(server.api.get("/api/v1/agents/site")?["status"] == "online"))?;
    let settings = json!({"host": "127.0.0.1", "port": far});
    let connection = json!({"name": "far", "kind": "tcp", "agent": "site", "settings": settings, "secrets": {}});
    server.api.post("/api/v1/connections", &connection)?;
    Ok((server, agent))
}

impl Road {
    /// How long a word to the agent and back takes on its control connection, beside whatever goes on: a heartbeat has
    /// the same way. `None` where there is none.
    pub(crate) fn control(&self, lasts: Duration) -> Result<Option<Duration>> {
        let Kept::Ours { server, .. } = &self.kept else {
            std::thread::sleep(lasts);
            return Ok(None);
        };
        let clock = sallyport_protocol::Clock::system();
        let began = clock.now();
        let mut times = Vec::new();
        while clock.now().since(began) < lasts {
            let asked = clock.now();
            server.api.post("/api/v1/connections/far/test", &json!({}))?;
            times.push(clock.now().since(asked));
            std::thread::sleep(Duration::from_millis(50));
        }
        times.sort();
        Ok(times.get(times.len() / 2).copied())
    }
}

/// The processes that a process has started, and theirs.
fn below(parent: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let of = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        if of == Some(parent) {
            found.push(pid);
            found.extend(below(pid)?);
        }
    }
    Ok(found)
}
