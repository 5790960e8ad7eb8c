//! The server's queue: who may start, and whether any place serves more than it may.

use std::collections::BTreeMap;

use sallyport_domain::queue::{Place, Queued, decide};
use sallyport_domain::run::{Event, RunState, Stop};

use crate::check::Broken;
use crate::server::{Due, Record, STORE_RETRY, Taken, unfit};
use crate::story::ENVIRONMENT;
use crate::world::World;

impl World<'_> {
    pub(crate) fn start_queued(&mut self) -> Result<(), Broken> {
        let (mut queued, mut running) = (Vec::new(), Vec::new());
        for id in &self.server.open {
            let record = &self.server.runs[id];
            let places = self.places(record);
            if record.run.state == RunState::Scheduled {
                let needs = places.into_iter().filter_map(|place| Some((place, self.limit(record, place)?))).collect();
                let priority = self.stories[record.story].priority;
                queued.push(Queued { run: *id, needs, priority, queued_at: record.run.queued_at });
            } else {
                running.push((*id, places));
            }
        }
        let (some_wait, none_runs) = (!queued.is_empty(), running.is_empty());
        let decision = decide(queued, running);
        if some_wait && none_runs && decision.start.is_empty() {
            return Err(Broken("runs wait for each other while none goes on".to_owned()));
        }
        if !decision.wait.is_empty() {
            self.tally.count("runs had to wait");
        }
        for run in decision.start {
            let fits = !self.misfortune(50);
            let event = if fits { Event::Start } else { Event::Stop(Stop::Fail { failure: unfit() }) };
            if self.event(run, event)? == Taken::Vanished && self.server.up {
                self.server.timers.insert((self.clock().plus(STORE_RETRY), Due::Run(run)));
            }
            self.judge_limits()?;
        }
        Ok(())
    }

    /// Counts anew what each place serves.
    fn judge_limits(&self) -> Result<(), Broken> {
        let mut served: BTreeMap<Place, (u32, Option<u32>)> = BTreeMap::new();
        for id in &self.server.open {
            let record = &self.server.runs[id];
            if record.run.state == RunState::Scheduled {
                continue;
            }
            for place in self.places(record) {
                let limit = self.limit(record, place);
                let (count, _) = served.entry(place).or_insert((0, limit));
                *count += 1;
            }
        }
        match served.into_iter().find(|(_, (count, limit))| limit.is_some_and(|limit| *count > limit)) {
            None => Ok(()),
            Some((place, (count, _))) => Err(Broken(format!("{place:?} serves {count} runs, over its limit"))),
        }
    }

    fn places(&self, record: &Record) -> Vec<Place> {
        let mut places = vec![Place::Task(self.stories[record.story].id), Place::Environment(ENVIRONMENT)];
        for agent in record.run.plan.steps.iter().filter(|step| step.runs).filter_map(|step| step.agent) {
            if !places.contains(&Place::Agent(agent)) {
                places.push(Place::Agent(agent));
            }
        }
        places
    }

    fn limit(&self, record: &Record, place: Place) -> Option<u32> {
        match place {
            Place::Task(_) => Some(self.stories[record.story].limit),
            place => self.server.limits.iter().find(|(limited, _)| *limited == place).map(|(_, limit)| *limit),
        }
    }
}
