//! New and changed files into SQLite: what is in the target is compared value by value.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use sallyport_connectors::Error;
use sallyport_protocol::{Backfill, Checkpoint};
use serde_json::{Value, json};

use crate::Sqlite;
use crate::pipe::{Attempt, End, Outcome, run};
use crate::stories::Database;

/// The time of the first file: long ago, so that none is taken for one that is still written.
const BEGIN: u64 = 1_700_000_000;

/// Writes a CSV file of ids, changed `after` seconds behind the beginning.
fn put(files: &Path, name: &str, ids: std::ops::Range<u64>, after: u64) {
    let path = files.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let rows: String = ids.map(|id| format!("{id},row {id}\n")).collect();
    std::fs::write(&path, format!("id,x\n{rows}")).unwrap();
    touch(&path, after);
}

fn touch(path: &Path, after: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(BEGIN + after)).unwrap();
}

fn read(incremental: Value) -> Value {
    json!({"path": "in/**/*.csv", "incremental": incremental})
}

/// Appends, and commits wherever it may: a row that comes twice is there twice.
fn append() -> Value {
    json!({"table": "t", "create": true, "commit_every": {"rows": 1}})
}

fn go(database: &Sqlite, with: Value, attempt: &Attempt) -> Outcome {
    go_while(database, with, attempt, &mut |_| true)
}

/// The stream breaks where `on` says no to the number of a batch or mark.
fn go_while(database: &Sqlite, with: Value, attempt: &Attempt, on: &mut (dyn FnMut(usize) -> bool + Send)) -> Outcome {
    let connection = database.connection();
    let source = End { kind: "file", connection: None, with };
    let sink = End { kind: "sqlite", connection: Some(&connection), with: append() };
    run(&source, &sink, database.files(), attempt, &mut |number, _| on(number))
}

fn ids(database: &Sqlite) -> Vec<u64> {
    let lines = database.lines("select id from t order by id");
    lines.iter().map(|line| line.parse().unwrap()).collect()
}

fn code(outcome: Outcome) -> String {
    match outcome.read {
        Err(Error::Failed(failure)) => failure.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_new_and_changed_files_are_read() {
    let database = Sqlite::new();
    let files = database.files();
    put(files, "in/b.csv", 0..3, 10);
    put(files, "in/sub/a.csv", 3..5, 20);
    let first = go(&database, read(json!({})), &Attempt::new(1));
    let checkpoint = first.committed.clone().unwrap().checkpoint;
    assert_eq!(first.good(), 5);
    assert_eq!(checkpoint.0["value"], "2023-11-14T22:13:40Z");
    assert_eq!(checkpoint.0["files"][1]["path"], "in/sub/a.csv");
    // Nothing new, nothing read.
    assert_eq!(go(&database, read(json!({})), &Attempt::new(2)).good(), 0);
    // A new one, a changed one, and one that came late with an older time.
    put(files, "in/c.csv", 5..7, 30);
    put(files, "in/b.csv", 7..9, 40);
    put(files, "in/moved.csv", 9..10, 1);
    assert_eq!(go(&database, read(json!({})), &Attempt::new(3)).good(), 5);
    assert_eq!(ids(&database), (0..10).collect::<Vec<_>>());
    assert_eq!(database.lines("select x from t where id = 9"), ["row 9"]);
    // Without its size a change within the clock's tick would not be seen.
    put(files, "in/c.csv", 10..14, 30);
    assert_eq!(go(&database, read(json!({})), &Attempt::new(4)).good(), 4);
    // A removed one is nothing new.
    std::fs::remove_file(files.join("in/c.csv")).unwrap();
    assert_eq!(go(&database, read(json!({})), &Attempt::new(5)).good(), 0);
}

#[test]
fn a_broken_read_goes_on_behind_the_last_committed_file() {
    let database = Sqlite::new();
    // Each larger than what is between two marks, in a time order that is not that of the names.
    const EACH: u64 = 80_000;
    for file in 0..6 {
        put(database.files(), &format!("in/{}.csv", 9 - file), file * EACH..(file + 1) * EACH, file);
    }
    let mut counts = Vec::new();
    for fence in 1..=4_u64 {
        // A file and the beginning of the next.
        let stop = 8;
        let broken = go_while(&database, read(json!({})), &Attempt::new(fence), &mut |number| number < stop);
        assert!(broken.written.is_err());
        counts.push(database.lines("select count(*) from t")[0].parse::<u64>().unwrap());
    }
    assert!(counts.iter().all(|count| count % EACH == 0), "part of a file was committed: {counts:?}");
    let last = go(&database, read(json!({})), &Attempt::new(5));
    assert_eq!(last.good(), 6 * EACH - counts[3], "files were read twice or never");
    assert!(counts[3] > 0, "nothing was committed before the breaks");
    assert_eq!(ids(&database), (0..6 * EACH).collect::<Vec<_>>());
}

#[test]
fn a_file_that_changes_while_it_is_read_is_not_committed() {
    let database = Sqlite::new();
    put(database.files(), "in/a.csv", 0..80_000, 1);
    put(database.files(), "in/b.csv", 80_000..400_000, 2);
    let growing = database.files().join("in/b.csv");
    let outcome = go_while(&database, read(json!({})), &Attempt::new(1), &mut |number| {
        if number == 0 {
            let mut file = File::options().append(true).open(&growing).unwrap();
            std::io::Write::write_all(&mut file, b"400000,late\n").unwrap();
        }
        true
    });
    let Err(Error::Failed(failure)) = &outcome.read else { panic!("{:?}", outcome.read) };
    assert!(failure.code == "file_changed" && failure.transient && failure.message.contains("in/b.csv"), "{failure:?}");
    assert_eq!(ids(&database), (0..80_000).collect::<Vec<_>>(), "rows of the changed file were committed");
    touch(&growing, 3);
    assert_eq!(go(&database, read(json!({})), &Attempt::new(2)).good(), 320_001);
    assert_eq!(ids(&database), (0..=400_000).collect::<Vec<_>>());
}

#[test]
fn start_lag_set_clear_and_back_fill() {
    let database = Sqlite::new();
    let files = database.files();
    for (file, after) in [(0, 0), (1, 100), (2, 200)] {
        put(files, &format!("in/{file}.csv"), file..file + 1, after);
    }
    std::fs::write(files.join("in/now.csv"), "id,x\n99,now\n").unwrap();
    let start = json!({"start": "2023-11-14T22:15:00Z", "lag": "1h"});
    let first = go(&database, read(start.clone()), &Attempt::new(1));
    assert!(first.log.iter().any(|line| line.contains("2 of 4 files") && line.contains("1 changed just now")));
    first.good();
    assert_eq!(ids(&database), [1, 2]);
    // What lies before the start does not come with the second run either.
    assert_eq!(go(&database, read(start.clone()), &Attempt::new(2)).good(), 0);
    let range = Backfill { step: "read".into(), from: "2023-11-14".into(), to: "2023-11-14T22:15:00Z".into() };
    let backfill = Attempt { backfill: Some(range), ..Attempt::new(3) };
    assert_eq!(go(&database, read(start.clone()), &backfill).good(), 1);
    assert_eq!(ids(&database), [0, 1, 2]);
    let set = Checkpoint(json!({"value": "2023-11-14T22:15:00Z"}));
    let set = Attempt { epoch: 2, checkpoint: Some(set), ..Attempt::new(4) };
    assert_eq!(go(&database, read(json!({"lag": "1h"})), &set).good(), 1);
    let cleared = Attempt { epoch: 3, ..Attempt::new(5) };
    assert_eq!(go(&database, read(json!({"lag": "0s"})), &cleared).good(), 4);
}

#[test]
fn many_files_of_one_moment_are_read_once() {
    let database = Sqlite::new();
    for file in 0..1500 {
        put(database.files(), &format!("in/{file:04}.csv"), file..file + 1, 0);
    }
    assert_eq!(go(&database, read(json!({})), &Attempt::new(1)).good(), 1500);
    put(database.files(), "in/next.csv", 1500..1501, 0);
    assert_eq!(go(&database, read(json!({})), &Attempt::new(2)).good(), 1);
    assert_eq!(ids(&database), (0..=1500).collect::<Vec<_>>());
}

#[test]
fn an_empty_folder_has_nothing_new_where_the_columns_are_known() {
    let database = Sqlite::new();
    assert_eq!(code(go(&database, read(json!({})), &Attempt::new(1))), "file_not_found");
    let mut named = read(json!({}));
    named["columns"] = json!([{"name": "id", "type": "bigint"}, {"name": "x", "type": "text"}]);
    assert_eq!(go(&database, named, &Attempt::new(2)).good(), 0);
    assert_eq!(database.lines("select count(*) from t"), ["0"]);
}

#[test]
fn what_a_step_says_about_files_is_checked() {
    let garbage = Checkpoint(json!({"value": 7, "ties": []}));
    let database = Sqlite::new();
    put(database.files(), "in/a.csv", 0..1, 0);
    let attempt = Attempt { checkpoint: Some(garbage), ..Attempt::new(1) };
    assert_eq!(code(go(&database, read(json!({})), &attempt)), "bad_checkpoint");
    for (incremental, code) in [
        (json!({"lag": 5}), "bad_lag"),
        (json!({"start": "soon"}), "bad_settings"),
        (json!({"column": "x"}), "bad_settings"),
    ] {
        let Err(Error::Failed(failure)) = sallyport_connectors::source("file", None, &read(incremental)) else {
            panic!("a wrong setting was taken");
        };
        assert_eq!(failure.code, code);
    }
}

#[test]
fn parquet_and_json_lines_go_on_too() {
    for extension in ["jsonl", "parquet"] {
        let database = Sqlite::new();
        let files = database.files();
        let path = |name: &str| format!("in/{name}.{extension}");
        let with = json!({"path": path("*"), "incremental": {}});
        for (number, name) in ["z", "a"].into_iter().enumerate() {
            put(files, "rows.csv", number as u64 * 10..number as u64 * 10 + 2, 0);
            // Written by the connector itself.
            let (source, sink) = (json!({"path": "rows.csv"}), json!({"path": path(name)}));
            let end = |with| End { kind: "file", connection: None, with };
            run(&end(source), &end(sink), files, &Attempt::new(number as u64), &mut |_, _| true).good();
            touch(&files.join(path(name)), number as u64);
            assert_eq!(go(&database, with.clone(), &Attempt::new(number as u64 + 1)).good(), 2, "{extension}");
        }
        assert_eq!(go(&database, with, &Attempt::new(9)).good(), 0);
        assert_eq!(ids(&database), [0, 1, 10, 11]);
    }
}
