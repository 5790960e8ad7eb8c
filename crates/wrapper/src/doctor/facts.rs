//! What was seen of an installation and of the way to its server.

use std::net::IpAddr;

use sallyport_protocol::{Checkup, Crash, Refusal, Timestamp};
use sallyport_site::dial::Kind;
use sallyport_site::lock::Holder;
use sallyport_site::machine::Process;

/// Everything that the checks are decided by.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) now: Timestamp,
    /// Who holds the wrapper's lock.
    pub(crate) wrapper: Option<Holder>,
    /// Who holds the agent's lock.
    pub(crate) agent: Option<Holder>,
    /// The agent's process, where the system tells of it.
    pub(crate) process: Option<Process>,
    /// Where the program to start is missing.
    pub(crate) missing_program: Option<String>,
    /// What the running wrapper says of its agent and its connection.
    pub(crate) status: Option<String>,
    /// The settings' oddities, or why they cannot be used.
    pub(crate) settings: Result<Vec<String>, String>,
    /// The way to the server; absent without settings.
    pub(crate) network: Option<Network>,
    pub(crate) logs: Logs,
    /// Free where the installation lies.
    pub(crate) free_bytes: Option<u64>,
    /// Available, and all.
    pub(crate) memory: Option<(u64, u64)>,
    /// How many files this process, and so an agent that it starts, may have open.
    pub(crate) open_files_max: Option<u64>,
    pub(crate) updates: Updates,
    /// The size of the site's policy, or why it cannot be read; absent where there is none.
    pub(crate) policy: Option<Result<u64, String>>,
    /// The crash files, the newest last.
    pub(crate) crashes: Vec<Crash>,
}

/// The way to the server, as far as it was open.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// `host:port`.
    pub(crate) server: String,
    /// The proxy's `host:port`, and where it is set.
    pub(crate) proxy: Option<(String, &'static str)>,
    /// The name that this machine must resolve, and its addresses.
    pub(crate) name: (String, Result<Vec<IpAddr>, String>),
    /// The way that a connection took, or why there is none.
    pub(crate) way: Result<String, (Kind, String)>,
    /// Absent without a connection.
    pub(crate) tls: Option<Result<(), TlsTrouble>>,
    /// This machine's clock less the server's, in milliseconds.
    pub(crate) clock_ahead_ms: Option<i64>,
    /// Absent without TLS.
    pub(crate) login: Option<Login>,
}

/// A handshake that failed, and what was shown in it.
#[derive(Clone, Debug)]
pub(crate) struct TlsTrouble {
    pub(crate) word: &'static str,
    pub(crate) message: String,
    /// Who signed the certificate that was shown.
    pub(crate) issuer: Option<String>,
    /// The authorities in `server-ca.pem`.
    pub(crate) expected: Vec<String>,
}

/// What the server said to the credentials.
#[derive(Clone, Debug)]
pub(crate) enum Login {
    Good(Checkup),
    Refused(Refusal),
    /// The server does not know the question.
    Unasked,
    Broken(String),
}

/// The folder of the logs.
#[derive(Clone, Debug)]
pub(crate) struct Logs {
    /// Why nothing can be written there.
    pub(crate) unwritable: Option<String>,
    /// When the newest file was written to last.
    pub(crate) written_at: Option<Timestamp>,
}

/// The state of updates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Updates {
    /// What the wrapper says it does, or why it does nothing.
    pub(crate) text: Option<String>,
    /// Versions that failed here, and why.
    pub(crate) failed: Vec<String>,
}
