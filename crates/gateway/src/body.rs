//! The body of a request, read whole before anything is decided: within its route's cap, within its time, and within
//! the memory that all unfinished bodies share, since whoever sends them is not known yet.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::reason::Reason;

/// What a body may take.
pub(crate) struct BodyBound<'a> {
    /// Bytes of this body.
    pub(crate) cap: usize,
    /// When it must be whole.
    pub(crate) deadline: Instant,
    /// Whether a body over the cap may be read on and thrown away.
    pub(crate) may_discard: bool,
    /// Bytes of all bodies that arrive in more than one piece, and how many there may be: whoever sends them is
    /// not known yet.
    pub(crate) memory: &'a AtomicUsize,
    pub(crate) memory_max: usize,
}

/// The whole body, if it fits and comes in time.
pub(crate) async fn read_body(mut body: Incoming, bound: &BodyBound<'_>) -> Result<Bytes, Reason> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    match timeout_at(bound.deadline, collect(&mut body, bound)).await {
        Err(_) => Err(Reason::BodyTimeout),
        Ok(Err(Reason::BodyTooLarge)) => {
            discard_if(bound.may_discard, body, bound.deadline).await;
            Err(Reason::BodyTooLarge)
        }
        Ok(result) => result,
    }
}

async fn collect(body: &mut Incoming, bound: &BodyBound<'_>) -> Result<Bytes, Reason> {
    if body.size_hint().lower() > bound.cap as u64 {
        return Err(Reason::BodyTooLarge);
    }
    // Nearly every webhook arrives with its head in one piece, which is then passed on without a copy.
    let Some(first) = next_piece(body).await? else { return Ok(Bytes::new()) };
    if first.len() > bound.cap {
        return Err(Reason::BodyTooLarge);
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut held = Held { memory: bound.memory, bytes: 0 };
    held.take(first.len(), bound.memory_max)?;
    let mut whole = BytesMut::from(first);
    while let Some(piece) = next_piece(body).await? {
        if whole.len() + piece.len() > bound.cap {
            return Err(Reason::BodyTooLarge);
        }
        held.take(piece.len(), bound.memory_max)?;
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// Memory of an unfinished body, given back when it is whole or given up.
struct Held<'a> {
    memory: &'a AtomicUsize,
    bytes: usize,
}

impl Held<'_> {
    fn take(&mut self, bytes: usize, max: usize) -> Result<(), Reason> {
        self.bytes += bytes;
        if self.memory.fetch_add(bytes, Ordering::Relaxed) + bytes > max {
            Err(Reason::Overloaded)
        } else {
            Ok(())
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.memory.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Reads on and throws away the body of a refused request, up to a bound, so that the caller sees the answer
/// rather than a reset; not where it waits for a 100 (`Expect`) and has not sent the body yet.
pub(crate) async fn discard_if(may_discard: bool, mut body: Incoming, deadline: Instant) {
    if !may_discard || body.is_end_stream() {
        return;
    }
    let read = async {
        let mut seen = 0;
        while let Ok(Some(piece)) = next_piece(&mut body).await {
            seen += piece.len();
            if seen > DISCARD_BYTES_MAX {
                return;
            }
        }
    };
    // However it ends, the answer is the same.
    let _ended = timeout_at(deadline.min(Instant::now() + DISCARD_TIME_MAX), read).await;
}

/// How long and how much of a refused body is read on before the answer.
const DISCARD_TIME_MAX: Duration = Duration::from_secs(2);
const DISCARD_BYTES_MAX: usize = 16 * 1024 * 1024;

async fn next_piece(body: &mut Incoming) -> Result<Option<Bytes>, Reason> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(_)) => return Err(Reason::BodyBroken),
            // Trailers are dropped: nobody signs them.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
