//! When agents were online.

use rusqlite::{Connection as Sqlite, params};
use sallyport_protocol::{AgentId, EnvironmentId, Timestamp};

use crate::row::{Micros, Text};
use crate::{Error, Store};

/// Ended connections that are kept of each agent.
pub const SPANS_MAX: u32 = 200;

/// A time for which an agent was online.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnlineSpan {
    /// From.
    pub since: Timestamp,
    /// To; absent while it stands.
    pub until: Option<Timestamp>,
    /// Where the connection came from.
    pub address: Option<String>,
}

impl Store {
    /// When an agent of the environment was online, the newest first: at most [`SPANS_MAX`] and the one that stands.
    pub async fn online_spans(&self, environment: EnvironmentId, agent: AgentId) -> Result<Vec<OnlineSpan>, Error> {
        self.read(move |sql| {
            let mut statement = sql.prepare_cached(
                "SELECT since, NULL AS until, address FROM agent_session WHERE agent = ?1 AND environment = ?2 \
                 UNION ALL SELECT since, until, address FROM agent_online WHERE agent = ?1 AND environment = ?2 \
                 ORDER BY since DESC",
            )?;
            let rows = statement.query_map(params![Text(agent), Text(environment)], |row| {
                Ok(OnlineSpan {
                    since: row.get::<_, Micros>("since")?.0,
                    until: row.get::<_, Option<Micros>>("until")?.map(|at| at.0),
                    address: row.get("address")?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

/// Keeps the connection that stands (only the one of `epoch`, where it is given) as one that ended at `until`, and lets
/// the oldest go.
pub(crate) fn ended(sql: &Sqlite, agent: AgentId, epoch: Option<i64>, until: Timestamp) -> Result<(), Error> {
    sql.prepare_cached(
        "INSERT OR IGNORE INTO agent_online(agent, epoch, company, environment, since, until, address) \
         SELECT agent, epoch, company, environment, since, max(since, ?2), address FROM agent_session \
         WHERE agent = ?1 AND (?3 IS NULL OR epoch = ?3)",
    )?
    .execute(params![Text(agent), Micros(until), epoch])?;
    sql.prepare_cached(
        "DELETE FROM agent_online WHERE agent = ?1 AND epoch <= \
         (SELECT epoch FROM agent_online WHERE agent = ?1 ORDER BY epoch DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute(params![Text(agent), SPANS_MAX])?;
    Ok(())
}

/// The same for all that an earlier process under a replica's name has left: they ended at their last sign of life.
pub(crate) fn left_behind(sql: &Sqlite, replica: &str) -> Result<(), Error> {
    let mut statement = sql.prepare_cached(
        "SELECT s.agent, coalesce(a.last_seen_at, s.since) FROM agent_session s JOIN agent a ON a.id = s.agent \
         WHERE s.replica = ?",
    )?;
    let rows = statement.query_map([replica], |row| Ok((row.get::<_, Text<_>>(0)?.0, row.get::<_, Micros>(1)?.0)))?;
    for row in rows.collect::<rusqlite::Result<Vec<_>>>()? {
        ended(sql, row.0, None, row.1)?;
    }
    Ok(())
}
