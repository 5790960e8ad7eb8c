//! `sallyport logs`.

use std::time::Duration;

use sallyport_protocol::Clock;
use serde_json::Value;

use super::Context;
use crate::client::{Client, encode};
use crate::error::{Error, Result};
use crate::output::{Format, at, text};
use crate::patience::Patience;
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
  sallyport logs --agent client-server -f what an agent and its wrapper say, as it comes
Of a run all lines are shown, of an agent the newest 200.")]
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
        (Some(run), _) => of_run(&client, context, run, query, arguments.follow),
        (None, Some(agent)) => follow_agent(&client, context, agent, query, arguments.follow),
        (None, None) => Err(Error::usage("name a --run or an --agent")),
    }
}

/// An agent's log.
pub(super) fn of_agent(client: &Client, context: &Context, agent: &str, follow: bool) -> Result<()> {
    follow_agent(client, context, agent, Vec::new(), follow)
}

fn follow_agent(client: &Client, context: &Context, agent: &str, query: Query<'_>, follow: bool) -> Result<()> {
    let path = format!("/api/v1/agents/{}/log", encode(agent));
    tail(client, context, Place { path, query, newest: true, after: None }, follow, || Ok(false))
}

fn of_run(client: &Client, context: &Context, run: &str, query: Query<'_>, follow: bool) -> Result<()> {
    let run = format!("/api/v1/runs/{}", encode(run));
    let place = Place { path: format!("{run}/log"), query, newest: false, after: None };
    tail(client, context, place, follow, || Ok(super::runs::has_ended(&text(&client.get(&run)?.body, "state"))))
}

/// Prints what is there and, if asked, what comes, until `ended` says that nothing more will.
fn tail(
    client: &Client,
    context: &Context,
    mut place: Place<'_>,
    follow: bool,
    ended: impl Fn() -> Result<bool>,
) -> Result<()> {
    if !follow {
        return place.print_new(client, context.format);
    }
    let mut patience = Patience::new(Clock::system());
    let mut over = false;
    loop {
        // Asked before the lines are: what was said before the end is then surely among them.
        over = over || patience.bear(ended())?.unwrap_or(false);
        let read = patience.bear(place.print_new(client, context.format))?.is_some();
        if (read && over) || say::unheard() {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}

type Query<'a> = Vec<(&'a str, &'a str)>;

/// How far a log was read.
struct Place<'a> {
    path: String,
    query: Query<'a>,
    /// The first lines are the newest page, as of a log without an end; else all, from the oldest on.
    newest: bool,
    after: Option<String>,
}

impl Place<'_> {
    /// Prints the lines that were not read yet.
    fn print_new(&mut self, client: &Client, format: Format) -> Result<()> {
        let path = self.path.clone();
        loop {
            let lines = self.next(|query| Ok(client.page(&path, query, PAGE, None)?.0))?;
            lines.iter().for_each(|line| print(line, format));
            if lines.len() < PAGE || say::unheard() {
                return Ok(());
            }
        }
    }

    /// At most a page of lines that were not read yet, in the order they were stored.
    fn next(&mut self, page: impl FnOnce(&[(&str, &str)]) -> Result<Vec<Value>>) -> Result<Vec<Value>> {
        let mut query = self.query.clone();
        let backwards = self.newest && self.after.is_none();
        query.push(("sort", if backwards { "-seq" } else { "seq" }));
        query.extend(self.after.as_deref().map(|after| ("after", after)));
        let mut lines = page(&query)?;
        if backwards {
            lines.reverse();
        }
        if let Some(last) = lines.last() {
            self.after = Some(text(last, "seq"));
        }
        Ok(lines)
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

#[cfg(test)]
mod tests;
