//! Which agents get which version, and when.

use serde_json::{Value, json};
use ureq::http::Method;

use crate::client::encode;
use crate::commands::Context;
use crate::error::{Error, Result};
use crate::output::{Column, at, column, text};

/// Show or set; what is not named stays.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sallyport releases rollout --percent 10
  sallyport releases rollout --window 'sat,sun 01:00-05:00 Europe/Berlin' --window '23:00-24:00'
  sallyport releases rollout --minimum 1.3.2
  sallyport releases rollout --agent client-server --pin 1.3.0
The percentage goes by a hash of the agents' ids: the same agents come first each time. A minimum waits for neither
percentage nor window. Percentage and windows hold for wrappers too. To go back to an older version, sign its archive again with a higher sequence.")]
pub(crate) struct Arguments {
    /// Set pin and minimum for this agent alone
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// How many of a hundred agents get the newest release
    #[arg(long, conflicts_with = "agent")]
    percent: Option<u8>,
    /// When agents may be updated; more than once for more windows, `any` for any time
    #[arg(long, value_name = "WINDOW", conflicts_with = "agent")]
    window: Vec<String>,
    /// This version and no other; `none` takes it back
    #[arg(long, value_name = "VERSION")]
    pin: Option<String>,
    /// Replace older versions at once; `none` takes it back
    #[arg(long, value_name = "VERSION")]
    minimum: Option<String>,
    /// This version of the wrapper and no other; `none` takes it back
    #[arg(long, value_name = "VERSION", conflicts_with = "agent")]
    wrapper_pin: Option<String>,
    /// Replace older wrappers at once; `none` takes it back
    #[arg(long, value_name = "VERSION", conflicts_with = "agent")]
    wrapper_minimum: Option<String>,
    /// How long the server must have seen a new version work
    #[arg(long, value_name = "SECONDS", conflicts_with = "agent")]
    confirm_seconds: Option<u32>,
    /// How long an agent's runs are waited for before it is restarted
    #[arg(long, value_name = "SECONDS", conflicts_with = "agent")]
    drain_seconds: Option<u32>,
}

const FIELDS: &[Column] = &[
    column("Percent", |rollout| text(rollout, "percent")),
    column("Windows", |rollout| {
        let windows = at(rollout, "windows").and_then(Value::as_array);
        windows.into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
    }),
    column("Pinned to", |rollout| text(rollout, "pin")),
    column("Minimum version", |rollout| text(rollout, "minimum")),
    column("Wrapper pinned to", |rollout| text(rollout, "wrapper_pin")),
    column("Minimum wrapper", |rollout| text(rollout, "wrapper_minimum")),
    column("Confirm seconds", |rollout| text(rollout, "confirm_seconds")),
    column("Drain seconds", |rollout| text(rollout, "drain_seconds")),
];

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let client = context.client()?;
    let path = match &arguments.agent {
        Some(agent) => format!("/api/v1/agents/{}/rollout", encode(agent)),
        None => "/api/v1/rollout".to_owned(),
    };
    let before = client.get(&path)?.body;
    let after = changed(before.clone(), arguments)?;
    let shown = if after == before { before } else { client.send(&Method::PUT, &path, Some(&after), &[])?.body };
    context.format.one(&shown, FIELDS)
}

fn changed(mut rollout: Value, arguments: &Arguments) -> Result<Value> {
    let fields = rollout.as_object_mut().ok_or_else(|| Error::failed("the server's answer is no rollout"))?;
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(key.to_owned(), value);
        }
    };
    let version =
        |given: &Option<String>| given.as_ref().map(|given| if given == "none" { Value::Null } else { json!(given) });
    set("percent", arguments.percent.map(|percent| json!(percent)));
    set("confirm_seconds", arguments.confirm_seconds.map(|seconds| json!(seconds)));
    set("drain_seconds", arguments.drain_seconds.map(|seconds| json!(seconds)));
    set("pin", version(&arguments.pin));
    set("minimum", version(&arguments.minimum));
    set("wrapper_pin", version(&arguments.wrapper_pin));
    set("wrapper_minimum", version(&arguments.wrapper_minimum));
    let windows: Vec<&String> = arguments.window.iter().filter(|window| *window != "any").collect();
    set("windows", (!arguments.window.is_empty()).then(|| json!(windows)));
    Ok(rollout)
}
