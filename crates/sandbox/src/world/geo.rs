//! Which countries an account may text and call.
//!
//! What was never changed is as [`GeoDefault`] says. A subaccount's dialing permissions are its parent's while it
//! inherits them (`DialingPermissionsInheritance`, on at first, as at Twilio); SMS permissions are each account's own.

use std::collections::HashMap;

use ringfence_model::{PhoneNumber, Sid};

use super::{World, numbering};
use crate::prices::VoiceClass;
use crate::settings::GeoDefault;

/// The permissions that differ from the defaults, by ISO code.
#[derive(Debug, Default)]
pub(crate) struct Geo {
    texts: HashMap<(Sid, &'static str), bool>,
    calls: HashMap<(Sid, &'static str), Dialing>,
    /// Subaccounts that do not inherit their parent's dialing permissions.
    on_their_own: std::collections::HashSet<Sid>,
}

/// Which numbers of a country may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialing {
    pub(crate) low_risk: bool,
    pub(crate) special: bool,
    pub(crate) toll_fraud: bool,
}

/// Whether the account may text this number. A number of no country is nobody's to forbid.
pub(crate) fn may_text(world: &World, account: Sid, to: PhoneNumber) -> bool {
    numbering::country_of(to).is_none_or(|country| may_text_country(world, account, country.iso))
}

pub(crate) fn may_text_country(world: &World, account: Sid, iso: &'static str) -> bool {
    world.geo.texts.get(&(account, iso)).copied().unwrap_or_else(|| is_open(world, iso))
}

/// Whether the account may call this number.
pub(crate) fn may_call(world: &World, account: Sid, to: PhoneNumber) -> bool {
    let Some(country) = numbering::country_of(to) else { return true };
    let dialing = dialing(world, account, country.iso);
    if world.prices.is_toll_fraud(to) {
        dialing.toll_fraud
    } else if world.prices.voice_class(to) == VoiceClass::Special {
        dialing.special
    } else {
        dialing.low_risk
    }
}

/// What holds for an account, whoever set it.
pub(crate) fn dialing(world: &World, account: Sid, iso: &'static str) -> Dialing {
    let usual = Dialing { low_risk: is_open(world, iso), special: false, toll_fraud: false };
    let whose = if inherits(world, account) { world.accounts.owner(account) } else { account };
    world.geo.calls.get(&(whose, iso)).copied().unwrap_or(usual)
}

/// Whether a subaccount's dialing permissions are its parent's.
pub(crate) fn inherits(world: &World, account: Sid) -> bool {
    !world.geo.on_their_own.contains(&account)
}

pub(crate) fn set_inherits(world: &mut World, account: Sid, inherits: bool) {
    if inherits {
        world.geo.on_their_own.remove(&account);
    } else {
        world.geo.on_their_own.insert(account);
    }
    world.touch();
}

pub(crate) fn set_texts(world: &mut World, account: Sid, iso: &'static str, may: bool) {
    world.geo.texts.insert((account, iso), may);
    world.touch();
}

pub(crate) fn set_dialing(world: &mut World, account: Sid, iso: &'static str, dialing: Dialing) {
    world.geo.calls.insert((account, iso), dialing);
    world.touch();
}

impl Geo {
    /// What was changed of the SMS permissions, by account and country.
    pub(crate) fn changed_texts(&self) -> Vec<(Sid, &'static str, bool)> {
        let mut changed: Vec<_> = self.texts.iter().map(|((sid, iso), may)| (*sid, *iso, *may)).collect();
        changed.sort_unstable();
        changed
    }

    /// What was changed of the dialing permissions, by account and country.
    pub(crate) fn changed_calls(&self) -> Vec<(Sid, &'static str, Dialing)> {
        let mut changed: Vec<_> =
            self.calls.iter().map(|((sid, iso), dialing)| (*sid, *iso, *dialing)).collect();
        changed.sort_unstable_by_key(|(sid, iso, _)| (*sid, *iso));
        changed
    }
}

fn is_open(world: &World, iso: &str) -> bool {
    match world.settings.geo_default {
        GeoDefault::All => true,
        GeoDefault::Home => matches!(iso, "US" | "CA"),
    }
}
