//! Updates of the agent and of the wrapper itself: the state machine with what it needs of disk, network and clock.
//!
//! Invariant: decisions are [`machine`]'s; what it remembers is the [`record`]'s. At most one thread works for it at a
//! time, and nothing of an update is ever waited for by the loop that keeps the agent alive.

mod fetch;
mod line;
mod machine;
pub(crate) mod offer;
pub(crate) mod own;
mod product;
mod record;
mod rehearse;

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use sallyport_protocol::{AgentExit, Timestamp, UpdateReport};
use sallyport_release::Installed;
use sallyport_site::{Layout, Settings, machine as site, random};
use tracing::{info, warn};

pub(crate) use line::{Line, Said};
use machine::{Effect, Event, Machine};
use own::place;
pub(crate) use product::Product;
use record::Book;

use crate::fetch::Door;
use crate::moment::Moment;
use crate::status::{self, Board, UpdateStatus};
use crate::{console, platform};

/// Answers of threads and words of the connection that wait: the loop takes them five times a second.
const WAITING_MAX: usize = 64;

/// The program to start; shared with whoever starts it or asks for its version.
#[derive(Clone, Debug)]
pub(crate) struct Program(Arc<Mutex<PathBuf>>);

impl Program {
    /// Where it is now.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, path: PathBuf) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = path;
    }
}

/// The versions that failed on this machine, and why, as the record on disk says.
pub(crate) fn failures(layout: &Layout) -> Vec<String> {
    let of = |product: Product| {
        let (_, record) = Book::open(product.records(layout));
        let name = if product == Product::Wrapper { "wrapper " } else { "" };
        let told = |failed: &record::Failed| format!("{name}{}: {}", failed.version, failed.reason);
        record.quarantine.iter().map(told).collect::<Vec<_>>()
    };
    [of(Product::Agent), of(Product::Wrapper)].concat()
}

/// Updates of one product of an installation.
pub(crate) struct Updater {
    product: Product,
    layout: Layout,
    door: Door,
    machine: Machine,
    book: Book,
    here: Installed,
    notify: bool,
    program: Program,
    line: Line,
    said: Receiver<Said>,
    answers: SyncSender<Event>,
    answered: Receiver<Event>,
    board: Arc<Board>,
}

impl Updater {
    /// Goes on with what the record on disk says.
    pub(crate) fn open(
        product: Product,
        layout: &Layout,
        settings: &Settings,
        door: &Door,
        board: &Arc<Board>,
        now: Moment,
    ) -> Self {
        let (book, record) = Book::open(product.records(layout));
        let veto = if settings.suppress_update {
            Some("SuppressUpdate is set in appsettings.json")
        } else if settings.allow_auto_update {
            None
        } else {
            Some("AllowAutoUpdate is not set in appsettings.json")
        };
        let mut machine = Machine::new(record, veto);
        machine.forget_missing(now, &|folder| product.program(layout, folder).is_file());
        let here = Installed {
            product: product.name().to_owned(),
            platform: platform::name(),
            wrapper: env!("CARGO_PKG_VERSION").parse().unwrap_or_default(),
            os: site::os_version(),
            glibc: site::glibc_version(),
            ..Installed::default()
        };
        let (line, said) = Line::new(WAITING_MAX);
        let (answers, answered) = mpsc::sync_channel(WAITING_MAX);
        let program = Program(Arc::default());
        let updater = Self {
            product,
            layout: layout.clone(),
            door: door.clone(),
            machine,
            book,
            here,
            notify: settings.notify_updated,
            program,
            line,
            said,
            answers,
            answered,
            board: Arc::clone(board),
        };
        updater.show(now.at);
        updater
    }

    /// The program to start.
    pub(crate) fn program(&self) -> Program {
        self.program.clone()
    }

    /// The end of the control connection's thread.
    pub(crate) fn line(&self) -> Line {
        self.line.clone()
    }

    /// Whether an update is under way or on trial.
    pub(crate) fn is_busy(&self) -> bool {
        self.machine.is_busy()
    }

    /// Begins nothing new while the other product is updated.
    pub(crate) fn hold(&mut self, held: bool) {
        self.machine.hold(held);
    }

    /// The process runs: the agent's, or the wrapper's own.
    pub(crate) fn runs(&mut self, process_id: u32, now: Moment) -> bool {
        self.on(Event::AgentRuns { process_id }, now)
    }

    /// The agent's process has ended.
    pub(crate) fn agent_ended(&mut self, exit: &AgentExit, now: Moment) -> bool {
        let last = exit.stderr.last().map(|line| format!(": {line}")).unwrap_or_default();
        let how = format!("{}{last}", status::describe(exit));
        self.on(Event::AgentEnded { expected: exit.expected, how }, now)
    }

    /// A person wants a failed version tried again.
    pub(crate) fn retry(&mut self, now: Moment) -> bool {
        info!("a version that has failed here is to be tried again");
        self.on(Event::Retry, now)
    }

    /// Takes what threads and the server have said; whether another version is to be started now.
    pub(crate) fn turn(&mut self, now: Moment) -> bool {
        let mut restart = false;
        while let Ok(event) = self.answered.try_recv() {
            restart |= self.on(event, now);
        }
        while let Ok(said) = self.said.try_recv() {
            let event = match said {
                Said::Offer { release, reason } => {
                    let record = self.machine.record();
                    (self.here.sequence, self.here.floor) = (record.sequence, record.floor.clone());
                    let trust = offer::trust(&self.layout);
                    Event::Wanted(offer::judge(release.map(|offer| *offer), reason, trust, now.at, &self.here))
                }
                Said::Seen { process_id, online, runs } => Event::Seen { process_id, online, runs },
                Said::Offline => Event::Offline,
                Said::Retry => Event::Retry,
            };
            restart |= self.on(event, now);
        }
        restart | self.on(Event::Tick, now)
    }

    fn on(&mut self, event: Event, now: Moment) -> bool {
        let mut restart = false;
        let mut effects = self.machine.on(event, now, random::unit());
        while !effects.is_empty() {
            let mut next = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Save => {
                        let saved = self.save().map_err(|error| error.to_string());
                        if let Err(reason) = &saved {
                            warn!(reason, "the record of versions could not be written");
                        }
                        next.extend(self.machine.on(Event::Saved(saved), now, random::unit()));
                    }
                    Effect::Restart(reason) => {
                        info!(product = self.product.name(), reason, "another version is started");
                        let (product, layout) = (self.product, &self.layout);
                        self.machine.forget_missing(now, &|folder| product.program(layout, folder).is_file());
                        restart = true;
                    }
                    other => self.perform(other),
                }
            }
            effects = next;
        }
        self.show(now.at);
        restart
    }

    /// Writes the record. The wrapper's program takes its place with it: where that fails, nothing is switched to.
    fn save(&mut self) -> std::io::Result<()> {
        self.book.save(self.machine.record())?;
        match (self.product, self.machine.switching_to()) {
            (Product::Wrapper, Some(folder)) => place::put(&self.layout, &self.product.program(&self.layout, folder)),
            _ => Ok(()),
        }
    }

    fn perform(&self, effect: Effect) {
        let (product, layout, door) = (self.product, self.layout.clone(), self.door.clone());
        match effect {
            Effect::Fetch(target) => {
                self.work("fetch", move || Event::Fetched(fetch::obtain(&layout, product, &door, &target)));
            }
            Effect::Rehearse(target) => {
                info!(product = product.name(), version = %target.version, "a version rehearses");
                self.work("rehearse", move || Event::Rehearsed(rehearse::rehearse(&layout, product, &target)));
            }
            Effect::CleanUp => fetch::clean_up(&product.versions(&layout), |folder| self.machine.keeps(folder)),
            Effect::Tell { good: true, text } if self.notify => info!("{text}"),
            Effect::Tell { good: true, .. } => {}
            Effect::Tell { good: false, text } => warn!("{text}"),
            // Handled by the caller.
            Effect::Save | Effect::Restart(_) => {}
        }
    }

    /// Does something that may take long on a thread of its own.
    fn work(&self, name: &str, work: impl FnOnce() -> Event + Send + 'static) {
        let answers = self.answers.clone();
        let spawned = thread::Builder::new().name(name.to_owned()).spawn(move || {
            // The loop listens until the wrapper ends.
            let _ = answers.send(work());
        });
        if let Err(error) = spawned {
            let trouble = machine::Trouble::Passing(format!("no thread for it: {}", console::chain(&error)));
            let event = if name == "fetch" { Event::Fetched(Err(trouble)) } else { Event::Rehearsed(Err(trouble)) };
            // There is room: the thread that would have used it does not exist.
            let _ = self.answers.try_send(event);
        }
    }

    /// Tells everyone who looks.
    fn show(&self, at: Timestamp) {
        let active = self.machine.record().active.as_ref();
        self.program.set(match active {
            Some(active) => self.product.program(&self.layout, &active.folder),
            None if self.product == Product::Wrapper => self.layout.wrapper_program(),
            None => self.layout.agent_program(),
        });
        let (step, text) = self.machine.describe();
        self.line.set_watching(self.machine.is_watching());
        self.line.report(UpdateReport {
            at,
            platform: self.here.platform.clone(),
            active: active.map(|active| active.hash.to_string()),
            active_version: active.map(|active| active.version.to_string()),
            step,
            text: text.clone(),
        });
        let version = active.map(|active| active.version.to_string());
        let stands = UpdateStatus { version, step, text };
        self.board.update(|status| match self.product {
            Product::Agent => status.update = stands,
            Product::Wrapper => status.wrapper_update = stands,
        });
    }
}
