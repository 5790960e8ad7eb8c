//! Values of a batch as SQLite keeps them.

use rusqlite::Statement;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::declared::DOUBLE_DIGITS;
use crate::text::cell::Cell;
use crate::text::{format, parse};

/// Why a value cannot be kept.
pub(super) type Unkept = &'static str;

/// Binds one value to a parameter.
pub(super) fn bind(
    statement: &mut Statement<'_>,
    index: usize,
    cell: &Cell<'_>,
    row: usize,
    numeric: bool,
    scratch: &mut Vec<u8>,
) -> Result<(), Unkept> {
    scratch.clear();
    let value = if cell.is_null(row) { ValueRef::Null } else { kept(cell, row, numeric, scratch)? };
    let value = match value {
        // Written to the scratch space by `kept`.
        ValueRef::Text([]) if !scratch.is_empty() => ValueRef::Text(scratch),
        value => value,
    };
    statement.raw_bind_parameter(index, ToSqlOutput::Borrowed(value)).map_err(|_| "the value cannot be bound")
}

/// The value; text that had to be made is left in `scratch` and given as an empty text.
fn kept<'a>(cell: &Cell<'a>, row: usize, numeric: bool, scratch: &mut Vec<u8>) -> Result<ValueRef<'a>, Unkept> {
    Ok(match cell {
        Cell::Boolean(array) => ValueRef::Integer(i64::from(array.value(row))),
        Cell::Int16(array) => ValueRef::Integer(i64::from(array.value(row))),
        Cell::Int32(array) => ValueRef::Integer(i64::from(array.value(row))),
        Cell::Int64(array) => ValueRef::Integer(array.value(row)),
        Cell::Float32(array) => real(f64::from(array.value(row)))?,
        Cell::Float64(array) => real(array.value(row))?,
        Cell::Text(array) | Cell::Json(array) => ValueRef::Text(array.value(row).as_bytes()),
        Cell::Binary(array) => ValueRef::Blob(array.value(row)),
        Cell::Decimal(array, scale) => {
            format::decimal(array.value(row), *scale, scratch);
            if !numeric {
                return Ok(ValueRef::Text(b""));
            }
            let value = decimal(array.value(row), *scale, scratch)?;
            scratch.clear();
            value
        }
        _ => {
            cell.write(row, scratch).map_err(|_| "the value is not JSON")?;
            ValueRef::Text(b"")
        }
    })
}

/// A column of numeric affinity keeps decimals as integers or doubles: those that are exact pass.
fn decimal(value: i128, scale: i8, text: &[u8]) -> Result<ValueRef<'static>, Unkept> {
    if scale == 0
        && let Ok(value) = i64::try_from(value)
    {
        return Ok(ValueRef::Integer(value));
    }
    let mut significant = value.unsigned_abs();
    while significant != 0 && significant.is_multiple_of(10) {
        significant /= 10;
    }
    if significant >= 10_u128.pow(u32::from(DOUBLE_DIGITS)) {
        return Err("the column would keep it as a double, which has 15 digits; declare the column TEXT");
    }
    parse::float64(text).map(ValueRef::Real).ok_or("the value is not a number")
}

fn real(value: f64) -> Result<ValueRef<'static>, Unkept> {
    if value.is_nan() { Err("SQLite keeps no NaN") } else { Ok(ValueRef::Real(value)) }
}
