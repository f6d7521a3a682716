//! Leaving: the session is over here, not only forgotten there.

use bytes::Bytes;
use http::Response;
use http::header::SET_COOKIE;

use crate::cookies;
use crate::failed::Failed;
use crate::routes::Call;
use crate::{typed, words};

pub(crate) async fn sign_out(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let (person, session) = (&call.signed_in.person().id, &call.signed_in.session().id);
    let store = call.engine.store();
    store.end_sessions(&call.signed_in.actor(), person, Some(session), None, call.now).await?;
    let mut response = words::redirect("/sign-in");
    // Whichever of the two it was.
    for is_https in [true, false] {
        response.headers_mut().append(SET_COOKIE, cookies::forget(is_https));
        // Whoever signs in here next does not find what somebody else typed.
        response.headers_mut().append(SET_COOKIE, typed::forget(is_https));
    }
    Ok(response)
}
