use proptest::prelude::*;

use super::*;

/// The cell without its length.
fn binary(text: &str, limits: Option<Limits>) -> Result<Vec<u8>, Reason> {
    let mut out = Vec::new();
    put_text(text, limits, &mut out)?;
    let length = u32::from_be_bytes(out[..4].try_into().unwrap()) as usize;
    assert_eq!(out.len(), length + 4);
    Ok(out.split_off(4))
}

fn text(value: &[u8]) -> String {
    let mut text = Vec::new();
    to_text(value, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn decimal(unscaled: i128, scale: i8) -> Vec<u8> {
    let mut out = Vec::new();
    put_decimal(unscaled, scale, None, &mut out).unwrap();
    out.split_off(4)
}

#[test]
fn texts_pass_unchanged() {
    for number in [
        "0",
        "1",
        "-1",
        "10000",
        "9999",
        "0.1",
        "0.0001",
        "0.00001",
        "-0.00000001",
        "123456789.987654321",
        "100000000",
        "0.00",
        "1.50",
        "NaN",
        "Infinity",
        "-Infinity",
        "12345678901234567890.12345678901234567890",
    ] {
        assert_eq!(text(&binary(number, None).unwrap()), number);
    }
    assert_eq!(text(&binary("1e5", None).unwrap()), "100000");
    assert_eq!(text(&binary("1.5E-7", None).unwrap()), "0.00000015");
    assert_eq!(text(&binary("+007.10", None).unwrap()), "7.10");
    assert_eq!(text(&binary("-0", None).unwrap()), "0");
    for wrong in ["", ".", "-", "1.2.3", "one", "1e", "0x10", "1_000"] {
        assert!(binary(wrong, None).is_err(), "{wrong}");
    }
}

#[test]
fn limits_refuse_what_would_be_rounded() {
    let limits = Some(Limits { precision: 5, scale: 2 });
    for good in ["999.99", "-999.99", "0.10000", "1e2", "000123.4", "0"] {
        assert!(binary(good, limits).is_ok(), "{good}");
    }
    for bad in ["1000", "0.001", "1e3", "Infinity", "12345678901234567890.5"] {
        assert!(binary(bad, limits).is_err(), "{bad}");
    }
}

#[test]
fn cut_values_are_errors() {
    let whole = decimal(123_456, 2);
    for end in 0..whole.len() {
        assert_eq!(to_decimal(&whole[..end], 2), Err(Reason::Malformed));
    }
}

proptest! {
    #[test]
    fn decimals_come_back(unscaled in -10_i128.pow(38) + 1..10_i128.pow(38), scale in 0_i8..=38) {
        prop_assert_eq!(to_decimal(&decimal(unscaled, scale), scale), Ok(unscaled));
    }

    #[test]
    fn small_decimals_come_back(unscaled in any::<i64>(), scale in 0_i8..=18) {
        prop_assert_eq!(to_decimal(&decimal(unscaled.into(), scale), scale), Ok(unscaled.into()));
    }

    #[test]
    fn decimals_and_texts_agree(unscaled in any::<i64>(), scale in 0_i8..=18) {
        let value = decimal(unscaled.into(), scale);
        let printed = text(&value);
        prop_assert_eq!(binary(&printed, None).unwrap(), value);
    }

    #[test]
    fn long_texts_come_back(whole in "[1-9][0-9]{0,60}", fraction in "[0-9]{0,60}", minus in any::<bool>()) {
        let sign = if minus { "-" } else { "" };
        let number = if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") };
        prop_assert_eq!(text(&binary(&number, None).unwrap()), number);
    }

    #[test]
    fn any_bytes_are_an_error_or_a_value(bytes in prop::collection::vec(any::<u8>(), 0..40), scale in 0_i8..=38) {
        let _ = to_decimal(&bytes, scale);
        let _ = to_text(&bytes, &mut Vec::new());
    }
}
