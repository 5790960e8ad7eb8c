//! Moves messages between two ends, both ways, until one of them ends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::end::{Arrival, Broken, End, Source, Target};

/// Below the usual 60 s after which load balancers cut an idle connection.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(20);

/// How long an end may take to hear that the stream is over.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// How long an end may refuse to take a byte. Streams have credits, so a living end always takes what was sent.
const STALL_MAX: Duration = Duration::from_secs(120);

/// How one direction ended.
enum Ended {
    /// The source closed; all it said was passed on.
    Closed,
    /// The source broke off.
    Lost(String),
    /// The target broke off.
    TargetLost(String),
}

/// Carries a stream to its end; closes both ends.
pub(super) async fn splice(producer: End, consumer: End, bytes: &AtomicU64) {
    let (mut from_producer, mut to_producer) = producer.split();
    let (mut from_consumer, mut to_consumer) = consumer.split();
    let (ended, forth) = tokio::select! {
        ended = forward(&mut from_producer, &mut to_consumer, bytes) => (ended, true),
        ended = forward(&mut from_consumer, &mut to_producer, bytes) => (ended, false),
    };
    let (source, target) = if forth { ("producer", "consumer") } else { ("consumer", "producer") };
    let (of_producer, of_consumer) = match &ended {
        Ended::Closed => (None, None),
        Ended::Lost(why) => {
            tracing::info!(side = source, why, "a data connection was lost");
            (Some(why.as_str()), Some(why.as_str()))
        }
        Ended::TargetLost(why) => {
            tracing::info!(side = target, why, "a data connection was lost");
            (Some(why.as_str()), Some(why.as_str()))
        }
    };
    let closing = async { tokio::join!(to_producer.close(of_producer), to_consumer.close(of_consumer)) };
    let closed = tokio::time::timeout(CLOSE_WITHIN, closing).await.is_ok();
    drop((to_producer, to_consumer));
    if closed {
        // Reading on lets the close reach the peers before the sockets are dropped with data unread.
        let drain = async { tokio::join!(drain(&mut from_producer), drain(&mut from_consumer)) };
        let _ = tokio::time::timeout(CLOSE_WITHIN, drain).await;
    }
}

/// Each message is written before the next is read: a slow target slows its source through TCP.
async fn forward(source: &mut Source, target: &mut Target, bytes: &AtomicU64) -> Ended {
    loop {
        let arrival = match source.now() {
            Some(arrival) => arrival,
            // Nothing is there right now: only then is what was written pushed out.
            None => match wait(source, target).await {
                Ok(arrival) => arrival,
                Err(Broken(why)) => return Ended::TargetLost(why),
            },
        };
        match arrival {
            Arrival::Data(data) => {
                bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
                match tokio::time::timeout(STALL_MAX, target.feed(data)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(Broken(why))) => return Ended::TargetLost(why),
                    Err(_) => return Ended::TargetLost("it took no data for too long".to_owned()),
                }
            }
            Arrival::Nothing => {}
            Arrival::Closed => {
                return match target.flush().await {
                    Ok(()) => Ended::Closed,
                    Err(Broken(why)) => Ended::TargetLost(why),
                };
            }
            Arrival::Lost(why) => return Ended::Lost(why),
        }
    }
}

async fn wait(source: &mut Source, target: &mut Target) -> Result<Arrival, Broken> {
    match tokio::time::timeout(STALL_MAX, target.flush()).await {
        Ok(flushed) => flushed?,
        Err(_) => return Err(Broken("it took no data for too long".to_owned())),
    }
    loop {
        match tokio::time::timeout(PING_EVERY, source.next()).await {
            Ok(arrival) => return Ok(arrival),
            Err(_) => target.ping().await?,
        }
    }
}

async fn drain(source: &mut Source) {
    while matches!(source.next().await, Arrival::Data(_) | Arrival::Nothing) {}
}
