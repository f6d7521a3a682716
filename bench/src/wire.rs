//! The wire to Twilio: a relay before the sandbox that notes what goes by and when, and can make Twilio as far away as it
//! is from most of its customers.
//!
//! A client sends one request at a time on a connection, so a request begins where a piece begins with a method.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ringfence_model::Sid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// As a client asks a sandbox, which takes the host as the first part of the path.
const ACCOUNTS: &str = "/api.twilio.com/2010-04-01/Accounts/";

/// The relay. It runs in the runtime that it was made in.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    twilio: SocketAddr,
    /// Microseconds that each answer takes longer.
    far: AtomicU64,
    seen: Mutex<Seen>,
    suspended: watch::Sender<usize>,
}

/// What went by.
#[derive(Default, Clone)]
pub(crate) struct Seen {
    /// Requests by their method.
    pub(crate) requests: BTreeMap<&'static str, usize>,
    /// Answers that said "too many".
    pub(crate) too_many: usize,
    /// When the request to change each account went by, and how many there were.
    pub(crate) changes: HashMap<Sid, (Instant, usize)>,
}

impl Seen {
    pub(crate) fn count(&self) -> usize {
        self.requests.values().sum()
    }
}

impl Wire {
    pub(crate) async fn to(twilio: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            twilio,
            far: AtomicU64::new(0),
            seen: Mutex::default(),
            suspended: watch::Sender::new(0),
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                // How a connection ends is its client's business.
                tokio::spawn(async move { drop(shared.relay(client).await) });
            }
        });
        Ok(Self { address, shared })
    }

    /// From now on each answer takes so much longer.
    pub(crate) fn set_far(&self, far: Duration) {
        self.shared.far.store(u64::try_from(far.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn seen(&self) -> Seen {
        self.shared.seen().clone()
    }

    /// Counts anew.
    pub(crate) fn forget(&self) {
        *self.shared.seen() = Seen::default();
    }

    /// When the request to change this account went by; waits for it.
    pub(crate) async fn changed(&self, account: Sid) -> Option<Instant> {
        let mut suspended = self.shared.suspended.subscribe();
        loop {
            suspended.borrow_and_update();
            if let Some((at, _)) = self.shared.seen().changes.get(&account) {
                return Some(*at);
            }
            suspended.changed().await.ok()?;
        }
    }
}

impl Shared {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn relay(&self, client: TcpStream) -> io::Result<()> {
        let twilio = TcpStream::connect(self.twilio).await?;
        twilio.set_nodelay(true)?;
        client.set_nodelay(true)?;
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_twilio, mut to_twilio) = twilio.into_split();
        let asked = AtomicBool::new(false);
        let requests = async {
            let mut piece = vec![0; 16 * 1024];
            loop {
                let read = from_client.read(&mut piece).await?;
                if read == 0 {
                    return to_twilio.shutdown().await;
                }
                if self.note_request(&piece[..read], Instant::now()) {
                    asked.store(true, Ordering::Relaxed);
                }
                to_twilio.write_all(&piece[..read]).await?;
            }
        };
        let answers = async {
            let mut piece = vec![0; 64 * 1024];
            loop {
                let read = from_twilio.read(&mut piece).await?;
                if read == 0 {
                    return to_client.shutdown().await;
                }
                if asked.swap(false, Ordering::Relaxed) {
                    if piece[..read].starts_with(b"HTTP/1.1 429") {
                        self.seen().too_many += 1;
                    }
                    let far = Duration::from_micros(self.far.load(Ordering::Relaxed));
                    if !far.is_zero() {
                        tokio::time::sleep(far).await;
                    }
                }
                to_client.write_all(&piece[..read]).await?;
            }
        };
        tokio::try_join!(requests, answers).map(drop)
    }

    /// Whether a request begins here.
    fn note_request(&self, piece: &[u8], now: Instant) -> bool {
        let Some(method) =
            ["GET", "POST", "DELETE"].into_iter().find(|method| piece.starts_with(method.as_bytes()))
        else {
            return false;
        };
        let mut seen = self.seen();
        *seen.requests.entry(method).or_default() += 1;
        if let Some(account) = changes_account(piece) {
            seen.changes.entry(account).or_insert((now, 0)).1 += 1;
            drop(seen);
            self.suspended.send_modify(|count| *count += 1);
        }
        true
    }
}

/// The account that `POST …/Accounts/AC….json` changes.
fn changes_account(piece: &[u8]) -> Option<Sid> {
    let line = str::from_utf8(piece.split(|byte| *byte == b'\r').next()?).ok()?;
    let target = line.strip_prefix("POST ")?.strip_suffix(" HTTP/1.1")?;
    Sid::parse(target.strip_prefix(ACCOUNTS)?.strip_suffix(".json")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_of_the_account_itself_counts_as_one() {
        let account = "AC0123456789abcdef0123456789abcdef";
        let found = |line: &str| changes_account(format!("{line}\r\nhost: a\r\n\r\n").as_bytes());
        assert_eq!(found(&format!("GET {ACCOUNTS}{account}.json HTTP/1.1")), None);
        assert_eq!(found(&format!("POST {ACCOUNTS}{account}/Messages.json HTTP/1.1")), None);
        assert_eq!(found("POST /api.twilio.com/2010-04-01/Accounts.json HTTP/1.1"), None);
        let changed = found(&format!("POST {ACCOUNTS}{account}.json HTTP/1.1"));
        assert_eq!(changed, Sid::parse(account).ok());
    }
}
