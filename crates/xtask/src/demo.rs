//! `./x demo`.

use crate::config::Config;

/// Shows the two-agent task.
pub(crate) fn run(_config: &Config, _arguments: &[&str]) -> Result<(), String> {
    Err("the demo comes with the server".into())
}
