//! The subscriber's layer: sorts events by level and hands them to file, console and tap.

use std::sync::{Arc, Mutex, PoisonError};

use sallyport_protocol::{Clock, LogLevel};
use tracing::field::Visit;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::console::Console;
use super::file::DailyFile;
use super::levels::{self, Thresholds};
use super::line::{Fields, console_line, file_line};
use super::tap::Tap;

/// Lines of targets that end in this are about shipping lines and are not shipped themselves.
const NOT_TAPPED: &str = "::ship";

/// Writes events to the day's file and the console, and offers them to the tap.
#[derive(Debug)]
pub struct LogLayer {
    thresholds: Arc<Thresholds>,
    file: Mutex<DailyFile>,
    tap: Tap,
    console: Console,
    colour: bool,
    clock: Clock,
}

impl LogLayer {
    pub(super) fn new(
        (thresholds, tap, console): (Arc<Thresholds>, Tap, Console),
        file: DailyFile,
        colour: bool,
        clock: Clock,
    ) -> Self {
        Self { thresholds, file: Mutex::new(file), tap, console, colour, clock }
    }

    fn write(&self, fields: Fields, level: LogLevel, target: &str) {
        let (to_file, to_console) = self.thresholds.wanted(target, level);
        if !to_file && !to_console {
            return;
        }
        let line = fields.into_line(self.clock.now(), level, target);
        if to_console {
            self.console.offer(console_line(&line, self.colour).into_bytes());
        }
        if to_file {
            self.file.lock().unwrap_or_else(PoisonError::into_inner).write(line.at, &file_line(&line));
            if !target.ends_with(NOT_TAPPED) {
                self.tap.offer(line);
            }
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogLayer {
    fn register_callsite(&self, _metadata: &'static Metadata<'static>) -> Interest {
        // Levels change while the program runs: the answer must not be remembered.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        if metadata.is_span() {
            return true;
        }
        // An error may turn out to be fatal by a field that is not known yet.
        let level = match levels::of(metadata.level()) {
            LogLevel::Error => LogLevel::Fatal,
            other => other,
        };
        self.thresholds.wanted(metadata.target(), level) != (false, false)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.thresholds.most_talkative())
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields as &mut dyn Visit);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields as &mut dyn Visit);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields as &mut dyn Visit);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.inherit(outer);
            }
        }
        // Lines of libraries that write to `log` carry their true target in fields.
        let normal = event.normalized_metadata();
        let metadata = normal.as_ref().unwrap_or(event.metadata());
        let level = if fields.fatal { LogLevel::Fatal } else { levels::of(metadata.level()) };
        self.write(fields, level, metadata.target());
    }
}
