//! What changed in the accounts, as Monitor tells it: <https://www.twilio.com/docs/usage/monitor-events>; and what
//! went wrong, as its alerts tell it: <https://www.twilio.com/docs/usage/monitor-alert>.
//!
//! The actor need not be handed from function to function: whoever lets somebody act says so with [`acting`], and
//! what is recorded meanwhile is theirs. What nobody asked for is Twilio's own doing.

use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;
use ringfence_model::Sid;
use serde_json::{Value, json};

use super::World;
use super::webhooks::Method;
use crate::table::{Row, Table};

/// One entry of the audit trail.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_field_names,
    reason = "`event_type` is Twilio's name, and `type` is a word of Rust's"
)]
pub(crate) struct Event {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) at: Timestamp,
    /// `account.updated`, `api-key.created`, `usage-trigger.deleted`…
    pub(crate) event_type: &'static str,
    /// What it happened to.
    pub(crate) resource: Sid,
    pub(crate) actor: Option<Actor>,
    /// What is known of it: for a change each property with its `previous` and `updated` value.
    pub(crate) data: Value,
}

/// Who acts through the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Actor {
    /// The account, or the API key, whose credentials were shown.
    pub(crate) sid: Sid,
    pub(crate) source_ip: IpAddr,
}

/// Who acts right now, and from where.
#[derive(Debug)]
pub(crate) struct Acting {
    pub(crate) actor: Option<Actor>,
    /// Where the request comes from that is being answered; the edge sets it.
    pub(crate) source_ip: IpAddr,
}

impl Default for Acting {
    fn default() -> Self {
        Self { actor: None, source_ip: IpAddr::V4(Ipv4Addr::LOCALHOST) }
    }
}

impl Row for Event {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

/// Lets somebody act: what `act` records is theirs.
pub(crate) fn acting<T>(world: &mut World, sid: Sid, act: impl FnOnce(&mut World) -> T) -> T {
    let source_ip = world.acting.source_ip;
    let before = world.acting.actor.replace(Actor { sid, source_ip });
    let result = act(world);
    world.acting.actor = before;
    result
}

/// Puts an entry into an account's audit trail.
pub(crate) fn record(world: &mut World, account: Sid, event_type: &'static str, resource: Sid) {
    record_with(world, account, event_type, resource, json!({}));
}

/// Puts a change of one property into an account's audit trail.
pub(crate) fn record_change(
    world: &mut World,
    account: Sid,
    event_type: &'static str,
    resource: Sid,
    property: &str,
    previous: &str,
    updated: &str,
) {
    let data = json!({ property: { "previous": previous, "updated": updated } });
    record_with(world, account, event_type, resource, data);
}

/// Puts an entry with what is known of it into an account's audit trail.
pub(crate) fn record_with(
    world: &mut World,
    account: Sid,
    event_type: &'static str,
    resource: Sid,
    data: Value,
) {
    let sid = world.ids.sid(*b"AE");
    let at = world.now;
    let actor = world.acting.actor;
    world.events.insert(Event { sid, account, at, event_type, resource, actor, data });
}

/// One entry of the debugger: something that Twilio asked an application went wrong.
#[derive(Debug, Clone)]
pub(crate) struct Alert {
    pub(crate) sid: Sid,
    pub(crate) at: Timestamp,
    pub(crate) new: NewAlert,
}

/// What is said of it.
#[derive(Debug, Clone)]
pub(crate) struct NewAlert {
    pub(crate) account: Sid,
    /// Twilio's error code.
    pub(crate) code: u32,
    pub(crate) level: LogLevel,
    /// The message or call that it was about; where there is none, the account.
    pub(crate) resource: Sid,
    pub(crate) text: String,
    /// The webhook that it is about, if it is about one.
    pub(crate) webhook: Option<AlertedWebhook>,
}

/// The webhook behind an alert.
#[derive(Debug, Clone)]
pub(crate) struct AlertedWebhook {
    pub(crate) url: String,
    pub(crate) method: Method,
    /// The parameters, as a form.
    pub(crate) variables: String,
    pub(crate) request_headers: String,
    pub(crate) response_headers: String,
    pub(crate) response_body: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogLevel {
    Error,
    Warning,
}

impl LogLevel {
    /// 12200 is what Twilio passes over in a document; everything else stops something.
    pub(crate) fn of(code: u32) -> Self {
        if matches!(code, 12200 | 14101..=14107) { Self::Warning } else { Self::Error }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl Row for Alert {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.new.account
    }
}

/// All alerts.
pub(crate) type Alerts = Table<Alert>;

/// Tells the debugger what went wrong.
pub(crate) fn alert(world: &mut World, new: NewAlert) -> Sid {
    let sid = world.ids.sid(*b"NO");
    let at = world.now;
    world.alerts.insert(Alert { sid, at, new });
    world.touch();
    sid
}
