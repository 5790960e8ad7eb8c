//! A private MariaDB on a free loopback port.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{Process, free_port};
use crate::wait::within;

const SERVER: &str = "/usr/sbin/mariadbd";

/// A database server with one user, `sallyport`, who may do everything.
pub struct MariaDb {
    process: Process,
    port: u16,
}

/// Whether MariaDB's programs are on this machine.
fn have_mariadb() -> bool {
    Path::new(SERVER).is_file()
}

impl MariaDb {
    /// Starts one with its data below `folder`.
    pub fn start(folder: &Path) -> Result<Self> {
        if !have_mariadb() {
            bail!("MariaDB is missing: `./x test` installs it where it may");
        }
        let home = folder.join("mariadb");
        std::fs::create_dir_all(&home)?;
        let data = home.join("data");
        let mut install = Command::new("mariadb-install-db");
        // Beside the system's own settings, which may name other folders.
        install.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
        install.args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
        install.args(as_root());
        let made = install.output().context("starting mariadb-install-db")?;
        if !made.status.success() {
            bail!("mariadb-install-db: {}", String::from_utf8_lossy(&made.stderr));
        }
        let first = home.join("first.sql");
        std::fs::write(
            &first,
            "CREATE USER sallyport@'127.0.0.1' IDENTIFIED BY 'open-sesame';\n\
             GRANT ALL ON *.* TO sallyport@'127.0.0.1';\n",
        )?;
        let port = free_port()?;
        let mut serve = Command::new(SERVER);
        serve.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
        serve.args(["--bind-address=127.0.0.1", "--skip-name-resolve", &format!("--port={port}")]);
        serve.arg(format!("--socket={}", home.join("socket").display()));
        serve.arg(format!("--init-file={}", first.display())).args(as_root());
        let process = Process::start("MariaDB", &mut serve, &home.join("mariadb.log"))?;
        let mut server = Self { process, port };
        server.ready()?;
        Ok(server)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its client, logged in over a port of the loopback.
    pub fn client(port: u16) -> Command {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-P", &port.to_string()]);
        command.args(["-u", "sallyport", "--batch", "--skip-column-names"]).env("MYSQL_PWD", "open-sesame");
        command
    }

    fn ready(&mut self) -> Result<()> {
        within(Duration::from_secs(60), "MariaDB to answer", || {
            if !self.process.is_running() {
                bail!("MariaDB ended early:\n{}", self.process.output());
            }
            let asked = Self::client(self.port).args(["-e", "select 1"]).output()?;
            Ok(asked.status.success().then_some(()))
        })
    }
}

/// It runs as the superuser only where it is told to.
fn as_root() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some("--user=root")
}
