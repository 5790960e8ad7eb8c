//! `when`: an expression that is true or false.

use super::{Error, Values, engine};

/// Whether a step's `when` holds.
pub fn condition(expression: &str, values: &Values) -> Result<bool, Error> {
    let value = engine::value(expression, values.names())?;
    bool::try_from(value.clone()).map_err(|_| Error(format!("it gives `{value}`, which is neither true nor false")))
}
