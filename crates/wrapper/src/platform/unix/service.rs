//! systemd, and launchd on macOS.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sallyport_site::durable::{self, Readers};
use sd_notify::NotifyState;

use crate::app;
use crate::args::Arguments;
use crate::service::{Installed, News, Service, State};

use super::{launchd, systemd};

/// Where no manager asks.
const ALIVE_EVERY: Duration = Duration::from_secs(20);

const IS_MACOS: bool = cfg!(target_os = "macos");

/// Runs the wrapper; a manager ends it by a signal.
pub(crate) fn host(arguments: &Arguments) -> u8 {
    app::run(arguments, &Arc::new(AtomicBool::new(false)))
}

/// Tells the manager that has started this process, if one has and listens.
pub(crate) fn tell(news: News) {
    let told = match news {
        News::Ready => sd_notify::notify(&[NotifyState::Ready]),
        News::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
        News::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
    };
    if let Err(error) = told {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// How often the manager wants to hear that the process is not stuck: three times in its watchdog's time.
pub(crate) fn alive_every() -> Duration {
    sd_notify::watchdog_enabled().map_or(ALIVE_EVERY, |limit| limit / 3)
}

/// Whether this process may make services; the words say what is missing.
pub(crate) fn may_install() -> Result<(), String> {
    if !IS_MACOS && !Path::new("/run/systemd/system").is_dir() {
        return Err("systemd does not run this machine; start the agent with ./start.sh, or with the machine's own \
                    manager: `sallyport-wrapper --service` stays in the foreground and ends at SIGTERM"
            .to_owned());
    }
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err("services are made by root: run it with sudo".to_owned())
}

/// A user of its own on Linux; the folder's owner on macOS, where users are not made by the way.
pub(crate) fn default_user(name: &str) -> String {
    if IS_MACOS { "_nobody".to_owned() } else { name.to_owned() }
}

/// Makes the user unless it exists; whether it was made.
pub(crate) fn make_user(service: &Service) -> Result<bool, String> {
    if user_id(&service.user).is_some() {
        return Ok(false);
    }
    if IS_MACOS {
        return Err(format!("there is no user {}; name one with --user", service.user));
    }
    let mut command = Command::new("useradd");
    command.args(["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", "--home-dir"]);
    command.arg(&service.home).arg(&service.user);
    said(&mut command).map_err(|why| format!("making the user {}: {why}; name another with --user", service.user))?;
    Ok(true)
}

/// The folder and all in it become the user's: nobody else can change what runs there, or read its settings.
pub(crate) fn give_folder(service: &Service) -> Result<(), String> {
    let ids = user_id(&service.user).ok_or_else(|| format!("there is no user {}", service.user))?;
    own(&service.home, ids)
        .map_err(|error| format!("giving {} to {}: {error}", service.home.display(), service.user))?;
    may_enter(&service.home, ids, &service.user)
}

/// Installs the service; what was made.
pub(crate) fn install(service: &Service) -> Result<String, String> {
    let (path, text) = if IS_MACOS {
        (list_path(&service.name), launchd::property_list(service))
    } else {
        (unit_path(&service.name), systemd::unit(service))
    };
    durable::replace(&path, text.as_bytes(), Readers::Anyone)
        .map_err(|error| format!("writing {}: {error}", path.display()))?;
    if !IS_MACOS {
        said(Command::new("systemctl").arg("daemon-reload"))?;
        said(Command::new("systemctl").args(["enable", "--quiet"]).arg(unit_name(&service.name)))?;
    }
    Ok(path.display().to_string())
}

/// Removes everything that [`install`] and [`make_user`] made; the folder of a user that goes becomes root's. What is
/// gone already is what was wanted.
pub(crate) fn uninstall(installed: &Installed, home: &Path) -> Result<(), String> {
    let name = &installed.name;
    let path = if IS_MACOS { list_path(name) } else { unit_path(name) };
    if !IS_MACOS && path.exists() {
        said(Command::new("systemctl").args(["disable", "--quiet"]).arg(unit_name(name)))?;
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(format!("removing {}: {error}", path.display()));
        }
        _ => {}
    }
    if !IS_MACOS {
        said(Command::new("systemctl").arg("daemon-reload"))?;
        // Only a unit that has failed needs it.
        let _ = said(Command::new("systemctl").args(["reset-failed", "--quiet"]).arg(unit_name(name)));
    }
    if installed.made_user && user_id(&installed.user).is_some() {
        own(home, (0, 0)).map_err(|error| format!("giving {} to root: {error}", home.display()))?;
        said(Command::new("userdel").arg(&installed.user))
            .map_err(|why| format!("removing the user {}: {why}", installed.user))?;
    }
    Ok(())
}

pub(crate) fn start(name: &str) -> Result<(), String> {
    if IS_MACOS {
        let path = list_path(name);
        return said(Command::new("launchctl").args(["bootstrap", "system"]).arg(path)).map(drop);
    }
    said(Command::new("systemctl").args(["start", "--no-block"]).arg(unit_name(name))).map(drop)
}

pub(crate) fn stop(name: &str) -> Result<(), String> {
    if IS_MACOS {
        return said(Command::new("launchctl").arg("bootout").arg(format!("system/{name}"))).map(drop);
    }
    said(Command::new("systemctl").args(["stop", "--no-block"]).arg(unit_name(name))).map(drop)
}

pub(crate) fn state(name: &str) -> Result<State, String> {
    if IS_MACOS {
        let told = said(Command::new("launchctl").arg("print").arg(format!("system/{name}")));
        return Ok(match told {
            Ok(text) => State::Running { process_id: value_of(&text, "pid = ").and_then(|id| id.parse().ok()) },
            Err(_) if list_path(name).exists() => State::Stopped,
            Err(_) => State::Absent,
        });
    }
    let mut show = Command::new("systemctl");
    show.args(["show", "--property=LoadState,ActiveState,SubState,Result,MainPID"]).arg(unit_name(name));
    Ok(understood(&said(&mut show)?))
}

/// Where the manager keeps what the service has said.
pub(crate) fn where_logs(name: &str) -> String {
    if IS_MACOS {
        "its folder logs/ says why".to_owned()
    } else {
        format!("`journalctl -u {name}` and its folder logs/ say why")
    }
}

fn understood(text: &str) -> State {
    let of = |key: &str| value_of(text, key).unwrap_or_default();
    let process_id = of("MainPID=").parse().ok().filter(|id| *id != 0);
    match (of("LoadState=").as_str(), of("ActiveState=").as_str()) {
        ("not-found", "inactive") => State::Absent,
        (_, "active" | "reloading" | "deactivating") => State::Running { process_id },
        (_, "failed") => State::Failed(format!("systemd says {}", of("Result="))),
        (_, "activating") if of("SubState=") == "auto-restart" => {
            State::Failed(format!("it ends again and again ({})", of("Result=")))
        }
        _ => State::Stopped,
    }
}

fn value_of(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| line.trim().strip_prefix(key)).map(str::to_owned)
}

fn unit_name(name: &str) -> String {
    format!("{name}.service")
}

fn unit_path(name: &str) -> PathBuf {
    Path::new("/etc/systemd/system").join(unit_name(name))
}

fn list_path(name: &str) -> PathBuf {
    Path::new("/Library/LaunchDaemons").join(format!("{name}.plist"))
}

/// Runs a command of the system; what it said, or why not.
fn said(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let why = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it gave no reason");
    Err(format!("{program}: {}", why.trim()))
}

/// The ids of a user and its group, as the system's directory of users says it.
fn user_id(user: &str) -> Option<(u32, u32)> {
    let of = |flag: &str| {
        let text = said(Command::new("id").args([flag, "--"]).arg(user)).ok()?;
        text.trim().parse().ok()
    };
    Some((of("-u")?, of("-g")?))
}

/// Links are given away themselves, never what they lead to.
fn own(path: &Path, ids: (u32, u32)) -> io::Result<()> {
    std::os::unix::fs::lchown(path, Some(ids.0), Some(ids.1))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            own(&entry?.path(), ids)?;
        }
    }
    Ok(())
}

/// A folder that its user cannot reach is told here, not by a service that never starts.
fn may_enter(home: &Path, (user, group): (u32, u32), name: &str) -> Result<(), String> {
    if user == 0 {
        return Ok(());
    }
    for folder in home.ancestors().skip(1) {
        let Ok(found) = fs::metadata(folder) else { continue };
        let bit = if found.uid() == user {
            0o100
        } else if found.gid() == group {
            0o010
        } else {
            0o001
        };
        if found.mode() & bit == 0 {
            return Err(format!(
                "the user {name} may not enter {}; move the agent's folder, to /opt for one, or name another user with \
                 --user",
                folder.display()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_says_is_understood() {
        let text = |load: &str, active: &str, sub: &str, pid: u32| {
            format!("Result=exit-code\nLoadState={load}\nActiveState={active}\nSubState={sub}\nMainPID={pid}\n")
        };
        for (said, expected) in [
            (text("not-found", "inactive", "dead", 0), State::Absent),
            (text("loaded", "inactive", "dead", 0), State::Stopped),
            (text("loaded", "active", "running", 7), State::Running { process_id: Some(7) }),
            (text("loaded", "failed", "failed", 0), State::Failed("systemd says exit-code".to_owned())),
            (
                text("loaded", "activating", "auto-restart", 0),
                State::Failed("it ends again and again (exit-code)".to_owned()),
            ),
            (text("loaded", "activating", "start", 8), State::Stopped),
        ] {
            assert_eq!(understood(&said), expected, "{said}");
        }
    }

    #[test]
    fn a_closed_folder_on_the_way_is_named() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let why = may_enter(&folder.path().join("agent"), (54_321, 54_321), "lab").unwrap_err();
        assert!(why.contains(&folder.path().display().to_string()), "{why}");
    }
}
