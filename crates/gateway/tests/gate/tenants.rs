//! A gate for many tenants: nobody is admitted as somebody else.

use ringfence_signature::{AccountKeys, Keyring, Signer};
use ringfence_testkit::RawClient;

use crate::world::{ACCOUNT, NEIGHBOUR, NEIGHBOUR_TOKEN, World, call, sid, url, wire};

const TENANTS: usize = 300;

fn tenant(index: usize) -> String {
    format!("AC{index:032x}")
}

fn token(index: usize) -> String {
    format!("{:032x}", index + 0x1000)
}

#[tokio::test]
async fn a_subaccounts_handshake_or_event_names_nobody_and_is_known_by_its_key() {
    let world = World::new().await;
    let signed = Signer::token(NEIGHBOUR_TOKEN).get(&url("/twilio/media"));
    assert_eq!(world.send_signed(&signed).await.status, 200);
    let requests = world.upstream.requests();
    assert_eq!(requests[0].header("x-ringfence-account"), Some(NEIGHBOUR));
    // Whoever names the parent is not admitted by a child's key.
    let signed = Signer::token(NEIGHBOUR_TOKEN).form(&url("/twilio/voice"), call(ACCOUNT));
    assert_eq!(world.send_signed(&signed).await.status, 403);
}

#[tokio::test]
async fn no_tenant_of_300_is_admitted_as_another() {
    let world = World::with(|settings| {
        let keys = (0..TENANTS).map(|index| AccountKeys::new(sid(&tenant(index))).primary(&token(index)));
        settings.keyring = Keyring::new(keys).unwrap();
    })
    .await;
    let mut client = RawClient::connect(world.gate()).await.unwrap();
    let mut admitted = 0;
    for signer in 0..TENANTS {
        let twilio = Signer::token(&token(signer));
        for named in 0..TENANTS {
            let request = wire(&twilio.form(&url("/twilio/voice"), call(&tenant(named))));
            let status = client.exchange(request).await.unwrap().status;
            assert_eq!(status, if signer == named { 200 } else { 403 }, "{signer} signs as {named}");
            admitted += usize::from(status == 200);
        }
    }
    assert_eq!(admitted, TENANTS);
    let requests = world.upstream.requests();
    assert_eq!(requests.len(), TENANTS);
    for (index, request) in requests.iter().enumerate() {
        assert_eq!(request.header("x-ringfence-account"), Some(tenant(index).as_str()));
    }
}
