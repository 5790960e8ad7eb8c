//! How a query fails.

use arrow_schema::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use sallyport_dataplane::EdgeError;

use crate::fifo;

/// Why a transform ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was told to stop.
    #[error("cancelled")]
    Cancelled,
    /// The step at the other end of an edge ended first.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// The query is wrong, met a bad value, or needs more than it may use.
    #[error("{message}")]
    Query {
        /// A stable word.
        code: &'static str,
        /// What is wrong.
        message: String,
        /// What to do.
        advice: &'static str,
    },
}

const QUOTE: &str =
    "check names against the inputs; names with upper case, dashes or spaces need double quotes: \"Order Date\"";

const NARROWER: &str = "filter earlier, join on narrower rows, or aggregate in the source's own query";

const MAKE_ROOM: &str = "make room on the agent's disk";

impl Error {
    pub(crate) fn query(code: &'static str, message: impl Into<String>, advice: &'static str) -> Self {
        Self::Query { code, message: message.into(), advice }
    }

    pub(crate) fn scratch(error: &std::io::Error) -> Self {
        Self::query("spill_failed", format!("spilling to disk: {error}"), MAKE_ROOM)
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        match input_of(&error) {
            Some(fifo::Error::Edge(edge)) => return Self::Edge(edge),
            Some(full @ fifo::Error::Full(_)) => return Self::query("spill_limit", full.to_string(), NARROWER),
            Some(disk @ fifo::Error::Disk(_)) => return Self::query("spill_failed", disk.to_string(), MAKE_ROOM),
            None => {}
        }
        let root = error.find_root();
        let message = root.strip_backtrace();
        match root {
            DataFusionError::SQL(..) => Self::query("sql_syntax", message, "correct the query"),
            DataFusionError::SchemaError(schema, _) => Self::query("sql_invalid", words(schema, message), QUOTE),
            DataFusionError::Plan(_) => Self::query("sql_invalid", message, QUOTE),
            DataFusionError::ResourcesExhausted(_) => Self::query(
                "memory_limit",
                format!("the query needs more memory than the step may use: {message}"),
                NARROWER,
            ),
            DataFusionError::NotImplemented(_) => Self::query("sql_unsupported", message, "rewrite the query"),
            DataFusionError::IoError(error) => Self::scratch(error),
            _ => Self::query("sql_runtime", message, "a value does not fit the expression; filter or cast it"),
        }
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        Self::from(DataFusionError::from(error))
    }
}

fn words(schema: &SchemaError, message: String) -> String {
    match schema {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let known: Vec<String> = valid_fields.iter().map(|column| format!("`{}`", column.flat_name())).collect();
            format!("there is no column `{}`; the inputs have {}", field.flat_name(), known.join(", "))
        }
        _ => message,
    }
}

/// The error of an input, if that is what lies beneath.
fn input_of(error: &DataFusionError) -> Option<fifo::Error> {
    let mut at: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(layer) = at {
        if let Some(input) = layer.downcast_ref::<fifo::Error>() {
            return Some(input.clone());
        }
        if let Some(DataFusionError::External(inner)) = layer.downcast_ref::<DataFusionError>()
            && let Some(input) = inner.downcast_ref::<fifo::Error>()
        {
            return Some(input.clone());
        }
        at = layer.source();
    }
    None
}
