//! `sallyport tunnel` as a person runs it.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cli::Cli;
use crate::process::Process;

/// How long a tunnel may take to be there.
const OPEN_MAX: Duration = Duration::from_secs(30);

/// How long one connection through it may stay without a byte: a test that hangs fails.
const SILENT_MAX: Duration = Duration::from_secs(60);

/// A tunnel to a connection.
pub struct Tunnel {
    /// The command.
    pub process: Process,
    port: u16,
}

impl Tunnel {
    /// Opens one to `connection`; what it says goes to `log`.
    pub fn open(cli: &Cli, connection: &str, more: &[&str], log: &Path) -> Result<Self> {
        let mut command = cli.command();
        command.args(["tunnel", connection]).args(more);
        let mut process = Process::start("the tunnel", &mut command, log)?;
        let line = process.line("its local address", OPEN_MAX, |line| line.contains(" is "))?;
        let address: SocketAddr = line.split(' ').next().unwrap_or_default().parse().with_context(|| line.clone())?;
        Ok(Self { process, port: address.port() })
    }

    /// Where it listens, on the loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A connection through it.
    pub fn connect(&self) -> Result<TcpStream> {
        connect(self.port)
    }
}

/// A connection to a port of the loopback.
pub fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(SILENT_MAX))?;
    stream.set_write_timeout(Some(SILENT_MAX))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
