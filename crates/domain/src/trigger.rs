//! Rules about triggers: which are right, what a trigger is when it is, and which runs set off which tasks.

mod given;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use sallyport_protocol::Timestamp;

use crate::run::RunState;
use crate::schedule::{self, Cron, EVERY_MIN, Schedule};
use crate::task::{Problem, Task, Trigger, When, nearest, problem};

/// What kind of thing sets a trigger off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Local times.
    Cron,
    /// A fixed distance.
    Every,
    /// One time.
    At,
    /// A request.
    Webhook,
    /// The end of another task's run.
    After,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Cron, Self::Every, Self::At, Self::Webhook, Self::After];

    /// The word in the API and the database; also the field that makes a trigger one of this kind.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cron => "cron",
            Self::Every => "every",
            Self::At => "at",
            Self::Webhook => "webhook",
            Self::After => "after",
        }
    }

    /// Whether it is due at times.
    pub const fn is_timed(self) -> bool {
        matches!(self, Self::Cron | Self::Every | Self::At)
    }

    /// The word for a run that it starts.
    pub const fn run_trigger(self) -> &'static str {
        match self {
            Self::Cron | Self::Every | Self::At => "schedule",
            Self::Webhook => "webhook",
            Self::After => "task",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The text names no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of cron, every, at, webhook, after")]
pub struct ParseKindError;

impl FromStr for Kind {
    type Err = ParseKindError;

    fn from_str(text: &str) -> Result<Self, ParseKindError> {
        Self::ALL.into_iter().find(|kind| kind.word() == text).ok_or(ParseKindError)
    }
}

/// A task, as far as others can follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFacts {
    /// Its name.
    pub name: String,
    /// The tasks whose ended runs start it.
    pub follows: Vec<String>,
    /// The tasks that its steps start.
    pub calls: Vec<String>,
}

impl Trigger {
    /// Its kind, if it has exactly one.
    pub fn kind(&self) -> Option<Kind> {
        let mut given = Kind::ALL.into_iter().filter(|kind| self.has(*kind));
        let kind = given.next()?;
        given.next().is_none().then_some(kind)
    }

    /// Its times; `None` for one that is not due at times.
    ///
    /// # Errors
    /// Everything that is wrong with its times, by field.
    pub fn schedule(&self) -> Result<Option<Schedule>, Vec<Problem>> {
        let mut problems = Vec::new();
        let zone = self.zone.as_deref().map_or(Ok(TimeZone::UTC), schedule::zone);
        let zone = zone.map_err(|error| problems.push(problem("/zone", "unknown_zone", error.to_string()))).ok();
        let mut time = |field: &str, text: &str| {
            let read = schedule::moment(text, zone.as_ref()?);
            read.map_err(|error| problems.push(problem(field, "bad_time", error.to_string()))).ok()
        };
        let schedule = if let Some(text) = &self.cron {
            match (text.parse::<Cron>(), &zone) {
                (Ok(cron), Some(zone)) => Some(Schedule::Cron { cron, zone: zone.clone() }),
                (Ok(_), None) => None,
                (Err(error), _) => {
                    problems.push(problem("/cron", "bad_cron", format!("cron `{text}`: {error}")));
                    None
                }
            }
        } else if let Some(every) = self.every {
            let from = self.from.as_ref().map_or(Some(Timestamp(0)), |from| time("/from", from));
            from.map(|from| Schedule::Every { every: every.0, from })
        } else {
            self.at.as_ref().and_then(|at| time("/at", at)).map(Schedule::At)
        };
        if problems.is_empty() { Ok(schedule) } else { Err(problems) }
    }

    /// Whether a run that ended like this sets it off.
    pub fn follows_end(&self, state: RunState) -> bool {
        let failed = matches!(state, RunState::Failed | RunState::TimedOut | RunState::FinishedWithErrors);
        match self.when.unwrap_or_default() {
            When::Success => state.is_good(),
            When::Failure => failed,
            When::Any => state.has_ended(),
        }
    }

    fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Cron => self.cron.is_some(),
            Kind::Every => self.every.is_some(),
            Kind::At => self.at.is_some(),
            Kind::Webhook => self.webhook.is_some(),
            Kind::After => self.after.is_some(),
        }
    }
}

/// Everything that is wrong with a task's triggers; `others` are the tasks of its environment.
pub fn check(task: &Task, others: &[TaskFacts]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, trigger) in task.triggers.iter().enumerate() {
        let at = format!("/triggers/{index}");
        let mut found = alone(trigger);
        found.extend(given::problems(task, trigger));
        if task.triggers[..index].iter().any(|other| other.name == trigger.name) {
            let text = format!("another trigger is named `{}` too", trigger.name);
            found.push(problem("/name", "duplicate_trigger", text));
        }
        if let Some(after) = &trigger.after {
            found.extend(follows(task, after, others));
        }
        problems.extend(found.into_iter().map(|p| Problem {
            path: format!("{at}{}", p.path),
            message: format!("trigger `{}`: {}", trigger.name, p.message),
            ..p
        }));
    }
    problems
}

/// The way from a task back to itself, if its runs would set each other off for ever: each task starts the next.
pub fn circle(task: &str, tasks: &[TaskFacts]) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<Vec<&str>> = vec![vec![task]];
    while let Some(way) = open.pop() {
        let start = way.last().copied()?;
        let of_start = tasks.iter().find(|other| same(&other.name, start));
        let called = of_start.map_or(&[][..], |facts| facts.calls.as_slice());
        let names = |all: &[String], wanted: &str| all.iter().any(|name| same(name, wanted));
        for follower in tasks.iter().filter(|other| names(&other.follows, start) || names(called, &other.name)) {
            let way: Vec<&str> = way.iter().copied().chain([follower.name.as_str()]).collect();
            if same(&follower.name, task) {
                return Some(way.into_iter().map(ToOwned::to_owned).collect());
            }
            if seen.insert(follower.name.to_lowercase()) {
                open.push(way);
            }
        }
    }
    None
}

/// What is wrong with a trigger by itself.
fn alone(trigger: &Trigger) -> Vec<Problem> {
    let Some(kind) = trigger.kind() else {
        let text = "a trigger has exactly one of `cron`, `every`, `at`, `webhook` and `after`";
        return vec![problem("", "trigger_kind", text.to_owned())];
    };
    let mut problems = misplaced(trigger, kind);
    match trigger.schedule() {
        Err(found) => problems.extend(found),
        Ok(Some(schedule @ Schedule::Cron { .. })) if schedule.after(Timestamp(0)).is_none() => {
            problems.push(problem("/cron", "never", "no day is ever like this".to_owned()));
        }
        Ok(_) => {}
    }
    if trigger.every.is_some_and(|every| every.0 < EVERY_MIN) {
        problems.push(problem("/every", "too_often", "`every` is at least 1s".to_owned()));
    }
    problems
}

/// Fields that mean nothing beside others.
fn misplaced(trigger: &Trigger, kind: Kind) -> Vec<Problem> {
    let local = kind == Kind::Cron || kind == Kind::At || trigger.from.is_some();
    let fields = [
        ("zone", trigger.zone.is_some() && !local, "`cron`, `at` or `from`"),
        ("from", trigger.from.is_some() && kind != Kind::Every, "`every`"),
        ("when", trigger.when.is_some() && kind != Kind::After, "`after`"),
        ("missed", trigger.missed.is_some() && !kind.is_timed(), "`cron`, `every` or `at`"),
    ];
    let wrong = fields.into_iter().filter(|(_, wrong, _)| *wrong);
    wrong
        .map(|(field, _, beside)| {
            problem(&format!("/{field}"), "misplaced_field", format!("`{field}` means something beside {beside} only"))
        })
        .collect()
}

/// What is wrong with following another task.
fn follows(task: &Task, after: &str, others: &[TaskFacts]) -> Option<Problem> {
    let mut tasks: Vec<TaskFacts> = others.iter().filter(|other| !same(&other.name, &task.task)).cloned().collect();
    if !same(after, &task.task) && !tasks.iter().any(|other| same(&other.name, after)) {
        let near = nearest(after, tasks.iter().map(|other| other.name.as_str()));
        return Some(problem("/after", "unknown_task", format!("there is no task `{after}`{near}")));
    }
    let calls = task.steps.iter().filter_map(|step| step.task.clone()).collect();
    tasks.push(TaskFacts { name: task.task.clone(), follows: vec![after.to_owned()], calls });
    let way = circle(&task.task, &tasks)?;
    let text = format!("the tasks would start each other for ever: {}", way.join(" -> "));
    Some(problem("/after", "circle", text))
}

/// Names of tasks are compared without regard to case, as the store does.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests;
