//! TPC-H data: as an SQLite database, as text for other databases, and what a result must then hold.

mod digest;
mod make;

pub use digest::{Digest, of_csv, of_parquet, of_sqlite};
pub use make::{LINEITEM_DDL, sqlite, write_lineitem_csv};
