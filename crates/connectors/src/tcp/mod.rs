//! The `tcp` connector: any TCP service, for tunnels. No step reads or writes it.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use sallyport_dataplane::Cancel;
use sallyport_protocol::{
    Clock, ConnectionOrder, ConnectionTest, Descriptor, FailureKind, Origin, Reach, Stage, Timestamp,
};

use crate::settings::{connection, schema};
use crate::{Error, Site};

/// How long one address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A TCP service.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "TCP service")]
pub(crate) struct Connection {
    /// Host name or IP address, as the agent sees it.
    #[schemars(title = "Host", length(min = 1))]
    pub host: String,
    /// TCP port.
    #[schemars(title = "Port", range(min = 1))]
    pub port: u16,
}

/// The catalogue's entry.
pub(crate) fn descriptor() -> Descriptor {
    Descriptor {
        kind: "tcp".into(),
        title: "TCP service".into(),
        summary: "Any service behind an agent, reached by people through a tunnel; steps do not use it.".into(),
        origin: Origin::BuiltIn,
        reach: Reach::Network,
        promise: None,
        needs_connection: true,
        connection_schema: Some(schema::<Connection>()),
        secrets: Vec::new(),
        read_schema: None,
        write_schema: None,
    }
}

/// Host and port of a connection.
pub(crate) fn endpoint(settings: &Value) -> Option<(String, u16)> {
    let connection: Connection = serde_json::from_value(settings.clone()).ok()?;
    Some((connection.host, connection.port))
}

/// Why no step can use it.
pub(crate) fn no_step() -> Error {
    Error::permanent(
        FailureKind::Connector,
        "no_step",
        "a `tcp` connection carries tunnels; no step reads or writes it",
    )
    .advise("use a connection of the service's own kind, or `sallyport tunnel`")
}

/// Tries a connection stage by stage: settings, name, policy, port.
pub(crate) fn test(order: &ConnectionOrder, site: &Site, cancel: &Cancel) -> ConnectionTest {
    let clock = Clock::system();
    let mut stages = Vec::new();
    let mut note = |stage: &str, since: Timestamp, outcome: Result<String, String>| {
        let millis = u64::try_from(clock.now().since(since).as_millis()).unwrap_or(u64::MAX);
        let ok = outcome.is_ok();
        stages.push(Stage { stage: stage.to_owned(), ok, detail: outcome.unwrap_or_else(|why| why), millis });
        ok
    };
    let began = clock.now();
    let settings = connection::<Connection>(order).map_err(|error| error.to_string());
    let seen = settings.as_ref().map(|it| format!("{}:{}", it.host, it.port)).map_err(Clone::clone);
    let (true, Ok(settings)) = (note("settings", began, seen), settings) else { return ConnectionTest { stages } };
    let Connection { host, port } = settings;
    let began = clock.now();
    let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    let found = match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!("the host name `{host}` has no address")),
        Err(error) => Err(format!("the host name `{host}` does not resolve: {error}; check the agent's name servers")),
    };
    let seen = found.as_ref().map(|all| format!("`{host}` is {}", listed(all))).map_err(Clone::clone);
    let (true, Ok(found)) = (note("name", began, seen), found) else { return ConnectionTest { stages } };
    let began = clock.now();
    let allowed = site.policy.now().dialable(&host, &found);
    let seen = match &allowed {
        Ok(left) => Ok(format!("the site allows {}", listed(left))),
        Err(refused) => Err(format!("{refused}; {}", refused.advice)),
    };
    let (true, Ok(left)) = (note("policy", began, seen), allowed) else { return ConnectionTest { stages } };
    let began = clock.now();
    note("port", began, answers(&left, cancel));
    ConnectionTest { stages }
}

fn answers(addresses: &[SocketAddr], cancel: &Cancel) -> Result<String, String> {
    let mut last = "there is no address to try".to_owned();
    for address in addresses {
        cancel.check().map_err(|_| "cancelled".to_owned())?;
        match TcpStream::connect_timeout(address, CONNECT_TIMEOUT) {
            Ok(_) => return Ok(format!("{address} answers")),
            Err(error) => last = format!("{address}: {error}; check the port, the service and firewalls between"),
        }
    }
    Err(last)
}

fn listed(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(", ")
}
