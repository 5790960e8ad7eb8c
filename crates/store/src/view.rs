//! Saved views: filters of a list that a person has given a name.

use rusqlite::params;
use sallyport_protocol::{EnvironmentId, Timestamp, UserId};

use crate::row::{Micros, Text};
use crate::{Error, Store};

/// The most views of one person in one environment.
const VIEWS_MAX: u32 = 200;

/// A named view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedView {
    /// The list that it is of, such as `agents`.
    pub list: String,
    /// Unique in the list, case ignored.
    pub name: String,
    /// The filters, as they stand in the address.
    pub query: String,
}

impl Store {
    /// Saves a view; one of the same name is replaced. [`Error::TooMany`] when there are too many.
    pub async fn save_view(
        &self,
        environment: EnvironmentId,
        person: UserId,
        view: SavedView,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.record(move |sql| {
            sql.execute(
                "INSERT INTO saved_view(company, environment, person, list, name, query, created_at) \
                 SELECT company, ?1, id, ?2, ?3, ?4, ?5 FROM person WHERE id = ?6 \
                 ON CONFLICT (person, environment, list, name) DO UPDATE SET name = excluded.name, query = excluded.query",
                params![Text(environment), view.list, view.name, view.query, Micros(now), Text(person)],
            )?;
            let held: u32 = sql.query_row(
                "SELECT count(*) FROM saved_view WHERE person = ? AND environment = ?",
                params![Text(person), Text(environment)],
                |row| row.get(0),
            )?;
            if held > VIEWS_MAX { Err(Error::TooMany { what: "saved views", most: VIEWS_MAX }) } else { Ok(()) }
        })
        .await
    }

    /// A person's views of an environment, by list and name.
    pub async fn saved_views(&self, environment: EnvironmentId, person: UserId) -> Result<Vec<SavedView>, Error> {
        self.read(move |sql| {
            let mut statement = sql.prepare_cached(
                "SELECT list, name, query FROM saved_view WHERE person = ? AND environment = ? ORDER BY list, name",
            )?;
            let rows = statement.query_map(params![Text(person), Text(environment)], |row| {
                Ok(SavedView { list: row.get(0)?, name: row.get(1)?, query: row.get(2)? })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Forgets a view.
    pub async fn forget_view(
        &self,
        environment: EnvironmentId,
        person: UserId,
        list: &str,
        name: &str,
    ) -> Result<(), Error> {
        let (list, name) = (list.to_owned(), name.to_owned());
        self.record(move |sql| {
            let gone = sql.execute(
                "DELETE FROM saved_view WHERE person = ? AND environment = ? AND list = ? AND name = ?",
                params![Text(person), Text(environment), list, name],
            )?;
            if gone == 0 { Err(Error::NotFound) } else { Ok(()) }
        })
        .await
    }
}
