use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use sallyport_protocol::CONTROL_MESSAGE_BYTES_MAX;
use serde_json::json;

use super::{COLUMNS_MAX, Look, VALUE_BYTES_MAX, without_traces};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

#[test]
fn rows_are_texts_with_types_until_there_are_enough() {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("ž"), None]));
    let batch = batch(vec![("id", ids), ("name", names)]);
    let mut look = Look::new(4);
    look.columns(batch.schema_ref());
    assert!(look.rows(&batch));
    assert!(!look.rows(&batch), "the fifth row is one too many");
    let seen = look.seen();
    let columns: Vec<(&str, &str)> = seen.columns.iter().map(|one| (one.name.as_str(), one.kind.as_str())).collect();
    assert_eq!(columns, [("id", "bigint"), ("name", "text")]);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(seen.rows[..3], [vec![text("1"), text("a")], vec![None, text("ž")], vec![text("3"), None]]);
    assert_eq!((seen.rows.len(), seen.more), (4, true));
}

#[test]
fn what_is_exactly_enough_is_all() {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let batch = batch(vec![("id", ids)]);
    let mut look = Look::new(2);
    assert!(look.rows(&batch));
    assert!(!look.seen().more);
}

#[test]
fn the_worst_rows_fit_in_a_control_message() {
    // Each of these bytes takes six in JSON.
    let long = "\u{1}".repeat(10_000);
    let names: Vec<String> = (0..300).map(|number| format!("{number}{}", "\u{1}".repeat(300))).collect();
    let columns = names.iter().map(|name| {
        let array: ArrayRef = Arc::new(StringArray::from(vec![long.as_str(); 100]));
        (name.as_str(), array)
    });
    let batch = batch(columns.collect());
    let mut look = Look::new(100);
    look.columns(batch.schema_ref());
    assert!(!look.rows(&batch));
    let seen = look.seen();
    assert_eq!((seen.columns.len(), seen.columns_left), (COLUMNS_MAX, 150));
    assert!(seen.rows[0][0].as_ref().unwrap().len() <= VALUE_BYTES_MAX + "…".len());
    assert!(serde_json::to_vec(&seen).unwrap().len() < CONTROL_MESSAGE_BYTES_MAX);
}

#[test]
fn unknown_types_have_no_text() {
    let array: ArrayRef = Arc::new(arrow_array::NullArray::new(1));
    let batch = batch(vec![("nothing", array)]);
    assert_eq!(batch.schema_ref().field(0).data_type(), &DataType::Null);
    let mut look = Look::new(1);
    assert!(look.rows(&batch));
    assert_eq!(look.seen().rows, [[None]]);
}

#[test]
fn a_look_leaves_no_traces() {
    let with = json!({ "table": "t", "incremental": {}, "on_bad_row": "reject", "reject_file": "x", "parallel": 4 });
    assert_eq!(without_traces(&with), json!({ "table": "t" }));
}
