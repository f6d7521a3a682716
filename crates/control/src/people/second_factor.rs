//! The second factor: what somebody shows after the password, or again before what is dangerous.

use ringfence_model::{Actor, Secret};
use ringfence_second_factor::failures::Rule;
use ringfence_second_factor::policy::{Assurance, Kind, Policy};
use ringfence_second_factor::recovery::RecoveryCode;
use ringfence_store::{Factor, NewDevice, Session, ShownPasskey, SignInOutcome, Stage, Told, Where};

use super::letters::{change_told_to, letter_of_worn_out};
use super::sign_in::{over, session_like};
use super::{People, Refused, Result, Step, Visitor};

/// What somebody shows.
#[derive(Debug, Clone)]
pub enum Answer {
    /// What their authenticator application shows.
    Totp(Secret),
    /// The code that was sent to their phone.
    PhoneCode(Secret),
    /// One of their saved codes.
    RecoveryCode(Secret),
    /// One of their passkeys.
    Passkey(ShownPasskey),
}

/// So many wrong codes in a row end a session that is inside.
const GUESSES: u32 = 5;

/// What the owner of such a session hears; `{}` is from where.
const STOLEN: &str = "In a session of yours the password or the second factor was wrong five times, {}. The session has ended: its cookie \
                      may have been stolen, or somebody sat at your computer.";

/// The same where the password had opened it.
const KNOWN_PASSWORD: &str = "In sessions of yours that the password had opened, alone or on a trusted computer, the second factor was \
                              wrong five times in a row or more, {}. The session has ended. Whoever it was knows your password: \
                              change it, if it was not you.";

impl Answer {
    /// Whether it may be a guess: a passkey is none, and what cannot be a saved code is a slip of the fingers.
    fn is_guess(&self) -> bool {
        match self {
            Self::Totp(_) | Self::PhoneCode(_) => true,
            Self::RecoveryCode(typed) => RecoveryCode::typed(typed.expose()).is_some(),
            Self::Passkey(_) => false,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Totp(_) => Kind::Totp,
            Self::PhoneCode(_) => Kind::Phone,
            Self::RecoveryCode(_) => Kind::RecoveryCode,
            Self::Passkey(_) => Kind::Passkey,
        }
    }
}

impl People {
    /// What somebody may show now, in a session that waits for it or asks again.
    pub async fn may_show(&self, session: &Session) -> Result<Vec<Kind>> {
        self.may_show_for(session, session.place).await
    }

    /// The same on the way to another place, whose demands count besides.
    pub async fn may_show_for(&self, session: &Session, to: Where) -> Result<Vec<Kind>> {
        let here = self.demands(&session.person, session.place).await?;
        let demands = self.demands(&session.person, to).await?.at_least(here);
        let mut kinds = self.kinds(&session.person).await?;
        kinds.retain(|kind| demands.strength.takes(*kind));
        kinds.sort_unstable();
        kinds.dedup();
        Ok(kinds)
    }

    /// Whether a computer can be trusted for what is gone to.
    pub async fn may_trust_for(&self, session: &Session, to: Where) -> Result<bool> {
        let place = trusts_for(session, to);
        Ok(self.demands(&session.person, place).await?.policy == Policy::OncePerComputer)
    }

    /// Looks at what somebody shows. Where it is right they are inside, with a new token; where they ask for it and the
    /// policy allows it, the computer is trusted from now on.
    pub async fn show(
        &self,
        token: &Secret,
        session: &Session,
        answer: &Answer,
        trust: bool,
        visitor: &Visitor,
    ) -> Result<Step> {
        self.show_for(token, session, session.place, answer, trust, visitor).await
    }

    /// The same on the way to another place.
    pub async fn show_for(
        &self,
        token: &Secret,
        session: &Session,
        to: Where,
        answer: &Answer,
        trust: bool,
        visitor: &Visitor,
    ) -> Result<Step> {
        if session.stage == Stage::Binding {
            return Err(Refused::Over);
        }
        let kind = answer.kind();
        let may_show = self.may_show_for(session, to).await?.contains(&kind);
        let factor = self.factor(session, kind).await?;
        if !may_show {
            return Err(Refused::WrongCode);
        }
        match self.check(session, &factor, answer).await {
            Ok(()) => {
                let trust_for = trust.then_some(trusts_for(session, to));
                self.let_in(token, session, kind, trust_for, visitor).await
            }
            Err(refused) => {
                if session.stage == Stage::SecondFactor {
                    self.store.end_sign_in(&session.sign_in, SignInOutcome::Failed, self.now()).await?;
                } else if answer.is_guess() && matches!(refused, Refused::WrongCode) {
                    self.count_wrong_factor(session, visitor).await?;
                }
                Err(refused)
            }
        }
    }

    /// Counts a wrong password in a session that is inside.
    pub(super) async fn count_wrong_password(&self, session: &Session, visitor: &Visitor) -> Result<()> {
        let subject = self.guesses_in(session).await?;
        self.count_guess(session, &subject, STOLEN, visitor).await
    }

    /// Counts a wrong second factor in a session that is inside. Whoever knows the password opens such sessions as they like where
    /// that is enough, alone or on a trusted computer: there another session gives no more guesses, and the first is told as one at
    /// the door is.
    async fn count_wrong_factor(&self, session: &Session, visitor: &Visitor) -> Result<()> {
        if session.assurance.level() > 1 {
            let subject = self.guesses_in(session).await?;
            return self.count_guess(session, &subject, STOLEN, visitor).await;
        }
        let subject = self.guesses_by_password(session).await?;
        self.count_guess(session, &subject, KNOWN_PASSWORD, visitor).await?;
        self.store.fail_inside(session, &visitor.address, &visitor.agent, self.now()).await?;
        Ok(())
    }

    /// Counts a wrong code or password in a session that is inside, whose cookie somebody may have stolen: after a few the session ends,
    /// and its owner is told. Otherwise a thief would keep the owner out of what is dangerous, by the pauses, and nobody knew.
    async fn count_guess(
        &self,
        session: &Session,
        subject: &str,
        what: &str,
        visitor: &Visitor,
    ) -> Result<()> {
        let (person, now) = (&session.person, self.now());
        // When the next one may be tried is told by the counter of the factor.
        let _barred = self.store.count_attempt(subject, Rule::Application, now).await?;
        if self.store.failures(subject).await?.count < GUESSES {
            return Ok(());
        }
        let what =
            what.replace("{}", &format!("the last time from {} with {}", visitor.address, visitor.agent));
        let told = change_told_to(person, "guessed", &what);
        if self.store.end_guessed_session(session, &visitor.address, &visitor.agent, told, now).await? {
            tracing::warn!(
                person = person.id,
                address = visitor.address,
                "the password or the second factor was wrong five times in an open session: it has ended"
            );
        }
        Err(Refused::Guessed)
    }

    /// What is wrong in this session is counted under, whatever token it has.
    async fn guesses_in(&self, session: &Session) -> Result<String> {
        Ok(self.store.subject("guesses-in", &[&session.id]).await?)
    }

    /// What wrong codes in all sessions that a password had opened are counted under.
    async fn guesses_by_password(&self, session: &Session) -> Result<String> {
        Ok(self.store.subject("guesses-by-password", &[&session.person.id]).await?)
    }

    async fn factor(&self, session: &Session, kind: Kind) -> Result<Factor> {
        let mut factors = self.store.factors(&session.person.id).await?;
        factors.retain(|factor| factor.secret.kind() == kind && factor.verified_at.is_some());
        let is_worn_out = !factors.is_empty();
        let good = factors.into_iter().find(Factor::counts);
        good.ok_or(if is_worn_out { Refused::BoundAnew } else { Refused::WrongCode })
    }

    async fn check(&self, session: &Session, factor: &Factor, answer: &Answer) -> Result<()> {
        let (by, now) = (Actor::Person(factor.person.clone()), self.now());
        let told = Told::nobody().where_worn_out(letter_of_worn_out(&session.person, factor));
        let is_it = match answer {
            Answer::Totp(typed) => self.store.check_totp(&by, factor, typed.expose(), told, now).await??,
            Answer::PhoneCode(typed) => return self.check_code(session, factor, typed).await,
            // They may have several; which it was stands in the answer.
            Answer::Passkey(shown) => return self.check_passkey(session, shown).await,
            Answer::RecoveryCode(typed) => match RecoveryCode::typed(typed.expose()) {
                Some(code) => self.store.use_recovery_code(&by, factor, &code, told, now).await??,
                // What cannot be a code is a slip of the fingers, and no guess.
                None => false,
            },
        };
        if is_it { Ok(()) } else { Err(Refused::WrongCode) }
    }

    async fn let_in(
        &self,
        token: &Secret,
        session: &Session,
        kind: Kind,
        trust_for: Option<Where>,
        visitor: &Visitor,
    ) -> Result<Step> {
        let (person, place, now) = (&session.person, session.place, self.now());
        if session.stage == Stage::Inside {
            for subject in [self.guesses_in(session).await?, self.guesses_by_password(session).await?] {
                if self.store.failures(&subject).await?.count > 0 {
                    self.store.forget_failures(&subject).await?;
                }
            }
        }
        let is_known = self.knows(person, visitor).await?;
        let assurance = Assurance::SecondFactor { kind, at: now };
        let lacks_one = self.lacks_one_without_twilio(person, kind).await?;
        let stage = if lacks_one { Stage::Binding } else { Stage::Inside };
        let to = session_like(session, place, stage, assurance, visitor);
        // Of two right answers at once one changes the session, so one computer is trusted.
        let token = self.store.change_session(token, to, now).await.map_err(over)?;
        let outcome = if is_known { SignInOutcome::Known } else { SignInOutcome::New };
        self.store.end_sign_in(&session.sign_in, outcome, now).await?;
        if session.stage == Stage::Inside && session.assurance.level() < 2 {
            self.store.factor_followed(session, outcome, now).await?;
        }
        if lacks_one {
            // No computer is trusted yet: on one they would come in without having made any.
            return Ok(Step::Bind { token });
        }
        let mut device = None;
        if let Some(place) = trust_for
            && self.demands(person, place).await?.policy == Policy::OncePerComputer
        {
            let new = NewDevice {
                person: person.id.clone(),
                place,
                kind,
                address: visitor.address.clone(),
                agent: visitor.agent.clone(),
                trusted_for: self.rules.trust_for,
                session: Some(session.id.clone()),
            };
            let by = Actor::Person(person.id.clone());
            device = Some(self.store.trust_device(&by, new, now).await.map_err(over)?);
        }
        Ok(Step::Inside { token, device, mark: self.mark(&person.login).await? })
    }
}

/// Where a computer is trusted from now on: where somebody signs in to; whoever is inside already is asked for the sake of
/// where they go.
fn trusts_for(session: &Session, to: Where) -> Where {
    if session.stage == Stage::Inside { to } else { session.place }
}
