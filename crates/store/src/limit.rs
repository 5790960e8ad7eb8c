//! How many runs an agent, a connection or the environment serves at one time.

use rusqlite::{Connection as Sqlite, Row, params};
use sallyport_domain::queue::Place;
use sallyport_protocol::EnvironmentId;

use crate::row::Text;
use crate::{Error, Store};

/// A limit of runs at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunLimit {
    /// What has it.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// The most runs at one time.
    pub at_once: u32,
}

impl Store {
    /// Sets a limit, or takes it away with `None`.
    pub async fn set_run_limit(
        &self,
        environment: EnvironmentId,
        place: Place,
        at_once: Option<u32>,
    ) -> Result<(), Error> {
        self.write(move |sql| {
            let target = target(place);
            match at_once {
                Some(at_once) => sql.execute(
                    "INSERT INTO run_limit(environment, kind, target, at_once) VALUES (?, ?, ?, ?) \
                     ON CONFLICT (environment, kind, target) DO UPDATE SET at_once = excluded.at_once",
                    params![Text(environment), place.word(), target, at_once],
                )?,
                None => sql.execute(
                    "DELETE FROM run_limit WHERE environment = ? AND kind = ? AND target = ?",
                    params![Text(environment), place.word(), target],
                )?,
            };
            Ok(())
        })
        .await
    }

    /// The limits of an environment; those of what is gone are left out.
    pub async fn run_limits(&self, environment: EnvironmentId) -> Result<Vec<RunLimit>, Error> {
        self.read(move |sql| limits(sql, environment)).await
    }
}

fn limits(sql: &Sqlite, environment: EnvironmentId) -> Result<Vec<RunLimit>, Error> {
    let mut statement = sql.prepare_cached(
        "SELECT l.kind, l.target, l.at_once, coalesce(a.name, c.name, e.name) AS name FROM run_limit l \
         LEFT JOIN agent a ON l.kind = 'agent' AND a.id = l.target AND a.deleted_at IS NULL \
         LEFT JOIN connection c ON l.kind = 'connection' AND c.id = l.target \
         LEFT JOIN environment e ON l.kind = 'environment' AND e.id = l.target \
         WHERE l.environment = ? AND coalesce(a.name, c.name, e.name) IS NOT NULL ORDER BY l.kind, name",
    )?;
    let rows = statement.query_map(params![Text(environment)], limit_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn limit_row(row: &Row<'_>) -> rusqlite::Result<RunLimit> {
    let place = match row.get::<_, String>("kind")?.as_str() {
        "agent" => Place::Agent(row.get::<_, Text<_>>("target")?.0),
        "connection" => Place::Connection(row.get::<_, Text<_>>("target")?.0),
        _ => Place::Environment(row.get::<_, Text<_>>("target")?.0),
    };
    Ok(RunLimit { place, name: row.get("name")?, at_once: row.get("at_once")? })
}

fn target(place: Place) -> String {
    match place {
        Place::Task(id) => id.to_string(),
        Place::Agent(id) => id.to_string(),
        Place::Connection(id) => id.to_string(),
        Place::Environment(id) => id.to_string(),
    }
}
