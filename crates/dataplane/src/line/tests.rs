//! However often and wherever connections break, the other end gets every byte once and in order.

#![expect(clippy::disallowed_methods, reason = "a task of its own is cut off or waited for by its handle")]

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use tokio::sync::mpsc;

use super::*;

/// Two ends and what is on its way between them.
#[derive(Default)]
struct Pair {
    ends: [Ends; 2],
    flying: [VecDeque<Bytes>; 2],
    came: [Vec<u8>; 2],
}

impl Pair {
    fn new() -> Self {
        let mut pair = Self::default();
        pair.ends.iter_mut().for_each(Ends::connect);
        pair
    }

    /// Everything in flight is lost.
    fn cut(&mut self) {
        self.flying.iter_mut().for_each(VecDeque::clear);
        self.ends.iter_mut().for_each(Ends::connect);
    }

    /// One message of `from` goes out.
    fn send(&mut self, from: usize) -> bool {
        let message = self.ends[from].next_message();
        let sent = message.is_some();
        self.flying[from].extend(message);
        sent
    }

    /// One message of `from` arrives.
    fn arrive(&mut self, from: usize) -> bool {
        let Some(message) = self.flying[from].pop_front() else { return false };
        if let Heard::Data(bytes) = self.ends[1 - from].hear(message).unwrap() {
            self.came[1 - from].extend_from_slice(&bytes);
        }
        true
    }

    fn rest(&mut self) {
        while (0..2).fold(false, |moved, end| moved | self.send(end) | self.arrive(end)) {}
    }
}

/// `length` bytes that tell their place.
fn part(number: usize, length: usize) -> Bytes {
    (0..length).map(|at| ((number * 31 + at) % 251) as u8).collect()
}

proptest! {
    #[test]
    fn every_byte_arrives_once_and_in_order(
        lengths in prop::collection::vec(prop_oneof![0..70_usize, Just(SMALL), Just(300_000_usize)], 1..40),
        steps in prop::collection::vec(0..9_usize, 0..300),
    ) {
        let mut pair = Pair::new();
        let mut given = [Vec::new(), Vec::new()];
        let mut waiting = lengths.into_iter().enumerate();
        for step in steps {
            match step {
                0..=1 => { pair.send(step); }
                2..=3 => { pair.arrive(step - 2); }
                4 => pair.cut(),
                _ => if let Some((number, length)) = waiting.next() {
                    let bytes = part(number, length);
                    given[number % 2].extend_from_slice(&bytes);
                    pair.ends[number % 2].give(bytes);
                },
            }
        }
        pair.ends.iter_mut().for_each(Ends::end);
        pair.rest();
        prop_assert!(pair.ends.iter().all(Ends::is_over));
        prop_assert_eq!(&pair.came[1], &given[0]);
        prop_assert_eq!(&pair.came[0], &given[1]);
    }
}

/// The length that needs care: see `Ends::give`.
const SMALL: usize = 32;

#[test]
fn what_the_peer_has_is_not_kept() {
    let mut pair = Pair::new();
    for number in 0..1000 {
        assert!(pair.ends[0].has_room(), "it keeps what has arrived");
        pair.ends[0].give(part(number, 1024 * 1024));
        pair.rest();
    }
}

#[test]
fn what_the_peer_does_not_have_is_kept_and_bounded() {
    let mut ends = Ends::new();
    let mut given = 0;
    while ends.has_room() {
        ends.give(part(0, 1024 * 1024));
        given += 1024 * 1024;
    }
    assert_eq!(given, KEPT_BYTES_MAX);
}

#[test]
fn a_peer_that_waits_for_what_is_gone_is_refused() {
    let mut pair = Pair::new();
    (0..2000).for_each(|number| pair.ends[0].give(part(number, 100)));
    pair.rest();
    // Another process has taken the peer's place: it has nothing.
    pair.ends[1] = Ends::new();
    pair.cut();
    pair.send(1);
    let hello = pair.flying[1].pop_front().unwrap();
    let refused = pair.ends[0].hear(hello).unwrap_err();
    assert!(refused.0.contains("waits for message 0"), "{refused}");
}

#[test]
fn garbage_is_refused() {
    for garbage in [&b""[..], b"\x01", b"\x02", b"\x03nonsense", b"\x09", b"\x00data before hello"] {
        let mut ends = Ends::new();
        ends.connect();
        assert!(ends.hear(Bytes::copy_from_slice(garbage)).is_err(), "{garbage:?}");
    }
}

/// A stream's end that is held by a line, and where its connections come from.
struct Held {
    stream: Transport,
    line: tokio::task::JoinHandle<()>,
    connections: mpsc::Sender<Result<Transport, String>>,
    leave: Cancel,
}

fn held(connection: Transport) -> Held {
    let (stream, far) = Transport::pair();
    let (connections, next) = mpsc::channel(4);
    let next = Arc::new(tokio::sync::Mutex::new(next));
    let leave = Cancel::new();
    let told = leave.clone();
    let line = tokio::spawn(async move {
        let again = |_| {
            let next = Arc::clone(&next);
            async move { next.lock().await.recv().await.unwrap_or_else(|| Err("gone".to_owned())) }
        };
        hold(far, connection, &told, again).await;
    });
    Held { stream, line, connections, leave }
}

#[tokio::test]
async fn a_lost_connection_is_not_seen_by_the_streams() {
    // What stands between the two connections of the ends, and drops what flies when it is cut.
    fn bridge() -> (Transport, Transport, tokio::task::JoinHandle<()>) {
        let (left, mut near) = Transport::pair();
        let (right, mut far) = Transport::pair();
        let carried = tokio::spawn(async move {
            loop {
                let sent = tokio::select! {
                    Some(message) = near.incoming.recv() => far.outgoing.send(message).await,
                    Some(message) = far.incoming.recv() => near.outgoing.send(message).await,
                    else => return,
                };
                if sent.is_err() {
                    return;
                }
            }
        });
        (left, right, carried)
    }
    let (left, right, mut carried) = bridge();
    let (mut one, mut two) = (held(left), held(right));
    for number in 0..200 {
        one.stream.outgoing.send(Ok(part(number, 1000))).await.unwrap();
        if number % 20 == 10 {
            carried.abort();
            let (left, right, next) = bridge();
            carried = next;
            one.connections.send(Ok(left)).await.unwrap();
            two.connections.send(Ok(right)).await.unwrap();
        }
        assert_eq!(two.stream.incoming.recv().await.unwrap().unwrap(), part(number, 1000));
    }
    two.stream.outgoing.send(Ok(Bytes::from_static(b"done"))).await.unwrap();
    drop(two.stream);
    assert_eq!(one.stream.incoming.recv().await.unwrap().unwrap(), &b"done"[..]);
    drop(one.stream);
    one.line.await.unwrap();
    two.line.await.unwrap();
}

#[tokio::test]
async fn a_line_without_another_connection_says_why() {
    let (connection, peer) = Transport::pair();
    let mut one = held(connection);
    drop(peer);
    one.connections.send(Err("the attempt is over".to_owned())).await.unwrap();
    assert_eq!(one.stream.incoming.recv().await, Some(Err("the attempt is over".to_owned())));
    one.line.await.unwrap();
}

#[tokio::test]
async fn a_stream_that_is_left_ends_soon_whatever_the_peer_does() {
    let (connection, _silent) = Transport::pair();
    let one = held(connection);
    one.stream.outgoing.send(Ok(part(1, 10))).await.unwrap();
    drop(one.stream);
    one.leave.cancel();
    one.line.await.unwrap();
}
