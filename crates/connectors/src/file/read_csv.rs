//! Reads CSV files.

use std::collections::{HashMap, HashSet};

use sallyport_dataplane::Output;
use sallyport_protocol::{FailureKind, LogLevel};

use super::csv::{Dialect, Records};
use super::infer::{Guess, SAMPLE_ROWS};
use super::locate::Located;
use super::read::{Files, described};
use super::rows::{BadRow, COLUMNS_MAX, Rows, bad_value, fields, flawed, malformed, schema, too_wide};
use super::settings::ColumnSpec;
use crate::reject::RejectFile;
use crate::settings::invalid;
use crate::{Context, Error};

/// Which of the file's values go to which column.
struct Plan {
    schema: arrow_schema::SchemaRef,
    /// For each value of a record its column, `None` where it is left out.
    takes: Vec<Option<usize>>,
    /// The header that every file must have.
    header: Option<Vec<String>>,
}

pub(super) fn read(
    files: &mut Files<'_>,
    columns: Option<&[ColumnSpec]>,
    reject: Option<&mut RejectFile>,
    output: &mut Output,
    cx: &Context,
) -> Result<(), Error> {
    let plan = plan(files, columns, cx)?;
    let mut rows = Rows::start(&plan.schema, reject, output, cx)?;
    for file in files.list {
        read_file(files, file, &plan, &mut rows, cx)?;
        if let Some(checkpoint) = files.done(file)? {
            rows.mark(&checkpoint)?;
        }
    }
    rows.flush()
}

fn read_file(files: &Files<'_>, file: &Located, plan: &Plan, rows: &mut Rows<'_>, cx: &Context) -> Result<(), Error> {
    let shown = &file.shown;
    let dialect = &files.layout.dialect;
    let mut records = Records::new(files.text(file, Some(&cx.progress), cx)?, dialect.clone());
    if dialect.header {
        let header = header(&mut records, shown)?;
        if let (Some(expected), Some(header)) = (&plan.header, &header)
            && expected != header
        {
            let why = format!(
                "file `{shown}` has the columns {}, the first file has {}",
                header.join(", "),
                expected.join(", ")
            );
            return Err(Error::permanent(FailureKind::Input, "schema_differs", why)
                .advise("files of one pattern must have the same columns"));
        }
    }
    let null = dialect.null.as_bytes();
    let single = plan.takes.len() == 1;
    while records.advance().map_err(|flaw| flawed(shown, records.line(), &flaw))? {
        if !single && records.is_blank() {
            continue;
        }
        match take(&records, plan, null, rows) {
            Ok(bytes) => rows.row(bytes)?,
            Err(bad) => {
                let column = bad.column.as_ref().map(|(index, _)| plan.schema.field(*index).name().as_str());
                let (line, reason) = (records.line(), bad.reason.as_str());
                let row = BadRow { file: shown, line, column, reason, raw: records.raw() };
                rows.bad(&row, || match &bad.column {
                    Some((index, value)) => {
                        let (value, _) = records.value(*value);
                        bad_value(shown, line, plan.schema.field(*index).name(), value, reason)
                    }
                    None => malformed(shown, line, reason).advise("mend the line, or check `delimiter` and `quote`"),
                })?;
            }
        }
    }
    Ok(())
}

/// Why a record is no row; where one value is at fault, its column and its place in the record.
struct Bad {
    column: Option<(usize, usize)>,
    reason: String,
}

/// Adds the current record to the columns; gives about how many bytes it took.
#[inline]
fn take(records: &Records, plan: &Plan, null: &[u8], rows: &mut Rows<'_>) -> Result<usize, Bad> {
    if records.len() != plan.takes.len() {
        let reason = format!("the record has {} values, the file has {} columns", records.len(), plan.takes.len());
        return Err(Bad { column: None, reason });
    }
    let mut bytes = 0;
    for (index, column) in plan.takes.iter().enumerate() {
        let Some(column) = *column else { continue };
        let (value, quoted) = records.value(index);
        bytes += value.len() + 8;
        let builder = &mut rows.columns[column];
        if !quoted && value == null {
            builder.push_null();
        } else if let Err(not) = builder.push(value)
            // Some writers put quotes around everything, also around nothing; the null is in its place already.
            && value != null
        {
            return Err(Bad { column: Some((column, index)), reason: format!("it is not {}", not.0) });
        }
    }
    Ok(bytes)
}

fn plan(files: &Files<'_>, columns: Option<&[ColumnSpec]>, cx: &Context) -> Result<Plan, Error> {
    let dialect = &files.layout.dialect;
    let named = columns.map(fields).transpose()?;
    let Some(file) = files.sample else {
        return Ok(Plan { takes: Vec::new(), schema: schema(named.unwrap_or_default()), header: None });
    };
    let (header, guesses) = sample(files, file, dialect, if named.is_some() { 0 } else { SAMPLE_ROWS }, cx)?;
    let Some(named) = named else {
        let names = match &header {
            Some(header) => header.clone(),
            None => (1..=guesses.len()).map(|number| format!("column_{number}")).collect(),
        };
        if names.is_empty() {
            let why = format!("file `{}` is empty: it has no columns", file.shown);
            return Err(Error::permanent(FailureKind::Input, "empty_file", why).advise("name its columns in `columns`"));
        }
        let guesses =
            names.iter().enumerate().map(|(index, name)| guesses.get(index).cloned().unwrap_or_default().field(name));
        let schema = schema(guesses.collect());
        (cx.log)(
            LogLevel::Info,
            format!("columns of `{}` inferred from its first rows: {}", file.shown, described(&schema)),
        );
        return Ok(Plan { takes: (0..schema.fields().len()).map(Some).collect(), schema, header });
    };
    let takes = match &header {
        Some(header) => {
            let places: HashMap<&str, usize> =
                named.iter().enumerate().map(|(index, field)| (field.name().as_str(), index)).collect();
            let known: HashSet<&str> = header.iter().map(String::as_str).collect();
            for field in &named {
                if !known.contains(field.name().as_str()) {
                    let why = format!(
                        "column `{}` is not in the header of `{}`: {}",
                        field.name(),
                        file.shown,
                        header.join(", ")
                    );
                    return Err(invalid("columns", why));
                }
            }
            header.iter().map(|name| places.get(name.as_str()).copied()).collect()
        }
        None => (0..named.len()).map(Some).collect(),
    };
    Ok(Plan { schema: schema(named), takes, header })
}

/// The first file's header, and what its first rows look like.
fn sample(
    files: &Files<'_>,
    file: &Located,
    dialect: &Dialect,
    limit: usize,
    cx: &Context,
) -> Result<(Option<Vec<String>>, Vec<Guess>), Error> {
    let mut records = Records::new(files.text(file, None, cx)?, dialect.clone());
    let header = if dialect.header { header(&mut records, &file.shown)? } else { None };
    let mut guesses: Vec<Guess> = Vec::new();
    let mut rows = 0;
    while rows < limit && records.advance().map_err(|flaw| flawed(&file.shown, records.line(), &flaw))? {
        if records.is_blank() && records.len() < guesses.len().max(header.as_ref().map_or(0, Vec::len)) {
            continue;
        }
        rows += 1;
        if records.len() > COLUMNS_MAX {
            return Err(too_wide(&file.shown, records.line()));
        }
        if guesses.is_empty() {
            guesses.resize(records.len(), Guess::default());
        }
        for (index, guess) in guesses.iter_mut().enumerate().take(records.len()) {
            let (value, quoted) = records.value(index);
            if value != dialect.null.as_bytes() || quoted && !value.is_empty() {
                guess.text(value);
            }
        }
    }
    Ok((header, guesses))
}

fn header(records: &mut Records, file: &str) -> Result<Option<Vec<String>>, Error> {
    if !records.advance().map_err(|flaw| flawed(file, 1, &flaw))? {
        return Ok(None);
    }
    if records.len() > COLUMNS_MAX {
        return Err(too_wide(file, 1));
    }
    let mut names: Vec<String> = Vec::with_capacity(records.len());
    let mut known = HashSet::with_capacity(records.len());
    for index in 0..records.len() {
        let name = std::str::from_utf8(records.value(index).0)
            .map_err(|_| malformed(file, 1, "the header is not UTF-8").advise("set `encoding`"))?;
        let name = if name.is_empty() { format!("column_{}", index + 1) } else { name.to_owned() };
        if !known.insert(name.clone()) {
            return Err(malformed(file, 1, &format!("the header names `{name}` twice"))
                .advise("rename one of them, or set `header: false` and name `columns`"));
        }
        names.push(name);
    }
    Ok(Some(names))
}
