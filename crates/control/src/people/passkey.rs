//! Passkeys: bound where other factors are, shown where they are.
//!
//! Binding one takes what binding any factor takes: a session that a code of an owner's began, or one in which the second
//! factor was just shown. A password alone binds none.

use jiff::SignedDuration;
use ringfence_model::Actor;
use ringfence_second_factor::passkey::{Descriptor, Refusal, RelyingParty, User};
use ringfence_second_factor::policy::Kind;
use ringfence_store::{NewPasskey, PasskeyPurpose, Person, Session, ShownPasskey, Stage, StoredPasskey};
use serde_json::Value;

use super::letters::{added_told_to, change_told_to};
use super::sign_in::over;
use super::{People, Refused, Result};

/// A browser has so long to answer, as the options tell it.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(5);

/// Passkeys of one person: a phone, a computer, a key on the ring and one in the safe, for two of each.
const MAX_PASSKEYS: usize = 10;

/// The longest name of one.
const MAX_NAME: usize = 64;

impl People {
    /// The site that passkeys are for, where the configured address of the console can be one.
    pub fn relying_party(&self) -> Result<RelyingParty> {
        let wants = "passkeys want `[console] url`: https:// and a name, or http://localhost";
        let url = self.rules.console_url.as_deref().ok_or(Refused::Invalid(wants))?;
        RelyingParty::new(url, &self.rules.issuer).map_err(|_| Refused::Invalid(wants))
    }

    /// What the browser is asked, to make a passkey.
    pub async fn ask_to_make_passkey(&self, session: &Session) -> Result<Value> {
        self.may_bind(session).await?;
        let (party, person) = (self.relying_party()?, &session.person);
        let known = self.credentials(session).await?;
        if known.len() >= MAX_PASSKEYS {
            return Err(Refused::Invalid("you have ten passkeys: remove one first"));
        }
        let (purpose, now) = (PasskeyPurpose::Bind, self.now());
        let challenge = self.store.begin_passkey(&session.id, &person.id, purpose, GOOD_FOR, now).await?;
        let user = User { id: person.id.as_bytes(), login: &person.login, name: &person.login };
        Ok(party.creation_options(&challenge, &user, &known))
    }

    /// Binds the passkey that the browser made; it counts from now on, since it has just signed.
    pub async fn bind_passkey(&self, session: &Session, mut new: NewPasskey) -> Result<String> {
        self.may_bind(session).await?;
        let party = self.relying_party()?;
        new.name = new.name.trim().to_owned();
        let is_name = !new.name.is_empty() && !new.name.chars().any(char::is_control);
        if !is_name || new.name.chars().count() > MAX_NAME {
            return Err(Refused::Invalid("give the passkey a name of one line and at most 64 characters"));
        }
        let told = added_told_to(session, "passkey", "A passkey was bound to your sign-in.");
        Ok(self.store.add_passkey(session, &party, new, told, self.now()).await.map_err(over)??)
    }

    /// What the browser is asked, to show one of the person's passkeys.
    pub async fn ask_for_passkey(&self, session: &Session) -> Result<Value> {
        if session.stage == Stage::Binding {
            return Err(Refused::Over);
        }
        if !self.may_show(session).await?.contains(&Kind::Passkey) {
            return Err(Refused::WrongCode);
        }
        let party = self.relying_party()?;
        let known = self.credentials(session).await?;
        let (person, purpose, now) = (&session.person.id, PasskeyPurpose::Show, self.now());
        let challenge = self.store.begin_passkey(&session.id, person, purpose, GOOD_FOR, now).await?;
        Ok(party.request_options(&challenge, &known))
    }

    /// Takes a passkey away, unless the person would have no factor that does; they are told.
    pub async fn remove_passkey(&self, session: &Session, factor: &str) -> Result<()> {
        self.check_passkey_of(&session.person, factor).await?;
        self.remove_factor(session, factor).await
    }

    /// Whether this factor is a passkey of this person.
    pub(super) async fn check_passkey_of(&self, person: &Person, factor: &str) -> Result<()> {
        let of_theirs = self.store.passkeys(&person.id).await?;
        let is_theirs = of_theirs.iter().any(|passkey| passkey.factor == factor);
        if is_theirs { Ok(()) } else { Err(Refused::Invalid("there is no such passkey")) }
    }

    /// Looks at what the browser answered.
    pub(super) async fn check_passkey(&self, session: &Session, shown: &ShownPasskey) -> Result<()> {
        let (party, person) = (self.relying_party()?, &session.person.id);
        let by = Actor::Person(person.clone());
        let copied = "A passkey of yours was refused, since its counter went backwards: there may be a copy of it. Remove it, \
                      and bind another.";
        let told = change_told_to(&session.person, "passkey-copied", copied);
        let (id, shown, now) = (&session.id, shown.clone(), self.now());
        let checked = self.store.check_passkey(&by, id, person, &party, shown, told, now).await?;
        if checked == Err(Refusal::Cloned) {
            tracing::warn!(person, "the counter of a passkey went backwards: there may be a copy of it");
        }
        Ok(checked?)
    }

    async fn credentials(&self, session: &Session) -> Result<Vec<Descriptor>> {
        let passkeys = self.store.passkeys(&session.person.id).await?;
        let known = |stored: StoredPasskey| Descriptor {
            credential: stored.passkey.credential,
            transports: stored.transports,
        };
        Ok(passkeys.into_iter().map(known).collect())
    }
}
