//! `sallyport releases`.

mod keys;
mod publish;
mod rollout;

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Context;
use crate::client::{Client, encode};
use crate::error::{Error, Exit, Result};
use crate::output::{self, Column, at, column, text, time};
use crate::say;

/// What to do with releases.
#[derive(clap::Subcommand)]
#[command(after_help = "\
Example: a key, a signed release, and every agent gets it
  sallyport releases keygen publisher.key
  sallyport releases keys --set publisher.key.pub
  zip agent.zip sallyport-agent
  sallyport releases sign agent.zip --version 1.4.0 --platform linux-x86_64 --key publisher.key
  sallyport releases publish agent.zip
Agents that are downloaded after `keys --set` carry the public keys; older installations get them as trust.json. What is
not signed by them is not installed, whoever offers it.")]
pub(crate) enum Arguments {
    /// Make a key that signs releases; the private half goes to a file that only you can read, and is never printed
    Keygen {
        /// The file of the private key; the public one goes beside it, with `.pub`
        file: PathBuf,
    },
    /// Show or set the public keys that new downloads of agents carry
    Keys(keys::Arguments),
    /// Sign an archive, or add a signature to a manifest
    Sign(publish::Sign),
    /// Upload a signed archive; from then on it is offered to agents
    Publish {
        /// The zip with the program of agent or wrapper
        archive: PathBuf,
        /// Its signed manifest; by default beside the archive, with `.json`
        #[arg(long, value_name = "FILE")]
        manifest: Option<PathBuf>,
    },
    /// All releases, the newest first
    List,
    /// Offer a release to nobody any more; agents that run it go on with it
    #[command(disable_version_flag = true)]
    Withdraw {
        /// Its version
        #[arg(value_name = "VERSION")]
        release: String,
        /// Of what
        #[arg(long, value_enum, default_value_t = publish::Product::Agent)]
        product: publish::Product,
        /// For this platform only
        #[arg(long, value_name = "PLATFORM")]
        platform: Option<String>,
    },
    /// Show or set which agents get the newest release, and when
    Rollout(rollout::Arguments),
    /// Have an agent and its wrapper try a version again that has failed on their machine
    Retry {
        /// Name or id
        agent: String,
    },
}

const COLUMNS: &[Column] = &[
    column("PRODUCT", |release| text(release, "product")),
    column("VERSION", |release| text(release, "version")),
    column("PLATFORM", |release| text(release, "platform")),
    column("STATE", |release| output::state(release, "state")),
    column("SEQUENCE", |release| text(release, "sequence")),
    column("SIZE", |release| output::bytes(output::number(release, "size"))),
    column("PUBLISHED", |release| time(release, "published_at")),
    column("BY", |release| text(release, "published_by")),
    column("SIGNED BY", |release| {
        let keys = at(release, "signed_by").and_then(Value::as_array);
        keys.into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    }),
];

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    match arguments {
        Arguments::Keygen { file } => keys::generate(file),
        Arguments::Keys(arguments) => keys::run(arguments, context),
        Arguments::Sign(arguments) => publish::sign(arguments),
        Arguments::Publish { archive, manifest } => publish::publish(archive, manifest.as_deref(), context),
        Arguments::List => {
            let nothing = "No releases yet: `sallyport releases --help` shows how to make one";
            context.format.list(&all(&context.client()?)?, COLUMNS, nothing)
        }
        Arguments::Withdraw { release, product, platform } => {
            withdraw(release, product.name(), platform.as_deref(), context)
        }
        Arguments::Rollout(arguments) => rollout::run(arguments, context),
        Arguments::Retry { agent } => {
            context.client()?.post(&format!("/api/v1/agents/{}/retry-update", encode(agent)), Some(&json!({})))?;
            say::note(&format!("{agent} tries it again; `sallyport agents show {agent}` says how it goes"));
            Ok(())
        }
    }
}

fn all(client: &Client) -> Result<Vec<Value>> {
    let answer = client.get("/api/v1/releases")?.body;
    Ok(at(&answer, "items").and_then(Value::as_array).cloned().unwrap_or_default())
}

fn withdraw(version: &str, product: &str, platform: Option<&str>, context: &Context) -> Result<()> {
    let client = context.client()?;
    let releases = all(&client)?;
    let fits = |release: &&Value| {
        text(release, "version") == version
            && text(release, "product") == product
            && platform.is_none_or(|platform| text(release, "platform") == platform)
    };
    let found: Vec<&Value> = releases.iter().filter(fits).collect();
    if found.is_empty() {
        let missing = format!("there is no release {version} of {product}: `sallyport releases list`");
        return Err(Error::new(Exit::NotFound, missing));
    }
    for release in found {
        client.post(&format!("/api/v1/releases/{}/withdraw", text(release, "sha256")), Some(&json!({})))?;
        say::note(&format!("{product} {version} for {} is withdrawn", text(release, "platform")));
    }
    Ok(())
}
