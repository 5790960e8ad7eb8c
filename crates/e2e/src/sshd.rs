//! A private OpenSSH server on a free loopback port, and its client.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{Process, free_port};
use crate::wait::until;

const SSHD: &str = "/usr/sbin/sshd";

/// Lets in whoever has its one key.
pub struct Sshd {
    /// The server's first process.
    pub process: Process,
    port: u16,
    home: PathBuf,
}

/// Whether OpenSSH's server is on this machine.
fn have_sshd() -> bool {
    Path::new(SSHD).is_file()
}

impl Sshd {
    /// Starts one with its keys below `folder`.
    pub fn start(folder: &Path) -> Result<Self> {
        if !have_sshd() {
            bail!("OpenSSH's server is missing: install the package `openssh-server`");
        }
        let home = folder.join("ssh");
        std::fs::create_dir_all(&home)?;
        for key in ["host", "person"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(home.join(key))
                .status()?;
            if !made.success() {
                bail!("ssh-keygen: {made}");
            }
        }
        // Without it the server does not start; it is made by its service elsewhere.
        std::fs::create_dir_all("/run/sshd").context("making /run/sshd, which sshd needs")?;
        let port = free_port()?;
        let shown = home.display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {shown}/host\nAuthorizedKeysFile {shown}/person.pub\n\
             StrictModes no\nPermitRootLogin yes\nUsePAM no\nPidFile none\nAllowTcpForwarding yes\n"
        );
        std::fs::write(home.join("sshd_config"), config)?;
        let mut serve = Command::new(SSHD);
        serve.arg("-D").arg("-e").arg("-f").arg(home.join("sshd_config"));
        let process = Process::start("sshd", &mut serve, &home.join("sshd.log"))?;
        until("sshd to listen", || Ok(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()))?;
        Ok(Self { process, port, home })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `ssh` with its key, to a port of the loopback; the host's name is still to be added.
    pub fn client(&self, port: u16) -> Command {
        let mut dial = Command::new("ssh");
        dial.args(["-p", &port.to_string(), "-i"]).arg(self.home.join("person"));
        dial.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]);
        dial
    }
}
