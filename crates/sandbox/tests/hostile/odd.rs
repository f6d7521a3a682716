//! Odd requests.

use std::path::Path;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ringfence_sandbox::OperationName;
use serde_json::Value;

use crate::actor::{Actor, Request, basic};

/// xorshift64*: the same requests at every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % below
    }

    /// One in so many.
    fn one_in(&mut self, many: usize) -> bool {
        self.roll(many) == 0
    }

    fn one_of<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.roll(list.len())]
    }
}

/// An operation and the parameters that Twilio's documents name for it, each with its enumerated values.
pub(crate) struct Shape {
    name: OperationName,
    parameters: Vec<(String, Vec<String>)>,
}

/// Reads the parameters of an operation out of Twilio's documents; none where it is in none of them.
pub(crate) fn shape(name: OperationName) -> Shape {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oai");
    let documents = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut parameters = Vec::new();
    for path in documents.filter(|path| path.to_string_lossy().contains(&format!("twilio_{}_", name.product)))
    {
        let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let operation = &document["paths"][name.path][name.method.to_ascii_lowercase()];
        let form = &operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"];
        let fields = form["properties"].as_object().into_iter().flatten();
        parameters.extend(fields.map(|(field, schema)| (field.clone(), values(&document, schema))));
        let queries =
            operation["parameters"].as_array().into_iter().flatten().filter(|it| it["in"] == "query");
        parameters.extend(
            queries.map(|it| (it["name"].as_str().unwrap().to_owned(), values(&document, &it["schema"]))),
        );
    }
    Shape { name, parameters }
}

fn values(document: &Value, schema: &Value) -> Vec<String> {
    let node = [schema, &schema["items"]]
        .into_iter()
        .find_map(|it| it["$ref"].as_str())
        .map_or(schema, |it| document.pointer(it.strip_prefix('#').unwrap()).unwrap());
    let texts = node["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

pub(crate) fn request(dice: &mut Dice, shapes: &[Shape], actor: &Actor, sids: &[String]) -> Request {
    let shape = &shapes[dice.roll(shapes.len())];
    let spoiled = dice.roll(3);
    let mut method = shape.name.method.to_owned();
    if dice.one_in(12) {
        dice.one_of(&["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW"])
            .clone_into(&mut method);
    }
    let mut target = path(dice, shape, actor, sids);
    let fields: String = fields(dice, shape, sids, spoiled).join("&");
    let mut body = Vec::new();
    if method == "GET" || method == "DELETE" || method == "HEAD" {
        target = format!("{target}?{fields}");
    } else {
        body = fields.into_bytes();
    }
    if dice.one_in(30) {
        body = (0..dice.roll(2_000)).map(|_| u8::try_from(dice.roll(256)).unwrap()).collect();
    }
    let host = match dice.roll(12) {
        0 => actor.sandbox.address().to_string(),
        1 => dice
            .one_of(&[
                "",
                "api.twilio.com",
                "verify.twilio.com",
                "studio.twilio.com",
                "API.TWILIO.COM.:443",
                "[::1]",
                "a b",
                "ü",
            ])
            .to_owned(),
        _ => format!("{}.twilio.com", shape.name.product),
    };
    Request { method, target, host, headers: headers(dice, actor, sids), body }
}

fn headers(dice: &mut Dice, actor: &Actor, sids: &[String]) -> Vec<(String, String)> {
    let token = actor.sandbox.auth_token(actor.sandbox.account_sid()).unwrap();
    let mut headers = vec![basic(&actor.sid, &token)];
    if dice.one_in(25) {
        let sid = known(dice, sids);
        headers = match dice.roll(6) {
            0 => Vec::new(),
            1 => vec![basic(&sid, &known(dice, sids))],
            2 => vec![("Authorization".to_owned(), "Basic ???".to_owned())],
            3 => vec![("Authorization".to_owned(), "Basic".to_owned())],
            4 => vec![("Authorization".to_owned(), "Bearer abc.def".to_owned())],
            _ => vec![basic("", &":".repeat(5_000)), basic(&actor.sid, &token)],
        };
    }
    if dice.one_in(20) {
        let content_type = dice.one_of(&[
            "application/json",
            "",
            "multipart/form-data; boundary=x",
            "text/plain",
            "application/x-www-form-urlencoded; charset=latin1",
        ]);
        headers.push(("Content-Type".to_owned(), content_type.to_owned()));
    }
    if dice.one_in(20) {
        let field = dice.one_of(&[
            "Accept: text/xml",
            "X-Forwarded-Host: api.twilio.com",
            "Accept-Encoding: gzip",
            "Content-Encoding: gzip",
            "Cookie: a=b",
            "I-Twilio-Idempotency-Token: x",
        ]);
        let (name, value) = field.split_once(": ").unwrap();
        headers.push((name.to_owned(), value.to_owned()));
    }
    headers
}

fn path(dice: &mut Dice, shape: &Shape, actor: &Actor, sids: &[String]) -> String {
    let mut path = String::new();
    for segment in shape.name.path.split('/').skip(1) {
        path.push('/');
        let Some((before, rest)) = segment.split_once('{') else {
            path.push_str(if dice.one_in(150) { odd_segment(dice) } else { segment });
            continue;
        };
        let (name, after) = rest.split_once('}').unwrap();
        let value = match name {
            _ if dice.one_in(15) => odd_segment(dice).to_owned(),
            "AccountSid" if !dice.one_in(10) => actor.sid.clone(),
            _ if name.ends_with("Sid") => known(dice, sids),
            "CountryCode" | "IsoCode" | "IsoCountry" => {
                dice.one_of(&["US", "DE", "LV", "GB", "XX", "us"]).to_owned()
            }
            _ => utf8_percent_encode(NUMBERS[dice.roll(NUMBERS.len())], NON_ALPHANUMERIC).to_string(),
        };
        path += &format!("{before}{value}{after}");
    }
    match dice.roll(80) {
        0 => path + "/",
        1 => path.replacen('/', "//", 2),
        2 => path.replace(".json", ".xml"),
        3 => format!("/{}.twilio.com{path}", shape.name.product),
        4 => path + "%00",
        5 => path + "ü",
        6 => path.to_uppercase(),
        _ => path,
    }
}

/// Fields as they go over the wire, encoded or not.
fn fields(dice: &mut Dice, shape: &Shape, sids: &[String], spoiled: usize) -> Vec<String> {
    let mut fields = Vec::new();
    for (name, choices) in &shape.parameters {
        if !is_basic(name) && !dice.one_in(6) {
            continue;
        }
        let value = match choices.as_slice() {
            [] => sensible(dice, name, sids),
            choices => choices[dice.roll(choices.len())].clone(),
        };
        let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
        fields.push(format!("{name}={}", utf8_percent_encode(&value, NON_ALPHANUMERIC)));
    }
    for _ in 0..spoiled {
        let name = match shape.parameters.as_slice() {
            [] => "FriendlyName",
            parameters => parameters[dice.roll(parameters.len())].0.as_str(),
        };
        let field = format!("{name}={}", odd_value(dice));
        if fields.is_empty() || dice.one_in(2) {
            fields.push(field);
        } else {
            let at = dice.roll(fields.len());
            fields[at] = field;
        }
    }
    fields
}

/// What most operations cannot do without.
fn is_basic(name: &str) -> bool {
    matches!(
        name,
        "To" | "From"
            | "Body"
            | "Twiml"
            | "FriendlyName"
            | "UniqueName"
            | "Max"
            | "Interval"
            | "Channel"
            | "Code"
            | "CallbackUrl"
            | "TriggerValue"
            | "UsageCategory"
            | "PhoneNumber"
            | "Permissions"
            | "UpdateRequest"
            | "Status"
            | "Outcome"
            | "PhoneNumberSid"
    )
}

/// A value that may well do.
fn sensible(dice: &mut Dice, name: &str, sids: &[String]) -> String {
    let text = match name {
        "From" => {
            dice.one_of(&["+15005550006", "+15005550006", "+14155550100", "Acme", "whatsapp:+15005550006"])
        }
        "Twiml" => dice.one_of(TWIML),
        "Body" | "FriendlyName" | "UniqueName" | "Description" => {
            dice.one_of(&["Hello", "ü€🎉", "x", "STOP", "name"])
        }
        "Max" | "Interval" | "TriggerValue" | "Code" | "AreaCode" => {
            dice.one_of(&["1", "5", "60", "415", "1234", "+3", "0.5"])
        }
        "UsageCategory" | "Category" => {
            dice.one_of(&["sms", "calls", "totalprice", "sms-outbound", "nonsense"])
        }
        "Permissions" => r#"{"country_code":"DE","type":"country","enabled":true}"#,
        "UpdateRequest" => r#"[{"iso_code":"US","low_risk_numbers_enabled":"true"}]"#,
        "PageSize" | "Page" | "Limit" => dice.one_of(&["1", "2", "50", "0", "1000", "100000"]),
        _ if name.ends_with("Sid") || name.ends_with("Sids") => return known(dice, sids),
        _ if name.contains("Url") || name.contains("Callback") => dice.one_of(URLS),
        _ if name.contains("Date") || name.contains("Time") || name.contains("SendAt") => dice.one_of(DATES),
        _ => NUMBERS[dice.roll(NUMBERS.len())],
    };
    text.to_owned()
}

/// A SID that was told, or one that never was.
fn known(dice: &mut Dice, sids: &[String]) -> String {
    if sids.is_empty() || dice.one_in(12) {
        let prefix = dice.one_of(&["AC", "SM", "CA", "UT", "SK", "PN", "VE", "RE", "zz"]);
        return format!("{prefix}{:032x}", dice.roll(1 << 20));
    }
    sids[dice.roll(sids.len())].clone()
}

fn odd_segment(dice: &mut Dice) -> &'static str {
    const LONG: &str = include_str!("odd.rs");
    match dice.roll(10) {
        // A few thousand letters; the rest of the file would not be a path.
        0 => LONG.lines().find(|line| line.contains("aaaa")).unwrap().trim().trim_start_matches("// "),
        _ => dice.one_of(&[
            "",
            ".",
            "..",
            "%00",
            "%ff%fe",
            "%2e%2e%2f",
            "%252525252525252541",
            "%",
            "%zz",
            "*",
            "{Sid}",
            "~",
            "%F0%9F%8E%89",
            "+",
            "AC",
            "-1",
            "Today",
            "null",
            ";",
            "=",
            "@",
            ":",
            "'",
            "%0d%0aX-A:b",
            "%u0041",
            "18446744073709551616",
        ]),
    }
}
// aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa

/// Encoded as it goes over the wire, or not encoded at all.
fn odd_value(dice: &mut Dice) -> String {
    match dice.roll(12) {
        0 => "x".repeat(dice.roll(20_000)),
        1 => "%5B".repeat(dice.roll(2_000)),
        2 => "%F0%9F%8E%89".repeat(dice.roll(500)),
        3 => utf8_percent_encode(dice.one_of(TWIML), NON_ALPHANUMERIC).to_string(),
        4 => utf8_percent_encode(dice.one_of(DATES), NON_ALPHANUMERIC).to_string(),
        5 => utf8_percent_encode(dice.one_of(URLS), NON_ALPHANUMERIC).to_string(),
        _ => dice
            .one_of(&[
                "",
                "0",
                "-0",
                "-1",
                "1e309",
                "-1e309",
                "1e-400",
                "NaN",
                "inf",
                "99999999999999999999999999999999999999999999",
                "-9223372036854775808",
                "18446744073709551615",
                "4294967296",
                "0x10",
                "1_000",
                "%2B",
                "%2B1",
                "%2B0",
                "+1",
                "%2B%2B14155550100",
                "%2B1415555010099999999",
                "12",
                "true",
                "TRUE",
                "null",
                "%00",
                "%ff",
                "%C3%28",
                "%",
                "%%%",
                "=",
                "%7B%7D",
                "%7B%22a%22%3A1%7D",
                "%5B%5B%5B",
                "%5B%5D",
                "%5B1%5D",
                "%22",
                "whatsapp%3A",
                "sip%3Aa%40b",
                "client%3A",
                "GET",
                "POST",
                "active",
                "suspended",
                "closed",
                "completed",
                "canceled",
                "%0D%0A",
                "%E2%80%AE",
                "0.0000000000000000000000001",
                "-0.01",
                "340282366920938463463374607431768211456",
                "922337203685477580.7",
                "9223372036854775807",
                "-30days",
                "%2B99999999999days",
            ])
            .to_owned(),
    }
}

const NUMBERS: &[&str] = &[
    "+14155550100",
    "+14155550101",
    "+15005550001",
    "+15005550002",
    "+15005550004",
    "+15005550006",
    "+4915112345678",
    "+442071838750",
    "+37120000000",
    "+999",
    "+1",
    "14155550100",
    "(415) 555-0100",
    "Acme",
    "sms",
    "call",
    "1",
];

const DATES: &[&str] = &[
    "2026-03-01",
    "2026-02-30",
    "0000-00-00",
    "9999-12-31",
    "-9999-01-01",
    "-30days",
    "-99999999999days",
    "2026-03-01T12:00:00Z",
    "2026-03-01T25:00:00Z",
    "9999-12-31T23:59:59Z",
    "-009999-01-01T00:00:00Z",
    "today",
    "1772366400",
    "2026-W10",
];

/// All on this machine, where nothing listens.
const URLS: &[&str] = &[
    "http://127.0.0.1:9/",
    "http://127.0.0.1:9/#rc=5&rp=all&ct=1",
    "http://user:pa%20ss@127.0.0.1:9/x?y=z",
    "https://127.0.0.1:9/",
    "http://",
    "http://[::1",
    "http://[::1]:9/",
    "http://127.0.0.1:99999/",
    "ftp://127.0.0.1/",
    "javascript:1",
    "http://127.0.0.1:9/ü",
    "http://127.0.0.1:9/#rc=-1&tt=99999999999999999999",
    "http://@127.0.0.1:9",
    "http://127.0.0.1:9/\u{0}",
    "x",
];

const TWIML: &[&str] = &[
    "<Response><Say>Hello</Say></Response>",
    "<Response><Gather numDigits='1' action='http://127.0.0.1:9/'><Say loop='0'>Press</Say></Gather><Redirect/></Response>",
    "<Response><Redirect>http://127.0.0.1:9/</Redirect></Response>",
    "<Response><Dial timeout='99999999999999999999'><Number>+1</Number><Client>x</Client></Dial><Record maxLength='-1'/></Response>",
    "<Response><Dial>+14155550101</Dial><Hangup/></Response>",
    "<Response><Record/><Pause length='99999999999999999999'/><Reject reason='busy'/></Response>",
    "<Response><Pause length='-1'/><Play loop='1000000000'>http://127.0.0.1:9/a.mp3</Play></Response>",
    "<Response><Message to='+1' from='x'><Body>b</Body><Media>http://127.0.0.1:9/</Media></Message></Response>",
    "<Response><Enqueue/><Unknown><Say/></Unknown></Response>",
    "<Response>",
    "",
    "no xml",
    "<a><b></a>",
    "<!DOCTYPE x [<!ENTITY a 'b'>]><Response>&a;</Response>",
    "<Response/>",
];
