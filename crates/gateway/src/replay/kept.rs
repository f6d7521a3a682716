//! Answers that are kept, and how one is recorded while it streams past.
//!
//! Only a complete answer with a 2xx status and a body of at most 64 KiB is kept. What is kept is a copy made to
//! measure: a header value or a chunk as it came from the wire is a slice of a read buffer, and keeping the slice
//! would keep the whole buffer, a thousand times what the budget was charged.
//!
//! **`Set-Cookie` is left out of the copy.** A kept answer goes to whoever presents the same signed request, and
//! that may be somebody who captured it; a session cookie would be a key to more than this answer. Not keeping
//! such answers at all would be worse: the repeat would be forwarded, act a second time, and earn a new cookie.
//! The price is small: Twilio by itself comes again only when it could not connect, and then there was no first.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, TRAILER, TRANSFER_ENCODING,
};
use http_body::{Body, Frame, SizeHint};

use super::Ticket;

/// The largest body that is kept, in bytes.
pub(crate) const MAX_KEPT_BODY: usize = 64 * 1024;

/// The most that names and values of a kept answer's headers may add up to, in bytes.
pub(crate) const MAX_KEPT_HEADERS: usize = 16 * 1024;

/// Whether an answer of this kind, with a body of `length` bytes, is kept.
pub(crate) fn keepable(status: StatusCode, headers: &HeaderMap, length: u64) -> bool {
    status.is_success()
        && length <= MAX_KEPT_BODY as u64
        && kept_headers(headers).map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
            <= MAX_KEPT_HEADERS
}

/// A complete answer, to be given again.
#[derive(Debug)]
pub(crate) struct KeptAnswer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    bytes: usize,
}

impl KeptAnswer {
    /// Copies a whole answer at once, for tests, or gives `None` if it is not [`keepable`].
    ///
    /// Left out are `Set-Cookie` (see the module) and the headers of one connection's framing, which are made
    /// anew for each answer.
    #[cfg(test)]
    pub(crate) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        keepable(status, headers, body.len() as u64)
            .then(|| Self::assemble(status, copy_headers(headers), Box::from(body)))
    }

    /// The status, always 2xx.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers, without `Set-Cookie`, `Content-Length`, `Transfer-Encoding`, `Connection` and `Trailer`.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The whole body; a clone costs no copy.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// What this answer takes of the budget.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn assemble(status: StatusCode, headers: HeaderMap, body: Box<[u8]>) -> Self {
        let bytes = SHARED_BYTES + header_bytes(&headers) + body.len();
        Self { status, headers, body: Bytes::from(body), bytes }
    }
}

/// What a route needs of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The answer itself, to give it again.
    Answer,
    /// Only that there was a good one: the route refuses repeats.
    Fact,
}

/// Collects one answer piece by piece, and settles the ticket: completed when the answer ended cleanly, failed
/// when its status is not 2xx (at once), when it was cut short, or when the recording is dropped.
#[derive(Debug)]
pub(crate) struct Recording {
    /// `None` once settled.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    ticket: Ticket,
    /// `None` where the answer is not kept, or has grown too large for it.
    copy: Option<Draft>,
    /// From `Content-Length`, where there is one.
    expected: Option<u64>,
    received: u64,
}

#[derive(Debug)]
struct Draft {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Recording {
    /// Begins with the head of the answer, after its hop-by-hop headers were removed.
    pub(crate) fn new(ticket: Ticket, keep: Keep, status: StatusCode, headers: &HeaderMap) -> Self {
        if !status.is_success() {
            ticket.fail();
            return Self { open: None };
        }
        let expected = content_length(headers);
        let copy =
            (keep == Keep::Answer && keepable(status, headers, expected.unwrap_or(0))).then(|| Draft {
                status,
                headers: copy_headers(headers),
                body: Vec::with_capacity(
                    expected.and_then(|length| usize::try_from(length).ok()).unwrap_or(0),
                ),
            });
        Self { open: Some(Open { ticket, copy, expected, received: 0 }) }
    }

    /// Takes the next piece of the body. When `Content-Length` is reached the answer is complete, without a
    /// word from [`end`](Self::end): a server may drop a body as soon as it has all of it.
    pub(crate) fn data(&mut self, piece: &[u8]) {
        let Some(open) = &mut self.open else { return };
        open.received += piece.len() as u64;
        if let Some(copy) = &mut open.copy {
            if copy.body.len() + piece.len() <= MAX_KEPT_BODY {
                copy.body.extend_from_slice(piece);
            } else {
                open.copy = None;
            }
        }
        if open.expected.is_some_and(|length| open.received >= length) {
            self.end();
        }
    }

    /// The body has ended as its framing says it should. An end before `Content-Length` is a failure.
    pub(crate) fn end(&mut self) {
        let Some(open) = self.open.take() else { return };
        if open.expected.is_some_and(|length| open.received != length) {
            open.ticket.fail();
            return;
        }
        open.ticket.complete(
            open.copy
                .map(|copy| KeptAnswer::assemble(copy.status, copy.headers, copy.body.into_boxed_slice())),
        );
    }

    /// The body broke off: nothing is remembered.
    pub(crate) fn fail(&mut self) {
        self.open = None;
    }

    /// The answer is more than head and body, so it cannot be given again: only the fact is remembered.
    fn drop_copy(&mut self) {
        if let Some(open) = &mut self.open {
            open.copy = None;
        }
    }
}

/// A body that passes through unchanged while a [`Recording`] is made of it.
#[derive(Debug)]
pub(crate) struct Recorder<B> {
    body: B,
    recording: Recording,
}

impl<B: Body<Data = Bytes>> Recorder<B> {
    /// Wraps the body of an answer whose head `recording` was made from.
    pub(crate) fn new(mut recording: Recording, body: B) -> Self {
        if body.is_end_stream() {
            recording.end();
        }
        Self { body, recording }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Recorder<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Self { body, recording } = self.get_mut();
        let polled = ready!(Pin::new(&mut *body).poll_frame(context));
        match &polled {
            None => recording.end(),
            Some(Err(_)) => recording.fail(),
            Some(Ok(frame)) => {
                match frame.data_ref() {
                    Some(data) => recording.data(data),
                    None => recording.drop_copy(),
                }
                // A server that sees this asks no more, so there will be no `None` to go by.
                if body.is_end_stream() {
                    recording.end();
                }
            }
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn kept_headers(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    const LEFT_OUT: [HeaderName; 5] = [SET_COOKIE, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, TRAILER];
    headers.iter().filter(|(name, _)| !LEFT_OUT.contains(name))
}

/// Copies all values into one buffer of exactly their size.
fn copy_headers(headers: &HeaderMap) -> HeaderMap {
    let mut values = BytesMut::with_capacity(kept_headers(headers).map(|(_, value)| value.len()).sum());
    let mut copy = HeaderMap::with_capacity(headers.keys_len());
    for (_, value) in kept_headers(headers) {
        values.extend_from_slice(value.as_bytes());
    }
    let mut values = values.freeze();
    for (name, value) in kept_headers(headers) {
        // What was a header value is one again: this never fails.
        if let Ok(value) = HeaderValue::from_maybe_shared(values.split_to(value.len())) {
            copy.append(name.clone(), value);
        }
    }
    copy
}

/// `None` also for a length that is no number: the end of the stream decides then.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The answer itself behind its `Arc`, and for each of its four allocations (this, header table, header values,
/// body) a word of the allocator's and one shared count.
const SHARED_BYTES: usize = size_of::<KeptAnswer>() + 16 + 4 * (16 + 32);

/// A header map keeps a place for each header it could take, 4/3 as many index words, and the text. A name that
/// is not in a standard is an allocation with a shared count of its own; all are charged as such.
fn header_bytes(headers: &HeaderMap) -> usize {
    const PLACE: usize = size_of::<HeaderName>() + size_of::<HeaderValue>() + 32;
    const NAME: usize = 80;
    let repeated = headers.len() - headers.keys_len();
    let text: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    headers.capacity() * (PLACE + 8) + headers.keys_len() * NAME + repeated * 2 * PLACE + text
}
