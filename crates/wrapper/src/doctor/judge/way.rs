//! The way to the server.

use sallyport_protocol::Finding;
use sallyport_site::dial::Kind;

use super::{failed, ok, skipped};
use crate::doctor::facts::Network;

pub(super) fn dns(network: &Network) -> Finding {
    const CHECK: &str = "dns";
    let (name, addresses) = &network.name;
    match addresses {
        Ok(addresses) => {
            let shown: Vec<String> = addresses.iter().take(4).map(ToString::to_string).collect();
            ok(CHECK, format!("{name} is {}", shown.join(", ")))
        }
        Err(reason) if network.proxy.is_some() => {
            failed(CHECK, reason.clone(), "check ProxyServerAddress and this machine's name servers")
        }
        Err(reason) => failed(CHECK, reason.clone(), "check ServerAddress and this machine's name servers"),
    }
}

/// Whether a failed dial is a matter of the proxy.
fn at_proxy(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::ProxyUnreachable
            | Kind::ProxyRefused
            | Kind::ProxyNeedsCredentials
            | Kind::ProxyWrongCredentials
            | Kind::ProxyProtocol
    )
}

pub(super) fn proxy(network: &Network) -> Finding {
    const CHECK: &str = "proxy";
    let Some((proxy, set_in)) = &network.proxy else { return ok(CHECK, "none is set") };
    match &network.way {
        Ok(way) => ok(CHECK, format!("{way}, set in {set_in}, opens the way")),
        Err((kind, message)) if at_proxy(*kind) => {
            let advice = match kind {
                Kind::ProxyNeedsCredentials => "set ProxyUsername and ProxyPassword in appsettings.json",
                Kind::ProxyWrongCredentials => "correct ProxyUsername and ProxyPassword in appsettings.json",
                Kind::ProxyRefused => "have the proxy allow CONNECT to the server's host and port",
                Kind::ProxyUnreachable => "check ProxyServerAddress, and whether the proxy runs",
                _ => "ProxyServerAddress must name an HTTP proxy",
            };
            failed(CHECK, format!("{message} (set in {set_in})"), advice)
        }
        Err(_) => skipped(CHECK, &format!("{proxy} was not reached")),
    }
}

pub(super) fn route(network: &Network) -> Finding {
    const CHECK: &str = "route";
    match &network.way {
        Ok(way) => ok(CHECK, format!("{} is reached, {way}", network.server)),
        Err((Kind::Dns, _)) => skipped(CHECK, "the name has no address"),
        Err((kind, _)) if at_proxy(*kind) => skipped(CHECK, "the proxy does not open the way"),
        Err((kind, message)) => {
            let advice = match kind {
                Kind::NoRoute => "check this machine's network connection and routes",
                Kind::Refused => "check whether the server runs, and the port in ServerAddress",
                Kind::Timeout => "have the firewall let outbound connections to this port pass, or set a proxy",
                Kind::Reset => "a firewall forbids the connection: have it let this port pass",
                _ => "see the system's message",
            };
            failed(CHECK, message.clone(), advice)
        }
    }
}
