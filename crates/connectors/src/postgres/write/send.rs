//! Rows on their way: this thread takes and encodes them, another one sends the blocks.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use arrow_schema::SchemaRef;

use sallyport_dataplane::{Given, Input};
use sallyport_protocol::{Checkpoint, FailureKind};

use super::encode::{Blocks, Encoder, Stop};
use super::places::Place;
use crate::incremental::Chunk;
use crate::postgres::wire::{Client, Error as WireError};
use crate::reject::RejectFile;
use crate::{Context, Error};

/// Blocks between the thread that encodes and the one that sends.
const BLOCKS_MAX: usize = 3;

/// How the rows go.
pub(super) struct Rows<'a> {
    pub places: &'a [Place],
    pub schema: &'a SchemaRef,
    pub doing: &'a str,
    pub rejects: Option<RejectFile>,
    pub take: Take,
}

/// Which rows go.
pub(super) struct Take {
    /// Ends at the first mark behind a full chunk; all rows go where there is none.
    pub chunk: Option<Chunk>,
    /// Rows that went before.
    pub before: u64,
}

impl Take {
    pub(super) fn all() -> Self {
        Self { chunk: None, before: 0 }
    }
}

/// What was sent.
pub(super) struct Sent {
    pub rows: u64,
    /// Rejected ones included.
    pub taken: u64,
    pub rejects: Option<RejectFile>,
    /// How far the rows reach.
    pub mark: Option<Checkpoint>,
    /// Whether no more rows come.
    pub ended: bool,
}

/// Sends rows of `input` into the COPY that has begun, and ends it.
pub(super) fn send(client: &mut Client, input: &mut Input, rows: Rows<'_>, cx: &Context) -> Result<Sent, Error> {
    let Rows { places, schema, doing, rejects, take: Take { chunk, before } } = rows;
    let mut encoder = Encoder { places, schema: SchemaRef::clone(schema), doing, rejects, before, written: 0 };
    let outcome = thread::scope(|scope| {
        let (full, blocks) = sync_channel(BLOCKS_MAX);
        let (spent, empty) = sync_channel(BLOCKS_MAX + 2);
        let sender = &mut *client;
        let writer = thread::Builder::new()
            .name("postgres-write".into())
            .spawn_scoped(scope, move || write_blocks(sender, &blocks, &spent, cx))
            .map_err(|why| Error::no_thread(&why))?;
        let encoded = encode(&mut encoder, Blocks::new(full, empty), input, chunk, cx);
        let sent = match writer.join() {
            Ok(sent) => sent.map_err(|error| error.explain(doing)),
            Err(_) => Err(Error::permanent(FailureKind::Runtime, "panic", "the sending thread panicked")),
        };
        match encoded {
            Err(Stop::Failed(error)) => Err(error),
            // The sender's reason, which is there.
            Err(Stop::Sender(_)) => sent.map(|()| End::default()),
            Ok(end) => sent.map(|()| end),
        }
    });
    let End { mark, ended } = outcome?;
    let taken = client.finish_copy().map_err(|error| error.explain(doing))?;
    if taken != encoder.written {
        let message = format!("{doing}: {} rows were sent and the server took {taken}", encoder.written);
        return Err(Error::permanent(FailureKind::Connector, "row_count", message)
            .advise("a trigger or rule of the table may skip rows"));
    }
    let taken = encoder.before - before;
    Ok(Sent { rows: encoder.written, taken, rejects: encoder.rejects, mark, ended })
}

/// Where the taking of rows ended.
#[derive(Default)]
struct End {
    mark: Option<Checkpoint>,
    ended: bool,
}

fn encode(
    encoder: &mut Encoder<'_>,
    mut blocks: Blocks,
    input: &mut Input,
    mut chunk: Option<Chunk>,
    cx: &Context,
) -> Result<End, Stop> {
    let mut end = End { mark: None, ended: true };
    while let Some(given) = input.next_given().map_err(Error::from)? {
        cx.cancel.check().map_err(Error::from)?;
        match given {
            Given::Batch(batch) => {
                encoder.batch(&batch, &mut blocks, cx)?;
                if let Some(chunk) = &mut chunk {
                    chunk.add(&batch);
                }
            }
            Given::Mark(mark) => {
                end.mark = Some(mark);
                if chunk.as_ref().is_some_and(Chunk::is_full) {
                    end.ended = false;
                    break;
                }
            }
        }
    }
    blocks.finish()?;
    Ok(end)
}

fn write_blocks(
    client: &mut Client,
    blocks: &Receiver<Vec<u8>>,
    spent: &SyncSender<Vec<u8>>,
    cx: &Context,
) -> Result<(), WireError> {
    for block in blocks {
        client.write_block(&block)?;
        cx.progress.add_bytes(block.len() as u64);
        // A full shelf means there are blocks enough.
        let _ = spent.try_send(block);
    }
    Ok(())
}
