//! A rehearsal of the wrapper: whether this program would get online here. It takes no lock, writes no log, and the
//! server gives it no place.

use sallyport_protocol::{Clock, ExecutedBy, InstanceId, Refusal, RefusalCode, Versions, WrapperMessage, capability};
use sallyport_site::config::Environment;
use sallyport_site::dial::Dialer;
use sallyport_site::presence::Machine;
use sallyport_site::{Layout, Settings, identity, tls};

use crate::fetch::Door;
use crate::link::{self, Over};
use crate::supervise::EXIT_BAD_CONFIGURATION;
use crate::update::rehearse::EXIT_NO_VERDICT;
use crate::{app, console};

/// Why a rehearsal did not get in.
pub(super) enum Trouble {
    /// The server was not reached or lets nobody in now: this says nothing about the version.
    NoVerdict(String),
    /// Something is broken.
    Broken(String),
}

/// Rehearses; says on standard error what failed. The exit code is the verdict.
pub(crate) fn run(layout: &Layout) -> u8 {
    let (code, reason) = match log_in(layout) {
        Ok(()) => return app::EXIT_OK,
        Err(Trouble::NoVerdict(reason)) => (u8::try_from(EXIT_NO_VERDICT).unwrap_or(app::EXIT_FAILED), reason),
        Err(Trouble::Broken(reason)) => (EXIT_BAD_CONFIGURATION, reason),
    };
    console::complain(&reason);
    code
}

/// Loads, reads the settings, connects and logs in.
pub(super) fn log_in(layout: &Layout) -> Result<(), Trouble> {
    let broken = |error: &(dyn std::error::Error + 'static)| Trouble::Broken(console::chain(error));
    let (environment, clock) = (Environment::read(), Clock::system());
    let settings = Settings::load(&layout.wrapper_settings()).map_err(|error| broken(&error))?.settings;
    let dialer = Dialer::from_settings(&settings, &environment).map_err(|error| broken(&error))?;
    let trust = tls::client_config(&layout.server_ca()).map_err(|error| broken(&error))?;
    let now = clock.now();
    let presence = Machine::gather(layout, &environment, now).presence(
        now,
        None,
        None,
        Some(env!("CARGO_PKG_VERSION")),
        ExecutedBy::Other,
    );
    let hello = WrapperMessage::Hello {
        versions: Versions::ours(&[capability::EXAMINE]),
        presence,
        installation: identity::installation(&layout.installation()).map_err(|error| broken(&error))?,
        instance: InstanceId::new(),
    };
    match link::rehearse(&Door::new(&settings, dialer, trust), &hello) {
        Ok(()) => Ok(()),
        Err(Over::Refused(Refusal { code: RefusalCode::VersionTooOld, message, .. })) => Err(Trouble::Broken(message)),
        // The version that runs logs in with the same password: what is refused here is no matter of the version.
        Err(Over::Refused(refusal)) => Err(Trouble::NoVerdict(refusal.to_string())),
        Err(Over::Lost { reason, .. }) => Err(Trouble::NoVerdict(reason)),
        Err(Over::GoAway { .. } | Over::Stopped) => Err(Trouble::NoVerdict("the server stops".to_owned())),
    }
}
