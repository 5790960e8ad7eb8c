//! Typed identifiers: UUIDs that print with a prefix (`agent_0198c0de...`), so that swapping two does not compile and
//! a person who reads one knows what it names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// The text is not an identifier of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseIdError {
    /// The prefix that was expected, such as `agent`.
    pub expected: &'static str,
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected an id of the form {}_<32 hexadecimal digits>", self.expected)
    }
}

impl std::error::Error for ParseIdError {}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What stands before the underscore in the text form.
            pub const PREFIX: &'static str = $prefix;

            /// Wraps a UUID that came from elsewhere (a database row, a credential's user name).
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// A new identifier, ordered by the time of its making (UUIDv7).
            #[expect(clippy::new_without_default, reason = "every call gives another value")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The bare UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or(ParseIdError { expected: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

id!(
    /// A tenant.
    CompanyId,
    "company"
);
id!(
    /// An isolated space of a company.
    EnvironmentId,
    "env"
);
id!(
    /// An agent as the platform knows it; outlives every process and installation.
    AgentId,
    "agent"
);
id!(
    /// A named target and the agent that reaches it.
    ConnectionId,
    "conn"
);
id!(
    /// A task, across its versions.
    TaskId,
    "task"
);
id!(
    /// One saved version of a task.
    TaskVersionId,
    "taskver"
);
id!(
    /// One execution of a task.
    RunId,
    "run"
);
id!(
    /// A person.
    UserId,
    "user"
);
id!(
    /// An API token.
    TokenId,
    "token"
);
id!(
    /// Where notices are sent.
    ChannelId,
    "channel"
);
id!(
    /// One notice to one channel; the same in every try to send it.
    NoticeId,
    "notice"
);
id!(
    /// One unzipped folder on one machine; made at the first start and kept there.
    InstallationId,
    "inst"
);
id!(
    /// One process: made anew at every start, so that a reconnect is told from a second copy.
    InstanceId,
    "proc"
);
id!(
    /// One question to an agent that expects one answer.
    RequestId,
    "req"
);
id!(
    /// What a person opened to reach a target: one or many TCP streams.
    TunnelId,
    "tunnel"
);
