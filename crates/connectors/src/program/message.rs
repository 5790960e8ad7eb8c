//! The protocol's words. Version 1 is described in `docs/connectors/program.md`.

use std::collections::BTreeMap;

use sallyport_protocol::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{CommitKey, Context, Provenance};

/// The version this build speaks.
pub(super) const PROTOCOL: u32 = 1;

/// The first line on the program's standard input.
#[derive(Debug, Serialize)]
pub(super) struct Hello<'a> {
    pub(super) r#type: &'static str,
    pub(super) protocol: u32,
    pub(super) role: Role,
    pub(super) settings: &'a Map<String, Value>,
    pub(super) secrets: &'a BTreeMap<String, Secret>,
    pub(super) commit: Commit<'a>,
    /// What a sink's rows look like; empty for a source.
    pub(super) schema: Vec<Column<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    Source,
    Sink,
}

/// Names the step's work, so that a program can recognise what an earlier attempt has done.
#[derive(Debug, Serialize)]
pub(super) struct Commit<'a> {
    /// The same for every attempt of the step in the run, and for nothing else.
    key: &'a str,
    attempt: u32,
    fence: u64,
    task: &'a str,
    run: &'a str,
    step: &'a str,
}

impl<'a> Commit<'a> {
    pub(super) fn of(cx: &'a Context) -> Self {
        let CommitKey { key, attempt, fence } = &cx.commit;
        let Provenance { task, run, step } = cx.provenance.as_ref();
        Self { key, attempt: *attempt, fence: *fence, task, run, step }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Column<'a> {
    pub(super) name: &'a str,
    pub(super) r#type: String,
    /// `numeric`, `json`, `uuid`, ... where Arrow's type does not say it.
    pub(super) special: Option<&'a str>,
}

/// The last line on a sink's standard input, behind the Arrow stream: without it the rows are incomplete.
#[derive(Debug, Serialize)]
pub(super) struct End {
    pub(super) r#type: &'static str,
    pub(super) rows: u64,
}

/// A line on the program's standard error.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Message {
    /// It has read the hello and speaks this version.
    Ready { protocol: u32 },
    /// A line for the step's log; the level in any case, `info` if it is none.
    Log {
        #[serde(default)]
        level: Option<String>,
        message: String,
    },
    /// What was done so far, in all.
    Progress {
        #[serde(default)]
        rows: u64,
        #[serde(default)]
        bytes: u64,
    },
    /// A source has given all its rows.
    Result { rows: u64 },
    /// A sink has made all rows visible.
    Committed {
        #[serde(default)]
        rows: u64,
        #[serde(default)]
        already_committed: bool,
    },
    /// It has failed.
    Error {
        #[serde(default)]
        code: Option<String>,
        message: String,
        #[serde(default)]
        advice: Option<String>,
        #[serde(default)]
        transient: bool,
    },
}
