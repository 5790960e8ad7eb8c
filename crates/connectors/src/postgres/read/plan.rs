//! What is read: the statement, its columns, and how its errors are worded.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};

use sallyport_protocol::{FailureKind, LogLevel};

use super::{numbered, too_large};
use crate::postgres::catalog::{Column, Types};
use crate::postgres::name::{TableName, bare_query, identifier, identifiers, literal};
use crate::postgres::settings::Read;
use crate::postgres::target::Target;
use crate::postgres::wire::{Client, Error as WireError, UNLIMITED};
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
    /// The rows are the table's own as they stand: COPY takes them without a query, and the server saves a plan's work.
    bare: bool,
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
            bare: false,
            doing,
        };
        let names = read.columns.as_ref().map_or_else(|| "*".to_owned(), identifiers);
        plan.columns = plan.describe(client, &names).map_err(|error| plan.explain(error))?;
        plan.check_columns()?;
        plan.bare = plan.is_bare(client).map_err(|error| plan.explain(error))?;
        Ok(plan)
    }

    fn describe(&self, client: &mut Client, names: &str) -> Result<Vec<Column>, WireError> {
        client.simple("begin isolation level repeatable read, read only")?;
        client.simple(UNLIMITED)?;
        let statement = match &self.query {
            Some(query) => query.clone(),
            None => self.select(names, None),
        };
        let described = client.describe(&statement)?;
        let types = Types::load(client, described.iter().map(|column| column.type_oid))?;
        Ok(types.columns(described))
    }

    /// Whether COPY gives the same rows of the table as a query: not those of views, partitions or children, nor
    /// columns that are computed or hidden.
    fn is_bare(&self, client: &mut Client) -> Result<bool, WireError> {
        let Some(table) = self.table.as_ref().filter(|_| self.condition.is_none()) else { return Ok(false) };
        if self.columns.iter().any(|column| column.kind.cast().is_some()) {
            return Ok(false);
        }
        let names: Vec<_> = self.columns.iter().map(|column| literal(&column.name)).collect();
        let row = client.one(&format!(
            "select c.relkind = 'r' and not c.relhassubclass and {} = (select count(*) from pg_catalog.pg_attribute a \
             where a.attrelid = c.oid and a.attnum > 0 and a.attgenerated = '' and a.attname in ({})) \
             from pg_catalog.pg_class c where c.oid = {}::regclass",
            names.len(),
            names.join(", "),
            literal(table)
        ))?;
        Ok(row.first().is_some_and(|bare| bare.as_deref() == Some("t")))
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
        if let (true, None, Some(table)) = (self.bare, range, &self.table) {
            let names = identifiers(self.columns.iter().map(|column| &column.name));
            return format!("copy {table} ({names}) to stdout (format binary)");
        }
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

    /// The COPY statement of the rows `s` that meet a condition; columns are `c0`, `c1` and so on.
    pub(crate) fn chosen(&self, condition: &str) -> String {
        let mut place = 0..self.columns.len();
        let listed = self.listed(|_| format!("s.c{}", place.next().unwrap_or_default()));
        format!("copy (select {listed} from {} where {condition}) to stdout (format binary)", self.rows("s"))
    }

    /// The rows as a relation of this name, for a FROM; columns are `c0`, `c1` and so on.
    pub(crate) fn rows(&self, name: &str) -> String {
        let places: Vec<_> = (0..self.columns.len()).map(|at| format!("c{at}")).collect();
        let rows = match &self.query {
            Some(query) => query.clone(),
            None => self.select(&identifiers(self.columns.iter().map(|column| &column.name)), None),
        };
        format!("({rows}\n) as {name}({})", places.join(", "))
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
                too_large(&self.doing, name, Some(row), bytes)
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
    pub(crate) fn bad_value(&self, row: Option<u64>, column: usize, reason: &str) -> Error {
        let name = self.columns.get(column).map_or("?", |column| column.name.as_str());
        Error::permanent(
            FailureKind::Connector,
            "bad_value",
            format!("{}: {}, column `{name}`: {reason}", self.doing, numbered(row)),
        )
        .advise("leave such rows out with `where`, or read the column as text with a cast in `query`")
    }
}
