//! Rows from one agent to another, compared value by value.

use anyhow::{Result, ensure};
use sallyport_e2e::{Postgres, System, tpch};
use serde_json::{Value, json};

use crate::{step, system};

/// One column of every common type.
const COLUMNS: &[(&str, &str)] = &[
    ("a_smallint", "smallint"),
    ("a_int", "int"),
    ("a_bigint", "bigint"),
    ("a_real", "real"),
    ("a_double", "double precision"),
    ("a_numeric", "numeric(20,6)"),
    ("a_wide_numeric", "numeric"),
    ("a_text", "text"),
    ("a_varchar", "varchar(40)"),
    ("a_char", "char(5)"),
    ("a_bytea", "bytea"),
    ("a_bool", "boolean"),
    ("a_date", "date"),
    ("a_time", "time"),
    ("a_timestamp", "timestamp"),
    ("a_timestamptz", "timestamptz"),
    ("an_interval", "interval"),
    ("a_uuid", "uuid"),
    ("a_json", "json"),
    ("a_jsonb", "jsonb"),
    ("an_int_list", "int[]"),
    ("a_text_list", "text[]"),
    ("an_enum", "mood"),
    ("a_domain", "positive"),
];

/// Everyday rows, extremes, nulls, and text that a careless CSV writer would break.
const ROWS: &str = r#"
insert into source values
 (1, 2, 3, 1.5, 2.25, 12345678901234.123456, 98765432109876543210987654321098765432109876543210.5, 'plain', 'short', 'abc',
  '\x00ff10', true, '2026-11-22', '13:14:15.123456', '2026-11-22 13:14:15.123456', '2026-11-22 13:14:15.123456+02',
  '1 year 2 mons 3 days 04:05:06.7', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": [1, 2.50]}', '{"b": null}',
  '{1,2,null,4}', '{"one","two, three","with \"quotes\""}', 'happy', 7),
 (-32768, -2147483648, -9223372036854775808, -3.4028235e38, 1.7976931348623157e308, -99999999999999.999999, -0.000000000000000000000000000000000001,
  E'a "quoted", line\nand another\r\nand a \\ backslash', E'\t', 'ÄÖ', '\x', false, '0001-01-01', '00:00:00', '0001-01-01 00:00:00',
  '1970-01-01 00:00:00+00', '-1 days', '00000000-0000-0000-0000-000000000000', '[]', '{}', '{}', '{""}', 'sad', 1),
 (32767, 2147483647, 9223372036854775807, 1e-37, 5e-324, 0, 0, '', '', '', '\xdeadbeef', true, '9999-12-31', '23:59:59.999999',
  '9999-12-31 23:59:59.999999', '2000-02-29 12:00:00-08', '0', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '"text"', '"text"', '{2147483647}',
  '{null}', 'it''s complicated', 2),
 (null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null);
insert into source (a_int, a_text, a_double) select g, 'row ' || g || ' with "quotes", commas' || E'\nand lines', g / 3.0 from generate_series(1, 50000) g;
"#;

fn ddl(table: &str) -> String {
    let columns: Vec<String> = COLUMNS.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
    format!("create table {table} ({})", columns.join(", "))
}

/// The words of the file connector for the same columns.
fn csv_columns() -> Value {
    let columns: Vec<Value> = COLUMNS
        .iter()
        .map(|(name, kind)| {
            let word = match *kind {
                "double precision" => "double",
                "varchar(40)" | "char(5)" | "mood" => "text",
                "positive" => "int",
                other => other,
            };
            json!({"name": name, "type": word})
        })
        .collect();
    Value::Array(columns)
}

fn prepare(system: &System) -> Result<Postgres> {
    let postgres = Postgres::start(system.folder.path(), &[])?;
    postgres.sql("create type mood as enum ('happy', 'sad', 'it''s complicated')")?;
    postgres.sql("create domain positive as int check (value > 0)")?;
    postgres.sql(&ddl("source"))?;
    postgres.sql(&ddl("target"))?;
    postgres.sql(ROWS)?;
    system.connection("db", "postgres", "client-server", &postgres.settings(), &postgres.secrets())?;
    Ok(postgres)
}

/// Every value of every row as text, in both tables; json has no equality of its own.
fn differences(postgres: &Postgres) -> Result<String> {
    let all: Vec<String> = COLUMNS.iter().map(|(name, _)| format!("{name}::text as {name}")).collect();
    let all = all.join(", ");
    postgres.sql(&format!(
        "select 'missing', d.* from (select {all} from source except all select {all} from target) d \
         union all select 'added', d.* from (select {all} from target except all select {all} from source) d limit 5"
    ))
}

#[test]
fn every_type_of_postgres_survives_a_csv_file_on_another_agent_and_back() -> Result<()> {
    system(|system| {
        let _client = system.agent("client-server")?;
        let training = system.agent("training-pc")?;
        let postgres = prepare(system)?;
        system.task(&json!({"task": "out", "steps": [
            {"name": "read", "connection": "db", "with": {"table": "source"}},
            {"name": "write", "connector": "file", "agent": "training-pc", "input": "read",
             "with": {"path": "all.csv", "null": "\\N"}},
        ]}))?;
        let run = system.run_well("out")?;
        ensure!(step(&run, "write")["rows_out"] == 50_004, "{run:#}");
        ensure!(training.file("all.csv").is_file(), "the file is not on the second agent");

        system.task(&json!({"task": "back", "steps": [
            {"name": "read", "connector": "file", "agent": "training-pc",
             "with": {"path": "all.csv", "null": "\\N", "columns": csv_columns()}},
            {"name": "write", "connection": "db", "input": "read", "with": {"table": "target"}},
        ]}))?;
        system.run_well("back")?;
        ensure!(postgres.sql("select count(*) from target")? == "50004");
        let differences = differences(&postgres)?;
        ensure!(differences.is_empty(), "{differences}");
        Ok(())
    })
}

#[test]
fn every_type_of_postgres_survives_a_parquet_file() -> Result<()> {
    system(|system| {
        let _client = system.agent("client-server")?;
        let _training = system.agent("training-pc")?;
        let postgres = prepare(system)?;
        system.task(&json!({"task": "out", "steps": [
            {"name": "read", "connection": "db", "with": {"table": "source", "parallel": 2}},
            {"name": "write", "connector": "file", "agent": "training-pc", "input": "read", "with": {"path": "all.parquet"}},
        ]}))?;
        system.run_well("out")?;
        system.task(&json!({"task": "back", "steps": [
            {"name": "read", "connector": "file", "agent": "training-pc", "with": {"path": "all.parquet"}},
            {"name": "write", "connection": "db", "input": "read", "with": {"table": "target", "mode": "truncate"}},
        ]}))?;
        system.run_well("back")?;
        let differences = differences(&postgres)?;
        ensure!(differences.is_empty(), "{differences}");
        Ok(())
    })
}

#[test]
fn a_join_next_to_sqlite_arrives_as_files_on_another_agent() -> Result<()> {
    system(|system| {
        let _client = system.agent("client-server")?;
        let training = system.agent("training-pc")?;
        let database = system.folder.join("client.sqlite")?;
        tpch::sqlite(&database, 0.01)?;
        system.connection("client-db", "sqlite", "client-server", &json!({"path": database}), &json!({}))?;
        let query = "select o.o_orderkey as id, c.c_name as customer, o.o_totalprice_cents as cents \
                     from orders o join customer c on c.c_custkey = o.o_custkey where o.o_totalprice_cents > 10000000";
        system.task(&json!({"task": "join", "steps": [
            {"name": "orders", "connection": "client-db", "with": {"table": "orders"}},
            {"name": "customer", "connection": "client-db", "with": {"table": "customer"}},
            {"name": "large", "transform": query, "input": ["orders", "customer"]},
            {"name": "csv", "connector": "file", "agent": "training-pc", "input": "large", "with": {"path": "a/large.csv.gz"}},
            {"name": "parquet", "connector": "file", "agent": "training-pc", "input": "large", "with": {"path": "a/large.parquet"}},
        ]}))?;
        let run = system.run_well("join")?;
        let wanted = tpch::of_sqlite(&database, query)?;
        ensure!(wanted.rows > 1000, "too few rows to mean anything: {wanted}");
        ensure!(step(&run, "csv")["rows_out"].as_u64() == Some(wanted.rows), "{run:#}");
        let parquet = tpch::of_parquet(&training.file("a/large.parquet"))?;
        ensure!(parquet == wanted, "Parquet holds {parquet}, SQLite says {wanted}");
        let unzipped = std::process::Command::new("gzip").arg("-dk").arg(training.file("a/large.csv.gz")).status()?;
        ensure!(unzipped.success(), "gzip does not read the file");
        let csv = tpch::of_csv(&training.file("a/large.csv"))?;
        ensure!(csv == wanted, "CSV holds {csv}, SQLite says {wanted}");
        Ok(())
    })
}
