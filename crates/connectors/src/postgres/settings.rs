//! What people write in connections and steps, and its checks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use sallyport_protocol::FailureKind;

use crate::Error;
use crate::incremental::{CommitEvery, Cursor};

/// A connection to a PostgreSQL database.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "PostgreSQL connection")]
pub(crate) struct Connection {
    /// Host name or IP address, as the agent sees it.
    #[schemars(title = "Host", length(min = 1))]
    pub host: String,
    /// TCP port.
    #[schemars(title = "Port", range(min = 1))]
    #[serde(default = "default_port")]
    pub port: u16,
    /// Name of the database.
    #[schemars(title = "Database", length(min = 1))]
    pub database: String,
    /// Name of the role that logs in.
    #[schemars(title = "User", length(min = 1))]
    pub user: String,
    /// Whether the connection is encrypted and how far the server's certificate is checked.
    #[schemars(title = "TLS")]
    #[serde(default)]
    pub tls: Tls,
    /// Certificate authority in PEM form that the server's certificate must come from. Left out: the system's roots.
    #[schemars(title = "Certificate authority")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

/// How a connection uses TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tls {
    /// Encrypt if the server can; the certificate is checked only against a given `ca`.
    #[default]
    Prefer,
    /// Encrypt or fail; the certificate is checked only against a given `ca`.
    Require,
    /// Encrypt, and check the certificate and the host name in it.
    VerifyFull,
    /// Never encrypt.
    Disable,
}

/// Reads a table or the rows of a query.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Read from PostgreSQL")]
pub(crate) struct Read {
    /// The table or view, `name` or `schema.name`, spelt as in the catalogue. Either this or `query`.
    #[schemars(title = "Table")]
    #[serde(default)]
    pub table: Option<String>,
    /// One SELECT (or VALUES, TABLE, WITH) statement. Either this or `table`.
    #[schemars(title = "Query", extend("contentMediaType" = "application/sql"))]
    #[serde(default)]
    pub query: Option<String>,
    /// The table's columns to read, in this order. Left out: all.
    #[schemars(title = "Columns")]
    #[serde(default)]
    pub columns: Option<Vec<String>>,
    /// A condition in SQL that rows of the table must meet.
    #[schemars(title = "Where", extend("contentMediaType" = "application/sql"))]
    #[serde(default, rename = "where")]
    pub condition: Option<String>,
    /// How many connections read the table at the same time, all from one snapshot; the order of rows is then open.
    #[schemars(title = "Parallel", range(min = 1, max = 16))]
    #[serde(default = "default_parallel")]
    pub parallel: u8,
    /// Read only what is new since the last run.
    #[schemars(title = "Incremental")]
    #[serde(default)]
    pub incremental: Option<Cursor>,
}

/// Writes rows into a table; nothing is visible before all of them are.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Write to PostgreSQL")]
pub(crate) struct Write {
    /// The table, `name` or `schema.name`, spelt as in the catalogue.
    #[schemars(title = "Table", length(min = 1))]
    pub table: String,
    /// What happens with the rows.
    #[schemars(title = "Mode")]
    #[serde(default)]
    pub mode: Mode,
    /// The columns that identify a row; needed by `upsert` and `delete`.
    #[schemars(title = "Key")]
    #[serde(default)]
    pub key: Vec<String>,
    /// Make the table from the incoming columns if it is not there.
    #[schemars(title = "Create")]
    #[serde(default)]
    pub create: bool,
    /// What happens with a row that holds a value the table cannot take.
    #[schemars(title = "On bad row")]
    #[serde(default)]
    pub on_bad_row: OnBadRow,
    /// Where such rows go with `on_bad_row: reject`, as JSON Lines, below the agent's files root.
    #[schemars(title = "Reject file")]
    #[serde(default)]
    pub reject_file: Option<String>,
    /// Keep the tables `sallyport_ledger` and `sallyport_checkpoint` beside the target, by which a repeated attempt of an
    /// append, upsert or delete finds what an earlier one has already committed. Without it an append whose
    /// confirmation was lost may be repeated.
    #[schemars(title = "Ledger")]
    #[serde(default = "default_ledger")]
    pub ledger: bool,
    /// How much of an incremental read is committed at once.
    #[schemars(title = "Commit every")]
    #[serde(default)]
    pub commit_every: CommitEvery,
}

/// What a write does with the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// Adds them.
    #[default]
    Append,
    /// Empties the table, then adds them.
    Truncate,
    /// Fills a new table and puts it in the place of the old.
    Replace,
    /// Adds new ones and overwrites those with the same key.
    Upsert,
    /// Deletes the table's rows that have the same key.
    Delete,
}

/// What happens with a row that does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnBadRow {
    /// The step fails and the target stays as it was.
    #[default]
    Fail,
    /// The row goes to the reject file, the others are written.
    Reject,
}

impl Read {
    pub(crate) fn parse(settings: &Value) -> Result<Self, Error> {
        let read: Self = crate::settings::with(settings, "reading with postgres")?;
        let wrong = match (&read.table, &read.query) {
            (None, None) => Some("neither `table` nor `query` is given"),
            (Some(_), Some(_)) => Some("both `table` and `query` are given"),
            (None, Some(_)) if read.columns.is_some() => Some("`columns` goes with `table`, not with `query`"),
            (None, Some(_)) if read.condition.is_some() => Some("`where` goes with `table`, not with `query`"),
            (None, Some(_)) if read.parallel > 1 => Some("`parallel` goes with `table`, not with `query`"),
            (Some(_), None) if read.columns.as_ref().is_some_and(Vec::is_empty) => Some("`columns` is empty"),
            _ if read.incremental.is_some() && read.parallel > 1 => {
                Some("`parallel` does not go with `incremental`, which reads in the cursor's order")
            }
            _ if !(1..=16).contains(&read.parallel) => Some("`parallel` must be from 1 to 16"),
            _ => None,
        };
        match wrong {
            Some(wrong) => Err(bad_settings(format!("`with` for reading with postgres: {wrong}"))),
            None => Ok(read),
        }
    }
}

impl Write {
    pub(crate) fn parse(settings: &Value) -> Result<Self, Error> {
        let write: Self = crate::settings::with(settings, "writing with postgres")?;
        let keyed = matches!(write.mode, Mode::Upsert | Mode::Delete);
        let wrong = if keyed && write.key.is_empty() {
            Some("`key` is needed by the modes `upsert` and `delete`")
        } else if !keyed && !write.key.is_empty() && !write.create {
            Some("`key` goes with the modes `upsert` and `delete`, or with `create`")
        } else if write.mode == Mode::Delete && write.create {
            Some("`create` does not go with the mode `delete`")
        } else if write.on_bad_row == OnBadRow::Reject && write.reject_file.is_none() {
            Some("`on_bad_row: reject` needs a `reject_file`")
        } else if write.on_bad_row == OnBadRow::Fail && write.reject_file.is_some() {
            Some("`reject_file` goes with `on_bad_row: reject`")
        } else {
            None
        };
        match wrong {
            Some(wrong) => Err(bad_settings(format!("`with` for writing with postgres: {wrong}"))),
            None => Ok(write),
        }
    }
}

pub(crate) fn bad_settings(message: impl Into<String>) -> Error {
    Error::permanent(FailureKind::Connector, "bad_settings", message)
}

fn default_port() -> u16 {
    5432
}

fn default_parallel() -> u8 {
    1
}

fn default_ledger() -> bool {
    true
}
