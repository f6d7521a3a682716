//! Getting notices to people: one delivery to one destination, once, with an honest answer.
//!
//! The one idea: each recipient is a destination of its own, with an answer of its own. What is told again after a
//! failure is told to nobody who has it already.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use ringfence_model::Sid;
use ringfence_twilio::client::Client;
use serde::{Deserialize, Serialize};

use super::http::Poster;
use super::letter::Letter;
use super::notice::{Event, Notice, Severity, short_hash};
use super::phone::{Caller, Texter};
use super::settings::{Settings, SettingsProblem};
use super::smtp::{Mailer, SmtpProblem};
use super::text::Desk;
use super::webhook::Webhook;

/// A client of Twilio's with the credentials of an account, if there are any now.
pub type ClientOf = Arc<dyn Fn(Sid) -> Option<Client> + Send + Sync>;

/// One recipient by one channel, as it is kept in the outbox: `mail:…`. It names nobody in clear, and stays the same
/// for as long as the recipient stays in the settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Destination(String);

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Whoever carries it further has taken it.
    Delivered,
    /// It was not taken, or nobody knows; it may be some time later. Why, without secrets and phone numbers.
    TryLater(String),
    /// It was not taken and never will be. Why, without secrets and phone numbers.
    Refused(String),
}

/// When a delivery is attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Now.
    pub now: Timestamp,
    /// When the same notice was attempted first for the same destination, if it was. Its answer may have been lost: a
    /// text message or call that was made then is looked for and not made again.
    pub first: Option<Timestamp>,
}

/// Tells people.
pub struct Notifier {
    desk: Desk,
    mailer: Option<Mailer>,
    recipients: Vec<Recipient>,
    client_of: ClientOf,
}

struct Recipient {
    destination: Destination,
    at_least: Severity,
    channel: Channel,
}

enum Channel {
    /// To the mailbox of this index.
    Mail(usize),
    Webhook(Box<Webhook>),
    Sms(Texter),
    Call(Caller),
}

impl Notifier {
    /// Prepares all channels; nothing is connected to before there is something to tell.
    pub fn new(settings: Settings, client_of: ClientOf) -> Result<Self, SettingsProblem> {
        let Settings { mail, webhook, sms, call, desk, extra_roots, timeout } = settings;
        let mut recipients = Vec::new();
        let mut add = |kind: &str, whom: &str, at_least, channel| {
            let destination = Destination::new(kind, whom);
            recipients.push(Recipient { destination, at_least, channel });
        };
        let mailer = match mail {
            Some(mail) => {
                for (index, mailbox) in mail.to.iter().enumerate() {
                    add(
                        "mail",
                        &mailbox.email.to_string().to_lowercase(),
                        mail.at_least,
                        Channel::Mail(index),
                    );
                }
                Some(Mailer::new(mail, &extra_roots, timeout)?)
            }
            None => None,
        };
        if let Some(webhook) = webhook {
            let at_least = webhook.at_least;
            let poster = Poster::new(&extra_roots, timeout)?;
            // The URL may be a new one tomorrow, and take what waits.
            add("webhook", "", at_least, Channel::Webhook(Box::new(Webhook::new(webhook, poster))));
        }
        for to in sms.iter().flat_map(|sms| &sms.to) {
            if let Some(sms) = &sms {
                let texter = Texter { account: sms.account, from: sms.from.clone(), to: *to };
                add("sms", &to.to_string(), sms.at_least, Channel::Sms(texter));
            }
        }
        for to in call.iter().flat_map(|call| &call.to) {
            if let Some(call) = &call {
                let caller = Caller { account: call.account, from: call.from, to: *to };
                add("call", &to.to_string(), call.at_least, Channel::Call(caller));
            }
        }
        Ok(Self { desk, mailer, recipients, client_of })
    }

    /// To whom a notice goes. A test goes to all.
    pub fn destinations(&self, notice: &Notice) -> Vec<Destination> {
        let is_test = matches!(notice.event, Event::Test { .. });
        let wanted = self.recipients.iter().filter(|it| is_test || notice.severity() >= it.at_least);
        wanted.map(|it| it.destination.clone()).collect()
    }

    /// Delivers a notice to one of its destinations. It ends within the settings' timeout, or that of Twilio's client.
    pub async fn deliver(&self, notice: &Notice, destination: &Destination, attempt: Attempt) -> Outcome {
        let Some(recipient) = self.recipients.iter().find(|it| it.destination == *destination) else {
            return Outcome::Refused("[notify] does not name this recipient any more".to_owned());
        };
        match &recipient.channel {
            Channel::Mail(index) => match &self.mailer {
                Some(mailer) => mailer.deliver(notice, *index, &self.desk, attempt.now).await,
                None => Outcome::Refused("[notify] has no mail any more".to_owned()),
            },
            Channel::Webhook(webhook) => webhook.deliver(notice, &self.desk, attempt.now).await,
            Channel::Sms(texter) => match (self.client_of)(texter.account) {
                Some(client) => texter.deliver(&client, notice, &self.desk, attempt).await,
                None => no_credentials(texter.account),
            },
            Channel::Call(caller) => match (self.client_of)(caller.account) {
                Some(client) => caller.deliver(&client, notice, &self.desk, attempt).await,
                None => no_credentials(caller.account),
            },
        }
    }

    /// Whether there is mail.
    pub fn has_mail(&self) -> bool {
        self.mailer.is_some()
    }

    /// Mails a letter. It ends within the settings' timeout.
    pub async fn post(&self, letter: &Letter, now: Timestamp) -> Outcome {
        match &self.mailer {
            Some(mailer) => mailer.post(letter, &self.desk, now).await,
            None => Outcome::Refused("[notify] has no mail any more".to_owned()),
        }
    }

    /// Whether the mail server can be reached and takes the credentials. No mail is sent. Fine where there is no mail.
    pub async fn probe_mail(&self) -> Result<(), SmtpProblem> {
        match &self.mailer {
            Some(mailer) => mailer.probe().await,
            None => Ok(()),
        }
    }

    /// A destination for people: `mail to ops@example.com`, `SMS to +141…00`. Nothing where the settings do not name it.
    pub fn describe(&self, destination: &Destination) -> Option<String> {
        let recipient = self.recipients.iter().find(|it| it.destination == *destination)?;
        Some(match &recipient.channel {
            Channel::Mail(index) => {
                format!("mail to {}", self.mailer.as_ref()?.address(*index)?)
            }
            Channel::Webhook(webhook) => format!("webhook to {}", webhook.host()),
            Channel::Sms(texter) => format!("SMS to {:?}", texter.to),
            Channel::Call(caller) => format!("call to {:?}", caller.to),
        })
    }
}

fn no_credentials(account: Sid) -> Outcome {
    Outcome::TryLater(format!("there are no credentials of {account}, which should send it"))
}

impl Destination {
    fn new(kind: &str, whom: &str) -> Self {
        if whom.is_empty() { Self(kind.to_owned()) } else { Self(format!("{kind}:{}", short_hash(whom))) }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let destinations: Vec<_> = self.recipients.iter().map(|it| &it.destination).collect();
        formatter.debug_struct("Notifier").field("destinations", &destinations).finish_non_exhaustive()
    }
}
