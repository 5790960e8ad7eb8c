//! The first start, the second, TLS, health, and the stop.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sallyport_server::{Config, Flags};
use tokio_util::sync::CancellationToken;

use crate::server::{Server, flags};

fn tls_flags(folder: &std::path::Path, url: &str) -> Flags {
    Flags { behind_proxy: false, public_url: Some(url.into()), ..flags(folder) }
}

fn fetch(server: &Server, name: &str) -> Result<String, String> {
    let ca = server.ready.ca_file.as_ref().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), ServerName::try_from(name.to_owned()).unwrap()).unwrap();
    let stream = TcpStream::connect(server.ready.listening).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    let request = format!("GET /livez HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    // Whether the peer says goodbye in TLS does not matter here.
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8(answer).unwrap())
}

#[test]
fn the_own_certificate_is_trusted_through_the_own_ca_and_only_for_its_names() {
    let folder = tempfile::tempdir().unwrap();
    let flags = tls_flags(folder.path(), "https://server.example.org:8443");
    let server = Server::with(folder, &flags);
    for name in ["server.example.org", "localhost", "127.0.0.1"] {
        assert!(fetch(&server, name).unwrap().starts_with("HTTP/1.1 200"), "{name}");
    }
    let error = fetch(&server, "other.example.org").unwrap_err();
    assert!(error.contains("certificate"), "{error}");
}

#[test]
fn a_second_start_keeps_everything_and_a_new_name_gets_a_new_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let flags = tls_flags(folder.path(), "https://server.example.org");
    let server = Server::with(folder, &flags);
    let read = |server: &Server, name: &str| std::fs::read(server.data_dir().join(name)).unwrap();
    let files = ["secret.key", "tls/ca.pem", "tls/ca.key", "tls/server.pem", "tls/server.key"];
    let before = files.map(|file| read(&server, file));
    let first_link = server.ready.setup_link();
    assert!(first_link.is_some());

    let server = Server::with(server.stop(), &flags);
    assert_eq!(files.map(|file| read(&server, file)), before);
    assert!(server.ready.setup_link().is_some(), "the password is not set yet: a new link");
    assert_ne!(server.ready.setup_link(), first_link);

    let folder = server.stop();
    let flags = tls_flags(folder.path(), "https://renamed.example.org");
    let server = Server::with(folder, &flags);
    assert_eq!(read(&server, "tls/ca.pem"), before[1], "agents keep trusting the CA");
    assert_ne!(read(&server, "tls/server.pem"), before[3]);
    assert!(fetch(&server, "renamed.example.org").unwrap().starts_with("HTTP/1.1 200"));
}

#[cfg(unix)]
#[test]
fn keys_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let flags = tls_flags(folder.path(), "https://server.example.org");
    let server = Server::with(folder, &flags);
    for file in ["secret.key", "sallyport.db", "sallyport.db-wal", "tls/ca.key", "tls/server.key"] {
        let mode = std::fs::metadata(server.data_dir().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}");
    }
}

#[test]
fn one_data_folder_serves_one_server() {
    let server = Server::start();
    let config = Config::load(&flags(&server.data_dir())).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let error = runtime.block_on(sallyport_server::run(config, CancellationToken::new())).unwrap_err();
    assert!(error.to_string().contains("another server uses the data folder"), "{error}");
}

#[test]
fn a_lost_key_is_said_and_not_replaced() {
    let server = Server::start();
    let folder = server.stop();
    std::fs::remove_file(folder.path().join("secret.key")).unwrap();
    let config = Config::load(&flags(folder.path())).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let error = runtime.block_on(sallyport_server::run(config, CancellationToken::new())).unwrap_err();
    assert!(error.to_string().contains("secret.key") && error.to_string().contains("backup"), "{error}");
}

#[test]
fn health_and_figures_need_no_login() {
    let server = Server::start();
    let stranger = server.stranger();
    assert_eq!(stranger.get("/livez").text(), "ok\n");
    assert_eq!(stranger.get("/readyz").text(), "ok\n");
    // Words that a stranger invents do not fill the figures.
    assert_eq!(stranger.send("BREW", "/livez", &[], b"").status, 405);
    let metrics = stranger.get("/metrics").text();
    assert!(metrics.contains("sallyport_http_requests_total{"), "{metrics}");
    assert!(!metrics.contains("BREW") && metrics.contains("method=\"other\""), "{metrics}");
    assert!(
        metrics.contains("sallyport_agents_online 0") || metrics.contains("sallyport_agents_online 1"),
        "{metrics}"
    );
    assert!(metrics.ends_with("# EOF\n") && metrics.matches("# EOF").count() == 1, "{metrics}");
}

#[test]
fn a_stop_ends_within_ten_seconds_even_with_a_follower() {
    let server = Server::start();
    let administrator = server.administrator();
    let stranger = server.stranger();
    let follower = std::thread::spawn(move || administrator.get("/api/v1/logs/stream").status);
    let follows = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        stranger.get("/metrics").text().contains("/api/v1/logs/stream")
    });
    assert!(follows, "the follower is answered");
    let (said, stopped) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        server.stop();
        said.send(()).unwrap();
    });
    stopped.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(follower.join().unwrap(), 200);
}

#[test]
fn peers_that_say_nothing_keep_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let flags = tls_flags(folder.path(), "https://server.example.org");
    let server = Server::with(folder, &flags);
    let cores = std::thread::available_parallelism().unwrap().get();
    let silent: Vec<_> = (0..cores * 16 + 8).map(|_| TcpStream::connect(server.ready.listening).unwrap()).collect();
    let clock = sallyport_protocol::Clock::system();
    let began = clock.now();
    assert!(fetch(&server, "localhost").unwrap().starts_with("HTTP/1.1 200"));
    assert!(clock.now().since(began) < Duration::from_secs(5), "it waited for the silent ones to be given up");
    drop(silent);
}
