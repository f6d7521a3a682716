//! `ringfence sandbox`, the real binary: what it refuses, what it tells a newcomer, and how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const SID: &str = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Runs it to an end that comes by itself.
fn ended(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .arg("sandbox")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    (output.status.code().expect("an exit code"), String::from_utf8(output.stderr).expect("text"))
}

/// One that runs, and what it said up to the line that tells how to stop it.
struct Running {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    introduction: String,
}

impl Drop for Running {
    /// A test that fails leaves nothing behind; one that ended by itself is not there any more.
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringfence"))
            .args(["sandbox", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut introduction = String::new();
        while !introduction.contains("Ctrl-C stops it") {
            let read = out.read_line(&mut introduction).expect("text");
            assert_ne!(read, 0, "it ended early:\n{introduction}");
        }
        Self { child, out, introduction }
    }

    fn address(&self) -> &str {
        let first = self.introduction.lines().next().expect("a line");
        first.split_once("http://").expect("its address").1
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    /// Sends a signal. How it ended, how long that took, and what it said last.
    fn signalled(mut self, signal: &str) -> (ExitStatus, Duration, String) {
        let asked = Instant::now();
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        let status = self.child.wait().expect("it ends");
        let took = asked.elapsed();
        let mut last = String::new();
        self.out.read_to_string(&mut last).expect("text");
        (status, took, last)
    }
}

#[test]
fn wrong_usage_is_refused_by_name_before_anything_starts() {
    for (arguments, says) in [
        (["--account-sid", "SM00000000000000000000000000000001"], "an account SID is AC"),
        (["--account-sid", "x"], "an account SID is AC"),
        (["--trigger-interval", "0s"], "at least 1s"),
        (["--trigger-interval", "60"], "--trigger-interval"),
        (["--usage-lag", "1500ms"], "whole number of seconds"),
        (["--start", "2026-01-01T00:00:00Z"], "--virtual-clock"),
        (["--usage-lag", "60"], "write a time such as 60s"),
        (["--listen", "localhost"], "like 127.0.0.1:4010"),
        (["--auth-token", ""], "a token is visible ASCII"),
        (["--auth-token", "two words"], "a token is visible ASCII"),
        (["--keep-messages", "0"], "at least 1"),
        (["--host-name", "http://sandbox.example.com"], "without a scheme"),
        (["--webhook-ca", "no-such-file.pem"], "no-such-file.pem"),
    ] {
        let (code, err) = ended(&arguments);
        assert_eq!(code, 2, "{arguments:?}: {err}");
        assert!(err.contains(says), "{arguments:?}: {err}");
    }
}

#[test]
fn a_port_that_is_taken_is_unavailable_and_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let (code, err) = ended(&["--listen", &address]);
    assert_eq!(code, 69, "{err}");
    assert!(err.contains(&format!("cannot listen on {address}")), "{err}");
    assert!(err.contains("hint: ") && err.contains("--listen 127.0.0.1:0"), "{err}");
}

#[test]
fn the_introduction_tells_all_that_is_needed_in_80_columns() {
    let sandbox = Running::start(&["--account-sid", SID, "--auth-token", "test-token", "--virtual-clock"]);
    let said = &sandbox.introduction;
    for needed in [SID, "test-token", "/_sandbox/phones", "HTTPS_PROXY=", "baseUrl", "base_url", "advance"] {
        assert!(said.contains(needed), "{needed} is not in\n{said}");
    }
    for line in said.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let answer = sandbox.get("/_sandbox/");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(SID), "{answer}");
    assert!(sandbox.get("/_sandbox/clock").contains("\"virtual\": true"));
    sandbox.signalled("-TERM");
}

#[test]
fn one_seed_gives_the_same_account_each_time() {
    let account = |seed| {
        let sandbox = Running::start(&["--seed", seed]);
        let said = sandbox.introduction.clone();
        sandbox.signalled("-TERM");
        said.lines()
            .filter(|line| line.contains("  account SID") || line.contains("  auth token"))
            .collect::<String>()
    };
    assert_eq!(account("7"), account("7"));
    assert_ne!(account("7"), account("8"));
}

#[test]
fn ctrl_c_and_sigterm_end_it_at_once_even_while_pages_follow_it() {
    for signal in ["-INT", "-TERM"] {
        let sandbox = Running::start(&[]);
        let mut page = TcpStream::connect(sandbox.address()).expect("it listens");
        page.write_all(b"GET /_sandbox/events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
        let mut first = [0; 12];
        page.read_exact(&mut first).expect("it answers");
        assert_eq!(&first, b"HTTP/1.1 200");
        let (status, took, last) = sandbox.signalled(signal);
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(last.contains("Stopped. Nothing is kept."), "{last}");
        assert!(
            took < Duration::from_secs(2),
            "{signal}: it took {took:?}, as long as it gives those who do not end"
        );
    }
}

#[test]
fn a_kept_authority_is_made_once_and_a_broken_one_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a path in UTF-8");
    let ca = || {
        let sandbox = Running::start(&["--ca-dir", path]);
        let answer = sandbox.get("/_sandbox/ca.pem");
        sandbox.signalled("-TERM");
        answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
    };
    let first = ca();
    assert!(first.contains("BEGIN CERTIFICATE"), "{first}");
    assert_eq!(ca(), first);
    std::fs::write(folder.path().join("ca.key"), "no key").expect("it can be written");
    let (code, err) = ended(&["--listen", "127.0.0.1:0", "--ca-dir", path]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("ca.key") && err.contains("remove"), "{err}");
}
