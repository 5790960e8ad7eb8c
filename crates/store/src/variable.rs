//! Variables: named texts of an environment that tasks use. They are not secret.

use rusqlite::{Connection as Sqlite, Row, params};
use sallyport_protocol::{EnvironmentId, Timestamp};

use crate::page::{Filter, Listing, fetch};
use crate::row::{Micros, Text};
use crate::{Error, ListRequest, Page, Store};

/// A named text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Unique in the environment.
    pub name: String,
    /// Its text.
    pub value: String,
    /// Who set it.
    pub author: String,
    /// When.
    pub updated_at: Timestamp,
}

const VARIABLES: Listing = Listing {
    columns: "v.*",
    from: "variable v",
    id: "v.name",
    sorts: &[("name", "v.name"), ("updated_at", "v.updated_at")],
    default_sort: "name",
};

impl Store {
    /// Sets a variable, whether it was there or not.
    pub async fn set_variable(&self, environment: EnvironmentId, variable: Variable) -> Result<(), Error> {
        self.write(move |sql| {
            sql.execute(
                "INSERT INTO variable(environment, name, value, author, updated_at) VALUES (?, ?, ?, ?, ?) \
                 ON CONFLICT (environment, name) DO UPDATE SET value = excluded.value, author = excluded.author, \
                 updated_at = excluded.updated_at",
                params![Text(environment), variable.name, variable.value, variable.author, Micros(variable.updated_at)],
            )?;
            Ok(())
        })
        .await
    }

    /// Removes a variable.
    pub async fn delete_variable(&self, environment: EnvironmentId, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        self.write(move |sql| {
            let gone = sql
                .execute("DELETE FROM variable WHERE environment = ? AND name = ?", params![Text(environment), name])?;
            if gone == 0 { Err(Error::NotFound) } else { Ok(()) }
        })
        .await
    }

    /// The variables of an environment.
    pub async fn variables(&self, environment: EnvironmentId, request: ListRequest) -> Result<Page<Variable>, Error> {
        let filter = Filter::new("v.environment = ?", environment.to_string());
        self.read(move |sql| fetch(sql, &VARIABLES, &filter, &request, variable_row)).await
    }

    /// All variables of an environment, as tasks see them.
    pub async fn all_variables(&self, environment: EnvironmentId) -> Result<Vec<Variable>, Error> {
        self.read(move |sql| variables_of(sql, environment)).await
    }
}

fn variables_of(sql: &Sqlite, environment: EnvironmentId) -> Result<Vec<Variable>, Error> {
    let mut statement = sql.prepare_cached("SELECT * FROM variable WHERE environment = ? ORDER BY name")?;
    let rows = statement.query_map(params![Text(environment)], variable_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn variable_row(row: &Row<'_>) -> rusqlite::Result<Variable> {
    Ok(Variable {
        name: row.get("name")?,
        value: row.get("value")?,
        author: row.get("author")?,
        updated_at: row.get::<_, Micros>("updated_at")?.0,
    })
}
