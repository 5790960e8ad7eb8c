//! `sallyport notifications`.

use std::path::PathBuf;

use serde_json::{Value, json};
use ureq::http::Method;

use super::Context;
use super::connections::{Applied, secret_file, show_test};
use crate::error::Result;
use crate::output::{Column, at, column, text, time};
use crate::say;

/// What to do with notification channels.
#[derive(clap::Subcommand)]
pub(crate) enum Arguments {
    /// All channels: what they last did, and why not
    List,
    /// One channel; secrets show their names only
    Show {
        /// Name or id
        channel: String,
    },
    /// Make or change channels as files say
    #[command(after_help = "\
Example, ops.yaml:
  name: ops
  kind: smtp
  settings: { host: mail.example.org, user: sallyport, from: sallyport@example.org, to: [ops@example.org] }
  secrets: { password: { file: ./password.txt } }
  rules:
    - { events: [failure, recovery] }
    - { tasks: [orders], events: [late] }

  sallyport notifications apply -f ops.yaml
  sallyport notifications apply -f ops.yaml --ask password
A secret that the document does not name stays as it is.")]
    Apply {
        /// YAML or JSON; several documents in a file are fine; `-` is standard input
        #[arg(long, short, required = true, value_name = "FILE")]
        file: Vec<PathBuf>,
        /// Ask for this secret without showing what is typed
        #[arg(long, value_name = "SECRET")]
        ask: Vec<String>,
        /// Take a secret from a file: NAME=FILE
        #[arg(long, value_name = "NAME=FILE", value_parser = secret_file)]
        secret_file: Vec<(String, PathBuf)>,
    },
    /// Remove a channel with what is on its way through it
    Delete {
        /// Name or id
        channel: String,
    },
    /// Send a test notice through a channel
    Test {
        /// Name or id
        channel: String,
    },
    /// What was told or is to be told, the newest first
    Deliveries {
        /// Through this channel only: name or id
        #[arg(long)]
        channel: Option<String>,
        /// Standing so only: waiting, sent, failed, held or summed
        #[arg(long)]
        state: Option<String>,
    },
}

const COLUMNS: &[Column] = &[
    column("NAME", |channel| text(channel, "name")),
    column("KIND", |channel| text(channel, "kind")),
    column("STATE", stands),
    column("LAST SENT", |channel| time(channel, "last_sent_at")),
    column("PROBLEM", |channel| text(channel, "problem")),
];

const DELIVERIES: &[Column] = &[
    column("AT", |notice| time(notice, "created_at")),
    column("CHANNEL", |notice| text(notice, "channel")),
    column("EVENT", |notice| text(notice, "event")),
    column("TASK", |notice| text(notice, "task")),
    column("RUN", |notice| text(notice, "run_id")),
    column("STATE", |notice| text(notice, "state")),
    column("TRIES", |notice| text(notice, "attempts")),
    column("NEXT", |notice| time(notice, "next_at")),
    column("PROBLEM", |notice| text(notice, "problem")),
];

const CHANNELS: Applied = Applied { word: "channel", address: "/api/v1/notifications/channels" };

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let client = context.client()?;
    match arguments {
        Arguments::List => {
            let all = client.list(CHANNELS.address, &[])?;
            context.format.list(&all, COLUMNS, "No channels yet: `sallyport notifications apply -f FILE`")
        }
        Arguments::Show { channel } => context.format.structured(&client.get(&CHANNELS.path(channel))?.body),
        Arguments::Apply { file, ask, secret_file } => CHANNELS.apply(&client, file, ask, secret_file),
        Arguments::Delete { channel } => {
            client.send(&Method::DELETE, &CHANNELS.path(channel), None, &[])?;
            say::note(&format!("{channel} is deleted"));
            Ok(())
        }
        Arguments::Test { channel } => {
            let test = client.post(&format!("{}/test", CHANNELS.path(channel)), None)?.body;
            show_test(channel, &test, context.format)
        }
        Arguments::Deliveries { channel, state } => {
            let given = [("channel", channel), ("state", state)];
            let query: Vec<(&str, &str)> =
                given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
            let all = client.list("/api/v1/notifications/deliveries", &query)?;
            context.format.list(&all, DELIVERIES, "Nothing was told yet")
        }
    }
}

fn stands(channel: &Value) -> String {
    let active = at(channel, "active").cloned().unwrap_or(json!(true));
    match (active == json!(true), text(channel, "problem").is_empty()) {
        (false, _) => "inactive".to_owned(),
        (true, true) => "active".to_owned(),
        (true, false) => "failing".to_owned(),
    }
}
