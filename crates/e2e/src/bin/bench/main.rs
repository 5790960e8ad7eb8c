//! Measures Sallyport beside other tools on one machine, in one go, alternating, with medians; `./x bench` builds and
//! starts this.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it shows a person what was measured")]

mod contest;
mod dispatch;
mod idle;
mod measure;
mod ours;
mod theirs;
mod tunnel;
mod update;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use sallyport_e2e::Profile;

const USAGE: &str = "\
Usage: ./x bench NAME [OPTIONS]

  export    TPC-H lineitem from PostgreSQL to CSV
  import    the same CSV to PostgreSQL
  parquet   lineitem from PostgreSQL to Parquet
  idle      sizes, memory, processor and start of server, agent and wrapper at rest
  update    from the publication of a release to the last agent, and how long an agent is away for it
  dispatch  from the request for a run to its step's start on an agent, and runs a second
  tunnel    bytes and connections through a tunnel, beside OpenSSH, rathole and no tunnel at all

  --scale S     TPC-H scale factor; 1 has 6 million rows (default 1)
  --rounds N    how often each tool runs (default 3)
  --only WORDS  only tools whose name holds one of these words, joined by commas
  --sling-rounds N
                how often sling runs, which takes minutes (default as --rounds)
  --profile P   which build of Sallyport: release or dev (default release)
  --agents N    how many agents are updated (default 200)
  --folder DIR  where files and database lie while it measures (default the system's temporary folder)
";

/// What to measure.
struct Options {
    name: String,
    scale: f64,
    rounds: usize,
    only: Vec<String>,
    sling_rounds: Option<usize>,
    profile: Profile,
    agents: usize,
    folder: PathBuf,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options = match options(&arguments) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("error: {error:#}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let done = match options.name.as_str() {
        "export" => contest::export(&options),
        "import" => contest::import(&options),
        "parquet" => contest::parquet(&options),
        "dispatch" => dispatch::run(&options),
        "update" => update::run(&options),
        "tunnel" => tunnel::run(&options),
        _ => idle::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> Result<Options> {
    let mut rest = arguments.iter();
    let name = rest.next().context("what shall be measured?")?.clone();
    if !["export", "import", "parquet", "idle", "dispatch", "tunnel", "update"].contains(&name.as_str()) {
        bail!("`{name}` is not a benchmark");
    }
    let mut options = Options {
        name,
        scale: 1.0,
        rounds: 3,
        only: Vec::new(),
        sling_rounds: None,
        profile: Profile::Release,
        agents: 200,
        folder: std::env::temp_dir(),
    };
    while let Some(flag) = rest.next() {
        let value = rest.next().with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--scale" => options.scale = value.parse().context("--scale")?,
            "--rounds" => options.rounds = value.parse().context("--rounds")?,
            "--agents" => options.agents = value.parse().context("--agents")?,
            "--only" => options.only = value.split(',').map(str::to_owned).collect(),
            "--sling-rounds" => options.sling_rounds = Some(value.parse().context("--sling-rounds")?),
            "--profile" if value == "dev" => options.profile = Profile::Dev,
            "--profile" if value == "release" => {}
            "--folder" => options.folder = PathBuf::from(value),
            other => bail!("`{other}` is not an option"),
        }
    }
    if options.rounds == 0 { bail!("--rounds must be at least 1") } else { Ok(options) }
}
