//! The `tcp` connector: any TCP service, for tunnels. No step reads or writes it.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use sallyport_dataplane::Cancel;
use sallyport_protocol::{ConnectionOrder, ConnectionTest, Descriptor, FailureKind, Origin, Reach};

use crate::settings::{connection, schema};
use crate::stages::Stages;
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
    Stages::tried(|stages| run(stages, order, site, cancel))
}

fn run(stages: &mut Stages, order: &ConnectionOrder, site: &Site, cancel: &Cancel) -> Option<()> {
    let settings = connection::<Connection>(order).map_err(|error| error.to_string()).map(|it| {
        let seen = format!("{}:{}", it.host, it.port);
        (it, seen)
    });
    let Connection { host, port } = stages.note("settings", settings)?;
    reach(stages, &host, port, site, cancel).map(drop)
}

/// Name, policy and port of a test: a connection to what answers.
pub(crate) fn reach(stages: &mut Stages, host: &str, port: u16, site: &Site, cancel: &Cancel) -> Option<TcpStream> {
    let found = match (host, port).to_socket_addrs().map(Iterator::collect::<Vec<_>>) {
        Ok(found) if !found.is_empty() => {
            let seen = format!("`{host}` is {}", listed(&found));
            Ok((found, seen))
        }
        Ok(_) => Err(format!("the host name `{host}` has no address")),
        Err(error) => Err(format!("the host name `{host}` does not resolve: {error}; check the agent's name servers")),
    };
    let found = stages.note("name", found)?;
    let allowed = site.policy.now().dialable(host, &found).map(|left| {
        let seen = format!("the site allows {}", listed(&left));
        (left, seen)
    });
    let left = stages.note("policy", allowed.map_err(|refused| format!("{refused}; {}", refused.advice)))?;
    stages.note("port", answers(&left, cancel))
}

fn answers(addresses: &[SocketAddr], cancel: &Cancel) -> Result<(TcpStream, String), String> {
    let mut last = "there is no address to try".to_owned();
    for address in addresses {
        cancel.check().map_err(|_| "cancelled".to_owned())?;
        match TcpStream::connect_timeout(address, CONNECT_TIMEOUT) {
            Ok(stream) => return Ok((stream, format!("{address} answers"))),
            Err(error) => last = format!("{address}: {error}; check the port, the service and firewalls between"),
        }
    }
    Err(last)
}

fn listed(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(", ")
}
