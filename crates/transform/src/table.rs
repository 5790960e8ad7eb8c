//! An input as a table. Its rows come once; a plan may want them never, once, or several times.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures_util::stream;
use sallyport_dataplane::Input;

use crate::Error;
use crate::fifo::{self, Disk, Reader};

/// Rows for one scan of the table.
enum Rows {
    /// Straight from the edge: the query has one input and reads it once, so nothing can wait for anything else.
    Direct(Input),
    /// Through a queue that overflows to disk: the plan may read one input to its end before it looks at another,
    /// while a common producer fills both.
    Queued(Reader),
}

struct State {
    input: Option<Input>,
    scans: Vec<Rows>,
}

pub(crate) struct Table {
    name: String,
    schema: SchemaRef,
    scratch: PathBuf,
    disk: Arc<Disk>,
    state: Mutex<State>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Table {
    pub(crate) fn new(name: String, schema: SchemaRef, input: Input, scratch: &Path, disk: &Arc<Disk>) -> Self {
        let state = Mutex::new(State { input: Some(input), scans: Vec::new() });
        Self { name, schema, scratch: scratch.to_path_buf(), disk: Arc::clone(disk), state }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Makes ready for `scans` scans; `alone` says that the query has no other input.
    pub(crate) fn serve(&self, scans: usize, alone: bool) -> Result<(), Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(input) = state.input.take() else { return Ok(()) };
        state.scans = if scans == 1 && alone {
            vec![Rows::Direct(input)]
        } else {
            let readers = fifo::pump(&self.name, input, scans, &self.scratch, &self.disk);
            readers.map_err(|error| Error::scratch(&error))?.into_iter().map(Rows::Queued).collect()
        };
        Ok(())
    }
}

impl PartitionStream for Table {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.state.lock().unwrap_or_else(PoisonError::into_inner).scans.pop();
        let name = self.name.clone();
        let batches = stream::try_unfold(rows, move |rows| {
            let name = name.clone();
            async move {
                let Some(mut rows) = rows else {
                    let text = format!("the plan reads input `{name}` more often than it said");
                    return Err(DataFusionError::Internal(text));
                };
                let batch = rows.next().await.map_err(|error| DataFusionError::External(Box::new(error)))?;
                Ok(batch.map(|batch| (batch, Some(rows))))
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

impl Rows {
    async fn next(&mut self) -> Result<Option<RecordBatch>, fifo::Error> {
        match self {
            Self::Direct(input) => Ok(input.next_batch_async().await?),
            Self::Queued(reader) => reader.next().await,
        }
    }
}
