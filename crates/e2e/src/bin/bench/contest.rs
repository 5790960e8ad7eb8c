//! The tools side by side: each round runs every tool once, so that the machine's moods hit all alike.

use std::io::BufRead;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sallyport_e2e::{Folder, Postgres, tpch};
use serde_json::json;

use crate::Options;
use crate::measure::{Cost, median};
use crate::ours::Ours;
use crate::theirs;

/// What the database is told besides its defaults: the same for every tool.
const DATABASE: &[&str] = &["shared_buffers=512MB", "max_wal_size=8GB", "checkpoint_timeout=30min"];

/// Everything that a contest needs. The order of the fields is the order in which they are stopped.
struct Stage {
    ours: Ours,
    postgres: Postgres,
    folder: Folder,
    rows: u64,
}

/// One tool: its name and one run of it.
struct Tool<'a> {
    name: &'static str,
    run: Box<dyn Fn() -> Result<Cost> + 'a>,
}

fn tool<'a>(name: &'static str, run: impl Fn() -> Result<Cost> + 'a) -> Tool<'a> {
    Tool { name, run: Box::new(run) }
}

/// PostgreSQL to CSV.
pub(crate) fn export(options: &Options) -> Result<()> {
    let stage = Stage::build(options)?;
    let out = stage.folder.join("peer/out.csv")?;
    stage.tasks("csv")?;
    let postgres = &stage.postgres;
    let stream = format!("file://{}", out.display());
    let copy = format!("\\copy lineitem to '{}' with (format csv, header)", out.display());
    let tools = vec![
        tool("psql \\copy", || stage.checked(&out, theirs::psql(postgres, &copy))),
        tool("sallyport, one agent", || {
            stage.checked(&stage.ours.agents[0].file("out.csv"), stage.ours.run("one", postgres))
        }),
        tool("sallyport, two agents", || {
            stage.checked(&stage.ours.agents[1].file("out.csv"), stage.ours.run("two", postgres))
        }),
        tool("connectorx + pyarrow", || stage.checked(&out, theirs::python(postgres, "connectorx_csv", &out))),
        tool("adbc + pyarrow", || stage.checked(&out, theirs::python(postgres, "adbc_csv", &out))),
        tool("sling", || {
            let arguments = ["--src-conn", "BENCH", "--src-stream", "public.lineitem", "--tgt-object", stream.as_str()];
            stage.checked(&out, theirs::sling(postgres, &arguments))
        }),
    ];
    contest(options, &tools, stage.rows)?;
    stage.memory()
}

/// PostgreSQL to Parquet.
pub(crate) fn parquet(options: &Options) -> Result<()> {
    let stage = Stage::build(options)?;
    let out = stage.folder.join("peer/out.parquet")?;
    stage.tasks("parquet")?;
    let postgres = &stage.postgres;
    let tools = vec![
        tool("sallyport, one agent", || {
            stage.checked(&stage.ours.agents[0].file("out.parquet"), stage.ours.run("one", postgres))
        }),
        tool("sallyport, two agents", || {
            stage.checked(&stage.ours.agents[1].file("out.parquet"), stage.ours.run("two", postgres))
        }),
        tool("connectorx + pyarrow", || stage.checked(&out, theirs::python(postgres, "connectorx_parquet", &out))),
        tool("adbc + pyarrow", || stage.checked(&out, theirs::python(postgres, "adbc_parquet", &out))),
    ];
    contest(options, &tools, stage.rows)
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
    let tools = vec![
        tool("psql \\copy", || stage.imported(|| theirs::psql(postgres, &copy))),
        tool("sallyport, one agent", || stage.imported(|| stage.ours.run("one", postgres))),
        tool("adbc + pyarrow", || stage.imported(|| theirs::python(postgres, "adbc_import", &input))),
        tool("sling", || {
            stage.imported(|| {
                let target = ["--tgt-conn", "BENCH", "--tgt-object", "public.lineitem_in", "--mode", "truncate"];
                theirs::sling(postgres, &[&["--src-stream", stream.as_str()], target.as_slice()].concat())
            })
        }),
    ];
    contest(options, &tools, stage.rows)
}

fn contest(options: &Options, tools: &[Tool<'_>], rows: u64) -> Result<()> {
    let tools: Vec<&Tool<'_>> = tools
        .iter()
        .filter(|tool| options.only.is_empty() || options.only.iter().any(|word| tool.name.contains(word.as_str())))
        .collect();
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); tools.len()];
    let mut failed: Vec<Option<String>> = vec![None; tools.len()];
    for round in 1..=options.rounds {
        for (index, tool) in tools.iter().enumerate() {
            if failed[index].is_some() {
                continue;
            }
            match (tool.run)() {
                Ok(cost) => {
                    println!("round {round}: {:<24} {:>7.2} s", tool.name, cost.wall.as_secs_f64());
                    costs[index].push(cost);
                }
                Err(error) => {
                    println!("round {round}: {:<24} failed: {error:#}", tool.name);
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
        "{:<24} {:>8} {:>12} {:>8} {:>8} {:>9} {:>8}",
        "", "wall s", "rows/s", "CPU s", "DB CPU s", "peak MB", "speed"
    );
    let base = costs.iter().find(|costs| !costs.is_empty()).map(|costs| median(costs).wall.as_secs_f64());
    for (tool, costs) in tools.iter().zip(costs) {
        if costs.is_empty() {
            println!("{:<24} failed", tool.name);
            continue;
        }
        let cost = median(costs);
        let wall = cost.wall.as_secs_f64();
        println!(
            "{:<24} {wall:>8.2} {:>12.0} {:>8.2} {:>8.2} {:>9.1} {:>7.2}x",
            tool.name,
            rows as f64 / wall,
            cost.cpu.as_secs_f64(),
            cost.database_cpu.as_secs_f64(),
            cost.peak as f64 / 1e6,
            base.unwrap_or(wall) / wall,
        );
    }
    println!("speed is against the first line; CPU is that of the tool's processes, the database apart");
}

impl Stage {
    fn build(options: &Options) -> Result<Self> {
        let folder = Folder::new()?;
        println!("PostgreSQL with {}", DATABASE.join(", "));
        let postgres = Postgres::start(folder.path(), DATABASE)?;
        postgres.sql(tpch::LINEITEM_DDL)?;
        let rows = load(&postgres, options.scale)?;
        postgres.sql("vacuum analyze lineitem")?;
        postgres.sql("checkpoint")?;
        println!("lineitem has {rows} rows");
        let ours = Ours::start(&folder)?;
        ours.connect(&postgres)?;
        Ok(Self { ours, postgres, folder, rows })
    }

    /// The tasks `one` (both steps on one agent) and `two` (through the relay).
    fn tasks(&self, extension: &str) -> Result<()> {
        let path = format!("out.{extension}");
        for (name, agent) in [("one", "near"), ("two", "far")] {
            self.ours.task(
                name,
                json!({"name": "read", "connection": "db", "with": {"table": "lineitem"}}),
                json!({"name": "write", "connector": "file", "agent": agent, "input": "read", "with": {"path": path}}),
            )?;
        }
        Ok(())
    }

    /// The cost, if the file holds every row; the file is removed.
    fn checked(&self, file: &Path, cost: Result<Cost>) -> Result<Cost> {
        let cost = cost?;
        let rows = if file.extension().is_some_and(|extension| extension == "parquet") {
            tpch_parquet_rows(file)?
        } else {
            lines(file)? - 1
        };
        if rows != self.rows {
            bail!("{} holds {rows} rows, not {}", file.display(), self.rows);
        }
        std::fs::remove_file(file)?;
        Ok(cost)
    }

    /// The cost of filling an empty table, if it then holds what the source holds.
    fn imported(&self, run: impl FnOnce() -> Result<Cost>) -> Result<Cost> {
        self.postgres.sql("drop table if exists lineitem_in")?;
        self.postgres.sql(&tpch::LINEITEM_DDL.replace("table lineitem", "table lineitem_in"))?;
        self.postgres.sql("checkpoint")?;
        let cost = run()?;
        let sums = "select count(*), sum(l_orderkey), sum(l_extendedprice), min(l_shipdate) from";
        let (wanted, got) =
            (self.postgres.sql(&format!("{sums} lineitem"))?, self.postgres.sql(&format!("{sums} lineitem_in"))?);
        if wanted == got { Ok(cost) } else { bail!("the table holds {got}, not {wanted}") }
    }

    /// Whether memory grows with the rows: once and three times as many, through the relay.
    fn memory(&self) -> Result<()> {
        println!("\npeak memory by the number of rows, two agents:");
        for times in [1, 3] {
            let name = format!("times{times}");
            let query = vec!["select * from lineitem"; times].join(" union all ");
            self.ours.task(
                &name,
                json!({"name": "read", "connection": "db", "with": {"query": query}}),
                json!({"name": "write", "connector": "file", "agent": "far", "input": "read", "with": {"path": "out.csv"}}),
            )?;
            self.ours.run(&name, &self.postgres)?;
            let peaks: Vec<String> = self
                .ours
                .peaks()?
                .into_iter()
                .map(|(name, peak)| format!("{name} {:.1} MB", peak as f64 / 1e6))
                .collect();
            println!("  {times}x: {}", peaks.join(", "));
            std::fs::remove_file(self.ours.agents[1].file("out.csv"))?;
        }
        Ok(())
    }
}

fn load(postgres: &Postgres, scale: f64) -> Result<u64> {
    let mut child = postgres
        .psql()
        .args(["-c", "copy lineitem from stdin with (format csv, header)"])
        .stdin(std::process::Stdio::piped())
        .spawn()?;
    let mut stdin = std::io::BufWriter::with_capacity(1 << 20, child.stdin.take().context("no input")?);
    let rows = tpch::write_lineitem_csv(&mut stdin, scale)?;
    drop(stdin);
    let status = child.wait()?;
    if status.success() { Ok(rows) } else { bail!("loading lineitem: psql ended with {status}") }
}

fn postgres_copy(postgres: &Postgres, command: &str) -> Result<()> {
    let status = postgres.psql().args(["-c", command]).status()?;
    if status.success() { Ok(()) } else { bail!("{command}: psql ended with {status}") }
}

/// No value of lineitem holds a line break.
fn lines(file: &Path) -> Result<u64> {
    let mut reader = std::io::BufReader::with_capacity(1 << 20, std::fs::File::open(file)?);
    let mut count = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(count);
        }
        count += buffer.iter().filter(|byte| **byte == b'\n').count() as u64;
        let length = buffer.len();
        reader.consume(length);
    }
}

fn tpch_parquet_rows(file: &Path) -> Result<u64> {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let rows = SerializedFileReader::new(std::fs::File::open(file)?)?.metadata().file_metadata().num_rows();
    Ok(u64::try_from(rows)?)
}
