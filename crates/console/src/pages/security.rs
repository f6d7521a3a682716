//! What somebody has to show for themselves, and where they are signed in: their own, and nobody else's.

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_control::people::Refused;
use ringfence_model::Secret;
use ringfence_second_factor::policy::Kind;
use ringfence_store::{SignIn, SignInOutcome};

use super::act::{Act, Wrong, ask, ask_again};
use super::passkeys::{ListedPasskey, PasskeyMeant, passkey_meant, passkeys};
use super::trust::{ListedDevice, ListedSession, devices, sessions};
use super::{refused_in_words, shown, shown_again};
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::routes::Call;
use crate::words;

/// Sign-ins that are shown.
const SIGN_INS: usize = 15;

#[derive(Template)]
#[template(path = "security.html")]
struct View {
    frame: Frame,
    level: u8,
    password_changed: String,
    /// What was wrong too often and counts no more.
    worn_out: Vec<&'static str>,
    has_totp: bool,
    totp_since: String,
    codes_left: u64,
    /// The number that codes go to, but for its middle.
    phone: Option<String>,
    is_phone_good: bool,
    good_passkeys: usize,
    passkeys: Vec<ListedPasskey>,
    devices: Vec<ListedDevice>,
    sessions: Vec<ListedSession>,
    sign_ins: Vec<Attempt>,
}

#[derive(Debug)]
struct Attempt {
    at: String,
    class: &'static str,
    what: &'static str,
    agent: String,
    address: String,
}

pub(crate) async fn show(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let (store, person) = (call.engine.store(), call.signed_in.person());
    let factors = store.factors(&person.id).await?;
    let totp = factors.iter().find(|it| it.secret.kind() == Kind::Totp && it.counts());
    let worn_out = factors.iter().filter(|it| it.is_worn_out && it.verified_at.is_some());
    let worn_out: Vec<Kind> = worn_out.map(|it| it.secret.kind()).collect();
    let are_codes_good = !worn_out.contains(&Kind::RecoveryCode);
    let sign_ins = store.sign_ins(&person.id, SIGN_INS).await?;
    let view = View {
        level: call.signed_in.session().assurance.level(),
        password_changed: person.password_changed_at.map(|at| words::when(&at)).unwrap_or_default(),
        has_totp: totp.is_some(),
        totp_since: totp.and_then(|it| it.verified_at).map(|at| words::when(&at)).unwrap_or_default(),
        phone: own_phone(&call).await?,
        codes_left: if are_codes_good { store.recovery_codes_left(&person.id).await? } else { 0 },
        good_passkeys: factors.iter().filter(|it| it.secret.kind() == Kind::Passkey && it.counts()).count(),
        is_phone_good: !worn_out.contains(&Kind::Phone),
        worn_out: worn_out.iter().map(|kind| in_words(*kind)).collect(),
        passkeys: passkeys(&call, person, "/security/passkey").await?,
        devices: devices(&call, person).await?,
        sessions: sessions(&call, person).await?,
        sign_ins: sign_ins.iter().map(attempt).collect(),
        frame: Frame::new(&call, Section::Security),
    };
    shown(&view)
}

fn in_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Phone => "The phone",
        Kind::Totp => "The authenticator application",
        Kind::Passkey => "A passkey",
        Kind::RecoveryCode => "The recovery codes",
    }
}

fn attempt(sign_in: &SignIn) -> Attempt {
    let (class, what) = match sign_in.outcome {
        SignInOutcome::Known => ("good", "signed in"),
        SignInOutcome::New => ("near", "signed in on a new device"),
        SignInOutcome::Waiting => ("bad", "password right, no second factor"),
        SignInOutcome::Guessed => {
            ("bad", "password or second factor wrong too often in an open session, which ended")
        }
        SignInOutcome::Failed => ("bad", "password right, second factor wrong"),
    };
    Attempt {
        at: words::exactly(&sign_in.at),
        class,
        what,
        agent: sign_in.agent.clone(),
        address: sign_in.address.clone(),
    }
}

pub(crate) async fn end_device(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let device = call.form.filled("device");
    call.people.end_devices(call.signed_in.session(), device).await.map_err(Failed::of_people)?;
    Ok(words::redirect("/security?done=device"))
}

pub(crate) async fn end_session(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let session = call.form.filled("session");
    call.people.end_other_sessions(call.signed_in.session(), session).await.map_err(Failed::of_people)?;
    Ok(words::redirect("/security?done=session"))
}

async fn own_phone(call: &Call<'_>) -> Result<Option<String>, Failed> {
    let number = call.people.own_phone(call.signed_in.session()).await.map_err(Failed::of_people)?;
    Ok(number.map(|number| format!("{number:?}")))
}

async fn phone_form(call: &Call<'_>) -> Result<Act, Failed> {
    let number = own_phone(call).await?.ok_or(Failed::NotFound)?;
    Ok(Act {
        section: Section::Security,
        title: "Take the phone away".to_owned(),
        effects: vec![
            format!("No code goes to {number} any more; you sign in with your other factors."),
            "Your trusted computers are asked again, and you are mailed about it.".to_owned(),
        ],
        path: "/security/phone".to_owned(),
        button: "Take it away",
        is_dangerous: true,
        hidden: Vec::new(),
        allow: None,
        wants_reason: false,
        back: "/security".to_owned(),
    })
}

pub(crate) async fn ask_phone(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    ask(&call, phone_form(&call).await?)
}

pub(crate) async fn remove_phone(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let form = phone_form(&call).await?;
    match call.people.remove_phone(call.signed_in.session()).await {
        Ok(()) => Ok(words::redirect("/security?done=phone")),
        Err(refused) => {
            let whole = Some(refused_in_words(&refused, call.now)?);
            ask_again(&call, form, Wrong { whole, ..Wrong::default() })
        }
    }
}

async fn passkey_form(call: &Call<'_>) -> Result<(String, Act), Failed> {
    let PasskeyMeant { factor, name } = passkey_meant(call, call.signed_in.person()).await?;
    let act = Act {
        section: Section::Security,
        title: format!("Take the passkey “{name}” away"),
        effects: vec![
            "It signs nobody in any more.".to_owned(),
            "Your trusted computers are asked again, and you are mailed about it.".to_owned(),
            "Where you are signed in stays signed in: end that under My security, if the device is lost."
                .to_owned(),
            "The device may go on offering it: delete it there, too.".to_owned(),
        ],
        path: "/security/passkey".to_owned(),
        button: "Take it away",
        is_dangerous: true,
        hidden: vec![("passkey", factor.clone())],
        allow: None,
        wants_reason: false,
        back: "/security".to_owned(),
    };
    Ok((factor, act))
}

pub(crate) async fn ask_passkey(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    ask(&call, passkey_form(&call).await?.1)
}

pub(crate) async fn remove_passkey(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let (factor, form) = passkey_form(&call).await?;
    match call.people.remove_passkey(call.signed_in.session(), &factor).await {
        Ok(()) => Ok(words::redirect("/security?done=passkey")),
        Err(refused) => {
            let whole = Some(refused_in_words(&refused, call.now)?);
            ask_again(&call, form, Wrong { whole, ..Wrong::default() })
        }
    }
}

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordView {
    frame: Frame,
    wrong_old: Option<String>,
    wrong_new: Option<String>,
}

pub(crate) fn ask_password(call: &Call<'_>) -> Result<Response<Bytes>, Failed> {
    shown(&PasswordView { frame: Frame::new(call, Section::Security), wrong_old: None, wrong_new: None })
}

pub(crate) async fn password(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let (old, new) = (Secret::new(call.form.raw("old")), Secret::new(call.form.raw("new")));
    let changed = call.people.change_password(call.signed_in.session(), &old, &new, &call.visitor).await;
    let (wrong_old, wrong_new) = match changed {
        // Every session has ended, this one too.
        Ok(()) => return Ok(words::redirect("/sign-in?done=password")),
        Err(Refused::Guessed) => return Ok(words::redirect("/sign-in?done=guessed")),
        // It has ended meanwhile: somebody changed the password, or ended it.
        Err(Refused::Over) => return Ok(words::redirect("/sign-in?done=over")),
        Err(Refused::Wrong) => (Some("This is not your password.".to_owned()), None),
        Err(refused @ Refused::Later(_)) => (Some(refused_in_words(&refused, call.now)?), None),
        Err(refused) => (None, Some(refused_in_words(&refused, call.now)?)),
    };
    shown_again(&PasswordView { frame: Frame::new(&call, Section::Security), wrong_old, wrong_new })
}
