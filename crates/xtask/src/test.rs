//! `./x test` and `./x fix`: every check in one order, one summary at the end.

use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::config::Config;
use crate::{check, console, process, say, tools, windows};

/// The tests that start programs for Windows.
const OF_WINDOWS: &str = "package(sallyport-e2e) and test(/^windows::/)";

enum Ended {
    Passed,
    Failed(String),
    Skipped(String),
}

struct Part {
    name: &'static str,
    ended: Ended,
    took: Duration,
}

struct Parts {
    done: Vec<Part>,
}

impl Parts {
    fn run(&mut self, name: &'static str, work: impl FnOnce() -> Result<(), String>) {
        say::part(name);
        let watch = Stopwatch::start();
        let done = work();
        self.ended(name, done, watch.elapsed());
    }

    fn ended(&mut self, name: &'static str, done: Result<(), String>, took: Duration) {
        let ended = match done {
            Ok(()) => Ended::Passed,
            Err(why) => {
                say::line(&why);
                Ended::Failed(why)
            }
        };
        self.done.push(Part { name, ended, took });
    }

    /// The same unless something is lacking.
    fn run_unless(&mut self, lacking: Option<String>, name: &'static str, work: impl FnOnce() -> Result<(), String>) {
        match lacking {
            Some(why) => self.skip(name, why),
            None => self.run(name, work),
        }
    }

    /// Does `beside` on another thread, unless something is lacking for it, while `with` runs its parts.
    fn run_beside_unless(
        &mut self,
        lacking: Option<String>,
        name: &'static str,
        beside: impl FnOnce() -> Result<(), String> + Send,
        with: impl FnOnce(&mut Self),
    ) {
        if let Some(why) = lacking {
            self.skip(name, why);
            return with(self);
        }
        say::line(&format!("beside what follows: {name}"));
        let watch = Stopwatch::start();
        let (done, took) = thread::scope(|scope| {
            let other = scope.spawn(move || (beside(), watch.elapsed()));
            with(self);
            other.join().unwrap_or_else(|_| (Err("it fell over".to_owned()), Duration::ZERO))
        });
        self.ended(name, done, took);
    }

    fn skip(&mut self, name: &'static str, why: String) {
        self.done.push(Part { name, ended: Ended::Skipped(why), took: Duration::ZERO });
    }

    fn summary(&self) -> Result<(), String> {
        say::line("");
        for part in &self.done {
            let (mark, note) = match &part.ended {
                Ended::Passed => (say::green("passed "), String::new()),
                Ended::Failed(why) => (say::red("FAILED "), format!("  {}", why.lines().next().unwrap_or_default())),
                Ended::Skipped(why) => (say::yellow("skipped"), format!("  {why}")),
            };
            say::line(&format!("{mark} {:>7.1} s  {}{note}", part.took.as_secs_f64(), part.name));
        }
        let failed = self.done.iter().filter(|part| matches!(part.ended, Ended::Failed(_))).count();
        if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} parts failed", self.done.len())) }
    }
}

/// Runs all checks and tests. Downloads, a browser and whole systems wait most of the time, compilers never do: each of
/// the former has one of the latter beside it.
pub(crate) fn run(config: &Config, strict: bool) -> Result<(), String> {
    let mut parts = Parts { done: Vec::new() };
    let mut missing = Vec::new();
    let prepare = || {
        missing = tools::prepare(config);
        let lost: Vec<String> = missing.iter().map(|tool| format!("{}: {}", tool.what, tool.why)).collect();
        if strict && !lost.is_empty() { Err(lost.join("\n")) } else { Ok(()) }
    };
    parts.run_beside_unless(None, "tools", prepare, |parts| {
        parts.run("formatting", || cargo(config, &["fmt", "--all", "--check"]));
        parts.run("layers between crates", || check::layers(config));
        parts.run("content of files", || check::content(config));
        parts.run("lints", || {
            cargo(config, &["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"])
        });
    });
    let lacks = |what: &str| missing.iter().find(|tool| tool.what.contains(what)).map(|tool| tool.why.clone());

    parts.run_unless(lacks("typos"), "spelling", || typos(config, &[]));
    parts.run_unless(lacks("cargo-deny"), "licences and sources of dependencies", || {
        // Advisories need a database that is fetched from a public host; licences, bans and sources need none.
        let quiet = ["deny", "--log-level", "error", "check", "licenses", "bans", "sources"];
        process::run_quietly(tools::cargo(config).args(quiet))
    });
    parts.run_beside_unless(
        lacks("node"),
        "console",
        || console::build(config),
        |parts| {
            parts.run("build", || cargo(config, &["build", "--workspace", "--bins", "--quiet"]));
        },
    );
    let no_browser = lacks("node").or_else(|| lacks("chromium"));
    parts.run_beside_unless(
        no_browser,
        "console in a browser",
        || console::browser(config),
        |parts| {
            parts.run("tests, built", || process::run_quietly(nextest(config, strict, "all()").arg("--no-run")));
            parts.run("examples in documentation", || {
                process::run_quietly(tools::cargo(config).args(["test", "--workspace", "--doc", "--quiet"]))
            });
        },
    );
    let of_windows = || {
        windows::build_for_tests(config)?;
        process::run_quietly(&mut nextest(config, strict, OF_WINDOWS))
    };
    let no_windows = lacks("Windows").or_else(|| lacks("Wine"));
    parts.run_beside_unless(no_windows, "agent for Windows, built and tested", of_windows, |parts| {
        parts.run("tests", || process::run(&mut nextest(config, strict, &format!("not ({OF_WINDOWS})"))));
    });
    parts.summary()
}

/// Mends what tools can mend.
pub(crate) fn fix(config: &Config) -> Result<(), String> {
    cargo(config, &["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--allow-staged"])?;
    cargo(config, &["fmt", "--all"])?;
    if tools::python_folder(config).join("bin/typos").is_file() { typos(config, &["--write-changes"]) } else { Ok(()) }
}

/// Those of the tests that `filter` lets through.
fn nextest(config: &Config, strict: bool, filter: &str) -> Command {
    let mut command = tools::cargo(config);
    command.args(["nextest", "run", "--workspace", "--no-tests", "fail", "--filterset", filter]);
    // Where the target folder lies elsewhere, so do the tools.
    command.env("SALLYPORT_TEST_PYTHON", tools::python_folder(config).join("bin/python"));
    if strict {
        // A test that lacks what it needs then fails instead of passing over it.
        command.env("SALLYPORT_TEST_STRICT", "1");
    }
    if config.ci {
        command.env("NO_COLOR", "1");
    }
    command
}

fn typos(config: &Config, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(tools::python_folder(config).join("bin/typos"));
    command.current_dir(&config.root).args(arguments);
    process::run(&mut command)
}

fn cargo(config: &Config, arguments: &[&str]) -> Result<(), String> {
    process::run(tools::cargo(config).args(arguments))
}
