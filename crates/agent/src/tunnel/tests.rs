//! A server that says whatever it likes, over real sockets and a real WebSocket library, against the site's policy.

use std::path::Path;

use futures_util::{SinkExt, StreamExt};
use sallyport_protocol::TunnelRefusalCode as Code;
use sallyport_site::policy::PolicyFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::link::tests::{Fake, Socket};

const MAX: Duration = Duration::from_secs(20);

/// An agent whose site has this policy, and the server it dials.
struct Place {
    fake: Fake,
    tunnels: Tunnels,
    folder: tempfile::TempDir,
}

impl Place {
    async fn new(policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("policy.toml"), policy).unwrap();
        let fake = Fake::start().await;
        let file = Arc::new(PolicyFile::open(&folder.path().join("policy.toml"), Clock::system()));
        let grounds = Grounds {
            policy: Arc::clone(&file),
            egress: Egress::open(&folder.path().join("ledger"), file, Clock::system()).unwrap(),
        };
        let tunnels = Tunnels::new(fake.client("right", &fake.ca), grounds, Clock::system());
        Self { fake, tunnels, folder }
    }

    async fn line(&mut self) -> Socket {
        self.tunnels.take(Ask::Dial(1));
        let (asked, socket) = self.fake.next().await;
        assert_eq!(asked, path::TUNNEL);
        socket
    }
}

fn order(host: &str, port: u16) -> TunnelOrder {
    TunnelOrder {
        tunnel: TunnelId::new(),
        stream: 1,
        connection: "db".to_owned(),
        kind: "tcp".to_owned(),
        host: host.to_owned(),
        port,
        who: "mallory@example.com".to_owned(),
        run: None,
        http: None,
    }
}

async fn say(socket: &mut Socket, word: &TunnelWord) {
    socket.send(Message::Text(serde_json::to_string(word).unwrap().into())).await.unwrap();
}

/// The next word; bytes before it are an error.
async fn hear(socket: &mut Socket) -> TunnelWord {
    loop {
        match tokio::time::timeout(MAX, socket.next()).await.unwrap().unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// What the agent answers to an order.
async fn refusal(socket: &mut Socket, order: TunnelOrder) -> TunnelRefusal {
    say(socket, &TunnelWord::Open { order }).await;
    let TunnelWord::Refused { refusal } = hear(socket).await else { panic!("it was not refused") };
    say(socket, &TunnelWord::Reset { reason: String::new() }).await;
    refusal
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_server_does_not_get_past_the_policy() {
    let (allowed, forbidden) =
        (TcpListener::bind(("127.0.0.1", 0)).await.unwrap(), TcpListener::bind(("127.0.0.1", 0)).await.unwrap());
    let (good, bad) = (allowed.local_addr().unwrap().port(), forbidden.local_addr().unwrap().port());
    let policy = format!("default = \"deny\"\nallow = [\"127.0.0.1:{good}\", \"db.site:{bad}\", \"*.example.com\"]");
    let mut place = Place::new(&policy).await;
    let mut socket = place.line().await;
    // However it is spelt, on one line and by one hostile server after the other.
    for host in ["127.0.0.1", "localhost", "127.1", "0x7f.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "0.0.0.0", "::1"]
    {
        let refusal = refusal(&mut socket, order(host, bad)).await;
        assert!(matches!(refusal.code, Code::Policy | Code::Name), "{host}: {refusal:?}");
    }
    let refusal_of_name = refusal(&mut socket, order("127.0.0.1", bad)).await;
    assert!(refusal_of_name.message.contains("built-in: loopback"), "{refusal_of_name:?}");
    assert!(refusal_of_name.message.contains(&format!("policy allow 127.0.0.1:{bad}")), "{refusal_of_name:?}");
    let metadata = refusal(&mut socket, order("169.254.169.254", 80)).await;
    assert!(metadata.code == Code::Policy && metadata.message.contains("metadata"), "{metadata:?}");
    let elsewhere = refusal(&mut socket, order("192.0.2.7", 5432)).await;
    assert!(elsewhere.code == Code::Policy && elsewhere.message.contains("default"), "{elsewhere:?}");
    assert!(
        tokio::time::timeout(Duration::from_millis(100), forbidden.accept()).await.is_err(),
        "a connection came through"
    );
    // What the site allows is reached on the same line.
    say(&mut socket, &TunnelWord::Open { order: order("127.0.0.1", good) }).await;
    assert!(matches!(hear(&mut socket).await, TunnelWord::Opened { .. }));
    allowed.accept().await.unwrap();
    place.tunnels.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_can_forbid_tunnels_and_the_change_holds_at_once() {
    let target = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = target.local_addr().unwrap().port();
    let mut place = Place::new("default = \"allow\"\ntunnels = false\nallow = [\"*\"]").await;
    let mut socket = place.line().await;
    let refused = refusal(&mut socket, order("127.0.0.1", port)).await;
    assert!(refused.code == Code::Policy && refused.message.contains("tunnels = false"), "{refused:?}");
    let file: &Path = &place.folder.path().join("policy.toml");
    std::fs::write(file, "default = \"allow\"\nallow = [\"*\"]").unwrap();
    let opened = async {
        loop {
            say(&mut socket, &TunnelWord::Open { order: order("127.0.0.1", port) }).await;
            match hear(&mut socket).await {
                TunnelWord::Opened { address, .. } => return address,
                _ => say(&mut socket, &TunnelWord::Reset { reason: String::new() }).await,
            }
        }
    };
    assert_eq!(tokio::time::timeout(MAX, opened).await.unwrap(), format!("127.0.0.1:{port}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_line_carries_stream_after_stream_and_names_what_fails() {
    let target = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = target.local_addr().unwrap().port();
    let mut place = Place::new("default = \"allow\"\nallow = [\"*\"]").await;
    let mut socket = place.line().await;
    for round in 0..3_u8 {
        say(&mut socket, &TunnelWord::Open { order: order("localhost", port) }).await;
        assert!(matches!(hear(&mut socket).await, TunnelWord::Opened { .. }));
        let (mut accepted, _) = target.accept().await.unwrap();
        socket.send(Message::Binary(vec![round; 100_000].into())).await.unwrap();
        say(&mut socket, &TunnelWord::Fin).await;
        let mut got = Vec::new();
        accepted.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, vec![round; 100_000]);
        accepted.write_all(b"answer").await.unwrap();
        drop(accepted);
        let answer = tokio::time::timeout(MAX, socket.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(answer, Message::Binary(b"answer".as_slice().into()));
        assert_eq!(hear(&mut socket).await, TunnelWord::Fin);
    }
    drop(target);
    let refused = refusal(&mut socket, order("127.0.0.1", port)).await;
    assert!(refused.code == Code::Refused && refused.message.contains("nothing listens"), "{refused:?}");
    let unknown = refusal(&mut socket, order("no-such-host.invalid", port)).await;
    assert!(unknown.code == Code::Name, "{unknown:?}");
}
