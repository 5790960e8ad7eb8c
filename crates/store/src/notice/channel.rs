//! Channels. Their secrets come and go sealed.

use rusqlite::{Connection as Sqlite, OptionalExtension, Row, params};
use sallyport_domain::notice::Rule;
use sallyport_protocol::{ChannelId, EnvironmentId, Timestamp};
use serde_json::Value;

use crate::company::company_of;
use crate::error::taken;
use crate::page::{Filter, Listing, fetch};
use crate::row::{Json, Micros, Text};
use crate::{Error, ListRequest, Page, Store};

/// Where notices go.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Its id.
    pub id: ChannelId,
    /// Where it belongs.
    pub environment: EnvironmentId,
    /// Unique in the environment, case ignored.
    pub name: String,
    /// `smtp` or `webhook`.
    pub kind: String,
    /// As the kind says.
    pub settings: Value,
    /// Names of the secrets that are set.
    pub secret_names: Vec<String>,
    /// The secrets, encrypted by the caller.
    pub sealed_secrets: Option<Vec<u8>>,
    /// What it tells.
    pub rules: Vec<Rule>,
    /// The most notices in an hour.
    pub hourly: u32,
    /// An inactive one tells nothing, and what waits for it stays.
    pub active: bool,
    /// Grows with every edit.
    pub version: i64,
    /// When it last worked.
    pub sent_at: Option<Timestamp>,
    /// When it last did not.
    pub failed_at: Option<Timestamp>,
    /// Why it did not, unless it has worked since.
    pub problem: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was edited last.
    pub updated_at: Timestamp,
}

/// A channel to add. The caller makes the id, because the secrets are sealed for it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewChannel {
    /// Made by the caller.
    pub id: ChannelId,
    /// What it says.
    pub edit: ChannelEdit,
}

/// Everything of a channel that people write.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelEdit {
    /// Its name.
    pub name: String,
    /// `smtp` or `webhook`.
    pub kind: String,
    /// Its settings.
    pub settings: Value,
    /// Names of the secrets.
    pub secret_names: Vec<String>,
    /// The secrets, encrypted.
    pub sealed_secrets: Option<Vec<u8>>,
    /// What it tells.
    pub rules: Vec<Rule>,
    /// The most notices in an hour.
    pub hourly: u32,
    /// Whether it tells anything.
    pub active: bool,
    /// Now.
    pub now: Timestamp,
}

const CHANNELS: Listing = Listing {
    columns: "c.*",
    from: "notice_channel c",
    id: "c.id",
    sorts: &[("name", "c.name"), ("kind", "c.kind"), ("updated_at", "c.updated_at")],
    default_sort: "name",
};

impl Store {
    /// Adds a channel.
    pub async fn create_channel(&self, environment: EnvironmentId, new: NewChannel) -> Result<Channel, Error> {
        self.write(move |sql| {
            let edit = new.edit;
            let added = sql.execute(
                "INSERT INTO notice_channel(id, company, environment, name, kind, settings, secret_names, \
                 sealed_secrets, rules, hourly, active, created_at, updated_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12)",
                params![
                    Text(new.id),
                    Text(company_of(sql, environment)?),
                    Text(environment),
                    edit.name,
                    edit.kind,
                    Json(edit.settings),
                    Json(edit.secret_names),
                    edit.sealed_secrets,
                    Json(edit.rules),
                    edit.hourly,
                    edit.active,
                    Micros(edit.now)
                ],
            );
            taken(added, "channel name")?;
            find(sql, environment, &new.id.to_string())
        })
        .await
    }

    /// A channel of the environment, by id or name.
    pub async fn channel(&self, environment: EnvironmentId, id_or_name: &str) -> Result<Channel, Error> {
        let wanted = id_or_name.to_owned();
        self.read(move |sql| find(sql, environment, &wanted)).await
    }

    /// The channels of an environment.
    pub async fn channels(&self, environment: EnvironmentId, request: ListRequest) -> Result<Page<Channel>, Error> {
        let conditions = Filter::new("c.environment = ?", environment.to_string());
        self.list(move |sql| fetch(sql, &CHANNELS, &conditions, &request, channel_row)).await
    }

    /// Whether an environment has any channel.
    pub async fn has_channels(&self, environment: EnvironmentId) -> Result<bool, Error> {
        self.read(move |sql| {
            Ok(sql
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM notice_channel WHERE environment = ?)")?
                .query_row([Text(environment)], |row| row.get(0))?)
        })
        .await
    }

    /// Replaces a channel if it still has the version the caller saw (any, if `None`). What waits for it is tried at
    /// once: it may be mended.
    pub async fn edit_channel(
        &self,
        environment: EnvironmentId,
        id: ChannelId,
        expected: Option<i64>,
        edit: ChannelEdit,
    ) -> Result<Channel, Error> {
        self.write(move |sql| {
            unchanged(sql, environment, id, expected)?;
            let changed = sql.execute(
                "UPDATE notice_channel SET name = ?, kind = ?, settings = ?, secret_names = ?, sealed_secrets = ?, \
                 rules = ?, hourly = ?, active = ?, version = version + 1, updated_at = ? WHERE id = ?",
                params![
                    edit.name,
                    edit.kind,
                    Json(edit.settings),
                    Json(edit.secret_names),
                    edit.sealed_secrets,
                    Json(edit.rules),
                    edit.hourly,
                    edit.active,
                    Micros(edit.now),
                    Text(id)
                ],
            );
            taken(changed, "channel name")?;
            sql.execute(
                "UPDATE notice SET due_at = min(due_at, ?2) WHERE channel = ?1 AND state = 'waiting' \
                 AND event IS NOT NULL",
                params![Text(id), Micros(edit.now)],
            )?;
            find(sql, environment, &id.to_string())
        })
        .await
    }

    /// Removes a channel with everything that is on its way through it.
    pub async fn delete_channel(
        &self,
        environment: EnvironmentId,
        id: ChannelId,
        expected: Option<i64>,
    ) -> Result<(), Error> {
        self.write(move |sql| {
            unchanged(sql, environment, id, expected)?;
            sql.execute("DELETE FROM notice_channel WHERE id = ?", [Text(id)])?;
            Ok(())
        })
        .await
    }
}

/// The channels of an environment that tell anything.
pub(super) fn active(sql: &Sqlite, environment: EnvironmentId) -> Result<Vec<Channel>, Error> {
    let mut statement =
        sql.prepare_cached("SELECT * FROM notice_channel WHERE environment = ? AND active ORDER BY name")?;
    let rows = statement.query_map([Text(environment)], channel_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Notes that a channel has worked, or why it has not.
pub(super) fn used(sql: &Sqlite, id: ChannelId, problem: Option<&str>, now: Timestamp) -> Result<(), Error> {
    let text = if problem.is_none() {
        "UPDATE notice_channel SET sent_at = ?2, problem = ?3 WHERE id = ?1"
    } else {
        "UPDATE notice_channel SET failed_at = ?2, problem = ?3 WHERE id = ?1"
    };
    sql.prepare_cached(text)?.execute(params![Text(id), Micros(now), problem])?;
    Ok(())
}

fn unchanged(sql: &Sqlite, environment: EnvironmentId, id: ChannelId, expected: Option<i64>) -> Result<(), Error> {
    let current = find(sql, environment, &id.to_string())?.version;
    if expected.is_some_and(|expected| expected != current) { Err(Error::Stale { current }) } else { Ok(()) }
}

fn find(sql: &Sqlite, environment: EnvironmentId, id_or_name: &str) -> Result<Channel, Error> {
    sql.prepare_cached(
        "SELECT * FROM notice_channel WHERE environment = ?1 AND (id = ?2 OR name = ?2) ORDER BY id = ?2 DESC LIMIT 1",
    )?
    .query_row(params![Text(environment), id_or_name], channel_row)
    .optional()?
    .ok_or(Error::NotFound)
}

fn channel_row(row: &Row<'_>) -> rusqlite::Result<Channel> {
    let time = |column| row.get::<_, Option<Micros>>(column).map(|at| at.map(|at| at.0));
    Ok(Channel {
        id: row.get::<_, Text<_>>("id")?.0,
        environment: row.get::<_, Text<_>>("environment")?.0,
        name: row.get("name")?,
        kind: row.get("kind")?,
        settings: row.get::<_, Json<_>>("settings")?.0,
        secret_names: row.get::<_, Json<_>>("secret_names")?.0,
        sealed_secrets: row.get("sealed_secrets")?,
        rules: row.get::<_, Json<_>>("rules")?.0,
        hourly: row.get("hourly")?,
        active: row.get("active")?,
        version: row.get("version")?,
        sent_at: time("sent_at")?,
        failed_at: time("failed_at")?,
        problem: row.get("problem")?,
        created_at: row.get::<_, Micros>("created_at")?.0,
        updated_at: row.get::<_, Micros>("updated_at")?.0,
    })
}
