//! What must be true of an incremental read into any database, told once for all of them.

use std::collections::BTreeMap;
use std::path::Path;

use sallyport_connectors::{Checkpointing, Error};
use sallyport_protocol::{Backfill, Checkpoint, ConnectionOrder};
use serde_json::{Value, json};

use crate::pipe::{Attempt, End, Outcome, run};

/// A database that rows are read from and written to.
pub(crate) trait Database: Sync {
    fn kind(&self) -> &'static str;
    fn connection(&self) -> ConnectionOrder;
    fn files(&self) -> &Path;
    fn execute(&self, sql: &str);
    /// The rows of a query, values as text with `|` between.
    fn lines(&self, sql: &str) -> Vec<String>;
    /// Makes a table `s` of rows 1 to `rows`, its cursor `c` growing by one every third row, with a text of some length.
    fn fill(&self, from: u64, to: u64);
}

/// Enough for several batches of every source.
const ROWS: u64 = 200_000;

fn incremental(column: &str) -> Value {
    json!({"table": "s", "incremental": {"column": column}})
}

/// Appends to `t`; commits wherever it may.
fn eager() -> Value {
    json!({"table": "t", "create": true, "commit_every": {"rows": 1}})
}

fn go(database: &dyn Database, read: Value, write: Value, attempt: &Attempt) -> Outcome {
    go_with(database, read, write, attempt, &mut |_, _| true)
}

fn go_with(
    database: &dyn Database,
    read: Value,
    write: Value,
    attempt: &Attempt,
    between: &mut (dyn FnMut(usize, &Checkpointing) -> bool + Send),
) -> Outcome {
    let connection = database.connection();
    let end = |with| End { kind: database.kind(), connection: Some(&connection), with };
    run(&end(read), &end(write), database.files(), attempt, between)
}

/// Every row of the source is in the target exactly once.
fn same(database: &dyn Database) {
    let (source, target) =
        (database.lines("select * from s order by id"), database.lines("select * from t order by id"));
    if source != target {
        let mut count: BTreeMap<&String, i32> = BTreeMap::new();
        source.iter().for_each(|line| *count.entry(line).or_default() += 1);
        target.iter().for_each(|line| *count.entry(line).or_default() -= 1);
        count.retain(|_, count| *count != 0);
        panic!("missing (1) or too many (-1): {:?}", count.iter().take(10).collect::<Vec<_>>());
    }
}

pub(crate) fn a_broken_read_goes_on_where_the_target_is(database: &dyn Database) {
    database.fill(1, ROWS);
    let mut committed = 0;
    for fence in 1..=6 {
        let stop = fence as usize;
        let outcome =
            go_with(database, incremental("c"), eager(), &Attempt::new(fence), &mut |number, _| number < stop);
        assert!(outcome.written.is_err());
        let now = outcome.committed.map_or(committed, |committed| committed.sequence);
        assert!(now >= committed, "the count of commits went back");
        committed = now;
        // What comes meanwhile is read by a later attempt.
        database.fill(ROWS + fence * 100, ROWS + fence * 100 + 50);
    }
    assert!(committed > 2, "nothing was committed before the breaks");
    let kept = database.lines("select count(*) from t")[0].parse::<u64>().unwrap();
    let last = go(database, incremental("c"), eager(), &Attempt::new(7));
    assert!(last.rows < ROWS + 306 && kept > 0, "the last attempt began at the start");
    last.good();
    same(database);
    assert_eq!(go(database, incremental("c"), eager(), &Attempt::new(8)).good(), 0);
    same(database);
}

pub(crate) fn an_older_attempt_does_not_commit_any_more(database: &dyn Database) {
    database.fill(1, ROWS);
    let outcome = go_with(database, incremental("c"), eager(), &Attempt::new(1), &mut |number, checkpointing| {
        if number == 2 {
            // The first chunk is committed: before the next begins nothing is open.
            wait_until(|| checkpointing.committed().is_some());
            go(database, incremental("c"), eager(), &Attempt::new(2)).good();
            same(database);
        }
        true
    });
    assert!(matches!(outcome.written, Err(Error::Failed(_))), "{:?}", outcome.written);
    same(database);
    let claimed = go(database, incremental("c"), eager(), &Attempt::new(1));
    let Err(Error::Failed(failure)) = claimed.written else { panic!("{:?}", claimed.written) };
    assert_eq!(failure.code, "superseded");
    same(database);
}

pub(crate) fn ties_at_the_edge_are_read_once(database: &dyn Database) {
    database.execute("create table s (id int, c int, x text)");
    database.execute("insert into s values (1, 5, 'a'), (2, 7, 'b'), (2, 7, 'b'), (3, null, 'n')");
    let first = go(database, incremental("c"), eager(), &Attempt::new(1));
    assert!(first.log.iter().any(|line| line.contains("1 rows") && line.contains("no `c`")), "{:?}", first.log);
    let checkpoint = first.committed.clone().unwrap().checkpoint;
    assert_eq!(first.good(), 3);
    assert_eq!(checkpoint.0["ties"].as_array().unwrap().len(), 2);
    // The same value again: a new row, a changed one, and one more that is like two others.
    database.execute("insert into s values (4, 7, 'c'), (2, 7, 'b')");
    assert_eq!(go(database, incremental("c"), eager(), &Attempt::new(2)).good(), 2);
    assert_eq!(go(database, incremental("c"), eager(), &Attempt::new(3)).good(), 0);
    database.execute("insert into s values (5, 8, 'd'), (6, 7, 'late')");
    assert_eq!(go(database, incremental("c"), eager(), &Attempt::new(4)).good(), 2);
    database.execute("delete from s where c is null");
    same(database);
}

pub(crate) fn late_rows_within_the_lag_are_read(database: &dyn Database, time: &str) {
    database.execute(&format!("create table s (id int, c {time}, x text)"));
    database.execute("insert into s values (1, '2024-03-01 10:00:00', 'a'), (2, '2024-03-01 10:10:00', 'b')");
    let read = json!({"table": "s", "incremental": {"column": "c", "lag": "5m", "start": "2024-01-01"}});
    assert_eq!(go(database, read.clone(), eager(), &Attempt::new(1)).good(), 1);
    // Committed late, with a time before the newest.
    database.execute("insert into s values (3, '2024-03-01 10:08:00', 'late'), (4, '2024-03-01 10:30:00', 'c')");
    assert_eq!(go(database, read.clone(), eager(), &Attempt::new(2)).good(), 2);
    database.execute("insert into s values (5, '2024-03-01 12:00:00', 'd')");
    assert_eq!(go(database, read, eager(), &Attempt::new(3)).good(), 1);
    database.execute("delete from s where id = 5");
    same(database);
}

pub(crate) fn a_large_group_at_the_edge_waits(database: &dyn Database) {
    database.execute("create table s (id int, c int, x text)");
    let values: Vec<String> = (1..=2500).map(|id| format!("({id}, {}, 'x')", if id <= 10 { 1 } else { 2 })).collect();
    database.execute(&format!("insert into s values {}", values.join(", ")));
    let first = go(database, incremental("c"), eager(), &Attempt::new(1));
    assert!(first.log.iter().any(|line| line.contains("more than 2000 rows")), "{:?}", first.log);
    assert_eq!(first.good(), 10);
    assert_eq!(go(database, incremental("c"), eager(), &Attempt::new(2)).good(), 0);
    database.execute("insert into s values (3000, 3, 'y')");
    assert_eq!(go(database, incremental("c"), eager(), &Attempt::new(3)).good(), 2491);
    same(database);
}

pub(crate) fn every_kind_of_cursor_goes_on(database: &dyn Database, columns: &[(&str, [&str; 4])]) {
    for (number, (kind, values)) in columns.iter().enumerate() {
        database.execute(&format!("drop table if exists s; drop table if exists t; create table s (id int, c {kind})"));
        let mut fence = number as u64 * 10;
        for (id, value) in values.iter().enumerate() {
            database.execute(&format!("insert into s values ({id}, {value})"));
            fence += 1;
            // A checkpoint of its own for each kind.
            let attempt = Attempt { epoch: number as u64 + 1, ..Attempt::new(fence) };
            let outcome = go(database, incremental("c"), eager(), &attempt);
            assert_eq!(outcome.good(), 1, "{kind} {value}");
        }
        assert_eq!(database.lines("select count(*) from t"), ["4"], "{kind}");
        let attempt = Attempt { epoch: number as u64 + 1, ..Attempt::new(fence + 1) };
        assert_eq!(go(database, incremental("c"), eager(), &attempt).good(), 0, "{kind}");
    }
}

pub(crate) fn a_persons_word_counts_more_than_the_target(database: &dyn Database) {
    database.execute("create table s (id int primary key, c int, x text)");
    database.execute("insert into s values (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')");
    let write = json!({"table": "t", "create": true, "mode": "upsert", "key": ["id"]});
    assert_eq!(go(database, incremental("c"), write.clone(), &Attempt::new(1)).good(), 3);
    let set = Checkpoint(json!({"value": 1}));
    let attempt = Attempt { epoch: 2, checkpoint: Some(set), ..Attempt::new(2) };
    assert_eq!(go(database, incremental("c"), write.clone(), &attempt).good(), 2);
    let cleared = Attempt { epoch: 3, ..Attempt::new(3) };
    assert_eq!(go(database, incremental("c"), write.clone(), &cleared).good(), 3);
    // An epoch that is over is refused, whatever its fence.
    let old = go(database, incremental("c"), write.clone(), &Attempt { epoch: 2, ..Attempt::new(9) });
    assert!(matches!(old.written, Err(Error::Failed(_))));
    let range = Backfill { step: "read".into(), from: "2".into(), to: "3".into() };
    let backfill = Attempt { epoch: 3, backfill: Some(range), ..Attempt::new(4) };
    assert_eq!(go(database, incremental("c"), write.clone(), &backfill).good(), 1);
    let next = Attempt { epoch: 3, ..Attempt::new(5) };
    assert_eq!(go(database, incremental("c"), write, &next).good(), 0);
    same(database);
}

pub(crate) fn mistakes_are_named(database: &dyn Database) {
    database.execute("create table s (id int, c int, x text)");
    database.execute("insert into s values (1, 1, 'a')");
    for (with, code) in [
        (incremental("nope"), "no_such_column"),
        (json!({"table": "s", "incremental": {"column": "c", "lag": "5m"}}), "bad_lag"),
        (json!({"table": "s", "incremental": {"column": "x", "lag": 5}}), "bad_lag"),
    ] {
        let outcome = go(database, with.clone(), eager(), &Attempt::new(1));
        let Err(Error::Failed(failure)) = outcome.read else { panic!("{with}") };
        assert_eq!(failure.code, code, "{with}");
        assert!(outcome.written.is_err() && failure.advice.is_some());
    }
    let garbage = Attempt { checkpoint: Some(Checkpoint(json!({"files": []}))), ..Attempt::new(2) };
    let outcome = go(database, incremental("c"), eager(), &garbage);
    let Err(Error::Failed(failure)) = outcome.read else { panic!("{:?}", outcome.read) };
    assert_eq!(failure.code, "bad_checkpoint");
}

/// Waits for a state, with a deadline.
fn wait_until(mut reached: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if reached() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the state was not reached");
}
