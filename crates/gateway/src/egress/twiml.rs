//! TwiML that stands in the request itself (`Twiml` of a call): passed where it can cost nothing beyond the call.
//!
//! What dials, sends, records or listens is not priced here; such a document is one that nobody knows the price of.

use ringfence_twilio::twiml::{self, GatherInput, Verb};
use ringfence_twilio::wire::Form;

use super::foreign;
use super::form::text;
use super::refusal::Refusal;
use crate::snapshot::ActiveRoute;

/// Whether the request has no TwiML of its own, or one that does nothing but speak and wait.
pub(crate) fn check(form: &Form, routes: &[ActiveRoute]) -> Result<(), Refusal> {
    let Some(document) = text(form, "Twiml") else { return Ok(()) };
    let unknown = |why: String| Refusal::UnknownTwiml(why);
    let document = twiml::parse(document.as_bytes()).map_err(|error| unknown(error.to_string()))?;
    if let Some(warning) = document.warnings.first() {
        return Err(unknown(warning.to_string()));
    }
    document.verbs.iter().try_for_each(|verb| check_verb(verb, routes))
}

fn check_verb(verb: &Verb, routes: &[ActiveRoute]) -> Result<(), Refusal> {
    let costs = |name: &str| Err(Refusal::UnknownTwiml(format!("<{name}> can cost more than the call")));
    match verb {
        Verb::Play(_) | Verb::Pause(_) | Verb::Reject(_) | Verb::Hangup => Ok(()),
        // Voices of others are billed by the character.
        Verb::Say(say) => match say.voice.as_deref() {
            None | Some("man" | "woman" | "alice") => Ok(()),
            Some(_) => costs("Say voice"),
        },
        Verb::Redirect(redirect) => leads_here("Redirect", &redirect.url, routes),
        Verb::Gather(gather) if gather.input == GatherInput::Dtmf => {
            if let Some(action) = &gather.action {
                leads_here("Gather action", action, routes)?;
            }
            gather.prompts.iter().try_for_each(|prompt| check_verb(prompt, routes))
        }
        Verb::Gather(_) => costs("Gather input"),
        Verb::Record(_) => costs("Record"),
        Verb::Dial(_) => costs("Dial"),
        Verb::Message(_) => costs("Message"),
        Verb::Other(element) => costs(&element.name),
    }
}

fn leads_here(place: &str, url: &str, routes: &[ActiveRoute]) -> Result<(), Refusal> {
    let either = [http::Method::POST, http::Method::GET];
    let leads = either.into_iter().any(|method| foreign::leads_to_a_route(url, &method, routes));
    if leads { Ok(()) } else { Err(Refusal::ForeignTwiml(place.to_owned())) }
}
