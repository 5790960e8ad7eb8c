//! A stop, a source that dies, a server that dies: the target stays as it was.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use sallyport_connectors::Error;
use sallyport_dataplane::EdgeError;
use serde_json::json;

use crate::flow::{Ending, Rows, Step, failure};
use crate::server::Server;

/// Nothing of ours runs on the server any more.
fn quiet(server: &Server) {
    server.wait_for("select count(*) from pg_stat_activity where usename = 'worker'", "0");
}

fn many_batches() -> Rows {
    let batch = |start: i32| {
        let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(start..start + 1000));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..1000).map(|_| "x".repeat(500))));
        RecordBatch::try_from_iter([("id", ids), ("text", texts)]).unwrap()
    };
    let batches: Vec<_> = (0..40).map(|number| batch(number * 1000)).collect();
    Rows { schema: batches[0].schema(), batches }
}

#[test]
fn a_stop_in_the_middle_of_a_read_ends_the_servers_work() {
    let server = Server::start();
    server.sql("create table wide as select i, repeat('x', 500) as text from generate_series(1, 800000) i");
    let endless = "select a, repeat('x', 100) from generate_series(1, 100000) a, generate_series(1, 100000) b";
    for (with, tls) in [
        (json!({"query": endless}), "require"),
        (json!({"query": endless}), "disable"),
        (json!({"table": "wide", "parallel": 3, "where": "pg_sleep(0.01) is not null"}), "disable"),
    ] {
        let step = Step::new();
        let outcome = step.read_with(&server.connection(json!({"tls": tls})), with, |_| step.cx.cancel.cancel());
        assert_eq!(outcome.err(), Some(Error::Cancelled));
        quiet(&server);
    }
}

#[test]
fn a_stop_ends_a_read_that_waits_for_the_server() {
    let server = Server::start();
    let step = Step::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            server.wait_for(
                "select count(*) from pg_stat_activity where usename = 'worker' and wait_event = 'PgSleep'",
                "1",
            );
            step.cx.cancel.cancel();
        });
        let outcome = step.read(&server.connection(json!({})), json!({"query": "select pg_sleep(600)::text as late"}));
        assert_eq!(outcome.err(), Some(Error::Cancelled));
    });
    quiet(&server);
}

#[test]
fn a_consumer_that_is_gone_ends_a_read_that_waits_for_the_server() {
    let server = Server::start();
    // A batch at once, then nothing for ten minutes.
    let query =
        "select repeat('x', 1000), case when i > 5000 then pg_sleep(600)::text end from generate_series(1, 6000) i";
    let outcome = Step::new().read_until(&server.connection(json!({})), json!({"query": query}), 1);
    assert_eq!(outcome, Err(Error::Edge(EdgeError::ConsumerGone)));
    quiet(&server);
}

#[test]
fn a_stop_in_the_middle_of_a_write_leaves_the_target_untouched() {
    let server = Server::start();
    server.sql("create table t (id int primary key, text text); insert into t values (-1, 'before')");
    for mode in ["append", "truncate", "replace", "upsert", "delete"] {
        let step = Step::new();
        let cancel = step.cx.cancel.clone();
        let key = if matches!(mode, "upsert" | "delete") { json!(["id"]) } else { json!([]) };
        let outcome = step.write_with(
            &server.connection(json!({})),
            json!({"table": "t", "mode": mode, "key": key}),
            &many_batches(),
            Ending::Finish,
            |number| {
                if number == 30 {
                    cancel.cancel();
                }
            },
        );
        assert_eq!(outcome, Err(Error::Cancelled), "{mode}");
        quiet(&server);
        assert_eq!(server.sql("select * from t"), "-1|before", "{mode}");
        assert_eq!(server.sql("select count(*) from pg_class where relname like 'sallyport_new%'"), "0");
    }
}

#[test]
fn a_source_that_dies_half_way_leaves_the_target_untouched() {
    let server = Server::start();
    server.sql("create table t (id int, text text)");
    let outcome = Step::new().write_with(
        &server.connection(json!({})),
        json!({"table": "t"}),
        &many_batches(),
        Ending::Abort,
        |_| {},
    );
    assert_eq!(outcome, Err(Error::Edge(EdgeError::Aborted("the source died".into()))));
    quiet(&server);
    assert_eq!(server.sql("select count(*) from t"), "0");
    assert_eq!(server.sql("select count(*) from sallyport_ledger"), "0");
}

#[test]
fn a_server_that_dies_is_a_failure_worth_another_try() {
    let mut server = Server::start();
    server.sql("create table t (id int, text text)");
    let connection = server.connection(json!({}));
    let outcome =
        Step::new().write_with(&connection, json!({"table": "t"}), &many_batches(), Ending::Finish, |number| {
            if number == 20 {
                server.crash();
            }
        });
    let failure = failure(outcome);
    assert!(failure.transient, "{failure:?}");
}

#[test]
fn an_error_of_the_server_is_heard_while_rows_are_still_coming() {
    let server = Server::start();
    server.sql("create table t (id int check (id <> 5), text text)");
    let rows = many_batches();
    let endless =
        Rows { schema: Arc::clone(&rows.schema), batches: rows.batches.iter().cycle().take(4000).cloned().collect() };
    let step = Step::new();
    let failure = failure(step.write(&server.connection(json!({})), json!({"table": "t"}), &endless));
    let taken = step.cx.progress.counts().rows_out;
    assert!(taken < endless.count() as u64 / 2, "{taken} rows were taken before the error was heard");
    assert_eq!((failure.code.as_str(), failure.transient), ("constraint_violation", false), "{failure:?}");
    for words in ["table `t`", "t_id_check", "line 6"] {
        assert!(failure.message.contains(words), "{}", failure.message);
    }
}
