//! The source: binary COPY out of a table or query, decoded into batches while the next block is read.

mod column;
mod decode;
mod incremental;
mod parallel;
mod plan;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use arrow_array::RecordBatch;

use sallyport_dataplane::Output;
use sallyport_protocol::{FailureKind, LogLevel};

use self::decode::Decoder;
use self::parallel::Shares;
use self::plan::Plan;
use super::settings::Read;
use super::target::Target;
use super::wire::{Block, Client, Error as WireError};
use crate::incremental::{Lower, Reading};
use crate::{Context, Error, Source, VALUE_BYTES_MAX};

/// Room for rows read at once: large enough that a hand-over between threads costs nothing, small enough for the cache.
const BLOCK_BYTES: usize = 512 * 1024;

/// Blocks between the thread that reads and the one that decodes.
const BLOCKS_MAX: usize = 3;

/// Reads a table or a query.
pub(crate) struct PostgresSource {
    pub target: Target,
    pub read: Read,
}

impl Source for PostgresSource {
    fn read(self: Box<Self>, output: &mut Output, cx: &Context) -> Result<(), Error> {
        let outcome = self.run(output, cx);
        // A stop breaks the connection; what that looks like from here is not the reason.
        if cx.cancel.is_cancelled() { Err(Error::Cancelled) } else { outcome }
    }
}

impl PostgresSource {
    fn run(&self, output: &mut Output, cx: &Context) -> Result<(), Error> {
        let lower = match &self.read.incremental {
            Some(cursor) => Some((cursor, Lower::await_word(cursor.start.as_ref(), output, cx)?)),
            None => None,
        };
        let mut client = Client::connect(&self.target, cx)?;
        let plan = Plan::make(&mut client, &self.read, &self.target)?;
        plan.tell(cx);
        output.start(&plan.schema())?;
        if let Some((cursor, lower)) = lower {
            let rows = incremental::CursorRows::new(&mut client, &plan, cursor, cx)?;
            Reading { rows: &rows, what: &plan.what, cursor, cx }.read(&lower, output)?;
            client.close();
            return Ok(());
        }
        if self.read.parallel > 1 {
            match parallel::shares(&mut client, &plan).map_err(|error| plan.explain(error))? {
                Shares::Ranges(ranges) => {
                    return parallel::read(&self.target, &plan, &ranges, self.read.parallel, client, output, cx);
                }
                Shares::Whole(why) => {
                    (cx.log)(LogLevel::Info, format!("{} is read by one connection: {why}", plan.what));
                }
            }
        }
        let mut decoder = Decoder::new(&plan);
        copy(&mut client, &plan, &plan.statement(None), &mut decoder, cx, &mut |batch| Ok(output.send(batch)?))?;
        client.close();
        Ok(())
    }
}

/// Runs one COPY: a thread of its own reads blocks, this one decodes them and gives the batches.
fn copy(
    client: &mut Client,
    plan: &Plan,
    statement: &str,
    decoder: &mut Decoder,
    cx: &Context,
    give: &mut dyn FnMut(RecordBatch) -> Result<(), Error>,
) -> Result<(), Error> {
    client.copy_out(statement).map_err(|error| plan.explain(error))?;
    let breaker = client.breaker();
    thread::scope(|scope| {
        let (full, blocks) = sync_channel(BLOCKS_MAX);
        let (spent, empty) = sync_channel(BLOCKS_MAX + 2);
        let reader = thread::Builder::new()
            .name("postgres-read".into())
            .spawn_scoped(scope, move || read_blocks(client, &full, &empty))
            .map_err(|why| Error::no_thread(&why))?;
        let decoded = decode_blocks(&blocks, &spent, decoder, cx, give);
        // Ends the reader where it waits to hand over, or for the server.
        drop(blocks);
        if let (Err(_), Some(breaker)) = (&decoded, breaker) {
            breaker.cut();
        }
        decoded?;
        match reader.join() {
            Ok(read) => read.map_err(|error| plan.explain(error)),
            Err(_) => Err(Error::permanent(FailureKind::Runtime, "panic", "the reading thread panicked")),
        }?;
        decoder.finish(give)
    })
}

type Handed = Result<Block, ()>;

fn read_blocks(client: &mut Client, full: &SyncSender<Handed>, empty: &Receiver<Vec<u8>>) -> Result<(), WireError> {
    loop {
        let room = empty.try_recv().unwrap_or_else(|_| vec![0; BLOCK_BYTES]);
        match client.next_block(room) {
            Ok(Some(block)) => {
                if full.send(Ok(block)).is_err() {
                    // The decoder has failed and says why.
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                let _ = full.send(Err(()));
                return Err(error);
            }
        }
    }
}

fn decode_blocks(
    blocks: &Receiver<Handed>,
    spent: &SyncSender<Vec<u8>>,
    decoder: &mut Decoder,
    cx: &Context,
    give: &mut dyn FnMut(RecordBatch) -> Result<(), Error>,
) -> Result<(), Error> {
    for handed in blocks {
        let Ok(block) = handed else { return Ok(()) };
        cx.cancel.check()?;
        cx.progress.add_bytes(block.end as u64);
        decoder.block(&block.bytes[..block.end], give)?;
        // A full shelf means there is room enough.
        let _ = spent.try_send(again(block.bytes));
    }
    Ok(())
}

/// Room to use again: what was grown for one long row is given back, as the next ones are not expected to be.
fn again(room: Vec<u8>) -> Vec<u8> {
    if (BLOCK_BYTES..=4 * BLOCK_BYTES).contains(&room.len()) { room } else { vec![0; BLOCK_BYTES] }
}

/// A row's number, where it has one.
fn numbered(row: Option<u64>) -> String {
    row.map_or_else(|| "a row".to_owned(), |row| format!("row {row}"))
}

/// Words for a value that is too long to read.
fn too_large(what: &str, column: &str, row: Option<u64>, bytes: u64) -> Error {
    Error::permanent(
        FailureKind::Connector,
        "value_too_large",
        format!("{what}: {}, column `{column}`: a value of {bytes} bytes is longer than the limit of {VALUE_BYTES_MAX} bytes", numbered(row)),
    )
    .advise("leave the column out, or read a part of it with `query`, such as left(column, 1000000)")
}
