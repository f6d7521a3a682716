//! The API of a running `serve`, opened by a token that `api-token create` made.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::world::World;

#[test]
fn a_token_from_the_command_line_opens_the_api_of_a_running_serve() {
    let world = World::new();
    let port = ringfence_testkit::free_port();
    let file = world.path("ringfence.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    let listen = format!("[listen]\nadmin = \"127.0.0.1:{port}\"\n");
    fs::write(&file, text.replacen("[listen]\n", &listen, 1)).expect("written");
    let account = world.subaccount("Customer 7");
    let serving = world.serve();
    world.until(&["limits", "plan"], |run| run.code == 0);
    let token = |arguments: &[&str]| {
        let arguments = [&["api-token", "create", "--name", "ci"], arguments].concat();
        world.run(&arguments).code(0).out.trim().to_owned()
    };
    let (reads, operates) = (token(&[]), token(&["--scope", "operate", "--from", "127.0.0.0/8"]));
    let body = json!({ "limit": "fifty a day", "account": account, "reason": "leak" }).to_string();

    assert_eq!(ask(port, "GET", "/v1/status", "", "").0, 401);
    let (code, status) = ask(port, "GET", "/v1/status", &reads, "");
    assert_eq!((code, &status["is_quiet"]), (200, &json!(true)), "{status}");
    assert_eq!(ask(port, "POST", "/v1/breakers/trip", &reads, &body).0, 403);
    let (code, tripped) = ask(port, "POST", "/v1/breakers/trip", &operates, &body);
    assert_eq!((code, &tripped["phase"]), (200, &json!("tripped")), "{tripped}");
    world.until(&["account", "list"], |run| run.out.contains("held suspended by limit \"fifty a day\""));
    assert_eq!(ask(port, "GET", "/openapi.json", "", "").1["openapi"], json!("3.1.0"));
    let log = serving.stop();
    assert!(!log.contains(&reads) && !log.contains(&operates), "a token is in the log");
}

fn ask(port: u16, method: &str, path: &str, token: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let authorization = match token {
        "" => String::new(),
        token => format!("Authorization: Bearer {token}\r\n"),
    };
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{authorization}\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (code, serde_json::from_str(body).expect("JSON"))
}
