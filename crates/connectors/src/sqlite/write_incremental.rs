//! Writes the rows of an incremental read in chunks, each committed together with how far it reaches.

use std::path::Path;

use rusqlite::{Connection as Database, ErrorCode};
use sallyport_dataplane::{Given, Input};
use sallyport_protocol::{Checkpoint, Clock, LogLevel};

use super::checkpoint::Claim;
use super::open::{Access, explain, open, patiently};
use super::settings::Mode;
use super::write::{SqliteSink, Writing};
use crate::incremental::Chunk;
use crate::reject::RejectFile;
use crate::{Checkpointing, Context, Error, Written};

/// What is written and not committed yet.
struct Open<'a> {
    database: &'a Database,
    claim: Claim<'a>,
    checkpointing: &'a Checkpointing,
    cx: &'a Context,
    what: &'a str,
    /// How far the rows written so far reach.
    reached: Option<Checkpoint>,
    /// Rows written before this chunk.
    before: u64,
    chunk: Chunk,
    /// Whether chunks are committed at all: not where all rows must appear at once.
    chunked: bool,
    /// Whether a transaction is open; between chunks the database is free for others.
    begun: bool,
    /// Whether the log says that a reader is in the way.
    told: bool,
}

impl SqliteSink {
    pub(super) fn write_incremental(
        &self,
        input: &mut Input,
        path: &Path,
        access: Access,
        checkpointing: &Checkpointing,
        cx: &Context,
    ) -> Result<Written, Error> {
        let database = open(path, access, &cx.cancel)?;
        let what = format!("table `{}` of `{}`", self.settings.table, path.display());
        let claim = Claim::take(&database, &checkpointing.order, &cx.commit, &what, &cx.cancel)?;
        input.resume(claim.checkpoint.clone());
        let schema = input.schema()?;
        let failed = |error: rusqlite::Error| explain(&error, &format!("writing {what}"));
        // Dropped uncommitted, a transaction is rolled back with the connection.
        patiently(&cx.cancel, || database.execute_batch("begin immediate"))?.map_err(failed)?;
        let columns = self.make_ready(&database, &schema, &what)?;
        let reject = self.reject_file(cx)?;
        let mut open = Open {
            database: &database,
            reached: claim.checkpoint.clone(),
            claim,
            checkpointing,
            cx,
            what: &what,
            before: 0,
            chunk: Chunk::new(self.settings.commit_every),
            // A reject file appears with the last row, so that all rows do.
            begun: true,
            told: false,
            chunked: reject.is_none() && matches!(self.settings.mode, Mode::Append | Mode::Upsert | Mode::Delete),
        };
        let statement = self.statement(&columns);
        let statement = database.prepare(&statement).map_err(|error| self.bad_statement(&error, &what))?;
        let mut writing = Writing::new(&what, cx, &schema, columns, &database, statement, reject);
        while let Some(given) = input.next_given()? {
            cx.cancel.check()?;
            match given {
                Given::Batch(batch) => {
                    open.begin()?;
                    writing.batch(&batch)?;
                    open.chunk.add(&batch);
                }
                Given::Mark(mark) => {
                    open.reached = Some(mark);
                    if open.begun && open.chunked && open.chunk.is_full() {
                        open.commit_chunk(self)?;
                    }
                }
            }
        }
        let reject = writing.into_reject();
        open.finish(reject)?;
        Ok(Written::default())
    }
}

impl Open<'_> {
    fn begin(&mut self) -> Result<(), Error> {
        if !self.begun {
            let begun = patiently(&self.cx.cancel, || self.database.execute_batch("begin immediate"))?;
            begun.map_err(|error| explain(&error, &format!("writing {}", self.what)))?;
            self.begun = true;
        }
        Ok(())
    }

    fn commit_chunk(&mut self, sink: &SqliteSink) -> Result<(), Error> {
        self.claim.advance(self.database, self.reached.as_ref(), Clock::system().now())?;
        match self.database.execute_batch("commit") {
            Ok(()) => {
                self.begun = false;
                self.committed();
                self.chunk = Chunk::new(sink.settings.commit_every);
                Ok(())
            }
            // A reader, perhaps this pipeline's own source, holds the database: the next mark tries again.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                if !std::mem::replace(&mut self.told, true) {
                    let line =
                        format!("{} is being read: rows are committed when it is free, or at the end", self.what);
                    (self.cx.log)(LogLevel::Info, line);
                }
                Ok(())
            }
            Err(error) => Err(explain(&error, &format!("writing {}", self.what))),
        }
    }

    fn finish(mut self, reject: Option<RejectFile>) -> Result<(), Error> {
        self.begin()?;
        self.claim.advance(self.database, self.reached.as_ref(), Clock::system().now())?;
        self.cx.cancel.check()?;
        if let Some(reject) = reject {
            reject.finish()?;
        }
        let committed = patiently(&self.cx.cancel, || self.database.execute_batch("commit"))?;
        committed.map_err(|error| explain(&error, &format!("writing {}", self.what)))?;
        self.committed();
        Ok(())
    }

    fn committed(&mut self) {
        self.claim.sequence += 1;
        let rows = self.cx.progress.counts().rows_out;
        if let Some(reached) = &self.reached {
            self.checkpointing.note(self.claim.sequence, reached.clone(), rows - self.before);
        }
        self.before = rows;
    }
}
