use std::sync::Arc;

use arrow_array::{ArrayRef, DictionaryArray, Int64Array, StringArray, types::Int32Type};
use arrow_ipc::writer::StreamWriter;
use proptest::prelude::*;

use super::*;

fn sample() -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    let words: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("ž"), None]));
    RecordBatch::try_from_iter_with_nullable([("n", numbers, true), ("w", words, true)]).unwrap()
}

fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<RecordBatch>, Error> {
    let mut reader = Reader::open(bytes)?;
    let mut batches = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        batches.push(batch);
    }
    Ok(batches)
}

#[test]
fn what_a_writer_wrote_is_read() {
    let batches = [sample(), sample().slice(1, 2), sample().slice(0, 0)];
    assert_eq!(read(&stream(&batches)).unwrap(), batches);
}

#[test]
fn lengths_that_nobody_sends_are_refused_before_memory_is_taken() {
    let mut bytes = stream(&[sample()]);
    bytes[4..8].copy_from_slice(&0x7fff_fff0_u32.to_le_bytes());
    assert!(matches!(read(&bytes), Err(Error::Broken(why)) if why.contains("metadata")));

    let rows = vec!["x".repeat(1024 * 1024); 65];
    let column: ArrayRef = Arc::new(StringArray::from(rows));
    let large = RecordBatch::try_from_iter([("t", column)]).unwrap();
    assert!(matches!(read(&stream(&[large])), Err(Error::BatchTooLarge { bytes }) if bytes > 64 * 1024 * 1024));
}

#[test]
fn dictionaries_are_refused() {
    let column: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::from_iter(["a", "b", "a"]));
    let batch = RecordBatch::try_from_iter([("d", column)]).unwrap();
    assert!(matches!(read(&stream(&[batch])), Err(Error::Broken(why)) if why.contains("dictionar")));
}

proptest! {
    #[test]
    fn cut_and_changed_streams_are_errors_not_panics(end in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let whole = stream(&[sample(), sample()]);
        prop_assert!(read(&whole[..end.index(whole.len())]).is_err());
        let mut changed = whole;
        let at = at.index(changed.len());
        changed[at] = byte;
        let _ = read(&changed);
    }
}
