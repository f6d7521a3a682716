//! Services: <https://www.twilio.com/docs/verify/api/service>. An application's service is the application itself, made and
//! changed at the command line; over this API it is read.

use std::collections::BTreeMap;

use ringfence_twilio::wire::{
    Iso8601, VerifyPasskeys, VerifyPush, VerifyService, VerifyTotp, VerifyWhatsapp,
};
use serde_json::json;

use super::page::Page;
use super::refusal::Refusal;
use super::{Call, Reply};
use crate::second_factor::Application;

pub(super) fn list(call: &Call<'_>) -> Result<Reply, Refusal> {
    let page = Page::of(call)?;
    let own = [&call.caller.application];
    Ok(page.reply_of(call, "services", own, |application| json!(wire(call, application))))
}

pub(super) fn fetch(call: &Call<'_>) -> Result<Reply, Refusal> {
    call.application().map(|application| Reply::ok(&wire(call, application)))
}

fn wire(call: &Call<'_>, application: &Application) -> VerifyService {
    let url = call.url(&format!("/v2/Services/{}", application.sid));
    let settings = &application.settings;
    let links: BTreeMap<_, _> =
        LINKS.iter().map(|(name, path)| ((*name).to_owned(), format!("{url}/{path}"))).collect();
    VerifyService {
        sid: application.sid.to_string(),
        account_sid: call.account(),
        friendly_name: application.name.clone(),
        code_length: u32::from(settings.digits),
        lookup_enabled: false,
        psd2_enabled: false,
        skip_sms_to_landlines: false,
        dtmf_input_required: false,
        tts_name: None,
        do_not_share_warning_enabled: settings.warning,
        custom_code_enabled: settings.custom_codes,
        push: VerifyPush::default(),
        totp: VerifyTotp::default(),
        default_template_sid: None,
        whatsapp: VerifyWhatsapp::default(),
        passkeys: VerifyPasskeys::default(),
        verify_event_subscription_enabled: false,
        date_created: Some(Iso8601(application.created_at)),
        date_updated: Some(Iso8601(application.updated_at)),
        url,
        links,
    }
}

/// What a service leads to, as far as it is here.
const LINKS: &[(&str, &str)] = &[
    ("rate_limits", "RateLimits"),
    ("verification_checks", "VerificationCheck"),
    ("verifications", "Verifications"),
];
