//! Starting a verification: may it be sent, which code, and off it goes to the phone.

use ringfence_model::{PhoneNumber, Sid};
use ringfence_twilio::wire::{VerificationChannel, VerificationStatus};

use super::{Attempt, Send, ServiceRules, Verification, find_live, limits, texts};
use crate::world::phones::{self, NewText};
use crate::world::usage::{self, Use};
use crate::world::{World, calls, numbering};

/// What is to be started, or sent again.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) account: Sid,
    pub(crate) service: Sid,
    pub(crate) to: PhoneNumber,
    pub(crate) channel: VerificationChannel,
    pub(crate) custom_code: Option<String>,
    /// In place of the service's name.
    pub(crate) name: Option<String>,
    /// `de`; English where it is not known.
    pub(crate) locale: Option<String>,
    pub(crate) amount: Option<String>,
    pub(crate) payee: Option<String>,
    /// Appended for Android's SMS retriever.
    pub(crate) app_hash: Option<String>,
    /// Names of rate limits with the values that count.
    pub(crate) rate_limits: Vec<(String, String)>,
}

/// Why nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartRefused {
    /// The service is not there.
    NoService,
    /// Many starts for one number at one time.
    TooManyAtOnce,
    /// The service has no limit of a name that was given.
    NoSuchLimit,
    /// One of the service's own limits is used up.
    RateLimited,
    /// The code was sent too often.
    MaxSends,
    /// The code was checked too often; only time ends it.
    MaxChecks,
    /// The service does not text landlines.
    Landline,
}

/// Starts a verification, or sends the code of the live one again.
pub(crate) fn start(world: &mut World, start: &Start) -> Result<Sid, StartRefused> {
    let service = world.verify.services.find(start.service).ok_or(StartRefused::NoService)?;
    let rules = service.rules.clone();
    let to = start.to.to_string();
    if start.channel == VerificationChannel::Sms
        && rules.lookup_enabled
        && rules.skip_sms_to_landlines
        && numbering::line_kind(start.to) == numbering::LineKind::Landline
    {
        return Err(StartRefused::Landline);
    }
    if !limits::are_there(world, start.service, &start.rate_limits) {
        return Err(StartRefused::NoSuchLimit);
    }
    if !limits::count_recipient(world, &to) {
        return Err(StartRefused::TooManyAtOnce);
    }
    let live = find_live(world, start.service, &to);
    if let Some(verification) = live.and_then(|sid| world.verify.verifications.find(sid)) {
        if verification.status == VerificationStatus::MaxAttemptsReached {
            return Err(StartRefused::MaxChecks);
        }
        if verification.sends.len() >= world.settings.verify.sends {
            return Err(StartRefused::MaxSends);
        }
    }
    if !limits::count_named(world, start.service, &start.rate_limits) {
        return Err(StartRefused::RateLimited);
    }
    let sid = live.unwrap_or_else(|| begin(world, start, &rules));
    send(world, sid, start, &rules);
    Ok(sid)
}

fn begin(world: &mut World, start: &Start, rules: &ServiceRules) -> Sid {
    let sid = world.ids.sid(*b"VE");
    let code = world.ids.digits(rules.code_length);
    let (now, to) = (world.now, start.to.to_string());
    world.verify.verifications.insert(Verification {
        sid,
        account: start.account,
        service: start.service,
        to: to.clone(),
        channel: start.channel.clone(),
        code,
        status: VerificationStatus::Pending,
        sends: Vec::new(),
        checks: 0,
        amount: start.amount.clone(),
        payee: start.payee.clone(),
        looked_up: rules.lookup_enabled,
        fetches: std::collections::VecDeque::new(),
        created: now,
        updated: now,
    });
    world.verify.latest.insert((start.service, to), sid);
    let verify = &mut world.verify;
    // Verifications that the cap has dropped leave nothing behind.
    if verify.latest.len() > verify.verifications.len() * 2 {
        let verifications = &verify.verifications;
        verify.latest.retain(|_, sid| verifications.find(*sid).is_some());
    }
    sid
}

fn send(world: &mut World, sid: Sid, start: &Start, rules: &ServiceRules) {
    let attempt = world.ids.sid(*b"VL");
    let now = world.now;
    let Some(verification) = world.verify.verifications.find_mut(sid) else { return };
    if let Some(code) = &start.custom_code {
        verification.code.clone_from(code);
    }
    verification.channel = start.channel.clone();
    verification.updated = now;
    verification.sends.push(Send { at: now, channel: start.channel.clone(), attempt });
    let code = verification.code.clone();
    let locale = texts::locale(start.locale.as_deref());
    let name = start.name.as_deref().unwrap_or(&rules.friendly_name);
    let mut call = None;
    let price_micros;
    let categories: &'static [&'static str];
    if start.channel == VerificationChannel::Call {
        let twiml = texts::spoken(locale, name, &code, rules.dtmf_input_required);
        call = Some(calls::speak(world, start.account, SENDER, start.to, &twiml));
        price_micros = world.prices.call_out_micros(start.to);
        categories = &["authy-calls-outbound"];
    } else {
        let app_hash = start.app_hash.as_deref();
        let body = texts::written(locale, name, &code, rules.do_not_share_warning, app_hash);
        show(world, start, body);
        price_micros = world.prices.message_out_micros(start.to);
        categories = &["authy-sms-outbound"];
    }
    usage::book(world, Use { account: start.account, categories, count: 1, usage: 1, price_micros });
    world.verify.attempts.insert(Attempt {
        sid: attempt,
        account: start.account,
        service: start.service,
        verification: sid,
        to: start.to.to_string(),
        channel: start.channel.clone(),
        code_length: code.len(),
        locale: locale.to_owned(),
        call,
        price_micros,
        converted: false,
        created: now,
        updated: now,
    });
    world.touch();
}

/// Who codes come from.
const SENDER: &str = "Verify";

fn show(world: &mut World, start: &Start, body: String) {
    let other = match start.channel {
        VerificationChannel::Whatsapp => "Verify by WhatsApp",
        _ => SENDER,
    };
    let text = NewText {
        account: start.account,
        phone: start.to,
        other: other.to_owned(),
        outgoing: false,
        body,
        media: Vec::new(),
        message: None,
    };
    phones::show(world, text);
}
