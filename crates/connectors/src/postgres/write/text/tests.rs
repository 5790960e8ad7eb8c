use super::*;

#[test]
fn dates() {
    for (text, days) in [
        ("1970-01-01", Some(0)),
        ("2000-02-29", Some(11_016)),
        ("1900-02-29", None),
        ("2024-13-01", None),
        ("2024-1-5", Some(19_727)),
        ("24-01-05", None),
        ("0001-01-01 BC", Some(-719_528)),
        ("0000-01-01", Some(-719_528)),
        ("+5874897-12-31", Some(2_145_042_905)),
        ("-4712-01-01", Some(-2_440_550)),
        ("", None),
        ("abc", None),
    ] {
        assert_eq!(date(text), days, "{text}");
    }
}

#[test]
fn times() {
    for (text, micros) in [
        ("00:00", Some(0)),
        ("13:45:06.789", Some(49_506_789_000)),
        ("24:00:00", Some(MICROS_PER_DAY)),
        ("24:00:01", None),
        ("12:60:00", None),
        ("12:00:00.1234567", None),
        ("12:00:00.1234560", Some(43_200_123_456)),
        ("x", None),
    ] {
        assert_eq!(time(text), micros, "{text}");
    }
}

#[test]
fn timestamps() {
    for (text, expected) in [
        ("1970-01-01", Some((0, None))),
        ("1970-01-01 00:00:01", Some((1_000_000, None))),
        ("1970-01-01T00:00:01Z", Some((1_000_000, Some(0)))),
        ("1970-01-01T00:00:01.5+02", Some((1_500_000, Some(7200)))),
        ("1970-01-01 00:00:01-05:30", Some((1_000_000, Some(-19_800)))),
        ("1970-01-01 00:00:01 UTC", Some((1_000_000, Some(0)))),
        ("0001-12-31 23:59:59 BC", Some((-62_135_596_801_000_000, None))),
        ("yesterday", None),
    ] {
        assert_eq!(timestamp(text), expected, "{text}");
    }
}

#[test]
fn bytes_and_truth() {
    assert_eq!(hex("\\x00fF"), Some(vec![0, 255]));
    assert_eq!(hex("48"), Some(vec![0x48]));
    assert_eq!(hex("4"), None);
    assert_eq!(hex("zz"), None);
    assert_eq!(boolean(" Yes "), Some(true));
    assert_eq!(boolean("0"), Some(false));
    assert_eq!(boolean("2"), None);
}
