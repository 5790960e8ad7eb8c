//! What was acknowledged is there after a restart; what cannot be understood is refused.

use rusqlite::Connection as Sqlite;

use super::{bench, first};
use crate::{Error, Store, migrate};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_survives_without_a_close() {
    let bench = bench().await;
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..200 {
        let store = bench.store.clone();
        writes.spawn(async move { store.set_setting(&format!("key {number}"), "value").await.unwrap() });
    }
    writes.join_all().await;
    // A copy of the files as they lie is what a kill leaves.
    let copy = tempfile::tempdir().unwrap();
    for ending in ["", "-wal"] {
        let name = format!("sallyport.db{ending}");
        std::fs::copy(bench.file.with_file_name(&name), copy.path().join(&name)).unwrap();
    }
    let reopened = Store::open(&copy.path().join("sallyport.db")).unwrap();
    for number in 0..200 {
        assert_eq!(reopened.setting(&format!("key {number}")).await.unwrap().as_deref(), Some("value"));
    }
}

#[tokio::test]
async fn a_second_start_changes_nothing() {
    let bench = bench().await;
    bench.store.close().await;
    let again = Store::open(&bench.file).unwrap();
    assert_eq!(again.initialise(first()).await.unwrap(), None);
    assert_eq!(again.all_companies().await.unwrap(), [bench.company]);
}

#[tokio::test]
async fn a_closed_store_refuses() {
    let bench = bench().await;
    bench.store.close().await;
    assert!(matches!(bench.store.set_setting("a", "b").await, Err(Error::Closed)));
    bench.store.close().await;
}

#[tokio::test]
async fn an_operation_that_fails_or_panics_takes_nobody_with_it() {
    let bench = bench().await;
    let fails = bench.store.write(|sql| {
        sql.execute("INSERT INTO setting(key, value) VALUES ('half', 'done')", [])?;
        Err::<(), Error>(Error::NotFound)
    });
    let panics = bench.store.write(|sql| -> Result<(), Error> {
        sql.execute("INSERT INTO setting(key, value) VALUES ('half', 'done')", [])?;
        panic!("a bug")
    });
    let stands = bench.store.set_setting("whole", "done");
    let (failed, panicked, stood) = tokio::join!(fails, panics, stands);
    assert!(matches!(failed, Err(Error::NotFound)));
    assert!(matches!(panicked, Err(Error::Panicked)));
    stood.unwrap();
    assert_eq!(bench.store.setting("half").await.unwrap(), None);
    assert_eq!(bench.store.setting("whole").await.unwrap().as_deref(), Some("done"));
}

#[tokio::test]
async fn a_database_of_a_newer_build_is_refused() {
    let bench = bench().await;
    bench.store.close().await;
    let sql = Sqlite::open(&bench.file).unwrap();
    sql.execute("INSERT INTO migration(version, checksum) VALUES (999, 'x')", []).unwrap();
    drop(sql);
    let error = Store::open(&bench.file).err().unwrap();
    assert!(matches!(error, Error::TooNew { found: 999, .. }), "{error}");
}

#[test]
fn migrations_apply_once_in_order_and_are_never_edited() {
    let mut sql = Sqlite::open_in_memory().unwrap();
    let first = "CREATE TABLE a (x INTEGER)";
    migrate::apply(&mut sql, &[first]).unwrap();
    migrate::apply(&mut sql, &[first]).unwrap();
    migrate::apply(&mut sql, &[first, "ALTER TABLE a ADD COLUMN y INTEGER"]).unwrap();
    sql.execute("INSERT INTO a(x, y) VALUES (1, 2)", []).unwrap();
    let edited = migrate::apply(&mut sql, &["CREATE TABLE a (x TEXT)", "ALTER TABLE a ADD COLUMN y INTEGER"]);
    assert!(matches!(edited, Err(Error::Migration { version: 1 })));
}

#[test]
fn a_migration_that_fails_leaves_the_schema_as_it_was() {
    let mut sql = Sqlite::open_in_memory().unwrap();
    migrate::apply(&mut sql, &["CREATE TABLE a (x INTEGER)"]).unwrap();
    assert!(
        migrate::apply(&mut sql, &["CREATE TABLE a (x INTEGER)", "CREATE TABLE b (x); CREATE TABLE a (y)"]).is_err()
    );
    let tables: i64 =
        sql.query_row("SELECT count(*) FROM sqlite_master WHERE name = 'b'", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 0);
}
