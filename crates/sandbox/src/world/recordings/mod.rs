//! Recordings of calls, or of what was said into a `Record`:
//! <https://www.twilio.com/docs/voice/api/recording>.

mod sound;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Sid;
use ringfence_twilio::wire::Rfc2822;

use super::World;
use super::usage::{self, Use};
use super::webhooks::{self, Target, Then, Webhook};
use crate::table::Row;

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) call: Sid,
    pub(crate) source: Source,
    /// 1, or 2 where each side has its own.
    pub(crate) channels: u8,
    /// Whose voices: `inbound`, `outbound` or `both`.
    pub(crate) track: &'static str,
    pub(crate) started: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) state: State,
    /// What it cost, positive, and from when on that is told.
    price: Option<(Timestamp, i64)>,
    callback: Option<Callback>,
}

/// Where a recording stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It records since then, after so much before a pause.
    Running {
        since: Timestamp,
        before_ms: u64,
    },
    Paused {
        before_ms: u64,
    },
    /// It is there.
    Completed {
        duration_s: u64,
    },
    /// Nothing was said.
    Absent,
}

/// What made a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// `Record` of a new call.
    OutboundApi,
    RecordVerb,
    DialVerb,
    /// A request of the API during the call.
    StartCallRecordingApi,
}

/// How to record.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    pub(crate) channels: u8,
    pub(crate) track: &'static str,
    pub(crate) callback: Option<Callback>,
}

/// Who is told of a recording.
#[derive(Debug, Clone)]
pub(crate) struct Callback {
    pub(crate) target: Target,
    pub(crate) events: Events,
}

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Events {
    pub(crate) in_progress: bool,
    pub(crate) completed: bool,
    pub(crate) absent: bool,
}

impl Events {
    /// What Twilio tells unless it was told otherwise.
    pub(crate) const COMPLETED: Self = Self { in_progress: false, completed: true, absent: false };

    /// Those that these words name; where they name none, [`COMPLETED`](Self::COMPLETED).
    pub(crate) fn of<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let none = Self { completed: false, ..Self::COMPLETED };
        let named = words.fold(none, |events, word| match word {
            "in-progress" => Self { in_progress: true, ..events },
            "completed" => Self { completed: true, ..events },
            "absent" => Self { absent: true, ..events },
            _ => events,
        });
        if named == none { Self::COMPLETED } else { named }
    }
}

impl Row for Recording {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

impl Default for Orders {
    fn default() -> Self {
        Self { channels: 1, track: "both", callback: None }
    }
}

/// Begins to record. `None`: there is no such call.
pub(crate) fn start(world: &mut World, call: Sid, source: Source, orders: Orders) -> Option<Sid> {
    let account = world.calls.find(call)?.account;
    let sid = world.ids.sid(*b"RE");
    let now = world.now;
    let Orders { channels, track, callback } = orders;
    world.recordings.insert(Recording {
        sid,
        account,
        call,
        source,
        channels,
        track,
        started: now,
        updated: now,
        state: State::Running { since: now, before_ms: 0 },
        price: None,
        callback,
    });
    if let Some(call) = world.calls.find_mut(call) {
        call.recordings.push(sid);
    }
    tell(world, sid);
    Some(sid)
}

/// Ends a recording. `spoken_s`: how much of it is left once silence is trimmed off; all of it if absent.
pub(crate) fn stop(world: &mut World, sid: Sid, spoken_s: Option<u64>) {
    let now = world.now;
    let Some(recording) = world.recordings.find_mut(sid).filter(|it| it.is_running()) else { return };
    let duration_s = spoken_s.unwrap_or_else(|| recording.duration_s(now));
    recording.updated = now;
    recording.state = match duration_s {
        0 => State::Absent,
        _ => State::Completed { duration_s },
    };
    if duration_s > 0 {
        book(world, sid, duration_s);
    }
    tell(world, sid);
}

/// The call is over, and so is what was recorded of it.
pub(super) fn stop_all(world: &mut World, call: Sid) {
    let recordings = world.calls.find(call).map(|call| call.recordings.clone()).unwrap_or_default();
    for recording in recordings {
        stop(world, recording, None);
    }
}

/// Holds a recording, or goes on with it. `false`: it is over.
pub(crate) fn pause(world: &mut World, sid: Sid, paused: bool) -> bool {
    let now = world.now;
    let Some(recording) = world.recordings.find_mut(sid) else { return false };
    recording.state = match (recording.state, paused) {
        (State::Running { since, before_ms }, true) => {
            State::Paused { before_ms: before_ms + milliseconds_between(since, now) }
        }
        (State::Paused { before_ms }, false) => State::Running { since: now, before_ms },
        (State::Completed { .. } | State::Absent, _) => return false,
        (same, _) => same,
    };
    recording.updated = now;
    true
}

/// The recording of a call that was made with `Record`.
pub(super) fn of_whole_call(world: &World, call: Sid) -> Option<&Recording> {
    let recordings = &world.calls.find(call)?.recordings;
    recordings
        .iter()
        .filter_map(|sid| world.recordings.find(*sid))
        .find(|recording| recording.source == Source::OutboundApi)
}

/// Where the sound is.
pub(crate) fn media_url(world: &World, recording: &Recording) -> String {
    let Recording { account, sid, .. } = recording;
    format!("{}/2010-04-01/Accounts/{account}/Recordings/{sid}", world.base)
}

/// Books begun minutes (Twilio's price list of 2026).
fn book(world: &mut World, sid: Sid, duration_s: u64) {
    const A_MINUTE_MICROS: i64 = 2_500;
    let minutes = duration_s.div_ceil(60);
    let price_micros = A_MINUTE_MICROS.saturating_mul(i64::try_from(minutes).unwrap_or(i64::MAX));
    let later = SignedDuration::from_millis(i64::try_from(world.settings.calls.price_ms).unwrap_or(i64::MAX));
    let told_at = world.now.checked_add(later).unwrap_or(Timestamp::MAX);
    let Some(recording) = world.recordings.find_mut(sid) else { return };
    recording.price = Some((told_at, price_micros));
    let account = recording.account;
    usage::book(world, Use { account, categories: &["recordings"], count: 1, usage: minutes, price_micros });
}

/// Tells where a recording stands, if somebody wants to know.
fn tell(world: &mut World, sid: Sid) {
    world.touch();
    let now = world.now;
    let Some(recording) = world.recordings.find(sid) else { return };
    let Some(callback) = recording.callback.clone() else { return };
    let wanted = match recording.state {
        State::Running { .. } | State::Paused { .. } => callback.events.in_progress,
        State::Completed { .. } => callback.events.completed,
        State::Absent => callback.events.absent,
    };
    if !wanted {
        return;
    }
    let mut params = vec![
        ("AccountSid", recording.account.to_string()),
        ("CallSid", recording.call.to_string()),
        ("RecordingSid", sid.to_string()),
        ("RecordingUrl", media_url(world, recording)),
        ("RecordingStatus", recording.status().to_owned()),
        ("RecordingChannels", recording.channels.to_string()),
        ("RecordingTrack", recording.track.to_owned()),
        ("RecordingSource", recording.source.as_str().to_owned()),
        ("RecordingStartTime", Rfc2822(recording.started).to_string()),
        ("ErrorCode", "0".to_owned()),
    ];
    if !recording.is_running() {
        params.push(("RecordingDuration", recording.duration_s(now).to_string()));
    }
    let (account, target) = (recording.account, callback.target);
    let kind = "recording-status";
    webhooks::deliver(world, Webhook { account, kind, target, params, then: Then::Nothing });
}

fn milliseconds_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}

impl Recording {
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. } | State::Paused { .. })
    }

    /// Begun seconds; so far, where it is not over.
    pub(crate) fn duration_s(&self, now: Timestamp) -> u64 {
        match self.state {
            State::Running { since, before_ms } => {
                (before_ms + milliseconds_between(since, now)).div_ceil(1000)
            }
            State::Paused { before_ms } => before_ms.div_ceil(1000),
            State::Completed { duration_s } => duration_s,
            State::Absent => 0,
        }
    }

    /// What it cost, positive, once that is told.
    pub(crate) fn price_micros(&self, now: Timestamp) -> Option<i64> {
        self.price.filter(|(told_at, _)| *told_at <= now).map(|(_, micros)| micros)
    }

    pub(crate) fn status(&self) -> &'static str {
        match self.state {
            State::Running { .. } => "in-progress",
            State::Paused { .. } => "paused",
            State::Completed { .. } => "completed",
            State::Absent => "absent",
        }
    }
}

impl Source {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::OutboundApi => "OutboundAPI",
            Self::RecordVerb => "RecordVerb",
            Self::DialVerb => "DialVerb",
            Self::StartCallRecordingApi => "StartCallRecordingAPI",
        }
    }
}
