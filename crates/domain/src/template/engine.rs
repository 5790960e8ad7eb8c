//! The one environment in which expressions are compiled and evaluated.

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};

use super::{Error, quote, time};

/// What one evaluation may cost: about this many operations, and 64 bytes of memory for each.
const FUEL: u64 = 50_000;

/// How deep expressions may be nested.
const DEPTH_MAX: usize = 50;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH_MAX);
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_formatter(quote::formatter);
    environment.add_filter("sql", quote::literal);
    environment.add_filter("identifier", quote::identifier);
    environment.add_filter("raw", quote::raw);
    environment.add_filter("date", time::date);
    environment.add_filter("shift", time::shift);
    environment
});

pub(super) fn environment() -> &'static Environment<'static> {
    &ENVIRONMENT
}

/// The value of an expression.
pub(super) fn value(expression: &str, names: Value) -> Result<Value, Error> {
    let compiled = environment().compile_expression_owned(expression.to_owned());
    compiled.and_then(|compiled| compiled.eval(names)).map_err(|error| said(&error))
}

/// What the library says, without its place in a template that has no name.
pub(super) fn said(error: &minijinja::Error) -> Error {
    Error(match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "it asks for more work than one expression may take".to_owned(),
        (ErrorKind::UndefinedError, None) => "it uses a value that is not there".to_owned(),
        (_, Some(detail)) => detail.to_owned(),
        (kind, None) => kind.to_string(),
    })
}

/// Whether an error would come whatever the values are: the expression names something that does not exist.
pub(super) fn is_lasting(error: &minijinja::Error) -> bool {
    use ErrorKind::{MissingArgument, TooManyArguments, UnknownFilter, UnknownFunction, UnknownMethod, UnknownTest};
    matches!(
        error.kind(),
        UnknownFilter | UnknownTest | UnknownFunction | UnknownMethod | MissingArgument | TooManyArguments
    )
}
