//! `sallyport tasks preview`.

use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::document::Document;
use crate::error::{Error, Result};
use crate::output::{Format, at, table, text};
use crate::say;

/// Shows the first rows that a step of a document would read; where there are none because of a failure, fails.
pub(super) fn run(
    client: &Client,
    document: &Document,
    step: &str,
    parameters: Map<String, Value>,
    format: Format,
) -> Result<()> {
    let body = json!({ "document": document.text, "step": step, "parameters": parameters });
    let seen = client.post("/api/v1/tasks/preview", Some(&body))?.body;
    if format == Format::Table {
        say::text(&shown(&seen));
    } else {
        format.structured(&seen)?;
    }
    match text(&seen, "failure") {
        failure if failure.is_empty() => Ok(()),
        failure => Err(Error::failed(format!("step {step} could not be read: {failure}"))),
    }
}

fn shown(seen: &Value) -> String {
    let columns = list(seen, "columns");
    if columns.is_empty() {
        return String::new();
    }
    let titles: Vec<String> =
        columns.iter().map(|column| format!("{} {}", text(column, "name"), text(column, "type"))).collect();
    let rows: Vec<Vec<String>> = list(seen, "rows").iter().map(cells).collect();
    let count = rows.len();
    let more = if at(seen, "more").and_then(Value::as_bool) == Some(true) { ", there are more" } else { "" };
    let table = table(Some(titles.iter().map(String::as_str).collect()), rows);
    format!("{table}{count} rows{more}\n")
}

fn cells(row: &Value) -> Vec<String> {
    // A value of several lines would break the table.
    row.as_array()
        .into_iter()
        .flatten()
        .map(|cell| cell.as_str().unwrap_or("-").replace(char::is_control, " "))
        .collect()
}

fn list<'a>(seen: &'a Value, path: &str) -> &'a [Value] {
    at(seen, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
