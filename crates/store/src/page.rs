//! Lists: filtered, sorted by a column from a closed list, and paged by where the last page ended, so that rows that
//! come or go in between neither repeat nor hide others.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::types::Value;
use rusqlite::{Connection as Sqlite, Row, params_from_iter};

use crate::Error;

/// The most rows of one page.
const LIMIT_MAX: u32 = 500;

/// Rows of a list are counted this far: nobody reads further, and the count of a long log costs more than its page.
pub const TOTAL_MAX: u64 = 10_000;

/// What a caller asks of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest {
    /// Rows of a page; kept within 1 and 500.
    pub limit: u32,
    /// From the page before.
    pub cursor: Option<String>,
    /// A column's word, `-` before it for descending.
    pub sort: Option<String>,
}

impl Default for ListRequest {
    fn default() -> Self {
        Self { limit: 50, cursor: None, sort: None }
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// In the order asked for.
    pub items: Vec<T>,
    /// Asks for the next page; absent on the last.
    pub next_cursor: Option<String>,
    /// Rows of the whole list, counted up to [`TOTAL_MAX`].
    pub total: u64,
}

impl<T> Page<T> {
    /// The same page with each item turned into another shape.
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(each).collect(), next_cursor: self.next_cursor, total: self.total }
    }
}

/// How one list is read. The SQL of sort columns must never be null.
pub(crate) struct Listing {
    pub(crate) columns: &'static str,
    pub(crate) from: &'static str,
    /// Tells apart rows that sort alike.
    pub(crate) id: &'static str,
    /// The word a caller uses, and its SQL.
    pub(crate) sorts: &'static [(&'static str, &'static str)],
    pub(crate) default_sort: &'static str,
}

/// Conditions joined by `AND`, each with the values for its question marks.
pub(crate) struct Filter {
    sql: String,
    values: Vec<Value>,
}

impl Filter {
    pub(crate) fn new(condition: &'static str, value: impl Into<Value>) -> Self {
        Self { sql: condition.to_owned(), values: vec![value.into()] }
    }

    pub(crate) fn and(&mut self, condition: &'static str, value: impl Into<Value>) -> &mut Self {
        self.always(condition);
        self.values.push(value.into());
        self
    }

    pub(crate) fn and_if<V: Into<Value>>(&mut self, condition: &'static str, value: Option<V>) -> &mut Self {
        if let Some(value) = value {
            self.and(condition, value);
        }
        self
    }

    pub(crate) fn always(&mut self, condition: &'static str) -> &mut Self {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self
    }
}

struct Order {
    word: String,
    sql: &'static str,
    descending: bool,
}

pub(crate) fn fetch<T>(
    sql: &Sqlite,
    listing: &Listing,
    filter: &Filter,
    request: &ListRequest,
    map: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Page<T>, Error> {
    let total: i64 = sql
        .prepare_cached(&format!(
            "SELECT count(*) FROM (SELECT 1 FROM {} WHERE {} LIMIT {TOTAL_MAX})",
            listing.from, filter.sql
        ))?
        .query_row(params_from_iter(&filter.values), |row| row.get(0))?;
    let page = rows(sql, listing, filter, request, map)?;
    Ok(Page { total: u64::try_from(total).unwrap_or(0), ..page })
}

/// The same without the count, for whoever reads on and on.
pub(crate) fn rows<T>(
    sql: &Sqlite,
    listing: &Listing,
    filter: &Filter,
    request: &ListRequest,
    map: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Page<T>, Error> {
    let order = order(listing, request.sort.as_deref())?;
    let Listing { columns, from, id, .. } = listing;
    let (direction, beyond) = if order.descending { ("DESC", "<") } else { ("ASC", ">") };
    let key = order.sql;
    let mut values = filter.values.clone();
    let mut after = String::new();
    if let Some(cursor) = &request.cursor {
        values.extend(decode(cursor, &order.word)?);
        after = format!(" AND ({key}, {id}) {beyond} (?, ?)");
    }
    let limit = request.limit.clamp(1, LIMIT_MAX);
    values.push(Value::Integer(i64::from(limit) + 1));
    let text = format!(
        "SELECT {columns}, {key} AS sort_key, {id} AS sort_id FROM {from} WHERE {}{after} \
         ORDER BY {key} {direction}, {id} {direction} LIMIT ?",
        filter.sql
    );
    let mut statement = sql.prepare_cached(&text)?;
    let rows = statement.query_map(params_from_iter(&values), |row| {
        Ok((row.get::<_, Value>("sort_key")?, row.get::<_, Value>("sort_id")?, map(row)?))
    })?;
    let mut rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;

    let size = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > size;
    rows.truncate(size);
    let next_cursor = match rows.last() {
        Some((key, id, _)) if more => Some(encode(&order.word, key, id)?),
        _ => None,
    };
    let items = rows.into_iter().map(|(_, _, item)| item).collect();
    Ok(Page { items, next_cursor, total: 0 })
}

fn order(listing: &Listing, asked: Option<&str>) -> Result<Order, Error> {
    let word = asked.unwrap_or(listing.default_sort);
    let (name, descending) = match word.strip_prefix('-') {
        Some(name) => (name, true),
        None => (word, false),
    };
    let sql = listing.sorts.iter().find(|(known, _)| *known == name).map(|(_, sql)| *sql).ok_or_else(|| {
        Error::BadSort { given: word.to_owned(), allowed: listing.sorts.iter().map(|(known, _)| *known).collect() }
    })?;
    Ok(Order { word: word.to_owned(), sql, descending })
}

fn encode(sort: &str, key: &Value, id: &Value) -> Result<String, Error> {
    let text = serde_json::to_string(&(sort, to_json(key), to_json(id)))?;
    Ok(URL_SAFE_NO_PAD.encode(text))
}

fn decode(cursor: &str, sort: &str) -> Result<[Value; 2], Error> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Error::BadCursor)?;
    let (made_for, key, id): (String, serde_json::Value, serde_json::Value) =
        serde_json::from_slice(&bytes).map_err(|_| Error::BadCursor)?;
    if made_for != sort {
        return Err(Error::BadCursor);
    }
    Ok([from_json(key)?, from_json(id)?])
}

fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Integer(number) => (*number).into(),
        Value::Text(text) => text.clone().into(),
        Value::Real(number) => (*number).into(),
        Value::Null | Value::Blob(_) => serde_json::Value::Null,
    }
}

fn from_json(value: serde_json::Value) -> Result<Value, Error> {
    match value {
        serde_json::Value::Number(number) => number.as_i64().map(Value::Integer).ok_or(Error::BadCursor),
        serde_json::Value::String(text) => Ok(Value::Text(text)),
        _ => Err(Error::BadCursor),
    }
}
