//! Reads only files that are new or changed, and says after which of them the sink may commit.

use std::time::{Duration, UNIX_EPOCH};

use sallyport_dataplane::Output;
use sallyport_protocol::{Checkpoint, Clock, FailureKind, LogLevel, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use super::locate::Located;
use super::seen::{Seen, Stamp, shown, time};
use crate::incremental::{Lag, resumed};
use crate::settings::invalid;
use crate::{Context, Error};

/// A file changed twice between two ticks of its file system's clock looks the same: this is beyond the coarsest tick.
const LAG: Duration = Duration::from_secs(2);

/// The sink is given a place to commit at after so much of the files: few, as each carries the whole checkpoint.
const MARK_EVERY_BYTES: u64 = 1 << 20;

/// Reads only files that are new or have changed since the last run.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    /// Files changed before this time are not read; left out: everything.
    #[serde(default)]
    pub(super) start: Option<String>,
    /// How long a file must have been left alone before it is read, such as `30s`; default `2s`.
    #[serde(default)]
    pub(super) lag: Option<Lag>,
}

/// The files that are read now, and how far that is.
pub(super) struct NewFiles {
    /// In the order in which they are read.
    pub(super) list: Vec<Located>,
    pub(super) progress: Following,
}

/// How far reading is.
pub(super) struct Following {
    /// Not given for a back-fill, which leaves the checkpoint alone.
    seen: Option<Seen>,
    left: usize,
    unmarked_bytes: u64,
    /// Whether all files are committed at once.
    at_once: bool,
}

/// Which of the files that are there are read.
enum Choice {
    Unseen { seen: Seen, until: Timestamp },
    Range { from: Timestamp, to: Timestamp },
}

impl Since {
    /// Whether the settings can be meant.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.start().and_then(|_| self.lag()).map(drop)
    }

    fn start(&self) -> Result<Option<Timestamp>, Error> {
        let Some(start) = &self.start else { return Ok(None) };
        time(start)
            .map(Some)
            .ok_or_else(|| invalid("incremental.start", "expected a time such as 2026-01-31T08:00:00Z"))
    }

    fn lag(&self) -> Result<Duration, Error> {
        match self.lag {
            None => Ok(LAG),
            Some(Lag::Time(lag)) => Ok(lag),
            Some(Lag::Number(_)) => Err(Error::permanent(
                FailureKind::Connector,
                "bad_lag",
                "`incremental.lag` of files is a time".to_owned(),
            )
            .advise("give it as a time such as `30s`")),
        }
    }

    /// Waits for the sink's word and chooses among the files that are there.
    pub(super) fn choose(
        &self,
        found: &[Located],
        at_once: bool,
        output: &Output,
        cx: &Context,
    ) -> Result<NewFiles, Error> {
        let choice = self.choice(output, cx)?;
        let mut chosen: Vec<(Stamp, Located)> = Vec::new();
        let mut early = 0_usize;
        for file in found {
            cx.cancel.check()?;
            // What is gone meanwhile is not there.
            let Some(stamp) = stamp(file) else { continue };
            let (is_chosen, is_early) = match &choice {
                Choice::Unseen { seen, until } => {
                    let unseen = !seen.covers(&file.shown, stamp);
                    (unseen && stamp.modified <= *until, unseen && stamp.modified > *until)
                }
                Choice::Range { from, to } => ((*from..*to).contains(&stamp.modified), false),
            };
            early += usize::from(is_early);
            if is_chosen {
                chosen.push((stamp, Located { stamp: Some(stamp), ..file.clone() }));
            }
        }
        chosen.sort_by(|(a, one), (b, other)| (a.modified, &one.shown).cmp(&(b.modified, &other.shown)));
        let list: Vec<Located> = chosen.into_iter().map(|(_, file)| file).collect();
        let mut line = format!("{} of {} files are read", list.len(), found.len());
        if early > 0 {
            line.push_str(&format!("; {early} changed just now and wait for the next run"));
        }
        (cx.log)(LogLevel::Info, line);
        let seen = match choice {
            Choice::Unseen { seen, .. } => Some(seen),
            Choice::Range { .. } => None,
        };
        let progress = Following { seen, left: list.len(), unmarked_bytes: 0, at_once };
        Ok(NewFiles { list, progress })
    }

    fn choice(&self, output: &Output, cx: &Context) -> Result<Choice, Error> {
        if let Some(range) = cx.checkpointing.as_ref().and_then(|one| one.order.backfill.as_ref()) {
            let bound = |name: &str, text: &str| {
                time(text).ok_or_else(|| invalid(name, format!("`{text}` is no time such as 2026-01-31T08:00:00Z")))
            };
            return Ok(Choice::Range { from: bound("from", &range.from)?, to: bound("to", &range.to)? });
        }
        let seen = match resumed(output, cx)? {
            Some(checkpoint) => Seen::of(&checkpoint)?,
            None => Seen::from_start(self.start()?),
        };
        let lag = i64::try_from(self.lag()?.as_micros()).unwrap_or(i64::MAX);
        Ok(Choice::Unseen { seen, until: Timestamp(Clock::system().now().0.saturating_sub(lag)) })
    }
}

impl Following {
    /// A file has been read to its end: whether it is still what it was, and whether the sink may commit here.
    pub(super) fn read(&mut self, file: &Located) -> Result<Option<Checkpoint>, Error> {
        let Some(before) = file.stamp else { return Ok(None) };
        if stamp(file) != Some(before) {
            return Err(changed(file, before));
        }
        self.left = self.left.saturating_sub(1);
        let Some(seen) = &mut self.seen else { return Ok(None) };
        seen.add(&file.shown, before);
        self.unmarked_bytes += before.bytes;
        if self.left > 0 && (self.at_once || self.unmarked_bytes < MARK_EVERY_BYTES) {
            return Ok(None);
        }
        self.unmarked_bytes = 0;
        Ok(Some(seen.checkpoint()))
    }
}

fn stamp(file: &Located) -> Option<Stamp> {
    let metadata = std::fs::metadata(&file.path).ok()?;
    let modified = metadata.modified().ok()?;
    let micros = match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
    };
    Some(Stamp { modified: Timestamp(micros), bytes: metadata.len() })
}

fn changed(file: &Located, before: Stamp) -> Error {
    let was = format!("{} bytes of {}", before.bytes, shown(before.modified));
    let now = stamp(file).map_or_else(
        || "it is gone now".to_owned(),
        |now| format!("it has {} bytes of {} now", now.bytes, shown(now.modified)),
    );
    let why = format!("file `{}` changed while it was read: it had {was}, {now}", file.shown);
    Error::transient(FailureKind::Input, "file_changed", why).advise(
        "nothing of it was committed; have files renamed into the folder when they are complete, or set a longer `lag`",
    )
}
