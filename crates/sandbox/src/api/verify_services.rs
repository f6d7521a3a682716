//! Verify services: <https://www.twilio.com/docs/verify/api/service>.

use std::collections::BTreeMap;

use ringfence_model::Sid;
use ringfence_twilio::wire::{Form, Iso8601, VerifyService};

use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, list_v1, params, shortened};
use crate::world::World;
use crate::world::verify::{self, Service, ServiceRules};

const LIST: &str = "/v2/Services";
const ONE: &str = "/v2/Services/{Sid}";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Verify, Verb::Post, LIST, create).creates(),
    Operation::new(Product::Verify, Verb::Get, LIST, list),
    Operation::new(Product::Verify, Verb::Get, ONE, fetch),
    Operation::new(Product::Verify, Verb::Post, ONE, update),
    Operation::new(Product::Verify, Verb::Delete, ONE, delete),
];

fn create(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    params::needed(&request.form, "FriendlyName")?;
    let mut rules = ServiceRules { code_length: CODE_LENGTH_DEFAULT, ..ServiceRules::default() };
    read(&request.form, &mut rules)?;
    let sid = verify::create_service(world, request.account, rules);
    shown(world, request, sid).map(|service| Reply::created(&service))
}

const CODE_LENGTH_DEFAULT: u32 = 6;

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let rows = world.verify.services.of(request.account);
    list_v1(request, "services", rows, |row| row.sid.to_string(), |row| wire_service(request, row))
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    shown(world, request, request.sid("Sid")?).map(|service| Reply::ok(&service))
}

fn update(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("Sid")?;
    let now = world.now;
    let row = world.verify.services.find_mut_of(request.account, sid).ok_or_else(|| request.not_found())?;
    let mut rules = row.rules.clone();
    read(&request.form, &mut rules)?;
    row.rules = rules;
    row.updated = now;
    world.touch();
    shown(world, request, sid).map(|service| Reply::ok(&service))
}

fn delete(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    if verify::remove_service(world, request.account, request.sid("Sid")?) {
        Ok(Reply::deleted())
    } else {
        Err(request.not_found())
    }
}

/// The service in the path, as `ServiceSid` names it.
pub(super) fn meant<'w>(world: &'w World, request: &Request) -> Result<&'w Service, Refusal> {
    let service = world.verify.services.find_of(request.account, request.sid("ServiceSid")?);
    service.ok_or_else(|| request.not_found())
}

/// Verify's own code for a parameter that cannot be used.
pub(super) fn invalid(name: &str, value: &str) -> Refusal {
    Refusal::bad_request(60200, format!("Invalid parameter `{name}`: {}", shortened(value)))
}

/// The name that codes are sent under: no more than 32 characters, and no telephone number in it.
pub(super) fn friendly_name(form: &Form, parameter: &str) -> Result<Option<String>, Refusal> {
    const CHARACTERS_MAX: usize = 32;
    const DIGITS_MAX: usize = 4;
    let Some(name) = params::some(form, parameter) else { return Ok(None) };
    let digits = name.chars().filter(char::is_ascii_digit).count();
    if name.chars().count() > CHARACTERS_MAX || digits > DIGITS_MAX {
        return Err(invalid(parameter, name));
    }
    Ok(Some(name.to_owned()))
}

/// Reads all that a form can say of a service.
fn read(form: &Form, rules: &mut ServiceRules) -> Result<(), Refusal> {
    if let Some(name) = friendly_name(form, "FriendlyName")? {
        rules.friendly_name = name;
    }
    if let Some(length) = number(form, "CodeLength", 4, 10)? {
        rules.code_length = u32::try_from(length).unwrap_or(CODE_LENGTH_DEFAULT);
    }
    flag(form, "LookupEnabled", &mut rules.lookup_enabled)?;
    flag(form, "SkipSmsToLandlines", &mut rules.skip_sms_to_landlines)?;
    flag(form, "DtmfInputRequired", &mut rules.dtmf_input_required)?;
    flag(form, "Psd2Enabled", &mut rules.psd2_enabled)?;
    flag(form, "DoNotShareWarningEnabled", &mut rules.do_not_share_warning)?;
    flag(form, "CustomCodeEnabled", &mut rules.custom_code_enabled)?;
    flag(form, "VerifyEventSubscriptionEnabled", &mut rules.event_subscription)?;
    text(form, "TtsName", &mut rules.tts_name);
    sid(form, "DefaultTemplateSid", "HJ", &mut rules.default_template_sid)?;
    flag(form, "Push.IncludeDate", &mut rules.push.include_date)?;
    sid(form, "Push.ApnCredentialSid", "CR", &mut rules.push.apn_credential_sid)?;
    sid(form, "Push.FcmCredentialSid", "CR", &mut rules.push.fcm_credential_sid)?;
    text(form, "Totp.Issuer", &mut rules.totp.issuer);
    rules.totp.time_step = number(form, "Totp.TimeStep", 20, 60)?.or(rules.totp.time_step);
    rules.totp.code_length = number(form, "Totp.CodeLength", 3, 8)?.or(rules.totp.code_length);
    rules.totp.skew = number(form, "Totp.Skew", 0, 2)?.or(rules.totp.skew);
    sid(form, "Whatsapp.MsgServiceSid", "MG", &mut rules.whatsapp.msg_service_sid)?;
    text(form, "Whatsapp.From", &mut rules.whatsapp.from);
    read_passkeys(form, rules)
}

fn read_passkeys(form: &Form, rules: &mut ServiceRules) -> Result<(), Refusal> {
    const ATTACHMENTS: &[&str] = &["platform", "cross-platform", "any"];
    const DEMANDS: &[&str] = &["required", "preferred", "discouraged"];
    let passkeys = &mut rules.passkeys;
    text(form, "Passkeys.RelyingParty.Id", &mut passkeys.relying_party.id);
    text(form, "Passkeys.RelyingParty.Name", &mut passkeys.relying_party.name);
    if let Some(origins) = form.get("Passkeys.RelyingParty.Origins") {
        let origins: Vec<_> =
            origins.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect();
        passkeys.relying_party.origins = Some(origins).filter(|origins| !origins.is_empty());
    }
    word(form, "Passkeys.AuthenticatorAttachment", ATTACHMENTS, &mut passkeys.authenticator_attachment)?;
    word(form, "Passkeys.DiscoverableCredentials", DEMANDS, &mut passkeys.discoverable_credentials)?;
    word(form, "Passkeys.UserVerification", DEMANDS, &mut passkeys.user_verification)
}

fn flag(form: &Form, name: &str, flag: &mut bool) -> Result<(), Refusal> {
    if let Some(text) = params::some(form, name) {
        *flag = params::flag(form, name).map_err(|_| invalid(name, text))?.unwrap_or(*flag);
    }
    Ok(())
}

fn number(form: &Form, name: &str, least: u64, most: u64) -> Result<Option<u64>, Refusal> {
    let text = params::some(form, name).unwrap_or_default();
    params::number(form, name, least, most).map_err(|_| invalid(name, text))
}

/// What is given empty is cleared.
fn text(form: &Form, name: &str, text: &mut Option<String>) {
    if let Some(given) = form.get(name) {
        *text = Some(given.to_owned()).filter(|given| !given.is_empty());
    }
}

fn sid(form: &Form, name: &str, prefix: &str, sid: &mut Option<String>) -> Result<(), Refusal> {
    match form.get(name) {
        None => {}
        Some("") => *sid = None,
        Some(given) if Sid::parse(given).is_ok_and(|given| given.is(prefix)) => *sid = Some(given.to_owned()),
        Some(given) => return Err(invalid(name, given)),
    }
    Ok(())
}

fn word(form: &Form, name: &str, words: &[&str], word: &mut Option<String>) -> Result<(), Refusal> {
    match form.get(name) {
        None => {}
        Some("") => *word = None,
        Some(given) if words.contains(&given) => *word = Some(given.to_owned()),
        Some(given) => return Err(invalid(name, given)),
    }
    Ok(())
}

fn shown(world: &World, request: &Request, sid: Sid) -> Result<VerifyService, Refusal> {
    let row = world.verify.services.find_of(request.account, sid).ok_or_else(|| request.not_found())?;
    Ok(wire_service(request, row))
}

fn wire_service(request: &Request, row: &Service) -> VerifyService {
    let url = request.url(&format!("/v2/Services/{}", row.sid));
    let rules = &row.rules;
    let links: BTreeMap<_, _> =
        LINKS.iter().map(|(name, path)| ((*name).to_owned(), format!("{url}/{path}"))).collect();
    VerifyService {
        sid: row.sid.to_string(),
        account_sid: row.account.to_string(),
        friendly_name: rules.friendly_name.clone(),
        code_length: rules.code_length,
        lookup_enabled: rules.lookup_enabled,
        psd2_enabled: rules.psd2_enabled,
        skip_sms_to_landlines: rules.skip_sms_to_landlines,
        dtmf_input_required: rules.dtmf_input_required,
        tts_name: rules.tts_name.clone(),
        do_not_share_warning_enabled: rules.do_not_share_warning,
        custom_code_enabled: rules.custom_code_enabled,
        push: rules.push.clone(),
        totp: rules.totp.clone(),
        default_template_sid: rules.default_template_sid.clone(),
        whatsapp: rules.whatsapp.clone(),
        passkeys: rules.passkeys.clone(),
        verify_event_subscription_enabled: rules.event_subscription,
        date_created: Some(Iso8601(row.created)),
        date_updated: Some(Iso8601(row.updated)),
        url,
        links,
    }
}

/// What a service leads to, as Twilio lists it.
const LINKS: &[(&str, &str)] = &[
    ("access_tokens", "AccessTokens"),
    ("entities", "Entities"),
    ("messaging_configurations", "MessagingConfigurations"),
    ("rate_limits", "RateLimits"),
    ("verification_checks", "VerificationCheck"),
    ("verifications", "Verifications"),
    ("webhooks", "Webhooks"),
];

#[cfg(test)]
mod tests {
    use crate::api::Product;
    use crate::api::testing::{Api, error};

    #[test]
    fn a_name_with_a_number_in_it_and_a_code_of_three_digits_are_refused() {
        let mut api = Api::new();
        api.of(Product::Verify);
        assert_eq!(error(api.post("/v2/Services", &[])), (400, 20001));
        let long = "x".repeat(33);
        for (name, value) in [
            ("FriendlyName", "Call 41555"),
            ("FriendlyName", &long),
            ("CodeLength", "3"),
            ("CodeLength", "11"),
            ("CodeLength", "six"),
            ("LookupEnabled", "maybe"),
            ("DefaultTemplateSid", "HJ1"),
            ("Totp.Skew", "3"),
            ("Passkeys.UserVerification", "always"),
        ] {
            let form = [(name, value), ("FriendlyName", "Owl Bank")];
            assert_eq!(error(api.post("/v2/Services", &form)), (400, 60200), "{name}={value}");
        }
        assert_eq!(api.get("/v2/Services").1["services"], serde_json::json!([]));
    }

    #[test]
    fn a_service_is_made_changed_and_removed_and_is_nobody_elses() {
        let mut api = Api::new();
        api.of(Product::Verify);
        let (status, service) = api.post("/v2/Services", &[("FriendlyName", "Owl Bank 24")]);
        assert_eq!((status, &service["code_length"]), (201, &6.into()));
        let one = format!("/v2/Services/{}", service["sid"].as_str().unwrap());
        let child = api.subaccount("child");
        assert_eq!(error(api.as_account(&child).get(&one)), (404, 20404));
        api.as_main();
        let (_, changed) = api.post(&one, &[("CodeLength", "8"), ("Push.IncludeDate", "true")]);
        assert_eq!((&changed["code_length"], &changed["friendly_name"]), (&8.into(), &"Owl Bank 24".into()));
        assert_eq!(changed["push"]["include_date"], true);
        assert_eq!(api.delete(&one).0, 204);
        assert_eq!(error(api.get(&one)), (404, 20404));
    }
}
