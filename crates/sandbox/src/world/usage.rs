//! What accounts have used: by category and day, seen with a lag.

use ringfence_model::Sid;

use super::World;

/// Everything used.
#[derive(Debug, Default)]
pub(crate) struct Usage {}

/// Something used just now.
#[derive(Debug, Clone)]
pub(crate) struct Use {
    pub(crate) account: Sid,
    /// Every category that counts it, from `sms` to `sms-outbound-longcode`; `totalprice` is added by itself.
    pub(crate) categories: &'static [&'static str],
    /// Messages, calls, lookups.
    pub(crate) count: u64,
    /// Segments, minutes, and what else the categories measure.
    pub(crate) usage: u64,
    /// What it cost, positive, in millionths of a dollar.
    pub(crate) price_micros: i64,
}

/// Books what was used. Usage records and triggers see it after the lag.
pub(crate) fn book(_world: &mut World, _used: Use) {}
