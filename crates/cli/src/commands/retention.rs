//! `sallyport retention`.

use serde_json::{Value, json};
use ureq::http::Method;

use super::Context;
use crate::error::Result;
use crate::output::{Column, column};

const ADDRESS: &str = "/api/v1/retention";

/// What to do about old runs and logs.
#[derive(clap::Subcommand)]
pub(crate) enum Arguments {
    /// How long they are kept
    Show,
    /// Keep them for longer or shorter; what is older is removed within an hour and cannot be had back
    #[command(after_help = "\
Examples:
  sallyport retention set --runs 365 --logs 14
  sallyport retention set --runs forever
The last run of each task is always kept.")]
    Set {
        /// Days for which a run is kept after its end, or `forever`
        #[arg(long, value_name = "DAYS", value_parser = days, required_unless_present = "logs")]
        runs: Option<Days>,
        /// Days for which log lines are kept, or `forever`
        #[arg(long, value_name = "DAYS", value_parser = days)]
        logs: Option<Days>,
    },
}

/// A number of days; `None` is for ever.
#[derive(Clone, Copy)]
pub(crate) struct Days(Option<u32>);

fn days(text: &str) -> std::result::Result<Days, String> {
    match text {
        "forever" => Ok(Days(None)),
        number => number.parse().map(|days| Days(Some(days))).map_err(|_| "expected days, or `forever`".to_owned()),
    }
}

const FIELDS: &[Column] = &[
    column("Runs, from their end", |kept| words(&kept["runs_days"])),
    column("Log lines", |kept| words(&kept["logs_days"])),
];

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let client = context.client()?;
    let kept = client.get(ADDRESS)?.body;
    let kept = match arguments {
        Arguments::Show => kept,
        Arguments::Set { runs, logs } => {
            let wanted = |days: &Option<Days>, key: &str| days.map_or_else(|| kept[key].clone(), |days| json!(days.0));
            let wanted = json!({"runs_days": wanted(runs, "runs_days"), "logs_days": wanted(logs, "logs_days")});
            client.send(&Method::PUT, ADDRESS, Some(&wanted), &[])?.body
        }
    };
    context.format.one(&kept, FIELDS)
}

fn words(days: &Value) -> String {
    match days.as_u64() {
        None => "for ever".to_owned(),
        Some(1) => "1 day".to_owned(),
        Some(days) => format!("{days} days"),
    }
}
