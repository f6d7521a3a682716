//! Messaging Services and their pools of senders: <https://www.twilio.com/docs/messaging/api/service-resource>.

use ringfence_model::Sid;
use ringfence_twilio::wire::{self, Iso8601};

use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, list_v1, params};
use crate::world::World;
use crate::world::messages::{country_of, is_sender_name};
use crate::world::messaging_services::{self, AlphaSender, MessagingService, NotAdded, PooledNumber};
use crate::world::webhooks::Method;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Messaging, Verb::Post, "/v1/Services", create).creates(),
    Operation::new(Product::Messaging, Verb::Get, "/v1/Services", list),
    Operation::new(Product::Messaging, Verb::Get, "/v1/Services/{Sid}", fetch),
    Operation::new(Product::Messaging, Verb::Post, "/v1/Services/{Sid}", update),
    Operation::new(Product::Messaging, Verb::Delete, "/v1/Services/{Sid}", delete),
    Operation::new(Product::Messaging, Verb::Post, "/v1/Services/{ServiceSid}/PhoneNumbers", add_number),
    Operation::new(Product::Messaging, Verb::Get, "/v1/Services/{ServiceSid}/PhoneNumbers", list_numbers),
    Operation::new(
        Product::Messaging,
        Verb::Get,
        "/v1/Services/{ServiceSid}/PhoneNumbers/{Sid}",
        fetch_number,
    ),
    Operation::new(
        Product::Messaging,
        Verb::Delete,
        "/v1/Services/{ServiceSid}/PhoneNumbers/{Sid}",
        remove_number,
    ),
    Operation::new(Product::Messaging, Verb::Post, "/v1/Services/{ServiceSid}/AlphaSenders", add_name),
    Operation::new(Product::Messaging, Verb::Get, "/v1/Services/{ServiceSid}/AlphaSenders", list_names),
    Operation::new(Product::Messaging, Verb::Get, "/v1/Services/{ServiceSid}/AlphaSenders/{Sid}", fetch_name),
    Operation::new(
        Product::Messaging,
        Verb::Delete,
        "/v1/Services/{ServiceSid}/AlphaSenders/{Sid}",
        remove_name,
    ),
];

const FRIENDLY_NAME_MAX: usize = 64;

fn create(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    params::needed(&request.form, "FriendlyName")?;
    let changes = Changes::of(request)?;
    let sid = messaging_services::create(world, request.account, String::new());
    changes.apply(world, request.account, sid);
    find(world, request, sid).map(|service| Reply::created(&wire_service(request, service)))
}

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let rows = world.messaging_services.of(request.account);
    list_v1(
        request,
        "services",
        rows,
        |service| service.sid.to_string(),
        |service| wire_service(request, service),
    )
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let service = find(world, request, request.sid("Sid")?)?;
    Ok(Reply::ok(&wire_service(request, service)))
}

fn update(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = find(world, request, request.sid("Sid")?)?.sid;
    Changes::of(request)?.apply(world, request.account, sid);
    find(world, request, sid).map(|service| Reply::ok(&wire_service(request, service)))
}

fn delete(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("Sid")?;
    world.messaging_services.remove_of(request.account, sid).ok_or_else(|| request.not_found())?;
    world.touch();
    Ok(Reply::deleted())
}

/// What a request says of a service.
struct Changes {
    friendly_name: Option<String>,
    inbound_request_url: Option<Url>,
    inbound_method: Option<Method>,
    fallback_url: Option<Url>,
    fallback_method: Option<Method>,
    status_callback: Option<Url>,
    sticky_sender: Option<bool>,
    smart_encoding: Option<bool>,
    area_code_geomatch: Option<bool>,
    validity_s: Option<u16>,
    use_inbound_webhook_on_number: Option<bool>,
    mms_converter: Option<bool>,
    fallback_to_long_code: Option<bool>,
    synchronous_validation: Option<bool>,
    scan_message_content: Option<String>,
    usecase: Option<String>,
}

/// A URL that is there; an empty one takes the old one away.
struct Url(Option<String>);

impl Changes {
    fn of(request: &Request) -> Result<Self, Refusal> {
        let form = &request.form;
        let url = |name: &str| match form.get(name) {
            None => Ok(None),
            Some(_) => params::url(form, name).map(|url| Some(Url(url))),
        };
        let method = |name: &str| match params::some(form, name) {
            None => Ok(None),
            Some(text) if ["GET", "POST"].iter().any(|it| text.eq_ignore_ascii_case(it)) => {
                Ok(Some(Method::parse(Some(text))))
            }
            Some(text) => Err(Refusal::invalid(name, text)),
        };
        let word = |name: &str, words: &[&str]| match params::some(form, name) {
            None => Ok(None),
            Some(text) if words.contains(&text) => Ok(Some(text.to_owned())),
            Some(text) => Err(Refusal::invalid(name, text)),
        };
        Ok(Self {
            friendly_name: params::friendly_name(form, FRIENDLY_NAME_MAX)?.filter(|name| !name.is_empty()),
            inbound_request_url: url("InboundRequestUrl")?,
            inbound_method: method("InboundMethod")?,
            fallback_url: url("FallbackUrl")?,
            fallback_method: method("FallbackMethod")?,
            status_callback: url("StatusCallback")?,
            sticky_sender: params::flag(form, "StickySender")?,
            smart_encoding: params::flag(form, "SmartEncoding")?,
            area_code_geomatch: params::flag(form, "AreaCodeGeomatch")?,
            validity_s: params::number(form, "ValidityPeriod", 1, 36_000)?
                .and_then(|it| u16::try_from(it).ok()),
            use_inbound_webhook_on_number: params::flag(form, "UseInboundWebhookOnNumber")?,
            mms_converter: params::flag(form, "MmsConverter")?,
            fallback_to_long_code: params::flag(form, "FallbackToLongCode")?,
            synchronous_validation: params::flag(form, "SynchronousValidation")?,
            scan_message_content: word("ScanMessageContent", &["inherit", "enable", "disable"])?,
            usecase: word("Usecase", USECASES)?,
        })
    }

    fn apply(self, world: &mut World, account: Sid, sid: Sid) {
        let now = world.now;
        let Some(service) = world.messaging_services.find_mut_of(account, sid) else { return };
        set(&mut service.friendly_name, self.friendly_name);
        set(&mut service.inbound_request_url, self.inbound_request_url.map(|url| url.0));
        set(&mut service.inbound_method, self.inbound_method);
        set(&mut service.fallback_url, self.fallback_url.map(|url| url.0));
        set(&mut service.fallback_method, self.fallback_method);
        set(&mut service.status_callback, self.status_callback.map(|url| url.0));
        set(&mut service.sticky_sender, self.sticky_sender);
        set(&mut service.smart_encoding, self.smart_encoding);
        set(&mut service.area_code_geomatch, self.area_code_geomatch);
        set(&mut service.validity_s, self.validity_s);
        set(&mut service.use_inbound_webhook_on_number, self.use_inbound_webhook_on_number);
        set(&mut service.mms_converter, self.mms_converter);
        set(&mut service.fallback_to_long_code, self.fallback_to_long_code);
        set(&mut service.synchronous_validation, self.synchronous_validation);
        set(&mut service.scan_message_content, self.scan_message_content);
        set(&mut service.usecase, self.usecase);
        service.updated = now;
        world.touch();
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// Those of the OpenAPI document.
const USECASES: &[&str] = &["notifications", "marketing", "verification", "discussion", "poll", "undeclared"];

fn add_number(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let service = find(world, request, request.sid("ServiceSid")?)?.sid;
    let text = params::needed(&request.form, "PhoneNumberSid")?;
    let invalid =
        || Refusal::bad_request(21421, format!("Phone Number is invalid: {}", super::shortened(text)));
    let number = Sid::parse(text).ok().filter(|sid| sid.is("PN")).ok_or_else(invalid)?;
    messaging_services::add_number(world, request.account, service, number).map_err(|why| match why {
        NotAdded::NoNumber => Refusal::not_found(&request.path),
        NotAdded::AlreadyHere => {
            Refusal::new(409, 21710, "Phone Number or Short Code is already in the Messaging Service.")
        }
        NotAdded::InAnother => {
            let message = "Phone Number or Short Code is associated with another Messaging Service.";
            Refusal::new(409, 21712, message)
        }
        NotAdded::Full => Refusal::bad_request(21714, "Messaging Service Number Pool size limit reached"),
    })?;
    let service = find(world, request, service)?;
    let pooled = service.numbers.iter().find(|it| it.number == number).ok_or_else(|| request.not_found())?;
    wire_number(world, request, service, *pooled).map(|number| Reply::created(&number))
}

fn list_numbers(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let service = find(world, request, request.sid("ServiceSid")?)?;
    let rows = service.numbers.iter().rev().filter_map(|it| wire_number(world, request, service, *it).ok());
    list_v1(request, "phone_numbers", rows, |number| number.sid.clone(), Clone::clone)
}

fn fetch_number(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let (service, sid) = (find(world, request, request.sid("ServiceSid")?)?, request.sid("Sid")?);
    let pooled = service.numbers.iter().find(|it| it.number == sid).ok_or_else(|| request.not_found())?;
    wire_number(world, request, service, *pooled).map(|number| Reply::ok(&number))
}

fn remove_number(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let (service, sid) = (request.sid("ServiceSid")?, request.sid("Sid")?);
    let service =
        world.messaging_services.find_mut_of(request.account, service).ok_or_else(|| request.not_found())?;
    let at = service.numbers.iter().position(|it| it.number == sid).ok_or_else(|| request.not_found())?;
    service.numbers.remove(at);
    world.touch();
    Ok(Reply::deleted())
}

fn add_name(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let service = find(world, request, request.sid("ServiceSid")?)?;
    let name = params::needed(&request.form, "AlphaSender")?.to_owned();
    if !is_sender_name(&name) {
        let message = "Alpha Sender ID is Invalid or Not Authorized for this Messaging Service";
        return Err(Refusal::bad_request(21709, message));
    }
    if service.names.iter().any(|it| it.name == name) {
        return Err(Refusal::new(409, 21710, "Alpha Sender ID is already in the Messaging Service."));
    }
    let (service, added) = (service.sid, world.now);
    let sender = AlphaSender { sid: world.ids.sid(*b"AI"), name, added };
    let row =
        world.messaging_services.find_mut_of(request.account, service).ok_or_else(|| request.not_found())?;
    row.names.push(sender.clone());
    world.touch();
    Ok(Reply::created(&wire_name(request, service, &sender)))
}

fn list_names(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let service = find(world, request, request.sid("ServiceSid")?)?;
    let rows = service.names.iter().rev();
    list_v1(request, "alpha_senders", rows, |it| it.sid.to_string(), |it| wire_name(request, service.sid, it))
}

fn fetch_name(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let (service, sid) = (find(world, request, request.sid("ServiceSid")?)?, request.sid("Sid")?);
    let sender = service.names.iter().find(|it| it.sid == sid).ok_or_else(|| request.not_found())?;
    Ok(Reply::ok(&wire_name(request, service.sid, sender)))
}

fn remove_name(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let (service, sid) = (request.sid("ServiceSid")?, request.sid("Sid")?);
    let service =
        world.messaging_services.find_mut_of(request.account, service).ok_or_else(|| request.not_found())?;
    let at = service.names.iter().position(|it| it.sid == sid).ok_or_else(|| request.not_found())?;
    service.names.remove(at);
    world.touch();
    Ok(Reply::deleted())
}

fn find<'a>(world: &'a World, request: &Request, sid: Sid) -> Result<&'a MessagingService, Refusal> {
    messaging_services::find(world, request.account, sid).ok_or_else(|| request.not_found())
}

fn wire_service(request: &Request, service: &MessagingService) -> wire::MessagingService {
    let url = request.url(&format!("/v1/Services/{}", service.sid));
    let links = LINKS.iter().map(|(name, path)| ((*name).to_owned(), format!("{url}/{path}"))).collect();
    wire::MessagingService {
        sid: service.sid.to_string(),
        account_sid: service.account.to_string(),
        friendly_name: Some(service.friendly_name.clone()),
        inbound_request_url: service.inbound_request_url.clone(),
        inbound_method: Some(service.inbound_method.as_str().to_owned()),
        fallback_url: service.fallback_url.clone(),
        fallback_method: Some(service.fallback_method.as_str().to_owned()),
        status_callback: service.status_callback.clone(),
        sticky_sender: Some(service.sticky_sender),
        mms_converter: Some(service.mms_converter),
        smart_encoding: Some(service.smart_encoding),
        scan_message_content: Some(service.scan_message_content.clone()),
        fallback_to_long_code: Some(service.fallback_to_long_code),
        area_code_geomatch: Some(service.area_code_geomatch),
        synchronous_validation: Some(service.synchronous_validation),
        validity_period: service.validity_s.into(),
        usecase: Some(service.usecase.clone()),
        us_app_to_person_registered: Some(false),
        use_inbound_webhook_on_number: Some(service.use_inbound_webhook_on_number),
        date_created: Some(Iso8601(service.created)),
        date_updated: Some(Iso8601(service.updated)),
        url: Some(url),
        links,
    }
}

const LINKS: &[(&str, &str)] = &[
    ("phone_numbers", "PhoneNumbers"),
    ("short_codes", "ShortCodes"),
    ("alpha_senders", "AlphaSenders"),
    ("messages", "Messages"),
    ("us_app_to_person", "Compliance/Usa2p"),
    ("us_app_to_person_usecases", "Compliance/Usa2p/Usecases"),
    ("channel_senders", "ChannelSenders"),
    ("destination_alpha_senders", "DestinationAlphaSenders"),
];

/// A number that its account gave back is not told any more.
fn wire_number(
    world: &World,
    request: &Request,
    service: &MessagingService,
    pooled: PooledNumber,
) -> Result<wire::ServicePhoneNumber, Refusal> {
    let number = world.numbers.find_of(service.account, pooled.number).ok_or_else(|| request.not_found())?;
    Ok(wire::ServicePhoneNumber {
        sid: pooled.number.to_string(),
        account_sid: service.account.to_string(),
        service_sid: Some(service.sid.to_string()),
        phone_number: Some(number.phone_number.to_string()),
        country_code: Some(country_of(number.phone_number).to_owned()),
        capabilities: ["MMS", "SMS", "Voice"].map(str::to_owned).to_vec(),
        date_created: Some(Iso8601(pooled.added)),
        date_updated: Some(Iso8601(pooled.added)),
        url: Some(request.url(&format!("/v1/Services/{}/PhoneNumbers/{}", service.sid, pooled.number))),
    })
}

fn wire_name(request: &Request, service: Sid, sender: &AlphaSender) -> wire::AlphaSender {
    wire::AlphaSender {
        sid: sender.sid.to_string(),
        account_sid: request.account.to_string(),
        service_sid: Some(service.to_string()),
        alpha_sender: Some(sender.name.clone()),
        capabilities: vec!["SMS".to_owned()],
        date_created: Some(Iso8601(sender.added)),
        date_updated: Some(Iso8601(sender.added)),
        url: Some(request.url(&format!("/v1/Services/{service}/AlphaSenders/{}", sender.sid))),
    }
}
