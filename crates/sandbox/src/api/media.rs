//! Media of messages: <https://www.twilio.com/docs/messaging/api/media-resource>.
//!
//! One path has both: with `.json` what is known of a file, without it the file itself, which anybody may fetch
//! unless the settings want credentials for it.

use ringfence_model::Sid;
use ringfence_twilio::wire::{self, Rfc2822};

use super::dates::Dates;
use super::operation::{Access, Operation, Product, Verb};
use super::{Refusal, Reply, Request, list_2010};
use crate::world::World;
use crate::world::media::{self, Media};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        Product::Api,
        Verb::Get,
        "/2010-04-01/Accounts/{AccountSid}/Messages/{MessageSid}/Media.json",
        list,
    ),
    Operation::new(
        Product::Api,
        Verb::Get,
        "/2010-04-01/Accounts/{AccountSid}/Messages/{MessageSid}/Media/{Sid}.json",
        fetch,
    )
    .only(Access::OpenFile),
    Operation::new(
        Product::Api,
        Verb::Delete,
        "/2010-04-01/Accounts/{AccountSid}/Messages/{MessageSid}/Media/{Sid}.json",
        delete,
    ),
];

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let message = request.sid("MessageSid")?;
    let message = world.messages.find_of(request.account, message).ok_or_else(|| request.not_found())?;
    let created = Dates::of(request, "DateCreated")?;
    let files = message.media.iter().filter_map(|sid| world.media.find(*sid));
    let rows = files.filter(|media| created.contain(Some(media.created)));
    list_2010(request, "media_list", rows, |media| media.sid, |media| wire_media(media))
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let media = find(world, request)?;
    if super::names_json(&request.path) {
        return Ok(Reply::ok(&wire_media(media)));
    }
    // Under Twilio's own names the storage is Twilio's own as well, and not here.
    let elsewhere = request.root().filter(|_| world.settings.media_redirects).and_then(|root| {
        let path = media::signed_path(world, media)?;
        Some(format!("{root}{path}"))
    });
    Ok(match elsewhere {
        Some(location) => Reply::elsewhere(location),
        None => Reply::file(media.content_type, media.content()),
    })
}

fn delete(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = find(world, request)?.sid;
    world.media.remove_of(request.account, sid);
    world.touch();
    Ok(Reply::deleted())
}

fn find<'a>(world: &'a World, request: &Request) -> Result<&'a Media, Refusal> {
    let (message, sid): (Sid, Sid) = (request.sid("MessageSid")?, request.sid("Sid")?);
    world
        .media
        .find_of(request.account, sid)
        .filter(|media| media.message == message)
        .ok_or_else(|| request.not_found())
}

fn wire_media(media: &Media) -> wire::Media {
    wire::Media {
        sid: media.sid.to_string(),
        account_sid: media.account.to_string(),
        parent_sid: Some(media.message.to_string()),
        content_type: Some(media.content_type.to_owned()),
        date_created: Some(Rfc2822(media.created)),
        date_updated: Some(Rfc2822(media.created)),
        uri: format!("{}.json", media.path()),
    }
}
