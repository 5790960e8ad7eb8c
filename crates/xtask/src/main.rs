//! Developer tasks behind `./x`.
//!
//! Invariant: std only, so that it compiles in seconds before anything else does, and drives everything else as a
//! person would: through cargo, the distribution's packages and the `sallyport` command.

mod bench;
mod check;
mod clock;
mod config;
mod console;
mod dist;
mod process;
mod program;
mod say;
mod test;
mod tools;
mod windows;

use std::process::ExitCode;

use config::Config;

const HELP: &str = "\
Developer tasks of Sallyport.

Usage: ./x <COMMAND>

Commands:
  demo [--exit] [--scale S]   build, then show the two-agent task on a generated TPC-H database; runs until Ctrl-C,
                              with --exit it stops everything when the result is checked
  test [--strict]             formatting, lints, layers, unit and whole-system tests; what they need is installed
                              where that is allowed, with --strict nothing is skipped
  chaos [OPTIONS]             break a running system at random and look whether anything is lost or twice
                              (./x chaos --help)
  fix                         format, apply what the linters can mend by themselves
  screenshots                 pictures of every page of the console, light and dark, wide and narrow, of a seeded
                              server with real agents and runs, into out/screenshots
  dist [OPTIONS]              what is shipped, into out/dist: programs for old Linux systems and for Windows, archives,
                              a Debian package, checksums (./x dist --help)
  bench NAME [OPTIONS]        measure against other tools: export, import, parquet, idle (./x bench --help)
  help                        this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let config = match Config::read() {
        Ok(config) => config,
        Err(error) => {
            say::error(&error);
            return ExitCode::FAILURE;
        }
    };
    let done = match words.as_slice() {
        [name @ ("demo" | "chaos"), rest @ ..] => program::run(&config, name, rest),
        ["test"] => test::run(&config, false),
        ["test", "--strict"] => test::run(&config, true),
        ["fix"] => test::fix(&config),
        ["screenshots"] => console::screenshots(&config),
        ["dist", rest @ ..] => dist::run(&config, rest),
        ["bench", rest @ ..] => bench::run(&config, rest),
        [] | ["help" | "--help" | "-h"] => {
            say::text(HELP);
            Ok(())
        }
        [other, ..] => {
            say::error(&format!("`{}` is not a task; `./x help` lists them", other));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::error(&error);
            ExitCode::FAILURE
        }
    }
}
