//! Sign-ins of users: what is needed, and whether it was shown.
//!
//! The application has found the password right, and asks. The answer is `second_factor::policy`'s, out of what is
//! demanded, what the user holds, and whether the browser is trusted; it is written down, so that a code counts for this
//! sign-in alone. A check is one transaction: the attempt is counted, the code is compared, the sign-in is over, and the
//! browser is trusted where that is wished, or nothing of it.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Actor, PhoneNumber, Secret, Sid};
use ringfence_second_factor::device::Judgement;
use ringfence_second_factor::failures::Barred;
use ringfence_second_factor::passkey::{Refusal, RelyingParty};
use ringfence_second_factor::policy::{self, Assurance, Demands, Kind, Next, Policy};
use ringfence_second_factor::recovery::RecoveryCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::factors::Attempt;
use super::passkeys::{self, Looked};
use super::{
    DeviceToken, Locked, NewUserDevice, Tagged, UserName, UserPolicy, devices, factors, lock, note, policies,
};
use crate::challenges::check_in;
use crate::error::Error;
use crate::factor_keys::FactorKeys;
use crate::seal::{Keyring, Place};
use crate::sql::{Row, Transaction, values};
use crate::{Check, Checked, Counter, Expected, NotChecked, Result, ShownPasskey, Store, Which, hex};

/// What the codes of sign-ins are for. Each is bound to its sign-in.
pub const SIGN_IN: &str = "sign-in";

/// How long a sign-in waits for its factor.
const LIFETIME: SignedDuration = SignedDuration::from_mins(15);

/// A sign-in whose password was right.
#[derive(Debug, Clone)]
pub struct NewUserSignIn {
    /// Who signs in.
    pub user: UserName,
    /// Their phone, where the application knows one that they have shown to be theirs.
    pub phone: Option<PhoneNumber>,
    /// The token that the browser keeps.
    pub device: Option<Secret>,
    /// From where they come.
    pub address: Option<String>,
    /// What their browser says it is.
    pub agent: Option<String>,
    /// Whether a factor is asked for whatever the policy and the browser are: before something dangerous.
    pub always: bool,
}

/// A sign-in, as it was written last.
#[derive(Debug, Clone)]
pub struct UserSignIn {
    /// `si_…`, random.
    pub id: String,
    /// Whose, in the word of the audit log.
    pub user: String,
    /// The phone that a code can go to.
    pub phone: Option<PhoneNumber>,
    /// From where they come.
    pub address: Option<String>,
    /// What their browser says it is.
    pub agent: Option<String>,
    /// The factors of which one is needed.
    pub kinds: Vec<Kind>,
    /// Where it stands.
    pub state: SignInState,
    /// From when on no code is right.
    pub expires_at: Timestamp,
}

/// Where a sign-in stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInState {
    /// It waits for a factor, as long as it has time.
    Open,
    /// Nothing more is needed.
    Done,
    /// A factor is demanded, and the user has none that would do.
    NoFactor,
}

/// What a sign-in needs.
#[derive(Debug, Clone)]
pub struct BegunSignIn {
    /// The sign-in.
    pub sign_in: UserSignIn,
    /// What is needed now.
    pub next: Next,
    /// What is demanded of the user.
    pub policy: UserPolicy,
    /// What the browser's token was found to be, where it showed one.
    pub device: Option<Judgement>,
    /// What the browser keeps from now on, where it needs another token.
    pub token: Option<DeviceToken>,
}

/// A code that was entered.
#[derive(Debug, Clone)]
pub struct CheckSignIn {
    /// Whose sign-in it is in the application's eyes. Another's is not there.
    pub user: UserName,
    /// Which.
    pub sign_in: String,
    /// Of which factor the code is.
    pub kind: Kind,
    /// What was entered.
    pub code: Secret,
    /// Whether the browser is to be trusted from now on, and what it is called.
    pub trust: Option<Option<String>>,
}

/// A passkey that a browser shows.
#[derive(Debug, Clone)]
pub struct CheckPasskey {
    /// Whose sign-in it is in the application's eyes. Another's is not there.
    pub user: UserName,
    /// Which.
    pub sign_in: String,
    /// The site that it is to be for.
    pub party: RelyingParty,
    /// What the browser answers.
    pub shown: ShownPasskey,
    /// Whether the browser is to be trusted from now on, and what it is called.
    pub trust: Option<Option<String>>,
}

/// What came of a code.
#[derive(Debug, Clone)]
pub enum SignInChecked {
    /// It is right: the sign-in is over.
    Passed {
        /// How it was proved.
        assurance: Assurance,
        /// What the browser keeps, where it is trusted now.
        token: Option<DeviceToken>,
        /// How many recovery codes are left.
        recovery_codes: u64,
    },
    /// It is not.
    Wrong,
    /// The passkey is not taken, for this reason.
    Refused(Refusal),
    /// It was not compared.
    Not(NotPassed),
}

/// Why a code was not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotPassed {
    /// There is no such sign-in of this user.
    Missing,
    /// It was passed before, or its time is over.
    Over,
    /// It takes no code of this kind.
    Kind,
    /// No code waits to be entered: none was sent, or it expired. No passkey was asked for.
    NoCode,
    /// Too many codes were tried; not before this time.
    Barred(Timestamp),
    /// Too many codes of the factor were wrong in a row: it counts no more until it is bound anew.
    Disabled,
}

/// What of a sign-in is personal, sealed as one value.
#[derive(Serialize, Deserialize)]
struct Sealed {
    phone: Option<String>,
    address: Option<String>,
    agent: Option<String>,
}

impl Store {
    /// Begins a sign-in, and says what is needed now.
    pub async fn begin_user_sign_in(
        &self,
        by: &Actor,
        new: NewUserSignIn,
        now: Timestamp,
    ) -> Result<BegunSignIn> {
        let data = (by.clone(), self.tagged(&new.user).await?, new, now);
        self.write(data, |(by, tagged, new, now), transaction| {
            Box::pin(begin(transaction, by, tagged, new, *now))
        })
        .await
    }

    /// A sign-in of this user.
    pub async fn find_user_sign_in(&self, user: &UserName, id: &str) -> Result<Option<UserSignIn>> {
        let Tagged { application, tag } = self.tagged(user).await?;
        let select = "SELECT user_sign_ins.* FROM user_sign_ins JOIN users ON users.id = user_sign_ins.user_id \
                      WHERE user_sign_ins.id = $1 AND users.application = $2 AND users.tag = $3";
        let row = self.find(select, values![id, application, tag]).await?;
        row.map(|row| read(&self.keys, &row)).transpose()
    }

    /// Checks a code. Whatever happens at once, a sign-in is passed once, and by each code one.
    pub async fn check_user_sign_in(
        &self,
        by: &Actor,
        check: CheckSignIn,
        now: Timestamp,
    ) -> Result<SignInChecked> {
        let (tagged, keys) = (self.tagged(&check.user).await?, self.factor_keys().await?);
        self.write((by.clone(), tagged, keys, check, now), |(by, tagged, keys, entered, now), transaction| {
            Box::pin(async move { check_one(transaction, by, tagged, keys, (entered, None), *now).await })
        })
        .await
    }

    /// Looks at the passkey that a browser shows, as [`check_user_sign_in`](Store::check_user_sign_in) compares a code.
    pub async fn check_user_passkey(
        &self,
        by: &Actor,
        check: CheckPasskey,
        now: Timestamp,
    ) -> Result<SignInChecked> {
        let CheckPasskey { user, sign_in, party, shown, trust } = check;
        let (tagged, keys) = (self.tagged(&user).await?, self.factor_keys().await?);
        let entered = CheckSignIn { user, sign_in, kind: Kind::Passkey, code: Secret::new(""), trust };
        let data = (by.clone(), tagged, keys, entered, (party, shown), now);
        self.write(data, |(by, tagged, keys, entered, passkey, now), transaction| {
            Box::pin(
                async move { check_one(transaction, by, tagged, keys, (entered, Some(passkey)), *now).await },
            )
        })
        .await
    }
}

async fn begin(
    transaction: &mut Transaction,
    by: &Actor,
    tagged: &Tagged,
    new: &NewUserSignIn,
    now: Timestamp,
) -> Result<BegunSignIn> {
    let user = lock(transaction, tagged, now).await?;
    let policy = holds(transaction, &user).await?;
    let presented = match &new.device {
        Some(token) => {
            let address = new.address.as_deref();
            Some(devices::present(transaction, by, &user, policy, token, address, now).await?)
        }
        None => None,
    };
    let demands =
        if new.always { Demands { policy: Policy::EverySignIn, ..policy.demands } } else { policy.demands };
    let trusted = presented.as_ref().is_some_and(devices::Presented::is_trusted);
    let mut kinds = factors::kinds(transaction, &user.id).await?;
    if new.phone.is_some() {
        kinds.push(Kind::Phone);
    }
    let next = policy::next(demands, Assurance::Password, &kinds, trusted);
    let (state, kinds) = match &next {
        Next::Enter(_) => (SignInState::Done, Vec::new()),
        Next::Ask(kinds) => (SignInState::Open, kinds.clone()),
        Next::Bind => (SignInState::NoFactor, Vec::new()),
    };
    let sign_in = UserSignIn {
        id: format!("si_{}", hex::write(&crate::random::<16>())),
        user: user.id.clone(),
        phone: new.phone,
        address: new.address.clone(),
        agent: new.agent.clone(),
        kinds,
        state,
        expires_at: now.saturating_add(LIFETIME).unwrap_or(Timestamp::MAX),
    };
    insert(transaction, &sign_in, user.application, now).await?;
    let asked = match &next {
        Next::Enter(Assurance::RememberedComputer) => "nothing: the computer is trusted",
        Next::Enter(_) => "nothing: the policy is disabled",
        Next::Ask(_) => "a factor",
        Next::Bind => "a factor, and there is none",
    };
    note(transaction, by, "user.sign_in", &user, json!({ "sign_in": sign_in.id, "asked": asked }), now)
        .await?;
    let (device, token) = presented.map_or((None, None), |it| (Some(it.judgement), it.next));
    Ok(BegunSignIn { sign_in, next, policy, device, token })
}

async fn check_one(
    transaction: &mut Transaction,
    by: &Actor,
    tagged: &Tagged,
    keys: &FactorKeys,
    (entered, passkey): (&CheckSignIn, Option<&(RelyingParty, ShownPasskey)>),
    now: Timestamp,
) -> Result<SignInChecked> {
    let user = lock(transaction, tagged, now).await?;
    let select = "SELECT * FROM user_sign_ins WHERE id = $1 AND user_id = $2";
    let row = transaction.find(select, values![&entered.sign_in, &user.id]).await?;
    let Some(sign_in) = row.map(|row| read(&transaction.keys, &row)).transpose()? else {
        return Ok(SignInChecked::Not(NotPassed::Missing));
    };
    if sign_in.state == SignInState::Done || now >= sign_in.expires_at {
        return Ok(SignInChecked::Not(NotPassed::Over));
    }
    // What is demanded may have grown since it began.
    let demands = holds(transaction, &user).await?.demands;
    if !sign_in.kinds.contains(&entered.kind) || !demands.strength.takes(entered.kind) {
        return Ok(SignInChecked::Not(NotPassed::Kind));
    }
    let code = entered.code.expose();
    let attempt = match (entered.kind, sign_in.phone) {
        (Kind::Totp, _) => factors::try_totp(transaction, by, &user, code, now).await?,
        (Kind::RecoveryCode, _) => {
            let tag = RecoveryCode::typed(code).map(|code| code.tag(&keys.tags, &user.id));
            factors::try_recovery_code(transaction, by, &user, tag.as_deref(), now).await?
        }
        (Kind::Phone, Some(phone)) => {
            let check = Check {
                expected: expected(user.application, &sign_in.id),
                which: Which::Number(phone),
                code: entered.code.clone(),
                counter: Counter::Number,
                worn_out: None,
            };
            match check_in(transaction, by, &check, keys, now).await? {
                Checked::Approved(_) => Attempt::Right,
                Checked::Wrong(_) => Attempt::Wrong,
                Checked::Not(NotChecked::Missing) => return Ok(SignInChecked::Not(NotPassed::NoCode)),
                Checked::Not(NotChecked::MaxChecks(until) | NotChecked::Barred(Barred::Until(until))) => {
                    Attempt::Barred(until)
                }
                Checked::Not(NotChecked::Barred(Barred::BoundAnew)) => Attempt::Barred(sign_in.expires_at),
            }
        }
        (Kind::Passkey, _) => {
            let Some((party, shown)) = passkey else { return Ok(SignInChecked::Not(NotPassed::Kind)) };
            match passkeys::look(transaction, by, &user, &sign_in.id, party, shown, now).await? {
                Looked::NotAsked => return Ok(SignInChecked::Not(NotPassed::NoCode)),
                Looked::Refused(refusal) => {
                    let why = refusal.to_string();
                    let detail = json!({ "sign_in": sign_in.id, "factor": entered.kind.word(), "why": why });
                    note(transaction, by, "user.refuse", &user, detail, now).await?;
                    return Ok(SignInChecked::Refused(refusal));
                }
                Looked::Right => Attempt::Right,
            }
        }
        (Kind::Phone, None) => Attempt::Missing,
    };
    let refused = match attempt {
        Attempt::Right => return pass(transaction, by, &user, &sign_in, entered, now).await,
        Attempt::Wrong => (SignInChecked::Wrong, "wrong"),
        Attempt::Missing => (SignInChecked::Not(NotPassed::Kind), "the factor was taken away"),
        Attempt::Barred(until) => (SignInChecked::Not(NotPassed::Barred(until)), "paused"),
        Attempt::Disabled => (SignInChecked::Not(NotPassed::Disabled), "the factor is disabled"),
    };
    let detail = json!({ "sign_in": sign_in.id, "factor": entered.kind.word(), "why": refused.1 });
    note(transaction, by, "user.refuse", &user, detail, now).await?;
    Ok(refused.0)
}

/// What follows from a right code.
async fn pass(
    transaction: &mut Transaction,
    by: &Actor,
    user: &Locked,
    sign_in: &UserSignIn,
    entered: &CheckSignIn,
    now: Timestamp,
) -> Result<SignInChecked> {
    let update = "UPDATE user_sign_ins SET outcome = $2 WHERE id = $1";
    transaction.execute(update, values![&sign_in.id, SignInState::Done.word()]).await?;
    let detail = json!({ "sign_in": sign_in.id, "factor": entered.kind.word() });
    note(transaction, by, "user.pass", user, detail, now).await?;
    let policy = holds(transaction, user).await?;
    let token = match &entered.trust {
        Some(name) if policy.trusts() => {
            let about = NewUserDevice {
                name: name.clone(),
                address: sign_in.address.clone(),
                agent: sign_in.agent.clone(),
            };
            let about = (&about, Some(entered.kind));
            Some(devices::trust(transaction, by, user, policy, about, now).await?)
        }
        _ => None,
    };
    Ok(SignInChecked::Passed {
        assurance: Assurance::SecondFactor { kind: entered.kind, at: now },
        token,
        recovery_codes: factors::codes_left(transaction, &user.id).await?,
    })
}

/// Ends the sign-ins of a user that wait for a factor. How many there were.
pub(super) async fn end_waiting(transaction: &mut Transaction, user: &str, now: Timestamp) -> Result<u64> {
    let update =
        "UPDATE user_sign_ins SET outcome = $2 WHERE user_id = $1 AND outcome = $3 AND expires_at > $4";
    let bound = values![user, SignInState::Done.word(), SignInState::Open.word(), now];
    transaction.execute(update, bound).await
}

/// What a code that was sent for a sign-in is expected to be for.
pub(super) fn expected(application: Sid, sign_in: &str) -> Expected {
    Expected {
        application: application.to_string(),
        purpose: SIGN_IN.to_owned(),
        binding: sign_in.to_owned(),
    }
}

pub(super) async fn holds(transaction: &mut Transaction, user: &Locked) -> Result<UserPolicy> {
    match user.policy {
        Some(own) => Ok(own),
        None => policies::of_application(transaction, user.application).await,
    }
}

impl UserSignIn {
    /// What a code that is sent for it is for.
    pub fn expected(&self, application: Sid) -> Expected {
        expected(application, &self.id)
    }
}

impl SignInState {
    const ALL: [Self; 3] = [Self::Open, Self::Done, Self::NoFactor];

    const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::NoFactor => "no-factor",
        }
    }
}

async fn insert(
    transaction: &mut Transaction,
    sign_in: &UserSignIn,
    application: Sid,
    now: Timestamp,
) -> Result<()> {
    let sealed = Sealed {
        phone: sign_in.phone.map(|phone| phone.to_string()),
        address: sign_in.address.clone(),
        agent: sign_in.agent.clone(),
    };
    let sealed = transaction.keys.seal(place(&sign_in.id), json!(sealed).to_string().as_bytes());
    let kinds: Vec<&str> = sign_in.kinds.iter().map(|kind| kind.word()).collect();
    let insert = "INSERT INTO user_sign_ins (id, user_id, application, sealed, kinds, outcome, created_at, expires_at) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let bound = values![
        &sign_in.id,
        &sign_in.user,
        application,
        sealed,
        kinds.join(" "),
        sign_in.state.word(),
        now,
        sign_in.expires_at,
    ];
    transaction.execute(insert, bound).await?;
    Ok(())
}

fn place(id: &str) -> Place<'_> {
    Place { table: "user_sign_ins", column: "sealed", row: id }
}

fn read(keys: &Keyring, row: &Row) -> Result<UserSignIn> {
    let id = row.text("id")?;
    let corrupt = |why: String| Error::corrupt(format!("user_sign_ins of {id}"), why);
    let opened = keys.open(place(&id), &row.bytes("sealed")?)?;
    let sealed: Sealed = serde_json::from_slice(&opened).map_err(|error| corrupt(error.to_string()))?;
    let phone = sealed.phone.map(|phone| PhoneNumber::parse(&phone)).transpose();
    let (words, outcome) = (row.text("kinds")?, row.text("outcome")?);
    let kinds = words
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(|word| Kind::from_word(word).ok_or_else(|| corrupt(format!("`{word}` is no kind of factor"))));
    let state = SignInState::ALL.into_iter().find(|state| state.word() == outcome);
    Ok(UserSignIn {
        user: row.text("user_id")?,
        phone: phone.map_err(|error| corrupt(error.to_string()))?,
        address: sealed.address,
        agent: sealed.agent,
        kinds: kinds.collect::<Result<_>>()?,
        state: state.ok_or_else(|| corrupt(format!("`{outcome}` is no outcome")))?,
        expires_at: row.time("expires_at")?,
        id,
    })
}
