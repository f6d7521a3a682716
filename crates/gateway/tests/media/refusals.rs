//! Who may not see a file: one answer, and nothing is asked of Twilio.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ringfence_gateway::media::{LinkKey, MediaPath};
use ringfence_model::Clock as _;
use ringfence_testkit::Response;

use crate::world::{
    ACCOUNT, CHILD, SIGN_IN_HOST, STRANGER, World, media, media_of, operator, raw, recording, sign_in,
    sign_in_key,
};

/// Whatever a refusal shows.
fn shown(response: &Response) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let headers = response.headers.iter().filter(|(name, _)| name != "date").cloned().collect();
    (response.status, headers, response.body.clone())
}

#[tokio::test]
async fn altered_foreign_and_expired_links_get_one_answer_and_twilio_is_not_asked() {
    let world = World::new().await;
    let link = world.link(&media()).await;
    let (path, query) = link.split_once('?').unwrap();
    let (expires, signature) = query.split_once('&').unwrap();
    let foreign = LinkKey::new(&[9; 32]);
    let foreign = foreign.link(MediaPath::parse(&media()).unwrap(), world.clock.unix_seconds() + 60);
    let first = world.get(path, &[]).await;
    assert_eq!(first.status, 403);
    for target in [
        "/".to_owned(),
        "/favicon.ico".to_owned(),
        format!("{}?{query}", media_of(CHILD)),
        format!("{}?{query}", media().replace("0004", "0005")),
        format!("{}?{query}", recording("")),
        format!("{path}?{expires}0&{signature}"),
        format!("{path}?{signature}&{expires}"),
        format!("{path}?{query}&x=1"),
        format!("{path}?{expires}"),
        format!("{path}?"),
        format!("{path}.json?{query}"),
        format!("{path}/?{query}"),
        format!("/{path}?{query}"),
        format!("/api.twilio.com{path}?{query}"),
        path.replace("AC", "%41C") + "?" + query,
        foreign.to_string(),
    ] {
        let refused = world.get(&target, &[]).await;
        assert_eq!(shown(&refused), shown(&first), "{target}");
    }
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(shown(&world.get(&link, &[]).await), shown(&first));
    world.assert_nothing_was_asked();
    assert_eq!(world.counted("link_expired").await, 1);
    assert_eq!(world.counted("no_proof").await, 1);
    assert!(world.counted("link_forged").await >= 4);
}

#[tokio::test]
async fn an_account_that_is_not_known_here_has_no_files() {
    let world = World::new().await;
    let link = world.link(&media_of(STRANGER)).await;
    let refused = world.get(&link, &[]).await;
    assert_eq!(shown(&refused), shown(&world.get("/", &[]).await));
    world.assert_nothing_was_asked();
    assert_eq!(world.counted("unknown_account").await, 1);
}

#[tokio::test]
async fn files_are_only_read() {
    let world = World::new().await;
    let link = world.link(&media()).await;
    for method in ["POST", "DELETE", "PUT", "OPTIONS"] {
        let refused = world.send(raw(method, &link, &[], "")).await;
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    world.assert_nothing_was_asked();
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused() {
    let world = World::new().await;
    let link = world.link(&media()).await;
    for line in ["host: other.example", "x_forwarded_for: 1.2.3.4"] {
        assert_eq!(world.get(&link, &[line]).await.status, 400, "{line}");
    }
    world.assert_nothing_was_asked();
}

#[tokio::test]
async fn all_links_are_ended_at_once_and_new_ones_are_good() {
    let world = World::new().await;
    let link = world.link(&media()).await;
    assert_eq!(world.get(&link, &[]).await.status, 200);
    world.store.end_media_links(&operator(), "one was seen", world.clock.now()).await.unwrap();
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(world.get(&link, &[]).await.status, 403);
    assert_eq!(world.file(&media()).await.status, 200);
}

#[tokio::test]
async fn a_link_goes_on_to_count_while_the_store_is_away_and_none_does_before_its_key_is_known() {
    let world = World::new().await;
    let link = world.link(&media()).await;
    world.is_away.store(true, Ordering::SeqCst);
    let refused = world.get(&link, &[]).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    world.assert_nothing_was_asked();
    world.is_away.store(false, Ordering::SeqCst);
    assert_eq!(world.get(&link, &[]).await.status, 200);
    world.is_away.store(true, Ordering::SeqCst);
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(world.get(&link, &[]).await.status, 200);
    assert_eq!(world.get(&link.replace("signature=", "signature=0"), &[]).await.status, 403);
}

#[tokio::test]
async fn whoever_is_signed_in_sees_files_of_the_account_by_the_console_s_fresh_word_through_a_listed_proxy() {
    let sees = |account: Option<&'static str>, is_listed: bool| {
        World::with(move |settings| {
            settings.media.as_mut().unwrap().sign_in = Some(sign_in(account));
            if is_listed {
                settings.listen.trusted_proxies =
                    ringfence_gateway::forwarded::TrustedPeers::parse(["127.0.0.1"]).unwrap();
            }
        })
    };
    let user = "alice@example.com";
    let lines = |world: &World| {
        let stamp =
            sign_in_key().make(world.clock.unix_seconds(), &[SIGN_IN_HOST.as_bytes(), user.as_bytes()]);
        let stamp = std::str::from_utf8(stamp.as_bytes()).unwrap().to_owned();
        [format!("ringfence-user: {user}"), format!("ringfence-assertion: {stamp}")]
    };
    let world = sees(Some(ACCOUNT), false).await;
    let [name, stamp] = lines(&world);
    assert_eq!(world.get(&media(), &[&name, &stamp]).await.status, 403, "the peer is nobody's proxy");
    world.assert_nothing_was_asked();

    let world = sees(Some(ACCOUNT), true).await;
    let [name, stamp] = lines(&world);
    for lines in [&[&*name][..], &[&*stamp], &["ringfence-user: bob", &stamp], &[&name, &stamp, &name]] {
        assert_eq!(world.get(&media(), lines).await.status, 403, "{lines:?}");
    }
    assert_eq!(world.get(&media_of(CHILD), &[&name, &stamp]).await.status, 403);
    world.assert_nothing_was_asked();
    let served = world.get(&media(), &[&name, &stamp]).await;
    assert_eq!((served.status, served.header("cross-origin-resource-policy")), (200, Some("same-origin")));
    // A link that is bad does not become good because somebody is signed in, who would not know what was opened.
    assert_eq!(world.get(&format!("{}?expires=1", media()), &[&name, &stamp]).await.status, 403);
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(world.get(&media(), &[&name, &stamp]).await.status, 403);

    let world = sees(None, true).await;
    let [name, stamp] = lines(&world);
    assert_eq!(world.get(&media_of(CHILD), &[&name, &stamp]).await.status, 200);
}
