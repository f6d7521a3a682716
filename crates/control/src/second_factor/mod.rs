//! The second factor at work: codes go out, and come back to be checked.
//!
//! [`ringfence_second_factor`] says what may happen, the store counts and remembers, and here it is put together with who
//! asks and what is configured. A start answers as soon as the code is on its way; [`sending`] sends it. Who asks over
//! HTTP is for [`crate::verify`].

mod application;
mod lines;
mod price;
mod sending;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Actor, PhoneNumber, Secret, Sid};
use ringfence_second_factor::challenge::Channel;
use ringfence_second_factor::code::CodeLength;
use ringfence_second_factor::pumping::{Asker, Budget, Limits, STOPPED_AFTER};
use ringfence_second_factor::words::{self, Wording};
use ringfence_store::{
    Begun, Challenge, Check, Checked, Counter, End, Expected, NewChallenge, NotSent, Result, Sent,
    StoppedPrefix, Store, Which,
};
use serde::{Deserialize, Serialize};

pub use application::{Application, ApplicationProblem, ApplicationSettings};
pub use lines::Lines;

pub(crate) use application::check_name;
pub(crate) use lines::Questions;
pub(crate) use sending::CodeEnd;

use crate::engine::{Engine, NotSetAside, SetAside};
use crate::notices::{Event, Notice, Sender, Texter};

/// What the second factor is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The account that the codes go out from.
    pub account: Sid,
    /// How they go out.
    pub delivery: Delivery,
    /// What is allowed to be sent.
    pub limits: Arc<Limits>,
    /// Which lines of users get none; where nothing is said Lookup is not asked.
    pub lines: Option<Lines>,
    /// How long a code is good, up to ten minutes.
    pub lifetime: SignedDuration,
    /// Called by Twilio after somebody pressed a key in a call that carries a code; without it a call says its code at
    /// once. A route of the gate that leads to the second factor.
    pub key_url: Option<String>,
    /// What the URLs in answers to applications begin with, `https://2fa.example.com`; without it they begin with the
    /// `Host` of the request.
    pub public_url: Option<String>,
}

/// How codes go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// As text messages and calls of the account.
    Programmable {
        /// Who sends text messages.
        sender: Sender,
        /// Who calls; none where codes are not spoken.
        caller: Option<PhoneNumber>,
    },
    /// By a service of Twilio's Verify, which is given our codes (`CustomCode`). It must have custom codes enabled.
    Verify {
        /// `VA…`, of the account.
        service: Sid,
    },
}

/// What is said with a code, kept with its challenge until it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Details {
    /// Who the code is from.
    pub name: String,
    /// In which language.
    #[serde(default)]
    pub locale: String,
    /// The host that the code is entered at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Eleven characters for Android.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_hash: Option<String>,
    /// Keys pressed after somebody answered a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_digits: Option<String>,
    /// Whether the text says that the code is nobody else's business.
    #[serde(default)]
    pub warning: bool,
}

impl Details {
    fn wording(&self) -> Wording {
        Wording {
            name: self.name.clone(),
            locale: self.locale.clone(),
            host: self.host.clone(),
            app_hash: self.app_hash.clone(),
            warning: self.warning,
        }
    }
}

/// A code that somebody wants sent to a user of an application.
#[derive(Debug, Clone)]
pub struct Start {
    /// Where to.
    pub to: PhoneNumber,
    /// How.
    pub channel: Channel,
    /// A code of the application's own.
    pub custom_code: Option<Secret>,
    /// Who it is from, in place of the application's name.
    pub name: Option<String>,
    /// In which language.
    pub locale: Option<String>,
    /// Eleven characters for Android.
    pub app_hash: Option<String>,
    /// Keys pressed after somebody answered a call.
    pub send_digits: Option<String>,
    /// Who wants it.
    pub asker: Asker,
    /// Budgets of the application's own.
    pub own_budgets: Vec<Budget>,
}

/// What became of a start.
#[derive(Debug, Clone)]
pub enum Started {
    /// The code is on its way.
    Sent {
        /// The challenge.
        challenge: Box<Challenge>,
        /// The prefix that is stopped with it.
        stops: Option<StoppedPrefix>,
    },
    /// Nothing was sent, and nothing counted.
    Not(NotSent),
    /// The same, since its price could not be set aside.
    NotSetAside(NotSetAside),
}

impl From<Begun> for Started {
    fn from(begun: Begun) -> Self {
        match begun {
            Begun::Sent { challenge, stops, .. } => Self::Sent { challenge, stops },
            Begun::Not(not) => Self::Not(not),
        }
    }
}

/// What the users of applications do with codes.
const PURPOSE: &str = "verification";

impl Settings {
    /// Whether codes can go out this way.
    pub fn has_channel(&self, channel: Channel) -> bool {
        !matches!((&self.delivery, channel), (Delivery::Programmable { caller: None, .. }, Channel::Call))
    }
}

/// The second factor of an engine.
#[derive(Debug, Clone, Copy)]
pub struct SecondFactor<'e> {
    engine: &'e Engine,
    settings: &'e Settings,
}

impl Engine {
    /// The second factor; `None` where none is configured.
    pub fn second_factor(&self) -> Option<SecondFactor<'_>> {
        self.second_factor.as_ref().map(|settings| SecondFactor { engine: self, settings })
    }
}

impl<'e> SecondFactor<'e> {
    /// What it is told.
    pub fn settings(&self) -> &'e Settings {
        self.settings
    }

    /// Where everything is kept.
    pub fn store(&self) -> &'e Store {
        self.engine.store()
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.engine.now()
    }

    /// What sends text messages to this number; none where Verify sends the codes, and nothing else.
    pub(crate) fn texter(&self, to: PhoneNumber) -> Option<Texter> {
        match &self.settings.delivery {
            Delivery::Programmable { sender, .. } => {
                Some(Texter { account: self.settings.account, from: sender.clone(), to })
            }
            Delivery::Verify { .. } => None,
        }
    }

    /// Sends a code to a user of an application; where one waits already, the same once more.
    pub async fn start(&self, by: &Actor, application: &Application, start: Start) -> Result<Started> {
        self.start_for(by, application, expected(application.sid), start).await
    }

    /// The same, for a code that counts for this alone.
    pub async fn start_for(
        &self,
        by: &Actor,
        application: &Application,
        expected: Expected,
        start: Start,
    ) -> Result<Started> {
        let settings = &application.settings;
        let details = Details {
            name: start.name.unwrap_or_else(|| application.name.clone()),
            locale: start.locale.unwrap_or_default(),
            host: settings.host.clone(),
            app_hash: start.app_hash,
            send_digits: start.send_digits,
            warning: settings.warning,
        };
        let new = NewChallenge {
            expected,
            number: start.to,
            channel: start.channel,
            length: CodeLength::new(settings.digits).unwrap_or_default(),
            lifetime: self.settings.lifetime,
            custom_code: start.custom_code,
            details: serde_json::json!(details),
            counter: Counter::Number,
            limits: application.limits(&self.settings.limits),
            asker: start.asker,
            own_budgets: start.own_budgets,
        };
        if let Some(refused) = self.refused_by_line(by, &new).await? {
            return Ok(refused);
        }
        let begun = self.begin(by, new).await?;
        if let Started::Sent { stops: Some(stopped), .. } = &begun {
            self.tell_stopped(by, application, stopped).await;
        }
        Ok(begun)
    }

    /// Orders that people are told of a prefix that was stopped. The audit log has it whatever becomes of this.
    async fn tell_stopped(&self, by: &Actor, application: &Application, stopped: &StoppedPrefix) {
        let event = Event::PrefixStopped {
            application: application.sid,
            name: application.name.clone(),
            prefix: stopped.prefix.clone(),
            unconverted: STOPPED_AFTER,
            until: stopped.until,
        };
        if let Err(error) = self.engine.tell(by, &Notice { at: self.now(), event }).await {
            tracing::warn!(%error, application = %application.sid, "a prefix is stopped, and nobody can be told");
        }
    }

    /// Sends a code for whatever it is expected for, and has it sent at once. Where limits stand before it, its price is set
    /// aside first, and only for a code that would be sent: what is refused anyway takes no room and trips nothing.
    pub async fn begin(&self, by: &Actor, new: NewChallenge) -> Result<Started> {
        let (store, now) = (self.store(), self.now());
        let reserved = if self.engine.sets_aside().is_some() {
            if let Some(not) = store.would_not_begin(by, new.clone(), now).await? {
                return Ok(Started::Not(not));
            }
            // What is said is read again when it is sent.
            let details = serde_json::from_value(new.details.clone()).unwrap_or_default();
            self.engine.set_aside_for_code(self.settings, new.channel, new.number, &details).await?
        } else {
            SetAside::NotNeeded
        };
        let begun = match reserved {
            SetAside::NotNeeded => store.begin_challenge(by, new, now).await?,
            SetAside::Not(why) => return Ok(Started::NotSetAside(why)),
            SetAside::Reserved(reservation) => {
                let begun = store.begin_paid_challenge(by, new, &reservation, now).await;
                match &begun {
                    Ok(Begun::Sent { .. }) => {}
                    // Somebody else was quicker, or the challenge is over by now.
                    Ok(Begun::Not(_)) => self.engine.answer_for(reservation, Sent::Nothing).await?,
                    // It may have begun nevertheless. Where it has not, this is in doubt by its deadline.
                    Err(error) if error.is_away() => {}
                    Err(_) => {
                        if let Err(error) = self.engine.answer_for(reservation, Sent::Nothing).await {
                            tracing::warn!(%error, "what was set aside for a code that was not begun stays so");
                        }
                    }
                }
                begun?
            }
        };
        if matches!(begun, Begun::Sent { .. }) {
            self.engine.announce();
        }
        Ok(begun.into())
    }

    /// Gives back what was set aside for codes that nobody has begun to send, and nobody will.
    pub async fn give_back(&self, unused: &[String]) -> Result<()> {
        for reservation in unused {
            self.store().void(reservation, self.engine.ledger_now()).await?;
        }
        Ok(())
    }

    /// What is spoken after a key was pressed in this call of this account: the code it was made for, or nothing where
    /// none waits any more.
    pub async fn spoken(&self, account: Sid, call: Sid, send: Sid) -> Result<String> {
        if account != self.settings.account {
            return Ok(words::twiml_without_code().to_owned());
        }
        let found = self.store().code_of_call(send, call, self.now()).await?;
        let spoken = found.and_then(|it| {
            let details: Details = serde_json::from_value(it.challenge.details).ok()?;
            Some(words::twiml(&details.wording(), it.code.expose()))
        });
        Ok(spoken.unwrap_or_else(|| words::twiml_without_code().to_owned()))
    }

    /// Checks a code that a user of an application entered.
    pub async fn check(&self, by: &Actor, application: Sid, which: Which, code: Secret) -> Result<Checked> {
        let check =
            Check { expected: expected(application), which, code, counter: Counter::Number, worn_out: None };
        self.store().check_challenge(by, check, self.now()).await
    }

    /// Ends what waits for a code, on the application's word. `None`: nothing waits there.
    pub async fn end(
        &self,
        by: &Actor,
        application: Sid,
        which: Which,
        end: End,
    ) -> Result<Option<Challenge>> {
        self.store().end_challenge(by, &expected(application), which, end, self.now()).await
    }

    /// A challenge of an application.
    pub async fn find(&self, application: Sid, which: Which) -> Result<Option<Challenge>> {
        self.store().find_challenge(&expected(application), which).await
    }
}

/// What the users of an application are asked for.
fn expected(application: Sid) -> Expected {
    Expected { application: application.to_string(), purpose: PURPOSE.to_owned(), binding: String::new() }
}
