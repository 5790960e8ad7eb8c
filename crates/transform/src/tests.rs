//! Queries over real edges: what comes out, what is refused, and what happens under memory limits.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, IntervalUnit, Schema};
use datafusion::error::DataFusionError;
use sallyport_dataplane::{Cancel, EdgeError, Input, Output, Producer, Progress, edge};
use tokio::runtime::{Builder, Runtime};

use crate::{Error, Surroundings, fifo, run};

/// Generous for a debug build on a busy machine; only a hang reaches it.
const DEADLINE: Duration = Duration::from_secs(120);

struct Bench {
    runtime: Runtime,
    scratch: tempfile::TempDir,
    memory_bytes: usize,
}

impl Bench {
    fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { runtime, scratch: tempfile::tempdir().unwrap(), memory_bytes: 64 << 20 }
    }

    /// An input that gives these batches from a task of its own.
    fn input(&self, batches: Vec<RecordBatch>) -> Input {
        let (producer, input) = edge();
        self.runtime.spawn(feed(vec![producer], batches));
        input
    }

    /// Two inputs with the same rows from one producer that waits for both.
    fn fork(&self, batches: Vec<RecordBatch>) -> (Input, Input) {
        let ((one, left), (two, right)) = (edge(), edge());
        self.runtime.spawn(feed(vec![one, two], batches));
        (left, right)
    }

    fn query(&self, sql: &str, inputs: Vec<(&str, Input)>) -> Result<Vec<RecordBatch>, Error> {
        let (producer, mut result) = edge();
        let handle = self.runtime.handle().clone();
        let inputs = inputs.into_iter().map(|(name, input)| (name.to_owned(), input)).collect();
        let (sql, memory_bytes) = (sql.to_owned(), self.memory_bytes);
        let scratch = self.scratch.path().to_path_buf();
        let step = std::thread::spawn(move || {
            let mut output = Output::new(vec![producer], Arc::new(Progress::default()), handle.clone());
            let may = Surroundings { memory_bytes, spill_bytes: 1 << 30, scratch: &scratch, runtime: &handle };
            run(&sql, inputs, &mut output, &Cancel::new(), may)?;
            output.finish().map_err(Error::from)
        });
        let rows = self.runtime.block_on(async {
            let all = async {
                let mut rows = Vec::new();
                while let Ok(Some(batch)) = result.next_batch_async().await {
                    rows.push(batch);
                }
                rows
            };
            tokio::time::timeout(DEADLINE, all).await.expect("the query hangs")
        });
        step.join().unwrap().map(|()| rows)
    }

    fn refusal(&self, sql: &str) -> String {
        let input = self.input(numbers(0..3));
        match self.query(sql, vec![("numbers", input)]) {
            Err(Error::Query { code, message, .. }) => format!("[{code}] {message}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
}

async fn feed(producers: Vec<Producer>, batches: Vec<RecordBatch>) {
    for producer in &producers {
        let _ = producer.start(batches[0].schema()).await;
    }
    for batch in batches {
        for producer in &producers {
            let _ = producer.send(batch.clone()).await;
        }
    }
    for producer in producers {
        let _ = producer.finish().await;
    }
}

/// Batches of a thousand rows: `n`, and `Label` with a text of 40 letters.
fn numbers(range: std::ops::Range<i64>) -> Vec<RecordBatch> {
    let fields = vec![Field::new("n", DataType::Int64, true), Field::new("Label", DataType::Utf8, true)];
    let schema = Arc::new(Schema::new(fields));
    let rows: Vec<i64> = range.collect();
    let batch = |rows: &[i64]| {
        let labels: Vec<String> = rows.iter().map(|n| format!("{n:040}")).collect();
        let columns = vec![Arc::new(Int64Array::from(rows.to_vec())) as _, Arc::new(StringArray::from(labels)) as _];
        RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
    };
    rows.chunks(1000).map(batch).collect()
}

fn integers(batches: &[RecordBatch], column: usize) -> Vec<i64> {
    batches.iter().flat_map(|batch| batch.column(column).as_primitive::<Int64Type>().values().to_vec()).collect()
}

#[test]
fn filters_and_computed_columns_keep_the_order_of_rows() {
    let bench = Bench::new();
    let input = bench.input(numbers(0..50_000));
    let sql = r#"select n, n * 2 as twice, upper("Label") as label from numbers where n % 3 = 0"#;
    let rows = bench.query(sql, vec![("numbers", input)]).unwrap();
    let expected: Vec<i64> = (0..50_000).filter(|n| n % 3 == 0).collect();
    assert_eq!(integers(&rows, 0), expected);
    assert_eq!(integers(&rows, 1), expected.iter().map(|n| n * 2).collect::<Vec<_>>());
    assert_eq!(rows[0].schema().field(2).data_type(), &DataType::Utf8);
}

#[test]
fn two_inputs_join() {
    let bench = Bench::new();
    let (left, right) = (bench.input(numbers(0..20_000)), bench.input(numbers(10_000..30_000)));
    let sql = "select a.n from a join b on a.n = b.n order by a.n desc";
    let rows = bench.query(sql, vec![("a", left), ("b", right)]).unwrap();
    assert_eq!(integers(&rows, 0), (10_000..20_000).rev().collect::<Vec<_>>());
}

#[test]
fn a_producer_that_feeds_both_sides_of_a_join_does_not_hang() {
    let bench = Bench::new();
    let (left, right) = bench.fork(numbers(0..60_000));
    let sql = r#"select count(*), sum(a.n) from a join b on a.n = b.n where b."Label" <> ''"#;
    let rows = bench.query(sql, vec![("a", left), ("b", right)]).unwrap();
    assert_eq!(integers(&rows, 0), [60_000]);
    assert_eq!(integers(&rows, 1), [(0..60_000).sum::<i64>()]);
}

#[test]
fn an_input_may_be_read_more_than_once_or_not_at_all() {
    let bench = Bench::new();
    let (used, unused) = (bench.input(numbers(0..30_000)), bench.input(numbers(0..30_000)));
    let sql = "select count(*) from a where n > (select avg(n) from a)";
    let rows = bench.query(sql, vec![("a", used), ("b", unused)]).unwrap();
    assert_eq!(integers(&rows, 0), [15_000]);
}

#[test]
fn sorts_larger_than_the_memory_spill() {
    let bench = Bench { memory_bytes: 8 << 20, ..Bench::new() };
    let input = bench.input(numbers(0..400_000));
    let rows = bench.query("select * from numbers order by n desc", vec![("numbers", input)]).unwrap();
    let found = integers(&rows, 0);
    assert_eq!(found.len(), 400_000);
    assert!(found.windows(2).all(|pair| pair[0] > pair[1]));
}

#[test]
fn joins_larger_than_the_memory_spill() {
    let bench = Bench { memory_bytes: 32 << 20, ..Bench::new() };
    let (left, right) = bench.fork(numbers(0..800_000));
    let sql = r#"select count(*), sum(a.n) from a join b on a."Label" = b."Label""#;
    let rows = bench.query(sql, vec![("a", left), ("b", right)]).unwrap();
    assert_eq!(integers(&rows, 0), [800_000]);
    assert_eq!(integers(&rows, 1), [(0..800_000).sum::<i64>()]);
}

#[test]
fn joins_of_wide_rows_spill_too() {
    let bench = Bench { memory_bytes: 64 << 20, ..Bench::new() };
    let (left, right) = bench.fork(numbers(0..100_000));
    let wide = |side| format!(r#"(select n, repeat("Label", 25) as text from {side}) {side}"#);
    let sql = format!("select count(*), sum(a.n) from {} join {} on a.text = b.text", wide("a"), wide("b"));
    let rows = bench.query(&sql, vec![("a", left), ("b", right)]).unwrap();
    assert_eq!(integers(&rows, 0), [100_000]);
    assert_eq!(integers(&rows, 1), [(0..100_000).sum::<i64>()]);
}

#[test]
fn aggregates_larger_than_the_memory_spill() {
    let bench = Bench { memory_bytes: 8 << 20, ..Bench::new() };
    let input = bench.input(numbers(0..300_000));
    let sql = r#"select count(*) from (select "Label", sum(n) from numbers group by "Label")"#;
    assert_eq!(integers(&bench.query(sql, vec![("numbers", input)]).unwrap(), 0), [300_000]);
}

#[test]
fn what_exceeds_its_limits_says_so() {
    let bench = Bench { memory_bytes: 64 << 10, ..Bench::new() };
    let input = bench.input(numbers(0..200_000));
    match bench.query("select * from numbers order by n desc", vec![("numbers", input)]) {
        Err(Error::Query { code, .. }) => assert_eq!(code, "memory_limit"),
        other => panic!("{other:?}"),
    }
    let external = |error| DataFusionError::External(Box::new(error)).context("reading input `a`");
    for (error, expected) in [
        (fifo::Error::Full(7), "spill_limit"),
        (fifo::Error::Disk("no space left on device".to_owned()), "spill_failed"),
    ] {
        let Error::Query { code, .. } = Error::from(external(error)) else { panic!("{expected}") };
        assert_eq!(code, expected);
    }
}

#[test]
fn what_has_no_place_in_a_table_is_refused_and_durations_become_intervals() {
    let bench = Bench::new();
    let refusal = bench.refusal("select struct(n) as s from numbers");
    assert!(refusal.starts_with("[unsupported_type]") && refusal.contains("`s`"), "{refusal}");
    let input = bench.input(numbers(0..3));
    let sql = "select to_timestamp(n) - to_timestamp(0) as passed from numbers";
    let rows = bench.query(sql, vec![("numbers", input)]).unwrap();
    assert_eq!(rows[0].schema().field(0).data_type(), &DataType::Interval(IntervalUnit::MonthDayNano));
}

#[test]
fn aggregates_give_plain_types() {
    let bench = Bench::new();
    let input = bench.input(numbers(0..1000));
    let sql = "select n % 10 as digit, count(*) as rows, avg(n) as mean from numbers group by n % 10 order by digit";
    let rows = bench.query(sql, vec![("numbers", input)]).unwrap();
    assert_eq!(integers(&rows, 0), (0..10).collect::<Vec<_>>());
    assert_eq!(integers(&rows, 1), [100; 10]);
    assert_eq!(rows[0].schema().field(2).data_type(), &DataType::Float64);
}

#[test]
fn only_one_query_and_only_over_the_inputs() {
    let bench = Bench::new();
    for sql in [
        "create table x as select 1",
        "create external table x stored as csv location '/etc/passwd'",
        "copy numbers to '/tmp/out.csv'",
        "insert into numbers select * from numbers",
        "set datafusion.execution.batch_size = 1",
        "select 1; select 2",
        "select * from '/etc/passwd'",
        "select * from information_schema.tables",
        "select * from elsewhere",
        "selekt 1",
        "",
    ] {
        let refusal = bench.refusal(sql);
        assert!(refusal.starts_with("[sql_"), "{sql}: {refusal}");
    }
}

#[test]
fn wrong_names_are_told_with_the_right_ones() {
    let bench = Bench::new();
    let refusal = bench.refusal("select label from numbers");
    assert!(refusal.contains("`label`") && refusal.contains("numbers.Label"), "{refusal}");
    let refusal = bench.refusal("select n, n from numbers");
    assert!(refusal.starts_with("[sql_invalid]") || refusal.starts_with("[duplicate_column]"), "{refusal}");
    let refusal = bench.refusal("select 1 / (n - 1) from numbers");
    assert!(refusal.starts_with("[sql_runtime]"), "{refusal}");
}

#[test]
fn an_input_that_breaks_off_breaks_the_query_off() {
    let bench = Bench::new();
    let (producer, input) = edge();
    bench.runtime.spawn(async move {
        let batches = numbers(0..1000);
        let _ = producer.start(batches[0].schema()).await;
        let _ = producer.send(batches[0].clone()).await;
        producer.abort("the cable was cut".to_owned()).await;
    });
    match bench.query("select * from numbers", vec![("numbers", input)]) {
        Err(Error::Edge(EdgeError::Aborted(why))) => assert_eq!(why, "the cable was cut"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stop_ends_a_query_that_waits() {
    let bench = Bench::new();
    let (producer, input) = edge();
    let (out, _result) = edge();
    let cancel = Cancel::new();
    let (stop, handle) = (cancel.clone(), bench.runtime.handle().clone());
    let scratch = bench.scratch.path().to_path_buf();
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut output = Output::new(vec![out], Arc::new(Progress::default()), handle.clone());
        let may = Surroundings { memory_bytes: 1 << 20, spill_bytes: 1 << 20, scratch: &scratch, runtime: &handle };
        ended.send(run("select * from a", vec![("a".to_owned(), input)], &mut output, &stop, may))
    });
    bench.runtime.block_on(producer.start(numbers(0..1)[0].schema())).unwrap();
    cancel.cancel();
    assert!(matches!(end.recv_timeout(DEADLINE).expect("the query hangs"), Err(Error::Cancelled)));
}
