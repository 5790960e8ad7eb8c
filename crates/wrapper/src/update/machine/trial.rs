//! A version that runs and is not yet known to be good: kept once the server has seen it work, or taken back.

use std::time::Duration;

use super::{Effect, Machine, SAVE_EVERY, Stage};
use crate::moment::Moment;
use crate::update::record::CRASHES_MAX;

/// How long the server may miss a version on trial while it hears the wrapper: longer than an agent waits between two
/// tries to reconnect.
const MISSED_MAX: Duration = Duration::from_secs(5 * 60);

impl Machine {
    pub(super) fn seen(&mut self, process_id: Option<u32>, online: Duration, runs: u32, now: Moment) -> Vec<Effect> {
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

    pub(super) fn agent_ended(&mut self, expected: bool, how: &str, now: Moment) -> Vec<Effect> {
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
        let Some(failed) = self.record.take_back(reason, now.at) else { return Vec::new() };
        (self.missed_since, self.agent) = (None, None);
        self.unsaved = Some(now.plus(SAVE_EVERY));
        let text = format!("{failed} was taken back: {reason}");
        vec![
            Effect::Save,
            Effect::Restart("the version before is switched back to".to_owned()),
            Effect::CleanUp,
            Effect::Tell { good: false, text },
        ]
    }
}
