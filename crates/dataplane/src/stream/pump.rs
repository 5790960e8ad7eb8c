//! The loops that join an edge and a transport. Encoding and decoding take milliseconds a batch: run them on a thread
//! of their own (`Handle::block_on`), not on the runtime's.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Answer, Error, Event, Receiver, Sender, Totals, slices};
use crate::transport::Message;
use crate::{Cancel, Cause, Input, Producer, Transport};

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
    let schema = input.schema_async().await?;
    put(sender.start(&schema)?, sender, outgoing, incoming).await?;
    let mut waiting = VecDeque::new();
    loop {
        while !sender.has_credit() {
            heard(sender, incoming.recv().await)?;
        }
        if let Some(slice) = waiting.pop_front() {
            put(sender.batch(&slice)?, sender, outgoing, incoming).await?;
            continue;
        }
        let turn = tokio::select! {
            biased;
            message = incoming.recv() => Turn::Heard(message),
            batch = input.next_batch_async() => Turn::Batch(batch?),
        };
        match turn {
            Turn::Heard(message) => {
                heard(sender, message)?;
            }
            Turn::Batch(Some(batch)) => waiting.extend(slices(batch)),
            Turn::Batch(None) => break,
        }
    }
    put(sender.end()?, sender, outgoing, incoming).await?;
    while heard(sender, incoming.recv().await)? != Some(Answer::Done) {}
    Ok(())
}

enum Turn {
    Heard(Option<Message>),
    Batch(Option<arrow_array::RecordBatch>),
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
            room = next(feeding.as_mut()), if feeding.is_some() => Ok(room),
            message = incoming.recv(), if listening => Err(message),
        };
        match turn {
            Ok(room) => {
                feeding = None;
                if let Some(credit) = receiver.consumed(room)
                    && outgoing.send(Ok(credit)).await.is_err()
                {
                    // What was sent before the connection ended may hold the end of the rows.
                    continue;
                }
            }
            Err(Some(Ok(message))) => receiver.handle(&message)?,
            Err(Some(Err(why))) => return Err(Error::Lost(why)),
            Err(None) => return Err(Error::Lost("the peer closed it before the end of its rows".to_owned())),
        }
    }
}

type Feeding<'a> = Pin<Box<dyn Future<Output = u64> + Send + 'a>>;

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
        Event::End => 0,
    }
}
