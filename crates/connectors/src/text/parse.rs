//! Text to values. `None` means that the text is no value of the type.

use super::calendar::{DAY_MICROS, days};

/// A whole number in the range of `T`; a sign is allowed, blanks are not.
#[inline]
pub(crate) fn int<T: TryFrom<i64>>(text: &[u8]) -> Option<T> {
    T::try_from(int64(text)?).ok()
}

#[inline]
fn int64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    if digits.len() <= 18 {
        for byte in digits {
            value = value * 10 + i64::from(digit(*byte)?);
        }
        return Some(if negative { -value } else { value });
    }
    // Counted downwards, so that the smallest number fits.
    for byte in digits {
        value = value.checked_mul(10)?.checked_sub(i64::from(digit(*byte)?))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// A number as a double; `NaN`, `Infinity` and `inf` in any case. A number beyond a double's range is none.
#[inline]
pub(crate) fn float64(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (value.is_finite() || is_word(text)).then_some(value)
}

/// As [`float64`].
#[inline]
pub(crate) fn float32(text: &[u8]) -> Option<f32> {
    let value: f32 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (value.is_finite() || is_word(text)).then_some(value)
}

/// Whether a number is written as a word.
fn is_word(text: &[u8]) -> bool {
    !text.iter().any(u8::is_ascii_digit)
}

/// `true`, `false`, `t`, `f`, `1`, `0`, `yes`, `no`, `y`, `n`, `on`, `off` in any case.
pub(crate) fn boolean(text: &[u8]) -> Option<bool> {
    const TRUE: [&[u8]; 6] = [b"true", b"t", b"1", b"yes", b"y", b"on"];
    const FALSE: [&[u8]; 6] = [b"false", b"f", b"0", b"no", b"n", b"off"];
    if TRUE.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        Some(true)
    } else if FALSE.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        Some(false)
    } else {
        None
    }
}

/// A number with at most `scale` digits behind the point (more only if they are zeros) and `precision` in all.
#[inline]
pub(crate) fn decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    short_decimal(text, precision, scale).or_else(|| any_decimal(text, precision, scale))
}

/// Digits that fit a `u64` whatever they are.
const SHORT_DIGITS: usize = 18;

const POW10: [u64; SHORT_DIGITS + 1] = {
    let mut powers = [1; SHORT_DIGITS + 1];
    let mut exponent = 1;
    while exponent <= SHORT_DIGITS {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

/// As [`decimal`] for the usual ones, several times as fast; `None` for all others, good or bad.
#[inline]
fn short_decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let (negative, rest) = sign(text);
    if rest.len() > SHORT_DIGITS + 1 {
        return None;
    }
    let mut value = 0_u64;
    let mut digits = 0;
    let mut point = None;
    for byte in rest {
        match digit(*byte) {
            Some(digit) => {
                value = value * 10 + u64::from(digit);
                digits += 1;
            }
            None if *byte == b'.' && point.is_none() => point = Some(digits),
            None => return None,
        }
    }
    let shift = usize::try_from(scale).ok()?.checked_sub(digits - point.unwrap_or(digits))?;
    if digits == 0 || digits + shift > SHORT_DIGITS {
        return None;
    }
    let value = value * POW10[shift];
    let fits = POW10.get(usize::from(precision)).is_none_or(|limit| value < *limit);
    let value = i128::from(value);
    fits.then_some(if negative { -value } else { value })
}

fn any_decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let (negative, rest) = sign(text);
    let (mantissa, exponent) = match rest.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&rest[..at], int::<i32>(&rest[at + 1..])?),
        None => (rest, 0),
    };
    let mut value: i128 = 0;
    let mut seen = false;
    let mut point = false;
    // The power of ten that `value` must be multiplied by to have `scale` digits behind the point.
    let mut power = i32::from(scale).checked_add(exponent)?;
    for byte in mantissa {
        if *byte == b'.' && !point {
            point = true;
            continue;
        }
        value = value.checked_mul(10)?.checked_add(i128::from(digit(*byte)?))?;
        seen = true;
        power = power.checked_sub(i32::from(point))?;
    }
    if !seen {
        return None;
    }
    if value != 0 {
        while power < 0 && value % 10 == 0 {
            value /= 10;
            power += 1;
        }
        let factor = 10_i128.checked_pow(u32::try_from(power).ok()?)?;
        value = value.checked_mul(factor)?;
    }
    let fits = value < 10_i128.checked_pow(u32::from(precision))?;
    fits.then_some(if negative { -value } else { value })
}

/// Whether the text is a number of any size, `NaN` or an infinity.
pub(crate) fn is_numeric(text: &[u8]) -> bool {
    let (_, rest) = sign(text);
    if [&b"nan"[..], b"infinity", b"inf"].iter().any(|word| rest.eq_ignore_ascii_case(word)) {
        return true;
    }
    let (mantissa, exponent) = match rest.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let digits = mantissa.iter().filter(|byte| byte.is_ascii_digit()).count();
    let points = mantissa.iter().filter(|byte| **byte == b'.').count();
    digits > 0
        && points <= 1
        && digits + points == mantissa.len()
        && exponent.is_none_or(|text| int::<i32>(text).is_some())
}

/// `2024-02-29`, `+12345-01-01`: days since 1970-01-01.
#[inline]
pub(crate) fn date(text: &[u8]) -> Option<i32> {
    let (value, rest) = date_part(text)?;
    if rest.is_empty() { i32::try_from(value).ok() } else { None }
}

/// `23:59`, `23:59:59`, `23:59:59.5`: microseconds since midnight; `24:00:00` is the end of the day.
pub(crate) fn time(text: &[u8]) -> Option<i64> {
    let (value, rest) = time_part(text)?;
    rest.is_empty().then_some(value)
}

/// A date, and after `T` or a blank a time without a zone: microseconds since 1970-01-01.
pub(crate) fn timestamp(text: &[u8]) -> Option<i64> {
    let (micros, rest) = date_time(text)?;
    rest.is_empty().then_some(micros)
}

/// As [`timestamp`], with `Z` or an offset such as `+02`, `+02:00`; without either it is UTC.
pub(crate) fn timestamp_utc(text: &[u8]) -> Option<i64> {
    let (micros, rest) = date_time(text)?;
    micros.checked_sub(offset(rest.trim_ascii_start())?)
}

/// Whether the text ends with `Z` or an offset.
pub(crate) fn has_zone(text: &[u8]) -> bool {
    date_time(text).is_some_and(|(_, rest)| !rest.is_empty() && offset(rest.trim_ascii_start()).is_some())
}

fn date_time(text: &[u8]) -> Option<(i64, &[u8])> {
    let (day, rest) = date_part(text)?;
    let start = day.checked_mul(DAY_MICROS)?;
    match rest {
        [] => Some((start, rest)),
        [b'T' | b't' | b' ', clock @ ..] => {
            let (micros, rest) = time_part(clock)?;
            Some((start.checked_add(micros)?, rest))
        }
        _ => None,
    }
}

#[inline]
fn date_part(text: &[u8]) -> Option<(i64, &[u8])> {
    let (negative, rest) = sign(text);
    let signed = rest.len() < text.len();
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(4..=7).contains(&length) || (length > 4 && !signed) {
        return None;
    }
    let year = number(&rest[..length])?;
    let [b'-', m1, m2, b'-', d1, d2, rest @ ..] = &rest[length..] else { return None };
    let year = if negative { -i64::from(year) } else { i64::from(year) };
    Some((days(year, two(*m1, *m2)?, two(*d1, *d2)?)?, rest))
}

fn time_part(text: &[u8]) -> Option<(i64, &[u8])> {
    let [h1, h2, b':', m1, m2, rest @ ..] = text else { return None };
    let (hours, minutes) = (two(*h1, *h2)?, two(*m1, *m2)?);
    let (seconds, fraction, rest) = match rest {
        [b':', s1, s2, b'.', rest @ ..] => {
            let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (two(*s1, *s2)?, micros(&rest[..length])?, &rest[length..])
        }
        [b':', s1, s2, rest @ ..] => (two(*s1, *s2)?, 0, rest),
        _ => (0, 0, rest),
    };
    let midnight = hours == 24 && minutes == 0 && seconds == 0 && fraction == 0;
    if (hours > 23 && !midnight) || minutes > 59 || seconds > 59 {
        return None;
    }
    Some((i64::from(hours * 3600 + minutes * 60 + seconds) * 1_000_000 + i64::from(fraction), rest))
}

/// Digits behind a point as millionths; finer than that is refused rather than lost.
fn micros(digits: &[u8]) -> Option<u32> {
    let (kept, finer) = digits.split_at(digits.len().min(6));
    if kept.is_empty() || finer.iter().any(|byte| *byte != b'0') {
        return None;
    }
    Some(number(kept)? * 10_u32.pow(6 - kept.len() as u32))
}

fn offset(text: &[u8]) -> Option<i64> {
    let (sign, rest) = match text {
        [] | [b'Z' | b'z'] => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, minutes, seconds) = match rest {
        [h1, h2] => (two(*h1, *h2)?, 0, 0),
        [h1, h2, b':', m1, m2] | [h1, h2, m1, m2] => (two(*h1, *h2)?, two(*m1, *m2)?, 0),
        [h1, h2, b':', m1, m2, b':', s1, s2] => (two(*h1, *h2)?, two(*m1, *m2)?, two(*s1, *s2)?),
        _ => return None,
    };
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    Some(sign * i64::from(hours * 3600 + minutes * 60 + seconds) * 1_000_000)
}

/// ISO 8601 with a sign of its own before each part: months, days, nanoseconds.
pub(crate) fn interval(text: &[u8]) -> Option<(i32, i32, i64)> {
    let (whole_negative, rest) = sign(text);
    let [b'P' | b'p', rest @ ..] = rest else { return None };
    let (mut months, mut days, mut nanos) = (0_i64, 0_i64, 0_i64);
    let mut clock = false;
    let mut parts = 0;
    let mut rest = rest;
    while let [first, tail @ ..] = rest {
        if matches!(first, b'T' | b't') {
            clock = true;
            rest = tail;
            continue;
        }
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.')).count();
        let unit = rest.get(length)?.to_ascii_uppercase();
        let value = &rest[..length];
        match (clock, unit) {
            (false, b'Y') => months = months.checked_add(int64(value)?.checked_mul(12)?)?,
            (false, b'M') => months = months.checked_add(int64(value)?)?,
            (false, b'W') => days = days.checked_add(int64(value)?.checked_mul(7)?)?,
            (false, b'D') => days = days.checked_add(int64(value)?)?,
            (true, b'H') => nanos = nanos.checked_add(int64(value)?.checked_mul(3_600_000_000_000)?)?,
            (true, b'M') => nanos = nanos.checked_add(int64(value)?.checked_mul(60_000_000_000)?)?,
            (true, b'S') => nanos = nanos.checked_add(i64::try_from(decimal(value, 38, 9)?).ok()?)?,
            _ => return None,
        }
        parts += 1;
        rest = &rest[length + 1..];
    }
    if parts == 0 {
        return None;
    }
    let factor = if whole_negative { -1 } else { 1 };
    Some((i32::try_from(months * factor).ok()?, i32::try_from(days * factor).ok()?, nanos.checked_mul(factor)?))
}

/// `\x00ff`.
pub(crate) fn binary(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_prefix(b"\\x")?;
    if digits.len() % 2 != 0 {
        return None;
    }
    digits.chunks_exact(2).map(|pair| Some(hex(pair[0])? << 4 | hex(pair[1])?)).collect()
}

/// 32 hexadecimal digits, with or without dashes and braces.
pub(crate) fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    uuid::Uuid::try_parse_ascii(text).ok().map(uuid::Uuid::into_bytes)
}

#[inline]
fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

#[inline]
fn digit(byte: u8) -> Option<u8> {
    let value = byte.wrapping_sub(b'0');
    (value < 10).then_some(value)
}

#[inline]
fn two(high: u8, low: u8) -> Option<u32> {
    Some(u32::from(digit(high)?) * 10 + u32::from(digit(low)?))
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, byte| value.checked_mul(10)?.checked_add(u32::from(digit(*byte)?)))
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|value| value as u8)
}
