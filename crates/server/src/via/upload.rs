//! The body of a person's request, on its way to the service.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt;
use sallyport_dataplane::tunnel::{BEAT_EVERY, Writer};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::ask::Sends;

/// A service that says nothing to `Expect: 100-continue` gets the body anyhow (RFC 9110, section 10.1.1).
const GO_AHEAD_MAX: Duration = Duration::from_secs(1);

/// What both directions of an exchange know of the body.
pub(super) struct Progress {
    began: Instant,
    /// When the last of it was sent, in milliseconds since the beginning.
    moved_at: AtomicU64,
    /// Bytes sent.
    pub(super) sent: AtomicU64,
    /// Whether all of it was.
    pub(super) is_whole: AtomicBool,
    /// The service wants it.
    pub(super) go_ahead: Notify,
    /// Nobody wants any more of it.
    pub(super) pause: CancellationToken,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            moved_at: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            is_whole: AtomicBool::new(false),
            go_ahead: Notify::new(),
            pause: CancellationToken::new(),
        }
    }

    /// When the body last moved.
    pub(super) fn moved_at(&self) -> Instant {
        self.began + Duration::from_millis(self.moved_at.load(Ordering::Relaxed))
    }

    fn moves(&self, bytes: u64) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_at.store(now, Ordering::Relaxed);
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Why a body is not sent to its end.
pub(super) enum Stopped {
    /// The person's side broke it off.
    Theirs(String),
    /// The line broke.
    Line,
    /// It was asked to, and nothing is half said.
    Paused,
}

/// Sends the body, then shows that this side lives until it is asked to stop.
pub(super) async fn send(body: Body, sends: Sends, expects: bool, to: &mut Writer, progress: &Progress) -> Stopped {
    if expects {
        // Either way.
        let _ = timeout(GO_AHEAD_MAX, progress.go_ahead.notified()).await;
    }
    if sends != Sends::Nothing
        && let Err(stopped) = pieces(body, sends, to, progress).await
    {
        return stopped;
    }
    progress.is_whole.store(true, Ordering::Relaxed);
    loop {
        tokio::select! {
            biased;
            () = progress.pause.cancelled() => return Stopped::Paused,
            () = sleep(BEAT_EVERY) => {}
        }
        if to.beat().await.is_err() {
            return Stopped::Line;
        }
    }
}

async fn pieces(body: Body, sends: Sends, to: &mut Writer, progress: &Progress) -> Result<(), Stopped> {
    let mut pieces = body.into_data_stream();
    let line = |_: io::Error| Stopped::Line;
    loop {
        let piece = tokio::select! {
            biased;
            () = progress.pause.cancelled() => return Err(Stopped::Paused),
            piece = timeout(BEAT_EVERY, pieces.next()) => piece,
        };
        match piece {
            Err(_) => to.beat().await.map_err(line)?,
            Ok(Some(Ok(piece))) if piece.is_empty() => {}
            Ok(Some(Ok(piece))) => {
                if sends == Sends::Chunked {
                    let size = format!("{:x}\r\n", piece.len());
                    to.data(&[size.as_bytes(), &piece, b"\r\n"].concat()).await.map_err(line)?;
                } else {
                    to.data(&piece).await.map_err(line)?;
                }
                progress.moves(piece.len() as u64);
            }
            Ok(Some(Err(error))) => return Err(Stopped::Theirs(format!("the request's body broke off: {error}"))),
            Ok(None) => break,
        }
    }
    if sends == Sends::Chunked {
        to.data(b"0\r\n\r\n").await.map_err(line)?;
    }
    Ok(())
}
