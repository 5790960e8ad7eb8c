//! The SQL of each mode: where COPY goes, and what follows it.

use sallyport_protocol::{FailureKind, LogLevel};

use super::convert::Way;
use super::encode::SHOWN_CHARS;
use super::places::Place;
use super::table::Table;
use crate::postgres::name::{identifier, identifiers};
use crate::postgres::settings::{Mode, Write};
use crate::postgres::wire::{Client, Error as WireError, cut as cut_text};
use crate::{Context, Error as StepError};

/// Lives in the session's own schema and ends with the transaction.
const STAGING: &str = "pg_temp.sallyport_staging";

/// The statements of one write.
pub(super) struct Plan {
    pub places: Vec<Place>,
    mode: Mode,
    target: String,
    key: Vec<String>,
    staged: bool,
    /// Foreign keys of other tables refer to the target, which TRUNCATE would refuse.
    referenced: bool,
    overriding: &'static str,
}

impl Plan {
    pub(super) fn new(write: &Write, table: &Table, places: Vec<Place>) -> Self {
        // Append and replace need no staging: nobody sees the rows before the transaction ends.
        let direct = matches!(write.mode, Mode::Append | Mode::Replace);
        let cast = places.iter().any(|place| place.way != Way::Binary);
        let always = places.iter().any(|place| table.column(&place.name).is_some_and(|column| column.identity_always));
        Self {
            places,
            mode: write.mode,
            target: table.name.sql(),
            key: write.key.clone(),
            staged: !direct || cast,
            referenced: table.referenced,
            overriding: if always { " overriding system value" } else { "" },
        }
    }

    /// What precedes COPY.
    pub(super) fn before(&self) -> String {
        if !self.staged {
            return String::new();
        }
        let columns: Vec<_> = self.places.iter().map(Place::staged).collect();
        format!("create temporary table sallyport_staging ({}) on commit drop", columns.join(", "))
    }

    pub(super) fn copy(&self) -> String {
        let table = if self.staged { STAGING } else { &self.target };
        format!("copy {table} ({}) from stdin (format binary)", self.names())
    }

    /// What follows COPY.
    pub(super) fn finish(&self, client: &mut Client, cx: &Context) -> Result<(), WireError> {
        self.check(client)?;
        match self.mode {
            Mode::Append | Mode::Replace if !self.staged => {}
            Mode::Append | Mode::Replace => {
                client.simple(&self.insert())?;
            }
            Mode::Truncate => {
                let empty = if self.referenced { "delete from" } else { "truncate" };
                client.simple(&format!("{empty} {}; {}", self.target, self.insert()))?;
            }
            Mode::Upsert => self.upsert(client, cx)?,
            Mode::Delete => {
                client.simple(&format!("analyze {STAGING}"))?;
                client.simple(&self.delete())?;
            }
        }
        Ok(())
    }

    /// Refuses staged texts that the server would round or cut to fit: it does so without a word.
    fn check(&self, client: &mut Client) -> Result<(), WireError> {
        if self.mode == Mode::Delete {
            // Keys are compared as they are.
            return Ok(());
        }
        for (place, cut) in self.places.iter().filter_map(|place| Some((place, place.cut()?))) {
            let name = identifier(&place.name);
            let found = client.simple(&format!("select {name}::text from {STAGING} where {cut} limit 1"))?;
            if let Some(value) = found.into_iter().next() {
                let value = cut_text(&value.into_iter().next().flatten().unwrap_or_default(), SHOWN_CHARS);
                return Err(StepError::permanent(
                    FailureKind::Input,
                    "bad_value",
                    format!(
                        "table {}: column `{}` ({}): it does not fit without being rounded or cut: `{value}`",
                        self.target, place.name, place.type_name
                    ),
                )
                .advise("correct the value at its source, or round it in a transform between the steps")
                .into());
            }
        }
        Ok(())
    }

    /// A key that comes in twice makes the plain statement fail; then the last row of each key is taken.
    fn upsert(&self, client: &mut Client, cx: &Context) -> Result<(), WireError> {
        const TWICE: &str = "21000";
        client.simple("savepoint sallyport_upsert")?;
        let merge = self.merge();
        match client.simple(&format!("{}{merge}", self.insert())) {
            Err(error) if error.sqlstate() == Some(TWICE) => {
                (cx.log)(LogLevel::Info, "some keys come in more than once: the last row of each is written".into());
                client.simple("rollback to savepoint sallyport_upsert")?;
                client.simple(&format!("{}{merge}", self.insert_last()))?;
            }
            other => drop(other?),
        }
        Ok(())
    }

    fn merge(&self) -> String {
        let others: Vec<_> = self
            .places
            .iter()
            .filter(|place| !self.key.contains(&place.name))
            .map(|place| format!("{0} = excluded.{0}", identifier(&place.name)))
            .collect();
        let action = if others.is_empty() { "nothing".to_owned() } else { format!("update set {}", others.join(", ")) };
        format!(" on conflict ({}) do {action}", identifiers(&self.key))
    }

    fn insert(&self) -> String {
        format!("{} select {} from {STAGING}", self.into(), self.selected())
    }

    fn insert_last(&self) -> String {
        let key = identifiers(&self.key);
        format!(
            "{} select {} from (select distinct on ({key}) * from {STAGING} order by {key}, ctid desc) as last",
            self.into(),
            self.selected()
        )
    }

    fn into(&self) -> String {
        format!("insert into {} ({}){}", self.target, self.names(), self.overriding)
    }

    fn delete(&self) -> String {
        let meet: Vec<_> = self
            .places
            .iter()
            .map(|place| {
                let cast = if place.way != Way::Binary { format!("::{}", place.bare_type) } else { String::new() };
                format!("target.{0} = staging.{0}{cast}", identifier(&place.name))
            })
            .collect();
        format!("delete from {} as target using {STAGING} as staging where {}", self.target, meet.join(" and "))
    }

    fn names(&self) -> String {
        identifiers(self.places.iter().map(|place| &place.name))
    }

    fn selected(&self) -> String {
        self.places.iter().map(Place::selected).collect::<Vec<_>>().join(", ")
    }
}
