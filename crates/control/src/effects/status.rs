//! An account is suspended, or made active again: <https://www.twilio.com/docs/iam/api/subaccounts>.

use ringfence_model::Sid;
use ringfence_twilio::client::Client;
use ringfence_twilio::wire::AccountStatus;

use super::NotDone;

/// How an account stands after a change, as Twilio shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It can send and call.
    Active,
    /// It cannot.
    Suspended,
    /// It never will again.
    Closed,
}

/// Suspends a subaccount with its parent's credentials. An account that is suspended or closed already stays so.
///
/// The request goes out at once; only what Twilio says afterwards counts.
pub async fn suspend(parent: &Client, account: Sid) -> Result<Standing, NotDone> {
    let asked = parent.accounts().set_status(account, &AccountStatus::Suspended).await;
    // Even a refusal says little: an account that is closed refuses, and so does one that is suspended by Twilio.
    let standing = match standing(parent, account).await {
        Ok(standing) => standing,
        Err(error) => return Err(asked.err().map_or(error, NotDone::Twilio)),
    };
    match (standing, asked) {
        (Standing::Suspended | Standing::Closed, _) => Ok(standing),
        (Standing::Active, Err(error)) => Err(error.into()),
        (Standing::Active, Ok(_)) => Err(NotDone::NotInForce("the account is still active".to_owned())),
    }
}

/// Makes a subaccount active again, with its parent's credentials.
pub async fn resume(parent: &Client, account: Sid) -> Result<Standing, NotDone> {
    let asked = parent.accounts().set_status(account, &AccountStatus::Active).await;
    if let Err(error) = &asked
        && error.suspended_by_twilio()
    {
        return Err(NotDone::SuspendedByTwilio);
    }
    let standing = match standing(parent, account).await {
        Ok(standing) => standing,
        Err(error) => return Err(asked.err().map_or(error, NotDone::Twilio)),
    };
    match (standing, asked) {
        (Standing::Active, _) => Ok(standing),
        (Standing::Closed, _) => Err(NotDone::Closed),
        (Standing::Suspended, Err(error)) => Err(error.into()),
        (Standing::Suspended, Ok(_)) => Err(NotDone::NotInForce("the account is still suspended".to_owned())),
    }
}

/// What Twilio says of an account now.
pub async fn standing(parent: &Client, account: Sid) -> Result<Standing, NotDone> {
    let account = parent.accounts().fetch(account).await?;
    match account.status {
        AccountStatus::Active => Ok(Standing::Active),
        AccountStatus::Suspended => Ok(Standing::Suspended),
        AccountStatus::Closed => Ok(Standing::Closed),
        // A word that Twilio adds later says nothing about whether the account can spend.
        other @ AccountStatus::Other(_) => {
            Err(NotDone::NotInForce(format!("the account is \"{}\"", other.as_str())))
        }
    }
}
