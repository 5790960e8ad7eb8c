use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder, StringBuilder};
use arrow_array::*;
use arrow_buffer::IntervalMonthDayNano;
use arrow_schema::{DataType, Field, Schema};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::kit::Kit;
use crate::text::types;

const COLUMNS: &[(&str, &str)] = &[
    ("a_small", "smallint"),
    ("an_int", "int"),
    ("Big \"one\"", "bigint"),
    ("r", "real"),
    ("d", "double"),
    ("n", "numeric(38,9)"),
    ("free", "numeric"),
    ("t", "text"),
    ("b", "bytea"),
    ("yes", "boolean"),
    ("day", "date"),
    ("clock", "time"),
    ("local", "timestamp"),
    ("utc", "timestamptz"),
    ("lasts", "interval"),
    ("id", "uuid"),
    ("doc", "json"),
    ("ints", "bigint[]"),
    ("texts", "text[]"),
];

fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(COLUMNS.iter().map(|(name, word)| types::field(name, word).unwrap()).collect::<Vec<_>>()))
}

fn columns() -> Value {
    COLUMNS.iter().map(|(name, word)| json!({"name": name, "type": word})).collect()
}

/// Every type: an ordinary value, an extreme one, another extreme one, and a null.
pub(crate) fn every_type() -> RecordBatch {
    let mut ints = ListBuilder::new(Int64Builder::new());
    ints.append_value([Some(1), None, Some(-3)]);
    ints.append_value([]);
    ints.append_value([Some(i64::MIN)]);
    ints.append_null();
    let mut texts = ListBuilder::new(StringBuilder::new());
    texts.append_value([Some("a,b"), None, Some("\"q\"\\")]);
    texts.append_value([Some("")]);
    texts.append_value([Some("null"), Some("žluť\n\u{1}")]);
    texts.append_null();
    let decimals =
        Decimal128Array::from(vec![Some(1_500_000_000), Some(10_i128.pow(38) - 1), Some(-(10_i128.pow(38) - 1)), None]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int16Array::from(vec![Some(1), Some(i16::MAX), Some(i16::MIN), None])),
        Arc::new(Int32Array::from(vec![Some(1), Some(i32::MAX), Some(i32::MIN), None])),
        Arc::new(Int64Array::from(vec![Some(1), Some(i64::MAX), Some(i64::MIN), None])),
        Arc::new(Float32Array::from(vec![Some(1.5), Some(f32::MAX), Some(f32::NEG_INFINITY), None])),
        Arc::new(Float64Array::from(vec![Some(0.1), Some(f64::MIN_POSITIVE), Some(f64::INFINITY), None])),
        Arc::new(decimals.with_precision_and_scale(38, 9).unwrap()),
        Arc::new(StringArray::from(vec![
            Some("123456789012345678901234567890123456789012.5"),
            Some("NaN"),
            Some("-0.10"),
            None,
        ])),
        Arc::new(StringArray::from(vec![Some("plain"), Some(""), Some("a,\"b\"\r\nc;\td 'e' \\N NULL"), None])),
        Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\x00\xff"), Some(b""), Some(b",\n\""), None])),
        Arc::new(BooleanArray::from(vec![Some(true), Some(false), Some(true), None])),
        Arc::new(Date32Array::from(vec![Some(19_782), Some(-1_000_000), Some(2_932_897), None])),
        Arc::new(Time64MicrosecondArray::from(vec![Some(1), Some(86_399_999_999), Some(0), None])),
        Arc::new(TimestampMicrosecondArray::from(vec![
            Some(1_700_000_000_123_456),
            Some(-62_135_596_800_000_001),
            Some(0),
            None,
        ])),
        Arc::new(
            TimestampMicrosecondArray::from(vec![
                Some(1_700_000_000_123_456),
                Some(253_402_300_800_000_000),
                Some(-1),
                None,
            ])
            .with_timezone("UTC"),
        ),
        Arc::new(IntervalMonthDayNanoArray::from(vec![
            Some(IntervalMonthDayNano::new(14, -3, 4_000_000_001)),
            Some(IntervalMonthDayNano::new(i32::MIN, i32::MAX, i64::MIN)),
            Some(IntervalMonthDayNano::new(0, 0, 0)),
            None,
        ])),
        Arc::new(
            FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                [Some([7_u8; 16]), Some([0; 16]), Some([255; 16]), None].into_iter(),
                16,
            )
            .unwrap(),
        ),
        Arc::new(StringArray::from(vec![Some(r#"{"a": [1, "x"]}"#), Some("\"text\""), Some("12.50"), None])),
        Arc::new(ints.finish()),
        Arc::new(texts.finish()),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn check_every_type(mut with: Value, typed: bool) {
    let kit = Kit::new();
    let batch = every_type();
    kit.write("file", &with, &batch).unwrap();
    if typed {
        with["columns"] = columns();
    }
    let back = kit.read("file", &with).unwrap();
    assert_eq!(back.schema(), batch.schema());
    for (field, (before, after)) in batch.schema().fields().iter().zip(batch.columns().iter().zip(back.columns())) {
        assert_eq!(before, after, "column {} by {with}", field.name());
    }
    assert_eq!(kit.names().len(), 1);
}

#[test]
fn every_type_comes_back_from_csv() {
    check_every_type(json!({"path": "x.csv"}), true);
    check_every_type(json!({"path": "deep/er/x.csv.gz"}), true);
    check_every_type(json!({"path": "x.csv.zst"}), true);
    check_every_type(json!({"path": "x.tsv", "null": "\\N"}), true);
    check_every_type(json!({"path": "x.txt", "delimiter": ";", "quote": "'", "escape": "\\"}), true);
    check_every_type(json!({"path": "x.csv", "delimiter": "-", "null": "NULL"}), true);
    check_every_type(json!({"path": "x.csv", "delimiter": "1", "quote": "0", "header": false}), true);
}

#[test]
fn every_type_comes_back_from_json_lines() {
    check_every_type(json!({"path": "x.jsonl"}), true);
    check_every_type(json!({"path": "x.ndjson.gz"}), true);
    check_every_type(json!({"path": "x", "format": "jsonl", "compression": "zstd"}), true);
}

#[test]
fn every_type_comes_back_from_parquet_by_itself() {
    for compression in ["none", "snappy", "zstd", "gzip"] {
        check_every_type(json!({"path": "x.parquet", "compression": compression}), false);
    }
}

fn any_text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(prop_oneof![
        any::<String>(),
        "[,;\"'\\\\\r\n\tN ]{0,8}",
        Just("NULL".to_owned()),
        Just("\u{feff}x".to_owned())
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_rows_are_read_as_they_were_written(
        rows in proptest::collection::vec((any_text(), any::<Option<i64>>(), any_text()), 0..30),
        dialect in prop::sample::select(vec![
            json!({}), json!({"delimiter": ";", "null": "NULL"}), json!({"quote": "'"}), json!({"escape": "\\"}),
            json!({"header": false, "null": "\\N"}), json!({"delimiter": "tab", "quote": "N"}),
        ]),
        names in ("[^\0\r]{1,6}", any::<String>()),
    ) {
        let kit = Kit::new();
        let fields = vec![
            Field::new(format!("a{}", names.0), DataType::Utf8, true),
            Field::new("n", DataType::Int64, true),
            Field::new(format!("z{}", names.1), DataType::Utf8, true),
        ];
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields.clone())), vec![
            Arc::new(rows.iter().map(|row| row.0.clone()).collect::<StringArray>()),
            Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| row.2.clone()).collect::<StringArray>()),
        ]).unwrap();
        for path in ["x.csv", "x.jsonl"] {
            let mut with = dialect.clone();
            with["path"] = json!(path);
            kit.write("file", &with, &batch).unwrap();
            with["columns"] = fields.iter().map(|field| json!({
                "name": field.name(), "type": if field.name() == "n" { "bigint" } else { "text" }
            })).collect();
            prop_assert_eq!(&kit.read("file", &with).unwrap(), &batch);
        }
    }

    #[test]
    fn one_column_keeps_its_nulls_and_empty_texts(rows in proptest::collection::vec(any_text(), 0..20)) {
        let kit = Kit::new();
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("x", Arc::new(rows.into_iter().collect::<StringArray>()) as ArrayRef, true),
        ]).unwrap();
        kit.write("file", &json!({"path": "x.csv"}), &batch).unwrap();
        let with = json!({"path": "x.csv", "columns": [{"name": "x", "type": "text"}]});
        prop_assert_eq!(kit.read("file", &with).unwrap(), batch);
    }
}
