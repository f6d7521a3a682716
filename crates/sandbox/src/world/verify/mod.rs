//! Verify: services, verifications, codes, limits.
//!
//! A verification is live from its start until it is approved, canceled or expired; there is one for each service
//! and recipient. A start while one is live sends its code again. Limits:
//! <https://www.twilio.com/docs/verify/api/rate-limits-and-timeouts>.

mod limits;
mod sending;
mod texts;

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{PhoneNumber, Sid};
use ringfence_twilio::wire::{
    VerificationChannel, VerificationStatus, VerifyPasskeys, VerifyPush, VerifyTotp, VerifyWhatsapp,
};

use super::World;
use super::usage::{self, Use};
use crate::table::{Row, Table};
pub(crate) use limits::{Bucket, INTERVAL_MAX_S, RateLimit, buckets_of, remove_rate_limit};
pub(crate) use sending::{Start, StartRefused, start};

/// Everything of Verify.
#[derive(Debug, Default)]
pub(crate) struct Verify {
    pub(crate) services: Table<Service>,
    pub(crate) verifications: Table<Verification>,
    pub(crate) attempts: Table<Attempt>,
    pub(crate) rate_limits: Table<RateLimit>,
    pub(crate) buckets: Table<Bucket>,
    /// Numbers that are never blocked, by account.
    pub(crate) safe: HashMap<(Sid, PhoneNumber), Sid>,
    /// The live verification, or the one that was live last, of each service and recipient.
    latest: HashMap<(Sid, String), Sid>,
    starts: limits::Starts,
}

/// A service.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) rules: ServiceRules,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// What can be set of a service.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServiceRules {
    pub(crate) friendly_name: String,
    pub(crate) code_length: u32,
    pub(crate) lookup_enabled: bool,
    pub(crate) psd2_enabled: bool,
    pub(crate) skip_sms_to_landlines: bool,
    pub(crate) dtmf_input_required: bool,
    pub(crate) tts_name: Option<String>,
    pub(crate) do_not_share_warning: bool,
    pub(crate) custom_code_enabled: bool,
    pub(crate) default_template_sid: Option<String>,
    pub(crate) event_subscription: bool,
    pub(crate) push: VerifyPush,
    pub(crate) totp: VerifyTotp,
    pub(crate) whatsapp: VerifyWhatsapp,
    pub(crate) passkeys: VerifyPasskeys,
}

/// A verification.
#[derive(Debug, Clone)]
pub(crate) struct Verification {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) service: Sid,
    /// A number in E.164.
    pub(crate) to: String,
    pub(crate) channel: VerificationChannel,
    code: String,
    /// As it was set; [`status_of`] knows of time.
    status: VerificationStatus,
    pub(crate) sends: Vec<Send>,
    checks: u32,
    pub(crate) amount: Option<String>,
    pub(crate) payee: Option<String>,
    pub(crate) looked_up: bool,
    fetches: VecDeque<Timestamp>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// A code that was sent.
#[derive(Debug, Clone)]
pub(crate) struct Send {
    pub(crate) at: Timestamp,
    pub(crate) channel: VerificationChannel,
    pub(crate) attempt: Sid,
}

/// The same for the reports.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) service: Sid,
    pub(crate) verification: Sid,
    pub(crate) to: String,
    pub(crate) channel: VerificationChannel,
    pub(crate) code_length: usize,
    pub(crate) locale: String,
    /// The call that spoke it.
    pub(crate) call: Option<Sid>,
    pub(crate) price_micros: i64,
    pub(crate) converted: bool,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

impl Row for Service {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

impl Row for Verification {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

impl Row for Attempt {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

impl Verify {
    pub(super) fn set_cap(&mut self, cap: usize) {
        self.verifications.set_cap(cap);
        self.attempts.set_cap(cap);
    }
}

/// Makes a service.
pub(crate) fn create_service(world: &mut World, account: Sid, rules: ServiceRules) -> Sid {
    let sid = world.ids.sid(*b"VA");
    let now = world.now;
    world.verify.services.insert(Service { sid, account, rules, created: now, updated: now });
    world.touch();
    sid
}

/// Removes a service with all that is in it. `false`: it is not there.
pub(crate) fn remove_service(world: &mut World, account: Sid, sid: Sid) -> bool {
    if world.verify.services.remove_of(account, sid).is_none() {
        return false;
    }
    world.verify.latest.retain(|(service, _), _| *service != sid);
    for verification in world.verify.verifications.iter_mut().filter(|it| it.service == sid) {
        if verification.status == VerificationStatus::Pending {
            verification.status = VerificationStatus::Deleted;
        }
    }
    let limits: Vec<Sid> =
        world.verify.rate_limits.of(account).filter(|it| it.service == sid).map(Row::sid).collect();
    for limit in limits {
        remove_rate_limit(world, account, limit);
    }
    world.touch();
    true
}

/// Where a verification stands now: time ends it.
pub(crate) fn status_of(world: &World, verification: &Verification) -> VerificationStatus {
    let open = [VerificationStatus::Pending, VerificationStatus::MaxAttemptsReached];
    if open.contains(&verification.status) && is_over(world, verification) {
        return VerificationStatus::Expired;
    }
    verification.status.clone()
}

fn is_over(world: &World, verification: &Verification) -> bool {
    let ttl = SignedDuration::from_secs(i64::try_from(world.settings.verify.ttl_s).unwrap_or(i64::MAX));
    world.now.duration_since(verification.created) >= ttl
}

/// The code of a verification that waits for it. Nobody is told it but the phone.
pub(crate) fn code(world: &World, sid: Sid) -> Option<&str> {
    let verification = world.verify.verifications.find(sid)?;
    (status_of(world, verification) == VerificationStatus::Pending).then_some(verification.code.as_str())
}

/// The verification of this service and recipient that waits for its code, or for its time to be over.
pub(crate) fn find_live(world: &World, service: Sid, to: &str) -> Option<Sid> {
    let sid = *world.verify.latest.get(&(service, to.to_owned()))?;
    let verification = world.verify.verifications.find(sid)?;
    let live = [VerificationStatus::Pending, VerificationStatus::MaxAttemptsReached];
    live.contains(&status_of(world, verification)).then_some(sid)
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    /// The code is right, and the verification approved.
    Right,
    /// It is not.
    Wrong,
    /// Nothing waits for a code here: approved before, canceled, expired, or never started.
    NotFound,
    /// Too many wrong codes; only time ends it.
    MaxChecks,
}

/// A code to be checked, with amount and payee where they belong to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Check<'a> {
    pub(crate) code: &'a str,
    pub(crate) amount: Option<&'a str>,
    pub(crate) payee: Option<&'a str>,
}

/// Checks a code. The attempt counts before the code is compared.
pub(crate) fn check(world: &mut World, sid: Sid, check: Check<'_>) -> Checked {
    let most = world.settings.verify.checks;
    let Some(verification) = world.verify.verifications.find(sid) else { return Checked::NotFound };
    match status_of(world, verification) {
        VerificationStatus::Pending => {}
        VerificationStatus::MaxAttemptsReached => return Checked::MaxChecks,
        _ => return Checked::NotFound,
    }
    let now = world.now;
    let Some(verification) = world.verify.verifications.find_mut(sid) else { return Checked::NotFound };
    verification.updated = now;
    if verification.checks >= most {
        verification.status = VerificationStatus::MaxAttemptsReached;
        world.touch();
        return Checked::MaxChecks;
    }
    verification.checks += 1;
    let is_right = verification.code == check.code
        && verification.amount.as_deref() == check.amount
        && verification.payee.as_deref() == check.payee;
    if !is_right {
        world.touch();
        return Checked::Wrong;
    }
    approve(world, sid);
    Checked::Right
}

/// The code was right, or the application says so: the verification is approved and paid for, and the code that went
/// out last has led to it. Price: <https://www.twilio.com/en-us/verify/pricing>.
pub(crate) fn approve(world: &mut World, sid: Sid) {
    const PRICE_MICROS: i64 = 50_000;
    let now = world.now;
    let Some(verification) = world.verify.verifications.find_mut(sid) else { return };
    verification.status = VerificationStatus::Approved;
    verification.updated = now;
    let (account, last) = (verification.account, verification.sends.last().map(|send| send.attempt));
    if let Some(attempt) = last.and_then(|sid| world.verify.attempts.find_mut(sid)) {
        attempt.converted = true;
        attempt.updated = now;
    }
    let categories = &["authy-phone-verifications"];
    usage::book(world, Use { account, categories, count: 1, usage: 1, price_micros: PRICE_MICROS });
    world.touch();
}

/// Calls a verification off.
pub(crate) fn cancel(world: &mut World, sid: Sid) {
    let now = world.now;
    if let Some(verification) = world.verify.verifications.find_mut(sid) {
        verification.status = VerificationStatus::Canceled;
        verification.updated = now;
        world.touch();
    }
}

/// Counts that somebody looks at a verification. `false`: too often.
pub(crate) fn count_fetch(world: &mut World, sid: Sid) -> bool {
    let (now, most) = (world.now, world.settings.verify.fetches_per_minute);
    let Some(verification) = world.verify.verifications.find_mut(sid).filter(|_| most > 0) else {
        return true;
    };
    let fetches = &mut verification.fetches;
    limits::forget_older(fetches, now, 60);
    if fetches.len() >= most {
        return false;
    }
    fetches.push_back(now);
    true
}
