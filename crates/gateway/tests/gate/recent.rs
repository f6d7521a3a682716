//! The newest requests, one by one, for whoever looks at them.

use ringfence_gateway::settings::Remember;
use ringfence_gateway::{Outcome, RecentVerdict};
use ringfence_signature::Signer;

use crate::world::{ACCOUNT, World, call, replaced, twilio, url, wire};

fn recent(world: &World) -> Vec<RecentVerdict> {
    world.gateway.verdicts().recent().expect("they are remembered")
}

#[tokio::test]
async fn where_nothing_is_to_be_remembered_nothing_is() {
    let world = World::with(|settings| settings.remember = Remember::Nothing).await;
    world.send_signed(&twilio().form(&url("/twilio/sms"), call(ACCOUNT))).await;
    assert_eq!(world.gateway.verdicts().recent(), None);
    // Nor is it found later.
    let mut settings = crate::world::settings(world.upstream.address());
    settings.remember = Remember::Metadata;
    world.gateway.reload(settings).unwrap();
    assert_eq!(recent(&world), []);
}

#[tokio::test]
async fn what_was_refused_is_seen_with_its_explanation_and_what_was_admitted_with_its_account() {
    let world = World::new().await;
    assert_eq!(
        world.send_signed(&twilio().form(&url("/twilio/sms?tenant=7"), call(ACCOUNT))).await.status,
        200
    );
    let other = wire(&Signer::token(&"3".repeat(32)).form(&url("/twilio/sms"), call(ACCOUNT)));
    assert_eq!(world.send(&other).await.status, 403);
    assert_eq!(
        world.send("GET /nowhere?secret=1 HTTP/1.1\r\nHost: hooks.example.com\r\n\r\n").await.status,
        404
    );
    assert_eq!(world.send("nonsense\r\n\r\n").await.status, 400);

    // What is no HTTP is noted by the connection, after its answer.
    let all = loop {
        match recent(&world) {
            all if all.len() < 4 => tokio::task::yield_now().await,
            all => break all,
        }
    };
    let said: Vec<_> = all.iter().map(|it| (&*it.route, it.method, &*it.path)).collect();
    let expected = [
        ("", "", ""),
        ("", "GET", "/nowhere"),
        ("/twilio/", "POST", "/twilio/sms"),
        ("/twilio/", "POST", "/twilio/sms"),
    ];
    assert_eq!(said, expected, "newest first");
    assert!(all.iter().all(|it| it.client.is_loopback() && it.parameters.is_none() && it.at > 0));
    assert!(
        matches!(&all[3].outcome, Outcome::Admitted { account: Some(account), candidate: "as-received", finding: None } if account == ACCOUNT),
        "{:?}",
        all[3]
    );
    assert!(matches!(
        all[1].outcome,
        Outcome::Refused { reason: "no_route", status: 404, explanation: None }
    ));
    let explanation = loop {
        match &recent(&world)[2].outcome {
            Outcome::Refused { reason: "signature_mismatch", explanation: Some(text), .. } => {
                break text.clone();
            }
            Outcome::Refused { reason: "signature_mismatch", .. } => tokio::task::yield_now().await,
            other => panic!("{other:?}"),
        }
    };
    assert!(!explanation.is_empty());
}

#[tokio::test]
async fn parameters_are_seen_redacted_where_they_are_wanted() {
    let world = World::with(|settings| settings.remember = Remember::RedactedBodies).await;
    let fields = [("AccountSid", ACCOUNT), ("From", "+14155550123"), ("Body", "my secret")];
    let signed =
        twilio().form(&url("/twilio/sms"), fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
    world.send_signed(&signed).await;
    world.send(&replaced(&wire(&signed), "x-twilio-signature", "x-other")).await;
    let expected = [("AccountSid", ACCOUNT), ("From", "+14…23"), ("Body", "(9 characters)")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    for verdict in recent(&world) {
        let shown = verdict.parameters.as_ref();
        assert!(shown == Some(&expected) || shown.is_none(), "{verdict:?}");
        assert!(!format!("{verdict:?}").contains("secret"));
    }
    assert_eq!(recent(&world)[1].parameters.as_ref(), Some(&expected));
}
