//! Phone numbers that accounts own, with the webhook URLs for what arrives at them.

use jiff::Timestamp;
use ringfence_model::{PhoneNumber, Sid};

use super::webhooks::Target;
use super::{World, events};
use crate::table::Row;

/// A number that an account owns.
#[derive(Debug, Clone)]
pub(crate) struct IncomingNumber {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) phone_number: PhoneNumber,
    pub(crate) friendly_name: String,
    pub(crate) hooks: Hooks,
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
}

impl Row for IncomingNumber {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

/// The number's row, whichever account owns it.
pub(crate) fn find_by_number(world: &World, number: PhoneNumber) -> Option<&IncomingNumber> {
    world.numbers.newest_first().find(|row| row.phone_number == number)
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

/// A number that nobody owns, with this beginning.
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

/// The account owns the number from now on.
pub(crate) fn buy(world: &mut World, account: Sid, phone_number: PhoneNumber) -> Sid {
    let sid = world.ids.sid(*b"PN");
    let now = world.now;
    world.numbers.insert(IncomingNumber {
        sid,
        account,
        phone_number,
        friendly_name: phone_number.to_string(),
        hooks: Hooks::default(),
        created: now,
        updated: now,
    });
    events::record(world, account, "phone-number.created", sid);
    world.touch();
    sid
}

/// A closed account gives its numbers back.
pub(super) fn release_all(world: &mut World, account: Sid) {
    let owned: Vec<Sid> = world.numbers.of(account).map(Row::sid).collect();
    for sid in owned {
        world.numbers.remove_of(account, sid);
        events::record(world, account, "phone-number.deleted", sid);
    }
}
