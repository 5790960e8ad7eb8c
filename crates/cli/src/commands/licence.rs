//! `sallyport licence`.

use std::path::PathBuf;

use sallyport_domain::licence::Tier;
use sallyport_server::LicenceError;
use serde_json::Value;

use super::Context;
use crate::error::{Doing, Error, Exit, Result};
use crate::output::{Column, column, text};
use crate::say;

/// What to do with the licence.
#[derive(clap::Subcommand)]
pub(crate) enum Arguments {
    /// The tier, the most agents online in parallel, and the number in use
    Show,
    /// Set the tier; for the operator of the server, on its machine
    #[command(after_help = "\
Example:
  sallyport licence set standard --data-dir /var/lib/sallyport
A server that is running takes the new tier up with the next agent that connects.")]
    Set {
        /// trial (1 agent), standard (3), premium or enterprise (any number)
        tier: Tier,
        /// The server's data folder
        #[arg(long, value_name = "FOLDER")]
        data_dir: PathBuf,
        /// The company's name, where the server has several
        #[arg(long)]
        company: Option<String>,
    },
}

const FIELDS: &[Column] = &[
    column("Tier", |licence| text(licence, "tier")),
    column("Max parallel agents", maximum),
    column("Online now", |licence| text(licence, "agents_online")),
];

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    match arguments {
        Arguments::Show => context.format.one(&context.client()?.get("/api/v1/licence")?.body, FIELDS),
        Arguments::Set { tier, data_dir, company } => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .doing(|| "starting the threads".into())?;
            let set = runtime.block_on(sallyport_server::set_licence(data_dir, company.as_deref(), *tier));
            let set = set.map_err(|error| {
                let exit = match error {
                    LicenceError::NoData(_) | LicenceError::NoCompany => Exit::NotFound,
                    LicenceError::SeveralCompanies => Exit::Usage,
                    LicenceError::Store(_) => Exit::Failed,
                };
                Error { exit, ..anyhow::Error::from(error).into() }
            })?;
            say::note(&format!("{} has the licence {} now", set.name, set.tier));
            Ok(())
        }
    }
}

/// The licence in one line.
pub(super) fn in_words(licence: &Value) -> String {
    format!("{}, {} of {} agents online", text(licence, "tier"), text(licence, "agents_online"), maximum(licence))
}

fn maximum(licence: &Value) -> String {
    match licence.get("agents_max").and_then(Value::as_u64) {
        Some(max) => max.to_string(),
        None => "unlimited".into(),
    }
}
