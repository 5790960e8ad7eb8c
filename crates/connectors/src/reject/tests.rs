use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, StringArray};

use super::*;

fn site(folder: &tempfile::TempDir) -> Site {
    Site { files_root: folder.path().to_owned(), ..Site::default() }
}

fn key(attempt: u32) -> CommitKey {
    CommitKey { key: "run/step".into(), attempt, fence: u64::from(attempt) }
}

fn names(folder: &tempfile::TempDir) -> Vec<String> {
    std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn rejected_rows_stand_in_the_file_once_it_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let batch = RecordBatch::try_from_iter([
        ("n", Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef),
        ("t", Arc::new(StringArray::from(vec!["x".repeat(5000), "é".into()])) as ArrayRef),
    ])
    .unwrap();
    let mut file = RejectFile::create(&site(&folder), "bad/rows.jsonl", &key(1)).unwrap();
    file.reject(1, Some("t"), "too long", &row_values(&batch, 0)).unwrap();
    file.reject(2, None, "no n", &row_values(&batch, 1)).unwrap();
    assert!(!folder.path().join("bad/rows.jsonl").exists());
    file.finish().unwrap();
    let text = std::fs::read_to_string(folder.path().join("bad/rows.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["row"], 1);
    assert_eq!(lines[0]["values"]["t"].as_str().unwrap().len(), VALUE_CHARS_MAX + 3);
    assert_eq!(lines[1], json!({"row": 2, "column": null, "reason": "no n", "values": {"n": null, "t": "é"}}));
}

#[test]
fn nothing_is_left_when_it_is_dropped_or_empty_or_crashed() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = RejectFile::create(&site(&folder), "rows", &key(1)).unwrap();
    file.reject(1, None, "x", &Value::Null).unwrap();
    drop(file);
    assert!(names(&folder).is_empty());
    // An attempt that was killed leaves its part; the next attempt of the step clears it.
    std::mem::forget(RejectFile::create(&site(&folder), "rows", &key(1)).unwrap());
    assert_eq!(names(&folder).len(), 1);
    std::fs::write(folder.path().join("rows"), "old").unwrap();
    RejectFile::create(&site(&folder), "rows", &key(2)).unwrap().finish().unwrap();
    assert!(names(&folder).is_empty());
}
