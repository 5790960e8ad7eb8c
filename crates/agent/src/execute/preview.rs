//! A look at the first rows of a source: no sink, no run, no traces.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use sallyport_connectors::{CommitKey, Context, Error, Look, without_traces};
use sallyport_dataplane::{Cancel, Input, Output, Progress, edge};
use sallyport_protocol::{Failure, FailureKind, Preview, PreviewOrder, RequestId};
use sallyport_site::ledger::{Cause, Direction};
use tokio::runtime::Handle;

use super::metered::{self, Used};
use super::step::{permitted, words};
use super::{Surroundings, failure};

/// Reads until enough is seen, then stops the source. Blocks; `cancel` ends it early.
pub(crate) fn preview(
    request: RequestId,
    order: &PreviewOrder,
    surroundings: &Surroundings,
    runtime: &Handle,
    cancel: &Cancel,
) -> Preview {
    let scratch = surroundings.scratch_root.join(format!("preview-{request}"));
    let seen = match std::fs::create_dir_all(&scratch) {
        Ok(()) => look(order, surroundings, runtime, cancel, &scratch),
        Err(error) => {
            let text = format!("making the scratch folder {}: {error}", scratch.display());
            Preview::failed(failure(FailureKind::Runtime, "scratch_folder", text))
        }
    };
    // What stays is removed at the next start.
    let _ = std::fs::remove_dir_all(&scratch);
    seen
}

fn look(
    order: &PreviewOrder,
    surroundings: &Surroundings,
    runtime: &Handle,
    cancel: &Cancel,
    scratch: &Path,
) -> Preview {
    let context = Context {
        cancel: cancel.clone(),
        progress: Arc::new(Progress::default()),
        log: Arc::new(|_, _| {}),
        scratch: scratch.to_owned(),
        site: Arc::clone(&surroundings.site),
        reach: sallyport_connectors::Reach::Direct,
        commit: CommitKey { key: format!("preview/{}", order.step), attempt: 1, fence: 1 },
        checkpointing: None,
        provenance: Arc::default(),
    };
    let progress = Arc::clone(&context.progress);
    let settings = without_traces(&order.settings);
    let source = permitted(&order.kind, false, surroundings)
        .and_then(|()| sallyport_connectors::source(&order.kind, order.connection.as_ref(), &settings));
    let source = match source {
        Ok(source) => source,
        Err(error) => return ended(order, Preview::default(), &error),
    };
    let (producer, input) = edge();
    let mut output = Output::new(vec![producer], Arc::clone(&context.progress), runtime.clone());
    let read = move || match source.read(&mut output, &context) {
        Ok(()) => output.finish().map_err(Error::Edge),
        Err(error) => {
            output.abort(&error.to_string());
            Err(error)
        }
    };
    let seen = thread::scope(|scope| {
        let reading = thread::Builder::new().name("preview".to_owned()).spawn_scoped(scope, || {
            catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
                let text = format!("the connector met a bug: {}", words(panic.as_ref()));
                Err(Error::permanent(FailureKind::Runtime, "uncaught_exception", text))
            })
        });
        let reading = match reading {
            Ok(reading) => reading,
            Err(error) => {
                let text = format!("starting a thread: {error}");
                return Preview::failed(failure(FailureKind::Runtime, "no_thread", text));
            }
        };
        let (seen, enough) = take(input, order.rows);
        if enough {
            cancel.cancel();
        }
        match reading.join() {
            Ok(Err(error)) if !enough => ended(order, seen, &error),
            _ => seen,
        }
    });
    let counts = progress.counts();
    // What is over the site's measure now is for the next use.
    let _ = surroundings.egress.meter().at(counts.bytes);
    let cause = Cause::Preview { step: order.step.clone() };
    let (who, kind, connection) = (order.who.as_str(), order.kind.as_str(), order.connection.as_ref());
    let used = Used { cause, who, kind, connection, settings: &settings, direction: Direction::From };
    surroundings.egress.note_blocking(metered::used(used, counts, surroundings.clock.now()));
    seen
}

/// Takes rows from the source; says whether it had to be stopped.
fn take(mut input: Input, rows: u32) -> (Preview, bool) {
    let mut look = Look::new(rows);
    let Ok(schema) = input.schema() else { return (look.seen(), false) };
    look.columns(&schema);
    while let Ok(Some(batch)) = input.next_batch() {
        if !look.rows(&batch) {
            return (look.seen(), true);
        }
    }
    (look.seen(), false)
}

/// What was seen, and why it was not more.
fn ended(order: &PreviewOrder, seen: Preview, error: &Error) -> Preview {
    let failure = match error {
        Error::Failed(failure) => (**failure).clone(),
        Error::Cancelled | Error::Edge(_) => Failure {
            kind: FailureKind::TimedOut,
            code: "timed_out".to_owned(),
            message: format!("step `{}` gave too few rows in time", order.step),
            advice: Some("narrow what it reads, such as with `where`".to_owned()),
            transient: true,
        },
    };
    Preview { failure: Some(failure), ..seen }
}

#[cfg(test)]
mod tests;
