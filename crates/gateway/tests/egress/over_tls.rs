//! A Twilio that is spoken to over TLS.

use ringfence_gateway::settings::{Settings, TwilioTls};
use ringfence_testkit::{Certificates, Upstream, certificates};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::world::{Setup, World, answer, settings};

/// Has Twilio be at this port of `localhost`, with a certificate that the authority of `files` must have signed.
fn lead_to(port: u16, files: &Certificates, settings: &mut Settings) {
    let authority = CertificateDer::from_pem_file(files.authority_path()).unwrap();
    let egress = settings.egress.as_mut().unwrap();
    egress.twilio = format!("https://localhost:{port}").parse().unwrap();
    egress.tls = TwilioTls::new(&[authority]).unwrap();
}

#[tokio::test]
async fn whom_a_reload_takes_for_twilio_holds_from_the_next_request_on() {
    let (old, new) = (certificates(), certificates());
    let upstream =
        Upstream::start_tls(old.server_config(&[b"http/1.1"]), |request| async move { answer(&request) })
            .await;
    let at = upstream.address();
    let mut first = settings(at);
    lead_to(at.port(), &old, &mut first);
    let change = Box::new(move |settings: &mut Settings| *settings = first);
    let world = World::before(upstream, Setup { change, ..Setup::default() }).await;
    let key = world.key().await;
    let reload = |files: &Certificates| {
        let mut changed = settings(at);
        lead_to(at.port(), files, &mut changed);
        assert_eq!(world.gateway.reload(changed).unwrap().needs_restart, Vec::<&str>::new());
    };
    for _ in 0..4 {
        assert_eq!(world.message(&key).await.status, 201);
    }
    assert!(world.upstream.as_ref().unwrap().connections() < 4, "connections are kept");
    // Those that were kept proved themselves to an authority that is not trusted any more.
    reload(&new);
    for _ in 0..4 {
        let refused = world.message(&key).await;
        assert_eq!(refused.status, 502, "{}", refused.text());
        assert!(refused.text().contains("84050"), "nothing was sent: {}", refused.text());
    }
    assert_eq!(world.requests().len(), 4);
    reload(&old);
    assert_eq!(world.message(&key).await.status, 201);
}
