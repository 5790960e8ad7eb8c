//! `service install|uninstall|start|stop|status`: the wrapper as a service of the system's own manager.
//!
//! Invariant: what an installation made is written down beside it ([`Installed`]), so that its removal takes back that
//! and nothing else. How a manager is spoken to is the platform's part.

mod word;

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use sallyport_site::durable::{self, Readers};
use sallyport_site::{Layout, Settings, lock};
use serde::{Deserialize, Serialize};

pub(crate) use word::{Asked, Word};

use crate::app::Refusal;
use crate::platform::service as manager;
use crate::status::{self, AgentState};
use crate::{app, console};

/// The name of a service whose installer chose none.
const NAME_DEFAULT: &str = "sallyport-agent";

/// Names of services: short, and plain on every system.
const NAME_CHARS_MAX: usize = 60;

/// How long a start or stop may take: the agent has 15 s to end.
const WAIT_MAX: Duration = Duration::from_secs(45);
const STEP: Duration = Duration::from_millis(200);

/// What is to become a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) home: PathBuf,
    pub(crate) program: PathBuf,
    /// The user that it runs as.
    pub(crate) user: String,
}

/// What an installation made, in `state/service.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Installed {
    pub(crate) name: String,
    pub(crate) user: String,
    /// The user was made for it, and goes with it.
    pub(crate) made_user: bool,
}

/// What the manager says of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Absent,
    Stopped,
    Running {
        process_id: Option<u32>,
    },
    /// It does not stay up; the manager's word for it.
    Failed(String),
}

/// What a manager wants to hear of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It has begun.
    Ready,
    /// It is not stuck.
    Alive,
    /// It ends.
    Stopping,
}

fn failed(message: impl Into<String>) -> Refusal {
    Refusal { code: app::EXIT_FAILED, message: message.into() }
}

fn conflict(message: impl Into<String>) -> Refusal {
    Refusal { code: app::EXIT_CONFLICT, message: message.into() }
}

/// Does what was asked; gives the exit code.
pub(crate) fn run(layout: &Layout, asked: &Asked) -> u8 {
    if let Word::Status { json } = asked.word {
        return show(layout, asked, json);
    }
    match perform(layout, asked) {
        Ok(()) => app::EXIT_OK,
        Err(Refusal { code, message }) => {
            console::complain(&message);
            code
        }
    }
}

/// Changes what was asked for; what is only to be shown changes nothing.
pub(crate) fn perform(layout: &Layout, asked: &Asked) -> Result<(), Refusal> {
    match asked.word {
        Word::Install => install(layout, asked),
        Word::Uninstall => uninstall(layout, asked),
        Word::Start => start(layout, asked),
        Word::Stop => stop(layout, asked),
        Word::Status { .. } => Ok(()),
    }
}

/// Whether this folder is a service, and what a person could do about that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prospect {
    /// The service's name.
    pub(crate) name: Option<String>,
    /// What would be done: [`Word::Uninstall`] where it is one.
    pub(crate) word: Word,
    /// Why this process may not do it.
    pub(crate) hindrance: Option<String>,
}

/// Looks what could be done.
pub(crate) fn prospect(layout: &Layout) -> Prospect {
    let name = read(layout).map(|installed| installed.name);
    let word = if name.is_some() { Word::Uninstall } else { Word::Install };
    Prospect { name, word, hindrance: manager::may_install().err() }
}

fn install(layout: &Layout, asked: &Asked) -> Result<(), Refusal> {
    manager::may_install().map_err(failed)?;
    let settings = layout.wrapper_settings();
    Settings::load(&settings).map_err(|error| failed(console::chain(&error)))?;
    if let Some(before) = read(layout) {
        return Err(conflict(format!(
            "this folder is the service {} already; `sallyport-wrapper service uninstall` removes it",
            before.name
        )));
    }
    let name = asked.name.clone().unwrap_or_else(|| NAME_DEFAULT.to_owned());
    well_named(&name)?;
    if manager::state(&name).map_err(failed)? != State::Absent {
        return Err(conflict(format!(
            "there is a service {name} already, of another folder or another program; choose a name with --name"
        )));
    }
    if let Some(holder) = lock::holder(&layout.wrapper_lock()) {
        return Err(conflict(format!(
            "the wrapper runs from this folder (process {}, {}); end it with `sallyport-wrapper stop` first",
            holder.process_id,
            lock::way(holder.executed_by)
        )));
    }
    let user = asked.user.clone().unwrap_or_else(|| manager::default_user(&name));
    let service = Service { program: layout.wrapper_program(), home: layout.home().to_owned(), name, user };
    layout.create_folders().map_err(|error| failed(console::chain(&error)))?;
    let made_user = manager::make_user(&service).map_err(failed)?;
    let installed = Installed { name: service.name.clone(), user: service.user.clone(), made_user };
    // Written first: what a power cut leaves half made can be removed.
    write(layout, &installed)?;
    let made = manager::give_folder(&service).and_then(|()| manager::install(&service));
    let made = match made {
        Ok(made) => made,
        Err(why) => {
            // What was made of it is taken back; the first reason is the one that helps.
            let _ = manager::uninstall(&installed, layout.home());
            let _ = fs::remove_file(layout.service());
            return Err(failed(format!("the service {} was not installed: {why}", service.name)));
        }
    };
    console::say(&format!("The service {} is installed: {made}", service.name));
    console::say(&format!("It runs as {}, starts with this machine, and is started again if it fails.", service.user));
    start(layout, asked)?;
    console::say("`sallyport-wrapper service status` says how it does; `service uninstall` takes it back.");
    Ok(())
}

fn uninstall(layout: &Layout, asked: &Asked) -> Result<(), Refusal> {
    manager::may_install().map_err(failed)?;
    let installed = ours(layout, asked)?;
    let not_removed = |why: String| failed(format!("the service {} was not removed: {why}", installed.name));
    if let State::Running { .. } = manager::state(&installed.name).map_err(not_removed)? {
        console::say(&format!("Stopping {}; what its agent does is cancelled and told to the server.", installed.name));
        manager::stop(&installed.name).map_err(not_removed)?;
        wait(layout, &installed.name, "stop", |state| !matches!(state, State::Running { .. }))?;
    }
    manager::uninstall(&installed, layout.home()).map_err(not_removed)?;
    fs::remove_file(layout.service())
        .map_err(|error| failed(format!("removing {}: {error}", layout.service().display())))?;
    console::say(&format!("The service {} is removed.", installed.name));
    if installed.made_user {
        console::say(&format!("So is its user {}; the folder is root's now.", installed.user));
    }
    console::say(&format!(
        "Kept, with the agent's settings, logs/ and files/: {}. Remove the folder when you no longer need them.",
        layout.home().display()
    ));
    Ok(())
}

fn start(layout: &Layout, asked: &Asked) -> Result<(), Refusal> {
    let installed = ours(layout, asked)?;
    manager::start(&installed.name)
        .map_err(|why| failed(format!("the service {} was not started: {why}", installed.name)))?;
    wait(layout, &installed.name, "start", |state| matches!(state, State::Running { .. }))?;
    console::say(&format!("{} runs.", installed.name));
    Ok(())
}

fn stop(layout: &Layout, asked: &Asked) -> Result<(), Refusal> {
    let installed = ours(layout, asked)?;
    manager::stop(&installed.name)
        .map_err(|why| failed(format!("the service {} was not stopped: {why}", installed.name)))?;
    wait(layout, &installed.name, "stop", |state| !matches!(state, State::Running { .. }))?;
    console::say(&format!("{} is stopped; it starts again with this machine.", installed.name));
    Ok(())
}

/// Until the manager says what was wanted, and the wrapper has its lock or has left it.
fn wait(layout: &Layout, name: &str, verb: &str, is_there: impl Fn(&State) -> bool) -> Result<(), Refusal> {
    let mut waited = Duration::ZERO;
    loop {
        let state = manager::state(name).map_err(failed)?;
        let held = lock::holder(&layout.wrapper_lock()).is_some();
        if is_there(&state) && held == matches!(state, State::Running { .. }) {
            return Ok(());
        }
        if let State::Failed(why) = &state {
            return Err(failed(format!("the service {name} does not {verb}: {why}; {}", manager::where_logs(name))));
        }
        if waited >= WAIT_MAX {
            let seconds = WAIT_MAX.as_secs();
            let logs = manager::where_logs(name);
            return Err(failed(format!("the service {name} did not {verb} within {seconds} s; {logs}")));
        }
        thread::sleep(STEP);
        waited += STEP;
    }
}

/// What the manager and the wrapper itself say. Exit code 3 when there is no service or it does not run.
fn show(layout: &Layout, asked: &Asked, json: bool) -> u8 {
    let installed = ours(layout, asked);
    let state = match &installed {
        Ok(installed) => match manager::state(&installed.name) {
            Ok(state) => state,
            Err(why) => {
                console::complain(&why);
                return app::EXIT_FAILED;
            }
        },
        Err(_) => State::Absent,
    };
    let wrapper = status::read(&layout.status()).filter(|_| lock::holder(&layout.wrapper_lock()).is_some());
    if json {
        let (name, user) = installed.as_ref().map_or((None, None), |it| (Some(&it.name), Some(&it.user)));
        let (word, process_id, detail) = match &state {
            State::Absent => ("absent", None, None),
            State::Stopped => ("stopped", None, None),
            State::Running { process_id } => ("running", *process_id, None),
            State::Failed(why) => ("failed", None, Some(why)),
        };
        let text = serde_json::json!({
            "name": name, "user": user, "state": word, "process_id": process_id, "detail": detail,
            "agent_runs": wrapper.as_ref().map(|it| matches!(it.agent.state, AgentState::Running { .. })),
            "online": wrapper.as_ref().map(|it| it.server.online),
        });
        console::say(&text.to_string());
    } else {
        let name = installed.as_ref().map_or("", |it| it.name.as_str());
        console::say(&match &state {
            State::Absent => "This folder is no service. `sallyport-wrapper service install` makes it one.".to_owned(),
            State::Stopped => format!("The service {name} is stopped."),
            State::Running { process_id: Some(id) } => format!("The service {name} runs, process {id}."),
            State::Running { process_id: None } => format!("The service {name} runs."),
            State::Failed(why) => format!("The service {name} does not stay up: {why}; {}", manager::where_logs(name)),
        });
        if let Some(wrapper) = wrapper {
            console::say(&wrapper.for_people(sallyport_protocol::Clock::system().now()));
        }
    }
    if matches!(state, State::Running { .. }) { app::EXIT_OK } else { app::EXIT_NOT_FOUND }
}

/// The service of this folder.
fn ours(layout: &Layout, asked: &Asked) -> Result<Installed, Refusal> {
    let missing = || Refusal {
        code: app::EXIT_NOT_FOUND,
        message: format!("{} is no service; `sallyport-wrapper service install` makes it one", layout.home().display()),
    };
    let installed = read(layout).ok_or_else(missing)?;
    match &asked.name {
        Some(name) if *name != installed.name => {
            Err(conflict(format!("this folder is the service {}, not {name}", installed.name)))
        }
        _ => Ok(installed),
    }
}

fn read(layout: &Layout) -> Option<Installed> {
    serde_json::from_slice(&fs::read(layout.service()).ok()?).ok()
}

fn write(layout: &Layout, installed: &Installed) -> Result<(), Refusal> {
    let path = layout.service();
    serde_json::to_vec_pretty(installed)
        .map_err(std::io::Error::from)
        .and_then(|text| durable::replace(&path, &text, Readers::Anyone))
        .map_err(|error| failed(format!("writing {}: {error}", path.display())))
}

fn well_named(name: &str) -> Result<(), Refusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if (1..=NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(plain) && !name.starts_with('-') {
        return Ok(());
    }
    Err(Refusal {
        code: app::EXIT_USAGE,
        message: format!("`{name}` is no name of a service: 1 to {NAME_CHARS_MAX} letters, digits, - and _"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["sallyport-agent", "lab_2", "A"] {
            assert_eq!(well_named(good), Ok(()), "{good}");
        }
        for bad in ["", "-x", "a b", "a/b", "a;b", "é", &"x".repeat(NAME_CHARS_MAX + 1)] {
            assert!(well_named(bad).is_err(), "{bad}");
        }
    }
}
