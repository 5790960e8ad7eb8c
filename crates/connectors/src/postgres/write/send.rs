//! Rows on their way: this thread takes and encodes them, another one sends the blocks.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use arrow_schema::SchemaRef;

use sallyport_dataplane::Input;
use sallyport_protocol::FailureKind;

use super::encode::{Blocks, Encoder, Stop};
use super::places::Place;
use crate::postgres::wire::{Client, Error as WireError};
use crate::reject::RejectFile;
use crate::{Context, Error};

/// Blocks between the thread that encodes and the one that sends.
const BLOCKS_MAX: usize = 3;

/// What was sent.
pub(super) struct Sent {
    pub rows: u64,
    pub rejects: Option<RejectFile>,
}

/// Sends every row of `input` into the COPY that has begun, and ends it.
pub(super) fn send(
    client: &mut Client,
    input: &mut Input,
    places: &[Place],
    schema: &SchemaRef,
    doing: &str,
    rejects: Option<RejectFile>,
    cx: &Context,
) -> Result<Sent, Error> {
    let mut encoder = Encoder { places, schema: SchemaRef::clone(schema), doing, rejects, before: 0, written: 0 };
    let outcome = thread::scope(|scope| {
        let (full, blocks) = sync_channel(BLOCKS_MAX);
        let (spent, empty) = sync_channel(BLOCKS_MAX + 2);
        let sender = &mut *client;
        let writer = thread::Builder::new()
            .name("postgres-write".into())
            .spawn_scoped(scope, move || write_blocks(sender, &blocks, &spent, cx))
            .map_err(|why| Error::no_thread(&why))?;
        let encoded = encode(&mut encoder, Blocks::new(full, empty), input, cx);
        let sent = match writer.join() {
            Ok(sent) => sent.map_err(|error| error.explain(doing)),
            Err(_) => Err(Error::permanent(FailureKind::Runtime, "panic", "the sending thread panicked")),
        };
        match encoded {
            Err(Stop::Failed(error)) => Err(error),
            // The sender's reason, which is there.
            Err(Stop::Sender(_)) | Ok(()) => sent,
        }
    });
    outcome?;
    let taken = client.finish_copy().map_err(|error| error.explain(doing))?;
    if taken != encoder.written {
        let message = format!("{doing}: {} rows were sent and the server took {taken}", encoder.written);
        return Err(Error::permanent(FailureKind::Connector, "row_count", message)
            .advise("a trigger or rule of the table may skip rows"));
    }
    Ok(Sent { rows: encoder.written, rejects: encoder.rejects })
}

fn encode(encoder: &mut Encoder<'_>, mut blocks: Blocks, input: &mut Input, cx: &Context) -> Result<(), Stop> {
    while let Some(batch) = input.next_batch().map_err(Error::from)? {
        cx.cancel.check().map_err(Error::from)?;
        encoder.batch(&batch, &mut blocks, cx)?;
    }
    Ok(blocks.finish()?)
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
