//! `sallyport connections`.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use ureq::http::Method;

use super::Context;
use super::login::prompt_password;
use crate::client::{Client, encode};
use crate::document::{self, Document};
use crate::error::{Doing, Error, Exit, Result};
use crate::output::{self, Column, Format, column, text, time};
use crate::say;

/// What to do with connections.
#[derive(clap::Subcommand)]
pub(crate) enum Arguments {
    /// All connections
    List,
    /// One connection; secrets show their names only
    Show {
        /// Name or id
        connection: String,
    },
    /// Make or change connections as files say
    #[command(after_help = "\
Example, client-db.yaml:
  name: client-db
  kind: postgres
  agent: client-server
  settings: { host: 127.0.0.1, database: sales, user: reader }
  secrets: { password: { file: ./password.txt } }

  sallyport connections apply -f client-db.yaml
  sallyport connections apply -f client-db.yaml --ask password
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
    /// Remove a connection; refused while a task uses it
    Delete {
        /// Name or id
        connection: String,
    },
    /// Try a connection from its agent: name, port, TLS, login
    Test {
        /// Name or id
        connection: String,
    },
}

const COLUMNS: &[Column] = &[
    column("NAME", |item| text(item, "name")),
    column("KIND", |item| text(item, "kind")),
    column("AGENT", agents),
    column("CHANGED", |item| time(item, "updated_at")),
];

/// The names of those that reach a connection.
pub(super) fn agents(connection: &Value) -> String {
    let names = connection.get("agents").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let names: Vec<&str> = names.collect();
    if names.is_empty() { text(connection, "agent") } else { names.join(", ") }
}

const CONNECTIONS: Applied = Applied { word: "connection", address: "/api/v1/connections" };

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let client = context.client()?;
    match arguments {
        Arguments::List => {
            let all = client.list(CONNECTIONS.address, &[])?;
            context.format.list(&all, COLUMNS, "No connections yet: `sallyport connections apply -f FILE`")
        }
        Arguments::Show { connection } => context.format.structured(&client.get(&CONNECTIONS.path(connection))?.body),
        Arguments::Apply { file, ask, secret_file } => CONNECTIONS.apply(&client, file, ask, secret_file),
        Arguments::Delete { connection } => {
            client.send(&Method::DELETE, &CONNECTIONS.path(connection), None, &[])?;
            say::note(&format!("{connection} is deleted"));
            Ok(())
        }
        Arguments::Test { connection } => {
            let test = client.post(&format!("{}/test", CONNECTIONS.path(connection)), None)?.body;
            show_test(connection, &test, context.format)
        }
    }
}

/// The documents of all files.
pub(super) fn read_all(files: &[PathBuf]) -> Result<Vec<Document>> {
    let mut all = Vec::new();
    for file in files {
        all.extend(document::read(file)?);
    }
    Ok(all)
}

/// Puts the content of named files in the place of `{file: PATH}` below `secrets`.
pub(super) fn open_secrets(document: &mut Document) -> Result<()> {
    let Some(secrets) = document.value.get_mut("secrets").and_then(Value::as_object_mut) else { return Ok(()) };
    for (name, secret) in secrets {
        if let Some(file) = secret.get("file").and_then(Value::as_str) {
            let text = std::fs::read_to_string(file).doing(|| format!("reading secret `{name}` from {file}"))?;
            *secret = json!(text.trim_end_matches(['\r', '\n']));
        } else if !secret.is_string() {
            let message = format!("{}: secret `{name}` must be a text or {{ file: PATH }}", document.place);
            return Err(Error::usage(message));
        }
    }
    Ok(())
}

/// What is applied from documents with secrets.
#[derive(Clone, Copy)]
pub(super) struct Applied {
    /// Its word, for people.
    pub(super) word: &'static str,
    /// The address of all of them.
    pub(super) address: &'static str,
}

impl Applied {
    /// The address of one.
    pub(super) fn path(self, name: &str) -> String {
        format!("{}/{}", self.address, encode(name))
    }

    /// Makes or changes each of the documents' things; secrets are asked for or taken from files.
    pub(super) fn apply(
        self,
        client: &Client,
        files: &[PathBuf],
        ask: &[String],
        secrets: &[(String, PathBuf)],
    ) -> Result<()> {
        for document in read_all(files)? {
            self.apply_one(client, document, ask, secrets)?;
        }
        Ok(())
    }

    fn apply_one(
        self,
        client: &Client,
        mut document: Document,
        ask: &[String],
        secrets: &[(String, PathBuf)],
    ) -> Result<()> {
        let name = text(&document.value, "name");
        if name.is_empty() {
            return Err(Error::usage(format!("{}: the document has no `name`", document.place)));
        }
        open_secrets(&mut document)?;
        add_secrets(&mut document, &name, ask, secrets)?;
        let path = self.path(&name);
        let saved = match client.get(&path) {
            Ok(now) => {
                let tag = now.etag.unwrap_or_else(|| "*".into());
                client.send(&Method::PUT, &path, Some(&document.value), &[("if-match", &tag)]).map(|_| "changed")
            }
            Err(error) if error.exit == Exit::NotFound => {
                client.post(self.address, Some(&document.value)).map(|_| "made")
            }
            Err(error) => Err(error),
        };
        let what = saved.map_err(|error| error.detail(format!("in {}", document.place)))?;
        say::note(&format!("{} {name} {what}", self.word));
        Ok(())
    }
}

/// Adds secrets that are asked for or lie in files to a document named `name`.
fn add_secrets(document: &mut Document, name: &str, ask: &[String], files: &[(String, PathBuf)]) -> Result<()> {
    let more = more_secrets(name, ask, files)?;
    if !more.is_empty() {
        let body = document.value.as_object_mut().ok_or_else(|| Error::usage("the document must be a mapping"))?;
        let secrets = body.entry("secrets").or_insert_with(|| json!({}));
        if let Some(secrets) = secrets.as_object_mut() {
            secrets.extend(more);
        }
    }
    Ok(())
}

fn more_secrets(owner: &str, ask: &[String], files: &[(String, PathBuf)]) -> Result<Map<String, Value>> {
    let mut secrets = Map::new();
    for (name, file) in files {
        let text =
            std::fs::read_to_string(file).doing(|| format!("reading secret `{name}` from {}", file.display()))?;
        secrets.insert(name.clone(), json!(text.trim_end_matches(['\r', '\n'])));
    }
    for name in ask {
        let secret = prompt_password(&format!("{name} of {owner}: "))?;
        secrets.insert(name.clone(), json!(secret.expose()));
    }
    Ok(secrets)
}

/// Shows a test stage by stage; a failed one is an error.
pub(super) fn show_test(tested: &str, test: &Value, format: Format) -> Result<()> {
    let stages: Vec<Value> = test.get("stages").and_then(Value::as_array).cloned().unwrap_or_default();
    if format == Format::Table {
        let rows = stages
            .iter()
            .map(|stage| {
                let ok = stage.get("ok").and_then(Value::as_bool) == Some(true);
                let word = if ok { "ok" } else { "failed" };
                vec![
                    text(stage, "stage"),
                    say::paint(say::tone_of(word), word),
                    format!("{} ms", text(stage, "millis")),
                    text(stage, "detail"),
                ]
            })
            .collect();
        say::text(&output::table(Some(vec!["STAGE", "RESULT", "TOOK", "SEEN"]), rows));
    } else {
        format.structured(test)?;
    }
    let failed = stages.iter().find(|stage| stage.get("ok").and_then(Value::as_bool) != Some(true));
    match failed {
        None if !stages.is_empty() => Ok(()),
        None => Err(Error::failed(format!("the test of {tested} had no stages"))),
        Some(stage) => Err(Error::failed(format!("the test of {tested} failed at `{}`", text(stage, "stage")))),
    }
}

pub(super) fn secret_file(text: &str) -> std::result::Result<(String, PathBuf), String> {
    text.split_once('=')
        .map(|(name, file)| (name.to_owned(), PathBuf::from(file)))
        .ok_or_else(|| "write it as NAME=FILE".to_owned())
}
