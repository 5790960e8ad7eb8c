//! Results as a table for people, or as JSON or YAML for programs.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::say;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// As the server sent it.
    Json,
    /// As the server sent it, as YAML.
    Yaml,
}

/// One column of a table: its title and the value under it.
pub(crate) struct Column {
    /// In capitals.
    pub(crate) title: &'static str,
    /// Takes it from an item.
    pub(crate) value: fn(&Value) -> String,
}

/// Shorthand for [`Column`].
pub(crate) const fn column(title: &'static str, value: fn(&Value) -> String) -> Column {
    Column { title, value }
}

impl Format {
    /// Prints a list of things.
    pub(crate) fn list(self, items: &[Value], columns: &[Column], nothing: &str) -> Result<()> {
        if self != Self::Table {
            return self.structured(&Value::Array(items.to_vec()));
        }
        if items.is_empty() {
            say::note(nothing);
            return Ok(());
        }
        let rows = items.iter().map(|item| columns.iter().map(|column| (column.value)(item)).collect()).collect();
        say::text(&table(Some(columns.iter().map(|column| column.title).collect()), rows));
        Ok(())
    }

    /// Prints one thing, field by field.
    pub(crate) fn one(self, item: &Value, fields: &[Column]) -> Result<()> {
        if self != Self::Table {
            return self.structured(item);
        }
        let rows = fields
            .iter()
            .map(|field| (field.title, (field.value)(item)))
            .filter(|(_, value)| !value.is_empty())
            .map(|(title, value)| vec![say::paint(say::Tone::Dim, title), value])
            .collect();
        say::text(&table(None, rows));
        Ok(())
    }

    /// Prints as JSON, or as YAML where that or a table was asked for.
    pub(crate) fn structured(self, value: &Value) -> Result<()> {
        match self {
            Self::Json => say::line(&format!("{value:#}")),
            Self::Table | Self::Yaml => say::text(&yaml(value)?),
        }
        Ok(())
    }
}

/// A value as YAML text.
pub(crate) fn yaml(value: &Value) -> Result<String> {
    serde_saphyr::to_string(value).map_err(|error| Error::failed(format!("writing YAML: {error}")))
}

/// Aligned columns with two spaces between them.
pub(crate) fn table(header: Option<Vec<&str>>, rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if let Some(header) = header {
        table.set_header(header);
    }
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for line in table.to_string().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The text at a path such as `presence.os`; empty where there is none.
pub(crate) fn text(item: &Value, path: &str) -> String {
    match at(item, path) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(yes)) => if *yes { "yes" } else { "no" }.to_owned(),
        Some(other) => other.to_string(),
    }
}

/// The number at a path; zero where there is none.
pub(crate) fn number(item: &Value, path: &str) -> u64 {
    at(item, path).and_then(Value::as_u64).unwrap_or(0)
}

/// A point in time without its fraction of a second.
pub(crate) fn time(item: &Value, path: &str) -> String {
    let text = text(item, path);
    text.parse::<jiff::Timestamp>().map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or(text)
}

/// A state in its colour.
pub(crate) fn state(item: &Value, path: &str) -> String {
    let word = text(item, path);
    say::paint(say::tone_of(&word), &word.replace('_', " "))
}

/// What stands at a path.
pub(crate) fn at<'a>(item: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(item, |value, key| value.get(key))
}

/// Bytes as people say them: `1.4 GB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// A count with thin groups: `6 001 215`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
