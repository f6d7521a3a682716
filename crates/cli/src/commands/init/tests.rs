//! Whole interviews with answers from a list instead of a terminal, offline: nobody outside is asked.

use std::path::Path;

use clap::Parser;
use proptest::prelude::*;

use super::ask::tests::Lines;
use super::*;
use crate::config;

const SID: &str = "AC00000000000000000000000000000007";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

/// What came of it: the files there are, with their text, and what was said.
struct Held {
    result: Result<Vec<String>, Failure>,
    said: String,
    folder: tempfile::TempDir,
}

impl Held {
    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.folder.path()).unwrap().count()
    }
}

/// Asks for what the flags leave open, as at a terminal, and writes it.
fn hold(flags: &[&str], answers: &[&str]) -> Held {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("ringfence.toml");
    let output = output.to_str().unwrap();
    let words = [&["init", "--offline", "--output", output][..], flags].concat();
    let arguments = Line::try_parse_from(words).unwrap().arguments;
    let (mut lines, mut paper) = (Lines::new(answers), Vec::new());
    let target = Target::new(&arguments.output, arguments.force).unwrap();
    let person = Person::new(&mut lines, &mut paper);
    let result = with_store::block_on(async {
        let mut interview = Interview::new(&arguments, target, Some(person), None);
        let answers = Box::pin(interview.hold()).await?;
        interview.agree(&answers)?;
        files::write(&answers, &interview.secrets, &interview.target)
    });
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let result = result.map(|written| written.iter().map(name).collect());
    Held { result, said: String::from_utf8(paper).unwrap(), folder }
}

fn plain(auth_token: answers::Kept) -> Answers {
    Answers {
        account: ringfence_model::Sid::new(*b"AC", 7),
        auth_token,
        subaccounts: false,
        twilio: None,
        called: answers::called("https://hooks.example.com/").unwrap(),
        tls: answers::Tls::Elsewhere,
        gate: "127.0.0.1:8080".parse().unwrap(),
        admin: "127.0.0.1:9400".parse().unwrap(),
        upstream: "http://127.0.0.1:3000".to_owned(),
        writes_in: None,
        limit: None,
        mail: None,
    }
}

const BEGIN: [&str; 6] = [
    "--account-sid",
    SID,
    "--public-url",
    "https://hooks.example.com/sms",
    "--upstream",
    "http://127.0.0.1:3000",
];

#[test]
fn secrets_that_were_typed_go_into_files_of_their_own_and_are_not_said_again() {
    let answers = [
        TOKEN,
        "file",
        "n",
        "proxy",
        "50",
        "ops@example.com, boss@example.com",
        "smtps://mail.example.com",
        "",
        "ringfence",
        "",
        "hush",
        "file",
        "",
    ];
    let held = hold(&BEGIN, &answers);
    assert_eq!(
        held.result.as_deref().unwrap(),
        ["ringfence.toml", "ringfence.smtp-password", "ringfence.token"],
        "{}",
        held.said
    );
    assert_eq!(held.text("ringfence.token"), TOKEN);
    assert_eq!(held.text("ringfence.smtp-password"), "hush");
    let loaded = config::load(&held.folder.path().join("ringfence.toml")).unwrap();
    assert_eq!(loaded.warnings, []);
    let mail = loaded.control.notify.unwrap().mail.unwrap();
    assert_eq!((mail.to.len(), mail.from.as_str()), (2, "ringfence@hooks.example.com"));
    assert_eq!(mail.login.unwrap().1.expose(), "hush");
    for secret in [TOKEN, "hush"] {
        assert!(!held.said.contains(secret) && !held.text("ringfence.toml").contains(secret));
    }
}

#[test]
fn a_password_of_a_mail_server_that_was_given_up_is_not_written() {
    let in_clear = ["ops@example.com", "smtp://mail.example.com", "", "ringfence", "hush", "file"];
    let answers = [&[TOKEN, "file", "n", "proxy", "50"][..], &in_clear, &["", ""]].concat();
    // What was answered stands there again.
    let again = [&answers[..answers.len() - 2], &["ops@example.com", "", "", "", ""]].concat();
    let once_more = hold(&BEGIN, &again);
    assert!(once_more.said.contains("Mail server [smtp://mail.example.com]: "), "{}", once_more.said);
    assert!(once_more.text("ringfence.toml").contains("smtp = \"smtp://mail.example.com\""));
    let held = hold(&BEGIN, &answers);
    assert_eq!(held.result.as_deref().unwrap(), ["ringfence.toml", "ringfence.token"], "{}", held.said);
    assert!(held.said.contains("the password would go over the network in clear"), "{}", held.said);
    assert_eq!(held.files(), 2);
}

#[test]
fn whoever_has_a_proxy_lead_one_path_is_told_that_usage_triggers_call_another() {
    const TRIGGERS: &str = "https://hooks.example.com/ringfence-triggers";
    let told = |url: &str, more: &[&str], answers: &[&str]| {
        let flags = [&BEGIN[..2], &["--public-url", url], &BEGIN[4..], more].concat();
        let held = hold(&flags, &[&[TOKEN, "file", "n"], answers].concat());
        assert!(held.result.is_ok(), "{:?} {}", held.result, held.said);
        (held.said.contains(TRIGGERS), held.text("ringfence.toml").contains("has to lead it here, too"))
    };
    let limited = ["50", "", ""];
    let proxy = [&["proxy"][..], &limited].concat();
    assert_eq!(told("https://hooks.example.com/sms", &[], &proxy), (true, true));
    assert_eq!(told("https://hooks.example.com/", &[], &proxy), (false, false), "one rule leads both");
    assert_eq!(told("https://hooks.example.com/sms", &[], &["proxy", "", ""]), (false, false), "no limit");
    let acme = ["--acme", "ops@example.com"];
    assert_eq!(
        told("https://hooks.example.com/sms", &acme, &limited),
        (false, false),
        "all comes to the gate"
    );
}

#[test]
fn the_next_steps_say_all_that_the_proxy_has_to_lead() {
    let limit = answers::Limit { of: answers::Of::Account, at: "50".to_owned(), currency: None };
    let mut exact = plain(answers::Kept::File("/run/token".into()));
    exact.called = answers::called("https://hooks.example.com/sms").unwrap();
    exact.limit = Some(limit);
    let folder = tempfile::tempdir().unwrap();
    let target = Target::new(&folder.path().join("ringfence.toml"), false).unwrap();
    let written = [target.file().to_owned()];
    let steps = |answers: &Answers| next(answers, &Secrets::default(), &target, &written);
    let text = steps(&exact);
    assert!(text.contains("\n  https://hooks.example.com/sms                 # "), "{text}");
    assert!(text.contains("\n  https://hooks.example.com/ringfence-triggers  # "), "{text}");
    let text = steps(&Answers { limit: None, ..exact.clone() });
    assert!(text.contains("hooks.example.com/sms  #") && !text.contains("triggers"), "{text}");
    // Without TLS, too: Twilio comes to another port than the gate's.
    let called = answers::called("http://hooks.example.com/sms").unwrap();
    let text = steps(&Answers { called, ..exact });
    assert!(text.contains("http://hooks.example.com/ringfence-triggers"), "{text}");
    let called = answers::called("http://127.0.0.1:8080/sms").unwrap();
    let text = steps(&Answers { called, ..plain(answers::Kept::File("/run/token".into())) });
    assert!(!text.contains("Your proxy"), "{text}");
}

#[test]
fn what_is_wrong_for_another_reason_is_not_asked_of_the_mail_server() {
    let flags = [&BEGIN[..], &["--limit", "50", "--admin", "127.0.0.1:8080"]].concat();
    let held = hold(&flags, &[TOKEN, "file", "n", "proxy", "ops@example.com", "smtp://localhost", "", ""]);
    let failure = held.result.unwrap_err();
    assert!(failure.message().contains("127.0.0.1:8080"), "{failure}");
    assert!(!held.said.contains("Who is mailed"), "{}", held.said);
}

#[test]
fn flags_of_the_mail_server_go_into_the_configuration() {
    let mail = [
        "--limit",
        "50",
        "--mail-to",
        "ops@example.com",
        "--smtp",
        "smtps://mail.example.com",
        "--smtp-user",
        "me",
    ];
    let flags = [&BEGIN[..], &mail].concat();
    let answers = [TOKEN, "file", "n", "proxy", "", ""];
    let held = hold(&flags, &answers);
    assert!(held.result.unwrap_err().to_string().contains("--smtp-password-file FILE"), "{}", held.said);
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("password");
    std::fs::write(&file, "hush\n").unwrap();
    let held = hold(&[&flags[..], &["--smtp-password-file", file.to_str().unwrap()]].concat(), &answers);
    assert_eq!(held.result.as_deref().unwrap(), ["ringfence.toml", "ringfence.token"], "{}", held.said);
    let loaded = config::load(&held.folder.path().join("ringfence.toml")).unwrap();
    let (user, password) = loaded.control.notify.unwrap().mail.unwrap().login.unwrap();
    assert_eq!((user.as_str(), password.expose()), ("me", "hush"));
}

#[test]
fn flags_that_say_nothing_together_are_refused() {
    let together = [&BEGIN[..], &["--limit", "50", "--limit-together", "500", "--no-subaccounts"]].concat();
    let held = hold(&together, &[TOKEN, "file", "proxy"]);
    assert!(
        held.result.unwrap_err().message().starts_with("--limit-together: no subaccounts"),
        "{}",
        held.said
    );
    let mail =
        [&BEGIN[..], &["--no-limit", "--mail-to", "ops@example.com", "--smtp", "smtp://localhost"]].concat();
    let held = hold(&mail, &[TOKEN, "file", "n", "proxy"]);
    assert!(held.result.unwrap_err().message().contains("nothing to tell by mail"), "{}", held.said);
}

#[test]
fn what_is_no_choice_is_asked_again() {
    let answers =
        ["", TOKEN, "vault", "file", "", "nginx", "acme", "nobody", "acme", "ops@example.com", "", "y"];
    let held = hold(&BEGIN, &answers);
    assert_eq!(held.result.as_deref().unwrap(), ["ringfence.toml", "ringfence.token"], "{}", held.said);
    for said in
        ["without the auth token", "type file or env", "type proxy, acme or files", "is not a mail address"]
    {
        assert!(held.said.contains(said), "{said:?} was not said:\n{}", held.said);
    }
    assert!(held.text("ringfence.toml").contains("[tls.acme]"));
}

#[test]
fn a_port_that_somebody_else_has_to_lead_to_the_gate_is_told() {
    let flags = [&BEGIN[..2], &["--public-url", "https://hooks.example.com:8443/"], &BEGIN[4..]].concat();
    let held = hold(&flags, &[TOKEN, "file", "n", "acme", "ops@example.com", "", ""]);
    assert!(held.result.is_ok(), "{}", held.said);
    let said = "warning: Twilio comes to port 8443 of hooks.example.com, and the gate listens on 443";
    assert!(held.said.contains(said), "{}", held.said);
    assert!(
        held.text("ringfence.toml")
            .contains("# Twilio comes to port 8443 of hooks.example.com: lead that here")
    );
}

#[test]
fn a_certificate_is_looked_at_when_it_is_named() {
    let certificates = ringfence_testkit::certificates();
    let file = |name: &str| certificates.directory().join(name).display().to_string();
    let (chain, key, wrong) = (file("server.pem"), file("server.key"), file("ca.pem"));
    let answers = [TOKEN, "file", "", "files", &chain, &wrong, "files", &chain, &key, "", ""];
    let held = hold(&BEGIN, &answers);
    assert_eq!(held.result.as_deref().unwrap(), ["ringfence.toml", "ringfence.token"], "{}", held.said);
    assert!(
        held.said.contains("error: ") && held.said.contains("the gate will listen on 0.0.0.0:443"),
        "{}",
        held.said
    );
    let loaded = config::load(&held.folder.path().join("ringfence.toml")).unwrap();
    assert!(loaded.settings.tls.is_some());
}

#[test]
fn a_wrong_flag_ends_it_where_a_wrong_answer_would_be_asked_again() {
    let held = hold(&["--account-sid", "AC7"], &[]);
    assert!(
        held.result.unwrap_err().message().starts_with("--account-sid: AC7 is not the SID of an account")
    );
    let held = hold(&BEGIN, &[TOKEN, "file", "", "proxy", "1,000"]);
    assert!(held.said.contains("has a comma"), "{}", held.said);
    assert_eq!(held.result, Err(Failure::refused("stopped before the last answer; nothing was written")));
    assert_eq!(std::fs::read_dir(held.folder.path()).unwrap().count(), 0);
}

#[test]
fn a_configuration_is_not_named_as_what_is_kept_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| Target::new(&folder.path().join(name), true);
    for name in ["ringfence.token", "x.token", "x.smtp-password", "ringfence.db", "ringfence.key"] {
        assert!(at(name).unwrap_err().message().contains(" is a name for "), "{name}");
    }
    let target = at("token").unwrap();
    let failure = target.seen_from_here(&folder.path().join("token")).unwrap_err();
    assert!(failure.message().contains("is where the configuration is written"), "{failure}");
    assert_eq!(target.seen_from_here(&folder.path().join("other")).unwrap(), Path::new("other"));
    assert_eq!(target.beside("token").unwrap(), "token.token");
}

#[test]
fn where_the_configuration_cannot_be_written_no_secret_stays_behind() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("ringfence.toml");
    let target = Target::new(&output, false).unwrap();
    let mut answers = plain(answers::Kept::Beside(target.beside("token").unwrap()));
    answers.upstream = "http://127.0.0.1:4000".to_owned();
    let mut secrets = Secrets::default();
    secrets.keep(&answers.auth_token, ringfence_model::Secret::new(TOKEN));
    // Somebody else was quicker.
    std::fs::write(&output, "theirs").unwrap();
    let written = with_store::block_on(async { files::write(&answers, &secrets, &target) });
    assert!(written.unwrap_err().is_unavailable());
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "theirs");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_variable_that_is_not_set_here_is_told_before_the_commands() {
    let mut secrets = Secrets::default();
    secrets
        .keep(&answers::Kept::Env("RINGFENCE_TEST_ABSENT".to_owned()), ringfence_model::Secret::new(TOKEN));
    let answers = plain(answers::Kept::Env("RINGFENCE_TEST_ABSENT".to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let target = Target::new(&folder.path().join("my gate.toml"), false).unwrap();
    let text = next(&answers, &secrets, &target, &[target.file().to_owned()]);
    assert!(text.contains("read -rs RINGFENCE_TEST_ABSENT; export RINGFENCE_TEST_ABSENT"), "{text}");
    assert!(text.contains("ringfence serve --config \"") && text.contains("/my gate.toml\""), "{text}");
    assert!(!text.contains(TOKEN));
}

#[test]
fn what_the_service_runs_on_is_for_its_group_and_its_store_is_where_it_may_write() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let folder = tempfile::tempdir().unwrap();
    let mut target = Target::new(&folder.path().join("ringfence.toml"), false).unwrap();
    let group = folder.path().metadata().unwrap().gid();
    target.service = Some(Service { group });
    let token = folder.path().join("auth_token");
    std::fs::write(&token, TOKEN).unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let limit = answers::Limit { of: answers::Of::Account, at: "50".to_owned(), currency: None };
    let kept = answers::Kept::File("auth_token".into());
    let answers = Answers { limit: Some(limit), writes_in: Some(Service::WRITES_IN), ..plain(kept) };
    let secrets = Secrets::default();
    let written = with_store::block_on(async { files::write(&answers, &secrets, &target) }).unwrap();
    let metadata = written[0].metadata().unwrap();
    assert_eq!((metadata.gid(), metadata.mode() & 0o777), (group, 0o640));
    let text = std::fs::read_to_string(&written[0]).unwrap();
    assert!(text.contains("url = \"sqlite:/var/lib/ringfence/ringfence.db\""), "{text}");

    let acme = Answers { tls: answers::Tls::Acme { contact: "a@b.example".to_owned() }, ..answers.clone() };
    let text = text::of(&acme);
    assert!(text.contains("cache = \"/var/lib/ringfence/acme-cache\""), "{text}");

    let steps = |answers: &Answers| next(answers, &secrets, &target, &written);
    let text = steps(&answers);
    for step in [
        "/auth_token && sudo chmod 640 /",
        "  printf '[Socket]\\nListenStream=\\nListenStream=127.0.0.1:8080\\n' |\n",
        "  sudo -u ringfence ringfence check --config /",
        "  sudo -u ringfence ringfence limits plan --config /",
        "  sudo systemctl enable --now ringfence.socket ringfence.service ",
        "`sudo -u ringfence ringfence doctor --config /",
    ] {
        assert!(text.contains(step), "{step} is not in\n{text}");
    }
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o640)).unwrap();
    let open = Answers { gate: "0.0.0.0:443".parse().unwrap(), ..answers.clone() };
    let text = steps(&open);
    assert!(!text.contains("chmod") && !text.contains("[Socket]"), "{text}");
    let of_variable = Answers { auth_token: answers::Kept::Env("TWILIO_AUTH_TOKEN".to_owned()), ..answers };
    let text = steps(&of_variable);
    assert!(text.contains("takes TWILIO_AUTH_TOKEN from a file: EnvironmentFile="), "{text}");
    assert!(text.contains("sudo --preserve-env=TWILIO_AUTH_TOKEN -u ringfence ringfence check"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn whatever_somebody_answers_either_nothing_is_written_or_what_is_right(
        answers in proptest::collection::vec(
            prop_oneof![
                6 => proptest::sample::select(vec![
                    "", "y", "n", "file", "env", "proxy", "acme", "files", "50", "0.5", "-1", "ops@example.com", SID, TOKEN,
                    "https://hooks.example.com/twilio/", "https://[::1]:8443/a", "http://127.0.0.1:3000", "smtp://localhost",
                    "smtps://mail.example.com", "/dev/null", "hush",
                ]).prop_map(str::to_owned),
                1 => any::<String>(),
            ],
            0..40,
        ),
    ) {
        let answers: Vec<_> = answers.iter().map(String::as_str).collect();
        let held = hold(&["--account-sid", SID, "--public-url", "https://hooks.example.com/sms"], &answers);
        match &held.result {
            Err(_) => prop_assert_eq!(held.files(), 0),
            Ok(written) => {
                prop_assert_eq!(held.files(), written.len());
                // A variable that nobody set is all that may be wrong.
                if let Err(error) = config::load(&held.folder.path().join("ringfence.toml")) {
                    let is_unset = |problem: &config::Problem| problem.text().contains("is not set");
                    prop_assert!(error.problems().iter().all(is_unset), "{error}\n{}", held.text("ringfence.toml"));
                }
            }
        }
    }
}
