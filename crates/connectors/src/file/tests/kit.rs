//! What the tests of this connector share: steps that run in a folder of their own.

use std::sync::{Arc, Mutex};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use sallyport_dataplane::{Cancel, EdgeError, Output, Progress, edge};
use sallyport_protocol::LogLevel;
use serde_json::Value;

use crate::{CommitKey, Context, Error, Provenance, Site};

/// A folder with a files root and all that a step needs.
pub(crate) struct Kit {
    _folder: tempfile::TempDir,
    pub(crate) log: Arc<Mutex<Vec<String>>>,
    pub(crate) cx: Context,
    runtime: tokio::runtime::Runtime,
}

impl Kit {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        let scratch = folder.path().join("scratch");
        let files_root = folder.path().join("files");
        std::fs::create_dir(&scratch).unwrap();
        std::fs::create_dir(&files_root).unwrap();
        let cx = Context {
            cancel: Cancel::new(),
            progress: Arc::new(Progress::default()),
            log: Arc::new(move |_: LogLevel, line: String| lines.lock().unwrap().push(line)),
            scratch,
            site: Arc::new(Site { files_root, ..Site::default() }),
            reach: crate::Reach::Direct,
            commit: CommitKey { key: "run/step".into(), attempt: 1, fence: 1 },
            checkpointing: None,
            provenance: Arc::new(Provenance { task: "copy".into(), run: "run_1".into(), step: "write".into() }),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        Self { _folder: folder, log, cx, runtime }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.cx.site.files_root.join(name)
    }

    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// All names in the files root, at any depth.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut folders = vec![self.cx.site.files_root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    names.push(path.strip_prefix(&self.cx.site.files_root).unwrap().to_string_lossy().into_owned());
                }
            }
        }
        names.sort();
        names
    }

    /// Reads with a connector into one batch.
    pub(crate) fn read(&self, kind: &str, with: &Value) -> Result<RecordBatch, Error> {
        self.read_from(kind, None, with)
    }

    pub(crate) fn read_from(
        &self,
        kind: &str,
        connection: Option<&sallyport_protocol::ConnectionOrder>,
        with: &Value,
    ) -> Result<RecordBatch, Error> {
        let source = crate::source(kind, connection, with)?;
        let (producer, mut input) = edge();
        let mut output = Output::new(vec![producer], Arc::clone(&self.cx.progress), self.runtime.handle().clone());
        let cx = self.cx.clone();
        let thread = std::thread::spawn(move || {
            let result = source.read(&mut output, &cx);
            match &result {
                Ok(()) => output.finish().unwrap_or_default(),
                Err(error) => output.abort(&error.to_string()),
            }
            result
        });
        let mut batches = Vec::new();
        let schema = input.schema();
        while let Ok(Some(batch)) = input.next_batch() {
            batches.push(batch);
        }
        thread.join().unwrap()?;
        Ok(concat_batches(&schema.unwrap(), &batches).unwrap())
    }

    /// Writes batches with a connector; `end` says how the input ends.
    pub(crate) fn write_to(
        &self,
        kind: &str,
        connection: Option<&sallyport_protocol::ConnectionOrder>,
        with: &Value,
        schema: &SchemaRef,
        batches: Vec<RecordBatch>,
        end: End,
    ) -> Result<crate::Written, Error> {
        let sink = crate::sink(kind, connection, with)?;
        let (producer, mut input) = edge();
        let schema = Arc::clone(schema);
        let cancel = self.cx.cancel.clone();
        let feeder = self.runtime.spawn(async move {
            producer.start(schema).await?;
            for batch in batches {
                producer.send(batch).await?;
            }
            match end {
                End::Good => return producer.finish().await,
                End::Broken => drop(producer),
                End::Cancelled => {
                    cancel.cancel();
                    producer.abort("cancelled".into()).await;
                }
            }
            Ok(())
        });
        let result = sink.write(&mut input, &self.cx);
        drop(input);
        let _: Result<Result<(), EdgeError>, _> = self.runtime.block_on(feeder);
        result
    }

    /// Reads and writes with one connector at the same time, as one pipeline does.
    pub(crate) fn copy(
        &self,
        kind: &str,
        connection: &sallyport_protocol::ConnectionOrder,
        from: &Value,
        to: &Value,
    ) -> Result<crate::Written, Error> {
        let source = crate::source(kind, Some(connection), from)?;
        let sink = crate::sink(kind, Some(connection), to)?;
        let (producer, mut input) = edge();
        let mut output = Output::new(vec![producer], Arc::clone(&self.cx.progress), self.runtime.handle().clone());
        let cx = self.cx.clone();
        let thread = std::thread::spawn(move || {
            source.read(&mut output, &cx)?;
            output.finish().map_err(Error::from)
        });
        let written = sink.write(&mut input, &self.cx);
        thread.join().unwrap()?;
        written
    }

    pub(crate) fn write(&self, kind: &str, with: &Value, batch: &RecordBatch) -> Result<crate::Written, Error> {
        self.write_to(kind, None, with, &batch.schema(), vec![batch.clone()], End::Good)
    }
}

/// How an input ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Good,
    Broken,
    Cancelled,
}

/// A failure's code and message.
pub(crate) fn failure<T: std::fmt::Debug>(result: Result<T, Error>) -> (String, String) {
    match result.unwrap_err() {
        Error::Failed(failure) => {
            (failure.code.clone(), format!("{} {}", failure.message, failure.advice.unwrap_or_default()))
        }
        other => panic!("not a failure: {other:?}"),
    }
}
