//! Values beyond the limit and parts of bounded size, in batches that others have made.

use arrow_array::cast::AsArray;
use arrow_array::types::ByteViewType;
use arrow_array::{Array, GenericByteViewArray, OffsetSizeTrait, RecordBatch};
use arrow_schema::DataType;
use sallyport_protocol::FailureKind;

use crate::{Error, VALUE_BYTES_MAX};

/// What one part aims at; a single larger row is a part of its own.
const PART_BYTES: usize = 4 << 20;

/// What a value of another type takes at most.
const FIXED_BYTES: usize = 16;

/// The batch in parts that share its memory. Refuses a value over [`VALUE_BYTES_MAX`]; `first_row` rows came before it
/// from `origin`. Dictionaries and views may repeat one value many times: what counts is what the rows will take.
pub(crate) fn parts(batch: &RecordBatch, origin: &str, first_row: u64) -> Result<Vec<RecordBatch>, Error> {
    let mut rows = vec![0_usize; batch.num_rows()];
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let sizes = sizes(column.as_ref());
        if let Some(index) = sizes.iter().position(|size| *size > VALUE_BYTES_MAX) {
            let row = first_row + index as u64 + 1;
            let limit = VALUE_BYTES_MAX / (1024 * 1024);
            let why = format!("{origin}, row {row}, column `{}`: the value is larger than {limit} MiB", field.name());
            return Err(Error::permanent(FailureKind::Input, "value_too_large", why)
                .advise("leave the column out, or split the value"));
        }
        rows.iter_mut().zip(sizes).for_each(|(row, size)| *row += size);
    }
    let mut parts = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (row, size) in rows.iter().enumerate() {
        if row > start && bytes + size > PART_BYTES {
            parts.push(batch.slice(start, row - start));
            (start, bytes) = (row, 0);
        }
        bytes += size;
    }
    if start < rows.len() {
        parts.push(batch.slice(start, rows.len() - start));
    }
    Ok(parts)
}

/// The bytes of each value.
fn sizes(array: &dyn Array) -> Vec<usize> {
    match array.data_type() {
        DataType::Utf8 => lengths(array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => lengths(array.as_string::<i64>().value_offsets()),
        DataType::Binary => lengths(array.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => lengths(array.as_binary::<i64>().value_offsets()),
        DataType::Utf8View => view_lengths(array.as_string_view()),
        DataType::BinaryView => view_lengths(array.as_binary_view()),
        DataType::List(_) => sums(array.as_list::<i32>().value_offsets(), array.as_list::<i32>().values().as_ref()),
        DataType::LargeList(_) => {
            sums(array.as_list::<i64>().value_offsets(), array.as_list::<i64>().values().as_ref())
        }
        DataType::FixedSizeList(_, length) => {
            let length = usize::try_from(*length).unwrap_or(0);
            let items = sizes(array.as_fixed_size_list().values().as_ref());
            (0..array.len()).map(|row| items[row * length..(row + 1) * length].iter().sum()).collect()
        }
        DataType::FixedSizeBinary(length) => vec![usize::try_from(*length).unwrap_or(0); array.len()],
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let values = sizes(dictionary.values().as_ref());
            dictionary.normalized_keys().into_iter().map(|key| values.get(key).copied().unwrap_or(0)).collect()
        }
        _ => vec![FIXED_BYTES; array.len()],
    }
}

fn lengths<O: OffsetSizeTrait>(offsets: &[O]) -> Vec<usize> {
    offsets.windows(2).map(|pair| (pair[1] - pair[0]).as_usize()).collect()
}

fn view_lengths<T: ByteViewType>(array: &GenericByteViewArray<T>) -> Vec<usize> {
    // A view begins with its length.
    array.views().iter().map(|view| *view as u32 as usize).collect()
}

fn sums<O: OffsetSizeTrait>(offsets: &[O], items: &dyn Array) -> Vec<usize> {
    let items = sizes(items);
    offsets.windows(2).map(|pair| items[pair[0].as_usize()..pair[1].as_usize()].iter().sum()).collect()
}

#[cfg(test)]
mod tests;
