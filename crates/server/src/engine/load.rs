//! The engine's beginning: what an earlier process has left open goes on.

use std::collections::BTreeSet;

use sallyport_domain::run::{Event, Run};
use sallyport_protocol::LogLevel;
use sallyport_store::{Error, RunCommit, RunLogLine};

use super::actor::Engine;
use super::entry::Entry;
use super::known::understood;

impl Engine {
    pub(super) async fn load(&mut self) -> Result<(), Error> {
        for row in self.parts.store.open_runs().await? {
            let run: Run = match serde_json::from_str(&row.machine) {
                Ok(run) => run,
                Err(error) => {
                    self.end_unreadable(row, &error).await?;
                    continue;
                }
            };
            let version = self.parts.store.task_version(row.task_version).await?;
            self.parts.relay.set_at_work(row.id, run.streaming());
            let limit = understood(&version).map_or(1, |task| task.limit);
            self.entries.insert(
                row.id,
                Entry {
                    run,
                    environment: row.environment,
                    task: row.task,
                    task_version: row.task_version,
                    limit,
                    priority: row.priority,
                    who: row.who,
                    version: row.version,
                    unstored: None,
                    before: None,
                    effects: Vec::new(),
                    progressed: false,
                    returned: Vec::new(),
                    heard: Vec::new(),
                    unsure: false,
                },
            );
        }
        tracing::info!(runs = self.entries.len(), "unfinished runs loaded");
        let until = self.parts.clock.now().plus(self.parts.reconnect_grace);
        for agent in self.entries.values().flat_map(|entry| entry.run.agents()).collect::<BTreeSet<_>>() {
            self.timers.give_until(agent, until);
        }
        // Time has passed: deadlines are armed again.
        for run in self.entries.keys().copied().collect::<Vec<_>>() {
            let _ = self.event(run, Event::Tick);
            self.call_again(run);
        }
        self.queue_changed = true;
        self.settle().await;
        Ok(())
    }

    /// A run that this build cannot read is ended rather than left open for ever.
    async fn end_unreadable(&self, row: sallyport_store::Run, error: &serde_json::Error) -> Result<(), Error> {
        tracing::error!(run = %row.id, %error, "an unfinished run cannot be read");
        let now = self.parts.clock.now();
        let reason = "the run was stored by a build that this one does not understand";
        let line =
            RunLogLine { step: None, attempt: None, at: now, level: LogLevel::Error, message: reason.to_owned() };
        let commit = RunCommit {
            id: row.id,
            expected: row.version,
            state: sallyport_domain::run::RunState::Failed.word().to_owned(),
            failure_kind: Some("runtime".to_owned()),
            reason: Some(reason.to_owned()),
            started_at: row.started_at,
            finished_at: Some(now),
            machine: row.machine,
            steps: Vec::new(),
            log: vec![line],
            checkpoints: Vec::new(),
        };
        self.parts.store.commit_run(commit).await.map(|_| ())
    }
}
