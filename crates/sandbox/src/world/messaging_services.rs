//! Messaging Services: senders with common settings.
//!
//! A service chooses the sender of a message: the one that its recipient knows already, else one of the same country
//! (and area code), the least recently used of them first.

use jiff::Timestamp;
use ringfence_model::{PhoneNumber, Sid};

use super::World;
use super::messages::{Address, country_of};
use super::webhooks::Method;
use crate::table::Row;

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct MessagingService {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) friendly_name: String,
    pub(crate) inbound_request_url: Option<String>,
    pub(crate) inbound_method: Method,
    pub(crate) fallback_url: Option<String>,
    pub(crate) fallback_method: Method,
    pub(crate) status_callback: Option<String>,
    /// Whether a recipient always gets the same sender.
    pub(crate) sticky_sender: bool,
    pub(crate) smart_encoding: bool,
    pub(crate) area_code_geomatch: bool,
    pub(crate) validity_s: u16,
    /// Whether the URLs of the number come before those of the service.
    pub(crate) use_inbound_webhook_on_number: bool,
    /// What is kept and told, and changes nothing here.
    pub(crate) mms_converter: bool,
    pub(crate) fallback_to_long_code: bool,
    pub(crate) synchronous_validation: bool,
    pub(crate) scan_message_content: String,
    pub(crate) usecase: String,
    pub(crate) numbers: Vec<PooledNumber>,
    pub(crate) names: Vec<AlphaSender>,
    /// How many senders it has chosen, so that all have their turn.
    turns: usize,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// A number in the pool. It stays there when its account gives it back, and is passed over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PooledNumber {
    pub(crate) number: Sid,
    pub(crate) added: Timestamp,
}

/// A name in the pool.
#[derive(Debug, Clone)]
pub(crate) struct AlphaSender {
    pub(crate) sid: Sid,
    pub(crate) name: String,
    pub(crate) added: Timestamp,
}

impl Row for MessagingService {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

/// Makes a service with Twilio's defaults.
pub(crate) fn create(world: &mut World, account: Sid, friendly_name: String) -> Sid {
    let sid = world.ids.sid(*b"MG");
    let now = world.now;
    world.messaging_services.insert(MessagingService {
        sid,
        account,
        friendly_name,
        inbound_request_url: None,
        inbound_method: Method::Post,
        fallback_url: None,
        fallback_method: Method::Post,
        status_callback: None,
        sticky_sender: true,
        smart_encoding: true,
        area_code_geomatch: true,
        validity_s: 36_000,
        use_inbound_webhook_on_number: false,
        mms_converter: true,
        fallback_to_long_code: true,
        synchronous_validation: false,
        scan_message_content: "inherit".to_owned(),
        usecase: "undeclared".to_owned(),
        numbers: Vec::new(),
        names: Vec::new(),
        turns: 0,
        created: now,
        updated: now,
    });
    world.touch();
    sid
}

pub(crate) fn find(world: &World, account: Sid, sid: Sid) -> Option<&MessagingService> {
    world.messaging_services.find_of(account, sid)
}

/// The service whose pool has this number; a number is in one pool at most.
pub(crate) fn of_number(world: &World, account: Sid, number: Sid) -> Option<&MessagingService> {
    world.messaging_services.of(account).find(|service| service.numbers.iter().any(|it| it.number == number))
}

/// Why a number does not get into a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAdded {
    /// The account has no such number.
    NoNumber,
    AlreadyHere,
    InAnother,
    /// There are as many as a pool holds.
    Full,
}

/// Puts a number into a pool.
pub(crate) fn add_number(world: &mut World, account: Sid, service: Sid, number: Sid) -> Result<(), NotAdded> {
    const POOL_MAX: usize = 400;
    world.numbers.find_of(account, number).ok_or(NotAdded::NoNumber)?;
    match of_number(world, account, number) {
        Some(owner) if owner.sid == service => return Err(NotAdded::AlreadyHere),
        Some(_) => return Err(NotAdded::InAnother),
        None => {}
    }
    let added = world.now;
    let service = world.messaging_services.find_mut_of(account, service).ok_or(NotAdded::NoNumber)?;
    if service.numbers.len() >= POOL_MAX {
        return Err(NotAdded::Full);
    }
    service.numbers.push(PooledNumber { number, added });
    world.touch();
    Ok(())
}

/// Whether the service may send from this address.
pub(crate) fn has_sender(world: &World, service: &MessagingService, from: &Address) -> bool {
    match from {
        Address::Number(number) => pool(world, service).any(|it| it == *number),
        Address::Name(name) => service.names.iter().any(|it| *it.name == **name),
    }
}

/// Whom the service would write to somebody from, or the error code of why it cannot.
pub(crate) fn choose_sender(
    world: &World,
    account: Sid,
    service: Sid,
    to: PhoneNumber,
) -> Result<Address, u16> {
    let service = find(world, account, service).ok_or(21701_u16)?;
    let numbers: Vec<PhoneNumber> = pool(world, service).collect();
    if let Some(known) =
        world.messages.sticky(service.sid, to).filter(|it| service.sticky_sender && numbers.contains(it))
    {
        return Ok(Address::Number(known));
    }
    if numbers.is_empty() && service.names.is_empty() {
        return Err(21704);
    }
    let is_home = |number: &PhoneNumber| *number != to && country_of(*number) == country_of(to);
    let home: Vec<PhoneNumber> = numbers.iter().copied().filter(is_home).collect();
    let is_near = |number: &PhoneNumber| number.digits() / 10_000_000 == to.digits() / 10_000_000;
    let near: Vec<PhoneNumber> = home
        .iter()
        .copied()
        .filter(|it| service.area_code_geomatch && country_of(to) == "US" && is_near(it))
        .collect();
    let in_turn = |numbers: &[PhoneNumber]| numbers.get(service.turns % numbers.len().max(1)).copied();
    if let Some(number) = in_turn(&near).or_else(|| in_turn(&home)) {
        return Ok(Address::Number(number));
    }
    // The United States and Canada are reached from each other, and from nowhere else.
    if matches!(country_of(to), "US" | "CA") {
        let neighbours: Vec<PhoneNumber> = numbers
            .iter()
            .copied()
            .filter(|it| *it != to && matches!(country_of(*it), "US" | "CA"))
            .collect();
        return in_turn(&neighbours).map(Address::Number).ok_or(21703);
    }
    match (service.names.get(service.turns % service.names.len().max(1)), in_turn(&numbers)) {
        (Some(name), _) => Ok(Address::Name(name.name.as_str().into())),
        (None, Some(number)) if number != to => Ok(Address::Number(number)),
        (None, _) => Err(21703),
    }
}

/// Chooses a sender and remembers it for the next time.
pub(crate) fn take_sender(
    world: &mut World,
    account: Sid,
    service: Sid,
    to: PhoneNumber,
) -> Result<Address, u16> {
    let from = choose_sender(world, account, service, to)?;
    let Some(row) = world.messaging_services.find_mut_of(account, service) else { return Err(21701) };
    row.turns = row.turns.wrapping_add(1);
    if let (true, Some(number)) = (row.sticky_sender, from.number()) {
        world.messages.remember_sender(service, to, number);
    }
    Ok(from)
}

/// The numbers of the pool that the account still owns.
fn pool(world: &World, service: &MessagingService) -> impl Iterator<Item = PhoneNumber> {
    service
        .numbers
        .iter()
        .filter_map(|it| world.numbers.find_of(service.account, it.number))
        .map(|row| row.phone_number)
}
