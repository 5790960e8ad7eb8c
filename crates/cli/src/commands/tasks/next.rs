//! `sallyport tasks next`.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sallyport_domain::schedule;
use serde_json::{Value, json};

use crate::client::Client;
use crate::error::Result;
use crate::output::{Column, Format, at, column, text};
use crate::say;

const COLUMNS: &[Column] = &[
    column("AT", |firing| text(firing, "local")),
    column("ZONE", |firing| text(firing, "zone")),
    column("TRIGGER", |firing| text(firing, "trigger")),
];

/// The coming times of all triggers of a task, the nearest first.
pub(super) fn run(client: &Client, task: &str, number: u32, format: Format) -> Result<()> {
    let number = number.to_string();
    let triggers = client.list("/api/v1/triggers", &[("task", task), ("next", &number)])?;
    for trigger in &triggers {
        let problem = text(trigger, "problem");
        if !problem.is_empty() {
            say::note(&format!("trigger {}: {problem}", text(trigger, "name")));
        }
    }
    let coming = firings(&triggers, number.parse().unwrap_or(usize::MAX));
    format.list(&coming, COLUMNS, &format!("Nothing starts {task} at a time"))
}

fn firings(triggers: &[Value], number: usize) -> Vec<Value> {
    let mut all: Vec<(Timestamp, Value)> = Vec::new();
    for trigger in triggers {
        let name = text(trigger, "definition.zone");
        // A zone that this build does not know is told in UTC.
        let known = Some(&name).filter(|name| !name.is_empty()).and_then(|name| schedule::zone(name).ok());
        let zone = known.unwrap_or(TimeZone::UTC);
        let times = at(trigger, "next").and_then(Value::as_array).into_iter().flatten();
        for time in times.filter_map(|time| time.as_str()?.parse::<Timestamp>().ok()) {
            let local = time.to_zoned(zone.clone());
            all.push((
                time,
                json!({
                    "at": time.to_string(),
                    "local": local.strftime("%a %Y-%m-%d %H:%M:%S %:z").to_string(),
                    "zone": zone.iana_name().unwrap_or("UTC"),
                    "trigger": text(trigger, "name"),
                }),
            ));
        }
    }
    all.sort_by_key(|(time, _)| *time);
    all.into_iter().take(number).map(|(_, firing)| firing).collect()
}

#[cfg(test)]
mod tests;
