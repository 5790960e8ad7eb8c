use proptest::prelude::*;
use serde_json::json;

use super::*;

fn stamp(modified: i64, bytes: u64) -> Stamp {
    Stamp { modified: Timestamp(modified), bytes }
}

#[test]
fn a_file_is_read_again_once_it_has_changed() {
    let mut seen = Seen::from_start(None);
    assert!(!seen.covers("a.csv", stamp(10, 1)));
    seen.add("a.csv", stamp(10, 1));
    assert!(seen.covers("a.csv", stamp(10, 1)));
    for changed in [stamp(10, 2), stamp(11, 1)] {
        assert!(!seen.covers("a.csv", changed));
    }
    assert!(!seen.covers("b.csv", stamp(10, 1)));
    // It came late, with an older time.
    assert!(!seen.covers("older.csv", stamp(1, 1)));
}

#[test]
fn files_before_the_start_count_as_read_for_ever() {
    let mut seen = Seen::from_start(Some(Timestamp(100)));
    seen.add("new.csv", stamp(200, 1));
    let seen = Seen::of(&seen.checkpoint()).unwrap();
    assert!(seen.covers("old.csv", stamp(99, 1)));
    assert!(!seen.covers("at.csv", stamp(100, 1)));
}

#[test]
fn a_persons_time_covers_all_up_to_it() {
    for text in ["2026-01-31T12:00:00Z", "2026-01-31 12:00:00", "2026-01-31T13:00:00+01:00"] {
        let seen = Seen::of(&Checkpoint(json!({"value": text}))).unwrap();
        let at = time("2026-01-31T12:00:00Z").unwrap();
        assert!(seen.covers("a", stamp(at.0, 1)) && !seen.covers("a", stamp(at.0 + 1, 1)), "{text}");
    }
    for wrong in [json!({"value": 3}), json!({"value": "soon"}), json!({"value": "2026-01-31", "ties": []})] {
        assert!(Seen::of(&Checkpoint(wrong.clone())).is_err(), "{wrong}");
    }
}

#[test]
fn a_checkpoint_stays_small() {
    let mut seen = Seen::from_start(None);
    for file in 0..5000 {
        seen.add(&format!("{file:04}-{}", "x".repeat(file % 3000)), stamp(file as i64, 1));
        assert!(seen.files.len() <= FILES_MAX);
    }
    let bytes = seen.checkpoint().0.to_string().len();
    assert!(bytes < sallyport_protocol::CHECKPOINT_BYTES_MAX, "{bytes} bytes");
}

proptest! {
    /// However many files have the same time, and wherever reading breaks off: what was read is covered, what was not
    /// is not.
    #[test]
    fn reading_goes_on_where_it_broke_off(
        times in prop::collection::vec(0_i64..20, 1..2500),
        at in any::<prop::sample::Index>(),
    ) {
        let mut files: Vec<(i64, String)> =
            times.iter().enumerate().map(|(number, time)| (*time, format!("in/{number}.csv"))).collect();
        files.sort();
        let broken = at.index(files.len());
        let mut seen = Seen::from_start(None);
        for (time, path) in &files[..broken] {
            seen.add(path, stamp(*time, 7));
        }
        let kept = if broken == 0 { seen } else { Seen::of(&seen.checkpoint()).unwrap() };
        for (number, (time, path)) in files.iter().enumerate() {
            prop_assert_eq!(kept.covers(path, stamp(*time, 7)), number < broken, "{} {}", time, path);
        }
    }
}
