//! The two-agent task on a generated TPC-H database, as a person would do it; `./x demo` builds and starts this.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it shows a person what happens")]

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sallyport_e2e::{Cli, Folder, Installed, Interrupt, Options, Profile, Server, tpch};
use sallyport_protocol::Clock;
use serde_json::Value;

const TASK: &str = include_str!("task.yaml");
const TASK_NAME: &str = "large-orders-to-training";
const AGENTS: [&str; 2] = ["client-server", "training-pc"];
const STAGES: usize = 8;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (stay, scale) = match options(&arguments) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("error: {error}; usage: ./x demo [--exit] [--scale S]");
            return ExitCode::from(2);
        }
    };
    match Demo::new(scale).and_then(|mut demo| demo.show(stay)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> Result<(bool, f64)> {
    let (mut stay, mut scale) = (true, 0.1);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--exit" => stay = false,
            "--scale" => scale = rest.next().context("--scale needs a number")?.parse().context("--scale")?,
            other => bail!("`{other}` is not an option"),
        }
    }
    Ok((stay, scale))
}

/// Everything that runs. The order of the fields is the order in which they are stopped.
struct Demo {
    agents: Vec<Installed>,
    server: Option<Server>,
    folder: Folder,
    interrupt: Interrupt,
    clock: Clock,
    scale: f64,
    stage: usize,
}

impl Demo {
    fn new(scale: f64) -> Result<Self> {
        Ok(Self {
            agents: Vec::new(),
            server: None,
            folder: Folder::new()?,
            interrupt: Interrupt::listen()?,
            clock: Clock::system(),
            scale,
            stage: 0,
        })
    }

    fn show(&mut self, stay: bool) -> Result<()> {
        let began = self.clock.now();
        println!("Sallyport: the two-agent task, end to end\n");
        self.stage("the client's database", &[], Self::database)?;
        self.stage("the server", &["server"], Self::serve)?;
        let cli = self.cli()?;
        self.stage("two agents, made and downloaded", &["server"], |demo| demo.download(&cli))?;
        self.stage("unzipped and started by start.sh", &["client-server", "training-pc"], |demo| demo.start(&cli))?;
        self.stage("the connection, tested from its agent", &["client-server"], |demo| demo.connect(&cli))?;
        self.stage("the task, checked and saved", &["server"], |demo| demo.task(&cli))?;
        let logs = ["client-server", "training-pc", "server"];
        self.stage("the run", &logs, |demo| demo.run(&cli))?;
        let digest = self.stage("both results against SQLite's own answer", &[], Self::check)?;
        let seconds = self.clock.now().since(began).as_secs_f64();
        self.summary(&digest, seconds, stay)?;
        if stay {
            self.interrupt.wait();
            println!("\nstopping");
        }
        Ok(())
    }

    /// Does one part and says how long it took; a failure names the part and shows the logs that matter.
    fn stage(&mut self, name: &str, logs: &[&str], work: impl FnOnce(&mut Self) -> Result<String>) -> Result<String> {
        if self.interrupt.came() {
            bail!("interrupted");
        }
        self.stage += 1;
        let began = self.clock.now();
        println!("[{}/{STAGES}] {name}", self.stage);
        let done = work(self);
        let seconds = self.clock.now().since(began).as_secs_f64();
        match done {
            Ok(said) => {
                println!("      {said}  ({seconds:.1} s)");
                Ok(said)
            }
            Err(_) if self.interrupt.came() => bail!("interrupted"),
            Err(error) => {
                let tails = if logs.is_empty() { String::new() } else { self.folder.tails_of(logs) };
                bail!("this part failed: {name}\n{error:#}\n{tails}")
            }
        }
    }

    fn database(&mut self) -> Result<String> {
        let path = self.client_database();
        tpch::sqlite(&path, self.scale)?;
        let lines = tpch::of_sqlite(&path, "select l_orderkey from lineitem")?.rows;
        Ok(format!("TPC-H at scale {} in {}: {lines} line items", self.scale, path.display()))
    }

    fn serve(&mut self) -> Result<String> {
        // Two agents at once: more than a trial allows.
        let options = Options { licence: "standard", ..Options::default() };
        let server = self.server.insert(Server::start(self.folder.path(), &options)?);
        Ok(format!("{}, one process on SQLite, licence standard", server.url()))
    }

    fn cli(&self) -> Result<Cli> {
        let server = self.server.as_ref().context("no server")?;
        let cli = Cli::new(Profile::Dev, &self.folder.path().join("config"), self.folder.path())?;
        let (email, password) = Server::administrator();
        let ca = server.ca();
        let ca = ca.to_str().context("the CA's path")?;
        cli.good_with(&["login", &server.url(), "--email", email, "--password-stdin", "--ca", ca], password)?;
        Ok(cli)
    }

    fn download(&mut self, cli: &Cli) -> Result<String> {
        for name in AGENTS {
            cli.good(&["agents", "create", name, "--download", "downloads", "--policy", "permissive"])?;
        }
        Ok(AGENTS.map(|name| format!("Sallyport.Agent.{name}.zip")).join(", "))
    }

    fn start(&mut self, cli: &Cli) -> Result<String> {
        for name in AGENTS {
            let zip = self.folder.path().join(format!("downloads/Sallyport.Agent.{name}.zip"));
            let bytes = std::fs::read(&zip).with_context(|| format!("reading {}", zip.display()))?;
            let mut agent = Installed::unzip(name, &bytes, &self.folder.path().join(name))?;
            agent.start()?;
            self.agents.push(agent);
        }
        cli.good(&["agents", "wait", AGENTS[0], AGENTS[1], "--timeout", "30"])?;
        Ok("both online, neither listens on any port".into())
    }

    fn connect(&mut self, cli: &Cli) -> Result<String> {
        let path = self.client_database();
        let document =
            format!("name: client-db\nkind: sqlite\nagent: client-server\nsettings:\n  path: {}\n", path.display());
        cli.good_with(&["connections", "apply", "-f", "-"], &document)?;
        cli.good(&["connections", "test", "client-db"])?;
        Ok("client-db, reached by client-server".into())
    }

    fn task(&mut self, cli: &Cli) -> Result<String> {
        let path = self.folder.path().join("task.yaml");
        std::fs::write(&path, TASK)?;
        cli.good(&["tasks", "apply", "-f", "task.yaml", "--dry-run"])?;
        cli.good(&["tasks", "apply", "-f", "task.yaml"])?;
        Ok(format!("{TASK_NAME}, from {}", path.display()))
    }

    fn run(&mut self, cli: &Cli) -> Result<String> {
        // In sight of the person, with its progress bars.
        let status = cli
            .command()
            .args(["runs", "start", TASK_NAME, "--wait"])
            .stdin(Stdio::inherit())
            .status()
            .context("starting the run")?;
        if !status.success() {
            let runs: Value = serde_json::from_str(&cli.good(&["runs", "list", "-n", "1", "-o", "json"])?)?;
            let id = runs[0]["id"].as_str().unwrap_or_default().to_owned();
            let log = cli.good(&["logs", "--run", &id]).unwrap_or_default();
            bail!("the run ended with {status}; its log:\n{log}");
        }
        Ok("succeeded".into())
    }

    fn check(&mut self) -> Result<String> {
        let wanted = tpch::of_sqlite(&self.client_database(), &query()?)?;
        let csv = tpch::of_csv(&self.result("shipped.csv")?)?;
        let parquet = tpch::of_parquet(&self.result("shipped.parquet")?)?;
        if csv != wanted || parquet != wanted {
            bail!("SQLite says {wanted}\nthe CSV file holds {csv}\nthe Parquet file holds {parquet}");
        }
        if wanted.rows == 0 {
            bail!("there is nothing to compare: no row satisfies the task's query at this scale");
        }
        Ok(wanted.to_string())
    }

    fn summary(&self, digest: &str, seconds: f64, stay: bool) -> Result<()> {
        let server = self.server.as_ref().context("no server")?;
        let (email, password) = Server::administrator();
        println!("\nDone in {seconds:.1} s. What happened:");
        println!("  client-server read three tables, joined and filtered them next to the database;");
        println!("  the rows went through the server to training-pc, which wrote two files; both only dialled out.");
        println!("  SQLite, the CSV file and the Parquet file agree: {digest}");
        println!("\n  {:<10} {}", "database", self.client_database().display());
        for name in ["shipped.csv", "shipped.parquet"] {
            let path = self.result(name)?;
            let size = std::fs::metadata(&path).map(|data| data.len()).unwrap_or(0);
            println!("  {:<10} {} ({:.1} MB)", "result", path.display(), size as f64 / 1e6);
        }
        println!("  {:<10} {} (log in as {email} with the password `{password}`)", "server", server.url());
        if stay {
            let program = sallyport_e2e::binary(Profile::Dev, "sallyport")?;
            let config = self.folder.path().join("config");
            println!("\nLook around, in another terminal:");
            println!("  export SALLYPORT_CONFIG_DIR={}", config.display());
            println!("  {} status", program.display());
            println!("\nCtrl-C stops everything and removes it.");
        }
        Ok(())
    }

    fn client_database(&self) -> PathBuf {
        self.folder.path().join("client.sqlite")
    }

    fn result(&self, name: &str) -> Result<PathBuf> {
        Ok(self.agents.get(1).context("no agent")?.file(name))
    }
}

/// The task's own query, for SQLite.
fn query() -> Result<String> {
    let (_, rest) = TASK.split_once("transform: |\n").context("the task has no transform")?;
    let lines: Vec<&str> = rest.lines().take_while(|line| line.starts_with("      ")).collect();
    Ok(lines.join("\n"))
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Asked together, so that they end together.
        for agent in &mut self.agents {
            if let Some(wrapper) = &agent.wrapper {
                // One that has ended needs no signal.
                let _ = wrapper.signal(sallyport_e2e::Signal::TERM);
            }
        }
        for agent in &mut self.agents {
            if let Some(mut wrapper) = agent.wrapper.take() {
                // What does not end in time is killed when it is dropped.
                let _ = wrapper.wait(Duration::from_secs(10));
            }
        }
    }
}
