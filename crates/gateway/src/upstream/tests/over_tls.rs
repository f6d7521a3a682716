//! The same client over TLS: who is not let near a request, and that all else is as in clear.

use ringfence_testkit::{Certificates, certificates, certificates_for};
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::*;
use crate::tls::CertificatePaths;

/// An upstream that plays `script` for each connection whose handshake succeeds. Its address trusts the authority of `files`.
async fn upstream_tls<F, Played>(files: &Certificates, config: Arc<ServerConfig>, script: F) -> Upstream
where
    F: Fn(usize, Peer<TlsStream<TcpStream>>) -> Played + Send + Sync + 'static,
    Played: Future<Output = ()> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(config);
    let script = Arc::new(script);
    let upstream = Upstream::start(move |number, Peer { stream, .. }| {
        let (acceptor, script) = (acceptor.clone(), Arc::clone(&script));
        async move {
            // A handshake that fails is what some tests are about.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            script(number, Peer { stream, read: Vec::new() }).await;
        }
    })
    .await;
    over_tls(upstream, Some(files))
}

/// The same upstream, asked over TLS; by public authorities where there are no files.
fn over_tls(upstream: Upstream, files: Option<&Certificates>) -> Upstream {
    let address: UpstreamAddress = upstream.address.to_string().replace("http:", "https:").parse().unwrap();
    let tls = UpstreamTls::load(files.map(Certificates::authority_path).as_deref(), None).unwrap();
    Upstream { address: address.with_tls(&tls, None), ..upstream }
}

/// Answers every request with `ok`.
async fn saying_ok(files: &Certificates, config: Arc<ServerConfig>) -> Upstream {
    upstream_tls(files, config, |_, mut peer| async move {
        while peer.request().await.is_some() {
            peer.say(OK).await;
        }
    })
    .await
}

#[track_caller]
fn assert_fault(error: &UpstreamError, expected: TlsFault) {
    let UpstreamError::Tls { fault, .. } = error else { panic!("{error:?}") };
    assert_eq!(*fault, expected, "{error}");
    assert!(!error.request_was_sent() && !error.is_timeout(), "{error}");
}

#[tokio::test]
async fn an_upstream_that_does_not_prove_who_it_is_sees_nothing_of_a_request() {
    let files = certificates();
    let mut cases = Vec::new();
    files.renew_for_years(2001, 2002);
    cases.push((files.server_config(&[]), None, TlsFault::Expired));
    files.renew_for_years(4000, 4001);
    cases.push((files.server_config(&[]), None, TlsFault::NotYetValid));
    files.renew();
    cases.push((files.server_config(&[]), Some("app.internal"), TlsFault::WrongName));
    // Of the same name as the one that is trusted, and of another: an authority is known by its key.
    cases.push((certificates().server_config(&[]), None, TlsFault::UnknownAuthority));
    for (config, name, expected) in cases {
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&seen);
        let mut upstream = upstream_tls(&files, config, move |_, mut peer| {
            let counter = Arc::clone(&counter);
            async move {
                // With TLS 1.3 the server's side of a handshake may end well before ours refuses.
                while peer.more().await.is_some() {}
                counter.fetch_add(peer.read.len(), Ordering::SeqCst);
            }
        })
        .await;
        if let Some(name) = name {
            let (tls, _) = upstream.address.proves().unwrap();
            upstream.address = upstream.address.with_tls(tls, Some(name.parse().unwrap()));
        }
        let error = error(&client(), upstream.post()).await;
        assert_fault(&error, expected);
        assert_eq!((seen.load(Ordering::SeqCst), upstream.accepted()), (0, 1), "{expected:?}");
    }
}

#[tokio::test]
async fn a_private_authority_is_unknown_until_it_is_named() {
    let files = certificates();
    let upstream = saying_ok(&files, files.server_config(&[])).await;
    let public: UpstreamAddress = upstream.address.to_string().parse().unwrap();
    assert_fault(
        &error(&client(), Exchange { address: &public, ..upstream.post() }).await,
        TlsFault::UnknownAuthority,
    );
    assert_eq!(text(&client(), upstream.post()).await, "ok");
}

#[tokio::test]
async fn an_upstream_that_speaks_plain_http_gets_no_request() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    let plain = Upstream::start(move |_, mut peer| {
        let counter = Arc::clone(&counter);
        async move {
            peer.more().await;
            peer.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
            peer.until_closed().await;
            counter
                .fetch_add(usize::from(peer.read.windows(4).any(|part| part == b"POST")), Ordering::SeqCst);
        }
    })
    .await;
    let upstream = over_tls(plain, None);
    assert_fault(&error(&client(), upstream.post()).await, TlsFault::NotTls);
    assert_eq!(seen.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_upstream_that_hangs_up_within_the_handshake_is_told_from_one_that_refuses() {
    let closing = Upstream::start(|_, mut peer| async move { _ = peer.more().await }).await;
    assert_fault(&error(&client(), over_tls(closing, None).post()).await, TlsFault::Closed);
    // A fatal alert: handshake_failure.
    let refusing = Upstream::start(|_, mut peer| async move {
        peer.more().await;
        peer.say([21, 3, 3, 0, 2, 2, 40]).await;
        peer.until_closed().await;
    })
    .await;
    assert_fault(&error(&client(), over_tls(refusing, None).post()).await, TlsFault::Alert);
    let files = certificates();
    let only_h2 = saying_ok(&files, files.server_config(&[b"h2"])).await;
    assert_fault(&error(&client(), only_h2.post()).await, TlsFault::Alert);
}

#[tokio::test]
async fn a_handshake_that_hangs_ends_with_the_time_of_the_request() {
    let (begun, has_begun) = oneshot::channel();
    let begun = std::sync::Mutex::new(Some(begun));
    let hanging = Upstream::start(move |_, mut peer| {
        let begun = begun.lock().unwrap().take().unwrap();
        async move {
            peer.more().await;
            begun.send(()).unwrap();
            peer.until_closed().await;
        }
    })
    .await;
    let upstream = over_tls(hanging, None);
    let asking = tokio::spawn(async move { error(&client(), upstream.post()).await });
    has_begun.await.unwrap();
    tokio::time::pause();
    advance(Duration::from_secs(11)).await;
    let error = asking.await.unwrap();
    assert!(matches!(error, UpstreamError::TimedOut(Stage::Handshake)), "{error:?}");
    assert!(error.is_timeout() && !error.request_was_sent());
}

#[tokio::test]
async fn a_certificate_is_shown_where_it_is_demanded_and_its_absence_is_no_closed_connection() {
    let files = certificates();
    let upstream = saying_ok(&files, files.server_config_for_known(&[])).await;
    let nameless = error(&client(), upstream.post()).await;
    // With TLS 1.3 the refusal comes after the handshake, when the request was on its way.
    let UpstreamError::Tls { fault: TlsFault::Alert, sent: true, .. } = nameless else {
        panic!("{nameless:?}")
    };
    let (chain, key) = files.client_paths();
    let identity = CertificatePaths { chain, key };
    let known = UpstreamTls::load(Some(&files.authority_path()), Some(&identity)).unwrap();
    assert!(known.identity_validity().is_some());
    let address = upstream.address.with_tls(&known, None);
    assert_eq!(text(&client(), Exchange { address: &address, ..upstream.post() }).await, "ok");
    // A stranger's certificate is none.
    let stranger = certificates();
    let (chain, key) = stranger.client_paths();
    let stranger =
        UpstreamTls::load(Some(&files.authority_path()), Some(&CertificatePaths { chain, key })).unwrap();
    let address = upstream.address.with_tls(&stranger, None);
    let refused = error(&client(), Exchange { address: &address, ..upstream.post() }).await;
    assert!(matches!(refused, UpstreamError::Tls { fault: TlsFault::Alert, .. }), "{refused:?}");
}

#[tokio::test]
async fn a_connection_is_kept_and_used_again_as_in_clear() {
    let files = certificates();
    let upstream = saying_ok(&files, files.server_config(&[b"http/1.1"])).await;
    let client = client();
    for _ in 0..3 {
        assert_eq!(text(&client, upstream.post()).await, "ok");
    }
    assert_eq!((upstream.accepted(), client.idle()), (1, 1));
}

#[tokio::test]
async fn a_connection_made_under_other_files_is_not_used_again() {
    let files = certificates();
    let upstream = saying_ok(&files, files.server_config(&[])).await;
    let client = client();
    assert_eq!(text(&client, upstream.post()).await, "ok");
    let read_anew = UpstreamTls::load(Some(&files.authority_path()), None).unwrap();
    let address = upstream.address.with_tls(&read_anew, None);
    assert_eq!(text(&client, Exchange { address: &address, ..upstream.post() }).await, "ok");
    let named = upstream.address.with_tls(&read_anew, Some("app.internal".parse().unwrap()));
    assert_fault(&error(&client, Exchange { address: &named, ..upstream.post() }).await, TlsFault::WrongName);
    assert_eq!(upstream.accepted(), 3);
}

#[tokio::test]
async fn large_bodies_pass_both_ways_unchanged() {
    const SIZE: usize = 1_000_000;
    let files = certificates();
    let upstream = upstream_tls(&files, files.server_config(&[]), |_, mut peer| async move {
        let request = peer.request().await.unwrap();
        let body = request.split_once("\r\n\r\n").unwrap().1;
        peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
        peer.until_closed().await;
    })
    .await;
    let body: String = (0..SIZE).map(|at| char::from(b'a' + u8::try_from(at % 23).unwrap())).collect();
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n");
    let deadline = Instant::now() + Duration::from_mins(1);
    let exchange =
        Exchange { head: head.as_bytes(), body: Bytes::from(body.clone()), deadline, ..upstream.post() };
    let client = client();
    assert!(text(&client, exchange).await == body, "another body came back");
    assert_eq!(client.idle(), 1);
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_whole_only_where_tls_says_so() {
    let files = certificates();
    let half = |says_so: bool| {
        upstream_tls(&files, files.server_config(&[]), move |_, mut peer| async move {
            peer.request().await;
            peer.say("HTTP/1.1 200 OK\r\n\r\nall of it").await;
            if says_so {
                peer.stream.shutdown().await.unwrap();
            }
        })
    };
    let client = client();
    assert_eq!(text(&client, half(true).await.post()).await, "all of it");
    let cut = half(false).await;
    let cut = whole(answer(&client, cut.post()).await.body).await;
    assert!(matches!(cut, Err(UpstreamError::AnswerCutShort(Some(_)))), "{cut:?}");
}

#[tokio::test]
async fn an_answer_that_is_reset_half_way_is_cut_short() {
    let files = certificates();
    let (go, told) = oneshot::channel::<()>();
    let told = std::sync::Mutex::new(Some(told));
    let upstream = upstream_tls(&files, files.server_config(&[]), move |_, mut peer| {
        let told = told.lock().unwrap().take().unwrap();
        async move {
            peer.request().await;
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhalf").await;
            told.await.unwrap();
            peer.stream.get_ref().0.set_zero_linger().unwrap();
        }
    })
    .await;
    let mut body = answer(&client(), upstream.post()).await.body;
    assert_eq!(next(&mut body).await.unwrap().unwrap(), "half");
    go.send(()).unwrap();
    let error = next(&mut body).await.unwrap();
    assert!(matches!(error, Err(UpstreamError::AnswerCutShort(Some(_)))), "{error:?}");
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn a_post_that_may_have_arrived_over_tls_is_not_sent_twice() {
    let files = certificates();
    let upstream = upstream_tls(&files, files.server_config(&[]), |_, mut peer| async move {
        peer.request().await;
        peer.say(OK).await;
        peer.request().await;
    })
    .await;
    let client = client();
    assert_eq!(text(&client, upstream.post()).await, "ok");
    let error = error(&client, upstream.post()).await;
    assert!(matches!(error, UpstreamError::ClosedEarly { sent: true, .. }), "{error:?}");
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn a_post_of_which_nothing_left_tls_is_sent_on_a_new_connection() {
    let files = certificates();
    let (go, told) = oneshot::channel::<()>();
    let (reset, was_reset) = oneshot::channel::<()>();
    let channels = std::sync::Mutex::new(Some((told, reset)));
    let upstream = upstream_tls(&files, files.server_config(&[]), move |_, mut peer| {
        let channels = channels.lock().unwrap().take();
        async move {
            peer.request().await;
            peer.say(OK).await;
            let Some((told, reset)) = channels else { return peer.until_closed().await };
            told.await.unwrap();
            // The reset arrives, but the client's runtime has not looked at its sockets when it writes.
            peer.stream.get_ref().0.set_zero_linger().unwrap();
            drop(peer);
            reset.send(()).unwrap();
        }
    })
    .await;
    assert_eq!(posts_around_a_reset(upstream, go, was_reset).await, 2);
}

#[tokio::test]
async fn a_kept_connection_that_tls_has_ended_is_not_used_again() {
    let files = certificates();
    let upstream = upstream_tls(&files, files.server_config(&[]), |_, mut peer| async move {
        peer.request().await;
        peer.say(OK).await;
        // The network's connection stays: TLS alone says that nothing more is read.
        peer.stream.get_mut().1.send_close_notify();
        peer.stream.flush().await.unwrap();
        peer.until_closed().await;
    })
    .await;
    let client = client();
    for round in 1..=3 {
        assert_eq!(text(&client, upstream.post()).await, "ok");
        assert_eq!(upstream.accepted(), round);
        let seen = async {
            while client.idle() > 0 {
                client.close_idle(Instant::now());
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(ringfence_testkit::PATIENCE, seen).await.expect("the end of TLS is seen");
    }
}

#[tokio::test]
async fn an_upgrade_over_tls_hands_over_the_connection_with_what_it_said_already() {
    let files = certificates();
    let upstream = upstream_tls(&files, files.server_config(&[]), |_, mut peer| async move {
        peer.head().await;
        peer.say("HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst").await;
        let echo = peer.exactly(4).await.unwrap();
        peer.say(echo).await;
        peer.stream.shutdown().await.unwrap();
    })
    .await;
    let outcome = client().send(Exchange { upgrade: true, ..upstream.get() }).await.unwrap();
    let Outcome::Upgraded { mut stream, leftover, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(leftover, "first");
    stream.write_all(b"ping").await.unwrap();
    stream.flush().await.unwrap();
    let mut echo = String::new();
    stream.read_to_string(&mut echo).await.unwrap();
    assert_eq!(echo, "ping");
}

#[tokio::test]
async fn an_upstream_is_told_that_a_connection_ends_and_sees_none_cut() {
    let files = certificates();
    let (ended, how) = oneshot::channel();
    let ended = std::sync::Mutex::new(Some(ended));
    let upstream = upstream_tls(&files, files.server_config(&[]), move |_, mut peer| {
        let ended = ended.lock().unwrap().take().unwrap();
        async move {
            peer.request().await;
            peer.say(OK).await;
            ended.send(peer.stream.read(&mut [0]).await.is_ok_and(|read| read == 0)).unwrap();
        }
    })
    .await;
    let client = client();
    assert_eq!(text(&client, upstream.post()).await, "ok");
    drop(client);
    assert!(how.await.unwrap(), "the connection was cut without a word");
}

#[tokio::test]
async fn a_name_with_an_underscore_can_be_proved() {
    let files = certificates_for(&["app_1.internal"]);
    let upstream = saying_ok(&files, files.server_config(&[])).await;
    let (tls, _) = upstream.address.proves().unwrap();
    let address = upstream.address.with_tls(tls, Some("App_1.internal".parse().unwrap()));
    assert_eq!(text(&client(), Exchange { address: &address, ..upstream.post() }).await, "ok");
}
