//! The rows of a table or query by their cursor, for incremental reads: each range is a COPY of its own, all of them in
//! the plan's one snapshot.

use std::cell::RefCell;

use arrow_array::RecordBatch;
use serde_json::Value;

use sallyport_protocol::FailureKind;

use super::copy;
use super::decode::Decoder;
use super::plan::Plan;
use crate::incremental::{Bound, Cursor, Give, Lag, Rows, text};
use crate::postgres::kind::Kind;
use crate::postgres::name::literal;
use crate::postgres::wire::Client;
use crate::text::cell::Cell;
use crate::{Context, Error};

/// The rows.
pub(super) struct CursorRows<'a> {
    client: RefCell<&'a mut Client>,
    plan: &'a Plan,
    /// The cursor's place among the columns.
    at: usize,
    cursor: &'a Cursor,
    cx: &'a Context,
}

impl<'a> CursorRows<'a> {
    pub(super) fn new(
        client: &'a mut Client,
        plan: &'a Plan,
        cursor: &'a Cursor,
        cx: &'a Context,
    ) -> Result<Self, Error> {
        let found = plan.columns.iter().position(|column| column.name == cursor.column);
        let Some(at) = found else {
            let names = plan.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
            let why = format!("{}: there is no cursor column `{}`; it has {names}", plan.what, cursor.column);
            return Err(Error::permanent(FailureKind::Connector, "no_such_column", why)
                .advise("name one of the columns that are read in `incremental.column`"));
        };
        let column = &plan.columns[at];
        let unordered = matches!(
            column.kind,
            Kind::Bool
                | Kind::Bytea
                | Kind::Interval(_)
                | Kind::Json
                | Kind::Jsonb
                | Kind::Array(..)
                | Kind::OtherArray
        );
        if unordered {
            let why = format!("{}: `{}` is {}, which is no cursor", plan.what, column.name, column.type_name);
            return Err(Error::permanent(FailureKind::Connector, "bad_cursor", why)
                .advise("choose a column of numbers, texts, or dates and times"));
        }
        Ok(Self { client: RefCell::new(client), plan, at, cursor, cx })
    }

    /// Gives the rows that meet a condition.
    fn select(&self, condition: &str, give: &mut Give<'_>) -> Result<(), Error> {
        let Self { plan, at, cx, .. } = self;
        let mut client = self.client.borrow_mut();
        let mut decoder = Decoder::new(plan);
        let schema = plan.schema();
        let field = schema.field(*at);
        let mut each = |batch: RecordBatch| {
            let column = batch.column(*at);
            let cell = Cell::new(field, column.as_ref());
            give(&batch, &|row| {
                let mut text = Vec::new();
                // Only JSON can fail, and is no cursor.
                let _ = cell.as_ref().map(|cell| cell.write(row, &mut text));
                Value::from(String::from_utf8_lossy(&text).into_owned())
            })
        };
        copy(&mut client, plan, &plan.chosen(condition), &mut decoder, cx, &mut each)
    }

    /// The condition of a lag on the rows `u`.
    fn lagging(&self, lag: Lag) -> Result<String, Error> {
        let Self { plan, at, .. } = self;
        let most =
            format!("(select v.c{at} from {} where v.c{at} is not null order by v.c{at} desc limit 1)", plan.rows("v"));
        let column = &plan.columns[*at];
        let behind = match (lag, &column.kind) {
            (Lag::Number(number), kind) if is_number(kind) => number.to_string(),
            (Lag::Time(time), Kind::Timestamp(_) | Kind::TimestampTz(_)) => {
                format!("interval '{} seconds'", time.as_secs())
            }
            (Lag::Time(time), Kind::Date) => time.as_secs().div_ceil(86400).to_string(),
            _ => {
                let why = format!("{}: `{}` is {}", plan.what, column.name, column.type_name);
                return Err(Error::permanent(FailureKind::Connector, "bad_lag", why)
                    .advise("give `lag` as a number for numbers, as a time such as `5m` for dates and times"));
            }
        };
        Ok(format!(" and u.c{at} <= {most} - {behind}"))
    }
}

fn is_number(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Int2
            | Kind::Int4
            | Kind::Int8
            | Kind::Decimal { .. }
            | Kind::Numeric { .. }
            | Kind::Float4
            | Kind::Float8
    )
}

impl Rows for CursorRows<'_> {
    fn newest(&self, lower: Option<&Bound>, limit: usize, give: &mut Give<'_>) -> Result<(), Error> {
        let Self { plan, at, .. } = self;
        let mut from = format!("u.c{at} is not null");
        if let Some(lower) = lower {
            from.push_str(&format!(" and u.c{at} >= {}", literal(&text(&lower.value))));
        }
        if let Some(lag) = self.cursor.lag {
            from.push_str(&self.lagging(lag)?);
        }
        let rows = plan.rows("u");
        // Not every type with an order has a `max`.
        let newest = format!("(select u.c{at} from {rows} where {from} order by u.c{at} desc limit 1)");
        self.select(&format!("s.c{at} = {newest} limit {limit}"), give)
    }

    fn range(&self, lower: Option<&Bound>, upper: Option<&Bound>, give: &mut Give<'_>) -> Result<(), Error> {
        let at = self.at;
        let mut condition = format!("s.c{at} is not null");
        for (bound, sign) in [(lower, ">"), (upper, "<")] {
            let Some(Bound { value, inclusive }) = bound else { continue };
            let equal = if *inclusive { "=" } else { "" };
            condition.push_str(&format!(" and s.c{at} {sign}{equal} {}", literal(&text(value))));
        }
        self.select(&format!("{condition} order by s.c{at}"), give)
    }

    fn nulls(&self) -> Result<u64, Error> {
        let Self { plan, at, .. } = self;
        let count = format!("select pg_catalog.count(*) from {} where s.c{at} is null", plan.rows("s"));
        let row = self.client.borrow_mut().one(&count).map_err(|error| plan.explain(error))?;
        Ok(row.into_iter().next().flatten().and_then(|count| count.parse().ok()).unwrap_or(0))
    }
}
