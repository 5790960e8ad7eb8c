//! Streams between two real sockets.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use sallyport_domain::licence::Tier;
use sallyport_protocol::{AgentId, DataReply, DataRequest, Refusal, RefusalCode, Ticket, path};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::Relay;
use crate::rig::{DEADLINE, Login, Rig, Socket, hear, say};

const LONG: Duration = Duration::from_secs(60);

/// Two agents' data connections, attached to each other: the producer's, then the consumer's.
async fn stream(rig: &Rig) -> (Socket, Socket) {
    let (one, two) = (rig.agent("one").await, rig.agent("two").await);
    let (to_one, to_two) = rig.relay.open(one.agent, two.agent).unwrap();
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
async fn a_ticket_is_good_for_one_use_by_one_agent() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let (one, two) = (rig.agent("one").await, rig.agent("two").await);
    let (to_one, _) = rig.relay.open(one.agent, two.agent).unwrap();
    assert!(attach(&rig, &two, to_one.clone()).await.is_err(), "it is another agent's");
    assert!(attach(&rig, &one, Ticket::new("0123")).await.is_err(), "it was never made");
    let mut first = rig.dial(path::DATA, &one).await.unwrap();
    say(&mut first, &DataRequest::Attach { ticket: to_one.clone() }).await;
    // The first use waits for the other side; a second one is refused, whichever the server meets first.
    let mut second = rig.dial(path::DATA, &one).await.unwrap();
    say(&mut second, &DataRequest::Attach { ticket: to_one }).await;
    let refused = tokio::select! {
        reply = hear::<DataReply>(&mut first) => reply,
        reply = hear::<DataReply>(&mut second) => reply,
    };
    assert!(matches!(refused, DataReply::Refused { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_in_the_process_is_one_end() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let (one, inside) = (rig.agent("one").await, AgentId::new());
    let relay = rig.relay.clone();
    let (to_one, to_inside) = relay.open(one.agent, inside).unwrap();
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

#[tokio::test]
async fn tickets_do_not_pile_up_when_nobody_comes() {
    let relay = Relay::new();
    relay.open(AgentId::new(), AgentId::new()).unwrap();
    let past = tokio::time::Instant::now();
    relay.table().seats.values_mut().for_each(|seat| seat.deadline = past);
    relay.open(AgentId::new(), AgentId::new()).unwrap();
    assert_eq!(relay.table().seats.len(), 2);
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
