//! Going to another account: the one place where a session changes what it looks at. That account asks for what it demands
//! itself, so this leads inside, or to the second factor and from there inside. Until that was shown the session stays where
//! it is, so that whoever turns back has lost nothing. Whoever has only typed the password signs in to the other one instead.

use bytes::Bytes;
use http::Response;
use ringfence_control::people::{Refused, Step};
use ringfence_store::{Session, Stage, Where};

use super::{Door, second_factor, with_to};
use crate::failed::Failed;
use crate::form::Fields;
use crate::typed::Kept;
use crate::words;

/// Its path.
const PATH: &str = "/go-to";

pub(crate) async fn go_to(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let begun = door.session.as_ref().filter(|(_, session)| session.stage != Stage::Binding);
    let Some((token, session)) = begun else {
        return Ok(words::redirect(&with_to("/sign-in", &door.to())));
    };
    door.check_csrf()?;
    let place = Where::from_text(door.form.get("account")).ok_or(Failed::NotFound)?;
    if session.stage == Stage::SecondFactor {
        return match door.people.turn_to(token, session, place, &door.known(), &door.visitor()).await {
            Ok(step) => Ok(door.go(&step, &door.to())),
            Err(Refused::Forbidden) => Err(Failed::NotFound),
            Err(Refused::Over) => Ok(words::redirect(&with_to("/sign-in", &door.to()))),
            Err(refused) => second_factor::refused(&door, session, refused).await,
        };
    }
    match door.people.go_to(token, session, place, &door.known(), &door.visitor()).await {
        Ok(step @ Step::Ask { .. }) => {
            let own = format!("{PATH}?account={}", words::query_value(door.form.get("account")));
            Ok(door.go(&step, &own))
        }
        Ok(step) => Ok(door.go(&step, &door.typed_there(session, place))),
        // For whom it is not, it is not there.
        Err(Refused::Forbidden) => Err(Failed::NotFound),
        // Another tab was quicker.
        Err(Refused::Over) => Ok(words::redirect("/")),
        Err(refused) => Err(Failed::of_people(refused)),
    }
}

impl Door<'_> {
    /// The account that somebody who is inside elsewhere goes to, and is asked for the sake of.
    pub(super) fn going_to(&self) -> Option<Where> {
        let (_, session) = self.session.as_ref().filter(|(_, session)| session.stage == Stage::Inside)?;
        let to = self.to();
        let query = to.strip_prefix(PATH)?.strip_prefix('?')?;
        let place = Where::from_text(Fields::of(query.as_bytes()).get("account"))?;
        session.person.role(place).map(|_| place)
    }

    /// The page whose form has what they typed for where they go; else the first page.
    fn typed_there(&self, session: &Session, place: Where) -> String {
        let typed = Kept::sent(self.headers, self.caller.is_https);
        let own = typed.filter(|typed| typed.is_of(&session.person.id));
        own.and_then(|typed| typed.page_there(place)).unwrap_or_else(|| "/".to_owned())
    }

    /// Where somebody is who has shown a second factor: at the account that it was for, or on the way they were going.
    pub(super) async fn arrive(&self, shown: Step) -> Result<Response<Bytes>, Failed> {
        let (Some(place), Step::Inside { token, device, mark }) = (self.going_to(), &shown) else {
            return Ok(self.go(&shown, &self.to()));
        };
        let session = self.people.session(token).await.map_err(Failed::of_people)?;
        let Some(session) = session else { return Ok(self.go(&shown, PATH)) };
        match self.people.go_to(token, &session, place, &self.known(), &self.visitor()).await {
            Ok(Step::Inside { token, device: next, .. }) => {
                let device = device.clone().or(next);
                let there = self.typed_there(&session, place);
                Ok(self.go(&Step::Inside { token, device, mark: mark.clone() }, &there))
            }
            // It was shown and counts, here at least: the page of all accounts says what there is.
            Ok(_) | Err(_) => Ok(self.go(&shown, PATH)),
        }
    }
}
