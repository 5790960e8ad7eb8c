//! TPC-H data: as an SQLite database, as text for other databases, and what a result must then hold.

mod digest;
mod lineitem;
mod make;

pub use digest::{Digest, of_csv, of_parquet, of_sqlite};
pub use lineitem::{Lines, of_lineitem_csv, of_lineitem_parquet};
pub use make::{LINEITEM_DDL, sqlite, write_lineitem_csv};
