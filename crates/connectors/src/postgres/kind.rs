//! PostgreSQL's types as this connector treats them, and the Arrow types they become.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};

use super::numeric::Limits;

/// The metadata key that says what a column was where Arrow has no type for it.
pub(crate) const TYPE_KEY: &str = "sallyport:type";

/// The largest precision of a Decimal128.
const DECIMAL_DIGITS_MAX: i32 = 38;

/// What an interval's column keeps; the rest of a value would be cut by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Months are kept in multiples of this.
    pub months: i32,
    pub days: bool,
    /// Microseconds are kept in multiples of this; `None`: no time of day at all.
    pub micros: Option<i64>,
}

impl Span {
    /// By the type's modifier: a mask of fields, such as `day to hour`, and the digits of a second.
    fn of(modifier: i32) -> Self {
        const MONTH: i32 = 1 << 1;
        const DAY: i32 = 1 << 3;
        const HOUR: i32 = 1 << 10;
        const MINUTE: i32 = 1 << 11;
        const SECOND: i32 = 1 << 12;
        let (fields, digits) = (modifier >> 16 & 0x7fff, modifier & 0xffff);
        let smallest = |field: i32| modifier >= 0 && fields & field != 0;
        if modifier < 0 || smallest(SECOND) {
            Self { months: 1, days: true, micros: Some(step(if modifier < 0 { -1 } else { digits })) }
        } else if smallest(MINUTE) {
            Self { months: 1, days: true, micros: Some(60_000_000) }
        } else if smallest(HOUR) {
            Self { months: 1, days: true, micros: Some(3_600_000_000) }
        } else if smallest(DAY) {
            Self { months: 1, days: true, micros: None }
        } else {
            Self { months: if smallest(MONTH) { 1 } else { 12 }, days: false, micros: None }
        }
    }
}

/// The microseconds of the smallest step of a type that keeps so many digits of a second.
fn step(digits: i32) -> i64 {
    const DIGITS_MAX: u32 = 6;
    u32::try_from(digits).map_or(1, |digits| 10_i64.pow(DIGITS_MAX.saturating_sub(digits)))
}

/// How values of a column pass in binary COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    /// A numeric whose limits fit an Arrow decimal, and the limits themselves.
    Decimal {
        precision: u8,
        scale: i8,
        limits: Limits,
    },
    /// Any other numeric, with its limits if it has some; passes as text.
    Numeric {
        limits: Option<Limits>,
    },
    /// `max` is the limit in characters of varchar(n) and char(n).
    Text {
        max: Option<u32>,
    },
    Bytea,
    Date,
    /// With the microseconds of its smallest step, as in `time(3)`.
    Time(i64),
    Timestamp(i64),
    TimestampTz(i64),
    Interval(Span),
    Uuid,
    Json,
    Jsonb,
    /// With its labels.
    Enum(Arc<BTreeSet<String>>),
    /// With the element's type, its oid.
    Array(Box<Kind>, u32),
    /// Passes as text by a cast in the query.
    Other,
    /// An array of such.
    OtherArray,
}

impl Kind {
    /// The kind of a built-in type; `None` where the catalogue must be asked.
    pub(crate) fn builtin(oid: u32, modifier: i32) -> Option<Self> {
        Some(match oid {
            16 => Self::Bool,
            17 => Self::Bytea,
            20 => Self::Int8,
            21 => Self::Int2,
            23 => Self::Int4,
            19 | 25 | 705 => Self::Text { max: None },
            114 => Self::Json,
            700 => Self::Float4,
            701 => Self::Float8,
            1042 | 1043 => Self::Text { max: u32::try_from(modifier - 4).ok().filter(|_| modifier >= 4) },
            1082 => Self::Date,
            1083 => Self::Time(step(modifier)),
            1114 => Self::Timestamp(step(modifier)),
            1184 => Self::TimestampTz(step(modifier)),
            1186 => Self::Interval(Span::of(modifier)),
            1700 => Self::numeric(modifier),
            2950 => Self::Uuid,
            3802 => Self::Jsonb,
            _ => {
                return builtin_array(oid).map(|element| {
                    Self::Array(Box::new(Self::builtin(element, modifier).unwrap_or(Self::Other)), element)
                });
            }
        })
    }

    fn numeric(modifier: i32) -> Self {
        if modifier < 4 {
            return Self::Numeric { limits: None };
        }
        let limits = modifier - 4;
        let precision = (limits >> 16) & 0xffff;
        // Eleven bits with a sign.
        let scale = ((limits & 0x7ff) ^ 1024) - 1024;
        let limits = Limits { precision, scale };
        // numeric(3,-2) holds 99900: five digits. numeric(2,4) holds 0.0099: Arrow wants four digits for it.
        let (precision, scale) = if scale < 0 { (precision - scale, 0) } else { (precision.max(scale), scale) };
        match (u8::try_from(precision), i8::try_from(scale)) {
            (Ok(precision), Ok(scale)) if i32::from(precision) <= DECIMAL_DIGITS_MAX => {
                Self::Decimal { precision, scale, limits }
            }
            _ => Self::Numeric { limits: Some(limits) },
        }
    }

    /// The Arrow type.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Decimal { precision, scale, .. } => DataType::Decimal128(*precision, *scale),
            Self::Numeric { .. } | Self::Text { .. } | Self::Json | Self::Jsonb | Self::Enum(_) | Self::Other => {
                DataType::Utf8
            }
            Self::Bytea => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time(_) => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Interval(_) => DataType::Interval(IntervalUnit::MonthDayNano),
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::Array(element, _) => DataType::List(Arc::new(element.field("item"))),
            Self::OtherArray => DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))),
        }
    }

    /// A column of this kind.
    pub(crate) fn field(&self, name: &str) -> Field {
        let field = Field::new(name, self.data_type(), true);
        match self.word() {
            Some(word) => field.with_metadata(HashMap::from([(TYPE_KEY.to_owned(), word.to_owned())])),
            None => field,
        }
    }

    /// What [`TYPE_KEY`] says.
    fn word(&self) -> Option<&'static str> {
        match self {
            Self::Numeric { .. } => Some("numeric"),
            Self::Uuid => Some("uuid"),
            Self::Json => Some("json"),
            Self::Jsonb => Some("jsonb"),
            Self::Enum(_) => Some("enum"),
            _ => None,
        }
    }

    /// The cast that turns a value into what passes, where the server must do it.
    pub(crate) fn cast(&self) -> Option<&'static str> {
        match self {
            Self::Other => Some("::text"),
            Self::OtherArray => Some("::text[]"),
            _ => None,
        }
    }
}

/// The type's name in CREATE TABLE for an incoming column; `None` where there is none.
pub(crate) fn sql_type(field: &Field) -> Option<String> {
    let word = field.metadata().get(TYPE_KEY).map(String::as_str);
    Some(match field.data_type() {
        DataType::Boolean => "boolean".into(),
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => "smallint".into(),
        DataType::UInt16 | DataType::Int32 => "integer".into(),
        DataType::UInt32 | DataType::Int64 => "bigint".into(),
        DataType::UInt64 => "numeric(20,0)".into(),
        DataType::Float16 | DataType::Float32 => "real".into(),
        DataType::Float64 => "double precision".into(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("numeric({precision},{scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => match word {
            Some(word @ ("numeric" | "uuid" | "json" | "jsonb")) => word.into(),
            _ => "text".into(),
        },
        DataType::Null => "text".into(),
        DataType::FixedSizeBinary(16) if word == Some("uuid") => "uuid".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "bytea".into()
        }
        DataType::Date32 => "date".into(),
        DataType::Date64 => "timestamp".into(),
        DataType::Time32(_) | DataType::Time64(_) => "time".into(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".into(),
        DataType::Timestamp(_, None) => "timestamp".into(),
        DataType::Interval(_) | DataType::Duration(_) => "interval".into(),
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            match element.data_type() {
                DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => return None,
                _ => format!("{}[]", sql_type(element)?),
            }
        }
        DataType::Dictionary(_, value) => {
            return sql_type(
                &Field::new(field.name(), value.as_ref().clone(), true).with_metadata(field.metadata().clone()),
            );
        }
        _ => return None,
    })
}

/// The element's oid of a built-in array type.
fn builtin_array(oid: u32) -> Option<u32> {
    Some(match oid {
        1000 => 16,
        1001 => 17,
        1003 => 19,
        1005 => 21,
        1007 => 23,
        1009 => 25,
        1014 => 1042,
        1015 => 1043,
        1016 => 20,
        1021 => 700,
        1022 => 701,
        1115 => 1114,
        1182 => 1082,
        1183 => 1083,
        1185 => 1184,
        1187 => 1186,
        1231 => 1700,
        199 => 114,
        2951 => 2950,
        3807 => 3802,
        _ => return None,
    })
}
