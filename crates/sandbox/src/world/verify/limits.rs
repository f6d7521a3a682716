//! Limits on starts: those that a service sets itself, and Twilio's own guard against many at once.
//!
//! <https://www.twilio.com/docs/verify/api/service-rate-limits>

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;
use ringfence_model::Sid;

use super::World;
use crate::table::Row;

/// A limit, by a value that a start names: an address of the Internet, a user.
#[derive(Debug, Clone)]
pub(crate) struct RateLimit {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) service: Sid,
    pub(crate) unique_name: String,
    pub(crate) description: String,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// So many starts in so many seconds.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) rate_limit: Sid,
    pub(crate) max: u64,
    pub(crate) interval_s: u64,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

impl Row for RateLimit {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

impl Row for Bucket {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

/// When starts were made, by bucket and value, and by recipient.
#[derive(Debug, Default)]
pub(super) struct Starts {
    in_buckets: HashMap<(Sid, String), VecDeque<Timestamp>>,
    by_recipient: HashMap<String, VecDeque<Timestamp>>,
}

/// Removes a rate limit with its buckets. `false`: it is not there.
pub(crate) fn remove_rate_limit(world: &mut World, account: Sid, sid: Sid) -> bool {
    if world.verify.rate_limits.remove_of(account, sid).is_none() {
        return false;
    }
    let buckets: Vec<Sid> = buckets_of(world, account, sid).map(Row::sid).collect();
    for bucket in buckets {
        world.verify.buckets.remove_of(account, bucket);
    }
    true
}

/// A rate limit's buckets, newest first.
pub(crate) fn buckets_of(world: &World, account: Sid, rate_limit: Sid) -> impl Iterator<Item = &Bucket> {
    world.verify.buckets.of(account).filter(move |bucket| bucket.rate_limit == rate_limit)
}

/// Counts a start for one recipient; `false`: there were too many within a second.
pub(super) fn count_recipient(world: &mut World, to: &str) -> bool {
    let (now, most) = (world.now, world.settings.verify.starts_per_second);
    if most == 0 {
        return true;
    }
    let by_recipient = &mut world.verify.starts.by_recipient;
    tidy(by_recipient, now, 1);
    let starts = by_recipient.entry(to.to_owned()).or_default();
    forget_older(starts, now, 1);
    if starts.len() >= most {
        return false;
    }
    starts.push_back(now);
    true
}

/// Whether the service has a limit of each of these names.
pub(super) fn are_there(world: &World, service: Sid, named: &[(String, String)]) -> bool {
    let has = |name: &str| {
        let mut limits = world.verify.rate_limits.newest_first();
        limits.any(|limit| limit.service == service && limit.unique_name == name)
    };
    named.iter().all(|(name, _)| has(name))
}

/// Counts a start under the service's limits whose values it names; `false`: one of them is used up. A start that
/// one bucket refuses counts in none.
pub(super) fn count_named(world: &mut World, service: Sid, named: &[(String, String)]) -> bool {
    let now = world.now;
    let mut counted: Vec<(&Bucket, &str)> = Vec::new();
    for (name, value) in named {
        let mut limits = world.verify.rate_limits.newest_first();
        let limit = limits.find(|limit| limit.service == service && limit.unique_name == *name);
        let Some(limit) = limit else { continue };
        counted.extend(buckets_of(world, limit.account, limit.sid).map(|bucket| (bucket, value.as_str())));
    }
    let counted: Vec<((Sid, String), u64, u64)> = counted
        .into_iter()
        .map(|(bucket, value)| ((bucket.sid, value.to_owned()), bucket.max, bucket.interval_s))
        .collect();
    let in_buckets = &mut world.verify.starts.in_buckets;
    tidy(in_buckets, now, INTERVAL_MAX_S);
    let is_full = |(key, max, interval_s): &((Sid, String), u64, u64)| {
        in_buckets.get_mut(key).is_some_and(|starts| {
            forget_older(starts, now, *interval_s);
            starts.len() as u64 >= *max
        })
    };
    if counted.iter().any(is_full) {
        return false;
    }
    for (key, _, _) in counted {
        in_buckets.entry(key).or_default().push_back(now);
    }
    true
}

/// The longest interval that a bucket of the sandbox can have: a day. Twilio's documents name no bound.
pub(crate) const INTERVAL_MAX_S: u64 = 24 * 3600;

/// Drops the times that lie this long back or longer.
pub(super) fn forget_older(times: &mut VecDeque<Timestamp>, now: Timestamp, seconds: u64) {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    while times.front().is_some_and(|at| now.duration_since(*at).as_secs() >= seconds) {
        times.pop_front();
    }
}

/// Values that are named once must not stay for ever.
fn tidy<K>(times: &mut HashMap<K, VecDeque<Timestamp>>, now: Timestamp, seconds: u64) {
    const MANY: usize = 10_000;
    if times.len() > MANY {
        times.retain(|_, times| {
            forget_older(times, now, seconds);
            !times.is_empty()
        });
    }
}
