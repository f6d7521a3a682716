//! `ringfence serve`, the real binary: what it tells of itself, and what never.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn no_number_text_signature_or_token_is_in_the_log_of_a_refusal_and_its_explanation() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("ringfence.toml");
    std::fs::write(folder.path().join("token"), TOKEN).unwrap();
    let text = "[listen]\ngate = \"127.0.0.1:0\"\n\
                [[account]]\nsid = \"AC00000000000000000000000000000001\"\nauth_token = { file = \"token\" }\n\
                [[route]]\npath = \"/sms\"\npublic_url = \"https://hooks.example.com\"\n\
                upstream = \"http://127.0.0.1:9\"\ncheck = \"signature\"\n";
    std::fs::write(&config, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .args(["serve", "--config"])
        .arg(&config)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    let ready = read_until(&mut log, &mut seen, " ready ");
    let address = ready.split("gate=").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();

    let body = "AccountSid=AC00000000000000000000000000000001&From=%2B14155550101&To=%2B14155550100&Body=topsecretword";
    let signature = "AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let request = format!(
        "POST /sms?code=987654 HTTP/1.1\r\nHost: hooks.example.com\r\nX-Twilio-Signature: {signature}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");

    read_until(&mut log, &mut seen, "a refused request explained");
    let stopped = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(stopped.success());
    log.read_to_string(&mut seen).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(seen.matches("request refused").count(), 1, "one line for one refusal: {seen}");
    assert!(seen.contains("reason=\"signature_mismatch\""), "{seen}");
    for kept in [TOKEN, "4155550101", "4155550100", "topsecretword", "987654", signature] {
        assert!(!seen.contains(kept), "{kept} is in the log:\n{seen}");
    }
}

/// The first line that holds `wanted`; everything read is added to `seen`.
fn read_until(log: &mut impl BufRead, seen: &mut String, wanted: &str) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(
            log.read_line(&mut line).expect("the log is text"),
            0,
            "no line with {wanted:?} in\n{seen}"
        );
        seen.push_str(&line);
        if line.contains(wanted) {
            return line;
        }
    }
}
