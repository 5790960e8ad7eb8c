//! The tools side by side: each round runs every tool once, so that the machine's moods hit all alike.
//!
//! Every result is compared with what was generated, value by value, before its time counts.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sallyport_e2e::{Folder, Postgres, tpch};
use serde_json::{Value, json};

use crate::Options;
use crate::measure::{Cost, median};
use crate::ours::Ours;
use crate::theirs;

/// What the database is told besides its defaults: the same for every tool. Nothing of its own starts in between.
const DATABASE: &[&str] = &["shared_buffers=512MB", "max_wal_size=8GB", "checkpoint_timeout=30min", "autovacuum=off"];

/// What the speed of the others is told against.
const BASE: &str = "psql \\copy";

/// Everything that a contest needs. The order of the fields is the order in which they are stopped.
struct Stage {
    ours: Ours,
    postgres: Postgres,
    folder: Folder,
    /// What was generated.
    made: tpch::Digest,
}

/// One tool: its name and one run of it.
struct Tool<'a> {
    name: &'static str,
    /// How often it runs, if not as often as the others; then without a warm-up.
    rounds: Option<usize>,
    run: Box<dyn Fn() -> Result<Cost> + 'a>,
}

fn tool<'a>(name: &'static str, run: impl Fn() -> Result<Cost> + 'a) -> Tool<'a> {
    Tool { name, rounds: None, run: Box::new(run) }
}

/// PostgreSQL to CSV.
pub(crate) fn export(options: &Options) -> Result<()> {
    let stage = Stage::build(options)?;
    let out = stage.folder.join("peer/out.csv")?;
    stage.tasks("csv")?;
    let postgres = &stage.postgres;
    let stream = format!("file://{}", out.display());
    let copy = format!("\\copy lineitem to '{}' with (format csv, header)", out.display());
    let python = |function| stage.checked(&out, theirs::python(postgres, function, &out, Some(&out)));
    let mut tools = vec![tool(BASE, || stage.checked(&out, theirs::psql(postgres, &copy, Some(&out))))];
    tools.extend(stage.ours("out.csv"));
    tools.extend([
        tool("connectorx + pyarrow", || python("connectorx_csv")),
        tool("connectorx + pyarrow, 2 partitions", || python("connectorx_2_csv")),
        tool("adbc + pyarrow", || python("adbc_csv")),
        Tool {
            rounds: options.sling_rounds,
            ..tool("sling", || {
                let from = ["--src-conn", "BENCH", "--src-stream", "public.lineitem", "--tgt-object", stream.as_str()];
                stage.checked(&out, theirs::sling(postgres, &from, Some(&out)))
            })
        },
    ]);
    contest(options, &tools, stage.made.rows)?;
    stage.memory()
}

/// PostgreSQL to Parquet.
pub(crate) fn parquet(options: &Options) -> Result<()> {
    let stage = Stage::build(options)?;
    let out = stage.folder.join("peer/out.parquet")?;
    stage.tasks("parquet")?;
    let postgres = &stage.postgres;
    let python = |function| stage.checked(&out, theirs::python(postgres, function, &out, Some(&out)));
    let mut tools = stage.ours("out.parquet");
    tools.extend([
        tool("connectorx + pyarrow", || python("connectorx_parquet")),
        tool("connectorx + pyarrow, 2 partitions", || python("connectorx_2_parquet")),
        tool("adbc + pyarrow", || python("adbc_parquet")),
    ]);
    contest(options, &tools, stage.made.rows)
}

/// CSV to PostgreSQL.
pub(crate) fn import(options: &Options) -> Result<()> {
    let stage = Stage::build(options)?;
    let postgres = &stage.postgres;
    let input = stage.ours.agents[0].file("in.csv");
    std::fs::create_dir_all(input.parent().context("no folder")?)?;
    postgres_copy(postgres, &format!("\\copy lineitem to '{}' with (format csv, header)", input.display()))?;
    let columns: Vec<_> = [
        ("l_orderkey", "bigint"),
        ("l_partkey", "bigint"),
        ("l_suppkey", "bigint"),
        ("l_linenumber", "int"),
        ("l_quantity", "numeric(15,2)"),
        ("l_extendedprice", "numeric(15,2)"),
        ("l_discount", "numeric(15,2)"),
        ("l_tax", "numeric(15,2)"),
        ("l_returnflag", "text"),
        ("l_linestatus", "text"),
        ("l_shipdate", "date"),
        ("l_commitdate", "date"),
        ("l_receiptdate", "date"),
        ("l_shipinstruct", "text"),
        ("l_shipmode", "text"),
        ("l_comment", "text"),
    ]
    .into_iter()
    .map(|(name, kind)| json!({"name": name, "type": kind}))
    .collect();
    stage.ours.task(
        "one",
        json!({"name": "read", "connector": "file", "agent": "near", "with": {"path": "in.csv", "columns": columns}}),
        json!({"name": "write", "connection": "db", "input": "read", "with": {"table": "lineitem_in"}}),
    )?;
    let copy = format!("\\copy lineitem_in from '{}' with (format csv, header)", input.display());
    let stream = format!("file://{}", input.display());
    let wanted = stage.held("lineitem")?;
    let imported = |run: &dyn Fn() -> Result<Cost>| stage.imported(&wanted, run);
    let tools = vec![
        tool(BASE, || imported(&|| theirs::psql(postgres, &copy, None))),
        tool("sallyport, one agent", || imported(&|| stage.ours.run("one", postgres))),
        tool("adbc + pyarrow", || imported(&|| theirs::python(postgres, "adbc_import", &input, None))),
        Tool {
            rounds: options.sling_rounds,
            ..tool("sling", || {
                let from = ["--src-stream", stream.as_str(), "--tgt-conn", "BENCH"];
                let to = ["--tgt-object", "public.lineitem_in", "--mode", "truncate"];
                imported(&|| theirs::sling(postgres, &[from.as_slice(), &to].concat(), None))
            })
        },
    ];
    contest(options, &tools, stage.made.rows)
}

fn contest(options: &Options, tools: &[Tool<'_>], rows: u64) -> Result<()> {
    let tools: Vec<&Tool<'_>> = tools
        .iter()
        .filter(|tool| tool.rounds != Some(0))
        .filter(|tool| options.only.is_empty() || options.only.iter().any(|word| tool.name.contains(word.as_str())))
        .collect();
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); tools.len()];
    let mut failed: Vec<Option<String>> = vec![None; tools.len()];
    // Round 0 warms up and does not count.
    for round in 0..=options.rounds {
        for place in 0..tools.len() {
            // Another order each round: nobody is always the one who comes after a heavy one.
            let index = (place + round) % tools.len();
            let tool = tools[index];
            let rounds = tool.rounds.map_or(0..=options.rounds, |rounds| 1..=rounds);
            if failed[index].is_some() || !rounds.contains(&round) {
                continue;
            }
            match (tool.run)() {
                Ok(cost) => {
                    println!("round {round}: {:<36} {:>7.2} s", tool.name, cost.wall.as_secs_f64());
                    if round > 0 {
                        costs[index].push(cost);
                    }
                }
                Err(error) => {
                    println!("round {round}: {:<36} failed: {error:#}", tool.name);
                    failed[index] = Some(format!("{error:#}"));
                }
            }
        }
    }
    report(options, &tools, &costs, rows);
    let ours = tools.iter().zip(&failed).find(|(tool, failed)| tool.name.starts_with("sallyport") && failed.is_some());
    if let Some((tool, _)) = ours { bail!("{} failed", tool.name) } else { Ok(()) }
}

fn report(options: &Options, tools: &[&Tool<'_>], costs: &[Vec<Cost>], rows: u64) {
    println!("\n{}: {rows} rows, scale {}, medians of {} rounds", options.name, options.scale, options.rounds);
    println!(
        "{:<36} {:>8} {:>12} {:>8} {:>8} {:>9} {:>8}",
        "", "wall s", "rows/s", "CPU s", "DB CPU s", "peak MB", "speed"
    );
    let named = tools.iter().zip(costs).find(|(tool, _)| tool.name == BASE);
    let base = named.filter(|(_, costs)| !costs.is_empty()).map(|(_, costs)| median(costs).wall.as_secs_f64());
    for (tool, costs) in tools.iter().zip(costs) {
        if costs.is_empty() {
            println!("{:<36} failed", tool.name);
            continue;
        }
        let cost = median(costs);
        let wall = cost.wall.as_secs_f64();
        println!(
            "{:<36} {wall:>8.2} {:>12.0} {:>8.2} {:>8.2} {:>9.1} {:>8}",
            name_with_rounds(tool),
            rows as f64 / wall,
            cost.cpu.as_secs_f64(),
            cost.database_cpu.as_secs_f64(),
            cost.peak as f64 / 1e6,
            base.map_or_else(|| "-".to_owned(), |base| format!("{:.2}x", base / wall)),
        );
    }
    println!("speed is against `{BASE}`; CPU is that of the tool's processes, wrappers included, the database apart;");
    println!("a file counts as written when the disk has it, for every tool");
}

fn name_with_rounds(tool: &Tool<'_>) -> String {
    match tool.rounds {
        Some(1) => format!("{} (1 round)", tool.name),
        Some(rounds) => format!("{} ({rounds} rounds)", tool.name),
        None => tool.name.to_owned(),
    }
}

impl Stage {
    fn build(options: &Options) -> Result<Self> {
        let folder = Folder::below(&options.folder)?;
        println!("PostgreSQL with {}", DATABASE.join(", "));
        let postgres = Postgres::start(folder.path(), DATABASE)?;
        postgres.sql(tpch::LINEITEM_DDL)?;
        let made = load(&postgres, options.scale)?;
        postgres.sql("vacuum analyze lineitem")?;
        postgres.sql("checkpoint")?;
        println!("lineitem has {made}");
        let ours = Ours::start(&folder)?;
        ours.connect(&postgres)?;
        Ok(Self { ours, postgres, folder, made })
    }

    /// The tasks `one` (both steps on one agent) and `two` (through the relay), and both with two reading connections.
    fn tasks(&self, extension: &str) -> Result<()> {
        for (suffix, parallel) in [("", 1), ("-parallel", 2)] {
            for (name, agent) in [("one", "near"), ("two", "far")] {
                let read = json!({"table": "lineitem", "parallel": parallel});
                self.task(&format!("{name}{suffix}"), read, agent, &format!("out.{extension}"))?;
            }
        }
        Ok(())
    }

    /// A task that reads the database and writes a file on an agent.
    fn task(&self, name: &str, read: Value, agent: &str, path: &str) -> Result<()> {
        self.ours.task(
            name,
            json!({"name": "read", "connection": "db", "with": read}),
            json!({"name": "write", "connector": "file", "agent": agent, "input": "read", "with": {"path": path}}),
        )
    }

    /// Ours, as [`Stage::tasks`] has made them.
    fn ours(&self, path: &'static str) -> Vec<Tool<'_>> {
        let ours = |name, agent: usize, task: &'static str| {
            tool(name, move || self.checked(&self.ours.agents[agent].file(path), self.ours.run(task, &self.postgres)))
        };
        vec![
            ours("sallyport, one agent", 0, "one"),
            ours("sallyport, two agents", 1, "two"),
            ours("sallyport, one agent, parallel 2", 0, "one-parallel"),
            ours("sallyport, two agents, parallel 2", 1, "two-parallel"),
        ]
    }

    /// The cost, if the file holds every row with every value; the file is removed.
    fn checked(&self, file: &Path, cost: Result<Cost>) -> Result<Cost> {
        let cost = cost?;
        let held = if file.extension().is_some_and(|extension| extension == "parquet") {
            tpch::of_lineitem_parquet(file)?
        } else {
            tpch::of_lineitem_csv(file)?
        };
        same(file, held, self.made)?;
        std::fs::remove_file(file)?;
        Ok(cost)
    }

    /// The cost of filling an empty table, if it then holds what is wanted.
    fn imported(&self, wanted: &str, run: &dyn Fn() -> Result<Cost>) -> Result<Cost> {
        self.postgres.sql("drop table if exists lineitem_in")?;
        self.postgres.sql(&tpch::LINEITEM_DDL.replace("table lineitem", "table lineitem_in"))?;
        self.postgres.sql("checkpoint")?;
        let cost = run()?;
        let got = self.held("lineitem_in")?;
        if wanted == got { Ok(cost) } else { bail!("the table holds {got}, not {wanted}") }
    }

    /// The number of a table's rows, and a sum over a hash of each one's values: a tool may have made the table anew
    /// with other scales and types.
    fn held(&self, table: &str) -> Result<String> {
        self.postgres.sql(&format!(
            "select count(*), sum(hashtext((\
             l_orderkey::int8, l_partkey::int8, l_suppkey::int8, l_linenumber::int8, trim_scale(l_quantity::numeric), \
             trim_scale(l_extendedprice::numeric), trim_scale(l_discount::numeric), trim_scale(l_tax::numeric), \
             l_returnflag::text, l_linestatus::text, l_shipdate::date, l_commitdate::date, l_receiptdate::date, \
             l_shipinstruct::text, l_shipmode::text, l_comment::text)::text)::bigint) from {table}"
        ))
    }

    /// Whether memory grows with the rows: once and three times as many, through the relay.
    fn memory(&self) -> Result<()> {
        println!("\npeak memory by the number of rows, two agents:");
        for times in [1, 3] {
            let name = format!("times{times}");
            let query = vec!["select * from lineitem"; times].join(" union all ");
            self.task(&name, json!({"query": query}), "far", "out.csv")?;
            self.ours.run(&name, &self.postgres)?;
            let file = self.ours.agents[1].file("out.csv");
            same(&file, tpch::of_lineitem_csv(&file)?, self.made.times(times as u64))?;
            let peaks: Vec<String> = self
                .ours
                .peaks()?
                .into_iter()
                .map(|(name, peak)| format!("{name} {:.1} MB", peak as f64 / 1e6))
                .collect();
            println!("  {times}x: {}", peaks.join(", "));
            std::fs::remove_file(file)?;
        }
        Ok(())
    }
}

fn same(file: &Path, held: tpch::Digest, wanted: tpch::Digest) -> Result<()> {
    if held == wanted { Ok(()) } else { bail!("{} holds {held}, not {wanted}", file.display()) }
}

/// Generates lineitem into its table; gives what was generated.
fn load(postgres: &Postgres, scale: f64) -> Result<tpch::Digest> {
    let mut child = postgres
        .psql()
        .args(["-c", "copy lineitem from stdin with (format csv, header)"])
        .stdin(std::process::Stdio::piped())
        .spawn()?;
    let pipe = child.stdin.take().context("no input")?;
    let mut both = std::io::BufWriter::with_capacity(1 << 20, Both { pipe, lines: tpch::Lines::default() });
    tpch::write_lineitem_csv(&mut both, scale)?;
    let Both { pipe, lines } = both.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    drop(pipe);
    let status = child.wait()?;
    if status.success() { lines.finish() } else { bail!("loading lineitem: psql ended with {status}") }
}

/// Gives the table what the digest has seen.
struct Both {
    pipe: std::process::ChildStdin,
    lines: tpch::Lines,
}

impl Write for Both {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.pipe.write(bytes)?;
        self.lines.write_all(&bytes[..written])?;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.pipe.flush()
    }
}

fn postgres_copy(postgres: &Postgres, command: &str) -> Result<()> {
    let status = postgres.psql().args(["-c", command]).status()?;
    if status.success() { Ok(()) } else { bail!("{command}: psql ended with {status}") }
}
