//! Maintenance windows: `sat,sun 01:00-05:00 Europe/Berlin`, `22:00-04:00`.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Weekday;
use sallyport_protocol::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::schedule::zone;

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
const MINUTES_A_DAY: u16 = 24 * 60;

/// Times of the week. One that ends before it begins goes on into the next day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// On which days it begins; every day when empty.
    days: Vec<Weekday>,
    /// In minutes since midnight; the end is not part of it.
    from: u16,
    to: u16,
    zone: String,
}

/// A text that is no window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no maintenance window: {reason}; expected a form like `sat,sun 01:00-05:00 Europe/Berlin`")]
pub struct WindowError {
    text: String,
    reason: String,
}

impl Window {
    /// Whether `now` is in it.
    pub fn is_open(&self, now: Timestamp) -> bool {
        let Ok(zone) = zone(&self.zone) else { return false };
        let Ok(now) = jiff::Timestamp::from_microsecond(now.0) else { return false };
        let local = zone.to_datetime(now);
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or(0);
        let on = |day: Weekday| self.days.is_empty() || self.days.contains(&day);
        let (today, yesterday) = (on(local.weekday()), on(local.weekday().previous()));
        if self.from < self.to {
            return today && (self.from..self.to).contains(&minute);
        }
        (today && minute >= self.from) || (yesterday && minute < self.to)
    }
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let wrong = |reason: String| WindowError { text: text.chars().take(80).collect(), reason };
        let words: Vec<&str> = text.split_whitespace().collect();
        let (days, times, zone_name) = match *words.as_slice() {
            [times] => (None, times, "UTC"),
            [first, second] if first.contains(':') => (None, first, second),
            [first, second] => (Some(first), second, "UTC"),
            [first, second, third] => (Some(first), second, third),
            _ => return Err(wrong("it has other parts than days, times and a time zone".to_owned())),
        };
        let days = days.map_or(Ok(Vec::new()), |days| days.split(',').map(day).collect::<Result<_, _>>());
        let (from, to) = times.split_once('-').ok_or_else(|| wrong(format!("`{times}` is not from-to")))?;
        let (from, to) = (minutes(from).map_err(wrong)?, minutes(to).map_err(wrong)?);
        if from == to || from == MINUTES_A_DAY {
            return Err(wrong(format!("`{times}` is empty")));
        }
        zone(zone_name).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { days: days.map_err(wrong)?, from, to, zone: zone_name.to_owned() })
    }
}

fn day(text: &str) -> Result<Weekday, String> {
    let found = DAYS.iter().find(|(word, _)| text.eq_ignore_ascii_case(word));
    found.map(|(_, day)| *day).ok_or_else(|| format!("`{text}` is no day"))
}

fn minutes(text: &str) -> Result<u16, String> {
    let read = || {
        let (hours, minutes) = text.split_once(':')?;
        let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
        let all = hours.checked_mul(60)?.checked_add(minutes)?;
        (minutes < 60 && all <= MINUTES_A_DAY).then_some(all)
    };
    read().ok_or_else(|| format!("`{text}` is no time from 00:00 to 24:00"))
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<&str> = DAYS.iter().filter(|(_, day)| self.days.contains(day)).map(|(word, _)| *word).collect();
        if !days.is_empty() {
            write!(f, "{} ", days.join(","))?;
        }
        let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        write!(f, "{}-{} {}", time(self.from), time(self.to), self.zone)
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
