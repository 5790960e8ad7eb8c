//! A bounded edge between two steps: a schema, then batches, then the end, or the news that the other side is gone.
//!
//! Both ends work from threads and from async code. The bound is in batches and in bytes: whichever is reached first
//! makes the producer wait.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::Progress;

/// Batches in flight on one edge: enough to keep both ends busy, few enough that a stop is quick.
pub const EDGE_BATCHES_MAX: usize = 8;

/// Bytes in flight on one edge. A single larger batch passes alone.
pub const EDGE_BYTES_MAX: usize = 16 * 1024 * 1024;

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
    /// The producer failed and said why.
    #[error("{0}")]
    Aborted(String),
}

enum Item {
    Schema(SchemaRef),
    Batch(RecordBatch, OwnedSemaphorePermit),
    End,
    Abort(String),
}

/// Makes an edge.
pub fn edge() -> (Producer, Input) {
    let (sender, receiver) = mpsc::channel(EDGE_BATCHES_MAX);
    let bytes = Arc::new(Semaphore::new(EDGE_BYTES_MAX / KIB));
    let producer = Producer { sender, bytes };
    (producer, Input { receiver, schema: None, ended: false, progress: None })
}

/// The giving end of one edge.
pub struct Producer {
    sender: mpsc::Sender<Item>,
    bytes: Arc<Semaphore>,
}

impl Producer {
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
    schema: Option<SchemaRef>,
    ended: bool,
    progress: Option<Arc<Progress>>,
}

impl Input {
    /// Counts what is taken.
    #[must_use]
    pub fn counted(mut self, progress: Arc<Progress>) -> Self {
        self.progress = Some(progress);
        self
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
            Some(Item::Batch(..) | Item::End) | None => Err(EdgeError::ProducerGone),
        }
    }

    fn following(&mut self, item: Option<Item>) -> Result<Option<RecordBatch>, EdgeError> {
        match item {
            Some(Item::Batch(batch, permit)) => {
                drop(permit);
                if let Some(progress) = &self.progress {
                    progress.add_rows_in(batch.num_rows() as u64);
                }
                Ok(Some(batch))
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
