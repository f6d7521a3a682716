//! An answer's body: whole where it came with the head, else streamed as it arrives.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::chunked::{Decoder, Step};
use super::connection::{Connection, READ_SIZE, Sending};
use super::error::{Stage, UpstreamError};
use super::head::Keep;
use super::{Client, UpstreamAddress};

/// The most that is read at once of a body whose length is known.
const LARGE_READ_SIZE: usize = 64 * 1024;

/// The body of an upstream's answer.
///
/// A clean end (`None`) is a promise that the whole body was there: a connection that breaks before is an error, in
/// the bounds of what the framing can tell. When it ends cleanly the connection is kept for the next exchange; when
/// it is dropped before, the connection is closed.
#[derive(Debug)]
pub struct AnswerBody(State);

#[derive(Debug)]
enum State {
    /// Everything that is still to come; after that, the end.
    Whole(Bytes),
    Streaming(Box<Streaming>),
}

/// A body that is still arriving.
#[derive(Debug)]
pub(super) struct Streaming {
    pub(super) client: Client,
    pub(super) address: UpstreamAddress,
    pub(super) connection: Connection,
    pub(super) keep: Keep,
    pub(super) rest: Rest,
    /// Decoded already, to be given first.
    pub(super) ready: Bytes,
    /// What the upstream has not read of the request, though it has begun to answer. It may need it to go on.
    pub(super) unsent: Bytes,
    pub(super) sending: Sending,
    /// Until when the next piece must come; set when the waiting begins.
    pub(super) pause_ends: Option<Instant>,
}

/// What is known of the part of the body that is not yet read.
#[derive(Debug)]
pub(super) enum Rest {
    Length(u64),
    Chunked(Decoder),
    UntilClose,
}

/// What the buffer holds for the reader.
enum Found {
    Data(Bytes),
    /// The last data, and after it the end.
    LastData(Bytes),
    End,
    Nothing,
}

impl AnswerBody {
    /// The body, if all of it is here already: always for an answer that came in one piece.
    pub fn as_whole(&self) -> Option<&Bytes> {
        match &self.0 {
            State::Whole(bytes) => Some(bytes),
            State::Streaming(_) => None,
        }
    }

    /// Whether only the end of the connection will say that the body has ended, so that a cut one looks whole.
    pub fn ends_by_close(&self) -> bool {
        matches!(&self.0, State::Streaming(streaming) if matches!(streaming.rest, Rest::UntilClose))
    }

    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self(State::Whole(bytes))
    }

    pub(super) fn streaming(streaming: Streaming) -> Self {
        Self(State::Streaming(Box::new(streaming)))
    }

    /// Leaves the streaming state. After a clean end the connection is kept, else it is closed.
    fn conclude(&mut self, clean: bool) {
        let State::Streaming(streaming) = std::mem::replace(&mut self.0, State::Whole(Bytes::new())) else {
            return;
        };
        let Streaming { client, address, connection, sending, unsent, .. } = *streaming;
        if clean && sending.sent == unsent.len() {
            client.give_back(&address, connection, streaming.keep);
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let found = match &mut self.0 {
            State::Whole(bytes) if bytes.is_empty() => return Poll::Ready(None),
            State::Whole(bytes) => return Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            State::Streaming(streaming) => ready!(streaming.poll_next(context)),
        };
        Poll::Ready(match found {
            Ok(Found::Data(data)) => Some(Ok(Frame::data(data))),
            Ok(Found::LastData(data)) => {
                // Not at the next call: a reader that knows the length never makes it.
                self.conclude(true);
                Some(Ok(Frame::data(data)))
            }
            Ok(Found::End | Found::Nothing) => {
                self.conclude(true);
                None
            }
            Err(error) => {
                self.conclude(false);
                Some(Err(error))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, State::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            State::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            State::Streaming(streaming) => match streaming.rest {
                Rest::Length(left) => SizeHint::with_exact(left),
                Rest::Chunked(_) | Rest::UntilClose => SizeHint::default(),
            },
        }
    }
}

impl Streaming {
    /// The next data or the end; never `Found::Nothing`.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Found, UpstreamError>> {
        if !self.ready.is_empty() {
            return Poll::Ready(Ok(Found::Data(std::mem::take(&mut self.ready))));
        }
        loop {
            match self.find_in_buffer()? {
                Found::Nothing => {}
                found => {
                    self.pause_ends = None;
                    return Poll::Ready(Ok(found));
                }
            }
            match ready!(self.poll_more(context)) {
                Ok(0) if matches!(self.rest, Rest::UntilClose) => return Poll::Ready(Ok(Found::End)),
                Ok(0) => return Poll::Ready(Err(UpstreamError::AnswerCutShort(None))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<Result<usize, UpstreamError>> {
        let connection = &mut self.connection;
        let room = match self.rest {
            Rest::Length(left) => {
                usize::try_from(left).map_or(LARGE_READ_SIZE, |left| left.min(LARGE_READ_SIZE))
            }
            Rest::Chunked(_) | Rest::UntilClose => READ_SIZE,
        };
        match connection.poll_more(context, (&[], &self.unsent), &mut self.sending, room) {
            Poll::Ready(read) => {
                Poll::Ready(read.map_err(|error| UpstreamError::AnswerCutShort(Some(error))))
            }
            Poll::Pending => {
                let pause_max = self.client.pool.settings().body_pause_max;
                let deadline = *self.pause_ends.get_or_insert_with(|| Instant::now() + pause_max);
                ready!(connection.poll_alarm(context, deadline));
                Poll::Ready(Err(UpstreamError::TimedOut(Stage::Body)))
            }
        }
    }

    fn find_in_buffer(&mut self) -> Result<Found, UpstreamError> {
        let buffer = &mut self.connection.buffer;
        match &mut self.rest {
            Rest::Length(0) => Ok(Found::End),
            Rest::Length(_) | Rest::UntilClose if buffer.is_empty() => Ok(Found::Nothing),
            Rest::UntilClose => Ok(Found::Data(buffer.split().freeze())),
            Rest::Length(left) => {
                let taken = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
                *left -= taken as u64;
                let data = buffer.split_to(taken).freeze();
                Ok(if *left == 0 { Found::LastData(data) } else { Found::Data(data) })
            }
            Rest::Chunked(decoder) => loop {
                match decoder.step(buffer)? {
                    Step::NeedMore => return Ok(Found::Nothing),
                    Step::Skip(length) => buffer.advance(length),
                    Step::Data(length) => return Ok(Found::Data(buffer.split_to(length).freeze())),
                    Step::End => return Ok(Found::End),
                }
            },
        }
    }
}
