//! A connection that is read one line at a time.
//!
//! Whoever sits in the network can append lines of their own to the server's answer to `STARTTLS`. A reader with a buffer
//! would keep them across the handshake and take them for answers that came encrypted: that the mail was taken, for
//! example. Where no more than a line is handed out at a time, what was appended is still in the connection when the
//! handshake begins, and breaks it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP connection whose reads end at a line feed at the latest.
#[derive(Debug)]
pub(super) struct LineStream {
    inner: TcpStream,
    /// What was received and not handed out yet.
    pending: Vec<u8>,
}

impl LineStream {
    pub(super) const fn new(inner: TcpStream) -> Self {
        Self { inner, pending: Vec::new() }
    }
}

impl AsyncRead for LineStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.pending.is_empty() {
            let mut chunk = [0; 2048];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.inner).poll_read(context, &mut chunk))?;
            self.pending.extend_from_slice(chunk.filled());
        }
        let line =
            self.pending.iter().position(|byte| *byte == b'\n').map_or(self.pending.len(), |at| at + 1);
        let line = line.min(buffer.remaining());
        buffer.put_slice(&self.pending[..line]);
        self.pending.drain(..line);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for LineStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl AsyncTokioStream for LineStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr()
    }
}
