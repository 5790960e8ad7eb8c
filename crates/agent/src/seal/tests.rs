//! Two agents, and whoever lies between them.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use sallyport_dataplane::stream::MESSAGE_BYTES_MAX;
use sallyport_protocol::{AgentId, Timestamp};

use super::*;

const MAX: Duration = Duration::from_secs(20);

/// A site with its agent.
struct Site {
    agent: AgentId,
    seal: Arc<Seal>,
    folder: tempfile::TempDir,
}

fn seal_in(folder: &Path) -> Arc<Seal> {
    let key = OwnKey::open(&folder.join("key.p8")).unwrap();
    Arc::new(Seal::new(key, Peers::at(&folder.join("peers.json")), Clock::fixed(Timestamp(1))))
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { agent: AgentId::new(), seal: seal_in(folder.path()), folder }
    }

    /// The agent with another key, as after a new installation.
    fn anew(&mut self) {
        std::fs::remove_file(self.folder.path().join("key.p8")).unwrap();
        self.seal = seal_in(self.folder.path());
    }

    fn end(&self, other: &Site, side: Side, name: &str) -> (Sealer, Worker) {
        let peer = Peer { agent: other.agent, name: "the other".to_owned() };
        Sealer::new(Arc::clone(&self.seal), Stream { peer, side, name: name.to_owned() })
    }
}

/// Both ends of one stream, their workers running in the test's runtime.
struct Pair {
    left: Sealer,
    right: Sealer,
    tasks: tokio::task::JoinSet<()>,
}

impl Pair {
    fn new(left: &Site, right: &Site) -> Self {
        Self::named(left, right, "run/step", "run/step")
    }

    fn named(left: &Site, right: &Site, one: &str, other: &str) -> Self {
        let (left_end, left_worker) = left.end(right, Side::Producer, one);
        let (right_end, right_worker) = right.end(left, Side::Consumer, other);
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(left_worker.run());
        tasks.spawn(right_worker.run());
        Self { left: left_end, right: right_end, tasks }
    }

    async fn open(&self) -> (Result<Transport, Error>, Result<Transport, Error>) {
        let (a, b) = Transport::pair();
        self.open_over(a, b).await
    }

    async fn open_over(&self, a: Transport, b: Transport) -> (Result<Transport, Error>, Result<Transport, Error>) {
        let both = async { tokio::join!(self.left.seal(a), self.right.seal(b)) };
        tokio::time::timeout(MAX, both).await.unwrap()
    }

    async fn ended(mut self) {
        drop((self.left, self.right));
        let all = async { while self.tasks.join_next().await.is_some() {} };
        tokio::time::timeout(MAX, all).await.unwrap();
    }
}

async fn next(transport: &mut Transport) -> Option<Result<Bytes, String>> {
    tokio::time::timeout(MAX, transport.incoming.recv()).await.unwrap()
}

#[tokio::test]
async fn messages_of_every_size_arrive_whole_and_in_order_both_ways() {
    let (north, south) = (Site::new(), Site::new());
    let pair = Pair::new(&north, &south);
    let (left, right) = pair.open().await;
    let (mut left, mut right) = (left.unwrap(), right.unwrap());
    for size in [0, 1, 31, 32, 16_383, 16_384, 16_385, 1 << 20, MESSAGE_BYTES_MAX] {
        let message = Bytes::from(vec![(size % 251) as u8; size]);
        left.outgoing.send(Ok(message.clone())).await.unwrap();
        assert_eq!(next(&mut right).await, Some(Ok(message.clone())), "{size} bytes");
        right.outgoing.send(Ok(message.clone())).await.unwrap();
        assert_eq!(next(&mut left).await, Some(Ok(message)), "{size} bytes back");
    }
    drop(left.outgoing);
    assert_eq!(next(&mut right).await, None, "an end is an end");
    right.outgoing.send(Ok(Bytes::from_static(b"the rest"))).await.unwrap();
    drop(right);
    assert_eq!(left.incoming.recv().await, Some(Ok(Bytes::from_static(b"the rest"))));
    assert_eq!(left.incoming.recv().await, None);
    drop(left.incoming);
    pair.ended().await;
}

#[tokio::test]
async fn who_lies_between_reads_nothing_and_changes_nothing() {
    let (north, south) = (Site::new(), Site::new());
    let pair = Pair::new(&north, &south);
    let ((a, mut from_left), (b, mut from_right)) = (Transport::pair(), Transport::pair());
    let secret = b"salary of the director";
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let between = async move {
        let mut touched = 0;
        loop {
            tokio::select! {
                Some(Ok(bytes)) = from_left.incoming.recv() => {
                    record.lock().unwrap().extend_from_slice(&bytes);
                    let mut bytes = bytes.to_vec();
                    // Behind the handshake: the second message of the stream.
                    if bytes.len() > 5000 {
                        touched += 1;
                        if touched == 2 {
                            bytes[2000] ^= 1;
                        }
                    }
                    if from_right.outgoing.send(Ok(bytes.into())).await.is_err() { return }
                }
                Some(Ok(bytes)) = from_right.incoming.recv() => {
                    if from_left.outgoing.send(Ok(bytes)).await.is_err() { return }
                }
                else => return,
            }
        }
    };
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(between);
    let (left, right) = pair.open_over(a, b).await;
    let (left, mut right) = (left.unwrap(), right.unwrap());
    let message = Bytes::from(secret.repeat(1000));
    left.outgoing.send(Ok(message.clone())).await.unwrap();
    assert_eq!(next(&mut right).await, Some(Ok(message.clone())));
    assert!(!seen.lock().unwrap().windows(secret.len()).any(|window| window == secret));
    left.outgoing.send(Ok(message)).await.unwrap();
    let got = next(&mut right).await;
    assert!(matches!(&got, Some(Err(why)) if why.contains("broken")), "{got:?}");
}

#[tokio::test]
async fn a_cut_is_no_end() {
    let (north, south) = (Site::new(), Site::new());
    let pair = Pair::new(&north, &south);
    let ((a, from_left), (b, from_right)) = (Transport::pair(), Transport::pair());
    let mut tasks = tokio::task::JoinSet::new();
    let (cut, cutting) = oneshot::channel::<()>();
    tasks.spawn(async move {
        let (mut left, mut right) = (from_left, from_right);
        tokio::select! {
            _ = cutting => {}
            () = async {
                loop {
                    tokio::select! {
                        Some(got) = left.incoming.recv() => drop(right.outgoing.send(got).await),
                        Some(got) = right.incoming.recv() => drop(left.outgoing.send(got).await),
                        else => return,
                    }
                }
            } => {}
        }
    });
    let (left, right) = pair.open_over(a, b).await;
    let (_left, mut right) = (left.unwrap(), right.unwrap());
    cut.send(()).unwrap();
    let got = next(&mut right).await;
    assert!(matches!(&got, Some(Err(why)) if why.contains("cut off")), "{got:?}");
}

#[tokio::test]
async fn a_changed_key_stops_the_stream_until_it_is_forgotten() {
    let (mut north, south) = (Site::new(), Site::new());
    assert!(matches!(Pair::new(&north, &south).open().await, (Ok(_), Ok(_))));
    assert!(matches!(Pair::new(&north, &south).open().await, (Ok(_), Ok(_))), "the same keys again");
    north.anew();
    for (left, right) in [
        Pair::new(&north, &south).open().await,
        // Whoever dials.
        {
            let (right, left) = Pair::new(&south, &north).open().await;
            (left, right)
        },
    ] {
        let (Err(Error::Key(there)), Err(Error::Key(here))) = (left, right) else {
            panic!("a changed key was believed")
        };
        assert!(here.contains("has changed") && here.contains("keys forget"), "{here}");
        assert!(there.contains("does not believe"), "{there}");
    }
    Peers::at(&south.folder.path().join("peers.json")).forget("the other").unwrap();
    assert!(matches!(Pair::new(&north, &south).open().await, (Ok(_), Ok(_))));
}

#[tokio::test]
async fn streams_cannot_be_crossed() {
    let (north, south) = (Site::new(), Site::new());
    let (left, right) = Pair::named(&north, &south, "run/1", "run/2").open().await;
    assert!(matches!((&left, &right), (Err(Error::Broken(_)), Err(Error::Broken(_)))), "{left:?} {right:?}");
}

#[tokio::test]
async fn a_new_connection_is_sealed_anew_while_the_last_one_hangs() {
    let (north, south) = (Site::new(), Site::new());
    let pair = Pair::new(&north, &south);
    let first = pair.open().await;
    let (Ok(_left), Ok(_right)) = &first else { panic!("{first:?}") };
    let (left, right) = pair.open().await;
    let (left, mut right) = (left.unwrap(), right.unwrap());
    left.outgoing.send(Ok(Bytes::from_static(b"again"))).await.unwrap();
    assert_eq!(next(&mut right).await, Some(Ok(Bytes::from_static(b"again"))));
}
