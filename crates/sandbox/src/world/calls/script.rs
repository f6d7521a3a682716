//! TwiML carried out, verb by verb.
//!
//! What takes time plans the next verb for when it is over; what takes none goes on at once, in a loop rather than
//! by recursion, so a document of thousands of verbs is harmless. A document that cannot be had, read or understood
//! leads to the fallback URL, and where there is none, to Twilio's apology and the end of the call.

use ringfence_model::Sid;
use ringfence_twilio::twiml::{self, RejectReason, Say, Verb};

use super::life;
use super::{Call, Direction, Doing, End, LineKind, State, Step, dial, gather, hooks, phone, record};

use crate::world::webhooks::{self, Target};
use crate::world::{Due, World};

/// A document, and how far it was carried out.
#[derive(Debug, Clone, Default)]
pub(super) struct Script {
    verbs: Vec<Verb>,
    at: usize,
}

/// How long something goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasts {
    Ms(u64),
    /// Until somebody hangs up or presses a key.
    Forever,
}

/// An answer's turn: it is read and carried out.
pub(super) fn read(world: &mut World, sid: Sid, content_type: &str, body: &[u8]) {
    match document(content_type, body) {
        Ok(response) => carry_out(world, sid, response),
        Err((code, why)) => trouble(world, sid, code, &why),
    }
}

/// What an answer says, by its content type: <https://www.twilio.com/docs/voice/twiml#twilio-understands-mime-types>.
fn document(content_type: &str, body: &[u8]) -> Result<twiml::Response, (u32, String)> {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let one = |verb| twiml::Response { verbs: vec![verb], warnings: Vec::new() };
    match kind.as_str() {
        "text/xml" | "application/xml" | "text/html" => {
            twiml::parse(body).map_err(|invalid| (invalid.code(), invalid.to_string()))
        }
        "text/plain" => {
            let text = String::from_utf8_lossy(body).split_whitespace().collect::<Vec<_>>().join(" ");
            Ok(one(Verb::Say(Say { text, voice: None, language: None, times: 1 })))
        }
        // The answer is the file itself.
        audio if audio.starts_with("audio/") => {
            Ok(one(Verb::Play(twiml::Play { url: format!("({audio})"), digits: None, times: 1 })))
        }
        "" => Err((12300, "the answer has no content type".to_owned())),
        other => {
            let shown: String = other.chars().take(64).collect();
            Err((12300, format!("the content type {shown} is none that a call can go on with")))
        }
    }
}

fn carry_out(world: &mut World, sid: Sid, response: twiml::Response) {
    for warning in &response.warnings {
        phone::note(world, sid, &format!("Warning 12200: {warning}."));
        alert(world, sid, 12200, &warning.to_string());
    }
    let Some(call) = world.calls.find(sid) else { return };
    if let (State::Ringing { .. }, Direction::Inbound) = (&call.state, call.direction) {
        if let Some(Verb::Reject(reject)) = response.verbs.first() {
            return life::end(
                world,
                sid,
                match reject.reason {
                    RejectReason::Busy => End::Busy,
                    RejectReason::Rejected => End::NoAnswer,
                },
            );
        }
        phone::answer_inbound(world, sid);
    }
    if let Some(talk) = world.calls.find_mut(sid).and_then(Call::talk_mut) {
        talk.script = Script { verbs: response.verbs, at: 0 };
        run(world, sid);
    }
}

/// There is no document, or none that can be used.
pub(super) fn trouble(world: &mut World, sid: Sid, code: u32, why: &str) {
    complain(world, sid, code, why);
    let Some(call) = world.calls.find(sid) else { return };
    let was_fallback = call.asked.as_ref().is_some_and(|asked| asked.is_fallback);
    match call.orders.fallback.clone().filter(|_| !was_fallback) {
        Some(fallback) => hooks::ask_fallback(world, sid, fallback, code),
        None => apologise(world, sid),
    }
}

/// Something went wrong, and the call goes on: its phone shows it, and the debugger.
pub(super) fn complain(world: &mut World, sid: Sid, code: u32, why: &str) {
    phone::note(world, sid, &format!("Error {code}: {why}."));
    alert(world, sid, code, why);
}

fn alert(world: &mut World, sid: Sid, code: u32, why: &str) {
    if let Some(account) = world.calls.find(sid).map(|call| call.account) {
        webhooks::alert(world, account, code, sid, why);
    }
}

/// The call cannot go on, whatever the application would answer.
pub(super) fn give_up(world: &mut World, sid: Sid, why: &str) {
    phone::note(world, sid, &format!("The call ends: {why}."));
    apologise(world, sid);
}

fn apologise(world: &mut World, sid: Sid) {
    phone::answer_inbound(world, sid);
    let text = "We are sorry, an application error has occurred. Goodbye.".to_owned();
    let verbs = vec![Verb::Say(Say { text, voice: None, language: None, times: 1 }), Verb::Hangup];
    if let Some(call) = world.calls.find_mut(sid) {
        call.turn_to(Doing::Preparing);
        if let Some(talk) = call.talk_mut() {
            talk.script = Script { verbs, at: 0 };
            run(world, sid);
        }
    }
}

/// What the call was doing is over.
pub(super) fn next(world: &mut World, sid: Sid) {
    let Some(talk) = world.calls.find(sid).and_then(Call::talk) else { return };
    match &talk.doing {
        Doing::Gathering(_) => gather::go_on(world, sid),
        Doing::Recording(_) => record::silence(world, sid),
        Doing::Saying | Doing::Preparing => run(world, sid),
        Doing::Asking | Doing::Dialling(_) | Doing::Connected => {}
    }
}

/// Carries verbs out until one takes time.
pub(super) fn run(world: &mut World, sid: Sid) {
    loop {
        let Some(talk) = world.calls.find_mut(sid).and_then(Call::talk_mut) else { return };
        let Some(verb) = talk.script.verbs.get(talk.script.at).cloned() else {
            return if dial::belongs_to_a_dial(world, sid) {
                dial::connect(world, sid);
            } else {
                life::end(world, sid, End::Completed);
            };
        };
        talk.script.at += 1;
        match verb {
            Verb::Say(_) | Verb::Play(_) | Verb::Pause(_) => {
                let lasts = perform(world, sid, &verb);
                if lasts != Lasts::Ms(0) {
                    return wait(world, sid, lasts, Doing::Saying);
                }
            }
            Verb::Message(message) => phone::send_message(world, sid, &message),
            Verb::Gather(gather) => return gather::begin(world, sid, gather),
            Verb::Record(record) => return record::begin(world, sid, record),
            Verb::Dial(dial) => return dial::begin(world, sid, &dial),
            Verb::Redirect(redirect) => {
                return match target(world, sid, Some(&redirect.url), redirect.method) {
                    Some(target) => hooks::ask(world, sid, "voice", target, Vec::new()),
                    None => trouble(world, sid, 11100, "a relative URL in TwiML that has no URL itself"),
                };
            }
            Verb::Hangup | Verb::Reject(_) => return life::end(world, sid, End::Completed),
            Verb::Other(element) => {
                let text = format!("<{}> is passed over: the sandbox does not carry it out.", element.name);
                phone::note(world, sid, &text);
            }
        }
    }
}

/// The call does this for so long; then comes what is next.
pub(super) fn wait(world: &mut World, sid: Sid, lasts: Lasts, doing: Doing) {
    let Some(call) = world.calls.find_mut(sid) else { return };
    let turn = call.turn_to(doing);
    world.touch();
    if let Lasts::Ms(ms) = lasts {
        world.plan_in_ms(ms, Due::Call(sid, Step::Next(turn)));
    }
}

/// Says, plays or pauses.
pub(super) fn perform(world: &mut World, sid: Sid, verb: &Verb) -> Lasts {
    let (kind, text, once_ms, times) = match verb {
        Verb::Say(say) => (LineKind::Said, say.text.clone(), speech_ms(world, &say.text), say.times),
        Verb::Play(play) => {
            if let Some(digits) = &play.digits {
                phone::send_keys(world, sid, digits);
                (LineKind::Played, digits.clone(), keys_ms(digits), play.times)
            } else {
                let ms = u64::from(world.settings.calls.talk_s) * 1000;
                (LineKind::Played, play.url.clone(), ms, play.times)
            }
        }
        Verb::Pause(pause) => return Lasts::Ms(u64::from(pause.length_s) * 1000),
        _ => return Lasts::Ms(0),
    };
    if text.is_empty() {
        return Lasts::Ms(0);
    }
    phone::line(world, sid, kind, text);
    match times {
        0 => Lasts::Forever,
        times => Lasts::Ms(once_ms.saturating_mul(u64::from(times))),
    }
}

/// How long a text takes to be spoken. Where words are not parted by spaces, six characters count as one.
fn speech_ms(world: &World, text: &str) -> u64 {
    let words = text.split_whitespace().count().max(text.chars().count().div_ceil(12));
    let words_per_minute = u64::from(world.settings.calls.words_per_minute.max(1));
    u64::try_from(words).unwrap_or(u64::MAX).saturating_mul(60_000) / words_per_minute
}

/// How long keys take to be played: `w` is half a second, `W` a whole one.
pub(super) fn keys_ms(digits: &str) -> u64 {
    digits
        .chars()
        .map(|key| match key {
            'w' => 500,
            'W' => 1000,
            _ => 200,
        })
        .sum()
}

/// Where an `action` or a `Redirect` leads. Absent: to the document's own URL. `None`: it is relative, or absent, in
/// TwiML that came without a URL.
pub(super) fn target(world: &World, sid: Sid, url: Option<&str>, method: twiml::Method) -> Option<Target> {
    let base = world.calls.find(sid)?.asked.as_ref().map(|asked| asked.url.as_str());
    let url = url.unwrap_or_default().trim();
    let url = match base {
        Some(base) => twiml::resolve(base, url),
        None if url.starts_with("http://") || url.starts_with("https://") => url.to_owned(),
        None => return None,
    };
    Some(Target { url, method: hooks::method(method) })
}

/// A verb with an `action` is over: the action says how to go on, and where it leads nowhere, the next verb does.
pub(super) fn to_action(
    world: &mut World,
    sid: Sid,
    kind: &'static str,
    action: Option<Target>,
    params: Vec<(&'static str, String)>,
) {
    match action {
        Some(action) => hooks::ask(world, sid, kind, action, params),
        None => run(world, sid),
    }
}
