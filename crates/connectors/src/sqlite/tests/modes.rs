use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use sallyport_protocol::ConnectionOrder;
use serde_json::{Value, json};

use crate::file::tests::kit::{End, Kit, failure};
use crate::file::tests::round_trip::every_type;
use crate::{Error, Written};

pub(super) fn connection() -> ConnectionOrder {
    ConnectionOrder { name: "client".into(), settings: json!({"path": "client.db"}), secrets: Default::default() }
}

pub(super) fn database(kit: &Kit) -> rusqlite::Connection {
    let database = rusqlite::Connection::open(kit.path("client.db")).unwrap();
    database.execute_batch("pragma user_version = 1").unwrap();
    database
}

fn rows(pairs: &[(Option<i64>, &str)]) -> RecordBatch {
    let ids: Int64Array = pairs.iter().map(|pair| pair.0).collect();
    let names: StringArray = pairs.iter().map(|pair| Some(pair.1)).collect();
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(ids) as ArrayRef, true),
        ("name", Arc::new(names) as ArrayRef, true),
    ])
    .unwrap()
}

fn write(kit: &Kit, with: Value, batch: &RecordBatch, end: End) -> Result<Written, Error> {
    kit.write_to("sqlite", Some(&connection()), &with, &batch.schema(), vec![batch.clone()], end)
}

fn table(kit: &Kit) -> String {
    let database = database(kit);
    let mut statement = database.prepare("select id, name from t order by rowid").unwrap();
    let rows = statement.query_map([], |row| {
        Ok(format!("{}={}", row.get::<_, Option<i64>>(0)?.unwrap_or(-1), row.get::<_, String>(1)?))
    });
    rows.unwrap().collect::<Result<Vec<_>, _>>().unwrap().join(" ")
}

#[test]
fn every_mode_does_what_it_says() {
    let mut kit = Kit::new();
    let step = |kit: &mut Kit, name: &str| kit.cx.commit.key = name.to_owned();
    write(&kit, json!({"table": "t", "create": true}), &rows(&[(Some(1), "a")]), End::Good).unwrap();
    step(&mut kit, "second");
    write(&kit, json!({"table": "t"}), &rows(&[(Some(2), "b")]), End::Good).unwrap();
    assert_eq!(table(&kit), "1=a 2=b");
    write(&kit, json!({"table": "t", "mode": "truncate"}), &rows(&[(Some(3), "c"), (Some(4), "d")]), End::Good)
        .unwrap();
    assert_eq!(table(&kit), "3=c 4=d");
    step(&mut kit, "third");
    let (code, text) =
        failure(write(&kit, json!({"table": "t", "mode": "upsert", "key": ["id"]}), &rows(&[]), End::Good));
    assert!(code == "bad_target" && text.contains("unique index"), "{text}");
    database(&kit).execute_batch("create unique index u on t (id)").unwrap();
    write(
        &kit,
        json!({"table": "t", "mode": "upsert", "key": ["ID"]}),
        &rows(&[(Some(4), "D"), (Some(5), "e")]),
        End::Good,
    )
    .unwrap();
    assert_eq!(table(&kit), "3=c 4=D 5=e");
    step(&mut kit, "fourth");
    write(
        &kit,
        json!({"table": "t", "mode": "delete", "key": ["id"]}),
        &rows(&[(Some(3), "x"), (Some(9), "x")]),
        End::Good,
    )
    .unwrap();
    assert_eq!(table(&kit), "4=D 5=e");
    write(&kit, json!({"table": "t", "mode": "replace"}), &rows(&[(Some(7), "g")]), End::Good).unwrap();
    assert_eq!(table(&kit), "7=g");
}

#[test]
fn an_appended_step_is_not_appended_again() {
    let mut kit = Kit::new();
    let batch = rows(&[(Some(1), "a")]);
    let with = json!({"table": "t", "create": true});
    assert!(!write(&kit, with.clone(), &batch, End::Good).unwrap().already_committed);
    kit.cx.commit.attempt = 2;
    kit.cx.commit.fence = 2;
    assert!(write(&kit, with.clone(), &batch, End::Good).unwrap().already_committed);
    assert_eq!(table(&kit), "1=a");
    kit.cx.commit.key = "another".into();
    assert!(!write(&kit, with, &batch, End::Good).unwrap().already_committed);
    assert_eq!(table(&kit), "1=a 1=a");
}

#[test]
fn a_bad_end_leaves_the_table_as_it_was() {
    for mode in ["append", "truncate", "replace"] {
        for end in [End::Broken, End::Cancelled] {
            let kit = Kit::new();
            database(&kit)
                .execute_batch("create table t (id integer, name text); insert into t values (0, 'old')")
                .unwrap();
            let batch = rows(&vec![(Some(1), "x"); 50_000]);
            let result = write(&kit, json!({"table": "t", "mode": mode}), &batch, end);
            assert!(matches!(result.unwrap_err(), Error::Edge(_) | Error::Cancelled), "{mode} {end:?}");
            assert_eq!(table(&kit), "0=old", "{mode} {end:?}");
        }
    }
    let kit = Kit::new();
    write(&kit, json!({"table": "t", "create": true}), &rows(&[]), End::Broken).unwrap_err();
    assert!(kit.names().is_empty());
}

#[test]
fn rows_that_the_table_refuses_fail_or_are_diverted() {
    let kit = Kit::new();
    database(&kit).execute_batch("create table t (id integer not null check (id < 10), name text)").unwrap();
    let batch = rows(&[(Some(1), "a"), (None, "b"), (Some(99), "c"), (Some(2), "d")]);
    let (code, text) = failure(write(&kit, json!({"table": "t"}), &batch, End::Good));
    assert!(
        code == "bad_value" && text.contains("row 2") && text.contains("`id`") && text.contains("NOT NULL"),
        "{text}"
    );
    assert_eq!(table(&kit), "");
    write(&kit, json!({"table": "t", "on_bad_row": "reject", "reject_file": "bad.jsonl"}), &batch, End::Good).unwrap();
    assert_eq!(table(&kit), "1=a 2=d");
    let text = kit.text("bad.jsonl");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (lines.len(), &lines[0]["row"], &lines[0]["column"], &lines[1]["row"]),
        (2, &json!(2), &json!("id"), &json!(3))
    );
    assert_eq!(kit.cx.progress.counts().rows_rejected, 2);
}

#[test]
fn columns_are_matched_by_name() {
    let kit = Kit::new();
    database(&kit).execute_batch("create table t (extra text, NAME text, Id integer)").unwrap();
    write(&kit, json!({"table": "t", "ledger": false}), &rows(&[(Some(1), "a")]), End::Good).unwrap();
    assert_eq!(table(&kit), "1=a");
    database(&kit).execute_batch("drop table t; create table t (id integer)").unwrap();
    let (code, text) = failure(write(&kit, json!({"table": "t", "ledger": false}), &rows(&[]), End::Good));
    assert!(code == "no_such_column" && text.contains("`name`"), "{text}");
    let (code, text) = failure(write(&kit, json!({"table": "u"}), &rows(&[]), End::Good));
    assert!(code == "no_such_table" && text.contains("create: true"), "{text}");
}

#[test]
fn every_type_comes_back_from_a_table_made_for_it() {
    let kit = Kit::new();
    let batch = every_type();
    kit.write_to(
        "sqlite",
        Some(&connection()),
        &json!({"table": "t", "create": true}),
        &batch.schema(),
        vec![batch.clone()],
        End::Good,
    )
    .unwrap();
    let back = kit.read_from("sqlite", Some(&connection()), &json!({"table": "t"})).unwrap();
    for row in 0..batch.num_rows() {
        let (before, after) = (crate::reject::row_values(&batch, row), crate::reject::row_values(&back, row));
        for (name, value) in before.as_object().unwrap() {
            // Lists are kept as JSON, 32 bit numbers as 64 bit ones: the same value, another spelling.
            if matches!(name.as_str(), "ints" | "texts" | "r") {
                assert_eq!(value.is_null(), after[name].is_null(), "{name}");
            } else {
                assert_eq!(*value, after[name], "{name}, row {row}");
            }
        }
    }
}

#[test]
fn a_number_is_kept_exactly_or_refused() {
    let kit = Kit::new();
    database(&kit).execute_batch("create table t (id decimal(30,2))").unwrap();
    let decimals = |value: i128| {
        let array = arrow_array::Decimal128Array::from(vec![value]).with_precision_and_scale(30, 2).unwrap();
        RecordBatch::try_from_iter_with_nullable([("id", Arc::new(array) as ArrayRef, true)]).unwrap()
    };
    write(&kit, json!({"table": "t", "ledger": false}), &decimals(123_456_789_012_345), End::Good).unwrap();
    let (code, text) =
        failure(write(&kit, json!({"table": "t", "ledger": false}), &decimals(12_345_678_901_234_567), End::Good));
    assert!(code == "bad_value" && text.contains("15 digits"), "{text}");
    let back = kit.read_from("sqlite", Some(&connection()), &json!({"table": "t"})).unwrap();
    assert_eq!(crate::reject::row_values(&back, 0)["id"], "1234567890123.45");
}

#[test]
fn what_a_column_would_change_is_refused() {
    let kit = Kit::new();
    database(&kit).execute_batch("create table t (n numeric, i integer, r real, x text, y)").unwrap();
    let texts = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    let whole = |value: i64| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    let put = |column: &str, value: ArrayRef| {
        let batch = RecordBatch::try_from_iter_with_nullable([(column, value, true)]).unwrap();
        write(&kit, json!({"table": "t", "ledger": false}), &batch, End::Good)
    };
    for (column, value) in [
        ("n", texts("1234567890123456789012345")),
        ("n", texts("007")),
        ("i", texts("1.50")),
        ("r", texts("7")),
        ("n", texts(" 7")),
        ("r", whole(9_007_199_254_740_993)),
    ] {
        let (code, text) = failure(put(column, value));
        assert!(code == "bad_value" && text.contains("declare the column TEXT"), "{column}: {text}");
    }
    let third = 0.1 + 0.2;
    for (column, value) in [
        ("n", texts("7")),
        ("n", texts("-1.5")),
        ("n", texts("2024-02-29")),
        ("x", texts("007")),
        ("y", texts("007")),
        ("i", whole(i64::MAX)),
        ("r", whole(1 << 53)),
        ("x", Arc::new(arrow_array::Float64Array::from(vec![third])) as ArrayRef),
    ] {
        put(column, value).unwrap_or_else(|error| panic!("{column}: {error}"));
    }
    let kept: String = database(&kit).query_row("select x from t where x like '0.3%'", [], |row| row.get(0)).unwrap();
    assert_eq!(kept.parse(), Ok(third));
}

#[test]
fn numeric_texts_count_by_their_value() {
    let kit = Kit::new();
    database(&kit).execute_batch("create table t (n numeric)").unwrap();
    let field = crate::text::types::field("n", "numeric").unwrap();
    let put = |text: &str| {
        let schema = Arc::new(arrow_schema::Schema::new(vec![field.clone()]));
        let batch = RecordBatch::try_new(schema, vec![Arc::new(StringArray::from(vec![text])) as ArrayRef]).unwrap();
        write(&kit, json!({"table": "t", "ledger": false}), &batch, End::Good)
    };
    put("1.50").unwrap();
    put("9007199254740993").unwrap();
    assert_eq!(failure(put("1.2345678901234567")).0, "bad_value");
}

#[test]
fn a_constraint_that_rolls_all_back_fails_the_step() {
    let kit = Kit::new();
    database(&kit)
        .execute_batch(
            "create table t (id integer unique on conflict rollback, name text); insert into t values (1, 'a')",
        )
        .unwrap();
    let with = json!({"table": "t", "on_bad_row": "reject", "reject_file": "bad.jsonl"});
    let batch = rows(&[(Some(2), "b"), (Some(1), "c"), (Some(3), "d")]);
    let (code, text) = failure(write(&kit, with, &batch, End::Good));
    assert!(code == "bad_value" && text.contains("row 2") && text.contains("rollback"), "{text}");
    assert_eq!(table(&kit), "1=a");
}

#[test]
fn a_table_is_copied_within_one_database() {
    let kit = Kit::new();
    database(&kit)
        .execute_batch(
            "create table big (id integer, name text);
             insert into big with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
                select i, printf('%0100d', i) from n",
        )
        .unwrap();
    kit.copy("sqlite", &connection(), &json!({"table": "big"}), &json!({"table": "t", "create": true})).unwrap();
    let count: i64 = database(&kit).query_row("select count(*) from t", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 60_000);
}
