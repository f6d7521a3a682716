//! The media guard of a running `serve`: links from the command line and from an application, to files that Twilio gives to
//! nobody without credentials.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ringfence_model::Sid;
use serde_json::Value;

use crate::world::World;

/// Sends a request to the guard; the head of the answer and its body.
fn send(port: u16, method: &str, target: &str, head: &str, body: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{head}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").expect("a head");
    (String::from_utf8_lossy(&answer[..end]).into_owned(), answer[end + 4..].to_vec())
}

/// The path of a picture that the account sends.
fn picture(world: &World, account: Sid, from: &str) -> String {
    let login = BASE64.encode(format!("{account}:{}", world.signs_with(account)));
    let head = format!("Authorization: Basic {login}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
    let form = format!(
        "To=%2B14155550123&From={}&MediaUrl=https%3A%2F%2Fa.example%2Fcat.png",
        from.replace('+', "%2B")
    );
    let messages = format!("/2010-04-01/Accounts/{account}/Messages");
    let sent = world.ask("POST", &format!("{messages}.json"), &head, &form);
    let message = sent["sid"].as_str().expect("a SID");
    let list = world.ask("GET", &format!("{messages}/{message}/Media.json"), &head, "");
    list["media_list"][0]["uri"].as_str().expect("a path").to_owned()
}

#[test]
fn links_open_files_of_accounts_that_are_known_for_a_time_and_leave_a_row_in_the_audit_log() {
    let world = World::new();
    world.control("PATCH", "settings", r#"{"media_requires_auth": true, "media_redirects": true}"#);
    let port = ringfence_testkit::free_port();
    let file = world.path("ringfence.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    let media = format!(
        "[media]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"http://127.0.0.1:{port}\"\n\n[listen]\n"
    );
    let (account, number) = (world.account(), world.number());
    let uri = picture(&world, account, &number);
    world.run(&["media", "link", &uri]).code(64).complains("has no [media]");
    fs::write(&file, text.replacen("[listen]\n", &media, 1)).expect("written");
    world.run(&["check"]).code(0).says("media").says("links begin with http://127.0.0.1");
    let serving = world.serve();
    world.until(&["limits", "plan"], |run| run.code == 0);

    for (url, expected) in [
        ("https://evil.example/x", "neither /2010-04-01/Accounts/"),
        (&uri.replace(&account.to_string(), "AC00000000000000000000000000000009"), "no auth token of AC0"),
    ] {
        world.run(&["media", "link", url]).code(2).complains(expected);
    }
    world.run(&["media", "link", &uri, "--for", "8d"]).code(2).complains("7d at most");
    let made = world.run(&["media", "link", &uri, "--for", "15m"]).code(0).complains("whoever has this link");
    let target =
        made.out.trim().strip_prefix(&format!("http://127.0.0.1:{port}")).expect("a link").to_owned();
    let (head, body) = send(port, "GET", &target, "", "");
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200") && body.starts_with(b"\x89PNG"), "{head}");
    assert!(
        head.contains("content-disposition: attachment; filename=\"me") && head.contains("nosniff"),
        "{head}"
    );
    let (head, _) = send(port, "GET", target.split('?').next().expect("a path"), "", "");
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");

    let made = ["key", "create", "--account", &account.to_string(), "--name", "inbox", "--json"];
    let made = world.run(&made).code(0).json();
    let login = BASE64.encode(format!("{account}:{}", made["secret"].as_str().expect("a secret")));
    let body = serde_json::json!({ "url": uri, "expires_in": 60 }).to_string();
    let (head, made) = send(port, "POST", "/v1/links", &format!("Authorization: Basic {login}\r\n"), &body);
    assert!(head.starts_with("HTTP/1.1 201"), "{head}");
    let made: Value = serde_json::from_slice(&made).expect("JSON");
    let target = made["url"].as_str().and_then(|url| url.strip_prefix(&format!("http://127.0.0.1:{port}")));
    let (head, _) = send(port, "GET", target.expect("a link"), "", "");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");

    world.run(&["media", "end-links", "--reason", "one was seen"]).code(0).says("all links are ended");
    let rows = world.until(&["audit", "export"], |run| run.out.contains("media.end_links"));
    assert!(rows.out.contains("media.link") && !rows.out.contains("signature"), "{}", rows.out);
    let log = serving.stop();
    assert!(log.contains("a file is served") && log.contains("a link to a file is made"), "{log}");
    assert!(!log.contains("signature="), "{log}");
}
