//! The target table as the catalogue knows it.

use crate::postgres::catalog::Types;
use crate::postgres::kind::Kind;
use crate::postgres::name::{TableName, literal};
use crate::postgres::wire::{Client, Error as WireError};

/// A table that is there.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub oid: u32,
    pub name: TableName,
    /// `r` an ordinary table, `p` a partitioned one, `v` a view, ...
    pub sort: char,
    /// Whether row level security is on.
    pub guarded: bool,
    /// Whether it is a partition, or inherits or is inherited from.
    pub related: bool,
    /// Whether foreign keys of other tables refer to it, none of which would delete or change rows there.
    pub referenced: bool,
    pub columns: Vec<Column>,
}

/// A column of the target.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub name: String,
    pub kind: Kind,
    /// As SQL spells it, with its limits.
    pub type_name: String,
    /// The same without its limits: the server cuts and rounds where it is told to cast to them.
    pub bare_type: String,
    pub required: bool,
    /// A default, an identity or a generated value stands in where nothing is given.
    pub filled: bool,
    /// Computed by the server, never written.
    pub generated: bool,
    /// GENERATED ALWAYS AS IDENTITY.
    pub identity_always: bool,
}

impl Table {
    /// Looks the table up; `None` if it is not there.
    pub(super) fn find(client: &mut Client, name: &TableName) -> Result<Option<Self>, WireError> {
        let rows = client.simple(&format!(
            "select c.oid, n.nspname, c.relname, c.relkind, c.relrowsecurity, \
             exists (select from pg_catalog.pg_inherits i where c.oid in (i.inhrelid, i.inhparent)), \
             (select bool_and(f.confdeltype in ('a', 'r')) from pg_catalog.pg_constraint f \
              where f.confrelid = c.oid and f.contype = 'f' and f.conrelid <> c.oid) \
             from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
             where c.oid = pg_catalog.to_regclass({})",
            literal(&name.sql())
        ))?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let mut fields = row.into_iter().map(Option::unwrap_or_default);
        let mut field = || fields.next().unwrap_or_default();
        let oid = field().parse().map_err(|_| WireError::Protocol("an oid of pg_class".into()))?;
        let (schema, table) = (field(), field());
        let sort = field().chars().next().unwrap_or('r');
        let (guarded, related, referenced) = (field() == "t", field() == "t", field() == "t");
        let name = TableName { schema: Some(schema), table };
        let columns = columns(client, oid)?;
        Ok(Some(Self { oid, name, sort, guarded, related, referenced, columns }))
    }

    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// The schema where a table without one would be made.
pub(super) fn current_schema(client: &mut Client) -> Result<String, WireError> {
    let row = client.one("select pg_catalog.current_schema()")?;
    Ok(row.into_iter().next().flatten().unwrap_or_else(|| "public".to_owned()))
}

fn columns(client: &mut Client, oid: u32) -> Result<Vec<Column>, WireError> {
    let rows = client.simple(&format!(
        "select attname, atttypid, atttypmod, pg_catalog.format_type(atttypid, atttypmod), \
         pg_catalog.format_type(atttypid, -1), attnotnull, \
         atthasdef or attidentity <> '', attgenerated <> '', attidentity = 'a' \
         from pg_catalog.pg_attribute where attrelid = {oid} and attnum > 0 and not attisdropped order by attnum"
    ))?;
    let wrong = || WireError::Protocol("a line of pg_attribute".into());
    let mut raw = Vec::new();
    for row in rows {
        let fields: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
        let [name, type_oid, modifier, type_name, bare_type, required, filled, generated, always] =
            <[String; 9]>::try_from(fields).map_err(|_| wrong())?;
        let type_oid: u32 = type_oid.parse().map_err(|_| wrong())?;
        let modifier: i32 = modifier.parse().map_err(|_| wrong())?;
        let flags = [required, filled, generated, always].map(|flag| flag == "t");
        raw.push((name, type_oid, modifier, [type_name, bare_type], flags));
    }
    let types = Types::load(client, raw.iter().map(|column| column.1))?;
    Ok(raw
        .into_iter()
        .map(|(name, type_oid, modifier, [type_name, bare_type], [required, filled, generated, identity_always])| {
            Column {
                name,
                kind: types.kind(type_oid, modifier),
                type_name,
                bare_type,
                required,
                filled,
                generated,
                identity_always,
            }
        })
        .collect())
}
