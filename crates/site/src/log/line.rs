//! From an event's fields to a line, and from a line to text.

use std::fmt::{Debug, Write};

use sallyport_protocol::{LINE_BYTES_MAX, LogLevel, LogLine, RunRef, Timestamp, shorten};
use tracing::field::{Field, Visit};

/// The fields of an event or a span, sorted by what they mean.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    pub(super) message: String,
    pub(super) event: Option<String>,
    pub(super) fatal: bool,
    pub(super) run: Option<String>,
    pub(super) step: Option<String>,
    pub(super) attempt: Option<u32>,
    /// `, name=value` for each other field.
    pub(super) rest: String,
}

impl Fields {
    /// Takes from an enclosing span what this one lacks.
    pub(super) fn inherit(&mut self, outer: &Self) {
        if self.run.is_none() {
            self.run.clone_from(&outer.run);
        }
        if self.step.is_none() {
            self.step.clone_from(&outer.step);
        }
        if self.attempt.is_none() {
            self.attempt = outer.attempt;
        }
        self.rest.push_str(&outer.rest);
    }

    /// The line. Run, step and attempt stand in the text too, for those who read the file.
    pub(super) fn into_line(self, at: Timestamp, level: LogLevel, target: &str) -> LogLine {
        let Self { mut message, event, run, step, attempt, rest, .. } = self;
        message.push_str(&rest);
        for (name, value) in [("run", run.as_deref()), ("step", step.as_deref())] {
            if let Some(value) = value {
                append(&mut message, name, value);
            }
        }
        if let Some(attempt) = attempt {
            append(&mut message, "attempt", &attempt.to_string());
        }
        shorten(&mut message, LINE_BYTES_MAX);
        let run = run.and_then(|run| run.parse().ok()).map(|run| RunRef { run, step, attempt });
        LogLine { at, level, target: target.to_owned(), event, message, run }
    }

    fn text(&mut self, name: &str, value: &str) {
        match name {
            "message" => self.message = one_line(value),
            "event" => self.event = Some(value.to_owned()),
            "run" => self.run = Some(value.to_owned()),
            "step" => self.step = Some(value.to_owned()),
            _ if of_the_bridge(name) => {}
            _ => append(&mut self.rest, name, value),
        }
    }
}

/// Fields that say where a line of `log` came from; its target says enough.
fn of_the_bridge(name: &str) -> bool {
    matches!(name, "log.target" | "log.module_path" | "log.file" | "log.line")
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        match field.name() {
            "fatal" => self.fatal = value,
            name => append(&mut self.rest, name, if value { "true" } else { "false" }),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "attempt" => self.attempt = u32::try_from(value).ok(),
            name if of_the_bridge(name) => {}
            name => append(&mut self.rest, name, &value.to_string()),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            // Formatting into a text cannot fail.
            let _ = write!(text, ": {cause}");
            source = cause.source();
        }
        self.text(field.name(), &text);
    }
}

/// `, name=value`; a value that would blur where it ends is quoted.
fn append(text: &mut String, name: &str, value: &str) {
    let plain = !value.is_empty() && value.chars().all(|c| !c.is_control() && !matches!(c, ' ' | ',' | '"' | '='));
    // Formatting into a text cannot fail.
    let _ = if plain { write!(text, ", {name}={value}") } else { write!(text, ", {name}={value:?}") };
}

/// Control characters would let a text from outside forge lines.
fn one_line(text: &str) -> String {
    if text.chars().any(char::is_control) {
        text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
    } else {
        text.to_owned()
    }
}

/// A line as it stands in a log file: `2026-11-22T20:33:44.123Z: level=info, logName=tunnelCreated, message, name=value`.
pub fn file_line(line: &LogLine) -> String {
    let level = line.level.name().to_ascii_lowercase();
    let name = line.event.as_deref().unwrap_or(&line.target);
    format!("{}: level={level}, logName={name}, {}\n", time(line.at), line.message)
}

/// A line as the console shows it: time of day (UTC), level, message.
pub(super) fn console_line(line: &LogLine, colour: bool) -> String {
    let at = time(line.at);
    let clock = at.get(11..19).unwrap_or(&at);
    let level = line.level.name().to_ascii_lowercase();
    let paint = match line.level {
        LogLevel::Trace | LogLevel::Debug => "\u{1b}[2m",
        LogLevel::Info => "\u{1b}[32m",
        LogLevel::Warning => "\u{1b}[33m",
        LogLevel::Error | LogLevel::Fatal => "\u{1b}[31m",
    };
    if colour {
        format!("{clock}  {paint}{level:<7}\u{1b}[0m  {}\n", line.message)
    } else {
        format!("{clock}  {level:<7}  {}\n", line.message)
    }
}

/// RFC 3339 in UTC with milliseconds.
pub fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(|_| at.0.to_string(), |time| format!("{time:.3}"))
}
