//! `sallyport variables`.

use serde_json::json;
use ureq::http::Method;

use super::Context;
use crate::client::encode;
use crate::error::Result;
use crate::output::{Column, column, text, time};
use crate::say;

/// What to do with variables.
#[derive(clap::Subcommand)]
pub(crate) enum Arguments {
    /// All variables
    List,
    /// Set a variable
    #[command(after_help = "\
Example:
  sallyport variables set schema sales_2026
Tasks write {{ variables.schema }}. Variables are not secret: keep passwords in a connection's secrets.")]
    Set {
        /// Letters, digits and `_`
        name: String,
        /// Its text
        value: String,
    },
    /// Remove a variable
    Remove {
        /// Its name
        name: String,
    },
}

const COLUMNS: &[Column] = &[
    column("NAME", |variable| text(variable, "name")),
    column("VALUE", |variable| text(variable, "value")),
    column("SET BY", |variable| text(variable, "author")),
    column("CHANGED", |variable| time(variable, "updated_at")),
];

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let client = context.client()?;
    match arguments {
        Arguments::List => {
            let all = client.list("/api/v1/variables", &[])?;
            context.format.list(&all, COLUMNS, "No variables yet: `sallyport variables set NAME VALUE`")
        }
        Arguments::Set { name, value } => {
            client.send(&Method::PUT, &path(name), Some(&json!({"value": value})), &[])?;
            say::note(&format!("variable {name} is set"));
            Ok(())
        }
        Arguments::Remove { name } => {
            client.send(&Method::DELETE, &path(name), None, &[])?;
            say::note(&format!("variable {name} is removed"));
            Ok(())
        }
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/variables/{}", encode(name))
}
