//! A bounded edge between two steps: a schema, then batches, then the end, or the news that the other side is gone.
//!
//! In an incremental pipeline two more things pass: backwards, once, where the source is to go on; forwards, marks that
//! say how far the rows before them reach.
//!
//! Both ends work from threads and from async code. The bound is in batches and in bytes: whichever is reached first
//! makes the producer wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use sallyport_protocol::Checkpoint;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::{Cancel, Progress};

/// Batches in flight on one edge: enough to keep both ends busy, few enough that a stop is quick.
pub const EDGE_BATCHES_MAX: usize = 8;

/// Bytes in flight on one edge. A single larger batch passes alone.
pub const EDGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long a source waits to be told where to go on: the sink may have to wait for an older attempt to let go of the
/// target.
const RESUME_MAX: Duration = Duration::from_secs(600);

const KIB: usize = 1024;

/// Why an edge ended before its time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EdgeError {
    /// The consumer does not take more: it failed or was cancelled.
    #[error("the step that takes the rows has stopped")]
    ConsumerGone,
    /// The producer ended without saying that it was done: its rows are incomplete.
    #[error("the step that gives the rows stopped before its end")]
    ProducerGone,
    /// Nobody said where the rows are to go on.
    #[error("the step that writes did not say where to go on within {} s; is its agent up to date?", RESUME_MAX.as_secs())]
    NoResume,
    /// The producer failed and said why.
    #[error("{0}")]
    Aborted(String),
}

enum Item {
    Schema(SchemaRef),
    Batch(RecordBatch, OwnedSemaphorePermit),
    Mark(Checkpoint),
    End,
    Abort(String),
}

/// Makes an edge.
pub fn edge() -> (Producer, Input) {
    let (sender, receiver) = mpsc::channel(EDGE_BATCHES_MAX);
    let bytes = Arc::new(Semaphore::new(EDGE_BYTES_MAX / KIB));
    let (resume, resumed) = watch::channel(None);
    let producer = Producer { sender, bytes, resumed };
    let input = Input { receiver, resume, schema: None, ended: false, progress: None, marked: Marked::default() };
    (producer, input)
}

/// What comes out of an edge after the schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// Rows.
    Batch(RecordBatch),
    /// All rows up to this checkpoint have been given.
    Mark(Checkpoint),
}

/// The newest mark that came out of an edge. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Marked(Arc<Mutex<Option<Checkpoint>>>);

impl Marked {
    /// The mark, once there is one.
    pub fn get(&self) -> Option<Checkpoint> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, checkpoint: Checkpoint) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(checkpoint);
    }
}

/// The giving end of one edge.
pub struct Producer {
    sender: mpsc::Sender<Item>,
    bytes: Arc<Semaphore>,
    resumed: watch::Receiver<Option<Option<Checkpoint>>>,
}

impl Producer {
    /// Waits until the consumer says where to go on: behind a checkpoint, or from the start.
    pub async fn resumed(&self) -> Result<Option<Checkpoint>, EdgeError> {
        let mut resumed = self.resumed.clone();
        let said = resumed.wait_for(Option::is_some).await.map_err(|_| EdgeError::ConsumerGone)?;
        Ok(said.clone().flatten())
    }

    /// Says that all rows up to the checkpoint were given.
    pub async fn mark(&self, checkpoint: Checkpoint) -> Result<(), EdgeError> {
        self.put(Item::Mark(checkpoint)).await
    }

    /// Says what the rows look like; must come first, once.
    pub async fn start(&self, schema: SchemaRef) -> Result<(), EdgeError> {
        self.put(Item::Schema(schema)).await
    }

    /// Gives a batch; waits while the edge is full.
    pub async fn send(&self, batch: RecordBatch) -> Result<(), EdgeError> {
        let permit = self.room(&batch).await?;
        self.put(Item::Batch(batch, permit)).await
    }

    /// Says that every row was given. An edge dropped without it counts as broken.
    pub async fn finish(self) -> Result<(), EdgeError> {
        self.put(Item::End).await
    }

    /// Says that no more rows come and why.
    pub async fn abort(self, why: String) {
        // A consumer that is gone needs no reason.
        let _ = self.put(Item::Abort(why)).await;
    }

    async fn put(&self, item: Item) -> Result<(), EdgeError> {
        self.sender.send(item).await.map_err(|_| EdgeError::ConsumerGone)
    }

    async fn room(&self, batch: &RecordBatch) -> Result<OwnedSemaphorePermit, EdgeError> {
        let kib = payload_bytes(batch).div_ceil(KIB).clamp(1, EDGE_BYTES_MAX / KIB);
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.bytes).acquire_many_owned(kib);
        tokio::select! {
            permit = room => permit.map_err(|_| EdgeError::ConsumerGone),
            () = self.sender.closed() => Err(EdgeError::ConsumerGone),
        }
    }
}

/// The bytes of a batch's own rows: arrays that came from one message share its memory, which must not count for each.
pub fn payload_bytes(batch: &RecordBatch) -> usize {
    let column = |column: &arrow_array::ArrayRef| {
        column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size())
    };
    batch.columns().iter().map(column).sum()
}

/// The giving end of a step: every consumer gets every batch. For threads.
///
/// A consumer that is gone is passed over while others remain: it may have all that it needs. One that failed makes
/// its pipeline stop by the stop signal, not by its edge.
pub struct Output {
    producers: Vec<Producer>,
    progress: Arc<Progress>,
    runtime: tokio::runtime::Handle,
}

impl Output {
    /// Joins the edges to a step's consumers. Without any, rows are counted and dropped.
    pub fn new(producers: Vec<Producer>, progress: Arc<Progress>, runtime: tokio::runtime::Handle) -> Self {
        Self { producers, progress, runtime }
    }

    /// Says what the rows look like; must come first, once.
    pub fn start(&mut self, schema: &SchemaRef) -> Result<(), EdgeError> {
        self.each(|producer, runtime| runtime.block_on(producer.start(Arc::clone(schema))))
    }

    /// Gives a batch to every consumer; blocks while one of them is full.
    pub fn send(&mut self, batch: RecordBatch) -> Result<(), EdgeError> {
        self.progress.add_rows_out(batch.num_rows() as u64);
        self.each(|producer, runtime| runtime.block_on(producer.send(batch.clone())))
    }

    /// Waits until the sink at the other end says where to go on; `None` for the start, and where nothing takes the rows.
    pub fn resumed(&self, cancel: &Cancel) -> Result<Option<Checkpoint>, EdgeError> {
        let Some(producer) = self.producers.first() else { return Ok(None) };
        self.runtime.block_on(async {
            tokio::select! {
                said = producer.resumed() => said,
                () = cancel.cancelled() => Err(EdgeError::ConsumerGone),
                () = tokio::time::sleep(RESUME_MAX) => Err(EdgeError::NoResume),
            }
        })
    }

    /// Says that all rows up to the checkpoint were given.
    pub fn mark(&mut self, checkpoint: &Checkpoint) -> Result<(), EdgeError> {
        self.each(|producer, runtime| runtime.block_on(producer.mark(checkpoint.clone())))
    }

    /// Says that every row was given.
    pub fn finish(self) -> Result<(), EdgeError> {
        for producer in self.producers {
            match self.runtime.block_on(producer.finish()) {
                Ok(()) | Err(EdgeError::ConsumerGone) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Says that no more rows come and why.
    pub fn abort(self, why: &str) {
        for producer in self.producers {
            self.runtime.block_on(producer.abort(why.to_owned()));
        }
    }

    fn each(
        &mut self,
        give: impl Fn(&Producer, &tokio::runtime::Handle) -> Result<(), EdgeError>,
    ) -> Result<(), EdgeError> {
        let had_consumers = !self.producers.is_empty();
        let mut failed = None;
        let runtime = &self.runtime;
        self.producers.retain(|producer| match give(producer, runtime) {
            Ok(()) => true,
            Err(EdgeError::ConsumerGone) => false,
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        match failed {
            Some(error) => Err(error),
            None if had_consumers && self.producers.is_empty() => Err(EdgeError::ConsumerGone),
            None => Ok(()),
        }
    }
}

/// The taking end of one edge.
pub struct Input {
    receiver: mpsc::Receiver<Item>,
    resume: watch::Sender<Option<Option<Checkpoint>>>,
    schema: Option<SchemaRef>,
    ended: bool,
    progress: Option<Arc<Progress>>,
    marked: Marked,
}

impl Input {
    /// Counts what is taken.
    #[must_use]
    pub fn counted(mut self, progress: Arc<Progress>) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Tells the source where to go on: behind a checkpoint, or from the start. The first word counts.
    pub fn resume(&self, checkpoint: Option<Checkpoint>) {
        self.resume.send_if_modified(|said| {
            let first = said.is_none();
            if first {
                *said = Some(checkpoint);
            }
            first
        });
    }

    /// The newest mark that came out, also after this end is gone.
    pub fn marked(&self) -> Marked {
        self.marked.clone()
    }

    /// What the rows look like; blocks until the producer has said it. For threads.
    pub fn schema(&mut self) -> Result<SchemaRef, EdgeError> {
        if let Some(schema) = &self.schema {
            return Ok(Arc::clone(schema));
        }
        let item = self.receiver.blocking_recv();
        self.first(item)
    }

    /// The next batch, `None` after the last; blocks. For threads.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, EdgeError> {
        loop {
            match self.next_given()? {
                Some(Given::Batch(batch)) => return Ok(Some(batch)),
                Some(Given::Mark(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// The next batch or mark, `None` after the last; blocks. For threads.
    pub fn next_given(&mut self) -> Result<Option<Given>, EdgeError> {
        self.schema()?;
        if self.ended {
            return Ok(None);
        }
        let item = self.receiver.blocking_recv();
        self.following(item)
    }

    /// As [`Input::schema`], for async code.
    pub async fn schema_async(&mut self) -> Result<SchemaRef, EdgeError> {
        if let Some(schema) = &self.schema {
            return Ok(Arc::clone(schema));
        }
        let item = self.receiver.recv().await;
        self.first(item)
    }

    /// As [`Input::next_batch`], for async code. Cancel-safe.
    pub async fn next_batch_async(&mut self) -> Result<Option<RecordBatch>, EdgeError> {
        loop {
            match self.next_given_async().await? {
                Some(Given::Batch(batch)) => return Ok(Some(batch)),
                Some(Given::Mark(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// As [`Input::next_given`], for async code. Cancel-safe.
    pub async fn next_given_async(&mut self) -> Result<Option<Given>, EdgeError> {
        self.schema_async().await?;
        if self.ended {
            return Ok(None);
        }
        let item = self.receiver.recv().await;
        self.following(item)
    }

    fn first(&mut self, item: Option<Item>) -> Result<SchemaRef, EdgeError> {
        match item {
            Some(Item::Schema(schema)) => {
                self.schema = Some(Arc::clone(&schema));
                Ok(schema)
            }
            Some(Item::Abort(why)) => Err(EdgeError::Aborted(why)),
            Some(Item::Batch(..) | Item::Mark(_) | Item::End) | None => Err(EdgeError::ProducerGone),
        }
    }

    fn following(&mut self, item: Option<Item>) -> Result<Option<Given>, EdgeError> {
        match item {
            Some(Item::Batch(batch, permit)) => {
                drop(permit);
                if let Some(progress) = &self.progress {
                    progress.add_rows_in(batch.num_rows() as u64);
                }
                Ok(Some(Given::Batch(batch)))
            }
            Some(Item::Mark(checkpoint)) => {
                self.marked.set(checkpoint.clone());
                Ok(Some(Given::Mark(checkpoint)))
            }
            Some(Item::End) => {
                self.ended = true;
                Ok(None)
            }
            Some(Item::Abort(why)) => Err(EdgeError::Aborted(why)),
            Some(Item::Schema(_)) | None => Err(EdgeError::ProducerGone),
        }
    }
}
