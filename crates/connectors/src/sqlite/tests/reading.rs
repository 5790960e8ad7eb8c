use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use serde_json::{Value, json};

use super::modes::{connection, database};
use crate::Error;
use crate::file::tests::kit::{Kit, failure};

fn read(kit: &Kit, with: Value) -> Result<arrow_array::RecordBatch, Error> {
    kit.read_from("sqlite", Some(&connection()), &with)
}

#[test]
fn declared_types_are_kept() {
    let kit = Kit::new();
    database(&kit).execute_batch(
        "create table t (i integer, r real, x text, b blob, d date, at datetime, tz timestamptz, n decimal(12,2), f boolean, j json, v varchar(10), u numeric);
         insert into t values (1, 1.5, 'x', x'00ff', '2024-02-29', '2024-02-29 10:00:00', '2024-02-29T10:00:00+01:00', 12.34, 1, '{\"a\":1}', 'v', 7),
            (null, null, null, null, null, null, null, null, null, null, null, null),
            (-1, 2, '', x'', '1969-12-31', '2024-02-29T10:00:00.5', '2024-02-29T10:00:00Z', '99.9', 0, '[]', '', 8)",
    ).unwrap();
    let batch = read(&kit, json!({"table": "t"})).unwrap();
    let shown = crate::file::described(batch.schema_ref());
    assert_eq!(
        shown,
        "i Int64, r Float64, x Utf8, b Binary, d Date32, at Timestamp(µs), tz Timestamp(µs, \"UTC\"), n Decimal128(12, 2), f Boolean, j json, v Utf8, u Int64"
    );
    let rows: Vec<Value> = (0..3).map(|row| crate::reject::row_values(&batch, row)).collect();
    assert_eq!(rows[0]["n"], "12.34");
    assert_eq!(rows[2]["n"], "99.90");
    assert_eq!(rows[0]["tz"], "2024-02-29T09:00:00Z");
    assert_eq!(rows[2]["r"], "2.0");
    assert!(rows[1].as_object().unwrap().values().all(Value::is_null));
}

#[test]
fn tables_views_and_queries_are_read() {
    let kit = Kit::new();
    database(&kit).execute_batch(
        "create table \"T x\" (\"a b\" integer, c text); insert into \"T x\" values (1, 'one'), (2, 'two'), (3, null);
         create view v as select \"a b\" * 2 as doubled from \"T x\"; create table w (k text primary key) without rowid; insert into w values ('k')",
    ).unwrap();
    let batch = read(&kit, json!({"table": "T x", "columns": ["a b"], "where": "c is not null -- all"})).unwrap();
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[1, 2]);
    assert_eq!(read(&kit, json!({"table": "v"})).unwrap().column(0).as_primitive::<Int64Type>().values(), &[2, 4, 6]);
    assert_eq!(read(&kit, json!({"table": "w"})).unwrap().num_rows(), 1);
    let batch =
        read(&kit, json!({"query": "select count(*) as n, 1.5 as r, 'x' as t, null as e from \"T x\""})).unwrap();
    assert_eq!(crate::file::described(batch.schema_ref()), "n Int64, r Float64, t Utf8, e Utf8");
}

#[test]
fn what_cannot_be_read_is_named() {
    let kit = Kit::new();
    database(&kit).execute_batch("create table t (n integer, d date); insert into t(rowid, n, d) values (41, 1, '2024-01-01'), (42, 'x', 'y')").unwrap();
    let (code, text) = failure(read(&kit, json!({"table": "t"})));
    assert!(
        code == "bad_value"
            && text.contains("`t`")
            && text.contains("rowid 42")
            && text.contains("`n`")
            && text.contains("`x`"),
        "{text}"
    );
    let (code, text) = failure(read(&kit, json!({"query": "select d from t"})));
    assert!(code == "bad_value" && text.contains("row 2") && text.contains("`d`"), "{text}");
    for (with, code, word) in [
        (json!({"table": "nope"}), "no_such_table", "nope"),
        (json!({"table": "t", "columns": ["m"]}), "no_such_column", "n, d"),
        (json!({"query": "delete from t"}), "bad_query", "select"),
        (json!({"query": "attach 'x' as y"}), "bad_query", "select"),
        (json!({"query": "selec"}), "bad_query", "selec"),
        (json!({"query": "select 1; select 2"}), "bad_query", ""),
        (json!({"query": "select 1", "table": "t"}), "bad_settings", "query"),
        (json!({}), "bad_settings", "table"),
    ] {
        let (found, text) = failure(read(&kit, with.clone()));
        assert!(found == code && text.contains(word), "{with}: {found} {text}");
    }
    std::fs::write(kit.path("client.db"), "no database".repeat(1000)).unwrap();
    assert_eq!(failure(read(&kit, json!({"table": "t"}))).0, "not_a_database");
}

#[test]
fn a_blob_is_no_text() {
    let kit = Kit::new();
    database(&kit).execute_batch("create table t (x text, d date); insert into t values (x'00ff', null)").unwrap();
    let (code, text) = failure(read(&kit, json!({"table": "t"})));
    assert!(code == "bad_value" && text.contains("`x`") && text.contains("a blob of 2 bytes"), "{text}");
}

#[test]
fn what_is_no_query_never_reaches_the_database() {
    let kit = Kit::new();
    drop(database(&kit));
    for query in
        ["pragma hard_heap_limit=1000", "-- a\n/* b */ PRAGMA user_version", "explain select 1", "--", "/*", ""]
    {
        let (code, text) = failure(read(&kit, json!({"query": query})));
        assert!(code == "bad_query" && text.contains("select"), "{query}: {text}");
    }
    for query in ["-- a\n/* b */ SELECT 1 as n", "with t as (select 1) select * from t", "values (1)"] {
        assert_eq!(read(&kit, json!({"query": query})).unwrap().num_rows(), 1, "{query}");
    }
}

#[test]
fn a_value_beyond_the_limit_is_refused_before_it_is_held() {
    let kit = Kit::new();
    drop(database(&kit));
    assert_eq!(failure(read(&kit, json!({"query": "select zeroblob(40000000) as z"}))).0, "value_too_large");
    assert_eq!(failure(read(&kit, json!({"query": "select zeroblob(900000000) as z"}))).0, "value_too_large");
}

const ENDLESS: &str = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) as m from n";

#[test]
fn a_stop_ends_a_query_whenever_it_comes() {
    let kit = Kit::new();
    drop(database(&kit));
    let cancel = kit.cx.cancel.clone();
    // Before, between and within the statements: a stop is never lost.
    let stopper = std::thread::spawn(move || cancel.cancel());
    assert_eq!(read(&kit, json!({"query": ENDLESS})).unwrap_err(), Error::Cancelled);
    stopper.join().unwrap();
    assert_eq!(read(&kit, json!({"query": ENDLESS})).unwrap_err(), Error::Cancelled);
}

#[test]
fn a_stop_ends_the_wait_for_a_lock() {
    let kit = Kit::new();
    let other = database(&kit);
    other.execute_batch("create table t (n integer); begin exclusive").unwrap();
    let cancel = kit.cx.cancel.clone();
    let stopper = std::thread::spawn(move || cancel.cancel());
    assert_eq!(read(&kit, json!({"table": "t"})).unwrap_err(), Error::Cancelled);
    stopper.join().unwrap();
}

#[test]
fn a_database_below_the_root_cannot_be_elsewhere() {
    let kit = Kit::new();
    let mut order = connection();
    order.settings = json!({"path": "../client.db"});
    assert_eq!(failure(kit.read_from("sqlite", Some(&order), &json!({"table": "t"}))).0, "path_refused");
    order.settings = json!({"path": "missing.db"});
    assert_eq!(failure(kit.read_from("sqlite", Some(&order), &json!({"table": "t"}))).0, "file_not_found");
    let test = crate::test("sqlite", &order, &kit.cx.site, &kit.cx.cancel);
    assert!(!test.passed() && test.stages.last().unwrap().stage == "file");
    drop(database(&kit));
    assert!(crate::test("sqlite", &connection(), &kit.cx.site, &kit.cx.cancel).passed());
}
