//! Results in the types that connectors agree on: a query may compute views, unsigned numbers or dictionaries.

use std::collections::HashSet;

use arrow_schema::SchemaRef;
use sallyport_dataplane::Mapping;

use crate::Error;

/// The way from a result to the common types. A value that they cannot hold is an error, never a null.
pub(crate) fn mapping(schema: &SchemaRef) -> Result<Mapping, Error> {
    let mut names = HashSet::new();
    for field in schema.fields() {
        if !names.insert(field.name()) {
            let text = format!("the query gives two columns named `{}`", field.name());
            return Err(Error::query("duplicate_column", text, "name one of them with AS"));
        }
    }
    Mapping::of(schema).map_err(|unmapped| {
        Error::query("unsupported_type", unmapped.to_string(), "take its parts apart or cast it in the query")
    })
}
