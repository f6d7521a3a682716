//! Signed heads of the audit log, carried to where whoever can change the database cannot change them.
//!
//! The one idea: a head proves everything before it, so only the newest one is worth carrying, and a carrier that was
//! away for a day has missed nothing once it has that one. So nothing has to be remembered of what was carried: after a
//! restart the newest head goes once more, and a repeat does no harm. It is no effect of the outbox either, since each of
//! those is a row of the log that it would carry.
//!
//! A carrier also looks back. Where the log no longer says what it said when the last head was carried, it says so
//! ([`Doubt`]) and carries the newest head all the same.

mod file;
mod syslog;
mod webhook;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use ringfence_store::{self as store, Head, Store};

use crate::notices::{SettingsProblem, WebhookSettings};

/// Where heads go: one entry of `audit_heads`.
#[derive(Debug, Clone)]
pub enum CarrierSettings {
    /// Appended to a file, one a line, as `ringfence audit verify --heads` reads them.
    File(PathBuf),
    /// To the syslog daemon of this machine, at this socket.
    Syslog(PathBuf),
    /// To a program, signed.
    Webhook(WebhookSettings),
}

/// For people, without secrets.
impl fmt::Display for CarrierSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "the file {}", path.display()),
            Self::Syslog(socket) => write!(formatter, "syslog at {}", socket.display()),
            Self::Webhook(settings) => write!(formatter, "the webhook to {}", settings.host()),
        }
    }
}

/// The socket of the syslog daemon, wherever there is one.
pub const SYSLOG_SOCKET: &str = "/dev/log";

/// The longest that one head may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Carries heads to one place.
pub struct Carrier {
    name: String,
    way: Way,
    /// What was carried last, as far as this process knows.
    last: Mutex<Option<Head>>,
    /// What does not agree, as it was told last.
    told: Mutex<Option<Doubt>>,
}

enum Way {
    File(file::HeadFile),
    Syslog(PathBuf),
    Webhook(Box<webhook::HeadHook>),
}

/// What one turn of a carrier did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Carried {
    /// The place in the chain of the head that was carried; nothing where the newest is there already.
    pub seq: Option<i64>,
    /// What does not agree with what was carried before.
    pub doubt: Option<Doubt>,
}

/// Why the log is not the one whose head was carried last.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// Its end is gone: somebody cut it off, or the store is an older one.
    #[error(
        "the audit log ends at {newest}, and a head for {carried} was carried before: its end was cut off, or the store was \
         replaced by an older one"
    )]
    CutOff {
        /// The place of the head that was carried last.
        carried: i64,
        /// The place of the newest head that the store has.
        newest: i64,
    },
    /// It says something else there.
    #[error(
        "the audit log does not say at {seq} what it said when that head was carried: it was written anew, or the store was \
         replaced by another one"
    )]
    WrittenAnew {
        /// The place.
        seq: i64,
    },
}

/// Why a head was not carried.
#[derive(Debug, thiserror::Error)]
pub enum NotCarried {
    /// The store did not say what there is to carry.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// It could not be written to the file.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The syslog daemon did not take it.
    #[error("{}: {what}", path.display())]
    Syslog {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The receiver did not take it. It shows no secret.
    #[error("{host}: {what}")]
    Webhook {
        /// The receiver.
        host: String,
        /// What it answered.
        what: String,
    },
}

impl Carrier {
    /// Prepares a carrier; nothing is opened or connected to before there is something to carry.
    pub fn new(settings: CarrierSettings) -> Result<Self, SettingsProblem> {
        let name = settings.to_string();
        let way = match settings {
            CarrierSettings::File(path) => Way::File(file::HeadFile::new(path)),
            CarrierSettings::Syslog(socket) => Way::Syslog(socket),
            CarrierSettings::Webhook(settings) => {
                Way::Webhook(Box::new(webhook::HeadHook::new(settings, TIMEOUT)?))
            }
        };
        Ok(Self { name, way, last: Mutex::default(), told: Mutex::default() })
    }

    /// Where it carries to, for people; without secrets.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Carries the newest head, unless it was carried. One node at a time does this: the one that seals.
    pub async fn turn(&self, store: &Store, now: Timestamp) -> Result<Carried, NotCarried> {
        let last = match &self.way {
            // Also what another process carried, or this one before a restart.
            Way::File(file) => file.last().await?,
            Way::Syslog(_) | Way::Webhook(_) => {
                self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
            }
        };
        let newest = store.last_audit_head().await?;
        let doubt = match &last {
            Some(last) => doubt(store, last, newest.as_ref()).await?,
            None => None,
        };
        // Before anything is carried: that may fail, or this process end.
        self.tell(doubt.as_ref());
        let Some(newest) = newest.filter(|newest| last.as_ref() != Some(newest)) else {
            return Ok(Carried { seq: None, doubt });
        };
        self.carry(&newest, now).await?;
        let seq = Some(newest.seq);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(newest);
        Ok(Carried { seq, doubt })
    }

    /// Says once what does not agree.
    fn tell(&self, doubt: Option<&Doubt>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(doubt) = doubt
            && told.as_ref() != Some(doubt)
        {
            tracing::error!(carrier = self.name, "{doubt}");
        }
        *told = doubt.cloned();
    }

    /// Carries one head. It ends within seconds.
    pub async fn carry(&self, head: &Head, now: Timestamp) -> Result<(), NotCarried> {
        match &self.way {
            Way::File(file) => file.append(head).await,
            Way::Syslog(socket) => syslog::send(socket, head, TIMEOUT).await,
            Way::Webhook(hook) => hook.post(head, now).await,
        }
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Carrier({})", self.name)
    }
}

/// Whether the log still says what it said when `last` was signed. Where that part of it was forgotten since, nothing can
/// be said against it.
async fn doubt(store: &Store, last: &Head, newest: Option<&Head>) -> Result<Option<Doubt>, store::Error> {
    let newest_seq = newest.map_or(0, |newest| newest.seq);
    if newest_seq < last.seq {
        return Ok(Some(Doubt::CutOff { carried: last.seq, newest: newest_seq }));
    }
    let there = match newest {
        Some(newest) if newest.seq == last.seq => Some(newest.clone()),
        _ => store.audit_heads(last.seq - 1, 1).await?.pop(),
    };
    let is_other = |there: &Head| there.seq == last.seq && there.hash != last.hash;
    Ok(there.filter(is_other).map(|there| Doubt::WrittenAnew { seq: there.seq }))
}
