//! Looks around: locks, files, the system, and the way to the server.

use std::fs;
use std::path::Path;

use sallyport_protocol::{Clock, Timestamp};
use sallyport_site::config::Environment;
use sallyport_site::{Layout, Settings, crash, lock, machine};

use super::facts::{Facts, Logs, Updates};
use super::network;
use crate::status;
use crate::update::failures;

/// Looks at everything.
pub(super) fn look(layout: &Layout, clock: &Clock) -> Facts {
    let environment = Environment::read();
    let loaded = Settings::load(&layout.wrapper_settings());
    let seen = loaded.as_ref().map_err(crate::console::chain_of).and_then(|loaded| {
        network::look(layout, &loaded.settings, &environment, clock).map(|network| (loaded.warnings.clone(), network))
    });
    let wrapper = lock::holder(&layout.wrapper_lock());
    let agent = lock::holder(&layout.agent_lock());
    let status = wrapper.as_ref().and_then(|_| status::read(&layout.status()));
    let (settings, network) = match seen {
        Ok((warnings, network)) => (Ok(warnings), Some(network)),
        Err(reason) => (Err(reason), None),
    };
    let own = machine::process(std::process::id());
    Facts {
        // After what may take long, so that it is the time of the findings.
        now: clock.now(),
        process: agent.as_ref().and_then(|agent| machine::process(agent.process_id)),
        missing_program: missing(layout),
        status: status.as_ref().map(|status| status.agent_for_people(clock.now())),
        settings,
        network,
        logs: Logs { unwritable: unwritable(&layout.logs()), written_at: written_at(&layout.logs()) },
        free_bytes: machine::free_bytes(layout.home()),
        memory: machine::memory(),
        open_files_max: own.and_then(|own| own.open_files_max),
        updates: Updates { text: status.map(|status| status.update.text), failed: failures(layout) },
        policy: policy(&layout.policy()),
        crashes: crash::files(&layout.logs()).iter().filter_map(|file| crash::read(&layout.logs(), file)).collect(),
        wrapper,
        agent,
    }
}

fn missing(layout: &Layout) -> Option<String> {
    let installed = fs::read_dir(layout.versions()).is_ok_and(|mut entries| entries.next().is_some());
    let program = layout.agent_program();
    (!installed && !program.is_file()).then(|| program.display().to_string())
}

/// Tries to write to the folder.
fn unwritable(folder: &Path) -> Option<String> {
    if !folder.exists() {
        // It is made at the first start.
        return None;
    }
    let probe = folder.join(format!("doctor-{}.tmp", std::process::id()));
    let written = fs::write(&probe, [b'x'; 4096]);
    // What could not be written need not be removed.
    let _ = fs::remove_file(&probe);
    written.err().map(|error| format!("writing to {}: {error}", folder.display()))
}

fn written_at(folder: &Path) -> Option<Timestamp> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let logs = entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "log"));
    let newest = logs.filter_map(|entry| entry.metadata().ok()?.modified().ok()).max()?;
    let since = newest.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp(i64::try_from(since.as_micros()).ok()?))
}

fn policy(path: &Path) -> Option<Result<u64, String>> {
    match fs::read_to_string(path) {
        Ok(text) => Some(Ok(text.len() as u64)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => Some(Err(format!("reading {}: {error}", path.display()))),
    }
}
