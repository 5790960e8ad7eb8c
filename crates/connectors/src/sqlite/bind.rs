//! Values of a batch as SQLite keeps them.

use rusqlite::Statement;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::declared::{Affinity, DOUBLE_DIGITS};
use crate::text::cell::Cell;
use crate::text::{format, parse};

/// Why a value cannot be kept.
pub(super) type Unkept = &'static str;

/// How a column keeps what is bound for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeping {
    pub(super) affinity: Affinity,
    /// Whether the incoming texts are numbers, of which only the value counts.
    pub(super) numeric: bool,
}

const AS_TEXT: Unkept = "the column would turn the text into a number that reads differently; declare the column TEXT";
const AS_DOUBLE: Unkept = "the column would keep it as a double, which has 15 digits; declare the column TEXT";

/// Binds one value to a parameter; refuses what the column would change.
pub(super) fn bind(
    statement: &mut Statement<'_>,
    index: usize,
    cell: &Cell<'_>,
    row: usize,
    keeping: Keeping,
    scratch: &mut Vec<u8>,
) -> Result<(), Unkept> {
    scratch.clear();
    let value = if cell.is_null(row) { ValueRef::Null } else { kept(cell, row, keeping, scratch)? };
    let value = match value {
        // Written to the scratch space by `kept`.
        ValueRef::Text([]) if !scratch.is_empty() => ValueRef::Text(scratch),
        value => value,
    };
    statement.raw_bind_parameter(index, ToSqlOutput::Borrowed(value)).map_err(|_| "the value cannot be bound")
}

/// The value; text that had to be made is left in `scratch` and given as an empty text.
fn kept<'a>(cell: &Cell<'a>, row: usize, keeping: Keeping, scratch: &mut Vec<u8>) -> Result<ValueRef<'a>, Unkept> {
    Ok(match cell {
        Cell::Boolean(array) => ValueRef::Integer(i64::from(array.value(row))),
        Cell::Int16(array) => ValueRef::Integer(i64::from(array.value(row))),
        Cell::Int32(array) => ValueRef::Integer(i64::from(array.value(row))),
        Cell::Int64(array) => integer(array.value(row), keeping.affinity)?,
        // SQLite's own text of a double has 15 digits.
        Cell::Float32(_) | Cell::Float64(_) if keeping.affinity == Affinity::Text => {
            cell.write(row, scratch).map_err(|_| "the value is not a number")?;
            ValueRef::Text(b"")
        }
        Cell::Float32(array) => real(f64::from(array.value(row)))?,
        Cell::Float64(array) => real(array.value(row))?,
        Cell::Text(array) => {
            text(array.value(row), keeping)?;
            ValueRef::Text(array.value(row).as_bytes())
        }
        Cell::Json(array) => {
            text(array.value(row), Keeping { numeric: false, ..keeping })?;
            ValueRef::Text(array.value(row).as_bytes())
        }
        Cell::Binary(array) => ValueRef::Blob(array.value(row)),
        Cell::Decimal(array, scale) => {
            format::decimal(array.value(row), *scale, scratch);
            if matches!(keeping.affinity, Affinity::Text | Affinity::Blob) {
                return Ok(ValueRef::Text(b""));
            }
            let value = decimal(array.value(row), *scale, scratch, keeping.affinity)?;
            scratch.clear();
            value
        }
        _ => {
            cell.write(row, scratch).map_err(|_| "the value is not JSON")?;
            ValueRef::Text(b"")
        }
    })
}

/// A column of real affinity keeps integers as doubles: those that are exact pass.
fn integer(value: i64, affinity: Affinity) -> Result<ValueRef<'static>, Unkept> {
    let exact = affinity != Affinity::Real || (value as f64) as i128 == i128::from(value);
    if exact { Ok(ValueRef::Integer(value)) } else { Err(AS_DOUBLE) }
}

/// A column of numeric affinity keeps decimals as integers or doubles: those that are exact pass.
fn decimal(value: i128, scale: i8, text: &[u8], affinity: Affinity) -> Result<ValueRef<'static>, Unkept> {
    if scale == 0
        && let Ok(value) = i64::try_from(value)
    {
        return integer(value, affinity);
    }
    let mut significant = value.unsigned_abs();
    while significant != 0 && significant.is_multiple_of(10) {
        significant /= 10;
    }
    if significant >= 10_u128.pow(u32::from(DOUBLE_DIGITS)) {
        return Err(AS_DOUBLE);
    }
    parse::float64(text).map(ValueRef::Real).ok_or("the value is not a number")
}

/// Text that looks like a number becomes one in a column of numeric affinity: it must read back as it was.
fn text(text: &str, keeping: Keeping) -> Result<(), Unkept> {
    let turns = matches!(keeping.affinity, Affinity::Number | Affinity::Real)
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && parse::is_numeric(text.trim_ascii().as_bytes());
    if !turns {
        return Ok(());
    }
    let whole = parse::int::<i64>(text.as_bytes());
    let mut back = Vec::new();
    match (whole, parse::float64(text.trim_ascii().as_bytes())) {
        (Some(value), _) => {
            integer(value, keeping.affinity)?;
            format::int(value, &mut back);
        }
        (None, Some(value)) if significant_digits(text) <= usize::from(DOUBLE_DIGITS) => {
            format::float64(value, &mut back);
        }
        _ => return Err(if keeping.numeric { AS_DOUBLE } else { AS_TEXT }),
    }
    let same = keeping.affinity == Affinity::Number && back == text.as_bytes();
    if keeping.numeric || same { Ok(()) } else { Err(AS_TEXT) }
}

/// Digits from the first that is not zero to the last that is not zero.
fn significant_digits(text: &str) -> usize {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let start = digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len());
    let end = digits.iter().rposition(|digit| *digit != b'0').map_or(start, |last| last + 1);
    end - start
}

fn real(value: f64) -> Result<ValueRef<'static>, Unkept> {
    if value.is_nan() { Err("SQLite keeps no NaN") } else { Ok(ValueRef::Real(value)) }
}
