//! What only the egress can count: requests of a tenant, with a credential, to a destination, and short windows. Twilio
//! knows nothing of these, so a limit of them holds what goes through the egress and nothing else.

use std::ops::ControlFlow;

use ringfence_breaker::{Action, DialPrefix, Per, Reset, Scope, Unseen, Window};
use ringfence_model::Sid;

use crate::config::problems::Problems;
use crate::config::raw::{Field, Table};
use crate::config::units;

const ROLLING_FORM: &str = "\"rolling\" and a time from 10s to 365d, such as \"rolling 10m\"";
const GCRA_FORM: &str = "\"gcra\" and a time from 1s to 365d, such as \"gcra 1h\"";
const UNSEEN_FORM: &str = "a time from 1d to 90d, such as \"30d\"";
const KNOWN_FORM: &str = "a time from 1h on that is less than `unseen`, such as \"3d\"";
const THREE_DAYS: u32 = 3 * 86_400;
const NINETY_DAYS: u32 = 90 * 86_400;
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
    let within = |text| seconds(text, "rolling", 10);
    field.parse(ROLLING_FORM, problems, |text| within(text).map(|seconds| Window::Rolling { seconds }))
}

/// `gcra 1h`: an even flow, with a burst.
pub(super) fn gcra(field: Field<'_>, problems: &mut Problems) -> Option<Window> {
    let within = |text| seconds(text, "gcra", 1);
    field.parse(GCRA_FORM, problems, |text| within(text).map(|seconds| Window::Gcra { seconds }))
}

/// The time after a word, a year at most.
fn seconds(text: &str, word: &str, least: u32) -> Result<u32, &'static str> {
    let time = text.strip_prefix(word).unwrap_or(text).trim();
    let time = units::duration(time).map_err(|_| "has no time that can be read")?;
    let seconds = u32::try_from(time.as_secs()).ok().filter(|_| time.subsec_nanos() == 0);
    seconds.filter(|it| (least..=31_536_000).contains(it)).ok_or("is too short or too long")
}

/// For how long a beginning of a number must not have been sent to, and how old what is sent there must be; nothing where the
/// limit is one of all, or there is a problem.
pub(super) fn unseen(table: &Table<'_>, problems: &mut Problems) -> Option<Unseen> {
    let after = match table.find("known_after") {
        Some(field) => field.parse(KNOWN_FORM, problems, |text| seconds(text, "", 3_600)),
        None => Some(THREE_DAYS),
    };
    let Some(field) = table.find("unseen") else {
        if let Some(field) = table.find("known_after") {
            field.wrong(
                "means nothing without `unseen`; write how long that is, such as unseen = \"30d\"",
                problems,
            );
        }
        return None;
    };
    let within = field.parse(UNSEEN_FORM, problems, |text| {
        seconds(text, "", 86_400).and_then(|it| if it <= NINETY_DAYS { Ok(it) } else { Err("is too long") })
    });
    Some(Unseen { within: within?, known_after: after? })
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
