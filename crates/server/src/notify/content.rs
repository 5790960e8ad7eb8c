//! What a notice says: facts for programs, and the same as text for people.

use std::fmt::Write as _;

use sallyport_protocol::{NoticeId, RunId, Timestamp, shorten};
use sallyport_store::{Channel, Error, ListRequest, LogFilter, Notice, Run};
use serde::Serialize;

use crate::app::App;
use crate::http::{maybe_rfc3339, rfc3339};

/// Lines of the log's end.
const LOG_LINES: u32 = 20;

/// The most of one line, in bytes.
const LINE_BYTES_MAX: usize = 500;

/// The most of a reason or an advice, in bytes.
const TEXT_BYTES_MAX: usize = 2000;

/// Held notices that a summary names.
const NAMED_MAX: u32 = 50;

/// What a notice says; the body of a webhook's request.
#[derive(Debug, Serialize)]
pub(crate) struct Content {
    /// The same in every try to send it.
    id: String,
    /// failure, recovery, late, summary or test.
    event: &'static str,
    channel: String,
    environment: String,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<RunPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<SummaryPart>,
}

#[derive(Debug, Serialize)]
struct RunPart {
    id: String,
    task: String,
    task_id: String,
    state: String,
    failure_kind: Option<String>,
    reason: Option<String>,
    /// What to do.
    advice: Option<String>,
    queued_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    due_at: Option<String>,
    late_at: Option<String>,
    link: String,
    /// The end of its log, the oldest line first.
    log: Vec<LinePart>,
}

#[derive(Debug, Serialize)]
struct LinePart {
    at: String,
    level: &'static str,
    step: Option<String>,
    message: String,
}

#[derive(Debug, Serialize)]
struct SummaryPart {
    /// How many were held.
    count: u64,
    /// The newest of them, the newest first.
    newest: Vec<HeldPart>,
}

#[derive(Debug, Serialize)]
struct HeldPart {
    event: &'static str,
    task: String,
    run: Option<String>,
    at: String,
}

impl Content {
    /// About a run.
    pub(super) async fn of_run(app: &App, notice: &Notice) -> Result<Self, Error> {
        let mut content = Self::bare(notice);
        content.event = notice.event.map_or("summary", |event| event.word());
        if let Some(run) = notice.run {
            content.run = match app.store.run(notice.environment, run).await {
                Ok(run) => Some(run_part(app, run).await?),
                // It was removed meanwhile: what is known still goes out.
                Err(Error::NotFound) => None,
                Err(error) => return Err(error),
            };
        }
        Ok(content)
    }

    /// Of those that were held, and the newest of them.
    pub(super) async fn summary(app: &App, notice: &Notice) -> Result<(Self, Option<i64>), Error> {
        let mut content = Self::bare(notice);
        let (held, count) = app.store.held_notices(notice.channel, NAMED_MAX).await?;
        let newest = held.first().map(|held| held.seq);
        let parts = held.into_iter().map(|held| HeldPart {
            event: held.event.map_or("summary", |event| event.word()),
            task: held.task_name.unwrap_or_default(),
            run: held.run.map(|run| run.to_string()),
            at: rfc3339(held.created_at),
        });
        content.summary = Some(SummaryPart { count, newest: parts.collect() });
        Ok((content, newest))
    }

    /// A try of a channel.
    pub(crate) fn test(channel: &Channel, environment: &str, now: Timestamp) -> Self {
        Self {
            id: NoticeId::new().to_string(),
            event: "test",
            channel: channel.name.clone(),
            environment: environment.to_owned(),
            at: rfc3339(now),
            run: None,
            summary: None,
        }
    }

    fn bare(notice: &Notice) -> Self {
        Self {
            id: notice.id.to_string(),
            event: "summary",
            channel: notice.channel_name.clone(),
            environment: notice.environment_name.clone(),
            at: rfc3339(notice.created_at),
            run: None,
            summary: None,
        }
    }

    pub(super) fn id(&self) -> String {
        self.id.clone()
    }

    pub(super) const fn event(&self) -> &'static str {
        self.event
    }

    /// In a line.
    pub(super) fn subject(&self) -> String {
        let place = &self.environment;
        match (&self.run, &self.summary) {
            (Some(run), _) => {
                let what = match self.event {
                    "recovery" => format!("{} works again", run.task),
                    "late" => format!("{} is late", run.task),
                    _ => format!("{} {}", run.task, run.state.replace('_', " ")),
                };
                format!("[Sallyport {place}] {what}")
            }
            (None, Some(summary)) => format!("[Sallyport {place}] {} notices in short", summary.count),
            (None, None) if self.event == "test" => format!("[Sallyport {place}] test of channel {}", self.channel),
            (None, None) => format!("[Sallyport {place}] {} of a run that is gone", self.event),
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        match (&self.run, &self.summary) {
            (Some(run), _) => run.write(&mut text, &self.environment),
            (None, Some(summary)) => summary.write(&mut text),
            (None, None) if self.event == "test" => {
                text.push_str("This is a test: notices through this channel arrive.\n");
            }
            (None, None) => text.push_str("The run was removed before this notice could be sent.\n"),
        }
        text
    }
}

impl RunPart {
    fn write(&self, text: &mut String, environment: &str) {
        let mut line = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                let _ = writeln!(text, "{:12}{value}", format!("{name}:"));
            }
        };
        line("Task", Some(&self.task));
        line("Environment", Some(environment));
        line("State", Some(&self.state));
        line("Reason", self.reason.as_deref());
        line("To do", self.advice.as_deref());
        line("Due", self.due_at.as_deref());
        line("Late since", self.late_at.as_deref());
        line("Started", self.started_at.as_deref());
        line("Ended", self.finished_at.as_deref());
        line("Run", Some(&self.id));
        line("Link", Some(&self.link));
        line("Command", Some(&format!("sallyport runs show {}", self.id)));
        if !self.log.is_empty() {
            text.push_str("\nThe end of its log:\n");
        }
        for LinePart { at, level, step, message } in &self.log {
            let step = step.as_ref().map(|step| format!(" {step}:")).unwrap_or_default();
            let _ = writeln!(text, "{at} {level}{step} {message}");
        }
    }
}

impl SummaryPart {
    fn write(&self, text: &mut String) {
        let _ = writeln!(text, "{} notices were more than this channel sends in an hour. The newest:\n", self.count);
        for held in &self.newest {
            let _ = writeln!(text, "{} {} {} {}", held.at, held.event, held.task, held.run.as_deref().unwrap_or("-"));
        }
        text.push_str("\nAll of them: sallyport notifications deliveries\n");
    }
}

async fn run_part(app: &App, run: Run) -> Result<RunPart, Error> {
    let steps = app.store.step_runs(run.environment, run.id).await?;
    let advice = steps.into_iter().rev().find_map(|step| step.failure.and_then(|failure| failure.advice));
    let request = ListRequest { limit: LOG_LINES, cursor: None, sort: Some("-seq".to_owned()) };
    let lines = app.store.run_log(run.environment, run.id, LogFilter::default(), request).await?.items;
    let log = lines.into_iter().rev().map(|line| LinePart {
        at: rfc3339(line.at),
        level: line.level.name(),
        step: line.step,
        message: cut(line.message, LINE_BYTES_MAX),
    });
    Ok(RunPart {
        link: link(app, run.id),
        id: run.id.to_string(),
        task: run.task_name,
        task_id: run.task.to_string(),
        state: run.state,
        failure_kind: run.failure_kind,
        reason: run.reason.map(|reason| cut(reason, TEXT_BYTES_MAX)),
        advice: advice.map(|advice| cut(advice, TEXT_BYTES_MAX)),
        queued_at: rfc3339(run.queued_at),
        started_at: maybe_rfc3339(run.started_at),
        finished_at: maybe_rfc3339(run.finished_at),
        due_at: maybe_rfc3339(run.due_at),
        late_at: maybe_rfc3339(run.late_at),
        log: log.collect(),
    })
}

fn link(app: &App, run: RunId) -> String {
    format!("{}/runs/{run}", app.config.public_url)
}

fn cut(mut text: String, most: usize) -> String {
    shorten(&mut text, most);
    text
}
