//! SIP domains, and the lists of addresses that may call them. No call comes in by SIP here: what is kept is what is told.

use std::collections::BTreeSet;

use jiff::Timestamp;
use ringfence_model::Sid;

use super::webhooks::{Method, Target};
use super::{World, events};
use crate::table::{Row, Table};

/// All domains and lists.
#[derive(Debug, Default)]
pub(crate) struct Sip {
    pub(crate) domains: Table<SipDomain>,
    pub(crate) lists: Table<IpAccessControlList>,
}

/// A domain that SIP calls come in by.
#[derive(Debug, Clone)]
pub(crate) struct SipDomain {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) domain_name: String,
    pub(crate) friendly_name: String,
    pub(crate) voice: Option<Target>,
    pub(crate) voice_fallback: Option<Target>,
    pub(crate) voice_status: Option<Target>,
    pub(crate) sip_registration: bool,
    pub(crate) secure: bool,
    /// The lists of addresses that may call.
    pub(crate) mapped: BTreeSet<Sid>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// A list of addresses.
#[derive(Debug, Clone)]
pub(crate) struct IpAccessControlList {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) friendly_name: String,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

impl Row for SipDomain {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

impl Row for IpAccessControlList {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

/// Methods of URLs that are not set.
pub(crate) const IDLE: Method = Method::Post;

/// Makes a domain without URLs and lists. `None`: somebody has the name.
pub(crate) fn create_domain(world: &mut World, account: Sid, domain_name: &str) -> Option<Sid> {
    if world.sip.domains.newest_first().any(|it| it.domain_name.eq_ignore_ascii_case(domain_name)) {
        return None;
    }
    let (sid, now) = (world.ids.sid(*b"SD"), world.now);
    world.sip.domains.insert(SipDomain {
        sid,
        account,
        domain_name: domain_name.to_owned(),
        friendly_name: domain_name.to_owned(),
        voice: None,
        voice_fallback: None,
        voice_status: None,
        sip_registration: false,
        secure: false,
        mapped: BTreeSet::new(),
        created: now,
        updated: now,
    });
    events::record(world, account, "sip-domain.created", sid);
    world.touch();
    Some(sid)
}

/// Removes a domain. `false`: it is not there.
pub(crate) fn remove_domain(world: &mut World, account: Sid, sid: Sid) -> bool {
    if world.sip.domains.remove_of(account, sid).is_none() {
        return false;
    }
    events::record(world, account, "sip-domain.deleted", sid);
    world.touch();
    true
}

/// Makes an empty list.
pub(crate) fn create_list(world: &mut World, account: Sid, friendly_name: String) -> Sid {
    let (sid, now) = (world.ids.sid(*b"AL"), world.now);
    world.sip.lists.insert(IpAccessControlList { sid, account, friendly_name, created: now, updated: now });
    world.touch();
    sid
}

/// Removes a list. `false`: it is not there, or a domain needs it.
pub(crate) fn remove_list(world: &mut World, account: Sid, sid: Sid) -> bool {
    let is_mapped = world.sip.domains.of(account).any(|domain| domain.mapped.contains(&sid));
    if is_mapped || world.sip.lists.remove_of(account, sid).is_none() {
        return false;
    }
    world.touch();
    true
}

/// Lets the addresses of a list call a domain, or no longer. `false`: one of them is not there.
pub(crate) fn map(world: &mut World, account: Sid, domain: Sid, list: Sid, mapped: bool) -> bool {
    if world.sip.lists.find_of(account, list).is_none() {
        return false;
    }
    let now = world.now;
    let Some(domain) = world.sip.domains.find_mut_of(account, domain) else { return false };
    let changed = if mapped { domain.mapped.insert(list) } else { domain.mapped.remove(&list) };
    domain.updated = now;
    world.touch();
    mapped || changed
}
