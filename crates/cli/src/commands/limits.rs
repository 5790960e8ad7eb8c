//! `sallyport limits`.

use serde_json::{Value, json};
use ureq::http::Method;

use super::Context;
use crate::client::encode;
use crate::error::Result;
use crate::output::{Column, at, column, text};
use crate::say;

/// What to do with limits.
#[derive(clap::Subcommand)]
pub(crate) enum Arguments {
    /// All limits
    List,
    /// Limit how many runs an agent, a connection or the environment serves at one time
    #[command(after_help = "\
Examples:
  sallyport limits set connection client-db 2
  sallyport limits set agent client-server 4
  sallyport limits set environment production 20
More runs wait, the one of the highest priority and then the oldest first; `runs show` says what for. A task's own limit
is `limit` in its document.")]
    Set {
        /// What to limit
        kind: Kind,
        /// Its name
        name: String,
        /// The most runs at one time
        limit: u32,
    },
    /// Take a limit away
    Remove {
        /// What is limited
        kind: Kind,
        /// Its name
        name: String,
    },
}

/// What can be limited.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Runs that it works on
    Agent,
    /// Runs that use it
    Connection,
    /// All runs of it
    Environment,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Connection => "connection",
            Self::Environment => "environment",
        }
    }
}

const COLUMNS: &[Column] = &[
    column("KIND", |limit| text(limit, "kind")),
    column("NAME", |limit| text(limit, "name")),
    column("RUNS AT ONE TIME", |limit| text(limit, "limit")),
];

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let client = context.client()?;
    match arguments {
        Arguments::List => {
            let answer = client.get("/api/v1/limits")?.body;
            let all = at(&answer, "items").and_then(Value::as_array).cloned().unwrap_or_default();
            context.format.list(&all, COLUMNS, "No limits yet: `sallyport limits set KIND NAME LIMIT`")
        }
        Arguments::Set { kind, name, limit } => {
            client.send(&Method::PUT, &path(*kind, name), Some(&json!({"limit": limit})), &[])?;
            say::note(&format!("{} {name} serves at most {limit} runs at one time", kind.word()));
            Ok(())
        }
        Arguments::Remove { kind, name } => {
            client.send(&Method::DELETE, &path(*kind, name), None, &[])?;
            say::note(&format!("{} {name} has no limit", kind.word()));
            Ok(())
        }
    }
}

fn path(kind: Kind, name: &str) -> String {
    format!("/api/v1/limits/{}/{}", kind.word(), encode(name))
}
