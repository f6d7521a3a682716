//! SIP domains and the lists of addresses that may call them:
//! <https://www.twilio.com/docs/voice/api/sip-domain-resource>,
//! <https://www.twilio.com/docs/voice/sip/api/sip-ipaccesscontrollist-resource>.

use std::collections::BTreeMap;

use ringfence_model::Sid;
use ringfence_twilio::wire::{self, Form, Rfc2822};

use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, hooks, list_2010, params};
use crate::world::World;
use crate::world::events;
use crate::world::sip::{self, IDLE, IpAccessControlList, SipDomain};
use crate::world::webhooks::Target;

const DOMAINS: &str = "/2010-04-01/Accounts/{AccountSid}/SIP/Domains.json";
const DOMAIN: &str = "/2010-04-01/Accounts/{AccountSid}/SIP/Domains/{Sid}.json";
const LISTS: &str = "/2010-04-01/Accounts/{AccountSid}/SIP/IpAccessControlLists.json";
const LIST: &str = "/2010-04-01/Accounts/{AccountSid}/SIP/IpAccessControlLists/{Sid}.json";
const MAPPINGS: &str =
    "/2010-04-01/Accounts/{AccountSid}/SIP/Domains/{DomainSid}/Auth/Calls/IpAccessControlListMappings.json";
const MAPPING: &str = "/2010-04-01/Accounts/{AccountSid}/SIP/Domains/{DomainSid}/Auth/Calls/IpAccessControlListMappings/{Sid}.json";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Api, Verb::Post, DOMAINS, create).creates(),
    Operation::new(Product::Api, Verb::Get, DOMAINS, list),
    Operation::new(Product::Api, Verb::Get, DOMAIN, fetch),
    Operation::new(Product::Api, Verb::Post, DOMAIN, update),
    Operation::new(Product::Api, Verb::Delete, DOMAIN, delete),
    Operation::new(Product::Api, Verb::Post, LISTS, create_list).creates(),
    Operation::new(Product::Api, Verb::Get, LISTS, lists),
    Operation::new(Product::Api, Verb::Get, LIST, fetch_list),
    Operation::new(Product::Api, Verb::Delete, LIST, delete_list),
    Operation::new(Product::Api, Verb::Post, MAPPINGS, map),
    Operation::new(Product::Api, Verb::Get, MAPPINGS, mappings),
    Operation::new(Product::Api, Verb::Delete, MAPPING, unmap),
];

/// Twilio's own bound for a friendly name.
const FRIENDLY_NAME_MAX: usize = 64;

fn create(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let name = params::needed(&request.form, "DomainName")?;
    if !is_domain(name) {
        return Err(Refusal::invalid("DomainName", name));
    }
    // What is wrong with the rest is said before anything is made.
    Given::default().read(&request.form)?;
    let sid = sip::create_domain(world, request.account, name)
        .ok_or_else(|| Refusal::bad_request(21232, format!("The domain name {name} is already in use")))?;
    change(world, request, sid)?;
    shown(world, request, sid).map(|domain| Reply::created(&domain))
}

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let rows = world.sip.domains.of(request.account);
    list_2010(request, "domains", rows, |row| row.sid, |row| wire_domain(row))
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    shown(world, request, request.sid("Sid")?).map(|domain| Reply::ok(&domain))
}

fn update(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("Sid")?;
    let before = shown(world, request, sid)?;
    change(world, request, sid)?;
    let after = shown(world, request, sid)?;
    let change = hooks::changes(&before, &after);
    events::record_with(world, request.account, "sip-domain.updated", sid, change);
    Ok(Reply::ok(&after))
}

fn delete(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    if sip::remove_domain(world, request.account, request.sid("Sid")?) {
        Ok(Reply::deleted())
    } else {
        Err(request.not_found())
    }
}

fn create_list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    params::needed(&request.form, "FriendlyName")?;
    let name = params::friendly_name(&request.form, FRIENDLY_NAME_MAX)?.unwrap_or_default();
    let sid = sip::create_list(world, request.account, name);
    shown_list(world, request, sid).map(|list| Reply::created(&list))
}

fn lists(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let rows = world.sip.lists.of(request.account);
    list_2010(request, "ip_access_control_lists", rows, |row| row.sid, |row| wire_list(row))
}

fn fetch_list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    shown_list(world, request, request.sid("Sid")?).map(|list| Reply::ok(&list))
}

fn delete_list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    if sip::remove_list(world, request.account, request.sid("Sid")?) {
        Ok(Reply::deleted())
    } else {
        Err(request.not_found())
    }
}

fn map(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let domain = request.sid("DomainSid")?;
    let text = params::needed(&request.form, "IpAccessControlListSid")?;
    let list = Sid::parse(text).map_err(|_| Refusal::invalid("IpAccessControlListSid", text))?;
    if !sip::map(world, request.account, domain, list, true) {
        return Err(request.not_found());
    }
    mapping(world, request, list).map(|list| Reply::created(&list))
}

fn mappings(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let domain = world.sip.domains.find_of(request.account, request.sid("DomainSid")?);
    let mapped = &domain.ok_or_else(|| request.not_found())?.mapped;
    let rows = world.sip.lists.of(request.account).filter(|list| mapped.contains(&list.sid));
    list_2010(request, "contents", rows, |row| row.sid, |row| wire_mapping(row))
}

fn unmap(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let (domain, list) = (request.sid("DomainSid")?, request.sid("Sid")?);
    if sip::map(world, request.account, domain, list, false) {
        Ok(Reply::deleted())
    } else {
        Err(request.not_found())
    }
}

/// Twilio gives names below its own domain away.
fn is_domain(name: &str) -> bool {
    name.strip_suffix(".sip.twilio.com").is_some_and(|label| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    })
}

/// What a form says of a domain: what is not given stays.
#[derive(Default)]
struct Given {
    friendly_name: Option<String>,
    voice: Option<Target>,
    voice_fallback: Option<Target>,
    voice_status: Option<Target>,
    sip_registration: bool,
    secure: bool,
}

impl Given {
    fn read(mut self, form: &Form) -> Result<Self, Refusal> {
        let mut idle = IDLE;
        for (url, method, hook) in [
            ("VoiceUrl", "VoiceMethod", &mut self.voice),
            ("VoiceFallbackUrl", "VoiceFallbackMethod", &mut self.voice_fallback),
            ("VoiceStatusCallbackUrl", "VoiceStatusCallbackMethod", &mut self.voice_status),
        ] {
            hooks::target(form, url, method, hook, &mut idle)?;
        }
        self.friendly_name = params::friendly_name(form, FRIENDLY_NAME_MAX)?;
        self.sip_registration = params::flag(form, "SipRegistration")?.unwrap_or(self.sip_registration);
        self.secure = params::flag(form, "Secure")?.unwrap_or(self.secure);
        Ok(self)
    }
}

fn change(world: &mut World, request: &Request, sid: Sid) -> Result<(), Refusal> {
    let now = world.now;
    let row = world.sip.domains.find_mut_of(request.account, sid).ok_or_else(|| request.not_found())?;
    let given = Given {
        friendly_name: None,
        voice: row.voice.clone(),
        voice_fallback: row.voice_fallback.clone(),
        voice_status: row.voice_status.clone(),
        sip_registration: row.sip_registration,
        secure: row.secure,
    };
    let given = given.read(&request.form)?;
    row.voice = given.voice;
    row.voice_fallback = given.voice_fallback;
    row.voice_status = given.voice_status;
    row.sip_registration = given.sip_registration;
    row.secure = given.secure;
    if let Some(name) = given.friendly_name {
        row.friendly_name = name;
    }
    row.updated = now;
    world.touch();
    Ok(())
}

fn shown(world: &World, request: &Request, sid: Sid) -> Result<wire::SipDomain, Refusal> {
    world.sip.domains.find_of(request.account, sid).map(wire_domain).ok_or_else(|| request.not_found())
}

fn shown_list(world: &World, request: &Request, sid: Sid) -> Result<wire::IpAccessControlList, Refusal> {
    world.sip.lists.find_of(request.account, sid).map(wire_list).ok_or_else(|| request.not_found())
}

fn mapping(world: &World, request: &Request, sid: Sid) -> Result<wire::IpAccessControlList, Refusal> {
    world.sip.lists.find_of(request.account, sid).map(wire_mapping).ok_or_else(|| request.not_found())
}

fn wire_domain(row: &SipDomain) -> wire::SipDomain {
    let uri = format!("/2010-04-01/Accounts/{}/SIP/Domains/{}", row.account, row.sid);
    let (voice_url, voice_method) = hooks::shown(row.voice.as_ref(), IDLE);
    let (voice_fallback_url, voice_fallback_method) = hooks::shown(row.voice_fallback.as_ref(), IDLE);
    let (status_url, status_method) = hooks::shown(row.voice_status.as_ref(), IDLE);
    wire::SipDomain {
        sid: row.sid.to_string(),
        account_sid: row.account.to_string(),
        api_version: Some("2010-04-01".to_owned()),
        auth_type: Some(if row.mapped.is_empty() { "" } else { "IP_ACL" }.to_owned()),
        domain_name: Some(row.domain_name.clone()),
        friendly_name: Some(row.friendly_name.clone()),
        voice_url,
        voice_method,
        voice_fallback_url,
        voice_fallback_method,
        voice_status_callback_url: status_url,
        voice_status_callback_method: status_method,
        sip_registration: Some(row.sip_registration),
        emergency_calling_enabled: Some(false),
        secure: Some(row.secure),
        byoc_trunk_sid: None,
        emergency_caller_sid: None,
        date_created: Some(Rfc2822(row.created)),
        date_updated: Some(Rfc2822(row.updated)),
        subresource_uris: ["IpAccessControlListMappings", "CredentialListMappings"]
            .map(|name| (snake(name), format!("{uri}/{name}.json")))
            .into(),
        uri: format!("{uri}.json"),
    }
}

fn snake(name: &str) -> String {
    let mut text = String::new();
    for char in name.chars() {
        if char.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(char.to_ascii_lowercase());
    }
    text
}

fn wire_list(row: &IpAccessControlList) -> wire::IpAccessControlList {
    let uri = format!("/2010-04-01/Accounts/{}/SIP/IpAccessControlLists/{}", row.account, row.sid);
    wire::IpAccessControlList {
        subresource_uris: Some(BTreeMap::from([(
            "ip_addresses".to_owned(),
            format!("{uri}/IpAddresses.json"),
        )])),
        uri: Some(format!("{uri}.json")),
        ..wire_mapping(row)
    }
}

fn wire_mapping(row: &IpAccessControlList) -> wire::IpAccessControlList {
    wire::IpAccessControlList {
        sid: row.sid.to_string(),
        account_sid: row.account.to_string(),
        friendly_name: Some(row.friendly_name.clone()),
        date_created: Some(Rfc2822(row.created)),
        date_updated: Some(Rfc2822(row.updated)),
        uri: None,
        subresource_uris: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Api, error};

    #[test]
    fn a_domain_of_another_name_and_a_list_that_is_not_there_are_refused() {
        let mut api = Api::new();
        let sip = format!("/2010-04-01/Accounts/{}/SIP", api.main);
        let domains = format!("{sip}/Domains.json");
        assert_eq!(error(api.post(&domains, &[])).0, 400);
        assert_eq!(error(api.post(&domains, &[("DomainName", "acme.example.com")])).0, 400);
        let form = [("DomainName", "acme.sip.twilio.com"), ("VoiceUrl", "nonsense")];
        assert_eq!(error(api.post(&domains, &form)), (400, 21402));
        let (_, made) = api.post(&domains, &[("DomainName", "acme.sip.twilio.com")]);
        assert_eq!(made["auth_type"], "");
        assert_eq!(error(api.post(&domains, &[("DomainName", "ACME.sip.twilio.com")])), (400, 21232));
        let mappings = format!(
            "{sip}/Domains/{}/Auth/Calls/IpAccessControlListMappings.json",
            made["sid"].as_str().unwrap()
        );
        let unknown = [("IpAccessControlListSid", "AL00000000000000000000000000000001")];
        assert_eq!(error(api.post(&mappings, &unknown)), (404, 20404));
    }

    #[test]
    fn a_domain_says_that_addresses_are_listed_once_a_list_is_mapped() {
        let mut api = Api::new();
        let sip = format!("/2010-04-01/Accounts/{}/SIP", api.main);
        let (_, domain) = api.post(&format!("{sip}/Domains.json"), &[("DomainName", "acme.sip.twilio.com")]);
        let one = format!("{sip}/Domains/{}", domain["sid"].as_str().unwrap());
        let (_, list) = api.post(&format!("{sip}/IpAccessControlLists.json"), &[("FriendlyName", "office")]);
        let list = list["sid"].as_str().unwrap().to_owned();
        let mappings = format!("{one}/Auth/Calls/IpAccessControlListMappings");
        api.post(&format!("{mappings}.json"), &[("IpAccessControlListSid", &list)]);
        assert_eq!(api.get(&format!("{one}.json")).1["auth_type"], "IP_ACL");
        assert_eq!(error(api.delete(&format!("{sip}/IpAccessControlLists/{list}.json"))), (404, 20404));
        api.delete(&format!("{mappings}/{list}.json"));
        assert_eq!(api.get(&format!("{one}.json")).1["auth_type"], "");
    }
}
