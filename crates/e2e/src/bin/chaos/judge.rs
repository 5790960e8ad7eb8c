//! Looks into the targets themselves and compares them with what the platform says of the runs.

use std::path::Path;

use anyhow::{Context, Result};
use sallyport_e2e::{Postgres, rows as read};

use crate::kind::{Kind, Target};
use crate::lane::{Ended, Lane};
use crate::report::Report;
use crate::tally::{Tallies, Tally, add};
use crate::world::World;

const QUERY: &str = "select run, id, code, cents, note from";

/// Judges the runs of one kind in a round; afterwards a target that keeps every run is empty.
pub(crate) fn lane(world: &World, lane: &mut Lane, ended: &[Ended], report: &mut Report) -> Result<Vec<Wrong>> {
    for run in ended {
        *report.runs.entry(run.state.clone()).or_default() += 1;
        report.attempts += run.attempts;
    }
    let kind = lane.kind;
    let held = held(world, kind).with_context(|| format!("reading the target of {}", kind.name()))?;
    let mut wrong = every_run_once(world, lane, ended)?;
    wrong.extend(none_works(kind, ended));
    if kind == Kind::Incremental {
        wrong.extend(incremental(lane, ended, &held, report));
        if lane.owed.is_empty() {
            clear(world, kind)?;
            lane.since = lane.started + 1;
        }
    } else if kind.keeps_every_run() {
        wrong.extend(each(kind, ended, held, report));
        clear(world, kind)?;
    } else {
        wrong.extend(newest(lane, ended, &held, report));
    }
    Ok(wrong)
}

/// Something that is not as promised, and the run that it is about.
pub(crate) struct Wrong {
    pub(crate) what: String,
    pub(crate) run: Option<String>,
}

impl Wrong {
    fn of(kind: Kind, run: &Ended, what: &str) -> Self {
        let Ended { number, state, attempts, failure, .. } = run;
        let why = if failure.is_empty() { String::new() } else { format!(" ({failure})") };
        let what = format!("{} run {number}, {state} in {attempts} attempts{why}: {what}", kind.name());
        Self { what, run: Some(run.id.clone()) }
    }
}

/// One fault may outlast all attempts of a run or two; a kind of which many fail and none succeeds has another reason.
fn none_works(kind: Kind, ended: &[Ended]) -> Option<Wrong> {
    const MANY: usize = 5;
    let works = ended.iter().any(Ended::went_well);
    let mut failed = ended.iter().filter(|run| run.state == "failed");
    let many = failed.nth(MANY - 1)?;
    (!works).then(|| Wrong::of(kind, many, "no run of its kind has succeeded in this round"))
}

/// As many runs as were asked for, whatever was repeated.
fn every_run_once(world: &World, lane: &Lane, ended: &[Ended]) -> Result<Vec<Wrong>> {
    let mut wrong = Vec::new();
    let name = lane.kind.name();
    let listed = world.server.api.get(&format!("/api/v1/runs?task={name}&limit=1"))?["total"].as_u64();
    if listed != Some(lane.started) {
        let what = format!("{name}: {} runs were started and {listed:?} are listed", lane.started);
        wrong.push(Wrong { what, run: None });
    }
    let expected = lane.kind.wanted().count() as u64;
    // Of an incremental run only the rows count that no earlier attempt or run has delivered.
    let counts = |run: &&Ended| lane.kind != Kind::Incremental && run.state == "succeeded";
    for run in ended.iter().filter(counts).filter(|run| run.rows != expected) {
        wrong.push(Wrong::of(lane.kind, run, &format!("it counts {} rows and not {expected}", run.rows)));
    }
    let known = |run: &&Ended| match run.state.as_str() {
        "succeeded" | "failed" | "cancelled" => true,
        "no_data" => lane.kind == Kind::Incremental,
        _ => false,
    };
    for run in ended.iter().filter(|run| !known(run)) {
        wrong.push(Wrong::of(lane.kind, run, "nothing asked for this state"));
    }
    Ok(wrong)
}

/// A target that keeps the rows of every run: all of those that succeeded, none of those that failed.
fn each(kind: Kind, ended: &[Ended], mut held: Tallies, report: &mut Report) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    for run in ended {
        let tally = held.remove(&run.number).unwrap_or_default();
        let complete = tally.against(kind.wanted());
        match (run.state.as_str(), complete) {
            ("succeeded", None) => report.rows += tally.rows(),
            ("succeeded", Some(what)) => wrong.push(Wrong::of(kind, run, &what)),
            (_, _) if tally.rows() == 0 => {}
            // The agent was gone before it could say that it had committed.
            ("cancelled", None) => report.cancelled_late += 1,
            (_, _) => wrong.push(Wrong::of(kind, run, &format!("it has left {} rows", tally.rows()))),
        }
    }
    for (number, tally) in held {
        let what = format!("{}: {} rows of run {number}, which has no place here", kind.name(), tally.rows());
        wrong.push(Wrong { what, run: None });
    }
    wrong
}

/// A target that an incremental task fills: the rows of every run up to the last that succeeded, and of later ones none
/// twice.
fn incremental(lane: &mut Lane, ended: &[Ended], held: &Tallies, report: &mut Report) -> Vec<Wrong> {
    let kind = lane.kind;
    for run in ended {
        lane.owed.insert(run.number);
        if run.went_well() {
            lane.owed.clear();
        }
    }
    let (mut wrong, nothing) = (Vec::new(), Tally::default());
    for number in lane.since..=lane.started {
        let tally = held.get(&number).unwrap_or(&nothing);
        let what = if lane.owed.contains(&number) { tally.too_many() } else { tally.against(kind.wanted()) };
        let about = ended.iter().find(|run| run.number == number);
        match (what, about) {
            (None, about) => report.rows += about.map_or(0, |_| tally.rows()),
            (Some(what), Some(run)) => wrong.push(Wrong::of(kind, run, &what)),
            (Some(what), None) => {
                wrong.push(Wrong { what: format!("{} run {number}: {what}", kind.name()), run: None })
            }
        }
    }
    for number in held.keys().filter(|number| !(lane.since..=lane.started).contains(number)) {
        wrong
            .push(Wrong { what: format!("{}: rows of run {number}, which has no place here", kind.name()), run: None });
    }
    wrong
}

/// A target that holds the newest run's rows alone: those of the last that succeeded.
fn newest(lane: &mut Lane, ended: &[Ended], held: &Tallies, report: &mut Report) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let last = ended.iter().filter(|run| run.state == "succeeded").map(|run| run.number).max();
    let newest = last.or(lane.newest);
    report.rows += ended.iter().filter(|run| run.state == "succeeded").map(|run| run.rows).sum::<u64>();
    let late = |number: &u64| {
        ended.iter().any(|run| run.number == *number && run.state == "cancelled" && newest < Some(*number))
    };
    lane.newest = match held.iter().next() {
        Some((number, _)) if held.len() == 1 && late(number) => {
            report.cancelled_late += 1;
            Some(*number)
        }
        _ => newest,
    };
    let name = lane.kind.name();
    let numbers: Vec<&u64> = held.keys().collect();
    if held.keys().ne(lane.newest.iter()) {
        let what = format!("{name}: it holds rows of the runs {numbers:?} and not of {:?} alone", lane.newest);
        let about = ended.iter().find(|run| Some(run.number) == lane.newest || held.contains_key(&run.number));
        wrong.push(Wrong { what, run: about.map(|run| run.id.clone()) });
    } else if let Some(what) = held.values().next().and_then(|tally: &Tally| tally.against(lane.kind.wanted())) {
        let about = ended.iter().find(|run| Some(run.number) == lane.newest);
        wrong.push(Wrong { what: format!("{name}: {what}"), run: about.map(|run| run.id.clone()) });
    }
    wrong
}

/// What a target holds.
fn held(world: &World, kind: Kind) -> Result<Tallies> {
    let mut tallies = Tallies::new();
    let mut row = |fields: &[String]| add(&mut tallies, fields);
    match kind.target() {
        Target::Table(table) => table_rows(&world.postgres, table, &mut row)?,
        Target::Sqlite(table) => read::of_sqlite(&world.sqlite(), &format!("{QUERY} {table}"), &mut row)?,
        Target::Folder(folder) => folder_rows(&world.far_file(folder), &mut row)?,
        Target::SmallDisk => folder_rows(&world.small(), &mut row)?,
        Target::Parquet(path) => {
            let path = world.far_file(path);
            if path.is_file() {
                read::of_parquet(&path, &mut row)?;
            }
        }
    }
    Ok(tallies)
}

fn table_rows(postgres: &Postgres, table: &str, row: &mut dyn FnMut(&[String])) -> Result<()> {
    let text = postgres.sql(&format!("copy ({QUERY} {table}) to stdout with (format csv)"))?;
    read::of_csv_text(&text, row);
    Ok(())
}

/// Every file that is not hidden must be whole; hidden ones are looked for elsewhere.
fn folder_rows(folder: &Path, row: &mut dyn FnMut(&[String])) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            read::of_csv(&path, row)?;
        }
    }
    Ok(())
}

/// Makes room for the next round.
fn clear(world: &World, kind: Kind) -> Result<()> {
    match kind.target() {
        Target::Table(table) => world.postgres.sql(&format!("truncate {table}")).map(drop),
        Target::Sqlite(table) => {
            Ok(rusqlite::Connection::open(world.sqlite())?.execute_batch(&format!("delete from {table}"))?)
        }
        Target::Folder(folder) => empty(&world.far_file(folder)),
        Target::SmallDisk => empty(&world.small()),
        Target::Parquet(_) => Ok(()),
    }
}

fn empty(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        std::fs::remove_file(entry?.path())?;
    }
    Ok(())
}
