//! The kinds of tasks that run again and again, and what their targets must hold afterwards.

use std::time::Duration;

use serde_json::{Value, json};

/// The rows of the source that is read slowly.
pub(crate) const ROWS: u64 = 4_000;
/// The rows of the source that is read as fast as it goes.
pub(crate) const MANY: u64 = 40_000;
/// The rows that are new for each incremental run, and how many are committed at once.
const NEW: u64 = 1_000;
const CHUNK: u64 = 300;
/// The task that others start.
const CALLED: &str = "called";
/// How many runs of an incremental task may fail in a row before rows get out of its sight.
const SIGHT: u64 = 20;
/// A slow read pauses after so many rows.
const PAUSE_EVERY: u64 = 400;

/// A kind of task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// PostgreSQL to PostgreSQL on one agent, appended with a ledger.
    AppendOne,
    /// The same through the relay.
    AppendTwo,
    /// PostgreSQL to PostgreSQL by key, through the relay.
    Upsert,
    /// A table that is replaced, through the relay.
    Replace,
    /// A table that is emptied and filled, on one agent.
    Truncate,
    /// A CSV file for each run, through the relay.
    Csv,
    /// A table read over two connections, a transform, one Parquet file that is replaced.
    Parquet,
    /// SQLite, appended with a ledger, through the relay.
    Sqlite,
    /// SQLite to SQLite by key, through the relay.
    SqliteUpsert,
    /// A file, a transform that filters, PostgreSQL.
    FromFile,
    /// Files on a disk that may be full.
    Disk,
    /// From the server's own agent to PostgreSQL.
    Background,
    /// What is new since the run before, in several commits, through the relay.
    Incremental,
    /// A step that starts another task, which appends, and waits for its run.
    Calls,
}

/// Where a kind writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A table of PostgreSQL.
    Table(&'static str),
    /// A table of the SQLite database.
    Sqlite(&'static str),
    /// A folder below the far agent's files, with a file for each run.
    Folder(&'static str),
    /// The same on the small disk.
    SmallDisk,
    /// A Parquet file below the far agent's files.
    Parquet(&'static str),
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 14] = [
        Self::AppendOne,
        Self::AppendTwo,
        Self::Upsert,
        Self::Replace,
        Self::Truncate,
        Self::Csv,
        Self::Parquet,
        Self::Sqlite,
        Self::SqliteUpsert,
        Self::FromFile,
        Self::Disk,
        Self::Background,
        Self::Incremental,
        Self::Calls,
    ];

    /// The task's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AppendOne => "append-one",
            Self::AppendTwo => "append-two",
            Self::Upsert => "upsert",
            Self::Replace => "replace",
            Self::Truncate => "truncate",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Sqlite => "sqlite",
            Self::SqliteUpsert => "sqlite-upsert",
            Self::FromFile => "from-file",
            Self::Disk => "disk",
            Self::Background => "background",
            Self::Incremental => "incremental",
            Self::Calls => "calls",
        }
    }

    /// Where it writes.
    pub(crate) const fn target(self) -> Target {
        match self {
            Self::AppendOne => Target::Table("append_one"),
            Self::AppendTwo => Target::Table("append_two"),
            Self::Upsert => Target::Table("upsert"),
            Self::Replace => Target::Table("replaced"),
            Self::Truncate => Target::Table("emptied"),
            Self::Csv => Target::Folder("csv"),
            Self::Parquet => Target::Parquet("newest.parquet"),
            Self::Sqlite => Target::Sqlite("appended"),
            Self::SqliteUpsert => Target::Sqlite("upserted"),
            Self::FromFile => Target::Table("from_file"),
            Self::Disk => Target::SmallDisk,
            Self::Background => Target::Table("background"),
            Self::Incremental => Target::Table("incremental"),
            Self::Calls => Target::Table("called"),
        }
    }

    /// Whether the rows of every run stay; else those of the newest take the place of all others.
    pub(crate) const fn keeps_every_run(self) -> bool {
        !matches!(self, Self::Upsert | Self::Replace | Self::Truncate | Self::Parquet | Self::SqliteUpsert)
    }

    /// The rows that a run delivers.
    pub(crate) fn wanted(self) -> impl Iterator<Item = u64> {
        let rows = match self {
            Self::Parquet => MANY,
            Self::Incremental => NEW,
            _ => ROWS,
        };
        let every = if self == Self::FromFile { 3 } else { 1 };
        (1..=rows).filter(move |id| id % every == 0)
    }

    /// The task for one run: each row says which run has written it. A slow read takes about `slow`.
    pub(crate) fn document(self, run: u64, slow: Duration) -> Value {
        if self == Self::Calls {
            let call = json!({"name": "write", "task": CALLED, "parameters": {"run": run}, "retry": retry()});
            return json!({"task": self.name(), "steps": [call]});
        }
        self.copying(self.name(), &run.to_string(), slow)
    }

    /// The task that those of this kind start.
    pub(crate) fn started(self) -> Option<Value> {
        let mut task = (self == Self::Calls).then(|| self.copying(CALLED, "{{ parameters.run }}", Duration::ZERO))?;
        task["parameters"] = json!([{"name": "run", "type": "integer", "required": true}]);
        Some(task)
    }

    fn copying(self, name: &str, run: &str, slow: Duration) -> Value {
        let mut steps = self.reading(run, slow);
        let last = steps.last().map(|step| step["name"].clone()).unwrap_or_default();
        let mut write = self.writing(run);
        write["name"] = json!("write");
        write["input"] = last;
        steps.push(write);
        for step in &mut steps {
            step["retry"] = retry();
        }
        json!({"task": name, "steps": steps})
    }

    fn reading(self, run: &str, slow: Duration) -> Vec<Value> {
        let all = format!("cast({run} as bigint) as run, id, code, cents, note");
        let shape = |condition: &str| json!({"name": "shape", "input": "source", "transform": format!("select {all} from source {condition}")});
        let file = |agent: &str| {
            let columns = json!([
                {"name": "id", "type": "bigint"}, {"name": "code", "type": "text"},
                {"name": "cents", "type": "bigint"}, {"name": "note", "type": "text"},
            ]);
            json!({"name": "source", "connector": "file", "agent": agent,
                   "with": {"path": "source.csv", "columns": columns}})
        };
        match self {
            Self::Parquet => {
                let with = json!({"table": "many", "columns": ["id", "code", "cents", "note"], "parallel": 2});
                vec![json!({"name": "source", "connection": "db-near", "with": with}), shape("")]
            }
            Self::FromFile => vec![file("far"), shape("where id % 3 = 0")],
            Self::Background => vec![file("background"), shape("")],
            Self::SqliteUpsert => {
                let query = format!("select {all} from source");
                vec![json!({"name": "source", "connection": "sqlite-near", "with": {"query": query}})]
            }
            Self::Incremental => {
                // All that is read is new, and slow; what is older only lies there.
                let pause = slow.as_secs_f64() * CHUNK as f64 / NEW as f64;
                let query = format!(
                    "select r as run, id, code, cents, note, r * {NEW} + id as place from source \
                     cross join generate_series(greatest({run} - {SIGHT}, 1), cast({run} as bigint)) r \
                     where id <= {NEW} and case when r = {run} and id % {CHUNK} = 0 \
                     then pg_sleep({pause:.3}) is not null else true end"
                );
                let with = json!({"query": query, "incremental": {"column": "place"}});
                vec![json!({"name": "source", "connection": "db-near", "with": with})]
            }
            _ => {
                let pause = slow.as_secs_f64() * PAUSE_EVERY as f64 / ROWS as f64;
                let query = format!(
                    "select {all} from source \
                     where case when id % {PAUSE_EVERY} = 0 then pg_sleep({pause:.3}) is not null else true end"
                );
                vec![json!({"name": "source", "connection": "db-near", "with": {"query": query}})]
            }
        }
    }

    fn writing(self, run: &str) -> Value {
        let table = |connection: &str, mode: &str| {
            let (Target::Table(table) | Target::Sqlite(table)) = self.target() else { return Value::Null };
            let mut with = json!({"table": table, "mode": mode});
            if mode == "upsert" {
                with["key"] = json!(["id"]);
            }
            json!({"connection": connection, "with": with})
        };
        let file = |path: String| json!({"connector": "file", "agent": "far", "with": {"path": path}});
        match self {
            Self::Incremental => {
                let mut step = table("db-far", "append");
                step["with"]["commit_every"] = json!({"rows": CHUNK});
                step
            }
            Self::AppendOne | Self::FromFile | Self::Background | Self::Calls => table("db-near", "append"),
            Self::AppendTwo => table("db-far", "append"),
            Self::Upsert => table("db-far", "upsert"),
            Self::Replace => table("db-far", "replace"),
            Self::Truncate => table("db-near", "truncate"),
            Self::Sqlite => table("sqlite-far", "append"),
            Self::SqliteUpsert => table("sqlite-far", "upsert"),
            Self::Csv => file(format!("csv/{run}.csv")),
            Self::Parquet => file("newest.parquet".to_owned()),
            Self::Disk => json!({"connection": "small-disk", "with": {"path": format!("{run}.csv")}}),
        }
    }
}

/// More patience than any fault takes, the losses of agents apart.
fn retry() -> Value {
    json!({"attempts": 8, "backoff": "300ms"})
}
