//! What is served, and what Twilio is asked for it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use ringfence_gateway::LearntAccount;
use ringfence_gateway::forwarded::TrustedPeers;
use ringfence_gateway::settings::{Settings, Tls, TwilioTls};
use ringfence_gateway::tls::CertificatePaths;
use ringfence_model::Secret;
use ringfence_testkit::{Answer, Certificates, RawClient, RawUpstream, Upstream, certificates};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::world::{
    ACCOUNT, CHILD, CHILD_TOKEN, PICTURE, STRANGER, TOKEN, World, authorization, media, media_of, picture,
    raw, recording, settings, sid,
};

#[tokio::test]
async fn a_file_comes_as_an_attachment_of_its_own_type_and_twilio_is_asked_with_the_account_s_own_token() {
    let world = World::new().await;
    let served = world.file(&media()).await;
    assert_eq!((served.status, served.body.as_slice()), (200, PICTURE));
    for (name, value) in [
        ("content-type", "image/png"),
        ("content-disposition", "attachment; filename=\"ME00000000000000000000000000000004.png\""),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("cache-control", "private, no-store"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(served.header(name), Some(value));
    }
    assert_eq!(world.file(&media_of(CHILD)).await.status, 200);
    let asked = world.requests();
    let of = |user: &str, token: &str| authorization(user, token).split_once(": ").unwrap().1.to_owned();
    assert_eq!(asked[0].target, format!("/api.twilio.com{}", media()));
    assert_eq!(asked[0].header("authorization"), Some(&*of(ACCOUNT, TOKEN)));
    assert_eq!(asked[1].header("authorization"), Some(&*of(CHILD, CHILD_TOKEN)));
    assert_eq!(world.counted("served").await, 2);
}

#[tokio::test]
async fn nothing_of_the_reader_reaches_twilio_but_the_part_that_is_asked_for() {
    let twilio = Upstream::start(|_| async {
        Answer::new(206, "PNG").header("content-type", "image/png").header("content-range", "bytes 1-3/16")
    });
    let world = World::before(twilio.await, |_| {}).await;
    let link = world.link(&media()).await;
    let lines = [
        "range: bytes=1-3",
        "cookie: a=b",
        "x-anything: c",
        "user-agent: browser",
        "referer: https://a.example/",
    ];
    let served = world.get(&link, &lines).await;
    assert_eq!((served.status, served.body.as_slice()), (206, &b"PNG"[..]));
    assert_eq!(
        (served.header("content-range"), served.header("content-length")),
        (Some("bytes 1-3/16"), Some("3"))
    );
    let asked = world.twilio.as_ref().unwrap().only_request();
    let mut names: Vec<_> = asked.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "accept-encoding", "authorization", "host", "range"]);
    assert_eq!(asked.header("range"), Some("bytes=1-3"));
}

#[tokio::test]
async fn the_head_of_a_file_is_asked_for_as_such() {
    let world = World::new().await;
    let link = world.link(&media()).await;
    let mut client = RawClient::connect(world.gateway.media_address().unwrap()).await.unwrap();
    client.send(raw("HEAD", &link, &[], "")).await.unwrap();
    let head = client.read_head().await.unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, Some(&*PICTURE.len().to_string())));
    assert_eq!(world.twilio.as_ref().unwrap().only_request().method, "HEAD");
}

#[tokio::test]
async fn a_page_that_somebody_sent_comes_as_bytes_to_be_kept() {
    let twilio = Upstream::start(|_| async {
        Answer::new(200, "<script>alert(1)</script>")
            .header("content-type", "text/html")
            .header("content-disposition", "inline")
            .header("set-cookie", "session=1")
    });
    let world = World::before(twilio.await, |_| {}).await;
    let served = world.file(&media()).await;
    assert_eq!(served.header("content-type"), Some("application/octet-stream"));
    assert!(served.header("content-disposition").unwrap().starts_with("attachment; filename=\"ME"));
    assert_eq!(served.header("set-cookie"), None);
}

#[tokio::test]
async fn what_twilio_does_not_give_is_told_in_plain_words() {
    for (status, told, outcome) in [
        (404, 404, "not_found"),
        (401, 502, "credentials_refused"),
        (403, 502, "credentials_refused"),
        (429, 503, "throttled"),
        (500, 502, "failed"),
        (503, 502, "failed"),
        (204, 502, "unusable_answer"),
    ] {
        let twilio = Upstream::start(move |_| async move { Answer::new(status, "{\"secret\":1}") });
        let world = World::before(twilio.await, |_| {}).await;
        let answered = world.file(&media()).await;
        assert_eq!((answered.status, world.counted(outcome).await), (told, 1), "{status}");
        assert!(
            !answered.text().contains("secret") && answered.text().contains("Twilio"),
            "{}",
            answered.text()
        );
    }
}

#[tokio::test]
async fn a_twilio_that_is_silent_or_away_or_breaks_off_is_told_as_such() {
    let silent = RawUpstream::silent().await;
    let world = World::at(silent.address(), |settings| {
        settings.media.as_mut().unwrap().timeout = Duration::from_millis(200);
    });
    let world = world.await;
    assert_eq!(world.file(&media()).await.status, 504);
    assert_eq!(world.counted("timed_out").await, 1);
    let gone = RawUpstream::replying("").await;
    let world = World::at(gone.address(), |_| {}).await;
    assert_eq!(world.file(&media()).await.status, 502);
    assert_eq!(world.counted("unreachable").await, 1);
}

#[tokio::test]
async fn a_file_over_the_bound_is_refused_by_its_length_and_cut_off_where_it_does_not_tell_one() {
    let small = |settings: &mut Settings| {
        settings.media.as_mut().unwrap().bytes_max = 10;
    };
    let world = World::before(Upstream::start(|_| async { picture() }).await, small).await;
    assert_eq!(world.file(&media()).await.status, 502);
    assert_eq!(world.counted("too_large").await, 1);

    let twilio = Upstream::start(|_| async {
        let (mut sender, answer) = Answer::streamed(200, 4);
        tokio::spawn(async move {
            for _ in 0..3 {
                if sender.send_data(Bytes::from_static(b"12345")).await.is_err() {
                    return;
                }
            }
        });
        answer
    });
    let world = World::before(twilio.await, small).await;
    let link = world.link(&media()).await;
    let mut client = RawClient::connect(world.gateway.media_address().unwrap()).await.unwrap();
    client.send(raw("GET", &link, &[], "")).await.unwrap();
    let text = String::from_utf8(client.read_to_end().await.unwrap()).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert_eq!(text.matches("12345").count(), 2, "{text}");
    assert!(!text.ends_with("0\r\n\r\n"), "it breaks off, and does not end: {text}");
}

#[tokio::test]
async fn a_recording_is_asked_for_in_the_format_of_its_path() {
    let twilio =
        Upstream::start(|_| async { Answer::new(200, "sound").header("content-type", "audio/mpeg") });
    let world = World::before(twilio.await, |_| {}).await;
    let served = world.file(&recording(".mp3")).await;
    let name = "attachment; filename=\"RE00000000000000000000000000000005.mp3\"";
    assert_eq!(
        (served.header("content-type"), served.header("content-disposition")),
        (Some("audio/mpeg"), Some(name))
    );
    let asked = world.twilio.as_ref().unwrap().only_request().target;
    assert_eq!(asked, format!("/api.twilio.com{}", recording(".mp3")));
}

#[tokio::test]
async fn an_account_that_is_found_while_it_runs_has_files_until_it_is_gone() {
    let world = World::new().await;
    let link = world.link(&media_of(STRANGER)).await;
    assert_eq!(world.get(&link, &[]).await.status, 403);
    let found = LearntAccount {
        sid: sid(STRANGER),
        parent: Some(sid(ACCOUNT)),
        auth_token: Secret::new("99999999999999999999999999999999"),
        friendly_name: "tenant".to_owned(),
        created: world.clock.now(),
    };
    world.gateway.keys().learn(vec![found]);
    assert_eq!(world.get(&link, &[]).await.status, 200);
    let own =
        authorization(STRANGER, "99999999999999999999999999999999").split_once(": ").unwrap().1.to_owned();
    assert_eq!(world.twilio.as_ref().unwrap().only_request().header("authorization"), Some(&*own));
    world.gateway.keys().learn(vec![]);
    assert_eq!(world.get(&link, &[]).await.status, 403);
}

#[tokio::test]
async fn off_loopback_without_tls_only_a_listed_proxy_is_heard() {
    let open = |settings: &mut Settings| settings.listen.media = Some("0.0.0.0:0".parse().unwrap());
    let target =
        |world: &World| SocketAddr::from(([127, 0, 0, 1], world.gateway.media_address().unwrap().port()));
    let get = async |world: &World| {
        let link = world.link(&media()).await;
        let mut client = RawClient::connect(target(world)).await.unwrap();
        client.exchange(raw("GET", &link, &[], "")).await.unwrap().status
    };
    let world = World::with(open).await;
    assert_eq!(get(&world).await, 403);
    let mut client = RawClient::connect(target(&world)).await.unwrap();
    let asked = client.exchange(raw("POST", "/v1/links", &[&world.key(|_| {}).await], "{}")).await.unwrap();
    assert_eq!(asked.status, 403, "no credential is heard in the clear");
    world.assert_nothing_was_asked();
    assert_eq!(world.counted("in_the_clear").await, 2);
    let world = World::with(|settings| {
        open(settings);
        settings.listen.trusted_proxies = TrustedPeers::parse(["127.0.0.1"]).unwrap();
    });
    assert_eq!(get(&world.await).await, 200);
}

#[tokio::test]
async fn a_reload_changes_what_is_served_and_names_what_waits_for_a_restart() {
    let world = World::new().await;
    let link = world.link(&media()).await;
    let address = world.twilio.as_ref().unwrap().address();
    let mut other = settings(address);
    other.media.as_mut().unwrap().accounts.retain(|account| account.sid == sid(CHILD));
    other.listen.media = world.gateway.media_address();
    assert_eq!(world.gateway.reload(other).unwrap().needs_restart, ["media.listen"]);
    assert_eq!(world.get(&link, &[]).await.status, 403, "the account is gone");
    let mut without = settings(address);
    without.media = None;
    world.gateway.reload(without).unwrap();
    assert_eq!(world.get(&link, &[]).await.status, 503);
    world.assert_nothing_was_asked();
}

#[tokio::test]
async fn whom_a_reload_takes_for_twilio_holds_from_the_next_file_on() {
    let (old, new) = (certificates(), certificates());
    let twilio = Upstream::start_tls(old.server_config(&[b"http/1.1"]), |_| async { picture() }).await;
    let at = twilio.address();
    let led_to = |files: &Certificates| {
        let mut settings = settings(at);
        let media = settings.media.as_mut().unwrap();
        media.twilio = format!("https://localhost:{}", at.port()).parse().unwrap();
        let authority = CertificateDer::from_pem_file(files.authority_path()).unwrap();
        media.tls = TwilioTls::new(&[authority]).unwrap();
        settings
    };
    let world = World::before(twilio, |settings| *settings = led_to(&old)).await;
    let link = world.link(&media()).await;
    let get = async || world.get(&link, &[]).await.status;
    assert_eq!(get().await, 200);
    world.gateway.reload(led_to(&new)).unwrap();
    assert_eq!(get().await, 502);
    world.gateway.reload(led_to(&old)).unwrap();
    assert_eq!(get().await, 200);
}

#[tokio::test]
async fn off_loopback_files_come_under_the_certificate_and_nothing_comes_in_the_clear() {
    let certificates = certificates();
    let paths = CertificatePaths { chain: certificates.chain_path(), key: certificates.key_path() };
    let world = World::with(|settings| {
        settings.listen.media = Some("0.0.0.0:0".parse().unwrap());
        settings.tls = Some(Tls::Files(paths));
    })
    .await;
    let address = SocketAddr::from(([127, 0, 0, 1], world.gateway.media_address().unwrap().port()));
    let link = world.link(&media()).await;
    let request = raw("GET", &link, &[], "");
    let mut clear = RawClient::connect(address).await.unwrap();
    assert!(clear.exchange(&request).await.is_err());
    world.assert_nothing_was_asked();
    let config = certificates.client_config(&[b"http/1.1"]);
    let mut client = RawClient::connect_tls(address, "localhost", config).await.unwrap();
    let served = client.exchange(&request).await.unwrap();
    assert_eq!((served.status, served.body.as_slice()), (200, PICTURE));
}
