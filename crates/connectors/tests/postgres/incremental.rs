//! Incremental reads of PostgreSQL into PostgreSQL.

use std::path::Path;

use sallyport_protocol::ConnectionOrder;
use serde_json::json;
use tempfile::TempDir;

use crate::server::Server;
use crate::stories::{self, Database};

struct Postgres {
    server: Server,
    files: TempDir,
}

impl Postgres {
    fn new() -> Self {
        Self { server: Server::start(), files: tempfile::tempdir().expect("a folder") }
    }
}

impl Database for Postgres {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn connection(&self) -> ConnectionOrder {
        self.server.connection(json!({}))
    }

    fn files(&self) -> &Path {
        self.files.path()
    }

    fn execute(&self, sql: &str) {
        self.server.sql(sql);
    }

    fn lines(&self, sql: &str) -> Vec<String> {
        self.server.sql(sql).lines().map(str::to_owned).collect()
    }

    fn fill(&self, from: u64, to: u64) {
        self.execute(&format!(
            "create table if not exists s (id int, c int, x text);
             insert into s select i, i / 3, lpad(i::text, 100, '0') from generate_series({from}, {to}) i"
        ));
    }
}

#[test]
fn a_broken_read_goes_on_where_the_target_is() {
    stories::a_broken_read_goes_on_where_the_target_is(&Postgres::new());
}

#[test]
fn an_older_attempt_does_not_commit_any_more() {
    stories::an_older_attempt_does_not_commit_any_more(&Postgres::new());
}

#[test]
fn ties_at_the_edge_are_read_once() {
    stories::ties_at_the_edge_are_read_once(&Postgres::new());
}

#[test]
fn late_rows_within_the_lag_are_read() {
    stories::late_rows_within_the_lag_are_read(&Postgres::new(), "timestamptz");
}

#[test]
fn a_large_group_at_the_edge_waits() {
    stories::a_large_group_at_the_edge_waits(&Postgres::new());
}

#[test]
fn every_kind_of_cursor_goes_on() {
    let database = Postgres::new();
    database.execute("create type mood as enum ('sad', 'ok', 'good', 'great')");
    let columns = [
        ("smallint", ["-1", "0", "5", "32767"]),
        ("int", ["-1", "0", "5", "2147483647"]),
        ("bigint", ["-1", "0", "5", "9223372036854775807"]),
        ("real", ["-0.5", "0.1", "0.3", "1e30"]),
        ("double precision", ["-0.5", "0.1", "0.30000000000000004", "1e300"]),
        ("numeric", ["-0.5", "0.1", "0.10000000000000000001", "12345678901234567890.5"]),
        ("numeric(10,2)", ["-0.5", "0.1", "0.11", "100"]),
        ("text", ["''", "'O''Hara'", "'P\\x'", "'ä'"]),
        ("date", ["'2023-12-31'", "'2024-01-01'", "'2024-02-29'", "'2024-03-01'"]),
        ("time", ["'00:00'", "'00:00:00.000001'", "'12:00'", "'23:59:59'"]),
        ("timestamp", ["'2024-01-01'", "'2024-01-01 00:00:00.000001'", "'2024-01-01 00:00:01.5'", "'2025-01-01'"]),
        (
            "timestamptz",
            ["'2024-03-31 00:59Z'", "'2024-03-31 01:00Z'", "'2024-03-31 01:00:00.000001Z'", "'2025-01-01'"],
        ),
        (
            "uuid",
            [
                "'00000000-0000-0000-0000-000000000001'",
                "'00000000-0000-0000-0000-00000000000a'",
                "'10000000-0000-0000-0000-000000000000'",
                "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
            ],
        ),
        ("mood", ["'sad'", "'ok'", "'good'", "'great'"]),
        ("pg_lsn", ["'0/1'", "'0/10'", "'0/9000'", "'1/0'"]),
    ];
    stories::every_kind_of_cursor_goes_on(&database, &columns);
}

#[test]
fn a_persons_word_counts_more_than_the_target() {
    stories::a_persons_word_counts_more_than_the_target(&Postgres::new());
}

#[test]
fn mistakes_are_named() {
    stories::mistakes_are_named(&Postgres::new());
}
