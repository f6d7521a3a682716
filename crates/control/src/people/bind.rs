//! Binding a first factor: with a code that an owner gave out, never with a password alone.
//!
//! Whoever has only stolen a password finds a door without a handle. The code brings somebody to a session in which they
//! set a password (or show the one they have), bind factors, and get recovery codes; then they are inside. Whoever shows a
//! factor and has none left that works without Twilio comes to the same place, and makes one first.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Actor, Secret};
use ringfence_second_factor::failures::Rule;
use ringfence_second_factor::password;
use ringfence_second_factor::policy::{Assurance, Kind, Policy};
use ringfence_second_factor::recovery::RecoveryCode;
use ringfence_second_factor::totp::Seed;
use ringfence_store::{
    Factor, FactorSecret, NewFactor, NewSession, Person, Purpose, Session, SignInOutcome, Stage, Told,
};
use zeroize::Zeroizing;

use super::letters::{added_told_to, bound_told_to};
use super::sign_in::{locked, over, session_like};
use super::{Asks, People, Refused, Result, Step, Visitor, places};

/// Whoever makes what works without Twilio before they are inside has this long, like whoever binds their first factors.
const MADE_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// What a code to bind is for.
#[derive(Debug, Clone)]
pub struct Bindable {
    /// Whom.
    pub person: Person,
}

/// An authenticator application to be bound.
#[derive(Debug, Clone)]
pub struct NewTotp {
    /// The factor, which counts once its first code was typed.
    pub factor: String,
    /// What the application scans.
    pub uri: Zeroizing<String>,
    /// What is typed where nothing can be scanned.
    pub spelled: Zeroizing<String>,
}

impl People {
    /// Whose code this is: what the page shows before it is used. Of whoever is locked out, or has no role any more, it is nobody's.
    pub async fn bindable(&self, code: &Secret) -> Result<Option<Bindable>> {
        let person = self.whose_code(Purpose::Bind, code).await?;
        let person = person.filter(|person| person.locked_at.is_none() && places(person).next().is_some());
        Ok(person.map(|person| Bindable { person }))
    }

    /// Whose code this is, which is not used by that; nobody's where it is good for nothing (any more).
    pub async fn whose_code(&self, purpose: Purpose, code: &Secret) -> Result<Option<Person>> {
        let Some(code) = RecoveryCode::typed(code.expose()) else { return Ok(None) };
        match self.store.look_at_code(purpose, &code, self.now()).await? {
            Some(found) => Ok(self.store.person(&found.person).await?),
            None => Ok(None),
        }
    }

    /// Uses a code, with the password that the person has, or sets as their first.
    pub async fn begin_binding(&self, code: &Secret, password: &Secret, visitor: &Visitor) -> Result<Step> {
        let now = self.now();
        let Bindable { person } = self.bindable(code).await?.ok_or(Refused::WrongCode)?;
        let code = RecoveryCode::typed(code.expose()).ok_or(Refused::WrongCode)?;
        let place = places(&person).next().ok_or(Refused::WrongCode)?;
        let (is_used, password_of) = if person.has_password {
            let subject = self.store.subject("bind", &[&person.id]).await?;
            self.store.failures(&subject).await?.admit(Rule::Application, now)?;
            let compute = self.hasher.place(Asks::Known).await?;
            self.store.count_attempt(&subject, Rule::Application, now).await??;
            let (found, hash) = self.store.person_by_login(&person.login).await?.ok_or(Refused::WrongCode)?;
            if !compute.is(password, hash.as_ref()).await? {
                return Err(Refused::Wrong);
            }
            self.store.forget_failures(&subject).await?;
            let redeemed = self.store.redeem_code(Purpose::Bind, &code, now).await?;
            let is_used = redeemed.is_some_and(|redeemed| redeemed.person == person.id);
            (is_used, found.password_changed_at)
        } else {
            self.judge(&person, password).await?;
            let hash = self.hasher.hash(password, ringfence_store::random_salt()).await?;
            // The code and the password, both or neither. Whoever has just been invited gets no mail of it.
            let (purpose, told) = (Purpose::Bind, Told::nobody());
            let is_used =
                self.store.redeem_for_password(purpose, &code, &person.id, &hash, told, now).await?;
            (is_used, Some(now))
        };
        // From here on nobody else uses it.
        if !is_used {
            return Err(Refused::WrongCode);
        }
        let sign_in = self.store.begin_sign_in(&person.id, &visitor.address, &visitor.agent, now).await?;
        let session = NewSession {
            person: person.id.clone(),
            place,
            stage: Stage::Binding,
            assurance: Assurance::Password,
            password_of,
            sign_in,
            address: visitor.address.clone(),
            agent: visitor.agent.clone(),
        };
        Ok(Step::Bind { token: self.store.begin_session(session, None, now).await.map_err(locked)? })
    }

    /// An authenticator application to be bound, in the place of one that was begun and never confirmed.
    pub async fn new_totp(&self, session: &Session) -> Result<NewTotp> {
        self.may_bind(session).await?;
        let person = &session.person;
        let seed = Seed::new(ringfence_store::random_seed());
        let factor = NewFactor { secret: FactorSecret::Totp(seed.clone()), verified: false };
        let by = Actor::Person(person.id.clone());
        let factor = self.store.add_factor(&by, &person.id, factor, self.now()).await?;
        Ok(self.shown(factor, &seed, person))
    }

    /// The authenticator application that was begun and waits for its first code.
    pub async fn waiting_totp(&self, session: &Session) -> Result<Option<NewTotp>> {
        self.may_bind(session).await?;
        let factors = self.store.factors(&session.person.id).await?;
        let waiting = factors.into_iter().find_map(|factor| match factor.secret {
            FactorSecret::Totp(seed) if factor.verified_at.is_none() => Some((factor.id, seed)),
            _ => None,
        });
        Ok(waiting.map(|(factor, seed)| self.shown(factor, &seed, &session.person)))
    }

    fn shown(&self, factor: String, seed: &Seed, person: &Person) -> NewTotp {
        NewTotp { factor, uri: seed.uri(&self.rules.issuer, &person.login), spelled: seed.spelled() }
    }

    /// The first code of an application that was begun: it counts from now on.
    pub async fn confirm_totp(&self, session: &Session, typed: &Secret) -> Result<()> {
        self.may_bind(session).await?;
        let factors = self.store.factors(&session.person.id).await?;
        let is_begun =
            |factor: &&Factor| factor.verified_at.is_none() && matches!(factor.secret, FactorSecret::Totp(_));
        let factor = factors.iter().find(is_begun).ok_or(Refused::Over)?;
        let by = Actor::Person(session.person.id.clone());
        let told = bound_told_to(
            session,
            &factor.id,
            "An authenticator application was bound to your sign-in.",
            "Another authenticator application took the place of yours, and every trusted computer is asked again.",
        );
        if self.store.check_totp(&by, factor, typed.expose(), told, self.now()).await?? {
            Ok(())
        } else {
            Err(Refused::WrongCode)
        }
    }

    /// New recovery codes, shown this once.
    pub async fn new_recovery_codes(&self, session: &Session) -> Result<Vec<RecoveryCode>> {
        self.may_bind(session).await?;
        let by = Actor::Person(session.person.id.clone());
        let what = "New recovery codes were made for your sign-in; those of before are worth nothing, and a computer that \
                    one of them made trusted is asked again.";
        let told = added_told_to(session, "codes", what);
        Ok(self.store.new_recovery_codes(&by, &session.person.id, told, self.now()).await?)
    }

    /// Ends the binding: with a factor that was shown to work, and one that needs no Twilio.
    pub async fn finish_binding(&self, token: &Secret, session: &Session, visitor: &Visitor) -> Result<Step> {
        if session.stage != Stage::Binding {
            return Err(Refused::Over);
        }
        let (person, now) = (&session.person, self.now());
        let kinds = self.kinds(person).await?;
        let demands = self.demands(person, session.place).await?;
        let shown = demands.lasting_of(&kinds);
        let assurance = match shown {
            // They have shown it, and were let in with it.
            _ if has_shown(session) => session.assurance,
            Some(kind) => Assurance::SecondFactor { kind, at: now },
            None if self.may_go_without(session).await? => Assurance::Password,
            None => return Err(self.nothing_bound(person, session.place).await?),
        };
        if assurance != Assurance::Password && !kinds.iter().any(|kind| kind.works_without_twilio()) {
            return Err(Refused::Invalid("make recovery codes first: they work when Twilio does not"));
        }
        let to = session_like(session, session.place, Stage::Inside, assurance, visitor);
        let token = self.store.change_session(token, to, now).await.map_err(over)?;
        self.store.end_sign_in(&session.sign_in, SignInOutcome::New, now).await?;
        Ok(Step::Inside { token, device: None, mark: self.mark(&person.login).await? })
    }

    /// Whether somebody who binds their first factors may leave that: the password alone opens it there. Of one that was there
    /// before nobody knows here whether it is long enough alone, so the sign-in asks.
    pub async fn may_go_without(&self, session: &Session) -> Result<bool> {
        let demands = self.demands(&session.person, session.place).await?;
        let is_new = session.person.password_changed_at >= Some(session.created_at);
        Ok(demands.policy == Policy::Disabled && is_new)
    }

    /// Whether a session may bind factors now: one that a code of an owner's began, or one in which the second factor was
    /// just shown. What was shown must do for everything that the person may enter (NIST SP 800-63B-4, 4.1.2.1): otherwise
    /// whoever phished a code where that is enough would bind a passkey for where it is not.
    pub async fn may_bind(&self, session: &Session) -> Result<()> {
        let kind = match (session.stage, session.assurance) {
            (Stage::Binding, Assurance::SecondFactor { kind, .. }) if !is_late(session, self.now()) => kind,
            (Stage::Binding, Assurance::Password) => return Ok(()),
            (Stage::SecondFactor | Stage::Binding, _) => return Err(Refused::Over),
            (Stage::Inside, Assurance::SecondFactor { kind, .. })
                if session.assurance.is_fresh(self.now()) =>
            {
                kind
            }
            (Stage::Inside, _) => return Err(Refused::AskAgain),
        };
        if self.does_everywhere(&session.person, kind).await? { Ok(()) } else { Err(Refused::ShowStronger) }
    }

    /// Whether a factor of this kind does for everything that the person may enter.
    async fn does_everywhere(&self, person: &Person, kind: Kind) -> Result<bool> {
        let demands = self.all_demands(person).await?;
        Ok(demands.iter().all(|demands| demands.strength.takes(kind)))
    }

    /// Whether somebody who has just shown a factor of this kind has none that works without Twilio, and may make one: their phone
    /// alone, or the last of their saved codes. Where what they have shown binds nothing they go on: an owner's code helps there.
    pub(super) async fn lacks_one_without_twilio(&self, person: &Person, kind: Kind) -> Result<bool> {
        let has_one = self.kinds(person).await?.iter().any(|kind| kind.works_without_twilio());
        Ok(!has_one && self.does_everywhere(person, kind).await?)
    }

    /// Whether a password can be taken by this person.
    pub(super) async fn judge(&self, person: &Person, password: &Secret) -> Result<()> {
        let demands = self.all_demands(person).await?;
        let alone = demands.iter().any(|demands| demands.policy == Policy::Disabled);
        Ok(password::judge(password.expose(), &person.login, alone)?)
    }
}

/// Whether somebody who binds factors has shown one, and came by no code of an owner's: before they are inside they make one that
/// works without Twilio.
pub fn has_shown(session: &Session) -> bool {
    session.stage == Stage::Binding && session.assurance.level() > 1
}

/// Whether what they have shown was too long ago for that.
pub fn is_late(session: &Session, now: Timestamp) -> bool {
    match session.assurance {
        Assurance::SecondFactor { at, .. } => has_shown(session) && now.duration_since(at) > MADE_WITHIN,
        Assurance::Password | Assurance::RememberedComputer => false,
    }
}
