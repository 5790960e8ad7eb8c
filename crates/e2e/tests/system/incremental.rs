//! Incremental reads: what is new arrives once, whoever is killed, and the checkpoint says how far it is.

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{Installed, Postgres, Signal, System};
use serde_json::{Value, json};

use crate::{moving, step, system};

/// Rows that are there at the start.
const ROWS: u32 = 150_000;

/// Rows that come with each fault.
const MORE: u32 = 20_000;

/// A table behind one agent, its copy in a database behind another.
struct Stage {
    reader: Installed,
    writer: Installed,
    postgres: Postgres,
}

impl Stage {
    fn build(system: &System) -> Result<Self> {
        let reader = system.agent("reader")?;
        let writer = system.agent("writer")?;
        let postgres = Postgres::start(system.folder.path(), &[])?;
        postgres.sql(
            "create table source (id int primary key, changed int, text text); create index on source (changed)",
        )?;
        let stage = Self { reader, writer, postgres };
        stage.add(1, ROWS)?;
        system.connection("db", "postgres", "reader", &stage.postgres.settings(), &stage.postgres.secrets())?;
        system.connection("db2", "postgres", "writer", &stage.postgres.settings(), &stage.postgres.secrets())?;
        system.connection("lite", "sqlite", "writer", &json!({"path": "copy.db"}), &json!({}))?;
        Ok(stage)
    }

    /// Adds rows, three of each cursor value.
    fn add(&self, from: u32, rows: u32) -> Result<()> {
        let to = from + rows - 1;
        let rows = format!("select g, g / 3, lpad(g::text, 200, '0') from generate_series({from}, {to}) g");
        self.postgres.sql(&format!("insert into source {rows}")).map(drop)
    }

    fn source(&self) -> Result<String> {
        self.postgres
            .sql("select count(*), count(distinct id), sum(id), md5(string_agg(text, ',' order by id)) from source")
    }
}

fn task(name: &str, connection: &str) -> Value {
    let retry = json!({"attempts": 10, "backoff": "200ms"});
    json!({"task": name, "steps": [
        {"name": "read", "connection": "db", "retry": retry,
         "with": {"table": "source", "incremental": {"column": "changed"}}},
        {"name": "write", "connection": connection, "input": "read", "retry": retry,
         "with": {"table": "copy", "create": true, "commit_every": {"rows": 5000}}},
    ]})
}

/// Kills what a round says while rows move, and lets the run go on to its end.
fn disturb(system: &mut System, stage: &Stage, name: &str) -> Result<()> {
    for round in 0..4_u32 {
        let id = system.start_run(name)?;
        // A run that has ended before it was disturbed is as good.
        system.run_that(&id, "to be moving or over", |run| moving(run) || run["finished_at"].is_string())?;
        match round {
            0 => drop(stage.writer.signal_agent(Signal::KILL)?),
            1 => drop(stage.reader.signal_agent(Signal::KILL)?),
            2 => {
                system.server.kill()?;
                system.server.start_again()?;
            }
            _ => {}
        }
        let run = system.ended(&id)?;
        system.must_be(&run, "succeeded")?;
        ensure!(step(&run, "write")["promise"] == "exactly once", "{run:#}");
        system.online("reader")?;
        system.online("writer")?;
        stage.add(ROWS + 1 + round * MORE, MORE)?;
    }
    system.run_well(name).map(drop)
}

fn checkpoint(system: &System, name: &str) -> Result<Value> {
    let all = system.api().get(&format!("/api/v1/tasks/{name}/checkpoints"))?;
    Ok(all["items"][0]["checkpoint"]["value"].clone())
}

#[test]
fn what_is_new_arrives_once_in_postgres_whoever_is_killed() -> Result<()> {
    system(|system| {
        let stage = Stage::build(system)?;
        system.task(&task("grow", "db2"))?;
        disturb(system, &stage, "grow")?;
        let copy = stage
            .postgres
            .sql("select count(*), count(distinct id), sum(id), md5(string_agg(text, ',' order by id)) from copy")?;
        ensure!(copy == stage.source()?, "the copy is {copy}");
        let newest = ((ROWS + 4 * MORE) / 3).to_string();
        ensure!(checkpoint(system, "grow")? == json!(newest), "{}", checkpoint(system, "grow")?);
        let kept = stage.postgres.sql("select checkpoint::json ->> 'value' from sallyport_checkpoint")?;
        ensure!(kept == newest, "the target keeps {kept}");
        let again = system.run("grow")?;
        system.must_be(&again, "no_data")
    })
}

#[test]
fn what_is_new_arrives_once_in_sqlite_whoever_is_killed() -> Result<()> {
    system(|system| {
        let stage = Stage::build(system)?;
        system.task(&task("grow", "lite"))?;
        disturb(system, &stage, "grow")?;
        // Read back by a task of its own: the copy is compared where the source is.
        system.task(&json!({"task": "back", "steps": [
            {"name": "read", "connection": "lite", "with": {"table": "copy"}},
            {"name": "write", "connection": "db", "input": "read", "with": {"table": "back", "create": true}},
        ]}))?;
        system.run_well("back")?;
        let back = stage
            .postgres
            .sql("select count(*), count(distinct id), sum(id), md5(string_agg(text, ',' order by id)) from back")?;
        ensure!(back == stage.source()?, "the copy is {back}");
        Ok(())
    })
}

#[test]
fn checkpoints_are_shown_set_and_cleared_from_the_command_line() -> Result<()> {
    system(|system| {
        let stage = Stage::build(system)?;
        system.task(&task("grow", "db2"))?;
        let cli = system.cli()?;
        ensure!(cli.good(&["checkpoints", "list", "grow"])?.contains("read"), "no step is listed");
        system.run_well("grow")?;
        let newest = (ROWS / 3).to_string();
        ensure!(cli.good(&["checkpoints", "list", "grow"])?.contains(&newest), "the checkpoint is not shown");
        ensure!(cli.good(&["checkpoints", "show", "grow"])?.contains("ties"), "the checkpoint is not whole");
        stage.postgres.sql("truncate copy")?;
        cli.good(&["checkpoints", "set", "grow", "--value", &(ROWS / 3 - 1).to_string()])?;
        system.run_well("grow")?;
        ensure!(stage.postgres.sql("select count(*) from copy")? == "1", "the set checkpoint was not taken");
        cli.good(&["runs", "start", "grow", "--backfill", "read", "--from", "10", "--to", "20", "--wait"])?;
        ensure!(stage.postgres.sql("select count(*) from copy")? == "31", "the range was not read");
        ensure!(checkpoint(system, "grow")? == json!(newest), "the back-fill has moved the checkpoint");
        stage.postgres.sql("truncate copy")?;
        cli.good(&["runs", "start", "grow", "--full-refresh", "--wait"])?;
        ensure!(stage.postgres.sql("select count(*) from copy")? == ROWS.to_string(), "not everything was read");
        cli.good(&["checkpoints", "clear", "grow", "--step", "read"])?;
        let told = cli.good(&["checkpoints", "history", "grow"])?;
        for word in ["committed", "set", "full refresh", "cleared"] {
            ensure!(told.contains(word), "the history lacks {word}: {told}");
        }
        let id = system.start_run("grow")?;
        let shown = cli.good(&["runs", "show", &id]).context("runs show")?;
        ensure!(shown.contains("exactly once"), "{shown}");
        Ok(())
    })
}

/// Rows of one file: more than what is between two places to commit at.
const FILE_ROWS: u32 = 40_000;

/// A file that appears whole, as a careful writer's does.
fn drop_file(agent: &Installed, number: u32) -> Result<()> {
    let first = number * FILE_ROWS + 1;
    let rows: String = (first..first + FILE_ROWS).map(|id| format!("{id},{id:050}\n")).collect();
    let folder = agent.file("in");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(".part"), format!("id,text\n{rows}"))?;
    Ok(std::fs::rename(folder.join(".part"), folder.join(format!("{number}.csv")))?)
}

#[test]
fn new_files_arrive_once_whoever_is_killed() -> Result<()> {
    system(|system| {
        let stage = Stage::build(system)?;
        for number in 0..6 {
            drop_file(&stage.reader, number)?;
        }
        let retry = json!({"attempts": 10, "backoff": "200ms"});
        system.task(&json!({"task": "files", "steps": [
            {"name": "read", "connector": "file", "agent": "reader", "retry": retry,
             "with": {"path": "in/*.csv", "incremental": {"lag": "0s"}}},
            {"name": "write", "connection": "db2", "input": "read", "retry": retry,
             "with": {"table": "copy", "create": true, "commit_every": {"rows": 5000}}},
        ]}))?;
        for round in 0..3 {
            let id = system.start_run("files")?;
            system.run_that(&id, "to be moving or over", |run| moving(run) || run["finished_at"].is_string())?;
            match round {
                0 => drop(stage.writer.signal_agent(Signal::KILL)?),
                1 => drop(stage.reader.signal_agent(Signal::KILL)?),
                _ => {
                    system.server.kill()?;
                    system.server.start_again()?;
                }
            }
            let run = system.ended(&id)?;
            system.must_be(&run, "succeeded")?;
            system.online("reader")?;
            system.online("writer")?;
            for number in 0..3 {
                drop_file(&stage.reader, 6 + round * 3 + number)?;
            }
        }
        system.run_well("files")?;
        let rows = 15 * FILE_ROWS;
        let copy = stage.postgres.sql("select count(*), count(distinct id), min(id), max(id) from copy")?;
        ensure!(copy == format!("{rows}|{rows}|1|{rows}"), "the copy is {copy}");
        let again = system.run("files")?;
        system.must_be(&again, "no_data")?;
        let cli = system.cli()?;
        let shown = cli.good(&["checkpoints", "show", "files"])?;
        ensure!(shown.contains("in/14.csv") && shown.contains("in/0.csv"), "{shown}");
        cli.good(&["checkpoints", "set", "files", "--value", "2100-01-01T00:00:00Z"])?;
        drop_file(&stage.reader, 15)?;
        let covered = system.run("files")?;
        system.must_be(&covered, "no_data")?;
        stage.postgres.sql("truncate copy")?;
        cli.good(&["runs", "start", "files", "--full-refresh", "--wait"])?;
        let rows = 16 * FILE_ROWS;
        ensure!(stage.postgres.sql("select count(*) from copy")? == rows.to_string(), "not everything was read");
        Ok(())
    })
}
