//! The binary form of `numeric`: digits of base 10,000, a weight, a sign and a display scale.

use super::value::Reason;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;

/// Decimal digits in one digit of base 10,000.
const GROUP: i32 = 4;

const POWERS: [u64; 20] = {
    let mut powers = [1; 20];
    let mut exponent = 1;
    while exponent < 20 {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

/// What precedes the digits.
struct Head {
    digits: u16,
    weight: i16,
    sign: u16,
    scale: u16,
}

#[inline]
fn split(value: &[u8]) -> Result<(Head, &[u8]), Reason> {
    let (head, digits) = value.split_first_chunk::<8>().ok_or(Reason::Malformed)?;
    let head = u64::from_be_bytes(*head);
    let head = Head {
        digits: (head >> 48) as u16,
        weight: (head >> 32) as u16 as i16,
        sign: (head >> 16) as u16,
        scale: head as u16,
    };
    if digits.len() != usize::from(head.digits) * 2 {
        return Err(Reason::Malformed);
    }
    Ok((head, digits))
}

/// The unscaled value of a decimal with `scale` digits behind the point.
#[inline]
pub(crate) fn to_decimal(value: &[u8], scale: i8) -> Result<i128, Reason> {
    let (head, digits) = split(value)?;
    if head.digits <= 4 && head.sign <= NEGATIVE {
        let mut mantissa = 0;
        for digit in digits.chunks_exact(2) {
            mantissa = mantissa * 10_000 + u64::from(u16::from_be_bytes([digit[0], digit[1]]));
        }
        let shift = (i32::from(head.weight) + 1 - i32::from(head.digits)) * GROUP + i32::from(scale);
        let shifted = match shift {
            0 => Some(mantissa),
            -1 if mantissa % 10 == 0 => Some(mantissa / 10),
            -2 if mantissa % 100 == 0 => Some(mantissa / 100),
            -3 if mantissa % 1000 == 0 => Some(mantissa / 1000),
            1..=19 => mantissa.checked_mul(POWERS[shift as usize]),
            _ => None,
        };
        if let Some(shifted) = shifted {
            let shifted = i128::from(shifted);
            return Ok(if head.sign == NEGATIVE { -shifted } else { shifted });
        }
    }
    to_decimal_slowly(&head, digits, scale)
}

#[cold]
fn to_decimal_slowly(head: &Head, digits: &[u8], scale: i8) -> Result<i128, Reason> {
    match head.sign {
        POSITIVE | NEGATIVE => {}
        NAN => return Err(Reason::NotFinite("NaN")),
        INFINITY => return Err(Reason::NotFinite("Infinity")),
        MINUS_INFINITY => return Err(Reason::NotFinite("-Infinity")),
        _ => return Err(Reason::Malformed),
    }
    let mut total: i128 = 0;
    let mut exponent = i32::from(head.weight) * GROUP + i32::from(scale);
    for digit in digits.chunks_exact(2) {
        let digit = i128::from(u16::from_be_bytes([digit[0], digit[1]]));
        let part = if exponent >= 0 {
            let power = 10_i128.checked_pow(exponent.unsigned_abs()).ok_or(Reason::TooManyDigits)?;
            digit.checked_mul(power).ok_or(Reason::TooManyDigits)?
        } else {
            let power = 10_i128.checked_pow(exponent.unsigned_abs()).ok_or(Reason::TooManyDigits)?;
            if digit % power != 0 {
                return Err(Reason::TooManyDigits);
            }
            digit / power
        };
        total = total.checked_add(part).ok_or(Reason::TooManyDigits)?;
        exponent -= GROUP;
    }
    if total >= 10_i128.pow(38) {
        return Err(Reason::TooManyDigits);
    }
    Ok(if head.sign == NEGATIVE { -total } else { total })
}

/// Appends the value as the server would print it.
pub(crate) fn to_text(value: &[u8], text: &mut Vec<u8>) -> Result<(), Reason> {
    let (head, digits) = split(value)?;
    match head.sign {
        POSITIVE => {}
        NEGATIVE => text.push(b'-'),
        NAN => {
            return {
                text.extend_from_slice(b"NaN");
                Ok(())
            };
        }
        INFINITY => {
            return {
                text.extend_from_slice(b"Infinity");
                Ok(())
            };
        }
        MINUS_INFINITY => {
            return {
                text.extend_from_slice(b"-Infinity");
                Ok(())
            };
        }
        _ => return Err(Reason::Malformed),
    }
    let digit = |position: i32| {
        let at = usize::try_from(position).ok().map(|position| position * 2);
        let pair = at.and_then(|at| digits.get(at..at + 2));
        pair.map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]))
    };
    let weight = i32::from(head.weight);
    if weight < 0 {
        text.push(b'0');
    } else {
        let mut first = itoa::Buffer::new();
        text.extend_from_slice(first.format(digit(0)).as_bytes());
        for position in 1..=weight {
            text.extend_from_slice(&four(digit(position)));
        }
    }
    if head.scale > 0 {
        text.push(b'.');
        let end = text.len() + usize::from(head.scale);
        let mut position = weight + 1;
        // Digits left of the first one that is given are zero.
        while text.len() < end {
            text.extend_from_slice(&four(digit(position)));
            position += 1;
        }
        text.truncate(end);
    }
    Ok(())
}

fn four(digit: u16) -> [u8; 4] {
    let byte = |power: u16| b'0' + (digit / power % 10) as u8;
    [byte(1000), byte(100), byte(10), byte(1)]
}

/// The limits of a numeric column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub precision: i32,
    pub scale: i32,
}

/// Appends length and value of the decimal `unscaled / 10^scale`, refusing what `limits` would round or cannot hold.
#[inline]
pub(crate) fn put_decimal(unscaled: i128, scale: i8, limits: Option<Limits>, out: &mut Vec<u8>) -> Result<(), Reason> {
    if let Some(limits) = limits {
        check_limits(unscaled, scale, limits)?;
    }
    let sign = if unscaled < 0 { NEGATIVE } else { POSITIVE };
    let magnitude = unscaled.unsigned_abs();
    if let Ok(small) = u64::try_from(magnitude)
        && (0..=18).contains(&scale)
    {
        put_small(small, scale as u32, sign, out);
        return Ok(());
    }
    let mut text = magnitude.to_string().into_bytes();
    let point = text.len() as i32 - i32::from(scale);
    put_digits(&mut text, point, sign, i32::from(scale).max(0), out)
}

#[inline]
fn check_limits(unscaled: i128, scale: i8, limits: Limits) -> Result<(), Reason> {
    let too_long = || Reason::Numeric { precision: limits.precision, scale: limits.scale };
    let magnitude = unscaled.unsigned_abs();
    // Behind the point: what is left over must be zeros. Before it: the digits that stay.
    let drop = i32::from(scale) - limits.scale;
    let room = limits.precision + drop;
    if drop > 0 {
        let power = 10_u128.checked_pow(drop.unsigned_abs());
        if power.is_none_or(|power| !magnitude.is_multiple_of(power)) {
            return if magnitude == 0 { Ok(()) } else { Err(too_long()) };
        }
    }
    let fits = match u32::try_from(room) {
        Ok(room @ 0..=19) => magnitude < u128::from(POWERS[room as usize]),
        Ok(room) => 10_u128.checked_pow(room).is_none_or(|power| magnitude < power),
        Err(_) => magnitude == 0,
    };
    if fits { Ok(()) } else { Err(too_long()) }
}

#[inline]
fn put_small(mut rest: u64, scale: u32, sign: u16, out: &mut Vec<u8>) {
    // At most five groups before the point and five behind it.
    let mut groups = [0_u16; 12];
    let mut at = groups.len();
    let (head, low) = match scale % 4 {
        0 => (rest, None),
        1 => (rest / 10, Some(rest % 10 * 1000)),
        2 => (rest / 100, Some(rest % 100 * 100)),
        _ => (rest / 1000, Some(rest % 1000 * 10)),
    };
    let behind = scale.div_ceil(4) as i16;
    if let Some(low) = low {
        at -= 1;
        groups[at] = low as u16;
        rest = head;
    }
    while rest > 0 {
        at -= 1;
        groups[at] = (rest % 10_000) as u16;
        rest /= 10_000;
    }
    let weight = (groups.len() - at) as i16 - behind - 1;
    let mut used = &groups[at..];
    while let [shorter @ .., 0] = used {
        used = shorter;
    }
    let mut weight = weight;
    while let [0, shorter @ ..] = used {
        used = shorter;
        weight -= 1;
    }
    put_groups(used, weight, sign, scale as u16, out);
}

#[inline]
fn put_groups(groups: &[u16], weight: i16, sign: u16, scale: u16, out: &mut Vec<u8>) {
    let weight = if groups.is_empty() { 0 } else { weight };
    // A zero has no sign.
    let sign = if groups.is_empty() { POSITIVE } else { sign };
    let count = groups.len() as u16;
    let mut head = [0; 12];
    head[..4].copy_from_slice(&(8 + 2 * u32::from(count)).to_be_bytes());
    head[4..6].copy_from_slice(&count.to_be_bytes());
    head[6..8].copy_from_slice(&weight.to_be_bytes());
    head[8..10].copy_from_slice(&sign.to_be_bytes());
    head[10..].copy_from_slice(&scale.to_be_bytes());
    out.extend_from_slice(&head);
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

/// Appends length and value of a number written as text, refusing what `limits` would round or cannot hold.
pub(crate) fn put_text(text: &str, limits: Option<Limits>, out: &mut Vec<u8>) -> Result<(), Reason> {
    let text = text.trim();
    let (sign, rest) = match text.as_bytes() {
        [b'-', ..] => (NEGATIVE, &text[1..]),
        [b'+', ..] => (POSITIVE, &text[1..]),
        _ => (POSITIVE, text),
    };
    if let Some(special) = special(rest, sign) {
        if limits.is_some() && special != NAN {
            return Err(Reason::NotFinite("Infinity"));
        }
        put_groups(&[], 0, POSITIVE, 0, out);
        let at = out.len() - 4;
        out[at..at + 2].copy_from_slice(&special.to_be_bytes());
        return Ok(());
    }
    if rest.len() <= 18
        && let Some((unscaled, scale)) = short(rest)
    {
        let unscaled = if sign == NEGATIVE { -unscaled } else { unscaled };
        return put_decimal(unscaled, scale, limits, out);
    }
    let (number, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], rest[at + 1..].parse::<i32>().map_err(|_| Reason::NoNumber)?),
        None => (rest, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || !whole.bytes().chain(fraction.bytes()).all(|digit| digit.is_ascii_digit()) {
        return Err(Reason::NoNumber);
    }
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let point = (whole.len() as i32).saturating_add(exponent);
    let scale = (fraction.len() as i32).saturating_sub(exponent).max(0);
    if let Some(limits) = limits {
        check_digits(&digits, point, limits)?;
    }
    put_digits(&mut digits, point, sign, scale, out)
}

/// A number of at most eighteen characters without an exponent.
#[inline]
fn short(text: &str) -> Option<(i128, i8)> {
    let mut value: i64 = 0;
    let mut point = None;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'0'..=b'9' => value = value * 10 + i64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let digits = text.len() - usize::from(point.is_some());
    if digits == 0 {
        return None;
    }
    let scale = point.map_or(0, |at| text.len() - at - 1);
    Some((i128::from(value), scale as i8))
}

fn special(text: &str, sign: u16) -> Option<u16> {
    if text.eq_ignore_ascii_case("nan") {
        Some(NAN)
    } else if text.eq_ignore_ascii_case("infinity") || text.eq_ignore_ascii_case("inf") {
        Some(if sign == NEGATIVE { MINUS_INFINITY } else { INFINITY })
    } else {
        None
    }
}

fn check_digits(digits: &[u8], point: i32, limits: Limits) -> Result<(), Reason> {
    let first = digits.iter().position(|digit| *digit != b'0');
    let last = digits.iter().rposition(|digit| *digit != b'0');
    let (Some(first), Some(last)) = (first, last) else { return Ok(()) };
    let before = point - first as i32;
    let behind = last as i32 + 1 - point;
    if before > limits.precision - limits.scale || behind > limits.scale {
        return Err(Reason::Numeric { precision: limits.precision, scale: limits.scale });
    }
    Ok(())
}

/// Appends decimal digits (ASCII) with the point after the first `point` of them.
fn put_digits(digits: &mut Vec<u8>, point: i32, sign: u16, scale: i32, out: &mut Vec<u8>) -> Result<(), Reason> {
    let leading = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.drain(..leading);
    let point = point.saturating_sub(leading as i32);
    if digits.is_empty() {
        put_groups(&[], 0, POSITIVE, u16::try_from(scale.min(16_383)).unwrap_or(0), out);
        return Ok(());
    }
    // The limits of the type: 131072 digits before the point, 16383 behind it.
    if point > 131_072 || scale > 16_383 || point < -16_383 {
        return Err(Reason::TooManyDigits);
    }
    // Zeros in front and behind, so that the point stands between two groups.
    let front = point.rem_euclid(GROUP);
    let front = if front == 0 { 0 } else { (GROUP - front) as usize };
    let mut padded = vec![b'0'; front];
    padded.append(digits);
    padded.resize(padded.len().next_multiple_of(4), b'0');
    let weight = (point + front as i32) / GROUP - 1;
    let mut groups: Vec<u16> = padded
        .chunks_exact(4)
        .map(|four| four.iter().fold(0, |group, digit| group * 10 + u16::from(digit - b'0')))
        .collect();
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let (Ok(weight), Ok(scale)) = (i16::try_from(weight), u16::try_from(scale)) else {
        return Err(Reason::TooManyDigits);
    };
    put_groups(&groups, weight, sign, scale, out);
    Ok(())
}

#[cfg(test)]
mod tests;
