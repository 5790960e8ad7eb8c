//! Streams between two real sockets.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use sallyport_domain::licence::Tier;
use sallyport_domain::run::Streaming;
use sallyport_protocol::{
    AgentId, AttemptKey, ConnectionId, DataReply, DataRequest, EnvironmentId, Refusal, RefusalCode, RunId, Ticket,
    TunnelId, path,
};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::{Passage, Relay, Stream};
use crate::rig::{DEADLINE, Login, Rig, Socket, hear, say};

const LONG: Duration = Duration::from_secs(60);

fn at_work(key: AttemptKey) -> Streaming {
    Streaming { key, served: Vec::new() }
}

/// The tickets of a stream of an attempt that is at work.
fn tickets(relay: &Relay, producer: AgentId, consumer: AgentId) -> (Ticket, Ticket) {
    let key = AttemptKey { run: RunId::new(), pipeline: 0, attempt: 1, fence: 1 };
    relay.set_at_work(key.run, vec![at_work(key)]);
    relay.open(Stream { key, from: 0, to: 1 }, producer, consumer).unwrap()
}

/// Two agents' data connections, attached to each other: the producer's, then the consumer's.
async fn stream(rig: &Rig) -> (Socket, Socket) {
    let (one, two) = (rig.agent("one").await, rig.agent("two").await);
    let (to_one, to_two) = tickets(&rig.relay, one.agent, two.agent);
    let (producer, consumer) = tokio::join!(attach(rig, &one, to_one), attach(rig, &two, to_two));
    (producer.unwrap(), consumer.unwrap())
}

async fn attach(rig: &Rig, login: &Login, ticket: Ticket) -> Result<Socket, String> {
    let mut socket = rig.dial(path::DATA, login).await.unwrap();
    say(&mut socket, &DataRequest::Attach { ticket }).await;
    match hear(&mut socket).await {
        DataReply::Ready => Ok(socket),
        DataReply::Refused { refusal } => Err(refusal.message),
        DataReply::Unknown => Err("an answer that this build does not know".to_owned()),
    }
}

async fn binary(socket: &mut Socket) -> Bytes {
    loop {
        match timeout(DEADLINE, socket.next()).await {
            Ok(Some(Ok(Message::Binary(bytes)))) => return bytes,
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_pass_both_ways_in_order_and_a_close_passes_on() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let (mut producer, mut consumer) = stream(&rig).await;
    for number in 0..100_u8 {
        producer.send(Message::binary(vec![number; 1000])).await.unwrap();
    }
    for number in 0..100_u8 {
        assert_eq!(binary(&mut consumer).await, vec![number; 1000]);
    }
    consumer.send(Message::binary(&b"credit"[..])).await.unwrap();
    assert_eq!(binary(&mut producer).await, &b"credit"[..]);
    producer.send(Message::binary(&b"last"[..])).await.unwrap();
    producer.close(None).await.unwrap();
    assert_eq!(binary(&mut consumer).await, &b"last"[..]);
    let end = timeout(DEADLINE, consumer.next()).await.unwrap();
    assert!(matches!(end, Some(Ok(Message::Close(_)))), "{end:?}");
    let figures = rig.relay.figures();
    assert_eq!((figures.streams_total, figures.bytes_total), (1, 100_000 + 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_end_is_told_from_a_closed_one() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let (producer, mut consumer) = stream(&rig).await;
    drop(producer);
    let end = timeout(DEADLINE, consumer.next()).await.unwrap();
    let Some(Ok(Message::Close(Some(frame)))) = end else { panic!("{end:?}") };
    assert_eq!(u16::from(frame.code), 1011);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_good_for_one_agent_while_its_attempt_is_at_work() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let (one, two) = (rig.agent("one").await, rig.agent("two").await);
    let key = AttemptKey { run: RunId::new(), pipeline: 0, attempt: 1, fence: 1 };
    let stream = Stream { key, from: 0, to: 1 };
    let (to_one, _) = rig.relay.open(stream, one.agent, two.agent).unwrap();
    assert!(attach(&rig, &one, to_one.clone()).await.is_err(), "the attempt is not at work");
    rig.relay.set_at_work(key.run, vec![at_work(AttemptKey { attempt: 2, fence: 2, ..key })]);
    assert!(attach(&rig, &one, to_one.clone()).await.is_err(), "a newer attempt is at work");
    rig.relay.set_at_work(key.run, vec![at_work(key)]);
    assert!(attach(&rig, &two, to_one.clone()).await.is_err(), "it is another agent's");
    assert!(attach(&rig, &one, Ticket::new("0123")).await.is_err(), "it was never made");
    let (forged, _) = Relay::new(crate::rig::key()).open(stream, one.agent, two.agent).unwrap();
    assert!(attach(&rig, &one, forged).await.is_err(), "another server has signed it");
    let changed = to_one.expose().replacen('e', "f", 1);
    assert!(attach(&rig, &one, Ticket::new(changed)).await.is_err(), "it was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_comes_again_takes_the_place_of_its_older_connection() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let (one, two) = (rig.agent("one").await, rig.agent("two").await);
    let (to_one, to_two) = tickets(&rig.relay, one.agent, two.agent);
    let both = || async { tokio::join!(attach(&rig, &one, to_one.clone()), attach(&rig, &two, to_two.clone())) };
    let (old_producer, old_consumer) = both().await;
    let (mut old_producer, mut old_consumer) = (old_producer.unwrap(), old_consumer.unwrap());
    // The old connections are not closed by their agents: they may hang for long.
    let (producer, consumer) = both().await;
    let (mut producer, mut consumer) = (producer.unwrap(), consumer.unwrap());
    for socket in [&mut old_producer, &mut old_consumer] {
        let end = timeout(DEADLINE, socket.next()).await.unwrap();
        assert!(matches!(end, None | Some(Err(_)) | Some(Ok(Message::Close(_)))), "{end:?}");
    }
    producer.send(Message::binary(&b"rows"[..])).await.unwrap();
    assert_eq!(binary(&mut consumer).await, &b"rows"[..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_does_not_wait_for_a_consumer_that_has_everything() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let (one, two) = (rig.agent("one").await, rig.agent("two").await);
    let key = AttemptKey { run: RunId::new(), pipeline: 0, attempt: 1, fence: 1 };
    rig.relay.set_at_work(key.run, vec![at_work(key)]);
    let (to_one, to_two) = rig.relay.open(Stream { key, from: 0, to: 1 }, one.agent, two.agent).unwrap();
    // The word comes while it waits, and before it asks.
    let told = async {
        while rig.relay.waiting() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        rig.relay.set_at_work(key.run, vec![Streaming { key, served: vec![1] }]);
    };
    let (waited, ()) = tokio::join!(attach(&rig, &one, to_one.clone()), told);
    for refused in [waited, attach(&rig, &one, to_one).await] {
        let why = refused.err().unwrap();
        assert!(why.contains("has taken every row"), "{why}");
    }
    let consumer = timeout(Duration::from_millis(200), attach(&rig, &two, to_two)).await;
    assert!(consumer.is_err(), "a consumer that comes again waits: its word may not have been the last");
}

#[test]
fn tickets_outlive_the_process_that_made_them() {
    let secrets = crate::rig::key();
    let (one, two) = (AgentId::new(), AgentId::new());
    let (before, after) = (Relay::new(secrets.clone()), Relay::new(secrets));
    let key = AttemptKey { run: RunId::new(), pipeline: 0, attempt: 1, fence: 1 };
    let (to_one, _) = before.open(Stream { key, from: 0, to: 1 }, one, two).unwrap();
    after.set_at_work(key.run, vec![at_work(key)]);
    assert!(after.take_seat(one, &to_one).is_ok());
}

#[test]
fn a_passage_is_good_for_its_agent_while_its_attempt_is_at_work() {
    let relay = Relay::new(crate::rig::key());
    let key = AttemptKey { run: RunId::new(), pipeline: 0, attempt: 1, fence: 1 };
    let (agent, environment, connection) = (AgentId::new(), EnvironmentId::new(), ConnectionId::new());
    let who = "ada@example.com, step `read`".to_owned();
    let passage = Passage { key, agent, environment, connection, tunnel: TunnelId::new(), who };
    let ticket = relay.permit(&passage).unwrap();
    assert!(relay.permitted(agent, &ticket).is_err(), "the attempt is not at work yet");
    relay.set_at_work(key.run, vec![at_work(key)]);
    assert_eq!(relay.permitted(agent, &ticket), Ok(passage.clone()));
    assert!(relay.permitted(AgentId::new(), &ticket).is_err(), "it is another agent's");
    assert!(relay.take_seat(agent, &ticket).is_err(), "it is no end of a stream between agents");
    let (end, _) = relay.open(Stream { key, from: 0, to: 1 }, agent, AgentId::new()).unwrap();
    assert!(relay.permitted(agent, &end).is_err(), "an end of a stream is no passage");
    let forged = Relay::new(crate::rig::key()).permit(&passage).unwrap();
    assert!(relay.permitted(agent, &forged).is_err(), "another server has signed it");
    relay.set_at_work(key.run, vec![at_work(AttemptKey { attempt: 2, fence: 2, ..key })]);
    assert!(relay.permitted(agent, &ticket).is_err(), "a newer attempt is at work");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_in_the_process_is_one_end() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let (one, inside) = (rig.agent("one").await, AgentId::new());
    let relay = rig.relay.clone();
    let (to_one, to_inside) = tickets(&relay, one.agent, inside);
    let (socket, transport) = tokio::join!(attach(&rig, &one, to_one), relay.attach_local(inside, &to_inside));
    let (mut socket, mut transport) = (socket.unwrap(), transport.unwrap());
    socket.send(Message::binary(&b"rows"[..])).await.unwrap();
    let came = timeout(DEADLINE, transport.incoming.recv()).await.unwrap().unwrap().unwrap();
    assert_eq!(came, &b"rows"[..]);
    transport.outgoing.send(Ok(Bytes::from_static(b"done"))).await.unwrap();
    assert_eq!(binary(&mut socket).await, &b"done"[..]);
    drop(transport);
    let end = timeout(DEADLINE, socket.next()).await.unwrap();
    assert!(matches!(end, Some(Ok(Message::Close(_)))), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_back_the_writer_and_bounds_memory() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let (mut producer, mut consumer) = stream(&rig).await;
    let part = Bytes::from(vec![7; 256 * 1024]);
    let mut sent = 0_usize;
    // The consumer reads nothing: sockets and buffers fill, then nothing more is taken.
    while timeout(Duration::from_secs(1), producer.send(Message::Binary(part.clone()))).await.is_ok() {
        sent += part.len();
        assert!(sent < 256 * 1024 * 1024, "nothing holds the writer back");
    }
    let passed = rig.relay.figures().bytes_total;
    assert!(passed < 64 * 1024 * 1024, "the relay took {passed} bytes that nobody reads");
    // Once it reads, everything comes; the message that was held back too.
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        producer.flush().await.unwrap();
        producer.close(None).await.unwrap();
        while let Some(Ok(_)) = producer.next().await {}
    });
    let mut came = 0;
    while let Some(Ok(message)) = timeout(DEADLINE, consumer.next()).await.unwrap() {
        match message {
            Message::Binary(bytes) => came += bytes.len(),
            Message::Close(_) => break,
            _ => {}
        }
    }
    assert!(came >= sent, "{came} of {sent} bytes came");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gigabyte_passes() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let (mut producer, mut consumer) = stream(&rig).await;
    const PARTS: usize = 1024;
    let part = Bytes::from(vec![7; 1024 * 1024]);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for _ in 0..PARTS {
            producer.feed(Message::Binary(part.clone())).await.unwrap();
        }
        producer.flush().await.unwrap();
        producer
    });
    let mut came = 0;
    while came < PARTS * 1024 * 1024 {
        came += binary(&mut consumer).await.len();
    }
    assert_eq!(came, PARTS * 1024 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_one_of_its_agents_is_sent_away() {
    for name in ["one", "two"] {
        let rig = Rig::start(Tier::Premium, LONG).await;
        let (mut producer, mut consumer) = stream(&rig).await;
        let agent = rig.store.agent(rig.environment, name).await.unwrap().id;
        let code = RefusalCode::RevokedCredentials;
        rig.gateway.disconnect(agent, Refusal { code, message: "rotated".into(), retry_after_seconds: None });
        for socket in [&mut producer, &mut consumer] {
            let end = timeout(DEADLINE, socket.next()).await.unwrap();
            assert!(matches!(end, None | Some(Err(_)) | Some(Ok(Message::Close(_)))), "{name}: {end:?}");
        }
    }
}
