//! Reads JSON Lines files.

use std::collections::HashMap;
use std::fmt;

use memchr::memchr;
use sallyport_dataplane::Output;
use sallyport_protocol::{FailureKind, LogLevel};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::csv::Flaw;
use super::feed::{Feed, Stop};
use super::infer::{Guess, SAMPLE_ROWS};
use super::locate::Located;
use super::read::{Files, described};
use super::rows::{BadRow, COLUMNS_MAX, Rows, bad_value, fields, flawed, malformed, schema, too_wide};
use super::settings::ColumnSpec;
use crate::reject::RejectFile;
use crate::text::column::{Column, NotA};
use crate::{Context, Error};

pub(super) fn read(
    files: &mut Files<'_>,
    columns: Option<&[ColumnSpec]>,
    reject: Option<&mut RejectFile>,
    output: &mut Output,
    cx: &Context,
) -> Result<(), Error> {
    let schema = match (columns, files.sample) {
        (Some(columns), _) => schema(fields(columns)?),
        (None, None) => schema(Vec::new()),
        (None, Some(file)) => {
            let schema = schema(sample(files, file, reject.is_some(), cx)?);
            (cx.log)(
                LogLevel::Info,
                format!("columns of `{}` inferred from its first rows: {}", file.shown, described(&schema)),
            );
            schema
        }
    };
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let index = names.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
    let mut filled = vec![false; names.len()];
    let mut rows = Rows::start(&schema, reject, output, cx)?;
    for file in files.list {
        let mut lines = Lines::open(files, file, cx)?;
        while lines.advance()? {
            let line = lines.current();
            filled.fill(false);
            let strict = columns.is_none();
            let mut row = Row { columns: &mut rows.columns, names: &index, filled: &mut filled, strict, bad: None };
            let parsed = row.take(line);
            let bad = row.bad;
            let Err(error) = parsed else {
                rows.row(line.len())?;
                continue;
            };
            let (shown, number) = (&file.shown, lines.line);
            let (column, reason) = match &bad {
                Some((column, _, not)) => (Some(names[*column].as_str()), format!("it is not {}", not.0)),
                None => (None, format!("it is not a JSON object of known fields: {error}")),
            };
            let row = BadRow { file: shown, line: number, column, reason: &reason, raw: line };
            rows.bad(&row, || match (column, &bad) {
                (Some(column), Some((_, json, _))) => bad_value(shown, number, column, json.as_bytes(), &reason),
                _ => not_an_object(shown, number, &error),
            })?;
        }
        if let Some(checkpoint) = files.done(file)? {
            rows.mark(&checkpoint)?;
        }
    }
    rows.flush()
}

fn not_an_object(file: &str, line: u64, error: &serde_json::Error) -> Error {
    malformed(file, line, &format!("it is not a JSON object of known fields: {error}"))
        .advise("mend the line; fields that the first rows do not have must be named in `columns`")
}

/// The lines of one file.
struct Lines<'a> {
    feed: Feed,
    file: &'a str,
    length: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    fn open(files: &Files<'_>, file: &'a Located, cx: &Context) -> Result<Self, Error> {
        Ok(Self { feed: files.text(file, Some(&cx.progress), cx)?, file: &file.shown, length: 0, line: 0 })
    }

    fn current(&self) -> &[u8] {
        &self.feed.window()[..self.length]
    }

    /// Moves to the next line that is not blank; false after the last.
    fn advance(&mut self) -> Result<bool, Error> {
        loop {
            self.feed.consume(self.length);
            self.length = 0;
            let mut searched = 0;
            self.length = loop {
                let window = self.feed.window();
                if let Some(end) = memchr(b'\n', &window[searched..]) {
                    break searched + end + 1;
                }
                if self.feed.ended() {
                    break window.len();
                }
                searched = window.len();
                let line = self.line + 1;
                self.feed.grow().map_err(|stop| flawed(self.file, line, &Flaw::Stop(stop)))?;
            };
            if self.length == 0 {
                return Ok(false);
            }
            let window = self.feed.window();
            self.line += 1;
            if self.length > super::feed::RECORD_BYTES_MAX {
                return Err(flawed(self.file, self.line, &Flaw::Stop(Stop::TooLarge)));
            }
            if !window[..self.length].iter().all(u8::is_ascii_whitespace) {
                break;
            }
        }
        Ok(true)
    }
}

/// Takes one object's values into the columns.
struct Row<'r, 'n> {
    columns: &'r mut [Column],
    names: &'r HashMap<&'n str, usize>,
    filled: &'r mut [bool],
    /// Whether a field without a column is an error.
    strict: bool,
    bad: Option<(usize, String, NotA)>,
}

impl Row<'_, '_> {
    fn take(&mut self, line: &[u8]) -> Result<(), serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(line);
        deserializer.deserialize_map(RowVisitor(self))?;
        deserializer.end()
    }
}

struct RowVisitor<'v, 'r, 'n>(&'v mut Row<'r, 'n>);

impl<'de> Visitor<'de> for RowVisitor<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let row = self.0;
        while let Some(found) = map.next_key_seed(Key { names: row.names, strict: row.strict })? {
            let value: &RawValue = map.next_value()?;
            let Some(column) = found else { continue };
            if std::mem::replace(&mut row.filled[column], true) {
                return Err(A::Error::custom("a field stands twice"));
            }
            if let Err(not) = row.columns[column].push_json(value.get()) {
                row.bad = Some((column, value.get().chars().take(200).collect(), not));
                return Err(A::Error::custom("bad value"));
            }
        }
        for (column, filled) in row.columns.iter_mut().zip(row.filled.iter()) {
            if !filled {
                column.push_null();
            }
        }
        Ok(())
    }
}

/// A field's name as the number of its column.
struct Key<'r, 'n> {
    names: &'r HashMap<&'n str, usize>,
    strict: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        match self.names.get(name) {
            Some(column) => Ok(Some(*column)),
            None if self.strict => Err(E::custom(format!("field `{name}` is not in the first rows"))),
            None => Ok(None),
        }
    }
}

/// The fields of the first file's first rows, in the order of their first appearance.
fn sample(files: &Files<'_>, file: &Located, lenient: bool, cx: &Context) -> Result<Vec<arrow_schema::Field>, Error> {
    let mut lines = Lines { feed: files.text(file, None, cx)?, file: &file.shown, length: 0, line: 0 };
    let mut names: Vec<String> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut guesses: Vec<Guess> = Vec::new();
    for _ in 0..SAMPLE_ROWS {
        if !lines.advance()? {
            break;
        }
        let parsed: Result<Ordered<'_>, _> = serde_json::from_slice(lines.current());
        let object = match parsed {
            Ok(object) => object,
            // It will be put aside when its turn comes.
            Err(_) if lenient => continue,
            Err(error) => return Err(not_an_object(&file.shown, lines.line, &error)),
        };
        for (name, value) in object.0 {
            let index = *places.entry(name).or_insert_with_key(|name| {
                names.push(name.clone());
                guesses.push(Guess::default());
                guesses.len() - 1
            });
            guesses[index].json(value.get());
        }
        if names.len() > COLUMNS_MAX {
            return Err(too_wide(&file.shown, lines.line));
        }
    }
    if names.is_empty() {
        let why = format!("file `{}` is empty: it has no fields", file.shown);
        return Err(Error::permanent(FailureKind::Input, "empty_file", why).advise("name its columns in `columns`"));
    }
    Ok(names.iter().zip(&guesses).map(|(name, guess)| guess.field(name)).collect())
}

/// An object's fields in their order.
struct Ordered<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Ordered<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry::<String, &RawValue>()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Fields).map(Ordered)
    }
}
