use serde_json::json;

use super::*;

/// A log as the server gives it: sorted, after a line, a page at most.
fn page(log: &[u64], query: &[(&str, &str)]) -> Vec<Value> {
    let given = |key| query.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
    let after: u64 = given("after").map_or(0, |after| after.parse().unwrap());
    let mut seqs: Vec<u64> = log.iter().copied().filter(|seq| *seq > after).collect();
    if given("sort") == Some("-seq") {
        seqs.reverse();
    }
    seqs.into_iter().take(PAGE).map(|seq| json!({ "seq": seq })).collect()
}

/// Reads until nothing is new.
fn read(place: &mut Place<'_>, log: &[u64]) -> Vec<u64> {
    let mut seen = Vec::new();
    loop {
        let lines = place.next(|query| Ok(page(log, query))).unwrap();
        seen.extend(lines.iter().filter_map(|line| line["seq"].as_u64()));
        if lines.len() < PAGE {
            return seen;
        }
    }
}

#[test]
fn lines_come_once_and_in_their_order_and_later_ones_are_appended() {
    for (newest, first) in [(false, 1), (true, 2 * PAGE as u64 + 1)] {
        let mut log: Vec<u64> = (1..=3 * PAGE as u64).collect();
        let mut place = Place { path: String::new(), query: vec![("level", "Info")], newest, after: None };
        assert_eq!(read(&mut place, &log), (first..=log.len() as u64).collect::<Vec<_>>());
        assert!(read(&mut place, &log).is_empty());
        let later = log.len() as u64 + 1;
        log.push(later);
        assert_eq!(read(&mut place, &log), [later]);
        assert!(read(&mut place, &log).is_empty());
    }
}

#[test]
fn a_log_that_is_empty_yet_shows_its_first_lines() {
    let mut place = Place { path: String::new(), query: Vec::new(), newest: true, after: None };
    assert!(read(&mut place, &[]).is_empty());
    assert_eq!(read(&mut place, &[7, 9]), [7, 9]);
    assert_eq!(read(&mut place, &[7, 9, 10]), [10]);
}
