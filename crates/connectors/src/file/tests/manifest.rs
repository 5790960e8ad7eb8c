use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::kit::{End, Kit, failure};
use crate::file::manifest::Manifest;
use crate::file::outflow::Contents;
use crate::part::PartFile;
use crate::paths::Root;
use crate::text::types;

fn rows(count: i64) -> RecordBatch {
    let texts = StringArray::from_iter_values((0..count).map(|row| format!("row {row}")));
    let columns = [("n", Arc::new((0..count).collect::<Int64Array>()) as ArrayRef), ("x", Arc::new(texts) as ArrayRef)];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// The manifest of a file, which must be true.
fn agreeing(kit: &Kit, name: &str) -> Value {
    let manifest: Value = serde_json::from_str(&kit.text(&format!("{name}.manifest.json"))).unwrap();
    let bytes = std::fs::read(kit.path(name)).unwrap();
    let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(manifest["files"][0]["sha256"], sha256);
    assert_eq!(manifest["files"][0]["bytes"], bytes.len());
    assert_eq!(manifest["files"][0]["name"], name.rsplit('/').next().unwrap());
    manifest
}

fn attempt(kit: &mut Kit, attempt: u32) {
    (kit.cx.commit.attempt, kit.cx.commit.fence) = (attempt, attempt.into());
    kit.cx.progress = Arc::default();
}

#[test]
fn a_manifest_says_what_is_in_the_file() {
    for path in ["out/x.csv", "x.jsonl.gz", "x.csv.zst", "x.parquet"] {
        let kit = Kit::new();
        kit.write("file", &json!({"path": path, "manifest": true}), &rows(70_000)).unwrap();
        let manifest = agreeing(&kit, path);
        assert_eq!(manifest["rows"], 70_000, "{path}");
        assert_eq!(manifest["columns"], json!([{"name": "n", "type": "bigint"}, {"name": "x", "type": "text"}]));
        let told = ["task", "run", "step", "attempt", "manifest"].map(|name| manifest[name].clone());
        assert_eq!(told, [json!("copy"), json!("run_1"), json!("write"), json!(1), json!(1)]);
        assert_eq!(kit.names(), [path.to_owned(), format!("{path}.manifest.json")]);
    }
    let kit = Kit::new();
    kit.write("file", &json!({"path": "x.csv"}), &rows(1)).unwrap();
    assert_eq!(kit.names(), ["x.csv"], "a manifest that nobody asked for");
}

#[test]
fn a_failed_attempt_leaves_the_old_file_with_its_manifest() {
    let mut kit = Kit::new();
    let with = json!({"path": "x.csv", "manifest": true});
    kit.write("file", &with, &rows(3)).unwrap();
    for end in [End::Broken, End::Cancelled] {
        attempt(&mut kit, 2);
        kit.write_to("file", None, &with, &rows(1).schema(), vec![rows(9)], end).unwrap_err();
        assert_eq!(agreeing(&kit, "x.csv")["rows"], 3);
        assert_eq!(kit.names(), ["x.csv", "x.csv.manifest.json"]);
        kit.cx.cancel = sallyport_dataplane::Cancel::new();
    }
    attempt(&mut kit, 3);
    kit.write("file", &with, &rows(5)).unwrap();
    let manifest = agreeing(&kit, "x.csv");
    assert_eq!((manifest["rows"].clone(), manifest["attempt"].clone()), (json!(5), json!(3)));
}

#[test]
fn an_old_attempt_publishes_nothing_over_a_newer_one() {
    let mut kit = Kit::new();
    let root = Root::new(&kit.cx.site.files_root).unwrap();
    let (old, old_cx) = (PartFile::create(&root, "x.csv", &kit.cx.commit).unwrap(), kit.cx.clone());
    let old_manifest = Manifest::create(&root, "x.csv", &kit.cx).unwrap();
    attempt(&mut kit, 2);
    kit.write("file", &json!({"path": "x.csv", "manifest": true}), &rows(4)).unwrap();
    let contents = Contents { bytes: 0, sha256: Some(String::new()) };
    let published = old_manifest.publish(old, true, &contents, &rows(1).schema(), &old_cx);
    assert!(failure(published).1.contains("newer attempt"));
    assert_eq!(agreeing(&kit, "x.csv")["rows"], 4);
    assert_eq!(kit.names(), ["x.csv", "x.csv.manifest.json"]);
}

#[test]
fn a_file_without_its_manifest_is_written_again_by_its_own_step_only() {
    let mut kit = Kit::new();
    let with = json!({"path": "x.csv", "manifest": true, "overwrite": false});
    kit.write("file", &with, &rows(4)).unwrap();
    let root = Root::new(&kit.cx.site.files_root).unwrap();
    if !PartFile::create(&root, "x.csv", &kit.cx.commit).unwrap().is_committed() {
        return; // This file system keeps no marks.
    }
    attempt(&mut kit, 2);
    assert!(kit.write("file", &with, &rows(4)).unwrap().already_committed);
    // As after a kill between the two names.
    std::fs::remove_file(kit.path("x.csv.manifest.json")).unwrap();
    attempt(&mut kit, 3);
    assert!(!kit.write("file", &with, &rows(4)).unwrap().already_committed);
    assert_eq!(agreeing(&kit, "x.csv")["attempt"], 3);
    kit.cx.commit.key = "another/step".into();
    assert_eq!(failure(kit.write("file", &with, &rows(4))).0, "file_exists");
    assert_eq!(agreeing(&kit, "x.csv")["attempt"], 3);
}

#[test]
fn every_type_has_the_word_that_makes_it() {
    let words = "smallint, int, bigint, real, double, numeric, numeric(9,2), text, bytea, boolean, date, time, timestamp, \
         timestamptz, interval, uuid, json, jsonb, bigint[], numeric[][]";
    for word in words.split(", ") {
        assert_eq!(types::word(&types::field("x", word).unwrap()), word);
    }
}
