use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::Schema;
use serde_json::json;

use super::kit::{Kit, failure};
use crate::file::read::described;

fn inferred(kit: &Kit, name: &str) -> String {
    let batch = kit.read("file", &json!({"path": name})).unwrap();
    let schema: &Schema = batch.schema_ref();
    described(schema)
}

#[test]
fn types_are_inferred_without_loss_and_said_in_the_log() {
    let kit = Kit::new();
    kit.put("x.csv", "id,code,price,day,at,utc,flag,note,big\n1,007,1.5,2024-02-29,2024-02-29 10:00:00,2024-02-29T10:00:00Z,true,x,123456789012345678901\n-2,008,,2024-03-01,2024-03-01,2024-03-01T10:00:00+02:00,false,,1\n");
    assert_eq!(
        inferred(&kit, "x.csv"),
        "id Int64, code Utf8, price Float64, day Date32, at Timestamp(µs), utc Timestamp(µs, \"UTC\"), flag Boolean, note Utf8, big Utf8"
    );
    assert!(kit.log.lock().unwrap().iter().any(|line| line.contains("inferred") && line.contains("code Utf8")));
    kit.put("x.jsonl", "{\"a\":1,\"b\":\"x\",\"c\":[1,2],\"d\":{\"k\":1}}\n\n{\"a\":1.5,\"e\":true,\"c\":[null]}\n");
    assert_eq!(inferred(&kit, "x.jsonl"), "a Float64, b Utf8, c List(Int64), d jsonb, e Boolean");
}

#[test]
fn files_of_a_pattern_are_read_in_order_and_must_agree() {
    let kit = Kit::new();
    kit.put("in/2024/b.csv", "n\n3\n4\n");
    kit.put("in/2024/a.csv", "n\n1\n2\n");
    kit.put("in/2025/a.csv", "n\n5");
    kit.put("in/2025/.hidden.csv", "m\n");
    kit.put("in/2025/a.txt", "m\n");
    let batch = kit.read("file", &json!({"path": "in/*/*.csv"})).unwrap();
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[1, 2, 3, 4, 5]);
    let batch = kit.read("file", &json!({"path": "in/**/{a,z}.csv"})).unwrap();
    assert_eq!(batch.num_rows(), 3);
    kit.put("in/2026/x.csv", "m\n1\n");
    let (code, text) = failure(kit.read("file", &json!({"path": "in/*/*.csv"})));
    assert!(code == "schema_differs" && text.contains("in/2026/x.csv"), "{text}");
    let (code, text) = failure(kit.read("file", &json!({"path": "out/*.csv"})));
    assert!(code == "file_not_found" && text.contains("out/*.csv"), "{text}");
}

#[test]
fn encodings_are_read_and_written() {
    let kit = Kit::new();
    let text = "jméno,počet\nŽofie,1\n";
    let (cp1250, _, _) = encoding_rs::WINDOWS_1250.encode(text);
    kit.put("cp.csv", &cp1250);
    let batch = kit.read("file", &json!({"path": "cp.csv", "encoding": "windows-1250"})).unwrap();
    assert_eq!(batch.schema().field(0).name(), "jméno");
    assert_eq!(batch.column(0).as_string::<i32>().value(0), "Žofie");
    kit.write("file", &json!({"path": "back.csv", "encoding": "windows-1250"}), &batch).unwrap();
    assert_eq!(std::fs::read(kit.path("back.csv")).unwrap(), cp1250.as_ref());
    let utf16: Vec<u8> = "\u{feff}".chars().chain(text.chars()).map(|c| c as u16).flat_map(u16::to_le_bytes).collect();
    kit.put("u16.csv", utf16);
    assert_eq!(kit.read("file", &json!({"path": "u16.csv", "encoding": "utf-16le"})).unwrap(), batch);
    kit.put("bom.csv", format!("\u{feff}{text}"));
    assert_eq!(kit.read("file", &json!({"path": "bom.csv"})).unwrap(), batch);
    let (code, _) = failure(kit.read("file", &json!({"path": "cp.csv"})));
    assert_eq!(code, "malformed_row");
    let (code, text) = failure(kit.write("file", &json!({"path": "x.csv", "encoding": "utf-16"}), &batch));
    assert!(code == "bad_settings" && text.contains("encoding"), "{text}");
}

#[test]
fn line_ends_blanks_and_missing_last_ends_are_understood() {
    let kit = Kit::new();
    kit.put("x.csv", "a,b\r\n1,\"x\r\ny\"\r\n\r\n2,\"\"\"q\"\"\"");
    let batch = kit.read("file", &json!({"path": "x.csv"})).unwrap();
    let texts = batch.column(1).as_string::<i32>();
    assert_eq!((texts.value(0), texts.value(1)), ("x\r\ny", "\"q\""));
    kit.put("empty.csv", "");
    assert_eq!(failure(kit.read("file", &json!({"path": "empty.csv"}))).0, "empty_file");
    kit.put("head.csv", "a,b\n");
    assert_eq!(kit.read("file", &json!({"path": "head.csv"})).unwrap().num_rows(), 0);
    let projected = kit.read("file", &json!({"path": "x.csv", "columns": [{"name": "b", "type": "text"}]})).unwrap();
    assert_eq!((projected.num_columns(), projected.num_rows()), (1, 2));
}
