use std::sync::atomic::AtomicU64;
use std::time::Duration;

use proptest::prelude::*;
use sallyport_protocol::{TunnelRefusal, TunnelRefusalCode, TunnelWord};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};

use super::frame::{self, HEAD_BYTES_MAX, Head, Kind};
use super::*;

const LIMITS: Limits = Limits { idle: Duration::from_secs(60), total: Duration::from_secs(3600) };

/// Both ends of a line: the client's, then the server's.
fn pair() -> (Line, Line) {
    let (ours, theirs) = tokio::io::duplex(32 * 1024);
    (Line::new(ours, b"", true), Line::new(theirs, b"", false))
}

/// Both ends of a TCP connection over the loopback.
async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (dialled, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (dialled.unwrap(), accepted.unwrap().0)
}

/// A person's application, its carried line, the splice, the agent's carried line, and the target: joined.
struct World {
    application: TcpStream,
    target: TcpStream,
    joined: std::pin::Pin<Box<dyn Future<Output = Joined> + Send>>,
}

struct Joined {
    person: (Carried, Option<Line>),
    server: Spliced,
    agent: (Carried, Option<Line>),
}

async fn world(limits: Limits) -> World {
    let ((application, theirs), (ours, target)) = (sockets().await, sockets().await);
    let ((person, first), (second, agent)) = (pair(), {
        let (server_side, agent_side) = tokio::io::duplex(32 * 1024);
        (Line::new(server_side, b"", false), Line::new(agent_side, b"", true))
    });
    let joined = Box::pin(async move {
        let bytes = AtomicU64::new(0);
        let moved = [Moved::default(), Moved::default()];
        let (person, server, agent) = tokio::join!(
            carry(person, theirs, &moved[0], std::future::pending(), |_| {}),
            splice(first, second, limits, &bytes, std::future::pending()),
            carry(agent, ours, &moved[1], std::future::pending(), |_| {}),
        );
        Joined { person, server, agent }
    });
    World { application, target, joined }
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|index| (index * 7 + index / 251) as u8).collect()
}

#[tokio::test]
async fn bytes_pass_both_ways_half_closed_and_the_lines_are_free_again() {
    let World { mut application, mut target, joined } = world(LIMITS).await;
    let (up, down) = (bytes(3_000_000), bytes(2_000_001));
    let (sent_up, sent_down) = (up.clone(), down.clone());
    let talk = async move {
        let (mut from, mut to) = application.split();
        let mut got = Vec::new();
        let write = async {
            to.write_all(&sent_up).await.unwrap();
            to.shutdown().await.unwrap();
        };
        tokio::join!(write, async { from.read_to_end(&mut got).await.unwrap() });
        got
    };
    let serve = async move {
        let mut got = Vec::new();
        target.read_to_end(&mut got).await.unwrap();
        // The whole of the question has come before the answer begins: half-close passes through.
        target.write_all(&sent_down).await.unwrap();
        target.shutdown().await.unwrap();
        got
    };
    let (joined, got_down, got_up) = tokio::join!(joined, talk, serve);
    assert!(got_up == up && got_down == down);
    let (carried, person) = joined.person;
    assert_eq!(carried, Carried { sent: 3_000_000, received: 2_000_001, end: End::Done });
    assert_eq!((joined.server.forth, joined.server.back, joined.server.end), (3_000_000, 2_000_001, End::Done));
    assert_eq!(joined.agent.0.sent, 2_000_001);
    // Every line carries the next.
    let (mut person, mut first) = (person.unwrap(), joined.server.first.unwrap());
    person.writer.word(&TunnelWord::Begin).await.unwrap();
    assert_eq!(wait(&mut first).await, Some(TunnelWord::Begin));
    assert!(joined.server.second.is_some() && joined.agent.1.is_some());
}

#[tokio::test]
async fn a_reset_passes_through_and_keeps_the_lines() {
    let World { application, mut target, joined } = world(LIMITS).await;
    let break_off = async {
        let mut application = application;
        application.write_all(b"hello").await.unwrap();
        let mut got = [0; 5];
        target.read_exact(&mut got).await.unwrap();
        application.set_zero_linger().unwrap();
        drop(application);
        target.read(&mut got).await.unwrap_err().kind()
    };
    let (joined, kind) = tokio::join!(joined, break_off);
    assert_eq!(kind, std::io::ErrorKind::ConnectionReset);
    assert!(matches!(joined.person.0.end, End::Reset(_)), "{:?}", joined.person.0);
    assert!(joined.person.1.is_some() && joined.agent.1.is_some(), "the outer lines");
    assert!(joined.server.first.is_some() && joined.server.second.is_some(), "the inner lines");
}

#[tokio::test]
async fn a_lost_line_breaks_the_stream_and_leaves_the_other_line() {
    let ((application, theirs), (person, first), (second, agent)) = (sockets().await, pair(), pair());
    let bytes = AtomicU64::new(0);
    let moved = Moved::default();
    let (person, server, ()) = tokio::join!(
        carry(person, theirs, &moved, std::future::pending(), |_| {}),
        splice(first, second, LIMITS, &bytes, std::future::pending()),
        async { drop(agent) },
    );
    assert!(matches!(server.end, End::Lost(_)));
    assert!(server.first.is_some() && server.second.is_none() && person.1.is_some());
    let mut application = application;
    assert!(application.read(&mut [0]).await.is_err(), "it looked like an orderly end");
}

#[tokio::test]
async fn an_idle_stream_is_ended() {
    let ((mut person, first), (second, mut agent)) = (pair(), pair());
    let bytes = AtomicU64::new(0);
    let answer = async |line: &mut Line| loop {
        if let Event::Word(TunnelWord::Reset { reason }) = line.reader.next().await.unwrap() {
            line.writer.word(&TunnelWord::Reset { reason: reason.clone() }).await.unwrap();
            break reason;
        }
    };
    let (server, reason, _) = tokio::join!(
        splice(first, second, Limits { idle: Duration::from_millis(20), ..LIMITS }, &bytes, std::future::pending()),
        answer(&mut person),
        answer(&mut agent),
    );
    assert!(reason.contains("idle"), "{reason}");
    assert!(server.first.is_some() && server.second.is_some());
}

#[tokio::test]
async fn a_refusal_takes_what_was_sent_already() {
    let ((application, theirs), (person, first)) = (sockets().await, pair());
    let refusal = TunnelRefusal { code: TunnelRefusalCode::Policy, message: "not allowed".to_owned() };
    let mut heard = Vec::new();
    let mut application = application;
    application.write_all(&bytes(100_000)).await.unwrap();
    let moved = Moved::default();
    let (person, first) = tokio::join!(
        carry(person, theirs, &moved, std::future::pending(), |word| heard.push(word)),
        refuse(first, refusal.clone()),
    );
    assert_eq!(heard, [TunnelWord::Refused { refusal }]);
    assert!(person.1.is_some() && first.is_some());
}

#[tokio::test]
async fn a_line_at_rest_is_there_until_its_other_side_goes() {
    let (here, mut there) = pair();
    let (rest, keeping) = Rest::new(here);
    let mut set = tokio::task::JoinSet::new();
    set.spawn(keeping);
    there.writer.beat().await.unwrap();
    let mut here = rest.take().await.unwrap();
    here.writer.word(&TunnelWord::Begin).await.unwrap();
    assert_eq!(there.reader.next().await.unwrap(), Event::Word(TunnelWord::Begin));
    let (rest, keeping) = Rest::new(here);
    drop(there);
    keeping.await;
    assert!(rest.is_over() && rest.take().await.is_none());
}

#[tokio::test]
async fn a_line_is_garbled_by_what_does_not_belong_there() {
    let garbled = async |sent: &[u8]| {
        let (mut raw, theirs): (DuplexStream, _) = tokio::io::duplex(1024);
        raw.write_all(sent).await.unwrap();
        Line::new(theirs, b"", false).reader.next().await
    };
    assert!(garbled(b"\x83\x00").await.is_err(), "an unknown kind");
    assert!(garbled(b"\xC2\x00").await.is_err(), "an extension");
    assert!(garbled(b"\x81\x7F\0\0\0\0\x7f\xff\xff\xff").await.is_err(), "a word of two gigabytes");
    assert!(garbled(b"\x81\x02{]").await.is_err(), "no JSON");
    assert_eq!(garbled(b"\x88\x00").await.unwrap(), Event::Closed);
    // A peer that masks in earnest is understood.
    assert_eq!(garbled(b"\x8A\x80\x01\x02\x03\x04").await.unwrap(), Event::Beat);
}

proptest! {
    #[test]
    fn heads_are_read_as_they_were_written(payload: u32, masked: bool, text: bool, behind: Vec<u8>) {
        // Of every length, not mostly long.
        let payload = payload >> (payload % 32);
        let mut space = [0; HEAD_BYTES_MAX];
        let length = frame::write(&mut space, if text { 1 } else { 2 }, payload as usize, masked);
        let mut bytes = space[HEAD_BYTES_MAX - length..].to_vec();
        for cut in 0..length {
            prop_assert_eq!(Head::parse(&bytes[..cut]).unwrap(), None);
        }
        bytes.extend(behind);
        let kind = if text { Kind::Text } else { Kind::Data };
        let head = Head { kind, payload: payload.into(), mask: [0; 4], bytes: length };
        prop_assert_eq!(Head::parse(&bytes).unwrap(), Some(head));
    }

    #[test]
    fn masks_come_off_in_pieces(whole: Vec<u8>, mask: [u8; 4], cut: prop::sample::Index) {
        let mut masked = whole.clone();
        frame::unmask(&mut masked, mask, 0);
        let cut = cut.index(whole.len() + 1);
        let (one, two) = masked.split_at_mut(cut);
        frame::unmask(one, mask, 0);
        frame::unmask(two, mask, cut as u64);
        prop_assert_eq!(masked, whole);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocking_code_has_a_stream_as_if_it_had_a_socket() {
    use std::io::{ErrorKind, Read as _, Write as _};
    let ((application, line), (mut near, far)) = (pair(), pipe(tokio::runtime::Handle::current()));
    let ((mut socket, theirs), moved) = (sockets().await, [Moved::default(), Moved::default()]);
    let echo = async {
        let serving = carry(line, theirs, &moved[1], std::future::pending(), |_| {});
        let echoing = async move {
            let (mut from, mut to) = socket.split();
            tokio::io::copy(&mut from, &mut to).await.unwrap();
            to.shutdown().await.unwrap();
        };
        tokio::join!(serving, echoing).0
    };
    let blocking = tokio::task::spawn_blocking(move || {
        let sent = bytes(1_000_000);
        near.set_nonblocking(true);
        assert_eq!(near.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        near.set_nonblocking(false);
        near.set_read_timeout(Some(Duration::from_millis(1)));
        assert_eq!(near.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
        near.set_read_timeout(None);
        let (mut at, mut got, mut buffer) = (0, Vec::new(), vec![0; 100_000]);
        while got.len() < sent.len() {
            if at < sent.len() {
                at += near.write(&sent[at..(at + 70_000).min(sent.len())]).unwrap();
            }
            let count = near.read(&mut buffer).unwrap();
            got.extend_from_slice(&buffer[..count]);
        }
        assert!(got == sent);
        // Another thread ends a wait.
        let cut = near.cut();
        let waiting = std::thread::spawn(move || near.read(&mut [0]).unwrap_err().kind());
        cut.cut();
        assert_eq!(waiting.join().unwrap(), ErrorKind::ConnectionAborted);
    });
    let (ours, theirs, done) =
        tokio::join!(carry(application, far, &moved[0], std::future::pending(), |_| {}), echo, blocking);
    done.unwrap();
    assert_eq!((ours.0.sent, ours.0.received, theirs.0.sent), (1_000_000, 1_000_000, 1_000_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocking_code_is_told_why_its_stream_broke() {
    use std::io::{ErrorKind, Read as _, Write as _};
    let ((application, server), (mut near, far)) = (pair(), pipe(tokio::runtime::Handle::current()));
    let moved = Moved::default();
    let blocking = tokio::task::spawn_blocking(move || {
        let read = near.read(&mut [0]).unwrap_err();
        assert_eq!((read.kind(), read.to_string().as_str()), (ErrorKind::ConnectionReset, "the agent was sent away"));
        let written = near.write(&[0]).unwrap_err();
        assert_eq!((written.kind(), written.to_string().as_str()), (ErrorKind::BrokenPipe, "the agent was sent away"));
    });
    let carrying = carry(application, far, &moved, std::future::pending(), |_| {});
    let (carried, _, done) = tokio::join!(carrying, break_off(server, false, "the agent was sent away"), blocking);
    done.unwrap();
    assert_eq!(carried.0.end, End::Reset("the agent was sent away".to_owned()));
}
