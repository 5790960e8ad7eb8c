//! `sallyport tasks`.

mod next;
mod preview;

use std::path::PathBuf;

use serde_json::Value;
use ureq::http::Method;

use super::Context;
use super::connections::read_all;
use super::runs::{object, pair};
use crate::client::{Client, encode, one_problem};
use crate::document::{self, Document};
use crate::error::{Error, Exit, Result};
use crate::output::{self, Column, Format, column, text, time};
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
    /// When the triggers of a task start it next, in their time zones
    Next {
        /// Name or id
        task: String,
        /// How many times
        #[arg(long, short = 'n', default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
        number: u32,
    },
    /// Check documents against the server; every wrong field is named at once
    Validate {
        /// YAML or JSON
        #[arg(long, short, required = true, value_name = "FILE")]
        file: Vec<PathBuf>,
    },
    /// Show the first 100 rows that a step would read; nothing is written
    #[command(after_help = "\
Example:
  sallyport tasks preview -f orders.yaml orders")]
    Preview {
        /// YAML or JSON; it need not be saved
        #[arg(long, short, value_name = "FILE")]
        file: PathBuf,
        /// A step that reads
        step: String,
        /// A value for one of the task's parameters; may be repeated
        #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
        param: Vec<(String, String)>,
    },
    /// Print the JSON Schema of task documents, for editors
    Schema,
}

const COLUMNS: &[Column] = &[
    column("TASK", |task| text(task, "name")),
    column("ACTIVE", |task| text(task, "active")),
    column("VERSION", |task| text(task, "version")),
    column("CHANGED", |task| time(task, "updated_at")),
    column("STEPS", |task| text(task, "steps")),
    column("DESCRIPTION", |task| text(task, "description")),
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
            let shown = client.get(&path(task))?.body;
            if context.format == Format::Json {
                return context.format.structured(&shown);
            }
            // As it was written, with its comments.
            say::text(&text(&shown, "document"));
            Ok(())
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
        Arguments::Next { task, number } => next::run(&client, task, *number, context.format),
        Arguments::Validate { file } => {
            for document in read_all(file)? {
                let answer = client.send_document(&Method::POST, "/api/v1/tasks/validate", &document.text, &[])?.body;
                valid(&document, &answer)?;
                say::note(&format!("{} is valid", document.place));
            }
            Ok(())
        }
        Arguments::Preview { file, step, param } => match read_all(std::slice::from_ref(file))?.as_slice() {
            [document] => preview::run(&client, document, step, object(param), context.format),
            _ => Err(Error::usage(format!("{}: expected one document", file.display()))),
        },
        Arguments::Schema => Ok(()),
    }
}

fn apply(client: &Client, document: &Document, dry_run: bool) -> Result<()> {
    let name = text(&document.value, "task");
    if name.is_empty() {
        return Err(Error::usage(format!("{}: the document has no `task`, its name", document.place)));
    }
    if dry_run {
        return rehearse(client, &name, document);
    }
    let saved = match client.get(&path(&name)) {
        Ok(now) => {
            let tag = now.etag.unwrap_or_else(|| "*".into());
            client.send_document(&Method::PUT, &path(&name), &document.text, &[("if-match", &tag)])
        }
        Err(error) if error.exit == Exit::NotFound => {
            client.send_document(&Method::POST, "/api/v1/tasks", &document.text, &[])
        }
        Err(error) => Err(error),
    };
    let saved = saved.map_err(|error| error.detail(format!("in {}", document.place)))?.body;
    say::note(&format!("task {name} is saved, version {}", text(&saved, "summary.version")));
    Ok(())
}

/// What would be saved, and how it differs from what the server has.
fn rehearse(client: &Client, name: &str, document: &Document) -> Result<()> {
    let answer = client.send_document(&Method::POST, "/api/v1/tasks?dry_run=true", &document.text, &[])?.body;
    valid(document, &answer)?;
    match text(&answer, "action").as_str() {
        "none" => say::note(&format!("task {name}: nothing would change")),
        "create" => say::note(&format!("task {name} would be made:")),
        _ => say::note(&format!("task {name} would change:")),
    }
    say::text(&document::paint_diff(&text(&answer, "diff")));
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
