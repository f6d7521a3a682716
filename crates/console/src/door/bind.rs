//! Binding a second factor with a code that an owner gave out, or anew by whoever has just shown theirs.

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_control::people::{NewTotp, Refused, Step, has_shown, is_late};
use ringfence_model::{PhoneNumber, Secret};
use ringfence_second_factor::challenge::Channel;
use ringfence_second_factor::policy::{Kind, Strength};
use ringfence_store::{FactorSecret, Session, Stage};

use super::passkey::Site;
use super::second_factor::channel;
use super::{Door, said, shown, shown_until, with_to};
use crate::failed::Failed;
use crate::picture::{self, Picture};
use crate::words;

#[derive(Template)]
#[template(path = "door/bind.html")]
struct BindPage {
    code: String,
    /// Whose code it is, and whether they have a password already; nothing before a code was typed.
    whose: Option<(String, bool)>,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "door/factors.html")]
struct FactorsPage {
    csrf: String,
    /// Where they were going.
    to: String,
    login: String,
    /// Whether they are inside already, and change what they have.
    is_inside: bool,
    /// Whether they have shown a factor, and make one that works without Twilio before they are inside.
    has_shown: bool,
    /// Why they change nothing now: what they have shown would not do everywhere.
    barred: Option<String>,
    has_totp: bool,
    /// Whether nothing else does where they sign in.
    only_passkeys: bool,
    /// What their passkeys are called, and when each was made.
    passkeys: Vec<(String, String)>,
    /// Where passkeys work.
    site: Site,
    /// What the next one is called, unless they say otherwise.
    passkey_name: String,
    passkey_problem: Option<String>,
    /// An application to be scanned.
    picture: Picture,
    uri: String,
    spelled: String,
    codes_left: u64,
    /// New codes, shown this once.
    codes: Vec<String>,
    problem: Option<String>,
    /// What is wrong with the number that was typed, and the number.
    phone_problem: Option<String>,
    number: String,
    /// What is wrong with the code that went to one.
    code_problem: Option<String>,
    /// Whether codes can be sent at all, and spoken.
    may_send: bool,
    may_call: bool,
    /// The number that counts, but for its middle.
    phone: Option<String>,
    /// The number that waits for its code.
    waiting: Option<String>,
    may_finish: bool,
    /// They may finish without one, since the password alone opens it.
    may_go_without: bool,
}

pub(crate) async fn ask_bind(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    // A code in the address would be in histories and logs: a link has it behind a `#`, and is typed otherwise.
    bind_page(&door, String::new(), None).await
}

pub(crate) async fn bind(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let code = door.form.get("code").to_owned();
    let password = door.form.raw("password");
    if password.is_empty() {
        // The first step: whose code is it?
        let refused = match door.people.bindable(&Secret::new(&*code)).await.map_err(Failed::of_people)? {
            Some(_) => None,
            None => Some(Refused::WrongCode),
        };
        return bind_page(&door, code, refused).await;
    }
    match door.people.begin_binding(&Secret::new(&*code), &Secret::new(password), &door.visitor()).await {
        Ok(step) => {
            begin_totp(&door, &step).await?;
            Ok(door.go(&step, "/"))
        }
        Err(refused) => bind_page(&door, code, Some(refused)).await,
    }
}

/// An application to scan waits on the next page, which only shows it: a page that is opened changes nothing.
async fn begin_totp(door: &Door<'_>, step: &Step) -> Result<(), Failed> {
    let Step::Bind { token } = step else { return Ok(()) };
    if let Some(session) = door.people.session(token).await.map_err(Failed::of_people)? {
        door.people.new_totp(&session).await.map_err(Failed::of_people)?;
    }
    Ok(())
}

async fn bind_page(
    door: &Door<'_>,
    code: String,
    refused: Option<Refused>,
) -> Result<Response<Bytes>, Failed> {
    let found = door.people.bindable(&Secret::new(&*code)).await.map_err(Failed::of_people)?;
    let page = BindPage {
        code,
        whose: found.map(|found| (found.person.login, found.person.has_password)),
        problem: match &refused {
            Some(Refused::WrongCode) => {
                Some("This code is not known, used already, or older than a day. An owner can give you another one.".into())
            }
            Some(Refused::Wrong) => Some("This is not your password.".into()),
            Some(refused) => Some(said(refused, door.now)?),
            None => None,
        },
    };
    shown(&page, refused.as_ref())
}

/// The session that may bind factors, or where to go instead.
pub(super) fn may_bind<'d>(door: &'d Door<'_>) -> Result<&'d Session, &'static str> {
    match &door.session {
        Some((_, session)) if is_late(session, door.now) => Err("/sign-in?again=1"),
        Some((_, session)) if session.stage == Stage::Binding => Ok(session),
        Some((_, session)) if session.stage == Stage::Inside && session.assurance.is_fresh(door.now) => {
            Ok(session)
        }
        Some((_, session)) if session.stage == Stage::Inside => Err("/second-factor?to=%2Fbind%2Ffactors"),
        // The session of their cookie is over, and they have not asked for that.
        None if door.known().session.is_some() => Err("/sign-in?done=over&to=%2Fbind%2Ffactors"),
        _ => Err("/sign-in"),
    }
}

pub(crate) async fn factors(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    match may_bind(&door) {
        Ok(session) => factors_page(&door, session, Vec::new(), None).await,
        Err(elsewhere) => Ok(words::redirect(elsewhere)),
    }
}

pub(crate) async fn confirm(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let session = match may_bind(&door) {
        Ok(session) => session,
        Err(elsewhere) => return Ok(words::redirect(elsewhere)),
    };
    door.check_csrf()?;
    if door.form.filled("begin").is_some() {
        door.people.new_totp(session).await.map_err(Failed::of_people)?;
        return Ok(back(&door));
    }
    match door.people.confirm_totp(session, &Secret::new(door.form.get("code"))).await {
        Ok(()) => Ok(back(&door)),
        Err(refused) => factors_page(&door, session, Vec::new(), Some(refused)).await,
    }
}

pub(crate) async fn add_phone(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let session = match may_bind(&door) {
        Ok(session) => session,
        Err(elsewhere) => return Ok(words::redirect(elsewhere)),
    };
    door.check_csrf()?;
    // As people write it: with spaces, hyphens and brackets.
    let typed: String = door
        .form
        .get("number")
        .chars()
        .filter(|it| !matches!(it, ' ' | '-' | '(' | ')' | '.' | '/'))
        .collect();
    let number = PhoneNumber::parse(&typed).ok().filter(PhoneNumber::is_possible);
    let sent = match (number, door.engine.second_factor()) {
        (None, _) => {
            Err(Refused::Invalid("write the number with + and the country's code, such as +14155550100"))
        }
        (_, None) => Err(Refused::Invalid("this installation sends no codes: it has no [second_factor]")),
        (Some(number), Some(codes)) => {
            let channel = channel(&door.form);
            door.people.add_phone(codes, session, number, channel, &door.visitor()).await
        }
    };
    match sent {
        Ok(()) => Ok(back(&door)),
        Err(refused) => {
            let mut page = factors_view(&door, session, Vec::new()).await?;
            page.phone_problem = Some(said(&refused, door.now)?);
            door.form.get("number").clone_into(&mut page.number);
            Ok(door.leading_on(shown_until(&page, Some(&refused), door.now)?))
        }
    }
}

pub(crate) async fn confirm_phone(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let session = match may_bind(&door) {
        Ok(session) => session,
        Err(elsewhere) => return Ok(words::redirect(elsewhere)),
    };
    door.check_csrf()?;
    match door.people.confirm_phone(session, &Secret::new(door.form.get("code"))).await {
        Ok(()) => Ok(back(&door)),
        Err(refused) => {
            let mut page = factors_view(&door, session, Vec::new()).await?;
            page.code_problem = Some(said(&refused, door.now)?);
            Ok(door.leading_on(shown_until(&page, Some(&refused), door.now)?))
        }
    }
}

pub(crate) async fn codes(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let session = match may_bind(&door) {
        Ok(session) => session,
        Err(elsewhere) => return Ok(words::redirect(elsewhere)),
    };
    door.check_csrf()?;
    // They are on the answer itself, since they are nowhere else: a page that is loaded again makes new ones.
    let codes = door.people.new_recovery_codes(session).await.map_err(Failed::of_people)?;
    let codes = codes.iter().map(|code| code.spelled().as_str().to_owned()).collect();
    factors_page(&door, session, codes, None).await
}

pub(crate) async fn finish(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let Some((token, session)) = &door.session else { return Ok(words::redirect("/sign-in")) };
    door.check_csrf()?;
    match door.people.finish_binding(token, session, &door.visitor()).await {
        Ok(step) => Ok(door.go(&step, &door.to())),
        Err(Refused::Over) => Ok(words::redirect(&door.to())),
        Err(refused) => factors_page(&door, session, Vec::new(), Some(refused)).await,
    }
}

/// The page again, on the way to where they were going.
pub(super) fn back(door: &Door<'_>) -> Response<Bytes> {
    words::redirect(&with_to("/bind/factors", &door.to()))
}

async fn factors_page(
    door: &Door<'_>,
    session: &Session,
    codes: Vec<String>,
    refused: Option<Refused>,
) -> Result<Response<Bytes>, Failed> {
    let mut page = factors_view(door, session, codes).await?;
    page.problem = refused.as_ref().map(|refused| said(refused, door.now)).transpose()?;
    Ok(door.leading_on(shown(&page, refused.as_ref())?))
}

/// The same with what is wrong beside the passkeys.
pub(super) async fn passkey_page(
    door: &Door<'_>,
    session: &Session,
    refused: Refused,
) -> Result<Response<Bytes>, Failed> {
    let mut page = factors_view(door, session, Vec::new()).await?;
    page.passkey_problem = Some(said(&refused, door.now)?);
    door.form.get("name").clone_into(&mut page.passkey_name);
    Ok(door.leading_on(shown_until(&page, Some(&refused), door.now)?))
}

async fn factors_view(door: &Door<'_>, session: &Session, codes: Vec<String>) -> Result<FactorsPage, Failed> {
    let people = &door.people;
    let factors = people.store().factors(&session.person.id).await?;
    let counts = |kind| factors.iter().any(|it| it.secret.kind() == kind && it.counts());
    let has_totp = counts(Kind::Totp);
    let passkeys =
        factors.iter().filter(|factor| factor.counts()).filter_map(|factor| match &factor.secret {
            FactorSecret::Passkey(name) => Some((name.clone(), words::when(&factor.created_at))),
            _ => None,
        });
    let passkeys: Vec<_> = passkeys.collect();
    let demands = people.demands(&session.person, session.place).await.map_err(Failed::of_people)?;
    let only_passkeys = demands.strength == Strength::PhishingResistant;
    let barred = match people.may_bind(session).await {
        Err(refused @ Refused::ShowStronger) => Some(said(&refused, door.now)?),
        Err(_) | Ok(()) => None,
    };
    let begun = match &barred {
        None => people.waiting_totp(session).await.map_err(Failed::of_people)?,
        Some(_) => None,
    };
    let waiting_phone = match &barred {
        None => people.waiting_phone(session).await.map_err(Failed::of_people)?,
        Some(_) => None,
    };
    let codes_left = if counts(Kind::RecoveryCode) {
        people.store().recovery_codes_left(&session.person.id).await?
    } else {
        0
    };
    let own = people.own_phone(session).await.map_err(Failed::of_people)?.filter(|_| counts(Kind::Phone));
    let has_any = has_totp || own.is_some() || !passkeys.is_empty();
    let may_go_without = session.stage == Stage::Binding
        && !has_any
        && !has_shown(session)
        && people.may_go_without(session).await.map_err(Failed::of_people)?;
    let service = door.engine.second_factor();
    Ok(FactorsPage {
        csrf: door.csrf(),
        to: door.to(),
        login: session.person.login.clone(),
        has_shown: has_shown(session),
        is_inside: session.stage == Stage::Inside,
        barred,
        has_totp,
        only_passkeys,
        may_finish: session.stage == Stage::Binding
            && if has_shown(session) {
                has_totp || !passkeys.is_empty() || codes_left > 0
            } else if only_passkeys {
                !passkeys.is_empty()
            } else {
                may_go_without || (has_any && codes_left > 0)
            },
        may_go_without,
        passkeys,
        site: door.site(),
        passkey_name: door.visitor().agent,
        passkey_problem: None,
        picture: picture::code(begun.as_ref().map_or("", |totp| &totp.uri)),
        uri: text(begun.as_ref(), |totp| &totp.uri),
        spelled: text(begun.as_ref(), |totp| &totp.spelled),
        codes_left,
        codes,
        problem: None,
        phone_problem: None,
        number: String::new(),
        code_problem: None,
        may_send: service.is_some(),
        may_call: service.is_some_and(|codes| codes.settings().has_channel(Channel::Call)),
        phone: own.map(|number| format!("{number:?}")),
        waiting: waiting_phone.map(|number| format!("{number:?}")),
    })
}

fn text<'t>(totp: Option<&'t NewTotp>, of: impl Fn(&'t NewTotp) -> &'t str) -> String {
    totp.map(|totp| of(totp).to_owned()).unwrap_or_default()
}
