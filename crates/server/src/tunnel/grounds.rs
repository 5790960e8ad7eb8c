//! Where a connection leads now: asked again while a tunnel stands.

use sallyport_protocol::{AgentId, ConnectionId, EnvironmentId, TunnelOrder};
use sallyport_store::{Error, Store};

use super::session::Session;

/// What the streams of a tunnel are opened with.
#[derive(Clone)]
pub(super) struct Grounds {
    /// Any of them may open one.
    pub(super) agents: Vec<AgentId>,
    /// Its name.
    pub(super) connection: String,
    kind: String,
    host: String,
    port: u16,
}

impl Grounds {
    /// Reads the connection; the error is for whoever wanted a stream.
    pub(super) async fn read(
        store: &Store,
        environment: EnvironmentId,
        connection: ConnectionId,
    ) -> Result<Self, String> {
        let connection = match store.connection(environment, &connection.to_string()).await {
            Ok(connection) => connection,
            Err(Error::NotFound) => return Err("the connection was removed".to_owned()),
            Err(error) => return Err(unchecked(&error)),
        };
        let (host, port) = sallyport_connectors::endpoint(&connection.kind, &connection.settings)
            .ok_or_else(|| format!("connection `{}` leads to no host and port any more", connection.name))?;
        let agents = connection.agents().collect();
        Ok(Self { agents, connection: connection.name, kind: connection.kind, host, port })
    }

    /// The next stream of a tunnel.
    pub(super) fn order(&self, session: &Session) -> TunnelOrder {
        let Self { connection, kind, host, port, .. } = self.clone();
        TunnelOrder {
            tunnel: session.id(),
            stream: session.next_stream(),
            connection,
            kind,
            host,
            port,
            who: session.who().to_owned(),
            run: session.run(),
            http: None,
        }
    }
}

/// The store does not answer.
pub(super) fn unchecked(error: &Error) -> String {
    format!("the server cannot check this now: {error}")
}
