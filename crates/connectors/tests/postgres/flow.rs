//! Runs sources and sinks as an agent does.

use std::sync::{Arc, Mutex};
use std::thread;

use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::SchemaRef;
use sallyport_connectors::{CommitKey, Context, Error, Site, Written};
use sallyport_dataplane::{Cancel, Output, Progress, edge};
use sallyport_protocol::{ConnectionOrder, Failure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A step's surroundings.
pub(crate) struct Step {
    pub(crate) cx: Context,
    pub(crate) log: Arc<Mutex<Vec<String>>>,
    pub(crate) files: TempDir,
    runtime: Runtime,
}

impl Step {
    pub(crate) fn new() -> Self {
        Self::attempt("run/step", 1)
    }

    /// The given attempt at the step that `key` names.
    pub(crate) fn attempt(key: &str, attempt: u32) -> Self {
        let files = tempfile::tempdir().expect("a folder");
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        let cx = Context {
            cancel: Cancel::new(),
            progress: Arc::new(Progress::default()),
            log: Arc::new(move |_, line| lines.lock().expect("the log").push(line)),
            scratch: files.path().join("scratch"),
            site: Arc::new(Site { files_root: files.path().to_owned(), ..Site::default() }),
            reach: sallyport_connectors::Reach::Direct,
            commit: CommitKey { key: key.to_owned(), attempt, fence: u64::from(attempt) },
            checkpointing: None,
            provenance: Arc::default(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
        Self { cx, log, files, runtime }
    }

    /// Reads everything.
    pub(crate) fn read(&self, connection: &ConnectionOrder, with: Value) -> Result<Rows, Error> {
        self.read_with(connection, with, |_| {})
    }

    /// Reads everything; `seen` is called for each batch.
    pub(crate) fn read_with(
        &self,
        connection: &ConnectionOrder,
        with: Value,
        mut seen: impl FnMut(&RecordBatch),
    ) -> Result<Rows, Error> {
        let source = sallyport_connectors::source("postgres", Some(connection), &with)?;
        let (producer, mut input) = edge();
        let mut output = Output::new(vec![producer], Arc::clone(&self.cx.progress), self.runtime.handle().clone());
        thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let outcome = source.read(&mut output, &self.cx);
                match &outcome {
                    Ok(()) => output.finish().expect("a consumer"),
                    Err(error) => output.abort(&error.to_string()),
                }
                outcome
            });
            let mut batches = Vec::new();
            let schema = input.schema();
            while let Ok(Some(batch)) = input.next_batch() {
                seen(&batch);
                batches.push(batch);
            }
            reader.join().expect("no panic")?;
            Ok(Rows { schema: schema.expect("a schema"), batches })
        })
    }

    /// Reads until so many batches have come, then stops taking them.
    pub(crate) fn read_until(&self, connection: &ConnectionOrder, with: Value, batches: usize) -> Result<(), Error> {
        let source = sallyport_connectors::source("postgres", Some(connection), &with)?;
        let (producer, mut input) = edge();
        let mut output = Output::new(vec![producer], Arc::clone(&self.cx.progress), self.runtime.handle().clone());
        thread::scope(|scope| {
            let reader = scope.spawn(move || source.read(&mut output, &self.cx));
            for _ in 0..batches {
                input.next_batch().expect("a batch");
            }
            drop(input);
            reader.join().expect("no panic")
        })
    }

    /// Writes the rows.
    pub(crate) fn write(&self, connection: &ConnectionOrder, with: Value, rows: &Rows) -> Result<Written, Error> {
        self.write_with(connection, with, rows, Ending::Finish, |_| {})
    }

    /// Writes the rows; `between` is called before each batch, and the input ends as `ending` says.
    pub(crate) fn write_with(
        &self,
        connection: &ConnectionOrder,
        with: Value,
        rows: &Rows,
        ending: Ending,
        mut between: impl FnMut(usize) + Send,
    ) -> Result<Written, Error> {
        let sink = sallyport_connectors::sink("postgres", Some(connection), &with)?;
        let (producer, mut input) = edge();
        let handle = self.runtime.handle().clone();
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut output = Output::new(vec![producer], Arc::default(), handle);
                // A sink that fails takes no more.
                let _ = output.start(&rows.schema);
                for (number, batch) in rows.batches.iter().enumerate() {
                    between(number);
                    let _ = output.send(batch.clone());
                }
                match ending {
                    Ending::Finish => drop(output.finish()),
                    Ending::Abort => output.abort("the source died"),
                }
            });
            let outcome = sink.write(&mut input, &self.cx);
            // Lets the giving side go on, as the agent does.
            drop(input);
            outcome
        })
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Ending {
    Finish,
    Abort,
}

/// What was read, or is to be written.
pub(crate) struct Rows {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
}

impl Rows {
    pub(crate) fn of(batch: RecordBatch) -> Self {
        Self { schema: batch.schema(), batches: vec![batch] }
    }

    pub(crate) fn count(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Every row as text, `|` between values.
    pub(crate) fn lines(&self) -> Vec<String> {
        let options = FormatOptions::default().with_null("∅");
        let mut lines = Vec::new();
        for batch in &self.batches {
            let columns: Vec<_> = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column, &options).expect("a column with a text"))
                .collect();
            for row in 0..batch.num_rows() {
                lines.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"));
            }
        }
        lines
    }
}

/// The failure of a step that was expected to fail by itself.
pub(crate) fn failure<T>(outcome: Result<T, Error>) -> Failure {
    match outcome {
        Err(Error::Failed(failure)) => *failure,
        Err(other) => panic!("expected a failure, got {other:?}"),
        Ok(_) => panic!("expected a failure"),
    }
}
