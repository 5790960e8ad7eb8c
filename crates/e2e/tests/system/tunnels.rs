//! Real clients through a tunnel, and what happens when something on the way breaks.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{
    Installed, Postgres, Signal, System, Target, Tunnel, descriptors_of, free_port, said, until, within,
};
use serde_json::json;

use crate::system;

/// A connection of kind `tcp` to a port of the loopback, as the agent `site` sees it.
pub(crate) fn connect_to(system: &System, name: &str, port: u16) -> Result<()> {
    system.connection(name, "tcp", "site", &json!({"host": "127.0.0.1", "port": port}), &json!({}))
}

pub(crate) fn open(system: &System, connection: &str, more: &[&str]) -> Result<Tunnel> {
    Tunnel::open(&system.cli()?, connection, more, &system.folder.path().join(format!("tunnel-{connection}.log")))
}

/// Says something and hears it again.
fn echoes(tunnel: &Tunnel) -> Result<()> {
    let mut stream = tunnel.connect()?;
    stream.write_all(b"is anybody there?")?;
    let mut heard = [0; 17];
    stream.read_exact(&mut heard)?;
    ensure!(&heard == b"is anybody there?");
    Ok(())
}

/// What a tool says; anything but a good end is an error.
pub(crate) fn good(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    said(&format!("{command:?}"), &output)
}

#[test]
fn psql_and_a_hundred_clients_of_pgbench_use_a_tunnel() -> Result<()> {
    system(|system| {
        let postgres = Postgres::start(system.folder.path(), &["max_connections=150"])?;
        let _agent = system.agent("site")?;
        system.connection("db", "postgres", "site", &postgres.settings(), &postgres.secrets())?;
        let tunnel = open(system, "db", &[])?;
        let programs = Path::new(postgres.psql().get_program()).parent().map(Path::to_path_buf);
        let programs = programs.context("the folder of PostgreSQL's programs")?;
        let through = |program: &str| {
            let mut command = Command::new(programs.join(program));
            let secret = postgres.secrets()["password"].as_str().unwrap_or_default().to_owned();
            command.env("PGPASSWORD", secret).env("PGSSLMODE", "prefer");
            command.args(["-h", "127.0.0.1", "-p", &tunnel.port().to_string(), "-U", "sallyport"]);
            command
        };
        ensure!(good(through("psql").args(["-Atc", "select 6 * 7", "postgres"]))?.trim() == "42");
        good(through("pgbench").args(["-i", "-q", "-s", "1", "postgres"]))?;
        let many = good(through("pgbench").args(["-c", "100", "-j", "2", "-t", "5", "-S", "postgres"]))?;
        ensure!(many.contains("500/500"), "{many}");
        let anew = good(through("pgbench").args(["-C", "-c", "10", "-j", "2", "-t", "30", "-S", "postgres"]))?;
        ensure!(anew.contains("300/300"), "{anew}");
        Ok(())
    })
}

#[test]
fn curl_moves_a_gigabyte_each_way() -> Result<()> {
    const BYTES: u64 = 1 << 30;
    system(|system| {
        let target = Target::http()?;
        let _agent = system.agent("site")?;
        connect_to(system, "web", target.port())?;
        let tunnel = open(system, "web", &[])?;
        let url = format!("http://127.0.0.1:{}", tunnel.port());
        let curl = || {
            let mut command = Command::new("curl");
            command.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "600"]);
            command
        };
        let down = curl().args(["-o", "/dev/null", "-w", "%{size_download}"]).arg(format!("{url}/{BYTES}")).output()?;
        ensure!(String::from_utf8_lossy(&down.stdout) == BYTES.to_string(), "{down:?}");
        let file = system.folder.path().join("zeros");
        std::fs::File::create(&file)?.set_len(BYTES)?;
        let up = good(curl().arg("-T").arg(&file).arg(format!("{url}/up")))?;
        ensure!(up == BYTES.to_string(), "{up}");
        Ok(())
    })
}

#[test]
fn a_target_that_refuses_is_named_and_so_is_the_sites_rule() -> Result<()> {
    system(|system| {
        let target = Target::echo()?;
        let agent = system.agent("site")?;
        connect_to(system, "nobody", free_port()?)?;
        let tunnel = open(system, "nobody", &[])?;
        let refused = |tunnel: &Tunnel| -> Result<()> {
            let got = tunnel.connect()?.read(&mut [0]);
            ensure!(got.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset), "{got:?}");
            Ok(())
        };
        refused(&tunnel)?;
        until("the tunnel to say why", || Ok(tunnel.process.output().contains("nothing listens there")))?;

        connect_to(system, "echo", target.port())?;
        let tunnel = open(system, "echo", &[])?;
        echoes(&tunnel)?;
        let rule = format!("127.0.0.1:{}", target.port());
        let wrapper = agent.folder().join("sallyport-wrapper");
        good(Command::new(&wrapper).args(["policy", "deny", &rule]))?;
        until("the rule to hold", || Ok(echoes(&tunnel).is_err()))?;
        let words = format!("deny {rule}");
        until("the person to hear the rule", || Ok(tunnel.process.output().contains(&words)))?;
        until("the agent to log it", || Ok(agent.agent_log().contains(&words)))?;
        ensure!(system.server.output().contains(&words), "the server does not know the rule");
        let checked = Command::new(&wrapper).args(["policy", "check", &rule]).output()?;
        ensure!(checked.status.code() == Some(5), "{checked:?}");
        let tested = system.api().post("/api/v1/connections/echo/test", &json!({}))?;
        ensure!(tested["passed"] == false && tested.to_string().contains(&words), "{tested:#}");
        good(Command::new(&wrapper).args(["policy", "allow", &rule]))?;
        until("the site to allow it again", || Ok(echoes(&tunnel).is_ok()))
    })
}

#[test]
fn a_new_site_allows_nothing_until_it_says_so() -> Result<()> {
    system(|system| {
        let target = Target::echo()?;
        system.api().post("/api/v1/agents", &json!({"name": "site"}))?;
        let zip = system.api().download("/api/v1/agents/site/download")?;
        let mut agent = Installed::unzip("site", &zip, &system.folder.path().join("site"))?;
        agent.start()?;
        system.online("site")?;
        connect_to(system, "echo", target.port())?;
        let tunnel = open(system, "echo", &[])?;
        ensure!(echoes(&tunnel).is_err(), "a restricted site let somebody through");
        until("the person to hear what to do", || {
            Ok(tunnel.process.output().contains(&format!("policy allow 127.0.0.1:{}", target.port())))
        })?;
        ensure!(target.open() == 0);
        good(Command::new(agent.folder().join("sallyport-wrapper")).args([
            "policy",
            "allow",
            &format!("127.0.0.1:{}", target.port()),
        ]))?;
        until("the site's permission to hold", || Ok(echoes(&tunnel).is_ok()))
    })
}

#[test]
fn a_killed_agent_breaks_streams_and_the_tunnel_goes_on_with_the_next() -> Result<()> {
    system(|system| {
        let target = Target::echo()?;
        let agent = system.agent("site")?;
        connect_to(system, "echo", target.port())?;
        let tunnel = open(system, "echo", &[])?;
        let mut stream = tunnel.connect()?;
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])?;
        agent.signal_agent(Signal::KILL)?;
        let got = stream.read(&mut [0]);
        ensure!(got.is_err(), "half a stream looked like a whole one: {got:?}");
        until("the agent to be back", || Ok(echoes(&tunnel).is_ok()))
    })
}

#[test]
fn a_tunnel_outlives_a_restart_of_the_server() -> Result<()> {
    system(|system| {
        let target = Target::echo()?;
        let _agent = system.agent("site")?;
        connect_to(system, "echo", target.port())?;
        let tunnel = open(system, "echo", &[])?;
        echoes(&tunnel)?;
        system.server.kill()?;
        system.server.start_again()?;
        until("the tunnel to carry again", || Ok(echoes(&tunnel).is_ok()))
    })
}

#[test]
fn ten_thousand_connections_leave_no_descriptor_behind() -> Result<()> {
    system(|system| {
        let target = Target::echo()?;
        let agent = system.agent("site")?;
        connect_to(system, "echo", target.port())?;
        let tunnel = open(system, "echo", &[])?;
        let (server, agent) = (
            system.server.process.as_ref().context("the server runs")?.id(),
            agent.agent_process().context("the agent's process")?,
        );
        let descriptors = || -> Result<[usize; 3]> {
            Ok([descriptors_of(server)?, descriptors_of(agent)?, descriptors_of(tunnel.process.id())?])
        };
        let open_many = |count: usize| -> Result<()> {
            for _ in 0..count {
                echoes(&tunnel)?;
            }
            until("the target to be left", || Ok(target.open() == 0))
        };
        open_many(50)?;
        let before = descriptors()?;
        open_many(10_000)?;
        within(Duration::from_secs(60), &format!("descriptors to be as before, {before:?}"), || {
            let now = descriptors()?;
            Ok(now.iter().zip(&before).all(|(now, before)| now <= before).then_some(()))
        })
    })
}

#[test]
fn a_slow_reader_holds_nobody_up_and_a_dead_client_leaves_the_target() -> Result<()> {
    system(|system| {
        let target = Target::flood()?;
        let _agent = system.agent("site")?;
        connect_to(system, "flood", target.port())?;
        let mut tunnel = open(system, "flood", &[])?;
        let slow = tunnel.connect()?;
        let mut fast = tunnel.connect()?;
        let mut buffer = vec![0; 1 << 20];
        for _ in 0..64 {
            fast.read_exact(&mut buffer)?;
        }
        ensure!(target.open() == 2);
        drop(fast);
        until("the fast one's end to reach the target", || Ok(target.open() == 1))?;
        // Its sockets are closed by the system, and nobody says goodbye.
        tunnel.process.kill()?;
        until("the dead client's end to reach the target", || Ok(target.open() == 0))?;
        drop(slow);
        Ok(())
    })
}

#[test]
fn a_stream_without_a_byte_is_ended_at_its_limit() -> Result<()> {
    system(|system| {
        let target = Target::sink()?;
        let _agent = system.agent("site")?;
        connect_to(system, "silent", target.port())?;
        let tunnel = open(system, "silent", &["--idle", "1"])?;
        let mut stream = tunnel.connect()?;
        stream.write_all(b"and then nothing")?;
        let got = stream.read(&mut [0]);
        ensure!(got.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset), "{got:?}");
        until("the target to be left", || Ok(target.open() == 0))
    })
}
