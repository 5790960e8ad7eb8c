//! What is written where, at which levels, and for how long.

use std::fs;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sallyport_protocol::{LINE_BYTES_MAX, RunId, Timestamp, event};
use tracing::{debug, error, info, info_span, trace, warn};

use super::*;

/// 2026-11-22T20:33:44.123Z.
const START: Timestamp = Timestamp(1_795_379_624_123_000);

struct Log {
    _folder: tempfile::TempDir,
    folder: PathBuf,
    handle: Handle,
    clock: Clock,
}

/// Runs `write` with a log and gives the log.
fn with(levels: Levels, targets: &[(&str, LogLevel)], write: impl FnOnce(&Log)) -> Log {
    let temporary = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(START);
    let (layer, handle) = layer(Options {
        folder: temporary.path().to_owned(),
        program: Program::Agent,
        levels,
        targets: targets.iter().map(|(target, level)| ((*target).to_owned(), *level)).collect(),
        library_level: LogLevel::Info,
        colour: false,
        clock: clock.clone(),
    })
    .unwrap();
    let log = Log { folder: temporary.path().to_owned(), _folder: temporary, handle, clock };
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || write(&log));
    log
}

fn everything() -> Levels {
    Levels { file: LogLevel::Trace, console: LogLevel::Fatal }
}

impl Log {
    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    fn today(&self) -> String {
        self.file("server-2026-11-22.log")
    }
}

#[test]
fn lines_have_the_documented_form() {
    let log = with(everything(), &[], |_| {
        info!(event = event::TUNNEL_CREATED, host = "db", port = 5432, note = "two words", "tunnel is open");
        error!(fatal = true, "the end");
        warn!("first\nsecond level=error");
    });
    assert_eq!(
        log.today(),
        "2026-11-22T20:33:44.123Z: level=info, logName=tunnelCreated, tunnel is open, host=db, port=5432, note=\"two words\"\n\
         2026-11-22T20:33:44.123Z: level=fatal, logName=sallyport_site::log::tests, the end\n\
         2026-11-22T20:33:44.123Z: level=warning, logName=sallyport_site::log::tests, first\\nsecond level=error\n"
    );
}

#[test]
fn console_lines_are_short_and_coloured_only_on_demand() {
    let line = with(everything(), &[], |_| warn!(left = 3, "careful")).handle.tap().drain(1).lines.remove(0);
    assert_eq!(line::console_line(&line, false), "20:33:44  warning  careful, left=3\n");
    assert!(line::console_line(&line, true).contains("\u{1b}[33mwarning"));
}

#[test]
fn levels_change_while_it_runs() {
    let log = with(Levels { file: LogLevel::Warning, console: LogLevel::Fatal }, &[], |log| {
        info!("too quiet");
        log.handle.set_levels(everything());
        trace!("heard");
        log.handle.set_levels(Levels { file: LogLevel::Fatal, console: LogLevel::Fatal });
        error!("not fatal");
        error!(fatal = true, "fatal");
    });
    let text = log.today();
    assert!(text.contains("heard") && text.contains("level=fatal"), "{text}");
    assert!(!text.contains("quiet") && !text.contains("not fatal"), "{text}");
}

#[test]
fn targets_have_their_own_floor_and_libraries_the_default_one() {
    let floors =
        [("sallyport_agent", LogLevel::Warning), ("sallyport_agent::run", LogLevel::Debug), ("noisy", LogLevel::Error)];
    let log = with(everything(), &floors, |_| {
        info!(target: "sallyport_agent::link", "one");
        debug!(target: "sallyport_agent::run::step", "two");
        trace!(target: "sallyport_agent::run", "three");
        debug!(target: "rustls::client", "four");
        info!(target: "rustls::client", "five");
        warn!(target: "noisy::part", "six");
        warn!(target: "noisyother", "seven");
        trace!(target: "sallyport_wrapper", "eight");
    });
    let lines = log.handle.tap().drain(100).lines;
    let heard: Vec<&str> = lines.iter().map(|line| line.message.as_str()).collect();
    assert_eq!(heard, ["two", "five", "seven", "eight"]);
}

#[test]
fn lines_of_libraries_that_write_to_log_keep_to_the_same_floors() {
    // One for the whole process: it hands lines to whatever subscriber the thread has.
    tracing_log::LogTracer::init().unwrap();
    let log = with(everything(), &[("noisy", LogLevel::Error)], |_| {
        log::info!(target: "rustls::client", "heard");
        log::debug!(target: "rustls::client", "below the default floor");
        log::warn!(target: "noisy::part", "below its own floor");
    });
    let lines = log.handle.tap().drain(100).lines;
    let heard: Vec<_> = lines.iter().map(|line| (line.target.as_str(), line.message.as_str())).collect();
    assert_eq!(heard, [("rustls::client", "heard")]);
}

#[test]
fn the_tap_gets_what_the_file_gets_with_the_run_it_belongs_to() {
    let run = RunId::new();
    let log = with(Levels { file: LogLevel::Info, console: LogLevel::Fatal }, &[], |_| {
        let span = info_span!("attempt", %run, step = "orders", attempt = 2u32, table = "o");
        let _inside = span.enter();
        info!(rows = 5, "read");
        debug!("not for the file");
        info!(target: "sallyport_agent::ship", "about shipping");
    });
    let drained = log.handle.tap().drain(10);
    let [line] = drained.lines.as_slice() else { panic!("{drained:?}") };
    let expected = sallyport_protocol::RunRef { run, step: Some("orders".to_owned()), attempt: Some(2) };
    assert_eq!(line.run, Some(expected));
    assert_eq!(line.message, format!("read, rows=5, table=o, run={run}, step=orders, attempt=2"));
    assert!(log.today().contains("about shipping"));
}

#[test]
fn a_tap_that_nobody_empties_counts_and_wakes_once() {
    let wakes = Arc::new(AtomicUsize::new(0));
    let log = with(everything(), &[], |log| {
        let counter = Arc::clone(&wakes);
        log.handle.tap().on_line(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        (0..TAP_LINES_MAX + 5).for_each(|number| info!(number, "line"));
    });
    let drained = log.handle.tap().drain(usize::MAX);
    assert_eq!((drained.lines.len(), drained.dropped), (TAP_LINES_MAX, 5));
    assert_eq!(wakes.load(Ordering::SeqCst), 1);
}

#[test]
fn a_new_day_has_a_new_file_and_old_ones_go() {
    let day = Duration::from_secs(24 * 60 * 60);
    let log = with(everything(), &[], |log| {
        for name in [
            "server-2026-11-09.log",
            "server-2026-11-10.log",
            "server-2026-11-09.earlier.log",
            "wrapper-2026-01-01.log",
            "server-notes.log",
        ] {
            fs::write(log.folder.join(name), "old").unwrap();
        }
        info!("today");
        log.clock.advance(day);
        info!("tomorrow");
    });
    assert!(log.today().contains("today") && log.file("server-2026-11-23.log").contains("tomorrow"));
    // On the 23rd the 14 days begin with the 10th.
    assert_eq!(log.file("server-2026-11-09.log") + &log.file("server-2026-11-09.earlier.log"), "");
    for kept in ["server-2026-11-10.log", "wrapper-2026-01-01.log", "server-notes.log"] {
        assert_eq!(log.file(kept), "old", "{kept}");
    }
}

#[test]
fn a_day_that_writes_too_much_keeps_the_newest() {
    let log = with(everything(), &[], |log| {
        let filler = fs::OpenOptions::new().append(true).open(log.handle.path()).unwrap();
        filler.set_len(DAY_BYTES_MAX + 1).unwrap();
    });
    let mut file = DailyFile::open(&log.folder, "server", START).unwrap();
    file.write(START, "newest\n");
    assert_eq!(log.today(), "newest\n");
    assert!(log.folder.join("server-2026-11-22.earlier.log").metadata().unwrap().len() > DAY_BYTES_MAX);
}

#[test]
fn a_full_file_that_cannot_be_set_aside_goes_on() {
    let log = with(everything(), &[], |log| {
        let filler = fs::OpenOptions::new().append(true).open(log.handle.path()).unwrap();
        filler.set_len(DAY_BYTES_MAX + 1).unwrap();
    });
    // Nothing can be renamed to where a folder with something in it stands.
    fs::create_dir_all(log.folder.join("server-2026-11-22.earlier.log/held")).unwrap();
    let mut file = DailyFile::open(&log.folder, "server", START).unwrap();
    file.write(START, "newest\n");
    assert!(log.today().ends_with("newest\n"));
}

#[test]
fn a_console_that_takes_nothing_stops_nobody_and_says_what_is_missing() {
    let (mut reading, writing) = std::io::pipe().unwrap();
    let console = Console::over(writing);
    // More than pipe and queue hold together.
    (0..2 * CONSOLE_TEXTS_MAX).for_each(|number| console.offer(format!("{number:0>1023}\n").into_bytes()));
    drop(console);
    let mut text = String::new();
    reading.read_to_string(&mut text).unwrap();
    let shown = text.lines().filter(|line| line.len() == 1023).count();
    let told = text.lines().filter_map(|line| line.strip_prefix('(')?.split(' ').next()?.parse::<usize>().ok());
    let missing: usize = told.sum();
    assert!(missing > 0);
    assert_eq!(shown + missing, 2 * CONSOLE_TEXTS_MAX);
}

#[test]
fn long_messages_are_cut() {
    let log = with(everything(), &[], |_| info!("{}", "ä".repeat(LINE_BYTES_MAX)));
    let message = log.handle.tap().drain(1).lines.remove(0).message;
    assert!(message.len() <= LINE_BYTES_MAX && message.ends_with('…'));
}

#[test]
fn a_folder_that_is_missing_is_an_error_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        folder: folder.path().join("logs"),
        program: Program::Wrapper,
        levels: everything(),
        targets: BTreeMap::new(),
        library_level: LogLevel::Info,
        colour: false,
        clock: Clock::fixed(START),
    };
    let error = layer(options).unwrap_err().to_string();
    assert!(error.contains("logs/wrapper-2026-11-22.log") || error.contains("logs\\wrapper-2026-11-22.log"), "{error}");
}
