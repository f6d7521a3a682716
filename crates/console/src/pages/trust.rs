//! Trusted computers and sessions as pages list them: of whoever looks, and of somebody whom an owner looks at, who may end
//! them all.

use bytes::Bytes;
use http::Response;
use ringfence_control::people;
use ringfence_second_factor::policy::{Assurance, Kind};
use ringfence_store::{Person, Session, Stage, Where};

use super::act::{Act, ask, ask_again, reason};
use super::people::{form, somebody_else};
use crate::failed::Failed;
use crate::routes::Call;
use crate::words;

/// A trusted computer in a list.
#[derive(Debug)]
pub(super) struct ListedDevice {
    pub(super) id: String,
    pub(super) agent: String,
    pub(super) address: String,
    pub(super) place: String,
    pub(super) used: String,
    pub(super) until: String,
    /// The factor that made it trusted, where that does not do any more.
    pub(super) asked_again: Option<&'static str>,
}

/// A session in a list.
#[derive(Debug)]
pub(super) struct ListedSession {
    pub(super) id: String,
    pub(super) agent: String,
    pub(super) address: String,
    pub(super) place: String,
    pub(super) begun: String,
    pub(super) seen: String,
    /// By what it was proved, or what it waits for.
    pub(super) proved: String,
    /// The protected hosts that it is used at.
    pub(super) hosts: String,
    /// Whether it is the one that this page is looked at in.
    pub(super) is_this: bool,
}

/// The computers that somebody has trusted, as their trust is judged now: the configuration may say otherwise than it did
/// then.
pub(super) async fn devices(call: &Call<'_>, person: &Person) -> Result<Vec<ListedDevice>, Failed> {
    let (people, now) = (&call.people, call.now);
    let mut devices = Vec::new();
    for device in people.store().devices(&person.id, now).await? {
        let until = device.expires_at.min(people.trusted_until(device.created_at));
        if until <= now {
            continue;
        }
        let demands = people.demands(person, device.place).await.map_err(Failed::of_people)?;
        devices.push(ListedDevice {
            place: named(device.place),
            used: words::ago(&device.used_at, &now),
            until: words::when(&until),
            asked_again: (!demands.strength.takes(device.kind)).then_some(factor(device.kind)),
            id: device.id,
            agent: device.agent,
            address: device.address,
        });
    }
    Ok(devices)
}

/// Where somebody is signed in, the last used first.
pub(super) async fn sessions(call: &Call<'_>, person: &Person) -> Result<Vec<ListedSession>, Failed> {
    let (store, now) = (call.engine.store(), call.now);
    let hosts = store.hosts_of(&person.id, now).await?;
    let hosts_of = |session: &str| {
        let own = hosts.iter().filter(|(of, _)| of == session).map(|(_, host)| host.as_str());
        own.collect::<Vec<_>>().join(", ")
    };
    let sessions = store.sessions(&person.id, now).await?.into_iter().map(|session| ListedSession {
        hosts: hosts_of(&session.id),
        is_this: session.id == call.signed_in.session().id,
        place: named(session.place),
        begun: words::when(&session.created_at),
        seen: words::ago(&session.seen_at, &now),
        proved: proved(&session),
        id: session.id,
        agent: session.agent,
        address: session.address,
    });
    Ok(sessions.collect())
}

fn named(place: Where) -> String {
    match place {
        Where::Everywhere => "all accounts".to_owned(),
        Where::Account(sid) => sid.to_string(),
    }
}

fn factor(kind: Kind) -> &'static str {
    match kind {
        Kind::Phone => "a code to a phone",
        Kind::Totp => "an authenticator application",
        Kind::Passkey => "a passkey",
        Kind::RecoveryCode => "a recovery code",
    }
}

fn proved(session: &Session) -> String {
    match (session.stage, session.assurance) {
        (Stage::SecondFactor, _) => "not inside: the second factor has not come".to_owned(),
        (Stage::Binding, Assurance::SecondFactor { .. }) => {
            "not inside: makes what works without Twilio".to_owned()
        }
        (Stage::Binding, _) => "not inside: binds a factor with a code".to_owned(),
        (Stage::Inside, Assurance::Password) => "by the password alone".to_owned(),
        (Stage::Inside, Assurance::RememberedComputer) => "by the password, on a trusted computer".to_owned(),
        (Stage::Inside, Assurance::SecondFactor { kind, .. }) => {
            format!("by the password and {}", factor(kind))
        }
    }
}

fn devices_form(person: &Person) -> Act {
    let effects = [
        "Each of them is asked for the second factor at the next sign-in. They are mailed about it.",
        "Where they are signed in they stay signed in: end their sessions too, if a computer is in the wrong hands.",
    ];
    let title = format!("Trust no computer of {} any more", person.login);
    form(person, "end-devices", title, "Trust none of them", true, &effects)
}

pub(crate) async fn ask_end_devices(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = somebody_else(&call).await?;
    ask(&call, devices_form(&person))
}

pub(crate) async fn end_devices(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = somebody_else(&call).await?;
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(wrong) => return ask_again(&call, devices_form(&person), wrong),
    };
    let by = call.signed_in.actor();
    let ended = people::end_devices(call.engine.store(), (&by, reason), &person, call.now).await;
    Ok(done(&person, "their-devices", ended.map_err(Failed::of_people)?))
}

fn sessions_form(person: &Person) -> Act {
    let effects = [
        "They are signed out everywhere, at protected hosts too, at once and on every node. They are mailed about it.",
        "They sign in again with what they have. Lock them out, if somebody else has that too.",
    ];
    let title = format!("End every session of {}", person.login);
    form(person, "end-sessions", title, "End them all", true, &effects)
}

pub(crate) async fn ask_end_sessions(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = somebody_else(&call).await?;
    ask(&call, sessions_form(&person))
}

pub(crate) async fn end_sessions(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = somebody_else(&call).await?;
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(wrong) => return ask_again(&call, sessions_form(&person), wrong),
    };
    let by = call.signed_in.actor();
    let ended = people::end_sessions(call.engine.store(), (&by, reason), &person, call.now).await;
    Ok(done(&person, "their-sessions", ended.map_err(Failed::of_people)?))
}

fn done(person: &Person, what: &str, ended: u64) -> Response<Bytes> {
    let what = if ended > 0 { what } else { "nothing" };
    words::redirect(&format!("/people/{}?done={what}", person.id))
}
