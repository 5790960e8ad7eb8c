//! Notices by mail.

use lettre::address::AddressError;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sallyport_domain::notice::{Mail, Protection};
use sallyport_protocol::Secret;

use super::content::Content;
use super::send::WITHIN;

/// A mail server that is ready to be reached, and the mail's envelope.
pub(super) struct Route {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    server: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    /// Ends the message ids.
    domain: String,
}

impl Route {
    pub(super) fn new(settings: Mail, password: Option<Secret>, public_url: &str) -> Result<Self, String> {
        let (from, to) = mailboxes(&settings).map_err(|(_, problem)| problem)?;
        let server = format!("{}:{}", settings.host, settings.port());
        let domain = host_of(public_url);
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port())
            .hello_name(ClientId::Domain(domain.clone()))
            .timeout(Some(WITHIN))
            .tls(protection(&settings)?);
        if let (Some(user), Some(password)) = (settings.user, password) {
            builder = builder.credentials(Credentials::new(user, password.expose().to_owned()));
        }
        Ok(Self { transport: builder.build(), server, from, to, domain })
    }

    /// Connects, encrypts and logs in.
    pub(super) async fn reach(&self) -> Result<(), String> {
        match self.transport.test_connection().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("mail server {} does not answer as one", self.server)),
            Err(error) => Err(self.failed(&error)),
        }
    }

    pub(super) async fn send(&self, content: &Content, signature: &str) -> Result<(), String> {
        let mut message = Message::builder()
            .from(self.from.clone())
            .subject(content.subject())
            // The same in every try, so that a receiver that has it already can tell.
            .message_id(Some(format!("<{}@{}>", content.id(), self.domain)))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            message = message.to(to.clone());
        }
        let mut message = message
            .body(format!("{}\n-- \n{signature}\n", content.text()))
            .map_err(|error| format!("the mail cannot be written: {error}"))?;
        // Out-of-office answers to a program help nobody.
        let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
        message.headers_mut().insert_raw(automatic);
        self.transport.send(message).await.map(|_| ()).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &lettre::transport::smtp::Error) -> String {
        let mut text = format!("mail server {}: {error}", self.server);
        let mut cause = std::error::Error::source(error);
        while let Some(next) = cause {
            let more = next.to_string();
            if !text.contains(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            cause = next.source();
        }
        text
    }
}

/// What is wrong with sender, receivers or certificates.
pub(super) fn address_problem(settings: &Mail) -> Option<(&'static str, String)> {
    mailboxes(settings).err().or_else(|| protection(settings).err().map(|problem| ("/settings/ca", problem)))
}

fn mailboxes(settings: &Mail) -> Result<(Mailbox, Vec<Mailbox>), (&'static str, String)> {
    let wrong = |field, text: &str, error: AddressError| (field, format!("`{text}` is no mail address: {error}"));
    let from = settings.from.parse().map_err(|error| wrong("/settings/from", &settings.from, error))?;
    let to = settings.to.iter().map(|to| to.parse().map_err(|error| wrong("/settings/to", to, error)));
    Ok((from, to.collect::<Result<_, _>>()?))
}

fn protection(settings: &Mail) -> Result<Tls, String> {
    if settings.tls == Protection::None {
        return Ok(Tls::None);
    }
    let wrong = |error: String| format!("the certificates in `ca` are not right: {error}");
    let mut parameters = TlsParameters::builder(settings.host.clone());
    if let Some(pem) = &settings.ca {
        let mut found = false;
        for der in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let der = der.map_err(|error| wrong(error.to_string()))?;
            let certificate = Certificate::from_der(der.to_vec()).map_err(|error| wrong(error.to_string()))?;
            parameters = parameters.add_root_certificate(certificate);
            found = true;
        }
        if !found {
            return Err(wrong("expected PEM".to_owned()));
        }
    }
    let parameters = parameters.build_rustls().map_err(|error| wrong(error.to_string()))?;
    Ok(if settings.tls == Protection::Tls { Tls::Wrapper(parameters) } else { Tls::Required(parameters) })
}

/// The host's name in our own address.
fn host_of(public_url: &str) -> String {
    let host = public_url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(ToOwned::to_owned));
    host.unwrap_or_else(|| "localhost".to_owned())
}
