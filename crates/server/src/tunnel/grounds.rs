//! Where a connection leads now: asked again while a tunnel stands.

use sallyport_protocol::{AgentId, ConnectionId, EnvironmentId, TunnelOrder};
use sallyport_store::{Connection, Error, Store};

use super::session::Session;

/// What the streams of a tunnel are opened with.
#[derive(Clone)]
pub(super) struct Grounds {
    /// Any of them may open one.
    pub(super) agents: Vec<AgentId>,
    id: ConnectionId,
    connection: String,
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
        match store.connection(environment, &connection.to_string()).await {
            Ok(connection) => Self::of(connection),
            Err(Error::NotFound) => Err("the connection was removed".to_owned()),
            Err(error) => Err(unchecked(&error)),
        }
    }

    /// Of a connection that was just read.
    pub(super) fn of(connection: Connection) -> Result<Self, String> {
        let (host, port) = sallyport_connectors::endpoint(&connection.kind, &connection.settings)
            .ok_or_else(|| format!("connection `{}` leads to no host and port any more", connection.name))?;
        let agents = connection.agents().collect();
        Ok(Self { agents, id: connection.id, connection: connection.name, kind: connection.kind, host, port })
    }

    /// The connection's id and name.
    pub(super) fn about(&self) -> (ConnectionId, &str) {
        (self.id, &self.connection)
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
