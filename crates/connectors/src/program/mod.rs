//! The `program` connector: a third-party connector is a program that the site's administrator registered.
//!
//! Invariant: the server names a registered program and gives it settings; it can neither choose the command nor its
//! arguments. Secrets travel over the program's standard input alone. The protocol: `docs/connectors/program.md`.

mod config;
mod listen;
mod message;
#[cfg_attr(unix, path = "platform/unix.rs")]
#[cfg_attr(windows, path = "platform/windows.rs")]
mod platform;
mod process;
mod settings;
mod sink;
mod source;

use sallyport_protocol::{ConnectionOrder, ConnectionTest, Descriptor, Origin, Reach, Stage};
use serde_json::Value;

use crate::settings::{connection, schema};
use crate::{Error, Sink, Site, Source};

/// The catalogue's entry.
pub fn descriptor() -> Descriptor {
    Descriptor {
        kind: "program".to_owned(),
        title: "Program".to_owned(),
        summary: "Runs a connector of your own: a program that the site's administrator registered on the agent."
            .to_owned(),
        origin: Origin::ThirdParty,
        reach: Reach::Programs,
        promise: Some(
            "At least once, with an idempotency key: a program that keeps it beside its rows makes it exactly once."
                .to_owned(),
        ),
        needs_connection: false,
        connection_schema: Some(schema::<settings::Connection>()),
        secrets: Vec::new(),
        read_schema: Some(schema::<settings::Step>()),
        write_schema: Some(schema::<settings::Step>()),
    }
}

pub(crate) fn source(order: Option<&ConnectionOrder>, settings: &Value) -> Result<Box<dyn Source>, Error> {
    Ok(Box::new(source::ProgramSource { call: settings::Call::of(order, settings, "reading with `program`")? }))
}

pub(crate) fn sink(order: Option<&ConnectionOrder>, settings: &Value) -> Result<Box<dyn Sink>, Error> {
    Ok(Box::new(sink::ProgramSink { call: settings::Call::of(order, settings, "writing with `program`")? }))
}

pub(crate) fn test(order: &ConnectionOrder, site: &Site) -> ConnectionTest {
    let mut stages = Vec::new();
    let mut stage = |name: &str, result: Result<String, String>| {
        let ok = result.is_ok();
        stages.push(Stage { stage: name.to_owned(), ok, detail: result.unwrap_or_else(|error| error), millis: 0 });
    };
    match connection::<settings::Connection>(order)
        .and_then(|_| settings::Call::of(Some(order), &Value::Null, "testing"))
    {
        Err(error) => stage("settings", Err(error.to_string())),
        Ok(call) => {
            stage("settings", Ok("the settings are complete".to_owned()));
            match call.registered(site) {
                Err(error) => stage("registered", Err(error.to_string())),
                Ok(program) => {
                    stage("registered", Ok(format!("`{}` is {}", call.program, program.command.display())));
                    stage("command", found(&program.command));
                }
            }
        }
    }
    ConnectionTest { stages }
}

fn found(command: &std::path::Path) -> Result<String, String> {
    if command.components().count() == 1 {
        return Ok("it is looked for on the agent's PATH when a step starts it".to_owned());
    }
    match std::fs::metadata(command) {
        Ok(file) if file.is_file() => Ok(format!("{} bytes", file.len())),
        Ok(_) => Err(format!("`{}` is not a file", command.display())),
        Err(error) => Err(format!("`{}`: {error}; correct it in `programs.json`", command.display())),
    }
}

#[cfg(test)]
mod tests;
