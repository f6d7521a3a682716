//! How a sandbox begins and ends.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use ringfence_sandbox::{Authority, Sandbox, SandboxError, SandboxOptions, Settings};
use ringfence_testkit::RawClient;
use tokio::sync::oneshot;

use crate::kit::{MachineClock, start};

fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port can be bound")
}

#[test]
fn settings_that_make_no_sense_stop_the_start() {
    let settings = Settings { trigger_interval_s: 0, ..Settings::default() };
    let options = SandboxOptions { settings, ..SandboxOptions::default() };
    let refused = Sandbox::new(options, &listener(), Arc::new(MachineClock));
    assert!(matches!(refused, Err(SandboxError::Settings(_))));
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_streams() {
    let listener = listener();
    let sandbox =
        Sandbox::new(SandboxOptions::default(), &listener, Arc::new(MachineClock)).expect("it begins");
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = {
        let sandbox = sandbox.clone();
        tokio::spawn(async move { sandbox.serve_until(listener, async { drop(stopped.await) }).await })
    };
    let mut idle = RawClient::connect(sandbox.address()).await.expect("it listens");
    let kept =
        idle.exchange("GET /_sandbox/clock HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("an answer");
    assert_eq!(kept.status, 200);
    let mut stream = RawClient::connect(sandbox.address()).await.expect("it listens");
    stream.send("GET /_sandbox/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it reads");
    assert_eq!(stream.read_head().await.expect("a head").status, 200);

    let mut silent = RawClient::connect(sandbox.address()).await.expect("it listens");

    let asked = std::time::Instant::now();
    stop.send(()).expect("it waits for that");
    let ended = tokio::time::timeout(Duration::from_secs(10), serving).await.expect("it stops");
    ended.expect("no panic").expect("no error");
    assert!(asked.elapsed() < Duration::from_secs(2), "nothing that is idle uses up the time of grace");
    assert!(idle.is_closed().await && silent.is_closed().await);
    assert!(RawClient::connect(sandbox.address()).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn an_authority_that_is_kept_is_the_same_in_the_next_run() {
    let first = start();
    let now = ringfence_model::Clock::unix_seconds(&MachineClock);
    let authority = Authority::new(now).expect("an authority");
    let again = Authority::from_pem(authority.certificate_pem(), authority.key_pem(), now).expect("the same");
    let options = SandboxOptions { authority: Some(Arc::new(again)), ..SandboxOptions::default() };
    let listener = listener();
    let second = Sandbox::new(options, &listener, Arc::new(MachineClock)).expect("it begins");
    assert_eq!(second.ca_pem(), authority.certificate_pem());
    assert_ne!(first.sandbox.ca_pem(), second.ca_pem(), "without one each run has its own");
}

#[tokio::test]
async fn settings_and_resets_by_hand() {
    let served = start();
    let sandbox = &served.sandbox;
    let before = sandbox.snapshot();
    sandbox.change_settings(|settings| settings.usage_lag_s = 3).expect("a good value");
    assert!(sandbox.change_settings(|settings| settings.trigger_interval_s = 0).is_err());
    assert_eq!((sandbox.settings().usage_lag_s, sandbox.settings().trigger_interval_s), (3, 60));
    sandbox.advance(Duration::from_hours(1)).await.expect("the clock is virtual");
    sandbox.reset();
    assert_eq!(sandbox.snapshot(), before);
}
