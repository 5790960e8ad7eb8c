//! What is read: the statement, its columns, and how its errors are worded.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};

use sallyport_protocol::{FailureKind, LogLevel};

use super::too_large;
use crate::postgres::catalog::{Column, Types};
use crate::postgres::name::{TableName, bare_query, identifier, identifiers};
use crate::postgres::settings::Read;
use crate::postgres::target::Target;
use crate::postgres::wire::{Client, Error as WireError};
use crate::{Context, Error};

/// What is read.
pub(crate) struct Plan {
    /// The table or the query, for people.
    pub what: String,
    /// The name in SQL, where it is a table.
    pub table: Option<String>,
    pub columns: Vec<Column>,
    condition: Option<String>,
    query: Option<String>,
    doing: String,
}

impl Plan {
    /// Starts the snapshot on `client` and asks what columns there are.
    pub(crate) fn make(client: &mut Client, read: &Read, target: &Target) -> Result<Self, Error> {
        let table = read.table.as_deref().map(TableName::parse).transpose()?;
        let what = match &table {
            Some(table) => format!("table `{table}`"),
            None => "the query".to_owned(),
        };
        let doing = target.doing(&format!("reading {what}"));
        let mut plan = Self {
            what,
            table: table.as_ref().map(TableName::sql),
            columns: Vec::new(),
            condition: read.condition.clone(),
            query: read.query.as_deref().map(|query| bare_query(query).to_owned()),
            doing,
        };
        let names = read.columns.as_ref().map_or_else(|| "*".to_owned(), identifiers);
        plan.columns = plan.describe(client, &names).map_err(|error| plan.explain(error))?;
        plan.check_columns()?;
        Ok(plan)
    }

    fn describe(&self, client: &mut Client, names: &str) -> Result<Vec<Column>, WireError> {
        client.simple("begin isolation level repeatable read, read only")?;
        client.simple("set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0")?;
        let statement = match &self.query {
            Some(query) => query.clone(),
            None => self.select(names, None),
        };
        let described = client.describe(&statement)?;
        let types = Types::load(client, described.iter().map(|column| column.type_oid))?;
        Ok(types.columns(described))
    }

    fn check_columns(&self) -> Result<(), Error> {
        let wrong = |code, message: String| {
            Error::permanent(FailureKind::Connector, code, format!("{}: {message}", self.doing))
        };
        if self.columns.is_empty() {
            return Err(wrong("no_columns", "it gives no columns".into())
                .advise("`query` takes one statement that gives rows, such as SELECT"));
        }
        let mut seen = BTreeSet::new();
        let twice: Vec<_> = self.columns.iter().map(|column| &column.name).filter(|name| !seen.insert(*name)).collect();
        if !twice.is_empty() {
            return Err(wrong("duplicate_column", format!("it gives the columns {twice:?} more than once"))
                .advise("name them apart with AS"));
        }
        Ok(())
    }

    /// Notes the types that pass as text.
    pub(crate) fn tell(&self, cx: &Context) {
        for column in self.columns.iter().filter(|column| column.kind.cast().is_some()) {
            let Column { name, type_name, .. } = column;
            (cx.log)(LogLevel::Info, format!("column `{name}` of type {type_name} is read as text"));
        }
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(|column| column.kind.field(&column.name)).collect::<Vec<_>>()))
    }

    /// The COPY statement; `range` is a further condition.
    pub(crate) fn statement(&self, range: Option<&str>) -> String {
        let cast = self.columns.iter().any(|column| column.kind.cast().is_some());
        let rows = match &self.query {
            None => self.select(&self.listed(|column| identifier(&column.name)), range),
            Some(query) if !cast => format!("{query}\n"),
            Some(query) => {
                let places: Vec<_> = (0..self.columns.len()).map(|at| format!("c{at}")).collect();
                let mut place = places.iter();
                let listed = self.listed(|_| place.next().cloned().unwrap_or_default());
                format!("select {listed} from ({query}\n) as q({})", places.join(", "))
            }
        };
        format!("copy ({rows}) to stdout (format binary)")
    }

    fn listed(&self, mut name: impl FnMut(&Column) -> String) -> String {
        let columns = self.columns.iter().map(|column| format!("{}{}", name(column), column.kind.cast().unwrap_or("")));
        columns.collect::<Vec<_>>().join(", ")
    }

    fn select(&self, columns: &str, range: Option<&str>) -> String {
        let table = self.table.as_deref().unwrap_or_default();
        let mut conditions: Vec<String> = self.condition.iter().map(|condition| format!("({condition}\n)")).collect();
        conditions.extend(range.map(str::to_owned));
        let condition =
            if conditions.is_empty() { String::new() } else { format!(" where {}", conditions.join(" and ")) };
        format!("select {columns} from {table}{condition}")
    }

    /// The words for an error of this read.
    pub(crate) fn explain(&self, error: WireError) -> Error {
        match error {
            WireError::ValueTooLarge { row, column, bytes } => {
                let name = self.columns.get(column).map_or("?", |column| column.name.as_str());
                too_large(&self.doing, name, row, bytes)
            }
            WireError::RowTooLarge { row, bytes } => Error::permanent(
                FailureKind::Connector,
                "row_too_large",
                format!("{}: row {row} has {bytes} bytes", self.doing),
            )
            .advise("leave some of the long columns out"),
            error => error.explain(&self.doing),
        }
    }

    /// A value that has no place in its column.
    pub(crate) fn bad_value(&self, row: u64, column: usize, reason: &str) -> Error {
        let name = self.columns.get(column).map_or("?", |column| column.name.as_str());
        Error::permanent(
            FailureKind::Connector,
            "bad_value",
            format!("{}: row {row}, column `{name}`: {reason}", self.doing),
        )
    }
}
