use arrow_array::builder::{Int8Builder, LargeListBuilder};
use arrow_array::types::{Date32Type, Int16Type, IntervalMonthDayNanoType, TimestampMicrosecondType};
use arrow_array::{
    Date64Array, Decimal256Array, DurationSecondArray, Int32Array, LargeStringArray, StringViewArray,
    Time64MicrosecondArray, Time64NanosecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow_buffer::{IntervalMonthDayNano, i256};

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

fn mapped(column: ArrayRef) -> Result<RecordBatch, ArrowError> {
    let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
    Mapping::of(&batch.schema()).unwrap().apply(&batch)
}

#[test]
fn wide_and_fine_values_keep_what_the_common_types_hold() {
    let wide = i256::from_string(&"9".repeat(60)).unwrap();
    let decimals = Decimal256Array::from(vec![wide]).with_data_type(DataType::Decimal256(76, 2));
    let batch = mapped(Arc::new(decimals)).unwrap();
    assert_eq!(batch.schema().field(0).metadata()[TYPE_KEY], "numeric");
    assert_eq!(batch.column(0).as_string::<i32>().value(0), format!("{}.99", "9".repeat(58)));

    let mut lists = LargeListBuilder::new(Int8Builder::new());
    lists.append_value([Some(1), None]);
    let batch = mapped(Arc::new(lists.finish())).unwrap();
    assert_eq!(batch.column(0).as_list::<i32>().value(0).as_primitive::<Int16Type>().value(0), 1);

    let batch = mapped(Arc::new(Date64Array::from(vec![3 * 86_400_000]))).unwrap();
    assert_eq!(batch.column(0).as_primitive::<Date32Type>().value(0), 3);

    let batch = mapped(Arc::new(TimestampNanosecondArray::from(vec![1_234_567_891]))).unwrap();
    assert_eq!(batch.column(0).as_primitive::<TimestampMicrosecondType>().value(0), 1_234_567);

    let batch = mapped(Arc::new(DurationSecondArray::from(vec![90]))).unwrap();
    let interval = IntervalMonthDayNano::new(0, 0, 90_000_000_000);
    assert_eq!(batch.column(0).as_primitive::<IntervalMonthDayNanoType>().value(0), interval);
}

#[test]
fn times_outside_the_day_are_refused() {
    assert!(mapped(Arc::new(Time64MicrosecondArray::from(vec![0, DAY_MICROS]))).is_ok());
    for column in [
        Arc::new(Time64MicrosecondArray::from(vec![-1])) as ArrayRef,
        Arc::new(Time64NanosecondArray::from(vec![DAY_MICROS * 1000 + 1000])),
    ] {
        let error = mapped(column).unwrap_err().to_string();
        assert!(error.contains("`c`") && error.contains("time of a day"), "{error}");
    }
}
