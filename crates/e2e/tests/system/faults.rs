//! Things that break while rows are on their way: the target is right in the end, or the error says why not.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{Installed, Line, Postgres, Signal, SmallDisk, System, within};
use sallyport_protocol::Clock;
use serde_json::{Value, json};

use crate::{moving, slow, step, system, to_csv, to_table};

const ROWS: u32 = 60_000;
// Long enough that a fault hits before the end also where everything is slow.
const PAUSE: f64 = 0.15;

/// What tells a connection that carries rows from one that carries words.
const BULK_BYTES: u64 = 1024 * 1024;

/// A source behind one agent, a table behind another.
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
        postgres.sql("create table target (id int, code text, odd boolean)")?;
        system.connection("db", "postgres", "reader", &postgres.settings(), &postgres.secrets())?;
        system.connection("db2", "postgres", "writer", &postgres.settings(), &postgres.secrets())?;
        system.task(&to_table("table", &slow(ROWS, PAUSE), "target"))?;
        system.task(&to_csv("file", &slow(ROWS, PAUSE), "writer", "target.csv"))?;
        Ok(Self { reader, writer, postgres })
    }

    /// Both tasks have run, were tried again, and their targets hold every row once.
    fn right(&self, system: &System, ids: &[String; 2]) -> Result<()> {
        for id in ids {
            let run = system.ended(id)?;
            ensure!(attempts(&run) > 1, "nothing was tried again: {run:#}");
        }
        self.delivered(system, ids)
    }

    /// Both tasks have run, and their targets hold every row once.
    fn delivered(&self, system: &System, ids: &[String; 2]) -> Result<()> {
        for id in ids {
            system.must_be(&system.ended(id)?, "succeeded")?;
        }
        let table = self.postgres.sql("select count(*), count(distinct id), min(id), max(id) from target")?;
        ensure!(table == format!("{ROWS}|{ROWS}|1|{ROWS}"), "the table holds {table}");
        let text = std::fs::read_to_string(self.writer.file("target.csv"))?;
        let ids: std::collections::BTreeSet<&str> =
            text.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
        ensure!(text.lines().count() == ROWS as usize + 1, "the file has {} lines", text.lines().count());
        ensure!(ids.len() == ROWS as usize, "the file has {} different ids", ids.len());
        let left: Vec<_> = std::fs::read_dir(self.writer.file(""))?.filter_map(Result::ok).collect();
        ensure!(left.len() == 1, "half-written files are left: {left:?}");
        Ok(())
    }
}

/// How often the last step was tried.
fn attempts(run: &Value) -> u64 {
    step(run, "write")["attempt"].as_u64().unwrap_or(0)
}

/// Waits until the agent has written down that its work has ended.
fn in_journal(agent: &Installed) -> Result<()> {
    within(Duration::from_secs(60), "the outcome to be in the journal", || {
        let journal = std::fs::read(agent.folder().join("state/journal"))?;
        Ok(String::from_utf8_lossy(&journal).contains("\"ended\"").then_some(()))
    })
}

/// Starts both tasks and waits until rows move in both.
fn both_moving(system: &System) -> Result<[String; 2]> {
    let ids = [system.start_run("table")?, system.start_run("file")?];
    for id in &ids {
        system.run_that(id, "to be moving", moving)?;
    }
    Ok(ids)
}

#[test]
fn a_killed_agent_at_the_source_costs_a_retry_and_nothing_else() -> Result<()> {
    system(|system| {
        let stage = Stage::build(system)?;
        let ids = both_moving(system)?;
        stage.reader.signal_agent(Signal::KILL)?;
        stage.right(system, &ids)?;
        let exit = &system.show_agent("reader")?["last_exit"];
        ensure!(exit["signal"] == 9, "the platform does not know why the agent was down: {exit}");
        Ok(())
    })
}

#[test]
fn a_killed_agent_at_the_target_costs_a_retry_and_nothing_else() -> Result<()> {
    system(|system| {
        let stage = Stage::build(system)?;
        let ids = both_moving(system)?;
        stage.writer.signal_agent(Signal::KILL)?;
        stage.right(system, &ids)
    })
}

#[test]
fn a_killed_wrapper_takes_its_agent_along_and_a_new_start_finishes_the_work() -> Result<()> {
    system(|system| {
        let mut stage = Stage::build(system)?;
        let ids = both_moving(system)?;
        let mut wrapper = stage.writer.wrapper.take().context("no wrapper")?;
        wrapper.kill()?;
        within(Duration::from_secs(10), "the agent to end with its wrapper", || {
            Ok(stage.writer.agent_process().is_none().then_some(()))
        })?;
        stage.writer.start()?;
        stage.right(system, &ids)
    })
}

#[test]
fn a_killed_server_comes_back_and_the_streams_go_on_where_they_were() -> Result<()> {
    system(|system| {
        let stage = Stage::build(system)?;
        let ids = both_moving(system)?;
        system.server.kill()?;
        system.server.start_again()?;
        stage.delivered(system, &ids)?;
        for id in &ids {
            let run = system.show_run(id)?;
            ensure!(attempts(&run) == 1, "it was tried again: {run:#}");
        }
        ensure!(stage.writer.agent_log().contains("is open again"), "no stream was opened again");
        Ok(())
    })
}

#[test]
fn a_data_connection_that_is_cut_costs_nothing_but_another_one() -> Result<()> {
    system(|system| {
        let mut stage = Stage::build(system)?;
        let line = Line::to(system.server.port())?;
        let address = format!("https://localhost:{}", line.port());
        stage.writer.stop()?;
        stage.writer.edit_settings(|settings| settings["Settings"]["ServerAddress"] = json!(address))?;
        stage.writer.start()?;
        system.online("writer")?;
        let query = slow(ROWS, PAUSE).replace("md5(g::text)", "repeat(md5(g::text), 20)");
        system.task(&to_csv("wide", &query, "writer", "wide.csv"))?;
        let id = system.start_run("wide")?;
        for part in 1..=3 {
            let rows = u64::from(ROWS) * part / 5;
            system.run_that(&id, "to have come so far", |run| step(run, "write")["rows_in"].as_u64() >= Some(rows))?;
            // More than a control connection ever says.
            line.reset_over(BULK_BYTES);
        }
        let run = system.ended(&id)?;
        system.must_be(&run, "succeeded")?;
        ensure!(attempts(&run) == 1, "it was tried again: {run:#}");
        let text = std::fs::read_to_string(stage.writer.file("wide.csv"))?;
        let ids: Vec<u32> = text.lines().skip(1).filter_map(|line| line.split(',').next()?.parse().ok()).collect();
        ensure!(ids.iter().copied().eq(1..=ROWS), "the file has {} rows, or in another order", ids.len());
        let lost = stage.writer.agent_log().matches("opening it again").count();
        ensure!(lost > 0, "the connection was never lost");
        ensure!(!stage.writer.agent_log().contains("the connection to the server was lost"), "more than rows was cut");
        Ok(())
    })
}

#[test]
fn what_ends_while_the_server_is_away_has_ended_when_it_did() -> Result<()> {
    system(|system| {
        let agent = system.agent("reader")?;
        let postgres = Postgres::start(system.folder.path(), &[])?;
        system.connection("db", "postgres", "reader", &postgres.settings(), &postgres.secrets())?;
        system.task(&to_csv("alone", &slow(ROWS, PAUSE), "reader", "alone.csv"))?;
        let id = system.start_run("alone")?;
        system.run_that(&id, "to be moving", moving)?;
        system.server.kill()?;
        in_journal(&agent)?;
        // The two clocks agree within the time that a message takes.
        std::thread::sleep(Duration::from_secs(1));
        let back_at = jiff::Timestamp::from_microsecond(Clock::system().now().0)?;
        system.server.start_again()?;
        let run = system.ended(&id)?;
        system.must_be(&run, "succeeded")?;
        ensure!(attempts(&run) == 1, "it was tried again: {run:#}");
        for ended in [&run["finished_at"], &step(&run, "write")["finished_at"]] {
            let ended: jiff::Timestamp = ended.as_str().context("no time of its end")?.parse()?;
            ensure!(ended <= back_at, "it ended at {ended}, but the server came back at {back_at}");
        }
        Ok(())
    })
}

#[test]
fn an_end_that_nobody_heard_of_survives_a_killed_agent() -> Result<()> {
    system(|system| {
        let agent = system.agent("reader")?;
        let postgres = Postgres::start(system.folder.path(), &[])?;
        system.connection("db", "postgres", "reader", &postgres.settings(), &postgres.secrets())?;
        system.task(&to_csv("alone", &slow(ROWS, PAUSE), "reader", "alone.csv"))?;
        let id = system.start_run("alone")?;
        system.run_that(&id, "to be moving", moving)?;
        system.server.kill()?;
        in_journal(&agent)?;
        let killed = agent.signal_agent(Signal::KILL)?;
        within(Duration::from_secs(30), "the agent to be started again", || {
            Ok(agent.agent_process().filter(|pid| *pid != killed))
        })?;
        system.server.start_again()?;
        let run = system.ended(&id)?;
        system.must_be(&run, "succeeded")?;
        ensure!(attempts(&run) == 1, "what was done was done again: {run:#}");
        Ok(())
    })
}

#[test]
fn a_stopped_agent_that_goes_on_again_loses_nothing() -> Result<()> {
    system(|system| {
        let stage = Stage::build(system)?;
        let id = system.start_run("table")?;
        system.run_that(&id, "to be moving", moving)?;
        // With its wrapper, as when a machine sleeps: the wrapper would kill an agent that hangs alone.
        let wrapper = stage.writer.wrapper.as_ref().context("the writer has no wrapper")?;
        wrapper.signal(Signal::STOP)?;
        let pid = stage.writer.signal_agent(Signal::STOP)?;
        // Longer than the platform waits for a sign of life.
        within(Duration::from_secs(100), "the platform to note the silence", || {
            Ok((!system.is_online("writer")?).then_some(()))
        })?;
        ensure!(stage.writer.agent_process() == Some(pid), "the agent is another");
        wrapper.signal(Signal::CONT)?;
        stage.writer.signal_agent(Signal::CONT)?;
        let run = system.ended(&id)?;
        system.must_be(&run, "succeeded")?;
        let table = stage.postgres.sql("select count(*), count(distinct id) from target")?;
        ensure!(table == format!("{ROWS}|{ROWS}"), "the table holds {table}");
        Ok(())
    })
}

#[test]
fn a_source_that_dies_half_way_is_read_again() -> Result<()> {
    system(|system| {
        let stage = Stage::build(system)?;
        let ids = both_moving(system)?;
        let ended = stage.postgres.sql(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity \
             where query like '%pg_sleep%' and pid <> pg_backend_pid()",
        )?;
        ensure!(ended.parse::<u32>().unwrap_or(0) >= 2, "{ended} backends were ended");
        stage.right(system, &ids)
    })
}

#[test]
fn a_full_disk_fails_the_step_with_its_name_and_leaves_no_half_file() -> Result<()> {
    system(|system| {
        let _reader = system.agent("reader")?;
        let _writer = system.agent("writer")?;
        let postgres = Postgres::start(system.folder.path(), &[])?;
        system.connection("db", "postgres", "reader", &postgres.settings(), &postgres.secrets())?;
        let small = SmallDisk::mount(&system.folder.path().join("small"), 8)?;
        system.connection("out", "file", "writer", &json!({"root": small.path()}), &json!({}))?;
        system.task(&json!({"task": "fill", "steps": [
            {"name": "read", "connection": "db", "with": {"query": "select repeat(md5(g::text), 30) as t from generate_series(1, 40000) g"}},
            {"name": "write", "connection": "out", "input": "read", "with": {"path": "big.csv"}, "retry": {"attempts": 1, "backoff": "1s"}},
        ]}))?;
        let run = system.run("fill")?;
        system.must_be(&run, "failed")?;
        let text = step(&run, "write")["failure"].to_string();
        ensure!(text.contains("big.csv"), "the file is not named: {text}");
        ensure!(text.contains("No space left") || text.contains("full"), "the reason is not named: {text}");
        let left: Vec<_> = std::fs::read_dir(small.path())?.filter_map(Result::ok).collect();
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(())
    })
}

#[test]
fn a_value_of_a_gigabyte_is_refused_with_its_place_and_the_limit() -> Result<()> {
    system(|system| {
        let agent = system.agent("client")?;
        let postgres = Postgres::start(system.folder.path(), &[])?;
        postgres.sql("create table wide (id int, doc text)")?;
        postgres.sql("insert into wide values (1, 'small')")?;
        // Just below what PostgreSQL itself can send in one field.
        postgres.sql("insert into wide select 2, repeat('x', 1000000000)")?;
        system.connection("db", "postgres", "client", &postgres.settings(), &postgres.secrets())?;
        system.task(&to_csv("copy", "select * from wide", "client", "wide.csv"))?;
        let run = system.run("copy")?;
        system.must_be(&run, "failed")?;
        let failure = &step(&run, "read")["failure"];
        ensure!(failure["code"] == "value_too_large", "{failure}");
        let message = failure["message"].as_str().unwrap_or_default();
        for word in ["row 2", "doc", "33554432"] {
            ensure!(message.contains(word), "`{word}` is not in: {message}");
        }
        ensure!(!agent.file("wide.csv").exists(), "half a file was left");
        let pid = agent.agent_process().context("the agent is gone")?;
        let peak = sallyport_e2e::usage_of(pid)?.peak;
        ensure!(peak < 300_000_000, "the agent needed {peak} bytes for it");
        Ok(())
    })
}

#[test]
fn wrong_database_credentials_fail_at_once_and_are_not_tried_again() -> Result<()> {
    system(|system| {
        let _agent = system.agent("client")?;
        let postgres = Postgres::start(system.folder.path(), &[])?;
        system.connection(
            "db",
            "postgres",
            "client",
            &postgres.settings(),
            &json!({"password": "not-the-password"}),
        )?;
        let test: Value = system.api().post("/api/v1/connections/db/test", &json!({}))?;
        let failed = test["stages"].as_array().and_then(|stages| stages.last().cloned()).unwrap_or_default();
        ensure!(failed["stage"] == "login" && failed["ok"] == false, "{test:#}");
        system.task(&to_csv("copy", "select 1 as a", "client", "a.csv"))?;
        let run = system.run("copy")?;
        system.must_be(&run, "failed")?;
        ensure!(step(&run, "read")["attempt"] == 1, "it was tried again: {run:#}");
        ensure!(!run.to_string().contains("not-the-password"), "the password is in the run: {run:#}");
        Ok(())
    })
}
