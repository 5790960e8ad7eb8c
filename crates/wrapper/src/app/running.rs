//! The running wrapper: the loop that drives the supervisor, and what is done for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use sallyport_protocol::{Clock, ExecutedBy, InstanceId, WrapperMessage, event};
use sallyport_site::config::Environment;
use sallyport_site::dial::Dialer;
use sallyport_site::lines::Spool;
use sallyport_site::lock::{self, Lock};
use sallyport_site::presence::Machine;
use sallyport_site::{Layout, Settings, identity, log, random, tls};
use tracing::{error, info, warn};

use super::opening::{first_status, greet, start_log};
use super::prepare::{give_settings, make_ready};
use super::{EXIT_CONFLICT, EXIT_FAILED, Refusal};
use crate::agent::Agent;
use crate::command::{self, Word};
use crate::crash::Files;
use crate::fetch::Door;
use crate::link::{Errands, Link, Stop};
use crate::moment::{Moment, Watch};
use crate::reports::Reports;
use crate::status::{self, AgentState, Board};
use crate::supervise::{EXIT_HAND_OVER, Effect, Event, State, Supervisor};
use crate::update::own::{self, Found};
use crate::update::{Product, Updater};
use crate::{console, page, platform, service};

/// How often commands, signals and delays are looked at.
const TICK: Duration = Duration::from_millis(200);
/// How often new crash files are looked for: a step's bug leaves one and ends nobody.
const CRASHES_EVERY: Duration = Duration::from_secs(5);
/// Events that wait for the supervisor: a handful at most, from two threads.
const EVENTS_MAX: usize = 16;
/// How long the connection may take to say farewell.
const FAREWELL: Duration = Duration::from_secs(2);

/// What came of a start.
pub(super) enum Started {
    Runs(Box<Running>),
    /// Another version of the wrapper has its place now.
    HandsOver,
}

/// The running wrapper.
pub(super) struct Running {
    layout: Layout,
    settings: Arc<Settings>,
    executed_by: ExecutedBy,
    watch: Watch,
    door: Door,
    board: Arc<Board>,
    reports: Arc<Reports>,
    agent: Arc<Agent>,
    updater: Updater,
    /// Updates the wrapper itself.
    own: Updater,
    /// Another version is to be started in place of the one that runs.
    replace: bool,
    events: SyncSender<Event>,
    inbox: Receiver<Event>,
    stop: Arc<Stop>,
    signal: Arc<AtomicBool>,
    link: Option<thread::JoinHandle<()>>,
    crashes: Files,
    crashes_looked_at: Moment,
    /// Another version is looked for once, before the first start.
    first_start: bool,
    log: log::Handle,
    _lock: Lock,
}

impl Running {
    pub(super) fn start(layout: Layout, executed_by: ExecutedBy, signal: &Arc<AtomicBool>) -> Result<Started, Refusal> {
        let clock = Clock::system();
        let environment = Environment::read();
        let loaded = Settings::load(&layout.wrapper_settings()).map_err(|error| Refusal::configuration(&error))?;
        let settings = Arc::new(loaded.settings);
        layout.create_folders().map_err(|error| Refusal::failed(&error))?;
        let lock = Lock::acquire(&layout.wrapper_lock(), "the wrapper", executed_by, clock.now()).map_err(|error| {
            let code = if matches!(error, lock::Error::Held { .. }) { EXIT_CONFLICT } else { EXIT_FAILED };
            Refusal { code, message: console::chain(&error) }
        })?;
        match own::settle(&layout, &clock) {
            Ok(Found::Right) => {}
            Ok(Found::Other) => return Ok(Started::HandsOver),
            // An update is no reason not to run.
            Err(error) => console::complain(&format!("an update of the wrapper is not gone on with: {error}")),
        }
        let log = start_log(&layout, &settings, &environment, &clock)?;
        greet(&layout, &settings);
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        let dialer = Dialer::from_settings(&settings, &environment).map_err(|error| Refusal::configuration(&error))?;
        let trust = tls::client_config(&layout.server_ca()).map_err(|error| Refusal::configuration(&error))?;
        let door = Door::new(&settings, dialer, trust);
        // A command for a wrapper that is gone must not end this one.
        let _ = std::fs::remove_file(layout.command());
        let board = Arc::new(Board::new(&layout.status(), first_status(&settings, executed_by, clock.now())));
        // Who watches takes the status for this process's.
        own::watch_trial(&layout, executed_by);
        let reports = Arc::new(Reports::open(&layout.spool().join("wrapper-reports.json")));
        let (events, inbox) = mpsc::sync_channel(EVENTS_MAX);
        for number in platform::ending_signals() {
            signal_hook::flag::register(number, Arc::clone(signal)).map_err(|error| Refusal::failed(&error))?;
        }
        let crashes = Files::open(&layout, &settings, &clock);
        crashes.watch_this_process();
        let watch = Watch::new(clock);
        let now = watch.now();
        let updater = Updater::open(Product::Agent, &layout, &settings, &door, &board, now);
        let mut own = Updater::open(Product::Wrapper, &layout, &settings, &door, &board, now);
        // Nothing asks for a restart of what has only begun.
        own.runs(std::process::id(), now);
        let mut running = Self {
            layout,
            settings,
            executed_by,
            watch,
            door,
            board,
            reports,
            agent: Arc::new(Agent::default()),
            updater,
            own,
            replace: false,
            events,
            inbox,
            stop: Arc::new(Stop::default()),
            signal: Arc::clone(signal),
            link: None,
            first_start: true,
            crashes,
            crashes_looked_at: now,
            log: log.clone(),
            _lock: lock,
        };
        running.connect(&environment, log.tap())?;
        page::beside(&running.layout, executed_by);
        Ok(Started::Runs(Box::new(running)))
    }

    /// Starts the thread of the control connection.
    fn connect(&mut self, environment: &Environment, tap: log::Tap) -> Result<(), Refusal> {
        let spool =
            Spool::open(&self.layout.spool().join("wrapper-lines.jsonl")).map_err(|error| Refusal::failed(&error))?;
        let link = Link {
            door: self.door.clone(),
            watch: self.watch.clone(),
            machine: Machine::gather(&self.layout, environment, self.watch.now().at),
            executed_by: self.executed_by,
            installation: identity::installation(&self.layout.installation())
                .map_err(|error| Refusal::failed(&error))?,
            instance: InstanceId::new(),
            agent_program: self.updater.program(),
            agent_version: None,
            acknowledge_within: self.settings.reconnect_timeout,
            log_bodies: self.settings.log_api_call_body,
            reports: Arc::clone(&self.reports),
            tap,
            spool,
            board: Arc::clone(&self.board),
            events: self.events.clone(),
            updates: self.updater.line(),
            own_updates: self.own.line(),
            errands: Errands::new(self.layout.clone(), self.door.clone(), Clock::system()),
            stop: Arc::clone(&self.stop),
            testing: self.settings.is_testing,
        };
        let thread = thread::Builder::new().name("link".to_owned()).spawn(move || link.run());
        self.link = Some(thread.map_err(|error| Refusal::failed(&error))?);
        Ok(())
    }

    /// Drives the supervisor until it finishes; gives the exit code.
    pub(super) fn drive(mut self) -> u8 {
        let mut supervisor = Supervisor::new(self.watch.now(), self.settings.is_testing);
        let mut wait = Duration::ZERO;
        let (alive_every, mut alive_at) = (platform::service::alive_every(), self.watch.now());
        self.tell(service::News::Ready);
        loop {
            if alive_at.has_come(self.watch.now()) {
                self.tell(service::News::Alive);
                alive_at = self.watch.now().plus(alive_every);
            }
            let event = self.inbox.recv_timeout(wait).unwrap_or(Event::Tick);
            wait = TICK;
            // What was asked for first: the service manager may have told the agent too, and its end is then no crash.
            let asked = self.asked();
            let hand_over = self.update();
            let replace = std::mem::take(&mut self.replace).then_some(Event::RestartAsked);
            for event in asked.into_iter().chain([event]).chain(replace).chain(hand_over) {
                for effect in supervisor.on(event, self.watch.now(), random::unit()) {
                    if let Effect::Finish(code) = effect {
                        self.finish(code);
                        return code;
                    }
                    self.perform(effect);
                }
            }
            self.show(&supervisor);
            let now = self.watch.now();
            if now.since(self.crashes_looked_at) >= CRASHES_EVERY {
                self.tell_crashes(now);
            }
        }
    }

    /// Goes on with updates, one after the other.
    fn update(&mut self) -> Option<Event> {
        let now = self.watch.now();
        self.updater.hold(self.own.is_busy());
        self.replace |= self.updater.turn(now);
        self.own.hold(self.updater.is_busy());
        self.own.turn(now).then_some(Event::HandOverAsked)
    }

    /// Tells the server and the status of crash files that are new.
    fn tell_crashes(&mut self, now: Moment) {
        self.crashes_looked_at = now;
        if let Some(crash) = self.crashes.tell(&self.reports) {
            error!(
                event = event::UNCAUGHT_EXCEPTION,
                file = crash.file,
                program = crash.program,
                cause = crash.cause.word(),
                "a crash was found"
            );
            self.board.update(|status| {
                status.uncaught_exception = true;
                status.last_crash = Some(crash.file);
            });
        }
    }

    fn tell(&self, news: service::News) {
        if self.executed_by == ExecutedBy::Service {
            platform::service::tell(news);
        }
    }

    /// What signals and other runs of this program ask for.
    fn asked(&mut self) -> Option<Event> {
        if self.signal.swap(false, Ordering::Relaxed) {
            info!("asked by a signal to stop");
            return Some(Event::StopAsked);
        }
        let word = command::take(&self.layout.command())?;
        info!(command = ?word, "asked by a command");
        match word {
            Word::Stop => Some(Event::StopAsked),
            Word::Restart => Some(Event::RestartAsked),
            Word::RetryUpdate => {
                let now = self.watch.now();
                self.replace |= self.updater.retry(now);
                self.own.retry(now).then_some(Event::HandOverAsked)
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Start => self.start_agent(),
            Effect::AskToEnd => {
                info!("ending the agent");
                self.agent.ask_to_end();
            }
            Effect::AskForBeat => self.agent.ask_for_beat(),
            Effect::ReportHang { process_id } => {
                error!(event = event::UNCAUGHT_EXCEPTION, process_id, "the agent gives no sign of progress: it hangs");
            }
            Effect::Kill => {
                warn!("the agent is killed");
                self.agent.kill();
            }
            Effect::ReportStart { process_id } => {
                info!(process_id, "the agent runs");
                self.crashes.agent_started();
                self.replace |= self.updater.runs(process_id, self.watch.now());
                self.reports.push(WrapperMessage::AgentStarted { at: self.watch.now().at, process_id });
            }
            Effect::ReportExit(mut exit) => {
                self.crashes.agent_ended(&mut exit, &self.updater.program().path());
                let how = status::describe(&exit);
                let next_start_ms = exit.next_start_ms;
                if exit.expected {
                    info!("the agent ended: {how}");
                } else {
                    let last = exit.stderr.last().map_or("", String::as_str);
                    error!(event = event::UNCAUGHT_EXCEPTION, next_start_ms, last, "the agent ended: {how}");
                }
                self.replace |= self.updater.agent_ended(&exit, self.watch.now());
                self.board.update(|status| status.agent.last_exit = Some(exit.clone()));
                self.reports.push(WrapperMessage::AgentExited { exit });
                self.tell_crashes(self.watch.now());
            }
            // Handled by the loop.
            Effect::Finish(_) => {}
        }
    }

    /// Starts a thread that installs the agent if need be and stays with its process.
    fn start_agent(&mut self) {
        let may_update = std::mem::take(&mut self.first_start);
        let (layout, settings, door) = (self.layout.clone(), Arc::clone(&self.settings), self.door.clone());
        let (agent, events, executed_by) = (Arc::clone(&self.agent), self.events.clone(), self.executed_by);
        let program = self.updater.program().path();
        let spawned = thread::Builder::new().name("agent".to_owned()).spawn(move || {
            let ready = make_ready(&program, &layout, &settings, &door, may_update);
            match ready.and_then(|()| give_settings(&layout).map_err(|error| error.to_string())) {
                Ok(()) => agent.live(&program, &layout, executed_by, &events),
                // The supervisor listens until everything has ended.
                Err(reason) => drop(events.send(Event::StartFailed { reason })),
            }
        });
        if let Err(error) = spawned {
            // The channel has room: the thread that would have used it does not exist.
            let _ = self.events.try_send(Event::StartFailed { reason: format!("no thread for the agent: {error}") });
        }
    }

    fn show(&self, supervisor: &Supervisor) {
        let state = match *supervisor.state() {
            State::Starting { .. } => AgentState::Starting,
            State::Running { process_id, since } => AgentState::Running { process_id, since: since.at },
            State::Ending { process_id, .. } => AgentState::Ending { process_id },
            State::Waiting { until } => AgentState::Waiting { until: until.at },
            State::Finished => AgentState::Stopped,
        };
        self.board.update(|status| {
            status.agent.state = state;
            status.agent.restarts = supervisor.restarts();
        });
    }

    /// Says farewell to the server, for a moment at most, and leaves what it has not heard on disk.
    fn finish(&mut self, code: u8) {
        let ends = code != EXIT_HAND_OVER;
        if ends {
            info!("the wrapper ends");
            self.tell(service::News::Stopping);
        } else {
            info!("another version of the wrapper takes over");
        }
        self.board.update(|status| {
            status.agent.state = if ends { AgentState::Stopped } else { AgentState::Starting };
            status.server.online = false;
        });
        self.stop.set();
        let Some(link) = self.link.take() else { return self.log.flush() };
        let mut waited = Duration::ZERO;
        while !link.is_finished() && waited < FAREWELL {
            thread::sleep(TICK / 10);
            waited += TICK / 10;
        }
        self.log.flush();
    }
}
