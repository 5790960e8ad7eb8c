//! `./x bench`: builds what is shipped, installs the tools to compare with, and hands over to the driver.

use std::process::Command;

use crate::config::Config;
use crate::{process, say, tools};

/// Builds and measures.
pub(crate) fn run(config: &Config, arguments: &[&str]) -> Result<(), String> {
    let asked_for_help = arguments.is_empty() || arguments.iter().any(|word| matches!(*word, "--help" | "-h"));
    say::part("building the release");
    process::run(tools::cargo(config).args(["build", "--workspace", "--bins", "--release"]))?;
    match arguments.first() {
        _ if asked_for_help => {}
        Some(&("idle" | "update")) => {}
        Some(&"tunnel") => left_out(&tools::tunnel_peers(config)),
        Some(&"dispatch") => left_out(&tools::dispatch_peers(config, arguments)),
        _ => tools::peers(config)?,
    }
    let mut bench = Command::new(config.target.join("release/bench"));
    bench.current_dir(&config.root).args(arguments);
    process::run(&mut bench)
}

/// One that cannot be had is left out of the comparison.
fn left_out(missing: &[tools::Missing]) {
    for peer in missing {
        say::line(&format!("{} could not be installed: {}", peer.what, peer.why));
    }
}
