//! Several connections read one table from one snapshot, each taking ranges of its pages until none is left.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use arrow_array::RecordBatch;

use sallyport_dataplane::Output;
use sallyport_protocol::FailureKind;

use super::decode::Decoder;
use super::plan::Plan;
use super::{BLOCK_BYTES, no_thread};
use crate::postgres::name::literal;
use crate::postgres::target::Target;
use crate::postgres::wire::{Client, Error as WireError};
use crate::{Context, Error};

/// Pages in one range: enough that a COPY's start costs nothing, few enough that no connection is left with most.
const RANGE_PAGES: u64 = 4096;

/// Batches between the readers and the output.
const BATCHES_MAX: usize = 2;

/// The conditions that share out the table's pages; `None` where it has none of its own, as views and partitioned tables.
pub(super) fn ranges(client: &mut Client, plan: &Plan) -> Result<Option<Vec<String>>, WireError> {
    let Some(table) = &plan.table else { return Ok(None) };
    let row = client.one(&format!(
        "select relkind in ('r', 'm'), pg_catalog.pg_relation_size(oid) / pg_catalog.current_setting('block_size')::bigint \
         from pg_catalog.pg_class where oid = {}::regclass",
        literal(table)
    ))?;
    let [Some(own), Some(pages)] = row.as_slice() else { return Ok(None) };
    if own != "t" {
        return Ok(None);
    }
    let pages: u64 = pages.parse().unwrap_or(0);
    let starts: Vec<u64> = (0..pages.max(1)).step_by(RANGE_PAGES as usize).collect();
    Ok(Some(
        starts
            .iter()
            .enumerate()
            .map(|(at, start)| match starts.get(at + 1) {
                Some(end) => format!("ctid >= '({start},0)'::tid and ctid < '({end},0)'::tid"),
                None => format!("ctid >= '({start},0)'::tid"),
            })
            .collect(),
    ))
}

/// What the readers share.
struct Shared<'a> {
    target: &'a Target,
    plan: &'a Plan,
    ranges: &'a [String],
    next: AtomicUsize,
    /// One reader has failed: the others end.
    failed: AtomicBool,
    cx: &'a Context,
}

/// Reads all ranges; `client` holds the snapshot and is the first of the readers.
pub(super) fn read(
    target: &Target,
    plan: &Plan,
    ranges: &[String],
    parallel: u8,
    mut client: Client,
    output: &mut Output,
    cx: &Context,
) -> Result<(), Error> {
    let row = client.one("select pg_catalog.pg_export_snapshot()").map_err(|error| plan.explain(error))?;
    let snapshot = row.into_iter().next().flatten().unwrap_or_default();
    let shared = Shared { target, plan, ranges, next: AtomicUsize::new(0), failed: AtomicBool::new(false), cx };
    let readers = usize::from(parallel).min(ranges.len());
    // The snapshot lives as long as its transaction: the first reader keeps the connection until all have joined it.
    let mut joined = vec![client];
    for _ in 1..readers {
        joined.push(join(&shared, &snapshot)?);
    }
    thread::scope(|scope| {
        let (give, batches) = sync_channel(BATCHES_MAX);
        let mut threads = Vec::new();
        for client in joined {
            let give = give.clone();
            let shared = &shared;
            let spawned = thread::Builder::new()
                .name("postgres-read".into())
                .spawn_scoped(scope, move || run(shared, client, &give))
                .map_err(|why| no_thread(&why));
            match spawned {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    shared.failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        drop(give);
        let mut outcome = Ok(());
        for batch in &batches {
            if let Err(error) = cx.cancel.check().map_err(Error::from).and_then(|()| Ok(output.send(batch)?)) {
                outcome = Err(error);
                break;
            }
        }
        if outcome.is_err() {
            shared.failed.store(true, Ordering::Relaxed);
        }
        drop(batches);
        for thread in threads {
            let ended = thread
                .join()
                .unwrap_or_else(|_| Err(Error::permanent(FailureKind::Runtime, "panic", "a reading thread panicked")));
            outcome = outcome.and(ended);
        }
        outcome
    })
}

/// Opens a further connection onto the same snapshot.
fn join(shared: &Shared<'_>, snapshot: &str) -> Result<Client, Error> {
    let mut client = Client::connect(shared.target, &shared.cx.cancel)?;
    let begin = format!(
        "begin isolation level repeatable read, read only; set transaction snapshot {}; \
         set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0",
        literal(snapshot)
    );
    client.simple(&begin).map_err(|error| shared.plan.explain(error))?;
    Ok(client)
}

fn run(shared: &Shared<'_>, mut client: Client, give: &SyncSender<RecordBatch>) -> Result<(), Error> {
    let outcome = run_ranges(shared, &mut client, give);
    if outcome.is_err() {
        shared.failed.store(true, Ordering::Relaxed);
        client.abandon();
        return outcome;
    }
    client.close();
    Ok(())
}

fn run_ranges(shared: &Shared<'_>, client: &mut Client, give: &SyncSender<RecordBatch>) -> Result<(), Error> {
    let Shared { plan, cx, .. } = shared;
    let mut decoder = Decoder::new(plan);
    // Another reader's failure is told by that reader.
    let mut send = |batch| give.send(batch).map_err(|_| Error::Cancelled);
    let mut room = vec![0; BLOCK_BYTES];
    while let Some(range) = shared.ranges.get(shared.next.fetch_add(1, Ordering::Relaxed)) {
        client.copy_out(&plan.statement(Some(range))).map_err(|error| plan.explain(error))?;
        decoder.restart();
        while let Some(block) = client.next_block(room).map_err(|error| plan.explain(error))? {
            cx.cancel.check()?;
            if shared.failed.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            cx.progress.add_bytes(block.end as u64);
            decoder.block(&block.bytes[..block.end], &mut send)?;
            room = block.bytes;
        }
        room = vec![0; BLOCK_BYTES];
    }
    decoder.finish(&mut send)
}
