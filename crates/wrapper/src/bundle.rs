//! A support bundle: one zip with what a helper needs, and no secret.
//!
//! Two nets hold secrets back: documents lose every value whose key sounds secret, and every text loses the passwords
//! that the settings hold. What the agent keeps of work (`state/journal`, `work/`, `files/`) is only listed.

use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sallyport_protocol::{Clock, Secret};
use sallyport_site::{Layout, Settings, crash, login, redact};
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::{agent, app, console, doctor, status};

/// The most bytes of one log file; its end tells most.
const LOG_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// The most bytes of all log files together, before they are packed.
const LOGS_BYTES_MAX: u64 = 24 * 1024 * 1024;
/// Documents that are larger are no documents.
const DOCUMENT_BYTES_MAX: u64 = 1024 * 1024;
/// The most files that are listed of a folder.
const LISTED_MAX: usize = 1000;

/// The command: writes the bundle beside the installation's files, or where it is wanted.
pub(crate) fn run(layout: &Layout, out: Option<&Path>) -> u8 {
    let path = out.map_or_else(|| layout.home().join("sallyport-bundle.zip"), Path::to_owned);
    console::say("Looking at everything; this takes a few seconds.");
    let written = make(layout, &Clock::system()).and_then(|zip| {
        sallyport_site::durable::replace(&path, &zip, sallyport_site::durable::Readers::Owner)?;
        Ok(zip.len())
    });
    match written {
        Ok(size) => {
            console::say(&format!("Saved {} ({} KiB). Secrets are removed.", path.display(), size / 1024));
            app::EXIT_OK
        }
        Err(error) => {
            console::complain(&format!("the bundle could not be made: {error}"));
            app::EXIT_FAILED
        }
    }
}

/// Makes the zip.
pub(crate) fn make(layout: &Layout, clock: &Clock) -> io::Result<Vec<u8>> {
    let mut bundle = Bundle { zip: ZipWriter::new(Cursor::new(Vec::new())), secrets: secrets(layout) };
    let examination = doctor::examine(layout, clock);
    bundle.text("doctor.txt", &doctor::for_people(&examination))?;
    bundle.json("doctor.json", &serde_json::to_value(&examination)?)?;
    bundle.json("versions.json", &versions(layout))?;
    for (name, path) in [
        ("settings/appsettings.json", layout.wrapper_settings()),
        ("settings/Agent.appsettings.json", layout.agent_settings()),
        ("settings/programs.json", layout.programs()),
        ("state/status.json", layout.status()),
    ] {
        bundle.document(name, &path)?;
    }
    for path in layout.update_records().into_iter().chain(layout.wrapper_update_records()) {
        bundle.file_of("state", &path)?;
    }
    for path in [layout.installation(), layout.wrapper_lock().with_extension("holder")] {
        bundle.file_of("state", &path)?;
    }
    for path in [layout.policy(), layout.trust(), layout.server_ca()] {
        bundle.file_of("settings", &path)?;
    }
    bundle.text("folders.txt", &listing(layout))?;
    bundle.logs(&layout.logs())?;
    for file in crash::files(&layout.logs()) {
        bundle.file_of("logs", &layout.logs().join(file))?;
    }
    Ok(bundle.zip.finish().map_err(io::Error::other)?.into_inner())
}

/// What must not leave the machine, in the forms in which it may have been written.
fn secrets(layout: &Layout) -> Vec<Secret> {
    let mut secrets = Vec::new();
    for path in [layout.wrapper_settings(), layout.agent_settings()] {
        let Ok(loaded) = Settings::load(&path) else { continue };
        for (user, password) in loaded.settings.logins() {
            let header = login::basic(user, password);
            secrets.push(Secret::new(header.expose().trim_start_matches("Basic ").to_owned()));
            secrets.push(password.clone());
        }
    }
    secrets
}

fn versions(layout: &Layout) -> Value {
    let program = layout.agent_program();
    json!({
        "wrapper": env!("CARGO_PKG_VERSION"),
        "agent_of_the_download": agent::version_of(&program),
        "active_release": status::read(&layout.status()).and_then(|status| status.update.version),
        "os": sallyport_site::machine::os_version(),
        "glibc": sallyport_site::machine::glibc_version(),
        "architecture": std::env::consts::ARCH,
    })
}

/// Names and sizes of what is not packed.
fn listing(layout: &Layout) -> String {
    let mut text = String::new();
    for folder in
        [layout.home().to_owned(), layout.versions(), layout.state(), layout.journal(), layout.spool(), layout.logs()]
    {
        text.push_str(&format!("{}\n", folder.display()));
        let mut entries: Vec<String> = fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .take(LISTED_MAX)
            .map(|entry| {
                let size = entry.metadata().map_or(0, |facts| facts.len());
                format!("  {size:>12}  {}\n", entry.file_name().to_string_lossy())
            })
            .collect();
        entries.sort();
        text.push_str(&entries.concat());
    }
    text
}

struct Bundle {
    zip: ZipWriter<Cursor<Vec<u8>>>,
    secrets: Vec<Secret>,
}

impl Bundle {
    fn text(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.zip.start_file(name, SimpleFileOptions::default()).map_err(io::Error::other)?;
        self.zip.write_all(redact::without(text, &self.secrets).as_bytes())
    }

    fn json(&mut self, name: &str, document: &Value) -> io::Result<()> {
        self.text(name, &format!("{:#}\n", redact::document(document)))
    }

    /// A JSON file without its secrets; one that is no JSON is left out, since nobody knows what stands in it.
    fn document(&mut self, name: &str, path: &Path) -> io::Result<()> {
        match read(path, DOCUMENT_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => self.text(name, &format!("(not read: {error})\n")),
            Ok(text) => match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
                Ok(document) => self.json(name, &document),
                Err(error) => self.text(name, &format!("(left out, since it is no JSON: {error})\n")),
            },
        }
    }

    /// A file as it stands, but for known secrets; absent ones are passed over.
    fn file_of(&mut self, folder: &str, path: &Path) -> io::Result<()> {
        let Some(name) = path.file_name() else { return Ok(()) };
        match read(path, DOCUMENT_BYTES_MAX) {
            Ok(text) => self.text(&format!("{folder}/{}", name.to_string_lossy()), &text),
            Err(_) => Ok(()),
        }
    }

    /// The ends of the newest log files, as far as there is room.
    fn logs(&mut self, folder: &Path) -> io::Result<()> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut logs: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|is| is == "log")).collect();
        logs.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).and_then(|facts| facts.modified()).ok()));
        let mut room = LOGS_BYTES_MAX;
        for path in logs {
            let Ok(text) = read(&path, LOG_BYTES_MAX.min(room)) else { continue };
            room = room.saturating_sub(text.len() as u64);
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.text(&format!("logs/{name}"), &text)?;
            if room == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// The end of a file.
fn read(path: &Path, most: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &str = r#"{"Settings": {"Username": "0198c0de-0000-7000-8000-000000000001",
        "Password": "the-agent-password", "ServerAddress": "https://127.0.0.1:9",
        "ProxyServerAddress": "http://127.0.0.1:9", "ProxyUsername": "ann", "ProxyPassword": "the-proxy-password",
        "Surprise": {"api_key": "some-other-secret"}}}"#;

    #[test]
    fn a_bundle_holds_what_helps_and_no_secret() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::new(home.path());
        layout.create_folders().unwrap();
        fs::create_dir_all(layout.agent_folder()).unwrap();
        fs::write(layout.wrapper_settings(), SETTINGS).unwrap();
        fs::write(layout.agent_settings(), SETTINGS.replace("some-other-secret", "{broken some-other-secret")).unwrap();
        fs::write(layout.programs(), r#"{"x": {"env": {"TOKEN": "some-other-secret"}}}"#).unwrap();
        let basic = login::basic("ann", &Secret::new("the-proxy-password"));
        let line = format!("login the-agent-password\n{}\nthe end\n", basic.expose());
        fs::write(layout.logs().join("server-2026-01-01.log"), line).unwrap();
        fs::write(layout.logs().join("uncaughtException-1.json"), "\"the-proxy-password\"").unwrap();
        let zip = make(&layout, &Clock::system()).unwrap();
        let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
        let mut names = Vec::new();
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).unwrap();
            let name = entry.name().unwrap().into_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let encoded = basic.expose().trim_start_matches("Basic ");
            for secret in ["the-agent-password", "the-proxy-password", "some-other-secret", encoded] {
                assert!(!text.contains(secret), "{name}: {text}");
            }
            if name.ends_with("server-2026-01-01.log") {
                assert!(text.contains("the end"));
            }
            names.push(name);
        }
        for expected in [
            "doctor.json",
            "versions.json",
            "settings/appsettings.json",
            "logs/server-2026-01-01.log",
            "logs/uncaughtException-1.json",
        ] {
            assert!(names.iter().any(|name| name == expected), "{names:?}");
        }
    }
}
