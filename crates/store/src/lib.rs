//! What Ringfence remembers: the only crate that knows SQL.
//!
//! A [`Store`] is opened once, on SQLite (the embedded default: one file) or PostgreSQL (several nodes). It has one file
//! for each table, with the methods that read and write it. Three rules hold for all of them:
//!
//! - **A method is a transaction.** Steps that belong together are one method; callers never see a transaction. Writes
//!   go through one task that commits many of them at once, and are answered after the commit.
//! - **Who did it is written with what was done.** A method that changes what people decide about takes `by: &Actor` and
//!   writes its audit row in the same transaction. What only keeps the machine running (claims, leases, signs of
//!   life, chaining) writes none.
//! - **Secrets and personal data are sealed** with a master key that is not in the database.
//!
//! The store reads no clock: `now` is an argument. It does take random bytes from the system, for nonces, keys and
//! tokens, since nobody should be able to choose those.
//!
//! What happens outside is not done here: an effect is a row of the [outbox](Store::claim_effects), written with the
//! decision, and performed by whoever claims it.
//!
//! # The modules
//!
//! | modules | for |
//! | --- | --- |
//! | `sql`, `migrate`, `open`, `opened` | one SQL text on two databases; the tables; the file or the server; whether the file still is where it was |
//! | `write` | group commit: one task takes what is queued into one transaction, a savepoint each, and answers after the commit |
//! | `queue`, `many` | acts of one kind (of the ledger, codes that are sent, codes that are checked) in batches; one statement about many rows |
//! | `keys`, `seal`, `people`, `reseal` | the master key, sealed values, one key for each person (erased, what it sealed is unreadable), rotation |
//! | `audit` | rows in the transaction of what they tell; `seal` chains them afterwards, `verify` finds what was changed |
//! | `readings`, `tallies`, `incidents` | the most that a breaker had seen on each day, what came of requests under each limit, and what the list of incidents is read off |
//! | `breakers`, `observations`, `outbox` | a step: new states, what they were decided for, and what must happen, all or nothing |
//! | `nodes` | signs of life, leases and claims without comparing two machines' clocks |
//! | `accounts`, `currencies`, `prices`, `limits`, `triggers`, `tokens` | what is known of Twilio, what was applied, who may use the API |
//! | `rotations` | auth tokens that are replaced, step by step, and those that count in the place of configured ones |
//! | `shared_keys` | SharedKeys of webhooks that were made at Twilio, and how far each is |
//! | `persons` | people who sign in: roles, factors, sessions (of the console, of protected hosts), trusted devices, codes that are good once, sign-ins |
//! | `users` | the users of applications: policies, factors, trusted browsers, sign-ins |
//! | `ledger` | what is spent and set aside under each limit, and the right to send a request |
//! | `challenges`, `failures`, `rates`, `conversions` | runs of a code, what was tried in a row, what was sent |
//! | `applications`, `credentials`, `egress_scopes` | whose users get codes, and what they ask with; what a virtual credential may do |
//! | `epoch`, `backup`, `retention` | one unbroken memory; copies of it; forgetting |
//! | `requests` | what is kept of requests at the gate, where that is wanted |
//! | `findings` | what the daily examination found and has told, until it is mended |
//! | `durability` | whether an answer means that it is on disk |

mod accounts;
mod applications;
mod audit;
mod backup;
mod breakers;
mod challenges;
mod conversions;
mod counted;
mod credentials;
mod currencies;
mod durability;
mod egress_scopes;
mod epoch;
mod error;
mod factor_keys;
mod failures;
mod findings;
mod hex;
mod incidents;
mod keys;
mod ledger;
mod limits;
mod lines;
mod many;
mod media;
mod migrate;
mod nodes;
mod observations;
mod open;
mod opened;
mod outbox;
mod people;
mod persons;
#[cfg(test)]
mod plans;
mod prices;
mod queue;
mod rates;
mod readings;
mod requests;
mod reseal;
mod retention;
mod rotations;
mod seal;
mod shared_keys;
mod signs;
mod sql;
mod taken;
mod tallies;
mod tokens;
mod traffic;
mod transaction;
mod triggers;
mod unread;
mod users;
mod verify_limits;
mod write;

use std::sync::{Arc, Mutex};

pub use accounts::{Account, SeenAccount, Synchronised, Wanted, Wish, WishedBy};
pub use applications::Application;
pub use audit::{AuditFilter, AuditRow, ExportOf, Finding, Head, NewAudit, Sealed, SealedSoFar, Verified};
pub use backup::{Over, restore};
pub use breakers::{Breaker, BreakerChange, Step};
pub use challenges::{
    Begun, CONSOLE, Challenge, Check, Checked, CodeSend, Counter, End, Expected, NewChallenge, NotChecked,
    NotSent, Resend, SendFilter, SendOutcome, Summary, ToSend, Which,
};
pub use conversions::StoppedPrefix;
pub use credentials::{Credential, NewCredential};
pub use currencies::Currencies;
pub use durability::{ByDefault, Durability, PostgresDurability};
pub use egress_scopes::{
    EGRESS, EgressAccounts, EgressArea, EgressDestination, EgressScopes, UnknownScope, parse_sender,
};
pub use epoch::Epoch;
pub use error::{Away, BackupError, Error, OpenError, SealedError};
pub use factor_keys::FactorKeys;
pub use findings::{FindingKey, FindingsChange, OpenFinding};
pub use incidents::RefusedOnDay;
pub use keys::{Keys, MasterKey};
pub use ledger::{
    Admission, AnswerAdmission, AnswerPart, Arrival, Booking, LedgerError, LedgerRow, ListedBefore,
    ListedReservation, Listing, Look, NewAnswer, NewReservation, NotAdmitted, Now, OpenReservation, Reached,
    Reservation, ReservationState, Sent, Spent, Watched, fresh_answer_key, limits_fingerprint,
};
pub use limits::{AppliedLimit, LimitsApplied, NewLimit, NewLimits};
pub use nodes::{HeldJob, Lease, Life, Node};
pub use observations::{NewObservation, Observation, Seen};
pub use open::{Location, Version};
pub use outbox::{Added, Claim, Effect, EffectEnd, NewEffect, Unfinished};
pub use persons::{
    AccountPolicy, Because, Device, DeviceUsed, Factor, FactorSecret, Grant, HandedOver, HostSession, Lock,
    NewDevice, NewFactor, NewPasskey, NewSession, PasskeyPurpose, Person, Purpose, Redeemed, Role, Session,
    ShownDevice, ShownPasskey, SignIn, SignInOutcome, Stage, StoredPasskey, Told, Trusted, Where,
    normal_login,
};
pub use prices::StoredPrices;
pub use readings::{NewReading, Reading};
pub use requests::{KeptRequest, RequestFilter, RequestVerdict, SeenOutgoing, SeenRequest};
pub use retention::{Forget, LINES_BELIEVED_FOR};
pub use rotations::{RotatedToken, Rotation, RotationEnd, RotationStep, SeenSignatures};
pub use shared_keys::{KeyOfTwilio, SharedKey, SharedKeyStep};
pub use signs::{Awaited, Signs};
pub use tallies::{TalliedOperation, Tally};
pub use tokens::{NewToken, Token};
pub use traffic::Traffic;
pub use triggers::{NewTrigger, Trigger};
pub use unread::{Unread, UsageUnread};
pub use users::{
    BegunSignIn, CheckPasskey, CheckSignIn, DeviceToken, NewUserDevice, NewUserSignIn, NotPassed,
    PasskeyAsked, PasskeyWanted, SIGN_IN, SignInChecked, SignInState, TotpConfirmed, User, UserDevice,
    UserFactor, UserName, UserPolicy, UserSignIn,
};
pub use verify_limits::{NotLimited, VerifyBucket, VerifyLimit};

use crate::opened::OpenedFile;
use crate::queue::Queue;
use crate::seal::Keyring;
use crate::sql::{Pool, Row, Value};
use crate::write::{Act, Writer};

/// The result of everything that the store does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The store: see [the crate](crate). Open it once, share it by reference or in an `Arc`.
pub struct Store {
    pool: Pool,
    /// SQLite's file.
    file: Option<Arc<OpenedFile>>,
    writer: Writer,
    ledger: Queue<(ledger::Op, Now)>,
    starts: Queue<challenges::Start>,
    checks: Queue<challenges::Entered>,
    keys: Arc<Keyring>,
    location: Location,
    version: Version,
    /// The keys of the second factor, once they were needed.
    factor_keys: tokio::sync::OnceCell<Arc<FactorKeys>>,
    /// What the last run of the sealer was waiting for.
    horizon: Mutex<Option<audit::Horizon>>,
    /// Since when, by this node's clock, each node has given no sign of life.
    silence: Mutex<nodes::Silence>,
}

impl Store {
    /// Carries out a write in the next batch, and answers after its commit.
    async fn write<D, T>(&self, data: D, act: Act<D, T>) -> Result<T>
    where
        D: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.writer.write(data, act).await
    }

    /// The rows of a statement that changes nothing.
    async fn fetch(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>> {
        self.is_there_still()?;
        self.pool.fetch(sql, values).await
    }

    /// The first row of a statement that changes nothing.
    async fn find(&self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>> {
        self.is_there_still()?;
        self.pool.find(sql, values).await
    }

    /// Fails where SQLite's file is not where it was opened any more.
    fn is_there_still(&self) -> Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.is_there_still())
    }

    /// Where the store is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Of which version its tables are, and were.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Commits what is queued and closes all connections.
    pub async fn close(self) {
        self.starts.finish().await;
        self.checks.finish().await;
        self.ledger.finish().await;
        self.writer.finish().await;
        self.pool.close().await;
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Store").field("location", &self.location).finish_non_exhaustive()
    }
}

/// Random bytes for the salt of a password.
pub fn random_salt() -> [u8; 16] {
    random()
}

/// Random bytes for what an authenticator application shares.
pub fn random_seed() -> [u8; 20] {
    random()
}

/// A random secret for a browser to keep: 64 digits of 32 bytes.
pub fn random_token() -> ringfence_model::Secret {
    ringfence_model::Secret::new(hex::write(&random::<32>()))
}

/// Random bytes of the system.
fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes once it has started");
    bytes
}
