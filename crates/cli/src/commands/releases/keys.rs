//! Keys: made, shown, set.

use std::io::Write;
use std::path::{Path, PathBuf};

use sallyport_protocol::Secret;
use sallyport_release::{PrivateKey, PublicKey, Trust};
use serde_json::json;
use ureq::http::Method;

use crate::client::private_file;
use crate::commands::Context;
use crate::error::{Doing, Error, Exit, Result};
use crate::output::{Column, at, column, text};
use crate::say;

/// Show or set public keys.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Files of public keys that are to count, in place of those that are set
    #[arg(long, value_name = "FILE", num_args = 1..)]
    set: Vec<PathBuf>,
    /// How many of them must have signed
    #[arg(long, default_value_t = 1, requires = "set")]
    threshold: usize,
    /// Write the keys to a trust.json for installations that exist, instead of setting them on the server
    #[arg(long, value_name = "FILE", requires = "set")]
    write: Option<PathBuf>,
}

const FIELDS: &[Column] = &[
    column("Signatures needed", |keys| text(keys, "threshold")),
    column("Keys", |keys| {
        let keys = at(keys, "keys").and_then(serde_json::Value::as_array);
        keys.into_iter().flatten().filter_map(serde_json::Value::as_str).collect::<Vec<_>>().join("\n")
    }),
];

/// Makes a key. An existing file is left alone: it may be the only copy.
pub(super) fn generate(file: &Path) -> Result<()> {
    let public_file = beside(file, ".pub");
    for path in [file, &public_file] {
        if path.exists() {
            return Err(Error::new(Exit::Conflict, format!("{} exists; choose another name", path.display())));
        }
    }
    let (key, secret) = PrivateKey::generate().map_err(|error| Error::failed(error.to_string()))?;
    let secret = Secret::new(secret);
    let mut opened = private_file(file).doing(|| format!("writing {}", file.display()))?;
    opened
        .write_all(secret.expose().as_bytes())
        .and_then(|()| opened.sync_all())
        .doing(|| format!("writing {}", file.display()))?;
    let public = key.public();
    std::fs::write(&public_file, format!("{public}\n")).doing(|| format!("writing {}", public_file.display()))?;
    say::note(&format!("private key in {}: keep it to yourself, away from the server", file.display()));
    say::note(&format!("public key in {}", public_file.display()));
    say::line(&format!("{} {public}", public.id()));
    Ok(())
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    if arguments.set.is_empty() {
        return context.format.one(&context.client()?.get("/api/v1/release-keys")?.body, FIELDS);
    }
    let keys = arguments.set.iter().map(|file| public_key(file)).collect::<Result<Vec<PublicKey>>>()?;
    let trust = Trust::new(arguments.threshold, keys).map_err(|error| Error::usage(error.to_string()))?;
    if let Some(file) = &arguments.write {
        std::fs::write(file, trust.to_text()).doing(|| format!("writing {}", file.display()))?;
        say::note(&format!("wrote {}: put it beside the wrapper, as trust.json", file.display()));
        return Ok(());
    }
    let keys: Vec<String> = trust.keys.iter().map(ToString::to_string).collect();
    let body = json!({"threshold": trust.threshold, "keys": keys});
    context.client()?.send(&Method::PUT, "/api/v1/release-keys", Some(&body), &[])?;
    say::note(&format!("agents that are downloaded from now on need {} of {} signatures", trust.threshold, keys.len()));
    Ok(())
}

fn public_key(file: &Path) -> Result<PublicKey> {
    let text = std::fs::read_to_string(file).doing(|| format!("reading {}", file.display()))?;
    text.parse().map_err(|error| Error::usage(format!("{}: {error}", file.display())))
}

/// Reads a private key; what its file holds is never shown.
pub(super) fn private_key(file: &Path) -> Result<PrivateKey> {
    let text = Secret::new(std::fs::read_to_string(file).doing(|| format!("reading {}", file.display()))?);
    PrivateKey::from_text(text.expose()).map_err(|error| Error::usage(format!("{}: {error}", file.display())))
}

/// The file beside another with something behind its name.
pub(super) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    file.with_file_name(name)
}
