//! `sallyport licence`.

use serde_json::Value;

use super::Context;
use crate::error::Result;
use crate::output::{Column, column, text};

/// What to do with the licence.
#[derive(clap::Subcommand)]
pub(crate) enum Arguments {
    /// The tier, the most agents online in parallel, and the number in use
    Show,
}

const FIELDS: &[Column] = &[
    column("Tier", |licence| text(licence, "tier")),
    column("Max parallel agents", maximum),
    column("Online now", |licence| text(licence, "agents_online")),
];

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    match arguments {
        Arguments::Show => context.format.one(&context.client()?.get("/api/v1/licence")?.body, FIELDS),
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
