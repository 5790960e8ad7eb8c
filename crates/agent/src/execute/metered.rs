//! The site's measure for a day, and its ledger, around the steps of an order.

use std::convert::Infallible;

use sallyport_connectors::{Error, target};
use sallyport_protocol::{Action, ConnectionOrder, StepCounts, StepOrder, Timestamp};
use sallyport_site::ledger::{Cause, Direction, Entry};
use serde_json::Value;

use super::Execution;
use crate::egress::LOOK_EVERY;

/// Stops the order when its steps have moved what the site allows in a day.
pub(super) async fn watch(execution: &Execution) -> Infallible {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        for step in 0..execution.steps() {
            let refused = execution.measure(step).err();
            if let Some(Error::Failed(failure)) = refused.map(|refused| Error::not_allowed(&refused)) {
                execution.fail(step, *failure);
            }
        }
    }
}

/// What the ledger says of a step that has ended; nothing for one that uses no connector.
pub(super) fn entry(order: &StepOrder, execution: &Execution, counts: StepCounts, at: Timestamp) -> Option<Entry> {
    let Action::Connector { kind, connection, settings } = &order.action else { return None };
    let key = execution.key();
    let cause =
        Cause::Step { run: key.run, task: execution.task().to_owned(), step: order.name.clone(), attempt: key.attempt };
    let direction = if order.inputs.is_empty() { Direction::From } else { Direction::To };
    let used = used(
        Used { cause, who: execution.who(), kind, connection: connection.as_ref(), settings, direction },
        counts,
        at,
    );
    let through = order.through.as_ref().map(|through| format!(" through agent {}", through.agents.join(" or ")));
    Some(Entry { target: used.target + through.as_deref().unwrap_or_default(), ..used })
}

/// One use of a connector.
pub(super) struct Used<'a> {
    pub(super) cause: Cause,
    pub(super) who: &'a str,
    pub(super) kind: &'a str,
    pub(super) connection: Option<&'a ConnectionOrder>,
    pub(super) settings: &'a Value,
    pub(super) direction: Direction,
}

pub(super) fn used(used: Used<'_>, counts: StepCounts, at: Timestamp) -> Entry {
    let Used { cause, who, kind, connection, settings, direction } = used;
    let (bytes_to, bytes_from) = if direction == Direction::To { (counts.bytes, 0) } else { (0, counts.bytes) };
    Entry {
        at,
        cause,
        who: who.to_owned(),
        connection: connection.map(|connection| connection.name.clone()),
        kind: kind.to_owned(),
        target: target(kind, connection, settings),
        direction,
        rows: counts.rows_out,
        bytes_to,
        bytes_from,
    }
}
