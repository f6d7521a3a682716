use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use serde_json::Value;

use super::*;
use crate::egress::fields;
use crate::egress::json::is_secret_name;
use crate::egress::target::Way;

const AC: &str = "AC00000000000000000000000000000001";
const SM: &str = "SM00000000000000000000000000000002";

fn of(method: &Method, host: &str, path: &str) -> Found {
    let target = format!("/{host}.twilio.com{path}");
    find(method, &Target::parse(&target, "egress", Way::BaseUrl).unwrap())
}

fn class(method: &Method, host: &str, path: &str) -> Class {
    match of(method, host, path) {
        Found::Known(operation) => operation.class,
        other => panic!("{path}: {other:?}"),
    }
}

#[test]
fn another_spelling_of_a_known_path_is_never_unknown() {
    for path in [
        format!("/2010-04-01/Accounts/{AC}/messages.json"),
        format!("/2010-04-01/accounts/{AC}/Messages.json"),
        format!("/2010-04-01/Accounts/{AC}/MESSAGES.JSON"),
        format!("/2010-04-01/Accounts/{AC}/Messages"),
        format!("/2010-04-01/Accounts/{AC}/Messages.xml"),
        format!("/2010-04-01/Accounts/{AC}/Messages.csv"),
        format!("/2010-04-01/Accounts/{AC}/Messages.html"),
        format!("/2010-04-01/Accounts/{AC}/Messages."),
        format!("/2010-04-01/Accounts/{AC}/Messages.json."),
        format!("/2010-04-01/Accounts/{AC}/%20Messages.json"),
        format!("/2010-04-01/Accounts/{}/Messages.json", AC.to_lowercase()),
        format!("/2010-04-01/Accounts/{AC}").to_owned(),
        format!("/2008-08-01/Accounts/{AC}/SMS/Messages.json"),
        format!("/2010-04-02/Accounts/{AC}/Messages.json"),
        "/2008-08-01/whatever".to_owned(),
    ] {
        assert_eq!(of(&Method::POST, "api", &path), Found::OtherSpelling, "{path}");
    }
    let upper = AC.replace("AC0", "ACA");
    assert_eq!(
        of(&Method::POST, "api", &format!("/2010-04-01/Accounts/{upper}/Messages.json")),
        Found::OtherSpelling
    );
    let service = format!("/v2/services/VA{}/verifications", &AC[2..]);
    assert_eq!(of(&Method::POST, "verify", &service), Found::OtherSpelling);
}

#[test]
fn a_method_that_a_known_path_does_not_have_is_never_unknown() {
    let path = format!("/2010-04-01/Accounts/{AC}/Messages.json");
    for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post", "PROPFIND"] {
        assert_eq!(
            of(&Method::from_bytes(method.as_bytes()).unwrap(), "api", &path),
            Found::OtherSpelling,
            "{method}"
        );
    }
    assert_eq!(class(&Method::HEAD, "api", &path), Class::Read);
    assert_eq!(
        of(&Method::HEAD, "lookups", "/v2/PhoneNumbers/+14155550100"),
        Found::OtherSpelling,
        "it is billed"
    );
}

#[test]
fn what_costs_something_is_priced() {
    use Priced::*;
    let account = format!("/2010-04-01/Accounts/{AC}");
    let va = format!("/v2/Services/VA{}", &AC[2..]);
    for (method, host, path, priced) in [
        (Method::POST, "api", format!("{account}/Messages.json"), MessageCreate),
        (Method::POST, "api", format!("{account}/SMS/Messages.json"), MessageCreate),
        (Method::POST, "api", format!("{account}/Calls.json"), CallCreate),
        (Method::POST, "api", format!("{account}/Calls/CA{}.json", &SM[2..]), CallUpdate),
        (Method::POST, "api", format!("{account}/Conferences/support/Participants.json"), ParticipantCreate),
        (Method::POST, "api", format!("{account}/IncomingPhoneNumbers.json"), NumberPurchase),
        (Method::POST, "api", format!("{account}/IncomingPhoneNumbers/TollFree.json"), NumberPurchase),
        (Method::POST, "verify", format!("{va}/Verifications"), VerificationStart),
        (Method::POST, "verify", format!("{va}/VerificationCheck"), VerificationCheck),
        (Method::GET, "lookups", "/v2/PhoneNumbers/%2B14155550100".to_owned(), LookupFetch),
        (Method::GET, "lookups", "/v1/PhoneNumbers/+14155550100".to_owned(), LookupFetch),
    ] {
        assert_eq!(class(&method, host, &path), Class::Priced(priced), "{path}");
    }
}

#[test]
fn a_file_is_a_file_and_its_description_is_json() {
    let media = format!("/2010-04-01/Accounts/{AC}/Messages/{SM}/Media/ME{}", &SM[2..]);
    assert_eq!(class(&Method::GET, "api", &media), Class::Media);
    assert_eq!(class(&Method::GET, "api", &format!("{media}.json")), Class::Read);
    let recording = format!("/2010-04-01/Accounts/{AC}/Recordings/RE{}", &SM[2..]);
    assert_eq!(class(&Method::GET, "api", &format!("{recording}.mp3")), Class::Media);
}

#[test]
fn everything_of_a_host_of_credentials_is_one() {
    for host in ["iam", "oauth", "webhooks", "previewiam", "organizations"] {
        assert_eq!(class(&Method::GET, host, "/v1/anything"), Class::Secret, "{host}");
    }
}

#[test]
fn the_account_is_read_from_the_path_of_the_api_alone() {
    let account = |host: &str, path: &str| {
        let target = format!("/{host}.twilio.com{path}");
        account_segment(&Target::parse(&target, "egress", Way::BaseUrl).unwrap()).map(str::to_owned)
    };
    assert_eq!(account("api", &format!("/2010-04-01/Accounts/{AC}/Messages.json")).as_deref(), Some(AC));
    assert_eq!(account("api", &format!("/2010-04-01/Accounts/{AC}.json")).as_deref(), Some(AC));
    assert_eq!(account("api", "/2010-04-01/Accounts.json"), None);
    assert_eq!(account("verify", &format!("/2010-04-01/Accounts/{AC}.json")), None);
}

/// A path of the documents with something in the place of each parameter.
fn filled(path: &str) -> String {
    let mut filled = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap();
        filled.push_str(before);
        let is_first = before.ends_with("/Accounts/");
        filled.push_str(match name {
            _ if is_first => AC,
            name if name.ends_with("Sid") => SM,
            _ => "GB",
        });
        rest = after;
    }
    filled + rest
}

/// An operation of a document: the label of its host, method, path, and the names of all properties that its good
/// answers may have, however deep.
struct Documented {
    host: String,
    method: Method,
    path: String,
    properties: BTreeSet<String>,
    /// What its form may have, and its query.
    fields: BTreeSet<String>,
    takes_json: bool,
}

fn documented() -> Vec<Documented> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oai");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let server = document["servers"][0]["url"].as_str().unwrap();
        let host = server.strip_prefix("https://").unwrap().strip_suffix(".twilio.com").unwrap().to_owned();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in ["get", "post", "put", "patch", "delete"] {
                let Some(operation) = item.get(method) else { continue };
                let mut properties = BTreeSet::new();
                let answers = operation["responses"].as_object().unwrap().iter();
                for (_, answer) in answers.filter(|(status, _)| status.starts_with('2')) {
                    for media in
                        answer["content"].as_object().into_iter().flat_map(|content| content.values())
                    {
                        collect(&document, &media["schema"], &mut properties, &mut BTreeSet::new());
                    }
                }
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let form = &operation["requestBody"]["content"]["application/x-www-form-urlencoded"];
                let form = form["schema"]["properties"].as_object().into_iter().flat_map(|it| it.keys());
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let query = parameters.filter(|it| it["in"] == "query").filter_map(|it| it["name"].as_str());
                let fields = form.map(String::as_str).chain(query).map(str::to_owned).collect();
                let takes_json = !operation["requestBody"]["content"]["application/json"].is_null();
                all.push(Documented {
                    host: host.clone(),
                    method,
                    path: path.clone(),
                    properties,
                    fields,
                    takes_json,
                });
            }
        }
    }
    all
}

/// The names of all properties of a schema, through references, arrays and alternatives.
fn collect(document: &Value, schema: &Value, names: &mut BTreeSet<String>, seen: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str)
                && seen.insert(reference.to_owned())
            {
                collect(
                    document,
                    document.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
                    names,
                    seen,
                );
            }
            if let Some(properties) = members.get("properties").and_then(Value::as_object) {
                names.extend(properties.keys().cloned());
            }
            members.values().for_each(|value| collect(document, value, names, seen));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(document, value, names, seen)),
        _ => {}
    }
}

#[test]
fn every_operation_of_the_documents_is_in_the_table() {
    let documented = documented();
    assert!(documented.len() > 300, "{}", documented.len());
    let lost: Vec<_> = documented
        .iter()
        .filter(|it| !matches!(of(&it.method, &it.host, &filled(&it.path)), Found::Known(_)))
        .map(|it| format!("{} {} {}", it.host, it.method, it.path))
        .collect();
    assert!(lost.is_empty(), "{lost:#?}");
}

#[test]
fn the_fields_of_what_has_a_price_are_those_of_the_documents() {
    let mut documented_of: HashMap<Priced, BTreeSet<String>> = HashMap::new();
    for it in documented() {
        let Found::Known(operation) = of(&it.method, &it.host, &filled(&it.path)) else {
            panic!("{}", it.path)
        };
        if let Class::Priced(priced) = operation.class {
            documented_of.entry(priced).or_default().extend(it.fields);
        }
    }
    for priced in Priced::ALL {
        let mut known: BTreeSet<String> = fields::of(priced).iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(known.len(), fields::of(priced).len(), "{priced:?}: each once");
        let undocumented = fields::UNDOCUMENTED.iter().filter(|(of, _)| *of == priced);
        for name in undocumented.flat_map(|(_, names)| *names) {
            assert!(known.remove(*name), "{priced:?}: {name}");
        }
        assert_eq!(known, documented_of[&priced], "{priced:?}");
    }
}

#[test]
fn whatever_answers_with_a_secret_is_refused_or_the_secret_is_removed() {
    let looks_secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        let is_about = name.ends_with("_ttl") || name.ends_with("_sid") || name == "token_type";
        let words = ["secret", "password", "private_key", "auth_token", "credential"];
        !is_about && (words.iter().any(|word| name.ends_with(word)) || name.ends_with("token"))
    };
    let mut seen = 0;
    for Documented { host, method, path, properties, .. } in documented() {
        for name in properties.iter().filter(|name| looks_secret(name)) {
            seen += 1;
            let class = class(&method, &host, &filled(&path));
            assert!(class == Class::Secret || is_secret_name(name), "{host} {method} {path}: {name}");
        }
    }
    assert!(seen >= 8, "the documents have such fields: {seen}");
}

#[test]
fn json_is_for_the_operations_whose_documents_ask_for_it() {
    let mut asked_for = 0;
    for it in documented() {
        let target = format!("/{}.twilio.com{}", it.host, filled(&it.path));
        let target = Target::parse(&target, "egress", Way::BaseUrl).unwrap();
        let Found::Known(operation) = find(&it.method, &target) else { panic!("{target:?}") };
        asked_for += usize::from(it.takes_json);
        let is_read = it.method == Method::GET || it.method == Method::DELETE;
        assert!(is_read || takes_json(Some(operation), &target) == it.takes_json, "{} {target:?}", it.method);
    }
    assert_eq!(asked_for, 8);
    let unknown = |target: &str| takes_json(None, &Target::parse(target, "egress", Way::BaseUrl).unwrap());
    for product in ["api", "messaging", "voice", "verify", "content"] {
        assert!(unknown(&format!("/{product}.twilio.com/v9/Anything")), "{product}");
    }
}
