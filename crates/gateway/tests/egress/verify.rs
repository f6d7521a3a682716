//! Codes of Verify: what a check costs, which channel, and whose service.

use ringfence_store::EgressArea;
use ringfence_testkit::Upstream;
use serde_json::json;

use crate::sandbox::Twilio;
use crate::world::{Setup, World, answer, json_answer, request};

const SERVICE: &str = "/verify.twilio.com/v2/Services/VA00000000000000000000000000000001";

#[tokio::test]
async fn a_check_of_a_wrong_code_costs_nothing_and_one_that_is_right_does() {
    let upstream = Upstream::start(|request| async move {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let Some((_, status)) = body.split_once("Code=") else { return answer(&request) };
        json_answer(200, &json!({ "sid": "VE00000000000000000000000000000007", "status": status }))
    });
    let world = World::before(upstream.await, Setup::default()).await;
    let key = world.key().await;
    for target in [format!("{SERVICE}/VerificationCheck"), format!("{SERVICE}/Verifications/%2B14155550100")]
    {
        let before = world.reserved("daily").await;
        for status in ["pending", "canceled", "max_attempts_reached", "expired", "failed"] {
            let form = format!("To=%2B14155550100&Code={status}");
            assert_eq!(world.send(request(&key, "POST", &target, &form)).await.status, 200);
            assert_eq!(world.reserved("daily").await, before, "{target} {status}");
        }
        let right = "To=%2B14155550100&Code=approved";
        assert_eq!(world.send(request(&key, "POST", &target, right)).await.status, 200);
        assert!(world.reserved("daily").await > before, "{target}");
    }
    assert_eq!(world.store.check_ledger().await.unwrap(), []);
}

#[tokio::test]
async fn wrong_codes_and_what_is_canceled_leave_nothing_set_aside() {
    let twilio = Twilio::new().await;
    let (status, service) = twilio.ask("POST", "/verify.twilio.com/v2/Services", "FriendlyName=shop").await;
    assert_eq!(status, 201, "{service}");
    let service = format!("/verify.twilio.com/v2/Services/{}", service["sid"].as_str().unwrap());
    let start = format!("{service}/Verifications");
    let (status, begun) = twilio.ask("POST", &start, "To=%2B14155550100&Channel=sms").await;
    assert_eq!(status, 201, "{begun}");
    for _ in 0..4 {
        let check = format!("{service}/VerificationCheck");
        let (status, checked) = twilio.ask("POST", &check, "To=%2B14155550100&Code=000000").await;
        assert_eq!((status, checked["status"].as_str()), (200, Some("pending")), "{checked}");
    }
    let cancel = format!("{start}/{}", begun["sid"].as_str().unwrap());
    let (status, canceled) = twilio.ask("POST", &cancel, "Status=canceled").await;
    assert_eq!((status, canceled["status"].as_str()), (200, Some("canceled")), "{canceled}");
    let open = twilio.world.store.open_reservations(None, 100).await.unwrap();
    let open: Vec<&str> = open.iter().map(|it| it.operation.as_str()).collect();
    assert_eq!(open, ["verifications.create"]);
}

#[tokio::test]
async fn a_channel_that_may_fall_back_to_others_costs_as_much_as_the_dearest() {
    let world = World::new().await;
    let key = world.key().await;
    let target = format!("{SERVICE}/Verifications");
    let more = "&ChannelConfiguration=%7B%22sms%22%3A%7B%22enabled%22%3Atrue%7D%7D";
    let mut reserved = world.reserved("daily").await;
    let mut costs = async |form: &str| {
        let response = world.send(request(&key, "POST", &target, form)).await;
        assert_eq!(response.status, 200, "{}", response.text());
        let before = std::mem::replace(&mut reserved, world.reserved("daily").await);
        reserved.micros() - before.micros()
    };
    let auto = costs("To=%2B14155550100&Channel=auto").await;
    for channel in ["sms", "whatsapp", "call", "rcs", "sna", "auto"] {
        let form = format!("To=%2B14155550100&Channel={channel}{more}");
        assert_eq!(costs(&form).await, auto, "{channel}");
    }
    assert!(costs("To=%2B14155550100&Channel=whatsapp").await < auto);
    let mail = costs("To=ann%40example.com&Channel=email").await;
    assert_eq!(costs(&format!("To=ann%40example.com&Channel=email{more}")).await, mail);
    let world = World::new().await;
    let key = world.key().await;
    for odd in ["&channel_configuration=%7B%7D".to_owned(), more.repeat(2)] {
        let form = format!("To=%2B14155550100&Channel=sms{odd}");
        world.assert_refused(&world.send(request(&key, "POST", &target, &form)).await, 400, 84007);
    }
}

#[tokio::test]
async fn a_credential_for_one_service_touches_no_other() {
    let world = World::with(|egress| egress.passes_unknown_operations = true).await;
    let of = async |senders: &[&str]| {
        let senders = senders.iter().map(|it| (*it).to_owned()).collect();
        world
            .key_with(|scopes| {
                scopes.operations = EgressArea::ALL.into_iter().collect();
                scopes.senders = senders;
            })
            .await
    };
    let key = of(&["VA00000000000000000000000000000001", "+14155550101"]).await;
    let other = SERVICE.replace("0001", "0002");
    let requests = [
        ("POST", "/Entities", "Identity=ann"),
        ("GET", "/Entities/ann/Factors", ""),
        ("POST", "/Entities/ann/Factors/YF00000000000000000000000000000001", "FriendlyName=x"),
        ("GET", "/Verifications/VE00000000000000000000000000000001", ""),
        ("POST", "/Verifications", "To=%2B14155550100&Channel=sms"),
        ("GET", "/Webhooks", ""),
        ("DELETE", "", ""),
        ("GET", "/Unheard/Of", ""),
    ];
    for (method, path, form) in requests {
        world.assert_refused(
            &world.send(request(&key, method, &format!("{other}{path}"), form)).await,
            403,
            84015,
        );
    }
    let odd = other.replace("/Services/", "/services/") + "/Unheard/Of";
    world.assert_refused(&world.send(request(&key, "GET", &odd, "")).await, 403, 84015);
    for (method, path, form) in requests {
        let response = world.send(request(&key, method, &format!("{SERVICE}{path}"), form)).await;
        assert!(response.status < 300, "{method} {path}: {}", response.text());
    }
    // What is the whole account's names a service in its query, or is out of reach.
    let (own, another) = ("VA00000000000000000000000000000001", "VA00000000000000000000000000000002");
    for (path, is_its_own) in [
        (format!("Attempts?VerifyServiceSid={own}"), true),
        (format!("Attempts/Summary?PageSize=1&VerifyServiceSid={own}"), true),
        ("Attempts".to_owned(), false),
        (format!("Attempts?VerifyServiceSid={another}"), false),
        (format!("Attempts?VerifyServiceSid={own}&VerifyServiceSid={another}"), false),
        (format!("Attempts?VerifyServiceSid={own}&verifyservicesid={another}"), false),
        ("Attempts/VL00000000000000000000000000000001".to_owned(), false),
        ("SafeList/Numbers/%2B14155550100".to_owned(), false),
        ("Templates".to_owned(), true),
    ] {
        let response = world.send(request(&key, "GET", &format!("/verify.twilio.com/v2/{path}"), "")).await;
        assert_eq!(response.text().contains("84015"), !is_its_own, "{path}: {}", response.text());
    }
    // The same of Messaging Services.
    let of_messaging = of(&["MG00000000000000000000000000000001"]).await;
    for (service, is_its_own) in [(1, true), (2, false)] {
        for path in ["", "/PhoneNumbers", "/Unheard/Of"] {
            let target = format!("/messaging.twilio.com/v1/Services/MG{service:032}{path}");
            let response = world.send(request(&of_messaging, "GET", &target, "")).await;
            assert_eq!(response.text().contains("84015"), !is_its_own, "{target}: {}", response.text());
        }
    }
    // One that lists numbers alone sends no codes; the rest of Verify is not about senders.
    let numbers = of(&["+14155550101"]).await;
    assert_eq!(
        world.send(request(&numbers, "GET", &format!("{other}/Entities/ann/Factors"), "")).await.status,
        200
    );
    let refused = world
        .send(request(&numbers, "POST", &format!("{other}/Verifications"), "To=%2B14155550100&Channel=sms"))
        .await;
    assert_eq!(refused.status, 403, "{}", refused.text());
}
