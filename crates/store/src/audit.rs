//! What people changed, one line for each change.

use rusqlite::{Row, params};
use sallyport_protocol::{CompanyId, EnvironmentId, Timestamp};

use crate::page::{Filter, Listing, fetch};
use crate::row::{Micros, Text};
use crate::{Error, ListRequest, Page, Store};

/// The most lines removed in one transaction.
const TRIM_MAX: i64 = 5000;

/// A change that somebody made, or was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLine {
    /// When.
    pub at: Timestamp,
    /// Who, by the address they log in with.
    pub who: String,
    /// Whether an API token was used.
    pub by_api_token: bool,
    /// What, such as `agent.restart`.
    pub action: String,
    /// What it was done to: an id or a name.
    pub target: Option<String>,
    /// Its name at that time.
    pub target_name: Option<String>,
    /// The answer's HTTP status.
    pub status: u16,
    /// Where the request came from.
    pub address: Option<String>,
}

/// Which lines to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// By this person.
    pub who: Option<String>,
    /// This action, or those that begin with it: `agent` has `agent.restart` among them.
    pub action: Option<String>,
    /// Part of who, action or the target's name.
    pub search: Option<String>,
    /// At or after.
    pub since: Option<Timestamp>,
}

const AUDIT: Listing =
    Listing { columns: "l.*", from: "audit l", id: "l.seq", sorts: &[("at", "l.seq")], default_sort: "-at" };

impl Store {
    /// Adds a line.
    pub async fn note_audit(
        &self,
        company: CompanyId,
        environment: EnvironmentId,
        line: AuditLine,
    ) -> Result<(), Error> {
        self.record(move |sql| {
            sql.prepare_cached(
                "INSERT INTO audit(company, environment, at, who, by_api_token, action, target, target_name, status, \
                 address) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                Text(company),
                Text(environment),
                Micros(line.at),
                line.who,
                line.by_api_token,
                line.action,
                line.target,
                line.target_name,
                line.status,
                line.address
            ])?;
            Ok(())
        })
        .await
    }

    /// The lines of an environment.
    pub async fn audit(
        &self,
        environment: EnvironmentId,
        filter: AuditFilter,
        request: ListRequest,
    ) -> Result<Page<AuditLine>, Error> {
        let mut conditions = Filter::new("l.environment = ?", environment.to_string());
        conditions
            .and_if("l.who = ?", filter.who)
            .and_if("(l.action || '.') LIKE (? || '.%')", filter.action)
            .and_if(
                "instr(lower(l.who || ' ' || l.action || ' ' || coalesce(l.target_name, '')), lower(?)) > 0",
                filter.search,
            )
            .and_if("l.at >= ?", filter.since.map(|since| since.0));
        self.list(move |sql| fetch(sql, &AUDIT, &conditions, &request, line)).await
    }

    /// Removes a bounded number of lines from before `before`; answers how many, so that the caller goes on until none.
    pub async fn trim_audit(&self, before: Timestamp) -> Result<usize, Error> {
        self.record(move |sql| {
            let text = "DELETE FROM audit WHERE at < ?1 AND seq IN (SELECT seq FROM audit ORDER BY seq LIMIT ?2)";
            Ok(sql.prepare_cached(text)?.execute(params![Micros(before), TRIM_MAX])?)
        })
        .await
    }
}

fn line(row: &Row<'_>) -> rusqlite::Result<AuditLine> {
    Ok(AuditLine {
        at: row.get::<_, Micros>("at")?.0,
        who: row.get("who")?,
        by_api_token: row.get("by_api_token")?,
        action: row.get("action")?,
        target: row.get("target")?,
        target_name: row.get("target_name")?,
        status: row.get("status")?,
        address: row.get("address")?,
    })
}
