//! A line that outlives its connections: what one connection lost, the next one carries.
//!
//! Both ends number their messages and keep what the other has not said it has; a new connection begins with both saying
//! which number they wait for. What is kept is bounded by [`KEPT_BYTES_MAX`]. [`Ends`] is the decision without I/O,
//! [`hold`] the loop around it.

mod ends;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::{Cancel, Transport};

pub use ends::{Ends, Garbled, Heard, KEPT_BYTES_MAX};

/// How long the last messages may take once nobody waits for the stream any more.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// How long the last messages of a stream that ended well may take. Whoever waits for them either has them or has gone.
const LINGER_MAX: Duration = Duration::from_secs(30);

enum Turn {
    /// The stream gives a message, or has ended.
    Given(Option<crate::Message>),
    /// A message, or the end of the connection.
    Came(Option<crate::Message>),
    /// Something found room.
    Passed,
    /// The connection takes nothing more.
    Broken,
    /// Nobody waits for the stream any more.
    Leave,
}

/// Carries `stream` over `connection`, and over those that `again` makes when one is lost; `again` is told why, and says
/// why there will be no other. Returns when the stream has ended and the peer has what it said, or when that takes too
/// long: after `leave` has fired, hardly any time.
pub async fn hold<A, F>(stream: Transport, connection: Transport, leave: &Cancel, mut again: A)
where
    A: FnMut(String) -> F,
    F: Future<Output = Result<Transport, String>>,
{
    let mut held = Held { ends: Ends::new(), stream, to_hand_on: None, due: None };
    let mut connection = connection;
    while let Err(why) = held.carry(connection, leave).await {
        if held.ends.peer_has_ended() {
            return;
        }
        match held.await_next(again(why), leave).await {
            Some(Ok(next)) => connection = next,
            Some(Err(why)) => {
                let Transport { outgoing, incoming } = held.stream;
                // The stream is not to wait for room while we wait for it to listen.
                drop(incoming);
                // It may have ended meanwhile.
                let _ = outgoing.send(Err(why)).await;
                return;
            }
            None => return,
        }
    }
}

/// A stream's end, and what of it is under way.
struct Held {
    ends: Ends,
    stream: Transport,
    /// What has come and the stream has not taken yet.
    to_hand_on: Option<Bytes>,
    /// When to go, once the stream has ended.
    due: Option<Instant>,
}

impl Held {
    /// Carries over one connection: `Ok` when all is said, else why the connection was lost.
    async fn carry(&mut self, connection: Transport, leave: &Cancel) -> Result<(), String> {
        let Transport { outgoing, mut incoming } = connection;
        self.ends.connect();
        let mut to_send = None;
        loop {
            if to_send.is_none() {
                to_send = self.ends.next_message();
            }
            if to_send.is_none() && self.to_hand_on.is_none() && self.ends.is_over() {
                return Ok(());
            }
            let (can_send, can_hand_on) = (to_send.is_some(), self.to_hand_on.is_some());
            let (listens, ended) = (self.ends.has_room() && !self.ends.has_ended(), self.ends.has_ended());
            let hurries = self.hurries();
            let turn = tokio::select! {
                room = outgoing.reserve(), if can_send => match (room, to_send.take()) {
                    (Ok(room), Some(message)) => {
                        room.send(Ok(message));
                        Turn::Passed
                    }
                    _ => Turn::Broken,
                },
                room = self.stream.outgoing.reserve(), if can_hand_on => {
                    // A stream that has ended takes nothing more.
                    if let (Some(bytes), Ok(room)) = (self.to_hand_on.take(), room) {
                        room.send(Ok(bytes));
                    }
                    Turn::Passed
                }
                came = incoming.recv(), if !can_hand_on => Turn::Came(came),
                given = self.stream.incoming.recv(), if listens => Turn::Given(given),
                () = until(self.due), if ended => return Ok(()),
                () = leave.cancelled(), if ended && !hurries => Turn::Leave,
            };
            match turn {
                Turn::Given(Some(Ok(bytes))) => self.ends.give(bytes),
                Turn::Given(Some(Err(_)) | None) => self.ended(),
                Turn::Came(Some(Ok(message))) => match self.ends.hear(message) {
                    Ok(Heard::Data(bytes)) => self.to_hand_on = Some(bytes),
                    Ok(Heard::Nothing) => {}
                    Err(Garbled(why)) => return Err(why),
                },
                Turn::Came(Some(Err(why))) => return Err(why),
                Turn::Came(None) => return Err("it was closed".to_owned()),
                Turn::Broken => return Err(last_words(&mut incoming).await),
                Turn::Leave => self.due = Some(Instant::now() + GOODBYE_MAX),
                Turn::Passed => {}
            }
        }
    }

    /// Waits for the next connection; `None` when nobody needs it any more.
    async fn await_next<F>(&mut self, next: F, leave: &Cancel) -> Option<Result<Transport, String>>
    where
        F: Future<Output = Result<Transport, String>>,
    {
        let mut next = std::pin::pin!(next);
        loop {
            let (ended, can_hand_on) = (self.ends.has_ended(), self.to_hand_on.is_some());
            let has_ended = tokio::select! {
                next = &mut next => return Some(next),
                room = self.stream.outgoing.reserve(), if can_hand_on => {
                    if let (Some(bytes), Ok(room)) = (self.to_hand_on.take(), room) {
                        room.send(Ok(bytes));
                    }
                    false
                }
                () = self.stream.outgoing.closed(), if !ended && !can_hand_on => true,
                () = until(self.due), if ended => return None,
                () = leave.cancelled(), if ended => return None,
            };
            if has_ended {
                // Its last words are still to reach the peer.
                while let Ok(Ok(bytes)) = self.stream.incoming.try_recv() {
                    self.ends.give(bytes);
                }
                self.ended();
            }
        }
    }

    fn ended(&mut self) {
        self.ends.end();
        self.due = Some(Instant::now() + LINGER_MAX);
    }

    /// Whether it is about to go.
    fn hurries(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now() + GOODBYE_MAX)
    }
}

/// Why a connection that takes nothing more has broken, if it says so.
async fn last_words(incoming: &mut tokio::sync::mpsc::Receiver<crate::Message>) -> String {
    let said = async {
        loop {
            match incoming.recv().await {
                Some(Ok(_)) => {}
                Some(Err(why)) => return Some(why),
                None => return None,
            }
        }
    };
    let said = tokio::time::timeout(GOODBYE_MAX, said).await.ok().flatten();
    said.unwrap_or_else(|| "the connection takes nothing more".to_owned())
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
