//! `ringfence init`: from a Twilio account to a gate that lets in what is signed, by flags and at a terminal.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail like tests")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Instant;

use ringfence_testkit::{Answer, Upstream, exchange};

use crate::terminal::Terminal;
use crate::world::{PATIENCE, Run, TOKEN, World};

/// Where nothing was configured yet.
struct Fresh {
    world: World,
    application: Upstream,
    gate: u16,
    admin: String,
}

impl Fresh {
    fn new() -> Self {
        let world = World::new();
        fs::remove_file(world.path("ringfence.toml")).unwrap();
        let application =
            world.runtime.block_on(Upstream::start(|_| async { Answer::new(200, "<Response/>") }));
        let gate = ringfence_testkit::free_port();
        let admin = format!("127.0.0.1:{}", ringfence_testkit::free_port());
        Self { world, application, gate, admin }
    }

    /// With all that a script says, and this.
    #[track_caller]
    fn init(&self, more: &[&str]) -> Run {
        let (sid, twilio) = (self.world.account().to_string(), self.world.twilio());
        let (url, gate) = (self.url(), format!("127.0.0.1:{}", self.gate));
        let upstream = format!("http://{}", self.application.address());
        let mut words = vec!["init", "--yes", "--admin", &self.admin, "--listen", &gate];
        for (flag, value) in [
            ("--account-sid", sid.as_str()),
            ("--twilio", &twilio),
            ("--public-url", &url),
            ("--upstream", &upstream),
        ] {
            if !more.contains(&flag) {
                words.extend([flag, value]);
            }
        }
        words.extend(more);
        self.world.run_plain(&words)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/twilio/", self.gate)
    }

    #[track_caller]
    fn has(&self, files: &[&str]) {
        assert_eq!(self.world.files(), files);
    }

    fn terminal(&self, more: &[&str]) -> Terminal {
        let twilio = self.world.twilio();
        let gate = format!("127.0.0.1:{}", self.gate);
        let mut words = vec!["init", "--twilio", &twilio, "--listen", &gate, "--admin", &self.admin];
        words.extend(more);
        let mut command = self.world.command(&words);
        command.env_remove("TWILIO_AUTH_TOKEN");
        Terminal::start(command)
    }

    /// The commands that it says come next, in their order.
    fn type_all(&self, said: &str) -> Vec<Run> {
        let commands = said.lines().filter_map(|line| line.trim_start().strip_prefix("ringfence "));
        let mut runs = Vec::new();
        for command in commands {
            let words: Vec<_> = command.split("  #").next().unwrap().split_whitespace().collect();
            if words[0] != "serve" {
                runs.push(self.world.run_plain(&words));
            }
        }
        runs
    }
}

const READY: [&str; 4] = ["--token-env", "TWILIO_AUTH_TOKEN", "--limit", "50"];

#[test]
fn a_script_that_says_too_little_is_told_all_that_is_missing() {
    let new = Fresh::new();
    new.world
        .run_plain(&["init", "--yes"])
        .code(2)
        .complains("--account-sid SID; --token-env NAME, --token-file FILE or --token-stdin; --public-url URL; --upstream URL")
        .complains("--limit AMOUNT or --no-limit");
    new.world
        .run_plain(&["init"])
        .code(2)
        .complains("there is nobody to ask")
        .complains("add --yes and --account-sid");
    new.has(&[]);
}

#[test]
fn an_answer_that_is_wrong_writes_nothing_and_says_what_to_type() {
    let new = Fresh::new();
    for (more, code, expected) in [
        (
            &["--account-sid", "SK00000000000000000000000000000000"][..],
            2,
            "--account-sid: SK00000000000000000000000000000000 is the SID of an API key",
        ),
        (
            &["--account-sid", "AC00000000000000000000000000000001"],
            1,
            "Twilio does not let in AC00000000000000000000000000000001",
        ),
        (&["--account-sid", "ACx"], 2, "--account-sid: ACx is not the SID of an account"),
        (&["--output", "gate.token"], 2, "gate.token is a name for a file that holds a secret"),
        (&["--public-url", "hooks.example.com/twilio/"], 2, "--public-url: this URL has no https://"),
        (&["--upstream", "ftp://127.0.0.1:3000"], 2, "--upstream: this address does not do"),
        (&["--limit-together", "5"], 2, "--limit-together: 5 for all of them is less than 50"),
        (&["--mail-to", "ops", "--smtp", "smtp://localhost"], 2, "--mail-to: \"ops\" is not a mail address"),
        (&["--mail-to", "ops@example.com", "--smtp", "smtp://127.0.0.1:9"], 69, "no mail would go out"),
        (&["--twilio", "http://127.0.0.1:9"], 69, "Twilio cannot be asked at http://127.0.0.1:9"),
        (&["--output", "nowhere/ringfence.toml"], 69, "cannot write into nowhere"),
        (&["--acme", "ops@example.com"], 2, "there is no TLS to end"),
    ] {
        let subaccounts = if more[0] == "--limit-together" { &["--subaccounts"][..] } else { &[] };
        new.init(&[&READY, more, subaccounts].concat()).code(code).complains(expected);
        new.has(&[]);
    }
    let tls =
        ["--public-url", "https://hooks.example.com/", "--certificate", "absent.pem", "--key", "absent.key"];
    new.init(&[&READY[..], &tls].concat()).code(2).complains("absent.pem");
    let run = new.init(&["--token-env", "ABSENT", "--no-limit"]).code(2);
    run.complains("the environment variable ABSENT is not set").complains("read -rs ABSENT");
    new.has(&[]);
}

#[test]
fn an_empty_flag_is_no_way_to_say_that_there_is_no_limit_and_nobody_is_told() {
    let new = Fresh::new();
    let token = ["--token-env", "TWILIO_AUTH_TOKEN"];
    for empty in ["", " "] {
        new.init(&[&token[..], &["--limit", empty]].concat())
            .code(2)
            .complains("--limit: there is no amount in it")
            .complains("say one, such as --limit 50; for no limit at all say --no-limit");
        new.init(&[&READY[..], &["--mail-to", empty, "--smtp", "smtp://localhost"]].concat())
            .code(2)
            .complains("--mail-to: there is no address in it");
    }
    let user = ["--mail-to", "ops@example.com", "--smtp", "smtps://localhost", "--smtp-user", ""];
    new.init(&[&READY[..], &user].concat()).code(2).complains("--smtp-user: there is no name in it");
    new.init(&[&READY[..], &["--limit-together", "", "--subaccounts"]].concat())
        .code(2)
        .complains("--limit-together: ");
    new.has(&[]);
}

#[test]
fn what_is_there_is_left_as_it_is_unless_somebody_says_otherwise() {
    let new = Fresh::new();
    fs::write(new.world.path("ringfence.toml"), "mine").unwrap();
    new.init(&READY)
        .code(1)
        .complains("ringfence.toml is there already, and is left as it is")
        .complains("--force");
    assert_eq!(fs::read_to_string(new.world.path("ringfence.toml")).unwrap(), "mine");
    new.init(&[&READY[..], &["--force"]].concat()).code(0);
    assert_ne!(fs::read_to_string(new.world.path("ringfence.toml")).unwrap(), "mine");
}

#[test]
fn a_script_gets_a_gate_that_lets_in_what_is_signed() {
    let new = Fresh::new();
    new.world.subaccount("Customer 7");
    let run = new.init(&READY).code(0).says("Written: ringfence.toml\n");
    new.has(&["ringfence.toml"]);
    let mode = fs::metadata(new.world.path("ringfence.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(new.world.path("ringfence.toml")).unwrap();
    assert!(text.contains("subaccounts = true") && text.contains("at = \"500\""), "{text}");

    let runs = new.type_all(&run.out);
    assert_eq!(
        runs.iter().map(|run| run.code).collect::<Vec<_>>(),
        [0, 1],
        "check is fine, the plan has changes: {runs:?}"
    );
    for limit in ["each a day", "all a day", "the parent a day"] {
        assert!(runs[1].out.contains(limit), "{limit}: {runs:?}");
    }

    let serving = new.world.serve();
    assert_eq!(new.asks(), (403, 200), "unsigned, signed");
    assert_eq!(new.application.requests().len(), 1);
    serving.stop();
}

impl Fresh {
    /// What the gate answers to a request without a signature, and to one that is signed.
    fn asks(&self) -> (u16, u16) {
        let url = format!("{}sms", self.url());
        let signed =
            self.world.run_plain(&["sign", "--url", &url, "--param", "Body=Hi", "--http"]).code(0).out;
        let unsigned: String =
            signed.split_inclusive("\r\n").filter(|line| !line.starts_with("X-Twilio-Signature")).collect();
        assert_ne!(signed, unsigned);
        let gate = ([127, 0, 0, 1], self.gate).into();
        let ask = |request: String| self.world.runtime.block_on(exchange(gate, request)).unwrap().status;
        (ask(unsigned), ask(signed))
    }
}

#[test]
fn a_gate_alone_needs_no_store_and_its_token_may_come_from_a_pipe() {
    let new = Fresh::new();
    let twilio = new.world.twilio();
    let (sid, url) = (new.world.account().to_string(), new.url());
    let mut command = new.world.command(&[
        "init",
        "--yes",
        "--token-stdin",
        "--no-limit",
        "--account-sid",
        &sid,
        "--twilio",
        &twilio,
        "--public-url",
        &url,
        "--upstream",
        "http://127.0.0.1:9",
        "--output",
        "gate.toml",
        "--admin",
        &new.admin,
    ]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{TOKEN}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{out}{err}");
    assert!(err.contains("warning: the application does not answer at http://127.0.0.1:9 now"), "{err}");
    assert!(out.starts_with("Written: gate.toml, gate.token\n") && !out.contains(TOKEN), "{out}");
    new.has(&["gate.token", "gate.toml"]);
    for file in ["gate.token", "gate.toml"] {
        assert_eq!(fs::metadata(new.world.path(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
    assert!(!fs::read_to_string(new.world.path("gate.toml")).unwrap().contains(TOKEN));
    let run = new.world.run_with("gate.toml", &["check"]).code(0);
    assert!(!run.out.contains("warning"), "{run:?}");
}

#[test]
fn a_subaccount_is_good_for_its_own_webhooks_alone() {
    let new = Fresh::new();
    let sub = new.world.subaccount("Customer 7").to_string();
    let token = new.world.token_of(&sub);
    fs::write(new.world.path("token"), &token).unwrap();
    let sub = ["--account-sid", &sub, "--token-file", "token"];
    new.init(&[&sub[..], &["--limit", "50"]].concat())
        .code(1)
        .complains("is a subaccount of")
        .complains("--no-limit");
    new.has(&["token"]);
    new.init(&[&sub[..], &["--no-limit"]].concat())
        .code(0)
        .complains("warning: ")
        .complains("is a subaccount of");
    new.world.run(&["check"]).code(0);
}

#[test]
fn nobody_outside_is_asked_offline() {
    let new = Fresh::new();
    let more =
        ["--offline", "--twilio", "http://127.0.0.1:9", "--public-url", "https://hooks.example.invalid/sms"];
    let mail =
        ["--mail-to", "ops@example.com", "--smtp", "smtp://127.0.0.1:9", "--upstream", "http://127.0.0.1:9"];
    let run = new.init(&[&READY[..], &more, &mail].concat()).code(0);
    assert_eq!(run.err, "", "{run:?}");
    new.world.run(&["check", "--offline"]).code(0).says("https://hooks.example.invalid");
}

#[test]
fn whoever_sits_at_a_terminal_is_asked_until_each_answer_is_right() {
    let new = Fresh::new();
    new.world.subaccount("Customer 7");
    let sid = new.world.account().to_string();
    let mut terminal = new.terminal(&[]);
    terminal
        .until("Account SID")
        .line("AC123")
        .until("AC123 is not the SID of an account")
        .until("Account SID")
        .line(&sid);
    terminal.until("Its auth token (it is not shown): ");
    assert!(!terminal.shows_keys());
    terminal.line("00000000000000000000000000000000").until("Twilio does not let in");
    terminal.until(&format!("Account SID of the parent (AC...) [{sid}]: ")).line("");
    terminal.until("it is not shown): ").line(TOKEN).until("1 subaccount, billed in USD");
    assert!(terminal.shows_keys());
    terminal.until("file or env [file]: ").line("file");
    terminal.until("Do so for its subaccount, and for new ones? [Y/n]: ").line("");
    terminal
        .until("URL that Twilio calls")
        .line("hooks")
        .until("has no https://")
        .until("URL that Twilio calls")
        .line(&new.url());
    terminal.until("Where your application listens").line(&format!("http://{}", new.application.address()));
    terminal
        .until("each subaccount may spend in a day, in USD")
        .line("$50")
        .until("has a currency sign")
        .until("in USD")
        .line("50");
    terminal.until("together may spend in a day [500]: ").line("");
    terminal.until("The parent itself may spend 50 in a day too");
    terminal.until("Who is mailed").line("ops@example.com").until("Mail server").line("smtp://127.0.0.1:9");
    terminal.until("From").line("").until("User that it asks for").line("");
    terminal
        .until("no mail would go out")
        .until("Once more? (no: take it as it is, unchecked) [Y/n]: ")
        .line("");
    terminal.until("Who is mailed").line("").until("nobody is told");
    terminal.until("ringfence.token beside it: the auth token").until("Write it? [Y/n]: ");
    new.has(&[]);
    let (code, shown) = terminal.line("y").end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains(TOKEN) && !shown.contains("00000000000000000000000000000000"), "{shown}");
    new.has(&["ringfence.token", "ringfence.toml"]);

    let runs = new.type_all(&shown);
    assert_eq!(runs.iter().map(|run| run.code).collect::<Vec<_>>(), [0, 1], "{runs:?}");
    let serving = new.world.serve();
    assert_eq!(new.asks(), (403, 200));
    serving.stop();
}

#[test]
fn a_mail_server_that_is_not_there_yet_may_be_taken_all_the_same() {
    let new = Fresh::new();
    let sid = new.world.account().to_string();
    let upstream = format!("http://{}", new.application.address());
    let url = new.url();
    let flags = ["--account-sid", &sid, "--public-url", &url, "--upstream", &upstream, "--limit", "50"];
    let mut terminal = new.terminal(&flags);
    terminal.until("it is not shown): ").line(TOKEN).until("file or env").line("");
    terminal.until("Who is mailed").line("ops@example.com").until("Mail server").line("smtp://127.0.0.1:9");
    terminal.until("From").line("").until("User that it asks for").line("");
    terminal.until("no mail would go out").until("Once more?").line("n").until("Write it?").line("");
    assert_eq!(terminal.end().0, Some(0));
    let text = fs::read_to_string(new.world.path("ringfence.toml")).unwrap();
    assert!(text.contains("smtp = \"smtp://127.0.0.1:9\""), "{text}");
}

#[test]
fn whoever_stops_half_way_leaves_nothing_behind_and_a_terminal_that_shows_what_is_typed() {
    let new = Fresh::new();
    let sid = new.world.account().to_string();

    let mut terminal = new.terminal(&["--account-sid", &sid]);
    terminal.until("it is not shown): ").keys("0123\u{3}");
    let (code, shown) = terminal.until("nothing was written").end();
    assert_eq!(code, Some(1), "{shown}");

    let mut terminal = new.terminal(&["--account-sid", &sid]);
    terminal
        .until("it is not shown): ")
        .line(TOKEN)
        .until("file or env")
        .line("")
        .until("URL that Twilio calls")
        .keys("\u{4}");
    terminal.until("nothing was written");
    assert!(terminal.shows_keys());
    assert_eq!(terminal.end().0, Some(1));

    let mut terminal = new.terminal(&["--account-sid", &sid]);
    terminal
        .until("it is not shown): ")
        .line(TOKEN)
        .until("file or env")
        .line("")
        .until("URL that Twilio calls");
    terminal.signal("-INT");
    terminal.until("nothing was written");
    assert_eq!(terminal.end().0, Some(1), "a signal ends it at once");

    let mut terminal = new.terminal(&["--account-sid", &sid]);
    terminal.until("it is not shown): ").line(TOKEN).until("file or env").line("");
    terminal
        .until("URL that Twilio calls")
        .line(&new.url())
        .until("Where your application")
        .line("")
        .until("may spend")
        .line("");
    terminal.until("Write it?").line("n").until("nothing was written");
    assert_eq!(terminal.end().0, Some(1));
    new.has(&[]);
}

#[test]
fn a_signal_while_a_secret_is_typed_leaves_a_terminal_that_shows_what_is_typed() {
    let new = Fresh::new();
    let sid = new.world.account().to_string();
    for signal in ["-TERM", "-INT"] {
        let mut terminal = new.terminal(&["--account-sid", &sid]);
        terminal.until("it is not shown): ").keys("0123");
        assert!(!terminal.shows_keys());
        terminal.signal(signal);
        terminal.until("stopped before the last answer; nothing was written");
        assert_eq!(terminal.end().0, Some(1));
        assert!(terminal.shows_keys(), "{signal}");
    }
    new.has(&[]);
}

#[test]
fn a_gate_without_limits_lets_in_what_subaccounts_sign() {
    let new = Fresh::new();
    let sub = new.world.subaccount("Customer 7").to_string();
    fs::write(new.world.path("sub.token"), new.world.token_of(&sub)).unwrap();
    let flags = ["--token-env", "TWILIO_AUTH_TOKEN", "--no-limit"];
    new.init(&[&flags[..], &["--no-subaccounts"]].concat())
        .code(0)
        .complains("webhooks of subaccounts (1 now) will be refused");
    new.init(&[&flags[..], &["--force"]].concat()).code(0);
    let serving = new.world.serve();
    let (url, account) = (format!("{}sms", new.url()), format!("AccountSid={sub}"));
    let signed = new
        .world
        .run_plain(&[
            "sign",
            "--url",
            &url,
            "--param",
            &account,
            "--param",
            "Body=Hi",
            "--http",
            "--token-file",
            "sub.token",
        ])
        .code(0)
        .out;
    let gate = ([127, 0, 0, 1], new.gate).into();
    let began = Instant::now();
    // It learns of them a moment after it is ready.
    while new.world.runtime.block_on(exchange(gate, signed.clone())).unwrap().status != 200 {
        assert!(began.elapsed() < PATIENCE, "it never let in what the subaccount signed");
    }
    serving.stop();
}
