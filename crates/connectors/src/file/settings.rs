//! What a task says about files.

use encoding_rs::Encoding;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::csv::Dialect;
use super::new_files::Since;
use crate::Error;
use crate::reject::OnBadRow;
use crate::settings::invalid;

/// Settings of a `file` connection.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Folder")]
pub(super) struct Connection {
    /// The folder that paths start in and cannot leave: absolute, or relative to the agent's files root.
    #[schemars(extend("format" = "path"))]
    pub(super) root: String,
}

/// How a file is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// Text with delimiters.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

/// How a file is compressed: CSV and JSON Lines as a whole, Parquet inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// Snappy; Parquet only.
    Snappy,
}

/// A column of a text file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ColumnSpec {
    /// Its name; with a header, one of the header's.
    pub(super) name: String,
    /// Its type: smallint, int, bigint, real, double, numeric, numeric(p,s), text, bytea, boolean, date, time, timestamp,
    /// timestamptz, interval, uuid, json, jsonb, or one of them with `[]`.
    pub(super) r#type: String,
}

/// The `with` of a step that reads files.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Read files")]
pub(super) struct Read {
    /// The file below the root, or a pattern with `*`, `?`, `[..]`, `{a,b}` or `**`; matches are read in the order of
    /// their names and must have the same columns.
    pub(super) path: String,
    /// `csv`, `jsonl` or `parquet`; default: by the file's extension.
    #[serde(default)]
    pub(super) format: Option<Format>,
    /// `none`, `gzip` or `zstd`; default: by the file's extension. Parquet files know it themselves.
    #[serde(default)]
    pub(super) compression: Option<Compression>,
    /// CSV: the character between values; default `,` (a tab for `.tsv`).
    #[serde(default)]
    pub(super) delimiter: Option<String>,
    /// CSV: the character around values; default `"`; an empty text for none.
    #[serde(default)]
    pub(super) quote: Option<String>,
    /// CSV: the character before a quote inside a quoted value; default: the quote itself.
    #[serde(default)]
    pub(super) escape: Option<String>,
    /// CSV: whether the first line names the columns; default true.
    #[serde(default)]
    pub(super) header: Option<bool>,
    /// The text's encoding, such as `utf-8`, `windows-1250`, `utf-16le`; default `utf-8`.
    #[serde(default)]
    pub(super) encoding: Option<String>,
    /// CSV: the unquoted text that means "no value"; default: the empty text.
    #[serde(default)]
    pub(super) null: Option<String>,
    /// CSV and JSON Lines: names and types of the columns to read; default: inferred from the first 1,000 rows.
    #[serde(default)]
    pub(super) columns: Option<Vec<ColumnSpec>>,
    /// CSV and JSON Lines: what happens to a row that cannot be read as its columns; default `fail`.
    #[serde(default)]
    pub(super) on_bad_row: OnBadRow,
    /// Where rejected rows go, below the agent's files root; needed for `on_bad_row: reject`.
    #[serde(default)]
    pub(super) reject_file: Option<String>,
    /// Read only files that are new or have changed since the last run, the oldest first.
    #[serde(default)]
    pub(super) incremental: Option<Since>,
}

/// The `with` of a step that writes a file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Write a file")]
pub(super) struct Write {
    /// The file below the root; missing folders are made.
    pub(super) path: String,
    /// `csv`, `jsonl` or `parquet`; default: by the file's extension.
    #[serde(default)]
    pub(super) format: Option<Format>,
    /// `none`, `gzip` or `zstd`; default: by the file's extension. Parquet: also `snappy`, which is its default.
    #[serde(default)]
    pub(super) compression: Option<Compression>,
    /// CSV: the character between values; default `,` (a tab for `.tsv`).
    #[serde(default)]
    pub(super) delimiter: Option<String>,
    /// CSV: the character around values that need it; default `"`.
    #[serde(default)]
    pub(super) quote: Option<String>,
    /// CSV: the character before a quote inside a quoted value; default: the quote itself.
    #[serde(default)]
    pub(super) escape: Option<String>,
    /// CSV: whether the first line names the columns; default true.
    #[serde(default)]
    pub(super) header: Option<bool>,
    /// The text's encoding, such as `utf-8` or `windows-1250`; default `utf-8`.
    #[serde(default)]
    pub(super) encoding: Option<String>,
    /// CSV: the text for "no value"; default: the empty text.
    #[serde(default)]
    pub(super) null: Option<String>,
    /// Whether a file that is there is replaced; default true.
    #[serde(default = "yes")]
    pub(super) overwrite: bool,
    /// Whether a manifest `<file>.manifest.json` appears after the file, with its rows, bytes, SHA-256, columns, task and
    /// run; default false.
    #[serde(default)]
    pub(super) manifest: bool,
    /// What happens to a row that the file cannot hold; default `fail`.
    #[serde(default)]
    pub(super) on_bad_row: OnBadRow,
    /// Where rejected rows go, below the agent's files root; needed for `on_bad_row: reject`.
    #[serde(default)]
    pub(super) reject_file: Option<String>,
}

fn yes() -> bool {
    true
}

/// Everything about a file's layout, with defaults filled in.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) format: Format,
    pub(super) compression: Compression,
    pub(super) dialect: Dialect,
    pub(super) encoding: &'static Encoding,
}

/// The settings that reading and writing share.
struct Shared<'a> {
    path: &'a str,
    format: Option<Format>,
    compression: Option<Compression>,
    delimiter: Option<&'a str>,
    quote: Option<&'a str>,
    escape: Option<&'a str>,
    header: Option<bool>,
    encoding: Option<&'a str>,
    null: Option<&'a str>,
}

impl Read {
    pub(super) fn layout(&self) -> Result<Layout, Error> {
        let layout = Shared {
            path: &self.path,
            format: self.format,
            compression: self.compression,
            delimiter: self.delimiter.as_deref(),
            quote: self.quote.as_deref(),
            escape: self.escape.as_deref(),
            header: self.header,
            encoding: self.encoding.as_deref(),
            null: self.null.as_deref(),
        }
        .layout()?;
        if layout.format == Format::Parquet && self.columns.is_some() {
            return Err(invalid("columns", "a Parquet file knows its columns; remove this setting"));
        }
        if layout.format == Format::Parquet && self.on_bad_row == OnBadRow::Reject {
            return Err(invalid("on_bad_row", "a Parquet file has no rows that do not fit; remove this setting"));
        }
        self.on_bad_row.check(self.reject_file.as_deref())?;
        self.incremental.as_ref().map_or(Ok(()), Since::check)?;
        Ok(layout)
    }
}

impl Write {
    pub(super) fn layout(&self) -> Result<Layout, Error> {
        let layout = Shared {
            path: &self.path,
            format: self.format,
            compression: self.compression,
            delimiter: self.delimiter.as_deref(),
            quote: self.quote.as_deref(),
            escape: self.escape.as_deref(),
            header: self.header,
            encoding: self.encoding.as_deref(),
            null: self.null.as_deref(),
        }
        .layout()?;
        if layout.encoding.output_encoding() != layout.encoding {
            return Err(invalid("encoding", format!("`{}` can be read but not written", layout.encoding.name())));
        }
        if layout.dialect.quote.is_none() {
            return Err(invalid("quote", "writing needs a quote character"));
        }
        self.on_bad_row.check(self.reject_file.as_deref())?;
        Ok(layout)
    }
}

impl Shared<'_> {
    fn layout(&self) -> Result<Layout, Error> {
        let lower = self.path.to_ascii_lowercase();
        let (stem, packed) = match lower.rsplit_once('.') {
            Some((stem, "gz" | "gzip")) => (stem, Some(Compression::Gzip)),
            Some((stem, "zst" | "zstd")) => (stem, Some(Compression::Zstd)),
            _ => (lower.as_str(), None),
        };
        let extension = stem.rsplit_once('.').map_or("", |(_, extension)| extension);
        let format = self.format.or(match extension {
            "csv" | "tsv" | "txt" => Some(Format::Csv),
            "jsonl" | "ndjson" => Some(Format::Jsonl),
            "parquet" | "pq" => Some(Format::Parquet),
            _ => None,
        });
        let Some(format) = format else {
            let why =
                format!("the extension of `{}` does not tell the format; set `csv`, `jsonl` or `parquet`", self.path);
            return Err(invalid("format", why));
        };
        let default = if format == Format::Parquet { Compression::Snappy } else { Compression::None };
        let compression = self.compression.or(packed).unwrap_or(default);
        if format != Format::Parquet && compression == Compression::Snappy {
            return Err(invalid("compression", "`snappy` is for Parquet; use `none`, `gzip` or `zstd`"));
        }
        let label = self.encoding.unwrap_or("utf-8");
        let encoding = Encoding::for_label(label.as_bytes()).ok_or_else(|| {
            invalid("encoding", format!("`{label}` is not known; examples: utf-8, windows-1250, iso-8859-2"))
        })?;
        Ok(Layout { format, compression, dialect: self.dialect(extension)?, encoding })
    }

    fn dialect(&self, extension: &str) -> Result<Dialect, Error> {
        let tab = if extension == "tsv" { b'\t' } else { b',' };
        let delimiter = match self.delimiter {
            None => tab,
            Some("tab" | "\\t") => b'\t',
            Some(text) => character("delimiter", text)?,
        };
        let quote = match self.quote {
            None => Some(b'"'),
            Some("") => None,
            Some(text) => Some(character("quote", text)?),
        };
        let escape = self.escape.map(|text| character("escape", text)).transpose()?;
        let null = self.null.unwrap_or_default().to_owned();
        if Some(delimiter) == quote {
            return Err(invalid("quote", "is the same as `delimiter`"));
        }
        if escape == Some(delimiter) {
            return Err(invalid("escape", "is the same as `delimiter`"));
        }
        if null.bytes().any(|byte| byte == delimiter || byte == b'\n' || byte == b'\r' || Some(byte) == quote) {
            return Err(invalid("null", "contains the delimiter, the quote or a line end"));
        }
        Ok(Dialect { delimiter, quote, escape: escape.or(quote), header: self.header.unwrap_or(true), null })
    }
}

fn character(field: &str, text: &str) -> Result<u8, Error> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Ok(*byte),
        _ => Err(invalid(field, format!("`{}` must be one ASCII character and no line end", text.escape_debug()))),
    }
}
