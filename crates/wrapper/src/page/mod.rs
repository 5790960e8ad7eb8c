//! The local page: status, log, doctor, bundle, restart and the service in a browser on this machine.
//!
//! Invariant: it listens on the loopback address alone, and answers nobody without the cookie that a one-time token was
//! exchanged for. It reads the same files as the other commands and writes the same command file, so that it works
//! whether or not a wrapper runs.

mod answer;
mod guard;
mod request;

use std::io::{self, IsTerminal, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use sallyport_protocol::{Clock, ExecutedBy};
use sallyport_site::Layout;
use sallyport_site::config::Environment;

use crate::{app, console, platform};
use guard::Guard;
use request::Request;

/// Requests that are answered at the same time; a browser opens six.
const THREADS_MAX: usize = 8;
/// How long a browser may take to send its request or to take the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What answers need.
struct Page {
    layout: Layout,
    guard: Guard,
    clock: Clock,
    busy: AtomicUsize,
}

/// `open`: serves the page until Ctrl-C, and shows it in a browser where there is one.
pub(crate) fn open(layout: &Layout) -> u8 {
    match Page::bind(layout) {
        Ok((page, listener)) => {
            let address = page.guard.address();
            console::say(&format!("The page is at {address}\nThe address works once. Ctrl-C ends the page."));
            platform::open_browser(&address, &Environment::read());
            page.serve(&listener);
            app::EXIT_OK
        }
        Err(error) => {
            console::complain(&format!("the page could not be served: {error}"));
            app::EXIT_FAILED
        }
    }
}

/// The page beside a wrapper that a person has started in a terminal.
pub(crate) fn beside(layout: &Layout, executed_by: ExecutedBy) {
    if executed_by != ExecutedBy::Foreground || !io::stdout().is_terminal() {
        return;
    }
    let served = Page::bind(layout).and_then(|(page, listener)| {
        let address = page.guard.address();
        thread::Builder::new().name("page".to_owned()).spawn(move || page.serve(&listener))?;
        Ok(address)
    });
    match served {
        Ok(address) => console::say(&format!("Status and logs: {address} (works once)")),
        Err(error) => tracing::warn!(%error, "the local page is not served"),
    }
}

impl Page {
    fn bind(layout: &Layout) -> io::Result<(Arc<Self>, TcpListener)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (port, clock) = (listener.local_addr()?.port(), Clock::system());
        let guard = Guard::new(port, clock.now())?;
        Ok((Arc::new(Self { layout: layout.clone(), guard, clock, busy: AtomicUsize::new(0) }), listener))
    }

    fn serve(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming().flatten() {
            // Beyond the bound the browser finds its connection closed, and tries again.
            if self.busy.load(Ordering::Relaxed) >= THREADS_MAX {
                continue;
            }
            self.busy.fetch_add(1, Ordering::Relaxed);
            let page = Arc::clone(self);
            let spawned = thread::Builder::new().name("page".to_owned()).spawn(move || {
                // A browser that goes away is no matter of ours.
                let _ = page.answer(stream);
                page.busy.fetch_sub(1, Ordering::Relaxed);
            });
            if spawned.is_err() {
                self.busy.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let answer = match Request::read(&mut stream)? {
            Some(request) => match self.guard.judge(&request, self.clock.now()) {
                guard::Judgement::Welcome => answer::to(&request, &self.layout, &self.clock),
                guard::Judgement::Exchange { cookie } => answer::Answer::exchange(&cookie),
                guard::Judgement::Refused { status, why } => answer::Answer::plain(status, why),
            },
            None => answer::Answer::plain(400, "this is no request that the page understands"),
        };
        stream.write_all(&answer.head())?;
        stream.write_all(&answer.body)?;
        stream.flush()
    }
}
