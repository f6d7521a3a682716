//! Somebody who is inside: the only key to whatever is behind the sign-in.

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use jiff::Timestamp;
use ringfence_model::{Actor, Secret, Sid};
use ringfence_store::{Person, Role, Session, Stage, Store, Where};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::cookies;
use crate::failed::Failed;
use crate::form::Fields;
use crate::words;

/// The field of a form that carries what only our own pages know.
pub(crate) const FIELD: &str = "csrf";

/// Somebody who is inside. It is made of a session of the store and of nothing else, anew for each request.
#[derive(Debug)]
pub struct SignedIn {
    session: Session,
    csrf: String,
}

impl SignedIn {
    /// Whoever holds the session that the request's cookie names, if that session is inside and not over.
    pub async fn look_up(
        store: &Store,
        headers: &HeaderMap,
        is_https: bool,
        now: Timestamp,
    ) -> ringfence_store::Result<Option<Self>> {
        let Some(token) = cookies::session(headers, is_https) else { return Ok(None) };
        let session = store.session(&token, now).await?;
        let inside = session.filter(|session| session.stage == Stage::Inside);
        Ok(inside.map(|session| {
            let csrf = format!("{}.{}", csrf_of(&token), session.place.text());
            Self { session, csrf }
        }))
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Who they are.
    pub fn person(&self) -> &Person {
        &self.session.person
    }

    /// What they look at: one account, or everything.
    pub fn place(&self) -> Where {
        self.session.place
    }

    /// The only account that they look at; none where they look at everything.
    pub fn only_account(&self) -> Option<Sid> {
        match self.session.place {
            Where::Everywhere => None,
            Where::Account(sid) => Some(sid),
        }
    }

    /// Whether the role was taken from them where they look, and they have one elsewhere.
    pub fn has_only_other_places(&self) -> bool {
        self.role().is_none() && !self.person().grants.is_empty()
    }

    /// Whether there is anything else that they could look at.
    pub fn has_other_places(&self) -> bool {
        self.person().grants.iter().any(|grant| grant.place != self.place())
    }

    /// What they may do there; none where the role was taken from them since.
    pub fn role(&self) -> Option<Role> {
        self.session.person.role(self.session.place)
    }

    /// Whether they may do what takes this role.
    pub fn may(&self, role: Role) -> bool {
        self.role() >= Some(role)
    }

    /// As the audit log names them.
    pub fn actor(&self) -> Actor {
        Actor::Person(self.session.person.id.clone())
    }

    /// What each of our own forms carries: what only our pages know, and after a point what they looked at.
    pub fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Refuses a form that no page of this session made.
    pub(crate) fn check_csrf(&self, form: &Fields) -> Result<(), Failed> {
        let own = self.csrf.split('.').next().unwrap_or_default();
        let is_here = place_of(form).is_none_or(|place| place == self.place());
        if is_same(form, own) && is_here { Ok(()) } else { Err(Failed::StaleForm) }
    }
}

/// What whoever sent a form looked at when its page was made, which may be something else than what they look at now.
/// It only says what the form was for: nothing is allowed for its sake.
pub(crate) fn place_of(form: &Fields) -> Option<Where> {
    form.get(FIELD).split_once('.').and_then(|(_, place)| Where::from_text(place))
}

/// Whether a page of the session of this token made the form.
pub(crate) fn is_csrf_of(token: &Secret, form: &Fields) -> bool {
    is_same(form, &csrf_of(token))
}

fn is_same(form: &Fields, csrf: &str) -> bool {
    let sent = form.get(FIELD).split('.').next().unwrap_or_default();
    sent.as_bytes().ct_eq(csrf.as_bytes()).into()
}

/// It follows from the session's token, which no other site can read, and says nothing about it.
pub(crate) fn csrf_of(token: &Secret) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.expose().as_bytes()).expect("any length is a key");
    mac.update(b"a form of the console");
    words::hex(&mac.finalize().into_bytes())
}
