//! How far a cursor is, as the platform keeps it.

use sallyport_dataplane::Output;
use sallyport_protocol::{Checkpoint, FailureKind, Incremental};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Context, Error};

/// Rows with the newest value that are remembered one by one; a larger group is read when a newer value appears.
pub(crate) const TIES_MAX: usize = 2000;

/// The checkpoint of a cursor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    /// All rows with smaller values were read; text as the database reads it, or a number ...
    pub(crate) value: Value,
    /// ... and of those with this value the ones with these fingerprints; all of them where none are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ties: Option<Vec<String>>,
}

impl Position {
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint(serde_json::to_value(self).unwrap_or_default())
    }
}

/// Where reading begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Lower {
    /// At the first row.
    Start,
    /// At this value.
    From(Value),
    /// Behind what was read.
    Behind(Position),
}

impl Lower {
    /// As [`resumed`], with the step's own start.
    pub(crate) fn await_word(start: Option<&Value>, output: &Output, cx: &Context) -> Result<Self, Error> {
        Self::of(resumed(output, cx)?.as_ref(), start)
    }

    /// What the sink has said, or the step's own start.
    pub(crate) fn of(resumed: Option<&Checkpoint>, start: Option<&Value>) -> Result<Self, Error> {
        let Some(Checkpoint(checkpoint)) = resumed else {
            return Ok(start.map_or(Self::Start, |start| Self::From(start.clone())));
        };
        serde_json::from_value(checkpoint.clone()).map(Self::Behind).map_err(|_| {
            let why = format!("the checkpoint `{checkpoint}` is none of a cursor");
            Error::permanent(FailureKind::Connector, "bad_checkpoint", why)
                .advise("set it with `sallyport checkpoints set`, or clear it to read everything again")
        })
    }
}

/// Waits for the sink's word where to go on; a back-fill, and a run without a platform, need none.
pub(crate) fn resumed(output: &Output, cx: &Context) -> Result<Option<Checkpoint>, Error> {
    if cx.checkpointing.as_ref().is_none_or(|one| one.order.backfill.is_some()) {
        return Ok(None);
    }
    let resumed = output.resumed(&cx.cancel);
    cx.cancel.check()?;
    Ok(resumed?)
}

/// The range that a person wants to be read again, where that is what the run is for.
pub(crate) fn backfill(order: Option<&Incremental>) -> Option<(Value, Value)> {
    let range = order?.backfill.as_ref()?;
    Some((Value::from(range.from.as_str()), Value::from(range.to.as_str())))
}

/// A cursor's value as people read it and databases parse it.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
