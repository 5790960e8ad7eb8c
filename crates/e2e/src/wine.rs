//! Windows, as far as Wine is it: a system of its own in a folder, with its own processes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use anyhow::{Context, Result, ensure};

use crate::process::{Process, said};

const WINE: &str = "/usr/lib/wine/wine64";
const SERVER: &str = "/usr/lib/wine/wineserver";
const COMPILER: &str = "x86_64-w64-mingw32-gcc";

/// A library of Windows that Wine has only since its version 9; all that is wanted of it are random bytes.
const RANDOM: &str = r#"
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL ProcessPrng(PBYTE bytes, SIZE_T count) { return SystemFunction036(bytes, (ULONG)count); }
"#;

/// A running system; everything in it ends when it is dropped.
pub struct Wine {
    prefix: PathBuf,
}

impl Wine {
    /// Makes one below `folder` and starts it.
    pub fn boot(folder: &Path) -> Result<Self> {
        ensure!(Path::new(WINE).is_file(), "Wine is missing: `./x test` installs it where it may");
        let prefix = folder.join("wine");
        std::fs::create_dir_all(&prefix)?;
        let wine = Self { prefix };
        // Without it the services would end with the last program that somebody has started.
        ensure!(wine.server(&["--persistent=600"])?.success(), "Wine's server does not start");
        // The first program makes the system. `wineboot` itself would then run twice, and so would the services' manager.
        // What it starts stays, so it must hold nobody's output open.
        let booted = silent(&mut wine.command(folder, &["cmd", "/c", "exit"])).status()?;
        ensure!(booted.success(), "Windows does not start: {booted}");
        let library = wine.prefix.join("drive_c/windows/system32/bcryptprimitives.dll");
        if !library.exists() {
            compile(RANDOM, &library, &["-shared", "-ladvapi32"])?;
        }
        Ok(wine)
    }

    fn server(&self, arguments: &[&str]) -> Result<ExitStatus> {
        Ok(silent(Command::new(SERVER).args(arguments).env("WINEPREFIX", &self.prefix)).status()?)
    }

    /// A command that runs in a folder.
    fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(WINE);
        command.args(arguments).current_dir(folder);
        command.env("WINEPREFIX", &self.prefix).env("WINEDEBUG", "-all");
        // Otherwise it asks to install them.
        command.env("WINEDLLOVERRIDES", "mscoree,mshtml=");
        for name in ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"] {
            command.env_remove(name);
        }
        command
    }

    /// Starts a program in a folder; what it says is added to a file.
    pub fn start(&self, name: &str, folder: &Path, arguments: &[&str], log: &Path) -> Result<Process> {
        Process::start(name, &mut self.command(folder, arguments), log)
    }

    /// Runs a program in a folder to its end, whatever that is.
    pub fn run(&self, folder: &Path, arguments: &[&str]) -> Result<Output> {
        let output = self.command(folder, arguments).stdin(Stdio::null()).output();
        output.with_context(|| format!("running {arguments:?} under Wine"))
    }

    /// Runs a program that must end well; what it said.
    pub fn good(&self, folder: &Path, arguments: &[&str]) -> Result<String> {
        said(&format!("{arguments:?}"), &self.run(folder, arguments)?)
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        // It takes every program along; what goes wrong with that the folder's own end mends.
        let _ = self.server(&["--kill"]).and_then(|_| self.server(&["--wait"]));
    }
}

fn silent(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// Compiles a small program or library in C for Windows.
pub fn compile(source: &str, to: &Path, more: &[&str]) -> Result<()> {
    let mut child = Command::new(COMPILER)
        .args(["-O1", "-s", "-x", "c", "-", "-o"])
        .arg(to)
        .args(more)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{COMPILER} is missing: `./x test` installs it where it may"))?;
    child.stdin.take().context("the compiler's input")?.write_all(source.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "compiling {}: {}", to.display(), String::from_utf8_lossy(&output.stderr));
    Ok(())
}
