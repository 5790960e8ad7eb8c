//! `./x bench`.

use crate::config::Config;

/// Measures.
pub(crate) fn run(_config: &Config, _arguments: &[&str]) -> Result<(), String> {
    Err("the benchmarks come with the agents".into())
}
