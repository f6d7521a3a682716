//! Accounts and subaccounts, their status and their auth tokens.

use std::collections::HashMap;

use jiff::Timestamp;
use ringfence_model::Sid;
use ringfence_twilio::wire::AccountStatus;

use super::World;
use super::events;

/// All accounts. There is always the main one.
#[derive(Debug)]
pub(crate) struct Accounts {
    main: Sid,
    /// In the order in which they were made; few enough to be looked through where they are listed.
    rows: Vec<Account>,
    places: HashMap<Sid, usize>,
    /// For limits of rate: the second, and how many requests each account has made in it.
    requests: (i64, HashMap<Sid, u32>),
}

/// An account at Twilio.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) sid: Sid,
    /// The parent; a parent owns itself.
    pub(crate) owner: Sid,
    pub(crate) friendly_name: String,
    pub(crate) status: AccountStatus,
    /// It was Twilio itself that suspended it: its parent cannot undo that.
    pub(crate) suspended_by_twilio: bool,
    pub(crate) auth_token: String,
    pub(crate) secondary_auth_token: Option<(String, Timestamp)>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    /// Used up by this account and, for a parent, by its subaccounts.
    pub(crate) credit_micros: i64,
}

impl Account {
    pub(crate) fn is_parent(&self) -> bool {
        self.owner == self.sid
    }
}

impl Accounts {
    pub(super) fn new(sid: Sid, auth_token: String, now: Timestamp) -> Self {
        let main = Account {
            sid,
            owner: sid,
            friendly_name: "Sandbox".to_owned(),
            status: AccountStatus::Active,
            suspended_by_twilio: false,
            auth_token,
            secondary_auth_token: None,
            created: now,
            updated: now,
            credit_micros: 1_000_000_000,
        };
        let mut accounts =
            Self { main: sid, rows: Vec::new(), places: HashMap::new(), requests: (0, HashMap::new()) };
        accounts.push(main);
        accounts
    }

    /// The account that the sandbox began with.
    pub(crate) fn main(&self) -> Sid {
        self.main
    }

    pub(crate) fn find(&self, sid: Sid) -> Option<&Account> {
        self.rows.get(*self.places.get(&sid)?)
    }

    pub(crate) fn find_mut(&mut self, sid: Sid) -> Option<&mut Account> {
        self.rows.get_mut(*self.places.get(&sid)?)
    }

    /// All, newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Account> {
        self.rows.iter().rev()
    }

    /// This account and those that it owns, newest first.
    pub(crate) fn family(&self, parent: Sid) -> impl Iterator<Item = &Account> {
        self.newest_first().filter(move |account| account.owner == parent || account.sid == parent)
    }

    /// The parent of an account; itself where it is one.
    pub(crate) fn owner(&self, sid: Sid) -> Sid {
        self.find(sid).map_or(sid, |account| account.owner)
    }

    /// The status that counts: a suspended parent suspends its children.
    pub(crate) fn effective_status(&self, sid: Sid) -> AccountStatus {
        let Some(account) = self.find(sid) else { return AccountStatus::Closed };
        match self.find(account.owner).map(|owner| &owner.status) {
            Some(AccountStatus::Active) => account.status.clone(),
            Some(status) if account.status == AccountStatus::Active => status.clone(),
            _ => account.status.clone(),
        }
    }

    pub(crate) fn is_active(&self, sid: Sid) -> bool {
        self.effective_status(sid) == AccountStatus::Active
    }

    /// Counts a request; `false` where the account has made `per_second` of them in this second. 0: no bound.
    pub(crate) fn count_request(&mut self, sid: Sid, now: Timestamp, per_second: u32) -> bool {
        if per_second == 0 {
            return true;
        }
        let (second, counts) = &mut self.requests;
        if *second != now.as_second() {
            *second = now.as_second();
            counts.clear();
        }
        let count = counts.entry(sid).or_default();
        *count += 1;
        *count <= per_second
    }

    fn push(&mut self, account: Account) {
        self.places.insert(account.sid, self.rows.len());
        self.rows.push(account);
    }
}

/// Makes a subaccount.
pub(crate) fn create(world: &mut World, parent: Sid, friendly_name: String) -> Sid {
    let sid = world.ids.sid(*b"AC");
    let auth_token = world.ids.token();
    let now = world.now;
    world.accounts.push(Account {
        sid,
        owner: parent,
        friendly_name,
        status: AccountStatus::Active,
        suspended_by_twilio: false,
        auth_token,
        secondary_auth_token: None,
        created: now,
        updated: now,
        credit_micros: 0,
    });
    events::record(world, parent, "account.created", sid);
    world.touch();
    sid
}

/// Changes the status of a subaccount. Suspending neither ends calls nor empties queues: a message whose turn comes
/// while its account is not active fails with 30002. Closing is final and gives the numbers back.
pub(crate) fn set_status(world: &mut World, sid: Sid, status: &AccountStatus) {
    let now = world.now;
    let Some(account) = world.accounts.find_mut(sid) else { return };
    if account.status == *status {
        return;
    }
    let previous = std::mem::replace(&mut account.status, status.clone());
    account.updated = now;
    if *status == AccountStatus::Closed {
        super::numbers::release_all(world, sid);
    }
    events::record_change(world, sid, "account.updated", sid, "status", previous.as_str(), status.as_str());
    world.touch();
}

/// Twilio itself suspends an account, be it a main one, or lets it go on: what fraud and unpaid bills lead to.
pub(crate) fn set_suspended_by_twilio(world: &mut World, sid: Sid, suspended: bool) {
    let status = if suspended { AccountStatus::Suspended } else { AccountStatus::Active };
    set_status(world, sid, &status);
    if let Some(account) = world.accounts.find_mut(sid) {
        account.suspended_by_twilio = suspended;
    }
}

/// Gives an account another name.
pub(crate) fn rename(world: &mut World, sid: Sid, friendly_name: &str) {
    let now = world.now;
    let Some(account) = world.accounts.find_mut(sid) else { return };
    let previous = std::mem::replace(&mut account.friendly_name, friendly_name.to_owned());
    account.updated = now;
    events::record_change(world, sid, "account.updated", sid, "friendly_name", &previous, friendly_name);
    world.touch();
}

/// Makes a second auth token, valid for requests at once. `None`: there is one already.
pub(crate) fn create_secondary_token(world: &mut World, sid: Sid) -> Option<String> {
    let (token, now) = (world.ids.token(), world.now);
    let account = world.accounts.find_mut(sid).filter(|it| it.secondary_auth_token.is_none())?;
    account.secondary_auth_token = Some((token.clone(), now));
    events::record(world, sid, "auth-token.created", sid);
    world.touch();
    Some(token)
}

/// Takes the second auth token away. `false`: there was none.
pub(crate) fn delete_secondary_token(world: &mut World, sid: Sid) -> bool {
    let taken = world.accounts.find_mut(sid).and_then(|account| account.secondary_auth_token.take());
    if taken.is_some() {
        events::record(world, sid, "auth-token.deleted", sid);
        world.touch();
    }
    taken.is_some()
}

/// The second auth token becomes the only one, and signs from now on; the first opens nothing any more. Tells when
/// the token was made; `None`: there was none.
pub(crate) fn promote_secondary_token(world: &mut World, sid: Sid) -> Option<Timestamp> {
    let now = world.now;
    let account = world.accounts.find_mut(sid)?;
    let (token, made) = account.secondary_auth_token.take()?;
    account.auth_token = token;
    account.updated = now;
    events::record(world, sid, "auth-token.promoted", sid);
    world.touch();
    Some(made)
}
