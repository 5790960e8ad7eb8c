use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array};
use sallyport_dataplane::edge;

use super::*;

const DEADLINE: Duration = Duration::from_secs(60);

fn batch(n: i64) -> RecordBatch {
    RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![n; 1000])) as ArrayRef)]).unwrap()
}

/// A reader of a queue that has taken so many batches before anybody reads.
async fn filled(batches: i64, scratch: &Path, disk: &Arc<Disk>) -> Reader {
    let (producer, input) = edge();
    let mut readers = pump("numbers", input, 1, scratch, disk).unwrap();
    producer.start(batch(0).schema()).await.unwrap();
    for n in 0..batches {
        // A queue that failed takes no more.
        if producer.send(batch(n)).await.is_err() {
            break;
        }
    }
    let _ = producer.finish().await;
    readers.remove(0)
}

async fn all(reader: &mut Reader) -> (usize, Result<(), Error>) {
    let mut count = 0;
    loop {
        match tokio::time::timeout(DEADLINE, reader.next()).await.unwrap() {
            Ok(Some(found)) => {
                assert_eq!(found, batch(count as i64));
                count += 1;
            }
            Ok(None) => return (count, Ok(())),
            Err(error) => return (count, Err(error)),
        }
    }
}

#[tokio::test]
async fn rows_come_back_from_the_disk_in_their_order() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = Disk::new(1 << 30);
    let mut reader = filled(60, scratch.path(), &disk).await;
    assert!(matches!(all(&mut reader).await, (60, Ok(()))));
    assert_eq!(disk.used.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn the_disk_is_bounded() {
    let scratch = tempfile::tempdir().unwrap();
    let mut reader = filled(60, scratch.path(), &Disk::new(100_000)).await;
    let (count, end) = all(&mut reader).await;
    assert!(count < 60 && matches!(end, Err(Error::Full(100_000))), "{count} {end:?}");
}

#[tokio::test]
async fn a_disk_that_fails_is_told_as_such() {
    let scratch = tempfile::tempdir().unwrap();
    let gone = scratch.path().join("gone");
    let mut reader = filled(60, &gone, &Disk::new(1 << 30)).await;
    let (count, end) = all(&mut reader).await;
    assert!(count == MEMORY_BATCHES_MAX && matches!(end, Err(Error::Disk(_))), "{count} {end:?}");
}
