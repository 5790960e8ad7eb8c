//! Says beside a file what is in it, so that a reader knows it for whole.
//!
//! Invariant: a manifest that is there speaks of the file that is there. So the old one goes before the file changes, and
//! the new one comes after.

use std::io::Write;

use arrow_schema::Schema;
use serde::Serialize;

use super::outflow::Contents;
use crate::part::{PartFile, exists, write_failed};
use crate::paths::Root;
use crate::text::types;
use crate::{Context, Error};

/// Grows when a field changes its meaning; fields may be added without.
const VERSION: u32 = 1;

/// Stands behind the file's name.
const SUFFIX: &str = ".manifest.json";

/// A manifest that is not published yet.
pub(super) struct Manifest {
    part: PartFile,
}

#[derive(Serialize)]
struct Words<'a> {
    manifest: u32,
    task: &'a str,
    run: &'a str,
    step: &'a str,
    attempt: u32,
    /// Of all files.
    rows: u64,
    bytes: u64,
    files: [FileWords<'a>; 1],
    columns: Vec<ColumnWords<'a>>,
}

#[derive(Serialize)]
struct FileWords<'a> {
    /// Its name, in the manifest's own folder.
    name: &'a str,
    rows: u64,
    bytes: u64,
    sha256: &'a str,
}

#[derive(Serialize)]
struct ColumnWords<'a> {
    name: &'a str,
    r#type: String,
}

impl Manifest {
    /// Takes the place beside the file `path`; what earlier attempts have left there is removed.
    pub(super) fn create(root: &Root, path: &str, cx: &Context) -> Result<Self, Error> {
        Ok(Self { part: PartFile::create(root, &format!("{path}{SUFFIX}"), &cx.commit)? })
    }

    /// Whether an earlier attempt of this very step has published it.
    pub(super) fn is_committed(&self) -> bool {
        self.part.is_committed()
    }

    /// Gives the file its name, then the manifest.
    pub(super) fn publish(
        self,
        file: PartFile,
        overwrite: bool,
        contents: &Contents,
        schema: &Schema,
        cx: &Context,
    ) -> Result<(), Error> {
        if !overwrite && file.exists()? {
            return Err(exists(file.path()));
        }
        let rows = cx.progress.counts().rows_out;
        let words = Words {
            manifest: VERSION,
            task: &cx.provenance.task,
            run: &cx.provenance.run,
            step: &cx.provenance.step,
            attempt: cx.commit.attempt,
            rows,
            bytes: contents.bytes,
            files: [FileWords {
                name: file.name(),
                rows,
                bytes: contents.bytes,
                sha256: contents.sha256.as_deref().unwrap_or_default(),
            }],
            columns: schema
                .fields()
                .iter()
                .map(|field| ColumnWords { name: field.name(), r#type: types::word(field) })
                .collect(),
        };
        let mut text = serde_json::to_string_pretty(&words).unwrap_or_default();
        text.push('\n');
        let written = self.part.writer()?.write_all(text.as_bytes());
        written.map_err(|error| write_failed(self.part.path(), &error))?;
        self.part.clear_target()?;
        file.finish(overwrite)?;
        self.part.finish(true)
    }
}
