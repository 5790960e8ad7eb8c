//! The `http` connector: HTTP services behind an agent, which people reach through the server. No step reads or writes it.
//!
//! Invariant: the connection's credentials are put into a request here, on the agent, and nowhere else.

mod address;
mod head;
mod probe;
mod settings;
mod target;
#[cfg(test)]
mod tests;

use sallyport_dataplane::Cancel;
use sallyport_protocol::{ConnectionOrder, ConnectionTest, Descriptor, FailureKind, Origin, Reach};
use serde_json::Value;

pub use self::address::Address;
use self::settings::Connection;
pub use self::settings::answer_max;
pub use self::target::{NotSent, Target};
use crate::settings::schema;
use crate::stages::Stages;
use crate::{Error, Site};

/// The catalogue's entry.
pub(crate) fn descriptor() -> Descriptor {
    Descriptor {
        kind: "http".into(),
        title: "HTTP service".into(),
        summary: "An HTTP API or web page behind an agent, reached by people below /via/; steps do not use it.".into(),
        origin: Origin::BuiltIn,
        reach: Reach::Network,
        promise: None,
        needs_connection: true,
        connection_schema: Some(schema::<Connection>()),
        secrets: vec!["password".into(), "token".into(), "header".into()],
        read_schema: None,
        write_schema: None,
    }
}

/// Where a connection leads, if its settings say so.
pub fn address(settings: &Value) -> Option<Address> {
    settings.get("url")?.as_str()?.parse().ok()
}

/// Why no step can use it.
pub(crate) fn no_step() -> Error {
    Error::permanent(
        FailureKind::Connector,
        "no_step",
        "an `http` connection carries people's requests; no step reads or writes it",
    )
    .advise("use a connector of your own for the service, or a program")
}

/// Tries a connection stage by stage: settings, name, policy, port, TLS, login, query.
pub(crate) fn test(order: &ConnectionOrder, site: &Site, cancel: &Cancel) -> ConnectionTest {
    Stages::tried(|stages| probe::run(stages, order, site, cancel))
}
