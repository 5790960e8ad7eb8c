//! Names in a certificate, read without trusting anything of it: enough of DER to say who signed it.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// `2.5.4.3`, common name.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
/// `2.5.4.10`, organisation.
const ORGANISATION: [u8; 3] = [0x55, 0x04, 0x0a];
/// A name may be as long as its maker likes.
const NAME_CHARS_MAX: usize = 80;

/// Who has signed a certificate, in words.
pub(super) fn issuer(der: &[u8]) -> Option<String> {
    name(names(der)?.0)
}

/// Whom a certificate is about, in words.
pub(super) fn subject(der: &[u8]) -> Option<String> {
    name(names(der)?.1)
}

/// Issuer and subject as they stand.
fn names(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (certificate, _) = value(der, SEQUENCE)?;
    let (mut body, _) = value(certificate, SEQUENCE)?;
    if body.first() == Some(&VERSION) {
        body = next(body)?.2;
    }
    let after_serial = next(body)?.2;
    let after_algorithm = next(after_serial)?.2;
    let (issuer, rest) = value(after_algorithm, SEQUENCE)?;
    let after_validity = next(rest)?.2;
    Some((issuer, value(after_validity, SEQUENCE)?.0))
}

/// The common name, else the organisation.
fn name(sets: &[u8]) -> Option<String> {
    let find = |wanted: &[u8]| {
        let mut rest = sets;
        while let Some((set, after)) = value(rest, SET) {
            rest = after;
            let (attribute, _) = value(set, SEQUENCE)?;
            let (oid, text) = value(attribute, OBJECT_IDENTIFIER)?;
            if oid == wanted {
                let text = String::from_utf8_lossy(next(text)?.1).into_owned();
                return Some(text.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect());
            }
        }
        None
    };
    find(&COMMON_NAME).or_else(|| find(&ORGANISATION))
}

/// The content of the next element if it has this tag, and what follows it.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = next(der)?;
    (found == tag).then_some((content, rest))
}

/// The next element: its tag, its content, and what follows it.
fn next(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            let (digits, rest) =
                rest.split_at_checked(usize::from(long & 0x7f)).filter(|(digits, _)| digits.len() <= 3)?;
            (digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit)), rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// Notes the certificate that is shown, and trusts nobody: no handshake comes to an end with it.
#[derive(Debug, Default)]
pub(super) struct Witness(Mutex<Option<Vec<u8>>>);

impl Witness {
    /// A configuration with which to open a connection in vain.
    pub(super) fn config(self: &Arc<Self>) -> Result<Arc<ClientConfig>, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let verifier: Arc<dyn ServerCertVerifier> = Arc::<Self>::clone(self);
        Ok(Arc::new(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()))
    }

    /// The certificate that was shown.
    pub(super) fn seen(&self) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn only_looked_at() -> Error {
    Error::General("only looked at".to_owned())
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(end_entity.to_vec());
        Err(only_looked_at())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_looked_at())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_looked_at())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_certificate_are_read_and_garbage_has_none() {
        let mut parameters = rcgen::CertificateParams::new(vec!["server".to_owned()]).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::OrganizationName, "Site");
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "Site CA");
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        assert_eq!(issuer(certificate.der()).as_deref(), Some("Site CA"));
        assert_eq!(subject(certificate.der()).as_deref(), Some("Site CA"));
        for cut in 0..certificate.der().len().min(120) {
            assert_eq!(issuer(&certificate.der()[..cut]), None, "{cut}");
        }
        assert_eq!(issuer(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
