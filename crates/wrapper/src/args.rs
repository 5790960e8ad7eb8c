//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use sallyport_protocol::ExecutedBy;

use crate::{keys, ledger, policy, service};

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
Usage: sallyport-wrapper [options] [command]

Commands:
  (none)        start the agent of this folder and keep it running; Ctrl-C ends it
  status        say what runs; with --json for programs
  restart       end the agent and start it again
  stop          end the agent and its wrapper
  retry-update  try a version again that has failed on this machine
  policy        what the agent may reach: `list`, `check HOST:PORT`, `allow RULE`, `deny RULE`; a rule is a host name,
                *.name, an address, a network such as 10.1.0.0/16, or *, and perhaps :port
  ledger        what the agent has moved, for whom and where to: `show`, `verify`; with --json for programs
  keys          this agent's key and those of others: `list`, `forget AGENT`
  service       install, uninstall, start, stop or status: run the agent as a service of this machine's own manager
                (systemd, Windows services, launchd)
  doctor        look at everything and say what to do; with --json for programs
  bundle        save logs, settings without secrets and the doctor's findings as one zip
  open          show a page with all of this in the browser
  rehearse, guard, restore
                what wrapper and service managers call while the wrapper itself is updated

Options:
  --home <folder>   the unzipped folder (default: where this program lies)
  --background      say that no person watches (used by scheduler.bat and services)
  --service         say that a service manager started this
  --json            status, ledger or doctor's findings as JSON
  --out <file>      with bundle: where it goes
  --name <name>     with service install: the service's name (default: sallyport-agent)
  --user <user>     with service install: the user it runs as (default: one of its own)
  --version         print the version
  --help            print this";

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Run,
    Status {
        json: bool,
    },
    Restart,
    Stop,
    RetryUpdate,
    Policy(policy::Word),
    Keys(keys::Word),
    Ledger {
        word: ledger::Word,
        json: bool,
    },
    Service(service::Asked),
    Doctor {
        json: bool,
    },
    Bundle {
        out: Option<PathBuf>,
    },
    Open,
    /// Tries beside the wrapper that runs whether this one would get online.
    Rehearse,
    /// Watches a newer wrapper; its process.
    Guard {
        process: u32,
    },
    /// The service manager's word after the end of a newer wrapper, which may be taken back by this one.
    Restore {
        result: String,
        detail: String,
    },
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

/// What goes with some commands only.
#[derive(Default)]
struct Options {
    json: bool,
    out: Option<PathBuf>,
    name: Option<String>,
    user: Option<String>,
}

/// Understands the arguments after the program's name; an error names the one that is not understood.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Arguments, String> {
    let mut parsed = Arguments { command: Command::Run, home: None, executed_by: ExecutedBy::Foreground };
    let mut options = Options::default();
    let mut command = None;
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--home") => parsed.home = Some(arguments.next().ok_or("--home needs a folder")?.into()),
            Some("--out") => options.out = Some(arguments.next().ok_or("--out needs a file")?.into()),
            Some("--background") => parsed.executed_by = ExecutedBy::Background,
            Some("--service") => parsed.executed_by = ExecutedBy::Service,
            Some("--json") => options.json = true,
            Some(option @ ("--name" | "--user")) => {
                let text = arguments.next().and_then(|text| text.into_string().ok());
                let text = text.ok_or_else(|| format!("{option} needs a word"))?;
                *(if option == "--name" { &mut options.name } else { &mut options.user }) = Some(text);
            }
            word => {
                let not_understood = || format!("`{}` is not understood", argument.to_string_lossy());
                let word =
                    word.map_or(Ok(None), |word| self::word(word, &mut arguments))?.ok_or_else(not_understood)?;
                if command.replace(word).is_some() {
                    return Err(format!("only one command at a time: `{}`", argument.to_string_lossy()));
                }
            }
        }
    }
    parsed.command = with(command.unwrap_or(Command::Run), options)?;
    Ok(parsed)
}

/// The command of this name, with the words that belong to it.
fn word(word: &str, arguments: &mut impl Iterator<Item = OsString>) -> Result<Option<Command>, String> {
    Ok(Some(match word {
        "--version" | "-V" => Command::Version,
        "--help" | "-h" | "help" => Command::Help,
        "run" => Command::Run,
        "status" => Command::Status { json: false },
        "restart" => Command::Restart,
        "stop" => Command::Stop,
        "retry-update" => Command::RetryUpdate,
        "policy" => Command::Policy(policy::Word::parse(&rest(arguments, 2)?)?),
        "keys" => Command::Keys(keys::Word::parse(&rest(arguments, 2)?)?),
        "ledger" => Command::Ledger { word: ledger::Word::parse(&rest(arguments, 1)?)?, json: false },
        "service" => {
            let word = service::Word::parse(arguments.next().as_deref().and_then(|word| word.to_str()))?;
            Command::Service(service::Asked { word, name: None, user: None })
        }
        "doctor" => Command::Doctor { json: false },
        "bundle" => Command::Bundle { out: None },
        "open" => Command::Open,
        "rehearse" => Command::Rehearse,
        "guard" => {
            let process = rest(arguments, 1)?.first().and_then(|id| id.parse().ok());
            Command::Guard { process: process.ok_or("guard takes the number of a process")? }
        }
        "restore" => {
            let mut words = rest(arguments, 2)?.into_iter();
            Command::Restore {
                result: words.next().ok_or("restore takes what the service manager says")?,
                detail: words.next().unwrap_or_default(),
            }
        }
        _ => return Ok(None),
    }))
}

/// The command with its options; one that does not go with it is an error.
fn with(command: Command, options: Options) -> Result<Command, String> {
    let Options { json, out, mut name, mut user } = options;
    let command = match (command, json, out) {
        (Command::Status { .. }, json, None) => Command::Status { json },
        (Command::Doctor { .. }, json, None) => Command::Doctor { json },
        (Command::Ledger { word, .. }, json, None) => Command::Ledger { word, json },
        (Command::Service(service::Asked { word: service::Word::Status { .. }, .. }), json, None) => {
            Command::Service(service::Asked { word: service::Word::Status { json }, name: name.take(), user: None })
        }
        (Command::Bundle { .. }, false, out) => Command::Bundle { out },
        (_, _, Some(_)) => return Err("--out goes with bundle".to_owned()),
        (_, true, _) => return Err("--json goes with status, ledger and doctor".to_owned()),
        (Command::Service(asked), false, None) => {
            // Who it runs as is settled when it is made.
            let user = if asked.word == service::Word::Install { user.take() } else { None };
            Command::Service(service::Asked { name: name.take(), user, ..asked })
        }
        (command, false, None) => command,
    };
    match (name, user) {
        (Some(_), _) => Err("--name goes with service".to_owned()),
        (_, Some(_)) => Err("--user goes with service install".to_owned()),
        (None, None) => Ok(command),
    }
}

/// The words that belong to a command.
fn rest(arguments: &mut impl Iterator<Item = OsString>, most: usize) -> Result<Vec<String>, String> {
    let words = arguments.by_ref().take(most).map(|word| word.into_string());
    words
        .collect::<Result<Vec<String>, OsString>>()
        .map_err(|word| format!("`{}` is not understood", word.to_string_lossy()))
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
        check("rehearse", Ok((Command::Rehearse, Foreground)));
        check("--service guard 7", Ok((Command::Guard { process: 7 }, Service)));
        check("guard me", Err("guard takes the number of a process"));
        let restore = |result: &str, detail: &str| Command::Restore { result: result.into(), detail: detail.into() };
        check("restore exit-code 3", Ok((restore("exit-code", "3"), Foreground)));
        check("restore success", Ok((restore("success", ""), Foreground)));
        check("retry-update", Ok((Command::RetryUpdate, Foreground)));
        check("policy list", Ok((Command::Policy(policy::Word::List), Foreground)));
        check("--home /x policy allow db:1", Ok((Command::Policy(policy::Word::Allow("db:1".to_owned())), Foreground)));
        check("policy allow", Err("policy takes `list`, `check HOST:PORT`, `allow RULE` or `deny RULE`"));
        check("ledger show --json", Ok((Command::Ledger { word: ledger::Word::Show, json: true }, Foreground)));
        check("keys list", Ok((Command::Keys(keys::Word::List), Foreground)));
        check("keys forget north", Ok((Command::Keys(keys::Word::Forget("north".to_owned())), Foreground)));
        check("keys forget", Err("keys takes `list` or `forget AGENT`"));
        check("ledger --json", Err("ledger takes `show` or `verify`"));
        let asked = |word, name: Option<&str>, user: Option<&str>| {
            let (name, user) = (name.map(str::to_owned), user.map(str::to_owned));
            Ok((Command::Service(service::Asked { word, name, user }), Foreground))
        };
        check("service install --name lab --user db", asked(service::Word::Install, Some("lab"), Some("db")));
        check("service status --json", asked(service::Word::Status { json: true }, None, None));
        check("service", Err("service takes `install`, `uninstall`, `start`, `stop` or `status`"));
        check("service stop --user db", Err("--user goes with service install"));
        check("status --name lab", Err("--name goes with service"));
        check("--version", Ok((Command::Version, Foreground)));
        check("stop restart", Err("only one command at a time: `restart`"));
        check("doctor --json", Ok((Command::Doctor { json: true }, Foreground)));
        check("bundle --out b.zip", Ok((Command::Bundle { out: Some("b.zip".into()) }, Foreground)));
        check("doctor --out b.zip", Err("--out goes with bundle"));
        check("stop --json", Err("--json goes with status, ledger and doctor"));
        check("--home", Err("--home needs a folder"));
        check("start", Err("`start` is not understood"));
    }
}
