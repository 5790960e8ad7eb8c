//! What must be there before the agent is started.

use std::path::Path;

use sallyport_site::durable::{self, Readers};
use sallyport_site::{Layout, Settings};

use crate::fetch::Door;
use crate::install;
use crate::update::offer;

/// Makes sure that the program is there. Where the publisher's keys are known, nothing is taken on the server's word: a
/// missing program then comes as a signed release, or with a new download.
pub(super) fn make_ready(
    program: &Path,
    layout: &Layout,
    settings: &Settings,
    door: &Door,
    may_update: bool,
) -> Result<(), String> {
    if !matches!(offer::trust(layout), Ok(None)) {
        let missing = || format!("{} is missing; download the agent again, or wait for a release", program.display());
        return if program.is_file() { Ok(()) } else { Err(missing()) };
    }
    install::ensure(layout, settings, door, may_update).map(|_| ()).map_err(|error| error.to_string())
}

/// Gives an agent that was downloaded, and so came without settings, those of the wrapper.
pub(super) fn give_settings(layout: &Layout) -> std::io::Result<()> {
    if layout.agent_settings().exists() {
        return Ok(());
    }
    durable::replace(&layout.agent_settings(), &std::fs::read(layout.wrapper_settings())?, Readers::Owner)
}
