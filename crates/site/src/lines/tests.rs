//! Lines arrive in order, once per acknowledgement, across lost connections and restarts.

use std::path::PathBuf;

use sallyport_protocol::{LogLevel, Timestamp};

use super::*;

fn line(number: usize) -> LogLine {
    LogLine {
        at: Timestamp(number as i64),
        level: LogLevel::Info,
        target: "test".to_owned(),
        event: None,
        message: number.to_string(),
        run: None,
    }
}

fn numbers(batch: &LogBatch) -> Vec<i64> {
    batch.lines.iter().map(|line| line.at.0).collect()
}

/// Takes and acknowledges everything; gives the lines' numbers and how many were said to be lost.
fn drain(spool: &mut Spool) -> (Vec<i64>, u64) {
    let (mut all, mut dropped) = (Vec::new(), 0);
    while let Some(batch) = spool.next_batch() {
        all.extend(numbers(&batch));
        dropped += batch.dropped;
        spool.acknowledge(batch.seq);
    }
    (all, dropped)
}

fn file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines.jsonl");
    (folder, path)
}

#[test]
fn batches_are_bounded_numbered_and_sent_again_until_acknowledged() {
    let (_folder, path) = file();
    let mut spool = Spool::open(&path).unwrap();
    (0..LINES_PER_BATCH_MAX * 6).for_each(|number| spool.push(line(number)));
    let sent: Vec<LogBatch> = std::iter::from_fn(|| spool.next_batch()).collect();
    assert_eq!(sent.len(), BATCHES_IN_FLIGHT_MAX);
    assert_eq!(sent.iter().map(|batch| batch.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(sent.iter().all(|batch| batch.lines.len() == LINES_PER_BATCH_MAX));
    spool.acknowledge(2);
    spool.disconnected();
    let again: Vec<LogBatch> = std::iter::from_fn(|| spool.next_batch()).collect();
    assert_eq!(again[..2], sent[2..]);
    assert_eq!(again.iter().map(|batch| batch.seq).collect::<Vec<_>>(), [3, 4, 5, 6]);
    spool.acknowledge(6);
    assert!(spool.is_empty());
}

#[test]
fn long_lines_make_short_batches() {
    let (_folder, path) = file();
    let mut spool = Spool::open(&path).unwrap();
    for number in 0..10 {
        spool.push(LogLine { message: "x".repeat(30 * 1024), ..line(number) });
    }
    assert_eq!(spool.next_batch().unwrap().lines.len(), 2);
}

#[test]
fn what_memory_cannot_hold_waits_in_the_file_in_order() {
    let (_folder, path) = file();
    let mut spool = Spool::open(&path).unwrap();
    let count = MEMORY_LINES_MAX * 2 + 10;
    (0..count).for_each(|number| spool.push(line(number)));
    spool.lost(3);
    assert!(path.exists());
    let (all, dropped) = drain(&mut spool);
    assert_eq!(all, (0..count as i64).collect::<Vec<_>>());
    assert_eq!(dropped, 3);
    assert!(spool.is_empty() && !path.exists());
    spool.push(line(7));
    assert_eq!(drain(&mut spool).0, [7]);
}

#[test]
fn a_restart_keeps_order_and_loses_nothing_that_was_persisted() {
    let (_folder, path) = file();
    let mut spool = Spool::open(&path).unwrap();
    let count = MEMORY_LINES_MAX + 50;
    (0..count).for_each(|number| spool.push(line(number)));
    spool.next_batch().unwrap();
    spool.persist().unwrap();
    spool.push(line(count));
    drop(spool);
    let mut spool = Spool::open(&path).unwrap();
    spool.push(line(count + 1));
    assert_eq!(drain(&mut spool).0, (0..count as i64 + 2).collect::<Vec<_>>());
}

#[test]
fn what_is_spilt_survives_a_sudden_end_and_flights_keep_their_numbers() {
    let (_folder, path) = file();
    let mut spool = Spool::open(&path).unwrap();
    (0..LINES_PER_BATCH_MAX * 5).for_each(|number| spool.push(line(number)));
    let flying = spool.next_batch().unwrap();
    spool.disconnected();
    spool.spill().unwrap();
    spool.push(line(LINES_PER_BATCH_MAX * 5));
    spool.spill().unwrap();
    assert_eq!(drain(&mut Spool::open(&path).unwrap()).0.first(), Some(&(LINES_PER_BATCH_MAX as i64)));

    let mut spool = Spool::open(&path).unwrap();
    (0..LINES_PER_BATCH_MAX * 5).for_each(|number| spool.push(line(number)));
    let again = spool.next_batch().unwrap();
    assert_eq!(again, flying);
    spool.disconnected();
    spool.spill().unwrap();
    assert_eq!(spool.next_batch(), Some(flying));
    assert_eq!(drain(&mut spool).0.last(), Some(&(LINES_PER_BATCH_MAX as i64 * 5 - 1)));
}

#[test]
fn a_torn_line_is_counted_and_the_rest_is_read() {
    let (_folder, path) = file();
    let whole = serde_json::to_string(&line(1)).unwrap();
    std::fs::write(&path, format!("{whole}\n{{\"at\":\n{whole}\n{{\"torn")).unwrap();
    let (all, dropped) = drain(&mut Spool::open(&path).unwrap());
    assert_eq!((all, dropped), (vec![1, 1], 2));
}

#[test]
fn a_full_file_counts_what_it_cannot_take() {
    let (_folder, path) = file();
    let mut spool = Spool { store: Store::open(&path, 2000).unwrap(), ..Spool::open(&path).unwrap() };
    let count = MEMORY_LINES_MAX + 100;
    (0..count).for_each(|number| spool.push(line(number)));
    assert!(std::fs::metadata(&path).unwrap().len() <= 2000);
    let (all, dropped) = drain(&mut spool);
    assert!(all.is_sorted() && dropped > 0);
    assert_eq!(all.len() as u64 + dropped, count as u64);
}

#[test]
fn a_line_that_a_sudden_end_tore_takes_no_other_along() {
    let (_folder, path) = file();
    let mut spool = Spool::open(&path).unwrap();
    spool.push(line(1));
    spool.persist().unwrap();
    let mut torn = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    std::io::Write::write_all(&mut torn, b"{\"at\":2,\"lev").unwrap();
    let mut spool = Spool::open(&path).unwrap();
    spool.push(line(3));
    assert_eq!(drain(&mut spool), (vec![1, 3], 1));
}
