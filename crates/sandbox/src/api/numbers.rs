//! Numbers of an account: <https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource>.
//!
//! `Local`, `Mobile` and `TollFree` are the same list, cut down to one kind. Twilio's magic numbers can be bought by
//! everybody: <https://www.twilio.com/docs/iam/test-credentials#test-buying-numbers>.

use ringfence_model::{PhoneNumber, Sid};
use ringfence_twilio::wire::{self, Capabilities, Form, Rfc2822};

use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, hooks, list_2010, params, shortened};
use crate::world::numbering::{self, LineKind};
use crate::world::numbers::{self, IncomingNumber, MAGIC_VALID, Papers};
use crate::world::{World, events};

const LIST: &str = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json";
const ONE: &str = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers/{Sid}.json";
const LOCAL: &str = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers/Local.json";
const MOBILE: &str = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers/Mobile.json";
const TOLL_FREE: &str = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers/TollFree.json";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Api, Verb::Post, LIST, create).creates(),
    Operation::new(Product::Api, Verb::Get, LIST, list),
    Operation::new(Product::Api, Verb::Get, ONE, fetch),
    Operation::new(Product::Api, Verb::Post, ONE, update),
    Operation::new(Product::Api, Verb::Delete, ONE, delete),
    Operation::new(Product::Api, Verb::Post, LOCAL, create_local).creates(),
    Operation::new(Product::Api, Verb::Get, LOCAL, list_local),
    Operation::new(Product::Api, Verb::Post, MOBILE, create_mobile).creates(),
    Operation::new(Product::Api, Verb::Get, MOBILE, list_mobile),
    Operation::new(Product::Api, Verb::Post, TOLL_FREE, create_toll_free).creates(),
    Operation::new(Product::Api, Verb::Get, TOLL_FREE, list_toll_free),
];

/// Twilio's own bound for a friendly name.
const FRIENDLY_NAME_MAX: usize = 64;

fn create(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let number = match (params::some(&request.form, "PhoneNumber"), params::some(&request.form, "AreaCode")) {
        (Some(text), _) => for_sale(world, text)?,
        (None, Some(area_code)) => in_area(world, area_code)?,
        (None, None) => {
            return Err(Refusal::bad_request(21421, "An AreaCode or a PhoneNumber must be provided"));
        }
    };
    buy(world, request, number, wire_number)
}

fn create_local(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    create_kind(world, request, "local")
}

fn create_mobile(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    create_kind(world, request, "mobile")
}

fn create_toll_free(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    create_kind(world, request, "tollfree")
}

fn create_kind(world: &mut World, request: &Request, kind: &str) -> Result<Reply, Refusal> {
    let text = params::needed(&request.form, "PhoneNumber")?;
    let number = for_sale(world, text)?;
    if number.digits() != MAGIC_VALID && kind_of(number) != kind {
        return Err(Refusal::bad_request(21421, format!("{number} is not a valid {kind} number")));
    }
    buy(world, request, number, of_one_kind)
}

/// How a number is told.
type Tell = fn(&IncomingNumber) -> wire::IncomingPhoneNumber;

fn buy(world: &mut World, request: &Request, number: PhoneNumber, tell: Tell) -> Result<Reply, Refusal> {
    // Everything that may be wrong is read before the number is bought.
    let mut draft = IncomingNumber {
        sid: request.account,
        account: request.account,
        phone_number: number,
        friendly_name: numbering::friendly(number),
        hooks: numbers::Hooks::default(),
        papers: Papers::default(),
        created: world.now,
        updated: world.now,
    };
    read(world, request, &mut draft)?;
    let sid = numbers::buy(world, request.account, number);
    if let Some(row) = world.numbers.find_mut(sid) {
        row.friendly_name = draft.friendly_name;
        row.hooks = draft.hooks;
        row.papers = draft.papers;
    }
    let row = world.numbers.find(sid).ok_or_else(|| request.not_found())?;
    Ok(Reply::created(&tell(row)))
}

/// A number that can be bought.
fn for_sale(world: &World, text: &str) -> Result<PhoneNumber, Refusal> {
    const MAGIC_TAKEN: u64 = 15_005_550_000;
    const MAGIC_INVALID: u64 = 15_005_550_001;
    let invalid = || {
        Refusal::bad_request(21421, format!("The phone number provided, {}, is not valid.", shortened(text)))
    };
    let number = PhoneNumber::parse(text).map_err(|_| invalid())?;
    if number.digits() == MAGIC_INVALID || numbering::check(number).is_err() {
        return Err(invalid());
    }
    let is_taken = numbers::find_by_number(world, number).is_some() && number.digits() != MAGIC_VALID;
    if number.digits() == MAGIC_TAKEN || is_taken {
        return Err(Refusal::bad_request(21422, format!("{number} is not available.")));
    }
    Ok(number)
}

/// Any number of an area code. Of the magic ones 533 has none and 500 has one.
fn in_area(world: &mut World, area_code: &str) -> Result<PhoneNumber, Refusal> {
    let is_area_code = area_code.len() == 3 && area_code.bytes().all(|byte| byte.is_ascii_digit());
    if !is_area_code || area_code.starts_with(['0', '1']) {
        let area_code = shortened(area_code);
        return Err(Refusal::bad_request(
            21451,
            format!("The AreaCode provided, {area_code}, is not valid."),
        ));
    }
    match area_code {
        "533" => {
            Err(Refusal::bad_request(21452, format!("No phone numbers found in area code {area_code}.")))
        }
        "500" => PhoneNumber::parse("+15005550006").map_err(|_| Refusal::invalid("AreaCode", area_code)),
        _ => Ok(numbers::free_number(world, &format!("+1{area_code}555"))),
    }
}

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    list_kind(world, request, None)
}

fn list_local(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    list_kind(world, request, Some("local"))
}

fn list_mobile(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    list_kind(world, request, Some("mobile"))
}

fn list_toll_free(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    list_kind(world, request, Some("tollfree"))
}

fn list_kind(world: &World, request: &Request, kind: Option<&str>) -> Result<Reply, Refusal> {
    let query = &request.query;
    let name = params::some(query, "FriendlyName");
    let pattern = params::some(query, "PhoneNumber");
    let beta = params::flag(query, "Beta")?;
    let origin = params::some(query, "Origin");
    let rows = world
        .numbers
        .of(request.account)
        .filter(|row| kind.is_none_or(|kind| kind_of(row.phone_number) == kind))
        .filter(|row| name.is_none_or(|name| row.friendly_name == name))
        .filter(|row| pattern.is_none_or(|pattern| fits(row.phone_number, pattern)))
        .filter(|_| beta != Some(true) && origin.is_none_or(|origin| origin == ORIGIN));
    let tell: Tell = if kind.is_some() { of_one_kind } else { wire_number };
    list_2010(request, "incoming_phone_numbers", rows, |row| row.sid, |row| tell(row))
}

/// All numbers of the sandbox are Twilio's own, none hosted.
const ORIGIN: &str = "twilio";

/// Whether a number has this pattern in it: digits, and `*` for any digit. A pattern with `+` begins at the front.
fn fits(number: PhoneNumber, pattern: &str) -> bool {
    let digits = number.digits().to_string();
    let wanted = pattern.trim_start_matches('+').as_bytes();
    let fits_here = |place: &[u8]| {
        place.iter().zip(wanted).all(|(digit, wanted)| matches!(wanted, b'*') || digit == wanted)
    };
    if pattern.starts_with('+') {
        return digits.as_bytes().get(..wanted.len()).is_some_and(fits_here);
    }
    wanted.is_empty() || digits.as_bytes().windows(wanted.len()).any(fits_here)
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let row = world.numbers.find_of(request.account, request.sid("Sid")?);
    row.map(|row| Reply::ok(&wire_number(row))).ok_or_else(|| request.not_found())
}

fn update(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("Sid")?;
    let row = world.numbers.find_of(request.account, sid).ok_or_else(|| request.not_found())?;
    let mut draft = row.clone();
    let before = wire_number(row);
    let owner = new_owner(world, request)?;
    read(world, request, &mut draft)?;
    draft.updated = world.now;
    let change = hooks::changes(&before, &wire_number(&draft));
    if let Some(row) = world.numbers.find_mut(sid) {
        *row = draft;
    }
    events::record_with(world, request.account, "phone-number.updated", sid, change);
    world.touch();
    if let Some(owner) = owner {
        numbers::move_to(world, sid, owner);
    }
    let row = world.numbers.find(sid).ok_or_else(|| request.not_found())?;
    Ok(Reply::ok(&wire_number(row)))
}

/// Where `AccountSid` wants the number to go. It takes the parent's credentials to move a number, within its family.
/// Codes: <https://www.twilio.com/docs/api/errors/21471> and its neighbours.
fn new_owner(world: &World, request: &Request) -> Result<Option<Sid>, Refusal> {
    let Some(text) = params::some(&request.form, "AccountSid") else { return Ok(None) };
    let not_there = || Refusal::bad_request(21471, format!("Account {} does not exist", shortened(text)));
    let target = Sid::parse(text).map_err(|_| not_there())?;
    if target == request.account {
        return Ok(None);
    }
    let caller = request.caller.account;
    let family = |account: Sid| account == caller || world.accounts.owner(account) == caller;
    if world.accounts.find(target).is_none() || world.accounts.owner(target) != world.accounts.owner(caller) {
        return Err(not_there());
    }
    if !family(target) || !family(request.account) {
        return Err(Refusal::new(403, 21474, "The calling account does not have access to both accounts"));
    }
    if !world.accounts.is_active(target) {
        return Err(Refusal::bad_request(21472, format!("Account {target} is not active")));
    }
    Ok(Some(target))
}

fn delete(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    if numbers::release(world, request.account, request.sid("Sid")?) {
        Ok(Reply::deleted())
    } else {
        Err(request.not_found())
    }
}

/// Reads all that a form can say of a number.
fn read(world: &World, request: &Request, draft: &mut IncomingNumber) -> Result<(), Refusal> {
    let form = &request.form;
    if let Some(name) = params::friendly_name(form, FRIENDLY_NAME_MAX)? {
        draft.friendly_name = name;
    }
    hooks::read(form, &mut draft.hooks)?;
    hooks::read_applications(world, request.account, form, &mut draft.hooks)?;
    let papers = &mut draft.papers;
    paper(form, "TrunkSid", "TK", &mut papers.trunk_sid)?;
    paper(form, "AddressSid", "AD", &mut papers.address_sid)?;
    paper(form, "IdentitySid", "RI", &mut papers.identity_sid)?;
    paper(form, "BundleSid", "BU", &mut papers.bundle_sid)?;
    paper(form, "EmergencyAddressSid", "AD", &mut papers.emergency_address_sid)?;
    match params::some(form, "EmergencyStatus") {
        None => {}
        Some("Active") => papers.emergency_active = true,
        Some("Inactive") => papers.emergency_active = false,
        Some(other) => return Err(Refusal::invalid("EmergencyStatus", other)),
    }
    match params::some(form, "VoiceReceiveMode") {
        None => {}
        Some("voice") => papers.receives_fax = false,
        Some("fax") => papers.receives_fax = true,
        Some(other) => return Err(Refusal::invalid("VoiceReceiveMode", other)),
    }
    Ok(())
}

fn paper(form: &Form, name: &str, prefix: &str, paper: &mut Option<String>) -> Result<(), Refusal> {
    if form.get(name).is_some() {
        *paper = params::sid(form, name, prefix)?.map(|sid| sid.to_string());
    }
    Ok(())
}

/// `local`, `mobile` or `tollfree`, as the lists are divided.
fn kind_of(number: PhoneNumber) -> &'static str {
    match numbering::line_kind(number) {
        LineKind::TollFree => "tollfree",
        _ if numbering::is_surely_mobile(number) => "mobile",
        _ => "local",
    }
}

/// What Twilio's numbers can do: media only in North America.
pub(super) fn capabilities(number: PhoneNumber) -> Capabilities {
    let mms = numbering::country_of(number).is_some_and(|country| country.calling_code() == 1);
    Capabilities { mms, ..Capabilities::default() }
}

/// Among numbers of one kind Twilio does not name the kind again.
fn of_one_kind(row: &IncomingNumber) -> wire::IncomingPhoneNumber {
    wire::IncomingPhoneNumber { kind: None, ..wire_number(row) }
}

pub(super) fn wire_number(row: &IncomingNumber) -> wire::IncomingPhoneNumber {
    let (hooks, papers) = (&row.hooks, &row.papers);
    let idle = hooks.idle_methods;
    let (sms_url, sms_method) = hooks::shown(hooks.sms.as_ref(), idle.sms);
    let (sms_fallback_url, sms_fallback_method) =
        hooks::shown(hooks.sms_fallback.as_ref(), idle.sms_fallback);
    let (voice_url, voice_method) = hooks::shown(hooks.voice.as_ref(), idle.voice);
    let (voice_fallback_url, voice_fallback_method) =
        hooks::shown(hooks.voice_fallback.as_ref(), idle.voice_fallback);
    let (status_callback, status_callback_method) =
        hooks::shown(hooks.status_callback.as_ref(), idle.status_callback);
    let words = |text: &str| Some(text.to_owned());
    wire::IncomingPhoneNumber {
        sid: row.sid.to_string(),
        account_sid: row.account.to_string(),
        phone_number: row.phone_number.to_string(),
        friendly_name: Some(row.friendly_name.clone()),
        capabilities: Some(capabilities(row.phone_number)),
        sms_application_sid: hooks.sms_application.map(|sid| sid.to_string()),
        sms_url,
        sms_method,
        sms_fallback_url,
        sms_fallback_method,
        voice_application_sid: hooks.voice_application.map(|sid| sid.to_string()),
        voice_url,
        voice_method,
        voice_fallback_url,
        voice_fallback_method,
        voice_caller_id_lookup: Some(hooks.caller_id_lookup),
        voice_receive_mode: words(if papers.receives_fax { "fax" } else { "voice" }),
        status_callback,
        status_callback_method,
        trunk_sid: papers.trunk_sid.clone(),
        address_requirements: words("none"),
        address_sid: papers.address_sid.clone(),
        identity_sid: papers.identity_sid.clone(),
        bundle_sid: papers.bundle_sid.clone(),
        emergency_status: words(if papers.emergency_active { "Active" } else { "Inactive" }),
        emergency_address_sid: papers.emergency_address_sid.clone(),
        emergency_address_status: words(if papers.emergency_address_sid.is_some() {
            "registered"
        } else {
            "unregistered"
        }),
        beta: Some(false),
        origin: words(ORIGIN),
        status: words("in-use"),
        kind: words(kind_of(row.phone_number)),
        api_version: words("2010-04-01"),
        date_created: Some(Rfc2822(row.created)),
        date_updated: Some(Rfc2822(row.updated)),
        uri: format!("/2010-04-01/Accounts/{}/IncomingPhoneNumbers/{}.json", row.account, row.sid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Api, error};

    fn path(api: &Api) -> String {
        format!("/2010-04-01/Accounts/{}/IncomingPhoneNumbers", api.main)
    }

    #[test]
    fn what_cannot_be_bought_is_refused_with_twilios_code() {
        let mut api = Api::new();
        let path = path(&api);
        for (name, value, code) in [
            ("FriendlyName", "no number", 21421),
            ("PhoneNumber", "+15005550000", 21422),
            ("PhoneNumber", "+15005550001", 21421),
            ("PhoneNumber", "415-555-0100", 21421),
            ("PhoneNumber", "+1415555010", 21421),
            ("AreaCode", "41", 21451),
            ("AreaCode", "533", 21452),
        ] {
            assert_eq!(error(api.post(&path, &[(name, value)])), (400, code), "{name} {value}");
        }
        let taken = api.world.numbers.newest_first().next().unwrap().phone_number.to_string();
        assert_eq!(error(api.post(&path, &[("PhoneNumber", &taken)])), (400, 21422));
        let wrong_url = [("PhoneNumber", "+14155550123"), ("SmsUrl", "not a url")];
        assert_eq!(error(api.post(&path, &wrong_url)), (400, 21402));
        let wrong_method = [("PhoneNumber", "+14155550123"), ("VoiceMethod", "PUT")];
        assert_eq!(error(api.post(&path, &wrong_method)), (400, 21403));
        let local = format!("{path}/TollFree");
        assert_eq!(error(api.post(&local, &[("PhoneNumber", "+14155550123")])), (400, 21421));
        assert_eq!(api.world.numbers.newest_first().count(), 2, "nothing was bought");
    }

    #[test]
    fn the_magic_number_is_everybodys() {
        let mut api = Api::new();
        let path = path(&api);
        for _ in 0..2 {
            let (status, number) = api.post(&path, &[("PhoneNumber", "+15005550006")]);
            assert_eq!((status, &number["friendly_name"]), (201, &"(500) 555-0006".into()));
        }
        assert_eq!(api.post(&path, &[("AreaCode", "500")]).1["phone_number"], "+15005550006");
    }

    #[test]
    fn a_number_is_bought_found_changed_and_given_back() {
        let mut api = Api::new();
        let path = path(&api);
        let form = [("AreaCode", "212"), ("VoiceUrl", "https://app.example/voice"), ("VoiceMethod", "GET")];
        let (status, bought) = api.post(&path, &form);
        assert_eq!(status, 201);
        let number = bought["phone_number"].as_str().unwrap().to_owned();
        assert!(number.starts_with("+1212555"), "{number}");
        assert_eq!((&bought["voice_method"], &bought["sms_url"]), (&"GET".into(), &serde_json::Value::Null));
        let one = format!("{path}/{}.json", bought["sid"].as_str().unwrap());
        let found = api.get(&format!("{path}?PhoneNumber=212555****"));
        assert_eq!(found.1["incoming_phone_numbers"].as_array().unwrap().len(), 1);
        assert_eq!(
            api.get(&format!("{path}/Local?Beta=true")).1["incoming_phone_numbers"],
            serde_json::json!([])
        );
        // A URL that is cleared takes nothing with it.
        let (_, changed) = api.post(&one, &[("VoiceUrl", ""), ("SmsUrl", "https://app.example/sms")]);
        assert_eq!(
            (&changed["voice_url"], &changed["voice_method"]),
            (&serde_json::Value::Null, &"GET".into())
        );
        assert_eq!(changed["sms_method"], "POST");
        assert_eq!(api.delete(&one).0, 204);
        assert_eq!(error(api.get(&one)), (404, 20404));
        assert!(numbers::find_by_number(&api.world, PhoneNumber::parse(&number).unwrap()).is_none());
    }

    #[test]
    fn a_number_moves_within_the_family_with_the_parents_credentials() {
        let mut api = Api::new();
        let child = api.subaccount("child");
        let other = api.subaccount("other");
        let row = api.world.numbers.newest_first().next().unwrap();
        let (sid, number) = (row.sid, row.phone_number);
        let main_path = format!("{}/{sid}.json", path(&api));
        let nobody = Sid::new(*b"AC", 7).to_string();
        assert_eq!(error(api.post(&main_path, &[("AccountSid", &nobody)])), (400, 21471));
        let (status, moved) = api.post(&main_path, &[("AccountSid", &child.sid.to_string())]);
        assert_eq!((status, moved["account_sid"].as_str()), (200, Some(&*child.sid.to_string())));
        assert!(numbers::owns(&api.world, child.sid, number) && !numbers::owns(&api.world, api.main, number));
        assert_eq!(error(api.get(&main_path)), (404, 20404));
        let child_path = format!("/2010-04-01/Accounts/{}/IncomingPhoneNumbers/{sid}.json", child.sid);
        let to_other = [("AccountSid", other.sid.to_string())];
        let to_other = [("AccountSid", to_other[0].1.as_str())];
        let by_itself = api.as_account(&child).post(&child_path, &to_other);
        assert_eq!(error(by_itself), (403, 21474), "a subaccount gives nothing away");
        crate::world::accounts::set_status(&mut api.world, other.sid, &wire::AccountStatus::Suspended);
        assert_eq!(error(api.as_main().post(&child_path, &to_other)), (400, 21472));
        let seen = |api: &Api, account| {
            let events = api.world.events.of(account).filter(|it| it.event_type == "phone-number.updated");
            events.count()
        };
        assert_eq!((seen(&api, child.sid), seen(&api, api.main)), (1, 2), "both see it");
    }

    #[test]
    fn rent_is_booked_every_month_until_the_number_is_given_back() {
        let mut api = Api::new();
        api.world.settings.number_rent = true;
        let sid = numbers::buy(&mut api.world, api.main, PhoneNumber::parse("+14155550123").unwrap());
        let planned = api.world.planned();
        api.pass_s(31 * 24 * 3600);
        assert_eq!(api.world.planned(), planned, "the next month is planned");
        numbers::release(&mut api.world, api.main, sid);
        api.pass_s(31 * 24 * 3600);
        assert_eq!(api.world.planned(), planned - 1, "nobody rents it any more");
    }
}
