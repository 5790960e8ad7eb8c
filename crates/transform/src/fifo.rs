//! A queue of batches with bounded memory: what does not fit goes to a file, in order, and comes back from there.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use sallyport_dataplane::{EdgeError, Input};
use tokio::sync::Notify;

/// Batches a queue holds in memory before it turns to its file.
const MEMORY_BATCHES_MAX: usize = 4;

struct Queue {
    memory: VecDeque<RecordBatch>,
    spill: Option<Spill>,
    scratch: std::path::PathBuf,
    ended: Option<Result<(), EdgeError>>,
    reader_gone: bool,
}

struct Spill {
    file: File,
    read_at: u64,
    write_at: u64,
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
pub(crate) fn pump(name: &str, mut input: Input, count: usize, scratch: &Path) -> io::Result<Vec<Reader>> {
    let queues: Vec<Arc<Shared>> = (0..count).map(|_| Arc::new(Shared::new(scratch))).collect();
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
                Err(error) => break Err(error),
            }
        };
        queues.iter().for_each(|shared| shared.end(end.clone()));
    })?;
    Ok(readers)
}

impl Shared {
    fn new(scratch: &Path) -> Self {
        let queue = Queue {
            memory: VecDeque::new(),
            spill: None,
            scratch: scratch.to_path_buf(),
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
            queue.ended = Some(Err(EdgeError::Aborted(format!("spilling to disk: {error}"))));
        }
        drop(queue);
        self.news.notify_one();
        true
    }

    fn end(&self, end: Result<(), EdgeError>) {
        self.lock().ended.get_or_insert(end);
        self.news.notify_one();
    }
}

impl Queue {
    fn push(&mut self, batch: &RecordBatch) -> io::Result<()> {
        if self.spill.is_none() {
            if self.memory.len() < MEMORY_BATCHES_MAX {
                self.memory.push_back(batch.clone());
                return Ok(());
            }
            self.spill = Some(Spill { file: tempfile::tempfile_in(&self.scratch)?, read_at: 0, write_at: 0 });
        }
        self.spill.as_mut().map_or(Ok(()), |spill| spill.write(batch))
    }

    fn pop(&mut self) -> io::Result<Option<RecordBatch>> {
        if let Some(batch) = self.memory.pop_front() {
            return Ok(Some(batch));
        }
        let Some(spill) = &mut self.spill else { return Ok(None) };
        let batch = spill.read()?;
        if spill.read_at == spill.write_at {
            self.spill = None;
        }
        Ok(batch)
    }
}

impl Spill {
    fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).map_err(io::Error::other)?;
        writer.write(batch).map_err(io::Error::other)?;
        let bytes = writer.into_inner().map_err(io::Error::other)?;
        self.file.seek(SeekFrom::Start(self.write_at))?;
        self.file.write_all(&(bytes.len() as u64).to_le_bytes())?;
        self.file.write_all(&bytes)?;
        self.write_at += 8 + bytes.len() as u64;
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

impl Reader {
    /// The next batch, `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, EdgeError> {
        loop {
            {
                let mut queue = self.shared.lock();
                match queue.pop() {
                    Ok(Some(batch)) => return Ok(Some(batch)),
                    Ok(None) => {}
                    Err(error) => return Err(EdgeError::Aborted(format!("reading what was spilled: {error}"))),
                }
                if let Some(end) = &queue.ended {
                    return end.clone().map(|()| None);
                }
            }
            self.shared.news.notified().await;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.lock().reader_gone = true;
    }
}
