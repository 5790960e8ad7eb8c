//! One step on a thread of its own.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use sallyport_connectors::{Checkpointing, CommitKey, Context, Error, LogSink, Provenance};
use sallyport_dataplane::{EdgeError, Input, Marked, Output};
use sallyport_protocol::{Action, AttemptKey, ConnectionOrder, Failure, FailureKind, LogLevel, StepOrder, event};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::wiring::Ends;
use super::{Ended, Execution, Surroundings, failure, metered, way};

/// Bytes that one transform may spill to its scratch folder.
const SPILL_BYTES_MAX: u64 = 32 * 1024 * 1024 * 1024;

/// How one step ended.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// It did what it was asked to.
    Done { already_committed: bool },
    /// It was told to stop.
    Stopped,
    /// The step at the other end of an edge ended first.
    Broken { error: EdgeError, consumers: Vec<usize> },
    /// It failed by itself; the order was told.
    Failed(Box<Failure>),
}

/// All that a step's thread needs.
pub(super) struct Job {
    pub(super) index: usize,
    pub(super) order: StepOrder,
    pub(super) key: AttemptKey,
    pub(super) ends: Ends,
    pub(super) surroundings: Surroundings,
    pub(super) execution: Execution,
    pub(super) scratch: PathBuf,
    pub(super) runtime: Handle,
    pub(super) told: mpsc::Sender<Ended>,
}

/// Starts the step's thread; it tells its end exactly once.
pub(super) fn start(job: Job) {
    let (index, told, execution) = (job.index, job.told.clone(), job.execution.clone());
    let thread = thread::Builder::new().name(format!("step-{}", job.order.name)).spawn(move || {
        let (index, told, runtime) = (job.index, job.told.clone(), job.runtime.clone());
        let end = job.run();
        // The collector may have given up on this step.
        let _ = runtime.block_on(told.send(Ended::Step(index, end)));
    });
    if let Err(error) = thread {
        let failure = failure(FailureKind::Runtime, "thread", format!("starting a thread for the step: {error}"));
        execution.fail(index, failure.clone());
        // The channel has a place for every step.
        let _ = told.try_send(Ended::Step(index, End::Failed(Box::new(failure))));
    }
}

impl Job {
    fn run(self) -> End {
        let Self { index, order, key, ends, surroundings, execution, scratch, runtime, .. } = self;
        let Ends { inputs, outputs, consumers } = ends;
        let progress = execution.progress(index);
        let mut output = Output::new(outputs, Arc::clone(&progress), runtime.clone());
        let inputs = inputs.into_iter().map(|(name, input)| (name, input.counted(Arc::clone(&progress)))).collect();
        let context = context(&order, key, &surroundings, &execution, index, scratch, &runtime);
        let say = Arc::clone(&context.log);
        say(LogLevel::Debug, "step starts".to_owned());
        let result = catch_unwind(AssertUnwindSafe(|| {
            std::fs::create_dir_all(&context.scratch).map_err(|error| scratch_failed(&context, &error))?;
            act(&order, inputs, &mut output, &context, &surroundings, &runtime)
        }));
        let result = result.unwrap_or_else(|panic| {
            let message = format!("step `{}` met a bug in the agent: {}", order.name, words(panic.as_ref()));
            surroundings.log(key, Some(&order.name), LogLevel::Error, Some(event::UNCAUGHT_EXCEPTION), message.clone());
            Err(Error::permanent(FailureKind::Runtime, "uncaught_exception", message)
                .advise("report this with the agent's log file"))
        });
        record(&order, &execution, index, &surroundings);
        // Told before the edges are let go, so that neighbours find the reason in place.
        if let Err(Error::Failed(failure)) = &result {
            execution.fail(index, (**failure).clone());
        }
        let result = match result {
            Ok(already_committed) => output.finish().map(|()| already_committed).map_err(Error::Edge),
            Err(error) => {
                let why = execution.words().map_or_else(|| error.to_string(), ToOwned::to_owned);
                output.abort(&why);
                Err(error)
            }
        };
        match result {
            Ok(already_committed) => End::Done { already_committed },
            Err(Error::Cancelled) => End::Stopped,
            Err(Error::Edge(error)) => End::Broken { error, consumers },
            Err(Error::Failed(failure)) => End::Failed(failure),
        }
    }
}

/// The end of the step's use of a connection; the site's ledger has those that moved nothing too.
fn record(order: &StepOrder, execution: &Execution, index: usize, surroundings: &Surroundings) {
    // What is over the measure now is for the next step.
    let _ = execution.measure(index);
    let counts = execution.progress(index).counts();
    if let Some(entry) = metered::entry(order, execution, counts, surroundings.clock.now()) {
        surroundings.egress.note_blocking(entry);
    }
}

fn context(
    order: &StepOrder,
    key: AttemptKey,
    surroundings: &Surroundings,
    execution: &Execution,
    index: usize,
    scratch: PathBuf,
    runtime: &Handle,
) -> Context {
    let name = order.name.clone();
    let lines = surroundings.clone();
    let log: LogSink = Arc::new(move |level, message| lines.log(key, Some(&name), level, None, message));
    Context {
        cancel: execution.ending().cancel,
        progress: execution.progress(index),
        reach: way::reach(order, surroundings, &log, runtime),
        log,
        scratch,
        site: Arc::clone(&surroundings.site),
        checkpointing: checkpointing(order, execution),
        provenance: Arc::new(Provenance {
            task: execution.task().to_owned(),
            run: key.run.to_string(),
            step: order.name.clone(),
        }),
        commit: CommitKey {
            key: format!("{}/{}/{}", key.run, key.pipeline, order.name),
            attempt: key.attempt,
            fence: key.fence,
        },
    }
}

/// A back-fill leaves the checkpoint alone: only its source knows of it.
fn checkpointing(order: &StepOrder, execution: &Execution) -> Option<Checkpointing> {
    let reads = order.inputs.is_empty();
    execution.checkpointing().filter(|one| reads || one.order.backfill.is_none()).cloned()
}

/// Does the step's work; says whether an earlier attempt had already committed it.
fn act(
    order: &StepOrder,
    mut inputs: Vec<(String, Input)>,
    output: &mut Output,
    context: &Context,
    surroundings: &Surroundings,
    runtime: &Handle,
) -> Result<bool, Error> {
    match &order.action {
        Action::Connector { kind, connection, settings } => {
            permitted(kind, order.through.is_some(), surroundings)?;
            match inputs.pop() {
                None => read(kind, connection.as_ref(), settings, output, context),
                Some((_, input)) => write(kind, connection.as_ref(), settings, input, context),
            }
        }
        Action::Unknown => {
            let message = "the server asks for an action that this agent does not know";
            Err(Error::permanent(FailureKind::Runtime, "agent_too_old", message)
                .advise("update the agent: download it again from the server"))
        }
        Action::Transform { sql } => transform(sql, inputs, output, context, surroundings.transform_memory, runtime),
    }
}

fn read(
    kind: &str,
    connection: Option<&ConnectionOrder>,
    settings: &Value,
    output: &mut Output,
    context: &Context,
) -> Result<bool, Error> {
    sallyport_connectors::source(kind, connection, settings)?.read(output, context)?;
    Ok(false)
}

fn write(
    kind: &str,
    connection: Option<&ConnectionOrder>,
    settings: &Value,
    mut input: Input,
    context: &Context,
) -> Result<bool, Error> {
    let sink = sallyport_connectors::sink(kind, connection, settings)?;
    let keeps_none = context.checkpointing.as_ref().filter(|_| !sink.keeps_checkpoint());
    if let Some(checkpointing) = keeps_none {
        input.resume(checkpointing.order.checkpoint.clone());
    }
    let written = sink.write(&mut input, context)?;
    if let (Some(checkpointing), Some(mark), false) = (keeps_none, input.marked().get(), written.already_committed) {
        checkpointing.note(0, mark, context.progress.counts().rows_out);
    }
    Ok(written.already_committed)
}

fn transform(
    sql: &str,
    inputs: Vec<(String, Input)>,
    output: &mut Output,
    context: &Context,
    memory_bytes: usize,
    runtime: &Handle,
) -> Result<bool, Error> {
    let marks: Vec<Marked> = inputs.iter().map(|(_, input)| input.marked()).collect();
    if context.checkpointing.is_some() {
        let resumed = output.resumed(&context.cancel);
        context.cancel.check()?;
        let resumed = resumed?;
        inputs.iter().for_each(|(_, input)| input.resume(resumed.clone()));
    }
    let scratch = &context.scratch;
    let may = sallyport_transform::Surroundings { memory_bytes, spill_bytes: SPILL_BYTES_MAX, scratch, runtime };
    match sallyport_transform::run(sql, inputs, output, &context.cancel, may) {
        Ok(()) => {
            pass_on(&marks, output)?;
            Ok(false)
        }
        Err(sallyport_transform::Error::Cancelled) => Err(Error::Cancelled),
        Err(sallyport_transform::Error::Edge(error)) => Err(Error::Edge(error)),
        Err(sallyport_transform::Error::Query { code, message, advice }) => {
            Err(Error::permanent(FailureKind::Runtime, code, message).advise(advice))
        }
    }
}

/// A query's rows cannot be told apart by where they came from: only behind the last of them is a mark true. Inputs that
/// reach differently far say nothing.
fn pass_on(marks: &[Marked], output: &mut Output) -> Result<(), Error> {
    let mut reached = marks.iter().filter_map(Marked::get);
    match reached.next() {
        Some(first) if reached.all(|other| other == first) => Ok(output.mark(&first)?),
        _ => Ok(()),
    }
}

/// The site says which connectors may be used. The platform's own agent serves built-in ones, and reaches no other host
/// itself.
pub(super) fn permitted(kind: &str, through: bool, surroundings: &Surroundings) -> Result<(), Error> {
    let may = surroundings.site.policy.now().may_use(kind).and_then(|()| surroundings.egress.may_move());
    let may = may.and_then(|()| if through { surroundings.site.policy.now().may_go_through() } else { Ok(()) });
    may.map_err(|refused| Error::not_allowed(&refused))?;
    if !surroundings.background {
        return Ok(());
    }
    let known = sallyport_connectors::catalog().into_iter().find(|descriptor| descriptor.kind == kind);
    match known.map(|descriptor| descriptor.background_refuses(through)) {
        None => Err(Error::unknown_connector(kind)),
        Some(None) => Ok(()),
        Some(Some(why)) => Err(Error::permanent(
            FailureKind::Runtime,
            "background_agent_refuses",
            format!("the background agent does not serve connector `{kind}`: {why}"),
        )
        .advise("give the step a remote agent")),
    }
}

fn scratch_failed(context: &Context, error: &std::io::Error) -> Error {
    let message = format!("making the scratch folder {}: {error}", context.scratch.display());
    Error::permanent(FailureKind::Runtime, "scratch_folder", message)
}

/// The words of a panic.
pub(crate) fn words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
