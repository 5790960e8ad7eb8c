//! What SQLite's catalogue says of a table.

use rusqlite::Connection as Database;

/// A column of a table.
#[derive(Clone, Debug)]
pub(super) struct TableColumn {
    pub(super) name: String,
    pub(super) declared: String,
}

/// The columns that can be read and written by name; none where there is no such table.
pub(super) fn columns(database: &Database, table: &str) -> rusqlite::Result<Vec<TableColumn>> {
    let mut statement = database.prepare("select name, type from pragma_table_info(?1)")?;
    let rows = statement.query_map([table], |row| Ok(TableColumn { name: row.get(0)?, declared: row.get(1)? }))?;
    rows.collect()
}
