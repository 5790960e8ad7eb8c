//! Versions such as `1.4.0` or `1.4.0-rc.2`, ordered as semantic versions are.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest text.
const LENGTH_MAX: usize = 64;

/// A version. Two that differ only behind a `+` are refused as text, so that order and text agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Version {
    numbers: [u64; 3],
    pre: Vec<Part>,
}

/// One part of what stands behind the `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Number(u64),
    Word(String),
}

/// A text that is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no version: expected a form like 1.4.0 or 1.4.0-rc.1")]
pub struct ParseVersionError(String);

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).ok_or_else(|| ParseVersionError(text.chars().take(LENGTH_MAX).collect()))
    }
}

fn read(text: &str) -> Option<Version> {
    if text.len() > LENGTH_MAX {
        return None;
    }
    let (numbers, pre) = match text.split_once('-') {
        Some((numbers, pre)) => (numbers, pre.split('.').map(part).collect::<Option<Vec<_>>>()?),
        None => (text, Vec::new()),
    };
    let mut all = numbers.split('.').map(number);
    let numbers = [all.next()??, all.next()??, all.next()??];
    all.next().is_none().then_some(Version { numbers, pre })
}

/// Digits without a leading zero, so that one version has one text.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

fn part(text: &str) -> Option<Part> {
    if let Some(number) = number(text) {
        return Some(Part::Number(number));
    }
    let word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (word && !text.bytes().all(|byte| byte.is_ascii_digit())).then(|| Part::Word(text.to_owned()))
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        for (index, part) in self.pre.iter().enumerate() {
            f.write_str(if index == 0 { "-" } else { "." })?;
            match part {
                Part::Number(number) => write!(f, "{number}")?,
                Part::Word(word) => f.write_str(word)?,
            }
        }
        Ok(())
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let pre = match (self.pre.is_empty(), other.pre.is_empty()) {
            // What is not yet released comes before what is.
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ => self.pre.cmp(&other.pre),
        };
        self.numbers.cmp(&other.numbers).then(pre)
    }
}

impl PartialOrd for Part {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Part {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Word(a), Self::Word(b)) => a.cmp(b),
            (Self::Number(_), Self::Word(_)) => Ordering::Less,
            (Self::Word(_), Self::Number(_)) => Ordering::Greater,
        }
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
