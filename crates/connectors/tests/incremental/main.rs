//! Incremental reads of SQLite into SQLite, from real files.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

mod files;
mod pipe;
mod stories;

use std::path::Path;

use sallyport_protocol::ConnectionOrder;
use serde_json::json;
use stories::Database;

struct Sqlite(tempfile::TempDir);

impl Sqlite {
    fn new() -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        // Readers and writers side by side, as source and target are the same file here.
        made.open().execute_batch("pragma journal_mode = wal").unwrap();
        made
    }

    fn open(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.0.path().join("client.db")).unwrap()
    }
}

impl Database for Sqlite {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    fn connection(&self) -> ConnectionOrder {
        ConnectionOrder { name: "client".into(), settings: json!({"path": "client.db"}), secrets: Default::default() }
    }

    fn files(&self) -> &Path {
        self.0.path()
    }

    fn execute(&self, sql: &str) {
        self.open().execute_batch(sql).unwrap();
    }

    fn lines(&self, sql: &str) -> Vec<String> {
        let database = self.open();
        let mut statement = database.prepare(sql).unwrap();
        let count = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        let mut lines = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let values = (0..count).map(|at| match row.get_ref(at).unwrap() {
                rusqlite::types::ValueRef::Null => "NULL".to_owned(),
                rusqlite::types::ValueRef::Integer(value) => value.to_string(),
                rusqlite::types::ValueRef::Real(value) => value.to_string(),
                other => other.as_str().unwrap().to_owned(),
            });
            lines.push(values.collect::<Vec<_>>().join("|"));
        }
        lines
    }

    fn fill(&self, from: u64, to: u64) {
        self.execute(&format!(
            "create table if not exists s (id integer, c integer, x text);
             insert into s with recursive n(i) as (select {from} union all select i + 1 from n where i < {to})
             select i, i / 3, printf('%0100d', i) from n"
        ));
    }
}

#[test]
fn a_broken_read_goes_on_where_the_target_is() {
    stories::a_broken_read_goes_on_where_the_target_is(&Sqlite::new());
}

#[test]
fn an_older_attempt_does_not_commit_any_more() {
    stories::an_older_attempt_does_not_commit_any_more(&Sqlite::new());
}

#[test]
fn ties_at_the_edge_are_read_once() {
    stories::ties_at_the_edge_are_read_once(&Sqlite::new());
}

#[test]
fn late_rows_within_the_lag_are_read() {
    stories::late_rows_within_the_lag_are_read(&Sqlite::new(), "text");
}

#[test]
fn a_large_group_at_the_edge_waits() {
    stories::a_large_group_at_the_edge_waits(&Sqlite::new());
}

#[test]
fn every_kind_of_cursor_goes_on() {
    let columns = [
        ("integer", ["-1", "0", "5", "9223372036854775807"]),
        ("real", ["-0.5", "0.1", "0.30000000000000004", "1e300"]),
        ("text", ["''", "'O''Hara'", "'P'", "'ä'"]),
        ("datetime", ["'2024-01-01 00:00:00'", "'2024-01-01 00:00:01'", "'2024-01-01 00:00:01.5'", "'2025-01-01'"]),
        ("date", ["'2023-12-31'", "'2024-01-01'", "'2024-02-29'", "'2024-03-01'"]),
        ("numeric", ["1", "1.5", "2", "2.25"]),
    ];
    stories::every_kind_of_cursor_goes_on(&Sqlite::new(), &columns);
}

#[test]
fn a_persons_word_counts_more_than_the_target() {
    stories::a_persons_word_counts_more_than_the_target(&Sqlite::new());
}

#[test]
fn mistakes_are_named() {
    stories::mistakes_are_named(&Sqlite::new());
}

#[test]
fn a_target_that_is_being_read_is_committed_once_it_is_free() {
    let database = Sqlite::new();
    database.execute("pragma journal_mode = delete");
    database.fill(1, 400_000);
    let connection = database.connection();
    let end = |with| pipe::End { kind: "sqlite", connection: Some(&connection), with };
    let read = end(json!({"table": "s", "incremental": {"column": "c"}}));
    let write = end(json!({"table": "t", "create": true, "commit_every": {"rows": 1}}));
    let outcome = pipe::run(&read, &write, database.files(), &pipe::Attempt::new(1), &mut |_, _| true);
    assert_eq!(outcome.committed.as_ref().map(|committed| committed.rows), Some(400_000));
    assert_eq!(outcome.good(), 400_000);
    assert_eq!(database.lines("select count(*) from t"), ["400000"]);
}
