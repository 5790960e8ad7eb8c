//! `sallyport run`: a task in this process, with the very code that agents run.

mod plan;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sallyport_agent::{Execution, NoRelay, Surroundings, execute};
use sallyport_connectors::Site;
use sallyport_domain::plan::Plan;
use sallyport_protocol::{Clock, LogLevel, OrderReport, RunId, StepCounts, StepOutcome, Timestamp};
use serde_json::{Value, json};

use self::plan::Local;
use super::{Context, runs};
use crate::bars::{Bars, StepLine};
use crate::error::{Doing, Error, Result};
use crate::output::Format;
use crate::say;

/// How often progress is shown.
const PAUSE: Duration = Duration::from_millis(150);
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
    /// Show log lines of this level and those above it
    #[arg(long, value_name = "LEVEL", default_value = "Warning")]
    log_level: LogLevel,
}

/// Where a run stands while it goes on here.
struct Progress {
    id: RunId,
    began: Timestamp,
    /// One per step of the plan: state, attempt, counts, reason, failure.
    steps: Vec<Value>,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let local = Local::read(&arguments.task, arguments.connections.as_deref())?;
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

/// Every pipeline, one after the other, each with the retries of its steps.
async fn all(local: &Local, surroundings: &Surroundings, context: &Context) -> Value {
    let visible = context.config.interactive && context.format == Format::Table;
    let mut bars = Bars::new(visible);
    let mut progress = Progress::new(&local.plan, surroundings.clock.now());
    let mut stopped: Option<String> = None;
    for pipeline in 0..local.plan.pipelines.len() {
        if let Some(reason) = &stopped {
            progress.skip(&local.plan, pipeline, reason);
            continue;
        }
        let mut attempt = 1;
        loop {
            let report = one(local, surroundings, &mut progress, &mut bars, (pipeline, attempt)).await;
            stopped = progress.take(&local.plan, &report, attempt, surroundings.clock.now());
            let Some(wait) = again(&local.plan, pipeline, &report, attempt) else { break };
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }
    bars.clear();
    progress.ended(&local.plan, surroundings.clock.now())
}

/// One attempt at one pipeline, with its progress on the terminal; Ctrl-C cancels it.
async fn one(
    local: &Local,
    surroundings: &Surroundings,
    progress: &mut Progress,
    bars: &mut Bars,
    (pipeline, attempt): (usize, u32),
) -> OrderReport {
    let order = local.order(progress.id, pipeline, attempt);
    let execution = Execution::new(&order);
    let work = execute(order, surroundings, &execution);
    tokio::pin!(work);
    loop {
        tokio::select! {
            report = &mut work => return report,
            _ = tokio::signal::ctrl_c() => execution.cancel("interrupted"),
            () = tokio::time::sleep(PAUSE) => {
                let lines = progress.running(&execution.counts());
                bars.update(&lines, surroundings.clock.now());
            }
        }
    }
}

/// How long to wait before the next attempt, if there is one.
fn again(plan: &Plan, pipeline: usize, report: &OrderReport, attempt: u32) -> Option<Duration> {
    let failed = report.steps.iter().find_map(|step| match &step.outcome {
        StepOutcome::Failed { failure } => Some((&step.step, failure.transient)),
        _ => None,
    });
    let (name, transient) = failed?;
    let retry = plan.steps_of(pipeline).map(|index| &plan.steps[index]).find(|step| step.name == *name)?.retry;
    let doubled = retry.backoff.0.saturating_mul(1 << (attempt - 1).min(10));
    (transient && attempt < retry.attempts).then_some(doubled)
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
        site: Arc::new(Site { files_root: files, confined: false, programs }),
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

impl Progress {
    fn new(plan: &Plan, began: Timestamp) -> Self {
        let steps = plan
            .steps
            .iter()
            .map(|step| {
                let state = if step.runs { "scheduled" } else { "skipped" };
                json!({"step": step.name, "agent": step.agent_name, "state": state})
            })
            .collect();
        Self { id: RunId::new(), began, steps }
    }

    /// The lines of the steps that are at work.
    fn running(&mut self, counts: &[(String, StepCounts)]) -> Vec<StepLine> {
        counts
            .iter()
            .map(|(name, counts)| StepLine { name: name.clone(), state: "running".into(), counts: *counts })
            .collect()
    }

    /// Takes an attempt's report over; gives the reason to stop if a step did not succeed.
    fn take(&mut self, plan: &Plan, report: &OrderReport, attempt: u32, now: Timestamp) -> Option<String> {
        let mut stopped: Option<String> = None;
        for step in &report.steps {
            let Some(index) = plan.steps.iter().position(|planned| planned.name == step.step) else { continue };
            let view = &mut self.steps[index];
            let (state, failure, reason) = match &step.outcome {
                StepOutcome::Succeeded => ("succeeded", Value::Null, Value::Null),
                StepOutcome::Failed { failure } => {
                    stopped = Some(format!("step {} failed", step.step));
                    ("failed", json!(failure), Value::Null)
                }
                StepOutcome::Cancelled { reason } => {
                    stopped = stopped.or_else(|| Some(reason.clone()));
                    ("cancelled", Value::Null, json!(reason))
                }
            };
            *view = json!({
                "step": step.step, "agent": view["agent"], "state": state, "attempt": attempt,
                "rows_in": step.counts.rows_in, "rows_out": step.counts.rows_out, "bytes": step.counts.bytes,
                "rows_rejected": step.counts.rows_rejected, "failure": failure, "reason": reason,
                "started_at": stamp(self.began), "finished_at": stamp(now),
            });
        }
        stopped
    }

    fn skip(&mut self, plan: &Plan, pipeline: usize, reason: &str) {
        for index in plan.steps_of(pipeline) {
            self.steps[index]["state"] = json!("cancelled");
            self.steps[index]["reason"] = json!(reason);
        }
    }

    /// The run as the server would show it.
    fn ended(self, plan: &Plan, now: Timestamp) -> Value {
        let any = |state: &str| self.steps.iter().any(|step| step["state"] == state);
        let sum = |key: &str| self.steps.iter().filter_map(|step| step[key].as_u64()).sum::<u64>();
        let state = if any("failed") {
            "failed"
        } else if any("cancelled") {
            "cancelled"
        } else if sum("rows_rejected") > 0 {
            "finished_with_errors"
        } else if sum("rows_out") == 0 {
            "no_data"
        } else {
            "succeeded"
        };
        json!({
            "id": self.id, "task": plan.task, "state": state, "steps": self.steps,
            "started_at": stamp(self.began), "finished_at": stamp(now),
        })
    }
}

fn stamp(at: Timestamp) -> Value {
    jiff::Timestamp::from_microsecond(at.0).map_or(Value::Null, |at| json!(at.to_string()))
}
