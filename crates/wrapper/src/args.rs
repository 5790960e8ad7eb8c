//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use sallyport_protocol::ExecutedBy;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
Usage: sallyport-wrapper [options] [command]

Commands:
  (none)        start the agent of this folder and keep it running; Ctrl-C ends it
  status        say what runs; with --json for programs
  restart       end the agent and start it again
  stop          end the agent and its wrapper
  retry-update  try a version again that has failed on this machine

Options:
  --home <folder>   the unzipped folder (default: where this program lies)
  --background      say that no person watches (used by scheduler.bat and services)
  --service         say that a service manager started this
  --json            status as JSON
  --version         print the version
  --help            print this";

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Run,
    Status { json: bool },
    Restart,
    Stop,
    RetryUpdate,
    Version,
    Help,
}

/// The parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) command: Command,
    pub(crate) home: Option<PathBuf>,
    pub(crate) executed_by: ExecutedBy,
}

/// Understands the arguments after the program's name; an error names the one that is not understood.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Arguments, String> {
    let mut parsed = Arguments { command: Command::Run, home: None, executed_by: ExecutedBy::Foreground };
    let mut json = false;
    let mut command = None;
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let word = match argument.to_str() {
            Some("--home") => {
                parsed.home = Some(arguments.next().ok_or("--home needs a folder")?.into());
                continue;
            }
            Some("--background") => {
                parsed.executed_by = ExecutedBy::Background;
                continue;
            }
            Some("--service") => {
                parsed.executed_by = ExecutedBy::Service;
                continue;
            }
            Some("--json") => {
                json = true;
                continue;
            }
            Some("--version" | "-V") => Command::Version,
            Some("--help" | "-h" | "help") => Command::Help,
            Some("run") => Command::Run,
            Some("status") => Command::Status { json: false },
            Some("restart") => Command::Restart,
            Some("stop") => Command::Stop,
            Some("retry-update") => Command::RetryUpdate,
            _ => return Err(format!("`{}` is not understood", argument.to_string_lossy())),
        };
        if command.replace(word).is_some() {
            return Err(format!("only one command at a time: `{}`", argument.to_string_lossy()));
        }
    }
    parsed.command = match (command.unwrap_or(Command::Run), json) {
        (Command::Status { .. }, json) => Command::Status { json },
        (_, true) => return Err("--json goes with status".to_owned()),
        (command, false) => command,
    };
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<(Command, ExecutedBy), &str>) {
        let parsed = parse(line.split_whitespace().map(OsString::from));
        let parsed = parsed.map(|arguments| (arguments.command, arguments.executed_by));
        assert_eq!(parsed, expected.map_err(str::to_owned), "{line}");
    }

    #[test]
    fn one_command_and_its_options() {
        use ExecutedBy::{Background, Foreground, Service};
        check("", Ok((Command::Run, Foreground)));
        check("--home /x --background", Ok((Command::Run, Background)));
        check("run --service", Ok((Command::Run, Service)));
        check("status --json", Ok((Command::Status { json: true }, Foreground)));
        check("retry-update", Ok((Command::RetryUpdate, Foreground)));
        check("--version", Ok((Command::Version, Foreground)));
        check("stop restart", Err("only one command at a time: `restart`"));
        check("stop --json", Err("--json goes with status"));
        check("--home", Err("--home needs a folder"));
        check("start", Err("`start` is not understood"));
    }
}
