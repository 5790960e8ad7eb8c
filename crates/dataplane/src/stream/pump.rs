//! The loops that join an edge and a transport. Encoding and decoding take milliseconds a batch: run them on a thread
//! of their own (`Handle::block_on`), not on the runtime's.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use sallyport_protocol::Checkpoint;
use tokio::sync::mpsc;

use super::{Answer, Error, Event, Receiver, Sender, Totals, slices};
use crate::transport::Message;
use crate::{Cancel, Cause, EdgeError, Given, Input, Producer, Transport};

/// How long saying goodbye may take when the peer does not read.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// Ends a stream early, and says why.
#[derive(Clone, Default)]
pub struct Ending {
    /// Fires when the stream must end.
    pub cancel: Cancel,
    /// Told to the peer.
    pub cause: Cause,
}

impl Ending {
    fn words(&self, error: &Error) -> String {
        self.cause.get().map_or_else(|| error.to_string(), ToOwned::to_owned)
    }
}

/// Sends all rows of `input`; returns when the peer has said that it took everything.
pub async fn send(mut input: Input, transport: Transport, ending: &Ending) -> Result<Totals, Error> {
    let mut sender = Sender::new();
    let Transport { outgoing, mut incoming } = transport;
    let error = tokio::select! {
        sent = give(&mut sender, &mut input, &outgoing, &mut incoming) => match sent {
            Ok(()) => return Ok(sender.totals()),
            Err(error) => error,
        },
        () = ending.cancel.cancelled() => Error::Cancelled,
    };
    if let Error::Aborted(_) | Error::Lost(_) = error {
        return Err(error);
    }
    // A frame that was cut off garbles the abort behind it; the peer then reports the stream as lost, which it is.
    if let Ok(messages) = sender.abort(&ending.words(&error)) {
        let goodbye = async {
            for message in messages {
                let _ = outgoing.send(Ok(message)).await;
            }
        };
        let _ = tokio::time::timeout(GOODBYE_MAX, goodbye).await;
    }
    Err(error)
}

/// Gives all rows that come to `producer`; returns when they were given and the peer was told. Rows that come after the
/// consumer has left are dropped: it may have all that it needs, and if it failed, `ending` fires.
pub async fn receive(producer: Producer, transport: Transport, ending: &Ending) -> Result<Totals, Error> {
    let mut receiver = Receiver::new();
    let Transport { outgoing, mut incoming } = transport;
    let error = tokio::select! {
        taken = take(&mut receiver, &producer, &outgoing, &mut incoming) => taken.err(),
        () = ending.cancel.cancelled() => Some(Error::Cancelled),
    };
    let Some(error) = error else {
        let _ = producer.finish().await;
        let done = receiver.done();
        return match outgoing.send(Ok(done)).await {
            Ok(()) => Ok(receiver.totals()),
            Err(_) => Err(Error::Lost("the peer left before it knew that its rows had arrived".to_owned())),
        };
    };
    let _ = tokio::time::timeout(GOODBYE_MAX, producer.abort(ending.words(&error))).await;
    if !matches!(error, Error::Aborted(_) | Error::Lost(_)) {
        let message = receiver.abort(&ending.words(&error));
        let _ = tokio::time::timeout(GOODBYE_MAX, outgoing.send(Ok(message))).await;
    }
    Err(error)
}

async fn give(
    sender: &mut Sender,
    input: &mut Input,
    outgoing: &mpsc::Sender<Message>,
    incoming: &mut mpsc::Receiver<Message>,
) -> Result<(), Error> {
    // The source may wait for the word where to go on, which comes the other way.
    let schema = loop {
        let turn = tokio::select! {
            biased;
            message = incoming.recv() => Turn::Heard(message),
            schema = input.schema_async() => Turn::Said(schema?),
        };
        match turn {
            Turn::Heard(message) => hear(sender, input, message)?,
            Turn::Said(schema) => break schema,
        }
    };
    put(sender.start(&schema)?, sender, outgoing, incoming).await?;
    let mut waiting = VecDeque::new();
    loop {
        while !sender.has_credit() {
            hear(sender, input, incoming.recv().await)?;
        }
        if let Some(slice) = waiting.pop_front() {
            put(sender.batch(&slice)?, sender, outgoing, incoming).await?;
            continue;
        }
        let turn = tokio::select! {
            biased;
            message = incoming.recv() => Turn::Heard(message),
            given = input.next_given_async() => Turn::Said(given?),
        };
        match turn {
            Turn::Heard(message) => hear(sender, input, message)?,
            Turn::Said(Some(Given::Batch(batch))) => waiting.extend(slices(batch)),
            Turn::Said(Some(Given::Mark(checkpoint))) => {
                put(sender.mark(&checkpoint)?, sender, outgoing, incoming).await?;
            }
            Turn::Said(None) => break,
        }
    }
    put(sender.end()?, sender, outgoing, incoming).await?;
    while heard(sender, incoming.recv().await)? != Some(Answer::Done) {}
    Ok(())
}

enum Turn<T> {
    Heard(Option<Message>),
    Said(T),
}

/// Takes an answer, and tells the source where to go on if that is what it says.
fn hear(sender: &mut Sender, input: &Input, message: Option<Message>) -> Result<(), Error> {
    heard(sender, message)?;
    if let Some(checkpoint) = sender.take_resume() {
        input.resume(checkpoint);
    }
    Ok(())
}

fn heard(sender: &mut Sender, message: Option<Message>) -> Result<Option<Answer>, Error> {
    match message {
        Some(Ok(message)) => sender.handle(&message),
        Some(Err(why)) => Err(Error::Lost(why)),
        None => Err(Error::Lost("the peer closed it".to_owned())),
    }
}

async fn put(
    messages: Vec<Bytes>,
    sender: &mut Sender,
    outgoing: &mpsc::Sender<Message>,
    incoming: &mut mpsc::Receiver<Message>,
) -> Result<(), Error> {
    for message in messages {
        if outgoing.send(Ok(message)).await.is_err() {
            // The peer may have said why before it left.
            loop {
                heard(sender, incoming.recv().await)?;
            }
        }
    }
    Ok(())
}

/// Reads on while the edge is full, so that the connection's pings are answered; credit bounds what piles up.
async fn take(
    receiver: &mut Receiver,
    producer: &Producer,
    outgoing: &mpsc::Sender<Message>,
    incoming: &mut mpsc::Receiver<Message>,
) -> Result<(), Error> {
    let mut feeding: Option<Feeding<'_>> = None;
    let mut resumed: Option<Resumed<'_>> = Some(Box::pin(producer.resumed()));
    loop {
        if feeding.is_none() {
            feeding = match receiver.next_event() {
                Some(Event::End) => return Ok(()),
                Some(event) => Some(Box::pin(feed(producer, event))),
                None => None,
            };
        }
        let listening = !receiver.ended();
        let turn = tokio::select! {
            said = told(resumed.as_mut()), if resumed.is_some() => Heard::Resume(said),
            room = next(feeding.as_mut()), if feeding.is_some() => Heard::Room(room),
            message = incoming.recv(), if listening => Heard::Message(message),
        };
        match turn {
            Heard::Resume(said) => {
                resumed = None;
                // A consumer that is gone goes on from nowhere.
                if let Ok(checkpoint) = said {
                    let _ = outgoing.send(Ok(receiver.resume(checkpoint.as_ref())?)).await;
                }
            }
            Heard::Room(room) => {
                feeding = None;
                if let Some(credit) = receiver.consumed(room)
                    && outgoing.send(Ok(credit)).await.is_err()
                {
                    // What was sent before the connection ended may hold the end of the rows.
                    continue;
                }
            }
            Heard::Message(Some(Ok(message))) => receiver.handle(&message)?,
            Heard::Message(Some(Err(why))) => return Err(Error::Lost(why)),
            Heard::Message(None) => {
                return Err(Error::Lost("the peer closed it before the end of its rows".to_owned()));
            }
        }
    }
}

enum Heard {
    Resume(Result<Option<Checkpoint>, EdgeError>),
    Room(u64),
    Message(Option<Message>),
}

type Feeding<'a> = Pin<Box<dyn Future<Output = u64> + Send + 'a>>;

type Resumed<'a> = Pin<Box<dyn Future<Output = Result<Option<Checkpoint>, EdgeError>> + Send + 'a>>;

async fn told(resumed: Option<&mut Resumed<'_>>) -> Result<Option<Checkpoint>, EdgeError> {
    match resumed {
        Some(resumed) => resumed.await,
        None => Err(EdgeError::ConsumerGone),
    }
}

async fn next(feeding: Option<&mut Feeding<'_>>) -> u64 {
    match feeding {
        Some(feeding) => feeding.await,
        None => 0,
    }
}

/// Gives an event on, or drops it when the consumer is gone; returns the room that it took.
async fn feed(producer: &Producer, event: Event) -> u64 {
    match event {
        Event::Schema(schema) => {
            let _ = producer.start(schema).await;
            0
        }
        Event::Batch(batch, room) => {
            let _ = producer.send(batch).await;
            room
        }
        Event::Mark(checkpoint, room) => {
            let _ = producer.mark(checkpoint).await;
            room
        }
        Event::End => 0,
    }
}
