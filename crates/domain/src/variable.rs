//! Rules about variables: named texts of an environment. Everybody of the environment reads them, so they hold no
//! secrets.

use crate::task::{Problem, problem};

/// The longest name, in characters.
pub const NAME_CHARS_MAX: usize = 63;

/// The longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 8 * 1024;

/// Words in names of what should be secret.
const SECRET_WORDS: &[&str] =
    &["password", "passwd", "pwd", "passphrase", "secret", "token", "apikey", "api_key", "private_key", "credential"];

/// Everything that is wrong with a variable.
pub fn check(name: &str, value: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let all = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !first || !all || name.len() > NAME_CHARS_MAX {
        let message = format!(
            "`{name}` cannot be a variable's name: expected a letter, then letters, digits and `_`, at most \
             {NAME_CHARS_MAX} characters"
        );
        problems.push(problem("/name", "name", message));
    }
    let lower = name.to_ascii_lowercase();
    if let Some(word) = SECRET_WORDS.iter().find(|word| lower.contains(**word)) {
        let message = format!(
            "`{name}` looks like the name of a secret (`{word}`), and variables are not secret: everybody of the \
             environment reads them; keep it in a connection's `secrets`"
        );
        problems.push(problem("/name", "looks_secret", message));
    }
    if value.len() > VALUE_BYTES_MAX {
        let message = format!("the value has {} bytes, over the limit of {VALUE_BYTES_MAX}", value.len());
        problems.push(problem("/value", "too_long", message));
    }
    problems
}
