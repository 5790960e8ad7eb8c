//! Values to text.

use super::calendar::{DAY_MICROS, civil};

const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
2021222324252627282930313233343536373839\
4041424344454647484950515253545556575859\
6061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

const HEX: &[u8; 16] = b"0123456789abcdef";

/// `-17`.
#[inline]
pub(crate) fn int(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The shortest text that reads back as the same number; `NaN`, `Infinity`, `-Infinity`.
#[inline]
pub(crate) fn float64(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(not_finite(value.is_nan(), value > 0.0));
    }
}

/// As [`float64`], by the digits that a 32 bit number needs.
#[inline]
pub(crate) fn float32(value: f32, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(not_finite(value.is_nan(), value > 0.0));
    }
}

fn not_finite(nan: bool, positive: bool) -> &'static [u8] {
    match (nan, positive) {
        (true, _) => b"NaN",
        (false, true) => b"Infinity",
        (false, false) => b"-Infinity",
    }
}

/// `-12.30`: always `scale` digits behind the point.
#[inline]
pub(crate) fn decimal(value: i128, scale: i8, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let digits = match u64::try_from(value.unsigned_abs()) {
        Ok(small) => buffer.format(small).as_bytes(),
        Err(_) => buffer.format(value.unsigned_abs()).as_bytes(),
    };
    if value < 0 {
        out.push(b'-');
    }
    let scale_digits = usize::from(scale.unsigned_abs());
    if scale <= 0 {
        out.extend_from_slice(digits);
        if value != 0 {
            out.resize(out.len() + scale_digits, b'0');
        }
    } else if let Some(whole) = digits.len().checked_sub(scale_digits).filter(|whole| *whole > 0) {
        out.extend_from_slice(&digits[..whole]);
        out.push(b'.');
        out.extend_from_slice(&digits[whole..]);
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale_digits - digits.len(), b'0');
        out.extend_from_slice(digits);
    }
}

/// `2024-02-29`; years beyond four digits as `+12345-01-01`, before year 0 as `-0001-01-01`.
#[inline]
pub(crate) fn date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    if let Ok(year @ 0..=9999) = usize::try_from(year) {
        let mut text = *b"0000-00-00";
        text[0..2].copy_from_slice(pair(year / 100));
        text[2..4].copy_from_slice(pair(year % 100));
        text[5..7].copy_from_slice(pair(month as usize));
        text[8..10].copy_from_slice(pair(day as usize));
        out.extend_from_slice(&text);
    } else {
        let sign = if year < 0 { '-' } else { '+' };
        out.extend_from_slice(format!("{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs()).as_bytes());
    }
}

/// `23:59:59` or `23:59:59.000001`.
#[inline]
pub(crate) fn time(micros: i64, out: &mut Vec<u8>) {
    let seconds = (micros / 1_000_000) as usize;
    let fraction = (micros % 1_000_000) as usize;
    let mut text = *b"00:00:00.000000";
    text[0..2].copy_from_slice(pair(seconds / 3600 % 100));
    text[3..5].copy_from_slice(pair(seconds / 60 % 60));
    text[6..8].copy_from_slice(pair(seconds % 60));
    if fraction == 0 {
        out.extend_from_slice(&text[..8]);
    } else {
        text[9..11].copy_from_slice(pair(fraction / 10_000));
        text[11..13].copy_from_slice(pair(fraction / 100 % 100));
        text[13..15].copy_from_slice(pair(fraction % 100));
        out.extend_from_slice(&text);
    }
}

/// `2024-02-29 23:59:59.000001`.
#[inline]
pub(crate) fn timestamp(micros: i64, out: &mut Vec<u8>) {
    date(micros.div_euclid(DAY_MICROS), out);
    out.push(b' ');
    time(micros.rem_euclid(DAY_MICROS), out);
}

/// `2024-02-29T23:59:59.000001Z`.
#[inline]
pub(crate) fn timestamp_utc(micros: i64, out: &mut Vec<u8>) {
    date(micros.div_euclid(DAY_MICROS), out);
    out.push(b'T');
    time(micros.rem_euclid(DAY_MICROS), out);
    out.push(b'Z');
}

/// ISO 8601: `P1Y2M3DT4H5M6.5S`; each part carries its own sign; `PT0S` for none.
pub(crate) fn interval(months: i32, days: i32, nanos: i64, out: &mut Vec<u8>) {
    out.push(b'P');
    part(i64::from(months / 12), b'Y', out);
    part(i64::from(months % 12), b'M', out);
    part(i64::from(days), b'D', out);
    if nanos == 0 {
        if months == 0 && days == 0 {
            out.extend_from_slice(b"T0S");
        }
        return;
    }
    out.push(b'T');
    part(nanos / 3_600_000_000_000, b'H', out);
    part(nanos / 60_000_000_000 % 60, b'M', out);
    let rest = nanos % 60_000_000_000;
    if rest != 0 {
        let start = out.len();
        decimal(i128::from(rest), 9, out);
        while out.len() > start && out.ends_with(b"0") {
            out.pop();
        }
        if out.ends_with(b".") {
            out.pop();
        }
        out.push(b'S');
    }
}

fn part(value: i64, unit: u8, out: &mut Vec<u8>) {
    if value != 0 {
        int(value, out);
        out.push(unit);
    }
}

/// `\x00ff`.
pub(crate) fn binary(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(2 + 2 * bytes.len());
    out.extend_from_slice(b"\\x");
    for byte in bytes {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

/// `0198c0de-0000-7000-8000-000000000001`.
pub(crate) fn uuid(bytes: &[u8], out: &mut Vec<u8>) {
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

/// A JSON string.
pub(crate) fn json_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut from = 0;
    for (index, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[from..index]);
        from = index + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
    }
    out.extend_from_slice(&text.as_bytes()[from..]);
    out.push(b'"');
}

#[inline]
fn pair(value: usize) -> &'static [u8] {
    &PAIRS[2 * value..2 * value + 2]
}
