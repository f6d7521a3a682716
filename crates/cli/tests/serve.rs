//! `ringfence serve`, the real binary: what it tells and keeps, and what never.

#![expect(clippy::unwrap_used, clippy::format_push_string, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use ringfence_signature::Signer;
use ringfence_testkit::{Answer, PostgresDatabase, Upstream};

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

/// Hands the process a socket as systemd does: the third file, and what it is called.
#[test]
fn a_socket_of_systemd_at_another_address_than_the_configuration_says_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("ringfence.toml");
    std::fs::write(folder.path().join("token"), TOKEN).unwrap();
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    for (configured, is_told) in [("127.0.0.1:1".to_owned(), true), (address.to_string(), false)] {
        let text = format!(
            "[listen]\ngate = \"{configured}\"\n\
             [[account]]\nsid = \"AC00000000000000000000000000000001\"\nauth_token = {{ file = \"token\" }}\n\
             [[route]]\npath = \"/sms\"\npublic_url = \"https://hooks.example.com\"\n\
             upstream = \"http://127.0.0.1:9\"\ncheck = \"signature\"\n"
        );
        std::fs::write(&config, text).unwrap();
        let as_systemd =
            "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=gate exec \"$0\" \"$@\"";
        let mut child = Command::new("sh")
            .args(["-c", as_systemd, env!("CARGO_BIN_EXE_ringfence"), "serve", "--config"])
            .arg(&config)
            .stdin(std::os::fd::OwnedFd::from(held.try_clone().unwrap()))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        let ready = read_until(&mut log, &mut seen, " ready ");
        assert!(ready.contains(&format!("gate={address}")), "{ready}");
        let told = "the socket from systemd listens at another address than the configuration says";
        assert_eq!(seen.contains(told), is_told, "{seen}");
        assert_eq!(seen.contains(&format!("configured={configured}")), is_told, "{seen}");
        assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
        log.read_to_string(&mut seen).unwrap();
        assert!(child.wait().unwrap().success(), "{seen}");
    }
}

/// Everything of a customer's that the requests of the next test have in them.
const PERSONAL: [&str; 12] = [
    "15112345678",
    "4155550100",
    "topsecretword",
    "Annabel",
    "987654",
    "BERLINMITTE",
    "annalisa",
    "spokenword",
    "jsonsecret",
    "/customers/49",
    "4711471147",
    "a.example/media",
];

/// Runs a gate with `[inspector]` on, sends it requests with all that is personal, and looks for it everywhere; `dump` is what
/// the database holds.
fn nothing_personal_is_kept(store: &str, dump: impl Fn(&Path) -> Vec<u8>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let upstream = runtime.block_on(Upstream::start(|_| async {
        Answer::new(200, "<Response><Say>spokenword for Annabel</Say><Dial>+4915112345678</Dial></Response>")
            .header("content-type", "text/xml")
    }));
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("ringfence.toml");
    std::fs::write(folder.path().join("token"), TOKEN).unwrap();
    let text = format!(
        "[listen]\ngate = \"127.0.0.1:0\"\n[log]\nlevel = \"trace\"\n[store]\n{store}\n[inspector]\nkeep = \"redacted\"\n\
         [[account]]\nsid = \"AC00000000000000000000000000000001\"\nauth_token = {{ file = \"token\" }}\n\
         [[route]]\npath = \"/\"\npublic_url = \"https://hooks.example.com\"\n\
         upstream = \"http://{}\"\ncheck = \"signature\"\nstrict = \"report\"\n",
        upstream.address()
    );
    std::fs::write(&config, text).unwrap();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        command.args(arguments).arg("--config").arg(&config).env("STORE_KEY", "0a".repeat(32));
        command
    };
    let mut child = command(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    let ready = read_until(&mut log, &mut seen, " ready ");
    let address =
        ready.split("gate=").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap().to_owned();
    let reading = std::thread::spawn(move || {
        let mut rest = String::new();
        log.read_to_string(&mut rest).unwrap();
        rest
    });

    let account = "AC00000000000000000000000000000001";
    let fields = [
        ("AccountSid", account),
        ("MessageSid", "SM00000000000000000000000000000007"),
        ("From", "+4915112345678"),
        ("To", "whatsapp:+14155550100"),
        ("Body", "topsecretword 987654 from Annabel"),
        ("FromCity", "BERLINMITTE"),
        ("Caller", "client:annalisa"),
        ("MediaUrl0", "https://a.example/media/1"),
        ("CallStatus", "+4915112345678"),
        ("NumMedia", "4711471147"),
        ("+4915112345678", "Annabel"),
        ("SmsStatus", "received"),
    ];
    let target = "https://hooks.example.com/customers/4915112345678?code=987654&name=Annabel";
    let json = r#"{"to":"+4915112345678","deep":[{"text":"jsonsecret"}],"number":4915112345678}"#;
    let mut statuses = Vec::new();
    for token in [TOKEN, &"3".repeat(32)] {
        let signer = Signer::token(token);
        // A form, a query, JSON: right and forged.
        for signed in [
            signer.form(target, fields),
            signer.get(&format!("{target}&AccountSid={account}&From=%2B4915112345678")),
            signer.json(target, json),
        ] {
            let mut request = format!(
                "{} {} HTTP/1.1\r\nHost: hooks.example.com\r\nX-Forwarded-For: 10.0.0.1\r\nConnection: close\r\n",
                signed.method,
                signed.target()
            );
            for (name, value) in &signed.headers {
                request += &format!("{name}: {value}\r\n");
            }
            if signed.method != "GET" {
                request += &format!("Content-Length: {}\r\n", signed.body.len());
            }
            let mut request = (request + "\r\n").into_bytes();
            request.extend_from_slice(&signed.body);
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.write_all(&request).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            statuses.push(answer.split(' ').nth(1).unwrap().to_owned());
        }
    }
    assert_eq!(statuses, ["200", "200", "200", "403", "403", "403"]);
    // A stop writes what stands in line.
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    let seen = seen + &reading.join().unwrap();

    let show = |arguments: &[&str]| {
        let output = command(&[&["inspector", "show"], arguments].concat()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = show(&["--json", "--limit", "10"]);
    let told: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(told["requests"].as_array().map(Vec::len), Some(6), "{shown}");
    let form = &told["requests"][5];
    assert_eq!(form["path"], "/customers/(13 characters)");
    assert_eq!((form["account"].as_str(), form["signed"].as_bool()), (Some(account), Some(true)));
    assert_eq!(form["answer"], "Say Dial");
    let parameters = form["parameters"].to_string();
    for expected in ["+49… (13 digits)", "whatsapp:+1… (11 digits)", "received", "(14 bytes)"] {
        assert!(parameters.contains(expected), "{parameters}");
    }
    let text = show(&["--refused", "--route", "/", "--account", account, "--since", "1h"]);
    assert_eq!(text.matches("refused: signature mismatch").count(), 2, "JSON names no account: {text}");
    let everything = [
        ("the log", seen.as_bytes().to_vec()),
        ("the database", dump(folder.path())),
        ("show", [shown, text].concat().into_bytes()),
    ];
    for (place, bytes) in &everything {
        assert!(bytes.len() > 500, "{place} was looked at");
        let text = String::from_utf8_lossy(bytes);
        for personal in PERSONAL {
            assert!(!text.contains(personal), "{personal} is in {place}");
        }
    }
    assert!(seen.contains("TRACE") || seen.contains("DEBUG"), "the log is at its fullest");

    let purge =
        |arguments: &[&str]| command(&[&["inspector", "purge"], arguments].concat()).output().unwrap();
    assert_eq!(purge(&["--all"]).status.code(), Some(2), "without a reason");
    assert_eq!(purge(&["--reason", "x"]).status.code(), Some(2), "without saying what");
    let output = purge(&["--before", "1h", "--reason", "enough"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "deleted what was kept of 0 requests\n");
    let output = purge(&["--all", "--reason", "asked to by law", "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told, serde_json::json!({ "deleted": 6, "before": null }));
    assert_eq!(show(&[]), "");
    let (before, after) = (String::from_utf8_lossy(&everything[1].1), dump(folder.path()));
    let message = "SM00000000000000000000000000000007";
    assert!(before.contains(message));
    assert!(!String::from_utf8_lossy(&after).contains(message), "it is gone from the disk too");
}

#[test]
fn nothing_personal_is_in_a_sqlite_store_or_in_the_log_at_any_level() {
    nothing_personal_is_kept("url = \"sqlite:ringfence.db\"", |folder| {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let of_the_store = files.filter(|path| path.to_string_lossy().contains("ringfence.db"));
        of_the_store.flat_map(|path| std::fs::read(path).unwrap()).collect()
    });
}

#[test]
fn nothing_personal_is_in_a_postgresql_store_or_in_the_log_at_any_level() {
    let Some(database) = PostgresDatabase::create() else { return };
    let store = format!("url = \"{}\"\nmaster_key = {{ env = \"STORE_KEY\" }}", database.url());
    nothing_personal_is_kept(&store, |_| database.dump());
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
