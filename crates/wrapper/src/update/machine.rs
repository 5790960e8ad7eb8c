//! Which version is run, and when another takes its place: a pure state machine. Events and the time go in, effects come
//! out; what must survive a power cut is in the [`Record`], everything else begins anew.
//!
//! The order is what makes an update safe: a version is unpacked whole before the record names it, it has rehearsed before
//! it is switched to, the record is on the disk before the old process is asked to end, and the old version stays until
//! the server has seen the new one work.

use std::time::Duration;

use sallyport_protocol::UpdateStep;
use sallyport_release::{Digest, Version};
use sallyport_site::backoff::{Backoff, Jitter};

use super::record::{Failed, Installed, Record, Trial};
use crate::moment::Moment;

/// What failed for a reason that passes is tried again this late at first, and at most this late.
const RETRY_BASE: Duration = Duration::from_secs(4);
const RETRY_CAP: Duration = Duration::from_secs(30 * 60);
/// A version on trial that ends by itself so often is not kept.
const CRASHES_MAX: u32 = 2;
/// How long the server may miss a version on trial while it hears the wrapper: longer than an agent waits between two
/// tries to reconnect.
const MISSED_MAX: Duration = Duration::from_secs(5 * 60);
/// A record that could not be written is written again this late.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// A release that may be installed: its signatures are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) folder: String,
    pub(crate) version: Version,
    pub(crate) hash: Digest,
    pub(crate) size: u64,
    pub(crate) sequence: u64,
    pub(crate) floor: Version,
    pub(crate) confirm_seconds: u32,
    pub(crate) drain: Duration,
}

/// What the server wants, after its signatures were looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Nothing was said yet.
    Unknown,
    /// Nothing; the reason.
    Nothing(String),
    /// Something that is not taken; the reason.
    Refused(String),
    /// This.
    Release(Target),
}

/// Who is to blame when a step did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The version: it is not tried again.
    Version(String),
    /// This machine or the way to the server: it is tried again.
    Passing(String),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Tick,
    Wanted(Wanted),
    Fetched(Result<(), Trouble>),
    Rehearsed(Result<(), Trouble>),
    /// The record that a switch needs is on the disk, or is not.
    Saved(Result<(), String>),
    /// What the server sees of the agent.
    Seen {
        process_id: Option<u32>,
        online: Duration,
        runs: u32,
    },
    /// The wrapper has no connection.
    Offline,
    AgentRuns {
        process_id: u32,
    },
    AgentEnded {
        expected: bool,
        how: String,
    },
    /// A person wants a failed version tried again.
    Retry,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Download, check and unpack it; answer with [`Event::Fetched`].
    Fetch(Target),
    /// Have it rehearse; answer with [`Event::Rehearsed`].
    Rehearse(Target),
    /// Write the record; answer with [`Event::Saved`].
    Save,
    /// End the agent, if it runs, and start the active version.
    Restart(String),
    /// Remove the folders that the record does not keep.
    CleanUp,
    /// Tell people, in the log.
    Tell { good: bool, text: String },
}

/// What is being done.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Rest,
    Fetching(Target),
    Rehearsing(Target),
    Draining {
        target: Target,
        until: Moment,
        runs: u32,
    },
    /// The record of the switch is being written.
    Switching {
        target: Target,
        before: Box<Record>,
    },
}

/// The state machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    record: Record,
    /// Why this site takes no updates, if it takes none.
    veto: Option<&'static str>,
    wanted: Wanted,
    stage: Stage,
    retry: Backoff,
    /// What did not succeed, and when it is tried again.
    trouble: Option<(String, Moment)>,
    /// How the last update ended, until the next begins.
    last: Option<String>,
    agent: Option<u32>,
    online: bool,
    missed_since: Option<Moment>,
    /// The record in memory is newer than on disk.
    unsaved: Option<Moment>,
}

impl Machine {
    /// Goes on with what the record says.
    pub(crate) fn new(record: Record, veto: Option<&'static str>) -> Self {
        Self {
            record,
            veto,
            wanted: Wanted::Unknown,
            stage: Stage::Rest,
            retry: Backoff::new(RETRY_BASE, RETRY_CAP, Jitter::Half),
            trouble: None,
            last: None,
            agent: None,
            online: false,
            missed_since: None,
            unsaved: None,
        }
    }

    /// What is to be on disk.
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// An active version that is no longer there (`exists`, by its folder) is as one that was never installed.
    pub(crate) fn forget_missing(&mut self, now: Moment, exists: &dyn Fn(&str) -> bool) {
        if self.record.active.as_ref().is_some_and(|active| !exists(&active.folder)) {
            let from = self.record.trial.take().and_then(|trial| trial.from);
            let before = from.or(self.record.previous.take());
            self.record.active = before.filter(|before| exists(&before.folder));
            self.unsaved = Some(now);
        }
    }

    /// Whether something runs from this folder, or is about to.
    pub(crate) fn keeps(&self, folder: &str) -> bool {
        let wanted = matches!(&self.wanted, Wanted::Release(target) if target.folder == folder);
        let next = match &self.stage {
            Stage::Rest => false,
            Stage::Fetching(target)
            | Stage::Rehearsing(target)
            | Stage::Draining { target, .. }
            | Stage::Switching { target, .. } => target.folder == folder,
        };
        wanted || next || self.record.keeps(folder)
    }

    /// Whether what the server sees matters right now.
    pub(crate) fn is_watching(&self) -> bool {
        self.record.trial.is_some() || matches!(self.stage, Stage::Rehearsing(_) | Stage::Draining { .. })
    }

    /// Where it stands, in words.
    pub(crate) fn describe(&self) -> (UpdateStep, String) {
        match &self.stage {
            Stage::Fetching(target) => (UpdateStep::Fetching, format!("{} is downloaded and checked", target.version)),
            Stage::Rehearsing(target) => (UpdateStep::Rehearsing, format!("{} rehearses", target.version)),
            Stage::Draining { target, runs, .. } => {
                (UpdateStep::Draining, format!("{} is ready; {runs} runs of the agent are waited for", target.version))
            }
            Stage::Switching { target, .. } => (UpdateStep::Draining, format!("{} is switched to", target.version)),
            Stage::Rest => match (&self.record.trial, &self.record.active) {
                (Some(trial), Some(active)) => (
                    UpdateStep::Confirming,
                    format!(
                        "{} runs and is kept once the server has seen it for {} s",
                        active.version, trial.confirm_seconds
                    ),
                ),
                _ => (UpdateStep::Idle, self.why_idle()),
            },
        }
    }

    fn why_idle(&self) -> String {
        let active = self.record.active.as_ref();
        match &self.wanted {
            Wanted::Unknown => "the server has not yet said which version it wants".to_owned(),
            Wanted::Nothing(reason) => reason.clone(),
            Wanted::Refused(reason) => format!("the offered release is refused: {reason}"),
            Wanted::Release(target) if active.is_some_and(|active| active.hash == target.hash) => {
                self.last.clone().unwrap_or_else(|| format!("{} is active, as the server wants", target.version))
            }
            Wanted::Release(target) => match (self.veto, self.record.failed(&target.hash), &self.trouble) {
                (Some(veto), _, _) => format!("{} is offered, and {veto}", target.version),
                (None, Some(failed), _) => format!(
                    "{} failed here and is not tried again: {}; `sallyport-wrapper retry-update` tries it again",
                    failed.version, failed.reason
                ),
                (None, None, Some((trouble, _))) => format!("{} is tried again: {trouble}", target.version),
                (None, None, None) => format!("{} is about to be installed", target.version),
            },
        }
    }

    /// Takes an event; `random` is from 0 up to 1.
    pub(crate) fn on(&mut self, event: Event, now: Moment, random: f64) -> Vec<Effect> {
        let mut effects = match event {
            Event::Tick => self.tick(now),
            Event::Wanted(wanted) => self.wanted(wanted),
            Event::Fetched(result) => self.fetched(result, now, random),
            Event::Rehearsed(result) => self.rehearsed(result, now, random),
            Event::Saved(result) => self.saved(result, now, random),
            Event::Seen { process_id, online, runs } => self.seen(process_id, online, runs, now),
            Event::Offline => {
                (self.online, self.missed_since) = (false, None);
                Vec::new()
            }
            Event::AgentRuns { process_id } => {
                (self.agent, self.missed_since) = (Some(process_id), None);
                Vec::new()
            }
            Event::AgentEnded { expected, how } => self.agent_ended(expected, &how, now),
            Event::Retry => self.retry(),
        };
        effects.extend(self.consider(now));
        effects
    }

    fn tick(&mut self, now: Moment) -> Vec<Effect> {
        match &self.stage {
            Stage::Draining { target, until, .. } if until.has_come(now) => {
                let target = target.clone();
                return self.switch(target);
            }
            _ => {}
        }
        if !matches!(self.stage, Stage::Switching { .. }) && self.unsaved.is_some_and(|due| due.has_come(now)) {
            self.unsaved = Some(now.plus(SAVE_EVERY));
            return vec![Effect::Save];
        }
        Vec::new()
    }

    /// Begins with what is wanted, if nothing speaks against it.
    fn consider(&mut self, now: Moment) -> Option<Effect> {
        let Wanted::Release(target) = &self.wanted else { return None };
        let waits = self.trouble.as_ref().is_some_and(|(_, until)| !until.has_come(now));
        let active = self.record.active.as_ref().is_some_and(|active| active.hash == target.hash);
        let free = self.stage == Stage::Rest && self.record.trial.is_none();
        if !free || waits || active || self.veto.is_some() || self.record.failed(&target.hash).is_some() {
            return None;
        }
        let target = target.clone();
        self.last = None;
        self.stage = Stage::Fetching(target.clone());
        Some(Effect::Fetch(target))
    }

    fn wanted(&mut self, wanted: Wanted) -> Vec<Effect> {
        if self.wanted != wanted {
            self.trouble = None;
        }
        // What is under way and no longer wanted is dropped where the old version still runs; threads that work on it
        // are not waited for: their answers find another stage.
        self.wanted = wanted;
        if matches!(&self.stage, Stage::Draining { target, .. } if !self.is_wanted(target)) {
            self.stage = Stage::Rest;
        }
        Vec::new()
    }

    fn is_wanted(&self, target: &Target) -> bool {
        matches!(&self.wanted, Wanted::Release(wanted) if wanted.hash == target.hash)
    }

    fn fetched(&mut self, result: Result<(), Trouble>, now: Moment, random: f64) -> Vec<Effect> {
        let Stage::Fetching(target) = self.stage.clone() else { return Vec::new() };
        self.stage = Stage::Rest;
        match result {
            Err(trouble) => self.did_not_succeed(&target, trouble, now, random),
            Ok(()) if !self.is_wanted(&target) => Vec::new(),
            Ok(()) => {
                // From here on nothing older is accepted.
                self.record.sequence = self.record.sequence.max(target.sequence);
                self.record.floor = self.record.floor.clone().max(target.floor.clone());
                self.unsaved = Some(now.plus(SAVE_EVERY));
                self.stage = Stage::Rehearsing(target.clone());
                vec![Effect::Save, Effect::Rehearse(target)]
            }
        }
    }

    fn rehearsed(&mut self, result: Result<(), Trouble>, now: Moment, random: f64) -> Vec<Effect> {
        let Stage::Rehearsing(target) = self.stage.clone() else { return Vec::new() };
        self.stage = Stage::Rest;
        match result {
            Err(trouble) => self.did_not_succeed(&target, trouble, now, random),
            Ok(()) if !self.is_wanted(&target) => Vec::new(),
            // Nothing runs that could be disturbed.
            Ok(()) if self.agent.is_none() => self.switch(target),
            Ok(()) => {
                let until = now.plus(target.drain);
                self.stage = Stage::Draining { target, until, runs: 0 };
                Vec::new()
            }
        }
    }

    fn did_not_succeed(&mut self, target: &Target, trouble: Trouble, now: Moment, random: f64) -> Vec<Effect> {
        match trouble {
            Trouble::Passing(reason) => {
                let text = format!("{} could not be installed yet: {reason}", target.version);
                self.trouble = Some((reason, now.plus(self.retry.next(random))));
                vec![Effect::Tell { good: false, text }]
            }
            Trouble::Version(reason) => {
                let text = format!("{} is not installed: {reason}", target.version);
                self.quarantine((target.hash, target.version.clone()), reason, now);
                vec![Effect::Save, Effect::CleanUp, Effect::Tell { good: false, text }]
            }
        }
    }

    fn quarantine(&mut self, (hash, version): (Digest, Version), reason: String, now: Moment) {
        self.record.quarantine(Failed { hash, version, reason, at: now.at });
        self.unsaved = Some(now.plus(SAVE_EVERY));
    }

    fn switch(&mut self, target: Target) -> Vec<Effect> {
        let before = Box::new(self.record.clone());
        let from = self.record.active.take();
        self.record.trial = Some(Trial {
            from: from.clone(),
            crashes: 0,
            confirm_seconds: target.confirm_seconds,
            was_online: self.online,
        });
        self.record.previous = from;
        self.record.active =
            Some(Installed { folder: target.folder.clone(), version: target.version.clone(), hash: target.hash });
        self.stage = Stage::Switching { target, before };
        vec![Effect::Save]
    }

    fn saved(&mut self, result: Result<(), String>, now: Moment, random: f64) -> Vec<Effect> {
        match (self.stage.clone(), result) {
            (Stage::Switching { target, .. }, Ok(())) => {
                (self.stage, self.unsaved, self.missed_since) = (Stage::Rest, None, None);
                // What the server sees from here on of the old process says nothing about the new one.
                self.agent = None;
                self.retry.reset();
                vec![Effect::Restart(format!("version {} is switched to", target.version))]
            }
            (Stage::Switching { target, before }, Err(reason)) => {
                (self.stage, self.record) = (Stage::Rest, *before);
                // The disk may hold the newer record all the same.
                self.unsaved = Some(now);
                self.did_not_succeed(&target, Trouble::Passing(reason), now, random)
            }
            (_, Ok(())) => {
                self.unsaved = None;
                Vec::new()
            }
            (_, Err(_)) => {
                self.unsaved = Some(now.plus(SAVE_EVERY));
                Vec::new()
            }
        }
    }

    fn seen(&mut self, process_id: Option<u32>, online: Duration, runs: u32, now: Moment) -> Vec<Effect> {
        let ours = process_id.is_some() && process_id == self.agent;
        self.online = ours;
        if let Stage::Draining { target, until, .. } = &self.stage {
            let (target, until) = (target.clone(), *until);
            // An agent that the server does not see works on nothing that it could lose.
            if runs == 0 || !ours {
                return self.switch(target);
            }
            self.stage = Stage::Draining { target, until, runs };
        }
        if self.stage != Stage::Rest {
            return Vec::new();
        }
        let Some(trial) = &self.record.trial else { return Vec::new() };
        if ours {
            self.missed_since = None;
            let enough = online >= Duration::from_secs(trial.confirm_seconds.into());
            return if enough { self.confirm(now) } else { Vec::new() };
        }
        let missed = now.since(*self.missed_since.get_or_insert(now));
        if trial.was_online && missed >= MISSED_MAX {
            let minutes = MISSED_MAX.as_secs() / 60;
            return self.roll_back(&format!("the server has not seen it for {minutes} minutes"), now);
        }
        Vec::new()
    }

    fn confirm(&mut self, now: Moment) -> Vec<Effect> {
        self.record.trial = None;
        self.unsaved = Some(now.plus(SAVE_EVERY));
        let Some(active) = &self.record.active else { return Vec::new() };
        let text = format!("{} was installed; the server has seen it work", active.version);
        self.last = Some(text.clone());
        vec![Effect::Save, Effect::CleanUp, Effect::Tell { good: true, text }]
    }

    fn agent_ended(&mut self, expected: bool, how: &str, now: Moment) -> Vec<Effect> {
        self.agent = None;
        self.online = false;
        let switching = matches!(self.stage, Stage::Switching { .. });
        let Some(trial) = self.record.trial.as_mut().filter(|_| !expected && !switching) else { return Vec::new() };
        trial.crashes += 1;
        self.unsaved = Some(now.plus(SAVE_EVERY));
        if trial.crashes >= CRASHES_MAX {
            let reason = format!("it ended by itself {} times, last: {how}", trial.crashes);
            return self.roll_back(&reason, now);
        }
        vec![Effect::Save]
    }

    /// The old version's folder is still there: nothing has removed it since the switch.
    fn roll_back(&mut self, reason: &str, now: Moment) -> Vec<Effect> {
        let (Some(trial), Some(failed)) = (self.record.trial.take(), self.record.active.take()) else {
            return Vec::new();
        };
        self.record.active = trial.from;
        self.record.previous = None;
        (self.missed_since, self.agent) = (None, None);
        let text = format!("{} was taken back: {reason}", failed.version);
        self.quarantine((failed.hash, failed.version), reason.to_owned(), now);
        vec![
            Effect::Save,
            Effect::Restart("the version before is switched back to".to_owned()),
            Effect::CleanUp,
            Effect::Tell { good: false, text },
        ]
    }

    fn retry(&mut self) -> Vec<Effect> {
        self.trouble = None;
        self.retry.reset();
        if let Wanted::Release(target) = &self.wanted {
            let hash = target.hash;
            self.record.quarantine.retain(|failed| failed.hash != hash);
            return vec![Effect::Save];
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests;
