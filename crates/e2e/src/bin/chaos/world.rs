//! Everything that runs: a server, a database, two machines with an agent each.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{
    Folder, Installed, Line, Options, Postgres, Server, Signal, SmallDisk, processes_below, signal_to, until, within,
};
use serde_json::{Value, json};

use crate::kind::{Kind, MANY, ROWS, Target};
use crate::rows;
use crate::schedule::Site;

/// The size of the disk that is filled.
const SMALL_DISK_MEBIBYTES: u32 = 24;
/// An agent that is still offline so long after the last fault is looked at by a person.
const PATIENCE: Duration = Duration::from_secs(25);
/// And must be online so long after that; its own delay between two tries is at most a minute.
const ONLINE_MAX: Duration = Duration::from_secs(90);

/// How many lines are shown of a program that has ended.
const TAIL_LINES: usize = 30;

/// A machine with an agent, and its way to the server.
pub(crate) struct Machine {
    pub(crate) site: Site,
    pub(crate) agent: Installed,
    pub(crate) line: Line,
}

/// The order of the fields is the order in which they are stopped.
pub(crate) struct World {
    pub(crate) machines: Vec<Machine>,
    pub(crate) server: Server,
    pub(crate) postgres: Postgres,
    /// `None` where nothing may be mounted.
    pub(crate) disk: Option<SmallDisk>,
    pub(crate) folder: Folder,
}

impl World {
    /// Starts everything, fills the sources, makes the tasks.
    pub(crate) fn build() -> Result<Self> {
        let folder = Folder::new()?;
        let postgres = Postgres::start(folder.path(), &[])?;
        let server = Server::start(folder.path(), &Options::default())?;
        let disk = SmallDisk::mount(&folder.path().join("small"), SMALL_DISK_MEBIBYTES).ok();
        let mut world = Self { machines: Vec::new(), server, postgres, disk, folder };
        for site in [Site::Near, Site::Far] {
            let machine = world.install(site)?;
            world.machines.push(machine);
        }
        world.sources()?;
        world.targets()?;
        world.connections()?;
        for machine in &mut world.machines {
            machine.agent.start()?;
        }
        for site in [Site::Near, Site::Far] {
            until(&format!("agent {} to be online", site.name()), || world.is_online(site))?;
        }
        for task in Kind::ALL.into_iter().filter_map(Kind::started) {
            world.server.api.post("/api/v1/tasks", &task)?;
        }
        for kind in Kind::ALL {
            world.server.api.post("/api/v1/tasks", &kind.document(0, Duration::ZERO))?;
        }
        Ok(world)
    }

    /// A machine.
    pub(crate) fn machine(&mut self, site: Site) -> &mut Machine {
        &mut self.machines[site as usize]
    }

    /// The folder of the far agent's files.
    pub(crate) fn far_file(&self, path: &str) -> PathBuf {
        self.machines[Site::Far as usize].agent.file(path)
    }

    /// The SQLite database that is written to.
    pub(crate) fn sqlite(&self) -> PathBuf {
        self.far_file("target.sqlite")
    }

    /// The folder on the small disk, or in its place, that files are written to.
    pub(crate) fn small(&self) -> PathBuf {
        self.folder.path().join("small/out")
    }

    /// Whether an agent is online.
    pub(crate) fn is_online(&self, site: Site) -> Result<bool> {
        Ok(self.server.api.get(&format!("/api/v1/agents/{}", site.name()))?["status"] == "online")
    }

    /// Waits until all is as before the faults. What the product promises to do by itself, it must do by itself: a
    /// person only starts an agent at once whose wrapper waits before it does so. Says how often that was done.
    pub(crate) fn calm(&mut self) -> Result<u32> {
        let server = self.server.process.as_mut().context("the server does not run")?;
        ensure!(server.is_running(), "the server has ended by itself; its last lines:\n{}", tail(&server.output()));
        self.postgres.ready()?;
        let mut by_hand = 0;
        for site in [Site::Near, Site::Far] {
            let wrapper = self.machine(site).agent.wrapper.as_mut().context("a wrapper does not run")?;
            let name = site.name();
            ensure!(
                wrapper.is_running(),
                "the wrapper of {name} has ended by itself; its last lines:\n{}",
                tail(&wrapper.output())
            );
            let online = || -> Result<Option<()>> { Ok(self.is_online(site).unwrap_or(false).then_some(())) };
            let what = format!("agent {} to be online again", site.name());
            if within(PATIENCE, &what, online).is_ok() {
                continue;
            }
            let agent = &self.machines[site as usize].agent;
            if agent.agent_process().is_none() {
                agent.restart_by_hand()?;
                by_hand += 1;
            }
            within(ONLINE_MAX, &what, online)?;
        }
        Ok(by_hand)
    }

    /// Panics in the programs' output, which none of them may have.
    pub(crate) fn panics(&self) -> Result<Vec<String>> {
        let mut texts = vec![("the server", self.server.output())];
        texts.extend(self.machines.iter().map(|machine| (machine.site.name(), machine.agent.console())));
        let lines = texts.iter().flat_map(|(name, text)| {
            text.lines().filter(|line| line.contains("panicked at")).map(move |line| format!("{name}: {line}"))
        });
        Ok(lines.collect())
    }

    /// The lines of a run's log, and of the programs' own logs that name it.
    pub(crate) fn said_about(&self, run: &str) -> String {
        let log = self.server.api.get(&format!("/api/v1/runs/{run}/log?limit=200")).unwrap_or_default();
        let lines = log["items"].as_array().into_iter().flatten();
        let mut text: String = lines
            .map(|line| format!("  {} {} {} {}\n", line["time"], line["level"], line["step"], line["message"]))
            .collect();
        let mut logs = vec![("server", self.server.output())];
        logs.extend(self.machines.iter().map(|machine| (machine.site.name(), machine.agent.agent_log())));
        for (name, log) in logs {
            for line in log.lines().filter(|line| line.contains(run)) {
                text.push_str(&format!("  {name}: {line}\n"));
            }
        }
        text
    }

    fn install(&self, site: Site) -> Result<Machine> {
        let (name, api) = (site.name(), &self.server.api);
        api.post("/api/v1/agents", &json!({"name": name}))?;
        let zip = api.download(&format!("/api/v1/agents/{name}/download?policy=permissive"))?;
        let agent = Installed::unzip(name, &zip, &self.folder.path().join(name))?;
        let line = Line::to(self.server.port())?;
        let address = format!("https://localhost:{}", line.port());
        agent.edit_settings(|settings| settings["Settings"]["ServerAddress"] = json!(address))?;
        std::fs::create_dir_all(agent.file(""))?;
        Ok(Machine { site, agent, line })
    }

    fn sources(&self) -> Result<()> {
        for (table, rows) in [("source", ROWS), ("many", MANY)] {
            self.postgres.sql(&format!(
                "create table {table} (id bigint primary key, code text not null, cents bigint not null, note text)"
            ))?;
            let mut psql = self.postgres.psql();
            psql.args(["-c", &format!("copy {table} from stdin with (format csv)")]).stdin(Stdio::piped());
            let mut child = psql.spawn().context("starting psql")?;
            rows::write_csv(&mut child.stdin.take().context("psql takes no input")?, rows, false)?;
            ensure!(child.wait()?.success(), "filling `{table}`");
        }
        let background = self.server.background_files()?;
        for folder in [self.far_file(""), background] {
            std::fs::create_dir_all(&folder)?;
            rows::write_csv(&mut std::fs::File::create(folder.join("source.csv"))?, ROWS, true)?;
        }
        let near = rusqlite::Connection::open(self.machines[Site::Near as usize].agent.file("source.sqlite"))?;
        near.execute_batch("begin; create table source (id bigint primary key, code text, cents bigint, note text)")?;
        let mut insert = near.prepare("insert into source values (?1, ?2, ?3, nullif(?4, ''))")?;
        for id in 1..=ROWS {
            let [code, cents, note] = rows::row(id);
            insert.execute(rusqlite::params![id as i64, code, cents.parse::<i64>()?, note])?;
        }
        Ok(near.execute_batch("commit")?)
    }

    fn targets(&self) -> Result<()> {
        let columns = |kind: Kind| {
            let id = if kind.keeps_every_run() { "not null" } else { "primary key" };
            let cursor = if kind == Kind::Incremental { ", place bigint" } else { "" };
            format!("(run bigint not null, id bigint {id}, code text, cents bigint, note text{cursor})")
        };
        let sqlite = rusqlite::Connection::open(self.sqlite())?;
        for kind in Kind::ALL {
            match kind.target() {
                Target::Table(table) => drop(self.postgres.sql(&format!("create table {table} {}", columns(kind)))?),
                Target::Sqlite(table) => sqlite.execute_batch(&format!("create table {table} {}", columns(kind)))?,
                Target::Folder(folder) => std::fs::create_dir_all(self.far_file(folder))?,
                Target::SmallDisk => std::fs::create_dir_all(self.small())?,
                Target::Parquet(_) => {}
            }
        }
        Ok(())
    }

    fn connections(&self) -> Result<()> {
        let (settings, secrets) = (self.postgres.settings(), self.postgres.secrets());
        let nothing = json!({});
        let all: [(&str, &str, &str, Value, &Value); 5] = [
            ("db-near", "postgres", "near", settings.clone(), &secrets),
            ("db-far", "postgres", "far", settings, &secrets),
            ("sqlite-near", "sqlite", "near", json!({"path": "source.sqlite"}), &nothing),
            ("sqlite-far", "sqlite", "far", json!({"path": "target.sqlite"}), &nothing),
            ("small-disk", "file", "far", json!({"root": self.small()}), &nothing),
        ];
        for (name, kind, agent, settings, secrets) in all {
            let body = json!({"name": name, "kind": kind, "agent": agent, "settings": settings, "secrets": secrets});
            self.server.api.post("/api/v1/connections", &body)?;
        }
        Ok(())
    }
}

/// The end of a long text.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

impl Drop for World {
    fn drop(&mut self) {
        // What is stopped cannot end when it is asked to.
        for pid in processes_below(self.folder.path()) {
            // It may have ended in between.
            let _ = signal_to(pid, Signal::CONT);
        }
    }
}
