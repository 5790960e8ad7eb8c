//! Writes files: encoded on the step's thread, compressed and written on another, renamed when complete.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use encoding_rs::{Encoding, UTF_8};
use sallyport_dataplane::Input;
use sallyport_protocol::FailureKind;

use super::csv::Encoder;
use super::manifest::Manifest;
use super::outflow::{BLOCK_BYTES, Contents, Counting, Outflow};
use super::settings::{Connection, Format, Layout, Write};
use super::write_parquet;
use crate::part::{PartFile, exists};
use crate::reject::{OnBadRow, RejectFile, row_values};
use crate::text::cell::{Cell, NotJson};
use crate::text::format;
use crate::{Context, Error, Sink, Written};

/// A step that writes a file.
pub(super) struct FileSink {
    pub(super) connection: Option<Connection>,
    pub(super) settings: Write,
    pub(super) layout: Layout,
}

impl Sink for FileSink {
    fn write(self: Box<Self>, input: &mut Input, cx: &Context) -> Result<Written, Error> {
        let root = super::root(self.connection.as_ref(), &cx.site)?;
        let part = PartFile::create(&root, &self.settings.path, &cx.commit)?;
        let manifest = match self.settings.manifest {
            true => Some(Manifest::create(&root, &self.settings.path, cx)?),
            false => None,
        };
        let stands = !self.settings.overwrite && part.exists()?;
        if stands && !part.is_committed() {
            return Err(exists(part.path()));
        }
        // An earlier attempt gave the file its name and was lost before it could say so. Without its manifest nobody
        // takes it for whole: then it is written again.
        if stands && manifest.as_ref().is_none_or(Manifest::is_committed) {
            while input.next_batch()?.is_some() {
                cx.cancel.check()?;
            }
            return Ok(Written { already_committed: true });
        }
        let reject = match (&self.settings.on_bad_row, &self.settings.reject_file) {
            (OnBadRow::Reject, Some(path)) => Some(RejectFile::create(&cx.site, path, &cx.commit)?),
            _ => None,
        };
        let schema = input.schema()?;
        let counting = Counting { progress: Arc::clone(&cx.progress), digest: manifest.is_some() };
        let (contents, reject) = match self.layout.format {
            Format::Parquet => {
                let contents = write_parquet::write(input, &schema, &part, self.layout.compression, counting, cx)?;
                (contents, reject)
            }
            Format::Csv | Format::Jsonl => {
                let outflow = Outflow::start(part.writer()?, self.layout.compression, counting, part.path())?;
                Text::new(&self.layout, &schema, outflow, reject, part.path().display().to_string(), cx)?
                    .write(input)?
            }
        };
        cx.cancel.check()?;
        if let Some(reject) = reject {
            reject.finish()?;
        }
        let overwrite = self.settings.overwrite || stands;
        match manifest {
            Some(manifest) => manifest.publish(part, overwrite, &contents, &schema, cx)?,
            None => part.finish(overwrite)?,
        }
        Ok(Written::default())
    }
}

/// One text file that is being written.
struct Text<'a> {
    shape: Shape,
    encoding: &'static Encoding,
    schema: SchemaRef,
    buffer: Vec<u8>,
    /// Room for a row in the file's encoding.
    encoded: Vec<u8>,
    outflow: Outflow,
    reject: Option<RejectFile>,
    row: u64,
    file: String,
    cx: &'a Context,
}

enum Shape {
    Csv(Encoder),
    /// The JSON texts before each value: `{"a":`, `,"b":`.
    Jsonl(Vec<Vec<u8>>),
}

/// Why a row cannot be written.
enum Bad {
    NotJson,
    NotInEncoding(char),
}

impl From<NotJson> for Bad {
    fn from(_: NotJson) -> Self {
        Self::NotJson
    }
}

impl<'a> Text<'a> {
    fn new(
        layout: &Layout,
        schema: &SchemaRef,
        outflow: Outflow,
        reject: Option<RejectFile>,
        file: String,
        cx: &'a Context,
    ) -> Result<Self, Error> {
        let mut buffer = Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 8);
        let shape = match layout.format {
            Format::Jsonl => Shape::Jsonl(openings(schema)),
            _ => {
                let encoder = Encoder::new(&layout.dialect);
                if layout.dialect.header {
                    encoder.header(schema, &mut buffer);
                }
                Shape::Csv(encoder)
            }
        };
        let mut text = Self {
            shape,
            encoding: layout.encoding,
            schema: Arc::clone(schema),
            buffer,
            encoded: Vec::new(),
            outflow,
            reject,
            row: 0,
            file,
            cx,
        };
        text.transcode(0).map_err(|bad| text.refused("the header", &bad))?;
        Ok(text)
    }

    fn write(mut self, input: &mut Input) -> Result<(Contents, Option<RejectFile>), Error> {
        while let Some(batch) = input.next_batch()? {
            self.cx.cancel.check()?;
            self.batch(&batch)?;
        }
        let buffer = std::mem::take(&mut self.buffer);
        let contents = self.outflow.finish(buffer)?;
        Ok((contents, self.reject))
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let schema = Arc::clone(&self.schema);
        let cells = Encoder::cells(batch, &schema).map_err(|field| {
            let why = format!(
                "column `{}` has the type {}, which has no form in a text file",
                field.name(),
                field.data_type()
            );
            Error::permanent(FailureKind::Input, "unsupported_type", why).advise("convert it in a transform step")
        })?;
        let clean = match &self.shape {
            Shape::Csv(encoder) => encoder.clean(&cells),
            Shape::Jsonl(_) => Vec::new(),
        };
        let mut rejected = 0;
        for row in 0..batch.num_rows() {
            let start = self.buffer.len();
            self.row += 1;
            if let Err(bad) = self.put_row(&cells, &clean, row, start) {
                self.buffer.truncate(start);
                self.bad_row(batch, row, &bad)?;
                rejected += 1;
            }
            if self.buffer.len() >= BLOCK_BYTES {
                self.buffer = self.outflow.put(std::mem::take(&mut self.buffer))?;
            }
        }
        self.cx.progress.add_rows_out(batch.num_rows() as u64 - rejected);
        Ok(())
    }

    #[inline]
    fn put_row(&mut self, cells: &[Cell<'_>], clean: &[bool], row: usize, start: usize) -> Result<(), Bad> {
        match &self.shape {
            Shape::Csv(encoder) => encoder.row(cells, clean, row, &mut self.buffer)?,
            Shape::Jsonl(openings) => {
                for (opening, cell) in openings.iter().zip(cells) {
                    self.buffer.extend_from_slice(opening);
                    cell.write_json(row, &mut self.buffer)?;
                }
                self.buffer.extend_from_slice(b"}\n");
            }
        }
        if self.encoding == UTF_8 { Ok(()) } else { self.transcode(start) }
    }

    /// Brings the buffer's end from UTF-8 to the file's encoding.
    fn transcode(&mut self, start: usize) -> Result<(), Bad> {
        let added = &self.buffer[start..];
        if self.encoding == UTF_8 || self.encoding.is_ascii_compatible() && added.is_ascii() {
            return Ok(());
        }
        let Ok(text) = std::str::from_utf8(added) else { return Ok(()) };
        let mut encoder = self.encoding.new_encoder();
        let room = encoder.max_buffer_length_from_utf8_without_replacement(text.len()).unwrap_or(text.len() * 4 + 16);
        if self.encoded.len() < room {
            self.encoded.resize(room, 0);
        }
        let (result, _, written) = encoder.encode_from_utf8_without_replacement(text, &mut self.encoded, true);
        match result {
            encoding_rs::EncoderResult::Unmappable(character) => Err(Bad::NotInEncoding(character)),
            _ => {
                self.buffer.truncate(start);
                self.buffer.extend_from_slice(&self.encoded[..written]);
                Ok(())
            }
        }
    }

    fn bad_row(&mut self, batch: &RecordBatch, row: usize, bad: &Bad) -> Result<(), Error> {
        let column = self.culprit(batch, row, bad);
        let Some(reject) = &mut self.reject else {
            let at = match &column {
                Some((column, value)) => format!("row {}, column `{column}`, value `{value}`", self.row),
                None => format!("row {}", self.row),
            };
            return Err(self.refused(&at, bad));
        };
        reject.reject(
            self.row,
            column.as_ref().map(|(name, _)| name.as_str()),
            &bad.to_string(self.encoding),
            &row_values(batch, row),
        )?;
        self.cx.progress.add_rows_rejected(1);
        Ok(())
    }

    /// The column that makes a row bad, and its value.
    fn culprit(&self, batch: &RecordBatch, row: usize, bad: &Bad) -> Option<(String, String)> {
        let cells = Encoder::cells(batch, &self.schema).ok()?;
        let mut out = Vec::new();
        for (field, cell) in self.schema.fields().iter().zip(&cells) {
            out.clear();
            if cell.is_null(row) {
                continue;
            }
            let failed = match bad {
                Bad::NotJson => cell.write_json(row, &mut out).is_err(),
                Bad::NotInEncoding(character) => {
                    cell.write(row, &mut out).is_ok() && String::from_utf8_lossy(&out).contains(*character)
                }
            };
            if failed {
                let text =
                    cell.stored_text(row).map_or_else(|| String::from_utf8_lossy(&out).into_owned(), str::to_owned);
                return Some((field.name().clone(), crate::reject::cut(&text)));
            }
        }
        None
    }

    fn refused(&self, at: &str, bad: &Bad) -> Error {
        let why = format!("writing file `{}`: {at}: {}", self.file, bad.to_string(self.encoding));
        Error::permanent(FailureKind::Output, "bad_value", why)
            .advise("mend the value before it is written, or set `on_bad_row: reject` and a `reject_file`")
    }
}

impl Bad {
    fn to_string(&self, encoding: &'static Encoding) -> String {
        match self {
            Self::NotJson => "the value is not JSON".to_owned(),
            Self::NotInEncoding(character) => format!("{} has no character `{character}`", encoding.name()),
        }
    }
}

fn openings(schema: &Schema) -> Vec<Vec<u8>> {
    let one = |(index, field): (usize, &arrow_schema::FieldRef)| {
        let mut text = if index == 0 { b"{".to_vec() } else { b",".to_vec() };
        format::json_string(field.name(), &mut text);
        text.push(b':');
        text
    };
    schema.fields().iter().enumerate().map(one).collect()
}
