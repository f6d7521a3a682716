//! What a test may want otherwise: delays, lags, and where Twilio's documents leave the behaviour open.
//!
//! `GET /_sandbox/settings` shows them, `PATCH /_sandbox/settings` changes those that it names. Every duration has
//! its unit in its name.

use serde::{Deserialize, Serialize};

/// Everything that can be set while the sandbox runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Usage records and triggers see what was used this long ago, and nothing younger. 0: at once.
    pub usage_lag_s: u64,
    /// Usage triggers are compared with the usage records once in this time; at least 1.
    pub trigger_interval_s: u64,
    /// Whether a parent's triggers count what its subaccounts use. Twilio's documents do not say; its usage records
    /// do include subaccounts.
    pub trigger_includes_subaccounts: bool,
    /// Whose auth token signs the webhook of a subaccount's trigger. Twilio's documents do not say.
    pub trigger_signed_by: SignedBy,
    /// Whether usage triggers may watch, and usage records be asked for, categories that the sandbox has never heard of.
    /// Twilio wants one of those that it supports; the sandbox may not know the newest.
    pub unknown_usage_categories: bool,
    /// Which countries may be texted and called before anybody changes a geo permission.
    pub geo_default: GeoDefault,
    /// What a suspended or closed account meets.
    pub suspended: SuspendedRule,
    /// Twilio wants the parent's credentials for a change of status; an old guide of its own had subaccounts suspend
    /// themselves.
    pub subaccounts_change_own_status: bool,
    /// How many subaccounts a parent may have that are not closed, before error 21480. Twilio gives more to whoever asks.
    pub subaccounts_max: usize,
    /// How messages travel.
    pub messages: MessageSettings,
    /// How calls go.
    pub calls: CallSettings,
    /// "HTTP Basic authentication for media access" of the console: media and recordings demand credentials.
    pub media_requires_auth: bool,
    /// Media of messages are answered with a redirect to where the files are, under a URL that is signed for four hours and
    /// takes no credentials, as Twilio does. Recordings come at once.
    pub media_redirects: bool,
    /// Requests a second that one account may make before it gets a 429 with code 20429; 0: any number.
    pub requests_per_second: u32,
    /// Whether the certificates of https webhook URLs are checked, as Twilio does by default.
    pub verify_certificates: bool,
    /// Whether numbers cost their monthly rent.
    pub number_rent: bool,
    /// How verifications go.
    pub verify: VerifySettings,
    /// Rules of the Webhooks configuration API come and go after this time (Twilio: 30 to 60 s).
    pub shared_key_delay_s: u64,
    /// What is kept.
    pub keep: Keep,
}

/// Limits of Verify. Twilio's own: <https://www.twilio.com/docs/verify/api/rate-limits-and-timeouts>.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerifySettings {
    /// A code is valid for this long.
    pub ttl_s: u64,
    /// Codes sent for one verification before error 60203.
    pub sends: usize,
    /// Checks of one verification before error 60202.
    pub checks: u32,
    /// Requests to start a verification that one number may get in a second before error 60212; 0: any number.
    /// Twilio does not say where its own limit is.
    pub starts_per_second: usize,
    /// Times that one verification may be fetched in a minute before error 20429; 0: any number.
    pub fetches_per_minute: usize,
}

/// The geo permissions of a new account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GeoDefault {
    /// Every country may be texted and called; numbers known for special rates and toll fraud may not be called.
    All,
    /// Only the United States and Canada: Twilio opens the home country alone.
    Home,
}

/// Whose auth token signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignedBy {
    /// The account that owns the trigger.
    Account,
    /// Its parent.
    Parent,
}

/// Which requests fail while an account is suspended or closed, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SuspendedRule {
    /// The HTTP status; 401 and 403 are both met in practice.
    pub status: u16,
    /// The error code: 20005, 20003, 20403 and 10001 are all documented somewhere.
    pub code: u32,
    /// What fails with the account's own credentials.
    pub own_credentials: Refused,
    /// What fails with the parent's credentials.
    pub parent_credentials: Refused,
}

/// A class of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    /// Every request.
    All,
    /// Requests that create something (messages, calls, triggers, numbers); reads and updates pass.
    Creates,
    /// None.
    Nothing,
}

/// Delays of a message, each counted from the step before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MessageSettings {
    /// From `queued` to `sending`.
    pub queued_ms: u64,
    /// From `sending` to `sent`.
    pub sending_ms: u64,
    /// From `sent` to `delivered`.
    pub delivery_ms: u64,
    /// From `sent` until the price is there.
    pub price_ms: u64,
    /// How many segments one sender may send a second; the rest waits in the queue. 0: any number.
    pub per_second: u32,
    /// A sender whose queue would take longer than this gets error 21611 (Twilio: four hours).
    pub queue_limit_s: u64,
}

/// Delays of a call, and how phones behave that nobody has told otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallSettings {
    /// From `queued` to `ringing`.
    pub queued_ms: u64,
    /// From `ringing` to what `phones` says.
    pub ringing_ms: u64,
    /// What the phones of the world do when they ring.
    pub phones: PhoneBehaviour,
    /// How quickly `Say` speaks.
    pub words_per_minute: u32,
    /// How long somebody talks into a `Record`, and how long a played file lasts.
    pub talk_s: u32,
    /// From the end of a call until its price is there.
    pub price_ms: u64,
}

/// What a phone does when it rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PhoneBehaviour {
    /// Answered by a person.
    Answer,
    /// Answered by a machine: it hears everything and presses no key.
    Voicemail,
    /// The line is busy.
    Busy,
    /// Nobody answers; the call ends when its timeout is over.
    NoAnswer,
    /// The network cannot complete the call.
    Fail,
    /// Rings until somebody answers or declines it on the phone page.
    ByHand,
}

/// How many rows are kept before the oldest are dropped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// Messages.
    pub messages: usize,
    /// Texts shown on phones, which are what people read and not what programs list.
    pub texts: usize,
    /// Calls.
    pub calls: usize,
    /// Webhook deliveries in the log.
    pub deliveries: usize,
    /// Events of Monitor.
    pub events: usize,
    /// Verifications.
    pub verifications: usize,
}

impl Settings {
    /// What makes no sense, in a sentence.
    pub(crate) fn check(&self) -> Result<(), String> {
        let status = self.suspended.status;
        if self.trigger_interval_s == 0 {
            return Err("`trigger_interval_s` must be at least 1".to_owned());
        }
        if !(400..=599).contains(&status) {
            return Err(format!("`suspended.status` is {status}, which is no error: 400 to 599"));
        }
        if self.calls.words_per_minute == 0 {
            return Err("`calls.words_per_minute` must be at least 1".to_owned());
        }
        Ok(())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            usage_lag_s: 60,
            trigger_interval_s: 60,
            trigger_includes_subaccounts: true,
            trigger_signed_by: SignedBy::Account,
            unknown_usage_categories: false,
            geo_default: GeoDefault::All,
            suspended: SuspendedRule::default(),
            subaccounts_change_own_status: false,
            subaccounts_max: 1000,
            messages: MessageSettings::default(),
            calls: CallSettings::default(),
            media_requires_auth: false,
            media_redirects: false,
            requests_per_second: 0,
            verify_certificates: true,
            number_rent: false,
            verify: VerifySettings::default(),
            shared_key_delay_s: 0,
            keep: Keep::default(),
        }
    }
}

impl Default for VerifySettings {
    fn default() -> Self {
        Self { ttl_s: 600, sends: 5, checks: 5, starts_per_second: 0, fetches_per_minute: 60 }
    }
}

impl Default for SuspendedRule {
    fn default() -> Self {
        Self { status: 403, code: 20005, own_credentials: Refused::All, parent_credentials: Refused::Creates }
    }
}

impl Default for MessageSettings {
    fn default() -> Self {
        Self {
            queued_ms: 100,
            sending_ms: 200,
            delivery_ms: 700,
            price_ms: 1000,
            per_second: 0,
            queue_limit_s: 4 * 3600,
        }
    }
}

impl Default for CallSettings {
    fn default() -> Self {
        Self {
            queued_ms: 200,
            ringing_ms: 2000,
            phones: PhoneBehaviour::Answer,
            words_per_minute: 150,
            talk_s: 3,
            price_ms: 2000,
        }
    }
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            messages: 100_000,
            texts: 20_000,
            calls: 20_000,
            deliveries: 20_000,
            events: 20_000,
            verifications: 20_000,
        }
    }
}
