//! A queue of batches with bounded memory: what does not fit goes to a file, in order, and comes back from there.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use sallyport_dataplane::{EdgeError, Input, payload_bytes};
use tokio::sync::Notify;

/// Batches a queue holds in memory before it turns to its file.
const MEMORY_BATCHES_MAX: usize = 4;

/// Bytes a queue holds in memory before it turns to its file. A single larger batch is held alone.
const MEMORY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Why a queue gives no more.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The input broke off.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// The disk cannot be written or read.
    #[error("keeping rows of a waiting input on disk: {0}")]
    Disk(String),
    /// The queues need more of the disk than they may have.
    #[error("the inputs that wait for each other need more than {0} bytes of disk")]
    Full(u64),
}

/// The disk that all queues of a query share.
#[derive(Debug)]
pub(crate) struct Disk {
    used: AtomicU64,
    max: u64,
}

impl Disk {
    pub(crate) fn new(max: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), max })
    }

    fn take(&self, bytes: u64) -> Result<(), Error> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed);
        if used.saturating_add(bytes) > self.max { Err(Error::Full(self.max)) } else { Ok(()) }
    }
}

struct Queue {
    memory: VecDeque<(RecordBatch, usize)>,
    memory_bytes: usize,
    spill: Option<Spill>,
    scratch: std::path::PathBuf,
    disk: Arc<Disk>,
    ended: Option<Result<(), Error>>,
    reader_gone: bool,
}

struct Spill {
    file: File,
    disk: Arc<Disk>,
    /// What this file has taken of the disk's share.
    taken: u64,
    read_at: u64,
    write_at: u64,
}

/// The file goes with its handle.
impl Drop for Spill {
    fn drop(&mut self) {
        self.disk.used.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

struct Shared {
    queue: Mutex<Queue>,
    news: Notify,
}

/// The taking end of a queue.
pub(crate) struct Reader {
    shared: Arc<Shared>,
}

/// Moves an input's batches into `count` queues on a thread of its own, until the input ends or every reader is gone.
/// With no queue, the rows are read and dropped, so that their producer is not held up.
pub(crate) fn pump(
    name: &str,
    mut input: Input,
    count: usize,
    scratch: &Path,
    disk: &Arc<Disk>,
) -> io::Result<Vec<Reader>> {
    let queues: Vec<Arc<Shared>> = (0..count).map(|_| Arc::new(Shared::new(scratch, disk))).collect();
    let readers = queues.iter().map(|shared| Reader { shared: Arc::clone(shared) }).collect();
    std::thread::Builder::new().name(format!("queue {name}")).spawn(move || {
        let end = loop {
            match input.next_batch() {
                Ok(Some(batch)) => {
                    let wanted = queues.iter().filter(|shared| shared.push(&batch)).count();
                    if wanted == 0 && !queues.is_empty() {
                        return;
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(Error::from(error)),
            }
        };
        queues.iter().for_each(|shared| shared.end(end.clone()));
    })?;
    Ok(readers)
}

impl Shared {
    fn new(scratch: &Path, disk: &Arc<Disk>) -> Self {
        let queue = Queue {
            memory: VecDeque::new(),
            memory_bytes: 0,
            spill: None,
            scratch: scratch.to_path_buf(),
            disk: Arc::clone(disk),
            ended: None,
            reader_gone: false,
        };
        Self { queue: Mutex::new(queue), news: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the reader is still there to take it.
    fn push(&self, batch: &RecordBatch) -> bool {
        let mut queue = self.lock();
        if queue.reader_gone || queue.ended.is_some() {
            return false;
        }
        if let Err(error) = queue.push(batch) {
            queue.ended = Some(Err(error));
        }
        drop(queue);
        self.news.notify_one();
        true
    }

    fn end(&self, end: Result<(), Error>) {
        self.lock().ended.get_or_insert(end);
        self.news.notify_one();
    }
}

impl Queue {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        if self.spill.is_none() {
            let bytes = payload_bytes(batch);
            let fits = self.memory.len() < MEMORY_BATCHES_MAX && self.memory_bytes + bytes <= MEMORY_BYTES_MAX;
            if fits || self.memory.is_empty() {
                self.memory.push_back((batch.clone(), bytes));
                self.memory_bytes += bytes;
                return Ok(());
            }
            let file = tempfile::tempfile_in(&self.scratch).map_err(Error::disk)?;
            self.spill = Some(Spill { file, disk: Arc::clone(&self.disk), taken: 0, read_at: 0, write_at: 0 });
        }
        self.spill.as_mut().map_or(Ok(()), |spill| spill.write(batch))
    }

    fn pop_memory(&mut self) -> Option<RecordBatch> {
        let (batch, bytes) = self.memory.pop_front()?;
        self.memory_bytes -= bytes;
        Some(batch)
    }

    fn pop(&mut self) -> Result<Option<RecordBatch>, Error> {
        if let Some(batch) = self.pop_memory() {
            return Ok(Some(batch));
        }
        let Some(spill) = &mut self.spill else { return Ok(None) };
        // What failed while it was written is not there.
        let batch = if spill.read_at < spill.write_at { spill.read().map_err(Error::disk)? } else { None };
        if spill.read_at == spill.write_at {
            self.spill = None;
        }
        Ok(batch)
    }
}

impl Error {
    #[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
    fn disk(error: io::Error) -> Self {
        Self::Disk(error.to_string())
    }
}

impl Spill {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let bytes = encoded(batch).map_err(Error::disk)?;
        let length = bytes.len() as u64;
        self.taken += 8 + length;
        self.disk.take(8 + length)?;
        let written = self
            .file
            .seek(SeekFrom::Start(self.write_at))
            .and_then(|_| self.file.write_all(&length.to_le_bytes()))
            .and_then(|()| self.file.write_all(&bytes));
        written.map_err(Error::disk)?;
        self.write_at += 8 + length;
        Ok(())
    }

    fn read(&mut self) -> io::Result<Option<RecordBatch>> {
        self.file.seek(SeekFrom::Start(self.read_at))?;
        let mut length = [0; 8];
        self.file.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.file.read_exact(&mut bytes)?;
        self.read_at += 8 + length;
        let mut reader = StreamReader::try_new(Cursor::new(bytes), None).map_err(io::Error::other)?;
        reader.next().transpose().map_err(io::Error::other)
    }
}

fn encoded(batch: &RecordBatch) -> io::Result<Vec<u8>> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).map_err(io::Error::other)?;
    writer.write(batch).map_err(io::Error::other)?;
    writer.into_inner().map_err(io::Error::other)
}

impl Reader {
    /// The next batch, `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        loop {
            if let Some(next) = self.at_once() {
                return next;
            }
            if self.shared.lock().spill.is_none() {
                self.shared.news.notified().await;
                continue;
            }
            // The disk may be slow: not on a thread that others wait for.
            let shared = Arc::clone(&self.shared);
            let read = tokio::task::spawn_blocking(move || shared.lock().pop()).await;
            if let Some(batch) = read.map_err(|error| Error::Disk(error.to_string()))?? {
                return Ok(Some(batch));
            }
        }
    }

    /// What can be said without the disk.
    fn at_once(&self) -> Option<Result<Option<RecordBatch>, Error>> {
        let mut queue = self.shared.lock();
        if let Some(batch) = queue.pop_memory() {
            return Some(Ok(Some(batch)));
        }
        if queue.spill.is_some() {
            return None;
        }
        queue.ended.clone().map(|end| end.map(|()| None))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.lock().reader_gone = true;
    }
}

#[cfg(test)]
mod tests;
