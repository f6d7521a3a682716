//! The commands as a person or a script runs them: what is printed, and the exit code.

mod beside_signature;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../signature/tests/vectors/signature.jsonl");

/// What a run of the program left.
struct Run {
    code: i32,
    out: String,
    err: String,
}

/// Runs the program with a token in its environment, which must never be printed.
#[track_caller]
fn run(arguments: &[&str]) -> Run {
    run_with(arguments, &[("TWILIO_AUTH_TOKEN", TOKEN)], "")
}

#[track_caller]
fn run_with(arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that ends without reading its input closes the pipe, and that is its right.
    _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("the program ends");
    let run = Run {
        code: output.status.code().expect("an exit code"),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    };
    assert!(
        !run.out.contains(TOKEN) && !run.err.contains(TOKEN),
        "the token was printed:\n{}{}",
        run.out,
        run.err
    );
    run
}

impl Run {
    #[track_caller]
    fn code(self, expected: i32) -> Self {
        assert_eq!(self.code, expected, "\nstdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn says(self, expected: &str) -> Self {
        assert!(self.out.contains(expected), "{expected:?} is not in stdout:\n{}", self.out);
        self
    }

    #[track_caller]
    fn complains(self, expected: &str) -> Self {
        assert!(self.err.contains(expected), "{expected:?} is not in stderr:\n{}", self.err);
        self
    }

    #[track_caller]
    fn prints_nothing(self) -> Self {
        assert_eq!(self.out, "", "nothing belongs on stdout");
        self
    }
}

/// A folder with files of a test.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file");
        path.to_str().expect("text").to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

const CONFIG: &str = r#"[listen]
gate = "127.0.0.1:8443"

[[account]]
sid = "AC00000000000000000000000000000000"
auth_token = { env = "TWILIO_AUTH_TOKEN" }

[[route]]
path = "/twilio/"
public_url = "https://hooks.example.com"
upstream = "http://127.0.0.1:3000"
check = "signature"
"#;

/// A request that Twilio would send to the route of `CONFIG`.
fn signed_request() -> String {
    let url = "https://hooks.example.com/twilio/sms?tenant=7";
    let run =
        run(&["sign", "--url", url, "--param", "From=+15550001234", "--param", "Body=It's & more", "--http"]);
    run.code(0).out
}

#[test]
fn wrong_usage_is_2_and_says_how_it_is_used() {
    run(&[]).code(2).complains("Usage: ringfence");
    run(&["chekc"]).code(2).complains("'check'");
    run(&["check"]).code(2).complains("--config <FILE>");
    for url in ["hooks.example.com", "https://", "https:///sms", "https://:8443/sms", "ftp://h/"] {
        run(&["sign", "--url", url]).code(2).complains("error: the URL must be whole").prints_nothing();
        run(&["verify", "--url", url]).code(2).complains("error: the URL must be whole").prints_nothing();
    }
    run(&["sign", "--url", "https://h/", "--body", "x"]).code(2).complains("hint: add --content-type");
    run(&["sign", "--url", "https://h/", "--param", "From"]).code(2).complains("write NAME=VALUE");
    run(&["sign", "--url", "https://h/a b"]).code(2).complains("holds a space");
    run(&["sign", "--url", "https://h/", "--shared-key", "k"]).code(2).complains("--algorithm");
    run(&["verify"]).code(2).complains("hint: add --url URL");
    run(&["verify", "--url", "https://h/", "--account", "SK1"])
        .code(2)
        .complains("AC and 32 hexadecimal digits");
    for words in
        ["media link --for -1h", "inspector show --since -1h", "trip x --wait -5s", "doctor --deadline -1m"]
    {
        let words: Vec<&str> = words.split(' ').collect();
        run(&words).code(2).complains("invalid value '-").complains("write a time such as");
    }
    run(&["explain", "--http", "missing.txt"]).code(2).complains("cannot read missing.txt");
}

#[test]
fn a_missing_or_empty_key_is_refused_with_the_words_to_type() {
    let sign = ["sign", "--url", "https://h/"];
    run_with(&sign, &[], "").code(2).complains("hint: run `read -rs TWILIO_AUTH_TOKEN").prints_nothing();
    run_with(&sign, &[("TWILIO_AUTH_TOKEN", "")], "").code(2).complains("the key is empty");
    run_with(&[&sign[..], &["--token-env", "OTHER"]].concat(), &[], "").code(2).complains("OTHER is not set");
    run(&[&sign[..], &["--token-file", "missing"]].concat()).code(2).complains("cannot read missing");
}

#[test]
fn a_token_on_the_command_line_works_and_is_warned_of() {
    let run = run_with(&["sign", "--url", "https://h/", "--token", "geheim"], &[], "").code(0);
    assert!(!run.out.contains("geheim"));
    run.complains("warning: --token can be read by others");
}

#[test]
fn a_wrong_configuration_is_64_and_names_line_key_and_nearest_valid_key() {
    let files = Files::new();
    let config = files.write("ringfence.toml", &CONFIG.replace("check =", "chekc ="));
    for command in ["check", "serve"] {
        let run = run(&[command, "--config", &config]).code(64).prints_nothing();
        run.complains("ringfence.toml:12: unknown key \"chekc\" in [[route]]; did you mean \"check\"?")
            .complains("ringfence.toml:8: [[route]] has no `check`");
    }
    run(&["check", "--config", &config, "--json"]).code(64).says("\"ok\":false").says("\"line\":12");
    run(&["check", "--config", "missing.toml"]).code(64).complains("error: missing.toml: cannot read");
    run(&["explain", "--http", VECTORS, "--config", &config]).code(2).complains("is not a raw HTTP request");
}

#[test]
fn a_configuration_with_problems_tells_all_of_them() {
    let files = Files::new();
    let text = CONFIG.replace("8443", "x").replace("/twilio/", "twilio").replace("\"signature\"", "\"none\"");
    let run = run(&["check", "--config", &files.write("r.toml", &text)]).code(64);
    assert_eq!(run.err.lines().filter(|line| line.starts_with("error: ")).count(), 3, "{}", run.err);
    assert_eq!(run.err.lines().filter(|line| line.starts_with("hint: ")).count(), 1, "{}", run.err);
}

#[test]
fn a_right_configuration_is_told_in_a_table() {
    let files = Files::new();
    let config = files.write("r.toml", CONFIG);
    let run = run(&["check", "--config", &config]).code(0);
    assert!(!run.out.contains("warning"), "{}", run.out);
    run.says("this configuration is right")
        .says("gate          127.0.0.1:8443 (plain HTTP)")
        .says("leads to    http://127.0.0.1:3000")
        .says("check       signature, any account");
    let json = self::run(&["check", "--config", &config, "--json"]).code(0).out;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["ok"], &json["accounts"]), (&true.into(), &1.into()));
    assert_eq!(json["routes"][0]["check"], "signature");
}

#[test]
fn what_a_route_does_to_requests_and_answers_is_told() {
    let files = Files::new();
    let text = CONFIG.replace("[listen]\n", "[listen]\negress = \"127.0.0.1:8500\"\n");
    let text = format!(
        "{text}signed_by = \"shared-key\"\nproof_key = {{ env = \"TWILIO_AUTH_TOKEN\" }}\n\
         resign_url = \"http://app.internal\"\ntwiml = \"limits\"\n[store]\nurl = \"sqlite:a.db\"\n\
         [shared_keys]\naccounts = \"all\"\n"
    );
    let config = files.write("r.toml", &text);
    run(&["check", "--config", &config])
        .code(0)
        .says("check       signature of a SharedKey alone, any account")
        .says("sent with   a proof that it came through the gate, and a signature for http://app.internal")
        .says("answers     held to the limits before Twilio gets them");
    let json = run(&["check", "--config", &config, "--json"]).code(0).out;
    let route = serde_json::from_str::<serde_json::Value>(&json).expect("JSON")["routes"][0].take();
    let told = ["signed_by", "proof", "resign_url", "twiml"].map(|key| route[key].to_string());
    assert_eq!(told, ["\"shared-key\"", "true", "\"http://app.internal\"", "\"limits\""]);
    let plain = run(&["check", "--config", &files.write("plain.toml", CONFIG)]).code(0).out;
    assert!(!plain.contains("sent with") && !plain.contains("answers"), "{plain}");
}

#[test]
fn what_an_application_over_tls_must_prove_is_told_without_asking_it() {
    let files = Files::new();
    // Nobody listens there.
    let text = CONFIG.replace("http://127.0.0.1:3000", "https://127.0.0.1:1");
    run(&["check", "--config", &files.write("public.toml", &text)])
        .code(0)
        .says("leads to    https://127.0.0.1:1, with a certificate for 127.0.0.1 of a public authority\n");
    let certificates = ringfence_testkit::certificates();
    let authority = certificates.authority_path().display().to_string();
    let keys = format!("upstream_ca = \"{authority}\"\nupstream_name = \"app.internal\"\n");
    let text = text.replace("check = \"signature\"", &format!("{keys}check = \"signature\""));
    run(&["check", "--config", &files.write("private.toml", &text)])
        .code(0)
        .says(&format!("with a certificate for app.internal of an authority in {authority}\n"));
    let text = text.replace(&authority, "missing.pem");
    run(&["check", "--config", &files.write("missing.toml", &text)])
        .code(64)
        .complains("`upstream_ca` in [[route]]: ")
        .complains("missing.pem: cannot be read");
}

/// What limits need, beside what `CONFIG` has.
const LIMITS: &str = r#"
[store]
url = "sqlite:ringfence.db"

[[route]]
path = "/triggers"
public_url = "https://hooks.example.com"
upstream = "breaker"
check = "signature"

[[limit]]
name = "fifty a day"
scope = "subaccounts"
window = "daily"
at = "50"

[[limit]]
name = "in all"
scope = "subaccounts"
per = "together"
category = "totalprice"
window = "monthly"
at = "1000.50"
warn = [50, 80]
then = ["notify"]
reset = "next window"
enforce = false

[notify]
mail = { smtp = "smtp://localhost:25", from = "ringfence@example.com", to = ["ops@example.com"] }
sms = { account = "AC00000000000000000000000000000000", from = "+15550006789", to = ["+15550001234"] }
"#;

fn with_limits() -> String {
    CONFIG.replace("[[route]]", "subaccounts = true\n\n[[route]]") + LIMITS
}

#[test]
fn limits_are_told_in_words() {
    let files = Files::new();
    let config = files.write("r.toml", &with_limits());
    let run = run(&["check", "--config", &config, "--offline"])
        .code(0)
        .says("limit         fifty a day: each subaccount, price of totalprice, daily, at 50: suspend, notify; warns at 80 %; lifted by hand\n")
        .says("limit         in all: all subaccounts together, price of totalprice, monthly, at 1000.5: only watches, and would do: notify; warns at 50 and 80 %; lifted by the next window\n")
        .says("leads to    the circuit breaker: usage triggers")
        .says("triggers call https://hooks.example.com/triggers")
        .says("notices       mail from ringfence@example.com to ops@example.com over localhost:25 (without TLS)")
        .says("ringfence.db (sealed with a key that will be made at ")
        .says("no limit holds for the sum");
    assert!(!run.out.contains("0001234"), "{}", run.out);
    let json = self::run(&["check", "--config", &config, "--json", "--offline"]).code(0).out;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let control = &json["control"];
    assert_eq!(
        (&control["limits"][1]["at"], &control["limits"][1]["per"]),
        (&"1000.5".into(), &"together".into())
    );
    assert_eq!(control["trigger_url"], "https://hooks.example.com/triggers");
    assert_eq!(json["routes"][1]["upstream"], "breaker");
}

#[test]
fn check_refuses_a_mail_server_that_is_not_there_with_the_line_and_the_remedy() {
    // A port that was ours a moment ago, and that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    let files = Files::new();
    let config = files.write("r.toml", &with_limits().replace("localhost:25", &free.to_string()));
    let line = with_limits().lines().position(|line| line.contains("smtp =")).expect("a line") + 1;
    run(&["check", "--config", &config])
        .code(64)
        .prints_nothing()
        .complains(&format!("r.toml:{line}: smtp of [notify]: the mail server {free} cannot be reached"))
        .complains("--offline");
    run(&["check", "--config", &config, "--offline"]).code(0);
}

#[test]
fn the_printed_example_is_a_right_configuration() {
    let files = Files::new();
    let example = run(&["check", "--print-example"]).code(0).out;
    run(&["check", "--config", &files.write("r.toml", &example)]).code(0);
}

#[cfg(unix)]
#[test]
fn a_secret_file_that_all_may_read_is_a_warning_and_its_path_is_beside_the_configuration() {
    use std::os::unix::fs::PermissionsExt as _;
    let files = Files::new();
    let config = files.write("r.toml", &CONFIG.replace("env = \"TWILIO_AUTH_TOKEN\"", "file = \"token\""));
    files.write("token", &format!("{TOKEN}\n"));
    let allow = |mode| {
        std::fs::set_permissions(files.path("token"), std::fs::Permissions::from_mode(mode))
            .expect("permissions");
    };
    allow(0o644);
    run_with(&["check", "--config", &config], &[], "").code(0).says("every user of this machine can read it");
    allow(0o600);
    let run = run_with(&["check", "--config", &config], &[], "").code(0);
    assert!(!run.out.contains("warning"), "{}", run.out);
}

#[test]
fn all_vectors_pass() {
    let run = run(&["verify", "--vectors", VECTORS]).code(0);
    assert_eq!(run.out, "265 passed, 0 failed\n", "{}", run.err);
}

#[test]
fn vectors_as_json_are_one_object_a_line() {
    let run = run(&["verify", "--vectors", VECTORS, "--json"]).code(0);
    let lines: Vec<serde_json::Value> =
        run.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 299);
    assert_eq!(
        lines[0].to_string(),
        r#"{"id":"suite-001","matched":"as-received","reason":null,"verdict":"allow"}"#
    );
    assert!(lines.iter().all(|line| line["verdict"] == "allow" || line["reason"].is_string()));
}

#[test]
fn a_wrong_verdict_is_a_line_and_1() {
    let files = Files::new();
    let lines: Vec<_> =
        std::fs::read_to_string(VECTORS).expect("the vectors").lines().take(2).map(String::from).collect();
    let text = format!("{}\n{}\n", lines[0], lines[1].replace("\"expect\": true", "\"expect\": false"));
    let run = run(&["verify", "--vectors", &files.write("v.jsonl", &text)]).code(1);
    assert_eq!(run.out, "suite-002: allow (as-received) where refuse is expected\n1 passed, 1 failed\n");
}

#[test]
fn a_line_that_cannot_be_read_is_named() {
    let files = Files::new();
    let line =
        std::fs::read_to_string(VECTORS).expect("the vectors").lines().next().expect("a line").to_owned();
    let refused = |second: &str, expected: &str| {
        let file = files.write("v.jsonl", &format!("{line}\n{second}\n"));
        run(&["verify", "--vectors", &file])
            .code(2)
            .complains("v.jsonl:2: ")
            .complains(expected)
            .prints_nothing();
    };
    refused("{\"id\": ", "EOF while parsing");
    refused("{\"id\": \"x\"}", "missing field");
    refused(&line.replace("HMAC_SHA1", "HMAC_MD5"), "neither HMAC_SHA1 nor HMAC_SHA256");
    refused(&line.replace("\"12345\"", "\"\""), "is empty");
    run(&["verify", "--vectors", &files.write("v.jsonl", "\n")]).code(2).complains("holds no requests");
    run(&["verify", "--vectors", "missing.jsonl"]).code(2).complains("cannot read missing.jsonl");
}

#[test]
fn what_was_signed_is_allowed_and_what_was_changed_is_refused() {
    let url = "https://hooks.example.com/sms";
    let sign = run(&["sign", "--url", url, "--param", "Body=Hi", "--json"]).code(0).out;
    let signed: serde_json::Value = serde_json::from_str(&sign).expect("JSON");
    let signature = signed["headers"]["X-Twilio-Signature"].as_str().expect("a signature").to_owned();
    let verify = |param: &str, more: &[&str]| {
        run(&[&["verify", "--url", url, "--param", param, "--signature", &signature], more].concat())
    };
    verify("Body=Ho", &[]).code(1).says("refuse: the signature does not match (signature_mismatch)");
    verify("Body=Hi", &["--json"]).code(0).says("\"verdict\":\"allow\"");
    verify("Body=Hi", &["--token-env", "OTHER"]).code(2);
    verify("Body=Hi", &["--account", "AC00000000000000000000000000000000"])
        .code(0)
        .says("allow: signed with the primary auth token of AC00000000000000000000000000000000");
    run(&["verify", "--url", url, "--param", "Body=Hi"]).code(1).says("missing_signature");
}

#[test]
fn every_kind_of_request_is_signed_as_it_is_verified() {
    let files = Files::new();
    let json = files.write("event.json", "{\"a\": 1}\n");
    let base = ["--url", "https://hooks.example.com:8443/x?a=b"];
    let kinds: [&[&str]; 8] = [
        &["--param", "From=+1555", "--param", "From=+1555", "--param", "Body="],
        &["--json-body", &json],
        &["--body", "<xml/>", "--content-type", "text/xml"],
        &["--method", "GET", "--param", "c=d e"],
        &["--method", "PUT", "--body", "a=1&b=%zz", "--content-type", "application/x-www-form-urlencoded"],
        &["--websocket"],
        &[],
        &["--param", "a=b", "--shared-key", "k1", "--algorithm", "HMAC_SHA256"],
    ];
    for kind in kinds {
        let request = run(&[&["sign"], &base[..], kind, &["--http"]].concat()).code(0).out;
        let file = files.write("request.txt", &request);
        let keys: &[&str] = if kind.contains(&"--shared-key") { &kind[2..] } else { &[] };
        let verify = ["verify", "--http", &file, "--public-url", "https://hooks.example.com:8443"];
        run(&[&verify[..], keys].concat()).code(0).says("allow: signed with the given key");
        let forged = files.write("forged.txt", &request.replacen("/x?a=b", "/x?a=c", 1));
        run(&[&["explain", "--http", &forged, "--public-url", "https://hooks.example.com:8443"], keys]
            .concat())
        .code(1);
    }
}

#[test]
fn a_curl_command_is_one_shell_command_whatever_the_body_holds() {
    let body = "a'; touch /tmp/x; echo '$HOME `id` \\ \"";
    let sign = ["sign", "--url", "https://h.example/it's[1]", "--content-type", "text/plain", "--body", body];
    let command = run(&[&sign[..], &["--curl"]].concat()).code(0).out;
    // A shell that has `printf` for curl shows the words that curl would get.
    let shown = Command::new("sh")
        .args(["-c", &format!("curl() {{ printf '%s\\n' \"$@\"; }}\n{command}")])
        .output()
        .expect("a shell");
    let words = String::from_utf8(shown.stdout).expect("text");
    assert!(words.contains(&format!("--data-raw\n{body}\n")), "{words}");
    assert!(words.contains("https://h.example/it's[1]?bodySHA256="), "{words}");
    assert!(words.contains("--globoff\n--path-as-is\n--request\nPOST\n"), "{words}");
}

#[test]
fn a_saved_request_is_explained() {
    let files = Files::new();
    let config = files.write("r.toml", CONFIG);
    let request = signed_request();
    let explain = |text: &str, more: &[&str]| {
        let file = files.write("request.txt", text);
        run(&[&["explain", "--http", &file], more].concat())
    };
    let with_config = ["--config", config.as_str()];
    explain(&request, &with_config)
        .code(0)
        .says("allow: signed with the primary auth token of AC0000")
        .complains("/twilio/");
    // The line ends of an editor change nothing.
    explain(&request.replace("\r\n", "\n"), &with_config).code(0);
    explain(&request, &["--public-url", "http://hooks.example.com"]).code(1).says("signed for https");
    explain(&request, &["--public-url", "https://internal.example"]).code(1).says("another host");
    explain(&request.replace("It%27s", "It%27z"), &with_config)
        .code(1)
        .says("Refused: the signature does not match.");
    explain(&request.replace("/twilio/", "/other/"), &with_config).code(1).says("no route takes /other/sms");
    explain(&request.replace("POST", "PUT"), &with_config).code(1).says("the gate answers 405");
    let json = explain(&request, &["--public-url", "http://hooks.example.com", "--json"]).code(1).out;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["causes"][0]["cause"], &json["causes"][0]["proven"]), (&"scheme".into(), &true.into()));
    assert!(!json.to_string().contains("Signature: "), "{json}");
}

#[test]
fn a_saved_request_is_read_from_standard_input() {
    let environment = [("TWILIO_AUTH_TOKEN", TOKEN)];
    let arguments = ["explain", "--http", "-"];
    run_with(&arguments, &environment, &signed_request()).code(0).complains("as the Host header says");
    run_with(&arguments, &environment, "not http").code(2).complains("hint: save it as it was sent");
}

#[test]
fn strict_mode_is_off_unless_asked_for() {
    let files = Files::new();
    let run_sign =
        run(&["sign", "--url", "https://h.example/", "--param", "From=not a number!", "--http"]).code(0);
    let file = files.write("request.txt", &run_sign.out);
    let verify = ["verify", "--http", file.as_str()];
    run(&verify).code(0);
    run(&[&verify[..], &["--strict"]].concat()).code(1).says("(strict)");
}

#[test]
fn help_is_there_for_every_command() {
    run(&["--version"]).code(0).says("ringfence ");
    let help = run(&["--help"]).code(0).out;
    for command in ["demo", "serve", "check", "sign", "verify", "explain"] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is not in\n{help}");
        run(&[command, "--help"]).code(0).says("Usage: ringfence");
    }
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    assert!(Path::new(VECTORS).exists());
}

/// The commands under one, as its help lists them.
fn commands_under(path: &[&str]) -> Vec<String> {
    let help = run(&[path, &["--help"]].concat()).code(0).out;
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let list = list.split_once("\n\n").map_or(list, |(list, _)| list);
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

/// Every command, by the words that it is typed with.
fn all_commands(path: &[&str]) -> Vec<String> {
    let mut all = vec![["ringfence"].iter().chain(path).copied().collect::<Vec<_>>().join("-")];
    for name in commands_under(path) {
        all.extend(all_commands(&[path, &[name.as_str()]].concat()));
    }
    all
}

#[test]
fn every_command_has_a_manual_page_that_groff_takes_without_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().join("man1");
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    let listed = run(&["man", "--dir", &text(&pages)]).code(0).out;
    let mut expected: Vec<_> =
        all_commands(&[]).iter().map(|name| text(&pages.join(format!("{name}.1")))).collect();
    expected.sort();
    assert!(expected.len() > 40, "the commands were not found: {expected:?}");
    let mut written: Vec<_> = listed.lines().map(str::to_owned).collect();
    written.sort();
    assert_eq!(written, expected);
    assert!(run(&["man"]).code(0).out.contains("ringfence\\-init(1)"));
    for page in &written {
        let set = Command::new("groff").args(["-man", "-ww", "-Tutf8", page]).output();
        let Ok(set) = set else {
            eprintln!("skipped: there is no groff");
            return;
        };
        assert_eq!(String::from_utf8_lossy(&set.stderr), "", "{page}");
        assert!(set.status.success() && set.stdout.len() > 300, "{page}");
    }
}

#[test]
fn a_shell_takes_its_completions_and_completes_with_them() {
    let folder = Files::new();
    let script = run(&["completions", "bash"]).code(0).out;
    let file = folder.write("ringfence.bash", &script);
    let checked = Command::new("bash").args(["-n", &file]).output().expect("bash");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let typed = "source \"$1\"; COMP_WORDS=(ringfence ini); COMP_CWORD=1; _ringfence ringfence ini ringfence; echo \"${COMPREPLY[@]}\"";
    let completed = Command::new("bash").args(["-c", typed, "bash", &file]).output().expect("bash");
    assert_eq!(String::from_utf8_lossy(&completed.stdout).trim(), "init");
    for shell in ["zsh", "fish", "powershell", "elvish"] {
        let script = run(&["completions", shell]).code(0).out;
        assert!(script.contains("init") && script.contains("print-example"), "{shell}");
    }
    run(&["completions", "tcsh"]).code(2).prints_nothing().complains("[possible values: bash");
}

#[test]
fn an_output_that_cannot_be_written_is_a_failure_unless_its_reader_has_left() {
    let into = |stdout: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        command.args(["check", "--print-example"]).stdout(stdout).stderr(Stdio::piped());
        command.spawn().expect("the program starts")
    };
    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let output = into(full.into()).wait_with_output().expect("the program ends");
    assert_eq!(output.status.code(), Some(69));
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.starts_with("error: cannot write to standard output: No space left"), "{said}");
    let mut unread = into(Stdio::piped());
    drop(unread.stdout.take());
    assert_eq!(unread.wait().expect("the program ends").code(), Some(0));
}
