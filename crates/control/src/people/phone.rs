//! A phone as a second factor: a code by text message or call. It needs Twilio, and text messages can be rerouted (NIST
//! SP 800-63B-4, 3.1.3.3 calls it restricted), so it never is the only one that somebody holds.

use ringfence_model::{Actor, PhoneNumber, Secret};
use ringfence_second_factor::challenge::Channel;
use ringfence_second_factor::code::CodeLength;
use ringfence_second_factor::policy::Kind;
use ringfence_second_factor::pumping::Asker;
use ringfence_store::{
    CONSOLE, Check, Checked, Counter, Expected, Factor, FactorSecret, NewChallenge, NewFactor, NotChecked,
    NotSent, Session, Stage, Told, Which,
};
use serde_json::json;

use super::bind::NOTHING_WAITS;
use super::letters::{bound_told_to, letter_of_worn_out};
use super::sign_in::over;
use super::{People, Refused, Result, Visitor};
use crate::second_factor::{Details, SecondFactor, Started};

/// What a code is for.
#[derive(Debug, Clone, Copy)]
enum For {
    SignIn,
    AddPhone,
}

impl People {
    /// The phone that somebody is asked at.
    async fn phone(&self, session: &Session) -> Result<Option<(Factor, PhoneNumber)>> {
        let mut factors = self.store.factors(&session.person.id).await?;
        factors.retain(|factor| factor.verified_at.is_some());
        Ok(phone_of(factors))
    }

    /// The one that was begun in this session and waits to be confirmed.
    async fn begun_phone(&self, session: &Session) -> Result<Option<(Factor, PhoneNumber)>> {
        Ok(phone_of(self.waiting(session).await?))
    }

    /// The number that waits for its code.
    pub async fn waiting_phone(&self, session: &Session) -> Result<Option<PhoneNumber>> {
        self.may_bind(session).await?;
        Ok(self.begun_phone(session).await?.map(|(_, number)| number))
    }

    /// The number that codes go to.
    pub async fn own_phone(&self, session: &Session) -> Result<Option<PhoneNumber>> {
        Ok(self.phone(session).await?.map(|(_, number)| number))
    }

    /// Sends a code to a number, which counts once the code was typed. The one that counts already counts until then. A number
    /// that no code goes to waits for none, and leaves the one that does.
    pub async fn add_phone(
        &self,
        codes: SecondFactor<'_>,
        session: &Session,
        number: PhoneNumber,
        channel: Channel,
        visitor: &Visitor,
    ) -> Result<()> {
        self.may_bind(session).await?;
        let waits = self.begun_phone(session).await?.filter(|(_, waiting)| *waiting == number);
        let id = waits.as_ref().map_or_else(Factor::new_id, |(factor, _)| factor.id.clone());
        let subject = Factor::subject_of(&id);
        self.send(codes, session, For::AddPhone, subject, number, channel, visitor).await?;
        if waits.is_none() {
            let new = NewFactor { secret: FactorSecret::Phone(number), verified: false };
            let (person, now) = (&session.person.id, self.now());
            self.store.add_factor_as(session, person, &id, new, now).await.map_err(over)?;
        }
        Ok(())
    }

    /// The code that went to a number: it counts from now on, and takes the place of the one before.
    pub async fn confirm_phone(&self, session: &Session, typed: &Secret) -> Result<()> {
        self.may_bind(session).await?;
        let (factor, number) = self.begun_phone(session).await?.ok_or(NOTHING_WAITS)?;
        self.compare(session, For::AddPhone, &factor, number, typed).await?;
        let told = bound_told_to(
            session,
            &factor.id,
            "A phone was bound to your sign-in.",
            "Your phone number for the second factor was changed, and every trusted computer is asked again.",
        );
        self.store.verify_factor(session, &factor, told, self.now()).await.map_err(over)
    }

    /// Takes the phone away, unless the person would have no factor that does.
    pub async fn remove_phone(&self, session: &Session) -> Result<()> {
        let (factor, _) = self.phone(session).await?.ok_or(Refused::Over)?;
        self.remove_factor(session, &factor.id).await
    }

    /// Sends a code to whoever is asked for the second factor; where one is on its way, the same once more.
    pub async fn send_code(
        &self,
        codes: SecondFactor<'_>,
        session: &Session,
        channel: Channel,
        visitor: &Visitor,
    ) -> Result<()> {
        if session.stage == Stage::Binding {
            return Err(Refused::Over);
        }
        if !self.may_show(session).await?.contains(&Kind::Phone) {
            return Err(Refused::Invalid("no code can be sent to you here"));
        }
        let (factor, number) = self.phone(session).await?.ok_or(Refused::Over)?;
        self.send(codes, session, For::SignIn, factor.subject(), number, channel, visitor).await
    }

    /// Whether it is the code that was sent for signing in.
    pub(super) async fn check_code(&self, session: &Session, factor: &Factor, typed: &Secret) -> Result<()> {
        let FactorSecret::Phone(number) = factor.secret else { return Err(Refused::WrongCode) };
        self.compare(session, For::SignIn, factor, number, typed).await?;
        self.store.verify_factor(session, factor, Told::nobody(), self.now()).await.map_err(over)
    }

    #[expect(clippy::too_many_arguments, reason = "each is another thing that a code is bound to")]
    async fn send(
        &self,
        codes: SecondFactor<'_>,
        session: &Session,
        what_for: For,
        subject: String,
        number: PhoneNumber,
        channel: Channel,
        visitor: &Visitor,
    ) -> Result<()> {
        let settings = codes.settings();
        if !settings.has_channel(channel) {
            return Err(Refused::Invalid(
                "this installation does not call; have the code sent as a text message",
            ));
        }
        let host = self.rules.console_url.as_deref().and_then(|url| url.split("://").nth(1));
        let details = Details {
            name: self.rules.issuer.clone(),
            host: host.map(|host| host.split(':').next().unwrap_or(host).to_owned()),
            warning: true,
            ..Details::default()
        };
        let new = NewChallenge {
            expected: expected(session, what_for),
            number,
            channel,
            length: CodeLength::SIX,
            lifetime: settings.lifetime,
            custom_code: None,
            details: json!(details),
            counter: Counter::Factor(subject),
            limits: settings.limits.clone(),
            asker: Asker { address: visitor.address.parse().ok(), user: Some(session.person.id.clone()) },
            own_budgets: Vec::new(),
        };
        let by = Actor::Person(session.person.id.clone());
        match codes.begin(&by, new).await? {
            Started::Sent { .. } => Ok(()),
            Started::NotSetAside(why) => Err(Refused::NotSetAside(why)),
            Started::Not(not) => Err(match not {
                NotSent::Over => Refused::Over,
                // Of people of the console Lookup is not asked.
                NotSent::Country | NotSent::Landline | NotSent::Line | NotSent::LineUnknown => {
                    Refused::Invalid(
                        "codes do not go to this number: its country is not allowed, or it is nobody's",
                    )
                }
                NotSent::Budget(_, at)
                | NotSent::Stopped(at)
                | NotSent::TooSoon(at)
                | NotSent::MaxChecks(at) => Refused::NoCodeBefore(at),
                NotSent::MaxSends(_) => Refused::Invalid(
                    "this code was sent often enough: type the one that came, or use another factor",
                ),
                NotSent::Barred(barred) => barred.into(),
            }),
        }
    }

    async fn compare(
        &self,
        session: &Session,
        what_for: For,
        factor: &Factor,
        number: PhoneNumber,
        typed: &Secret,
    ) -> Result<()> {
        let check = Check {
            expected: expected(session, what_for),
            which: Which::Number(number),
            code: typed.clone(),
            counter: Counter::Factor(factor.subject()),
            // Of a number that is only being bound nobody has to hear.
            worn_out: factor.verified_at.map(|_| letter_of_worn_out(&session.person, factor)),
        };
        let by = Actor::Person(session.person.id.clone());
        match self.store.check_challenge(&by, check, self.now()).await? {
            Checked::Approved(_) => Ok(()),
            Checked::Wrong(_) | Checked::Not(NotChecked::Missing) => Err(Refused::WrongCode),
            Checked::Not(NotChecked::MaxChecks(at)) => Err(Refused::Later(at)),
            Checked::Not(NotChecked::Barred(barred)) => Err(barred.into()),
        }
    }
}

fn phone_of(factors: Vec<Factor>) -> Option<(Factor, PhoneNumber)> {
    factors.into_iter().find_map(|factor| match factor.secret {
        FactorSecret::Phone(number) => Some((factor, number)),
        _ => None,
    })
}

/// A code counts for one session and one thing, and for no other.
fn expected(session: &Session, what_for: For) -> Expected {
    let purpose = match what_for {
        For::SignIn => "sign-in",
        For::AddPhone => "add-phone",
    };
    Expected { application: CONSOLE.to_owned(), purpose: purpose.to_owned(), binding: session.id.clone() }
}
