//! The table beside the target in which a write notes what it has committed, in the same transaction.

use sallyport_protocol::FailureKind;

use crate::postgres::name::{TableName, literal};
use crate::postgres::wire::{Client, Error as WireError};
use crate::{CommitKey, Error};

const TABLE: &str = "sallyport_ledger";

/// Entries are of use while a run may be repeated; older ones are removed by the next append.
const KEPT: &str = "90 days";

/// Any number that nobody else locks: two agents may make the table at the same time.
const LOCK: i64 = 0x5a11_7907_7000_0001_u64 as i64;

const COLUMNS: &str = "key text primary key, attempt bigint not null, fence bigint not null, rows bigint, \
                       committed_at timestamptz";

/// The ledger of one schema.
pub(super) struct Ledger {
    table: String,
    shown: String,
}

/// What the ledger says of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// The rows are still to be written.
    Open,
    /// An earlier attempt has committed them.
    Committed,
}

impl Ledger {
    pub(super) fn of(schema: &str) -> Self {
        let name = TableName { schema: Some(schema.to_owned()), table: TABLE.to_owned() };
        Self { table: name.sql(), shown: name.to_string() }
    }

    /// Makes the table if it is not there, in a transaction of its own.
    pub(super) fn ensure(&self, client: &mut Client, doing: &str) -> Result<(), Error> {
        let explain = |error: WireError| self.explain(error, doing);
        make(client, &self.table, COLUMNS).map_err(explain)
    }

    /// Takes the step's place in the ledger, waiting for another attempt that holds it to end.
    pub(super) fn claim(&self, client: &mut Client, commit: &CommitKey, doing: &str) -> Result<Claim, Error> {
        supersede(client, &commit.key, commit.fence, true, doing)?;
        let rows = client
            .simple(&format!(
                "insert into {} (key, attempt, fence) values ({}, {}, {}) on conflict (key) do nothing returning true",
                self.table,
                literal(&commit.key),
                commit.attempt,
                commit.fence
            ))
            .map_err(|error| self.explain(error, doing))?;
        Ok(if rows.is_empty() { Claim::Committed } else { Claim::Open })
    }

    /// Notes the rows; visible when the transaction is.
    pub(super) fn note(&self, client: &mut Client, commit: &CommitKey, rows: u64, doing: &str) -> Result<(), Error> {
        let Self { table, .. } = self;
        client
            .simple(&format!(
                "update {table} set rows = {rows}, committed_at = pg_catalog.clock_timestamp() where key = {}; \
                 delete from {table} where committed_at < pg_catalog.now() - interval '{KEPT}'",
                literal(&commit.key)
            ))
            .map(drop)
            .map_err(|error| self.explain(error, doing))
    }

    fn explain(&self, error: WireError, doing: &str) -> Error {
        refused(error, doing, &self.shown)
    }
}

/// Makes a table of this connector's own if it is not there, in a transaction of its own.
pub(super) fn make(client: &mut Client, table: &str, columns: &str) -> Result<(), WireError> {
    let found = client.one(&format!("select pg_catalog.to_regclass({}) is not null", literal(table)))?;
    if found.first().is_some_and(|found| found.as_deref() == Some("t")) {
        return Ok(());
    }
    client
        .simple(&format!(
            "begin; select pg_catalog.pg_advisory_xact_lock({LOCK}); create table if not exists {table} ({columns}); commit"
        ))
        .map(drop)
}

/// The words for what goes wrong with a table of this connector's own.
pub(super) fn refused(error: WireError, doing: &str, shown: &str) -> Error {
    let forbidden = error.sqlstate() == Some("42501");
    let told = error.explain(&format!("{doing}: the ledger `{shown}`"));
    if !forbidden {
        return told;
    }
    told.advise(format!(
        "let the role create tables in the schema, or create `{shown}` as the documentation says and grant select, \
         insert, update and delete on it, or set `ledger: false` and accept that a repeated write may repeat rows",
    ))
}

/// Ends older attempts at the same step that still hold a session, and gives way to a newer one. The mark by which they
/// are known stays until the transaction ends, or, if not `local`, the session.
pub(super) fn supersede(client: &mut Client, key: &str, own: u64, local: bool, doing: &str) -> Result<(), Error> {
    let mark = format!("sallyport {:016x}", fingerprint(key));
    let explain = |error: WireError| error.explain(doing);
    let sessions = client
        .simple(&format!(
            "select pg_catalog.set_config('application_name', {}, {local}), null; \
             select pid, split_part(application_name, ' ', 3) from pg_catalog.pg_stat_activity \
             where application_name like {} and pid <> pg_catalog.pg_backend_pid() \
             and datname = pg_catalog.current_database()",
            literal(&format!("{mark} {own}")),
            literal(&format!("{mark} %"))
        ))
        .map_err(explain)?;
    for row in sessions.into_iter().skip(1) {
        let [Some(pid), Some(fence)] = row.as_slice() else { continue };
        let (Ok(pid), Ok(fence)) = (pid.parse::<i32>(), fence.parse::<u64>()) else { continue };
        if fence > own {
            return Err(superseded(doing));
        }
        if fence < own {
            client.simple(&format!("select pg_catalog.pg_terminate_backend({pid})")).map_err(explain)?;
        }
    }
    Ok(())
}

/// A newer attempt has taken over: this one may not write any more.
pub(super) fn superseded(doing: &str) -> Error {
    let message = format!("{doing}: a newer attempt at this step is writing");
    Error::permanent(FailureKind::Connector, "superseded", message)
}

/// A short mark of a key (FNV-1a): sessions show at most 63 characters.
fn fingerprint(key: &str) -> u64 {
    key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
