//! `ringfence demo`, as somebody who tries it meets it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use tempfile::TempDir;

/// A demo at work. Its folder for temporary files is its own.
struct Demo {
    child: Child,
    out: BufReader<ChildStdout>,
    temporary: TempDir,
    seen: String,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let temporary = TempDir::new().expect("a folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringfence"))
            .arg("demo")
            .args(arguments)
            .env("TMPDIR", temporary.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, out, temporary, seen: String::new() }
    }

    /// Reads on until a line has this in it.
    #[track_caller]
    fn reads(&mut self, what: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.out.read_line(&mut line).expect("text") > 0, "{what} is not in\n{}", self.seen);
            self.seen.push_str(&line);
            if line.contains(what) {
                return line;
            }
        }
    }

    fn terminate(&self) {
        self.is_told("-TERM");
    }

    fn is_told(&self, signal: &str) {
        let told = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill");
        assert!(told.success());
    }

    /// Its exit code and all that it printed. Nothing may be left of it.
    #[track_caller]
    fn ends(mut self) -> (Option<i32>, String) {
        self.out.read_to_string(&mut self.seen).expect("text");
        let code = self.child.wait().expect("it ends").code();
        let left: Vec<_> = std::fs::read_dir(self.temporary.path()).expect("the folder").collect();
        assert!(left.is_empty(), "{left:?}");
        (code, self.seen)
    }
}

fn ringfence(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringfence")).args(arguments).output().expect("the program starts")
}

#[test]
fn it_shows_who_gets_in_and_what_becomes_of_a_thief_and_leaves_nothing_behind() {
    let (code, shown) = Demo::start(&["--exit"]).ends();
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains("in a browser"), "there is no page where nobody stays: {shown}");
    for part in [
        "403 refused: signature_mismatch",
        "    Twilio signed the URL without the query that came with it.",
        "$ ringfence incidents --account \"Tenant Ada\"",
        "an account that nobody guards pays for all that the thief sends  40 messages, 180.4 USD",
        "a usage trigger waits at Twilio, which Ringfence put there       at 50 USD",
        "the thief's next message                                         403, refused by Twilio",
        "| Subject: [Ringfence] Critical: Tenant Ada is being suspended",
        "$ ringfence reset \"fifty a day\" --account \"Tenant Ada\"",
        "active at Twilio, read back",
        "the tenant's own message goes through the egress                 201",
        "| Ringfence: the limit \"fifty a day\" is full",
        "USD, past the limit: 0\n",
        "a thief types her password                                       and is asked for a second factor",
        "and is inside                                                    signed in",
        "the same code once more                                          it was good once",
        "\nEverything went as told.\n",
    ] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
}

#[test]
fn the_first_line_is_the_page_which_is_there_while_the_tour_goes_on() {
    let port = free_port();
    let mut demo = Demo::start(&["--port", &port.to_string()]);
    let first = demo.reads("");
    assert_eq!(first, format!("Open http://127.0.0.1:{port}/ in a browser: there each step is a button.\n"));
    demo.reads("Genuine requests");
    let shown = get(port);
    assert!(shown.starts_with("HTTP/1.1 200 ") && shown.contains("Three promises"), "{shown}");
    // A thief who is at work is no reason to leave something behind.
    let origin = format!("http://127.0.0.1:{port}");
    let shown = post(port, "/money", &origin);
    assert!(shown.starts_with("HTTP/1.1 303 "), "{shown}");
    assert!(post(port, "/money", "https://evil.example").starts_with("HTTP/1.1 403 "));
    // Somebody else has it now.
    let taken = ringfence(&["demo", "--port", &port.to_string()]);
    assert_eq!(taken.status.code(), Some(69), "{taken:?}");
    demo.terminate();
    let (code, shown) = demo.ends();
    assert_eq!(code, Some(1), "not everything was seen:\n{shown}");
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// The page, as it comes over the wire.
fn get(port: u16) -> String {
    ask(port, &format!("GET / HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n"))
}

/// What a button without fields is answered with.
fn post(port: u16, path: &str, origin: &str) -> String {
    let head = format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\norigin: {origin}\r\n");
    ask(port, &format!("{head}content-length: 0\r\nconnection: close\r\n\r\n"))
}

fn ask(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    answer
}

#[test]
fn while_it_runs_on_every_command_works_on_it() {
    let mut demo = Demo::start(&[]);
    let line = demo.reads("  configuration ");
    let config = line.trim_start().trim_start_matches("configuration").trim();
    demo.reads("Ctrl-C stops the demo.");
    // At once after the reset, which is a command in the same process and must not take the node's place.
    let status = ringfence(&["status", "--config", config]);
    let text = String::from_utf8(status.stdout).expect("text");
    assert!(status.status.success() && text.contains(" at work, last sign "), "{text}");
    assert!(text.contains("PROBING\n  \"fifty a day\""), "{text}");
    for command in [&["check"][..], &["audit", "verify"], &["limits", "plan"]] {
        let ended = ringfence(&[command, &["--config", config]].concat());
        assert!(ended.status.success(), "{command:?}: {ended:?}");
    }
    demo.terminate();
    let (code, shown) = demo.ends();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.ends_with("\nStopped.\n"), "{shown}");
}

#[test]
fn whoever_has_seen_enough_before_its_end_leaves_nothing_behind_either() {
    let mut demo = Demo::start(&[]);
    demo.reads("Genuine requests");
    demo.terminate();
    let (code, shown) = demo.ends();
    assert_eq!(code, Some(1), "not everything was seen:\n{shown}");
}

#[test]
fn a_terminal_that_is_closed_leaves_nothing_of_it_behind() {
    let mut demo = Demo::start(&[]);
    demo.reads("Ctrl-C stops the demo.");
    demo.is_told("-HUP");
    let (code, shown) = demo.ends();
    assert_eq!(code, Some(0), "{shown}");
}

#[test]
fn what_could_not_be_told_did_not_go_as_told() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    let ended = demo.args(["demo", "--exit"]).stdout(full).output().expect("the program starts");
    let said = String::from_utf8(ended.stderr).expect("text");
    assert_eq!(ended.status.code(), Some(69), "{said}");
    assert!(said.contains("cannot write to standard output"), "{said}");
}
