//! The `sqlite` connector.
//!
//! Promise: reads see one state of the database; writes are one transaction, committed when the input has ended well.

mod bind;
mod checkpoint;
mod declared;
mod ledger;
mod open;
mod read;
mod read_incremental;
mod settings;
mod table;
mod write;
mod write_incremental;

use sallyport_dataplane::Cancel;
use sallyport_protocol::{Clock, ConnectionOrder, ConnectionTest, Descriptor, Origin, Reach, Stage};
use serde_json::Value;

use crate::settings::{connection, invalid, schema, with};
use crate::{Error, Sink, Site, Source};

/// The catalogue's entry.
pub fn descriptor() -> Descriptor {
    Descriptor {
        kind: "sqlite".to_owned(),
        title: "SQLite".to_owned(),
        summary: "Reads and writes tables of an SQLite database file on the agent's machine.".to_owned(),
        origin: Origin::BuiltIn,
        reach: Reach::Files,
        promise: Some(
            "Exactly once: rows are committed in one transaction together with the step's place in a ledger beside the \
             table, and a repeated or superseded attempt finds it there. `truncate` and `replace` are all or nothing."
                .to_owned(),
        ),
        needs_connection: true,
        connection_schema: Some(schema::<settings::Connection>()),
        secrets: Vec::new(),
        read_schema: Some(schema::<settings::Read>()),
        write_schema: Some(schema::<settings::Write>()),
    }
}

pub(crate) fn source(order: Option<&ConnectionOrder>, settings: &Value) -> Result<Box<dyn Source>, Error> {
    let connection = needed(order)?;
    let settings: settings::Read = with(settings, "reading with `sqlite`")?;
    settings.check()?;
    Ok(Box::new(read::SqliteSource { connection, settings }))
}

pub(crate) fn sink(order: Option<&ConnectionOrder>, settings: &Value) -> Result<Box<dyn Sink>, Error> {
    let connection = needed(order)?;
    let settings: settings::Write = with(settings, "writing with `sqlite`")?;
    settings.check()?;
    Ok(Box::new(write::SqliteSink { connection, settings }))
}

fn needed(order: Option<&ConnectionOrder>) -> Result<settings::Connection, Error> {
    connection(
        order.ok_or_else(|| invalid("connection", "an `sqlite` step needs a connection that names the database"))?,
    )
}

pub(crate) fn test(order: &ConnectionOrder, site: &Site, cancel: &Cancel) -> ConnectionTest {
    let clock = Clock::system();
    let mut stages = Vec::new();
    let mut start = clock.now();
    let mut stage = |name: &str, result: Result<String, Error>| {
        let now = clock.now();
        let millis = u64::try_from(now.since(start).as_millis()).unwrap_or(u64::MAX);
        start = now;
        let ok = result.is_ok();
        let detail = result.unwrap_or_else(|error| error.to_string());
        stages.push(Stage { stage: name.to_owned(), ok, detail, millis });
    };
    match connection::<settings::Connection>(order) {
        Err(error) => stage("settings", Err(error)),
        Ok(settings) => {
            stage("settings", Ok("the settings are complete".to_owned()));
            match open::locate(&settings, site, open::Access::Read) {
                Err(error) => stage("file", Err(error)),
                Ok(path) => {
                    stage("file", Ok(path.display().to_string()));
                    stage(
                        "query",
                        open::open(&path, open::Access::Read, cancel).and_then(|database| count_tables(&database)),
                    );
                }
            }
        }
    }
    ConnectionTest { stages }
}

fn count_tables(database: &rusqlite::Connection) -> Result<String, Error> {
    let count =
        database.query_row("select count(*) from sqlite_schema where type = 'table'", [], |row| row.get::<_, i64>(0));
    let count = count.map_err(|error| open::explain(&error, "counting the tables"))?;
    Ok(format!("SQLite {}, {count} tables", rusqlite::version()))
}

#[cfg(test)]
mod tests;
