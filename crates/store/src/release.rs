//! Releases of agent and wrapper, and who is to run which.

use rusqlite::{Connection as Sqlite, OptionalExtension, Row, params};
use sallyport_domain::rollout::{Product, Rollout, Versions};
use sallyport_protocol::{AgentId, EnvironmentId, Timestamp, UpdateReport};

use crate::row::{Json, Micros, Text};
use crate::{Error, Store};

/// The most releases that are listed: years of them.
const LISTED_MAX: u32 = 500;

/// A release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Of its archive.
    pub sha256: String,
    /// What is released.
    pub product: String,
    /// For which platform.
    pub platform: String,
    /// Its version.
    pub version: String,
    /// The largest is the newest.
    pub sequence: u64,
    /// The archive's bytes.
    pub size: u64,
    /// The manifest with its signatures, as JSON.
    pub signed: String,
    /// Who published it.
    pub published_by: String,
    /// When.
    pub published_at: Timestamp,
    /// Since when the archive is here; until then it is offered to nobody.
    pub stored_at: Option<Timestamp>,
    /// Since when it is offered to nobody any more.
    pub withdrawn_at: Option<Timestamp>,
}

impl Store {
    /// Adds a release, or replaces the manifest of one whose archive is the same: it is offered again, once its archive is
    /// here.
    pub async fn publish_release(&self, new: Release) -> Result<Release, Error> {
        self.write(move |sql| {
            let taken: Option<String> = sql
                .query_row(
                    "SELECT sha256 FROM agent_release WHERE product = ?1 AND platform = ?2 AND sequence = ?3 \
                     AND sha256 <> ?4",
                    params![new.product, new.platform, number(new.sequence), new.sha256],
                    |row| row.get(0),
                )
                .optional()?;
            if taken.is_some() {
                return Err(Error::Taken { what: "sequence of this platform" });
            }
            sql.execute(
                "INSERT INTO agent_release(sha256, product, platform, version, sequence, size, signed, published_by, \
                 published_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (sha256) DO UPDATE SET \
                 product = ?2, platform = ?3, version = ?4, sequence = ?5, size = ?6, signed = ?7, published_by = ?8, \
                 published_at = ?9, withdrawn_at = NULL",
                params![
                    new.sha256,
                    new.product,
                    new.platform,
                    new.version,
                    number(new.sequence),
                    number(new.size),
                    new.signed,
                    new.published_by,
                    Micros(new.published_at)
                ],
            )?;
            find(sql, &new.sha256)
        })
        .await
    }

    /// The archive of a release is here, or is no longer.
    pub async fn release_stored(&self, sha256: &str, at: Option<Timestamp>) -> Result<Release, Error> {
        let sha256 = sha256.to_owned();
        self.write(move |sql| {
            sql.execute("UPDATE agent_release SET stored_at = ? WHERE sha256 = ?", params![at.map(Micros), sha256])?;
            find(sql, &sha256)
        })
        .await
    }

    /// Offers a release to nobody any more. Agents that run it go on with it.
    pub async fn withdraw_release(&self, sha256: &str, now: Timestamp) -> Result<Release, Error> {
        let sha256 = sha256.to_owned();
        self.write(move |sql| {
            sql.execute(
                "UPDATE agent_release SET withdrawn_at = coalesce(withdrawn_at, ?) WHERE sha256 = ?",
                params![Micros(now), sha256],
            )?;
            find(sql, &sha256)
        })
        .await
    }

    /// A release by its archive's hash.
    pub async fn release_of(&self, sha256: &str) -> Result<Release, Error> {
        let sha256 = sha256.to_owned();
        self.read(move |sql| find(sql, &sha256)).await
    }

    /// All releases, the newest first.
    pub async fn releases(&self) -> Result<Vec<Release>, Error> {
        self.list(|sql| {
            let mut statement = sql.prepare_cached("SELECT * FROM agent_release ORDER BY sequence DESC LIMIT ?")?;
            let rows = statement.query_map([LISTED_MAX], release_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The releases of a product for a platform that may be offered, the newest first.
    pub async fn releases_for(&self, product: &str, platform: &str) -> Result<Vec<Release>, Error> {
        let (product, platform) = (product.to_owned(), platform.to_owned());
        self.read(move |sql| {
            let mut statement = sql.prepare_cached(
                "SELECT * FROM agent_release WHERE product = ? AND platform = ? AND stored_at IS NOT NULL \
                 AND withdrawn_at IS NULL ORDER BY sequence DESC LIMIT ?",
            )?;
            let rows = statement.query_map(params![product, platform, LISTED_MAX], release_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// What is set for an environment.
    pub async fn rollout(&self, environment: EnvironmentId) -> Result<Rollout, Error> {
        self.read(move |sql| Ok(rules(sql, environment, "")?.unwrap_or_default())).await
    }

    /// What is set for an agent alone.
    pub async fn agent_versions(&self, environment: EnvironmentId, agent: AgentId) -> Result<Versions, Error> {
        self.read(move |sql| Ok(rules(sql, environment, &agent.to_string())?.unwrap_or_default())).await
    }

    /// Sets what holds for an environment.
    pub async fn set_rollout(&self, environment: EnvironmentId, rollout: Rollout, now: Timestamp) -> Result<(), Error> {
        self.write(move |sql| set(sql, environment, "", &Json(rollout), now)).await
    }

    /// Sets what holds for an agent alone.
    pub async fn set_agent_versions(
        &self,
        environment: EnvironmentId,
        agent: AgentId,
        versions: Versions,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(move |sql| set(sql, environment, &agent.to_string(), &Json(versions), now)).await
    }

    /// Keeps what a wrapper says about updates of its agent or of itself.
    pub async fn note_update(&self, agent: AgentId, product: Product, report: UpdateReport) -> Result<(), Error> {
        let set = match product {
            Product::Agent => "UPDATE agent SET update_report = ? WHERE id = ?",
            Product::Wrapper => "UPDATE agent SET wrapper_update_report = ? WHERE id = ?",
        };
        self.record(move |sql| {
            sql.prepare_cached(set)?.execute(params![Json(report), Text(agent)])?;
            Ok(())
        })
        .await
    }
}

/// SQLite's numbers have a sign.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn count(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|value| u64::try_from(value).unwrap_or(0))
}

fn find(sql: &Sqlite, sha256: &str) -> Result<Release, Error> {
    sql.prepare_cached("SELECT * FROM agent_release WHERE sha256 = ?")?
        .query_row([sha256], release_row)
        .optional()?
        .ok_or(Error::NotFound)
}

fn rules<T: serde::de::DeserializeOwned>(
    sql: &Sqlite,
    environment: EnvironmentId,
    agent: &str,
) -> Result<Option<T>, Error> {
    Ok(sql
        .prepare_cached("SELECT rules FROM rollout WHERE environment = ? AND agent = ?")?
        .query_row(params![Text(environment), agent], |row| row.get::<_, Json<T>>(0))
        .optional()?
        .map(|json| json.0))
}

fn set<T: serde::Serialize>(
    sql: &Sqlite,
    environment: EnvironmentId,
    agent: &str,
    rules: &Json<T>,
    now: Timestamp,
) -> Result<(), Error> {
    sql.execute(
        "INSERT INTO rollout(environment, agent, rules, updated_at) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (environment, agent) DO UPDATE SET rules = ?3, updated_at = ?4",
        params![Text(environment), agent, rules, Micros(now)],
    )?;
    Ok(())
}

fn release_row(row: &Row<'_>) -> rusqlite::Result<Release> {
    let time = |column| row.get::<_, Option<Micros>>(column).map(|at| at.map(|at| at.0));
    Ok(Release {
        sha256: row.get("sha256")?,
        product: row.get("product")?,
        platform: row.get("platform")?,
        version: row.get("version")?,
        sequence: count(row, "sequence")?,
        size: count(row, "size")?,
        signed: row.get("signed")?,
        published_by: row.get("published_by")?,
        published_at: row.get::<_, Micros>("published_at")?.0,
        stored_at: time("stored_at")?,
        withdrawn_at: time("withdrawn_at")?,
    })
}
