//! What is answered.

use jiff::Timestamp;
use ringfence_second_factor::device::Judgement;
use ringfence_second_factor::policy::{Assurance, Kind, Next, Strength};
use ringfence_store::{BegunSignIn, DeviceToken, User, UserDevice, UserFactor, UserPolicy};
use schemars::JsonSchema;
use serde::Serialize;

use super::body::{ChannelWord, PolicyWord};
use crate::views::schema;

/// What is demanded at sign-in.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Policy")]
pub(super) struct PolicyView {
    /// How often the second factor is asked for.
    policy: PolicyWord,
    /// Whether a code to a phone does not do.
    strong: bool,
    /// For how many days a computer is trusted.
    trust_days: u16,
}

/// What is known of a user. One that nothing is known of has nothing.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "User")]
pub(super) struct UserView {
    /// What the user is called in the audit log of the installation.
    reference: Option<String>,
    policy: PolicyView,
    /// Whether the policy is the user's own, and not the application's for everybody.
    has_own_policy: bool,
    /// The factors. A phone is not among them: its number comes with each sign-in.
    factors: Vec<FactorView>,
    /// How many recovery codes are left; none after a hundred wrong ones in a row, until they are made anew.
    recovery_codes_left: u64,
}

/// A factor that a user holds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Factor")]
pub(super) struct FactorView {
    /// By which a passkey is taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    kind: KindWord,
    /// What its user calls a passkey.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[schemars(schema_with = "schema::time")]
    confirmed_at: Timestamp,
    #[schemars(schema_with = "schema::maybe_time")]
    used_at: Option<Timestamp>,
    /// Whether it counts no more, after a hundred wrong codes in a row, until it is enrolled anew.
    disabled: bool,
}

/// A kind of factor. There may be others one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum KindWord {
    /// A code to a phone.
    Phone,
    /// An authenticator application.
    Totp,
    /// A passkey.
    Passkey,
    /// Saved codes.
    RecoveryCode,
}

/// That a user was erased.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Erased {
    /// Whether there was anything.
    pub(super) erased: bool,
}

/// What an authenticator application needs to know. It is shown this once.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Enrolled {
    /// For whoever types it: Base32.
    pub(super) secret: String,
    /// For a QR code: `otpauth://totp/…`.
    pub(super) uri: String,
}

/// What a browser is asked.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PasskeyOptions {
    /// What the page hands to `PublicKeyCredential.parseCreationOptionsFromJSON`, or to `parseRequestOptionsFromJSON`.
    #[schemars(schema_with = "object")]
    pub(super) options: serde_json::Value,
    /// Until when an answer is taken, once.
    #[schemars(schema_with = "schema::time")]
    pub(super) expires_at: Timestamp,
}

fn object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object" })
}

/// A passkey that counts now.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct MadePasskey {
    /// By which it is taken away.
    pub(super) id: String,
}

/// New recovery codes. They are shown this once.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RecoveryCodes {
    pub(super) codes: Vec<String>,
}

/// The browsers that are trusted for a user, the last used first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Devices {
    pub(super) devices: Vec<DeviceView>,
}

/// A browser that is trusted.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Device")]
pub(super) struct DeviceView {
    /// By which it is revoked.
    id: String,
    /// What its user calls it.
    name: Option<String>,
    /// From where it came last.
    address: Option<String>,
    /// What it says it is.
    user_agent: Option<String>,
    #[schemars(schema_with = "schema::time")]
    created_at: Timestamp,
    #[schemars(schema_with = "schema::time")]
    used_at: Timestamp,
    #[schemars(schema_with = "schema::time")]
    expires_at: Timestamp,
}

/// How many browsers are no longer trusted.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Ended {
    pub(super) ended: u64,
}

/// What a browser was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum DeviceState {
    /// It is trusted.
    Trusted,
    /// It is not: unknown, over, revoked, of another user, or the policy trusts none.
    NotTrusted,
    /// Its token was used up: somebody has a copy. The trust is ended for both. Tell the user.
    Copied,
}

/// Whether a browser is trusted.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DeviceChecked {
    pub(super) device: DeviceState,
    /// What the browser keeps from now on, where it needs another token.
    pub(super) device_token: Option<TokenView>,
}

/// What a trusted browser keeps: a cookie of the application's, `HttpOnly`, `Secure`, until it expires.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeviceToken")]
pub(super) struct TokenView {
    token: String,
    #[schemars(schema_with = "schema::time")]
    expires_at: Timestamp,
}

/// What a sign-in needs.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SignIn")]
pub(super) struct SignInView {
    /// By which its codes are sent and checked. Keep it in the session, not in the page.
    id: String,
    needed: Needed,
    because: Because,
    /// The factors of which one is needed.
    factors: Vec<Usable>,
    /// How the sign-in is proved, where nothing more is needed.
    assurance: Option<AssuranceView>,
    /// What the browser was found to be; `not-trusted` where it showed no token.
    device: DeviceState,
    /// What the browser keeps from now on, where it needs another token.
    device_token: Option<TokenView>,
    /// Until when codes are checked.
    #[schemars(schema_with = "schema::time")]
    expires_at: Timestamp,
}

/// What is needed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum Needed {
    /// Nothing: sign the user in.
    None,
    /// A code of one of the factors.
    Factor,
    /// A factor is demanded, and the user has none that would do. Sign nobody in by the password alone.
    Enrolment,
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum Because {
    /// The policy asks for no second factor.
    PolicyDisabled,
    /// The browser is trusted.
    DeviceTrusted,
    /// The browser is not trusted, or does not count.
    DeviceNotTrusted,
    /// The policy asks at every sign-in, or the application at this one.
    EverySignIn,
}

/// A factor that can be used.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsableFactor")]
pub(super) struct Usable {
    kind: KindWord,
    /// For the user: the last digits of the phone.
    hint: Option<String>,
}

/// How a sign-in is proved. It never says more than what was shown.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Assurance")]
pub(super) struct AssuranceView {
    /// The authenticator assurance level of NIST SP 800-63B-4 that it reaches, given a right password.
    level: u8,
    by: By,
    /// Which factor was shown.
    factor: Option<KindWord>,
}

/// What was shown beside the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum By {
    /// Nothing.
    Password,
    /// A browser that was trusted before, which is no authenticator.
    RememberedComputer,
    /// A second factor.
    SecondFactor,
}

/// A code that is on its way.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CodeSent {
    pub(super) channel: ChannelWord,
    /// The last digits of where it goes.
    pub(super) to: String,
    /// How many digits it has.
    pub(super) digits: usize,
    #[schemars(schema_with = "schema::time")]
    pub(super) expires_at: Timestamp,
}

/// That a sign-in was passed.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Passed {
    pub(super) assurance: AssuranceView,
    /// What the browser keeps, where it is trusted from now on.
    pub(super) device_token: Option<TokenView>,
    /// How many recovery codes are left.
    pub(super) recovery_codes_left: u64,
}

impl From<UserPolicy> for PolicyView {
    fn from(policy: UserPolicy) -> Self {
        Self {
            policy: policy.demands.policy.into(),
            strong: policy.demands.strength != Strength::Any,
            trust_days: policy.trust_days,
        }
    }
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            reference: user.id,
            policy: user.policy.into(),
            has_own_policy: user.has_own_policy,
            factors: user.factors.into_iter().map(FactorView::from).collect(),
            recovery_codes_left: user.recovery_codes,
        }
    }
}

impl From<UserFactor> for FactorView {
    fn from(factor: UserFactor) -> Self {
        let UserFactor { id, kind, name, confirmed_at, used_at, is_disabled } = factor;
        let id = (kind == Kind::Passkey).then_some(id);
        Self { id, kind: kind.into(), name, confirmed_at, used_at, disabled: is_disabled }
    }
}

impl From<Kind> for KindWord {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Phone => Self::Phone,
            Kind::Totp => Self::Totp,
            Kind::Passkey => Self::Passkey,
            Kind::RecoveryCode => Self::RecoveryCode,
        }
    }
}

impl From<UserDevice> for DeviceView {
    fn from(device: UserDevice) -> Self {
        let UserDevice { id, name, address, agent, created_at, used_at, expires_at } = device;
        Self { id, name, address, user_agent: agent, created_at, used_at, expires_at }
    }
}

impl From<DeviceToken> for TokenView {
    fn from(token: DeviceToken) -> Self {
        Self { token: token.token.expose().to_owned(), expires_at: token.expires_at }
    }
}

impl From<Judgement> for DeviceState {
    fn from(judgement: Judgement) -> Self {
        match judgement {
            Judgement::Trusted | Judgement::JustChanged => Self::Trusted,
            Judgement::Copied => Self::Copied,
            Judgement::Refused => Self::NotTrusted,
        }
    }
}

impl From<Assurance> for AssuranceView {
    fn from(assurance: Assurance) -> Self {
        let (by, factor) = match assurance {
            Assurance::Password => (By::Password, None),
            Assurance::RememberedComputer => (By::RememberedComputer, None),
            Assurance::SecondFactor { kind, .. } => (By::SecondFactor, Some(kind.into())),
        };
        Self { level: assurance.level(), by, factor }
    }
}

impl SignInView {
    /// What a sign-in needs. `always`: the application asks whatever the policy says.
    pub(super) fn of(begun: BegunSignIn, always: bool) -> Self {
        let BegunSignIn { sign_in, next, policy, device, token } = begun;
        let asks = if always || !policy.trusts() { Because::EverySignIn } else { Because::DeviceNotTrusted };
        let hint = sign_in.phone.map(|phone| hint(&phone.to_string()));
        let (needed, because, factors, assurance) = match next {
            Next::Enter(assurance) => {
                let because = match assurance {
                    Assurance::RememberedComputer => Because::DeviceTrusted,
                    _ => Because::PolicyDisabled,
                };
                (Needed::None, because, Vec::new(), Some(assurance.into()))
            }
            Next::Ask(kinds) => {
                let usable = |kind: Kind| Usable {
                    kind: kind.into(),
                    hint: if kind == Kind::Phone { hint.clone() } else { None },
                };
                (Needed::Factor, asks, kinds.into_iter().map(usable).collect(), None)
            }
            Next::Bind => (Needed::Enrolment, asks, Vec::new(), None),
        };
        Self {
            id: sign_in.id,
            needed,
            because,
            factors,
            assurance,
            device: device.map_or(DeviceState::NotTrusted, DeviceState::from),
            device_token: token.map(TokenView::from),
            expires_at: sign_in.expires_at,
        }
    }
}

/// Enough of a number to know one's own, and too little to learn another's.
pub(super) fn hint(number: &str) -> String {
    let last = number.len().saturating_sub(2);
    format!("…{}", &number[last..])
}
