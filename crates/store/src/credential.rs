//! Agents' credentials, known by their keyed hashes only.

use rusqlite::{Connection as Sqlite, OptionalExtension, params};
use sallyport_protocol::{AgentId, EnvironmentId, Timestamp};

use crate::agent::find;
use crate::row::{Micros, Text};
use crate::{Error, Store};

/// Whether a credential opens the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialState {
    /// It does.
    Good,
    /// It did until it was rotated or revoked.
    Revoked,
    /// Its time is over.
    Expired,
}

/// What is known of a password that an agent showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Whose it is.
    pub agent: AgentId,
    /// Where that agent belongs.
    pub environment: EnvironmentId,
    /// Whether it opens the door now.
    pub state: CredentialState,
    /// Whether somebody has logged in with it.
    pub used: bool,
}

impl Store {
    /// What is known of the password with this hash; `None`: it was never anybody's.
    pub async fn credential(&self, hash: Vec<u8>, now: Timestamp) -> Result<Option<Credential>, Error> {
        self.read(move |sql| {
            Ok(sql
                .prepare_cached(
                    "SELECT agent, environment, revoked_at, expires_at, first_used_at FROM credential WHERE hash = ?",
                )?
                .query_row([hash], |row| {
                    let expires_at = row.get::<_, Option<Micros>>("expires_at")?;
                    let state = if row.get::<_, Option<i64>>("revoked_at")?.is_some() {
                        CredentialState::Revoked
                    } else if expires_at.is_some_and(|at| at.0 <= now) {
                        CredentialState::Expired
                    } else {
                        CredentialState::Good
                    };
                    Ok(Credential {
                        agent: row.get::<_, Text<_>>("agent")?.0,
                        environment: row.get::<_, Text<_>>("environment")?.0,
                        state,
                        used: row.get::<_, Option<i64>>("first_used_at")?.is_some(),
                    })
                })
                .optional()?)
        })
        .await
    }

    /// Writes down the first login with a credential.
    pub async fn note_credential_use(&self, hash: Vec<u8>, now: Timestamp) -> Result<(), Error> {
        self.write(move |sql| {
            sql.execute(
                "UPDATE credential SET first_used_at = ? WHERE hash = ? AND first_used_at IS NULL",
                params![Micros(now), hash],
            )?;
            Ok(())
        })
        .await
    }

    /// Gives an agent a new credential. Those that nobody has used yet are revoked, so that an abandoned download
    /// opens nothing; with `revoke_all` (a rotation) the used ones are revoked too.
    pub async fn issue_credential(
        &self,
        environment: EnvironmentId,
        agent: AgentId,
        (hash, expires_at): (Vec<u8>, Option<Timestamp>),
        revoke_all: bool,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(move |sql| {
            let found = find(sql, agent)?;
            if found.environment != environment {
                return Err(Error::NotFound);
            }
            revoke(sql, agent, revoke_all, now)?;
            sql.execute(
                "INSERT INTO credential(hash, company, environment, agent, created_at, expires_at) \
                 VALUES (?, ?, ?, ?, ?, ?)",
                params![hash, Text(found.company), Text(environment), Text(agent), Micros(now), expires_at.map(Micros)],
            )?;
            Ok(())
        })
        .await
    }

    /// Revokes every credential of an agent; answers how many were good until now.
    pub async fn revoke_credentials(
        &self,
        environment: EnvironmentId,
        agent: AgentId,
        now: Timestamp,
    ) -> Result<usize, Error> {
        self.write(move |sql| {
            if find(sql, agent)?.environment != environment {
                return Err(Error::NotFound);
            }
            revoke(sql, agent, true, now)
        })
        .await
    }
}

/// Whether a password of this agent has not been revoked.
pub(crate) fn is_valid(sql: &Sqlite, agent: AgentId, hash: &[u8]) -> Result<bool, Error> {
    let mut statement =
        sql.prepare_cached("SELECT 1 FROM credential WHERE hash = ? AND agent = ? AND revoked_at IS NULL")?;
    Ok(statement.exists(params![hash, Text(agent)])?)
}

fn revoke(sql: &Sqlite, agent: AgentId, used_too: bool, now: Timestamp) -> Result<usize, Error> {
    Ok(sql.execute(
        "UPDATE credential SET revoked_at = ? WHERE agent = ? AND revoked_at IS NULL AND (?3 OR first_used_at IS NULL)",
        params![Micros(now), Text(agent), used_too],
    )?)
}
