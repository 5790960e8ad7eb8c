//! SQL over record batches.
