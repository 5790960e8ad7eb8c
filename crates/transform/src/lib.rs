//! SQL over the rows of a step's inputs.
//!
//! Invariant: the only crate that links DataFusion. It knows neither connectors nor runs; a query sees its inputs as
//! tables, once, in the order their rows come, and can reach no file and no host.

mod error;
mod fifo;
mod plain;
mod pool;
mod session;
mod table;
#[cfg(test)]
mod tests;

use std::path::Path;

use datafusion::physical_plan::SendableRecordBatchStream;
use futures_util::StreamExt;
use sallyport_dataplane::{Cancel, Input, Output};
use tokio::runtime::Handle;

pub use error::Error;

/// What a query may use.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Bytes that sorts, joins and aggregates may hold before they spill.
    pub memory_bytes: usize,
    /// Bytes that sorts, joins and aggregates may spill, and as many for inputs that wait for each other.
    pub spill_bytes: u64,
    /// An empty folder to spill to; removed by the caller.
    pub scratch: &'a Path,
    /// Runs the parts of the plan that work beside each other.
    pub runtime: &'a Handle,
}

/// Runs one query over the inputs, each a table of the given name, and gives its rows to the output. For threads.
///
/// The caller finishes or aborts the output. Rows keep their order through filters and computed columns; a join, an
/// aggregate or a union gives them in any order unless the query says `ORDER BY`.
pub fn run(
    sql: &str,
    inputs: Vec<(String, Input)>,
    output: &mut Output,
    cancel: &Cancel,
    surroundings: Surroundings<'_>,
) -> Result<(), Error> {
    let session = session::open(inputs, surroundings)?;
    let mut stream = on(surroundings.runtime, cancel, session.execute(sql))??;
    let shape = plain::mapping(&stream.schema())?;
    output.start(shape.schema())?;
    while let Some(batch) = on(surroundings.runtime, cancel, next(&mut stream))?? {
        if batch.num_rows() > 0 {
            output.send(shape.apply(&batch)?)?;
        }
    }
    Ok(())
}

async fn next(stream: &mut SendableRecordBatchStream) -> Result<Option<arrow_array::RecordBatch>, Error> {
    stream.next().await.transpose().map_err(Error::from)
}

/// Drives a future on this thread until it is done or the step is told to stop.
fn on<F: Future>(runtime: &Handle, cancel: &Cancel, work: F) -> Result<F::Output, Error> {
    runtime.block_on(async {
        tokio::select! {
            done = work => Ok(done),
            () = cancel.cancelled() => Err(Error::Cancelled),
        }
    })
}
