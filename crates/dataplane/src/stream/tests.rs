//! Whatever is cut, lost or changed on the way: the rows come out as they went in, or an error does.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, FixedSizeBinaryArray, Int64Array, NullArray,
    RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{Cancel, Cause, Given, Input, Producer, Transport, edge};

fn schema() -> SchemaRef {
    sample(0).schema()
}

/// A batch with a column of every shape that connectors give.
fn sample(rows: usize) -> RecordBatch {
    let ints: ArrayRef = Arc::new(Int64Array::from_iter((0..rows).map(|n| (n % 3 != 0).then_some(n as i64))));
    let words: ArrayRef = Arc::new(StringArray::from_iter((0..rows).map(|n| (n % 5 != 0).then(|| "ä".repeat(n % 7)))));
    let bytes: ArrayRef =
        Arc::new(BinaryArray::from_iter((0..rows).map(|n| (n % 2 == 0).then(|| vec![n as u8; n % 4]))));
    let flags: ArrayRef = Arc::new(BooleanArray::from_iter((0..rows).map(|n| (n % 4 != 1).then_some(n % 2 == 0))));
    let prices: ArrayRef = Arc::new(
        Decimal128Array::from_iter((0..rows).map(|n| Some(n as i128 * 100))).with_precision_and_scale(15, 2).unwrap(),
    );
    let ids: ArrayRef = Arc::new(
        FixedSizeBinaryArray::try_from_sparse_iter_with_size((0..rows).map(|n| Some([n as u8; 16])), 16).unwrap(),
    );
    let times: ArrayRef = Arc::new(
        TimestampMicrosecondArray::from_iter((0..rows).map(|n| Some(n as i64 * 1_000_000))).with_timezone("UTC"),
    );
    let mut lists = ListBuilder::new(StringBuilder::new());
    for n in 0..rows {
        lists.append_value((0..n % 3).map(|k| Some(k.to_string())));
    }
    let lists: ArrayRef = Arc::new(lists.finish());
    let nested: ArrayRef =
        Arc::new(StructArray::from(vec![(Arc::new(Field::new("inner", DataType::Int64, true)), Arc::clone(&ints))]));
    let nulls: ArrayRef = Arc::new(NullArray::new(rows));
    let columns = [ints, words, bytes, flags, prices, ids, times, lists, nested, nulls];
    let fields: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(n, column)| Field::new(format!("c{n}"), column.data_type().clone(), true))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.to_vec()).unwrap()
}

/// The messages of a whole stream.
fn stream(batches: &[RecordBatch]) -> Vec<Bytes> {
    let mut sender = Sender::new();
    let mut messages = sender.start(&schema()).unwrap();
    for batch in batches {
        messages.extend(sender.batch(batch).unwrap());
    }
    messages.extend(sender.end().unwrap());
    messages
}

/// What a receiver makes of messages; room is given back at once.
fn receive_all<M: AsRef<[u8]>>(messages: impl IntoIterator<Item = M>) -> Result<Vec<RecordBatch>, Error> {
    let mut receiver = Receiver::new();
    let mut batches = Vec::new();
    for message in messages {
        receiver.handle(message.as_ref())?;
        while let Some(event) = receiver.next_event() {
            match event {
                Event::Schema(got) if got == schema() => {}
                Event::Schema(got) => return Err(Error::Garbled(format!("another schema: {got}"))),
                Event::Batch(batch, room) => {
                    receiver.consumed(room);
                    batches.push(batch);
                }
                Event::Mark(_, room) => {
                    receiver.consumed(room);
                }
                Event::End => {}
            }
        }
    }
    if receiver.ended() { Ok(batches) } else { Err(Error::Lost("no end".to_owned())) }
}

#[test]
fn rows_come_out_as_they_went_in() {
    let batches = [sample(1), sample(0), sample(1000), sample(17).slice(3, 9)];
    assert_eq!(receive_all(stream(&batches)).unwrap(), batches);
    assert_eq!(receive_all(stream(&[])).unwrap(), []);
}

/// Rows of one text of so many bytes each.
fn texts(rows: usize, bytes: usize) -> RecordBatch {
    let column: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(bytes); rows]));
    RecordBatch::try_from_iter([("text", column)]).unwrap()
}

#[test]
fn a_batch_beyond_the_window_waits_for_the_consumer() {
    let batch = texts(20, 2 * 1024 * 1024);
    let (mut sender, mut receiver) = (Sender::new(), Receiver::new());
    let deliver = |messages: Vec<Bytes>, receiver: &mut Receiver| {
        assert!(messages.iter().all(|message| message.len() <= MESSAGE_BYTES_MAX));
        messages.iter().for_each(|message| receiver.handle(message).unwrap());
    };
    deliver(sender.start(&batch.schema()).unwrap(), &mut receiver);
    assert!(matches!(receiver.next_event(), Some(Event::Schema(_))));
    let mut waits = 0;
    for slice in slices(batch) {
        while !sender.has_credit() {
            let Some(Event::Batch(_, room)) = receiver.next_event() else { panic!("nothing to consume") };
            waits += 1;
            if let Some(credit) = receiver.consumed(room) {
                sender.handle(&credit).unwrap();
            }
        }
        deliver(sender.batch(&slice).unwrap(), &mut receiver);
    }
    deliver(sender.end().unwrap(), &mut receiver);
    assert!(waits > 0);
    assert_eq!(receiver.totals().rows, 20);
}

#[test]
fn slices_end_at_single_rows_and_large_rows_are_refused() {
    let rows = texts(3, 24 * 1024 * 1024);
    assert_eq!(slices(rows.clone()), [rows.slice(0, 1), rows.slice(1, 1), rows.slice(2, 1)]);
    assert_eq!(slices(sample(0)), [sample(0)]);

    let column = rows.column(0);
    let three = RecordBatch::try_from_iter(["a", "b", "c"].map(|name| (name, Arc::clone(column))));
    let row = three.unwrap().slice(0, 1);
    let mut sender = Sender::new();
    sender.start(&row.schema()).unwrap();
    let error = sender.batch(&row).unwrap_err();
    assert_eq!(error.code(), "batch_too_large");
    assert!(error.to_string().contains("the limit is 67108864"), "{error}");
}

#[test]
fn types_outside_the_format_are_named() {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let schema = Arc::new(Schema::new(vec![Field::new("colour", dictionary, true)]));
    let error = Sender::new().start(&schema).unwrap_err();
    assert!(error.to_string().contains("`colour`"), "{error}");
}

#[test]
fn credit_bounds_what_may_be_sent_and_is_enforced() {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![7; 256 * 1024]));
    let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
    let (mut sender, mut receiver) = (Sender::new(), Receiver::new());
    for message in sender.start(&batch.schema()).unwrap() {
        receiver.handle(&message).unwrap();
    }
    let mut sent = 0;
    while sender.has_credit() {
        for message in sender.batch(&batch).unwrap() {
            receiver.handle(&message).unwrap();
        }
        sent += 1;
    }
    assert_eq!(sent, 4, "8 MiB of 2 MiB batches and a little");
    let mut extra = Vec::new();
    extra.extend(sender.batch(&batch).unwrap());
    let refused = extra.iter().try_for_each(|message| receiver.handle(message));
    assert!(matches!(refused, Err(Error::Garbled(why)) if why.contains("allowed")));
}

#[test]
fn reasons_reach_the_other_side() {
    let (mut sender, mut receiver) = (Sender::new(), Receiver::new());
    let mut messages = sender.start(&schema()).unwrap();
    messages.extend(sender.abort("the disk is full").unwrap());
    let heard = messages.iter().try_for_each(|message| receiver.handle(message));
    assert_eq!(heard, Err(Error::Aborted("the disk is full".to_owned())));
    let answer = receiver.abort("enough");
    assert_eq!(sender.handle(&answer), Err(Error::Aborted("enough".to_owned())));
}

#[test]
fn done_counts_only_after_the_end() {
    let (mut sender, mut receiver) = (Sender::new(), Receiver::new());
    sender.start(&schema()).unwrap();
    assert!(matches!(sender.handle(&receiver.done()), Err(Error::Garbled(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_cut_gives_the_same_rows(sizes in prop::collection::vec(0usize..40, 0..4), cut in 1usize..300) {
        let batches: Vec<_> = sizes.into_iter().map(sample).collect();
        let bytes = stream(&batches).concat();
        prop_assert_eq!(receive_all(bytes.chunks(cut)).unwrap(), batches);
    }

    #[test]
    fn any_lost_message_is_noticed(rows in 1usize..60, lost in any::<prop::sample::Index>()) {
        let mut messages = stream(&[sample(rows), sample(rows)]);
        messages.remove(lost.index(messages.len()));
        prop_assert!(receive_all(messages).is_err());
    }

    #[test]
    fn any_truncation_is_noticed(rows in 0usize..60, end in any::<prop::sample::Index>()) {
        let bytes = stream(&[sample(rows)]).concat();
        let end = end.index(bytes.len());
        prop_assert!(receive_all([&bytes[..end]]).is_err());
    }

    #[test]
    fn changed_bytes_never_panic(rows in 0usize..40, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = stream(&[sample(rows), sample(3)]).concat();
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        // Names and values may change unnoticed (TLS guards them); the number of rows may not.
        if let Ok(mut batches) = receive_all([bytes.clone()]) {
            prop_assert_eq!(batches.pop().map(|batch| batch.num_rows()), Some(3));
        }
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(receive_all([bytes.clone()]).is_err());
        let mut opened = b"sallyport/rows/1".to_vec();
        opened.extend(&bytes);
        prop_assert!(receive_all([opened]).is_err());
        let _ = Sender::new().handle(&bytes);
    }
}

const MAX: Duration = Duration::from_secs(20);

/// How both sides of a stream ended.
type Ends = (Result<Totals, Error>, Result<Totals, Error>);

/// A stream between two edges in this process.
fn joined() -> (Producer, Input, impl Future<Output = Ends>, Ending, Ending) {
    let (giving, to_send) = edge();
    let (received, taking) = edge();
    let (left, right) = Transport::pair();
    let (left_end, right_end) = (Ending::default(), Ending::default());
    let (mine, its) = (left_end.clone(), right_end.clone());
    let pumps = async move { tokio::join!(send(to_send, left, &mine), receive(received, right, &its)) };
    (giving, taking, pumps, left_end, right_end)
}

#[tokio::test]
async fn pumps_carry_far_more_than_the_window() {
    let (producer, mut input, pumps, ..) = joined();
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..128 * 1024));
    let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
    let expected = batch.clone();
    let giving = async move {
        producer.start(batch.schema()).await.unwrap();
        for _ in 0..64 {
            producer.send(batch.clone()).await.unwrap();
        }
        producer.finish().await.unwrap();
    };
    let taking = async move {
        let mut count = 0;
        while let Some(batch) = input.next_batch_async().await.unwrap() {
            assert_eq!(batch, expected);
            count += 1;
        }
        count
    };
    let all = async { tokio::join!(giving, taking, pumps) };
    let ((), count, (sent, received)) = tokio::time::timeout(MAX, all).await.unwrap();
    assert_eq!(count, 64);
    assert_eq!(sent.unwrap().rows, 64 * 128 * 1024);
    assert_eq!(received.unwrap().batches, 64);
}

#[tokio::test]
async fn pumps_carry_one_batch_of_many_windows_to_a_slow_consumer() {
    let (producer, mut input, pumps, ..) = joined();
    let batch = texts(36, 2 * 1024 * 1024);
    let giving = async move {
        producer.start(batch.schema()).await.unwrap();
        producer.send(batch).await.unwrap();
        producer.finish().await.unwrap();
    };
    let taking = async move {
        let mut rows = 0;
        input.schema_async().await.unwrap();
        loop {
            // Long enough that everything that may be sent has come.
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
            let Some(batch) = input.next_batch_async().await.unwrap() else { break };
            rows += batch.num_rows();
        }
        rows
    };
    let all = async { tokio::join!(giving, taking, pumps) };
    let ((), rows, (sent, received)) = tokio::time::timeout(MAX, all).await.unwrap();
    assert_eq!(rows, 36);
    assert_eq!(sent.unwrap(), received.unwrap());
}

#[tokio::test]
async fn a_cancelled_sender_tells_the_receiver_why() {
    let (producer, mut input, pumps, left, _right) = joined();
    producer.start(schema()).await.unwrap();
    let ending = async move {
        input.schema_async().await.unwrap();
        left.cause.set("a person asked for it");
        left.cancel.cancel();
        input.next_batch_async().await
    };
    let (got, (sent, received)) = tokio::time::timeout(MAX, async { tokio::join!(ending, pumps) }).await.unwrap();
    assert_eq!(got, Err(crate::EdgeError::Aborted("a person asked for it".to_owned())));
    assert_eq!(sent, Err(Error::Cancelled));
    assert_eq!(received, Err(Error::Aborted("a person asked for it".to_owned())));
}

#[tokio::test]
async fn a_cancelled_receiver_tells_the_sender_why() {
    let (producer, input, pumps, _left, right) = joined();
    producer.start(schema()).await.unwrap();
    right.cause.set("the disk is full");
    right.cancel.cancel();
    let (sent, received) = tokio::time::timeout(MAX, pumps).await.unwrap();
    assert_eq!(sent, Err(Error::Aborted("the disk is full".to_owned())));
    assert_eq!(received, Err(Error::Cancelled));
    drop((producer, input));
}

#[tokio::test]
async fn a_consumer_that_has_enough_breaks_nothing() {
    let (producer, input, pumps, ..) = joined();
    drop(input);
    let giving = async move {
        producer.start(schema()).await.unwrap();
        for _ in 0..32 {
            producer.send(sample(100)).await.unwrap();
        }
        producer.finish().await.unwrap();
    };
    let all = async { tokio::join!(giving, pumps) };
    let ((), (sent, received)) = tokio::time::timeout(MAX, all).await.unwrap();
    assert_eq!(sent.unwrap().rows, 3200);
    assert_eq!(received.unwrap().rows, 3200);
}

#[tokio::test]
async fn a_lost_connection_is_told_on_both_sides() {
    let (producer, to_send) = edge();
    let (received, mut taking) = edge();
    let (left, gone) = Transport::pair();
    drop(gone);
    producer.start(schema()).await.unwrap();
    let ending = Ending { cancel: Cancel::new(), cause: Cause::default() };
    let sent = tokio::time::timeout(MAX, send(to_send, left, &ending)).await.unwrap();
    assert!(matches!(sent, Err(Error::Lost(_))), "{sent:?}");

    let (left, right) = Transport::pair();
    left.outgoing.send(Err("reset by peer".to_owned())).await.unwrap();
    let got = tokio::time::timeout(MAX, receive(received, right, &ending)).await.unwrap();
    assert_eq!(got, Err(Error::Lost("reset by peer".to_owned())));
    assert!(
        matches!(taking.schema_async().await, Err(crate::EdgeError::Aborted(why)) if why.contains("reset by peer"))
    );
}

#[tokio::test]
async fn marks_and_the_word_where_to_go_on_pass_through_a_stream() {
    let (giving, relayed) = edge();
    let (to_sink, mut sink) = edge();
    let (left, right) = Transport::pair();
    let at = |value: u64| sallyport_protocol::Checkpoint(serde_json::json!({ "value": value }));
    let (goes, comes) = (Ending::default(), Ending::default());
    let source = async {
        assert_eq!(giving.resumed().await.unwrap(), Some(at(7)));
        giving.start(schema()).await.unwrap();
        giving.send(sample(3)).await.unwrap();
        giving.mark(at(8)).await.unwrap();
        giving.send(sample(2)).await.unwrap();
        giving.mark(at(9)).await.unwrap();
        giving.finish().await.unwrap();
    };
    let target = async {
        sink.resume(Some(at(7)));
        // The first word counts.
        sink.resume(None);
        assert_eq!(sink.next_given_async().await.unwrap(), Some(Given::Batch(sample(3))));
        assert_eq!(sink.next_given_async().await.unwrap(), Some(Given::Mark(at(8))));
        let marked = sink.marked();
        assert_eq!(sink.next_batch_async().await.unwrap(), Some(sample(2)));
        assert_eq!(sink.next_batch_async().await.unwrap(), None);
        assert_eq!(marked.get(), Some(at(9)));
    };
    let (sent, received, (), ()) =
        tokio::join!(send(relayed, left, &goes), receive(to_sink, right, &comes), source, target);
    assert_eq!(sent.unwrap().rows, 5);
    received.unwrap();
}

#[tokio::test]
async fn a_source_that_waits_hears_that_its_sink_is_gone() {
    let (giving, relayed) = edge();
    let (to_sink, sink) = edge();
    let (left, right) = Transport::pair();
    let (goes, comes) = (Ending::default(), Ending::default());
    drop(sink);
    comes.cause.set("the table is gone");
    comes.cancel.cancel();
    let (sent, received, heard) =
        tokio::join!(send(relayed, left, &goes), receive(to_sink, right, &comes), giving.resumed());
    assert_eq!(heard, Err(crate::EdgeError::ConsumerGone));
    assert_eq!(sent, Err(Error::Aborted("the table is gone".to_owned())));
    received.unwrap_err();
}
