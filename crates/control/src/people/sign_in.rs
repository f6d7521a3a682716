//! Signing in: a password, and what is asked after it.
//!
//! Whoever is not let in learns one thing, at one speed: the login or the password is wrong. Wrong passwords are counted
//! for each login, wherever they come from, so that a thousand addresses are not a thousand times the guesses. A browser
//! that was inside before has a [mark](super::marks) and a counter of its own, so that nobody locks out the owner. What one
//! address tries at all logins together is counted besides, so that a password is not tried at a thousand of them; browsers
//! with a mark are not in it, so that a house whose address somebody uses for that still works. Whoever has to wait is told
//! so before anybody was looked for and before anything was hashed.

use jiff::Timestamp;
use ringfence_model::{Actor, Secret};
use ringfence_second_factor::device::{Judgement, device_of};
use ringfence_second_factor::failures::Rule;
use ringfence_second_factor::password::is_long_enough_alone;
use ringfence_second_factor::policy::{self, Assurance, Next, Policy};
use ringfence_second_factor::pumping::network;
use ringfence_store::{
    DeviceUsed, NewSession, Person, Session, ShownDevice, SignInOutcome, Stage, Where, normal_login,
};

use super::letters::copy_told_to;
use super::{Asks, People, Refused, Result, Step, Visitor, places};

/// How many of a person's latest sign-ins are looked through for an address and a browser.
const LOOKED_THROUGH: usize = 100;

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
    /// Its marks.
    pub marks: Vec<Secret>,
}

impl People {
    /// Looks at a password, and says what comes next.
    pub async fn sign_in(&self, typed: &Credentials, known: &Known, visitor: &Visitor) -> Result<Step> {
        let now = self.now();
        let login = normal_login(&typed.login);
        let mark = self.marked(&login, &known.marks).await?;
        let (subject, asks) = match &mark {
            Some(mark) => (self.store.subject("password-of-browser", &[&login, mark]).await?, Asks::Known),
            None => (self.store.subject("password", &[&login]).await?, Asks::Stranger),
        };
        // A flood of strangers is turned away without the store.
        self.hasher.has_room(asks)?;
        self.store.failures(&subject).await?.admit(Rule::Application, now)?;
        let from = match asks {
            Asks::Stranger => {
                Some(self.store.subject("passwords-of", &[&network_of(&visitor.address)]).await?)
            }
            Asks::Known => None,
        };
        if let Some(from) = &from {
            self.store.failures(from).await?.admit(Rule::Address, now)?;
        }
        let place = self.hasher.place(asks).await?;
        if let Some(from) = &from {
            self.store.count_attempt(from, Rule::Address, now).await??;
        }
        self.store.count_attempt(&subject, Rule::Application, now).await??;
        let found = self.store.person_by_login(&login).await?;
        let hash = found.as_ref().and_then(|(_, hash)| hash.as_ref());
        let is_it = place.is(&typed.password, hash).await?;
        let Some((person, _)) = found.filter(|(person, _)| is_it && person.locked_at.is_none()) else {
            // Whom it was tried at is in no log; from where is enough to find who does it.
            tracing::info!(address = visitor.address, "a sign-in with a wrong login or password");
            return Err(Refused::Wrong);
        };
        self.store.forget_failures(&subject).await?;
        if let Some(from) = &from {
            self.store.take_back_attempt(from).await?;
        }
        let is_long = is_long_enough_alone(typed.password.expose());
        self.enter(&person, is_long, known, visitor).await
    }

    /// What comes after a right password.
    async fn enter(&self, person: &Person, is_long: bool, known: &Known, visitor: &Visitor) -> Result<Step> {
        let now = self.now();
        // The first account that lets them in with what they have. Without a role there is nothing to sign in to, which is
        // told like everything else that is wrong.
        let mut found = None;
        for place in places(person) {
            let (next, device) =
                self.next(person, place, Assurance::Password, is_long, &known.devices, visitor).await?;
            let is_open = next != Next::Bind;
            found = found.filter(|_| !is_open).or(Some((place, next, device)));
            if is_open {
                break;
            }
        }
        let (place, next, device) = found.ok_or(Refused::Wrong)?;
        let sign_in = self.store.begin_sign_in(&person.id, &visitor.address, &visitor.agent, now).await?;
        let session = |stage, assurance| NewSession {
            person: person.id.clone(),
            place,
            stage,
            assurance,
            password_of: person.password_changed_at,
            sign_in: sign_in.clone(),
            address: visitor.address.clone(),
            agent: visitor.agent.clone(),
        };
        let before = known.session.as_ref();
        match next {
            Next::Enter(assurance) => {
                let session = session(Stage::Inside, assurance);
                let token = self.store.begin_session(session, before, now).await.map_err(locked)?;
                let is_known = match assurance {
                    // Whoever has copied the cookie of a computer has its mark as well.
                    Assurance::RememberedComputer => self.has_seen(person, visitor).await?,
                    _ => self.knows(person, visitor).await?,
                };
                let outcome = if is_known { SignInOutcome::Known } else { SignInOutcome::New };
                self.store.end_sign_in(&sign_in, outcome, now).await?;
                let mark = self.mark(&person.login).await?;
                Ok(Step::Inside { token, device, mark })
            }
            Next::Ask(kinds) => {
                let session = session(Stage::SecondFactor, Assurance::Password);
                let token = self.store.begin_session(session, before, now).await.map_err(locked)?;
                Ok(Step::Ask { token, kinds })
            }
            Next::Bind => Err(self.nothing_bound(person, place).await?),
        }
    }

    /// Goes to another account, which asks for what it demands itself. Whoever is [asked](Step::Ask) stays where they are,
    /// in the same session, until they have [shown](People::show_for) it and go there again.
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
        // Whoever is inside by a password alone has a long one.
        let (shown, is_long) = (session.assurance, session.assurance == Assurance::Password);
        let (next, device) = self.next(person, place, shown, is_long, &known.devices, visitor).await?;
        let assurance = match next {
            Next::Enter(assurance) => assurance,
            // Whoever does not go on has lost nothing.
            Next::Ask(kinds) => return Ok(Step::Ask { token: token.clone(), kinds }),
            Next::Bind => return Err(self.nothing_bound(person, place).await?),
        };
        let to = session_like(session, place, Stage::Inside, assurance, visitor);
        let token = self.store.change_session(token, to, self.now()).await.map_err(over)?;
        Ok(Step::Inside { token, device, mark: self.mark(&person.login).await? })
    }

    /// Signs in to another account than the one that waits for the second factor: that one may take what is at hand. It asks for
    /// what it demands itself. Of a password that was typed before nobody knows here whether it is long enough alone.
    pub async fn turn_to(
        &self,
        token: &Secret,
        session: &Session,
        place: Where,
        known: &Known,
        visitor: &Visitor,
    ) -> Result<Step> {
        if session.stage != Stage::SecondFactor {
            return Err(Refused::Over);
        }
        let (person, now) = (&session.person, self.now());
        // Where a role for everything leads, whoever is inside goes.
        if places(person).all(|own| own != place) {
            return Err(Refused::Forbidden);
        }
        let (next, device) =
            self.next(person, place, Assurance::Password, false, &known.devices, visitor).await?;
        let turned = |stage, assurance| session_like(session, place, stage, assurance, visitor);
        match next {
            Next::Enter(assurance) => {
                let to = turned(Stage::Inside, assurance);
                let token = self.store.change_session(token, to, now).await.map_err(over)?;
                let is_known = self.has_seen(person, visitor).await?;
                let outcome = if is_known { SignInOutcome::Known } else { SignInOutcome::New };
                self.store.end_sign_in_by_trust(&session.sign_in, outcome, now).await?;
                Ok(Step::Inside { token, device, mark: self.mark(&person.login).await? })
            }
            Next::Ask(kinds) => {
                let to = turned(Stage::SecondFactor, Assurance::Password);
                let token = self.store.change_session(token, to, now).await.map_err(over)?;
                Ok(Step::Ask { token, kinds })
            }
            Next::Bind => Err(self.nothing_bound(person, place).await?),
        }
    }

    /// Ends a session.
    pub async fn sign_out(&self, session: &Session) -> Result<()> {
        let by = Actor::Person(session.person.id.clone());
        let own = Some(session.id.as_str());
        self.store.end_sessions(&by, &session.person.id, own, None, self.now()).await?;
        Ok(())
    }

    /// What an account asks for next, and the secret that the browser keeps where its trust was needed. A device that is
    /// not what opens the account keeps the secret that it has. A password that was chosen where a second factor is asked
    /// for may be too short to open anything alone.
    pub(super) async fn next(
        &self,
        person: &Person,
        place: Where,
        shown: Assurance,
        is_long: bool,
        devices: &[Secret],
        visitor: &Visitor,
    ) -> Result<(Next, Option<Secret>)> {
        let mut demands = self.demands(person, place).await?;
        if !is_long {
            demands.policy = demands.policy.max(Policy::OncePerComputer);
        }
        let kinds = self.kinds(person).await?;
        let (by, now) = (Actor::Person(person.id.clone()), self.now());
        // A browser may have devices of many people and accounts; those of this one are ten at most, each once.
        let mut trusted = match devices {
            [] => Vec::new(),
            _ => self.store.trusted_devices(&person.id, place, now).await?,
        };
        // The configuration may say otherwise than when it was trusted: which factors do, and for how long.
        trusted.retain(|it| demands.strength.takes(it.kind) && now < self.trusted_until(it.since));
        for secret in devices {
            let Some(at) = trusted.iter().position(|it| device_of(secret) == Some(&it.device)) else {
                continue;
            };
            trusted.swap_remove(at);
            let presented = ShownDevice {
                secret: secret.clone(),
                person: person.id.clone(),
                place,
                address: visitor.address.clone(),
                told: copy_told_to(person),
            };
            match self.store.judge_device(&by, &presented, now).await? {
                Judgement::Trusted | Judgement::JustChanged => {}
                Judgement::Copied => {
                    tracing::warn!(
                        person = person.id,
                        "the secret of a trusted device was used twice: its trust is over, and their sessions on one"
                    );
                    continue;
                }
                Judgement::Refused => continue,
            }
            let next = policy::next(demands, shown, &kinds, true);
            if next != Next::Enter(Assurance::RememberedComputer) {
                return Ok((next, None));
            }
            match self.store.use_device(&by, &presented, now).await? {
                DeviceUsed::Trusted(secret) => return Ok((next, Some(secret))),
                DeviceUsed::JustChanged => return Ok((next, None)),
                // It ended in this very moment.
                DeviceUsed::Copied | DeviceUsed::Refused => {}
            }
        }
        Ok((policy::next(demands, shown, &kinds, false), None))
    }

    /// Until when a computer that was trusted then is, whatever time of trust held at that time.
    pub fn trusted_until(&self, since: Timestamp) -> Timestamp {
        since.saturating_add(self.rules.trust_for).unwrap_or(Timestamp::MAX)
    }

    /// Whether the person was inside in this browser before, as its mark says, or from its address with one of its kind.
    pub(super) async fn knows(&self, person: &Person, visitor: &Visitor) -> Result<bool> {
        let is_marked = self.marked(&person.login, &visitor.marks).await?.is_some();
        Ok(is_marked || self.has_seen(person, visitor).await?)
    }

    /// Whether the person was inside from this address, with a browser of this kind, before: behind one address there may be
    /// a whole house.
    async fn has_seen(&self, person: &Person, visitor: &Visitor) -> Result<bool> {
        let sign_ins = self.store.sign_ins(&person.id, LOOKED_THROUGH).await?;
        let is_inside = |outcome| matches!(outcome, SignInOutcome::Known | SignInOutcome::New);
        let network = network_of(&visitor.address);
        Ok(sign_ins.iter().any(|sign_in| {
            is_inside(sign_in.outcome)
                && sign_in.agent == visitor.agent
                && network_of(&sign_in.address) == network
        }))
    }
}

/// What an address is counted and known under: of IPv6 a house has its first 64 bits.
pub(super) fn network_of(address: &str) -> String {
    address.parse().map_or_else(|_| address.to_owned(), network)
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
        password_of: None,
        sign_in: session.sign_in.clone(),
        address: visitor.address.clone(),
        agent: visitor.agent.clone(),
    }
}

/// Somebody was locked out in this very moment, or has another password by now: they are told what anybody is.
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
