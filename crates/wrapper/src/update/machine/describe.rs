//! Where an update stands, in words.

use sallyport_protocol::UpdateStep;

use super::{Machine, Stage, Wanted};

impl Machine {
    /// Where it stands, in words.
    pub(in crate::update) fn describe(&self) -> (UpdateStep, String) {
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
                (None, None, None) if self.held => {
                    format!("{} waits until the update that is under way here is done", target.version)
                }
                (None, None, None) => format!("{} is about to be installed", target.version),
            },
        }
    }
}
