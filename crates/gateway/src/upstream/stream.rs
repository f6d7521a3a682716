//! The bytes of a connection to an upstream, in clear or over TLS.

use std::fmt;
use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::coop::unconstrained;
use tokio_rustls::client::TlsStream;

use crate::tls::Validity;

/// A connection to an upstream.
#[derive(Debug)]
pub enum Stream {
    /// In clear.
    Plain(TcpStream),
    /// Over TLS, with an upstream that has proved who it is.
    Tls(Box<OverTls>),
}

/// A connection over TLS. When it is dropped it tells the other side, which could not know otherwise whether it was cut.
pub struct OverTls(TlsStream<Counted>);

/// A connection that counts what it handed to the network: TLS takes bytes before they leave.
#[derive(Debug)]
pub(super) struct Counted {
    tcp: TcpStream,
    written: u64,
}

impl Stream {
    /// The socket below.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &tls.0.get_ref().0.tcp,
        }
    }

    /// When the certificate is valid that the other side has shown; none in clear, or where that cannot be read.
    pub(super) fn validity(&self) -> Option<Validity> {
        let Self::Tls(tls) = self else { return None };
        Validity::of(tls.0.get_ref().1.peer_certificates()?.first()?)
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Bytes handed to the network so far, where that is not what was written: over TLS.
    pub(super) fn written(&self) -> u64 {
        match self {
            Self::Plain(_) => 0,
            Self::Tls(tls) => tls.0.get_ref().0.written,
        }
    }

    /// Whether nothing has come and nothing waits to leave. What TLS itself sends between requests (tickets, new keys) is read
    /// on the way.
    pub(super) fn is_quiet(&mut self) -> bool {
        let tls = match self {
            // Where nothing has happened on it, tokio knows without a system call.
            Self::Plain(tcp) => {
                return matches!(tcp.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
            }
            Self::Tls(tls) => &mut tls.0,
        };
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        // Nobody waits: whoever uses the connection next will. A task whose turn is over must not find all of them quiet.
        let reading = std::future::poll_fn(|context| Pin::new(&mut *tls).poll_read(context, &mut buffer));
        let read = pin!(unconstrained(reading)).poll(&mut Context::from_waker(Waker::noop()));
        read.is_pending() && !tls.get_ref().1.wants_write()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Self::Tls(tls) => Pin::new(&mut tls.0).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(&mut tls.0).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(context, parts),
            Self::Tls(tls) => Pin::new(&mut tls.0).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // A socket keeps nothing back.
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(&mut tls.0).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(&mut tls.0).poll_shutdown(context),
        }
    }
}

impl OverTls {
    pub(super) fn new(stream: TlsStream<Counted>) -> Self {
        Self(stream)
    }
}

impl Drop for OverTls {
    fn drop(&mut self) {
        let (Counted { tcp, .. }, session) = self.0.get_mut();
        session.send_close_notify();
        // What does not leave at once does not leave: nobody waits for it.
        let _best_effort = session.write_tls(&mut AtOnce(tcp));
    }
}

impl fmt::Debug for OverTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("OverTls").field(&self.0.get_ref().0.tcp).finish()
    }
}

/// Writes what the socket takes without waiting.
struct AtOnce<'a>(&'a TcpStream);

impl io::Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Counted {
    pub(super) fn new(tcp: TcpStream) -> Self {
        Self { tcp, written: 0 }
    }

    fn count(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.written += bytes as u64;
        }
        written
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(context, parts);
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
