//! Who signs in: for the owners of the whole installation.

use std::collections::HashMap;

use askama::Template;
use bytes::Bytes;
use http::Response;
use jiff::Timestamp;
use ringfence_control::people::{self, Invitation, Refused};
use ringfence_model::Sid;
use ringfence_store::{Because, Error, FactorSecret, Grant, Lock, Person, Role, Where};

use super::act::{Act, Wrong, ask, ask_again, reason};
use super::passkeys::{ListedPasskey, PasskeyMeant, passkey_meant, passkeys};
use super::trust::{ListedDevice, ListedSession, devices, sessions};
use super::{refused_in_words, shown, shown_again, unknown};
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::routes::Call;
use crate::words;

/// Rows of a page.
const SIZE: usize = 50;

#[derive(Template)]
#[template(path = "people.html")]
struct View {
    frame: Frame,
    rows: Vec<Row>,
    /// What is searched for.
    q: String,
    found: String,
    older: Option<String>,
    newer: Option<String>,
    login: String,
    role: String,
    account: String,
    reason: String,
    wrong: WrongPerson,
    /// A code that was just made: whose it is, and until when.
    code: Option<Code>,
}

/// What is wrong with what was typed, beside its field.
#[derive(Debug, Default)]
struct WrongPerson {
    login: Option<String>,
    account: Option<String>,
    reason: Option<String>,
}

impl WrongPerson {
    fn is_any(&self) -> bool {
        self.login.is_some() || self.account.is_some() || self.reason.is_some()
    }
}

#[derive(Debug)]
struct Row {
    id: String,
    login: String,
    roles: String,
    class: &'static str,
    state: &'static str,
    seen: String,
}

#[derive(Debug)]
struct Code {
    login: String,
    spelled: String,
    until: String,
}

impl Code {
    fn of(invitation: &Invitation) -> Self {
        Self {
            login: invitation.person.login.clone(),
            spelled: invitation.code.spelled().as_str().to_owned(),
            until: words::when(&invitation.expires_at),
        }
    }
}

pub(crate) async fn show(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    list(&call, WrongPerson::default(), None).await
}

async fn list(call: &Call<'_>, wrong: WrongPerson, code: Option<Code>) -> Result<Response<Bytes>, Failed> {
    let store = call.engine.store();
    let q = call.query.get("q").to_lowercase();
    let mut all = store.persons().await?;
    all.retain(|person| is_meant(person, &q));
    let total = all.len();
    let page: usize = call.query.get("page").parse().unwrap_or(1).clamp(1, total.div_ceil(SIZE).max(1));
    let begin = (page - 1) * SIZE;
    let rows: Vec<Person> = all.into_iter().skip(begin).take(SIZE).collect();
    let ids: Vec<String> = rows.iter().map(|person| person.id.clone()).collect();
    let seen: HashMap<String, Timestamp> = store.last_sign_ins(&ids).await?.into_iter().collect();
    let rows = rows.into_iter().map(|person| {
        let (class, state) = state(&person);
        Row {
            roles: roles(&person),
            seen: seen.get(&person.id).map_or_else(|| "never".to_owned(), |at| words::ago(at, &call.now)),
            id: person.id,
            login: person.login,
            class,
            state,
        }
    });
    let link = |page: usize| format!("/people?q={}&page={page}", words::query_value(call.query.get("q")));
    let is_wrong = wrong.is_any();
    let is_shown = is_wrong || call.again.is_some();
    let typed = |name: &str| if is_shown { call.form.get(name).to_owned() } else { String::new() };
    let view = View {
        frame: Frame::new(call, Section::People),
        rows: rows.collect(),
        q: call.query.get("q").to_owned(),
        found: words::many(total, "person", "people"),
        older: (begin + SIZE < total).then(|| link(page + 1)),
        newer: (page > 1).then(|| link(page - 1)),
        login: typed("login"),
        role: typed("role"),
        account: typed("account"),
        reason: typed("reason"),
        wrong,
        code,
    };
    if is_wrong { shown_again(&view) } else { shown(&view) }
}

/// Whether a search for this means them: by login, role, account or state. It is in small letters.
fn is_meant(person: &Person, q: &str) -> bool {
    let (_, state) = state(person);
    [&*person.login, &*roles(person), state].iter().any(|text| text.to_lowercase().contains(q))
}

fn state(person: &Person) -> (&'static str, &'static str) {
    match (person.locked_at, person.has_password) {
        (Some(_), _) => ("bad", "locked"),
        (None, false) => ("near", "invited"),
        (None, true) => ("good", "signs in"),
    }
}

fn roles(person: &Person) -> String {
    let roles = person.grants.iter().map(|grant| match grant.place {
        Where::Everywhere => grant.role.word().to_owned(),
        Where::Account(sid) => format!("{} of {sid}", grant.role.word()),
    });
    let roles: Vec<String> = roles.collect();
    if roles.is_empty() { "no role".to_owned() } else { roles.join(", ") }
}

/// The role and the place that a form gives.
fn grant(call: &Call<'_>) -> Result<Grant, &'static str> {
    let role = Role::from_word(call.form.get("role")).ok_or("Choose a role.")?;
    let place = match call.form.get("account") {
        "" => Where::Everywhere,
        text => {
            let sid = Sid::parse(text).ok().filter(|sid| sid.is("AC"));
            Where::Account(sid.ok_or(
                "An account's SID is AC and 32 hexadecimal digits; leave it empty for all accounts.",
            )?)
        }
    };
    Ok(Grant { place, role })
}

/// What a form gives, or everything that is wrong with it.
async fn role_and_reason<'c>(call: &'c Call<'_>) -> Result<Result<(Grant, &'c str), WrongPerson>, Failed> {
    let grant = grant(call);
    let unknown = match &grant {
        Ok(grant) => unknown(call, grant.place).await?,
        Err(_) => None,
    };
    Ok(match (grant, unknown, reason(&call.form)) {
        (Ok(grant), None, Ok(reason)) => Ok((grant, reason)),
        (grant, unknown, reason) => Err(WrongPerson {
            login: None,
            account: grant.err().map(str::to_owned).or(unknown),
            reason: reason.err().and_then(|wrong| wrong.reason),
        }),
    })
}

pub(crate) async fn add(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let login = call.form.get("login");
    let in_words = |refused: Refused| refused_in_words(&refused, call.now);
    let wrong_login = people::check_login(login).err().map(in_words).transpose()?;
    let (grant, reason) = match role_and_reason(&call).await? {
        Ok(typed) if wrong_login.is_none() => typed,
        Ok(_) => return list(&call, WrongPerson { login: wrong_login, ..Default::default() }, None).await,
        Err(wrong) => return list(&call, WrongPerson { login: wrong_login, ..wrong }, None).await,
    };
    let by = call.signed_in.actor();
    let problem = match people::add(call.engine.store(), (&by, reason), login, vec![grant], call.now).await {
        // On the answer itself: the code is nowhere else.
        Ok(invitation) => return list(&call, WrongPerson::default(), Some(Code::of(&invitation))).await,
        Err(Refused::Store(Error::Conflict { .. })) => format!("Somebody signs in as {login} already."),
        Err(refused) => in_words(refused)?,
    };
    list(&call, WrongPerson { login: Some(problem), ..Default::default() }, None).await
}

#[derive(Template)]
#[template(path = "person.html")]
struct PersonView {
    frame: Frame,
    id: String,
    login: String,
    class: &'static str,
    state: &'static str,
    is_locked: bool,
    is_self: bool,
    /// Whether they were invited, and have not come yet.
    is_invited: bool,
    grants: Vec<(String, String, String)>,
    factors: String,
    /// The numbers that codes go to, but for their middle, each with whether it is confirmed.
    phones: Vec<(String, bool)>,
    codes_left: u64,
    passkeys: Vec<ListedPasskey>,
    devices: Vec<ListedDevice>,
    sessions: Vec<ListedSession>,
    role: String,
    account: String,
    reason: String,
    wrong: WrongPerson,
    code: Option<Code>,
}

async fn meant(call: &Call<'_>) -> Result<Person, Failed> {
    call.engine.store().person(call.piece).await?.ok_or(Failed::NotFound)
}

pub(crate) async fn person(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    page(&call, WrongPerson::default(), None).await
}

async fn page(call: &Call<'_>, wrong: WrongPerson, code: Option<Code>) -> Result<Response<Bytes>, Failed> {
    let person = meant(call).await?;
    let store = call.engine.store();
    let factors = store.factors(&person.id).await?;
    let phones = factors.iter().filter_map(|factor| match &factor.secret {
        FactorSecret::Phone(number) => Some((format!("{number:?}"), factor.verified_at.is_some())),
        _ => None,
    });
    let phones = phones.collect();
    let bound = factors.iter().filter(|it| it.verified_at.is_some());
    let mut factors: Vec<String> = bound
        .map(|it| {
            let kind = it.secret.kind().word();
            if it.is_worn_out {
                format!("{kind} (wrong too often: it counts no more)")
            } else {
                kind.to_owned()
            }
        })
        .collect();
    factors.sort_unstable();
    factors.dedup();
    let remove = format!("/people/{}/remove-passkey", person.id);
    let passkeys = passkeys(call, &person, &remove).await?;
    let (class, state) = state(&person);
    let is_wrong = wrong.is_any();
    let is_shown = is_wrong || call.again.is_some();
    let typed = |name: &str| if is_shown { call.form.get(name).to_owned() } else { String::new() };
    let view = PersonView {
        frame: Frame::new(call, Section::People),
        is_locked: person.locked_at.is_some(),
        is_invited: !person.has_password,
        is_self: person.id == call.signed_in.person().id,
        grants: person
            .grants
            .iter()
            .map(|grant| {
                let place = grant.place.text();
                let name = if place == "*" { "all accounts".to_owned() } else { place.clone() };
                (place, name, grant.role.word().to_owned())
            })
            .collect(),
        factors: if factors.is_empty() { "none".to_owned() } else { factors.join(", ") },
        phones,
        codes_left: store.recovery_codes_left(&person.id).await?,
        passkeys,
        devices: devices(call, &person).await?,
        sessions: sessions(call, &person).await?,
        id: person.id,
        login: person.login,
        class,
        state,
        role: typed("role"),
        account: typed("account"),
        reason: typed("reason"),
        wrong,
        code,
    };
    if is_wrong { shown_again(&view) } else { shown(&view) }
}

/// Where the store keeps the last owner, that is told; whatever else it says is no page.
fn kept(error: Error) -> Result<String, Failed> {
    match error {
        Error::Conflict { .. } => {
            Ok("The last owner of everything stays one: make another owner first, who has bound a second factor that is taken there."
                .to_owned())
        }
        error => Err(error.into()),
    }
}

/// Who decides, why, and what is demanded of the owners who stay.
fn because(call: &Call<'_>, reason: &str) -> Because {
    Because::from((&call.signed_in.actor(), reason)).under(call.people.rules().minimum.strength)
}

pub(crate) async fn set_role(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = meant(&call).await?;
    let (grant, reason) = match role_and_reason(&call).await? {
        Ok(typed) => typed,
        Err(wrong) => return page(&call, wrong, None).await,
    };
    match call.engine.store().set_role(because(&call, reason), &person.id, grant, call.now).await {
        Ok(()) => Ok(words::redirect(&format!("/people/{}?done=role", person.id))),
        Err(error) => {
            let account = Some(kept(error)?);
            page(&call, WrongPerson { account, ..Default::default() }, None).await
        }
    }
}

/// The form of an act on a person, at `/people/ID/what`.
pub(super) fn form(
    person: &Person,
    what: &str,
    title: String,
    button: &'static str,
    is_dangerous: bool,
    effects: &[&str],
) -> Act {
    Act {
        section: Section::People,
        title,
        effects: effects.iter().map(|effect| (*effect).to_owned()).collect(),
        path: format!("/people/{}/{what}", person.id),
        button,
        is_dangerous,
        hidden: Vec::new(),
        allow: None,
        wants_reason: true,
        back: format!("/people/{}", person.id),
    }
}

/// The form again, with what the store says against it.
fn refused(call: &Call<'_>, act: Act, error: Error) -> Result<Response<Bytes>, Failed> {
    let whole = Some(kept(error)?);
    ask_again(call, act, Wrong { whole, ..Wrong::default() })
}

/// What somebody does to themselves is in My security, or another owner's business.
pub(super) async fn somebody_else(call: &Call<'_>) -> Result<Person, Failed> {
    let person = meant(call).await?;
    if person.id == call.signed_in.person().id {
        return Err(Failed::NotNow("this is you: another owner does it".to_owned()));
    }
    Ok(person)
}

/// The role that a form or a link means.
fn role_to_remove(call: &Call<'_>, person: &Person) -> Result<(Where, Act), Failed> {
    let account = call.form.filled("account").or_else(|| call.query.filled("account"));
    let place = account.and_then(Where::from_text).ok_or(Failed::NotFound)?;
    let grant = person.grants.iter().find(|grant| grant.place == place).ok_or(Failed::NotFound)?;
    let name = match place {
        Where::Everywhere => "all accounts".to_owned(),
        Where::Account(sid) => sid.to_string(),
    };
    let title = format!("Take a role from {}", person.login);
    let effect = format!("They are no {} of {name} any more, at once and on every node.", grant.role.word());
    let mut act = form(person, "remove-role", title, "Take it away", true, &[&effect]);
    act.hidden.push(("account", place.text()));
    Ok((place, act))
}

pub(crate) async fn ask_remove_role(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = meant(&call).await?;
    ask(&call, role_to_remove(&call, &person)?.1)
}

pub(crate) async fn remove_role(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = meant(&call).await?;
    let (place, act) = role_to_remove(&call, &person)?;
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(wrong) => return ask_again(&call, act, wrong),
    };
    match call.engine.store().remove_role(because(&call, reason), &person.id, place, call.now).await {
        Ok(_) => Ok(words::redirect(&format!("/people/{}?done=role", person.id))),
        Err(error) => refused(&call, act, error),
    }
}

fn lock_form(person: &Person, lock: Lock) -> Act {
    let (locked, mut act) = if lock == Lock::Off {
        let title = format!("Let {} in again", person.login);
        ("0", form(person, "lock", title, "Let in again", false, &["They sign in with what they have."]))
    } else {
        let effects = ["Every session and trusted computer of theirs ends, at once and on every node."];
        ("1", form(person, "lock", format!("Lock {} out", person.login), "Lock out", true, &effects))
    };
    act.hidden.push(("locked", locked.to_owned()));
    act
}

pub(crate) async fn ask_lock(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = somebody_else(&call).await?;
    let lock = if person.locked_at.is_some() { Lock::Off } else { Lock::Out };
    ask(&call, lock_form(&person, lock))
}

pub(crate) async fn lock(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = somebody_else(&call).await?;
    // Which of the two is meant must be said: neither is what a form without it does.
    let lock = match call.form.get("locked") {
        "1" => Lock::Out,
        "0" => Lock::Off,
        _ => return Err(Failed::StaleForm),
    };
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(wrong) => return ask_again(&call, lock_form(&person, lock), wrong),
    };
    let done = match call.engine.store().lock_person(because(&call, reason), &person.id, lock, call.now).await
    {
        Ok(true) => "lock",
        Ok(false) => "already",
        Err(error) => return refused(&call, lock_form(&person, lock), error),
    };
    Ok(words::redirect(&format!("/people/{}?done={done}", person.id)))
}

fn reset_form(person: &Person) -> Act {
    // Whoever was only invited has nothing that could be taken away.
    if !person.has_password {
        let effects = [
            "The code of before does nothing any more.",
            "You get another one for them, with which they set a password and bind a second factor. Be sure who it is that \
             asks for it.",
        ];
        let title = format!("Make a new code for {}", person.login);
        return form(person, "reset", title, "Make a new code", false, &effects);
    }
    let effects = [
        "Their factors are taken away, and every session and trusted computer of theirs ends. They are mailed about it.",
        "You get a code for them, with which they bind another one. Be sure who it is that asks for it.",
    ];
    let title = format!("Take the second factor of {} away", person.login);
    form(person, "reset", title, "Take it away and make a code", true, &effects)
}

pub(crate) async fn ask_reset(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = somebody_else(&call).await?;
    ask(&call, reset_form(&person))
}

pub(crate) async fn reset(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = somebody_else(&call).await?;
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(wrong) => return ask_again(&call, reset_form(&person), wrong),
    };
    let by = call.signed_in.actor();
    let reset = people::reset_second_factor(call.engine.store(), (&by, reason), person, call.now).await;
    let invitation = reset.map_err(Failed::of_people)?;
    page(&call, WrongPerson::default(), Some(Code::of(&invitation))).await
}

/// The passkey that is meant, and the form that takes it away.
async fn passkey_to_remove(call: &Call<'_>, person: &Person) -> Result<(String, Act), Failed> {
    let PasskeyMeant { factor, name } = passkey_meant(call, person).await?;
    let effects = [
        "It signs them in no more, and they are mailed about it.",
        "Their trusted computers are asked again. Their sessions stay: lock them out, if the device is in the wrong hands.",
    ];
    let title = format!("Take the passkey “{name}” of {} away", person.login);
    let mut act = form(person, "remove-passkey", title, "Take it away", true, &effects);
    act.hidden.push(("passkey", factor.clone()));
    Ok((factor, act))
}

pub(crate) async fn ask_remove_passkey(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = somebody_else(&call).await?;
    ask(&call, passkey_to_remove(&call, &person).await?.1)
}

pub(crate) async fn remove_passkey(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = somebody_else(&call).await?;
    let (factor, act) = passkey_to_remove(&call, &person).await?;
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(wrong) => return ask_again(&call, act, wrong),
    };
    let whole = match call.people.remove_passkey_of(call.signed_in.session(), &person, &factor, reason).await {
        Ok(()) => return Ok(words::redirect(&format!("/people/{}?done=their-passkey", person.id))),
        Err(Refused::LastFactor) => {
            "This is the last factor of theirs that does: take the second factor away instead, which makes a code for \
             them."
                .to_owned()
        }
        Err(refused) => refused_in_words(&refused, call.now)?,
    };
    ask_again(&call, act, Wrong { whole: Some(whole), ..Wrong::default() })
}

fn remove_form(person: &Person) -> Act {
    let effects = [
        "Everything that is theirs is deleted, and what the audit log says about them becomes unreadable. What they did \
         stays there.",
        "This cannot be undone.",
    ];
    form(person, "remove", format!("Remove {} for good", person.login), "Remove for good", true, &effects)
}

pub(crate) async fn ask_remove(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = somebody_else(&call).await?;
    ask(&call, remove_form(&person))
}

pub(crate) async fn remove(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = somebody_else(&call).await?;
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(wrong) => return ask_again(&call, remove_form(&person), wrong),
    };
    match call.engine.store().remove_person(because(&call, reason), &person.id, call.now).await {
        Ok(()) => Ok(words::redirect("/people?done=removed")),
        Err(error) => refused(&call, remove_form(&person), error),
    }
}
