use std::fs;
use std::path::Path;

use proptest::prelude::*;
use sallyport_protocol::{RunId, Timestamp, TunnelId};

use super::folder::files;
use super::*;

const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

fn entry(bytes: u64) -> Entry {
    Entry {
        at: NOW,
        cause: Cause::Step { run: RunId::new(), task: "orders".to_owned(), step: "read".to_owned(), attempt: 1 },
        who: "ada@example.com".to_owned(),
        connection: Some("erp".to_owned()),
        kind: "postgres".to_owned(),
        target: "db.site:5432".to_owned(),
        direction: Direction::From,
        rows: 3,
        bytes_to: 0,
        bytes_from: bytes,
    }
}

fn filled(path: &Path, count: u64) -> Folder {
    let (mut folder, _) = Folder::open(path, NOW).unwrap();
    for bytes in 0..count {
        folder.append(&[entry(bytes)], 0).unwrap();
    }
    folder
}

fn only_file(path: &Path) -> std::path::PathBuf {
    let files = files(path).unwrap();
    assert_eq!(files.len(), 1);
    files[0].clone()
}

#[test]
fn a_ledger_goes_on_across_restarts_and_its_chain_holds() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("ledger");
    assert_eq!(verify(&path).unwrap().lines, 0, "there is none yet");
    drop(filled(&path, 3));
    let head = verify(&path).unwrap().head;
    let (mut folder, today) = Folder::open(&path, NOW).unwrap();
    assert_eq!(today.bytes(NOW), 3);
    folder.append(&[entry(10), entry(20)], 0).unwrap();
    let verified = verify(&path).unwrap();
    assert_eq!((verified.lines, verified.first, verified.torn.len()), (5, 1, 0));
    assert_ne!(verified.head, head);
    let (records, fault) = records(&path);
    assert!(fault.is_none());
    assert!(matches!(&records[4].body, Body::Used { entry } if entry.bytes() == 20));
}

#[test]
fn whatever_is_changed_removed_or_put_in_is_found() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path(), 4);
    let file = only_file(home.path());
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let check = |lines: &[&str], expected: Option<&str>| {
        fs::write(&file, format!("{}\n", lines.join("\n"))).unwrap();
        match (verify(home.path()), expected) {
            (Err(Fault::Line { place, .. }), Some(expected)) => assert!(place.ends_with(expected), "{place}"),
            (Ok(_), None) => {}
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    };
    check(&lines, None);
    let changed = lines[1].replace("\"rows\":3", "\"rows\":2");
    check(&[lines[0], &changed, lines[2], lines[3]], Some(":2"));
    check(&[lines[0], lines[2], lines[3]], Some(":2"));
    check(&[lines[0], lines[1], lines[1], lines[2]], Some(":3"));
    check(&[lines[1], lines[2], lines[3]], Some(":1"));
    check(&[lines[0], "nonsense", lines[1], lines[2]], Some(":2"));
}

#[test]
fn a_crash_leaves_a_torn_last_line_that_is_named_and_the_ledger_goes_on() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path(), 3);
    let file = only_file(home.path());
    let whole = fs::read(&file).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    // Wherever the crash cut it: in its hash, its text, or before its line's end.
    for end in [last + 1, last + 70, whole.len() - 2, whole.len() - 1] {
        fs::write(&file, &whole[..end]).unwrap();
        let cut = verify(home.path()).unwrap();
        let complete = end == whole.len() - 1;
        assert_eq!((cut.lines, cut.torn.len()), if complete { (3, 0) } else { (2, 1) }, "cut at {end}");
        let (mut folder, _) = Folder::open(home.path(), NOW).unwrap();
        folder.append(&[entry(9)], 0).unwrap();
        let after = verify(home.path()).unwrap();
        assert_eq!((after.lines, after.torn), (cut.lines + 2, cut.torn), "cut at {end}");
    }
}

#[test]
fn rotation_keeps_the_chain_and_a_bounded_number_of_files() {
    let home = tempfile::tempdir().unwrap();
    let (mut folder, _) = Folder::with_files_of(home.path(), NOW, 1).unwrap();
    let count = FILES_MAX + 3;
    for bytes in 0..count {
        folder.append(&[entry(bytes as u64)], 0).unwrap();
    }
    let kept = files(home.path()).unwrap();
    assert_eq!(kept.len(), FILES_MAX);
    let verified = verify(home.path()).unwrap();
    assert!(verified.first > 1 && verified.torn.is_empty(), "{verified:?}");
    // A file from the middle is missed.
    fs::remove_file(&kept[4]).unwrap();
    assert!(matches!(verify(home.path()), Err(Fault::Line { .. })));
}

#[test]
fn lost_entries_are_told() {
    let home = tempfile::tempdir().unwrap();
    let mut folder = filled(home.path(), 1);
    folder.append(&[entry(1)], 7).unwrap();
    assert_eq!(verify(home.path()).unwrap().lost, 7);
}

#[test]
fn short_streams_of_a_tunnel_are_one_line() {
    let tunnel = TunnelId::new();
    let stream = |tunnel, bytes_to| Entry {
        cause: Cause::Streams { tunnel, streams: 1 },
        direction: Direction::Both,
        bytes_to,
        ..entry(1)
    };
    let merged = merge(vec![stream(tunnel, 1), entry(5), stream(tunnel, 2), stream(TunnelId::new(), 3)]);
    assert_eq!(merged.len(), 3);
    assert_eq!((merged[0].bytes_to, merged[0].bytes_from), (3, 2));
    assert_eq!(merged[0].cause, Cause::Streams { tunnel, streams: 2 });
}

#[test]
fn a_day_ends_at_midnight_utc() {
    let day = 24 * 60 * 60 * 1_000_000;
    let midnight = Timestamp(20_000 * day);
    let mut today = Today::default();
    today.add(Timestamp(midnight.0 - 1), 5);
    assert_eq!((today.bytes(Timestamp(midnight.0 - 1)), today.bytes(midnight)), (5, 0));
    today.add(midnight, 7);
    today.add(Timestamp(midnight.0 - 1), 100);
    assert_eq!(today.bytes(midnight), 7);
}

proptest! {
    /// However it is cut and reopened, what was flushed before stays and the chain holds.
    #[test]
    fn no_cut_breaks_the_chain(cuts in prop::collection::vec((1_u64..4, 0_usize..400), 1..5)) {
        let home = tempfile::tempdir().unwrap();
        let mut whole = 0;
        for (count, cut) in cuts {
            drop(filled(home.path(), count));
            let file = only_file(home.path());
            let bytes = fs::read(&file).unwrap();
            let kept = (bytes.len() - cut.min(bytes.len() - whole)).max(whole);
            fs::write(&file, &bytes[..kept]).unwrap();
            // Lines before the cut are never touched again.
            whole = bytes[..kept].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let verified = verify(home.path());
            prop_assert!(verified.is_ok(), "{verified:?}");
        }
    }
}
