//! Puts a new table in the place of an old one and carries over what belongs to it.
//!
//! Kept: defaults, checks, NOT NULL, identities and generated columns, comments, storage, primary key, unique and
//! exclusion constraints, its own foreign keys, indexes, triggers, grants on the table, its owner, owned sequences.
//! Refused: a partitioned table, a partition, inheritance, a view, row level security, and a table that others depend
//! on. Privileges that new tables get by default are taken away: the new one has those of the old.

use arrow_schema::Schema;

use sallyport_protocol::FailureKind;

use super::places;
use super::table::Table;
use crate::Error;
use crate::postgres::name::{TableName, identifier, literal};
use crate::postgres::settings::Write;
use crate::postgres::wire::{Client, Error as WireError};

/// A replacement that is being filled.
pub(super) struct Replacement {
    old: Table,
    /// The new table under its name for the time being.
    pub fresh: TableName,
    /// The new table has the old one's columns.
    alike: bool,
}

impl Replacement {
    /// Makes the new table: like the old one, or, where the columns differ and it may be made, like the incoming rows.
    pub(super) fn begin(
        client: &mut Client,
        old: Table,
        schema: &Schema,
        write: &Write,
        doing: &str,
    ) -> Result<Self, Error> {
        if old.sort != 'r' || old.guarded || old.related {
            let message = format!(
                "{doing}: only an ordinary table without row level security, which is no partition and neither inherits \
                 nor is inherited from, can be replaced"
            );
            return Err(Error::permanent(FailureKind::Connector, "not_replaceable", message)
                .advise("use the mode `truncate`, which keeps the table itself"));
        }
        let fresh = TableName { schema: old.name.schema.clone(), table: format!("sallyport_new_{}", old.oid) };
        let alike = !write.create || places::places(schema, &old, write, doing).is_ok();
        let sql = if alike {
            format!("create table {} (like {} including all excluding indexes)", fresh.sql(), old.name.sql())
        } else {
            format!("create table {} ({})", fresh.sql(), places::definitions(schema, &write.key, doing)?)
        };
        client.simple(&sql).map_err(|error| error.explain(doing))?;
        Ok(Self { old, fresh, alike })
    }

    /// Drops the old table and gives the new one its name and what belonged to it.
    pub(super) fn swap(&self, client: &mut Client) -> Result<(), WireError> {
        let oid = self.old.oid;
        let name = self.old.name.sql();
        // From here on nobody reads or changes the old table.
        client.simple(&format!("lock table {name} in access exclusive mode"))?;
        self.is_the_same(client)?;
        let mut after = Vec::new();
        // First, as a sequence and its table must have one owner.
        let mut before = texts(client, &owner(oid, &self.fresh.sql()))?;
        if self.alike {
            before.extend(texts(client, &self.sequences())?);
            after.extend(texts(client, &constraints(oid, &name))?);
            after.extend(texts(client, &indexes(oid))?);
            after.extend(texts(client, &triggers(oid))?);
            after.extend(texts(client, &switched(oid, &name))?);
            after.extend(texts(client, &self.identities())?);
        }
        after.extend(texts(client, &comment(oid, &name))?);
        before.extend(texts(client, &defaults(&self.fresh.sql()))?);
        after.extend(texts(client, &grants(oid, &name))?);
        before.push(format!("drop table {name}"));
        before.push(format!("alter table {} rename to {}", self.fresh.sql(), identifier(&self.old.name.table)));
        for statement in before.into_iter().chain(after) {
            client.simple(&statement)?;
        }
        Ok(())
    }

    /// While this session waited for the lock, another may have put a table of its own there.
    fn is_the_same(&self, client: &mut Client) -> Result<(), WireError> {
        let name = self.old.name.sql();
        let found =
            client.one(&format!("select pg_catalog.to_regclass({})::oid = {}", literal(&name), self.old.oid))?;
        if found.first().is_some_and(|same| same.as_deref() == Some("t")) {
            return Ok(());
        }
        let message = format!("another session has replaced the table `{}` in the meantime", self.old.name);
        Err(Error::transient(FailureKind::Connector, "serialization_failure", message).into())
    }

    /// Sequences of serial columns go with the new table; else dropping the old one would drop them.
    fn sequences(&self) -> String {
        format!(
            "select format('alter sequence %s owned by %s.%I', s.oid::regclass, {}, a.attname) \
             from pg_catalog.pg_depend d join pg_catalog.pg_class s on s.oid = d.objid and s.relkind = 'S' \
             join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid \
             where d.refobjid = {} and d.deptype = 'a' and d.classid = 'pg_catalog.pg_class'::regclass",
            literal(&self.fresh.sql()),
            self.old.oid
        )
    }

    /// An identity's counter goes on after the largest value.
    fn identities(&self) -> String {
        let name = literal(&self.old.name.sql());
        format!(
            "select format('select pg_catalog.setval(pg_catalog.pg_get_serial_sequence(%L, %L), \
             coalesce((select max(%I) from %s), 0) + 1, false)', {name}, attname, attname, {name}) \
             from pg_catalog.pg_attribute where attrelid = {} and attidentity <> '' and not attisdropped",
            self.old.oid
        )
    }
}

/// Keys first: foreign keys of the table to itself need them.
fn constraints(oid: u32, name: &str) -> String {
    format!(
        "select format('alter table %s add constraint %I %s', {}, conname, pg_catalog.pg_get_constraintdef(oid)) \
         from pg_catalog.pg_constraint where conrelid = {oid} and contype in ('p', 'u', 'x', 'f') and conparentid = 0 \
         order by contype = 'f', conname",
        literal(name)
    )
}

fn indexes(oid: u32) -> String {
    format!(
        "select pg_catalog.pg_get_indexdef(i.indexrelid) from pg_catalog.pg_index i where i.indrelid = {oid} \
         and not exists (select from pg_catalog.pg_constraint c where c.conindid = i.indexrelid \
         and c.conrelid = {oid} and c.contype in ('p', 'u', 'x'))"
    )
}

fn triggers(oid: u32) -> String {
    format!(
        "select pg_catalog.pg_get_triggerdef(oid) from pg_catalog.pg_trigger where tgrelid = {oid} and not tgisinternal"
    )
}

/// Triggers that are off, or fire on replicas.
fn switched(oid: u32, name: &str) -> String {
    format!(
        "select format('alter table %s %s trigger %I', {}, case tgenabled when 'D' then 'disable' \
         when 'R' then 'enable replica' else 'enable always' end, tgname) \
         from pg_catalog.pg_trigger where tgrelid = {oid} and not tgisinternal and tgenabled <> 'O'",
        literal(name)
    )
}

/// Takes away what the new table's grantees were given by default.
fn defaults(name: &str) -> String {
    format!(
        "select distinct format('revoke all on table %s from %s', {0}, \
         case when a.grantee = 0 then 'public' else a.grantee::regrole::text end) \
         from pg_catalog.pg_class c, lateral pg_catalog.aclexplode(c.relacl) a \
         where c.oid = pg_catalog.to_regclass({0}) and a.grantee <> c.relowner",
        literal(name)
    )
}

fn comment(oid: u32, name: &str) -> String {
    format!(
        "select format('comment on table %s is %L', {}, pg_catalog.obj_description({oid}, 'pg_class')) \
         where pg_catalog.obj_description({oid}, 'pg_class') is not null",
        literal(name)
    )
}

fn grants(oid: u32, name: &str) -> String {
    format!(
        "select format('grant %s on table %s to %s%s', a.privilege_type, {}, \
         case when a.grantee = 0 then 'public' else a.grantee::regrole::text end, \
         case when a.is_grantable then ' with grant option' else '' end) \
         from pg_catalog.pg_class c, lateral pg_catalog.aclexplode(c.relacl) a \
         where c.oid = {oid} and a.grantee <> c.relowner",
        literal(name)
    )
}

/// Needs a role that is a member of the owner, which then may do the rest too.
fn owner(oid: u32, name: &str) -> String {
    format!(
        "select format('alter table %s owner to %I', {}, pg_catalog.pg_get_userbyid(relowner)) \
         from pg_catalog.pg_class where oid = {oid} and pg_catalog.pg_get_userbyid(relowner) <> current_user",
        literal(name)
    )
}

fn texts(client: &mut Client, sql: &str) -> Result<Vec<String>, WireError> {
    Ok(client.simple(sql)?.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}
