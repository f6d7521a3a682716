//! A file of Twilio's on its way through, piece by piece: it is never held here, and it ends within its bounds.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use crate::upstream::{Stage, UpstreamError};

/// Between two pieces.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What a file may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Bytes of it.
    pub(crate) bytes: u64,
    /// From now to its end.
    pub(crate) within: Duration,
}

/// A file on its way through. It breaks off where no piece comes for too long, and where it exceeds its bounds.
#[derive(Debug)]
pub(crate) struct Passed<B = Incoming> {
    body: B,
    pause: Pin<Box<Sleep>>,
    /// When it must be through, and how much more it may be.
    bounds: Option<(Instant, u64)>,
}

impl<B> Passed<B> {
    /// However large it is.
    pub(crate) fn new(body: B) -> Self {
        Self { body, pause: Box::pin(sleep(PAUSE_MAX)), bounds: None }
    }

    /// Within bounds.
    pub(crate) fn bounded(body: B, bounds: Bounds) -> Self {
        let end = Instant::now() + bounds.within;
        Self { bounds: Some((end, bounds.bytes)), ..Self::new(body) }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Passed<B> {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let now = Instant::now();
                let mut next = now + PAUSE_MAX;
                if let Some((end, left)) = &mut this.bounds {
                    let size = frame.data_ref().map_or(0, |data| data.len() as u64);
                    let Some(still) = left.checked_sub(size) else {
                        return Poll::Ready(Some(Err(UpstreamError::AnswerCutShort(None))));
                    };
                    *left = still;
                    if *end <= now {
                        return Poll::Ready(Some(Err(UpstreamError::TimedOut(Stage::Body))));
                    }
                    next = next.min(*end);
                }
                this.pause.as_mut().reset(next);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(UpstreamError::AnswerCutShort(None)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => match this.pause.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Some(Err(UpstreamError::TimedOut(Stage::Body)))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::channel::Channel;
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    const BOUNDS: Bounds = Bounds { bytes: 10, within: Duration::from_mins(1) };

    #[tokio::test]
    async fn a_file_over_its_bound_breaks_off_and_one_of_just_that_size_does_not() {
        let pass = async |bytes: usize| {
            let body = Passed::bounded(Full::new(Bytes::from(vec![7; bytes])), BOUNDS);
            body.collect().await.map(|whole| whole.to_bytes().len())
        };
        assert!(matches!(pass(11).await, Err(UpstreamError::AnswerCutShort(None))));
        assert_eq!(pass(10).await.ok(), Some(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_trickles_ends_with_its_time_and_one_that_stops_ends_sooner() {
        let begun = Instant::now();
        let (mut sender, body) = Channel::<Bytes, std::convert::Infallible>::new(1);
        let trickle = async {
            while sender.send_data(Bytes::from_static(b"")).await.is_ok() {
                sleep(Duration::from_secs(20)).await;
            }
        };
        let (ended, ()) = tokio::join!(Passed::bounded(body, BOUNDS).collect(), trickle);
        assert!(matches!(ended, Err(UpstreamError::TimedOut(Stage::Body))));
        // Within the piece that came last.
        assert!(begun.elapsed() < Duration::from_secs(90), "{:?}", begun.elapsed());
        let begun = Instant::now();
        let (_sender, body) = Channel::<Bytes, std::convert::Infallible>::new(1);
        assert!(Passed::bounded(body, BOUNDS).collect().await.is_err());
        assert_eq!(begun.elapsed().as_secs(), 30);
    }
}
