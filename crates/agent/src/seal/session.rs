//! TLS between two agents as a value without I/O: messages in, sealed bytes out, and back.
//!
//! Inside, each message has its length before it. The first message of each side is empty: it says that the other's key
//! is believed.

use std::io::{self, Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Connection, DigitallySignedStruct,
    DistinguishedName, ServerConfig, ServerConnection, SignatureScheme,
};
use sallyport_dataplane::stream::MESSAGE_BYTES_MAX;
use sallyport_protocol::Peer;
use sallyport_site::keys::{Unfit, fingerprint};

use super::{Seal, Side, Stream};

/// What the two speak, before the stream's name.
const PROTOCOL: &str = "sallyport/sealed/1";

const LENGTH_BYTES: usize = 4;

/// Plaintext is taken out in pieces of a record.
const PIECE_BYTES: usize = 16 * 1024;

/// A stream is not sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// A key is not believed, here or there.
    #[error("{0}")]
    Key(String),
    /// What came is no sealed stream.
    #[error("the sealed stream is broken: {0}")]
    Broken(String),
    /// The connection was lost under it.
    #[error("{0}")]
    Lost(String),
}

/// One sealed connection.
#[derive(Debug)]
pub(super) struct Session {
    tls: Connection,
    peer: Peer,
    /// Why the other's key is not believed.
    doubt: Arc<Mutex<Option<Unfit>>>,
    /// The message that is coming in.
    length: Vec<u8>,
    message: Vec<u8>,
    expected: Option<usize>,
}

impl Session {
    pub(super) fn new(seal: &Arc<Seal>, stream: &Stream) -> Result<Self, Error> {
        let provider = sallyport_site::tls::provider();
        let doubt = Arc::default();
        let judge = Arc::new(Judge {
            seal: Arc::clone(seal),
            peer: stream.peer.clone(),
            provider: Arc::clone(&provider),
            doubt: Arc::clone(&doubt),
        });
        let protocol = format!("{PROTOCOL}/{}", fingerprint(stream.name.as_bytes())).into_bytes();
        let failed = |error: rustls::Error| Error::Broken(error.to_string());
        let tls = match stream.side {
            Side::Producer => {
                let mut config = ClientConfig::builder_with_provider(provider)
                    .with_protocol_versions(&[&rustls::version::TLS13])
                    .map_err(failed)?
                    .dangerous()
                    .with_custom_certificate_verifier(judge)
                    .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(seal.key.certified())));
                config.alpn_protocols = vec![protocol];
                config.enable_sni = false;
                config.resumption = rustls::client::Resumption::disabled();
                let name = ServerName::try_from("agent").map_err(|error| Error::Broken(error.to_string()))?;
                Connection::Client(ClientConnection::new(Arc::new(config), name).map_err(failed)?)
            }
            Side::Consumer => {
                let mut config = ServerConfig::builder_with_provider(provider)
                    .with_protocol_versions(&[&rustls::version::TLS13])
                    .map_err(failed)?
                    .with_client_cert_verifier(judge)
                    .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(seal.key.certified())));
                config.alpn_protocols = vec![protocol];
                config.send_tls13_tickets = 0;
                Connection::Server(ServerConnection::new(Arc::new(config)).map_err(failed)?)
            }
        };
        let mut session =
            Self { tls, peer: stream.peer.clone(), doubt, length: Vec::new(), message: Vec::new(), expected: None };
        // A message is sealed as a whole; there is never more than one.
        session.tls.set_buffer_limit(None);
        Ok(session)
    }

    /// Whether messages may be given.
    pub(super) fn is_agreed(&self) -> bool {
        !self.tls.is_handshaking()
    }

    /// Seals a message; what goes out then is in [`Session::outgoing`].
    pub(super) fn give(&mut self, message: &[u8]) -> Result<(), Error> {
        let length = u32::try_from(message.len()).map_err(|_| broken("a message is too long"))?;
        let mut writer = self.tls.writer();
        let written = writer.write_all(&length.to_be_bytes()).and_then(|()| writer.write_all(message));
        written.map_err(|error| Error::Broken(error.to_string()))
    }

    /// Says that no message follows.
    pub(super) fn end(&mut self) {
        self.tls.send_close_notify();
    }

    /// Sealed bytes that are to go out.
    pub(super) fn outgoing(&mut self) -> Option<Bytes> {
        let mut bytes = Vec::new();
        while self.tls.wants_write() {
            // Writing to memory does not fail.
            if self.tls.write_tls(&mut bytes).is_err() {
                break;
            }
        }
        (!bytes.is_empty()).then(|| bytes.into())
    }

    /// Takes sealed bytes; gives the messages that are whole with them, and whether the other side has said all.
    pub(super) fn take(&mut self, mut sealed: &[u8]) -> Result<(Vec<Bytes>, bool), Error> {
        let (mut messages, mut ended) = (Vec::new(), false);
        while !sealed.is_empty() {
            self.tls.read_tls(&mut sealed).map_err(|error| Error::Broken(error.to_string()))?;
            let state = self.tls.process_new_packets().map_err(|error| self.why(&error))?;
            ended |= state.peer_has_closed();
            self.collect(&mut messages)?;
            if ended {
                break;
            }
        }
        Ok((messages, ended))
    }

    /// Takes plaintext out, and cuts it into messages.
    fn collect(&mut self, messages: &mut Vec<Bytes>) -> Result<(), Error> {
        let mut piece = [0; PIECE_BYTES];
        loop {
            let count = match self.tls.reader().read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(Error::Broken(error.to_string())),
            };
            let mut rest = piece.get(..count).unwrap_or_default();
            while !rest.is_empty() {
                rest = self.part(rest, messages)?;
            }
        }
    }

    /// Takes the next part of a message; gives what is behind it.
    fn part<'a>(&mut self, bytes: &'a [u8], messages: &mut Vec<Bytes>) -> Result<&'a [u8], Error> {
        let Some(expected) = self.expected else {
            let (head, rest) = bytes.split_at(bytes.len().min(LENGTH_BYTES - self.length.len()));
            self.length.extend_from_slice(head);
            if let Ok(length) = <[u8; LENGTH_BYTES]>::try_from(self.length.as_slice()) {
                let length = u32::from_be_bytes(length) as usize;
                if length > MESSAGE_BYTES_MAX {
                    return Err(broken("a message is too long"));
                }
                self.length.clear();
                self.message.reserve_exact(length);
                self.expected = Some(length);
                self.whole(messages);
            }
            return Ok(rest);
        };
        let (body, rest) = bytes.split_at(bytes.len().min(expected - self.message.len()));
        self.message.extend_from_slice(body);
        self.whole(messages);
        Ok(rest)
    }

    fn whole(&mut self, messages: &mut Vec<Bytes>) {
        if self.expected == Some(self.message.len()) {
            self.expected = None;
            messages.push(std::mem::take(&mut self.message).into());
        }
    }

    fn why(&self, error: &rustls::Error) -> Error {
        if let Some(doubt) = self.doubt.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Error::Key(doubt.to_string());
        }
        match error {
            rustls::Error::AlertReceived(
                AlertDescription::AccessDenied
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA,
            ) => {
                let name = &self.peer.name;
                Error::Key(format!(
                    "agent `{name}` does not believe this agent's key: it knows another one; its site runs \
                     `sallyport-wrapper keys forget` for this agent if that is right"
                ))
            }
            error => Error::Broken(error.to_string()),
        }
    }
}

fn broken(what: &str) -> Error {
    Error::Broken(what.to_owned())
}

/// Believes the key that the site knows.
#[derive(Debug)]
struct Judge {
    seal: Arc<Seal>,
    peer: Peer,
    provider: Arc<CryptoProvider>,
    doubt: Arc<Mutex<Option<Unfit>>>,
}

impl Judge {
    fn judge(&self, key: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        let Peer { agent, name } = &self.peer;
        let met = self.seal.peers.meet(*agent, name, &fingerprint(key), self.seal.clock.now());
        met.map(|_| ()).map_err(|unfit| {
            *self.doubt.lock().unwrap_or_else(PoisonError::into_inner) = Some(unfit);
            rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
        })
    }

    fn signed(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.provider.signature_verification_algorithms)
    }
}

/// The older protocol is never spoken.
fn never() -> rustls::Error {
    rustls::Error::General("only TLS 1.3 is spoken between agents".to_owned())
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.judge(key).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(never())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed(message, key, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Judge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        key: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.judge(key).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(never())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed(message, key, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
