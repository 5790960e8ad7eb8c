//! Who is online. An agent is online while it has a row here; a newer epoch fences an older connection.

use rusqlite::{Connection as Sqlite, OptionalExtension, Row, params};
use sallyport_domain::agent::Kind;
use sallyport_domain::licence;
use sallyport_protocol::{
    AgentId, CompanyId, EnvironmentId, InstallationId, InstanceId, Presence, Refusal, RefusalCode, Timestamp,
};

use crate::agent::{Agent, find};
use crate::company::find_company;
use crate::credential::is_valid;
use crate::online;
use crate::row::{Json, Micros, Text};
use crate::{Error, Store};

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionKind {
    /// The agent's; counts for the licence.
    Agent,
    /// The wrapper's; does not.
    Wrapper,
}

impl SessionKind {
    const fn table(self) -> &'static str {
        match self {
            Self::Agent => "agent_session",
            Self::Wrapper => "wrapper_session",
        }
    }
}

/// A connection that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose.
    pub agent: AgentId,
    /// The environment it belongs to.
    pub environment: EnvironmentId,
    /// The server process that holds the socket.
    pub replica: String,
    /// Grows with every connection of the agent.
    pub epoch: i64,
    /// The process at the other end.
    pub instance: InstanceId,
    /// Its folder.
    pub installation: InstallationId,
    /// Where it came from.
    pub address: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// A connection that wants to come in; its credentials have been checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Admit {
    /// Whose.
    pub agent: AgentId,
    /// The hash of the password it has shown; absent for the agent inside the server.
    pub credential: Option<Vec<u8>>,
    /// The server process that holds the socket.
    pub replica: String,
    /// The process at the other end.
    pub instance: InstanceId,
    /// Its folder.
    pub installation: InstallationId,
    /// Where it comes from.
    pub address: Option<String>,
    /// What it said.
    pub presence: Presence,
    /// Third-party connectors it has; ignored for wrappers.
    pub programs: Vec<String>,
    /// Whether to take the place of another process's session: set once that one was found dead.
    pub replace: bool,
    /// Now.
    pub now: Timestamp,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Admission {
    /// It is online.
    Admitted {
        /// Later epochs of the same agent fence this one.
        epoch: i64,
        /// The agent as it is now.
        agent: Box<Agent>,
    },
    /// Another process of the same agent has a session. The caller finds out whether that one is alive.
    Duplicate {
        /// The session that stands.
        standing: Session,
    },
    /// The agent is deactivated, or the licence's maximum is online; written down in the same transaction.
    Refused {
        /// Why.
        refusal: Refusal,
    },
}

/// How often an agent was turned away for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalCount {
    /// The agent.
    pub agent: AgentId,
    /// Its name.
    pub agent_name: String,
    /// The reason's word.
    pub code: String,
    /// The reason in words, the last time.
    pub message: String,
    /// Where it came from, the last time.
    pub address: Option<String>,
    /// How often.
    pub count: u64,
    /// The first time.
    pub first_at: Timestamp,
    /// The last time.
    pub last_at: Timestamp,
}

impl Store {
    /// Lets a connection in or says why not, in one transaction: two that come at once cannot both take the last
    /// place, and an agent that comes again takes its own place.
    pub async fn admit(&self, kind: SessionKind, admit: Admit) -> Result<Admission, Error> {
        self.write(move |sql| {
            let agent = find(sql, admit.agent)?;
            let standing = standing(sql, kind, admit.agent)?;
            if let Some(standing) = standing
                && standing.instance != admit.instance
                && !admit.replace
            {
                return Ok(Admission::Duplicate { standing });
            }
            if let Err(refusal) = may_come_in(sql, kind, &agent, admit.credential.as_deref()) {
                let refusal = refusal?;
                note(sql, &agent, &refusal, admit.address.as_deref(), admit.now)?;
                return Ok(Admission::Refused { refusal });
            }
            let epoch = seat(sql, kind, &agent, &admit)?;
            match kind {
                SessionKind::Agent => keep_facts(sql, &agent, &admit)?,
                SessionKind::Wrapper => {
                    sql.execute(
                        "UPDATE agent SET wrapper_presence = ? WHERE id = ?",
                        params![Json(&admit.presence), Text(admit.agent)],
                    )?;
                }
            }
            Ok(Admission::Admitted { epoch, agent: Box::new(find(sql, admit.agent)?) })
        })
        .await
    }

    /// Takes a connection off; `false` when a newer one has taken its place already.
    pub async fn release(&self, kind: SessionKind, agent: AgentId, epoch: i64, now: Timestamp) -> Result<bool, Error> {
        self.write(move |sql| {
            if kind == SessionKind::Agent {
                online::ended(sql, agent, Some(epoch), now)?;
            }
            let text = format!("DELETE FROM {} WHERE agent = ? AND epoch = ?", kind.table());
            let gone = sql.execute(&text, params![Text(agent), epoch])? > 0;
            if gone && kind == SessionKind::Agent {
                sql.execute("UPDATE agent SET last_seen_at = ? WHERE id = ?", params![Micros(now), Text(agent)])?;
            }
            Ok(gone)
        })
        .await
    }

    /// Takes off what an earlier process under this replica's name has left.
    pub async fn clear_sessions(&self, replica: &str) -> Result<(), Error> {
        let replica = replica.to_owned();
        self.write(move |sql| {
            online::left_behind(sql, &replica)?;
            sql.execute("DELETE FROM agent_session WHERE replica = ?", [&replica])?;
            sql.execute("DELETE FROM wrapper_session WHERE replica = ?", [&replica])?;
            Ok(())
        })
        .await
    }

    /// The connection of an agent or its wrapper, if it stands.
    pub async fn session(&self, kind: SessionKind, agent: AgentId) -> Result<Option<Session>, Error> {
        self.read(move |sql| standing(sql, kind, agent)).await
    }

    /// The sessions that a server process has held since before this time: whose, and their epochs.
    pub async fn sessions_before(
        &self,
        kind: SessionKind,
        replica: &str,
        before: Timestamp,
    ) -> Result<Vec<(AgentId, i64)>, Error> {
        let replica = replica.to_owned();
        self.read(move |sql| {
            let text = format!("SELECT agent, epoch FROM {} WHERE replica = ? AND since < ?", kind.table());
            let mut statement = sql.prepare_cached(&text)?;
            let rows = statement
                .query_map(params![replica, Micros(before)], |row| Ok((row.get::<_, Text<_>>(0)?.0, row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Remote agents of a company that are online and count for its licence.
    pub async fn licence_in_use(&self, company: CompanyId) -> Result<u32, Error> {
        self.read(move |sql| counted(sql, company, None)).await
    }

    /// Writes down that an agent was turned away.
    pub async fn note_refusal(
        &self,
        agent: AgentId,
        refusal: Refusal,
        address: Option<String>,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(move |sql| {
            let agent = find(sql, agent)?;
            note(sql, &agent, &refusal, address.as_deref(), now)
        })
        .await
    }

    /// The agents of a company that were turned away, the latest first; for one reason or all.
    pub async fn refusals(&self, company: CompanyId, code: Option<RefusalCode>) -> Result<Vec<RefusalCount>, Error> {
        let code = code.map(word).transpose()?;
        self.read(move |sql| {
            let mut statement = sql.prepare_cached(
                "SELECT r.*, a.name FROM refusal r JOIN agent a ON a.id = r.agent \
                 WHERE r.company = ?1 AND (?2 IS NULL OR r.code = ?2) ORDER BY r.last_at DESC LIMIT 200",
            )?;
            let rows = statement.query_map(params![Text(company), code], refusal_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

/// The inner error is the database's.
fn may_come_in(
    sql: &Sqlite,
    kind: SessionKind,
    agent: &Agent,
    credential: Option<&[u8]>,
) -> Result<(), Result<Refusal, Error>> {
    // The login was some time ago: between it and the hello the password may have been rotated.
    if let Some(hash) = credential
        && !is_valid(sql, agent.id, hash).map_err(Err)?
    {
        let message =
            "The password was rotated or revoked; download the agent again, or copy the new appsettings.json.";
        let code = RefusalCode::RevokedCredentials;
        return Err(Ok(Refusal { code, message: message.to_owned(), retry_after_seconds: Some(60) }));
    }
    if !agent.active {
        let message =
            format!("Agent `{}` is deactivated; reactivate it in the console or with `sallyport`.", agent.name);
        return Err(Ok(Refusal { code: RefusalCode::Deactivated, message, retry_after_seconds: Some(60) }));
    }
    if kind == SessionKind::Agent && agent.kind == Kind::Remote {
        let company = find_company(sql, agent.company).map_err(Err)?;
        let others = counted(sql, agent.company, Some(agent.id)).map_err(Err)?;
        licence::admit(others, company.tier.agents_max()).map_err(Ok)?;
    }
    Ok(())
}

fn counted(sql: &Sqlite, company: CompanyId, except: Option<AgentId>) -> Result<u32, Error> {
    let mut statement = sql.prepare_cached(
        "SELECT count(*) FROM agent_session WHERE company = ?1 AND counted AND (?2 IS NULL OR agent <> ?2)",
    )?;
    Ok(statement.query_row(params![Text(company), except.map(Text)], |row| row.get(0))?)
}

fn seat(sql: &Sqlite, kind: SessionKind, agent: &Agent, admit: &Admit) -> Result<i64, Error> {
    if kind == SessionKind::Agent {
        online::ended(sql, agent.id, None, admit.now)?;
    }
    let epoch: i64 = sql.query_row(
        "UPDATE agent SET epoch = epoch + 1 WHERE id = ? RETURNING epoch",
        params![Text(agent.id)],
        |row| row.get(0),
    )?;
    let (column, value) = match kind {
        SessionKind::Agent => ("counted,", "?9,"),
        SessionKind::Wrapper => ("", ""),
    };
    let text = format!(
        "INSERT OR REPLACE INTO {}({column} agent, company, environment, replica, epoch, instance, installation, \
         address, since) VALUES ({value} ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?10)",
        kind.table()
    );
    sql.prepare_cached(&text)?.execute(params![
        Text(agent.id),
        Text(agent.company),
        Text(agent.environment),
        admit.replica,
        epoch,
        Text(admit.instance),
        Text(admit.installation),
        admit.address,
        agent.kind == Kind::Remote,
        Micros(admit.now)
    ])?;
    Ok(epoch)
}

fn keep_facts(sql: &Sqlite, agent: &Agent, admit: &Admit) -> Result<(), Error> {
    let before = agent.presence.as_ref().and_then(|presence| presence.agent_version.as_ref());
    let updated = before != admit.presence.agent_version.as_ref();
    sql.execute(
        "UPDATE agent SET presence = ?1, address = ?2, programs = ?3, last_seen_at = ?4, \
         last_update_at = CASE WHEN ?5 THEN ?4 ELSE last_update_at END WHERE id = ?6",
        params![
            Json(&admit.presence),
            admit.address,
            Json(&admit.programs),
            Micros(admit.now),
            updated,
            Text(agent.id)
        ],
    )?;
    Ok(())
}

fn standing(sql: &Sqlite, kind: SessionKind, agent: AgentId) -> Result<Option<Session>, Error> {
    let text = format!("SELECT * FROM {} WHERE agent = ?", kind.table());
    Ok(sql.prepare_cached(&text)?.query_row(params![Text(agent)], session_row).optional()?)
}

fn note(sql: &Sqlite, agent: &Agent, refusal: &Refusal, address: Option<&str>, now: Timestamp) -> Result<(), Error> {
    sql.execute(
        "INSERT INTO refusal(agent, code, company, environment, message, address, count, first_at, last_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7) ON CONFLICT (agent, code) DO UPDATE SET \
         message = excluded.message, address = excluded.address, count = count + 1, last_at = excluded.last_at",
        params![
            Text(agent.id),
            word(refusal.code)?,
            Text(agent.company),
            Text(agent.environment),
            refusal.message,
            address,
            Micros(now)
        ],
    )?;
    Ok(())
}

/// The code as the wire spells it.
fn word(code: RefusalCode) -> Result<String, Error> {
    Ok(match serde_json::to_value(code)? {
        serde_json::Value::String(word) => word,
        other => other.to_string(),
    })
}

fn session_row(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        agent: row.get::<_, Text<_>>("agent")?.0,
        environment: row.get::<_, Text<_>>("environment")?.0,
        replica: row.get("replica")?,
        epoch: row.get("epoch")?,
        instance: row.get::<_, Text<_>>("instance")?.0,
        installation: row.get::<_, Text<_>>("installation")?.0,
        address: row.get("address")?,
        since: row.get::<_, Micros>("since")?.0,
    })
}

fn refusal_row(row: &Row<'_>) -> rusqlite::Result<RefusalCount> {
    Ok(RefusalCount {
        agent: row.get::<_, Text<_>>("agent")?.0,
        agent_name: row.get("name")?,
        code: row.get("code")?,
        message: row.get("message")?,
        address: row.get("address")?,
        count: u64::try_from(row.get::<_, i64>("count")?).unwrap_or(0),
        first_at: row.get::<_, Micros>("first_at")?.0,
        last_at: row.get::<_, Micros>("last_at")?.0,
    })
}
