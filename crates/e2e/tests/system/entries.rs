//! Entries: addresses on the server's own machine that lead to targets near agents.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sallyport_e2e::{Options, Postgres, Signal, System, Target, connect, descriptors_of, free_port, until, within};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::tunnels::{connect_to, good};

/// Entries of the environment `production`: ports of the loopback and the connections they lead to.
fn with(entries: &[(u16, &str)], more: &str, work: impl FnOnce(&mut System) -> Result<()>) -> Result<()> {
    let entry = |(port, connection): &(u16, &str)| {
        format!(
            "[[entry]]\nlisten = \"127.0.0.1:{port}\"\nenvironment = \"production\"\nconnection = \"{connection}\"\n{more}"
        )
    };
    System::with(Options { file: entries.iter().map(entry).collect(), ..Options::default() }, work)
}

/// Says something and hears it again.
fn echoes(mut stream: TcpStream) -> Result<()> {
    stream.write_all(b"is anybody there?")?;
    let mut heard = [0; 17];
    stream.read_exact(&mut heard)?;
    ensure!(&heard == b"is anybody there?");
    Ok(())
}

/// A reset is the end of a connection that must not be taken for all there was.
fn is_reset(mut stream: TcpStream) -> Result<()> {
    let got = stream.read(&mut [0]);
    ensure!(got.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset), "{got:?}");
    Ok(())
}

fn listens(system: &System, port: u16) -> Result<()> {
    until("the entry to listen", || {
        let output = system.server.output();
        Ok(output.lines().any(|line| line.contains("an entry listens") && line.contains(&format!(":{port}"))))
    })
}

#[test]
fn psql_uses_an_entry_which_is_shown_and_told_of() -> Result<()> {
    let port = free_port()?;
    with(&[(port, "db")], "", |system| {
        listens(system, port)?;
        is_reset(connect(port)?)?;
        ensure!(system.server.output().contains("has no connection `db`"), "nothing says why it was turned away");
        let postgres = Postgres::start(system.folder.path(), &[])?;
        let agent = system.agent("site")?;
        system.connection("db", "postgres", "site", &postgres.settings(), &postgres.secrets())?;
        let ask = |sql: &str| good(postgres.psql().args(["-p", &port.to_string(), "-c", sql]));
        ensure!(ask("select 6 * 7")?.trim() == "42");
        ensure!(ask("select repeat('x', 1000) from generate_series(1, 20000)")?.lines().count() == 20_000);

        let shown = system.cli()?.good(&["connections", "show", "db", "-o", "json"])?;
        let shown: Value = serde_json::from_str(&shown)?;
        let wanted = json!([{"listen": format!("127.0.0.1:{port}"), "listening": true}]);
        ensure!(shown["entries"] == wanted && shown["reach"]["good"] == true, "{shown:#}");
        let who = format!("entry 127.0.0.1:{port}");
        until("the agent to tell of the tunnel", || Ok(agent.agent_log().contains(&who)))?;
        let ledger = || {
            let wrapper = agent.folder().join("sallyport-wrapper");
            good(Command::new(wrapper).args(["ledger", "show", "--json"]))
        };
        until("the site's ledger to have the streams", || Ok(ledger()?.matches(&who).count() >= 2))
    })
}

#[test]
fn the_site_decides_and_a_target_that_refuses_is_named() -> Result<()> {
    let (port, nobody) = (free_port()?, free_port()?);
    with(&[(port, "echo"), (nobody, "nobody")], "", |system| {
        let target = Target::echo()?;
        let agent = system.agent("site")?;
        connect_to(system, "echo", target.port())?;
        connect_to(system, "nobody", free_port()?)?;
        echoes(connect(port)?)?;
        is_reset(connect(nobody)?)?;
        until("the server to say why", || Ok(system.server.output().contains("nothing listens there")))?;

        let rule = format!("127.0.0.1:{}", target.port());
        let policy =
            |word: &str| good(Command::new(agent.folder().join("sallyport-wrapper")).args(["policy", word, &rule]));
        policy("deny")?;
        until("the rule to hold", || Ok(echoes(connect(port)?).is_err()))?;
        is_reset(connect(port)?)?;
        let words = format!("deny {rule}");
        until("the server to name the rule", || Ok(system.server.output().contains(&words)))?;
        until("the agent to name it", || Ok(agent.agent_log().contains(&words)))?;
        policy("allow")?;
        until("the site to allow it again", || Ok(echoes(connect(port)?).is_ok()))
    })
}

#[test]
fn a_killed_agent_breaks_streams_and_a_removed_connection_turns_them_away() -> Result<()> {
    let port = free_port()?;
    with(&[(port, "echo")], "", |system| {
        let target = Target::echo()?;
        let agent = system.agent("site")?;
        connect_to(system, "echo", target.port())?;
        let mut stream = connect(port)?;
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])?;
        agent.signal_agent(Signal::KILL)?;
        let got = stream.read(&mut [0]);
        ensure!(got.is_err(), "half a stream looked like a whole one: {got:?}");
        until("the agent to be back", || Ok(echoes(connect(port)?).is_ok()))?;
        let told = system.server.output();
        ensure!(told.contains("the line to the agent broke") || told.contains("the agent closed the line"));
        system.cli()?.good(&["connections", "delete", "echo"])?;
        until("the connection's end to be noticed", || Ok(echoes(connect(port)?).is_err()))?;
        is_reset(connect(port)?)?;
        until("the server to say why", || Ok(system.server.output().contains("has no connection `echo`")))
    })
}

#[test]
fn a_peer_that_is_not_allowed_is_reset() -> Result<()> {
    let port = free_port()?;
    with(&[(port, "echo")], "allow = [\"127.0.0.2\"]\n", |system| {
        let target = Target::echo()?;
        let _agent = system.agent("site")?;
        connect_to(system, "echo", target.port())?;
        is_reset(connect(port)?)?;
        until("the server to name it", || Ok(system.server.output().contains("127.0.0.1 is not one")))?;
        ensure!(target.open() == 0);
        let allowed = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        allowed.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), 0)).into())?;
        allowed.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
        echoes(allowed.into())
    })
}

#[test]
fn an_end_is_passed_on_as_it_is() -> Result<()> {
    const BYTES: usize = 8 << 20;
    let (port, flooded) = (free_port()?, free_port()?);
    with(&[(port, "echo"), (flooded, "flood")], "", |system| {
        let (target, flood) = (Target::echo()?, Target::flood()?);
        let _agent = system.agent("site")?;
        connect_to(system, "echo", target.port())?;
        connect_to(system, "flood", flood.port())?;
        let mut stream = connect(port)?;
        let mut reader = stream.try_clone()?;
        let reading = std::thread::spawn(move || {
            let mut got = Vec::new();
            reader.read_to_end(&mut got).map(|_| got)
        });
        let sent: Vec<u8> = (0..BYTES).map(|at| (at % 251) as u8).collect();
        stream.write_all(&sent)?;
        stream.shutdown(Shutdown::Write)?;
        let Ok(got) = reading.join() else { bail!("reading met a bug") };
        ensure!(got? == sent, "other bytes came back");
        until("the target to be left", || Ok(target.open() == 0))?;

        let slow = connect(flooded)?;
        let mut fast = connect(flooded)?;
        let mut buffer = vec![0; 1 << 20];
        for _ in 0..64 {
            fast.read_exact(&mut buffer)?;
        }
        ensure!(flood.open() == 2);
        drop((fast, slow));
        until("both ends to reach the target", || Ok(flood.open() == 0))
    })
}

#[test]
fn two_thousand_connections_leave_no_descriptor_behind() -> Result<()> {
    let port = free_port()?;
    with(&[(port, "echo")], "", |system| {
        let target = Target::echo()?;
        let agent = system.agent("site")?;
        connect_to(system, "echo", target.port())?;
        let server = system.server.process.as_ref().context("the server runs")?.id();
        let agent = agent.agent_process().context("the agent's process")?;
        let descriptors = || -> Result<[usize; 2]> { Ok([descriptors_of(server)?, descriptors_of(agent)?]) };
        let open_many = |count: usize| -> Result<()> {
            for _ in 0..count {
                echoes(connect(port)?)?;
            }
            until("the target to be left", || Ok(target.open() == 0))
        };
        open_many(50)?;
        let before = descriptors()?;
        open_many(2000)?;
        within(Duration::from_secs(60), &format!("descriptors to be as before, {before:?}"), || {
            let now = descriptors()?;
            Ok(now.iter().zip(&before).all(|(now, before)| now <= before).then_some(()))
        })
    })
}

#[test]
fn a_busy_address_is_named_and_taken_when_it_is_free() -> Result<()> {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = taken.local_addr()?.port();
    with(&[(port, "echo")], "", |system| {
        let target = Target::echo()?;
        let _agent = system.agent("site")?;
        connect_to(system, "echo", target.port())?;
        let entry = || -> Result<Value> { Ok(system.api().get("/api/v1/connections/echo")?["entries"][0].clone()) };
        until("the server to name it", || {
            Ok(entry()?["reason"].as_str().is_some_and(|why| why.contains("is in use")))
        })?;
        ensure!(entry()?["listening"] == false && system.server.output().contains("an entry cannot listen"));
        drop(taken);
        until("the entry to take it", || Ok(entry()?["listening"] == true))?;
        echoes(connect(port)?)
    })
}
