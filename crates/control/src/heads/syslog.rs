//! Heads to the syslog daemon, which keeps them as it is told to, on another machine at best.
//!
//! RFC 3164 as local programs speak it, without a time: the daemon knows what time it is, and not every one reads the
//! newer format from its socket.

use std::io;
use std::path::Path;
use std::time::Duration;

use ringfence_store::Head;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

use super::NotCarried;

/// Facility `authpriv`, severity `notice`.
const PRIORITY: u8 = 10 * 8 + 5;

/// What stands before the line of a head, so that it can be found among other messages.
const MARK: &str = "audit head";

pub(super) async fn send(socket: &Path, head: &Head, patience: Duration) -> Result<(), NotCarried> {
    let message = format!("<{PRIORITY}>ringfence[{}]: {MARK} {}", std::process::id(), head.to_line());
    let sent = async {
        let from = UnixDatagram::unbound()?;
        from.send_to(message.as_bytes(), socket).await
    };
    let failed = |what: String| NotCarried::Syslog { path: socket.to_owned(), what };
    match timeout(patience, sent).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            Err(failed("there is no socket; is a syslog daemon running?".to_owned()))
        }
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("the daemon took nothing within {} seconds", patience.as_secs()))),
    }
}
