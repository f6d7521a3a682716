//! Twilio's API: which operation a request means, who asks, whether they may, and the answer in Twilio's shape.
//!
//! One file for each resource. It begins with its `OPERATIONS`; [`operations`] is all of them, from which requests
//! are dispatched and the page of what is implemented is written. A handler is a function from the world and a
//! request to a [`Reply`] or a [`Refusal`]; it does no I/O.

mod accounts;
mod applications;
mod auth_tokens;
mod available_numbers;
mod balance;
mod call_orders;
mod calls;
mod dates;
mod dialing_permissions;
mod events;
mod geo_permissions;
mod hooks;
mod keys;
mod lookups;
mod media;
mod messages;
mod messaging_services;
mod numbers;
mod operation;
mod outgoing_caller_ids;
mod page;
mod params;
mod pricing;
mod recordings;
mod refusal;
mod reply;
mod router;
mod safe_list;
pub(crate) mod shapes;
mod shared_keys;
mod sip;
#[cfg(test)]
pub(crate) mod testing;
mod usage_records;
mod usage_triggers;
mod verifications;
mod verify_attempts;
mod verify_rate_limits;
mod verify_services;
mod webhook_rules;

use ringfence_model::Sid;
use ringfence_twilio::wire::Form;
use subtle::ConstantTimeEq;

pub use operation::OperationName;
pub(crate) use operation::{Access, Kind, Operation, Product};
pub(crate) use page::{list_2010, list_2010_from, list_v1, page_token};
pub(crate) use refusal::{Refusal, shortened};
pub(crate) use reply::Reply;
pub(crate) use router::Router;

use crate::settings::Refused;
use crate::world::accounts::Account;
use crate::world::{World, events as audit};

/// Every operation that the sandbox has.
pub(crate) fn operations() -> impl Iterator<Item = &'static Operation> {
    [
        accounts::OPERATIONS,
        applications::OPERATIONS,
        auth_tokens::OPERATIONS,
        available_numbers::OPERATIONS,
        balance::OPERATIONS,
        calls::OPERATIONS,
        dialing_permissions::OPERATIONS,
        events::OPERATIONS,
        geo_permissions::OPERATIONS,
        keys::OPERATIONS,
        lookups::OPERATIONS,
        media::OPERATIONS,
        messages::OPERATIONS,
        messaging_services::OPERATIONS,
        numbers::OPERATIONS,
        outgoing_caller_ids::OPERATIONS,
        pricing::OPERATIONS,
        recordings::OPERATIONS,
        safe_list::OPERATIONS,
        shared_keys::OPERATIONS,
        sip::OPERATIONS,
        usage_records::OPERATIONS,
        usage_triggers::OPERATIONS,
        verifications::OPERATIONS,
        verify_attempts::OPERATIONS,
        verify_rate_limits::OPERATIONS,
        verify_services::OPERATIONS,
        webhook_rules::OPERATIONS,
    ]
    .into_iter()
    .flatten()
}

/// A request as the edge read it.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) method: http::Method,
    /// From the `Host` or the first segment of the path; `None` where any product may be meant.
    pub(crate) product: Option<Product>,
    /// The path without that segment, decoded by nobody.
    pub(crate) path: String,
    pub(crate) query: Form,
    pub(crate) form: Form,
    /// User name and password of HTTP Basic.
    pub(crate) credentials: Option<(String, String)>,
    /// How the caller reached the sandbox.
    pub(crate) base: Base,
}

/// How absolute URLs in answers begin.
#[derive(Debug, Clone)]
pub(crate) enum Base {
    /// Reached under Twilio's own names: each product has its own.
    Twilio,
    /// Reached at an address of its own, `http://127.0.0.1:4010`, where all products live.
    Own(String),
}

/// A request that means an operation and comes from somebody who may ask for it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) operation: &'static Operation,
    params: Vec<(String, String)>,
    pub(crate) path: String,
    pub(crate) query: Form,
    pub(crate) form: Form,
    /// Whose credentials it carries.
    pub(crate) caller: Caller,
    /// The account that it is about: the one in the path, else the caller's.
    pub(crate) account: Sid,
    pub(crate) base: Base,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) account: Sid,
    /// The API key, where it is one and not an auth token.
    pub(crate) key: Option<Sid>,
}

impl Request {
    /// A parameter of the path, as the template names it. Empty where the template has none of that name.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(it, _)| it == name).map_or("", |(_, value)| value)
    }

    /// A SID in the path. What is no SID names nothing, so it is not found.
    pub(crate) fn sid(&self, name: &str) -> Result<Sid, Refusal> {
        Sid::parse(self.param(name)).map_err(|_| self.not_found())
    }

    /// The resource that the path names is not there.
    pub(crate) fn not_found(&self) -> Refusal {
        Refusal::not_found(&self.path)
    }

    /// Where the sandbox was reached, without a product; nothing where that was under Twilio's own names.
    pub(crate) fn root(&self) -> Option<&str> {
        let Base::Own(base) = &self.base else { return None };
        let asked = format!("/{}.twilio.com", self.operation.product.label());
        Some(base.strip_suffix(&asked).unwrap_or(base))
    }

    /// An absolute URL of a path of this product.
    pub(crate) fn url(&self, path: &str) -> String {
        self.url_of(self.operation.product, path)
    }

    /// An absolute URL of a path of another product.
    pub(crate) fn url_of(&self, product: Product, path: &str) -> String {
        match &self.base {
            Base::Own(base) => {
                // The product as the first segment is the asked one's; another has its own there.
                let asked = format!("/{}.twilio.com", self.operation.product.label());
                match base.strip_suffix(&asked) {
                    Some(root) => format!("{root}/{}.twilio.com{path}", product.label()),
                    None => format!("{base}{path}"),
                }
            }
            Base::Twilio => format!("https://{}.twilio.com{path}", product.label()),
        }
    }
}

/// Carries a request out.
pub(crate) fn handle(router: &Router, world: &mut World, incoming: Incoming) -> Result<Reply, Refusal> {
    let caller = match authenticate(world, incoming.credentials.as_ref()) {
        Ok(caller) => caller,
        Err(refusal) => open_file(router, world, &incoming).ok_or(refusal)?,
    };
    let (operation, params) = router.find(&incoming.method, incoming.product, &incoming.path)?;
    let account = account_meant(world, operation, &params, caller, &incoming.path)?;
    check_access(world, operation, caller, account, &incoming.path)?;
    check_status(world, operation, caller, account)?;
    if !world.accounts.count_request(account, world.now, world.settings.requests_per_second) {
        return Err(Refusal::too_many_requests());
    }
    let request = Request {
        operation,
        params,
        path: incoming.path,
        query: incoming.query,
        form: incoming.form,
        caller,
        account,
        base: incoming.base,
    };
    let actor = caller.key.unwrap_or(caller.account);
    audit::acting(world, actor, |world| (operation.handler)(world, &request))
}

/// HTTP Basic: an account's SID with its primary or secondary auth token, or an API key with its secret.
pub(crate) fn authenticate(world: &World, credentials: Option<&(String, String)>) -> Result<Caller, Refusal> {
    let (user, password) = credentials.ok_or_else(Refusal::unauthenticated)?;
    let sid = Sid::parse(user).map_err(|_| Refusal::unauthenticated())?;
    let same = |secret: &str| bool::from(secret.as_bytes().ct_eq(password.as_bytes()));
    if let Some(key) = world.keys.find(sid) {
        return if same(&key.secret) {
            Ok(Caller { account: key.account, key: Some(sid) })
        } else {
            Err(Refusal::unauthenticated())
        };
    }
    let is_its_token = |account: &Account| {
        same(&account.auth_token)
            || account.secondary_auth_token.as_ref().is_some_and(|(token, _)| same(token))
    };
    match world.accounts.find(sid) {
        Some(account) if is_its_token(account) => Ok(Caller { account: sid, key: None }),
        _ => Err(Refusal::unauthenticated()),
    }
}

/// Whether a path of the v2010 API asks for JSON, where there is something else as well.
fn names_json(path: &str) -> bool {
    path.strip_suffix(".json").is_some()
}

/// A file that needs no credentials is fetched in the name of its own account. Recordings and media of messages are
/// such files unless HTTP Basic is wanted for them: their SIDs are hard to guess, and that is all.
fn open_file(router: &Router, world: &World, incoming: &Incoming) -> Option<Caller> {
    if world.settings.media_requires_auth || incoming.credentials.is_some() || names_json(&incoming.path) {
        return None;
    }
    let (operation, params) = router.find(&incoming.method, incoming.product, &incoming.path).ok()?;
    let (_, account) = params.iter().find(|(name, _)| name == operation.account_param())?;
    let account = Sid::parse(account).ok().filter(|_| operation.access == Access::OpenFile)?;
    world.accounts.find(account).map(|account| Caller { account: account.sid, key: None })
}

/// The account in the path, if the template has one; a parent's auth token may act for its subaccounts there and
/// nowhere else. A parent's API keys reach the parent alone (<https://www.twilio.com/docs/iam/api/subaccounts>).
fn account_meant(
    world: &World,
    operation: &Operation,
    params: &[(String, String)],
    caller: Caller,
    path: &str,
) -> Result<Sid, Refusal> {
    let Some((_, text)) = params.iter().find(|(name, _)| name == operation.account_param()) else {
        return Ok(caller.account);
    };
    let account = Sid::parse(text).map_err(|_| Refusal::not_found(path))?;
    let known = world.accounts.find(account).ok_or_else(|| Refusal::not_found(path))?;
    if account == caller.account || (known.owner == caller.account && caller.key.is_none()) {
        Ok(account)
    } else {
        // Twilio answers as for wrong credentials.
        Err(Refusal::unauthenticated())
    }
}

fn check_access(
    world: &World,
    operation: &Operation,
    caller: Caller,
    account: Sid,
    path: &str,
) -> Result<(), Refusal> {
    match operation.access {
        // Standard API keys reach neither accounts nor keys.
        Access::AuthToken | Access::Parent if caller.key.is_some() => Err(Refusal::unauthenticated()),
        Access::Any | Access::OpenFile | Access::AuthToken => Ok(()),
        Access::Parent if world.accounts.owner(caller.account) == caller.account => {
            debug_assert!(caller.account == account || world.accounts.owner(account) == caller.account);
            Ok(())
        }
        Access::Parent => Err(Refusal::forbidden(path)),
    }
}

/// What a suspended or closed account meets, as the settings say.
fn check_status(world: &World, operation: &Operation, caller: Caller, account: Sid) -> Result<(), Refusal> {
    let rule = &world.settings.suspended;
    let refuses = |what: Refused| match what {
        Refused::All => true,
        Refused::Creates => operation.kind == Kind::Create,
        Refused::Nothing => false,
    };
    let own = refuses(rule.own_credentials) && !world.accounts.is_active(caller.account);
    let by_parent =
        account != caller.account && refuses(rule.parent_credentials) && !world.accounts.is_active(account);
    if own || by_parent { Err(Refusal::suspended(rule)) } else { Ok(()) }
}
