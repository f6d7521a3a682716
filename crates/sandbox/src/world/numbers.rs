//! Phone numbers that accounts own, with the webhook URLs for what arrives at them.
//!
//! A number belongs to one account at a time. It is found by its digits in one step, since every message and call
//! asks who owns its ends.

use std::collections::HashMap;

use jiff::Timestamp;
use ringfence_model::{PhoneNumber, Sid};
use serde_json::json;

use super::numbering::{self, LineKind};
use super::usage::Use;
use super::webhooks::{Method, Target};
use super::{World, events, usage};
use crate::table::{Row, Table};

/// All numbers that somebody owns.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    rows: Table<IncomingNumber>,
    by_number: HashMap<PhoneNumber, Sid>,
}

/// A number that an account owns.
#[derive(Debug, Clone)]
pub(crate) struct IncomingNumber {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) phone_number: PhoneNumber,
    pub(crate) friendly_name: String,
    pub(crate) hooks: Hooks,
    /// What is kept and told, and changes nothing here.
    pub(crate) papers: Papers,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// The webhook URLs of a number or an application.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) sms: Option<Target>,
    pub(crate) sms_fallback: Option<Target>,
    pub(crate) sms_status_callback: Option<String>,
    /// Takes the place of the URLs above.
    pub(crate) sms_application: Option<Sid>,
    pub(crate) voice: Option<Target>,
    pub(crate) voice_fallback: Option<Target>,
    pub(crate) voice_application: Option<Sid>,
    pub(crate) status_callback: Option<Target>,
    /// Whether callers' names are looked up.
    pub(crate) caller_id_lookup: bool,
    /// Methods of URLs that are not set: Twilio keeps them.
    pub(crate) idle_methods: IdleMethods,
}

/// What the method would be if there were a URL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdleMethods {
    pub(crate) sms: Method,
    pub(crate) sms_fallback: Method,
    pub(crate) voice: Method,
    pub(crate) voice_fallback: Method,
    pub(crate) status_callback: Method,
}

/// Addresses, bundles and other things that Twilio keeps beside a number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Papers {
    pub(crate) trunk_sid: Option<String>,
    pub(crate) address_sid: Option<String>,
    pub(crate) identity_sid: Option<String>,
    pub(crate) bundle_sid: Option<String>,
    pub(crate) emergency_active: bool,
    pub(crate) emergency_address_sid: Option<String>,
    pub(crate) receives_fax: bool,
}

impl Default for IdleMethods {
    fn default() -> Self {
        let post = Method::Post;
        Self { sms: post, sms_fallback: post, voice: post, voice_fallback: post, status_callback: post }
    }
}

impl Row for IncomingNumber {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

impl Numbers {
    pub(crate) fn find(&self, sid: Sid) -> Option<&IncomingNumber> {
        self.rows.find(sid)
    }

    pub(crate) fn find_of(&self, account: Sid, sid: Sid) -> Option<&IncomingNumber> {
        self.rows.find_of(account, sid)
    }

    /// To be changed in all but its number.
    pub(crate) fn find_mut(&mut self, sid: Sid) -> Option<&mut IncomingNumber> {
        self.rows.find_mut(sid)
    }

    /// An account's numbers, newest first.
    pub(crate) fn of(&self, account: Sid) -> impl DoubleEndedIterator<Item = &IncomingNumber> {
        self.rows.of(account)
    }

    /// Everybody's numbers, newest first.
    pub(crate) fn newest_first(&self) -> impl DoubleEndedIterator<Item = &IncomingNumber> {
        self.rows.newest_first()
    }

    fn insert(&mut self, row: IncomingNumber) {
        self.by_number.insert(row.phone_number, row.sid);
        self.rows.insert(row);
    }

    fn remove_of(&mut self, account: Sid, sid: Sid) -> Option<IncomingNumber> {
        let row = self.rows.remove_of(account, sid)?;
        // Twilio's magic number can be several accounts' at once.
        if self.by_number.get(&row.phone_number) == Some(&sid) {
            self.by_number.remove(&row.phone_number);
        }
        Some(row)
    }
}

/// The number's row, whichever account owns it.
pub(crate) fn find_by_number(world: &World, number: PhoneNumber) -> Option<&IncomingNumber> {
    world.numbers.find(*world.numbers.by_number.get(&number)?)
}

/// Whether an account may send from this number. Twilio's magic number for "it works" is everybody's.
pub(crate) fn owns(world: &World, account: Sid, number: PhoneNumber) -> bool {
    number.digits() == MAGIC_VALID || find_by_number(world, number).is_some_and(|row| row.account == account)
}

/// `+15005550006`, the valid sender of Twilio's test credentials.
pub(crate) const MAGIC_VALID: u64 = 15_005_550_006;

/// Gives the main account its first numbers, so that there is something to send from.
pub(super) fn furnish(world: &mut World) {
    let main = world.accounts.main();
    for _ in 0..2 {
        let number = free_number(world, "+1415555");
        buy(world, main, number);
    }
}

/// A number that nobody owns, with this beginning of at most nine digits.
pub(crate) fn free_number(world: &mut World, prefix: &str) -> PhoneNumber {
    loop {
        let rest = u32::try_from(12_usize.saturating_sub(prefix.len())).unwrap_or(0);
        let text = format!("{prefix}{}", world.ids.digits(rest));
        let number = PhoneNumber::parse(&text).expect("the prefix is one of a phone number");
        if find_by_number(world, number).is_none() {
            return number;
        }
    }
}

/// The account owns the number from now on, and pays its first month.
pub(crate) fn buy(world: &mut World, account: Sid, phone_number: PhoneNumber) -> Sid {
    let sid = world.ids.sid(*b"PN");
    let now = world.now;
    world.numbers.insert(IncomingNumber {
        sid,
        account,
        phone_number,
        friendly_name: numbering::friendly(phone_number),
        hooks: Hooks::default(),
        papers: Papers::default(),
        created: now,
        updated: now,
    });
    world.plan_in_ms(MONTH_MS, super::Due::NumberRent(sid));
    pay_rent(world, account, phone_number);
    events::record_with(
        world,
        account,
        "phone-number.created",
        sid,
        json!({ "phone_number": phone_number.to_string() }),
    );
    world.touch();
    sid
}

/// Twilio rents numbers by the month; thirty days stand for one.
const MONTH_MS: u64 = 30 * 24 * 3600 * 1000;

/// Another month of a number has begun. A suspended account pays on; one that gave the number back does not.
pub(super) fn rent_is_due(world: &mut World, sid: Sid) {
    let Some(row) = world.numbers.find(sid) else { return };
    let (account, phone_number) = (row.account, row.phone_number);
    pay_rent(world, account, phone_number);
    world.plan_in_ms(MONTH_MS, super::Due::NumberRent(sid));
}

fn pay_rent(world: &mut World, account: Sid, number: PhoneNumber) {
    if !world.settings.number_rent {
        return;
    }
    let (categories, price_micros): (&'static [&'static str], i64) = match numbering::line_kind(number) {
        LineKind::TollFree => (&["phonenumbers", "phonenumbers-tollfree"], 2_150_000),
        _ if numbering::is_surely_mobile(number) => (&["phonenumbers", "phonenumbers-mobile"], 1_150_000),
        _ => (&["phonenumbers", "phonenumbers-local"], 1_150_000),
    };
    usage::book(world, Use { account, categories, count: 1, usage: 1, price_micros });
}

/// Hands a number to another account of the family. Both see it in their audit trails.
pub(crate) fn move_to(world: &mut World, sid: Sid, account: Sid) {
    let now = world.now;
    let Some(row) = world.numbers.find_mut(sid) else { return };
    let from = std::mem::replace(&mut row.account, account);
    if from == account {
        return;
    }
    row.updated = now;
    // What pointed at applications of the old account would point nowhere.
    row.hooks.sms_application = None;
    row.hooks.voice_application = None;
    let change = json!({ "account_sid": { "previous": from.to_string(), "updated": account.to_string() } });
    events::record_with(world, from, "phone-number.updated", sid, change.clone());
    events::record_with(world, account, "phone-number.updated", sid, change);
    world.touch();
}

/// Gives a number back. `false`: the account has no such number.
pub(crate) fn release(world: &mut World, account: Sid, sid: Sid) -> bool {
    let Some(row) = world.numbers.remove_of(account, sid) else { return false };
    events::record_with(
        world,
        account,
        "phone-number.deleted",
        sid,
        json!({ "phone_number": row.phone_number.to_string() }),
    );
    world.touch();
    true
}

/// A closed account gives its numbers back.
pub(super) fn release_all(world: &mut World, account: Sid) {
    let owned: Vec<Sid> = world.numbers.of(account).map(Row::sid).collect();
    for sid in owned {
        release(world, account, sid);
    }
}
