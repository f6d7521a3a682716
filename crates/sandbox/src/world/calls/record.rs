//! `Record`: what is said into the phone: <https://www.twilio.com/docs/voice/twiml/record>.
//!
//! Nobody really speaks here: a person or a machine talks for as long as the settings say and then is silent. On the
//! phone page a key or hanging up ends it earlier.

use ringfence_model::Sid;
use ringfence_twilio::twiml::{self, Record};

use super::script::{self, Lasts};
use super::{Call, Doing, LineKind, hooks, phone};
use crate::world::World;
use crate::world::recordings;

/// A `Record` under way.
#[derive(Debug, Clone)]
pub(super) struct Recording {
    record: Record,
    pub(super) recording: Sid,
}

pub(super) fn begin(world: &mut World, sid: Sid, record: Record) {
    let callback = record.recording_callback.as_ref().and_then(|it| callback(world, sid, it));
    let orders = recordings::Orders { callback, ..recordings::Orders::default() };
    let Some(recording) = recordings::start(world, sid, recordings::Source::RecordVerb, orders) else {
        return;
    };
    phone::note(world, sid, if record.play_beep { "Beep: it records." } else { "It records." });
    let talk_s = spoken_s(world, &record);
    // Silence follows only where there is room for it.
    let silence_s = record.timeout_s.min(record.max_length_s.saturating_sub(talk_s));
    let lasts = Lasts::Ms((u64::from(talk_s) + u64::from(silence_s)) * 1000);
    script::wait(world, sid, lasts, Doing::Recording(Recording { record, recording }));
}

/// Whom TwiML wants told of a recording.
pub(super) fn callback(
    world: &World,
    sid: Sid,
    callback: &twiml::RecordingCallback,
) -> Option<recordings::Callback> {
    let target = script::target(world, sid, Some(&callback.url), callback.method)?;
    let events = recordings::Events::of(callback.events.iter().map(String::as_str));
    Some(recordings::Callback { target, events })
}

fn spoken_s(world: &World, record: &Record) -> u32 {
    world.settings.calls.talk_s.min(record.max_length_s)
}

/// Nobody says anything any more, or the recording is as long as it may be.
pub(super) fn silence(world: &mut World, sid: Sid) {
    let Some(recording) = take(world, sid) else { return };
    let spoken_s = u64::from(spoken_s(world, &recording.record));
    finish(world, sid, &recording, Some(spoken_s), "");
}

/// A key that may end it is pressed.
pub(super) fn press(world: &mut World, sid: Sid, keys: &str) {
    let Some(recording) = take(world, sid) else { return };
    if let Some(key) = keys.chars().find(|key| recording.record.finish_on_key.contains(*key)) {
        finish(world, sid, &recording, None, &key.to_string());
    }
}

fn finish(world: &mut World, sid: Sid, recording: &Recording, spoken_s: Option<u64>, key: &str) {
    recordings::stop(world, recording.recording, spoken_s);
    // Without anything recorded the call goes on with the next verb.
    let Some(params) = params(world, sid, recording.recording, key) else { return script::run(world, sid) };
    let action = script::target(world, sid, recording.record.action.as_deref(), recording.record.method);
    script::to_action(world, sid, "record-action", action, params);
}

/// The call ended, or was sent elsewhere: the action is told, and its answer is for nobody.
pub(super) fn cut_off(world: &mut World, sid: Sid, recording: &Recording) {
    recordings::stop(world, recording.recording, None);
    let Some(params) = params(world, sid, recording.recording, "hangup") else { return };
    let action = script::target(world, sid, recording.record.action.as_deref(), recording.record.method);
    let account = world.calls.find(sid).map(|call| call.account);
    if let (Some(action), Some(account)) = (action, account) {
        let base = world.calls.find(sid).map(hooks::params).unwrap_or_default();
        hooks::tell(world, account, "record-action", action, base.into_iter().chain(params).collect());
    }
}

fn params(world: &mut World, sid: Sid, recording: Sid, key: &str) -> Option<Vec<(&'static str, String)>> {
    let now = world.now;
    let found = world.recordings.find(recording).filter(|it| it.duration_s(now) > 0)?;
    let seconds = found.duration_s(now);
    let params = vec![
        ("RecordingUrl", recordings::media_url(world, found)),
        ("RecordingSid", recording.to_string()),
        ("RecordingDuration", seconds.to_string()),
        ("Digits", key.to_owned()),
    ];
    phone::line(world, sid, LineKind::Recorded, format!("{seconds} s"));
    Some(params)
}

fn take(world: &World, sid: Sid) -> Option<Recording> {
    match &world.calls.find(sid).and_then(Call::talk)?.doing {
        Doing::Recording(recording) => Some(recording.clone()),
        _ => None,
    }
}
