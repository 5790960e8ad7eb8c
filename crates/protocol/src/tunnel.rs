//! Tunnel lines: WebSockets that carry one TCP stream after the other, between a person's machine and the server, and
//! between the server and an agent.
//!
//! Bytes of a stream are binary messages; the words here are text messages between them. Each direction of a stream ends
//! with exactly one of [`TunnelWord::Fin`], [`TunnelWord::Reset`] and [`TunnelWord::Refused`]; whoever hears one of the
//! latter two and has not ended its own direction answers with a reset. When both directions have ended so, the line is
//! free for the next stream. Unasked pongs keep a line from being cut. Masks are zero: TLS lies around every line, and
//! bytes need not be touched to be passed on.

use serde::{Deserialize, Serialize};

use crate::{ConnectionOrder, RunId, TunnelId};

/// The longest word, in bytes of JSON: an [`HttpOrder`] holds a request's head.
pub const TUNNEL_WORD_BYTES_MAX: usize = 48 * 1024;

/// What is said on a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TunnelWord {
    /// A person's side begins a stream; bytes may follow at once.
    Begin,
    /// The server begins a stream with an agent.
    Open {
        /// Where to, and for whom.
        order: TunnelOrder,
    },
    /// The target answers.
    Opened {
        /// Its address, as the agent dialled it.
        address: String,
        /// How long name and port took on the agent, in microseconds.
        micros: u64,
    },
    /// The stream does not come about: the last word of this direction.
    Refused {
        /// Why.
        refusal: TunnelRefusal,
    },
    /// No bytes follow; the other direction goes on. The last word of this direction.
    Fin,
    /// The stream broke off. The last word of this direction.
    Reset {
        /// Why.
        reason: String,
    },
    /// A word this build does not know.
    #[serde(other)]
    Unknown,
}

/// One stream to open, as the server tells an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelOrder {
    /// The tunnel that it is part of.
    pub tunnel: TunnelId,
    /// Counts the streams of the tunnel, from 1.
    pub stream: u64,
    /// The connection's name.
    pub connection: String,
    /// Its connector's kind.
    pub kind: String,
    /// The host to dial.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who asked, for the site's log.
    pub who: String,
    /// Given where a step of this run asked, on another agent than this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Given where the stream is one exchange over HTTP. Only to an agent with the capability `via`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Box<HttpOrder>>,
}

/// The head of a request that the agent sends with the connection's own credentials. The bytes of the stream are the
/// request's body, as its head says, and the whole answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpOrder {
    /// How TLS is done, and what is added.
    pub connection: ConnectionOrder,
    /// Such as `GET`.
    pub method: String,
    /// Path and query as they stand in the request's first line.
    pub target: String,
    /// Names and values, without `Host`; each byte of a value is one character.
    pub headers: Vec<(String, String)>,
}

/// Why a stream does not come about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelRefusal {
    /// A stable word.
    pub code: TunnelRefusalCode,
    /// What was attempted, what happened and what to do.
    pub message: String,
}

/// The reason as a stable word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TunnelRefusalCode {
    /// The site's policy forbids it.
    Policy,
    /// The host has no address.
    Name,
    /// Nothing listens at the port.
    Refused,
    /// The target did not answer in time.
    Timeout,
    /// The network knows no way.
    Unreachable,
    /// Nothing encrypted could be agreed on, or the target's certificate is not good.
    Tls,
    /// The agent is offline, or did not answer.
    AgentOffline,
    /// The person may not, or not any more.
    NotAllowed,
    /// Too many streams at one time.
    TooMany,
    /// A reason this build does not know.
    #[serde(other)]
    Other,
}
