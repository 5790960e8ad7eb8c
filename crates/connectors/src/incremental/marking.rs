//! Gives rows in the cursor's order with a mark behind every whole group.

use arrow_array::RecordBatch;
use sallyport_dataplane::Output;
use serde_json::Value;

use super::cursor::Position;
use crate::Error;

/// Sits between a source and its output.
pub(crate) struct Marking<'a> {
    output: &'a mut Output,
    /// The value of the newest row: more with the same may follow.
    last: Option<Value>,
}

impl<'a> Marking<'a> {
    pub(crate) fn new(output: &'a mut Output) -> Self {
        Self { output, last: None }
    }

    /// Gives a batch whose rows follow on those before; `value` is the cursor of a row.
    pub(crate) fn give(&mut self, batch: &RecordBatch, value: &dyn Fn(usize) -> Value) -> Result<(), Error> {
        let rows = batch.num_rows();
        let Some(end) = rows.checked_sub(1) else { return Ok(()) };
        if let Some(last) = self.last.take().filter(|last| *last != value(0)) {
            self.mark(last, None)?;
        }
        let newest = value(end);
        let open = (0..end).rev().find(|row| value(*row) != newest).map_or(0, |row| row + 1);
        if open > 0 {
            self.output.send(batch.slice(0, open))?;
            self.mark(value(open - 1), None)?;
        }
        self.output.send(batch.slice(open, rows - open))?;
        self.last = Some(newest);
        Ok(())
    }

    /// Gives rows that are no part of the order.
    pub(crate) fn pass(&mut self, batch: RecordBatch) -> Result<(), Error> {
        Ok(self.output.send(batch)?)
    }

    /// Says how far everything reaches; `None` stands for the newest row, of whose value no more follow.
    pub(crate) fn finish(mut self, end: Option<Position>) -> Result<(), Error> {
        match (end, self.last.take()) {
            (Some(end), _) => self.mark(end.value, end.ties),
            (None, Some(last)) => self.mark(last, None),
            (None, None) => Ok(()),
        }
    }

    fn mark(&mut self, value: Value, ties: Option<Vec<String>>) -> Result<(), Error> {
        Ok(self.output.mark(&Position { value, ties }.checkpoint())?)
    }
}
