//! An HTTP service (Python's own server, as a process of its own) to reach through an agent.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::binaries::python;
use crate::process::{Process, free_port};

/// How long it may take to start.
const START_MAX: Duration = Duration::from_secs(30);

const SCRIPT: &str = include_str!("service.py");

/// A service on a free port of the loopback.
pub struct Service {
    /// Its process.
    pub process: Process,
    port: u16,
}

impl Service {
    /// Starts one that speaks plain HTTP, with its log in `folder`.
    pub fn start(folder: &Path) -> Result<Self> {
        Self::with(folder, &[])
    }

    /// Starts one that shows this certificate.
    pub fn encrypted(folder: &Path, certificate: &Path, key: &Path) -> Result<Self> {
        Self::with(folder, &[certificate, key])
    }

    fn with(folder: &Path, pair: &[&Path]) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(python()?);
        command.args(["-c", SCRIPT]).arg(port.to_string()).args(pair);
        let mut process = Process::start("the service", &mut command, &folder.join(format!("service-{port}.log")))?;
        process.line("its start", START_MAX, |line| line == "ready")?;
        Ok(Self { process, port })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }
}
