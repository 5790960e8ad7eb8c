//! Reads files.

use std::fs::File;
use std::sync::Arc;

use arrow_schema::Schema;
use sallyport_dataplane::{Output, Progress};
use sallyport_protocol::{Checkpoint, FailureKind};

use super::feed::Feed;
use super::locate::{Located, locate, no_match};
use super::new_files::{Following, NewFiles};
use super::settings::{Connection, Format, Layout, Read};
use super::{open, read_csv, read_jsonl, read_parquet};
use crate::paths::Root;
use crate::reject::{OnBadRow, RejectFile};
use crate::text::types;
use crate::{Context, Error, Source};

/// A step that reads files.
pub(super) struct FileSource {
    pub(super) connection: Option<Connection>,
    pub(super) settings: Read,
    pub(super) layout: Layout,
}

impl Source for FileSource {
    fn read(self: Box<Self>, output: &mut Output, cx: &Context) -> Result<(), Error> {
        let root = super::root(self.connection.as_ref(), &cx.site)?;
        let found = locate(&root, &self.settings.path, cx)?;
        let columns = self.settings.columns.as_deref();
        // An empty folder has nothing new, where the columns are known without a file.
        if found.is_empty() && (self.settings.incremental.is_none() || columns.is_none()) {
            return Err(no_match(&root, &self.settings.path));
        }
        // A reject file appears with the last row, so that all rows do.
        let at_once = self.settings.on_bad_row == OnBadRow::Reject;
        let (chosen, following) = match &self.settings.incremental {
            Some(since) => {
                let NewFiles { list, progress } = since.choose(&found, at_once, output, cx)?;
                (Some(list), Some(progress))
            }
            None => (None, None),
        };
        let list = chosen.as_deref().unwrap_or(&found);
        let sample = list.first().or(found.last());
        let mut files = Files { root: &root, list, sample, layout: &self.layout, following };
        let mut reject = match (self.settings.on_bad_row, &self.settings.reject_file) {
            (OnBadRow::Reject, Some(path)) => Some(RejectFile::create(&cx.site, path, &cx.commit)?),
            _ => None,
        };
        match self.layout.format {
            Format::Csv => read_csv::read(&mut files, columns, reject.as_mut(), output, cx)?,
            Format::Jsonl => read_jsonl::read(&mut files, columns, reject.as_mut(), output, cx)?,
            Format::Parquet => read_parquet::read(&mut files, output, cx)?,
        }
        reject.map_or(Ok(()), RejectFile::finish)
    }
}

/// The files of one step.
pub(super) struct Files<'a> {
    root: &'a Root,
    /// Those that are read.
    pub(super) list: &'a [Located],
    /// One that tells the columns: the first that is read, else any.
    pub(super) sample: Option<&'a Located>,
    pub(super) layout: &'a Layout,
    following: Option<Following>,
}

impl Files<'_> {
    /// A file has been read to its end; gives the checkpoint at which the sink may commit now.
    pub(super) fn done(&mut self, file: &Located) -> Result<Option<Checkpoint>, Error> {
        self.following.as_mut().map_or(Ok(None), |following| following.read(file))
    }

    pub(super) fn open(&self, file: &Located) -> Result<File, Error> {
        self.root.open_found(&file.path).map_err(|error| self.root.unreadable(&file.shown, &error))
    }

    /// The file's text in UTF-8; its bytes are counted if asked.
    pub(super) fn text(&self, file: &Located, progress: Option<&Arc<Progress>>, cx: &Context) -> Result<Feed, Error> {
        let handle = self.open(file)?;
        let text = open::text(handle, self.layout, progress.cloned()).map_err(|error| {
            Error::permanent(FailureKind::Connector, "read_failed", format!("reading file `{}`: {error}", file.shown))
        })?;
        Ok(Feed::new(text, cx.cancel.clone()))
    }
}

/// `name type, name type`, for people.
pub(crate) fn described(schema: &Schema) -> String {
    let one = |field: &arrow_schema::FieldRef| match types::special(field) {
        Some(special) => format!("{} {special}", field.name()),
        None => format!("{} {}", field.name(), field.data_type()),
    };
    schema.fields().iter().map(one).collect::<Vec<_>>().join(", ")
}
