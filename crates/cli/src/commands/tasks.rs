//! `sallyport tasks`.

use std::path::PathBuf;

use serde_json::Value;
use ureq::http::Method;

use super::Context;
use super::connections::read_all;
use crate::client::{Answer, Client, encode, one_problem};
use crate::document::{self, Document};
use crate::error::{Error, Exit, Result};
use crate::output::{self, Column, column, text, time};
use crate::say;

/// What to do with tasks.
#[derive(clap::Subcommand)]
pub(crate) enum Arguments {
    /// All tasks
    List,
    /// One task's document
    Show {
        /// Name or id
        task: String,
    },
    /// Make or change tasks as files say
    #[command(after_help = "\
Example:
  sallyport tasks apply -f orders.yaml --dry-run      shows every problem and what would change
  sallyport tasks apply -f orders.yaml
For completion and checks while you type, let your editor use the schema: `sallyport tasks schema > task.json`")]
    Apply {
        /// YAML or JSON; several documents in a file are fine; `-` is standard input
        #[arg(long, short, required = true, value_name = "FILE")]
        file: Vec<PathBuf>,
        /// Check and show what would change; save nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Remove a task; its runs stay
    Delete {
        /// Name or id
        task: String,
    },
    /// Check documents against the server; every wrong field is named at once
    Validate {
        /// YAML or JSON
        #[arg(long, short, required = true, value_name = "FILE")]
        file: Vec<PathBuf>,
    },
    /// Print the JSON Schema of task documents, for editors
    Schema,
}

const COLUMNS: &[Column] = &[
    column("TASK", |task| text(task, "name")),
    column("ACTIVE", |task| text(task, "active")),
    column("VERSION", |task| text(task, "version")),
    column("CHANGED", |task| time(task, "updated_at")),
    column("DESCRIPTION", |task| text(task, "document.description")),
];

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    if let Arguments::Schema = arguments {
        // Known without a server.
        say::line(&format!("{:#}", sallyport_domain::task::schema()));
        return Ok(());
    }
    let client = context.client()?;
    match arguments {
        Arguments::List => {
            let all = client.list("/api/v1/tasks", &[])?;
            context.format.list(&all, COLUMNS, "No tasks yet: `sallyport tasks apply -f FILE`")
        }
        Arguments::Show { task } => {
            let answer = client.get(&path(task))?.body;
            let document = answer.get("document").cloned().unwrap_or(answer);
            context.format.structured(&document)
        }
        Arguments::Apply { file, dry_run } => {
            for document in read_all(file)? {
                apply(&client, &document, *dry_run)?;
            }
            Ok(())
        }
        Arguments::Delete { task } => {
            client.send(&Method::DELETE, &path(task), None, &[])?;
            say::note(&format!("{task} is deleted"));
            Ok(())
        }
        Arguments::Validate { file } => {
            for document in read_all(file)? {
                let answer = client.post("/api/v1/tasks/validate", Some(&document.value))?.body;
                valid(&document, &answer)?;
                say::note(&format!("{} is valid", document.place));
            }
            Ok(())
        }
        Arguments::Schema => Ok(()),
    }
}

fn apply(client: &Client, document: &Document, dry_run: bool) -> Result<()> {
    let name = text(&document.value, "task");
    if name.is_empty() {
        return Err(Error::usage(format!("{}: the document has no `task`, its name", document.place)));
    }
    let now = match client.get(&path(&name)) {
        Ok(now) => Some(now),
        Err(error) if error.exit == Exit::NotFound => None,
        Err(error) => return Err(error),
    };
    if dry_run {
        let answer = client.post("/api/v1/tasks?dry_run=true", Some(&document.value))?.body;
        valid(document, &answer)?;
        return show_change(&name, now.as_ref(), &answer, document);
    }
    let saved = match &now {
        Some(now) => {
            let tag = now.etag.clone().unwrap_or_else(|| "*".into());
            client.send(&Method::PUT, &path(&name), Some(&document.value), &[("if-match", &tag)])
        }
        None => client.post("/api/v1/tasks", Some(&document.value)),
    };
    let saved = saved.map_err(|error| error.detail(format!("in {}", document.place)))?;
    let version = text(&saved.body, "version");
    say::note(&format!("task {name} {}, version {version}", if now.is_some() { "changed" } else { "made" }));
    Ok(())
}

/// The difference between what the server has and what it would have.
fn show_change(name: &str, now: Option<&Answer>, answer: &Value, document: &Document) -> Result<()> {
    // The server fills defaults in: with its form of the new document only real changes show.
    let new = answer.get("document").unwrap_or(&document.value);
    let old = now.and_then(|now| now.body.get("document"));
    let text = document::diff(old, new)?;
    match (old, text.is_empty()) {
        (_, true) => say::note(&format!("task {name}: nothing would change")),
        (None, _) => say::note(&format!("task {name} would be made:")),
        (Some(_), _) => say::note(&format!("task {name} would change:")),
    }
    say::text(&text);
    Ok(())
}

fn valid(document: &Document, answer: &Value) -> Result<()> {
    let problems = output::at(answer, "problems").and_then(Value::as_array).cloned().unwrap_or_default();
    if problems.is_empty() {
        return Ok(());
    }
    let count = problems.len();
    let mut error =
        Error::failed(format!("{} has {count} problem{}", document.place, if count == 1 { "" } else { "s" }));
    error.problems = problems.iter().map(one_problem).collect();
    Err(error)
}

fn path(task: &str) -> String {
    format!("/api/v1/tasks/{}", encode(task))
}
