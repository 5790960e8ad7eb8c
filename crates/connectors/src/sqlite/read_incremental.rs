//! The rows of a table or query by their cursor, for incremental reads.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use rusqlite::types::Value as Stored;
use rusqlite::{Connection as Database, params_from_iter};
use sallyport_protocol::FailureKind;
use serde_json::{Value, json};

use super::open::quoted;
use super::read::Reading;
use super::settings::Read;
use crate::Error;
use crate::incremental::{Bound, Cursor, Give, Lag, Rows, text};

/// The rows, in one read transaction.
pub(super) struct CursorRows<'a> {
    reading: &'a Reading<'a>,
    database: &'a Database,
    /// The rows to choose from, in SQL.
    rows: String,
    /// The cursor column, quoted.
    column: String,
    pub(super) schema: SchemaRef,
    cursor: &'a Cursor,
}

impl<'a> CursorRows<'a> {
    pub(super) fn new(
        reading: &'a Reading<'a>,
        database: &'a Database,
        settings: &Read,
        cursor: &'a Cursor,
    ) -> Result<Self, Error> {
        let rows = reading.rows_of(database, settings)?;
        let mut statement = database.prepare(&rows).map_err(|error| reading.bad_query(&error))?;
        let schema = reading.schema(&mut statement, false)?;
        drop(statement);
        let found = schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(&cursor.column));
        let Some(found) = found else {
            let names = schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
            let why = format!("{}: there is no cursor column `{}`; it has {names}", reading.what, cursor.column);
            return Err(Error::permanent(FailureKind::Connector, "no_such_column", why)
                .advise("name one of the columns that are read in `incremental.column`"));
        };
        let column = quoted(found.name());
        Ok(Self { reading, database, rows, column, schema, cursor })
    }

    /// Gives the rows that meet a condition in the cursor's order, each with its value as SQLite spells it.
    fn select(&self, condition: &str, values: &[Stored], give: &mut Give<'_>) -> Result<(), Error> {
        let Self { rows, column, reading, .. } = self;
        let sql = format!("select s.*, quote(s.{column}) from ({rows}) as s where {condition}");
        let mut statement = self.database.prepare(&sql).map_err(|error| reading.bad_query(&error))?;
        let mut fields: Vec<_> = self.schema.fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new("the cursor as a literal", DataType::Utf8, true)));
        let found = statement.query(params_from_iter(values)).map_err(|error| reading.bad_query(&error))?;
        reading.rows(found, &Arc::new(Schema::new(fields)), false, &mut |batch| {
            let last = self.schema.fields().len();
            let literals = batch.column(last).as_string::<i32>().iter();
            let values = literals.map(|literal| self.value(literal.unwrap_or("NULL")));
            let values = values.collect::<Result<Vec<_>, _>>()?;
            let plain = batch.project(&(0..last).collect::<Vec<_>>());
            let plain = plain.map_err(|error| Error::permanent(FailureKind::Runtime, "batch", error.to_string()))?;
            give(&plain, &|row| values[row].clone())
        })
    }

    fn lagging(&self, lag: Lag) -> Result<String, Error> {
        let Self { rows, column, .. } = self;
        let most = format!("(select max(v.{column}) from ({rows}) as v)");
        let kind = self.database.query_row(&format!("select typeof({most}), julianday({most})"), [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<f64>>(1)?.is_some()))
        });
        let (kind, is_date) = kind.map_err(|error| self.reading.failed(&error))?;
        match (lag, kind.as_str()) {
            (_, "null") => Ok(String::new()),
            (Lag::Number(number), "integer" | "real") => Ok(format!(" and u.{column} <= {most} - {number}")),
            (Lag::Time(time), "text") if is_date => {
                let days = time.as_secs_f64() / 86400.0;
                Ok(format!(" and julianday(u.{column}) <= julianday({most}) - {days:?}"))
            }
            (_, kind) => {
                let why = format!("{}: `{}` holds {kind}", self.reading.what, self.cursor.column);
                Err(Error::permanent(FailureKind::Connector, "bad_lag", why)
                    .advise("give `lag` as a number for numbers, as a time such as `5m` for dates and times as text"))
            }
        }
    }

    fn value(&self, literal: &str) -> Result<Value, Error> {
        if let Some(text) = literal.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
            return Ok(Value::from(text.replace("''", "'")));
        }
        if let Ok(integer) = literal.parse::<i64>() {
            return Ok(Value::from(integer));
        }
        if literal.parse::<f64>().is_ok() {
            // As text, so that no digit is lost on the way.
            return Ok(json!({ "real": literal }));
        }
        let why = format!("{}: `{}` holds {literal}, which is no cursor", self.reading.what, self.cursor.column);
        Err(Error::permanent(FailureKind::Connector, "bad_cursor", why)
            .advise("choose a column of numbers, texts, or dates and times"))
    }
}

impl Rows for CursorRows<'_> {
    fn newest(&self, lower: Option<&Bound>, limit: usize, give: &mut Give<'_>) -> Result<(), Error> {
        let Self { rows, column, .. } = self;
        let mut from = format!("u.{column} is not null");
        if lower.is_some() {
            from.push_str(&format!(" and u.{column} >= ?1"));
        }
        if let Some(lag) = self.cursor.lag {
            from.push_str(&self.lagging(lag)?);
        }
        let values: Vec<Stored> = lower.iter().map(|lower| stored(&lower.value)).collect();
        let newest = format!("(select max(u.{column}) from ({rows}) as u where {from})");
        self.select(&format!("s.{column} = {newest} limit {limit}"), &values, give)
    }

    fn range(&self, lower: Option<&Bound>, upper: Option<&Bound>, give: &mut Give<'_>) -> Result<(), Error> {
        let column = &self.column;
        let mut condition = format!("s.{column} is not null");
        let mut values = Vec::new();
        for (bound, sign) in [(lower, ">"), (upper, "<")] {
            let Some(bound) = bound else { continue };
            values.push(stored(&bound.value));
            let equal = if bound.inclusive { "=" } else { "" };
            condition.push_str(&format!(" and s.{column} {sign}{equal} ?{}", values.len()));
        }
        self.select(&format!("{condition} order by s.{column}"), &values, give)
    }

    fn nulls(&self) -> Result<u64, Error> {
        let Self { rows, column, .. } = self;
        let count = format!("select count(*) from ({rows}) as s where s.{column} is null");
        let count = self.database.query_row(&count, [], |row| row.get::<_, i64>(0));
        Ok(u64::try_from(count.map_err(|error| self.reading.failed(&error))?).unwrap_or(0))
    }
}

/// A kept value as it is compared.
fn stored(value: &Value) -> Stored {
    let real = value.get("real").and_then(Value::as_str).and_then(|text| text.parse().ok());
    match (real, value.as_i64()) {
        (Some(real), _) => Stored::Real(real),
        (None, Some(integer)) => Stored::Integer(integer),
        (None, None) => Stored::Text(text(value)),
    }
}
