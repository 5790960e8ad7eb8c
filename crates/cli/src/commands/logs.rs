//! `sallyport logs`.

use std::time::Duration;

use serde_json::Value;

use super::Context;
use crate::client::{Client, encode};
use crate::error::{Error, Exit, Result};
use crate::output::{Format, at, text};
use crate::say::{self, Tone};

/// How often a log that is followed is asked for news.
const PAUSE: Duration = Duration::from_millis(500);
/// How many lines are asked for at once.
const PAGE: usize = 200;

/// Which log to read.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sallyport logs --run run_0198...        what the steps of a run said
  sallyport logs --agent client-server -f what an agent and its wrapper say, as it comes")]
pub(crate) struct Arguments {
    /// A run's id
    #[arg(long, required_unless_present = "agent", conflicts_with = "agent")]
    run: Option<String>,
    /// An agent's name or id
    #[arg(long)]
    agent: Option<String>,
    /// Of a run: one step only
    #[arg(long, requires = "run")]
    step: Option<String>,
    /// Of a run: one attempt only
    #[arg(long, requires = "run")]
    attempt: Option<u32>,
    /// This level and those above it
    #[arg(long)]
    level: Option<String>,
    /// Go on with what comes, until the run has ended
    #[arg(long, short)]
    follow: bool,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let client = context.client()?;
    let attempt = arguments.attempt.map(|attempt| attempt.to_string());
    let mut query = Vec::new();
    query.extend(arguments.step.as_deref().map(|step| ("step", step)));
    query.extend(attempt.as_deref().map(|attempt| ("attempt", attempt)));
    query.extend(arguments.level.as_deref().map(|level| ("level", level)));
    match (&arguments.run, &arguments.agent) {
        (Some(run), _) => of_run(&client, context, run, &query, arguments.follow),
        (None, Some(agent)) => tail(&client, context, &agent_path(agent), &query, arguments.follow, || Ok(false)),
        (None, None) => Err(Error::usage("name a --run or an --agent")),
    }
}

/// An agent's log.
pub(super) fn of_agent(client: &Client, context: &Context, agent: &str, follow: bool) -> Result<()> {
    tail(client, context, &agent_path(agent), &[], follow, || Ok(false))
}

fn of_run(client: &Client, context: &Context, run: &str, query: &[(&str, &str)], follow: bool) -> Result<()> {
    let path = format!("/api/v1/runs/{}", encode(run));
    tail(client, context, &format!("{path}/log"), query, follow, || {
        Ok(super::runs::has_ended(&text(&client.get(&path)?.body, "state")))
    })
}

fn agent_path(agent: &str) -> String {
    format!("/api/v1/agents/{}/log", encode(agent))
}

/// Prints what is there and, if asked, what comes, until `ended` says that nothing more will.
fn tail(
    client: &Client,
    context: &Context,
    path: &str,
    query: &[(&str, &str)],
    follow: bool,
    ended: impl Fn() -> Result<bool>,
) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        // Asked before the lines are: what was said before the end is then surely among them.
        let over = !follow || ended()?;
        loop {
            let mut all = query.to_vec();
            all.extend(after.as_deref().map(|after| ("after", after)));
            let (lines, _) = match client.page(path, &all, PAGE, None) {
                Err(error) if follow && error.exit == Exit::Failed => {
                    say::note(&format!("{error}; trying again"));
                    break;
                }
                other => other?,
            };
            for line in &lines {
                print(line, context.format);
            }
            match lines.last().map(|line| text(line, "seq")).filter(|seq| !seq.is_empty()) {
                Some(seq) => after = Some(seq),
                None => break,
            }
            if lines.len() < PAGE {
                break;
            }
        }
        if over {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}

fn print(line: &Value, format: Format) {
    if format != Format::Table {
        say::line(&line.to_string());
        return;
    }
    let level = text(line, "level");
    let tone = match level.as_str() {
        "Error" | "Fatal" => Tone::Bad,
        "Warning" => Tone::Warn,
        "Info" => Tone::Strong,
        _ => Tone::Dim,
    };
    let source = match (text(line, "step"), text(line, "source")) {
        (step, _) if !step.is_empty() => format!("{step}: "),
        (_, source) if !source.is_empty() => format!("{source}: "),
        _ => String::new(),
    };
    let event = at(line, "event").and_then(Value::as_str).map(|event| format!(" logName={event}")).unwrap_or_default();
    let head = format!("{} {}", say::paint(Tone::Dim, &text(line, "at")), say::paint(tone, &format!("{level:<7}")));
    say::line(&format!("{head} {source}{}{event}", text(line, "message")));
}
