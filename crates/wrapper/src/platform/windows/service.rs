//! Windows services.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use windows_service::service::{
    Service as Handle, ServiceAccess, ServiceAction, ServiceActionType, ServiceControl, ServiceControlAccept,
    ServiceErrorControl, ServiceExitCode, ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo,
    ServiceStartType, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};
use windows_service::{Error, define_windows_service, service_dispatcher};

use crate::app;
use crate::args::Arguments;
use crate::service::{Installed, News, Service, State};

/// `ERROR_FAILED_SERVICE_CONTROLLER_CONNECT`: a person has started the program.
const NO_MANAGER: i32 = 1063;
/// `ERROR_SERVICE_DOES_NOT_EXIST`.
const NO_SERVICE: i32 = 1060;
/// `ERROR_SERVICE_ALREADY_RUNNING`.
const RUNS_ALREADY: i32 = 1056;
/// `ERROR_SERVICE_NOT_ACTIVE`.
const RUNS_NOT: i32 = 1062;
/// `ERROR_INVALID_LEVEL`: the manager knows no such setting.
const NO_LEVEL: i32 = 124;
/// `ERROR_ACCESS_DENIED`.
const DENIED: i32 = 5;

/// A service that fails is started again after this time, for ever.
const RESTART_AFTER: Duration = Duration::from_secs(5);
/// The agent has 15 s to end what it does.
const STOP_MAX: Duration = Duration::from_secs(45);

static ARGUMENTS: OnceLock<Arguments> = OnceLock::new();
static STATUS: OnceLock<ServiceStatusHandle> = OnceLock::new();

define_windows_service!(enter, serve);

/// Runs the wrapper, under the service manager where that has started it.
pub(crate) fn host(arguments: &Arguments) -> u8 {
    let alone = || app::run(arguments, &Arc::new(AtomicBool::new(false)));
    if arguments.executed_by != sallyport_protocol::ExecutedBy::Service || ARGUMENTS.set(arguments.clone()).is_err() {
        return alone();
    }
    match service_dispatcher::start("", enter) {
        Ok(()) => app::EXIT_OK,
        Err(Error::Winapi(error)) if error.raw_os_error() == Some(NO_MANAGER) => alone(),
        Err(error) => {
            crate::console::complain(&format!("the service manager refuses: {error}"));
            app::EXIT_FAILED
        }
    }
}

fn serve(_words: Vec<OsString>) {
    let Some(arguments) = ARGUMENTS.get() else { return };
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    let handler = move |control| match control {
        ServiceControl::Stop | ServiceControl::Shutdown | ServiceControl::Preshutdown => {
            asked.store(true, Ordering::Relaxed);
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        _ => ServiceControlHandlerResult::NotImplemented,
    };
    // Its own process: the name is not looked at.
    let Ok(status) = service_control_handler::register("", handler) else { return };
    let status = *STATUS.get_or_init(|| status);
    let code = app::run(arguments, &stop);
    // The failure actions follow an exit code that is not 0.
    report(&status, ServiceState::Stopped, u32::from(code));
}

/// Tells the manager.
pub(crate) fn tell(news: News) {
    let Some(status) = STATUS.get() else { return };
    match news {
        News::Ready => report(status, ServiceState::Running, 0),
        News::Stopping => report(status, ServiceState::StopPending, 0),
        News::Alive => {}
    }
}

fn report(handle: &ServiceStatusHandle, state: ServiceState, code: u32) {
    let controls_accepted = match state {
        ServiceState::Running => ServiceControlAccept::STOP | ServiceControlAccept::SHUTDOWN,
        _ => ServiceControlAccept::empty(),
    };
    let told = handle.set_service_status(ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state: state,
        controls_accepted,
        exit_code: if code == 0 { ServiceExitCode::NO_ERROR } else { ServiceExitCode::ServiceSpecific(code) },
        checkpoint: 0,
        wait_hint: if state == ServiceState::StopPending { STOP_MAX } else { Duration::ZERO },
        process_id: None,
    });
    if let Err(error) = told {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// Windows does not ask.
pub(crate) fn alive_every() -> Duration {
    Duration::from_secs(60)
}

/// Whether this process may make services; the words say what is missing.
pub(crate) fn may_install() -> Result<(), String> {
    manager(ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE).map(drop)
}

/// A user that the system makes with the service and that has no other rights.
pub(crate) fn default_user(name: &str) -> String {
    format!("NT SERVICE\\{name}")
}

/// Windows makes such a user by itself.
pub(crate) fn make_user(_service: &Service) -> Result<bool, String> {
    Ok(false)
}

/// The folder becomes the user's and the administrators': nobody else can change what runs there, or read its settings.
/// The user exists with its service only: see [`install`].
pub(crate) fn give_folder(_service: &Service) -> Result<(), String> {
    Ok(())
}

/// Installs the service; what was made.
pub(crate) fn install(service: &Service) -> Result<String, String> {
    let manager = manager(ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE)?;
    let wanted = ServiceInfo {
        name: service.name.clone().into(),
        display_name: format!("Sallyport agent ({})", service.name).into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: service.program.clone(),
        launch_arguments: vec!["--home".into(), service.home.clone().into(), "--service".into()],
        dependencies: Vec::new(),
        account_name: Some(service.user.clone().into()),
        account_password: None,
    };
    let made = manager.create_service(&wanted, ServiceAccess::ALL_ACCESS).map_err(words)?;
    made.set_description("Runs steps of integration tasks next to the data. Connects outwards only.").map_err(words)?;
    rights(service)?;
    let shown = format!("`sc query {}` shows it", service.name);
    match restarts(&made) {
        Ok(()) => Ok(shown),
        Err(Error::Winapi(error)) if error.raw_os_error() == Some(NO_LEVEL) => {
            Ok(format!("{shown}; this system's manager does not start a service again that has failed"))
        }
        Err(error) => Err(words(error)),
    }
}

/// Whatever ends it, it is started again.
fn restarts(service: &Handle) -> windows_service::Result<()> {
    let restart = ServiceAction { action_type: ServiceActionType::Restart, delay: RESTART_AFTER };
    service.update_failure_actions(ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(Duration::from_secs(3600)),
        reboot_msg: None,
        command: None,
        actions: Some(vec![restart.clone(), restart.clone(), restart]),
    })?;
    service.set_failure_actions_on_non_crash_failures(true)
}

/// Administrators and the system by their numbers: their names differ by language.
fn rights(service: &Service) -> Result<(), String> {
    let mut command = Command::new("icacls");
    command.arg(&service.home).args(["/inheritance:r", "/grant:r"]);
    command.arg(format!("{}:(OI)(CI)M", service.user));
    command.args(["*S-1-5-32-544:(OI)(CI)F", "*S-1-5-18:(OI)(CI)F", "/Q"]);
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("icacls: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("giving {} to {}: {}", service.home.display(), service.user, said.trim()))
}

/// Removes the service. What is gone already is what was wanted.
pub(crate) fn uninstall(installed: &Installed, _home: &Path) -> Result<(), String> {
    match open(&installed.name, ServiceAccess::DELETE)? {
        Some(service) => service.delete().map_err(words),
        None => Ok(()),
    }
}

pub(crate) fn start(name: &str) -> Result<(), String> {
    let service = open(name, ServiceAccess::START)?.ok_or_else(|| format!("there is no service {name}"))?;
    unless(service.start::<&OsStr>(&[]), RUNS_ALREADY)
}

pub(crate) fn stop(name: &str) -> Result<(), String> {
    let service = open(name, ServiceAccess::STOP)?.ok_or_else(|| format!("there is no service {name}"))?;
    unless(service.stop().map(drop), RUNS_NOT)
}

pub(crate) fn state(name: &str) -> Result<State, String> {
    let Some(service) = open(name, ServiceAccess::QUERY_STATUS)? else { return Ok(State::Absent) };
    let status = service.query_status().map_err(words)?;
    Ok(match status.current_state {
        ServiceState::Stopped => match status.exit_code {
            ServiceExitCode::ServiceSpecific(code) => State::Failed(format!("it ended with exit code {code}")),
            ServiceExitCode::Win32(_) => State::Stopped,
        },
        ServiceState::StartPending => State::Stopped,
        _ => State::Running { process_id: status.process_id },
    })
}

/// Where the manager keeps what the service has said.
pub(crate) fn where_logs(_name: &str) -> String {
    "the event log and its folder logs\\ say why".to_owned()
}

fn manager(access: ServiceManagerAccess) -> Result<ServiceManager, String> {
    ServiceManager::local_computer(None::<&OsStr>, access).map_err(words)
}

/// The service, if there is one of the name.
fn open(name: &str, access: ServiceAccess) -> Result<Option<Handle>, String> {
    match manager(ServiceManagerAccess::CONNECT)?.open_service(name, access) {
        Ok(service) => Ok(Some(service)),
        Err(Error::Winapi(error)) if error.raw_os_error() == Some(NO_SERVICE) => Ok(None),
        Err(error) => Err(words(error)),
    }
}

/// An error that says that what was wanted is so already is none.
fn unless(done: windows_service::Result<()>, code: i32) -> Result<(), String> {
    match done {
        Err(Error::Winapi(error)) if error.raw_os_error() == Some(code) => Ok(()),
        other => other.map_err(words),
    }
}

fn words(error: Error) -> String {
    match error {
        Error::Winapi(error) if error.raw_os_error() == Some(DENIED) => {
            "Windows refuses; run it as administrator".to_owned()
        }
        Error::Winapi(error) => error.to_string(),
        other => other.to_string(),
    }
}
