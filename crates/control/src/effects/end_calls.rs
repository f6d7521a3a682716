//! Calls are ended: a suspension leaves those in progress running, for up to four hours.

use ringfence_model::Sid;
use ringfence_twilio::client::{CallFilter, Client, Error};
use ringfence_twilio::wire::CallStatus;

use super::NotDone;

/// What came of ending calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ended {
    /// How many were ended.
    pub calls: usize,
}

/// Ends every call of the account that waits, rings or runs. It is done when Twilio shows none any more.
pub async fn end_calls(client: &Client, account: Sid) -> Result<Ended, NotDone> {
    let mut ended = Ended::default();
    for call in running_calls(client, account).await? {
        match client.calls(account).end(call).await {
            Ok(_) => ended.calls += 1,
            Err(error) if is_over(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match running_calls(client, account).await?.len() {
        0 => Ok(ended),
        left => Err(NotDone::NotInForce(format!("{left} calls are still there"))),
    }
}

/// The calls of the account that wait, ring or run.
pub(crate) async fn running_calls(client: &Client, account: Sid) -> Result<Vec<Sid>, NotDone> {
    let mut running = Vec::new();
    for status in [CallStatus::InProgress, CallStatus::Ringing, CallStatus::Queued] {
        let filter = CallFilter { status: Some(status), ..CallFilter::default() };
        let calls = client.calls(account).list(&filter).all().await?;
        running.extend(calls.iter().filter_map(|call| Sid::parse(&call.sid).ok()));
    }
    Ok(running)
}

/// Whether the call has ended by itself meanwhile (21220: <https://www.twilio.com/docs/api/errors/21220>).
fn is_over(error: &Error) -> bool {
    error.code() == Some(21_220) || error.is_not_found()
}
