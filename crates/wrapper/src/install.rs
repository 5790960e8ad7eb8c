//! Putting the agent program in its place: when it is missing, and when the server offers another one.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use sallyport_protocol::path;
use sallyport_site::{Layout, Settings, durable};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::fetch::{self, Door};
use crate::platform;

/// The header with the program's checksum, in hexadecimal digits.
const CHECKSUM_HEADER: &str = "x-sallyport-sha256";
/// Bytes that are moved at once.
const CHUNK: usize = 64 * 1024;
/// Progress is said this many times in one download.
const PROGRESS_STEPS: u64 = 10;

/// The program could not be put in its place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("downloading the agent for {platform}: {source}")]
    Fetch { platform: String, source: fetch::Error },
    #[error(
        "the server offers no agent for {0}; put the program into the folder Agent, or ask for a release of this platform"
    )]
    NoRelease(String),
    #[error("the server names no checksum for the agent it offers")]
    NoChecksum,
    #[error("the downloaded agent is damaged: its checksum is {found}, not {expected}")]
    Damaged { expected: String, found: String },
    #[error("writing {path}: {source}")]
    Write { path: String, source: io::Error },
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The program was there and stays.
    Kept,
    /// The program was missing and is there now.
    Installed,
    /// Another program took its place.
    Replaced,
}

/// Makes sure that the program of the download is there, for a folder that trusts its server. One that is there is replaced only with `may_update`, and whatever goes wrong
/// then is a warning: the present one is good enough to start.
pub(crate) fn ensure(layout: &Layout, settings: &Settings, door: &Door, may_update: bool) -> Result<Outcome, Error> {
    let program = layout.agent_program();
    if !program.exists() {
        info!(server = %door.address, "the agent program is missing, downloading it");
        download(&program, door, None)?;
        return Ok(Outcome::Installed);
    }
    if !may_update || !settings.allow_auto_update || settings.suppress_update {
        return Ok(Outcome::Kept);
    }
    let replaced = checksum(&program)
        .map_err(|source| Error::Write { path: program.display().to_string(), source })
        .and_then(|present| download(&program, door, Some(&present)));
    match replaced {
        Ok(true) if settings.notify_updated => {
            info!("another version of the agent was installed from the server");
            Ok(Outcome::Replaced)
        }
        Ok(true) => Ok(Outcome::Replaced),
        Ok(false) => Ok(Outcome::Kept),
        Err(error @ (Error::NoRelease(_) | Error::Fetch { .. })) => {
            tracing::debug!(%error, "the server was not asked for another version");
            Ok(Outcome::Kept)
        }
        Err(error) => {
            warn!(%error, "another version could not be installed, the present one is started");
            Ok(Outcome::Kept)
        }
    }
}

/// Downloads the program and puts it in its place, unless the server's is the one with the checksum `present`. Says
/// whether anything changed.
fn download(program: &Path, door: &Door, present: Option<&str>) -> Result<bool, Error> {
    let platform = platform::name();
    let mut answer = match door.get(&format!("{}?platform={platform}", path::RELEASE), present) {
        Ok(answer) => answer,
        Err(fetch::Error::NotModified) => return Ok(false),
        Err(fetch::Error::NotFound) => return Err(Error::NoRelease(platform)),
        Err(source) => return Err(Error::Fetch { platform, source }),
    };
    let expected = answer.header(CHECKSUM_HEADER).ok_or(Error::NoChecksum)?.to_ascii_lowercase();
    if present == Some(expected.as_str()) {
        return Ok(false);
    }
    let temporary = durable::beside(program);
    let length = answer.length();
    let written = write(&temporary, &mut answer, length);
    let result = written.and_then(|found| {
        if found != expected {
            return Err(Error::Damaged { expected, found });
        }
        platform::make_executable(&temporary)
            .and_then(|()| fs::rename(&temporary, program))
            .map_err(|source| Error::Write { path: program.display().to_string(), source })
    });
    if result.is_err() {
        // Of no use any more; the next download writes it anew.
        let _ = fs::remove_file(&temporary);
    }
    result.map(|()| true)
}

/// Writes the body to `path` and flushes it to the disk; gives its checksum.
fn write(path: &Path, body: &mut impl Read, length: Option<u64>) -> Result<String, Error> {
    let named = |source| Error::Write { path: path.display().to_string(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(named)?;
    }
    let mut file = File::create(path).map_err(named)?;
    let mut digest = Sha256::new();
    let mut chunk = vec![0u8; CHUNK];
    let (mut done, mut said) = (0u64, 0u64);
    loop {
        let count = body
            .read(&mut chunk)
            .map_err(|error| Error::Fetch { platform: platform::name(), source: fetch::Error::Broken(error) })?;
        if count == 0 {
            break;
        }
        let bytes = chunk.get(..count).unwrap_or_default();
        digest.update(bytes);
        file.write_all(bytes).map_err(named)?;
        done += count as u64;
        let step = length.map_or(0, |length| done * PROGRESS_STEPS / length.max(1));
        if step > said {
            said = step;
            info!(percent = step * 100 / PROGRESS_STEPS, bytes = done, "downloading the agent");
        }
    }
    file.sync_all().map_err(named)?;
    Ok(hexadecimal(&digest.finalize()))
}

fn checksum(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut chunk = vec![0u8; CHUNK];
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok(hexadecimal(&digest.finalize()));
        }
        digest.update(chunk.get(..count).unwrap_or_default());
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
