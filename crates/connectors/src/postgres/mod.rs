//! The `postgres` connector: PostgreSQL by binary COPY, over a client of its own.
//!
//! Invariant: rows pass in large blocks and batches in both directions; memory does not grow with the number of rows.

mod catalog;
mod kind;
mod name;
mod numeric;
mod probe;
mod read;
mod settings;
mod target;
mod value;
mod wire;
mod write;

use serde_json::Value;

use sallyport_dataplane::Cancel;
use sallyport_protocol::{ConnectionOrder, ConnectionTest, Descriptor, Origin, Reach};

use self::read::PostgresSource;
use self::settings::{Connection, Read, Write};
use self::target::Target;
use self::write::PostgresSink;
use crate::settings::schema;
use crate::{Error, Sink, Site, Source};

/// The catalogue's entry.
pub fn descriptor() -> Descriptor {
    Descriptor {
        kind: "postgres".into(),
        title: "PostgreSQL".into(),
        summary: "Reads tables and queries of a PostgreSQL database and writes its tables.".into(),
        origin: Origin::BuiltIn,
        reach: Reach::Network,
        promise: Some(
            "Exactly once: rows are committed in one transaction together with the step's place in a ledger beside the \
             table, and a repeated or superseded attempt finds it there. Truncate and replace are all or nothing."
                .into(),
        ),
        needs_connection: true,
        connection_schema: Some(schema::<Connection>()),
        secrets: vec!["password".into()],
        read_schema: Some(schema::<Read>()),
        write_schema: Some(schema::<Write>()),
    }
}

/// Host and port of a connection.
pub(crate) fn endpoint(settings: &Value) -> Option<(String, u16)> {
    let connection: Connection = serde_json::from_value(settings.clone()).ok()?;
    Some((connection.host, connection.port))
}

/// Makes a source of its connection and its `with`.
pub(crate) fn source(connection: Option<&ConnectionOrder>, settings: &Value) -> Result<Box<dyn Source>, Error> {
    Ok(Box::new(PostgresSource { target: Target::new(connection)?, read: Read::parse(settings)? }))
}

/// Makes a sink of its connection and its `with`.
pub(crate) fn sink(connection: Option<&ConnectionOrder>, settings: &Value) -> Result<Box<dyn Sink>, Error> {
    Ok(Box::new(PostgresSink { target: Target::new(connection)?, write: Write::parse(settings)? }))
}

/// Tries a connection stage by stage.
pub(crate) fn test(connection: &ConnectionOrder, site: &Site, cancel: &Cancel) -> ConnectionTest {
    probe::test(connection, site, cancel)
}
