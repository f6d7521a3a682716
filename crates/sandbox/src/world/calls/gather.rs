//! `Gather`: keys, or words, while prompts are said: <https://www.twilio.com/docs/voice/twiml/gather>.
//!
//! The first key stops the prompts. Each key starts the timeout again. Without an answer the call goes on with the
//! next verb, unless `actionOnEmptyResult` is set.

use ringfence_model::Sid;
use ringfence_twilio::twiml::{Gather, GatherInput};

use super::script::{self, Lasts};
use super::{Call, Doing, phone};
use crate::world::World;

/// A `Gather` under way.
#[derive(Debug, Clone)]
pub(super) struct Gathering {
    pub(super) gather: Gather,
    /// Which prompt comes next.
    prompt: usize,
    digits: String,
    /// The prompts are over, or were stopped by a key; the timeout runs.
    waiting: bool,
}

pub(super) fn begin(world: &mut World, sid: Sid, gather: Gather) {
    let gathering = Gathering { gather, prompt: 0, digits: String::new(), waiting: false };
    prompt(world, sid, gathering);
}

/// A prompt is over, or the timeout is.
pub(super) fn go_on(world: &mut World, sid: Sid) {
    match take(world, sid) {
        Some(gathering) if gathering.waiting => finish(world, sid, &gathering, None),
        Some(gathering) => prompt(world, sid, gathering),
        None => {}
    }
}

/// Says prompts until one takes time; after the last the timeout begins.
fn prompt(world: &mut World, sid: Sid, mut gathering: Gathering) {
    while let Some(verb) = gathering.gather.prompts.get(gathering.prompt).cloned() {
        gathering.prompt += 1;
        let lasts = script::perform(world, sid, &verb);
        if lasts != Lasts::Ms(0) {
            return script::wait(world, sid, lasts, Doing::Gathering(gathering));
        }
    }
    wait(world, sid, gathering);
}

fn wait(world: &mut World, sid: Sid, mut gathering: Gathering) {
    gathering.waiting = true;
    let timeout = Lasts::Ms(u64::from(gathering.gather.timeout_s) * 1000);
    script::wait(world, sid, timeout, Doing::Gathering(gathering));
}

/// Keys are pressed. Those after the one that ends it are for nobody.
pub(super) fn press(world: &mut World, sid: Sid, keys: &str) {
    let Some(mut gathering) = take(world, sid) else { return };
    if gathering.gather.input == GatherInput::Speech {
        return;
    }
    for key in keys.chars() {
        if gathering.gather.finish_on_key == Some(key) {
            return finish(world, sid, &gathering, Some(key));
        }
        gathering.digits.push(key);
        let enough = gathering.gather.num_digits.and_then(|count| usize::try_from(count).ok());
        if enough.is_some_and(|count| gathering.digits.len() >= count) {
            return finish(world, sid, &gathering, None);
        }
    }
    wait(world, sid, gathering);
}

/// Words are spoken into the phone. `false`: it does not listen for words.
pub(super) fn hear(world: &mut World, sid: Sid, words: &str) -> bool {
    let Some(gathering) = take(world, sid) else { return false };
    if gathering.gather.input == GatherInput::Dtmf || words.trim().is_empty() {
        return false;
    }
    let params = vec![
        ("SpeechResult", words.trim().to_owned()),
        ("Confidence", "0.9".to_owned()),
        ("Language", "en-US".to_owned()),
    ];
    to_action(world, sid, &gathering, params);
    true
}

fn finish(world: &mut World, sid: Sid, gathering: &Gathering, key: Option<char>) {
    if gathering.digits.is_empty() && !gathering.gather.action_on_empty_result {
        return script::run(world, sid);
    }
    let params = vec![
        ("Digits", gathering.digits.clone()),
        ("FinishedOnKey", key.map(String::from).unwrap_or_default()),
        ("msg", "Gather End".to_owned()),
    ];
    to_action(world, sid, gathering, params);
}

fn to_action(world: &mut World, sid: Sid, gathering: &Gathering, params: Vec<(&'static str, String)>) {
    let action = script::target(world, sid, gathering.gather.action.as_deref(), gathering.gather.method);
    if action.is_none() {
        phone::note(
            world,
            sid,
            "The answer has nowhere to go: there is no action, and the TwiML came without a URL.",
        );
    }
    script::to_action(world, sid, "gather-action", action, params);
}

fn take(world: &World, sid: Sid) -> Option<Gathering> {
    match &world.calls.find(sid).and_then(Call::talk)?.doing {
        Doing::Gathering(gathering) => Some(gathering.clone()),
        _ => None,
    }
}
