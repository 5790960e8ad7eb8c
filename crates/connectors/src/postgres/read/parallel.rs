//! Several connections read one table from one snapshot, each taking ranges of its pages until none is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use arrow_array::RecordBatch;

use sallyport_dataplane::Output;
use sallyport_protocol::FailureKind;

use super::decode::Decoder;
use super::plan::Plan;
use super::{BLOCK_BYTES, again};
use crate::postgres::name::literal;
use crate::postgres::target::Target;
use crate::postgres::wire::{Breaker, Client, Error as WireError, UNLIMITED};
use crate::{Context, Error};

/// Pages in one range: enough that a COPY's start costs nothing, few enough that no connection is left with most.
const RANGE_PAGES: u64 = 4096;

/// Batches between the readers and the output.
const BATCHES_MAX: usize = 2;

/// How a table's pages are shared out.
pub(super) enum Shares {
    /// Conditions, each for a range of pages.
    Ranges(Vec<String>),
    /// One connection reads all, and why.
    Whole(&'static str),
}

/// Shares out the pages of the plan's table.
pub(super) fn shares(client: &mut Client, plan: &Plan) -> Result<Shares, WireError> {
    const NO_PAGES: Shares = Shares::Whole("it has no pages of its own to share out");
    let Some(table) = &plan.table else { return Ok(NO_PAGES) };
    let row = client.one(&format!(
        "select relkind in ('r', 'm'), pg_catalog.current_setting('server_version_num')::int >= 140000, \
         pg_catalog.pg_relation_size(oid) / pg_catalog.current_setting('block_size')::bigint \
         from pg_catalog.pg_class where oid = {}::regclass",
        literal(table)
    ))?;
    let [Some(own), Some(ranged), Some(pages)] = row.as_slice() else { return Ok(NO_PAGES) };
    if own != "t" {
        return Ok(NO_PAGES);
    }
    if ranged != "t" {
        // Each range would be a scan of the whole table.
        return Ok(Shares::Whole("a PostgreSQL before 14 cannot read ranges of pages"));
    }
    let pages: u64 = pages.parse().unwrap_or(0);
    let starts: Vec<u64> = (0..pages.max(1)).step_by(RANGE_PAGES as usize).collect();
    let range = |(at, start): (usize, &u64)| match starts.get(at + 1) {
        Some(end) => format!("ctid >= '({start},0)'::tid and ctid < '({end},0)'::tid"),
        None => format!("ctid >= '({start},0)'::tid"),
    };
    Ok(Shares::Ranges(starts.iter().enumerate().map(range).collect()))
}

/// What the readers share.
struct Shared<'a> {
    plan: &'a Plan,
    ranges: &'a [String],
    next: AtomicUsize,
    /// The reading has failed: the readers end.
    failed: AtomicBool,
    breakers: Vec<Arc<Breaker>>,
    cx: &'a Context,
}

impl Shared<'_> {
    /// Ends all readers, also those that wait for the server; `true` for the first failure, which tells the reason.
    fn fail(&self) -> bool {
        let first = !self.failed.swap(true, Ordering::Relaxed);
        if first {
            self.breakers.iter().for_each(|breaker| breaker.cut());
        }
        first
    }
}

/// Reads all ranges; `client` holds the snapshot and is the first of the readers.
pub(super) fn read(
    target: &Target,
    plan: &Plan,
    ranges: &[String],
    parallel: u8,
    client: Client,
    output: &mut Output,
    cx: &Context,
) -> Result<(), Error> {
    let joined = join(target, plan, client, usize::from(parallel).min(ranges.len()), cx)?;
    let breakers = joined.iter().filter_map(Client::breaker).collect();
    let shared = Shared { plan, ranges, next: AtomicUsize::new(0), failed: AtomicBool::new(false), breakers, cx };
    thread::scope(|scope| {
        let (give, batches) = sync_channel(BATCHES_MAX);
        let mut threads = Vec::new();
        for client in joined {
            let give = give.clone();
            let shared = &shared;
            let spawned = thread::Builder::new()
                .name("postgres-read".into())
                .spawn_scoped(scope, move || run(shared, client, &give))
                .map_err(|why| Error::no_thread(&why));
            match spawned {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    shared.fail();
                    return Err(error);
                }
            }
        }
        drop(give);
        let mut outcome = Ok(());
        for batch in &batches {
            if let Err(error) = cx.cancel.check().map_err(Error::from).and_then(|()| Ok(output.send(batch)?)) {
                outcome = Err(error);
                shared.fail();
                break;
            }
        }
        drop(batches);
        for thread in threads {
            let ended = thread
                .join()
                .unwrap_or_else(|_| Err(Error::permanent(FailureKind::Runtime, "panic", "a reading thread panicked")));
            outcome = match (outcome, ended) {
                // Readers that were ended for another's sake know no reason.
                (Ok(()), ended) | (Err(Error::Cancelled), ended @ Err(_)) => ended,
                (first, _) => first,
            };
        }
        outcome
    })
}

/// As many connections as there are to be `readers`, all onto the snapshot of the first, which keeps it until all have
/// joined.
fn join(target: &Target, plan: &Plan, mut first: Client, readers: usize, cx: &Context) -> Result<Vec<Client>, Error> {
    let row = first.one("select pg_catalog.pg_export_snapshot()").map_err(|error| plan.explain(error))?;
    let snapshot = row.into_iter().next().flatten().unwrap_or_default();
    let begin = format!(
        "begin isolation level repeatable read, read only; set transaction snapshot {}; {UNLIMITED}",
        literal(&snapshot)
    );
    let mut joined = vec![first];
    for _ in 1..readers {
        let mut client = Client::connect(target, cx)?;
        client.simple(&begin).map_err(|error| plan.explain(error))?;
        joined.push(client);
    }
    Ok(joined)
}

fn run(shared: &Shared<'_>, mut client: Client, give: &SyncSender<RecordBatch>) -> Result<(), Error> {
    let outcome = run_ranges(shared, &mut client, give);
    if outcome.is_err() {
        return if shared.fail() { outcome } else { Err(Error::Cancelled) };
    }
    client.close();
    Ok(())
}

fn run_ranges(shared: &Shared<'_>, client: &mut Client, give: &SyncSender<RecordBatch>) -> Result<(), Error> {
    let Shared { plan, cx, .. } = shared;
    let mut decoder = Decoder::of_part(plan);
    // Nobody takes batches any more: who failed says why.
    let mut send = |batch| give.send(batch).map_err(|_| Error::Cancelled);
    let mut room = vec![0; BLOCK_BYTES];
    while let Some(range) = shared.ranges.get(shared.next.fetch_add(1, Ordering::Relaxed)) {
        client.copy_out(&plan.statement(Some(range))).map_err(|error| plan.explain(error))?;
        decoder.restart();
        while let Some(block) = client.next_block(room).map_err(|error| plan.explain(error))? {
            if shared.failed.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            cx.progress.add_bytes(block.end as u64);
            decoder.block(&block.bytes[..block.end], &mut send)?;
            room = again(block.bytes);
        }
        room = vec![0; BLOCK_BYTES];
    }
    decoder.finish(&mut send)
}
