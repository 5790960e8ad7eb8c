//! Panics: one line in the log, with the stable event name, before the thread unwinds.

use std::backtrace::Backtrace;
use std::panic::PanicHookInfo;

use sallyport_protocol::event;
use tracing::error;

use crate::execute::panic_words;

/// Logs every panic from now on. A panic of a step fails the step; one of the main thread ends the program with 101.
pub(super) fn log_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        log(panic);
        before(panic);
    }));
}

fn log(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    error!(
        event = event::UNCAUGHT_EXCEPTION,
        message_text = panic_words(panic.payload()),
        place,
        thread = thread.name().unwrap_or("unnamed"),
        version = env!("CARGO_PKG_VERSION"),
        stack = %Backtrace::force_capture(),
        "the agent met a bug in itself"
    );
}
