//! What is on its way through channels. A notice waits until it is sent or given up; more than a channel may send are
//! held and summed up in one.

use std::fmt;
use std::str::FromStr;

use rusqlite::{Connection as Sqlite, OptionalExtension, Row, params};
use sallyport_domain::notice::Event;
use sallyport_protocol::{ChannelId, EnvironmentId, NoticeId, RunId, Timestamp};

use super::channel::{self, Channel};
use crate::page::{Filter, Listing, fetch};
use crate::row::{Micros, Text};
use crate::{Error, ListRequest, Page, RunNews, Store};

/// The most notices that wait for one channel; more are held.
pub const WAITING_MAX: u32 = 500;

/// The newest notices that are kept of a channel, so that one that is told much does not fill the disk.
const KEPT_MAX: u32 = 2000;

/// Where a notice stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeState {
    /// It is sent when it is due.
    Waiting,
    /// It was one too many; the next summary names it.
    Held,
    /// A summary has named it.
    Summed,
    /// The channel has taken it.
    Sent,
    /// It was given up.
    Failed,
}

impl NoticeState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Held, Self::Summed, Self::Sent, Self::Failed];

    /// The word in the API and the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Summed => "summed",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }
}

/// The text names no state of a notice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of waiting, held, summed, sent, failed")]
pub struct ParseNoticeStateError;

impl fmt::Display for NoticeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for NoticeState {
    type Err = ParseNoticeStateError;

    fn from_str(text: &str) -> Result<Self, ParseNoticeStateError> {
        Self::ALL.into_iter().find(|state| state.word() == text).ok_or(ParseNoticeStateError)
    }
}

/// A notice to one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Its place; grows.
    pub seq: i64,
    /// The same in every try to send it.
    pub id: NoticeId,
    /// Through which it goes.
    pub channel: ChannelId,
    /// That channel's name.
    pub channel_name: String,
    /// Where it belongs.
    pub environment: EnvironmentId,
    /// That environment's name.
    pub environment_name: String,
    /// What it tells; a summary of held ones where it is absent.
    pub event: Option<Event>,
    /// The task's name.
    pub task_name: Option<String>,
    /// The run.
    pub run: Option<RunId>,
    /// Where it stands.
    pub state: NoticeState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub due_at: Option<Timestamp>,
    /// Why the last try failed.
    pub problem: Option<String>,
    /// When there was something to tell.
    pub created_at: Timestamp,
    /// When it was sent, summed up or given up.
    pub ended_at: Option<Timestamp>,
}

/// Which notices to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoticeFilter {
    /// Through this channel.
    pub channel: Option<ChannelId>,
    /// Standing so.
    pub state: Option<NoticeState>,
}

const COLUMNS: &str = "n.*, c.name AS channel_name, e.name AS environment_name";
const FROM: &str = "notice n JOIN notice_channel c ON c.id = n.channel JOIN environment e ON e.id = n.environment";

const NOTICES: Listing =
    Listing { columns: COLUMNS, from: FROM, id: "n.seq", sorts: &[("seq", "n.seq")], default_sort: "-seq" };

impl Store {
    /// Weighs what happened to a run, once however often it is told: `weigh` gets whether the task was failing and the
    /// environment's active channels, and says whether it is failing now and what to tell through which. Answers
    /// whether anything is told.
    pub async fn add_notices(
        &self,
        news: RunNews,
        (now, due_at): (Timestamp, Timestamp),
        weigh: impl FnOnce(bool, &[Channel]) -> (bool, Vec<(ChannelId, Event)>) + Send + 'static,
    ) -> Result<bool, Error> {
        self.write(move |sql| {
            let known: Option<(bool, i64)> = sql
                .prepare_cached("SELECT failing, seq FROM task_standing WHERE task = ?")?
                .query_row([Text(news.task)], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            if known.is_some_and(|(_, seq)| seq >= news.seq) {
                return Ok(false);
            }
            let channels = channel::active(sql, news.environment)?;
            let (failing, told) = weigh(known.is_some_and(|(failing, _)| failing), &channels);
            sql.prepare_cached(
                "INSERT INTO task_standing(task, company, environment, failing, seq) VALUES (?, ?, ?, ?, ?) \
                 ON CONFLICT (task) DO UPDATE SET failing = excluded.failing, seq = excluded.seq",
            )?
            .execute(params![
                Text(news.task),
                Text(news.company),
                Text(news.environment),
                failing,
                news.seq
            ])?;
            for (channel, event) in &told {
                add(sql, &news, (*channel, *event), (now, due_at))?;
            }
            Ok(!told.is_empty())
        })
        .await
    }

    /// For each active channel the oldest notice that is due, with the channel; at most `limit`.
    pub async fn due_notices(&self, now: Timestamp, limit: u32) -> Result<Vec<(Notice, Channel)>, Error> {
        self.read(move |sql| {
            let text = format!(
                "SELECT {COLUMNS} FROM {FROM} WHERE c.active AND n.state = 'waiting' AND n.seq = (SELECT min(m.seq) \
                 FROM notice m WHERE m.channel = c.id AND m.state = 'waiting' AND m.due_at <= ?) ORDER BY n.due_at LIMIT ?"
            );
            let mut statement = sql.prepare_cached(&text)?;
            let rows = statement.query_map(params![Micros(now), limit], notice_row)?;
            let mut due = Vec::new();
            for notice in rows {
                let notice = notice?;
                let channel = channel::active(sql, notice.environment)?.into_iter().find(|c| c.id == notice.channel);
                due.extend(channel.map(|channel| (notice, channel)));
            }
            Ok(due)
        })
        .await
    }

    /// When the next notice is due.
    pub async fn next_notice(&self) -> Result<Option<Timestamp>, Error> {
        self.read(|sql| {
            let mut statement = sql.prepare_cached(
                "SELECT min(n.due_at) FROM notice_channel c JOIN notice n ON n.channel = c.id AND n.state = 'waiting' \
                 WHERE c.active",
            )?;
            Ok(statement.query_row([], |row| row.get::<_, Option<Micros>>(0))?.map(|at| at.0))
        })
        .await
    }

    /// How many notices a channel has sent since a time, summaries not counted, and when the first of them.
    pub async fn notices_sent(&self, channel: ChannelId, since: Timestamp) -> Result<(u32, Option<Timestamp>), Error> {
        self.read(move |sql| {
            let mut statement = sql.prepare_cached(
                "SELECT count(*), min(ended_at) FROM notice \
                 WHERE channel = ? AND state = 'sent' AND ended_at > ? AND event IS NOT NULL",
            )?;
            Ok(statement.query_row(params![Text(channel), Micros(since)], |row| {
                Ok((row.get(0)?, row.get::<_, Option<Micros>>(1)?.map(|at| at.0)))
            })?)
        })
        .await
    }

    /// Holds what is due on a channel; a summary at `summary_at` will name it.
    pub async fn hold_notices(&self, channel: ChannelId, now: Timestamp, summary_at: Timestamp) -> Result<(), Error> {
        self.write(move |sql| {
            sql.prepare_cached(
                "UPDATE notice SET state = 'held', due_at = NULL \
                 WHERE channel = ? AND state = 'waiting' AND due_at <= ? AND event IS NOT NULL",
            )?
            .execute(params![Text(channel), Micros(now)])?;
            summary(sql, channel, now, summary_at)
        })
        .await
    }

    /// The newest held notices of a channel, at most `limit`, and how many there are.
    pub async fn held_notices(&self, channel: ChannelId, limit: u32) -> Result<(Vec<Notice>, u64), Error> {
        self.read(move |sql| {
            let text = format!(
                "SELECT {COLUMNS} FROM {FROM} WHERE n.channel = ? AND n.state = 'held' ORDER BY n.seq DESC LIMIT ?"
            );
            let mut statement = sql.prepare_cached(&text)?;
            let rows = statement.query_map(params![Text(channel), limit], notice_row)?;
            let newest = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            let count: i64 = sql
                .prepare_cached("SELECT count(*) FROM notice WHERE channel = ? AND state = 'held'")?
                .query_row([Text(channel)], |row| row.get(0))?;
            Ok((newest, u64::try_from(count).unwrap_or(0)))
        })
        .await
    }

    /// The channel has taken a notice. `summed` is the newest held one that a summary has named; those that were held
    /// since get another at `summary_at`.
    pub async fn notice_sent(
        &self,
        notice: Notice,
        summed: Option<i64>,
        now: Timestamp,
        summary_at: Timestamp,
    ) -> Result<(), Error> {
        self.write(move |sql| {
            sql.prepare_cached(
                "UPDATE notice SET state = 'sent', attempts = attempts + 1, due_at = NULL, problem = NULL, \
                 ended_at = ?2 WHERE id = ?1",
            )?
            .execute(params![Text(notice.id), Micros(now)])?;
            channel::used(sql, notice.channel, None, now)?;
            if notice.event.is_none() {
                sql.execute(
                    "UPDATE notice SET state = 'summed', ended_at = ?3 WHERE channel = ?1 AND state = 'held' AND seq <= ?2",
                    params![Text(notice.channel), summed, Micros(now)],
                )?;
                summary(sql, notice.channel, now, summary_at)?;
            }
            Ok(())
        })
        .await
    }

    /// A try has failed; it is tried again at `next`, or given up.
    pub async fn notice_failed(
        &self,
        notice: Notice,
        problem: String,
        next: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(move |sql| {
            sql.prepare_cached(
                "UPDATE notice SET attempts = attempts + 1, due_at = ?2, problem = ?3 WHERE id = ?1 AND state = 'waiting'",
            )?
            .execute(params![Text(notice.id), next.map(Micros), problem])?;
            if next.is_none() {
                sql.prepare_cached("UPDATE notice SET state = 'failed', ended_at = ?2 WHERE id = ?1")?
                    .execute(params![Text(notice.id), Micros(now)])?;
            }
            channel::used(sql, notice.channel, Some(&problem), now)
        })
        .await
    }

    /// Notes how a test of a channel went.
    pub async fn channel_tested(
        &self,
        channel: ChannelId,
        problem: Option<String>,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(move |sql| channel::used(sql, channel, problem.as_deref(), now)).await
    }

    /// The notices of an environment, the newest first.
    pub async fn notices(
        &self,
        environment: EnvironmentId,
        filter: NoticeFilter,
        request: ListRequest,
    ) -> Result<Page<Notice>, Error> {
        let mut conditions = Filter::new("n.environment = ?", environment.to_string());
        conditions
            .and_if("n.channel = ?", filter.channel.map(|channel| channel.to_string()))
            .and_if("n.state = ?", filter.state.map(|state| state.to_string()));
        self.list(move |sql| fetch(sql, &NOTICES, &conditions, &request, notice_row)).await
    }
}

fn add(
    sql: &Sqlite,
    news: &RunNews,
    (channel, event): (ChannelId, Event),
    (now, due_at): (Timestamp, Timestamp),
) -> Result<(), Error> {
    let waiting: u32 = sql
        .prepare_cached("SELECT count(*) FROM notice WHERE channel = ? AND state = 'waiting'")?
        .query_row([Text(channel)], |row| row.get(0))?;
    let (state, due) =
        if waiting < WAITING_MAX { (NoticeState::Waiting, Some(due_at)) } else { (NoticeState::Held, None) };
    sql.prepare_cached(
        "INSERT INTO notice(id, channel, company, environment, event, task_name, run, state, due_at, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (channel, run, event) WHERE run IS NOT NULL DO NOTHING",
    )?
    .execute(params![
        Text(NoticeId::new()),
        Text(channel),
        Text(news.company),
        Text(news.environment),
        Text(event),
        news.task_name,
        Text(news.run),
        Text(state),
        due.map(Micros),
        Micros(now)
    ])?;
    summary(sql, channel, now, due_at)?;
    sql.prepare_cached(
        "DELETE FROM notice WHERE channel = ?1 AND state <> 'waiting' \
         AND seq <= (SELECT seq FROM notice WHERE channel = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute(params![Text(channel), KEPT_MAX])?;
    Ok(())
}

/// Sees to it that a channel's held notices, if it has any, will be summed up.
fn summary(sql: &Sqlite, channel: ChannelId, now: Timestamp, due_at: Timestamp) -> Result<(), Error> {
    sql.prepare_cached(
        "INSERT INTO notice(id, channel, company, environment, state, due_at, created_at) \
         SELECT ?1, id, company, environment, 'waiting', ?3, ?4 FROM notice_channel WHERE id = ?2 \
         AND EXISTS (SELECT 1 FROM notice WHERE channel = ?2 AND state = 'held') \
         AND NOT EXISTS (SELECT 1 FROM notice WHERE channel = ?2 AND state = 'waiting' AND event IS NULL)",
    )?
    .execute(params![Text(NoticeId::new()), Text(channel), Micros(due_at), Micros(now)])?;
    Ok(())
}

fn notice_row(row: &Row<'_>) -> rusqlite::Result<Notice> {
    let time = |column| row.get::<_, Option<Micros>>(column).map(|at| at.map(|at| at.0));
    Ok(Notice {
        seq: row.get("seq")?,
        id: row.get::<_, Text<_>>("id")?.0,
        channel: row.get::<_, Text<_>>("channel")?.0,
        channel_name: row.get("channel_name")?,
        environment: row.get::<_, Text<_>>("environment")?.0,
        environment_name: row.get("environment_name")?,
        event: row.get::<_, Option<Text<_>>>("event")?.map(|event| event.0),
        task_name: row.get("task_name")?,
        run: row.get::<_, Option<Text<_>>>("run")?.map(|run| run.0),
        state: row.get::<_, Text<_>>("state")?.0,
        attempts: row.get("attempts")?,
        due_at: time("due_at")?,
        problem: row.get("problem")?,
        created_at: row.get::<_, Micros>("created_at")?.0,
        ended_at: time("ended_at")?,
    })
}
