//! The `file` connector: CSV, JSON Lines and Parquet below a root folder.
//!
//! Promise: a file that is written appears whole under its name, or not at all.

mod csv;
mod feed;
mod infer;
mod locate;
mod manifest;
mod new_files;
mod open;
mod outflow;
mod read;
mod read_csv;
mod read_jsonl;
mod read_parquet;
mod rows;
mod seen;
mod settings;
mod write;
mod write_back;
mod write_parquet;

use std::path::Path;

use sallyport_protocol::{Clock, ConnectionOrder, ConnectionTest, Descriptor, Origin, Reach, Stage};
use serde_json::Value;

use crate::paths::{Folder, Root, components};
use crate::settings::{connection, not_confined, schema, with};
use crate::{Error, Sink, Site, Source};

#[cfg(test)]
pub(crate) use read::described;

/// The catalogue's entry.
pub fn descriptor() -> Descriptor {
    Descriptor {
        kind: "file".to_owned(),
        title: "Files".to_owned(),
        summary: "Reads and writes CSV, JSON Lines and Parquet files below a folder of the agent's machine.".to_owned(),
        origin: Origin::BuiltIn,
        reach: Reach::Files,
        promise: Some(
            "All or nothing: the file appears whole under its name, or not at all; a repeated attempt replaces it."
                .to_owned(),
        ),
        needs_connection: false,
        connection_schema: Some(schema::<settings::Connection>()),
        secrets: Vec::new(),
        read_schema: Some(schema::<settings::Read>()),
        write_schema: Some(schema::<settings::Write>()),
    }
}

pub(crate) fn source(order: Option<&ConnectionOrder>, settings: &Value) -> Result<Box<dyn Source>, Error> {
    let connection = order.map(connection).transpose()?;
    let settings: settings::Read = with(settings, "reading with `file`")?;
    let layout = settings.layout()?;
    Ok(Box::new(read::FileSource { connection, settings, layout }))
}

pub(crate) fn sink(order: Option<&ConnectionOrder>, settings: &Value) -> Result<Box<dyn Sink>, Error> {
    let connection = order.map(connection).transpose()?;
    let settings: settings::Write = with(settings, "writing with `file`")?;
    let layout = settings.layout()?;
    Ok(Box::new(write::FileSink { connection, settings, layout }))
}

pub(crate) fn test(order: &ConnectionOrder, site: &Site) -> ConnectionTest {
    let clock = Clock::system();
    let mut stages = Vec::new();
    let mut stage = |name: &str, tried: &mut dyn FnMut() -> Result<String, String>| {
        let start = clock.now();
        let result = tried();
        let millis = u64::try_from(clock.now().since(start).as_millis()).unwrap_or(u64::MAX);
        let ok = result.is_ok();
        let detail = result.unwrap_or_else(|error| error);
        stages.push(Stage { stage: name.to_owned(), ok, detail, millis });
        ok
    };
    let mut settings = None;
    let mut folder = None;
    let _ = stage("settings", &mut || match connection::<settings::Connection>(order) {
        Ok(read) => {
            settings = Some(read);
            Ok("the settings are complete".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }) && stage("folder", &mut || match root(settings.as_ref(), site) {
        Ok(root) => {
            let found = root.path().display().to_string();
            folder = Some(root);
            Ok(found)
        }
        Err(error) => Err(error.to_string()),
    }) && stage("read", &mut || {
        let path = folder.as_ref().map_or(Path::new(""), Root::path);
        let count = std::fs::read_dir(path).map(Iterator::count);
        count.map(|count| format!("{count} entries")).map_err(|error| format!("listing `{}`: {error}", path.display()))
    }) && stage("write", &mut || {
        let path = folder.as_ref().map_or(Path::new(""), Root::path);
        let tried = try_to_write(path).map(|()| "a file was made and removed".to_owned());
        // A folder that is only read from is a good connection, too.
        let why = |error| format!("only reading is possible here: making a file in `{}`: {error}", path.display());
        Ok(tried.unwrap_or_else(why))
    });
    ConnectionTest { stages }
}

fn try_to_write(path: &Path) -> std::io::Result<()> {
    let folder = Folder::open(path)?;
    let name = format!(".sallyport-test-{}", uuid::Uuid::now_v7().simple());
    drop(folder.create_file(&name)?);
    folder.remove(&name)
}

fn permitted(root: Root, site: &Site) -> Result<Root, Error> {
    site.may_touch(root.path())?;
    Ok(root)
}

/// The root of a step's paths.
fn root(connection: Option<&settings::Connection>, site: &Site) -> Result<Root, Error> {
    let Some(connection) = connection else { return Root::new(&site.files_root) };
    let path = Path::new(&connection.root);
    if path.is_absolute() {
        return if site.confined { Err(not_confined("root")) } else { permitted(Root::new(path)?, site) };
    }
    let base = Root::new(&site.files_root)?;
    if matches!(connection.root.as_str(), "" | "." | "./") {
        return Ok(base);
    }
    let path = components(connection.root.trim_end_matches(['/', '\\']), &base)?
        .iter()
        .fold(base.path().to_owned(), |path, name| path.join(name));
    let root = Root::new(&path)?;
    if root.path().starts_with(base.path()) {
        Ok(root)
    } else {
        Err(crate::settings::invalid("root", "leads out of the files root by a link"))
    }
}

#[cfg(test)]
pub(crate) mod tests;
