//! Facts of the whole installation, by key.

use rusqlite::{OptionalExtension, params};

use crate::{Error, Store};

impl Store {
    /// The value of a key.
    pub async fn setting(&self, key: &str) -> Result<Option<String>, Error> {
        let key = key.to_owned();
        self.read(move |sql| {
            Ok(sql.query_row("SELECT value FROM setting WHERE key = ?", [key], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// Sets the value of a key.
    pub async fn set_setting(&self, key: &str, value: &str) -> Result<(), Error> {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.write(move |sql| {
            sql.execute(
                "INSERT INTO setting(key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                params![key, value],
            )?;
            Ok(())
        })
        .await
    }
}
