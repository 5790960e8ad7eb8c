//! The way to the server, step by step, as far as it is open.

use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::UnixTime;
use sallyport_protocol::{Clock, path};
use sallyport_site::config::Environment;
use sallyport_site::dial::{Dialer, Dialled};
use sallyport_site::{Layout, Settings, http_date, login, tls};

use super::certificate::{self, Witness};
use super::facts::{Login, Network, TlsTrouble};
use crate::fetch::{Answer, Door, Error};

/// The most bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Looks at it; the error says why it cannot even be tried.
pub(super) fn look(
    layout: &Layout,
    settings: &Settings,
    environment: &Environment,
    clock: &Clock,
) -> Result<Network, String> {
    let dialer = Dialer::from_settings(settings, environment).map_err(|error| error.to_string())?;
    let trust = tls::client_config(&layout.server_ca()).map_err(|error| crate::console::chain(&error))?;
    let (host, port) = (settings.server_address.host().to_owned(), settings.server_address.port());
    let door = Door::new(settings, dialer.clone(), trust);
    let proxy = dialer.proxy_for(&host, port);
    let set_in = match (&settings.proxy, &environment.proxy) {
        (None, Some(variable)) => variable.name,
        _ => "appsettings.json",
    };
    let (name, at) = proxy.map_or((host.clone(), port), |proxy| (proxy.host.clone(), proxy.port));
    let addresses = dialer.resolve(&name, at).map_err(|error| error.to_string());
    let mut network = Network {
        server: settings.server_address.authority().to_string(),
        proxy: proxy.map(|proxy| (proxy.to_string(), set_in)),
        name: (name, addresses.map(|all| all.iter().map(std::net::SocketAddr::ip).collect())),
        way: Ok(String::new()),
        tls: None,
        clock_ahead_ms: None,
        login: None,
    };
    match dialer.dial(&host, port) {
        Ok(Dialled { stream, route }) => {
            network.way = Ok(route.to_string());
            shake_hands(&mut network, layout, &door, stream, clock);
        }
        Err(error) => network.way = Err((error.kind, error.to_string())),
    }
    Ok(network)
}

fn shake_hands(network: &mut Network, layout: &Layout, door: &Door, stream: TcpStream, clock: &Clock) {
    let host = door.address.host();
    // Without limits a silent server would be waited for without end; the handshake itself then says what is wrong.
    let limited = Door::limit(&stream);
    match limited.map_err(|error| tls::explain_io(&error, host)).and_then(|()| tls::connect(stream, host, &door.trust))
    {
        Ok(_) => {
            network.tls = Some(Ok(()));
            log_in(network, door, clock);
        }
        Err(failure) => {
            if let Some(at) = failure.valid_at {
                network.clock_ahead_ms = past_the_certificate(&layout.server_ca(), door, at, clock);
            }
            let unknown = failure.word == "tls_unknown_authority";
            network.tls = Some(Err(TlsTrouble {
                word: failure.word,
                message: failure.message,
                issuer: unknown.then(|| shown_issuer(door)).flatten(),
                expected: authorities(&layout.server_ca()),
            }));
        }
    }
}

/// What the server says to the credentials, and its time.
fn log_in(network: &mut Network, door: &Door, clock: &Clock) {
    let answer = match door.send("GET", path::CHECKUP, door.authorization().expose(), None) {
        Ok(answer) => answer,
        Err(error) => return network.login = Some(Login::Broken(error.to_string())),
    };
    network.clock_ahead_ms = ahead(&answer, clock);
    let status = answer.status();
    let mut body = Vec::new();
    // A body that breaks off still leaves the status to go by.
    let _ = answer.take(ANSWER_BYTES_MAX).read_to_end(&mut body);
    network.login = Some(match status {
        200 => match serde_json::from_slice(&body) {
            Ok(checkup) => Login::Good(checkup),
            // A server from before this question answers with its console.
            Err(_) => Login::Unasked,
        },
        404 | 405 => Login::Unasked,
        status => Login::Refused(login::refusal(status, &body)),
    });
}

/// This machine's clock less the server's `Date`, in milliseconds.
fn ahead(answer: &Answer, clock: &Clock) -> Option<i64> {
    let server = http_date::parse(answer.header("date")?)?;
    // It is cut to whole seconds.
    const HALF_A_SECOND_US: i64 = 500_000;
    Some((clock.now().0 - server.0 - HALF_A_SECOND_US) / 1000)
}

/// The server's time as it says it over a connection that is checked in everything but this machine's time. No
/// credentials are sent.
fn past_the_certificate(ca_file: &Path, door: &Door, at: UnixTime, clock: &Clock) -> Option<i64> {
    let trust = tls::client_config_at(ca_file, at).ok()?;
    let look = Door { trust, ..door.clone() };
    ahead(&look.send("GET", "/livez", "", None).ok()?, clock)
}

/// Who has signed the certificate that is shown.
fn shown_issuer(door: &Door) -> Option<String> {
    let witness = Arc::new(Witness::default());
    let look = Door { trust: witness.config().ok()?, ..door.clone() };
    match look.open() {
        Ok(_) => None,
        Err(Error::Dial(_)) => None,
        Err(_) => certificate::issuer(&witness.seen()?),
    }
}

fn authorities(ca_file: &Path) -> Vec<String> {
    let pinned = tls::pinned(ca_file).unwrap_or_default();
    pinned.iter().filter_map(|der| certificate::subject(der)).collect()
}
