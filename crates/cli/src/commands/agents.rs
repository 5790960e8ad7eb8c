//! `sallyport agents`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use sallyport_protocol::{Clock, LogLevel};
use serde_json::{Map, Value, json};
use ureq::http::Method;

use super::Context;
use crate::client::{Client, encode, with_query};
use crate::error::{Doing, Error, Result};
use crate::output::{self, Column, column, text, time};
use crate::say;

/// How often an agent that is waited for is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// What to do with agents.
#[derive(clap::Subcommand)]
#[command(after_help = "\
Example: a new agent, ready to be unzipped on its machine
  sallyport agents create client-server --download .
  unzip -d client-server Sallyport.Agent.client-server.zip && client-server/start.sh")]
pub(crate) enum Arguments {
    /// All agents, with their state
    List {
        /// Only inactive ones
        #[arg(long)]
        inactive: bool,
    },
    /// One agent: its machine, its process, its versions
    Show {
        /// Name or id
        agent: String,
    },
    /// Make an agent
    Create {
        /// Unique in the environment
        name: String,
        #[command(flatten)]
        levels: Levels,
        /// Download its zip into this folder at once
        #[arg(long, value_name = "FOLDER")]
        download: Option<PathBuf>,
        #[command(flatten)]
        platform: Platform,
    },
    /// Rename an agent or set its log levels, which apply at once
    Edit {
        /// Name or id
        agent: String,
        /// The new name
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        levels: Levels,
    },
    /// Save the agent's zip; it holds its credentials, so treat it as a password
    Download {
        /// Name or id
        agent: String,
        /// The folder to save to
        #[arg(default_value = ".")]
        folder: PathBuf,
        #[command(flatten)]
        platform: Platform,
    },
    /// Cancel all that the agent executes and start it again
    Restart {
        /// Name or id
        agent: String,
    },
    /// Install the newest release now and cancel all that the agent executes
    Update {
        /// Name or id
        agent: String,
    },
    /// Lock an agent out; refused while it is online or an active task needs it
    Deactivate {
        /// Name or id
        agent: String,
    },
    /// Let a deactivated agent in again
    Reactivate {
        /// Name or id
        agent: String,
    },
    /// Replace the agent's credentials; the installed copy needs a new download
    Rotate {
        /// Name or id
        agent: String,
    },
    /// Wait until agents are online
    Wait {
        /// Names or ids
        #[arg(required = true)]
        agents: Vec<String>,
        /// How many seconds at most
        #[arg(long, default_value_t = 60, value_name = "SECONDS")]
        timeout: u64,
    },
    /// Have the agent's wrapper look at everything and say what to do; works while the agent is down
    Doctor {
        /// Name or id
        agent: String,
    },
    /// Fetch a support bundle from the agent's wrapper: logs, settings without secrets, the doctor's findings
    Bundle {
        /// Name or id
        agent: String,
        /// The folder to save to
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// The crashes of the agent and its wrapper
    Crashes {
        /// Name or id
        agent: String,
    },
    /// The log of the agent and its wrapper
    Log {
        /// Name or id
        agent: String,
        /// Go on with what comes
        #[arg(long, short)]
        follow: bool,
    },
}

/// Log levels, set apart.
#[derive(clap::Args)]
pub(crate) struct Levels {
    /// For the log file and the platform: Trace, Debug, Info, Warning, Error, Fatal
    #[arg(long, value_name = "LEVEL")]
    file_level: Option<LogLevel>,
    /// For the console
    #[arg(long, value_name = "LEVEL")]
    console_level: Option<LogLevel>,
}

/// What the zip is made for.
#[derive(clap::Args)]
pub(crate) struct Platform {
    /// linux-x86_64 or windows-x86_64; the server's own by default
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// What its site allows at first: `restricted` (nothing but what the site adds) or `permissive`
    #[arg(long, value_name = "POLICY", default_value = "restricted")]
    policy: String,
}

const COLUMNS: &[Column] = &[
    column("NAME", |agent| text(agent, "name")),
    column("STATUS", status),
    column("CONNECTED SINCE", |agent| time(agent, "connected_since")),
    column("MACHINE NAME", |agent| text(agent, "machine_name")),
    column("IP ADDRESS", |agent| text(agent, "address")),
    column("LAST UPDATE", |agent| time(agent, "last_update")),
    column("LOGGING", levels),
];

const FIELDS: &[Column] = &[
    column("Name", |agent| text(agent, "name")),
    column("Id", |agent| text(agent, "id")),
    column("Kind", |agent| text(agent, "kind")),
    column("Status", status),
    column("Connected since", |agent| time(agent, "connected_since")),
    column("Wrapper", wrapper),
    column("Last seen", |agent| time(agent, "last_seen_at")),
    column("Logging", levels),
    column("Machine name", |agent| text(agent, "detail.machine_name")),
    column("Source IP", |agent| text(agent, "address")),
    column("Operating system", |agent| text(agent, "detail.os")),
    column("Directory", |agent| text(agent, "detail.directory")),
    column("User", |agent| text(agent, "detail.user")),
    column("Executed by", |agent| text(agent, "detail.executed_by")),
    column("Process ID", |agent| text(agent, "detail.process_id")),
    column("Is 64 bit process", |agent| text(agent, "detail.is_64_bit")),
    column("Policy of the site", |agent| text(agent, "detail.policy")),
    column("Key", |agent| text(agent, "detail.key")),
    column("Can execute process", |agent| text(agent, "detail.can_execute_process")),
    column("Can write", |agent| text(agent, "detail.can_write")),
    column("Agent version", |agent| text(agent, "detail.agent_version")),
    column("Wrapper version", |agent| text(agent, "detail.wrapper_version")),
    column("Third-party connectors", |agent| list(agent, "programs")),
    column("Clock offset", |agent| match text(agent, "clock_offset_ms").as_str() {
        "" => String::new(),
        millis => format!("{millis} ms"),
    }),
    column("Release", |agent| text(agent, "update.active_version")),
    column("Update", |agent| update(agent, "update")),
    column("Wrapper release", |agent| text(agent, "wrapper_update.active_version")),
    column("Wrapper update", |agent| update(agent, "wrapper_update")),
    column("Last exit", exit),
    column("Likely cause", |agent| text(agent, "liveness.cause_text")),
    column("Agent's state", |agent| life(agent, "agent")),
    column("Wrapper's state", |agent| life(agent, "wrapper")),
    column("Target's state", |agent| life(agent, "target")),
    column("Last crash", |agent| match time(agent, "last_crash.at") {
        at if at.is_empty() => at,
        at => format!("{at}, {}: {}", text(agent, "last_crash.cause"), text(agent, "last_crash.message")),
    }),
];

const FINDINGS: &[Column] = &[
    column("CHECK", |finding| text(finding, "check")),
    column("RESULT", |finding| {
        let word = text(finding, "verdict");
        say::paint(say::tone_of(&word), &word)
    }),
    column("SEEN", |finding| text(finding, "seen")),
    column("WHAT TO DO", |finding| text(finding, "advice")),
];

const CRASHES: &[Column] = &[
    column("TIME", |crash| time(crash, "at")),
    column("PROGRAM", |crash| text(crash, "program")),
    column("VERSION", |crash| text(crash, "version")),
    column("CAUSE", |crash| text(crash, "cause")),
    column("MESSAGE", |crash| text(crash, "message")),
    column("FILE", |crash| text(crash, "file")),
];

/// Where an update stands, and why.
fn update(agent: &Value, which: &str) -> String {
    let (step, why) = (text(agent, &format!("{which}.step")), text(agent, &format!("{which}.text")));
    if why.is_empty() { step } else { format!("{step}: {why}") }
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let client = context.client()?;
    match arguments {
        Arguments::List { inactive } => {
            let query: &[(&str, &str)] = if *inactive { &[("active", "false")] } else { &[("active", "true")] };
            let agents = client.list("/api/v1/agents", query)?;
            context.format.list(&agents, COLUMNS, "Nothing to show. Make an agent: `sallyport agents create NAME`")
        }
        Arguments::Show { agent } => context.format.one(&client.get(&path(agent))?.body, FIELDS),
        Arguments::Create { name, levels, download, platform } => {
            let mut body = levels.json();
            body.insert("name".into(), json!(name));
            let made = client.post("/api/v1/agents", Some(&Value::Object(body)))?.body;
            match download {
                Some(folder) => save(&client, name, folder, platform),
                None => context.format.one(&made, FIELDS),
            }
        }
        Arguments::Edit { agent, name, levels } => edit(&client, context, agent, name.as_deref(), levels),
        Arguments::Download { agent, folder, platform } => save(&client, agent, folder, platform),
        Arguments::Restart { agent } => act(&client, agent, "restart", "is being restarted"),
        Arguments::Update { agent } => {
            act(&client, agent, "update", "is being updated; `sallyport agents show` says how it goes")
        }
        Arguments::Deactivate { agent } => act(&client, agent, "deactivate", "is deactivated"),
        Arguments::Reactivate { agent } => act(&client, agent, "reactivate", "is active again"),
        Arguments::Rotate { agent } => {
            let done = "has new credentials; download its zip again and replace appsettings.json";
            act(&client, agent, "rotate", done)
        }
        Arguments::Wait { agents, timeout } => wait(&client, agents, Duration::from_secs(*timeout)),
        Arguments::Doctor { agent } => doctor(&client, context, agent),
        Arguments::Bundle { agent, folder } => bundle(&client, agent, folder),
        Arguments::Crashes { agent } => {
            let crashes = client.list(&format!("{}/crashes", path(agent)), &[])?;
            context.format.list(&crashes, CRASHES, "No crashes.")
        }
        Arguments::Log { agent, follow } => super::logs::of_agent(&client, context, agent, *follow),
    }
}

/// Whether an agent is connected.
pub(super) fn is_online(agent: &Value) -> bool {
    text(agent, "status") == "online"
}

/// Whether an agent may connect.
pub(super) fn is_active(agent: &Value) -> bool {
    output::at(agent, "active").and_then(Value::as_bool) != Some(false)
}

fn edit(client: &Client, context: &Context, agent: &str, name: Option<&str>, levels: &Levels) -> Result<()> {
    let mut body = levels.json();
    if let Some(name) = name {
        body.insert("name".into(), json!(name));
    }
    if body.is_empty() {
        return Err(Error::usage("nothing to change: give --name, --file-level or --console-level"));
    }
    let tag = client.get(&path(agent))?.etag.unwrap_or_else(|| "*".into());
    let edited = client.send(&Method::PATCH, &path(agent), Some(&Value::Object(body)), &[("if-match", &tag)])?;
    context.format.one(&edited.body, FIELDS)
}

fn wait(client: &Client, agents: &[String], limit: Duration) -> Result<()> {
    let clock = Clock::system();
    let began = clock.now();
    for agent in agents {
        while !is_online(&client.get(&path(agent))?.body) {
            if clock.now().since(began) > limit {
                let text = format!("{agent} is not online after {} s", limit.as_secs());
                return Err(Error::failed(text).problem(format!("`sallyport agents show {agent}` says what is known")));
            }
            std::thread::sleep(PAUSE);
        }
        say::note(&format!("{agent} is online"));
    }
    Ok(())
}

fn doctor(client: &Client, context: &Context, agent: &str) -> Result<()> {
    let examination = client.post(&format!("{}/doctor", path(agent)), None)?.body;
    let findings = output::at(&examination, "findings").and_then(Value::as_array).cloned().unwrap_or_default();
    context.format.list(&findings, FINDINGS, "Nothing was looked at.")?;
    if text(&examination, "verdict") == "failed" {
        return Err(Error::failed(format!("something is wrong with {agent}")));
    }
    Ok(())
}

fn bundle(client: &Client, agent: &str, folder: &Path) -> Result<()> {
    let name = text(&client.get(&path(agent))?.body, "name");
    std::fs::create_dir_all(folder).doing(|| format!("making {}", folder.display()))?;
    let file = folder.join(format!("{name}.bundle.zip"));
    let partial = folder.join(format!("{name}.bundle.zip.part"));
    let size = client.fetch(&format!("{}/bundle", path(agent)), &partial).inspect_err(|_| {
        // Half a zip is of no use; that it cannot be removed is no news beside the error itself.
        let _ = std::fs::remove_file(&partial);
    })?;
    std::fs::rename(&partial, &file).doing(|| format!("writing {}", file.display()))?;
    say::note(&format!("saved {} ({})", file.display(), output::bytes(size)));
    Ok(())
}

fn act(client: &Client, agent: &str, verb: &str, done: &str) -> Result<()> {
    client.post(&format!("{}/{verb}", path(agent)), None)?;
    say::note(&format!("{agent} {done}"));
    Ok(())
}

fn save(client: &Client, agent: &str, folder: &Path, platform: &Platform) -> Result<()> {
    let name = text(&client.get(&path(agent))?.body, "name");
    std::fs::create_dir_all(folder).doing(|| format!("making {}", folder.display()))?;
    let file = folder.join(format!("Sallyport.Agent.{name}.zip"));
    let partial = folder.join(format!("Sallyport.Agent.{name}.zip.part"));
    let mut query = vec![("policy", platform.policy.as_str())];
    query.extend(platform.platform.iter().map(|platform| ("platform", platform.as_str())));
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} Retrieving a file... {bytes} {binary_bytes_per_sec}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    let got = client.download(&with_query(&format!("{}/download", path(agent)), &query), &partial, |total| {
        bar.set_position(total);
    });
    bar.finish_and_clear();
    let size = got.inspect_err(|_| {
        // Half a zip is of no use; that it cannot be removed is no news beside the error itself.
        let _ = std::fs::remove_file(&partial);
    })?;
    std::fs::rename(&partial, &file).doing(|| format!("writing {}", file.display()))?;
    say::note(&format!("saved {} ({})", file.display(), output::bytes(size)));
    Ok(())
}

fn path(agent: &str) -> String {
    format!("/api/v1/agents/{}", encode(agent))
}

fn status(agent: &Value) -> String {
    let word = match (is_active(agent), is_online(agent)) {
        (false, _) => "deactivated",
        (true, true) => "online",
        (true, false) => "offline",
    };
    say::paint(say::tone_of(word), word)
}

fn wrapper(agent: &Value) -> String {
    let since = time(agent, "wrapper.connected_since");
    let word = text(agent, "wrapper.status");
    if since.is_empty() { word } else { format!("{word} since {since}") }
}

fn life(agent: &Value, part: &str) -> String {
    let word = text(agent, &format!("liveness.{part}.state"));
    let since = time(agent, &format!("liveness.{part}.since"));
    let what = text(agent, &format!("liveness.{part}.text"));
    match (word.is_empty(), since.is_empty()) {
        (true, _) => word,
        (false, true) => format!("{word}: {what}"),
        (false, false) => format!("{word} since {since}: {what}"),
    }
}

fn levels(agent: &Value) -> String {
    format!("file {}, console {}", text(agent, "levels.file"), text(agent, "levels.console"))
}

fn list(agent: &Value, path: &str) -> String {
    let items = output::at(agent, path).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

fn exit(agent: &Value) -> String {
    let at = time(agent, "last_exit.at");
    if at.is_empty() {
        return String::new();
    }
    let how = match (text(agent, "last_exit.code"), text(agent, "last_exit.signal")) {
        (code, _) if !code.is_empty() => format!("code {code}"),
        (_, signal) if !signal.is_empty() => format!("signal {signal}"),
        _ => "unknown".into(),
    };
    format!("{at}, {how}, restarts {}", text(agent, "last_exit.restarts"))
}

impl Levels {
    fn json(&self) -> Map<String, Value> {
        let mut levels = Map::new();
        if let Some(level) = self.file_level {
            levels.insert("file".into(), json!(level.name()));
        }
        if let Some(level) = self.console_level {
            levels.insert("console".into(), json!(level.name()));
        }
        let mut body = Map::new();
        if !levels.is_empty() {
            body.insert("levels".into(), Value::Object(levels));
        }
        body
    }
}
