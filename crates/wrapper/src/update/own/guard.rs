//! The version before, beside the new one until that is kept: what it finds broken it takes back.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use sallyport_protocol::{Clock, ExecutedBy};
use sallyport_site::Layout;
use sallyport_site::lock::{self, Lock};

use super::watch::{Sight, Verdict, Watch};
use super::{arguments, count, rehearsal, stopped, take_back};
use crate::moment;
use crate::status;
use crate::update::product::Product;
use crate::update::record::Book;
use crate::{app, console, platform};

const STEP: Duration = Duration::from_millis(500);
/// How long a killed process may take to be gone.
const GONE_MAX: Duration = Duration::from_secs(5);
/// How long a guard's beginning is waited for.
const BEGIN_MAX: Duration = Duration::from_secs(2);
const BLINK: Duration = Duration::from_millis(10);

/// Starts a guard of this process, and of what it becomes. Without one the new version watches itself only.
pub(super) fn start(layout: &Layout, executed_by: ExecutedBy) {
    let mut words = arguments(layout, executed_by);
    words.extend(["guard".into(), std::process::id().to_string().into()]);
    if let Err(error) = platform::start_apart(&layout.former_wrapper(), &words) {
        return console::complain(&format!("nobody watches the new version of the wrapper: {error}"));
    }
    // The first guard is this program's, with this program's surroundings; a later one finds the lock taken.
    let mut waited = Duration::ZERO;
    while lock::holder(&layout.guard_lock()).is_none() && waited < BEGIN_MAX {
        thread::sleep(BLINK);
        waited += BLINK;
    }
}

/// The wrapper's process: the one that was handed over, or one that the guard has started.
enum Wrapper {
    Given(u32),
    Own(Child),
}

impl Wrapper {
    fn id(&self) -> u32 {
        match self {
            Self::Given(id) => *id,
            Self::Own(child) => child.id(),
        }
    }

    /// How it has ended, as far as that can be told of a process that is not the guard's own.
    fn how(&mut self) -> String {
        match self {
            Self::Own(child) => child.try_wait().ok().flatten().map(|status| status.to_string()),
            Self::Given(_) => None,
        }
        .unwrap_or_else(|| "it ended and gave no reason".to_owned())
    }

    fn is_alive(&mut self) -> bool {
        match self {
            Self::Given(id) => platform::is_alive(*id),
            Self::Own(child) => matches!(child.try_wait(), Ok(None)),
        }
    }
}

/// Watches the wrapper `process` until it is kept, stopped or taken back. One guard is enough for a folder.
pub(crate) fn run(layout: &Layout, process: u32, executed_by: ExecutedBy) -> u8 {
    let clock = Clock::system();
    let Ok(_lock) = Lock::acquire(&layout.guard_lock(), "the guard", executed_by, clock.now()) else {
        return app::EXIT_OK;
    };
    let time = moment::Watch::new(clock.clone());
    // On Windows another process takes over, of which only the lock is known.
    let patient = executed_by == ExecutedBy::Service || cfg!(windows);
    let mut wrapper = Wrapper::Given(process);
    let mut watch = Watch::new(patient, time.now());
    loop {
        let verdict = watch.see(look(layout, &mut wrapper), time.now());
        let done = match &verdict {
            Verdict::Wait => Ok(false),
            Verdict::Done => Ok(true),
            Verdict::Try => {
                let reached = rehearsal::log_in(layout).is_ok();
                watch.tried(reached, time.now());
                Ok(false)
            }
            Verdict::Ended => count(layout, &clock, &wrapper.how()),
            Verdict::Broken(reason) => end(layout, &clock, &wrapper, reason),
        };
        let done = match done {
            Ok(done) => done,
            Err(error) => {
                // The disk may be full: it is tried again.
                console::complain(&format!("the version of the wrapper before is not brought back: {error}"));
                false
            }
        };
        if matches!(verdict, Verdict::Ended | Verdict::Broken(_)) {
            if let Some(child) = restart(layout, executed_by) {
                wrapper = Wrapper::Own(child);
            }
            watch = Watch::new(patient, time.now());
        }
        if done {
            return app::EXIT_OK;
        }
        thread::sleep(STEP);
    }
}

fn look(layout: &Layout, wrapper: &mut Wrapper) -> Sight {
    let (_, record) = Book::open(Product::Wrapper.records(layout));
    let held = lock::holder(&layout.wrapper_lock()).is_some();
    Sight {
        on_trial: record.trial.is_some(),
        alive: held || wrapper.is_alive(),
        held,
        stopped: stopped(layout),
        online: status::read(&layout.status()).is_some_and(|status| status.server.online),
    }
}

/// Ends a wrapper that does not work, after the version before is back: whoever starts it again starts that one. It is
/// held still meanwhile, so that it writes nothing.
fn end(layout: &Layout, clock: &Clock, wrapper: &Wrapper, reason: &str) -> std::io::Result<bool> {
    let process = lock::holder(&layout.wrapper_lock()).map_or_else(|| wrapper.id(), |holder| holder.process_id);
    platform::hold_still(process);
    let back = take_back(layout, clock, reason);
    platform::kill(process);
    // Whoever starts it again finds the lock free.
    let mut waited = Duration::ZERO;
    while platform::is_alive(process) && waited < GONE_MAX {
        thread::sleep(BLINK);
        waited += BLINK;
    }
    back
}

/// Starts the wrapper again, unless that is a service manager's.
fn restart(layout: &Layout, executed_by: ExecutedBy) -> Option<Child> {
    if executed_by == ExecutedBy::Service {
        return None;
    }
    let mut command = Command::new(layout.wrapper_program());
    command.args(arguments(layout, executed_by)).current_dir(layout.home()).stdin(Stdio::null());
    command.spawn().map_err(|error| console::complain(&format!("the wrapper cannot be started again: {error}"))).ok()
}
