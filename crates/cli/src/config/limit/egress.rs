//! What only the egress can count: requests of a tenant, with a credential, to a destination, and short windows. Twilio
//! knows nothing of these, so a limit of them holds what goes through the egress and nothing else.

use std::ops::ControlFlow;

use ringfence_breaker::{Action, DialPrefix, Per, Reset, Scope, Window};
use ringfence_model::Sid;

use crate::config::problems::Problems;
use crate::config::raw::{Field, Table};
use crate::config::units;

const ROLLING_FORM: &str = "\"rolling\" and a time from 10s to 365d, such as \"rolling 10m\"";
const TENANT_FORM: &str = "a tenant as credentials name it, such as \"shop\"";
const CREDENTIAL_FORM: &str = "the SID of a credential, SK and 32 hexadecimal digits";
const DESTINATION_FORM: &str = "a list of what numbers begin with, such as [\"+95\", \"+4479\"]";

/// The scope, where one of the egress's is named, unless that has a problem; goes on where none is.
pub(super) fn scope(table: &Table<'_>, problems: &mut Problems) -> ControlFlow<Option<Scope>> {
    let all = ["name", "tenant", "credential", "destination"];
    let typed: Vec<_> = all.iter().filter_map(|key| table.find(key).map(|field| (*key, field))).collect();
    if let [(first, _), (second, field), ..] = typed.as_slice() {
        field.wrong(
            format_args!("a scope is one thing, and `{first}` is there too; remove `{second}` or that"),
            problems,
        );
        return ControlFlow::Break(None);
    }
    match typed.first() {
        Some(("tenant", field)) => ControlFlow::Break(tenant(*field, problems)),
        Some(("credential", field)) => ControlFlow::Break(credential(*field, problems)),
        Some(("destination", field)) => ControlFlow::Break(destination(*field, problems)),
        _ => ControlFlow::Continue(()),
    }
}

fn tenant(field: Field<'_>, problems: &mut Problems) -> Option<Scope> {
    field.parse(TENANT_FORM, problems, |text| {
        if text.trim().is_empty() { Err("is empty") } else { Ok(Scope::Tenant(text.to_owned())) }
    })
}

fn credential(field: Field<'_>, problems: &mut Problems) -> Option<Scope> {
    field.parse(CREDENTIAL_FORM, problems, |text| {
        let sid = Sid::parse(text).ok().filter(|sid| sid.is("SK"));
        sid.map(Scope::Credential).ok_or("is none")
    })
}

fn destination(field: Field<'_>, problems: &mut Problems) -> Option<Scope> {
    let list = field.list(DESTINATION_FORM, problems)?;
    if list.is_empty() {
        field.wrong(format_args!("is empty; write {DESTINATION_FORM}"), problems);
        return None;
    }
    let prefix = |item: &Field<'_>, problems: &mut Problems| {
        item.parse(DESTINATION_FORM, problems, |text| {
            text.parse::<DialPrefix>().map_err(|_| "is no beginning of a number")
        })
    };
    let prefixes: Vec<_> = list.iter().filter_map(|item| prefix(item, problems)).collect();
    (prefixes.len() == list.len()).then_some(Scope::Destination(prefixes))
}

/// `rolling 10m`: the last ten minutes, whenever one looks.
pub(super) fn rolling(field: Field<'_>, problems: &mut Problems) -> Option<Window> {
    field.parse(ROLLING_FORM, problems, |text| {
        let time = text.strip_prefix("rolling").unwrap_or(text).trim();
        let seconds = units::duration(time).map_err(|_| "has no time that can be read")?.as_secs();
        match u32::try_from(seconds) {
            Ok(seconds @ 10..=31_536_000) => Ok(Window::Rolling { seconds }),
            _ => Err("is too short or too long"),
        }
    })
}

/// Whether only the egress can hold such a limit, as far as it could be read.
pub(super) fn is_its_alone(scope: &Scope, per: Option<Per>, window: Option<Window>) -> bool {
    !ringfence_breaker::is_of_accounts(scope)
        || per == Some(Per::Prefix)
        || window.is_some_and(|window| !window.is_twilios())
}

/// What is done beside refusing. A short window refuses until it is over, which is the point of it: nothing else follows.
pub(super) fn default_actions(window: Option<Window>) -> Vec<Action> {
    if window.is_some_and(Window::is_twilios) { vec![Action::Notify] } else { Vec::new() }
}

/// A short window lifts by itself what tripped in it.
pub(super) fn default_reset(window: Option<Window>) -> Reset {
    if window.is_none_or(Window::is_twilios) { Reset::Manual } else { Reset::NextWindow }
}
