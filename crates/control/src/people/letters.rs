//! Mail to people about their own sign-in: a link to reset a password, a sign-in from a new device, one that knew the
//! password and got no further.
//!
//! What is mailed is an effect of the outbox, added with the decision and performed by whoever posts letters, so nothing
//! here waits for a mail server. Its key is the event that it tells: another event makes another mail, however soon, and a
//! repeat of the same makes none. A sign-in that got no further is told three minutes after it began, whatever is tried
//! again meanwhile: a repeat is a sign-in of its own, and puts off nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Actor;
use ringfence_second_factor::failures::Rule;
use ringfence_second_factor::policy::{Demands, Kind, Strength};
use ringfence_second_factor::recovery::RecoveryCode;
use ringfence_store::{
    self as store, Factor, FactorSecret, NewEffect, Person, Purpose, Session, SignIn, SignInOutcome, Stage,
    Store, Told,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::bind::has_shown;
use super::sign_in::network_of;
use super::{Known, People, Result, Visitor};
use crate::decide::kind;
use crate::notices::{Letter, Text};

/// How long the second factor may take before the owner is told.
const WAITED: SignedDuration = SignedDuration::from_mins(3);

/// A link to lock is good for so long: mail is read on Monday.
const LOCK_GOOD_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Sign-ins that are told at a time.
const BATCH: usize = 200;

/// What a phone is told that is asked for no more codes. One segment.
const PHONE_GONE: &str = "Ringfence: this phone was taken away from your sign-in. If it was not you, ask an owner to lock you out.";

/// Lines of one mail: whoever tries a hundred times fills no more than a page.
const LINES: usize = 10;

impl People {
    /// Mails a link to set another password, if there is somebody to mail it to. Whoever asks too often gets no more; a
    /// browser that was inside before is counted apart, so that no stranger uses that up.
    pub async fn mail_reset(&self, login: &str, known: &Known, visitor: &Visitor) -> Result<()> {
        let login = store::normal_login(login);
        let now = self.now();
        let subjects = match self.marked(&login, &known.marks).await? {
            Some(mark) => vec![self.store.subject("reset-of-browser", &[&login, &mark]).await?],
            None => vec![
                self.store.subject("reset-from", &[&network_of(&visitor.address)]).await?,
                self.store.subject("reset", &[&login]).await?,
            ],
        };
        for subject in subjects {
            // Whoever has to wait costs a read.
            if self.store.failures(&subject).await?.admit(Rule::Application, now).is_err() {
                return Ok(());
            }
            if self.store.count_attempt(&subject, Rule::Application, now).await?.is_err() {
                return Ok(());
            }
        }
        let Some(url) = &self.rules.console_url else { return Ok(()) };
        let Some((person, code)) = self.begin_reset(&login).await? else { return Ok(()) };
        let letter = Letter {
            to: person.login.clone(),
            subject: "Set another password".to_owned(),
            text: format!(
                "Somebody asked for another password for you, from {} with {}.\n\n\
                 If it was you, set it here within half an hour:\n{}\n\n\
                 The second factor is asked for as ever. If it was not you, there is nothing to do.\n",
                visitor.address,
                visitor.agent,
                link(url, "reset-password", &code),
            ),
        };
        // Each link is an event of its own.
        let event = format!("reset/{}", hex(&store::random_salt()));
        Ok(add(&self.store, effect(&person, &event, &letter), now).await?)
    }
}

/// Tells a person that their factors do not do any more for an account of theirs. Where saved codes do they can bind another
/// factor by themselves.
pub(super) fn letter_of_left_out(
    person: &Person,
    demands: Demands,
    kinds: &[Kind],
    now: Timestamp,
) -> NewEffect {
    let taken = match demands.strength {
        Strength::PhishingResistant => "only passkeys, and you have none",
        Strength::NoPhone => "no codes to phones, and you have nothing else that lasts",
        Strength::Any => "a second factor, and you have none that lasts",
    };
    let then = if kinds.iter().any(|kind| demands.strength.takes(*kind)) {
        "Sign in there with a saved code, and bind another factor under My security, before the codes run out."
    } else {
        "You stay where you are signed in; the next sign-in there does not let you in.\n\nAsk an owner for a code, and \
         bind a factor with it."
    };
    let letter = Letter {
        to: person.login.clone(),
        subject: "You need another second factor".to_owned(),
        text: format!("An account that you sign in to takes {taken}. {then}\n"),
    };
    effect(person, &format!("left-out/{}", now.as_microsecond()), &letter)
}

/// Tells phones that they are asked for no more codes: whoever has one may be the one person who did not want that, and may
/// have lost the mail too. A number that never was confirmed may be anybody's, and hears nothing.
pub(super) fn texts_to_old_phones(removed: &[Factor]) -> Vec<NewEffect> {
    let counted = removed.iter().filter(|factor| factor.verified_at.is_some());
    let texts = counted.filter_map(|factor| match factor.secret {
        FactorSecret::Phone(to) => {
            let text = Text { to, text: PHONE_GONE.to_owned() };
            let key = format!("{}/{}/removed", kind::TEXT, factor.id);
            Some(NewEffect { kind: kind::TEXT.to_owned(), key, payload: json!(text), not_before: None })
        }
        _ => None,
    });
    texts.collect()
}

/// Tells an owner that somebody has locked themselves out, since a sign-in was not theirs.
pub(super) fn letter_of_own_lock(owner: &Person, person: &Person, console_url: Option<&str>) -> NewEffect {
    let page = console_url.map(|url| format!("\n\n{}/people/{}", url.trim_end_matches('/'), person.id));
    let letter = Letter {
        to: owner.login.clone(),
        subject: format!("{} has locked themselves out", person.login),
        text: format!(
            "{} says that a sign-in was not theirs, and is locked out by the link in the mail about it. Somebody knows their \
             password, and may have been inside: look at what the audit log has of them. On the page People, or with ringfence \
             user unlock, an owner lets them in again.{}\n",
            person.login,
            page.unwrap_or_default(),
        ),
    };
    let event = format!("locked/{}/{}", person.id, hex(&store::random_salt()));
    effect(owner, &event, &letter)
}

/// Tells a person that a factor of theirs was wrong for the last time.
pub(super) fn letter_of_worn_out(person: &Person, factor: &Factor) -> NewEffect {
    let which = match factor.secret.kind() {
        Kind::Phone => "A code that was sent to your phone",
        Kind::Totp => "The code of your authenticator application",
        Kind::Passkey => "An answer of your passkey",
        Kind::RecoveryCode => "A recovery code",
    };
    let what = format!(
        "{which} was wrong too often in a row. It opens nothing any more until you bind it anew, under My security or with a \
         code of an owner's. Whoever tried it knows your password: change it, if it was not you.",
    );
    let event = format!("worn-out/{}", hex(&store::random_salt()));
    letter_about(person, &event, "A second factor of yours counts no more", &what)
}

const COPIED: &str = "The cookie of a computer that you trusted was used by two browsers. Its trust is over, and so is every session \
                      that was opened by the trust in a computer. Whoever has the other browser knows your password too: \
                      change it.";

/// What tells a person that something about their sign-in was changed (NIST SP 800-63B-4, 4.6). The event is what makes it
/// the same change again.
pub(super) fn letter_of_change(person: &Person, event: &str, what: &str) -> NewEffect {
    letter_about(person, event, "Your sign-in was changed", what)
}

fn letter_about(person: &Person, event: &str, subject: &str, what: &str) -> NewEffect {
    let letter = Letter {
        to: person.login.clone(),
        subject: subject.to_owned(),
        text: format!(
            "{what}\n\nIf it was not you, have an owner lock you out now: ringfence user lock, or the page People.\n"
        ),
    };
    effect(person, &format!("changed/{event}"), &letter)
}

/// What somebody hears of one change of their sign-in, each an event of its own.
pub(super) fn change_told_to(person: &Person, kind: &str, what: &str) -> Told {
    let event = format!("{kind}/{}", hex(&store::random_salt()));
    Told::with(letter_of_change(person, &event, what))
}

/// What somebody hears whose trusted computer was copied: nobody changed anything, somebody has their cookie.
pub(super) fn copy_told_to(person: &Person) -> Told {
    let event = format!("device-copied/{}", hex(&store::random_salt()));
    Told::with(letter_about(person, &event, "Somebody has a copy of your cookie", COPIED))
}

/// What somebody hears who adds to their factors. Whoever binds their first ones has just been invited, and gets no mail.
pub(super) fn added_told_to(session: &Session, kind: &str, what: &str) -> Told {
    if binds_the_first(session) { Told::nobody() } else { change_told_to(&session.person, kind, what) }
}

/// What somebody hears who binds a factor of which one is enough: that it was bound, or that it took the place of another,
/// which hears of it too where it is a phone. Whoever binds their first ones has just been invited, and gets no mail.
pub(super) fn bound_told_to(
    session: &Session,
    factor: &str,
    first: &'static str,
    instead: &'static str,
) -> Told {
    let (person, event) = (session.person.clone(), format!("{factor}/bound"));
    let is_told = !binds_the_first(session);
    Told::by(move |removed| {
        let what = if removed.is_empty() { first } else { instead };
        let letter = is_told.then(|| letter_of_change(&person, &event, what));
        texts_to_old_phones(removed).into_iter().chain(letter).collect()
    })
}

/// Whether they are binding their first factors, by a code of an owner's.
fn binds_the_first(session: &Session) -> bool {
    session.stage == Stage::Binding && !has_shown(session)
}

/// Tells owners of sign-ins that they should hear of. How many mails that made.
pub async fn tell_sign_ins(store: &Store, console_url: Option<&str>, now: Timestamp) -> store::Result<usize> {
    let waited = now.saturating_sub(WAITED).unwrap_or(Timestamp::MIN);
    let mut of_people: BTreeMap<String, Vec<SignIn>> = BTreeMap::new();
    for sign_in in store.sign_ins_to_tell(waited, BATCH).await? {
        of_people.entry(sign_in.person.clone()).or_default().push(sign_in);
    }
    let mut mails = 0;
    for (person, sign_ins) in of_people {
        if let Some(person) = store.person(&person).await? {
            let lock = match console_url {
                Some(url) => {
                    let by = Actor::job("sign-ins");
                    let code =
                        store.give_out_code(&by, &person.id, Purpose::Lock, LOCK_GOOD_FOR, now).await?;
                    Some(link(url, "lock", &code))
                }
                None => None,
            };
            let letter = effect(&person, &event(&sign_ins, now), &about(&person, &sign_ins, lock));
            let told = sign_ins.into_iter().map(|sign_in| (sign_in.id, sign_in.outcome)).collect();
            mails += usize::from(store.tell_of_sign_ins(letter, told, now).await?);
        }
    }
    Ok(mails)
}

fn about(person: &Person, sign_ins: &[SignIn], lock: Option<String>) -> Letter {
    let is_inside = sign_ins.iter().any(|sign_in| sign_in.outcome == SignInOutcome::New);
    // Who is inside comes first: that is what the owner must see.
    let mut told: Vec<&SignIn> = sign_ins.iter().collect();
    told.sort_by_key(|sign_in| sign_in.outcome != SignInOutcome::New);
    let lines: Vec<String> = told.into_iter().take(LINES).map(line).collect();
    let more = sign_ins.len().saturating_sub(LINES);
    let more = if more > 0 { format!("\nand {more} more\n") } else { String::new() };
    let (subject, first) = if is_inside {
        ("A sign-in from a new device", "You signed in from a device that was not known:")
    } else {
        (
            "Somebody knows your password",
            "Somebody typed your password, and the second factor did not follow:",
        )
    };
    let lock = match lock {
        Some(link) => format!(
            "If it was not you, lock yourself out here: every session ends, and an owner lets you in again.\n{link}\n"
        ),
        None => "If it was not you, have an owner lock you out: ringfence user lock.\n".to_owned(),
    };
    Letter {
        to: person.login.clone(),
        subject: subject.to_owned(),
        text: format!("{first}\n\n{}{more}\n\n{lock}", lines.join("\n")),
    }
}

fn line(sign_in: &SignIn) -> String {
    let what = match sign_in.outcome {
        SignInOutcome::Waiting => "no second factor",
        SignInOutcome::Failed => "a wrong second factor",
        SignInOutcome::Known | SignInOutcome::New => "signed in",
        SignInOutcome::Guessed => "wrong passwords or second factors in an open session",
    };
    let at = sign_in.at.strftime("%Y-%m-%d %H:%M UTC");
    format!("  {at}  {what}, from {} with {}", sign_in.address, sign_in.agent)
}

fn link(console_url: &str, page: &str, code: &RecoveryCode) -> String {
    format!("{}/{page}?code={}", console_url.trim_end_matches('/'), code.spelled().as_str())
}

/// These sign-ins, as they came out until now: with another one, or where one goes on, it is another event.
fn event(sign_ins: &[SignIn], now: Timestamp) -> String {
    let mut digest = Sha256::new();
    digest.update(now.as_microsecond().to_be_bytes());
    for sign_in in sign_ins {
        digest.update(format!("{} {}\n", sign_in.id, sign_in.outcome.word()));
    }
    format!("sign-ins/{}", hex(&digest.finalize()[..16]))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn effect(person: &Person, event: &str, letter: &Letter) -> NewEffect {
    let key = format!("{}/{}/{event}", kind::LETTER, person.id);
    NewEffect { kind: kind::LETTER.to_owned(), key, payload: json!(letter), not_before: None }
}

async fn add(store: &Store, letter: NewEffect, now: Timestamp) -> store::Result<()> {
    store.add_effect(&Actor::job("letters"), letter, now).await?;
    Ok(())
}
