//! TwiML that stands in the request itself (`Twiml` of a call): priced as an answer of the application would be, and
//! set aside together with the call.

use ringfence_breaker::PriceBook;
use ringfence_twilio::twiml::Document;
use ringfence_twilio::wire::Form;

use super::form::{self, text};
use super::refusal::Refusal;
use super::settings::Egress;
use crate::snapshot::ActiveRoute;
use crate::twiml::{self, Around, Conversation, Step};

/// The field.
const FIELD: &str = "Twiml";

/// What decides about it beside prices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) routes: &'a [ActiveRoute],
    pub(crate) settings: &'a Egress,
}

/// What a form's own TwiML leads to, and the form that keeps it so. `seconds` is how long the call may take, where that is
/// known.
pub(crate) fn price(
    form: Form,
    book: Option<&PriceBook>,
    rules: Rules<'_>,
    conversation: Conversation<'_>,
    seconds: Option<u64>,
) -> Result<(Form, Vec<Step>), Refusal> {
    let Some(written) = text(&form, FIELD) else { return Ok((form, Vec::new())) };
    let unreadable = |why: String| Refusal::UnreadableTwiml(why);
    let document = Document::read(written.as_bytes()).map_err(|error| unreadable(error.to_string()))?;
    let around = Around {
        book,
        routes: rules.routes,
        // It has no URL that a relative one could be of.
        base: None,
        passes_foreign: rules.settings.passes_foreign_twiml,
        passes_unknown: rules.settings.passes_unknown_twiml,
        conversation,
        seconds,
    };
    let worth = twiml::of(&document.root, &around)?;
    if worth.changes.is_empty() {
        return Ok((form, worth.steps));
    }
    let changed = String::from_utf8(document.with(&worth.changes));
    let changed = changed.map_err(|_| unreadable("it says that it is not in UTF-8".to_owned()))?;
    Ok((form::with(&form, FIELD, &changed), worth.steps))
}

/// Whether a request that is not priced has no TwiML that costs something.
pub(crate) fn costs_nothing(form: &Form, rules: Rules<'_>) -> Result<(), Refusal> {
    let Some(_) = text(form, FIELD) else { return Ok(()) };
    let priced = price(form.clone(), None, rules, Conversation::default(), None);
    match priced {
        Ok((_, steps)) if steps.is_empty() => Ok(()),
        Err(refusal) if !matches!(refusal, Refusal::NotReady(_)) => Err(refusal),
        _ => Err(Refusal::UnknownTwiml("it costs something, and this operation has no price".to_owned())),
    }
}
