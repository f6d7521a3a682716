//! What calls cost, and when that is known.

use super::*;

#[test]
fn the_price_of_a_call_is_known_a_while_after_its_end() {
    let mut stage = Stage::new();
    let call = stage.call("<Response><Pause length='61'/></Response>");
    stage.pass_ms(2200 + 61_000);
    assert_eq!(stage.status(call), "completed");
    stage.pass_ms(1999);
    assert_eq!(stage.fetch(call)["price"], Value::Null);
    stage.pass_ms(1);
    let expected = 2 * stage.world.prices.call_out_micros(phone(PHONE));
    let price: f64 = stage.fetch(call)["price"].as_str().unwrap().parse().unwrap();
    assert!(
        expected > 0 && (price * 1_000_000.0 + expected as f64).abs() < 1.0,
        "{price}: two begun minutes"
    );
}

#[test]
fn a_call_in_costs_by_the_number_that_was_called() {
    let mut stage = Stage::new();
    stage.answer_calls_with("<Response/>");
    let call = stage.receive();
    stage.pass_s(10);
    let found = stage.found(call);
    assert_eq!(found.price_micros, Some(stage.world.prices.call_in_micros(stage.number)));
}

#[test]
fn a_call_that_nobody_answered_costs_nothing() {
    for behaviour in [PhoneBehaviour::Busy, PhoneBehaviour::NoAnswer, PhoneBehaviour::Fail] {
        let mut stage = Stage::phones(behaviour);
        let call = stage.call("<Response/>");
        stage.pass_s(100);
        assert_eq!(stage.fetch(call)["price"], Value::Null, "{behaviour:?}");
    }
}

#[test]
fn both_legs_of_a_dial_cost() {
    let mut stage = Stage::new();
    stage.answer_calls_with("<Response><Dial>+12065550188</Dial></Response>");
    let call = stage.receive();
    stage.pass_s(60);
    let leg = stage.leg_of(call);
    assert!(stage.found(call).price_micros.is_some_and(|price| price > 0));
    assert_eq!(stage.found(leg).price_micros, Some(stage.world.prices.call_out_micros(phone(OTHER))));
}
