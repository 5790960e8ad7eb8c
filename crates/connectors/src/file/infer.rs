//! Types of columns guessed from their first values.

use arrow_schema::Field;
use serde_json::value::RawValue;

use crate::text::{parse, types};

/// Rows that a guess looks at.
pub(super) const SAMPLE_ROWS: usize = 1000;

/// Decimal digits that a double keeps, whatever they are.
const DOUBLE_DIGITS: usize = 15;

const BOOLEAN: u8 = 1;
const INT: u8 = 2;
const FLOAT: u8 = 4;
const DATE: u8 = 8;
const TIMESTAMP: u8 = 16;
const TIMESTAMP_UTC: u8 = 32;
const JSON: u8 = 64;

/// The types that all values of a column so far fit.
#[derive(Clone, Debug, Default)]
pub(super) struct Guess {
    seen: bool,
    fits: u8,
    nested: bool,
    items: Option<Box<Guess>>,
}

impl Guess {
    /// Looks at a value of a CSV file.
    pub(super) fn text(&mut self, text: &[u8]) {
        self.narrow(number(text) | moment(text) | if matches!(text, b"true" | b"false") { BOOLEAN } else { 0 });
    }

    /// Looks at a JSON value; only what JSON itself tells is told.
    pub(super) fn json(&mut self, json: &str) {
        match json.as_bytes().first() {
            None | Some(b'n') => {}
            Some(b't' | b'f') => self.narrow(BOOLEAN),
            Some(b'"') => self.narrow(0),
            Some(b'{') => {
                self.nested = true;
                self.narrow(JSON);
            }
            Some(b'[') => {
                self.nested = true;
                let first = !self.seen || self.items.is_some();
                self.narrow(JSON);
                let items: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
                if first {
                    let guess = self.items.get_or_insert_default();
                    items.iter().for_each(|item| guess.item(item.get()));
                }
                return;
            }
            Some(_) => self.narrow(number(json.as_bytes())),
        }
        if json != "null" {
            self.items = None;
        }
    }

    /// Looks at an item of a list, not into it: what is nested deeper stays JSON.
    fn item(&mut self, json: &str) {
        match json.as_bytes().first() {
            Some(b'[') => {
                self.nested = true;
                self.narrow(JSON);
            }
            _ => self.json(json),
        }
    }

    /// The field of that type; text where nothing else fits.
    pub(super) fn field(&self, name: &str) -> Field {
        types::field(name, &self.word()).unwrap_or_else(|| Field::new(name, arrow_schema::DataType::Utf8, true))
    }

    fn word(&self) -> String {
        if let Some(items) = self.items.as_ref().filter(|_| self.fits & JSON != 0) {
            // Lists of lists and of mixed things stay JSON.
            return if items.nested { "jsonb".to_owned() } else { format!("{}[]", items.word()) };
        }
        let word = match self.fits {
            _ if !self.seen => "text",
            fits if fits & BOOLEAN != 0 => "boolean",
            fits if fits & INT != 0 => "bigint",
            fits if fits & FLOAT != 0 => "double",
            fits if fits & DATE != 0 => "date",
            fits if fits & TIMESTAMP != 0 => "timestamp",
            fits if fits & TIMESTAMP_UTC != 0 => "timestamptz",
            _ if self.nested => "jsonb",
            _ => "text",
        };
        word.to_owned()
    }

    fn narrow(&mut self, fits: u8) {
        self.fits = if self.seen { self.fits & fits } else { fits };
        self.seen = true;
    }
}

/// Numbers that lose nothing: no leading zeros (they are codes), no more digits than the type holds.
fn number(text: &[u8]) -> u8 {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let code = digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit();
    if code || !digits.first().is_some_and(u8::is_ascii_digit) {
        return 0;
    }
    if parse::int::<i64>(text).is_some() {
        return INT | if digits.len() <= DOUBLE_DIGITS { FLOAT } else { 0 };
    }
    let significant =
        digits.iter().take_while(|byte| !matches!(byte, b'e' | b'E')).filter(|byte| byte.is_ascii_digit());
    if significant.count() <= DOUBLE_DIGITS && parse::float64(text).is_some_and(f64::is_finite) { FLOAT } else { 0 }
}

fn moment(text: &[u8]) -> u8 {
    if parse::date(text).is_some() {
        DATE | TIMESTAMP
    } else if parse::timestamp(text).is_some() {
        TIMESTAMP
    } else if parse::has_zone(text) {
        TIMESTAMP_UTC
    } else {
        0
    }
}
