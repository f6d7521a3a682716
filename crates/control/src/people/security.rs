//! What somebody changes about their own sign-in. Whatever makes it weaker wants the second factor of the last minutes.

use std::collections::HashMap;

use jiff::SignedDuration;
use ringfence_model::{Actor, Secret};
use ringfence_second_factor::failures::Rule;
use ringfence_second_factor::policy::{Demands, Kind};
use ringfence_second_factor::recovery::RecoveryCode;
use ringfence_store::{Grant, Person, Purpose, Role, Session, Stage, Told, Where};

use super::letters::{change_told_to, letter_of_change, letter_of_own_lock, texts_to_old_phones};
use super::sign_in::over;
use super::{Asks, People, Refused, Result, Visitor};

/// A link to reset a password is good for so long.
const RESET_GOOD_FOR: SignedDuration = SignedDuration::from_mins(30);

impl People {
    /// Changes the password, which ends all sessions and devices, this one too.
    ///
    /// Wrong old ones are counted for the session, which ends after a few: otherwise whoever has stolen its cookie would keep the
    /// owner from changing it, by the pauses, and nobody knew.
    pub async fn change_password(
        &self,
        session: &Session,
        old: &Secret,
        new: &Secret,
        visitor: &Visitor,
    ) -> Result<()> {
        if session.stage != Stage::Inside {
            return Err(Refused::Over);
        }
        let (person, now) = (&session.person, self.now());
        let subject = self.store.subject("change-password", &[&session.id]).await?;
        self.store.failures(&subject).await?.admit(Rule::Application, now)?;
        let place = self.hasher.place(Asks::Known).await?;
        self.store.count_attempt(&subject, Rule::Application, now).await??;
        let (_, hash) = self.store.person_by_login(&person.login).await?.ok_or(Refused::Over)?;
        if !place.is(old, hash.as_ref()).await? {
            self.count_wrong_password(session, visitor).await?;
            return Err(Refused::Wrong);
        }
        self.store.forget_failures(&subject).await?;
        self.judge(person, new).await?;
        let hash = self.hasher.hash(new, ringfence_store::random_salt()).await?;
        let told = password_told_to(person);
        // The old one was compared a while ago. Whoever was first has ended this session.
        self.store.set_password(session, &person.id, &hash, told, self.now()).await.map_err(over)
    }

    /// A code to set another password, for whoever reads the person's mail. `None` where there is nobody to give one to,
    /// which whoever asked must not learn.
    pub async fn begin_reset(&self, login: &str) -> Result<Option<(Person, RecoveryCode)>> {
        let Some((person, _)) = self.store.person_by_login(login).await? else { return Ok(None) };
        if person.locked_at.is_some() || !person.has_password {
            return Ok(None);
        }
        // Whoever typed the address may be anybody: it was not the person.
        let by = Actor::job("letters");
        let now = self.now();
        let code =
            self.store.give_out_code(&by, &person.id, Purpose::ResetPassword, RESET_GOOD_FOR, now).await?;
        Ok(Some((person, code)))
    }

    /// Sets another password with a mailed code. It opens nothing by itself: the second factor is asked for as ever.
    pub async fn reset_password(&self, code: &Secret, new: &Secret) -> Result<()> {
        let now = self.now();
        let code = RecoveryCode::typed(code.expose()).ok_or(Refused::WrongCode)?;
        let found = self.store.look_at_code(Purpose::ResetPassword, &code, now).await?;
        let person = match found {
            Some(found) => self.store.person(&found.person).await?,
            None => None,
        };
        let person = person.filter(|person| person.locked_at.is_none()).ok_or(Refused::WrongCode)?;
        self.judge(&person, new).await?;
        // Before the code is used: where there is no place to compute it, the link is good for the next try.
        let hash = self.hasher.hash(new, ringfence_store::random_salt()).await?;
        let (purpose, told) = (Purpose::ResetPassword, password_told_to(&person));
        let is_set = self.store.redeem_for_password(purpose, &code, &person.id, &hash, told, now).await?;
        if is_set { Ok(()) } else { Err(Refused::WrongCode) }
    }

    /// Takes a factor away, unless the person would have none that does.
    pub async fn remove_factor(&self, session: &Session, factor: &str) -> Result<()> {
        if session.stage != Stage::Inside {
            return Err(Refused::Over);
        }
        self.may_bind(session).await?;
        let person = &session.person;
        let demands = self.all_demands(person).await?;
        let (told, now) = (removal_told_to(person.clone()), self.now());
        let removed = self.store.remove_factor(session, &person.id, factor, demands, told, now).await;
        let removed = removed.map_err(over)?;
        removed.map(drop).ok_or(Refused::LastFactor)
    }

    /// What everything that somebody has a role for demands of them.
    pub(super) async fn all_demands(&self, person: &Person) -> Result<Vec<Demands>> {
        let set: HashMap<Where, Demands> =
            self.store.policies().await?.into_iter().map(|set| (set.place, set.demands)).collect();
        let demands = |grant: &Grant| self.demands_where(set.get(&grant.place).copied(), person, grant.place);
        Ok(person.grants.iter().map(demands).collect())
    }

    /// Ends the trust in one device, or in all.
    pub async fn end_devices(&self, session: &Session, device: Option<&str>) -> Result<u64> {
        let by = Actor::Person(session.person.id.clone());
        Ok(self.store.end_devices(&by, &session.person.id, device, self.now()).await?)
    }

    /// Ends one other session, or all others.
    pub async fn end_other_sessions(&self, session: &Session, other: Option<&str>) -> Result<u64> {
        let by = Actor::Person(session.person.id.clone());
        let (person, own) = (&session.person.id, Some(session.id.as_str()));
        Ok(self.store.end_sessions(&by, person, other, own, self.now()).await?)
    }

    /// Locks the person whose mailed code this is: for whoever reads of a sign-in that was not theirs.
    pub async fn lock_by_code(&self, code: &Secret) -> Result<Person> {
        let person = self.whose_code(Purpose::Lock, code).await?.ok_or(Refused::WrongCode)?;
        let code = RecoveryCode::typed(code.expose()).ok_or(Refused::WrongCode)?;
        // Owners look at what was done in their name, and let them in again.
        let mut owners = self.store.persons().await?;
        owners.retain(|it| {
            it.id != person.id
                && it.locked_at.is_none()
                && it.has_password
                && it.role(Where::Everywhere) == Some(Role::Owner)
        });
        let url = self.rules.console_url.as_deref();
        let letters: Vec<_> = owners.iter().map(|owner| letter_of_own_lock(owner, &person, url)).collect();
        let told = Told::by(move |_| letters.clone());
        // Their own account, whoever they are: there may be a thief inside. The command lets the last owner in again.
        let found = self.store.redeem_to_lock(&code, told, self.now()).await?.ok_or(Refused::WrongCode)?;
        self.store.person(&found.person).await?.ok_or(Refused::WrongCode)
    }
}

/// What somebody hears whose password is another one from now on.
fn password_told_to(person: &Person) -> Told {
    let what = "Your password was changed, and every session and trusted computer has ended.";
    change_told_to(person, "password", what)
}

/// What somebody hears who takes a factor of theirs away: by mail, and by the phone that is gone.
fn removal_told_to(person: Person) -> Told {
    Told::by(move |removed| {
        let letters = removed.iter().map(|factor| {
            let what = match factor.secret.kind() {
                Kind::Phone => {
                    "Your phone was taken away from your sign-in, and every trusted computer is asked again."
                }
                Kind::Totp => {
                    "An authenticator application was taken away from your sign-in, and every trusted computer is asked again."
                }
                Kind::Passkey => {
                    "A passkey was taken away from your sign-in, and every trusted computer is asked again."
                }
                Kind::RecoveryCode => {
                    "Your recovery codes were taken away from your sign-in, and a computer that one of them made trusted is \
                     asked again."
                }
            };
            letter_of_change(&person, &format!("{}/removed", factor.id), what)
        });
        texts_to_old_phones(removed).into_iter().chain(letters).collect()
    })
}
