//! Certificates and the clock that they are measured by.

use sallyport_protocol::Finding;

use super::{failed, ok, skipped, warning};
use crate::doctor::facts::{Network, TlsTrouble};
use crate::status::span;

/// A clock that is wrong by less disturbs only those who compare logs.
const CLOCK_MS_FEW: i64 = 10_000;
/// By more, certificates and limits of time begin to go wrong.
const CLOCK_MS_MAX: i64 = 300_000;

/// Names of authorities that products make which look into TLS; a proxy's own certificate is recognised without.
const INSPECTORS: [&str; 17] = [
    "mitmproxy",
    "zscaler",
    "fortinet",
    "fortigate",
    "blue coat",
    "bluecoat",
    "symantec web",
    "netskope",
    "palo alto",
    "sophos",
    "barracuda",
    "checkpoint",
    "cisco umbrella",
    "mcafee",
    "forcepoint",
    "kaspersky",
    "squid",
];

pub(super) fn tls(network: &Network) -> Finding {
    const CHECK: &str = "tls";
    match &network.tls {
        None => skipped(CHECK, "there is no connection"),
        Some(Ok(())) => ok(CHECK, "the server's certificate is trusted"),
        Some(Err(trouble)) => tls_trouble(network, trouble),
    }
}

fn tls_trouble(network: &Network, trouble: &TlsTrouble) -> Finding {
    const CHECK: &str = "tls";
    let clock_is_wrong = network.clock_ahead_ms.is_some_and(|ahead| ahead.abs() > CLOCK_MS_MAX);
    match trouble.word {
        "tls_expired" | "tls_not_yet_valid" if clock_is_wrong => failed(
            CHECK,
            "the server's certificate is valid, but not at the time that this machine's clock shows",
            "set this machine's clock; see the check `clock`",
        ),
        "tls_expired" => failed(CHECK, trouble.message.clone(), "renew the certificate on the server"),
        "tls_unknown_authority" => unknown_authority(network, trouble),
        "tls_wrong_name" => {
            failed(CHECK, trouble.message.clone(), "set ServerAddress to a name that the certificate holds")
        }
        "tls_not_tls" => failed(CHECK, trouble.message.clone(), "check the port in ServerAddress"),
        _ => failed(CHECK, trouble.message.clone(), "a firewall or proxy may cut TLS off; ask who looks after it"),
    }
}

/// Three cases look the same to TLS: the file is of another server, the server got a new authority, or somebody on the
/// way shows a certificate of their own.
fn unknown_authority(network: &Network, trouble: &TlsTrouble) -> Finding {
    const CHECK: &str = "tls";
    let issuer = trouble.issuer.as_deref().unwrap_or("an authority that does not say its name");
    if trouble.expected.iter().any(|expected| expected == issuer) {
        return failed(
            CHECK,
            format!("the certificate is signed by `{issuer}`, the name in server-ca.pem, but with another key"),
            "the server was set up anew: download the agent again, or copy its server-ca.pem",
        );
    }
    let small = issuer.to_lowercase();
    let inspector = INSPECTORS.iter().any(|known| small.contains(known));
    if inspector || network.proxy.is_some() {
        let who =
            network.proxy.as_ref().map_or("something on the way".to_owned(), |(proxy, _)| format!("the proxy {proxy}"));
        return failed(
            CHECK,
            format!("{who} inspects TLS: the certificate that arrives is signed by `{issuer}`"),
            "have it pass this server's connections untouched, or append its authority's certificate to server-ca.pem",
        );
    }
    failed(
        CHECK,
        format!("the certificate is signed by `{issuer}`, which neither server-ca.pem nor this machine trusts"),
        "if that is the right server, put its authority into server-ca.pem or download the agent again",
    )
}

pub(super) fn clock(network: &Network) -> Finding {
    const CHECK: &str = "clock";
    let Some(ahead) = network.clock_ahead_ms else { return skipped(CHECK, "the server did not say its time") };
    let seen = match ahead {
        -1000..=1000 => "this machine's clock is the server's within a second".to_owned(),
        1001.. => format!("this machine's clock is {} ahead of the server's", span(ahead.unsigned_abs() / 1000)),
        _ => format!("this machine's clock is {} behind the server's", span(ahead.unsigned_abs() / 1000)),
    };
    let advice = "set the clock and keep it by NTP";
    match ahead.abs() {
        off if off > CLOCK_MS_MAX => failed(CHECK, seen, advice),
        off if off > CLOCK_MS_FEW => warning(CHECK, seen, advice),
        _ => ok(CHECK, seen),
    }
}
