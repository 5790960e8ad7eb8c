//! How fast a stream encodes and decodes, without sockets: `cargo run --release -p sallyport-dataplane --example
//! stream_rate [GiB]`. Both sides share one core when run under `taskset -c 0`.

use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray};
use sallyport_dataplane::stream::{Ending, receive, send};
use sallyport_dataplane::{Transport, edge};

/// Rows of a batch, as connectors make them.
const ROWS: usize = 16 * 1024;

fn lineitem() -> RecordBatch {
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS as i64));
    let prices: ArrayRef = Arc::new(Decimal128Array::from_iter_values((0..ROWS as i128).map(|n| n * 7)));
    let days: ArrayRef = Arc::new(Date32Array::from_iter_values(0..ROWS as i32));
    let words: ArrayRef = Arc::new(StringArray::from_iter_values((0..ROWS).map(|n| format!("{n:027}"))));
    let columns = [("a", &keys), ("b", &keys), ("c", &prices), ("d", &prices), ("e", &days), ("f", &words)];
    RecordBatch::try_from_iter(columns.map(|(name, column)| (name, Arc::clone(column))))
        .unwrap_or_else(|_| RecordBatch::new_empty(Arc::new(arrow_schema::Schema::empty())))
}

#[expect(clippy::print_stdout, reason = "a measurement for people")]
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let gib: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(4);
    let batch = lineitem();
    let bytes: usize =
        batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or_default()).sum();
    let count = (gib << 30) / bytes as u64;
    let (producer, to_send) = edge();
    let (received, mut input) = edge();
    let (left, right) = Transport::pair();
    let ending = Ending::default();
    let giving = async move {
        let _ = producer.start(batch.schema()).await;
        for _ in 0..count {
            let _ = producer.send(batch.clone()).await;
        }
        let _ = producer.finish().await;
    };
    let taking = async move { while let Ok(Some(_)) = input.next_batch_async().await {} };
    let began = tokio::time::Instant::now();
    let (sent, got, (), ()) =
        tokio::join!(send(to_send, left, &ending), receive(received, right, &ending), giving, taking);
    let seconds = began.elapsed().as_secs_f64();
    println!("{sent:?} {got:?}");
    println!("{:.0} MB/s through both sides", (bytes as u64 * count) as f64 / 1e6 / seconds);
}
