use super::*;

fn readers(folder: &tempfile::TempDir) -> Readers {
    let file = folder.path().join("test.db");
    Sqlite::open(&file).unwrap().execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t (n INTEGER)").unwrap();
    Readers::open(|| Ok(Sqlite::open(&file)?)).unwrap()
}

fn count(sql: &Sqlite) -> Result<i64, Error> {
    Ok(sql.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?)
}

#[tokio::test]
async fn an_operation_that_panics_costs_no_connection() {
    let folder = tempfile::tempdir().unwrap();
    let readers = readers(&folder);
    for _ in 0..2 * READERS {
        assert!(matches!(readers.run::<()>(|_| panic!("a bug")).await, Err(Error::Panicked)));
        assert!(matches!(readers.list::<()>(|_| panic!("a bug")).await, Err(Error::Panicked)));
    }
    assert_eq!(readers.run(count).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_leave_readers_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let readers = Arc::new(readers(&folder));
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let mut lists = tokio::task::JoinSet::new();
    for _ in 0..2 * READERS {
        let (readers, wait) = (Arc::clone(&readers), Arc::clone(&wait));
        // Each holds its connection until the end of the test.
        lists.spawn(async move { readers.list(move |_| Ok(wait.lock().unwrap().recv().is_err())).await.unwrap() });
    }
    let read = tokio::time::timeout(LIST_MAX / 2, readers.run(count));
    assert_eq!(read.await.expect("a list keeps nobody else waiting").unwrap(), 0);
    drop(go);
    assert!(lists.join_all().await.into_iter().all(|released| released));
}

#[tokio::test]
async fn a_list_that_takes_too_long_is_broken_off() {
    let folder = tempfile::tempdir().unwrap();
    let mut readers = readers(&folder);
    readers.list_max = Duration::from_millis(50);
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let slow = readers.list(move |sql| Ok(sql.query_row(endless, [], |row| row.get::<_, i64>(0))?)).await;
    assert!(matches!(slow, Err(Error::TooSlow { .. })), "{slow:?}");
    assert_eq!(readers.list(count).await.unwrap(), 0);
}
