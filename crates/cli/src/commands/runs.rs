//! `sallyport runs`.

use std::time::Duration;

use sallyport_protocol::{Clock, StepCounts};
use serde_json::{Map, Value, json};
use ureq::http::Method;

use super::Context;
use crate::bars::{Bars, StepLine};
use crate::client::{Client, encode};
use crate::error::{Error, Exit, Result};
use crate::output::{self, Column, Format, column, count, number, state, text, time};
use crate::patience::Patience;
use crate::say;

/// How often a run that is waited for is looked at.
const PAUSE: Duration = Duration::from_millis(300);
/// How many runs are listed unless more are asked for.
const LATEST: usize = 20;

/// What to do with runs.
#[derive(clap::Subcommand)]
pub(crate) enum Arguments {
    /// The latest runs
    List {
        /// Of this task only
        #[arg(long)]
        task: Option<String>,
        /// In this state only, such as running or failed
        #[arg(long)]
        state: Option<String>,
        /// How many
        #[arg(long, short = 'n', default_value_t = LATEST)]
        limit: usize,
    },
    /// One run, step by step
    Show {
        /// The run's id
        run: String,
    },
    /// Run a task
    #[command(after_help = "\
Examples:
  sallyport runs start orders-to-training --wait
  sallyport runs start nightly --param day=2026-11-21 --param full=true
  sallyport runs start nightly --key 2026-11-22      starts at most one run for this key
  sallyport runs start orders --full-refresh         incremental steps read everything again
  sallyport runs start orders --backfill read --from 2026-10-01 --to 2026-11-01
With --wait the exit code is 6 when the run does not deliver everything.")]
    Start {
        /// The task's name or id
        task: String,
        /// Show its progress and wait for its end
        #[arg(long, short)]
        wait: bool,
        /// A key of your choice: a repeated start with the same key gives the same run
        #[arg(long)]
        key: Option<String>,
        /// A value for one of the task's parameters; may be repeated
        #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
        param: Vec<(String, String)>,
        /// Clear the task's checkpoints, so that incremental steps read everything again
        #[arg(long, conflicts_with = "backfill")]
        full_refresh: bool,
        /// Run this incremental step alone, for a range of its cursor; its checkpoint stays
        #[arg(long, value_name = "STEP", requires = "from", requires = "to")]
        backfill: Option<String>,
        /// The first value of the range
        #[arg(long, requires = "backfill", allow_hyphen_values = true)]
        from: Option<String>,
        /// The first value behind the range
        #[arg(long, requires = "backfill", allow_hyphen_values = true)]
        to: Option<String>,
    },
    /// Show the progress of a run and wait for its end
    Wait {
        /// The run's id
        run: String,
    },
    /// Run again what a run did: the same version of its task with the same parameters
    Rerun {
        /// The run's id
        run: String,
        /// Do not do again what succeeded
        #[arg(long)]
        from_failed: bool,
        /// Show its progress and wait for its end
        #[arg(long, short)]
        wait: bool,
    },
    /// Stop a run on all its agents; what was half written is removed
    Cancel {
        /// The run's id
        run: String,
        /// For the run's log
        #[arg(long)]
        reason: Option<String>,
    },
}

/// How runs are listed.
pub(super) const COLUMNS: &[Column] = &[
    column("RUN", |run| text(run, "id")),
    column("TASK", |run| text(run, "task")),
    column("STATE", |run| state(run, "state")),
    column("QUEUED", |run| time(run, "queued_at")),
    column("TOOK", took),
    column("REASON", reason),
];

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let client = context.client()?;
    match arguments {
        Arguments::List { task, state, limit } => {
            let mut query = Vec::new();
            query.extend(task.as_deref().map(|task| ("task", task)));
            query.extend(state.as_deref().map(|state| ("state", state)));
            let (runs, _) = client.page("/api/v1/runs", &query, *limit, None)?;
            context.format.list(&runs, COLUMNS, "No runs yet. Start one: `sallyport runs start TASK --wait`")
        }
        Arguments::Show { run } => show(&client.get(&path(run))?.body, context.format),
        Arguments::Start { task, wait, key, param, full_refresh, backfill, from, to } => {
            let range = backfill.as_ref().map(|step| json!({"step": step, "from": from, "to": to}));
            let body = json!({"parameters": object(param), "full_refresh": full_refresh, "backfill": range});
            let run = start(&client, task, key.as_deref(), &body)?;
            if *wait { follow(&client, context, &text(&run, "id")) } else { context.format.one(&run, COLUMNS) }
        }
        Arguments::Rerun { run, from_failed, wait } => {
            let body = json!({"from_failed": from_failed});
            let run = client.post(&format!("{}/rerun", path(run)), Some(&body))?.body;
            if *wait { follow(&client, context, &text(&run, "id")) } else { context.format.one(&run, COLUMNS) }
        }
        Arguments::Wait { run } => follow(&client, context, run),
        Arguments::Cancel { run, reason } => {
            let body = reason.as_ref().map(|reason| json!({"reason": reason}));
            client.post(&format!("{}/cancel", path(run)), body.as_ref())?;
            say::note(&format!("{run} is being cancelled"));
            Ok(())
        }
    }
}

/// Whether a run in this state is over.
pub(super) fn has_ended(state: &str) -> bool {
    !matches!(state, "scheduled" | "waiting_for_agent" | "running")
}

/// Prints a run, its steps and what went wrong.
pub(super) fn show(run: &Value, format: Format) -> Result<()> {
    if format != Format::Table {
        return format.structured(run);
    }
    say::text(&summary(run));
    Ok(())
}

/// Starts a run of a task.
fn start(client: &Client, task: &str, key: Option<&str>, body: &Value) -> Result<Value> {
    let path = format!("/api/v1/tasks/{}/runs", encode(task));
    let headers: Vec<(&str, &str)> = key.iter().map(|key| ("idempotency-key", *key)).collect();
    Ok(client.send(&Method::POST, &path, Some(body), &headers)?.body)
}

/// Reads `NAME=VALUE`.
pub(super) fn pair(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// Pairs as a JSON object of texts; the last of a name counts.
pub(super) fn object(pairs: &[(String, String)]) -> Map<String, Value> {
    pairs.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()
}

/// Shows a run's progress until it has ended, then its summary; a server that is away for a while is waited for.
fn follow(client: &Client, context: &Context, id: &str) -> Result<()> {
    let clock = Clock::system();
    let mut bars = Bars::new(context.config.interactive);
    let mut patience = Patience::new(clock.clone());
    let run = loop {
        if let Some(answer) = patience.bear(client.get(&path(id)))? {
            bars.update(&lines(&answer.body), clock.now());
            if has_ended(&text(&answer.body, "state")) {
                break answer.body;
            }
        }
        std::thread::sleep(PAUSE);
    };
    bars.clear();
    show(&run, context.format)?;
    outcome(&run)
}

/// An error with exit code 6 for a run that did not deliver everything.
pub(super) fn outcome(run: &Value) -> Result<()> {
    match text(run, "state").as_str() {
        "succeeded" | "no_data" => Ok(()),
        other => {
            let words = other.replace('_', " ");
            let verb = match other {
                "finished_with_errors" | "failed" | "timed_out" => words,
                _ => format!("was {words}"),
            };
            Err(Error::new(Exit::RunFailed, format!("the run {verb}")))
        }
    }
}

fn lines(run: &Value) -> Vec<StepLine> {
    latest(run)
        .into_iter()
        .map(|step| StepLine { name: text(step, "step"), state: text(step, "state"), counts: counts(step) })
        .collect()
}

fn counts(step: &Value) -> StepCounts {
    StepCounts {
        rows_in: number(step, "rows_in"),
        rows_out: number(step, "rows_out"),
        bytes: number(step, "bytes"),
        rows_rejected: number(step, "rows_rejected"),
    }
}

/// The newest attempt of each step.
fn latest(run: &Value) -> Vec<&Value> {
    let mut steps: Vec<&Value> = Vec::new();
    for attempt in run.get("steps").and_then(Value::as_array).into_iter().flatten() {
        match steps.iter_mut().find(|step| step["step"] == attempt["step"]) {
            Some(step) if number(step, "attempt") <= number(attempt, "attempt") => *step = attempt,
            Some(_) => {}
            None => steps.push(attempt),
        }
    }
    steps
}

/// The run in words: a line, a table of its steps, its failures.
pub(super) fn summary(run: &Value) -> String {
    let steps = latest(run);
    let rows = steps.iter().map(|step| row(step)).collect();
    let header =
        vec!["STEP", "AGENT", "STATE", "ATTEMPT", "ROWS IN", "ROWS OUT", "BYTES", "REJECTED", "PROMISE", "TOOK"];
    let mut all = format!("{}  {}  {}", text(run, "id"), text(run, "task"), state(run, "state"));
    let took = took(run);
    if !took.is_empty() {
        all.push_str(&format!("  {took}"));
    }
    all.push('\n');
    all.push_str(&parameters(run));
    let old = text(run, "rerun_of");
    if !old.is_empty() {
        all.push_str(&format!("again, after {old}\n"));
    }
    if run["log_removed"] == true {
        all.push_str("its log was removed, as old as it is: see `sallyport retention show`\n");
    }
    all.push('\n');
    all.push_str(&output::table(Some(header), rows));
    let mut said: Vec<String> = Vec::new();
    for thing in steps.into_iter().chain(std::iter::once(run)) {
        let why = reason(thing);
        if why.is_empty() || said.contains(&why) {
            continue;
        }
        let name = text(thing, "step");
        let place = if name.is_empty() { String::new() } else { format!("{name}: ") };
        all.push_str(&format!("\n{place}{why}\n"));
        let advice = text(thing, "failure.advice");
        if !advice.is_empty() {
            all.push_str(&format!("  {advice}\n"));
        }
        said.push(why);
    }
    all
}

/// The run's parameters in a line, where it has any.
fn parameters(run: &Value) -> String {
    let all = run.get("parameters").and_then(Value::as_object);
    let shown: Vec<String> = all.into_iter().flatten().map(|(name, value)| format!("{name}={value}")).collect();
    if shown.is_empty() { String::new() } else { format!("{}\n", shown.join("  ")) }
}

fn row(step: &Value) -> Vec<String> {
    let counts = counts(step);
    vec![
        text(step, "step"),
        text(step, "agent"),
        state(step, "state"),
        text(step, "attempt"),
        count(counts.rows_in),
        count(counts.rows_out),
        output::bytes(counts.bytes),
        if counts.rows_rejected == 0 { String::new() } else { count(counts.rows_rejected) },
        text(step, "promise"),
        took(step),
    ]
}

fn reason(thing: &Value) -> String {
    let failure = text(thing, "failure.message");
    if failure.is_empty() { text(thing, "reason") } else { failure }
}

fn took(thing: &Value) -> String {
    let at = |path: &str| text(thing, path).parse::<jiff::Timestamp>().ok();
    match (at("started_at"), at("finished_at")) {
        (Some(start), Some(end)) => format!("{:.1} s", end.duration_since(start).as_secs_f64()),
        _ => String::new(),
    }
}

fn path(run: &str) -> String {
    format!("/api/v1/runs/{}", encode(run))
}

#[cfg(test)]
mod tests;
