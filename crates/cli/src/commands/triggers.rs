//! `sallyport triggers`.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::http::Method;

use super::Context;
use crate::client::encode;
use crate::error::{Error, Result};
use crate::output::{Column, at, column, text, time};
use crate::say;

/// What to do with triggers.
#[derive(clap::Subcommand)]
pub(crate) enum Arguments {
    /// All triggers with their next time
    List {
        /// Of this task only
        #[arg(long)]
        task: Option<String>,
    },
    /// One trigger with its next five times
    Show {
        /// The task's name or id
        task: String,
        /// The trigger's name
        trigger: String,
    },
    /// Stop a trigger for a time; what is due in between is not made up for
    #[command(after_help = "\
Examples:
  sallyport triggers pause orders nightly --for 2h
  sallyport triggers pause orders nightly --until 2026-12-24T06:00:00Z
Without either it stays paused until `sallyport triggers resume`.")]
    Pause {
        /// The task's name or id
        task: String,
        /// The trigger's name
        trigger: String,
        /// For this long, such as 30m, 2h or 1d
        #[arg(long = "for", value_name = "SPAN", conflicts_with = "until")]
        span: Option<String>,
        /// Until this time
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// Let a paused trigger go on
    Resume {
        /// The task's name or id
        task: String,
        /// The trigger's name
        trigger: String,
    },
    /// Give a webhook a new address and secret, shown this once; the old ones stop to work
    Token {
        /// The task's name or id
        task: String,
        /// The trigger's name
        trigger: String,
    },
    /// Start a trigger's run now
    Fire {
        /// The task's name or id
        task: String,
        /// The trigger's name
        trigger: String,
        /// A key of your choice: the same key gives the same run
        #[arg(long)]
        key: Option<String>,
    },
}

const COLUMNS: &[Column] = &[
    column("TASK", |trigger| text(trigger, "task")),
    column("TRIGGER", |trigger| text(trigger, "name")),
    column("KIND", |trigger| text(trigger, "kind")),
    column("STATE", stands),
    column("NEXT", |trigger| next(trigger, 0)),
    column("LAST", |trigger| time(trigger, "last_fired_at")),
    column("PROBLEM", |trigger| text(trigger, "problem")),
];

const FIELDS: &[Column] = &[
    column("task", |trigger| text(trigger, "task")),
    column("trigger", |trigger| text(trigger, "name")),
    column("kind", |trigger| text(trigger, "kind")),
    column("state", stands),
    column("next", |trigger| next(trigger, 0)),
    column("then", |trigger| {
        (1..5).map(|place| next(trigger, place)).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }),
    column("last", |trigger| time(trigger, "last_fired_at")),
    column("last run", |trigger| text(trigger, "last_run_id")),
    column("problem", |trigger| text(trigger, "problem")),
];

const TOKEN: &[Column] = &[column("url", |token| text(token, "url")), column("secret", |token| text(token, "secret"))];

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let client = context.client()?;
    match arguments {
        Arguments::List { task } => {
            let query: Vec<(&str, &str)> = task.iter().map(|task| ("task", task.as_str())).collect();
            let all = client.list("/api/v1/triggers", &query)?;
            context.format.list(&all, COLUMNS, "No triggers yet: give a task `triggers`")
        }
        Arguments::Show { task, trigger } => context.format.one(&client.get(&path(task, trigger, ""))?.body, FIELDS),
        Arguments::Pause { task, trigger, span, until } => {
            let until = match span {
                Some(span) => Some(after(span)?),
                None => until.clone(),
            };
            let body = until.map_or_else(|| json!({}), |until| json!({ "until": until }));
            let shown = client.post(&path(task, trigger, "/pause"), Some(&body))?.body;
            context.format.one(&shown, FIELDS)
        }
        Arguments::Resume { task, trigger } => {
            context.format.one(&client.post(&path(task, trigger, "/resume"), None)?.body, FIELDS)
        }
        Arguments::Token { task, trigger } => {
            let token = client.post(&path(task, trigger, "/token"), None)?.body;
            say::note("This is shown once; keep it as you keep a password");
            context.format.one(&token, TOKEN)
        }
        Arguments::Fire { task, trigger, key } => {
            let headers: Vec<(&str, &str)> = key.iter().map(|key| ("idempotency-key", key.as_str())).collect();
            let run = client.send(&Method::POST, &path(task, trigger, "/fire"), None, &headers)?.body;
            context.format.one(&run, &[column("run", |run| text(run, "id")), column("state", |run| text(run, "state"))])
        }
    }
}

fn stands(trigger: &Value) -> String {
    let is = |field| at(trigger, field).and_then(Value::as_bool).unwrap_or(false);
    if !is("active") {
        return "inactive".to_owned();
    }
    match (is("paused"), time(trigger, "paused_until")) {
        (false, _) => "active".to_owned(),
        (true, until) if until.is_empty() => "paused".to_owned(),
        (true, until) => format!("paused until {until}"),
    }
}

fn next(trigger: &Value, place: usize) -> String {
    let next = at(trigger, "next").and_then(|next| next.get(place)).cloned().unwrap_or_default();
    time(&json!({ "at": next }), "at")
}

/// The time after a span, as the API takes it.
fn after(span: &str) -> Result<String> {
    let wrong = |error: String| Error::usage(format!("--for: {error}"));
    let span: sallyport_domain::task::Span = span.parse().map_err(|error| wrong(format!("{error}")))?;
    let now = sallyport_protocol::Clock::system().now();
    let until = now.plus(span.0.max(Duration::from_secs(1)));
    let until = jiff::Timestamp::from_microsecond(until.0).map_err(|error| wrong(error.to_string()))?;
    Ok(until.to_string())
}

fn path(task: &str, trigger: &str, verb: &str) -> String {
    format!("/api/v1/tasks/{}/triggers/{}{verb}", encode(task), encode(trigger))
}
