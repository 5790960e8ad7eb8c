use proptest::prelude::*;

use super::{calendar, format, parse, types};

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn dates_and_times_read_as_people_write_them() {
    assert_eq!(text(|out| format::date(0, out)), "1970-01-01");
    assert_eq!(text(|out| format::date(19_782, out)), "2024-02-29");
    assert_eq!(text(|out| format::date(-719_528, out)), "0000-01-01");
    assert_eq!(text(|out| format::date(-719_529, out)), "-0001-12-31");
    assert_eq!(text(|out| format::date(2_932_897, out)), "+10000-01-01");
    assert_eq!(text(|out| format::timestamp_utc(-1, out)), "1969-12-31T23:59:59.999999Z");
    assert_eq!(text(|out| format::timestamp(1_000_000, out)), "1970-01-01 00:00:01");
    assert_eq!(parse::timestamp_utc(b"2024-02-29T12:00:00+02:30"), parse::timestamp(b"2024-02-29 09:30:00"));
    assert_eq!(parse::timestamp(b"2024-02-29"), Some(19_782 * calendar::DAY_MICROS));
    assert_eq!(parse::time(b"24:00:00"), Some(calendar::DAY_MICROS));
    for bad in ["2023-02-29", "2024-13-01", "2024-1-1", "24-01-01", "12024-01-01", "2024-01-01x", ""] {
        assert_eq!(parse::date(bad.as_bytes()), None, "{bad}");
    }
    for bad in ["2024-01-01T25:00:00", "2024-01-01T00:60:00", "2024-01-01 00:00:00Z", "2024-01-01 00:00:00.1234567"] {
        assert_eq!(parse::timestamp(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn numbers_are_exact_or_refused() {
    assert_eq!(text(|out| format::decimal(-5, 2, out)), "-0.05");
    assert_eq!(text(|out| format::decimal(12_345, 2, out)), "123.45");
    assert_eq!(text(|out| format::decimal(0, 2, out)), "0.00");
    assert_eq!(text(|out| format::decimal(12, -2, out)), "1200");
    assert_eq!(text(|out| format::decimal(i128::MIN, 0, out)), i128::MIN.to_string());
    assert_eq!(parse::decimal(b"1.5", 5, 2), Some(150));
    assert_eq!(parse::decimal(b"1.500", 5, 2), Some(150));
    assert_eq!(parse::decimal(b"15e-1", 5, 2), Some(150));
    assert_eq!(parse::decimal(b".5", 5, 2), Some(50));
    assert_eq!(parse::decimal(b"123456789012345678", 18, 0), Some(123_456_789_012_345_678));
    assert_eq!(parse::decimal(b"-1234567890123456.78", 18, 2), Some(-123_456_789_012_345_678));
    assert_eq!(parse::decimal(b"1234567890123456789", 38, 2), Some(123_456_789_012_345_678_900));
    assert_eq!(parse::decimal(b"5.", 5, 2), Some(500));
    assert_eq!(parse::decimal(b"7", 38, 20), Some(7 * 10_i128.pow(20)));
    for bad in ["1.555", "1000", "NaN", "", ".", "-", "1e", "1.2.3", "1e999999999"] {
        assert_eq!(parse::decimal(bad.as_bytes(), 5, 2), None, "{bad}");
    }
    assert_eq!(parse::int::<i16>(b"32768"), None);
    assert_eq!(parse::int::<i64>(b"-9223372036854775808"), Some(i64::MIN));
    assert_eq!(parse::int::<i64>(b"9223372036854775808"), None);
    for (word, value) in [("inf", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY), ("1e308", 1e308)] {
        assert_eq!(parse::float64(word.as_bytes()), Some(value), "{word}");
    }
    for bad in ["1e400", "-1e400"] {
        assert_eq!((parse::float64(bad.as_bytes()), parse::float32(b"1e39")), (None, None), "{bad}");
    }
    for good in ["1", "-1.50", "1e10", "NaN", "-Infinity", "123456789012345678901234567890.5"] {
        assert!(parse::is_numeric(good.as_bytes()), "{good}");
    }
    for bad in ["", "x", "1.2.3", "1e", "--1"] {
        assert!(!parse::is_numeric(bad.as_bytes()), "{bad}");
    }
}

#[test]
fn intervals_keep_their_three_parts() {
    assert_eq!(text(|out| format::interval(14, -3, 4_500_000_000, out)), "P1Y2M-3DT4.5S");
    assert_eq!(text(|out| format::interval(0, 0, 0, out)), "PT0S");
    assert_eq!(text(|out| format::interval(0, 0, -1, out)), "PT-0.000000001S");
    assert_eq!(parse::interval(b"P1W"), Some((0, 7, 0)));
    for bad in ["", "P", "1Y", "P1", "PT1Y", "P1H"] {
        assert_eq!(parse::interval(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn every_word_makes_a_column() {
    for word in
        types::WORDS.split(',').map(str::trim).filter(|word| !word.contains("with") && !word.contains(['(', ')']))
    {
        let field = types::field("x", word).unwrap_or_else(|| panic!("{word}"));
        assert!(super::column::Column::new(&field).is_some(), "{word}");
        assert!(types::field("x", &format!("{word}[]")).is_some(), "{word}");
    }
    assert!(types::field("x", "numeric(10, 2)").is_some());
    assert!(types::field("x", &format!("int{}", "[]".repeat(8))).is_some());
    assert!(types::field("x", &format!("int{}", "[]".repeat(1_000_000))).is_none());
    for bad in ["numeric(39,2)", "numeric(5,6)", "numeric(0)", "strnig", "int[", ""] {
        assert!(types::field("x", bad).is_none(), "{bad}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(days in -2_000_000_i32..2_000_000, micros in -60_000_000_000_000_000_i64..100_000_000_000_000_000,
        clock in 0..calendar::DAY_MICROS, number in any::<i128>(), scale in 0_i8..38,
        months in any::<i32>(), some_days in any::<i32>(), nanos in any::<i64>(), float in any::<f64>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        prop_assert_eq!(parse::date(text(|out| format::date(i64::from(days), out)).as_bytes()), Some(days));
        prop_assert_eq!(parse::timestamp(text(|out| format::timestamp(micros, out)).as_bytes()), Some(micros));
        prop_assert_eq!(parse::timestamp_utc(text(|out| format::timestamp_utc(micros, out)).as_bytes()), Some(micros));
        prop_assert_eq!(parse::time(text(|out| format::time(clock, out)).as_bytes()), Some(clock));
        let number = number % 10_i128.pow(37);
        prop_assert_eq!(parse::decimal(text(|out| format::decimal(number, scale, out)).as_bytes(), 38, scale), Some(number));
        let interval = parse::interval(text(|out| format::interval(months, some_days, nanos, out)).as_bytes());
        prop_assert_eq!(interval, Some((months, some_days, nanos)));
        let back = parse::float64(text(|out| format::float64(float, out)).as_bytes()).unwrap();
        prop_assert!(back == float || back.is_nan() && float.is_nan());
        prop_assert_eq!(parse::binary(text(|out| format::binary(&bytes, out)).as_bytes()), Some(bytes));
    }

    #[test]
    fn no_text_panics(bytes in proptest::collection::vec(any::<u8>(), 0..30), text in "[-+0-9.:TZPYMDHSe ]{0,25}") {
        for text in [&bytes[..], text.as_bytes()] {
            let _ = (parse::date(text), parse::timestamp_utc(text), parse::time(text), parse::interval(text));
            let _ = (parse::decimal(text, 38, 9), parse::int::<i64>(text), parse::uuid(text), parse::binary(text));
        }
    }
}
