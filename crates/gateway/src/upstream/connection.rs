//! One connection to an upstream: its socket, its read buffer and its alarm clock, all three kept from one exchange
//! to the next so that a request in the steady state allocates none of them.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use super::address::{Host, UpstreamAddress};
use super::error::{Stage, UpstreamError};
use super::stream::Stream;
use super::tls::is_alert;
use crate::tls::Validity;

/// What is read at once at first. Nearly every answer to a webhook, head and body, is far smaller.
pub(super) const READ_SIZE: usize = 16 * 1024;
/// With less room than this left, the buffer is given more before it is read into.
const ROOM_MIN: usize = 4 * 1024;

#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    /// What was read and not yet used.
    pub(super) buffer: BytesMut,
    alarm: Option<Pin<Box<Sleep>>>,
    /// Whether it has carried an exchange before.
    pub(super) reused: bool,
}

/// How far a request is written.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// Bytes handed to the network, or to TLS on their way there.
    pub(super) sent: usize,
    /// Whether some left although writing failed: TLS had taken none of them for good.
    left: bool,
    /// Why no more will be written.
    pub(super) failure: Option<io::Error>,
}

impl Sending {
    /// What is still to be sent is counted from its begin; where that failed already, it stays so.
    pub(super) fn nothing_yet(failure: Option<io::Error>) -> Self {
        Self { sent: 0, left: false, failure }
    }

    /// Whether the other side may have got any of it.
    pub(super) fn has_begun(&self) -> bool {
        self.sent > 0 || self.left
    }
}

impl Connection {
    /// Looks the name up where there is one, and tries each of its addresses in turn until the deadline. Over TLS the first
    /// that takes the connection must also prove to be the upstream.
    pub(super) async fn open(address: &UpstreamAddress, deadline: Instant) -> Result<Self, UpstreamError> {
        let too_late = |_| UpstreamError::TimedOut(Stage::Connecting);
        let port = address.port();
        let stream = match address.host() {
            Host::Address(ip) => {
                let connecting = TcpStream::connect((*ip, port));
                timeout_at(deadline, connecting).await.map_err(too_late)?.map_err(UpstreamError::Connect)?
            }
            Host::Name(name) => {
                let lookup = tokio::net::lookup_host((name.as_str(), port));
                let found = timeout_at(deadline, lookup).await.map_err(too_late)?;
                let addresses: Vec<_> = found.map_err(UpstreamError::Lookup)?.collect();
                connect_to_any(&addresses, deadline).await?
            }
        };
        // A request is one write, and nothing is gained by holding back the tail of a long one.
        stream.set_nodelay(true).map_err(UpstreamError::Connect)?;
        let stream = match address.tls() {
            None => Stream::Plain(stream),
            // A handshake is large; requests in clear do not carry the room for it about.
            Some(tls) => Stream::Tls(Box::new(Box::pin(tls.handshake(stream, deadline)).await?)),
        };
        Ok(Self { stream, buffer: BytesMut::new(), alarm: None, reused: false })
    }

    /// When the certificate is valid that the other side has shown.
    pub(super) fn validity(&self) -> Option<Validity> {
        self.stream.validity()
    }

    /// Whether an idle connection is still open and silent. A byte nobody asked for is as bad as an end: it would be read as
    /// the next request's answer.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.buffer.is_empty() && self.stream.is_quiet()
    }

    /// Makes room as for a first read. The room was allocated long ago, as a rule.
    pub(super) fn prepare(&mut self) {
        self.buffer.clear();
        self.buffer.reserve(READ_SIZE);
    }

    /// Takes the connection apart for another protocol; what was read goes with it.
    pub(super) fn into_parts(self) -> (Stream, BytesMut) {
        (self.stream, self.buffer)
    }

    /// Writes what it can of `first` and `second`, and reads what there is: the number of bytes, 0 at the end.
    ///
    /// Both at once, since an upstream may answer before it has read everything, and one that refuses a large body
    /// often stops reading. So a failed write is no failure yet: the answer that explains it may lie there already.
    /// Only where nothing was written at all can nothing have been answered, but for an alert of TLS.
    pub(super) fn poll_more(
        &mut self,
        context: &mut Context<'_>,
        (first, second): (&[u8], &[u8]),
        sending: &mut Sending,
        room: usize,
    ) -> Poll<io::Result<usize>> {
        while sending.failure.is_none() && sending.sent < first.len() + second.len() {
            let rest_of_first = first.get(sending.sent..).unwrap_or_default();
            let rest_of_second = &second[sending.sent.saturating_sub(first.len())..];
            let written_before = self.stream.written();
            match self.poll_write(context, rest_of_first, rest_of_second) {
                Poll::Ready(Ok(written)) => sending.sent += written,
                Poll::Ready(Err(error)) => {
                    sending.left = self.stream.written() > written_before;
                    // An alert may lie there even so.
                    if !sending.has_begun() && !self.stream.is_tls() {
                        return Poll::Ready(Err(error));
                    }
                    sending.failure = Some(error);
                }
                Poll::Pending => break,
            }
        }
        // TLS may hold back what it took.
        if sending.failure.is_none()
            && let Poll::Ready(Err(error)) = Pin::new(&mut self.stream).poll_flush(context)
        {
            sending.failure = Some(error);
        }
        match ready!(self.poll_read(context, room)) {
            // An alert says why the other side took no more.
            Err(alert) if is_alert(&alert) => Poll::Ready(Err(alert)),
            Ok(0) | Err(_) if sending.failure.is_some() => {
                // The first thing that went wrong says more than the end that follows from it.
                Poll::Ready(sending.failure.take().map_or(Ok(0), Err))
            }
            read => Poll::Ready(read),
        }
    }

    /// Ready once `deadline` has passed.
    ///
    /// The timer is left in the wheel when an answer comes in time, which is always: the next exchange's deadline is
    /// later, so the old one rings at most once in a whole timeout and is then set anew. A timer set and removed for
    /// each request would cost more than it guards, and where it is the wheel's first, a system call to wake the driver.
    pub(super) fn poll_alarm(&mut self, context: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if alarm.deadline() > deadline {
            alarm.as_mut().reset(deadline);
        }
        loop {
            ready!(alarm.as_mut().poll(context));
            if alarm.deadline() >= deadline {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline);
        }
    }

    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        let written = match (first, second) {
            ([], only) | (only, []) => ready!(stream.poll_write(context, only))?,
            both => {
                let parts = [IoSlice::new(both.0), IoSlice::new(both.1)];
                ready!(stream.poll_write_vectored(context, &parts))?
            }
        };
        Poll::Ready(if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) })
    }

    fn poll_read(&mut self, context: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        if self.buffer.capacity() - self.buffer.len() < room.min(ROOM_MIN) {
            self.buffer.reserve(room);
        }
        pin!(self.stream.read_buf(&mut self.buffer)).poll(context)
    }
}

/// Each address gets an equal share of the time left, so that a first one that swallows packets (IPv6 without a
/// route, say) does not use up the time of the second.
async fn connect_to_any(
    addresses: &[std::net::SocketAddr],
    deadline: Instant,
) -> Result<TcpStream, UpstreamError> {
    let mut failure =
        UpstreamError::Lookup(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    for (tried, address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let share: Duration = deadline.saturating_duration_since(now) / left;
        match timeout_at(now + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = UpstreamError::Connect(error),
            Err(_) => failure = UpstreamError::TimedOut(Stage::Connecting),
        }
    }
    Err(failure)
}
