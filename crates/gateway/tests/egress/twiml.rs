//! What an application answers, on a route that is held to the limits.

use ringfence_breaker::PriceBook;
use ringfence_breaker::price_book::Prices;
use ringfence_model::Amount;

use crate::held::{Held, OVER, REJECT, Said, call};
use crate::world::limit;

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_not_given_and_the_call_ends_kindly() {
    let held = Held::with(vec![limit("daily", "0.5")], |_| {}).await;
    let dial = Said::xml("<Response><Dial timeLimit=\"600\">+14155550123</Dial></Response>");
    assert_eq!(held.answer_to_call(dial.clone()).await, OVER);
    held.says(dial);
    let ringing = held.call(&[("CallStatus", "ringing")]).await;
    assert_eq!((ringing.status, ringing.text()), (200, REJECT));
    assert_eq!(ringing.header("content-type"), Some("text/xml; charset=utf-8"));
    assert_eq!(held.outcomes("does_not_fit").await, 2);
    held.says(Said::xml("<Response><Message>hello</Message></Response>"));
    assert_eq!(held.text().await.text(), "<Response/>");
    assert_eq!(held.world.reserved("daily").await, Amount::ZERO);
}

#[tokio::test]
async fn what_an_answer_leads_to_is_set_aside_first_and_a_time_limit_is_added_or_lowered() {
    let held = Held::new().await;
    for (said, given, reserved) in [
        // Ten minutes of a tenth.
        (
            "<Response><Dial>+14155550123</Dial></Response>",
            "<Response><Dial timeLimit=\"600\">+14155550123</Dial></Response>",
            "1",
        ),
        (
            "<Response><Dial timeLimit='99999'><Number>+14155550123</Number></Dial></Response>",
            "<Response><Dial timeLimit='14400'><Number>+14155550123</Number></Dial></Response>",
            "25",
        ),
        // Both ring, and both may answer.
        (
            "<Response><Dial timeLimit=\"60\"><Number>+14155550123</Number><Number>+447911123456</Number></Dial></Response>",
            "<Response><Dial timeLimit=\"60\"><Number>+14155550123</Number><Number>+447911123456</Number></Dial></Response>",
            "25.2",
        ),
    ] {
        assert_eq!(held.answer_to_call(Said::xml(said)).await, given);
        assert_eq!(held.world.reserved("daily").await, amount(reserved), "{said}");
    }
    held.says(Said::xml("<Response><Message>hello</Message></Response>"));
    assert_eq!(held.text().await.text(), "<Response><Message>hello</Message></Response>");
    assert_eq!(held.world.reserved("daily").await, amount("26.2"));
    assert_eq!(held.outcomes("taken").await, 4);
}

#[tokio::test]
async fn a_repeated_webhook_takes_nothing_twice_and_another_occasion_does() {
    let held = Held::new().await;
    held.says(Said::xml("<Response><Dial timeLimit=\"60\">+14155550123</Dial></Response>"));
    let fields = call(&[]);
    let token = ["I-Twilio-Idempotency-Token: one"];
    for _ in 0..3 {
        assert_eq!(held.send(&fields, &token).await.status, 200);
        assert_eq!(held.world.reserved("daily").await, amount("0.1"));
    }
    assert_eq!(held.send(&fields, &["I-Twilio-Idempotency-Token: two"]).await.status, 200);
    assert_eq!(held.world.reserved("daily").await, amount("0.2"));
    // Without a token nothing says that it is a repeat, and no loop that asks the same again.
    for reserved in ["0.3", "0.4"] {
        held.send(&fields, &[]).await;
        assert_eq!(held.world.reserved("daily").await, amount(reserved));
    }
    assert_eq!((held.outcomes("taken").await, held.outcomes("taken_before").await), (4, 2));
    assert_eq!(held.world.store.check_ledger().await.unwrap(), []);
}

#[tokio::test]
async fn of_two_answers_at_the_last_cent_one_is_given() {
    let held = Held::with(vec![limit("daily", "0.1")], |_| {}).await;
    held.says(Said::xml("<Response><Dial timeLimit=\"60\">+14155550123</Dial></Response>"));
    for _ in 0..5 {
        let (one, other) = (call(&[]), call(&[]));
        let (one, other) = tokio::join!(held.send(&one, &[]), held.send(&other, &[]));
        let given = [one, other].iter().filter(|answer| answer.text().contains("<Dial")).count();
        assert!(given <= 1);
    }
    assert_eq!(held.outcomes("taken").await, 1);
    assert_eq!(held.world.reserved("daily").await, amount("0.1"));
    assert_eq!(held.world.store.check_ledger().await.unwrap(), []);
}

#[tokio::test]
async fn a_repeat_that_comes_at_the_same_time_takes_nothing_twice() {
    let held = Held::new().await;
    held.says(Said::xml("<Response><Dial timeLimit=\"60\">+14155550123</Dial></Response>"));
    let fields = call(&[]);
    let same = || held.send(&fields, &["I-Twilio-Idempotency-Token: one"]);
    let all = tokio::join!(same(), same(), same(), same());
    assert!([all.0, all.1, all.2, all.3].iter().all(|answer| answer.text().contains("<Dial")));
    assert_eq!(held.world.reserved("daily").await, amount("0.1"));
}

/// A `Redirect` to its own URL has the fields of the request before, and so its signature.
#[tokio::test]
async fn an_answer_to_a_message_that_costs_is_never_given_from_memory_without_being_admitted() {
    let held = Held::with(vec![limit("daily", "3")], |_| {}).await;
    let loops = "<Response><Message>hello</Message><Redirect>/twilio/voice</Redirect></Response>";
    held.says(Said::xml(loops));
    let fields = crate::held::text();
    let (one, two) = (["I-Twilio-Idempotency-Token: one"], ["I-Twilio-Idempotency-Token: two"]);
    for (lines, reserved) in [(&one[..], "1"), (&one[..], "1"), (&two[..], "2"), (&[][..], "3")] {
        assert_eq!(held.send(&fields, lines).await.text(), loops);
        assert_eq!(held.world.reserved("daily").await, amount(reserved));
    }
    for lines in [&["I-Twilio-Idempotency-Token: three"][..], &[]] {
        assert_eq!(held.send(&fields, lines).await.text(), "<Response/>");
    }
    assert_eq!((held.outcomes("taken").await, held.outcomes("taken_before").await), (3, 1));
    assert_eq!(held.world.reserved("daily").await, amount("3"));
}

#[tokio::test]
async fn an_answer_to_a_message_that_costs_nothing_is_given_again_whatever_token_comes_with_it() {
    let held = Held::new().await;
    let fields = crate::held::text();
    let one = ["I-Twilio-Idempotency-Token: one"];
    assert_eq!(held.send(&fields, &one).await.text(), "<Response/>");
    held.says(Said::xml("<Response><Message>hello</Message></Response>"));
    assert_eq!(held.send(&fields, &one).await.text(), "<Response/>");
    assert_eq!(held.application.requests().len(), 1);
    // Nobody signs the token: with one of his own, whoever captured the request gains nothing.
    assert_eq!(held.send(&fields, &["I-Twilio-Idempotency-Token: two"]).await.text(), "<Response/>");
    assert_eq!((held.application.requests().len(), held.outcomes("taken").await), (1, 0));
}

#[tokio::test]
async fn a_redirect_to_its_own_url_is_asked_again_and_what_it_costs_is_set_aside_each_time() {
    let held = Held::new().await;
    let fields = crate::held::text();
    held.says(Said::xml("<Response><Redirect>/twilio/sms</Redirect></Response>"));
    held.send(&fields, &["I-Twilio-Idempotency-Token: one"]).await;
    held.says(Said::xml("<Response><Message>hello</Message></Response>"));
    for token in ["two", "three"] {
        let token = format!("I-Twilio-Idempotency-Token: {token}");
        assert!(held.send(&fields, &[&token]).await.text().contains("hello"));
    }
    assert_eq!((held.application.requests().len(), held.outcomes("taken").await), (3, 2));
}

#[tokio::test]
async fn without_a_store_what_costs_something_is_refused_and_all_else_passes() {
    let held = Held::new().await;
    held.world.is_away.store(true, std::sync::atomic::Ordering::SeqCst);
    let free = "<Response><Say>Hello</Say><Gather action=\"next\" numDigits=\"1\"/><Hangup/></Response>";
    assert_eq!(held.answer_to_call(Said::xml(free)).await, free);
    assert_eq!(held.answer_to_call(Said::xml("<Response><Dial>+14155550123</Dial></Response>")).await, OVER);
    assert_eq!((held.outcomes("store_away").await, held.outcomes("free").await), (1, 1));
    // Nor while limits and prices are not known.
    held.world.is_away.store(false, std::sync::atomic::Ordering::SeqCst);
    held.world.gateway.egress_rules().clear();
    assert_eq!(held.answer_to_call(Said::xml(free)).await, free);
    assert_eq!(held.answer_to_call(Said::xml("<Response><Dial>+14155550123</Dial></Response>")).await, OVER);
    assert_eq!(held.outcomes("not_ready").await, 1);
    assert_eq!(held.call(&[("CallStatus", "ringing")]).await.text(), OVER.replace(OVER, REJECT));
}

#[tokio::test]
async fn a_call_that_comes_in_for_an_account_that_has_tripped_is_rejected_without_asking() {
    let held = Held::with(vec![limit("daily", "0.5")], |_| {}).await;
    let ringing = [("CallStatus", "ringing")];
    assert_eq!(held.call(&ringing).await.text(), "<Response/>");
    held.trip("daily").await;
    let before = held.application.requests().len();
    let rejected = held.call(&ringing).await;
    assert_eq!((rejected.status, rejected.text()), (200, REJECT));
    assert_eq!(held.application.requests().len(), before, "the application is not asked");
    assert_eq!(held.outcomes("tripped").await, 1);
    // A call that goes on is, and what costs nothing passes.
    assert_eq!(held.call(&[]).await.text(), "<Response/>");
    assert_eq!(held.text().await.text(), "<Response/>");
    held.says(Said::xml("<Response><Dial>+14155550123</Dial></Response>"));
    assert_eq!(held.call(&[]).await.text(), OVER);
    // Where the store is away nobody knows of it, and the application is asked.
    held.world.is_away.store(true, std::sync::atomic::Ordering::SeqCst);
    held.says(Said::xml("<Response/>"));
    assert_eq!(held.call(&ringing).await.text(), "<Response/>");
}

#[tokio::test]
async fn a_limit_that_only_watches_rejects_nobody() {
    let held =
        Held::with(vec![ringfence_breaker::Limit { enforce: false, ..limit("daily", "0.5") }], |_| {}).await;
    held.trip("daily").await;
    assert_eq!(held.call(&[("CallStatus", "ringing")]).await.text(), "<Response/>");
    let dial = "<Response><Dial timeLimit=\"600\">+14155550123</Dial></Response>";
    assert_eq!(held.answer_to_call(Said::xml(dial)).await, dial);
    assert_eq!(held.world.metric("ringfence_egress_would_refuse_total{limit=\"daily\"}").await, 1);
}

#[tokio::test]
async fn an_answer_without_a_price_waits_for_those_of_its_account_where_they_were_not_read_yet() {
    let held = Held::new().await;
    held.world.put_rules_before_prices(crate::world::book()).await;
    let said = Said::xml("<Response><Dial>+37120000000</Dial></Response>");
    assert_eq!(held.answer_to_call(said.clone()).await, OVER);
    assert_eq!((held.outcomes("not_ready").await, held.outcomes("unknown_price").await), (1, 0));
    held.world.put_rules(crate::world::book()).await;
    assert_eq!(held.answer_to_call(said).await, OVER);
    assert_eq!((held.outcomes("not_ready").await, held.outcomes("unknown_price").await), (1, 1));
}

#[tokio::test]
async fn the_account_whose_key_signed_pays() {
    let held = Held::new().await;
    let mut book = crate::world::book_rules();
    book.assumed.call_seconds_at_most = 6 * 3_600;
    let book = PriceBook::new(Prices::new("USD"), book).unwrap();
    held.world.put_rules(book).await;
    held.says(Said::xml("<Response><Dial timeLimit=\"60\">+14155550123</Dial></Response>"));
    held.call(&[]).await;
    let open = held.world.store.open_reservations(None, 9).await.unwrap();
    let [reservation] = open.as_slice() else { panic!("one reservation: {open:?}") };
    assert_eq!(reservation.account.to_string(), crate::world::ACCOUNT);
    assert_eq!(reservation.operation, "twiml.call");
    assert_eq!(reservation.state, ringfence_store::ReservationState::InDoubt);
    assert!(reservation.parent.is_some_and(|sid| sid.is("CA")));
    // It may begin as late as a call lasts.
    let hours = reservation.deadline.duration_since(reservation.admitted_at).as_hours();
    assert_eq!(hours, 6);
}

#[tokio::test]
async fn a_message_in_a_call_goes_to_the_other_party_whoever_has_called() {
    let held = Held::new().await;
    held.says(Said::xml("<Response><Sms>x</Sms></Response>"));
    // Of this one no price is known.
    let other = "+37120000000";
    for (direction, field, is_given) in [
        ("inbound", "From", false),
        ("inbound", "To", true),
        ("outbound-api", "To", false),
        ("outbound-api", "From", true),
        ("outbound-dial", "To", false),
    ] {
        let answer = held.call(&[("Direction", direction), (field, other)]).await;
        assert_eq!(answer.text() != OVER, is_given, "{direction} {field}");
    }
}

#[tokio::test]
async fn a_limit_that_counts_no_calls_rejects_no_calls() {
    for (category, is_rejected) in [
        ("totalprice", true),
        ("calls", true),
        ("calls-inbound", true),
        ("calls-sip-inbound", true),
        ("sms", false),
        ("sms-inbound", false),
        ("recordings", false),
        ("calls-recordings", false),
    ] {
        let counted = ringfence_breaker::Limit { category: category.to_owned(), ..limit("counted", "0.5") };
        let held = Held::with(vec![counted], |_| {}).await;
        held.trip("counted").await;
        let answer = held.call(&[("CallStatus", "ringing")]).await;
        assert_eq!(answer.text() == REJECT, is_rejected, "{category}");
    }
}

#[tokio::test]
async fn an_answer_that_leads_to_something_else_for_the_same_price_is_another() {
    let held = Held::new().await;
    let (fields, token) = (call(&[]), ["I-Twilio-Idempotency-Token: one"]);
    // Here a recording costs nothing, and is counted.
    for (record, reserved) in [("false", "0.1"), ("true", "0.2"), ("false", "0.2"), ("true", "0.2")] {
        let dial = format!("<Dial timeLimit=\"60\" record=\"{record}\">+14155550123</Dial>");
        held.says(Said::xml(format!("<Response>{dial}</Response>")));
        held.send(&fields, &token).await;
        assert_eq!(held.world.reserved("daily").await, amount(reserved), "{record}");
    }
    assert_eq!((held.outcomes("taken").await, held.outcomes("taken_before").await), (2, 2));
}
