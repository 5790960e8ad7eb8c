//! The thread that compresses and writes what another encodes.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use flate2::write::GzEncoder;
use sallyport_dataplane::Progress;
use sallyport_protocol::FailureKind;
use sha2::{Digest, Sha256};

use super::settings::Compression;
use super::write_back::WriteBack;
use crate::Error;
use crate::part::write_failed;

/// Large enough that system calls do not count, small enough for the processor's cache.
pub(super) const BLOCK_BYTES: usize = 1 << 20;

/// Blocks between the two threads: one is encoded, one is written, one waits.
const BLOCKS_MAX: usize = 2;

const ZSTD_LEVEL: i32 = 3;

/// The encoding thread's end.
pub(super) struct Outflow {
    full: Option<SyncSender<Vec<u8>>>,
    empty: Receiver<Vec<u8>>,
    thread: Option<JoinHandle<io::Result<Contents>>>,
    path: PathBuf,
}

impl Outflow {
    pub(super) fn start(file: File, compression: Compression, counted: Counting, path: &Path) -> Result<Self, Error> {
        let (full, blocks) = sync_channel(BLOCKS_MAX);
        // As many as can ever be on their way back.
        let (back, empty) = sync_channel(BLOCKS_MAX + 2);
        let file = Counted::new(file, counted);
        let thread = std::thread::Builder::new().name("file-writer".to_owned());
        let thread = thread.spawn(move || write_blocks(file, compression, &blocks, &back));
        let thread = thread
            .map_err(|error| Error::transient(FailureKind::Runtime, "thread", format!("starting a thread: {error}")))?;
        Ok(Self { full: Some(full), empty, thread: Some(thread), path: path.to_owned() })
    }

    /// Hands a block over and gives an empty one.
    pub(super) fn put(&mut self, block: Vec<u8>) -> Result<Vec<u8>, Error> {
        let sent = self.full.as_ref().is_some_and(|full| full.send(block).is_ok());
        if !sent {
            let ended = self.end().err();
            return Err(ended.unwrap_or_else(|| write_failed(&self.path, &io::Error::other("the writer ended early"))));
        }
        Ok(self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 8)))
    }

    /// Hands the last block over and waits until all is written.
    pub(super) fn finish(&mut self, last: Vec<u8>) -> Result<Contents, Error> {
        self.put(last)?;
        self.end()
    }

    fn end(&mut self) -> Result<Contents, Error> {
        self.full = None;
        let Some(thread) = self.thread.take() else { return Ok(Contents::default()) };
        match thread.join() {
            Ok(Ok(contents)) => Ok(contents),
            Ok(Err(error)) => Err(write_failed(&self.path, &error)),
            Err(_) => Err(Error::permanent(FailureKind::Runtime, "panic", "the thread that writes the file panicked")),
        }
    }
}

/// An abandoned file's writer must be gone before the file is removed.
impl Drop for Outflow {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn write_blocks(
    file: Counted,
    compression: Compression,
    blocks: &Receiver<Vec<u8>>,
    back: &SyncSender<Vec<u8>>,
) -> io::Result<Contents> {
    match compression {
        Compression::None | Compression::Snappy => pass(file, blocks, back)?.finish(),
        Compression::Gzip => pass(GzEncoder::new(file, flate2::Compression::new(6)), blocks, back)?.finish()?.finish(),
        Compression::Zstd => pass(zstd::Encoder::new(file, ZSTD_LEVEL)?, blocks, back)?.finish()?.finish(),
    }
}

fn pass<W: Write>(mut writer: W, blocks: &Receiver<Vec<u8>>, back: &SyncSender<Vec<u8>>) -> io::Result<W> {
    for mut block in blocks {
        writer.write_all(&block)?;
        block.clear();
        // One large value must not leave every block large. An encoder that has ended needs no more blocks.
        if block.capacity() <= 2 * BLOCK_BYTES {
            let _ = back.try_send(block);
        }
    }
    Ok(writer)
}

/// How the bytes of a file are counted.
#[derive(Clone)]
pub(super) struct Counting {
    pub(super) progress: Arc<Progress>,
    /// Whether their digest is wanted.
    pub(super) digest: bool,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) bytes: u64,
    /// In hexadecimal, where it was wanted.
    pub(super) sha256: Option<String>,
}

/// Counts the bytes that are written, and has them reach the disk early.
pub(super) struct Counted {
    file: File,
    progress: Arc<Progress>,
    bytes: u64,
    digest: Option<Sha256>,
    write_back: WriteBack,
}

impl Counted {
    pub(super) fn new(file: File, counting: Counting) -> Self {
        let Counting { progress, digest } = counting;
        Self { file, progress, bytes: 0, digest: digest.then(Sha256::new), write_back: WriteBack::default() }
    }

    /// Nothing more will be written.
    pub(super) fn finish(mut self) -> io::Result<Contents> {
        self.file.flush()?;
        self.write_back.finish()?;
        let hexadecimal = |digest: Sha256| digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Contents { bytes: self.bytes, sha256: self.digest.map(hexadecimal) })
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.progress.add_bytes(written as u64);
        self.bytes += written as u64;
        if let Some(digest) = &mut self.digest {
            digest.update(&bytes[..written]);
        }
        self.write_back.wrote(&self.file, written)?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
