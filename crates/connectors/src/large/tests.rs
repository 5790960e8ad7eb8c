use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, StringArray, StringViewArray};

use super::*;

const MIB: usize = 1 << 20;

fn batch(column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([("t", column)]).unwrap()
}

fn rows(batch: &RecordBatch) -> Vec<usize> {
    parts(batch, "it", 0).unwrap().iter().map(RecordBatch::num_rows).collect()
}

#[test]
fn parts_are_bounded_whatever_repeats_the_value() {
    let text = "x".repeat(3 * MIB);
    assert_eq!(rows(&batch(Arc::new(StringArray::from(vec![text.as_str(); 3])))), [1, 1, 1]);
    assert_eq!(rows(&batch(Arc::new(StringViewArray::from_iter_values(["a", "b", &text, "c"])))), [4]);
    let values: ArrayRef = Arc::new(StringArray::from(vec![text.as_str()]));
    let dictionary = DictionaryArray::<Int32Type>::new(vec![0; 100].into(), values);
    assert_eq!(rows(&batch(Arc::new(dictionary))), [1; 100]);
    assert_eq!(rows(&batch(Arc::new(StringArray::from(Vec::<&str>::new())))), [0; 0]);
}

#[test]
fn values_beyond_the_limit_are_refused_in_lists_too() {
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some("a")]);
    lists.append_value([Some("x".repeat(20 * MIB)), Some("x".repeat(20 * MIB))]);
    let error = parts(&batch(Arc::new(lists.finish())), "it", 10).unwrap_err().to_string();
    assert!(error.contains("row 12") && error.contains("`t`"), "{error}");
}
