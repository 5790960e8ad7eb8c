//! The fault harness: real programs do real work while they are killed, stopped and cut off, and after each round the
//! targets themselves are compared with the sources; `./x chaos` builds and starts this.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it shows a person what happens")]

mod inject;
mod judge;
mod kind;
mod lane;
mod leftover;
mod random;
mod report;
mod round;
mod rows;
mod schedule;
mod tally;
mod world;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sallyport_e2e::Interrupt;
use sallyport_protocol::Clock;

use judge::Wrong;
use kind::Kind;
use lane::Lane;
use leftover::Growth;
use report::Report;
use world::World;

const USAGE: &str = "\
Usage: ./x chaos [OPTIONS]

Tasks of every kind run again and again on a real server, a real PostgreSQL and two real agents, while processes are
killed and stopped, lines are cut, the database breaks and a disk is full. After each round the targets must hold every
row of every run that succeeded exactly once, and nothing of those that failed.

  --seed N      makes the same decisions as another run with this seed (default: another one each time)
  --minutes M   begins no round after this time (default 3)
  --rounds R    ends after so many rounds
  --json        the summary as JSON on standard output; everything else goes to standard error

Exit codes: 0 all is as promised, 1 something is not, 2 usage.
";

struct Options {
    seed: u64,
    time: Duration,
    rounds: u64,
    json: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|word| word == "--help" || word == "-h") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let options = match options(&arguments) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("error: {error:#}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(report) if report.violations.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> Result<Options> {
    // Any will do, as long as it is shown.
    let seed = Clock::system().now().0.unsigned_abs() % 1_000_000;
    let mut options = Options { seed, time: Duration::from_secs(180), rounds: u64::MAX, json: false };
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        if flag == "--json" {
            options.json = true;
            continue;
        }
        let value = rest.next().with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--seed" => options.seed = value.parse().context("--seed")?,
            "--minutes" => {
                let minutes: f64 = value.parse().context("--minutes")?;
                options.time = Duration::try_from_secs_f64(minutes * 60.0).context("--minutes")?;
            }
            "--rounds" => options.rounds = value.parse().context("--rounds")?,
            other => bail!("`{other}` is not an option"),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<Report> {
    let interrupt = Interrupt::listen()?;
    let clock = Clock::system();
    eprintln!("seed {}; the same decisions again: ./x chaos --seed {}", options.seed, options.seed);
    let mut world = World::build()?;
    eprintln!("everything is online, in {}", world.folder.path().display());
    if world.disk.is_none() {
        eprintln!("nothing may be mounted here: no disk is filled");
    }
    let mut lanes: Vec<Lane> = Kind::ALL.into_iter().map(|kind| Lane::new(kind, options.seed)).collect();
    let mut growth = Growth::default();
    let mut report = Report { seed: options.seed, ..Report::default() };
    let began = clock.now();
    while report.rounds < options.rounds && clock.now().since(began) < options.time && !interrupt.came() {
        let number = report.rounds + 1;
        let plan = schedule::plan(options.seed, number);
        let (runs, faults, began) = (report.runs(), report.faults(), clock.now());
        let judged = round::run(&mut world, &mut lanes, &plan, &mut growth, &interrupt, &mut report);
        report.rounds = number;
        let wrong = judged.unwrap_or_else(|error| vec![Wrong { what: format!("{error:#}"), run: None }]);
        eprintln!(
            "round {number}: {} faults, {} runs, {} wrong, {:.1} s",
            report.faults() - faults,
            report.runs() - runs,
            wrong.len(),
            clock.now().since(began).as_secs_f64()
        );
        if !wrong.is_empty() {
            show(&mut world, number, &wrong, &plan);
            report.violations.extend(wrong.into_iter().map(|wrong| wrong.what));
            break;
        }
    }
    let took = clock.now().since(began);
    if options.json {
        println!("{:#}", report.json(took));
    } else {
        println!("{}", report.text(took));
    }
    Ok(report)
}

/// What is wrong, what was done in that round, and what the programs say about it; the folder stays to be looked at.
fn show(world: &mut World, round: u64, wrong: &[Wrong], plan: &[schedule::Planned]) {
    eprintln!("\nNOT AS PROMISED, round {round}:");
    for one in wrong {
        eprintln!("- {}", one.what);
    }
    eprintln!("\nfaults of the round:");
    for planned in plan {
        let lasts = planned.lasts.map(|lasts| format!(" for {:.2} s", lasts.as_secs_f64())).unwrap_or_default();
        eprintln!("  {:>6.2} s  {}{lasts}", planned.at.as_secs_f64(), planned.fault);
    }
    let mut runs: Vec<&String> = wrong.iter().filter_map(|one| one.run.as_ref()).collect();
    runs.dedup();
    for run in runs {
        eprintln!("\n{run}:\n{}", world.said_about(run));
    }
    world.folder.keep();
    eprintln!("\nlogs, databases and files are kept in {}", world.folder.path().display());
}
