//! Calls are ended: a suspension leaves those in progress running, for up to four hours.

use ringfence_model::Sid;
use ringfence_twilio::client::{CallFilter, Client, Error};
use ringfence_twilio::wire::CallStatus;

use super::{Each, NotDone};

/// Ends every call of the account that waits, rings or runs, and says which. It is done when Twilio shows none any more.
pub async fn end_calls(client: &Client, account: Sid) -> Each<Sid> {
    let mut each = Each::new("calls");
    each.end = async {
        for call in running_calls(client, account).await? {
            match client.calls(account).end(call).await {
                Ok(_) => each.done(call),
                Err(error) if is_over(&error) => {}
                Err(error) => each.failed(call, error)?,
            }
        }
        each.all_done(running_calls(client, account).await?.len())
    }
    .await;
    each
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
