//! `sallyport checkpoints`.

use serde_json::{Value, json};
use ureq::http::Method;

use super::Context;
use crate::client::encode;
use crate::error::{Error, Result};
use crate::output::{Column, Format, column, text, time};
use crate::say;

/// How many changes are listed unless more are asked for.
const LATEST: usize = 20;

/// Longer checkpoints are cut in tables.
const SHOWN_CHARS: usize = 60;

/// What to do with checkpoints.
#[derive(clap::Subcommand)]
pub(crate) enum Arguments {
    /// How far the incremental steps of a task are
    List {
        /// The task's name or id
        task: String,
    },
    /// The whole checkpoint of a step
    Show {
        /// The task's name or id
        task: String,
        /// The reading step, where the task has several
        #[arg(long)]
        step: Option<String>,
    },
    /// Say where a step goes on with its next run
    #[command(after_help = "\
Examples:
  sallyport checkpoints set orders --value 2026-11-01          rows behind this value are read next
  sallyport checkpoints set orders --step read --value 4711")]
    Set {
        /// The task's name or id
        task: String,
        /// The reading step, where the task has several
        #[arg(long)]
        step: Option<String>,
        /// The cursor's value up to which everything counts as read; or a whole checkpoint as JSON
        #[arg(long, allow_hyphen_values = true)]
        value: String,
    },
    /// Forget how far a step is: its next run reads everything
    Clear {
        /// The task's name or id
        task: String,
        /// The reading step, where the task has several
        #[arg(long)]
        step: Option<String>,
    },
    /// What has moved the checkpoints of a task, the newest first
    History {
        /// The task's name or id
        task: String,
        /// Of this reading step only
        #[arg(long)]
        step: Option<String>,
        /// How many
        #[arg(long, short = 'n', default_value_t = LATEST)]
        limit: usize,
    },
}

const COLUMNS: &[Column] = &[
    column("STEP", |one| text(one, "step")),
    column("WRITTEN BY", |one| text(one, "sink")),
    column("CHECKPOINT", shown),
    column("COMMITS", |one| text(one, "sequence")),
    column("CHANGED", |one| time(one, "changed_at")),
    column("BY", |one| text(one, "changed_by")),
    column("RUN", |one| text(one, "run")),
];

const CHANGES: &[Column] = &[
    column("AT", |one| time(one, "at")),
    column("STEP", |one| text(one, "step")),
    column("WHAT", |one| text(one, "action").replace('_', " ")),
    column("CHECKPOINT", shown),
    column("ROWS", |one| text(one, "rows")),
    column("BY", |one| text(one, "who")),
    column("RUN", |one| text(one, "run")),
];

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let client = context.client()?;
    match arguments {
        Arguments::List { task } => {
            let all = client.list(&path(task), &[])?;
            context.format.list(&all, COLUMNS, "No step of the task reads incrementally")
        }
        Arguments::Show { task, step } => {
            let all = client.list(&path(task), &[])?;
            show(&all, task, step.as_deref(), context.format)
        }
        Arguments::Set { task, step, value } => {
            let body = json!({ "step": step, "checkpoint": typed(value) });
            let set = client.send(&Method::PUT, &path(task), Some(&body), &[])?.body;
            context.format.one(&set, COLUMNS)
        }
        Arguments::Clear { task, step } => {
            let query = step.as_deref().map(|step| format!("?step={}", encode(step))).unwrap_or_default();
            let cleared = client.send(&Method::DELETE, &format!("{}{query}", path(task)), None, &[])?.body;
            say::note(&format!("step {} of {task} reads everything with its next run", text(&cleared, "step")));
            Ok(())
        }
        Arguments::History { task, step, limit } => {
            let query: Vec<_> = step.as_deref().map(|step| ("step", step)).into_iter().collect();
            let (changes, _) = client.page(&format!("{}/history", path(task)), &query, *limit, None)?;
            context.format.list(&changes, CHANGES, "Nothing has moved a checkpoint of the task yet")
        }
    }
}

fn show(all: &[Value], task: &str, step: Option<&str>, format: Format) -> Result<()> {
    let mut found = all.iter().filter(|one| step.is_none_or(|step| text(one, "step") == step));
    match (found.next(), found.next()) {
        (Some(one), None) if format == Format::Table => {
            say::line(&format!("{:#}", one["checkpoint"]));
            Ok(())
        }
        (Some(one), None) => format.structured(one),
        (Some(_), Some(_)) => Err(Error::usage(format!("{task} has several incremental steps; name one with --step"))),
        (None, _) => Err(Error::failed(match step {
            Some(step) => format!("no step {step} of {task} reads incrementally"),
            None => format!("no step of {task} reads incrementally"),
        })),
    }
}

/// A checkpoint as an object, a number, or a text as it stands.
fn typed(value: &str) -> Value {
    match serde_json::from_str(value) {
        Ok(json @ (Value::Object(_) | Value::Number(_))) => json,
        _ => Value::from(value),
    }
}

/// The cursor's value, or the beginning of a checkpoint of another kind.
fn shown(one: &Value) -> String {
    let checkpoint = &one["checkpoint"];
    let value = match checkpoint.get("value").unwrap_or(checkpoint) {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match value.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value,
    }
}

fn path(task: &str) -> String {
    format!("/api/v1/tasks/{}/checkpoints", encode(task))
}
