use std::io::Write;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use flate2::write::GzEncoder;
use serde_json::json;

use super::kit::{Kit, failure};

fn refused(text: &str, with: serde_json::Value, code: &str, words: &[&str]) {
    let kit = Kit::new();
    let mut with = with;
    with["path"] = json!(if code.starts_with("json") { "x.jsonl" } else { "x.csv" });
    kit.put(with["path"].as_str().unwrap(), text);
    let (found, message) = failure(kit.read("file", &with));
    assert_eq!(found, code.trim_start_matches("json:"), "{message}");
    for word in words {
        assert!(message.contains(word), "`{word}` is missing: {message}");
    }
}

#[test]
fn bad_rows_name_file_line_and_column() {
    let typed = json!({"columns": [{"name": "n", "type": "int"}, {"name": "d", "type": "date"}]});
    refused(
        "n,d\n1,2024-01-01\nx,2024-01-01\n",
        typed.clone(),
        "bad_value",
        &["x.csv", "line 3", "`n`", "`x`", "32 bits"],
    );
    refused("n,d\n\"1\",\"2024-02-30\"\n", typed.clone(), "bad_value", &["line 2", "`d`", "2024-02-30"]);
    refused("n,d\n1\n", typed.clone(), "malformed_row", &["line 2", "1 values", "2 columns"]);
    refused("a,b\n\"x\ny\",1\nz\n", json!({}), "malformed_row", &["line 4"]);
    refused("a,b\n1,\"x\n", json!({}), "malformed_row", &["line 2", "closing quote"]);
    refused("a,b\n1,\"x\"y\n", json!({}), "malformed_row", &["line 2", "value 2"]);
    refused("a,a\n", json!({}), "malformed_row", &["`a` twice"]);
    refused("n\n1\n", json!({"columns": [{"name": "m", "type": "int"}]}), "bad_settings", &["`m`", "header"]);
    refused("n\n1\n", json!({"columns": [{"name": "n", "type": "itn"}]}), "bad_settings", &["`itn`", "bigint"]);
    refused("{\"a\":1}\n{\"a\":\n", json!({}), "json:malformed_row", &["line 2"]);
    refused("{\"a\":1}\n[1]\n", json!({}), "json:malformed_row", &["line 2", "object"]);
    refused(
        "{\"a\":1}\n{\"a\":1,\"a\":2}\n",
        json!({"columns": [{"name": "a", "type": "int"}]}),
        "json:malformed_row",
        &["twice"],
    );
    refused(
        "{\"a\":1}\n{\"a\":\"x\"}\n",
        json!({"columns": [{"name": "a", "type": "int"}]}),
        "json:bad_value",
        &["line 2", "`a`"],
    );
}

#[test]
fn a_field_that_comes_too_late_is_named() {
    let late = "{\"a\":1}\n".repeat(super::super::infer::SAMPLE_ROWS) + "{\"a\":1,\"b\":2}\n";
    refused(&late, json!({}), "json:malformed_row", &["line 1001", "`b`"]);
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let kit = Kit::new();
    kit.put("x.csv", "a\n");
    for (with, field) in [
        (json!({"path": "x.dat"}), "format"),
        (json!({"path": "x.csv", "delimiter": ",,"}), "delimiter"),
        (json!({"path": "x.csv", "delimiter": "é"}), "delimiter"),
        (json!({"path": "x.csv", "quote": ","}), "quote"),
        (json!({"path": "x.csv", "encoding": "utf-9"}), "encoding"),
        (json!({"path": "x.csv", "compression": "snappy"}), "compression"),
        (json!({"path": "x.csv", "null": "a\nb"}), "null"),
        (json!({"path": "x.csv", "header": "yes"}), "header"),
        (json!({"path": "x.csv", "haeder": true}), "haeder"),
        (json!({"path": "x.parquet", "columns": []}), "columns"),
    ] {
        let (code, text) = failure(kit.read("file", &with));
        assert!(code == "bad_settings" && text.contains(&format!("`{field}`")), "{with}: {text}");
    }
    let (_, text) = failure(kit.read("file", &json!({"path": "../x.csv"})));
    assert!(text.contains("`../x.csv`") && text.contains(&*kit.cx.site.files_root.to_string_lossy()), "{text}");
    assert_eq!(failure(kit.read("file", &json!({"path": "../*.csv"}))).0, "path_refused");
}

#[test]
fn a_record_beyond_the_limit_is_refused_in_bounded_memory() {
    let kit = Kit::new();
    // A gigabyte in a small file.
    let mut file = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    file.write_all(b"a,b\n1,\"").unwrap();
    let block = vec![b'x'; 1 << 20];
    for _ in 0..1024 {
        file.write_all(&block).unwrap();
    }
    file.write_all(b"\"\n").unwrap();
    kit.put("x.csv.gz", file.finish().unwrap());
    let (code, text) = failure(kit.read("file", &json!({"path": "x.csv.gz"})));
    assert!(
        code == "value_too_large" && text.contains("x.csv.gz") && text.contains("line 2") && text.contains("32 MiB"),
        "{text}"
    );
}

#[test]
fn a_large_value_within_the_limit_passes() {
    let kit = Kit::new();
    let value = "x,\"y\n".repeat(5_000_000);
    let batch = RecordBatch::try_from_iter_with_nullable([(
        "t",
        Arc::new(StringArray::from(vec![value.as_str(), "z"])) as ArrayRef,
        true,
    )])
    .unwrap();
    kit.write("file", &json!({"path": "x.csv"}), &batch).unwrap();
    assert_eq!(kit.read("file", &json!({"path": "x.csv"})).unwrap(), batch);
}

#[test]
fn rows_that_the_encoding_cannot_hold_fail_or_are_diverted() {
    let kit = Kit::new();
    let batch = RecordBatch::try_from_iter([
        ("n", Arc::new(StringArray::from(vec!["1", "2", "3"])) as ArrayRef),
        ("t", Arc::new(StringArray::from(vec!["a", "日本", "č"])) as ArrayRef),
    ])
    .unwrap();
    let mut with = json!({"path": "x.csv", "encoding": "iso-8859-2"});
    let (code, text) = failure(kit.write("file", &with, &batch));
    assert!(code == "bad_value" && text.contains("row 2") && text.contains("`t`") && text.contains("日"), "{text}");
    assert!(kit.names().is_empty());
    with["on_bad_row"] = json!("reject");
    assert_eq!(failure(kit.write("file", &with, &batch)).0, "bad_settings");
    with["reject_file"] = json!("bad/x.jsonl");
    kit.write("file", &with, &batch).unwrap();
    assert_eq!(std::fs::read(kit.path("x.csv")).unwrap(), b"n,t\n1,a\n3,\xe8\n");
    let line: serde_json::Value = serde_json::from_str(&kit.text("bad/x.jsonl")).unwrap();
    assert_eq!((line["row"].as_u64(), line["column"].as_str()), (Some(2), Some("t")));
    let counts = kit.cx.progress.counts();
    assert_eq!(counts.rows_rejected, 1);
}

#[test]
fn broken_archives_and_parquet_files_are_named() {
    let kit = Kit::new();
    let mut gz = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all("a\n1\n".repeat(100_000).as_bytes()).unwrap();
    let whole = gz.finish().unwrap();
    kit.put("cut.csv.gz", &whole[..whole.len() / 2]);
    let (_, text) = failure(kit.read("file", &json!({"path": "cut.csv.gz"})));
    assert!(text.contains("cut.csv.gz"), "{text}");
    kit.put("x.parquet", "no parquet at all");
    let (code, text) = failure(kit.read("file", &json!({"path": "x.parquet"})));
    assert!(code == "malformed_file" && text.contains("x.parquet"), "{text}");
}

/// The lines of a reject file.
fn rejected(kit: &Kit) -> Vec<serde_json::Value> {
    kit.text("bad.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn bad_rows_of_csv_are_put_aside() {
    let kit = Kit::new();
    kit.put("a.csv", "n,l,t\n1,[1],a\nx,[2],b\n3,\"[3,\"\"x\"\"]\",c\n4\n5,[5],e\n");
    kit.put("b.csv", "n,l,t\n6,[6],f\ny,[7],g\n");
    let mut with = json!({
        "path": "*.csv",
        "columns": [{"name": "n", "type": "int"}, {"name": "l", "type": "int[]"}, {"name": "t", "type": "text"}],
        "on_bad_row": "reject",
    });
    assert_eq!(failure(kit.read("file", &with)).0, "bad_settings");
    with["reject_file"] = json!("bad.jsonl");
    let batch = kit.read("file", &with).unwrap();
    let rows: Vec<_> = (0..batch.num_rows()).map(|row| crate::reject::row_values(&batch, row)).collect();
    assert_eq!(
        rows,
        [
            json!({"n": "1", "l": "[1]", "t": "a"}),
            json!({"n": "5", "l": "[5]", "t": "e"}),
            json!({"n": "6", "l": "[6]", "t": "f"}),
        ]
    );
    let lines = rejected(&kit);
    let at = |line: &serde_json::Value| {
        (line["row"].as_u64(), line["column"].as_str().map(str::to_owned), line["values"].clone())
    };
    let values = |file: &str, line: u64, text: &str| json!({"file": file, "line": line, "text": text});
    assert_eq!(at(&lines[0]), (Some(2), Some("n".to_owned()), values("a.csv", 3, "x,[2],b")));
    assert_eq!(at(&lines[1]), (Some(3), Some("l".to_owned()), values("a.csv", 4, "3,\"[3,\"\"x\"\"]\",c")));
    assert_eq!(at(&lines[2]), (Some(4), None, values("a.csv", 5, "4")));
    assert_eq!(at(&lines[3]), (Some(7), Some("n".to_owned()), values("b.csv", 3, "y,[7],g")));
    assert!(lines[0]["reason"].as_str().unwrap().contains("32 bits"), "{lines:?}");
    assert_eq!(kit.cx.progress.counts().rows_rejected, 4);
}

#[test]
fn bad_rows_of_json_lines_are_put_aside() {
    let kit = Kit::new();
    kit.put(
        "x.jsonl",
        "{\"a\":1,\"b\":\"x\"}\n{\"a\":\n{\"b\":\"y\",\"a\":\"z\"}\n{\"a\":2,\"a\":3}\n[1]\n{\"a\":4}\n",
    );
    let with = json!({
        "path": "x.jsonl", "on_bad_row": "reject", "reject_file": "bad.jsonl",
        "columns": [{"name": "a", "type": "int"}, {"name": "b", "type": "text"}],
    });
    let batch = kit.read("file", &with).unwrap();
    let rows: Vec<_> = (0..batch.num_rows()).map(|row| crate::reject::row_values(&batch, row)).collect();
    assert_eq!(rows, [json!({"a": "1", "b": "x"}), json!({"a": "4", "b": null})]);
    let lines: Vec<_> =
        rejected(&kit).iter().map(|line| (line["values"]["line"].as_u64(), line["column"].clone())).collect();
    assert_eq!(lines, [(Some(2), json!(null)), (Some(3), json!("a")), (Some(4), json!(null)), (Some(5), json!(null))]);
    // The sample passes over what is no object, too.
    let with = json!({"path": "x.jsonl", "on_bad_row": "reject", "reject_file": "bad.jsonl"});
    assert!(kit.read("file", &with).unwrap().num_rows() > 0);
}

#[test]
fn deep_brackets_and_wide_headers_are_refused_or_kept_as_they_are() {
    let kit = Kit::new();
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    kit.put("x.jsonl", format!("{{\"a\":[{deep}]}}\n"));
    let batch = kit.read("file", &json!({"path": "x.jsonl"}));
    // serde_json bounds how deep it looks when the value itself is checked.
    assert!(batch.is_ok() || failure(batch).0 == "bad_value");
    let columns: Vec<String> = (0..200_000).map(|n| format!("c{n}")).collect();
    refused(&(columns.join(",") + "\n"), json!({}), "malformed_row", &["10000 columns"]);
    let fields: Vec<String> = (0..200_000).map(|n| format!("\"c{n}\":1")).collect();
    refused(&format!("{{{}}}\n", fields.join(",")), json!({}), "json:malformed_row", &["10000 columns"]);
}

#[test]
fn a_zstd_window_that_would_take_all_memory_is_refused() {
    let kit = Kit::new();
    let mut file = zstd::Encoder::new(Vec::new(), 1).unwrap();
    file.window_log(27).unwrap();
    file.write_all("a\n1\n".repeat(1000).as_bytes()).unwrap();
    kit.put("x.csv.zst", file.finish().unwrap());
    let (_, text) = failure(kit.read("file", &json!({"path": "x.csv.zst"})));
    assert!(text.contains("x.csv.zst") && text.contains("memory"), "{text}");
}
