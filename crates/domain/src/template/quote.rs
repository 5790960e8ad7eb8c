//! Values in SQL: filters that make them safe, and the rule that no other way leads in.
//!
//! A filter answers a [`Fragment`], which only this module makes. Whatever is done with it afterwards gives common text
//! again, which SQL does not take; so a value cannot lose its quotes on the way.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Object, ObjectRepr, Value, ValueKind};
use minijinja::{Error, ErrorKind, Output, State, escape_formatter};

use super::text::Target;

/// A piece of SQL.
#[derive(Debug)]
struct Fragment(String);

impl Object for Fragment {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `value | sql`: a literal; a list becomes `(1, 2, 3)`.
#[expect(clippy::needless_pass_by_value, reason = "filters are given their values")]
pub(super) fn literal(value: Value) -> Result<Value, Error> {
    Ok(fragment(literal_text(&value)?))
}

/// `value | identifier`: a quoted name; a list becomes `"a", "b"`.
#[expect(clippy::needless_pass_by_value, reason = "filters are given their values")]
pub(super) fn identifier(value: Value) -> Result<Value, Error> {
    let one = |value: &Value| match value.as_str() {
        Some("") | None => Err(refused(format!("`{value}` is no name"))),
        Some(name) => Ok(format!("\"{}\"", no_nul(name)?.replace('"', "\"\""))),
    };
    if value.kind() == ValueKind::Seq {
        let names: Vec<String> = value.try_iter()?.map(|value| one(&value)).collect::<Result<_, _>>()?;
        return Ok(fragment(names.join(", ")));
    }
    Ok(fragment(one(&value)?))
}

/// `value | raw`: as it is, on the author's word.
#[expect(clippy::needless_pass_by_value, reason = "filters are given their values")]
pub(super) fn raw(value: Value) -> Value {
    fragment(value.to_string())
}

/// Writes a value into its text; in SQL only what cannot break out of its place.
pub(super) fn formatter(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if let Some(fragment) = value.downcast_object_ref::<Fragment>() {
        return out.write_str(&fragment.0).map_err(Error::from);
    }
    if value.is_none() || value.is_undefined() {
        return Err(Error::new(ErrorKind::UndefinedError, "one of its expressions has no value"));
    }
    if value.kind() == ValueKind::Bool {
        let yes = value.is_true();
        return out.write_str(if yes { "true" } else { "false" }).map_err(Error::from);
    }
    if state.name() != Target::Sql.word() {
        return escape_formatter(out, state, value);
    }
    match value.kind() {
        ValueKind::Number => out.write_str(&number(value)).map_err(Error::from),
        _ => Err(refused(
            "text does not get into SQL as it is: write `| sql` behind it for a value, `| identifier` for a name, or \
             `| raw` where it is SQL itself",
        )),
    }
}

/// A number; in `5-{{ n }}` a minus of its own would begin a comment.
fn number(value: &Value) -> String {
    let text = value.to_string();
    if text.starts_with('-') { format!("({text})") } else { text }
}

fn literal_text(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::None => Ok("NULL".to_owned()),
        ValueKind::Bool => Ok(if value.is_true() { "TRUE" } else { "FALSE" }.to_owned()),
        ValueKind::Number => Ok(number(value)),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            Ok(format!("'{}'", no_nul(text)?.replace('\'', "''")))
        }
        ValueKind::Seq => {
            let all: Vec<String> = value.try_iter()?.map(|value| literal_text(&value)).collect::<Result<_, _>>()?;
            if all.is_empty() {
                return Err(refused("an empty list has no literal"));
            }
            Ok(format!("({})", all.join(", ")))
        }
        kind => Err(refused(format!("a value of kind {kind} has no literal"))),
    }
}

fn no_nul(text: &str) -> Result<&str, Error> {
    if text.contains('\0') { Err(refused("text with a zero byte does not get into SQL")) } else { Ok(text) }
}

fn fragment(text: String) -> Value {
    Value::from_object(Fragment(text))
}

fn refused(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, text.into())
}

/// Where the expressions of an SQL text stand that are inside of quotes or a comment: there a filter's own quotes would
/// end those around it.
pub(super) fn within_quotes(query: &str) -> Option<String> {
    let mut rest = query;
    let mut inside: Option<String> = None;
    while let Some(first) = rest.chars().next() {
        if let Some(expression) = rest.strip_prefix("{{") {
            let length = expression_length(expression);
            if let Some(end) = inside {
                let place = if end == "\n" || end == "*/" { "a comment" } else { "quotes" };
                return Some(format!(
                    "`{{{{{}}}}}` stands inside of {place}: leave them out, the filter adds its own quotes",
                    expression.get(..length).unwrap_or_default()
                ));
            }
            rest = expression.get(length..).unwrap_or_default().strip_prefix("}}").unwrap_or_default();
            continue;
        }
        match &inside {
            Some(end) if rest.starts_with(end.as_str()) => {
                rest = rest.get(end.len()..).unwrap_or_default();
                inside = None;
            }
            Some(_) => rest = rest.get(first.len_utf8()..).unwrap_or_default(),
            None => {
                let (length, end) = opening(rest);
                inside = end;
                rest = rest.get(length.max(first.len_utf8())..).unwrap_or_default();
            }
        }
    }
    None
}

/// What begins here: the length of its opening, and what ends it.
fn opening(rest: &str) -> (usize, Option<String>) {
    for (open, end) in [("'", "'"), ("\"", "\""), ("--", "\n"), ("/*", "*/")] {
        if rest.starts_with(open) {
            return (open.len(), Some(end.to_owned()));
        }
    }
    let Some(behind) = rest.strip_prefix('$') else { return (0, None) };
    let tag: String = behind.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let dollar = format!("${tag}$");
    if rest.starts_with(&dollar) && !tag.starts_with(|c: char| c.is_ascii_digit()) {
        (dollar.len(), Some(dollar))
    } else {
        (0, None)
    }
}

/// The length of an expression up to its `}}`, strings in it left alone.
fn expression_length(expression: &str) -> usize {
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (at, c) in expression.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '\'' || c == '"' => quote = Some(c),
            None if expression[at..].starts_with("}}") => return at,
            None => {}
        }
    }
    expression.len()
}
