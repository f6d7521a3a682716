//! Signing in: a password, and what is asked after it.
//!
//! Whoever is not let in learns one thing, at one speed: the login or the password is wrong. Wrong passwords are counted
//! for each login and address, so that nobody can lock out the owner from elsewhere; and for each login from addresses
//! that it never signed in from, so that a thousand addresses are not a thousand times the guesses.

use ringfence_model::{Actor, Secret};
use ringfence_second_factor::failures::Rule;
use ringfence_second_factor::policy::{self, Assurance, Next};
use ringfence_store::{DeviceUsed, NewSession, Person, Session, SignInOutcome, Stage, Where, normal_login};

use super::{People, Refused, Result, Step, Visitor, first_place};

/// How many of a person's latest sign-ins are looked through for an address.
const LOOKED_THROUGH: usize = 100;

/// The id of nobody.
const NOBODY: &str = "ps_nobody";

/// What somebody types.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The mail address.
    pub login: String,
    /// The password.
    pub password: Secret,
}

/// What the browser has from before.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The token of a session, which ends.
    pub session: Option<Secret>,
    /// The secrets of devices.
    pub devices: Vec<Secret>,
}

impl People {
    /// Looks at a password, and says what comes next.
    pub async fn sign_in(&self, typed: &Credentials, known: &Known, visitor: &Visitor) -> Result<Step> {
        let now = self.now();
        let login = normal_login(&typed.login);
        let found = self.store.person_by_login(&login).await?;
        // The same counters where there is nobody, so that they tell nothing.
        let is_known = match &found {
            Some((person, _)) => self.knows(person, &visitor.address).await?,
            // As long a look at nobody, so that the time tells nothing.
            None => !self.store.sign_ins(NOBODY, LOOKED_THROUGH).await?.is_empty(),
        };
        let mut subjects = vec![self.store.subject("password-from", &[&login, &visitor.address]).await?];
        if !is_known {
            subjects.push(self.store.subject("password", &[&login]).await?);
        }
        let mut barred = None;
        for subject in &subjects {
            if let Err(why) = self.store.count_attempt(subject, Rule::Application, now).await? {
                barred = Some(why);
                break;
            }
        }
        let hash = found.as_ref().and_then(|(_, hash)| hash.as_ref());
        // Somebody who is barred waits as long for the answer, and learns no more from it.
        let is_it = self.hasher.is(&typed.password, hash).await?;
        if let Some(barred) = barred {
            return Err(barred.into());
        }
        let Some((person, _)) = found.filter(|(person, _)| is_it && person.locked_at.is_none()) else {
            return Err(Refused::Wrong);
        };
        for subject in &subjects {
            self.store.forget_failures(subject).await?;
        }
        self.enter(&person, known, visitor).await
    }

    /// What comes after a right password.
    async fn enter(&self, person: &Person, known: &Known, visitor: &Visitor) -> Result<Step> {
        let now = self.now();
        // Without a role there is nothing to sign in to, which is told like everything else that is wrong.
        let place = first_place(person).ok_or(Refused::Wrong)?;
        let is_known = self.knows(person, &visitor.address).await?;
        let sign_in = self.store.begin_sign_in(&person.id, &visitor.address, &visitor.agent, now).await?;
        let (trusted, device) = self.trusted(person, place, &known.devices, visitor).await?;
        let demands = self.demands(person, place).await?;
        let kinds = self.kinds(person).await?;
        let session = |stage, assurance| NewSession {
            person: person.id.clone(),
            place,
            stage,
            assurance,
            sign_in: sign_in.clone(),
            address: visitor.address.clone(),
            agent: visitor.agent.clone(),
        };
        let before = known.session.as_ref();
        match policy::next(demands, Assurance::Password, &kinds, trusted) {
            Next::Enter(assurance) => {
                let session = session(Stage::Inside, assurance);
                let token = self.store.begin_session(session, before, now).await.map_err(locked)?;
                let outcome = if trusted || is_known { SignInOutcome::Known } else { SignInOutcome::New };
                self.store.end_sign_in(&sign_in, outcome, now).await?;
                Ok(Step::Inside { token, device })
            }
            Next::Ask(kinds) => {
                let session = session(Stage::SecondFactor, Assurance::Password);
                let token = self.store.begin_session(session, before, now).await.map_err(locked)?;
                Ok(Step::Ask { token, kinds })
            }
            Next::Bind => Err(Refused::NothingBound),
        }
    }

    /// Goes to another account, which asks for what it demands itself.
    pub async fn go_to(
        &self,
        token: &Secret,
        session: &Session,
        place: Where,
        known: &Known,
        visitor: &Visitor,
    ) -> Result<Step> {
        if session.stage != Stage::Inside {
            return Err(Refused::Over);
        }
        let person = &session.person;
        if person.role(place).is_none() {
            return Err(Refused::Forbidden);
        }
        let (trusted, device) = self.trusted(person, place, &known.devices, visitor).await?;
        let demands = self.demands(person, place).await?;
        let kinds = self.kinds(person).await?;
        let (stage, assurance, ask) = match policy::next(demands, session.assurance, &kinds, trusted) {
            Next::Enter(assurance) => (Stage::Inside, assurance, None),
            // What was proved stays proved, for what asks less.
            Next::Ask(kinds) => (Stage::SecondFactor, session.assurance, Some(kinds)),
            Next::Bind => return Err(Refused::NothingBound),
        };
        let to = session_like(session, place, stage, assurance, visitor);
        let token = self.store.change_session(token, to, self.now()).await.map_err(over)?;
        Ok(match ask {
            Some(kinds) => Step::Ask { token, kinds },
            None => Step::Inside { token, device },
        })
    }

    /// Ends a session.
    pub async fn sign_out(&self, session: &Session) -> Result<()> {
        let by = Actor::Person(session.person.id.clone());
        let own = Some(session.id.as_str());
        self.store.end_sessions(&by, &session.person.id, own, None, self.now()).await?;
        Ok(())
    }

    /// Whether one of these secrets is of a device that is trusted here, and its next secret.
    pub(super) async fn trusted(
        &self,
        person: &Person,
        place: Where,
        devices: &[Secret],
        visitor: &Visitor,
    ) -> Result<(bool, Option<Secret>)> {
        let by = Actor::Person(person.id.clone());
        for secret in devices {
            let used =
                self.store.use_device(&by, secret, &person.id, place, &visitor.address, self.now()).await?;
            match used {
                DeviceUsed::Trusted(next) => return Ok((true, Some(next))),
                DeviceUsed::JustChanged => return Ok((true, None)),
                DeviceUsed::Copied => {
                    tracing::warn!(
                        person = person.id,
                        "the secret of a trusted device was used twice: its trust is over"
                    );
                }
                DeviceUsed::Refused => {}
            }
        }
        Ok((false, None))
    }

    /// Whether the person was inside from this address before.
    pub(super) async fn knows(&self, person: &Person, address: &str) -> Result<bool> {
        let sign_ins = self.store.sign_ins(&person.id, LOOKED_THROUGH).await?;
        let is_inside = |outcome| matches!(outcome, SignInOutcome::Known | SignInOutcome::New);
        Ok(sign_ins.iter().any(|sign_in| is_inside(sign_in.outcome) && sign_in.address == address))
    }
}

/// The same sign-in, somewhere else or further on.
pub(super) fn session_like(
    session: &Session,
    place: Where,
    stage: Stage,
    assurance: Assurance,
    visitor: &Visitor,
) -> NewSession {
    NewSession {
        person: session.person.id.clone(),
        place,
        stage,
        assurance,
        sign_in: session.sign_in.clone(),
        address: visitor.address.clone(),
        agent: visitor.agent.clone(),
    }
}

/// Somebody was locked out in this very moment: they are told what anybody is.
pub(super) fn locked(error: ringfence_store::Error) -> Refused {
    match error {
        ringfence_store::Error::Conflict { .. } => Refused::Wrong,
        error => error.into(),
    }
}

/// A session that is not there any more was changed by a step in another tab.
pub(super) fn over(error: ringfence_store::Error) -> Refused {
    match error {
        ringfence_store::Error::Missing { .. } => Refused::Over,
        error => error.into(),
    }
}
