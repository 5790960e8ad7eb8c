//! Settings of steps and connections: from JSON to typed structs, with errors that name the field.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use sallyport_protocol::{ConnectionOrder, FailureKind};

use crate::Error;

/// Reads the `with` of a step that `doing` (such as "reading with file").
pub(crate) fn with<T: DeserializeOwned>(settings: &Value, doing: &str) -> Result<T, Error> {
    parse(settings, &format!("`with` for {doing}"))
}

/// Reads the settings of a connection.
pub(crate) fn connection<T: DeserializeOwned>(connection: &ConnectionOrder) -> Result<T, Error> {
    parse(&connection.settings, &format!("settings of connection `{}`", connection.name))
}

/// A setting that parses but cannot be meant.
pub(crate) fn invalid(field: &str, what: impl AsRef<str>) -> Error {
    Error::permanent(FailureKind::Connector, "bad_settings", format!("`{field}`: {}", what.as_ref()))
}

/// An absolute path where only the files root may be reached.
pub(crate) fn not_confined(field: &str) -> Error {
    invalid(field, "must be relative on the background agent, which reaches the server's files folder only")
        .advise("name a place below that folder, or let a remote agent reach it")
}

/// The JSON Schema of `T`, for the catalogue.
pub(crate) fn schema<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

fn parse<T: DeserializeOwned>(settings: &Value, whole: &str) -> Result<T, Error> {
    let empty = Value::Object(Map::new());
    let settings = if settings.is_null() { &empty } else { settings };
    T::deserialize(settings).map_err(|error| {
        let why = error.to_string();
        let at = match culprit::<T>(settings, &why) {
            Some(field) => format!("{whole}, field `{field}`: {why}"),
            None => format!("{whole}: {why}"),
        };
        Error::permanent(FailureKind::Connector, "bad_settings", at).advise("correct the field and save the task again")
    })
}

/// The top-level field whose value serde refuses: the last of the shortest prefix of fields with the same complaint.
/// (serde says what is wrong with a value, not where it stands.)
fn culprit<T: DeserializeOwned>(settings: &Value, why: &str) -> Option<String> {
    let mut prefix = Map::new();
    for (field, value) in settings.as_object()? {
        prefix.insert(field.clone(), value.clone());
        let complaint = T::deserialize(&Value::Object(prefix.clone())).err()?.to_string();
        if complaint == why && !why.contains(&format!("`{field}`")) && !why.starts_with("missing field") {
            return Some(field.clone());
        }
    }
    None
}

#[cfg(test)]
mod tests;
