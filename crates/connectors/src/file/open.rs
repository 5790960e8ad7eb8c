//! A file as a stream of UTF-8: counted, decompressed, transcoded.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use encoding_rs::{Decoder, Encoding, UTF_8};
use sallyport_dataplane::Progress;

use super::settings::{Compression, Layout};

const BLOCK: usize = 256 * 1024;

/// Blocks between the thread that decompresses and the one that reads.
const BLOCKS_MAX: usize = 2;

/// The largest window (32 MiB) that a zstd file may ask for: what all levels but the `--ultra` ones above 20 use.
const ZSTD_WINDOW_LOG_MAX: u32 = 25;

/// Counts the bytes that are read from the disk.
struct Counted {
    file: File,
    progress: Option<Arc<Progress>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        if let Some(progress) = &self.progress {
            progress.add_bytes(read as u64);
        }
        Ok(read)
    }
}

/// The text of `file`.
pub(super) fn text(file: File, layout: &Layout, progress: Option<Arc<Progress>>) -> io::Result<Box<dyn Read>> {
    let counted = Counted { file, progress };
    let plain: Box<dyn Read> = match layout.compression {
        Compression::None | Compression::Snappy => Box::new(counted),
        Compression::Gzip => {
            Box::new(Ahead::start(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(BLOCK, counted)))?)
        }
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(BufReader::with_capacity(BLOCK, counted))?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(Ahead::start(decoder)?)
        }
    };
    Ok(if layout.encoding == UTF_8 {
        Box::new(WithoutMark::new(plain))
    } else {
        Box::new(Transcoded::new(plain, layout.encoding))
    })
}

/// Decompresses on a thread of its own, while what came before is taken apart.
struct Ahead {
    full: Option<Receiver<io::Result<Vec<u8>>>>,
    back: SyncSender<Vec<u8>>,
    block: Vec<u8>,
    start: usize,
    thread: Option<JoinHandle<()>>,
}

impl Ahead {
    fn start(mut inner: impl Read + Send + 'static) -> io::Result<Self> {
        let (blocks, full) = sync_channel(BLOCKS_MAX);
        // As many as can ever be on their way back.
        let (back, empty) = sync_channel::<Vec<u8>>(BLOCKS_MAX + 2);
        let thread = std::thread::Builder::new().name("file-reader".to_owned()).spawn(move || {
            loop {
                let next = fill(&mut inner, empty.try_recv().unwrap_or_default());
                let last = next.as_ref().map_or(true, Vec::is_empty);
                if blocks.send(next).is_err() || last {
                    return;
                }
            }
        })?;
        Ok(Self { full: Some(full), back, block: Vec::new(), start: 0, thread: Some(thread) })
    }
}

/// The block with the next bytes; empty at the end.
fn fill(inner: &mut impl Read, mut block: Vec<u8>) -> io::Result<Vec<u8>> {
    block.resize(BLOCK, 0);
    let mut filled = 0;
    while filled < BLOCK {
        match inner.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    block.truncate(filled);
    Ok(block)
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.start == self.block.len() {
            let Some(full) = &self.full else { return Ok(0) };
            let next = full.recv().map_err(|_| io::Error::other("the thread that reads the file panicked"))??;
            if next.is_empty() {
                self.full = None;
            }
            // A reader that has ended needs no more blocks.
            let _ = self.back.try_send(std::mem::replace(&mut self.block, next));
            self.start = 0;
        }
        let taken = buffer.len().min(self.block.len() - self.start);
        buffer[..taken].copy_from_slice(&self.block[self.start..self.start + taken]);
        self.start += taken;
        Ok(taken)
    }
}

/// The thread ends with the block it is at.
impl Drop for Ahead {
    fn drop(&mut self) {
        self.full = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Leaves out a byte order mark at the start.
struct WithoutMark {
    inner: Box<dyn Read>,
    head: Option<Vec<u8>>,
}

impl WithoutMark {
    fn new(inner: Box<dyn Read>) -> Self {
        Self { inner, head: None }
    }
}

impl Read for WithoutMark {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let head = match &mut self.head {
            Some(head) => head,
            None => {
                let mut head = Vec::new();
                self.inner.by_ref().take(3).read_to_end(&mut head)?;
                if head == b"\xef\xbb\xbf" {
                    head.clear();
                }
                self.head.insert(head)
            }
        };
        if head.is_empty() {
            return self.inner.read(buffer);
        }
        let taken = head.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&head[..taken]);
        head.drain(..taken);
        Ok(taken)
    }
}

/// Text of another encoding as UTF-8; a byte sequence that the encoding does not have is an error.
struct Transcoded {
    inner: Box<dyn Read>,
    decoder: Decoder,
    input: Vec<u8>,
    start: usize,
    end: usize,
    last: bool,
    done: bool,
    /// Decoded text that did not fit the caller's buffer.
    spare: Vec<u8>,
    spare_start: usize,
}

impl Transcoded {
    fn new(inner: Box<dyn Read>, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_with_bom_removal();
        Self {
            inner,
            decoder,
            input: vec![0; BLOCK],
            start: 0,
            end: 0,
            last: false,
            done: false,
            spare: Vec::new(),
            spare_start: 0,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.spare.resize(BLOCK, 0);
        self.spare_start = 0;
        let mut filled = 0;
        while filled == 0 && !self.done {
            if self.start == self.end && !self.last {
                self.start = 0;
                self.end = self.inner.read(&mut self.input)?;
                self.last = self.end == 0;
            }
            let source = &self.input[self.start..self.end];
            let (result, read, written) =
                self.decoder.decode_to_utf8_without_replacement(source, &mut self.spare, self.last);
            self.start += read;
            filled = written;
            match result {
                encoding_rs::DecoderResult::InputEmpty => self.done = self.last,
                encoding_rs::DecoderResult::OutputFull => {}
                encoding_rs::DecoderResult::Malformed(_, _) => {
                    let why = format!("bytes that are not {}", self.decoder.encoding().name());
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
            }
        }
        self.spare.truncate(filled);
        Ok(())
    }
}

impl Read for Transcoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.spare_start == self.spare.len() {
            self.refill()?;
        }
        let taken = buffer.len().min(self.spare.len() - self.spare_start);
        buffer[..taken].copy_from_slice(&self.spare[self.spare_start..self.spare_start + taken]);
        self.spare_start += taken;
        Ok(taken)
    }
}
