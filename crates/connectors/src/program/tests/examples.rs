//! The programs of `examples/connectors`, run for real.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use serde_json::json;

use super::shell::kit;
use crate::Program;
use crate::file::tests::kit::{End, Kit, failure};
use crate::file::tests::round_trip::every_type;

/// The Python with pyarrow: from the environment, else where `./x test` installs it.
#[expect(clippy::disallowed_methods, reason = "the test's own setting")]
fn python() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let python = std::env::var("SALLYPORT_TEST_PYTHON")
        .map_or_else(|_| workspace.join("target/tools/python/bin/python"), PathBuf::from);
    assert!(
        python.exists(),
        "no Python with pyarrow at {}: run `./x test` once, or set SALLYPORT_TEST_PYTHON",
        python.display()
    );
    python
}

fn example_kit() -> Kit {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().join("examples/connectors");
    let program =
        |name: &str| Program { command: python(), arguments: vec![folder.join(name).to_string_lossy().into_owned()] };
    kit([("rows", program("rows_source.py")), ("jsonl", program("jsonl_sink.py"))])
}

#[test]
fn the_source_gives_rows() {
    let kit = example_kit();
    let batch = kit.read("program", &json!({"program": "rows", "settings": {"rows": 1234}})).unwrap();
    assert_eq!(batch.num_rows(), 1234);
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(1233), 1233);
    assert_eq!(batch.column(1).as_string::<i32>().value(7), "row 7");
    assert_eq!(batch.column(2).as_primitive::<Decimal128Type>().value(12), 1200);
    assert!(kit.log.lock().unwrap().iter().any(|line| line == "making 1234 rows"));
    assert_eq!(kit.cx.progress.counts().rows_out, 1234);
}

#[test]
fn the_source_says_why_it_failed() {
    let kit = example_kit();
    let with = json!({"program": "rows", "settings": {"rows": 10_000, "fail_after": 5000}});
    let (code, text) = failure(kit.read("program", &with));
    assert!(
        code == "told_to_fail"
            && text.contains("`rows`")
            && text.contains("5000")
            && text.contains("leave `fail_after` out"),
        "{text}"
    );
}

#[test]
fn the_sink_writes_every_type_and_nothing_of_a_broken_input() {
    let kit = example_kit();
    let path = kit.path("out.jsonl");
    let with = json!({"program": "jsonl", "settings": {"path": path}});
    // pyarrow has no Python form of an interval this long.
    let batch = every_type();
    let interval = batch.schema().index_of("lasts").unwrap();
    let kept: Vec<usize> = (0..batch.num_columns()).filter(|index| *index != interval).collect();
    let batch = batch.project(&kept).unwrap().slice(0, 1);
    kit.write("program", &with, &batch).unwrap();
    let row: serde_json::Value = serde_json::from_str(kit.text("out.jsonl").trim()).unwrap();
    assert_eq!((&row["t"], &row["n"], &row["ints"]), (&json!("plain"), &json!("1.500000000"), &json!([1, null, -3])));
    assert_eq!(kit.cx.progress.counts().rows_out, 1);
    std::fs::write(&path, "old").unwrap();
    let many = RecordBatch::try_from_iter([("n", Arc::new((0..20_000).collect::<Int64Array>()) as ArrayRef)]).unwrap();
    for end in [End::Broken, End::Cancelled] {
        kit.write_to("program", None, &with, &many.schema(), vec![many.clone(); 3], end).unwrap_err();
        assert_eq!(kit.text("out.jsonl"), "old", "{end:?}");
    }
}
