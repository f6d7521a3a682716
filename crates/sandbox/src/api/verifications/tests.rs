use ringfence_model::{PhoneNumber, Sid};
use serde_json::Value;

use crate::api::Product;
use crate::api::testing::{Api, error};
use crate::world::calls::{self, LineKind};
use crate::world::verify;

const TO: &str = "+14155550123";

/// A world with a service of Verify.
struct Bank {
    api: Api,
    path: String,
}

impl Bank {
    fn new(form: &[(&str, &str)]) -> Self {
        let mut api = Api::new();
        api.of(Product::Verify);
        let form: Vec<_> = [("FriendlyName", "Owl Bank")].into_iter().chain(form.iter().copied()).collect();
        let (status, service) = api.post("/v2/Services", &form);
        assert_eq!(status, 201, "{service}");
        let path = format!("/v2/Services/{}", service["sid"].as_str().unwrap());
        Self { api, path }
    }

    fn start(&mut self, form: &[(&str, &str)]) -> (u16, Value) {
        let form: Vec<_> = form.iter().copied().chain([("To", TO), ("Channel", "sms")]).collect();
        self.api.post(&format!("{}/Verifications", self.path), &form)
    }

    fn check(&mut self, code: &str) -> (u16, Value) {
        self.api.post(&format!("{}/VerificationCheck", self.path), &[("To", TO), ("Code", code)])
    }

    fn code(&self, started: &Value) -> String {
        let sid = Sid::parse(started["sid"].as_str().unwrap()).unwrap();
        verify::code(&self.api.world, sid).unwrap().to_owned()
    }

    fn one(&self, started: &Value) -> String {
        format!("{}/Verifications/{}", self.path, started["sid"].as_str().unwrap())
    }
}

fn wrong(code: &str) -> String {
    code.chars().map(|digit| if digit == '9' { '0' } else { '9' }).collect()
}

#[test]
fn what_cannot_be_verified_is_refused() {
    let mut bank = Bank::new(&[]);
    let path = format!("{}/Verifications", bank.path);
    for (form, expected) in [
        (vec![("Channel", "sms")], (400, 20001)),
        (vec![("To", TO)], (400, 20001)),
        (vec![("To", "4155550123"), ("Channel", "sms")], (400, 60200)),
        (vec![("To", "+1415555012"), ("Channel", "sms")], (400, 60200)),
        (vec![("To", TO), ("Channel", "pigeon")], (400, 60200)),
        (vec![("To", TO), ("Channel", "email")], (403, 60223)),
        (vec![("To", TO), ("Channel", "sna")], (403, 60223)),
        (vec![("To", TO), ("Channel", "sms"), ("CustomCode", "1234")], (403, 60204)),
        (vec![("To", TO), ("Channel", "sms"), ("RateLimits", "ip=1")], (400, 60200)),
        (vec![("To", TO), ("Channel", "sms"), ("RateLimits", r#"{"of nobody": "1"}"#)], (400, 60200)),
        (vec![("To", TO), ("Channel", "sms"), ("CustomFriendlyName", "555 0123")], (400, 60200)),
    ] {
        assert_eq!(error(bank.api.post(&path, &form)), expected, "{form:?}");
    }
    assert_eq!(bank.api.world.phones.texts.len(), 0, "nothing was sent");
    let nowhere = format!("/v2/Services/{}/Verifications", Sid::new(*b"VA", 7));
    assert_eq!(error(bank.api.post(&nowhere, &[("To", TO), ("Channel", "sms")])), (404, 20404));
    let no_target = bank.api.post(&format!("{}/VerificationCheck", bank.path), &[("Code", "123456")]);
    assert_eq!(error(no_target), (400, 60221));
    assert_eq!(error(bank.check("123456")), (404, 20404), "nothing was started");
}

#[test]
fn landlines_are_not_texted_where_the_service_says_so() {
    let landline = [("To", "+14155550199"), ("Channel", "sms")];
    let mut bank = Bank::new(&[("LookupEnabled", "true"), ("SkipSmsToLandlines", "true")]);
    assert_eq!(error(bank.start(&landline)), (403, 60205));
    let (_, called) = bank.start(&[("To", "+14155550199"), ("Channel", "call")]);
    assert_eq!(called["lookup"]["carrier"]["type"], "landline");
    assert_eq!(Bank::new(&[]).start(&landline).0, 201);
}

#[test]
fn the_right_code_approves_and_then_nothing_is_there() {
    let mut bank = Bank::new(&[]);
    let (status, started) = bank.start(&[]);
    assert_eq!((status, &started["status"], &started["valid"]), (201, &"pending".into(), &false.into()));
    let code = bank.code(&started);
    assert!(!started.to_string().contains(&code), "the code is told to the phone alone");
    let text = bank.api.world.phones.texts.newest_first().next().unwrap();
    assert_eq!(text.body, format!("Your Owl Bank verification code is: {code}"));
    assert_eq!(text.phone, PhoneNumber::parse(TO).unwrap());
    let (status, checked) = bank.check(&wrong(&code));
    assert_eq!((status, &checked["status"], &checked["valid"]), (200, &"pending".into(), &false.into()));
    let (status, checked) = bank.check(&code);
    assert_eq!((status, &checked["status"], &checked["valid"]), (200, &"approved".into(), &true.into()));
    assert_eq!(error(bank.check(&code)), (404, 20404), "a code works once");
    let one = bank.one(&started);
    assert_eq!(error(bank.api.get(&one)), (404, 20404));
    let (_, next) = bank.start(&[]);
    assert_ne!(next["sid"], started["sid"]);
}

#[test]
fn five_wrong_codes_lock_the_verification_until_its_time_is_over() {
    let mut bank = Bank::new(&[]);
    let (_, started) = bank.start(&[]);
    let code = bank.code(&started);
    for _ in 0..5 {
        assert_eq!(bank.check(&wrong(&code)).0, 200);
    }
    assert_eq!(error(bank.check(&code)), (429, 60202), "even the right one comes too late");
    assert_eq!(error(bank.start(&[])), (429, 60202));
    bank.api.pass_s(599);
    assert_eq!(error(bank.start(&[])), (429, 60202));
    bank.api.pass_s(1);
    assert_eq!(error(bank.check(&code)), (404, 20404));
    assert_eq!(bank.start(&[]).0, 201);
}

#[test]
fn a_code_is_sent_five_times_and_stays_the_same() {
    let mut bank = Bank::new(&[]);
    let (_, started) = bank.start(&[]);
    let code = bank.code(&started);
    for sent in 2..=5 {
        let (status, again) = bank.start(&[]);
        assert_eq!((status, &again["sid"]), (201, &started["sid"]));
        assert_eq!(again["send_code_attempts"].as_array().unwrap().len(), sent);
        assert_eq!(bank.code(&again), code);
    }
    assert_eq!(error(bank.start(&[])), (429, 60203));
    assert_eq!(bank.api.world.phones.texts.len(), 5);
    let one = bank.one(&started);
    assert_eq!(bank.api.post(&one, &[("Status", "canceled")]).1["status"], "canceled");
    assert_eq!(error(bank.check(&code)), (404, 20404));
    assert_eq!(bank.start(&[]).0, 201, "cancelling makes room");
}

#[test]
fn a_code_expires_after_ten_minutes_whenever_it_was_sent_again() {
    let mut bank = Bank::new(&[]);
    let (_, started) = bank.start(&[]);
    let code = bank.code(&started);
    bank.api.pass_s(599);
    assert_eq!(bank.start(&[]).1["sid"], started["sid"]);
    bank.api.pass_s(1);
    assert_eq!(error(bank.check(&code)), (404, 20404));
    let sid = Sid::parse(started["sid"].as_str().unwrap()).unwrap();
    assert_eq!(verify::code(&bank.api.world, sid), None);
}

#[test]
fn a_custom_code_is_taken_where_the_service_allows_it() {
    let mut bank = Bank::new(&[("CustomCodeEnabled", "true")]);
    for code in ["123", "12345678901", "12 34"] {
        assert_eq!(error(bank.start(&[("CustomCode", code)])), (400, 60200), "{code}");
    }
    let (_, started) = bank.start(&[("CustomCode", "AB12")]);
    let one = bank.one(&started);
    assert_eq!(error(bank.api.post(&one, &[("Status", "expired")])), (400, 60200));
    assert_eq!(bank.check("AB12").1["valid"], true);
}

#[test]
fn an_application_may_approve_by_itself_by_number() {
    let mut bank = Bank::new(&[]);
    bank.start(&[]);
    let by_number = format!("{}/Verifications/%2B14155550123", bank.path);
    assert_eq!(bank.api.get(&by_number).1["status"], "pending");
    assert_eq!(bank.api.post(&by_number, &[("Status", "approved")]).1["valid"], true);
    assert_eq!(error(bank.api.get(&by_number)), (404, 20404));
}

#[test]
fn a_payment_is_approved_with_its_own_amount_and_payee_only() {
    let mut bank = Bank::new(&[("Psd2Enabled", "true")]);
    assert_eq!(error(bank.start(&[("Amount", "€39.99")])), (400, 60206));
    let (_, started) = bank.start(&[("Amount", "€39.99"), ("Payee", "Acme")]);
    let code = bank.code(&started);
    let path = format!("{}/VerificationCheck", bank.path);
    let mut check = |amount| {
        let form = [("To", TO), ("Code", code.as_str()), ("Amount", amount), ("Payee", "Acme")];
        bank.api.post(&path, &form).1["valid"].clone()
    };
    assert_eq!(check("€3999"), false);
    assert_eq!(check("€39.99"), true);
}

#[test]
fn a_code_is_spoken_digit_by_digit_and_only_to_a_person_where_a_key_is_demanded() {
    for key_first in ["false", "true"] {
        let mut bank = Bank::new(&[("DtmfInputRequired", key_first)]);
        let form = [("To", TO), ("Channel", "call")];
        let (_, started) = bank.api.post(&format!("{}/Verifications", bank.path), &form);
        assert_eq!(started["send_code_attempts"][0]["channel"], "CALL");
        let digits: Vec<_> = bank.code(&started).chars().map(String::from).collect();
        let attempt =
            format!("/v2/Attempts/{}", started["send_code_attempts"][0]["attempt_sid"].as_str().unwrap());
        assert_eq!(bank.api.get(&attempt).1["channel_data"]["call_status"], "queued");
        let call = bank.api.world.verify.attempts.newest_first().next().unwrap().call.unwrap();
        bank.api.pass_s(5);
        assert_eq!(bank.api.get(&attempt).1["channel_data"]["call_status"], "in-progress");
        if key_first == "true" {
            assert!(!said(&bank, call).contains(&digits.join(", ")), "nobody has pressed a key");
            assert!(calls::press(&mut bank.api.world, call, "1"));
        }
        bank.api.pass_s(60);
        assert_eq!(said(&bank, call).matches(&digits.join(", ")).count(), 2, "{}", said(&bank, call));
        assert_eq!(bank.api.get(&attempt).1["channel_data"]["call_status"], "completed");
        assert_eq!(bank.api.world.phones.texts.len(), 0);
    }
}

/// All that was said in a call.
fn said(bank: &Bank, call: Sid) -> String {
    let lines = &bank.api.world.calls.find(call).unwrap().lines;
    let said = lines.iter().filter(|line| line.kind == LineKind::Said).map(|line| line.text.as_str());
    said.collect::<Vec<_>>().join("\n")
}

#[test]
fn many_starts_at_one_time_and_many_looks_can_be_bounded() {
    let mut bank = Bank::new(&[]);
    bank.api.world.settings.verify.starts_per_second = 2;
    let (_, started) = bank.start(&[]);
    bank.start(&[]);
    assert_eq!(error(bank.start(&[])), (429, 60212));
    bank.api.pass_s(1);
    assert_eq!(bank.start(&[]).0, 201);
    let one = bank.one(&started);
    for _ in 0..60 {
        assert_eq!(bank.api.get(&one).0, 200);
    }
    assert_eq!(error(bank.api.get(&one)), (429, 20429));
    bank.api.pass_s(60);
    assert_eq!(bank.api.get(&one).0, 200);
}

#[test]
fn a_verification_belongs_to_its_service_and_account() {
    let mut bank = Bank::new(&[]);
    let (_, started) = bank.start(&[]);
    let code = bank.code(&started);
    let (_, other) = bank.api.post("/v2/Services", &[("FriendlyName", "Other")]);
    let elsewhere = format!("/v2/Services/{}/VerificationCheck", other["sid"].as_str().unwrap());
    let by_sid = [("VerificationSid", started["sid"].as_str().unwrap()), ("Code", code.as_str())];
    assert_eq!(error(bank.api.post(&elsewhere, &by_sid)), (404, 20404));
    let child = bank.api.subaccount("child");
    let here = format!("{}/VerificationCheck", bank.path);
    assert_eq!(error(bank.api.as_account(&child).post(&here, &by_sid)), (404, 20404));
    bank.api.as_main();
    assert_eq!(bank.api.post(&here, &by_sid).1["valid"], true);
}
