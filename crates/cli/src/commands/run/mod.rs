//! `sallyport run`: a task in this process, with the very code that agents run.

mod plan;

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sallyport_agent::{Egress, Execution, NoRelay, Surroundings, execute};
use sallyport_connectors::Site;
use sallyport_domain::run::{Effect, Event, Given, Run, Scene, StepState, Stop};
use sallyport_protocol::{AgentId, AttemptKey, Clock, LogLevel, RunId, StepCounts, Timestamp};
use serde_json::{Value, json};

use self::plan::Local;
use super::{Context, runs};
use crate::bars::{Bars, StepLine};
use crate::error::{Doing, Error, Result};
use crate::output::Format;
use crate::say;

/// How often progress is shown.
const PAUSE: Duration = Duration::from_millis(150);
/// Why a run is stopped by Ctrl-C.
const INTERRUPTED: &str = "interrupted";
/// What a transform may hold in memory before it spills.
const TRANSFORM_MEMORY: usize = 256 * 1024 * 1024;

/// What to run, and with what.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  sallyport run orders.yaml --connections connections.yaml --files ./data
All steps run here, whatever agents the task names; nothing is sent to a server. The exit code is 6 when the run does
not deliver everything.")]
pub(crate) struct Arguments {
    /// The task's document
    task: PathBuf,
    /// The connections that the task names, one document each
    #[arg(long, short, value_name = "FILE")]
    connections: Option<PathBuf>,
    /// Where relative file paths start and which they cannot leave
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    files: PathBuf,
    /// Programs that serve as third-party connectors, as in an agent's programs.json
    #[arg(long, value_name = "FILE")]
    programs: Option<PathBuf>,
    /// A value for one of the task's parameters; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = runs::pair)]
    param: Vec<(String, String)>,
    /// A variable that the task uses; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = runs::pair)]
    variable: Vec<(String, String)>,
    /// Show log lines of this level and those above it
    #[arg(long, value_name = "LEVEL", default_value = "Warning")]
    log_level: LogLevel,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let (parameters, variables) = (runs::object(&arguments.param), runs::object(&arguments.variable));
    let given = Given { parameters, variables, ..Given::default() };
    let local = Local::read(&arguments.task, arguments.connections.as_deref(), given)?;
    // The folder is new and its name cannot be guessed: the place is shared with other users.
    let scratch = std::env::temp_dir().join(format!("sallyport-{}", RunId::new()));
    make_private(&scratch).doing(|| format!("making {}", scratch.display()))?;
    let surroundings = surroundings(arguments, &scratch)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().doing(|| "starting the threads".into())?;
    let run = runtime.block_on(all(&local, &surroundings, context));
    runtime.shutdown_timeout(Duration::from_secs(5));
    // It holds nothing that is wanted after the run.
    let _ = std::fs::remove_dir_all(&scratch);
    runs::show(&run, context.format)?;
    runs::outcome(&run)
}

/// The whole run, with the decisions that a server takes; pipelines take turns.
async fn all(local: &Local, surroundings: &Surroundings, context: &Context) -> Value {
    let visible = context.config.interactive && context.format == Format::Table;
    let mut here = Here {
        local,
        surroundings,
        run: Run::scheduled(RunId::new(), local.plan.clone(), surroundings.clock.now()).given(local.given.clone()),
        online: BTreeSet::from([local.agent]),
        dispatched: VecDeque::new(),
        wake_at: None,
        bars: Bars::new(visible),
    };
    here.take(Event::Start);
    while !here.run.state.has_ended() {
        let event = match here.dispatched.pop_front() {
            Some(key) => here.attempt(key).await,
            None => here.pause().await,
        };
        here.take(event);
    }
    here.bars.clear();
    view(&here.run)
}

/// A run on this machine.
struct Here<'a> {
    local: &'a Local,
    surroundings: &'a Surroundings,
    run: Run,
    online: BTreeSet<AgentId>,
    /// Attempts to make.
    dispatched: VecDeque<AttemptKey>,
    /// When the run wants to look again.
    wake_at: Option<Timestamp>,
    bars: Bars,
}

impl Here<'_> {
    /// Lets the run decide; answers whether what goes on is to be stopped.
    fn take(&mut self, event: Event) -> bool {
        let scene = Scene { now: self.surroundings.clock.now(), online: &self.online };
        // What is over needs no event.
        let effects = self.run.on(event, scene).unwrap_or_default();
        let mut stop = false;
        self.wake_at = None;
        for effect in effects {
            match effect {
                Effect::Dispatch { key, .. } => self.dispatched.push_back(key),
                Effect::Cancel { .. } => stop = true,
                Effect::WakeAt(at) => self.wake_at = Some(self.wake_at.map_or(at, |wake| wake.min(at))),
                Effect::Log { step, level, message, .. } if level >= LogLevel::Warning => {
                    say::note(&format!("{level:<7} {}: {message}", step.unwrap_or_default()));
                }
                // Steps that start tasks were refused before.
                Effect::Call { .. } | Effect::CancelRun { .. } | Effect::Log { .. } | Effect::Ended => {}
            }
        }
        stop
    }

    /// One attempt at one pipeline, with its progress on the terminal; Ctrl-C stops the run.
    async fn attempt(&mut self, key: AttemptKey) -> Event {
        let order = match self.local.order(&self.run, key) {
            Ok(order) => order,
            Err((step, failure)) => return Event::Unfit { key, step, failure },
        };
        let execution = Execution::new(&order, &self.surroundings.egress);
        if self.run.stop.is_some() {
            execution.cancel(INTERRUPTED);
        }
        let work = execute(order, self.surroundings, &execution);
        tokio::pin!(work);
        loop {
            tokio::select! {
                report = &mut work => return Event::Finished { agent: self.local.agent, report },
                _ = tokio::signal::ctrl_c() => {
                    if self.take(interrupt()) {
                        execution.cancel(INTERRUPTED);
                    }
                }
                () = tokio::time::sleep(PAUSE) => {
                    self.bars.update(&running(&execution.counts()), self.surroundings.clock.now());
                }
            }
        }
    }

    /// Waits until the run wants to look again.
    async fn pause(&self) -> Event {
        let now = self.surroundings.clock.now();
        let wait = self.wake_at.map_or(PAUSE, |at| at.since(now));
        tokio::select! {
            () = tokio::time::sleep(wait) => Event::Tick,
            _ = tokio::signal::ctrl_c() => interrupt(),
        }
    }
}

fn interrupt() -> Event {
    Event::Stop(Stop::Cancel { reason: INTERRUPTED.to_owned() })
}

/// The lines of the steps that are at work.
fn running(counts: &[(String, StepCounts)]) -> Vec<StepLine> {
    let line = |(name, counts): &(String, StepCounts)| StepLine {
        name: name.clone(),
        state: StepState::Running.word().to_owned(),
        counts: *counts,
    };
    counts.iter().map(line).collect()
}

fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn surroundings(arguments: &Arguments, scratch: &Path) -> Result<Surroundings> {
    let files = std::path::absolute(&arguments.files).doing(|| format!("finding {}", arguments.files.display()))?;
    let programs = match &arguments.programs {
        None => Default::default(),
        Some(path) => programs(path)?,
    };
    let level = arguments.log_level;
    Ok(Surroundings {
        site: Arc::new(Site { files_root: files, confined: false, programs, ..Site::default() }),
        scratch_root: scratch.to_path_buf(),
        data: Arc::new(NoRelay),
        log: Arc::new(move |line| {
            if line.level >= level {
                let step = line.run.as_ref().and_then(|run| run.step.clone()).unwrap_or_default();
                say::note(&format!("{:<7} {step}: {}", line.level, line.message));
            }
        }),
        transform_memory: TRANSFORM_MEMORY,
        clock: Clock::system(),
        background: false,
        egress: Egress::unkept(),
        seal: None,
    })
}

fn programs(path: &Path) -> Result<std::collections::BTreeMap<String, sallyport_connectors::Program>> {
    let text = std::fs::read_to_string(path).doing(|| format!("reading {}", path.display()))?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| Error::failed(format!("{} is no JSON: {error}", path.display())))?;
    let all = value.get("programs").and_then(Value::as_object).ok_or_else(|| {
        Error::failed(format!(
            "{}: write it as {{\"programs\": {{\"name\": {{\"command\": \"...\"}}}}}}",
            path.display()
        ))
    })?;
    let mut programs = std::collections::BTreeMap::new();
    for (name, program) in all {
        let command = program
            .get("command")
            .and_then(Value::as_str)
            .ok_or_else(|| Error::failed(format!("{}: program `{name}` has no `command`", path.display())))?;
        let arguments = program.get("arguments").and_then(Value::as_array).into_iter().flatten();
        let arguments = arguments.filter_map(Value::as_str).map(str::to_owned).collect();
        programs.insert(name.clone(), sallyport_connectors::Program { command: command.into(), arguments });
    }
    Ok(programs)
}

/// The run as a server would show it.
fn view(run: &Run) -> Value {
    let steps: Vec<Value> = run
        .plan
        .steps
        .iter()
        .zip(&run.steps)
        .map(|(planned, step)| {
            json!({
                "step": planned.name, "agent": planned.agent_name, "state": step.state, "attempt": step.attempt,
                "rows_in": step.counts.rows_in, "rows_out": step.counts.rows_out, "bytes": step.counts.bytes,
                "rows_rejected": step.counts.rows_rejected, "failure": step.failure, "reason": step.reason,
                "started_at": step.started_at.map(stamp), "finished_at": step.ended_at.map(stamp),
            })
        })
        .collect();
    json!({
        "id": run.id, "task": run.plan.task, "parameters": run.given.parameters, "state": run.state, "reason": run.reason, "steps": steps,
        "started_at": run.started_at.map(stamp), "finished_at": run.ended_at.map(stamp),
    })
}

fn stamp(at: Timestamp) -> Value {
    jiff::Timestamp::from_microsecond(at.0).map_or(Value::Null, |at| json!(at.to_string()))
}
