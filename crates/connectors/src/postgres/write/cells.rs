//! The cells of one incoming column, ready to be written in PostgreSQL's binary form.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::types::IntervalMonthDayNano;
use arrow_array::{
    BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};

use super::text;
use crate::VALUE_BYTES_MAX;
use crate::postgres::kind::Span;
use crate::postgres::numeric::{self, Limits};
use crate::postgres::value::{EPOCH_DAYS, EPOCH_MICROS, Reason};

/// What the server's dates and timestamps can be, by its own calendar.
const DATES: std::ops::Range<i32> = -2_451_545..2_145_031_949;
const TIMESTAMPS: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The length that stands for NULL.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// One column of a batch.
pub(super) struct Cells {
    pub values: Values,
    /// Of the column as it came in.
    pub nulls: Option<NullBuffer>,
    /// After a conversion: a NULL more is a value that did not convert, into what is said here.
    pub converted: Option<(NullBuffer, &'static str)>,
    /// The target's column is NOT NULL.
    pub required: bool,
}

/// Width of an integer or float in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Two,
    Four,
    Eight,
}

/// What a text is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parse {
    Bool,
    Int(Width),
    Float(Width),
    Date,
    /// With the microseconds of the column's smallest step.
    Time(i64),
    Timestamp(i64),
    TimestampTz(i64),
    Uuid,
    Bytea,
}

/// Texts, with what their column allows.
pub(super) struct Texts {
    pub values: StringArray,
    /// In characters.
    pub max: Option<u32>,
    /// Whether any value holds a zero byte.
    pub zero: bool,
}

/// JSON texts.
pub(super) struct Jsons {
    pub texts: Texts,
    pub binary: bool,
    /// Whether to parse them here, so that a bad one can be rejected; else the server complains.
    pub check: bool,
}

/// The values by what they are and what they become.
pub(super) enum Values {
    Null,
    Bool(BooleanArray),
    Int2(Int16Array),
    Int4(Int32Array),
    Int8(Int64Array),
    Float4(Float32Array),
    Float8(Float64Array),
    Text(Texts),
    Json(Jsons),
    /// Of an enum with these labels.
    Label(StringArray, Arc<BTreeSet<String>>),
    Bytes(BinaryArray),
    Uuid(FixedSizeBinaryArray),
    UuidText(FixedSizeBinaryArray),
    Date(Date32Array),
    /// With the microseconds of the column's smallest step.
    Time(Time64MicrosecondArray, i64),
    Timestamp(TimestampMicrosecondArray, i64),
    Interval(IntervalMonthDayNanoArray, Span),
    Decimal {
        values: Decimal128Array,
        scale: i8,
        limits: Option<Limits>,
    },
    Parsed(StringArray, Parse),
    NumericText(StringArray, Option<Limits>),
    NumericFloat(Float64Array, Option<Limits>),
    IntInto(Int64Array, Width),
    FloatInto(Float64Array, Width),
    DecimalInto(Decimal128Array, i8, Width),
    IntFloat(Int64Array, Width),
    NarrowFloat(Float64Array),
    IntBool(Int64Array),
    /// Into a date: only midnights.
    Midnight(TimestampMicrosecondArray),
    List {
        offsets: OffsetBuffer<i32>,
        items: Box<Cells>,
        element: u32,
    },
}

impl Cells {
    /// Appends the cell of `row`: its length and its value.
    #[inline]
    pub(super) fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Reason> {
        if let Some(nulls) = &self.nulls
            && nulls.is_null(row)
        {
            return self.put_null(out);
        }
        if let Some((nulls, into)) = &self.converted
            && nulls.is_null(row)
        {
            return Err(Reason::Lossy(into));
        }
        self.values.put(row, out)
    }

    fn put_null(&self, out: &mut Vec<u8>) -> Result<(), Reason> {
        if self.required {
            return Err(Reason::Null);
        }
        out.extend_from_slice(&NULL);
        Ok(())
    }
}

impl Values {
    #[inline]
    fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Reason> {
        match self {
            Self::Int4(values) => four(values.value(row).to_be_bytes(), out),
            Self::Decimal { values, scale, limits } => {
                return numeric::put_decimal(values.value(row), *scale, *limits, out);
            }
            Self::Text(texts) => return texts.put(row, out),
            Self::Date(values) => return put_date(values.value(row), out),
            Self::Int8(values) => eight(values.value(row).to_be_bytes(), out),
            Self::Int2(values) => two(values.value(row).to_be_bytes(), out),
            Self::Float4(values) => four(values.value(row).to_be_bytes(), out),
            Self::Float8(values) => eight(values.value(row).to_be_bytes(), out),
            Self::Timestamp(values, step) => return put_timestamp(values.value(row), *step, out),
            Self::Bool(values) => put_bool(values.value(row), out),
            Self::Time(values, step) => return put_time(values.value(row), *step, out),
            Self::NumericFloat(values, limits) => return put_float_numeric(values.value(row), *limits, out),
            Self::IntInto(values, width) => return put_int(values.value(row), *width, out),
            Self::Bytes(values) => return put_bytes(values.value(row), out),
            Self::Uuid(values) => return put_bytes(values.value(row), out),
            _ => return self.put_rarer(row, out),
        }
        Ok(())
    }

    fn put_rarer(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Reason> {
        match self {
            Self::Json(jsons) => jsons.put(row, out),
            Self::Label(values, labels) => match values.value(row) {
                label if labels.contains(label) => put_bytes(label.as_bytes(), out),
                _ => Err(Reason::No("label of the enum")),
            },
            Self::UuidText(values) => {
                let text = uuid::Uuid::from_slice(values.value(row)).map_err(|_| Reason::No("uuid"))?.to_string();
                put_bytes(text.as_bytes(), out)
            }
            Self::Interval(values, span) => put_interval(values.value(row), *span, out),
            Self::Parsed(values, parse) => parse.put(values.value(row), out),
            Self::NumericText(values, limits) => numeric::put_text(values.value(row), *limits, out),
            Self::FloatInto(values, width) => {
                let value = values.value(row);
                // 2^63 is the first whole number that does not fit.
                if value.fract() != 0.0 || !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value)
                {
                    return Err(Reason::Lossy("an integer"));
                }
                put_int(value as i64, *width, out)
            }
            Self::DecimalInto(values, scale, width) => {
                let power = 10_i128.checked_pow(u32::from(scale.unsigned_abs())).ok_or(Reason::OutOfRange)?;
                let value = values.value(row);
                if *scale > 0 && value % power != 0 {
                    return Err(Reason::Lossy("an integer"));
                }
                let whole = if *scale > 0 { Some(value / power) } else { value.checked_mul(power) };
                let whole = whole.and_then(|whole| i64::try_from(whole).ok()).ok_or(Reason::OutOfRange)?;
                put_int(whole, *width, out)
            }
            Self::IntFloat(values, width) => put_int_float(values.value(row), *width, out),
            Self::NarrowFloat(values) => put_narrow(values.value(row), out),
            Self::IntBool(values) => match values.value(row) {
                value @ (0 | 1) => {
                    put_bool(value == 1, out);
                    Ok(())
                }
                _ => Err(Reason::No("boolean")),
            },
            Self::Midnight(values) => {
                let micros = values.value(row);
                if micros.rem_euclid(MICROS_PER_DAY) != 0 {
                    return Err(Reason::Lossy("a date"));
                }
                put_date(i32::try_from(micros / MICROS_PER_DAY).map_err(|_| Reason::OutOfRange)?, out)
            }
            Self::List { offsets, items, element } => put_list(offsets, items, *element, row, out),
            _ => {
                out.extend_from_slice(&NULL);
                Ok(())
            }
        }
    }
}

impl Texts {
    #[inline]
    fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Reason> {
        let value = self.values.value(row);
        self.check(value)?;
        put_bytes(value.as_bytes(), out)
    }

    #[inline]
    fn check(&self, value: &str) -> Result<(), Reason> {
        if let Some(max) = self.max
            && value.len() > max as usize
        {
            // Spaces beyond the limit are cut by the server.
            let beyond = value.chars().skip(max as usize);
            if beyond.into_iter().any(|letter| letter != ' ') {
                return Err(Reason::TooLong(max));
            }
        }
        if self.zero && memchr::memchr(0, value.as_bytes()).is_some() {
            return Err(Reason::ZeroByte);
        }
        Ok(())
    }
}

impl Jsons {
    fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Reason> {
        let value = self.texts.values.value(row);
        self.texts.check(value)?;
        if self.check && serde_json::from_str::<serde::de::IgnoredAny>(value).is_err() {
            return Err(Reason::No("JSON"));
        }
        if !self.binary {
            return put_bytes(value.as_bytes(), out);
        }
        let length = length(value.len() + 1)?;
        out.extend_from_slice(&length);
        // The version of the form.
        out.push(1);
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }
}

impl Parse {
    fn put(self, value: &str, out: &mut Vec<u8>) -> Result<(), Reason> {
        match self {
            Self::Bool => put_bool(text::boolean(value).ok_or(Reason::No("boolean"))?, out),
            Self::Int(width) => {
                return put_int(value.trim().parse().map_err(|_| Reason::No("integer of its size"))?, width, out);
            }
            Self::Float(Width::Four) => {
                let parsed: f32 = value.trim().parse().map_err(|_| Reason::NoNumber)?;
                in_range(value, parsed == 0.0, parsed.is_infinite())?;
                four(parsed.to_be_bytes(), out);
            }
            Self::Float(_) => {
                let parsed: f64 = value.trim().parse().map_err(|_| Reason::NoNumber)?;
                in_range(value, parsed == 0.0, parsed.is_infinite())?;
                eight(parsed.to_be_bytes(), out);
            }
            Self::Date => return put_date(text::date(value).ok_or(Reason::No("date"))?, out),
            Self::Time(step) => return put_time(text::time(value).ok_or(Reason::No("time"))?, step, out),
            Self::Timestamp(step) => match text::timestamp(value) {
                Some((micros, None | Some(0))) => return put_timestamp(micros, step, out),
                Some(_) => return Err(Reason::Lossy("a timestamp without a time zone")),
                None => return Err(Reason::No("timestamp")),
            },
            Self::TimestampTz(step) => {
                let (micros, offset) = text::timestamp(value).ok_or(Reason::No("timestamp"))?;
                let east = offset.unwrap_or(0) * 1_000_000;
                return put_timestamp(micros.checked_sub(east).ok_or(Reason::OutOfRange)?, step, out);
            }
            Self::Uuid => {
                let parsed = uuid::Uuid::parse_str(value.trim()).map_err(|_| Reason::No("uuid"))?;
                return put_bytes(parsed.as_bytes(), out);
            }
            Self::Bytea => return put_bytes(&text::hex(value).ok_or(Reason::No("bytea in hexadecimal"))?, out),
        }
        Ok(())
    }
}

#[inline]
fn two(value: [u8; 2], out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0, 0, 2, value[0], value[1]]);
}

#[inline]
fn four(value: [u8; 4], out: &mut Vec<u8>) {
    let value = u64::from(u32::from_be_bytes(value)) | 4 << 32;
    out.extend_from_slice(&value.to_be_bytes());
}

#[inline]
fn eight(value: [u8; 8], out: &mut Vec<u8>) {
    let mut cell = [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    cell[4..].copy_from_slice(&value);
    out.extend_from_slice(&cell);
}

fn length(bytes: usize) -> Result<[u8; 4], Reason> {
    if bytes > VALUE_BYTES_MAX {
        return Err(Reason::TooLarge(bytes as u64));
    }
    Ok((bytes as u32).to_be_bytes())
}

#[inline]
fn put_bytes(value: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    let length = length(value.len())?;
    out.reserve(4 + value.len());
    out.extend_from_slice(&length);
    out.extend_from_slice(value);
    Ok(())
}

fn put_bool(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0, 0, 1, u8::from(value)]);
}

fn put_int(value: i64, width: Width, out: &mut Vec<u8>) -> Result<(), Reason> {
    match width {
        Width::Two => two(i16::try_from(value).map_err(|_| Reason::OutOfRange)?.to_be_bytes(), out),
        Width::Four => four(i32::try_from(value).map_err(|_| Reason::OutOfRange)?.to_be_bytes(), out),
        Width::Eight => eight(value.to_be_bytes(), out),
    }
    Ok(())
}

fn put_int_float(value: i64, width: Width, out: &mut Vec<u8>) -> Result<(), Reason> {
    // Through i128, as a float of 2^63 saturates back to a wrong i64.
    if width == Width::Four {
        let float = value as f32;
        if float as i128 != i128::from(value) {
            return Err(Reason::Lossy("real"));
        }
        four(float.to_be_bytes(), out);
    } else {
        let float = value as f64;
        if float as i128 != i128::from(value) {
            return Err(Reason::Lossy("double precision"));
        }
        eight(float.to_be_bytes(), out);
    }
    Ok(())
}

/// A text of a number so large or so small that its float is none: not as one that says so itself.
fn in_range(text: &str, zero: bool, infinite: bool) -> Result<(), Reason> {
    if !zero && !infinite {
        return Ok(());
    }
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let said = if zero { b'1'..=b'9' } else { b'0'..=b'9' };
    if mantissa.bytes().any(|digit| said.contains(&digit)) { Err(Reason::OutOfRange) } else { Ok(()) }
}

/// A double into a real: exact, or the same in its shortest decimal form, as 0.1 is.
fn put_narrow(value: f64, out: &mut Vec<u8>) -> Result<(), Reason> {
    let narrow = value as f32;
    let same = value.is_nan()
        || f64::from(narrow) == value
        || ryu::Buffer::new().format(narrow).parse::<f64>().is_ok_and(|shortest| shortest == value);
    if !same {
        return Err(Reason::Lossy("real"));
    }
    four(narrow.to_be_bytes(), out);
    Ok(())
}

#[inline]
fn put_date(days: i32, out: &mut Vec<u8>) -> Result<(), Reason> {
    match days.checked_sub(EPOCH_DAYS) {
        Some(days) if DATES.contains(&days) => {
            four(days.to_be_bytes(), out);
            Ok(())
        }
        _ => Err(Reason::OutOfRange),
    }
}

#[inline]
fn put_timestamp(micros: i64, step: i64, out: &mut Vec<u8>) -> Result<(), Reason> {
    if step != 1 && micros % step != 0 {
        return Err(Reason::Finer);
    }
    match micros.checked_sub(EPOCH_MICROS) {
        Some(micros) if TIMESTAMPS.contains(&micros) => {
            eight(micros.to_be_bytes(), out);
            Ok(())
        }
        _ => Err(Reason::OutOfRange),
    }
}

fn put_time(micros: i64, step: i64, out: &mut Vec<u8>) -> Result<(), Reason> {
    if micros % step != 0 {
        return Err(Reason::Finer);
    }
    if !(0..=MICROS_PER_DAY).contains(&micros) {
        return Err(Reason::OutOfRange);
    }
    eight(micros.to_be_bytes(), out);
    Ok(())
}

fn put_interval(value: IntervalMonthDayNano, span: Span, out: &mut Vec<u8>) -> Result<(), Reason> {
    if value.nanoseconds % 1000 != 0 {
        return Err(Reason::Lossy("microseconds"));
    }
    let time = span.micros.map_or(value.nanoseconds == 0, |step| value.nanoseconds / 1000 % step == 0);
    if !time || value.months % span.months != 0 || !span.days && value.days != 0 {
        return Err(Reason::Finer);
    }
    out.extend_from_slice(&16_u32.to_be_bytes());
    out.extend_from_slice(&(value.nanoseconds / 1000).to_be_bytes());
    out.extend_from_slice(&value.days.to_be_bytes());
    out.extend_from_slice(&value.months.to_be_bytes());
    Ok(())
}

/// A double into a numeric: its shortest decimal form, found by trying small scales first.
fn put_float_numeric(value: f64, limits: Option<Limits>, out: &mut Vec<u8>) -> Result<(), Reason> {
    const POWERS: [f64; 5] = [1.0, 10.0, 100.0, 1000.0, 10_000.0];
    // With at most fifteen digits one decimal alone is nearest to the double, so it is the shortest.
    const EXACT: f64 = 1e15;
    for (scale, power) in POWERS.iter().enumerate() {
        let scaled = (value * power).round();
        if scaled.abs() < EXACT && scaled / power == value {
            return numeric::put_decimal(scaled as i128, scale as i8, limits, out);
        }
    }
    let mut buffer = ryu::Buffer::new();
    numeric::put_text(buffer.format(value), limits, out)
}

fn put_list(
    offsets: &OffsetBuffer<i32>,
    items: &Cells,
    element: u32,
    row: usize,
    out: &mut Vec<u8>,
) -> Result<(), Reason> {
    let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    let dimensions = u32::from(end > start);
    let nulls = items.nulls.as_ref().is_some_and(|nulls| (start..end).any(|row| nulls.is_null(row)));
    out.extend_from_slice(&dimensions.to_be_bytes());
    out.extend_from_slice(&u32::from(nulls).to_be_bytes());
    out.extend_from_slice(&element.to_be_bytes());
    if end > start {
        out.extend_from_slice(&((end - start) as u32).to_be_bytes());
        // The lower bound.
        out.extend_from_slice(&1_u32.to_be_bytes());
    }
    for item in start..end {
        items.put(item, out)?;
    }
    let size = length(out.len() - at - 4)?;
    out[at..at + 4].copy_from_slice(&size);
    Ok(())
}
