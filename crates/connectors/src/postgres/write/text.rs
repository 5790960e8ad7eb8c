//! Reading dates, times and the like from text, as PostgreSQL and CSV files write them.

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Days since 1970-01-01 of `2024-02-29`, `+12024-01-01`, `-0043-03-15` (astronomical) or `0044-03-15 BC`.
pub(super) fn date(text: &str) -> Option<i32> {
    let text = text.trim();
    let (text, before_christ) = match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let mut parts = digits.splitn(3, '-');
    let year = parts.next().filter(|year| year.len() >= 4)?;
    let (month, day) = (parts.next()?, parts.next()?);
    let year: i64 = sign * number(year, 7)?;
    let year = if before_christ { 1 - year } else { year };
    let (month, day) = (number(month, 2)?, number(day, 2)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    i32::try_from(days_from_civil(year, month, day)).ok()
}

/// Microseconds since midnight of `13:45`, `13:45:06.789` or `24:00:00`.
pub(super) fn time(text: &str) -> Option<i64> {
    let mut parts = text.trim().splitn(3, ':');
    let hour = number(parts.next()?, 2)?;
    let minute = number(parts.next()?, 2)?;
    let (second, micros) = match parts.next() {
        None => (0, 0),
        Some(seconds) => {
            let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
            (number(whole, 2)?, fraction_micros(fraction)?)
        }
    };
    if hour > 24 || minute > 59 || second > 59 {
        return None;
    }
    let total = ((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros;
    (total <= MICROS_PER_DAY).then_some(total)
}

/// Microseconds since 1970-01-01T00:00:00, and the offset in seconds if one is written.
pub(super) fn timestamp(text: &str) -> Option<(i64, Option<i64>)> {
    let text = text.trim();
    let (text, era) = match text.strip_suffix(" BC") {
        Some(text) => (text, " BC"),
        None => (text, ""),
    };
    let Some(at) = text.find(['T', 't', ' ']) else {
        return Some((i64::from(date(&format!("{text}{era}"))?).checked_mul(MICROS_PER_DAY)?, None));
    };
    let (day, rest) = (&text[..at], text[at + 1..].trim_start());
    let days = if era.is_empty() { date(day)? } else { date(&format!("{day}{era}"))? };
    let (clock, offset) = match rest.find(['Z', 'z', '+', '-', 'U']) {
        Some(at) => (&rest[..at], Some(zone(&rest[at..])?)),
        None => (rest, None),
    };
    let micros = i64::from(days).checked_mul(MICROS_PER_DAY)?.checked_add(time(clock)?)?;
    Some((micros, offset))
}

/// Seconds east of Greenwich of `Z`, `UTC`, `+02`, `-0530`, `+05:30` or `+00:19:32`.
fn zone(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes() {
        b"Z" | b"z" | b"UTC" => return Some(0),
        [b'+', ..] => (1, &text[1..]),
        [b'-', ..] => (-1, &text[1..]),
        _ => return None,
    };
    let mut parts = digits.splitn(3, ':');
    let first = parts.next()?;
    let (hours, minutes) = match first.len() {
        4 => (first.get(..2)?, first.get(2..)?),
        _ => (first, parts.next().unwrap_or("0")),
    };
    let seconds = number(parts.next().unwrap_or("0"), 2)?;
    let total = (number(hours, 2)? * 60 + number(minutes, 2)?) * 60 + seconds;
    (total < 16 * 3600).then_some(sign * total)
}

/// As PostgreSQL reads it.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "on" | "1" => Some(true),
        "f" | "false" | "n" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// The bytes of `\x48656c6c6f`; the two leading characters may be missing.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x").unwrap_or(text).as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

fn number(text: &str, digits_max: usize) -> Option<i64> {
    if text.is_empty() || text.len() > digits_max || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Digits behind the sixth must be zeros: microseconds are all there is.
fn fraction_micros(text: &str) -> Option<i64> {
    if !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (kept, rest) = text.split_at(text.len().min(6));
    if rest.bytes().any(|digit| digit != b'0') {
        return None;
    }
    Some(
        kept.bytes()
            .chain(std::iter::repeat(b'0'))
            .take(6)
            .fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0')),
    )
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar, carried on backwards: years start in March, eras have 400 years.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests;
