use arrow_array::{Int32Array, LargeStringArray, StringViewArray, UInt64Array};

use super::*;

#[test]
fn foreign_types_come_to_the_common_ones() {
    let batch = RecordBatch::try_from_iter([
        ("u", Arc::new(UInt64Array::from(vec![u64::MAX])) as ArrayRef),
        ("v", Arc::new(StringViewArray::from(vec!["x"])) as ArrayRef),
        ("l", Arc::new(LargeStringArray::from(vec!["y"])) as ArrayRef),
        ("i", Arc::new(Int32Array::from(vec![1])) as ArrayRef),
    ])
    .unwrap();
    let mapping = Mapping::of(&batch.schema()).unwrap();
    let mapped = mapping.apply(&batch).unwrap();
    let types: Vec<DataType> = mapped.schema().fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!(types, [DataType::Decimal128(20, 0), DataType::Utf8, DataType::Utf8, DataType::Int32]);
    assert!(Mapping::of(mapping.schema()).unwrap().same);
}

#[test]
fn what_has_no_place_is_named() {
    let field = Field::new("nested", DataType::Struct(vec![Field::new("a", DataType::Int32, true)].into()), true);
    let error = Mapping::of(&Arc::new(Schema::new(vec![field]))).unwrap_err().to_string();
    assert!(error.contains("`nested`") && error.contains("Struct"), "{error}");
}
