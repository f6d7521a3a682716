//! What the rest of Ringfence hangs into the data plane.

use std::sync::{Arc, Mutex};

use ringfence_gateway::Hooks;
use ringfence_model::Sid;
use ringfence_signature::Signer;
use ringfence_testkit::Upstream;

use crate::world::{ACCOUNT, TOKEN, World, call, replaced, twilio, url, wire};

const UNKNOWN: &str = "AC0000000000000000000000000000dead";

/// A gate that notes whose keys it holds for stale.
async fn noting() -> (World, Arc<Mutex<Vec<Sid>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&told);
    let on_stale = Arc::new(move |account| noted.lock().unwrap().push(account));
    let hooks = Hooks { on_stale: Some(on_stale), ..Hooks::default() };
    (World::hooked(Upstream::saying("application").await, hooks, |_| {}), told)
}

#[tokio::test]
async fn what_newer_keys_would_not_change_has_nobody_look_for_them() {
    let (world, told) = noting().await;
    let genuine = wire(&twilio().form(&url("/twilio/voice"), call(ACCOUNT)));
    let unsigned = replaced(&genuine, "x-twilio-signature", "x-other");
    let of_another = wire(&twilio().form(&url("/twilio/voice"), call(crate::world::NEIGHBOUR)));
    let nameless = wire(&Signer::token(&TOKEN.replace('1', "9")).get(&url("/twilio/voice?a=1")));
    let no_account = wire(&Signer::token("x").form(&url("/twilio/voice"), call("CA0123")));
    for (request, status) in
        [(genuine, 200), (unsigned, 403), (of_another, 403), (nameless, 403), (no_account, 403)]
    {
        assert_eq!(world.send(request).await.status, status);
    }
    assert_eq!(*told.lock().unwrap(), []);
}

#[tokio::test]
async fn an_account_whose_signature_no_known_key_made_is_passed_on() {
    let (world, told) = noting().await;
    let rotated = Signer::token("99999999999999999999999999999999");
    for account in [ACCOUNT, UNKNOWN] {
        let form = rotated.form(&url("/twilio/voice"), call(account));
        assert_eq!(world.send_signed(&form).await.status, 403);
    }
    let query = rotated.get(&url(&format!("/twilio/voice?AccountSid={ACCOUNT}")));
    assert_eq!(world.send_signed(&query).await.status, 403);
    let told: Vec<_> = told.lock().unwrap().iter().map(Sid::to_string).collect();
    assert_eq!(told, [ACCOUNT, UNKNOWN, ACCOUNT]);
}

#[tokio::test]
async fn readyz_says_why_the_rest_of_ringfence_is_not_ready() {
    let why = Arc::new(Mutex::new(Some("the limits of node b differ".to_owned())));
    let asked = Arc::clone(&why);
    let readiness = Arc::new(move || asked.lock().unwrap().clone().map_or(Ok(()), Err));
    let hooks = Hooks { readiness: Some(readiness), ..Hooks::default() };
    let world = World::hooked(Upstream::saying("application").await, hooks, |_| {});
    let response = world.admin("/readyz").await;
    assert_eq!((response.status, response.text()), (503, "the limits of node b differ\n"));
    assert_eq!(world.admin("/livez").await.status, 200, "it is alive all the same");
    *why.lock().unwrap() = None;
    assert_eq!(world.admin("/readyz").await.status, 200);
}

#[tokio::test]
async fn what_the_gate_said_is_counted_by_route_and_reason() {
    let world = World::new().await;
    let genuine = wire(&twilio().form(&url("/twilio/voice"), call(ACCOUNT)));
    for _ in 0..3 {
        assert_eq!(world.send(&genuine).await.status, 200);
    }
    for _ in 0..2 {
        assert_eq!(world.send(replaced(&genuine, "x-twilio-signature", "x-other")).await.status, 403);
    }
    assert_eq!(world.send(replaced(&genuine, "/twilio/voice", "/elsewhere")).await.status, 404);
    let counts = world.gateway.verdicts().counts();
    let counts: Vec<_> = counts.iter().map(|it| (&*it.route, it.refused_for, it.count)).collect();
    let unsigned = ("/twilio/", Some("missing_signature"), 2);
    assert_eq!(counts, [("", Some("no_route"), 1), ("/twilio/", None, 3), unsigned]);
}
