//! Values beyond the limit, in batches that others have made.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use sallyport_protocol::FailureKind;

use crate::{Error, VALUE_BYTES_MAX};

/// Refuses a batch with a value over [`VALUE_BYTES_MAX`]; `first_row` rows came before it from `origin`.
pub(crate) fn refuse(batch: &RecordBatch, origin: &str, first_row: u64) -> Result<(), Error> {
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let offsets = match column.data_type() {
            DataType::Utf8 => column.as_string::<i32>().value_offsets(),
            DataType::Binary => column.as_binary::<i32>().value_offsets(),
            _ => continue,
        };
        let large = offsets.windows(2).position(|pair| (pair[1] - pair[0]) as usize > VALUE_BYTES_MAX);
        if let Some(index) = large {
            let row = first_row + index as u64 + 1;
            let limit = VALUE_BYTES_MAX / (1024 * 1024);
            let why = format!("{origin}, row {row}, column `{}`: the value is larger than {limit} MiB", field.name());
            return Err(Error::permanent(FailureKind::Input, "value_too_large", why)
                .advise("leave the column out, or split the value"));
        }
    }
    Ok(())
}
