use serde_json::json;

use super::*;

const ACCOUNT: &str = "AC00000000000000000000000000000001";

fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_wrong_request_is_found_out() {
    let api = Document::load("twilio_api_v2010");
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
    let create = api.operation("POST", &path).unwrap();
    let check = |form: &[(&str, &str)]| create.check_request(&path, &[], &fields(form));
    assert_eq!(
        check(&[
            ("To", "+14155550100"),
            ("MediaUrl", "https://a.example"),
            ("MediaUrl", "https://b.example")
        ]),
        [""; 0]
    );
    assert_eq!(check(&[("Body", "x")]), ["form: To is missing"]);
    assert_eq!(check(&[("To", "+1"), ("to", "+1")]), ["form: there is no to"]);
    assert_eq!(check(&[("To", "+1"), ("To", "+2")]), ["To: comes 2 times"]);
    assert_eq!(
        check(&[("To", "+1"), ("ValidityPeriod", "soon")]),
        ["ValidityPeriod: \"soon\" is no integer"]
    );
    assert_eq!(check(&[("To", "+1"), ("StatusCallback", "here")]), ["StatusCallback : is no uri"]);
    assert_eq!(check(&[("To", "+1"), ("RiskCheck", "no")]).len(), 1);
    assert_eq!(
        create.check_request(&path, &fields(&[("Page", "1")]), &fields(&[("To", "+1")])),
        ["query: there is no Page"]
    );

    let path = "/2010-04-01/Accounts/XX00000000000000000000000000000001/Messages.json";
    let problems = api.operation("POST", path).unwrap().check_request(path, &[], &fields(&[("To", "+1")]));
    assert_eq!(problems, ["AccountSid : does not fit ^AC[0-9a-fA-F]{32}$"]);
    assert!(api.operation("PUT", path).is_none());
    assert!(api.operation("POST", "/2010-04-01/Accounts//Messages.json").is_none());
}

#[test]
fn a_wrong_answer_is_found_out() {
    let api = Document::load("twilio_api_v2010");
    let fetch = api.operation("GET", &format!("/2010-04-01/Accounts/{ACCOUNT}/Balance.json")).unwrap();
    let good = json!({ "account_sid": ACCOUNT, "balance": "0.05", "currency": "USD" });
    assert_eq!(fetch.check_response(200, Some(&good)), [""; 0]);
    let check = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        fetch.check_response(200, Some(&body))
    };
    assert_eq!(check("account_sid", json!("AC1")).len(), 2);
    assert_eq!(check("balance", json!(0.05)), [".balance: is number, not string"]);
    assert_eq!(check("credit", json!("1")), [": there is no credit"]);
    assert_eq!(
        fetch.check_response(200, Some(&json!({ "balance": "0", "currency": "USD" }))),
        [": account_sid is missing"]
    );
    assert_eq!(fetch.check_response(201, Some(&good)), ["the status is 201, not 200"]);
    assert_eq!(fetch.check_response(200, None), ["the body is missing"]);
}

#[test]
fn a_literal_path_goes_before_a_parameter() {
    let api = Document::load("twilio_api_v2010");
    let of = |path: &str| api.operation("GET", path).map(|operation| operation.template.to_owned());
    let numbers = format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers");
    assert!(of(&format!("{numbers}/Local.json")).unwrap().ends_with("/Local.json"));
    assert!(
        of(&format!("{numbers}/PN00000000000000000000000000000001.json")).unwrap().ends_with("/{Sid}.json")
    );
}

#[test]
fn what_a_document_does_in_its_examples_is_allowed_there_and_nowhere_else() {
    let api = Document::load("twilio_api_v2010");
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Usage/Records.json");
    let operation = api.operation("GET", &path).unwrap();
    let response = operation.responses().remove(0);
    let mut body = response.examples["readFull"].clone();
    let shown = response.schema.unwrap();
    assert!(body["usage_records"][0]["price"].is_string(), "its schema says that it is a number");
    assert_eq!(shown.check_complete(&body), [""; 0]);
    body["usage_records"][0]["price"] = json!(["1"]);
    assert_eq!(shown.check(&body), [".usage_records[0].price: is array, not number"]);
}

#[test]
fn every_document_is_understood_and_its_examples_pass() {
    for document in Document::all() {
        let mut operations = 0;
        for operation in document.operations() {
            operations += 1;
            for response in operation.responses() {
                for (name, example) in &response.examples {
                    let problems = operation.check_response(response.status, Some(*example));
                    assert_eq!(problems, [""; 0], "{} {name}", operation.title());
                }
            }
        }
        assert!(operations > 0, "{}", document.name());
    }
}
