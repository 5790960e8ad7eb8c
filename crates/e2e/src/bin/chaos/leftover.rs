//! What must not be left when nothing runs any more: processes, sessions, locks, staging tables, half-written files,
//! scratch folders, descriptors, memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use sallyport_e2e::{descriptors_of, processes_below, usage_of, within};

use crate::kind::{Kind, Target};
use crate::lane::Ended;
use crate::report::Report;
use crate::world::World;

/// How long things may take to be gone after the last run has ended.
const GONE_MAX: Duration = Duration::from_secs(20);
/// A process may have so many more descriptors open than at the first look: connections that are kept ready.
const DESCRIPTORS_GROWTH_MAX: usize = 48;
/// And hold so many more bytes: what an allocator keeps of the widest moment.
const MEMORY_GROWTH_MAX: u64 = 256 << 20;

/// What each process had when it was first looked at.
#[derive(Default)]
pub(crate) struct Growth {
    first: BTreeMap<u32, (usize, u64)>,
}

/// Takes away what may be left: half the file of a run that was cancelled while its agent was dead, because only the
/// next writer of that file finds it.
pub(crate) fn abandoned(world: &World, kind: Kind, ended: &[Ended], report: &mut Report) -> Result<()> {
    let folder = match kind.target() {
        Target::Folder(folder) => world.far_file(folder),
        Target::SmallDisk => world.small(),
        Target::Parquet(_) => world.far_file(""),
        Target::Table(_) | Target::Sqlite(_) => return Ok(()),
    };
    if ended.iter().all(|run| run.state != "cancelled") {
        return Ok(());
    }
    let mut found = Vec::new();
    collect(&folder, &mut found)?;
    for path in found.iter().filter(|path| is_part(path) && path.parent() == Some(&folder)) {
        std::fs::remove_file(path)?;
        report.abandoned += 1;
    }
    Ok(())
}

/// Runs that others have started end with them.
fn runs(world: &World) -> Result<Vec<String>> {
    let open = world.server.api.get("/api/v1/runs?open=true&limit=5")?;
    let items = open["items"].as_array().into_iter().flatten();
    Ok(items.map(|run| format!("{} of {} is {}", run["id"], run["task"], run["state"])).collect())
}

/// What is left, after it had time to go.
pub(crate) fn look(world: &World) -> Result<Vec<String>> {
    let mut left = Vec::new();
    let gone = within(GONE_MAX, "everything to be gone", || {
        left = processes(world)?;
        left.extend(in_database(world)?);
        left.extend(in_sqlite(world)?);
        left.extend(runs(world)?);
        left.extend(files(world)?);
        Ok(left.is_empty().then_some(()))
    });
    // An error is either the time that is over, and `left` says why, or a look that failed.
    match gone {
        Err(error) if left.is_empty() => Err(error),
        _ => Ok(left),
    }
}

impl Growth {
    /// What has grown too much since the first look at each process.
    pub(crate) fn look(&mut self, world: &World) -> Result<Vec<String>> {
        let mut grown = Vec::new();
        for (name, pid) in expected(world) {
            let (descriptors, memory) = (descriptors_of(pid)?, usage_of(pid)?.resident);
            let (descriptors_first, memory_first) = *self.first.entry(pid).or_insert((descriptors, memory));
            if descriptors > descriptors_first + DESCRIPTORS_GROWTH_MAX {
                grown.push(format!("{name} has {descriptors} descriptors open, {descriptors_first} at first"));
            }
            if memory > memory_first + MEMORY_GROWTH_MAX {
                grown.push(format!("{name} holds {} MiB, {} at first", memory >> 20, memory_first >> 20));
            }
        }
        Ok(grown)
    }
}

/// The processes that are meant to run, the database's apart.
fn expected(world: &World) -> Vec<(String, u32)> {
    let mut all: Vec<(String, u32)> =
        world.server.process.iter().map(|process| ("the server".to_owned(), process.id())).collect();
    for machine in &world.machines {
        let name = machine.site.name();
        all.extend(machine.agent.wrapper.iter().map(|wrapper| (format!("the wrapper of {name}"), wrapper.id())));
        all.extend(machine.agent.agent_process().map(|pid| (format!("agent {name}"), pid)));
    }
    all
}

fn processes(world: &World) -> Result<Vec<String>> {
    let expected = expected(world);
    let wanted = 1 + 2 * world.machines.len();
    let mut left = Vec::new();
    if expected.len() != wanted {
        left.push(format!("{} processes run and not {wanted}: {expected:?}", expected.len()));
    }
    let database = world.postgres.processes();
    for pid in processes_below(world.folder.path()) {
        if database.contains(&pid) || expected.iter().any(|(_, known)| *known == pid) {
            continue;
        }
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        left.push(format!("process {pid}: {}", String::from_utf8_lossy(&words).replace('\0', " ")));
    }
    Ok(left)
}

fn in_database(world: &World) -> Result<Vec<String>> {
    const WHAT: &[(&str, &str)] = &[
        ("sessions", "pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"),
        ("locks", "pg_locks where pid <> pg_backend_pid()"),
        ("prepared transactions", "pg_prepared_xacts"),
        ("replication slots", "pg_replication_slots"),
        ("staging tables", "pg_class where relkind = 'r' and relname like 'sallyport\\_new%'"),
    ];
    let mut left = Vec::new();
    for (what, from) in WHAT {
        let count = world.postgres.sql(&format!("select count(*) from {from}"))?;
        if count != "0" {
            left.push(format!("{count} {what} in PostgreSQL"));
        }
    }
    Ok(left)
}

/// Whether the database can be locked and is whole.
fn in_sqlite(world: &World) -> Result<Vec<String>> {
    let sqlite = rusqlite::Connection::open(world.sqlite())?;
    sqlite.busy_timeout(Duration::ZERO)?;
    if let Err(error) = sqlite.execute_batch("begin immediate; rollback") {
        return Ok(vec![format!("a lock on the SQLite database: {error}")]);
    }
    let whole: String = sqlite.query_row("pragma integrity_check", [], |row| row.get(0))?;
    Ok(if whole == "ok" { Vec::new() } else { vec![format!("the SQLite database is damaged: {whole}")] })
}

/// Half-written files anywhere, and anything in a scratch folder.
fn files(world: &World) -> Result<Vec<String>> {
    let mut found = Vec::new();
    // The server keeps a folder for each environment's agent.
    let environments = std::fs::read_dir(world.server.data().join("work")).into_iter().flatten().flatten();
    let mut scratch: Vec<_> = environments.map(|entry| entry.path()).collect();
    for machine in &world.machines {
        scratch.push(machine.agent.folder().join("work"));
        collect(&machine.agent.file(""), &mut found)?;
    }
    collect(&world.small(), &mut found)?;
    collect(&world.server.data().join("files"), &mut found)?;
    let mut left: Vec<String> =
        found.into_iter().filter(|path| is_part(path)).map(|path| format!("half a file: {}", path.display())).collect();
    for folder in scratch {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
        left.extend(entries.map(|entry| format!("scratch: {}", entry.path().display())));
    }
    Ok(left)
}

fn is_part(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "part")
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}
