//! What a task says about an SQLite database.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::incremental::{CommitEvery, Cursor};
use crate::reject::OnBadRow;
use crate::settings::invalid;

/// Settings of an `sqlite` connection.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "SQLite database")]
pub(super) struct Connection {
    /// The database file: relative to the agent's files root, or absolute.
    #[schemars(extend("format" = "path"))]
    pub(super) path: String,
}

/// The `with` of a step that reads.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Read from SQLite")]
pub(super) struct Read {
    /// The table or view; this or `query`.
    #[serde(default)]
    pub(super) table: Option<String>,
    /// One query that gives rows; this or `table`.
    #[schemars(extend("contentMediaType" = "application/sql"))]
    #[serde(default)]
    pub(super) query: Option<String>,
    /// The columns of `table` to read; default: all.
    #[serde(default)]
    pub(super) columns: Option<Vec<String>>,
    /// A condition on the rows of `table`, in SQL.
    #[schemars(extend("contentMediaType" = "application/sql"))]
    #[serde(default)]
    pub(super) r#where: Option<String>,
    /// Read only what is new since the last run.
    #[serde(default)]
    pub(super) incremental: Option<Cursor>,
}

/// What happens with the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// Adds them to the table.
    #[default]
    Append,
    /// Empties the table first.
    Truncate,
    /// Makes the table anew from the incoming columns.
    Replace,
    /// Updates the row with the same key, else adds one.
    Upsert,
    /// Deletes the rows with the incoming keys.
    Delete,
}

/// The `with` of a step that writes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Write to SQLite")]
pub(super) struct Write {
    /// The table.
    pub(super) table: String,
    /// What happens with the rows; default `append`.
    #[serde(default)]
    pub(super) mode: Mode,
    /// The columns that identify a row; needed by `upsert` and `delete`.
    #[serde(default)]
    pub(super) key: Vec<String>,
    /// Make the table (and the database file) from the incoming columns if it is not there; default false.
    #[serde(default)]
    pub(super) create: bool,
    /// What happens with a row that the table does not take; default `fail`.
    #[serde(default)]
    pub(super) on_bad_row: OnBadRow,
    /// Where rejected rows go, below the agent's files root; needed for `on_bad_row: reject`.
    #[serde(default)]
    pub(super) reject_file: Option<String>,
    /// With `append`, `upsert` and `delete`, and for incremental reads: keep the tables `sallyport_ledger` and
    /// `sallyport_checkpoint` in the database, by which a repeated attempt finds what an earlier one has already
    /// committed; default true.
    #[serde(default = "yes")]
    pub(super) ledger: bool,
    /// How much of an incremental read is committed at once.
    #[serde(default)]
    pub(super) commit_every: CommitEvery,
}

fn yes() -> bool {
    true
}

impl Read {
    pub(super) fn check(&self) -> Result<(), Error> {
        match (&self.table, &self.query) {
            (Some(_), Some(_)) => Err(invalid("query", "give either `table` or `query`")),
            (None, None) => Err(invalid("table", "give `table` or `query`")),
            (None, Some(_)) if self.columns.is_some() => {
                Err(invalid("columns", "belongs to `table`; name the columns in the query"))
            }
            (None, Some(_)) if self.r#where.is_some() => {
                Err(invalid("where", "belongs to `table`; put the condition into the query"))
            }
            _ if self.columns.as_ref().is_some_and(Vec::is_empty) => Err(invalid("columns", "names no column")),
            _ => Ok(()),
        }
    }
}

impl Write {
    pub(super) fn check(&self) -> Result<(), Error> {
        let keyed = matches!(self.mode, Mode::Upsert | Mode::Delete);
        if keyed && self.key.is_empty() {
            return Err(invalid("key", "`upsert` and `delete` need the columns that identify a row"));
        }
        if !keyed && !self.key.is_empty() {
            return Err(invalid("key", "belongs to `upsert` and `delete`"));
        }
        self.on_bad_row.check(self.reject_file.as_deref())
    }
}
