//! What was written is there after a sudden end, and nothing that was torn is believed.

use std::fs;
use std::path::PathBuf;

use sallyport_protocol::{Checkpoint, Committed, FailureKind, RunId, StepCounts, StepOutcome, StepReport, Timestamp};
use serde_json::json;

use super::*;

fn key(fence: u64) -> AttemptKey {
    AttemptKey { run: RunId::new(), pipeline: 0, attempt: 1, fence }
}

fn report(key: AttemptKey) -> OrderReport {
    let step = StepReport {
        step: "write".to_owned(),
        outcome: StepOutcome::Succeeded,
        counts: StepCounts { rows_in: 7, ..StepCounts::default() },
        already_committed: false,
        committed: None,
    };
    OrderReport { key, steps: vec![step], ended_at: Some(Timestamp(5)) }
}

fn open_step(rows_in: u64, checkpoint: Option<u64>) -> OpenStep {
    let committed = checkpoint.map(|at| Committed {
        epoch: 1,
        fence: 1,
        sequence: at,
        checkpoint: Checkpoint(json!(at)),
        rows: at,
    });
    OpenStep { name: "write".to_owned(), counts: StepCounts { rows_in, ..StepCounts::default() }, committed }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    (folder, path)
}

/// Writes entries; gives the attempts whose outcomes may be told.
async fn write(journal: &mut Journal, entries: Vec<Entry>) -> Vec<AttemptKey> {
    entries.into_iter().for_each(|entry| journal.note(entry));
    let mut keys = Vec::new();
    journal.kick();
    while journal.is_busy() {
        keys.extend(journal.written().await);
        journal.kick();
    }
    keys
}

#[tokio::test]
async fn an_outcome_waits_for_the_server_across_a_sudden_end() {
    let (_folder, path) = place();
    let (mut journal, found) = Journal::open(&path);
    assert!(found.is_empty());
    let (one, two) = (key(1), key(1));
    let begun = [one, two].map(|key| Entry::Open { key, steps: vec![open_step(0, None)] });
    assert!(write(&mut journal, begun.to_vec()).await.is_empty());
    let ended = [one, two].map(|key| Entry::Ended { report: report(key) });
    assert_eq!(write(&mut journal, ended.to_vec()).await, [one, two]);
    write(&mut journal, vec![Entry::Stored { key: one }]).await;
    // The process is killed: nothing more is written.
    drop(journal);
    assert_eq!(Journal::open(&path).1, [report(two)]);
    assert_eq!(Journal::open(&path).1, [report(two)], "nobody has stored it yet");
}

#[tokio::test]
async fn what_was_at_work_has_ended_with_its_process_and_says_how_far_it_was() {
    let (_folder, path) = place();
    let (mut journal, _) = Journal::open(&path);
    let key = key(1);
    for rows in [0, 10, 20] {
        let steps = vec![open_step(rows, (rows > 0).then_some(rows))];
        write(&mut journal, vec![Entry::Open { key, steps }]).await;
    }
    drop(journal);
    let (_, found) = Journal::open(&path);
    let [report] = found.as_slice() else { panic!("{found:?}") };
    let step = &report.steps[0];
    let StepOutcome::Failed { failure } = &step.outcome else { panic!("{step:?}") };
    assert_eq!((failure.kind, failure.transient), (FailureKind::AgentLost, true));
    assert_eq!((report.key, step.counts.rows_in, report.ended_at), (key, 20, None));
    assert_eq!(step.committed.as_ref().map(|committed| committed.sequence), Some(20));
}

#[tokio::test]
async fn a_file_that_was_torn_anywhere_gives_what_came_before() {
    let (_folder, path) = place();
    let (mut journal, _) = Journal::open(&path);
    let keys = [key(1), key(2), key(3)];
    let mut sizes = vec![fs::metadata(&path).unwrap().len()];
    for key in keys {
        write(&mut journal, vec![Entry::Ended { report: report(key) }]).await;
        sizes.push(fs::metadata(&path).unwrap().len());
    }
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let read = File::at(&path, JOURNAL_BYTES_MAX).read().unwrap();
        let expected = sizes[1..].iter().filter(|size| **size <= length as u64).count();
        assert_eq!(read.entries.len(), expected, "cut at {length}");
    }
    for at in sizes[0] as usize..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        fs::write(&path, &changed).unwrap();
        let read = File::at(&path, JOURNAL_BYTES_MAX).read().unwrap();
        let expected = sizes[1..].iter().filter(|size| **size <= at as u64).count();
        assert_eq!(read.entries.len(), expected, "changed at {at}");
    }
    // What follows a torn end is not lost to it.
    fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    let (mut journal, found) = Journal::open(&path);
    assert_eq!(found.len(), 2);
    write(&mut journal, vec![Entry::Ended { report: report(keys[2]) }]).await;
    assert_eq!(Journal::open(&path).1.len(), 3);
}

#[tokio::test]
async fn what_is_settled_does_not_make_the_file_grow() {
    let (_folder, path) = place();
    let (mut journal, _) = Journal::open(&path);
    for _ in 0..40 {
        let mut entries = Vec::new();
        for fence in 0..500 {
            let key = key(fence);
            entries.extend([Entry::Ended { report: report(key) }, Entry::Stored { key }]);
        }
        write(&mut journal, entries).await;
    }
    let bytes = fs::metadata(&path).unwrap().len();
    assert!(bytes < 2 * COMPACT_BYTES, "{bytes} bytes for nothing");
}

#[tokio::test]
async fn a_disk_that_takes_nothing_holds_up_no_outcome_and_gets_it_later() {
    let (folder, path) = place();
    let path = folder.path().join("missing").join(path.file_name().unwrap());
    let (mut journal, found) = Journal::open(&path);
    assert!(found.is_empty());
    let (one, two) = (key(1), key(2));
    assert_eq!(write(&mut journal, vec![Entry::Ended { report: report(one) }]).await, [one], "told from memory");
    assert!(journal.failing);
    fs::create_dir(path.parent().unwrap()).unwrap();
    write(&mut journal, vec![Entry::Ended { report: report(two) }]).await;
    assert!(!journal.failing);
    let keys: Vec<_> = Journal::open(&path).1.iter().map(|report| report.key).collect();
    assert!(keys.contains(&one) && keys.contains(&two), "{keys:?}");
}

#[test]
fn the_file_is_bounded() {
    let (_folder, path) = place();
    let mut file = File::at(&path, 100);
    file.rewrite(&[vec![7; 30]]).unwrap();
    let refused = file.append(&[vec![7; 60]], true).unwrap_err().to_string();
    assert!(refused.contains("the limit is 100"), "{refused}");
    assert!(fs::metadata(&path).unwrap().len() <= 100);
}

#[test]
fn entries_of_a_later_build_are_left_out() {
    let (_folder, path) = place();
    let mut file = File::at(&path, JOURNAL_BYTES_MAX);
    let key = key(1);
    let known = book::encode(&Entry::Ended { report: report(key) }).unwrap();
    file.rewrite(&[br#"{"type":"sung","song":1}"#.to_vec(), known]).unwrap();
    assert_eq!(Journal::open(&path).1, [report(key)]);
}
