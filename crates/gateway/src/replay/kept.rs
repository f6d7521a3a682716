//! Answers that are kept, and how one is recorded while it streams past.
//!
//! Only a complete answer with a 2xx status other than 206 and a body of at most 64 KiB is kept: a part of it was asked for
//! by a field that nobody signs. Nor is one to HEAD, which leaves out what a GET with the same signature wants. What is kept is a copy made to
//! measure: a header value or a chunk as it came from the wire is a slice of a read buffer, and keeping the slice
//! would keep the whole buffer, a thousand times what the budget was charged.
//!
//! **`Set-Cookie` is left out of the copy.** A kept answer goes to whoever presents the same signed request, and
//! that may be somebody who captured it; a session cookie would be a key to more than this answer. Not keeping
//! such answers at all would be worse: the repeat would be forwarded, act a second time, and earn a new cookie.
//! The price is small: Twilio by itself comes again only when it could not connect, and then there was no first.
//!
//! **An answer with a `<Redirect>` is not kept either.** It may lead back to its own URL, with the same fields and so
//! the same signature: given again, it would lead there for ever, and each round could send a message. The request
//! that it leads to is forwarded, as a repeat of one whose answer is not kept. So is one whose answer is encoded and
//! cannot be looked into.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::StatusCode;
use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, TRAILER,
    TRANSFER_ENCODING,
};
use http_body::{Body, Frame, SizeHint};
use memchr::memmem;

use super::Ticket;

/// The largest body that is kept, in bytes.
pub(crate) const MAX_KEPT_BODY: usize = 64 * 1024;

/// The most that names and values of a kept answer's headers may add up to, in bytes.
pub(crate) const MAX_KEPT_HEADERS: usize = 16 * 1024;

/// Whether an answer of this kind, with a body of `length` bytes, is kept.
pub(crate) fn keepable(status: StatusCode, headers: &HeaderMap, length: u64) -> bool {
    status.is_success()
        && status != StatusCode::PARTIAL_CONTENT
        && !headers.contains_key(CONTENT_ENCODING)
        && length <= MAX_KEPT_BODY as u64
        && kept_headers(headers).map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
            <= MAX_KEPT_HEADERS
}

/// A complete answer, to be given again: one allocation of exactly its size, since tens of thousands lie in memory
/// and nearly all of them are only ever thrown away. The head is packed before the body:
///
/// ```text
/// status  2 bytes
/// fields  for each: length of its name (2), length of its value (2), name, value
/// body    from `body_start` to the end
/// ```
#[derive(Debug, Clone)]
pub(crate) struct KeptAnswer {
    packed: Bytes,
    body_start: usize,
}

impl KeptAnswer {
    /// Copies a whole answer at once, for tests, or gives `None` if it is not [`keepable`].
    #[cfg(test)]
    pub(crate) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        keepable(status, headers, body.len() as u64).then(|| {
            let mut draft = Draft::new(status, headers, body.len());
            draft.packed.extend_from_slice(body);
            draft.finish()
        })
    }

    /// The status, always 2xx.
    pub(crate) fn status(&self) -> StatusCode {
        let status = self.packed.first_chunk().copied().map(u16::from_be_bytes);
        status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK)
    }

    /// The headers, without `Set-Cookie`, `Content-Length`, `Transfer-Encoding`, `Connection` and `Trailer`.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut at = 2;
        while at < self.body_start {
            let (name, value) = self.lengths(at);
            let (name_start, value_start) = (at + 4, at + 4 + name);
            at = value_start + value;
            // What was a header is one again: neither fails.
            let name = HeaderName::from_bytes(&self.packed[name_start..value_start]);
            let value = HeaderValue::from_maybe_shared(self.packed.slice(value_start..at));
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.append(name, value);
            }
        }
        headers
    }

    /// The whole body, without a copy.
    pub(crate) fn body(&self) -> Bytes {
        self.packed.slice(self.body_start..)
    }

    /// What this answer takes of the budget: its bytes, a word of the allocator's, and the shared count that is made
    /// when it is first given again.
    pub(super) fn bytes(&self) -> usize {
        self.packed.len() + 16 + 48
    }

    fn lengths(&self, at: usize) -> (usize, usize) {
        let length = |at: usize| usize::from(u16::from_be_bytes([self.packed[at], self.packed[at + 1]]));
        (length(at), length(at + 2))
    }
}

/// An answer that is being packed.
#[derive(Debug)]
struct Draft {
    packed: Vec<u8>,
    body_start: usize,
}

impl Draft {
    /// Packs the head of a [`keepable`] answer, and makes room for a body of this length.
    fn new(status: StatusCode, headers: &HeaderMap, body_length: usize) -> Self {
        let fields = kept_headers(headers).map(|(name, value)| 4 + name.as_str().len() + value.len());
        let body_start = 2 + fields.sum::<usize>();
        let mut packed = Vec::with_capacity(body_start + body_length);
        packed.extend_from_slice(&status.as_u16().to_be_bytes());
        for (name, value) in kept_headers(headers) {
            let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
            for length in [name.len(), value.len()] {
                // `keepable` holds all of them together under 16 KiB.
                packed.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
            }
            packed.extend_from_slice(name);
            packed.extend_from_slice(value);
        }
        Self { packed, body_start }
    }

    /// Whether it may lead to another request with the same signature: TwiML of messages has no other verb that does.
    fn leads_on(&self) -> bool {
        memmem::find(&self.packed[self.body_start..], b"<Redirect").is_some()
    }

    fn finish(self) -> KeptAnswer {
        KeptAnswer { packed: Bytes::from(self.packed.into_boxed_slice()), body_start: self.body_start }
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

impl Recording {
    /// Begins with the head of the answer, after its hop-by-hop headers were removed.
    pub(crate) fn new(ticket: Ticket, keep: Keep, status: StatusCode, headers: &HeaderMap) -> Self {
        if !status.is_success() {
            ticket.fail();
            return Self { open: None };
        }
        let expected = content_length(headers);
        let length = expected.unwrap_or(0);
        let copy = (keep == Keep::Answer && keepable(status, headers, length))
            .then(|| Draft::new(status, headers, usize::try_from(length).unwrap_or(0)));
        Self { open: Some(Open { ticket, copy, expected, received: 0 }) }
    }

    /// Takes the next piece of the body. When `Content-Length` is reached the answer is complete, without a
    /// word from [`end`](Self::end): a server may drop a body as soon as it has all of it.
    pub(crate) fn data(&mut self, piece: &[u8]) {
        let Some(open) = &mut self.open else { return };
        open.received += piece.len() as u64;
        if let Some(copy) = &mut open.copy {
            if copy.packed.len() - copy.body_start + piece.len() <= MAX_KEPT_BODY {
                copy.packed.extend_from_slice(piece);
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
        let kept = open.copy.filter(|copy| !copy.leads_on()).map(Draft::finish);
        open.ticket.complete(kept);
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

impl<B> Recorder<B> {
    /// Whether nothing that is still to come changes what is remembered.
    pub(crate) fn is_settled(&self) -> bool {
        self.recording.open.is_none()
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

/// `None` also for a length that is no number: the end of the stream decides then.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
