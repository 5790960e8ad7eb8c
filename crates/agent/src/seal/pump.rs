//! Carries messages between a stream and its connection through a sealed session.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use sallyport_dataplane::{Message, Transport};
use tokio::sync::mpsc::{Permit, Sender};
use tokio::time::timeout;

use super::session::{Error, Session};

/// How long the other agent may take to agree.
const AGREE_MAX: Duration = Duration::from_secs(60);

/// Agrees with the other agent; a key that is not believed is told to it.
pub(super) async fn open(session: &mut Session, far: &mut Transport) -> Result<(), Error> {
    let agreed = timeout(AGREE_MAX, agree(session, far)).await;
    let agreed = agreed.unwrap_or_else(|_| {
        Err(Error::Lost(format!("the other agent did not agree on a key within {} s", AGREE_MAX.as_secs())))
    });
    if agreed.is_err()
        && let Some(alert) = session.outgoing()
    {
        // It may be gone.
        let _ = far.outgoing.send(Ok(alert)).await;
    }
    agreed
}

async fn agree(session: &mut Session, far: &mut Transport) -> Result<(), Error> {
    let mut said = false;
    loop {
        if session.is_agreed() && !said {
            said = true;
            session.give(&[])?;
        }
        if let Some(bytes) = session.outgoing()
            && far.outgoing.send(Ok(bytes)).await.is_err()
        {
            return Err(Error::Lost("the connection takes nothing more".to_owned()));
        }
        let sealed = match far.incoming.recv().await {
            Some(Ok(sealed)) => sealed,
            Some(Err(why)) => return Err(Error::Lost(why)),
            None => return Err(Error::Lost("the connection was closed while the agents agreed".to_owned())),
        };
        let (messages, _) = session.take(&sealed)?;
        match messages.as_slice() {
            [] => {}
            // The other side says nothing more before it has heard the same.
            [first] if first.is_empty() && session.is_agreed() => {
                if !said {
                    session.give(&[])?;
                }
                if let Some(bytes) = session.outgoing() {
                    let sent = far.outgoing.send(Ok(bytes)).await;
                    return sent.map_err(|_| Error::Lost("the connection takes nothing more".to_owned()));
                }
                return Ok(());
            }
            _ => return Err(Error::Broken("it does not begin as it should".to_owned())),
        }
    }
}

enum Turn {
    Given(Option<Message>),
    Came(Option<Message>),
    /// The connection takes nothing more.
    Broken,
    /// The stream hears nothing more.
    Deaf,
    Passed,
}

/// Carries until both sides have said all, or one is gone. A message at a time is under way in each direction.
pub(super) async fn carry(mut session: Session, near: Transport, mut far: Transport) {
    let (mut to_near, mut to_far): (VecDeque<Message>, Option<Message>) = (VecDeque::new(), None);
    // Dropped when the other agent has said all, so that the stream sees the end.
    let (mut stream, mut given) = (Some(near.outgoing), near.incoming);
    let (mut given_all, mut came_all) = (false, false);
    loop {
        if came_all && to_near.is_empty() {
            stream = None;
        }
        if given_all && to_far.is_none() && stream.is_none() {
            return;
        }
        let (has_near, has_far, is_heard) = (!to_near.is_empty(), to_far.is_some(), stream.is_some());
        let turn = tokio::select! {
            room = far.outgoing.reserve(), if has_far => match (room, to_far.take()) {
                (Ok(room), Some(message)) => {
                    room.send(message);
                    Turn::Passed
                }
                _ => Turn::Broken,
            },
            room = room(stream.as_ref()), if has_near => match (room, to_near.pop_front()) {
                (Some(room), Some(message)) => {
                    room.send(message);
                    Turn::Passed
                }
                _ => Turn::Deaf,
            },
            given = given.recv(), if !has_far && !given_all => Turn::Given(given),
            came = far.incoming.recv(), if !has_near && !came_all => Turn::Came(came),
            () = closed(stream.as_ref()), if is_heard && given_all && !has_far => Turn::Deaf,
        };
        match turn {
            Turn::Passed => {}
            Turn::Given(message) => {
                given_all = !matches!(message, Some(Ok(_)));
                match sealed(&mut session, message) {
                    Ok(message) => to_far = message,
                    Err(error) => {
                        to_near.push_back(Err(error.to_string()));
                        (given_all, came_all) = (true, true);
                    }
                }
            }
            Turn::Came(message) => {
                let (messages, ended) = opened(&mut session, message);
                to_near.extend(messages);
                came_all = ended;
            }
            // It may still say why.
            Turn::Broken => {
                given.close();
                given_all = true;
            }
            Turn::Deaf => {
                to_near.clear();
                came_all = true;
            }
        }
    }
}

async fn room(stream: Option<&Sender<Message>>) -> Option<Permit<'_, Message>> {
    stream?.reserve().await.ok()
}

async fn closed(stream: Option<&Sender<Message>>) {
    if let Some(stream) = stream {
        stream.closed().await;
    }
}

/// What goes out for what the stream has given.
fn sealed(session: &mut Session, given: Option<Message>) -> Result<Option<Message>, Error> {
    match given {
        Some(Ok(message)) => session.give(&message)?,
        Some(Err(why)) => return Ok(Some(Err(why))),
        None => session.end(),
    }
    Ok(session.outgoing().map(Ok))
}

/// Messages for the stream, and whether they are the last.
fn opened(session: &mut Session, came: Option<Message>) -> (Vec<Message>, bool) {
    let whole = |messages: Vec<Bytes>| messages.into_iter().map(Ok).collect();
    match came {
        Some(Ok(sealed)) => match session.take(&sealed) {
            Ok((messages, ended)) => (whole(messages), ended),
            Err(error) => (vec![Err(error.to_string())], true),
        },
        Some(Err(why)) => (vec![Err(why)], true),
        None => (vec![Err("the sealed stream was cut off before its end".to_owned())], true),
    }
}
