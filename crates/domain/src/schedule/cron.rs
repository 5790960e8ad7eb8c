//! Cron texts: which local times match.
//!
//! Written here rather than taken from a library: a local time shall fire once, also where the clock repeats an hour,
//! times are wanted backwards as well, and a mistake is named with its place in the text.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time, Weekday};

use super::field::{self, Field, Set};

/// No day matches within this many days: none ever will. Eight years can lie between two leap days.
const DAYS_MAX: u32 = 9 * 366;

/// Local times: five fields (minute, hour, day of month, month, day of week), or six with the second first.
#[derive(Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    seconds: Set,
    minutes: Set,
    hours: Set,
    days: Field,
    months: Set,
    weekdays: Field,
}

/// The text is no cron text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Too few or too many fields.
    #[error(
        "{given} fields were given: five are expected (minute, hour, day of month, month, day of week), or six with \
         the second first"
    )]
    Fields {
        /// How many there are.
        given: usize,
    },
    /// One field is wrong.
    #[error("{field} `{item}`, at character {at}: {why}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// The item that is wrong.
        item: String,
        /// Its first character's place in the text, from 1.
        at: usize,
        /// What is expected.
        why: String,
    },
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let words = words(text);
        let (second, rest) = match words.as_slice() {
            [second, rest @ ..] if rest.len() == 5 => (Some(*second), rest),
            rest => (None, rest),
        };
        let [minute, hour, day, month, weekday] = rest else {
            return Err(CronError::Fields { given: words.len() });
        };
        let read = |kind, (at, word): (usize, &str)| field::parse(kind, word, at);
        Ok(Self {
            seconds: read(&field::SECOND, second.unwrap_or((1, "0")))?.numbers,
            minutes: read(&field::MINUTE, *minute)?.numbers,
            hours: read(&field::HOUR, *hour)?.numbers,
            days: read(&field::DAY, *day)?,
            months: read(&field::MONTH, *month)?.numbers,
            weekdays: read(&field::WEEKDAY, *weekday)?,
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({})", self.text)
    }
}

impl Cron {
    /// The first local time that matches and is not before `from`.
    pub(super) fn first_from(&self, from: DateTime) -> Option<DateTime> {
        let (mut date, mut time) = (from.date(), ceiling(from)?);
        for _ in 0..DAYS_MAX {
            if self.on(date)
                && let Some(time) = time.and_then(|time| self.time_from(time))
            {
                return Some(date.to_datetime(time));
            }
            date = date.tomorrow().ok()?;
            time = Some(Time::midnight());
        }
        None
    }

    /// The last local time that matches and is not after `to`.
    pub(super) fn last_to(&self, to: DateTime) -> Option<DateTime> {
        let (mut date, mut time) = (to.date(), to.time());
        for _ in 0..DAYS_MAX {
            if self.on(date)
                && let Some(time) = self.time_to(time)
            {
                return Some(date.to_datetime(time));
            }
            date = date.yesterday().ok()?;
            time = Time::constant(23, 59, 59, 0);
        }
        None
    }

    /// Whether there are times on a day. Where both kinds of day are narrowed down, either will do.
    fn on(&self, date: Date) -> bool {
        if !self.months.has(small(date.month())) {
            return false;
        }
        let last = self.days.last && date.day() == date.days_in_month();
        let by_day = last || self.days.numbers.has(small(date.day()));
        let by_weekday = self.weekdays.numbers.has(weekday(date.weekday()));
        if self.days.star || self.weekdays.star { by_day && by_weekday } else { by_day || by_weekday }
    }

    fn time_from(&self, from: Time) -> Option<Time> {
        let (mut minute, mut second) = (small(from.minute()), small(from.second()));
        let mut hour = self.hours.first_from(small(from.hour()))?;
        if hour > small(from.hour()) {
            (minute, second) = (0, 0);
        }
        loop {
            if let Some(found) = self.within_hour_from(minute, second) {
                return clock(hour, found);
            }
            hour = self.hours.first_from(hour + 1)?;
            (minute, second) = (0, 0);
        }
    }

    fn within_hour_from(&self, minute: u8, second: u8) -> Option<(u8, u8)> {
        let first = self.minutes.first_from(minute)?;
        let second = if first > minute { 0 } else { second };
        match self.seconds.first_from(second) {
            Some(second) => Some((first, second)),
            None => Some((self.minutes.first_from(first + 1)?, self.seconds.first_from(0)?)),
        }
    }

    fn time_to(&self, to: Time) -> Option<Time> {
        let (mut minute, mut second) = (small(to.minute()), small(to.second()));
        let mut hour = self.hours.last_to(small(to.hour()))?;
        if hour < small(to.hour()) {
            (minute, second) = (59, 59);
        }
        loop {
            if let Some(found) = self.within_hour_to(minute, second) {
                return clock(hour, found);
            }
            hour = self.hours.last_to(hour.checked_sub(1)?)?;
            (minute, second) = (59, 59);
        }
    }

    fn within_hour_to(&self, minute: u8, second: u8) -> Option<(u8, u8)> {
        let last = self.minutes.last_to(minute)?;
        let second = if last < minute { 59 } else { second };
        match self.seconds.last_to(second) {
            Some(second) => Some((last, second)),
            None => Some((self.minutes.last_to(last.checked_sub(1)?)?, self.seconds.last_to(59)?)),
        }
    }
}

/// The words of a text, each with the place of its first character, from 1.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut begin = None;
    for (at, (byte, character)) in (1..).zip(text.char_indices()) {
        match (begin, character.is_whitespace()) {
            (None, false) => begin = Some((at, byte)),
            (Some((at, from)), true) => {
                words.push((at, &text[from..byte]));
                begin = None;
            }
            _ => {}
        }
    }
    words.extend(begin.map(|(at, from)| (at, &text[from..])));
    words
}

/// The time of day at its whole second or at the next; `None` once the day has no more.
fn ceiling(from: DateTime) -> Option<Option<Time>> {
    if from.subsec_nanosecond() == 0 {
        return Some(Some(from.time()));
    }
    let whole = Time::new(from.hour(), from.minute(), from.second(), 0).ok()?;
    Some(whole.checked_add(jiff::SignedDuration::from_secs(1)).ok())
}

fn clock(hour: u8, (minute, second): (u8, u8)) -> Option<Time> {
    let signed = |number: u8| i8::try_from(number).ok();
    Time::new(signed(hour)?, signed(minute)?, signed(second)?, 0).ok()
}

fn small(number: i8) -> u8 {
    u8::try_from(number).unwrap_or(0)
}

fn weekday(day: Weekday) -> u8 {
    small(day.to_sunday_zero_offset())
}
