//! A new version of agent or wrapper tries everything beside the old one, and ends: it loads, reads its settings, connects
//! and logs in as a rehearsal.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sallyport_site::Layout;

use super::machine::{Target, Trouble};
use super::product::Product;
use crate::platform;
use crate::tail::Tail;

/// How long it may take: connecting alone may take 15 s.
const REHEARSAL_MAX: Duration = Duration::from_secs(40);
const STEP: Duration = Duration::from_millis(50);
/// How long the last words of an ended process are waited for.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The exit code of a rehearsal that could not reach the server: this says nothing about the version.
pub(crate) const EXIT_NO_VERDICT: i32 = 69;

/// Has a version rehearse.
pub(super) fn rehearse(layout: &Layout, product: Product, target: &Target) -> Result<(), Trouble> {
    let program = product.program(layout, &target.folder);
    let mut command = Command::new(&program);
    command
        .arg("--home")
        .arg(layout.home())
        .args(product.rehearsal())
        .current_dir(layout.home())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    platform::isolate(&mut command);
    let mut child = match command.spawn() {
        Ok(child) => child,
        // Another process was being started while the program was written, and still holds it for a moment.
        Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
            return Err(Trouble::Passing(format!("starting {}: {error}", program.display())));
        }
        Err(error) => return Err(Trouble::Version(format!("it cannot be started: {error}"))),
    };
    let words = listen(&mut child);
    let code = wait(&mut child);
    if code.is_none() {
        platform::kill_tree(child.id());
        let _ = child.wait();
    }
    let last = words.and_then(|words| words.recv_timeout(LAST_WORDS).ok()).unwrap_or_default();
    match code {
        Some(Ok(0)) => Ok(()),
        Some(Ok(EXIT_NO_VERDICT)) => Err(Trouble::Passing(format!("the rehearsal did not reach the server: {last}"))),
        Some(Ok(code)) => Err(Trouble::Version(format!("the rehearsal ended with exit code {code}: {last}"))),
        Some(Err(how)) => Err(Trouble::Version(format!("the rehearsal ended by {how}: {last}"))),
        None => {
            let seconds = REHEARSAL_MAX.as_secs();
            Err(Trouble::Version(format!("the rehearsal did not end within {seconds} s: {last}")))
        }
    }
}

/// The last line that it writes to its standard error.
fn listen(child: &mut Child) -> Option<mpsc::Receiver<String>> {
    let mut stderr = child.stderr.take()?;
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut tail = Tail::default();
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = stderr.read(&mut chunk) {
            tail.feed(chunk.get(..count).unwrap_or_default());
        }
        // The rehearsal may have been given up meanwhile.
        let _ = tell.send(tail.lines().pop().unwrap_or_default());
    });
    Some(told)
}

/// Its exit code, or the signal that ended it; `None` when its time is over and it still runs.
fn wait(child: &mut Child) -> Option<Result<i32, String>> {
    let mut waited = Duration::ZERO;
    while waited < REHEARSAL_MAX {
        if let Ok(Some(status)) = child.try_wait() {
            let signal =
                platform::exit_signal(status).map_or("nobody knows what".to_owned(), |n| format!("signal {n}"));
            return Some(status.code().ok_or(signal));
        }
        thread::sleep(STEP);
        waited += STEP;
    }
    None
}
