//! A server on loopback with certificates that are right, wrong, old and unknown.

use std::io::Write;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, ServerConnection};
use rustls_pki_types::PrivateKeyDer;

use super::*;

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Dials a server whose certificate names `names` until `year`, trusting `trusted`, and gives what came of it.
fn handshake(
    issuer: &CertifiedIssuer<'static, KeyPair>,
    trusted: &str,
    names: &[&str],
    year: i32,
) -> Result<(), Failure> {
    let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
        while connection.is_handshaking() {
            if connection.complete_io(&mut stream).is_err() {
                return;
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("server-ca.pem");
    std::fs::write(&ca_file, trusted).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let result = connect(stream, "localhost", &client_config(&ca_file).unwrap()).map(|_| ());
    server.join().unwrap();
    result
}

#[test]
fn a_pinned_authority_is_trusted_and_failures_have_their_words() {
    let (ours, other) = (authority(), authority());
    assert_eq!(handshake(&ours, &ours.pem(), &["localhost"], 2100), Ok(()));
    let word = |result: Result<(), Failure>| result.unwrap_err().word;
    assert_eq!(word(handshake(&ours, &other.pem(), &["localhost"], 2100)), "tls_unknown_authority");
    assert_eq!(word(handshake(&ours, &ours.pem(), &["elsewhere"], 2100)), "tls_wrong_name");
    assert_eq!(word(handshake(&ours, &ours.pem(), &["localhost"], 2001)), "tls_expired");
}

#[test]
fn what_does_not_speak_tls_is_said_so() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        stream
    });
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("server-ca.pem");
    std::fs::write(&ca_file, authority().pem()).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let failure = connect(stream, "localhost", &client_config(&ca_file).unwrap()).map(|_| ()).unwrap_err();
    assert_eq!(failure.word, "tls_not_tls", "{failure}");
    drop(server.join());
}

#[test]
fn a_file_without_a_certificate_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("server-ca.pem");
    std::fs::write(&ca_file, "nothing").unwrap();
    assert!(client_config(&ca_file).unwrap_err().to_string().contains("server-ca.pem"));
    assert_eq!(server_name("not a host").unwrap_err().word, "tls_wrong_name");
}
