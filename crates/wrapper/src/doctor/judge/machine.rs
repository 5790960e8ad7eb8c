//! What the machine has left.

use sallyport_protocol::Finding;

use super::{failed, ok, skipped, warning};
use crate::doctor::facts::Facts;

/// Below this an agent soon cannot write its logs, journal and downloads.
const DISK_BYTES_MIN: u64 = 200 * 1024 * 1024;
const DISK_BYTES_FEW: u64 = 1024 * 1024 * 1024;
/// Below this nothing of use can be done with rows.
const MEMORY_BYTES_MIN: u64 = 64 * 1024 * 1024;
const MEMORY_BYTES_FEW: u64 = 256 * 1024 * 1024;
/// An agent needs about two a stream, its files and its connections to the server.
const OPEN_FILES_MIN: u64 = 128;
const OPEN_FILES_FEW: u64 = 1024;
/// A log file is written to at the start at the latest; clocks of files are coarse.
const LOG_LATE: std::time::Duration = std::time::Duration::from_secs(60);

pub(super) fn logs(facts: &Facts) -> Finding {
    const CHECK: &str = "logs";
    if let Some(reason) = &facts.logs.unwritable {
        return failed(CHECK, reason.clone(), "give the user that runs this the right to write to logs/, and space");
    }
    let Some(wrapper) = &facts.wrapper else { return ok(CHECK, "logs/ can be written to") };
    let due = wrapper.since.minus(LOG_LATE);
    match facts.logs.written_at {
        Some(at) if at >= due => ok(CHECK, "logs/ can be written to, and is"),
        _ => warning(
            CHECK,
            "nothing was written to logs/ since the wrapper has started",
            "its user may lack the right to write there, or the disk was full; restart it",
        ),
    }
}

/// A warning or a failure where something is below its bounds.
fn amount(check: &str, seen: String, have: u64, (few, least): (u64, u64), advice: &str) -> Finding {
    match have {
        have if have < least => failed(check, seen, advice),
        have if have < few => warning(check, seen, advice),
        _ => ok(check, seen),
    }
}

pub(super) fn disk(facts: &Facts) -> Finding {
    const CHECK: &str = "disk";
    let Some(free) = facts.free_bytes else { return skipped(CHECK, "this system does not say what is free") };
    let seen = format!("{} free where the agent lies", bytes(free));
    amount(
        CHECK,
        seen,
        free,
        (DISK_BYTES_FEW, DISK_BYTES_MIN),
        "make space; files/, work/ and logs/ may hold what can go",
    )
}

pub(super) fn descriptors(facts: &Facts) -> Finding {
    const CHECK: &str = "descriptors";
    let process = facts.process.unwrap_or_default();
    let Some(most) = process.open_files_max.or(facts.open_files_max) else {
        return skipped(CHECK, "this system does not say how many files may be open");
    };
    let advice = "raise the limit of open files (ulimit -n, LimitNOFILE=)";
    if let Some(open) = process.open_files.filter(|open| open.saturating_mul(10) >= most.saturating_mul(9)) {
        return failed(CHECK, format!("the agent has {open} of {most} files and connections open"), advice);
    }
    let seen = match process.open_files {
        Some(open) => format!("the agent has {open} of {most} files and connections open"),
        None => format!("an agent may have {most} files and connections open"),
    };
    amount(CHECK, seen, most, (OPEN_FILES_FEW, OPEN_FILES_MIN), advice)
}

pub(super) fn memory(facts: &Facts) -> Finding {
    const CHECK: &str = "memory";
    let Some((available, all)) = facts.memory else {
        return skipped(CHECK, "this system does not say what is available");
    };
    let held = facts.process.and_then(|process| process.memory_bytes);
    let agent = held.map_or(String::new(), |held| format!("; the agent holds {}", bytes(held)));
    let seen = format!("{} of {} available{agent}", bytes(available), bytes(all));
    amount(CHECK, seen, available, (MEMORY_BYTES_FEW, MEMORY_BYTES_MIN), "end what else uses memory, or add some")
}

fn bytes(count: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    match count {
        0..MIB => format!("{} KiB", count / 1024),
        MIB..10_737_418_240 => format!("{} MiB", count / MIB),
        _ => format!("{} GiB", count / (1024 * MIB)),
    }
}
