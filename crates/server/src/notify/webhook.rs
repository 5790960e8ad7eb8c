//! Notices as HTTP requests, signed as our own webhooks want it, so that one Sallyport can start a task of another.

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sallyport_domain::notice::Webhook;
use sallyport_protocol::{Secret, Timestamp};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::content::Content;
use crate::secrets::Secrets;

/// How long a receiver may take: less than the notice as a whole, so that its thread ends first.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// An address that is ready to be called.
pub(super) struct Route {
    url: String,
    ca: Option<String>,
    secret: Option<Secret>,
}

impl Route {
    pub(super) fn new(settings: Webhook, secret: Option<Secret>) -> Self {
        Self { url: settings.url, ca: settings.ca, secret }
    }

    pub(super) async fn send(&self, content: &Content, now: Timestamp) -> Result<(), String> {
        let body = serde_json::to_vec(content).map_err(|error| format!("writing the request: {error}"))?;
        let stamp = (now.0 / 1_000_000).to_string();
        let key = content.id();
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("user-agent", concat!("sallyport/", env!("CARGO_PKG_VERSION")).to_owned()),
            ("idempotency-key", key.clone()),
            ("x-sallyport-timestamp", stamp.clone()),
        ];
        if let Some(secret) = &self.secret {
            let text = [stamp.as_bytes(), b".", key.as_bytes(), b".", &body].concat();
            let signature =
                Secrets::signature(secret.expose().as_bytes(), &text).map_err(|error| format!("{error:#}"))?;
            headers.push(("x-sallyport-signature", format!("sha256={signature}")));
        }
        let (url, ca) = (self.url.clone(), self.ca.clone());
        let called = tokio::task::spawn_blocking(move || call(&url, ca.as_deref(), headers, &body)).await;
        called.unwrap_or_else(|error| Err(format!("calling the receiver ended early: {error}")))
    }
}

/// What the receiver answers is not looked into, beyond its status: it may be any page of any inner network.
fn call(url: &str, ca: Option<&str>, headers: Vec<(&str, String)>, body: &[u8]) -> Result<(), String> {
    let mut roots: Vec<Certificate<'static>> = rustls_native_certs::load_native_certs()
        .certs
        .iter()
        .map(|der| Certificate::from_der(der).to_owned())
        .collect();
    for der in ca.iter().flat_map(|pem| CertificateDer::pem_slice_iter(pem.as_bytes())) {
        let der = der.map_err(|error| format!("the certificates in `ca` are not right: {error}"))?;
        roots.push(Certificate::from_der(&der).to_owned());
    }
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let agent: Agent = Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(ANSWER_WITHIN))
        .max_redirects(0)
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = agent.post(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let answer = request.send(body).map_err(|error| format!("calling {url}: {error}"))?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("{url} answered {status}; expected 2xx")),
    }
}
