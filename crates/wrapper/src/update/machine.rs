//! Which version of a product is run, and when another takes its place: a pure state machine. Events and the time go in,
//! effects come out; what must survive a power cut is in the [`Record`], everything else begins anew. For the wrapper's
//! own program "the agent" of these words is the wrapper's process.
//!
//! The order is what makes an update safe: a version is unpacked whole before the record names it, it has rehearsed before
//! it is switched to, the record is on the disk before the old process is asked to end, and the old version stays until
//! the server has seen the new one work.

mod describe;
mod trial;
mod words;

use std::time::Duration;

use sallyport_release::{Digest, Version};
use sallyport_site::backoff::{Backoff, Jitter};

use super::record::{Failed, Installed, Record, Trial};
use crate::moment::Moment;
pub(crate) use words::{Effect, Event, Target, Trouble, Wanted};

/// What failed for a reason that passes is tried again this late at first, and at most this late.
const RETRY_BASE: Duration = Duration::from_secs(4);
const RETRY_CAP: Duration = Duration::from_secs(30 * 60);
/// A record that could not be written is written again this late.
const SAVE_EVERY: Duration = Duration::from_secs(5);

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
    /// Another product is being updated: nothing new is begun.
    held: bool,
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
            held: false,
        }
    }

    /// Begins nothing new while `held`: agent and wrapper are updated one after the other.
    pub(crate) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Whether something is under way or on trial.
    pub(crate) fn is_busy(&self) -> bool {
        self.stage != Stage::Rest || self.record.trial.is_some()
    }

    /// The folder that is being switched to: the record that names it is about to be written.
    pub(crate) fn switching_to(&self) -> Option<&str> {
        match &self.stage {
            Stage::Switching { target, .. } => Some(&target.folder),
            _ => None,
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
        if !free || self.held || waits || active || self.veto.is_some() || self.record.failed(&target.hash).is_some() {
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
