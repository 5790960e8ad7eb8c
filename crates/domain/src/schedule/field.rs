//! One field of a cron text: the numbers that it matches.

use super::cron::CronError;

/// What a field may hold.
pub(super) struct Kind {
    pub(super) title: &'static str,
    pub(super) min: u8,
    pub(super) max: u8,
    /// Words for numbers, from `min` on.
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

pub(super) const SECOND: Kind = Kind { title: "second", min: 0, max: 59, names: &[] };
pub(super) const MINUTE: Kind = Kind { title: "minute", min: 0, max: 59, names: &[] };
pub(super) const HOUR: Kind = Kind { title: "hour", min: 0, max: 23, names: &[] };
pub(super) const DAY: Kind = Kind { title: "day of month", min: 1, max: 31, names: &[] };
pub(super) const MONTH: Kind = Kind { title: "month", min: 1, max: 12, names: MONTHS };
/// Sunday is 0 and 7.
pub(super) const WEEKDAY: Kind = Kind { title: "day of week", min: 0, max: 7, names: DAYS };

/// Small numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set(pub(super) u64);

impl Set {
    pub(super) fn add(&mut self, number: u8) {
        self.0 |= 1_u64.checked_shl(u32::from(number)).unwrap_or(0);
    }

    pub(super) fn has(self, number: u8) -> bool {
        self.first_from(number) == Some(number)
    }

    /// The smallest that is not below `from`.
    pub(super) fn first_from(self, from: u8) -> Option<u8> {
        let rest = self.0 & u64::MAX.checked_shl(u32::from(from)).unwrap_or(0);
        (rest != 0).then(|| number(rest.trailing_zeros()))
    }

    /// The largest that is not above `to`.
    pub(super) fn last_to(self, to: u8) -> Option<u8> {
        let rest = self.0 & (u64::MAX >> 63_u32.saturating_sub(u32::from(to)));
        (rest != 0).then(|| number(63 - rest.leading_zeros()))
    }
}

fn number(bit: u32) -> u8 {
    u8::try_from(bit).unwrap_or(u8::MAX)
}

/// A field as it was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) numbers: Set,
    /// It begins with `*`: it does not narrow the days down by itself.
    pub(super) star: bool,
    /// It names the month's last day.
    pub(super) last: bool,
}

/// Reads a field that begins at the character `at`, from 1, of its text.
pub(super) fn parse(kind: &Kind, text: &str, at: usize) -> Result<Field, CronError> {
    let mut field = Field { numbers: Set::default(), star: text.starts_with('*'), last: false };
    let mut at = at;
    for item in text.split(',') {
        let part = Part { kind, at, text: item };
        if kind.title == DAY.title && item.eq_ignore_ascii_case("l") {
            field.last = true;
        } else {
            part.read(&mut field.numbers)?;
        }
        at += item.chars().count() + 1;
    }
    Ok(field)
}

/// One item of a list.
struct Part<'a> {
    kind: &'a Kind,
    at: usize,
    text: &'a str,
}

impl Part<'_> {
    fn read(&self, numbers: &mut Set) -> Result<(), CronError> {
        let (range, step) = match self.text.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (self.text, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.kind.min, self.kind.max),
            Some((from, to)) => self.range(from, to)?,
            None => {
                let from = self.number(range)?;
                (from, if step.is_some() { self.kind.max } else { from })
            }
        };
        for number in (from..=to).step_by(usize::from(step.unwrap_or(1))) {
            // Sunday has two numbers.
            numbers.add(if self.kind.max == WEEKDAY.max { number % 7 } else { number });
        }
        Ok(())
    }

    fn range(&self, from: &str, to: &str) -> Result<(u8, u8), CronError> {
        let (from, mut to) = (self.number(from)?, self.number(to)?);
        if to == 0 && self.kind.max == WEEKDAY.max && from > 0 {
            to = 7;
        }
        if from > to {
            return Err(self.wrong("the range runs backwards; write two ranges with a comma between them".to_owned()));
        }
        Ok((from, to))
    }

    fn step(&self, text: &str) -> Result<u8, CronError> {
        text.parse()
            .ok()
            .filter(|step| (1..=self.kind.max).contains(step))
            .ok_or_else(|| self.wrong(format!("after `/` a whole number from 1 to {} is expected", self.kind.max)))
    }

    fn number(&self, text: &str) -> Result<u8, CronError> {
        let Kind { min, max, names, .. } = *self.kind;
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        if let Some(place) = named {
            return Ok(u8::try_from(place).unwrap_or(u8::MAX).saturating_add(min));
        }
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| digits && (min..=max).contains(number)).ok_or_else(|| {
            let words = match names {
                [first, .., last] => format!(", or {first} to {last}"),
                _ => String::new(),
            };
            let last = if self.kind.title == DAY.title { ", or L for the last day" } else { "" };
            self.wrong(format!("a number from {min} to {max}{words}{last} is expected"))
        })
    }

    fn wrong(&self, why: String) -> CronError {
        CronError::Field { field: self.kind.title, item: self.text.to_owned(), at: self.at, why }
    }
}
