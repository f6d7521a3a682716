//! The first chapter: be Twilio, then be somebody else.
//!
//! What the visitor types is sent to the gate, signed by the sandbox as Twilio would, or forged from a genuine request that
//! somebody has seen. What is shown is what came of it: the status, what the application received, and what an operator's
//! `explain` finds in the very bytes that were sent.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

use super::{Form, Page, leading_to};
use crate::commands::demo::World;
use crate::commands::demo::gate::{Act, Seen, watch};
use crate::commands::demo::operator::{self, Typed};
use crate::commands::demo::twilio::{Delivery, PHONE};

/// So many are remembered.
const KEPT: usize = 6;
/// More than this is not typed into a text.
const TEXT_MAX: usize = 320;

/// What has been tried.
#[derive(Debug)]
pub(super) struct State {
    /// What the visitor last typed.
    pub(super) from: String,
    pub(super) body: String,
    /// The last genuine request, with what was typed for it: what somebody who listens has.
    seen: Option<(String, String, Delivery)>,
    /// Makes each message one of its own.
    count: u32,
    /// Newest first.
    pub(super) tries: VecDeque<Try>,
}

/// One that was sent.
#[derive(Debug, Clone)]
pub(super) struct Try {
    pub(super) what: &'static str,
    /// What somebody does who does it.
    pub(super) about: &'static str,
    /// What the visitor had typed.
    pub(super) body: String,
    pub(super) seen: Seen,
    pub(super) explained: Typed,
}

impl Default for State {
    fn default() -> Self {
        Self {
            from: PHONE.to_owned(),
            body: "Please cancel order 4711".to_owned(),
            seen: None,
            count: 0,
            tries: VecDeque::new(),
        }
    }
}

/// What a button of the chapter does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Genuine,
    NoSignature,
    WrongToken,
    Letter,
    Elsewhere,
    Replay,
}

impl How {
    pub(super) const ALL: [Self; 6] =
        [Self::Genuine, Self::NoSignature, Self::WrongToken, Self::Letter, Self::Elsewhere, Self::Replay];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Genuine => "genuine",
            Self::NoSignature => "no-signature",
            Self::WrongToken => "wrong-token",
            Self::Letter => "letter",
            Self::Elsewhere => "elsewhere",
            Self::Replay => "replay",
        }
    }

    /// What stands on the button.
    pub(super) fn button(self) -> &'static str {
        match self {
            Self::Genuine => "Send it as Twilio",
            Self::NoSignature => "Send it unsigned",
            Self::WrongToken => "Sign it with another token",
            Self::Letter => "Change one letter",
            Self::Elsewhere => "Send it to another URL",
            Self::Replay => "Send it once more",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::Genuine => "Twilio's own, signed with the account's auth token.",
            Self::NoSignature => "Somebody who knows the URL, and nothing else.",
            Self::WrongToken => "Somebody who knows how Twilio signs, but not with what.",
            Self::Letter => "Somebody who has seen a genuine request, and changes one letter of it.",
            Self::Elsewhere => "A genuine request, byte for byte, with something added to its URL.",
            Self::Replay => "A genuine request, byte for byte, sent once more.",
        }
    }
}

impl Page {
    pub(super) async fn forge(self: &Rc<Self>, form: &Form) -> Response<Bytes> {
        let how = How::ALL.into_iter().find(|how| how.word() == form.get("how")).unwrap_or(How::Genuine);
        let typed = |name| form.get(name).chars().take(TEXT_MAX).collect::<String>();
        let (from, body) = (typed("from"), typed("body"));
        let page = Rc::clone(self);
        self.forge.act("The request is on its way.", async move { page.send(how, from, body).await }).await;
        leading_to("forge")
    }

    async fn send(&self, how: How, from: String, body: String) -> anyhow::Result<()> {
        let (world, chapter) = (&self.world, &self.forge);
        chapter.with(|state| (state.from, state.body) = (from.clone(), body.clone()));
        let act = match how {
            How::Genuine => None,
            How::NoSignature | How::WrongToken => Some(Act::Forge(how.word(), self.params(&from, &body))),
            How::Letter | How::Elsewhere | How::Replay => {
                let known = chapter.with(|state| state.seen.clone());
                let delivery = match known.filter(|(of, text, _)| (of, text) == (&from, &body)) {
                    Some((_, _, delivery)) => delivery,
                    // Whoever changes a genuine request must have seen one.
                    None => self.genuine(&from, &body).await?,
                };
                Some(made_of(how, delivery))
            }
        };
        match act {
            Some(act) => {
                let seen = watch(world, &act).await?;
                self.keep(how, body, seen).await
            }
            None => self.genuine(&from, &body).await.map(|_| ()),
        }
    }

    /// Sends a genuine one, and keeps it for whoever listens.
    async fn genuine(&self, from: &str, body: &str) -> anyhow::Result<Delivery> {
        let seen = watch(&self.world, &Act::Genuine(self.params(from, body))).await?;
        let delivery = seen.delivery.clone();
        let delivery = delivery.ok_or_else(|| anyhow::anyhow!("the sandbox sent nothing"))?;
        self.forge.with(|state| state.seen = Some((from.to_owned(), body.to_owned(), delivery.clone())));
        self.keep(How::Genuine, body.to_owned(), seen).await?;
        Ok(delivery)
    }

    async fn keep(&self, how: How, body: String, seen: Seen) -> anyhow::Result<()> {
        let explained = operator::explain(&self.world, &seen.request).await?;
        let (what, about) = (how.button(), how.about());
        self.forge.with(|state| {
            state.tries.push_front(Try { what, about, body, seen, explained });
            state.tries.truncate(KEPT);
        });
        Ok(())
    }

    /// What Twilio would send for a text.
    fn params(&self, from: &str, body: &str) -> Value {
        let World { twilio, .. } = &self.world;
        let count = self.forge.with(|state| {
            state.count += 1;
            state.count
        });
        // Those of the terminal count from 1.
        let sid = format!("SM{:032x}", 0x5ea0_0000 + u64::from(count));
        json!({
            "AccountSid": twilio.parent.sid,
            "ApiVersion": "2010-04-01",
            "Body": body,
            "From": from,
            "MessageSid": sid,
            "NumMedia": "0",
            "NumSegments": "1",
            "SmsStatus": "received",
            "To": twilio.parent.number,
        })
    }
}

/// What somebody makes of a genuine request.
fn made_of(how: How, genuine: Delivery) -> Act {
    let mut request = genuine.request.clone();
    match how {
        How::Letter => {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            request.body = other_letter(&body).into_bytes();
            Act::Send(request)
        }
        How::Elsewhere => {
            request.target.push_str("?user=admin");
            Act::Send(request)
        }
        How::Genuine | How::NoSignature | How::WrongToken | How::Replay => Act::Replay(genuine),
    }
}

/// A form whose `Body` has another letter in one place; where it has no letter, one more at its end.
fn other_letter(form: &str) -> String {
    let start = form.find("Body=").map_or(form.len(), |at| at + "Body=".len());
    let end = form[start..].find('&').map_or(form.len(), |length| start + length);
    let mut bytes = form.as_bytes().to_vec();
    let mut at = start;
    while at < end {
        match bytes[at] {
            // What is encoded takes three places.
            b'%' => at += 3,
            letter if letter.is_ascii_alphanumeric() => {
                bytes[at] = match letter {
                    b'z' | b'Z' | b'9' => letter - 1,
                    _ => letter + 1,
                };
                return String::from_utf8_lossy(&bytes).into_owned();
            }
            _ => at += 1,
        }
    }
    [&form[..end], "x", &form[end..]].concat()
}

#[cfg(test)]
mod tests {
    use super::other_letter;

    #[test]
    fn one_letter_of_the_body_is_another() {
        assert_eq!(other_letter("A=b&Body=cancel&To=1"), "A=b&Body=dancel&To=1");
        assert_eq!(other_letter("Body=%F0%9F%9A%80+z9"), "Body=%F0%9F%9A%80+y9");
        assert_eq!(other_letter("Body=%F0&From=1"), "Body=%F0x&From=1");
        assert_eq!(other_letter("Body=&From=1"), "Body=x&From=1");
        assert_eq!(other_letter("From=1"), "From=1x");
    }
}
