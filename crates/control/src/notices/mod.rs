//! Telling people: what there is to tell, how it is said, and how it gets to them.
//!
//! A [`Notice`] is a value that is kept in the outbox until it is delivered. Saying it is a function of the notice
//! ([`render`]); delivering it is [`Notifier::deliver`], once for each of [`Notifier::destinations`], and again for as
//! long as the answer is [`Outcome::TryLater`]. So one mail server that hangs never keeps the text message back, and
//! nothing here keeps a suspension back: whoever works the outbox does so beside everything else.
//!
//! The texts name no phone number, token or password, and neither do the reasons why a delivery failed.

mod channel;
mod http;
mod letter;
mod line_stream;
mod notice;
mod phone;
pub mod render;
mod settings;
mod smtp;
mod story;
#[cfg(test)]
mod tests;
pub(crate) mod text;
mod webhook;

pub use channel::{Attempt, ClientOf, Destination, Notifier, Outcome};
pub use letter::{Letter, Text};
pub use notice::{
    Account, Allowance, Cause, Event, Notice, Operator, Severity, TokenStage, TriggerChange, UnknownSeverity,
    Usage, Who,
};
pub use settings::{
    CallSettings, Encryption, MailSettings, Sender, Settings, SettingsProblem, SmsSettings, SmtpServer,
    WebhookSettings,
};
pub use smtp::{SmtpProblem, SmtpStep};
pub(crate) use text::percent;
pub use text::{Desk, one_line, shell_word};

// For whoever else posts something signed.
pub(crate) use http::Poster;
pub(crate) use phone::{Texter, Unsent};
pub(crate) use webhook::signed_post;
