//! The second factor of a running `serve`: an application that the command line let in has a code sent and checked.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::world::World;

const TO: &str = "+14155550123";

#[test]
fn an_application_from_the_command_line_has_codes_sent_and_checked_by_a_running_serve() {
    let world = World::new();
    let port = ringfence_testkit::free_port();
    let file = world.path("ringfence.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    let listen = format!("[listen]\nsecond_factor = \"127.0.0.1:{port}\"\n");
    let (account, number) = (world.account(), world.number());
    let second_factor =
        format!("\n[second_factor]\naccount = \"{account}\"\nsender = \"{number}\"\ncountries = [\"US\"]\n");
    let text = text.replacen("[listen]\n", &listen, 1) + &second_factor;
    fs::write(&file, text).expect("written");
    world.run(&["check"]).code(0).says("second factor");

    let serving = world.serve();
    world.until(&["limits", "plan"], |run| run.code == 0);
    let service = world.run(&["application", "add", "Owl Bank"]).code(0).out.trim().to_owned();
    let made =
        world.run(&["key", "create", "--application", "Owl Bank", "--name", "ci", "--json"]).code(0).json();
    let (key, secret) = (made["sid"].as_str().expect("a SID"), made["secret"].as_str().expect("a secret"));
    let login = format!("{key}:{secret}");
    let path = format!("/v2/Services/{service}");

    assert_eq!(ask(port, "GET", &path, "x:y", "").0, 401);
    let form = "To=%2B14155550123&Channel=sms";
    let (status, started) = ask(port, "POST", &format!("{path}/Verifications"), &login, form);
    assert_eq!((status, &started["status"]), (201, &json!("pending")), "{started}");
    assert_eq!(
        started["url"],
        format!("http://127.0.0.1:{port}{path}/Verifications/{}", started["sid"].as_str().expect("a SID"))
    );
    let began = std::time::Instant::now();
    let code = loop {
        if let Some(code) = world.code_at(TO) {
            break code;
        }
        assert!(began.elapsed() < crate::world::PATIENCE, "no code arrived");
        std::thread::yield_now();
    };
    let check = format!("To=%2B14155550123&Code={code}");
    let (status, checked) = ask(port, "POST", &format!("{path}/VerificationCheck"), &login, &check);
    assert_eq!((status, &checked["valid"]), (200, &json!(true)), "{checked}");
    assert_eq!(ask(port, "POST", &format!("{path}/VerificationCheck"), &login, &check).0, 404);

    world.run(&["key", "revoke", key]).code(0);
    assert_eq!(ask(port, "GET", &path, &login, "").0, 401, "at once");
    let log = serving.stop();
    for secret in [secret, &code, TO] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

#[test]
fn a_call_says_its_code_to_somebody_who_presses_a_key_and_to_no_mailbox() {
    let world = World::new();
    let port = ringfence_testkit::free_port();
    let file = world.path("ringfence.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    let listen = format!("[listen]\nsecond_factor = \"127.0.0.1:{port}\"\n");
    let (account, number) = (world.account(), world.number());
    let public_url =
        text.lines().find(|line| line.starts_with("public_url")).expect("of the triggers").to_owned();
    let more = format!(
        "\n[[route]]\npath = \"/keys\"\n{public_url}\nupstream = \"second-factor\"\ncheck = \"signature\"\n\n\
         [second_factor]\naccount = \"{account}\"\nsender = \"{number}\"\ncaller = \"{number}\"\ncountries = [\"US\"]\n"
    );
    fs::write(&file, text.replacen("[listen]\n", &listen, 1) + &more).expect("written");
    world.run(&["check"]).code(0).says("keys pressed before a code is spoken");

    let serving = world.serve();
    world.until(&["limits", "plan"], |run| run.code == 0);
    let service = world.run(&["application", "add", "Owl Bank"]).code(0).out.trim().to_owned();
    let made =
        world.run(&["key", "create", "--application", "Owl Bank", "--name", "ci", "--json"]).code(0).json();
    let login =
        format!("{}:{}", made["sid"].as_str().expect("a SID"), made["secret"].as_str().expect("a secret"));
    let path = format!("/v2/Services/{service}");
    let form = "To=%2B14155550123&Channel=call";
    assert_eq!(ask(port, "POST", &format!("{path}/Verifications"), &login, form).0, 201);

    let until = |is_so: &dyn Fn() -> Option<Value>| {
        let began = std::time::Instant::now();
        loop {
            if let Some(found) = is_so() {
                break found;
            }
            assert!(began.elapsed() < crate::world::PATIENCE, "it never came to it");
            std::thread::yield_now();
        }
    };
    let call = until(&|| world.call_to(TO).map(Value::from));
    let call = format!("calls/{}", call.as_str().expect("a SID"));
    let asks = until(&|| {
        let shown = world.control("GET", &call, "");
        (shown["waits_for"] == "keys").then_some(shown)
    });
    assert!(!asks["lines"].to_string().contains("code is"), "{asks:#}");
    world.control("POST", &format!("{call}/keys"), r#"{"digits": "5"}"#);
    let said = until(&|| {
        let shown = world.control("GET", &call, "");
        shown["lines"].to_string().contains("code is").then_some(shown)
    });
    let lines = said["lines"].to_string();
    let code: String = lines
        .split("code is: ")
        .nth(1)
        .expect("a code")
        .chars()
        .filter(char::is_ascii_digit)
        .take(6)
        .collect();
    let check = format!("To=%2B14155550123&Code={code}");
    let (status, checked) = ask(port, "POST", &format!("{path}/VerificationCheck"), &login, &check);
    assert_eq!((status, &checked["valid"]), (200, &json!(true)), "{checked}");
    assert!(!serving.stop().contains(&code), "a code is in the log");
}

pub(crate) fn ask(port: u16, method: &str, path: &str, login: &str, form: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let (login, length) = (BASE64.encode(login), form.len());
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nAuthorization: Basic {login}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (code, serde_json::from_str(body).expect("JSON"))
}
