//! A server process with a data folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::api::Api;
use crate::binaries::{Profile, binary};
use crate::cli::Cli;
use crate::process::{Process, free_port};
use crate::wait::within;

/// How long a server may take to answer after its start.
const START_MAX: Duration = Duration::from_secs(30);
/// What stands before the code in the output of a first start.
const CODE: &str = "one-time code: ";
/// The first administrator's.
const EMAIL: &str = "admin@example.com";
const PASSWORD: &str = "correct horse battery staple";

/// How to start a server.
#[derive(Clone)]
pub struct Options {
    /// Which build.
    pub profile: Profile,
    /// The licence's tier.
    pub licence: &'static str,
    /// Whether it serves a release folder of its own, which a test may change.
    pub own_release: bool,
    /// The text of its `sallyport.toml`, if it has one.
    pub file: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { profile: Profile::Dev, licence: "premium", own_release: false, file: String::new() }
    }
}

/// A server and its first administrator.
pub struct Server {
    /// The process, unless it was stopped.
    pub process: Option<Process>,
    /// The administrator's API.
    pub api: Api,
    /// The one-time code that the first start printed.
    pub setup_code: String,
    options: Options,
    data: PathBuf,
    log: PathBuf,
    port: u16,
}

impl Server {
    /// Starts one below `folder`, sets the administrator's password and the licence.
    pub fn start(folder: &Path, options: &Options) -> Result<Self> {
        let data = folder.join("server");
        let log = folder.join("server.log");
        let port = free_port()?;
        if options.own_release {
            let release = release_in(&data);
            std::fs::create_dir_all(&release)?;
            for program in ["sallyport-agent", "sallyport-wrapper"] {
                std::fs::copy(binary(options.profile, program)?, release.join(program))?;
            }
        }
        let mut process = spawn(options, &data, &log, port)?;
        let line = process.line("its one-time code", START_MAX, |line| line.contains(CODE))?;
        let (_, code) = line.split_once(CODE).with_context(|| format!("no code in `{line}`"))?;
        let setup_code = code.trim().to_owned();
        let api = Api::new(&url(port), &data.join("tls/ca.pem"))?;
        let mut server = Self { process: Some(process), api, setup_code, options: options.clone(), data, log, port };
        server.ready()?;
        server.set_up(folder)?;
        server.set_licence(options.licence)?;
        Ok(server)
    }

    /// Its address.
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Its port on the loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Where the background agent of its one environment keeps its files.
    pub fn background_files(&self) -> Result<PathBuf> {
        let environments = self.api.get("/api/v1/environments")?;
        let id = environments["items"][0]["id"].as_str().context("there is no environment")?;
        let folder = self.data.join("files").join(id);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Its own release folder.
    pub fn release(&self) -> PathBuf {
        release_in(&self.data)
    }

    /// Its CA certificate.
    pub fn ca(&self) -> PathBuf {
        self.data.join("tls/ca.pem")
    }

    /// The first administrator's e-mail address and password.
    pub const fn administrator() -> (&'static str, &'static str) {
        (EMAIL, PASSWORD)
    }

    /// Everything it has written, over all its starts.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Starts it again on the same data folder and port.
    pub fn start_again(&mut self) -> Result<()> {
        self.process = Some(spawn(&self.options, &self.data, &self.log, self.port)?);
        self.ready()
    }

    /// Kills it at once.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().context("the server does not run")?.kill()
    }

    /// Sets the licence as its operator does, on its machine.
    pub fn set_licence(&self, tier: &str) -> Result<()> {
        let output = Command::new(binary(self.options.profile, "sallyport")?)
            .args(["licence", "set", tier, "--data-dir"])
            .arg(&self.data)
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        bail!("setting the licence: {}", String::from_utf8_lossy(&output.stderr))
    }

    fn ready(&mut self) -> Result<()> {
        let process = self.process.as_mut().context("the server does not run")?;
        let api = self.api.clone();
        within(START_MAX, "the server to be ready", || {
            if !process.is_running() {
                bail!("the server ended early:\n{}", process.output());
            }
            Ok(api.send("GET", "/readyz", None, &[]).ok().filter(|reply| reply.status == 200).map(|_| ()))
        })
    }

    /// As the first administrator does, on a terminal.
    fn set_up(&mut self, folder: &Path) -> Result<()> {
        let cli = Cli::new(self.options.profile, &folder.join("first-login"), folder)?;
        let (url, ca) = (self.url(), self.ca().display().to_string());
        let arguments = ["login", &url, "--setup", "--ca", &ca, "--name", "Ada", "--email", EMAIL, "--password-stdin"];
        cli.good_with(&arguments, &format!("{}\n{PASSWORD}\n", self.setup_code))?;
        let login = self.api.post("/api/v1/login", &json!({"email": EMAIL, "password": PASSWORD}))?;
        let token = login["token"].as_str().context("the login gave no token")?;
        self.api = self.api.clone().with_token(token);
        Ok(())
    }
}

fn url(port: u16) -> String {
    format!("https://localhost:{port}")
}

fn release_in(data: &Path) -> PathBuf {
    data.join("release")
}

fn spawn(options: &Options, data: &Path, log: &Path, port: u16) -> Result<Process> {
    let mut command = Command::new(binary(options.profile, "sallyport")?);
    command.arg("server").arg("--data-dir").arg(data).args([
        "--listen",
        &format!("127.0.0.1:{port}"),
        "--public-url",
        &url(port),
    ]);
    if options.own_release {
        command.arg("--release-dir").arg(release_in(data));
    }
    if !options.file.is_empty() {
        let file = log.with_file_name("sallyport.toml");
        std::fs::write(&file, &options.file)?;
        command.arg("--config").arg(file);
    }
    Process::start("the server", &mut command, log)
}
