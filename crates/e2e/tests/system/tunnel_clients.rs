//! More real clients through a tunnel, targets that hang, and clients that leave half of it open.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::process::Stdio;

use anyhow::{Result, bail, ensure};
use sallyport_e2e::{MariaDb, Sshd, Target, until};
use socket2::{Domain, Socket, Type};

use crate::system;
use crate::tunnels::{connect_to, good, open};

#[test]
fn ssh_runs_a_command_and_moves_data_both_ways() -> Result<()> {
    const BYTES: usize = 32 << 20;
    system(|system| {
        let sshd = Sshd::start(system.folder.path())?;
        let _agent = system.agent("site")?;
        connect_to(system, "shell", sshd.port())?;
        let tunnel = open(system, "shell", &[])?;
        let ssh = || sshd.client(tunnel.port());
        ensure!(good(ssh().args(["127.0.0.1", "echo $((6 * 7))"]))?.trim() == "42");
        let mut cat = ssh().args(["127.0.0.1", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(mut to), Some(mut from)) = (cat.stdin.take(), cat.stdout.take()) else { bail!("ssh has no pipes") };
        let sent: Vec<u8> = (0..BYTES).map(|at| (at % 251) as u8).collect();
        let copy = sent.clone();
        let writing = std::thread::spawn(move || to.write_all(&copy));
        let mut got = Vec::new();
        from.read_to_end(&mut got)?;
        ensure!(writing.join().is_ok_and(|written| written.is_ok()) && cat.wait()?.success());
        ensure!(got == sent, "{} bytes came back, and not those that were sent", got.len());
        Ok(())
    })
}

#[test]
fn mariadb_is_used_by_its_own_client() -> Result<()> {
    system(|system| {
        let mariadb = MariaDb::start(system.folder.path())?;
        let _agent = system.agent("site")?;
        connect_to(system, "maria", mariadb.port())?;
        let tunnel = open(system, "maria", &[])?;
        let ask = |sql: &str| good(MariaDb::client(tunnel.port()).args(["-e", sql]));
        ask("create database shop; create table shop.orders (id int primary key, note varchar(2000))")?;
        ask("use shop; insert into orders select seq, repeat('x', 1000) from seq_1_to_20000")?;
        ensure!(ask("select count(*), sum(length(note)) from shop.orders")?.trim() == "20000\t20000000");
        ensure!(ask("select note from shop.orders")?.lines().count() == 20_000);
        Ok(())
    })
}

#[test]
fn a_target_that_never_answers_is_given_up_and_named() -> Result<()> {
    system(|system| {
        // Its queue is full, so that it takes no more and refuses nothing.
        let hung = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        hung.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        hung.listen(0)?;
        let Some(address) = hung.local_addr()?.as_socket() else { bail!("the target has no address") };
        let _queued: Vec<Socket> = (0..8)
            .map(|_| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
                socket.set_nonblocking(true)?;
                match socket.connect(&address.into()) {
                    Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                        Err(error)
                    }
                    _ => Ok(socket),
                }
            })
            .collect::<std::io::Result<_>>()?;
        let _agent = system.agent("site")?;
        connect_to(system, "hung", address.port())?;
        let tunnel = open(system, "hung", &[])?;
        let got = tunnel.connect()?.read(&mut [0]);
        ensure!(got.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset), "{got:?}");
        until("the tunnel to say why", || Ok(tunnel.process.output().contains("did not answer within 10 s")))
    })
}

#[test]
fn a_client_that_has_said_all_hears_the_rest() -> Result<()> {
    const BYTES: usize = 8 << 20;
    system(|system| {
        let target = Target::echo()?;
        let _agent = system.agent("site")?;
        connect_to(system, "echo", target.port())?;
        let tunnel = open(system, "echo", &[])?;
        let mut stream = tunnel.connect()?;
        let mut reader = stream.try_clone()?;
        let reading = std::thread::spawn(move || {
            let mut got = Vec::new();
            reader.read_to_end(&mut got).map(|_| got)
        });
        stream.write_all(&vec![7; BYTES])?;
        stream.shutdown(Shutdown::Write)?;
        let Ok(got) = reading.join() else { bail!("reading met a bug") };
        ensure!(got? == vec![7; BYTES]);
        until("the target to be left", || Ok(target.open() == 0))
    })
}

#[test]
fn a_client_that_hears_no_more_ends_its_target() -> Result<()> {
    system(|system| {
        let target = Target::flood()?;
        let _agent = system.agent("site")?;
        connect_to(system, "flood", target.port())?;
        let tunnel = open(system, "flood", &[])?;
        let stream: TcpStream = tunnel.connect()?;
        (&stream).read_exact(&mut [0; 1024])?;
        stream.shutdown(Shutdown::Read)?;
        drop(stream);
        until("the target to be left", || Ok(target.open() == 0))?;
        // Nothing is left that keeps the next from beginning.
        tunnel.connect()?.read_exact(&mut [0; 1024])?;
        Ok(())
    })
}
