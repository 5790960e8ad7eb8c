//! Reads ahead of a TLS library that asks for 4 KiB at a time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::bulk::{Room, Sizes};

/// Bytes read at once while they flow.
const AHEAD: Sizes = Sizes { few: 64 * 1024, many: 64 * 1024, bulk: 256 * 1024 };

/// A read of fewer says that they do not.
const FEW_BYTES: usize = 4 * 1024;

/// A socket whose bulk is read in large pieces; one at rest holds no buffer.
#[derive(Debug)]
pub struct Ahead<S> {
    socket: S,
    buffer: BytesMut,
    room: Room,
    flows: bool,
}

impl<S> Ahead<S> {
    /// Over a socket that nothing was read from.
    pub fn new(socket: S) -> Self {
        Self { socket, buffer: BytesMut::new(), room: Room::new(AHEAD), flows: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Ahead<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.buffer.is_empty() {
            let wanted = to.remaining();
            if !this.flows || wanted >= AHEAD.many {
                let before = to.filled().len();
                ready!(Pin::new(&mut this.socket).poll_read(cx, to))?;
                this.flows = to.filled().len() - before == wanted;
                if !this.flows {
                    this.room.rest();
                }
                return Poll::Ready(Ok(()));
            }
            this.buffer.reserve(this.room.bytes());
            let room = this.buffer.capacity();
            match tokio_util::io::poll_read_buf(Pin::new(&mut this.socket), cx, &mut this.buffer) {
                Poll::Ready(read) => {
                    let read = read?;
                    this.flows = read >= FEW_BYTES;
                    if this.flows { this.room.note(read == room) } else { this.room.rest() }
                }
                Poll::Pending => {
                    // Nothing comes right now: the next bytes may be few.
                    (this.buffer, this.flows) = (BytesMut::new(), false);
                    return Poll::Pending;
                }
            }
        }
        let count = this.buffer.len().min(to.remaining());
        to.put_slice(&this.buffer[..count]);
        this.buffer.advance(count);
        if this.buffer.is_empty() && !this.flows {
            this.buffer = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ahead<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn every_byte_comes_in_order_in_whatever_pieces() {
        let (mut to, from) = tokio::io::duplex(100_000);
        let mut ahead = Ahead::new(from);
        let sent: Vec<u8> = (0..1_000_000_u32).map(|index| (index % 251) as u8).collect();
        let whole = sent.clone();
        let write = async move {
            to.write_all(&whole[..100]).await.unwrap();
            to.write_all(&whole[100..]).await.unwrap();
        };
        let read = async {
            let mut got = Vec::new();
            let mut piece = [0; 4096];
            loop {
                match ahead.read(&mut piece).await.unwrap() {
                    0 => return got,
                    count => got.extend_from_slice(&piece[..count]),
                }
            }
        };
        let ((), got) = tokio::join!(write, read);
        assert!(got == sent);
        assert_eq!(ahead.buffer.capacity(), 0, "a buffer is kept at rest");
    }
}
