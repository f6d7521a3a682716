//! Streams of HTTP/2 whose answer nobody reads.
//!
//! While a peer leaves the window of a stream shut, hyper does not ask for the next bytes of its answer, and waits for as long
//! as the peer answers pings; nothing is owed to TCP, so the kernel has no time limit either. Such a stream would hold
//! its place among the requests in work, and its connection, for ever. Here each stream knows since when bytes of it wait for
//! the peer, and is reset after [`UNREAD_MAX`]. An answer that waits for the application is not owed: routes have their
//! own time limits.

use std::future::Future;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Instant, sleep};

/// A caller that takes none of the bytes we owe it for so long is gone.
pub(crate) const UNREAD_MAX: Duration = Duration::from_secs(30);

tokio::task_local! {
    static STREAM: Arc<Owed>;
}

/// Since when the bytes of an answer wait for the peer to make room for them.
#[derive(Debug, Default)]
pub(crate) struct Owed(AtomicU64);

/// Milliseconds are counted from here; 0 is never.
static ORIGIN: LazyLock<Instant> = LazyLock::new(|| {
    let now = Instant::now();
    now.checked_sub(Duration::from_millis(1)).unwrap_or(now)
});

impl Owed {
    /// That of the stream whose task this is; none where it is no task of a stream.
    pub(crate) fn of_this_stream() -> Option<Arc<Self>> {
        STREAM.try_with(Arc::clone).ok()
    }

    /// There are bytes for the peer from now on.
    pub(crate) fn begin(&self) {
        let since = ORIGIN.elapsed().as_millis().max(1);
        self.0.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The peer had room, and the body was asked for more: whether there was some decides who waits for whom.
    pub(crate) fn asked<T>(&self, polled: &Poll<Option<T>>) {
        match polled {
            Poll::Ready(Some(_)) => self.begin(),
            Poll::Ready(None) | Poll::Pending => self.0.store(0, Ordering::Relaxed),
        }
    }

    /// Ends when bytes have waited for too long.
    async fn unread(&self) {
        loop {
            let left = match self.0.load(Ordering::Relaxed) {
                0 => UNREAD_MAX,
                since => (Duration::from_millis(since) + UNREAD_MAX).saturating_sub(ORIGIN.elapsed()),
            };
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }
}

/// Runs each stream in a task of its own, to its end or until it is unread. A stream that is dropped is reset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Streams;

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let owed = Arc::new(Owed::default());
        tokio::spawn(STREAM.scope(Arc::clone(&owed), async move {
            tokio::select! {
                biased;
                () = stream => {}
                () = owed.unread() => {}
            }
        }));
    }
}

#[cfg(test)]
mod tests;
