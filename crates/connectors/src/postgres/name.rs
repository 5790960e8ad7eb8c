//! Names and values inside SQL text.

use postgres_protocol::escape::{escape_identifier, escape_literal};

use super::settings::bad_settings;
use crate::Error;

/// A table as a person wrote it: `name`, `schema.name`, parts in double quotes where they hold a dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableName {
    pub schema: Option<String>,
    pub table: String,
}

impl TableName {
    /// Splits at the dot outside of quotes.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let wrong = || {
            bad_settings(format!("`{text}` is not a table's name"))
                .advise("write `table` or `schema.table`; a part with a dot in it goes in double quotes")
        };
        let mut parts = vec![String::new()];
        let mut quoted = false;
        let mut letters = text.trim().chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '"' if quoted && letters.peek() == Some(&'"') => {
                    letters.next();
                    parts.last_mut().ok_or_else(wrong)?.push('"');
                }
                '"' => quoted = !quoted,
                '.' if !quoted => parts.push(String::new()),
                '\0' => return Err(wrong()),
                _ => parts.last_mut().ok_or_else(wrong)?.push(letter),
            }
        }
        if quoted || parts.iter().any(String::is_empty) {
            return Err(wrong());
        }
        let table = parts.pop().ok_or_else(wrong)?;
        let schema = parts.pop();
        if parts.is_empty() { Ok(Self { schema, table }) } else { Err(wrong()) }
    }

    /// As it goes into SQL.
    pub(crate) fn sql(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", identifier(schema), identifier(&self.table)),
            None => identifier(&self.table),
        }
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.table)
    }
}

/// A name in double quotes.
pub(crate) fn identifier(name: &str) -> String {
    escape_identifier(name)
}

/// Names in double quotes with commas between.
pub(crate) fn identifiers<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    names.into_iter().map(|name| identifier(name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// A text value in single quotes.
pub(crate) fn literal(text: &str) -> String {
    escape_literal(text)
}

/// A query as it goes into parentheses: a closing semicolon would end the statement around it.
pub(crate) fn bare_query(query: &str) -> &str {
    query.trim().trim_end_matches(|letter: char| letter == ';' || letter.is_whitespace())
}

#[cfg(test)]
mod tests;
