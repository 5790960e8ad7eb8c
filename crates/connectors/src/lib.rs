//! Sources and sinks, one module a system.
//!
//! Invariant: a connector sees batches, its settings, its secrets and a stop signal; nothing of agents or servers, and of
//! its run only names to leave beside the data.
//! Connectors are plain blocking code on threads of their own: the fastest shape for work that is all decode and encode.

mod context;
mod error;
pub mod file;
pub mod http;
mod incremental;
mod large;
mod part;
mod paths;
pub mod postgres;
mod preview;
pub mod program;
mod promise;
mod reach;
mod reject;
mod settings;
pub mod sqlite;
mod stages;
mod tcp;
mod text;
mod tls;

use sallyport_dataplane::{Cancel, Input, Output};
use sallyport_protocol::{ConnectionOrder, ConnectionTest, Descriptor, Stage};
use serde_json::Value;

pub use context::{Checkpointing, CommitKey, Context, LogSink, Program, Provenance, Site};
pub use error::Error;
pub use preview::{Look, without_traces};
pub use promise::Promise;
pub use reach::{Reach, Through};

/// A larger value is refused: what tasks move is rows, and memory stays bounded.
pub(crate) const VALUE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Reads a system.
pub trait Source: Send {
    /// Says the schema with [`Output::start`], then gives every row with [`Output::send`]; returns when all are given.
    /// The caller finishes or aborts the output. Blocks; `cx.cancel` ends it early with [`Error::Cancelled`].
    fn read(self: Box<Self>, output: &mut Output, cx: &Context) -> Result<(), Error>;
}

/// Writes a system.
pub trait Sink: Send {
    /// Takes every row and makes them visible in the target only when the input has ended well: an error, a stop or an
    /// input that breaks off leaves the target as it was. Those of an incremental read may appear in chunks, each with
    /// its checkpoint. Blocks; `cx.cancel` ends it early with [`Error::Cancelled`].
    fn write(self: Box<Self>, input: &mut Input, cx: &Context) -> Result<Written, Error>;

    /// Whether the sink keeps the checkpoint of an incremental read in its target: then it says where to go on with
    /// [`Input::resume`] before it asks for the schema, and notes each commit in [`Context::checkpointing`]. Otherwise
    /// the caller does both.
    fn keeps_checkpoint(&self) -> bool {
        false
    }
}

/// What a sink did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The rows of this very step were already there, committed by an earlier attempt; the input was only counted.
    pub already_committed: bool,
}

/// Every connector this build knows.
pub fn catalog() -> Vec<Descriptor> {
    vec![
        postgres::descriptor(),
        sqlite::descriptor(),
        file::descriptor(),
        program::descriptor(),
        http::descriptor(),
        tcp::descriptor(),
    ]
}

/// Where a connection leads, for a tunnel: host and port; `None` where its kind is no TCP service.
pub fn endpoint(kind: &str, settings: &Value) -> Option<(String, u16)> {
    match kind {
        "postgres" => postgres::endpoint(settings),
        "tcp" => tcp::endpoint(settings),
        "http" => http::address(settings).map(|address| (address.host().to_owned(), address.port())),
        _ => None,
    }
}

/// What a use of a connection touches, in words for the site: host and port, or what on the machine itself.
pub fn target(kind: &str, connection: Option<&ConnectionOrder>, settings: &Value) -> String {
    if let Some((host, port)) = connection.and_then(|connection| endpoint(kind, &connection.settings)) {
        return format!("{host}:{port}");
    }
    let said = connection.map(|connection| &connection.settings).into_iter().chain([settings]);
    let words = said.flat_map(|value| ["root", "program", "path"].map(|name| value.get(name).and_then(Value::as_str)));
    words.flatten().collect::<Vec<_>>().join(" ")
}

/// Makes the source of a step from its connection and its `with`; checks both.
pub fn source(kind: &str, connection: Option<&ConnectionOrder>, settings: &Value) -> Result<Box<dyn Source>, Error> {
    match kind {
        "postgres" => postgres::source(connection, settings),
        "sqlite" => sqlite::source(connection, settings),
        "file" => file::source(connection, settings),
        "program" => program::source(connection, settings),
        "tcp" => Err(tcp::no_step()),
        "http" => Err(http::no_step()),
        _ => Err(Error::unknown_connector(kind)),
    }
}

/// Makes the sink of a step from its connection and its `with`; checks both.
pub fn sink(kind: &str, connection: Option<&ConnectionOrder>, settings: &Value) -> Result<Box<dyn Sink>, Error> {
    match kind {
        "postgres" => postgres::sink(connection, settings),
        "sqlite" => sqlite::sink(connection, settings),
        "file" => file::sink(connection, settings),
        "program" => program::sink(connection, settings),
        "tcp" => Err(tcp::no_step()),
        "http" => Err(http::no_step()),
        _ => Err(Error::unknown_connector(kind)),
    }
}

/// Tries a connection stage by stage from this machine; the first failed stage is the last.
pub fn test(kind: &str, connection: &ConnectionOrder, site: &Site, cancel: &Cancel) -> ConnectionTest {
    if let Err(refused) = site.policy.now().may_use(kind) {
        let detail = format!("{refused}; {}", refused.advice);
        return ConnectionTest { stages: vec![Stage { stage: "policy".into(), ok: false, detail, millis: 0 }] };
    }
    match kind {
        "postgres" => postgres::test(connection, site, cancel),
        "sqlite" => sqlite::test(connection, site, cancel),
        "file" => file::test(connection, site),
        "program" => program::test(connection, site),
        "tcp" => tcp::test(connection, site, cancel),
        "http" => http::test(connection, site, cancel),
        _ => ConnectionTest {
            stages: vec![Stage {
                stage: "settings".into(),
                ok: false,
                detail: Error::unknown_connector(kind).to_string(),
                millis: 0,
            }],
        },
    }
}
