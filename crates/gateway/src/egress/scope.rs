//! What a virtual credential may: which account, which kind of operations, whom it may reach and as whom.
//!
//! **Which resources of others a request can name.** Twilio is asked with the auth token of the one account that the path
//! names, never with its parent's, and looks every SID up within that account: a Messaging Service, an application, a
//! recording of another account is not there for it. What crosses accounts at Twilio is an account's own SID (a number is
//! handed over by `AccountSid`), so each of those must be in scope, wherever it stands.

use ringfence_model::{Country, PhoneNumber, Sid};
use ringfence_store::{EgressAccounts, EgressArea, EgressDestination};
use ringfence_twilio::wire::Form;

use super::credential::Holder;
use super::form::{self, text};
use super::operation::{self, Operation, Priced};
use super::refusal::Refusal;
use super::target::Target;
use crate::twiml::Step;

/// The account that a request is for, if the credential is for it.
pub(crate) fn account(holder: &Holder, target: &Target<'_>) -> Result<Sid, Refusal> {
    let account = match operation::account_segment(target) {
        Some(segment) => Sid::parse(segment).ok().filter(|sid| sid.is("AC")).ok_or(Refusal::OtherSpelling)?,
        None => holder.own_account()?,
    };
    // The list of accounts tells of all of them.
    let lists_accounts = target.path == "/2010-04-01/Accounts.json";
    let may = holder.scopes.accounts.contains(account)
        && (!lists_accounts || holder.scopes.accounts == EgressAccounts::All);
    if may { Ok(account) } else { Err(Refusal::OtherAccount) }
}

/// Whether the credential is for such operations.
pub(crate) fn area(holder: &Holder, area: EgressArea) -> Result<(), Refusal> {
    if holder.scopes.operations.contains(&area) { Ok(()) } else { Err(Refusal::OtherOperation(area.name())) }
}

/// Whether every account that is named beside the path is in scope.
pub(crate) fn named_accounts(holder: &Holder, fields: &Form) -> Result<(), Refusal> {
    let is_other = |(_, value): (&str, &str)| {
        let account = Sid::parse(value.trim()).ok().filter(|sid| sid.is("AC"));
        account.is_some_and(|account| !holder.scopes.accounts.contains(account))
    };
    if fields.pairs().any(is_other) { Err(Refusal::OtherAccount) } else { Ok(()) }
}

/// The path and query of usage records, which Twilio tells with those of all subaccounts where it is not told otherwise.
/// Nothing where it stays as it is: for another operation, or a credential that is for all accounts.
pub(crate) fn own_usage(
    holder: &Holder,
    operation: Option<Operation>,
    target: &Target<'_>,
) -> Result<Option<String>, Refusal> {
    let is_usage = operation.is_some_and(|operation| operation.path.contains("/Usage/Records"));
    if !is_usage || holder.scopes.accounts == EgressAccounts::All {
        return Ok(None);
    }
    let query = form::read(target.query.unwrap_or_default().as_bytes())?;
    let is_it = |name: &str| name.eq_ignore_ascii_case("IncludeSubaccounts");
    let mut own: Form = query.pairs().filter(|(name, _)| !is_it(name)).collect();
    own.push("IncludeSubaccounts", "false");
    Ok(Some(format!("{}?{}", target.path, own.encode())))
}

/// As whom somebody is written to or called, and whom Twilio may put in that one's place.
const SENDERS: [&str; 4] = ["From", "MessagingServiceSid", "CallerId", "FallbackFrom"];

/// Whether the credential may send as this sender, where it lists some.
pub(crate) fn sender(
    holder: &Holder,
    priced: Priced,
    target: &Target<'_>,
    form: &Form,
) -> Result<(), Refusal> {
    let listed = &holder.scopes.senders;
    if listed.is_empty() {
        return Ok(());
    }
    let is_listed = |sender: &str| listed.iter().any(|listed| listed == sender);
    let may = match priced {
        Priced::MessageCreate | Priced::CallCreate | Priced::ParticipantCreate => {
            let senders = SENDERS.map(|name| text(form, name));
            let mut named = senders.into_iter().flatten().peekable();
            named.peek().is_some() && named.all(is_listed)
        }
        Priced::VerificationStart | Priced::VerificationCheck => {
            target.segments().nth(2).is_some_and(is_listed)
        }
        // Nobody sends here.
        Priced::CallUpdate | Priced::LookupFetch | Priced::NumberPurchase => true,
    };
    if may { Ok(()) } else { Err(Refusal::OtherSender) }
}

/// Whether the credential may touch the service of Verify, or of Messaging, that the path names, where it lists some. One that
/// lists none has only what is sent through them held to its senders.
///
/// Attempts and the numbers that Fraud Guard lets pass are an account's, not a service's: attempts are listed where the
/// query asks for those of one of its services (`VerifyServiceSid`), the numbers are out of reach.
pub(crate) fn service(holder: &Holder, target: &Target<'_>) -> Result<(), Refusal> {
    let listed = &holder.scopes.senders;
    let prefix = match target.host.product {
        "verify" => "VA",
        "messaging" => "MG",
        _ => return Ok(()),
    };
    if !listed.iter().any(|sender| Sid::parse(sender).is_ok_and(|sid| sid.is(prefix))) {
        return Ok(());
    }
    let is_listed = |service: &str| listed.iter().any(|listed| listed == service);
    let is = |segment: &str, name: &str| segment.eq_ignore_ascii_case(name);
    let mut segments = target.segments().skip(1);
    let may = match segments.next() {
        Some(first) if prefix == "VA" && is(first, "SafeList") => false,
        Some(first) if prefix == "VA" && is(first, "Attempts") => {
            let query = form::read(target.query.unwrap_or_default().as_bytes())?;
            let mut asked = query.pairs().filter(|(name, _)| is(name, "VerifyServiceSid")).peekable();
            asked.peek().is_some() && asked.all(|(_, service)| is_listed(service))
        }
        _ => {
            let mut segments = target.segments().skip_while(|segment| !is(segment, "Services"));
            segments.nth(1).is_none_or(is_listed)
        }
    };
    if may { Ok(()) } else { Err(Refusal::OtherSender) }
}

/// Whether the credential may reach whom the request reaches, where it lists destinations.
pub(crate) fn destination(holder: &Holder, priced: Priced, form: &Form) -> Result<(), Refusal> {
    let listed = &holder.scopes.destinations;
    let reaches_somebody = match priced {
        Priced::MessageCreate
        | Priced::CallCreate
        | Priced::ParticipantCreate
        | Priced::VerificationStart => true,
        Priced::VerificationCheck | Priced::CallUpdate | Priced::LookupFetch | Priced::NumberPurchase => {
            false
        }
    };
    if listed.is_empty() || !reaches_somebody {
        return Ok(());
    }
    reaches(listed, text(form, "To").unwrap_or_default())
}

/// Whether the credential may reach whom the request's own TwiML reaches, and as those that it names.
pub(crate) fn steps(holder: &Holder, steps: &[Step]) -> Result<(), Refusal> {
    let (destinations, senders) = (&holder.scopes.destinations, &holder.scopes.senders);
    for step in steps {
        if let Some(to) = step.to.as_deref().filter(|_| !destinations.is_empty()) {
            reaches(destinations, to)?;
        }
        let is_listed = |from: &String| senders.is_empty() || senders.contains(from);
        if !step.from.as_ref().is_none_or(is_listed) {
            return Err(Refusal::OtherSender);
        }
    }
    Ok(())
}

fn reaches(listed: &[EgressDestination], to: &str) -> Result<(), Refusal> {
    // `whatsapp:+44…` is in the country of its number.
    let number = to.split_once(':').map_or(to, |(_, rest)| rest);
    let number = PhoneNumber::parse(number).ok();
    let may = listed.iter().any(|destination| match destination {
        EgressDestination::Prefix(prefix) => to.starts_with(prefix.as_str()),
        EgressDestination::Country(iso) => {
            number.and_then(Country::of).is_some_and(|country| country.as_str().as_bytes() == iso)
        }
    });
    if may { Ok(()) } else { Err(Refusal::OtherDestination) }
}
