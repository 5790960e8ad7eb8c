//! Runs a source and a sink as a pipeline, as an agent does, and breaks it where a test wants.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use sallyport_connectors::{Checkpointing, CommitKey, Context, Error, Site, Written};
use sallyport_dataplane::{Cancel, Given, Input, Output, Progress, edge};
use sallyport_protocol::{Backfill, Checkpoint, Committed, ConnectionOrder, Incremental};
use serde_json::Value;
use tokio::runtime::Runtime;

/// One end of a pipeline.
pub(crate) struct End<'a> {
    pub(crate) kind: &'a str,
    pub(crate) connection: Option<&'a ConnectionOrder>,
    pub(crate) with: Value,
}

/// One attempt of one run.
pub(crate) struct Attempt {
    pub(crate) fence: u64,
    pub(crate) epoch: u64,
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) backfill: Option<Backfill>,
}

impl Attempt {
    pub(crate) fn new(fence: u64) -> Self {
        Self { fence, epoch: 1, checkpoint: None, backfill: None }
    }
}

/// How it ended.
pub(crate) struct Outcome {
    pub(crate) read: Result<(), Error>,
    pub(crate) written: Result<Written, Error>,
    pub(crate) committed: Option<Committed>,
    /// Rows that the source gave.
    pub(crate) rows: u64,
    pub(crate) log: Vec<String>,
}

impl Outcome {
    /// Of an attempt that went well: the rows it gave.
    pub(crate) fn good(self) -> u64 {
        self.read.unwrap();
        self.written.unwrap();
        self.rows
    }
}

/// Runs the pipeline. `between` is called before each batch or mark is passed on, with its number and what the sink has
/// committed so far; the stream breaks where it says false.
pub(crate) fn run(
    source: &End<'_>,
    sink: &End<'_>,
    files: &Path,
    attempt: &Attempt,
    between: &mut (dyn FnMut(usize, &Checkpointing) -> bool + Send),
) -> Outcome {
    let order = Incremental {
        stream: "task/read/write".into(),
        epoch: attempt.epoch,
        fence: attempt.fence,
        checkpoint: attempt.checkpoint.clone(),
        backfill: attempt.backfill.clone(),
    };
    let checkpointing = Checkpointing::new(order);
    let log = Arc::new(Mutex::new(Vec::new()));
    let context = |checkpointing: Option<Checkpointing>| {
        let lines = Arc::clone(&log);
        Context {
            cancel: Cancel::new(),
            progress: Arc::new(Progress::default()),
            log: Arc::new(move |_, line| lines.lock().unwrap().push(line)),
            scratch: files.join("scratch"),
            site: Arc::new(Site { files_root: files.to_owned(), ..Site::default() }),
            reach: sallyport_connectors::Reach::Direct,
            commit: CommitKey { key: format!("run {}/write", attempt.fence), attempt: 1, fence: 1 },
            checkpointing,
            provenance: Arc::default(),
        }
    };
    let reading = sallyport_connectors::source(source.kind, source.connection, &source.with).unwrap();
    let writing = sallyport_connectors::sink(sink.kind, sink.connection, &sink.with).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let ((from_source, middle), (to_sink, mut input)) = (edge(), edge());
    let (source_cx, sink_cx) = (
        context(Some(checkpointing.clone())),
        context(Some(checkpointing.clone()).filter(|_| attempt.backfill.is_none())),
    );
    let mut output = Output::new(vec![from_source], Arc::clone(&source_cx.progress), runtime.handle().clone());
    let (read, written) = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let read = reading.read(&mut output, &source_cx);
            match &read {
                Ok(()) => output.finish().unwrap_or_default(),
                Err(error) => output.abort(&error.to_string()),
            }
            read
        });
        let passing = scope.spawn(|| pass(middle, to_sink, &runtime, &checkpointing, between));
        if let Some(checkpointing) = sink_cx.checkpointing.as_ref().filter(|_| !writing.keeps_checkpoint()) {
            input.resume(checkpointing.order.checkpoint.clone());
        }
        let written = writing.write(&mut input, &sink_cx);
        // Lets the giving side go on.
        drop(input);
        passing.join().unwrap();
        (reader.join().unwrap(), written)
    });
    let rows = source_cx.progress.counts().rows_out;
    let log = log.lock().unwrap().clone();
    Outcome { read, written, committed: checkpointing.committed(), rows, log }
}

/// Passes rows on as a stream does, and lets go of both ends where it is to break.
fn pass(
    mut middle: Input,
    to_sink: sallyport_dataplane::Producer,
    runtime: &Runtime,
    checkpointing: &Checkpointing,
    between: &mut (dyn FnMut(usize, &Checkpointing) -> bool + Send),
) {
    runtime.block_on(async {
        if checkpointing.order.backfill.is_none() {
            let Ok(resumed) = to_sink.resumed().await else { return };
            middle.resume(resumed);
        }
        let Ok(schema) = middle.schema_async().await else { return to_sink.abort("no schema".into()).await };
        let _ = to_sink.start(schema).await;
        for number in 0.. {
            let given = match middle.next_given_async().await {
                Ok(Some(given)) => given,
                Ok(None) => break,
                Err(error) => return to_sink.abort(error.to_string()).await,
            };
            if !tokio::task::block_in_place(|| between(number, checkpointing)) {
                return;
            }
            let passed = match given {
                Given::Batch(batch) => to_sink.send(batch).await,
                Given::Mark(mark) => to_sink.mark(mark).await,
            };
            if passed.is_err() {
                return;
            }
        }
        let _ = to_sink.finish().await;
    });
    // What is dropped here breaks the source.
}
