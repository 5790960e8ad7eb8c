//! A private PostgreSQL on a free loopback port.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::process::{Process, free_port, processes_below, signal_to};
use crate::wait::within;

const USER: &str = "sallyport";
/// Safe in an address as it is: not every tool that is compared with decodes one.
const PASSWORD: &str = "open-sesame";

/// A database server with one database, `postgres`, and one user who may do everything.
pub struct Postgres {
    process: Process,
    programs: PathBuf,
    port: u16,
    home: PathBuf,
    log: PathBuf,
    configuration: Vec<String>,
    owner: Option<(u32, u32)>,
}

/// Whether PostgreSQL's programs are on this machine.
pub fn have_postgres() -> bool {
    programs().is_some()
}

impl Postgres {
    /// Starts one with its data below `folder`; `settings` are `name=value` for its configuration.
    pub fn start(folder: &Path, settings: &[&str]) -> Result<Self> {
        let programs = programs().context("PostgreSQL is missing: `./x test` installs it where it may")?;
        let data = folder.join("postgres");
        std::fs::create_dir_all(&data)?;
        let owner = owner()?;
        if let Some((user, group)) = owner {
            std::os::unix::fs::chown(&data, Some(user), Some(group))?;
        }
        let secret = folder.join("postgres.password");
        std::fs::write(&secret, PASSWORD)?;
        let mut init = as_owner(&programs.join("initdb"), owner);
        init.args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--username", USER]);
        init.arg("--pwfile").arg(&secret).arg("--pgdata").arg(data.join("cluster")).current_dir(&data);
        let made = init.output().context("starting initdb")?;
        if !made.status.success() {
            bail!("initdb: {}{}", String::from_utf8_lossy(&made.stdout), String::from_utf8_lossy(&made.stderr));
        }
        let port = free_port()?;
        let log = folder.join("postgres.log");
        let mut configuration = vec!["listen_addresses=127.0.0.1".to_owned()];
        configuration.extend(settings.iter().map(|setting| (*setting).to_owned()));
        let process = spawn(&programs, &data, port, &configuration, owner, &log)?;
        let mut server = Self { process, programs, port, home: data, log, configuration, owner };
        server.ready()?;
        Ok(server)
    }

    /// Kills every process of it at once.
    pub fn kill(&mut self) -> Result<()> {
        self.process.signal(Signal::KILL)?;
        within(Duration::from_secs(20), "PostgreSQL to be dead", || {
            // A backend may end or be born between the look and the signal.
            self.processes().into_iter().for_each(|pid| drop(signal_to(pid, Signal::KILL)));
            Ok((!self.process.is_running() && self.processes().is_empty()).then_some(()))
        })
    }

    /// Starts it again on the same data and port.
    pub fn start_again(&mut self) -> Result<()> {
        self.process = spawn(&self.programs, &self.home, self.port, &self.configuration, self.owner, &self.log)?;
        self.ready()
    }

    /// All its processes: the main one, its helpers, a backend for each session.
    pub fn processes(&self) -> Vec<u32> {
        processes_below(&self.home)
    }

    /// Waits until it answers.
    pub fn ready(&mut self) -> Result<()> {
        within(Duration::from_secs(30), "PostgreSQL to answer", || {
            if !self.process.is_running() {
                bail!("PostgreSQL ended early:\n{}", self.process.output());
            }
            Ok(self.run("select 1")?.status.success().then_some(()))
        })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its main process.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Runs SQL; the rows come back as lines of fields joined by `|`.
    pub fn sql(&self, sql: &str) -> Result<String> {
        let output = self.run(sql)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned());
        }
        bail!("psql: {}\n{sql}", String::from_utf8_lossy(&output.stderr))
    }

    /// `psql`, logged in, ready for more arguments.
    pub fn psql(&self) -> Command {
        let mut command = Command::new(self.programs.join("psql"));
        command.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            "127.0.0.1",
            "-U",
            USER,
            "-d",
            "postgres",
        ]);
        command.args(["-p", &self.port.to_string()]).env("PGPASSWORD", PASSWORD);
        command
    }

    /// The settings of a connection to it.
    pub fn settings(&self) -> Value {
        json!({"host": "127.0.0.1", "port": self.port, "database": "postgres", "user": USER})
    }

    /// The secrets of a connection to it.
    pub fn secrets(&self) -> Value {
        json!({"password": PASSWORD})
    }

    /// Its address for other tools.
    pub fn url(&self) -> String {
        format!("postgresql://{USER}:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    fn run(&self, sql: &str) -> Result<Output> {
        Ok(self.psql().args(["-c", sql]).stdin(Stdio::null()).output()?)
    }
}

fn spawn(
    programs: &Path,
    home: &Path,
    port: u16,
    configuration: &[String],
    owner: Option<(u32, u32)>,
    log: &Path,
) -> Result<Process> {
    let mut command = as_owner(&programs.join("postgres"), owner);
    command.current_dir(home).arg("-D").arg(home.join("cluster")).arg("-k").arg(home);
    command.args(["-p", &port.to_string()]);
    for setting in configuration {
        command.args(["-c", setting]);
    }
    Process::start("PostgreSQL", &mut command, log)
}

fn programs() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").is_file())
        .collect();
    found.sort();
    found.pop()
}

/// PostgreSQL refuses to run as the superuser: then it runs as the user that its package made.
fn owner() -> Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let accounts = std::fs::read_to_string("/etc/passwd").context("reading the accounts")?;
    let line = accounts.lines().find(|line| line.starts_with("postgres:")).context("there is no user `postgres`")?;
    let mut numbers = line.split(':').skip(2).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(user)), Some(Ok(group))) => Ok(Some((user, group))),
        _ => bail!("the account of `postgres` has no numbers"),
    }
}

fn as_owner(program: &Path, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}
