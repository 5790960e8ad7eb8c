//! The order of an incremental read, whatever the database: first the newest value and its rows, then what has come late
//! under the value read last, then everything between the two.

use arrow_array::RecordBatch;
use sallyport_dataplane::Output;
use sallyport_protocol::LogLevel;
use serde_json::Value;

use super::cursor::{Lower, Position, TIES_MAX, backfill, text};
use super::fingerprint::{Ties, fingerprints};
use super::marking::Marking;
use super::settings::Cursor;
use crate::{Context, Error};

/// Takes rows, and the cursor's value of each.
pub(crate) type Give<'a> = dyn FnMut(&RecordBatch, &dyn Fn(usize) -> Value) -> Result<(), Error> + 'a;

/// An end of a range of cursor values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bound {
    pub(crate) value: Value,
    /// Whether rows with the value itself belong to the range.
    pub(crate) inclusive: bool,
}

impl Bound {
    pub(crate) fn at(value: &Value) -> Self {
        Self { value: value.clone(), inclusive: true }
    }

    pub(crate) fn beyond(value: &Value) -> Self {
        Self { value: value.clone(), inclusive: false }
    }
}

/// Rows with a cursor, in one snapshot for as long as the value lives.
pub(crate) trait Rows {
    /// Gives at most `limit` rows of the newest value that is read now and not below `lower`.
    fn newest(&self, lower: Option<&Bound>, limit: usize, give: &mut Give<'_>) -> Result<(), Error>;

    /// Gives the rows of a range in the cursor's order; those without a cursor are in none.
    fn range(&self, lower: Option<&Bound>, upper: Option<&Bound>, give: &mut Give<'_>) -> Result<(), Error>;

    /// How many rows have no cursor.
    fn nulls(&self) -> Result<u64, Error>;
}

/// One incremental read.
pub(crate) struct Reading<'a> {
    pub(crate) rows: &'a dyn Rows,
    /// The table or query, for people.
    pub(crate) what: &'a str,
    pub(crate) cursor: &'a Cursor,
    pub(crate) cx: &'a Context,
}

/// The newest value, and the rows that have it, at most one more than are remembered.
struct Newest {
    value: Value,
    fingerprints: Vec<String>,
}

impl Reading<'_> {
    /// Gives all rows behind `lower`, or those of a back-fill; the output has started.
    pub(crate) fn read(&self, lower: &Lower, output: &mut Output) -> Result<(), Error> {
        if let Some((from, to)) = backfill(self.cx.checkpointing.as_ref().map(|one| one.order.as_ref())) {
            let (from, to) = (Bound::at(&from), Bound::beyond(&to));
            return self.rows.range(Some(&from), Some(&to), &mut |batch, _| Ok(output.send(batch.clone())?));
        }
        self.tell_nulls()?;
        let at = match lower {
            Lower::Start => None,
            Lower::From(value) => Some(Bound::at(value)),
            Lower::Behind(position) => Some(Bound::at(&position.value)),
        };
        let Some(newest) = self.newest(at.as_ref())? else { return Ok(()) };
        if newest.fingerprints.len() > TIES_MAX {
            self.tell_many(&newest.value);
            return self.below(lower, at, &newest.value, output);
        }
        let mut marking = Marking::new(output);
        self.late_ties(lower, &mut marking)?;
        self.between(lower, at, &Bound::at(&newest.value), &mut marking)?;
        marking.finish(Some(Position { value: newest.value, ties: Some(newest.fingerprints) }))
    }

    /// Reads what is older than a newest value with too many rows.
    fn below(&self, lower: &Lower, at: Option<Bound>, newest: &Value, output: &mut Output) -> Result<(), Error> {
        let mut marking = Marking::new(output);
        let end = match lower {
            Lower::Behind(position) if position.value == *newest => return Ok(()),
            Lower::Behind(position) => Some(Position { value: position.value.clone(), ties: None }),
            Lower::Start | Lower::From(_) => None,
        };
        self.late_ties(lower, &mut marking)?;
        let any = self.between(lower, at, &Bound::beyond(newest), &mut marking)?;
        marking.finish(end.filter(|_| !any))
    }

    /// Whether there were any rows.
    fn between(
        &self,
        lower: &Lower,
        at: Option<Bound>,
        upper: &Bound,
        marking: &mut Marking<'_>,
    ) -> Result<bool, Error> {
        let inclusive = !matches!(lower, Lower::Behind(_));
        let lower = at.map(|at| Bound { inclusive, ..at });
        let mut any = false;
        self.rows.range(lower.as_ref(), Some(upper), &mut |batch, value| {
            any = true;
            marking.give(batch, value)
        })?;
        Ok(any)
    }

    /// Rows that have come since under the value that was read last.
    fn late_ties(&self, lower: &Lower, marking: &mut Marking<'_>) -> Result<(), Error> {
        let Lower::Behind(Position { value, ties: Some(ties) }) = lower else { return Ok(()) };
        let mut ties = Ties::new(ties);
        let at = Bound::at(value);
        self.rows.range(Some(&at), Some(&at), &mut |batch, _| {
            let fresh = ties.without(batch)?;
            if fresh.num_rows() == 0 { Ok(()) } else { marking.pass(fresh) }
        })
    }

    fn newest(&self, lower: Option<&Bound>) -> Result<Option<Newest>, Error> {
        let mut found: Option<Newest> = None;
        self.rows.newest(lower, TIES_MAX + 1, &mut |batch, value| {
            if batch.num_rows() > 0 {
                let newest = found.get_or_insert_with(|| Newest { value: value(0), fingerprints: Vec::new() });
                newest.fingerprints.extend(fingerprints(batch)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn tell_nulls(&self) -> Result<(), Error> {
        let nulls = self.rows.nulls()?;
        if nulls > 0 {
            let line = format!("{nulls} rows of {} have no `{}` and are not read", self.what, self.cursor.column);
            (self.cx.log)(LogLevel::Warning, line);
        }
        Ok(())
    }

    fn tell_many(&self, newest: &Value) {
        let (column, newest) = (&self.cursor.column, text(newest));
        let line = format!(
            "{}: more than {TIES_MAX} rows have the newest `{column}`, {newest}; they are read once a newer one is there",
            self.what
        );
        (self.cx.log)(LogLevel::Warning, line);
    }
}
