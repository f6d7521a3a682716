//! Accounts and subaccounts: <https://www.twilio.com/docs/iam/api/account>.

use ringfence_model::{Secret, Sid};
use ringfence_twilio::wire::{self, AccountStatus, Rfc2822};

use super::operation::{Access, Operation, Product, Verb};
use super::{Refusal, Reply, Request, list_2010, params};
use crate::world::World;
use crate::world::accounts::{self, Account};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Api, Verb::Post, "/2010-04-01/Accounts.json", create)
        .creates()
        .only(Access::Parent),
    Operation::new(Product::Api, Verb::Get, "/2010-04-01/Accounts.json", list).only(Access::AuthToken),
    Operation::new(Product::Api, Verb::Get, "/2010-04-01/Accounts/{Sid}.json", fetch).only(Access::AuthToken),
    Operation::new(Product::Api, Verb::Post, "/2010-04-01/Accounts/{Sid}.json", update)
        .only(Access::AuthToken),
];

/// Twilio's own bound for a friendly name.
const FRIENDLY_NAME_MAX: usize = 64;

fn create(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let friendly_name = params::friendly_name(&request.form, FRIENDLY_NAME_MAX)?
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| format!("SubAccount Created at {}", world.now.strftime("%Y-%m-%d %I:%M %p")));
    let parent = request.account;
    let open =
        world.accounts.family(parent).filter(|it| !it.is_parent() && it.status != AccountStatus::Closed);
    if open.count() >= world.settings.subaccounts_max {
        return Err(Refusal::bad_request(21480, "Account has reached the maximum number of subaccounts"));
    }
    let sid = accounts::create(world, parent, friendly_name);
    shown(world, request, sid).map(|account| Reply::created(&account))
}

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let name = params::some(&request.query, "FriendlyName");
    let status = match params::some(&request.query, "Status").map(AccountStatus::from) {
        Some(AccountStatus::Other(text)) => return Err(Refusal::invalid("Status", &text)),
        status => status,
    };
    let rows = world
        .accounts
        .family(request.caller.account)
        .filter(|account| name.is_none_or(|name| account.friendly_name == name))
        .filter(|account| status.as_ref().is_none_or(|status| account.status == *status));
    list_2010(request, "accounts", rows, |account| account.sid, |account| wire_account(account))
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    shown(world, request, request.account).map(|account| Reply::ok(&account))
}

fn update(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let friendly_name = params::friendly_name(&request.form, FRIENDLY_NAME_MAX)?;
    let status = match params::some(&request.form, "Status").map(AccountStatus::from) {
        Some(AccountStatus::Other(_)) => {
            return Err(Refusal::bad_request(21475, "Unable to update Status, invalid Status."));
        }
        status => status,
    };
    if let Some(status) = status {
        may_change_status(world, request, &status)?;
        accounts::set_status(world, request.account, &status);
    }
    if let Some(name) = friendly_name {
        accounts::rename(world, request.account, &name);
    }
    shown(world, request, request.account).map(|account| Reply::ok(&account))
}

/// A parent has no status to change; a subaccount's is the parent's to change; closed is final; and what Twilio itself
/// has suspended stays so. The codes are those of <https://www.twilio.com/docs/api/errors/21475> and what follows there.
fn may_change_status(world: &World, request: &Request, status: &AccountStatus) -> Result<(), Refusal> {
    let account = world.accounts.find(request.account).ok_or_else(|| request.not_found())?;
    let of_subaccount =
        |code, why| Err(Refusal::bad_request(code, format!("Unable to update Status for subaccount, {why}")));
    if account.is_parent() {
        return Err(Refusal::bad_request(21477, "Unable to update Status for parent accounts"));
    }
    if request.caller.account == account.sid && !world.settings.subaccounts_change_own_status {
        return Err(Refusal::new(
            401,
            20003,
            "The status of a subaccount can only be changed with the credentials of its main account",
        ));
    }
    if account.status == AccountStatus::Closed && *status != AccountStatus::Closed {
        return of_subaccount(21479, "subaccount has been closed.");
    }
    if !world.accounts.is_active(account.owner) {
        return of_subaccount(21476, "parent account is suspended.");
    }
    if account.suspended_by_twilio && *status != AccountStatus::Suspended {
        return of_subaccount(21478, "subaccount has been suspended by Twilio");
    }
    Ok(())
}

fn shown(world: &World, request: &Request, sid: Sid) -> Result<wire::Account, Refusal> {
    world.accounts.find(sid).map(wire_account).ok_or_else(|| request.not_found())
}

fn wire_account(account: &Account) -> wire::Account {
    let uri = format!("/2010-04-01/Accounts/{}", account.sid);
    wire::Account {
        sid: account.sid.to_string(),
        owner_account_sid: account.owner.to_string(),
        friendly_name: account.friendly_name.clone(),
        status: account.status.clone(),
        kind: wire::AccountKind::Full,
        auth_token: Some(Secret::new(&account.auth_token)),
        date_created: Some(Rfc2822(account.created)),
        date_updated: Some(Rfc2822(account.updated)),
        subresource_uris: SUBRESOURCES
            .iter()
            .map(|(name, path)| ((*name).to_owned(), format!("{uri}/{path}.json")))
            .collect(),
        uri: format!("{uri}.json"),
    }
}

/// What an account leads to, as Twilio lists it.
const SUBRESOURCES: &[(&str, &str)] = &[
    ("addresses", "Addresses"),
    ("applications", "Applications"),
    ("authorized_connect_apps", "AuthorizedConnectApps"),
    ("available_phone_numbers", "AvailablePhoneNumbers"),
    ("balance", "Balance"),
    ("calls", "Calls"),
    ("conferences", "Conferences"),
    ("connect_apps", "ConnectApps"),
    ("incoming_phone_numbers", "IncomingPhoneNumbers"),
    ("keys", "Keys"),
    ("messages", "Messages"),
    ("notifications", "Notifications"),
    ("outgoing_caller_ids", "OutgoingCallerIds"),
    ("queues", "Queues"),
    ("recordings", "Recordings"),
    ("short_codes", "SMS/ShortCodes"),
    ("signing_keys", "SigningKeys"),
    ("sip", "SIP"),
    ("transcriptions", "Transcriptions"),
    ("usage", "Usage"),
];

#[cfg(test)]
mod tests;
