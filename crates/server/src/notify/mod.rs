//! People are told about runs. What there is to tell is kept with the outbox's help, in a transaction of its own that
//! can be repeated, and sent afterwards: a receiver that is down or slow holds up nothing but its own notices.

mod content;
mod mail;
mod send;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sallyport_domain::notice::{What, may_send, next_try, tells, weigh};
use sallyport_domain::run::RunState;
use sallyport_protocol::{ChannelId, Timestamp};
use sallyport_store::{Channel, Error, Happening, Notice, RunNews};
use tokio::sync::Notify;

use crate::app::App;
use crate::outbox;

pub(crate) use content::Content;
pub(crate) use send::{Sending, address_problem};

/// A moment after a run's end for its agents' last log lines to come.
const SETTLE: Duration = Duration::from_secs(2);

/// Channels served at one time.
const AT_ONCE: u32 = 8;

/// The span in which a channel's notices are counted.
const HOUR: Duration = Duration::from_secs(3600);

/// How long to wait after the store has failed.
const STORE_RETRY: Duration = Duration::from_secs(5);

/// The machine's clock may jump: the time is looked at, without asking anybody, this often.
const CLOCK_LOOK: Duration = Duration::from_secs(15);

/// Wakes whoever sends.
#[derive(Default)]
pub(crate) struct Notifier {
    changed: Notify,
}

impl Notifier {
    /// There is something to send, or a channel was changed.
    pub(crate) fn changed(&self) {
        self.changed.notify_one();
    }
}

/// Follows runs and sends notices until the server stops.
pub(crate) async fn run(app: &Arc<App>) {
    let place = (app.store.clone(), outbox::NOTICES);
    let follow = outbox::follow(place, app.live.news(), app.stop.clone(), |news| weigh_news(app, news));
    tokio::join!(follow, send_all(app));
}

/// Keeps what there is to tell. Told again, it finds that it has been weighed.
async fn weigh_news(app: &App, news: RunNews) -> Result<(), Error> {
    if !app.store.has_channels(news.environment).await? {
        return Ok(());
    }
    let state = RunState::ALL.into_iter().find(|state| state.word() == news.state);
    let what = match (news.what, state) {
        (Happening::Late, _) => What::Late,
        (Happening::Ended, Some(state)) => What::Ended(state),
        (Happening::Ended, None) => return Ok(()),
    };
    let now = app.clock.now();
    let task = news.task_name.clone();
    let told = app.store.add_notices(news, (now, now.plus(SETTLE)), move |failing, channels| {
        let verdict = weigh(failing, what);
        let told = verdict.occasion.into_iter().flat_map(|occasion| {
            let of = |channel: &Channel| (channel.id, occasion.event);
            channels.iter().filter(|channel| tells(&channel.rules, &task, occasion)).map(of).collect::<Vec<_>>()
        });
        (verdict.failing, told.collect())
    });
    if told.await? {
        app.notifier.changed();
    }
    Ok(())
}

async fn send_all(app: &App) {
    while !app.stop.is_cancelled() {
        let now = app.clock.now();
        let next = match turn(app, now).await {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(%error, "notices could not be dealt with; trying again");
                Some(now.plus(STORE_RETRY))
            }
        };
        let pause = next.map_or(CLOCK_LOOK, |next| next.since(app.clock.now()).min(CLOCK_LOOK));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = app.notifier.changed.notified() => {}
            () = app.stop.cancelled() => {}
        }
    }
}

/// Sends one notice through each channel that has one due; answers when to look again.
async fn turn(app: &App, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    let due = app.store.due_notices(now, AT_ONCE).await?;
    if due.is_empty() {
        return app.store.next_notice().await;
    }
    let done = join_all(due.into_iter().map(|(notice, channel)| deal_with(app, notice, channel, now))).await;
    done.into_iter().collect::<Result<(), _>>()?;
    Ok(Some(now))
}

async fn deal_with(app: &App, notice: Notice, channel: Channel, now: Timestamp) -> Result<(), Error> {
    let (content, summed) = if notice.event.is_some() {
        let an_hour_ago = now.minus(HOUR);
        let (sent, first) = app.store.notices_sent(channel.id, an_hour_ago).await?;
        if !may_send(sent, channel.hourly) {
            tracing::warn!(channel = channel.name, "a channel has sent as many notices as it may in an hour");
            return app.store.hold_notices(channel.id, now, first.unwrap_or(now).plus(HOUR)).await;
        }
        (Content::of_run(app, &notice).await?, None)
    } else {
        Content::summary(app, &notice).await?
    };
    let sending = Sending::new(app, &channel);
    let outcome = tokio::select! {
        outcome = async { sending?.send(&content).await } => outcome,
        // It stays in the queue for the next start.
        () = app.stop.cancelled() => return Ok(()),
    };
    let (channel_name, now) = (channel.name.as_str(), app.clock.now());
    match outcome {
        Ok(()) => {
            tracing::info!(notice = %notice.id, channel = channel_name, event = content.event(), "notice sent");
            app.metrics.notice(true);
            app.store.notice_sent(notice, summed, now, now.plus(HOUR)).await
        }
        Err(problem) => {
            let next = next_try(notice.attempts.saturating_add(1), now);
            app.metrics.notice(false);
            if next.is_some() {
                tracing::warn!(notice = %notice.id, channel = channel_name, problem, "a notice was not sent; trying again");
            } else {
                tracing::error!(notice = %notice.id, channel = channel_name, problem, "a notice is given up");
            }
            app.store.notice_failed(notice, problem, next, now).await
        }
    }
}

/// A channel's id as the owner of its secrets.
pub(crate) fn owner(channel: ChannelId) -> String {
    channel.to_string()
}
