//! Going to another account: the one place where a session changes what it looks at. That account asks for what it demands
//! itself, so this leads inside, or to its second factor.

use bytes::Bytes;
use http::Response;
use ringfence_control::people::Refused;
use ringfence_store::{Stage, Where};

use super::{Door, with_to};
use crate::failed::Failed;
use crate::words;

pub(crate) async fn go_to(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let inside = door.session.as_ref().filter(|(_, session)| session.stage == Stage::Inside);
    let Some((token, session)) = inside else {
        return Ok(words::redirect(&with_to("/sign-in", &door.to())));
    };
    door.check_csrf()?;
    let place = Where::from_text(door.form.get("account")).ok_or(Failed::NotFound)?;
    match door.people.go_to(token, session, place, &door.known(), &door.visitor()).await {
        Ok(step) => Ok(door.go(&step, "/")),
        // For whom it is not, it is not there.
        Err(Refused::Forbidden) => Err(Failed::NotFound),
        // Another tab was quicker.
        Err(Refused::Over) => Ok(words::redirect("/")),
        Err(refused) => Err(Failed::of_people(refused)),
    }
}
