//! From the ends of steps and streams to the report: the first failure is the cause, the rest was cancelled by it.

use sallyport_dataplane::EdgeError;
use sallyport_protocol::{LINE_BYTES_MAX, LogLevel, OrderReport, StepOutcome, StepReport, WorkOrder};

use super::execution::Stop;
use super::relay::Relayed;
use super::step::End;
use super::{Execution, Surroundings};

/// Decides for every step. A step without an end did not stop in time.
pub(super) fn report(
    order: &WorkOrder,
    execution: &Execution,
    ends: &[Option<End>],
    streams: &[Relayed],
) -> OrderReport {
    let counts = execution.counts();
    let steps = order.steps.iter().zip(counts).enumerate().map(|(index, (step, (_, counts)))| {
        let end = ends.get(index).and_then(Option::as_ref);
        let streams_well = streams.iter().filter(|stream| stream.step == index).all(|stream| stream.result.is_ok());
        let mut outcome = outcome(index, end, streams_well, ends, execution);
        outcome.shorten(LINE_BYTES_MAX);
        StepReport {
            step: step.name.clone(),
            outcome,
            counts,
            already_committed: matches!(end, Some(End::Done { already_committed: true, .. })),
            committed: execution.committed(index),
        }
    });
    OrderReport { key: order.key, steps: steps.collect(), ended_at: None }
}

fn outcome(
    index: usize,
    end: Option<&End>,
    streams_well: bool,
    ends: &[Option<End>],
    execution: &Execution,
) -> StepOutcome {
    match (execution.first(), end) {
        // Before all: a step whose stream broke may itself have ended well.
        (Some(Stop::Failed { step, failure }), _) if *step == index => StepOutcome::Failed { failure: failure.clone() },
        (_, Some(End::Done { .. })) if streams_well => StepOutcome::Succeeded,
        (_, Some(End::Broken { error: EdgeError::ConsumerGone, consumers }))
            if streams_well && satisfied(consumers, ends) =>
        {
            StepOutcome::Succeeded
        }
        (None, Some(End::Failed(failure))) => StepOutcome::Failed { failure: (**failure).clone() },
        (None, Some(End::Broken { error, .. })) => StepOutcome::Cancelled { reason: error.to_string() },
        _ => StepOutcome::Cancelled { reason: execution.words().unwrap_or("the order was stopped").to_owned() },
    }
}

/// Whether all consumers ended well without the rest of the rows.
fn satisfied(consumers: &[usize], ends: &[Option<End>]) -> bool {
    !consumers.is_empty() && consumers.iter().all(|index| matches!(ends.get(*index), Some(Some(End::Done { .. }))))
}

/// One line per step, for its log.
pub(super) fn log(report: &OrderReport, surroundings: &Surroundings) {
    for step in &report.steps {
        let counts = step.counts;
        let (level, message) = match &step.outcome {
            StepOutcome::Succeeded => (
                LogLevel::Info,
                format!(
                    "step succeeded, rows_in={}, rows_out={}, bytes={}",
                    counts.rows_in, counts.rows_out, counts.bytes
                ),
            ),
            StepOutcome::Failed { failure } => {
                let advice = failure.advice.as_deref().map(|advice| format!("; {advice}")).unwrap_or_default();
                (LogLevel::Error, format!("step failed ({}): {}{advice}", failure.code, failure.message))
            }
            StepOutcome::Cancelled { reason } => (LogLevel::Warning, format!("step was cancelled: {reason}")),
        };
        surroundings.log(report.key, Some(&step.step), level, None, message);
    }
}
