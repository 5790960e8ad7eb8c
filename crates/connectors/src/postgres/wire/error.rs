//! How talking to a server fails, and what people are told.

use std::io;

use sallyport_protocol::FailureKind;

use super::cursor::Cursor;
use crate::Error as StepError;

/// Longer parts of what the server says are cut: a message may quote a whole value.
const SAID_CHARS_MAX: usize = 1000;

/// Why an exchange with the server ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The connection broke.
    #[error("the connection was lost: {0}")]
    Lost(#[from] io::Error),
    /// The server said no.
    #[error("{}", .0.message)]
    Server(Box<ServerError>),
    /// The server said what this client does not understand.
    #[error("unexpected answer of the server: {0}")]
    Protocol(String),
    /// One value is longer than is read.
    #[error("row {row}, column {column}: a value of {bytes} bytes")]
    ValueTooLarge { row: u64, column: usize, bytes: u64 },
    /// One row is longer than is read.
    #[error("row {row}: {bytes} bytes")]
    RowTooLarge { row: u64, bytes: u64 },
    /// Already worded for people.
    #[error(transparent)]
    Told(Box<StepError>),
}

impl From<StepError> for Error {
    fn from(error: StepError) -> Self {
        Self::Told(Box::new(error))
    }
}

/// The fields of an ErrorResponse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerError {
    pub code: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    pub place: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub constraint: Option<String>,
}

impl ServerError {
    /// Reads the body of an ErrorResponse or NoticeResponse.
    pub(crate) fn parse(body: &[u8]) -> Self {
        let mut error = Self::default();
        let mut cursor = Cursor::new(body);
        while let Ok(field) = cursor.byte() {
            let Ok(text) = cursor.text() else { break };
            let text = cut(text, SAID_CHARS_MAX);
            match field {
                b'C' => error.code = text,
                b'M' => error.message = text,
                b'D' => error.detail = Some(text),
                b'H' => error.hint = Some(text),
                b'W' => error.place = Some(text),
                b't' => error.table = Some(text),
                b'c' => error.column = Some(text),
                b'n' => error.constraint = Some(text),
                _ => {}
            }
        }
        error
    }

    /// Everything the server told, on one line.
    fn sentence(&self) -> String {
        let mut told = self.message.clone();
        let named = [("table", &self.table), ("column", &self.column), ("constraint", &self.constraint)];
        let mut extra: Vec<String> =
            named.iter().filter_map(|(what, name)| name.as_ref().map(|name| format!("{what} `{name}`"))).collect();
        extra.extend(self.detail.iter().map(|detail| detail.trim_end_matches('.').to_owned()));
        extra.extend(self.place.iter().map(|place| cut(place.lines().next().unwrap_or_default(), 300)));
        extra.push(format!("SQLSTATE {}", self.code));
        told.push_str(&format!(" ({})", extra.join("; ")));
        told
    }

    /// Code, part and advice for the SQLSTATEs that people meet.
    fn meaning(&self) -> Meaning {
        let connector = FailureKind::Connector;
        let (kind, code, transient, advice) = match self.code.as_str() {
            "28P01" | "28000" => {
                (connector, "login_refused", false, "check user, password and the server's pg_hba.conf")
            }
            "3D000" => (connector, "database_not_found", false, "check the connection's `database`"),
            "42P01" | "3F000" => {
                (connector, "table_not_found", false, "check schema and table, and the role's search_path")
            }
            "42703" => (connector, "column_not_found", false, "check the column's name, spelt as in the catalogue"),
            "42501" => (connector, "not_allowed", false, "grant the role the right that the message names"),
            "42601" => (connector, "bad_query", false, "run the query in psql and correct it"),
            "25006" => (connector, "read_only", false, "reading steps may not change data; use a primary to write"),
            "57014" => (connector, "query_cancelled", false, "somebody or a statement timeout stopped the query"),
            "53300" => (connector, "too_many_connections", true, "raise max_connections or run fewer steps at once"),
            "53100" => (connector, "disk_full", false, "free space on the database server"),
            "40001" | "40P01" => (connector, "serialization_failure", true, "other sessions got in the way"),
            "55P03" => (connector, "lock_timeout", true, "another session holds a lock on the table"),
            "42P10" => (
                connector,
                "no_unique_index",
                false,
                "an upsert needs a unique index or primary key on exactly the columns of `key`",
            ),
            "2BP01" => (
                connector,
                "dependent_objects",
                false,
                "use the mode `truncate` or `upsert`, which keep the table itself",
            ),
            "57P01" | "57P02" | "57P03" => (connector, "server_shutdown", true, "the server is stopping or starting"),
            code => return Self::meaning_of_class(code),
        };
        Meaning { kind, code, transient, advice: Some(advice) }
    }

    fn meaning_of_class(code: &str) -> Meaning {
        let (kind, code, transient) = match code.get(..2).unwrap_or_default() {
            "08" => (FailureKind::Connector, "connection_lost", true),
            "22" => (FailureKind::Output, "bad_value", false),
            "23" => (FailureKind::Output, "constraint_violation", false),
            "53" => (FailureKind::Connector, "server_resources", true),
            "57" => (FailureKind::Connector, "server_interrupted", true),
            _ => (FailureKind::Connector, "server_error", false),
        };
        Meaning { kind, code, transient, advice: None }
    }
}

struct Meaning {
    kind: FailureKind,
    code: &'static str,
    transient: bool,
    advice: Option<&'static str>,
}

impl Error {
    /// The words for people; `doing` says what was attempted and where.
    pub(crate) fn explain(self, doing: &str) -> StepError {
        match self {
            Self::Told(error) => *error,
            Self::Lost(why) => StepError::transient(
                FailureKind::Connector,
                "connection_lost",
                format!("{doing}: lost the connection: {why}"),
            ),
            Self::Server(error) => {
                let meaning = error.meaning();
                let message = format!("{doing}: {}", error.sentence());
                let failed = if meaning.transient {
                    StepError::transient(meaning.kind, meaning.code, message)
                } else {
                    StepError::permanent(meaning.kind, meaning.code, message)
                };
                match (meaning.advice, error.hint) {
                    (Some(advice), Some(hint)) => failed.advise(format!("{advice}; the server hints: {hint}")),
                    (Some(advice), None) => failed.advise(advice),
                    (None, Some(hint)) => failed.advise(hint),
                    (None, None) => failed,
                }
            }
            wrong @ (Self::Protocol(_) | Self::ValueTooLarge { .. } | Self::RowTooLarge { .. }) => {
                StepError::permanent(FailureKind::Connector, "protocol", format!("{doing}: {wrong}"))
            }
        }
    }

    /// The SQLSTATE, where the server gave one.
    pub(crate) fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Server(error) => Some(&error.code),
            _ => None,
        }
    }
}

/// At most `max` characters of a text, with dots where it was cut.
pub(crate) fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}
