//! An installation with a Twilio of its own in this process, and the real program on it.

use std::fs;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ringfence_model::{Clock, Secret, Sid};
use ringfence_sandbox::{Sandbox, SandboxOptions, Settings};
use ringfence_twilio::client::{
    self, CallFilter, Client, Credentials, MessageFilter, NewUsageTrigger, TriggerFilter, UsageFilter,
    UsageSpan,
};
use ringfence_twilio::wire::{AccountStatus, Message, RuleMatch, UsageTrigger, WebhookRule};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// For what takes moments, on a machine that has other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// What the tests hold accounts to, if they say nothing else.
pub(crate) const LIMITS: &str = "\
[[limit]]
name = \"fifty a day\"
scope = \"subaccounts\"
window = \"daily\"
at = \"50\"
then = [\"suspend\", \"end-calls\"]

[[limit]]
name = \"all together\"
scope = \"subaccounts\"
per = \"together\"
window = \"daily\"
at = \"1000\"
then = [\"suspend\"]
";

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Self {
        assert_eq!(self.code, expected, "\nstdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, expected: &str) -> Self {
        assert!(self.out.contains(expected), "{expected:?} is not in stdout:\n{}", self.out);
        self
    }

    #[track_caller]
    pub(crate) fn complains(self, expected: &str) -> Self {
        assert!(self.err.contains(expected), "{expected:?} is not in stderr:\n{}", self.err);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).expect("JSON on stdout")
    }
}

pub(crate) struct World {
    folder: TempDir,
    store: String,
    pub(crate) runtime: Runtime,
    sandbox: Sandbox,
    parent: Client,
    pub(crate) gate_port: u16,
}

/// The machine's clock, so many seconds off.
#[derive(Debug)]
struct Real(Instant, i64);

impl Clock for Real {
    fn monotonic(&self) -> Instant {
        self.0 + self.0.elapsed()
    }

    fn unix_seconds(&self) -> u64 {
        u64::try_from(Timestamp::now().as_second() + self.1).expect("this is after 1970")
    }
}

impl World {
    /// On SQLite, with [`LIMITS`].
    pub(crate) fn new() -> Self {
        Self::with("url = \"sqlite:ringfence.db\"", LIMITS)
    }

    pub(crate) fn with(store: &str, limits: &str) -> Self {
        Self::with_twilio_s_clock(store, limits, 0)
    }

    /// With a Twilio whose clock is so many seconds ahead.
    pub(crate) fn with_twilio_s_clock(store: &str, limits: &str, ahead: i64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let settings = Settings { usage_lag_s: 0, trigger_interval_s: 1, ..Settings::default() };
        let options = SandboxOptions {
            seed: 7,
            auth_token: Some(TOKEN.to_owned()),
            settings,
            ..SandboxOptions::default()
        };
        let sandbox = {
            let _inside = runtime.enter();
            Sandbox::new(options, &listener, Arc::new(Real(Instant::now(), ahead))).expect("a sandbox")
        };
        let server = sandbox.clone();
        runtime.spawn(async move { server.serve(listener).await });
        let base = format!("http://{}", sandbox.address()).parse().expect("a URL");
        let credentials = Credentials::auth_token(sandbox.account_sid(), Secret::new(TOKEN));
        let parent = Client::new(client::Settings::at(base), credentials).expect("a client");
        let world = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            store: store.to_owned(),
            runtime,
            sandbox,
            parent,
            gate_port: ringfence_testkit::free_port(),
        };
        world.configure("ringfence.toml", limits);
        world
    }

    /// Writes a configuration with these limits; the same installation otherwise.
    pub(crate) fn configure(&self, name: &str, limits: &str) {
        self.configure_for(name, limits, &format!("http://{}", self.sandbox.address()));
    }

    pub(crate) fn configure_for(&self, name: &str, limits: &str, twilio: &str) {
        let (sid, gate, store) = (self.sandbox.account_sid(), self.gate_port, &self.store);
        let text = format!(
            "[listen]\ngate = \"127.0.0.1:{gate}\"\n\n[[account]]\nsid = \"{sid}\"\n\
             auth_token = {{ env = \"TWILIO_AUTH_TOKEN\" }}\nsubaccounts = true\n\n[store]\n{store}\n\n\
             [twilio]\nbase_url = \"{twilio}\"\npoll_interval = \"1s\"\ntimeout = \"2s\"\n\n\
             [[route]]\npath = \"/triggers\"\npublic_url = \"http://127.0.0.1:{gate}\"\nupstream = \"breaker\"\n\
             check = \"signature\"\n\n{limits}"
        );
        fs::write(self.path(name), text).expect("a file");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The names of the files there are.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("the folder");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        command
            .current_dir(self.folder.path())
            .args(arguments)
            .env_clear()
            .env("TWILIO_AUTH_TOKEN", TOKEN)
            .env("STORE_KEY", "0a".repeat(32))
            .env("SUDO_USER", "alice")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command with `--config ringfence.toml`.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.run_with("ringfence.toml", arguments)
    }

    #[track_caller]
    pub(crate) fn run_with(&self, config: &str, arguments: &[&str]) -> Run {
        let output =
            self.command(arguments).args(["--config", config]).output().expect("the program starts and ends");
        let run = Run {
            code: output.status.code().expect("an exit code"),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        };
        assert!(!run.out.contains(TOKEN) && !run.err.contains(TOKEN), "the token was printed: {run:?}");
        run
    }

    /// Runs a command as it is.
    #[track_caller]
    pub(crate) fn run_plain(&self, arguments: &[&str]) -> Run {
        let output = self.command(arguments).output().expect("the program starts and ends");
        let run = Run {
            code: output.status.code().expect("an exit code"),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        };
        assert!(!run.out.contains(TOKEN) && !run.err.contains(TOKEN), "the token was printed: {run:?}");
        run
    }

    /// Types a command that the program told somebody to type, with a reason.
    #[track_caller]
    pub(crate) fn type_in(&self, said: &str) -> Run {
        let line = said.lines().find_map(|line| line.split_once("ringfence ")).expect("a command").1;
        let line = line.split("   #").next().expect("the command").replace("\"...\"", "\"as told\"");
        let mut words = Vec::new();
        for (number, part) in line.split('"').enumerate() {
            match number % 2 {
                0 => words.extend(part.split_whitespace().map(str::to_owned)),
                _ => words.push(part.to_owned()),
            }
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = self.command(&words).output().expect("the program starts and ends");
        Run {
            code: output.status.code().expect("an exit code"),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// One that goes on by itself.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.start_with("ringfence.toml", arguments)
    }

    fn start_with(&self, config: &str, arguments: &[&str]) -> Child {
        self.command(arguments)
            .args(["--config", config])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts")
    }

    /// `serve`, ready.
    pub(crate) fn serve(&self) -> Serving {
        self.serve_with("ringfence.toml")
    }

    pub(crate) fn serve_with(&self, config: &str) -> Serving {
        let mut child = self.start_with(config, &["serve"]);
        let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut seen = String::new();
        while !seen.contains(" ready ") {
            assert_ne!(log.read_line(&mut seen).expect("text"), 0, "it ended:\n{seen}");
        }
        // Its log must be read, or it is lost.
        let reader = std::thread::spawn(move || {
            let mut rest = String::new();
            _ = log.read_to_string(&mut rest);
            seen + &rest
        });
        Serving { child, reader: Some(reader) }
    }

    /// Runs a command again and again until it is so.
    #[track_caller]
    pub(crate) fn until(&self, arguments: &[&str], is_so: impl Fn(&Run) -> bool) -> Run {
        let began = Instant::now();
        loop {
            let run = self.run(arguments);
            if is_so(&run) {
                return run;
            }
            assert!(began.elapsed() < PATIENCE, "it never came to be: {run:?}");
        }
    }

    /// `[store]` of its configuration.
    pub(crate) fn store(&self) -> &str {
        &self.store
    }

    /// Where its Twilio is.
    pub(crate) fn twilio(&self) -> String {
        format!("http://{}", self.sandbox.address())
    }

    /// Somebody deletes a trigger at Twilio.
    pub(crate) fn delete_trigger(&self, account: Sid, trigger: &str) {
        let trigger = Sid::parse(trigger).expect("a SID");
        self.runtime.block_on(self.parent.usage_triggers(account).delete(trigger)).expect("deleted");
    }

    /// What Twilio signs the webhooks of an account with at this moment.
    pub(crate) fn signs_with(&self, account: Sid) -> String {
        self.sandbox.auth_token(account).expect("an account")
    }

    /// The main account.
    pub(crate) fn account(&self) -> Sid {
        self.sandbox.account_sid()
    }

    /// A number of the main account's.
    pub(crate) fn number(&self) -> String {
        self.sandbox.phone_numbers().first().expect("a number").clone()
    }

    /// The code in the newest text to this number, once there is one.
    pub(crate) fn code_at(&self, to: &str) -> Option<String> {
        let filter = MessageFilter { to: Some(to.to_owned()), ..MessageFilter::default() };
        let messages = self.parent.messages(self.sandbox.account_sid());
        let messages = self.runtime.block_on(messages.list(&filter).all()).expect("a list");
        let body = messages.first()?.body.clone()?;
        let is_code = |word: &&str| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit());
        body.split(' ').find(is_code).map(str::to_owned)
    }

    /// All messages of the main account at Twilio.
    pub(crate) fn messages(&self) -> Vec<Message> {
        let messages = self.parent.messages(self.sandbox.account_sid());
        self.runtime.block_on(messages.list(&MessageFilter::default()).all()).expect("a list")
    }

    /// What Twilio counts for today, in millionths.
    pub(crate) fn spent_today(&self) -> i64 {
        let records = self.parent.usage_records(self.sandbox.account_sid());
        let filter = UsageFilter { category: Some("totalprice".to_owned()), ..UsageFilter::default() };
        let records = self.runtime.block_on(records.list(UsageSpan::Today, &filter).all()).expect("records");
        records.first().and_then(|record| record.price).expect("a price").micros
    }

    /// The newest call to this number.
    pub(crate) fn call_to(&self, to: &str) -> Option<String> {
        let filter = CallFilter { to: Some(to.to_owned()), ..CallFilter::default() };
        let calls = self.parent.calls(self.sandbox.account_sid());
        let calls = self.runtime.block_on(calls.list(&filter).all()).expect("a list");
        calls.first().map(|call| call.sid.clone())
    }

    pub(crate) fn subaccount(&self, name: &str) -> Sid {
        let account = self.runtime.block_on(self.parent.accounts().create(Some(name))).expect("a subaccount");
        Sid::parse(&account.sid).expect("a SID")
    }

    /// The auth token of an account, as its parent sees it.
    pub(crate) fn token_of(&self, account: &str) -> String {
        let account = Sid::parse(account).expect("a SID");
        let account = self.runtime.block_on(self.parent.accounts().fetch(account)).expect("the account");
        account.auth_token.expect("a token").expose().to_owned()
    }

    /// Who has the token that an account has now.
    fn whoever_has_the_token_of(&self, account: Sid) -> Client {
        let own = Credentials::auth_token(account, Secret::new(self.signs_with(account)));
        Client::new(client::Settings::at(self.parent.base().clone()), own).expect("a client")
    }

    /// Gives an account a second auth token.
    pub(crate) fn second_token(&self, account: Sid) {
        let client = self.whoever_has_the_token_of(account);
        self.runtime.block_on(client.auth_tokens().create_secondary()).expect("a second token");
    }

    /// An API key of the main account.
    pub(crate) fn api_key(&self, name: &str) -> String {
        let keys = self.parent.keys(self.account());
        self.runtime.block_on(keys.create(Some(name))).expect("a key").key.sid
    }

    /// Waits until the main account has no API key.
    pub(crate) fn until_there_are_no_keys(&self) {
        let began = Instant::now();
        let client = self.whoever_has_the_token_of(self.account());
        let keys = client.keys(self.account());
        while !self.runtime.block_on(keys.list().all()).expect("keys").is_empty() {
            assert!(began.elapsed() < PATIENCE, "there are still keys");
        }
    }

    pub(crate) fn status(&self, account: Sid) -> String {
        let account = self.runtime.block_on(self.parent.accounts().fetch(account)).expect("the account");
        account.status.as_str().to_owned()
    }

    /// Somebody suspends an account at Twilio, past Ringfence.
    pub(crate) fn suspend(&self, account: Sid) {
        let accounts = self.parent.accounts();
        let asked = accounts.set_status(account, &AccountStatus::Suspended);
        self.runtime.block_on(asked).expect("suspended");
    }

    pub(crate) fn triggers(&self, account: Sid) -> Vec<UsageTrigger> {
        let resource = self.parent.usage_triggers(account);
        self.runtime.block_on(resource.list(&TriggerFilter::default()).all()).expect("triggers")
    }

    /// A trigger that somebody else made.
    pub(crate) fn foreign_trigger(&self, account: Sid) -> String {
        let trigger = NewUsageTrigger {
            callback_url: "http://127.0.0.1:9/theirs".to_owned(),
            trigger_value: "7".to_owned(),
            usage_category: "sms".to_owned(),
            callback_method: None,
            friendly_name: Some("theirs".to_owned()),
            recurring: None,
            trigger_by: None,
        };
        let created = self.runtime.block_on(self.parent.usage_triggers(account).create(&trigger));
        created.expect("a trigger").sid
    }

    /// The rules that say which key signs.
    pub(crate) fn webhook_rules(&self) -> Vec<WebhookRule> {
        self.runtime.block_on(self.parent.webhooks().rules()).expect("rules")
    }

    /// Somebody else removes one of them.
    pub(crate) fn remove_webhook_rule(&self, id: &str) {
        self.runtime.block_on(self.parent.webhooks().delete_rule(id)).expect("deleted");
    }

    /// Somebody else has one of them be for another prefix.
    pub(crate) fn edit_webhook_rule(&self, rule: &WebhookRule, prefix: &str) {
        self.remove_webhook_rule(&rule.id);
        let (name, setting) =
            (rule.friendly_name.as_deref().expect("a name"), rule.only_setting().expect("one"));
        let (webhooks, prefix) = (self.parent.webhooks(), RuleMatch::Prefix(prefix.to_owned()));
        self.runtime.block_on(webhooks.create_rule(name, &prefix, setting)).expect("made");
    }

    /// Asks the sandbox for what Twilio does not offer.
    #[track_caller]
    pub(crate) fn control(&self, method: &str, what: &str, body: &str) -> serde_json::Value {
        self.ask(method, &format!("/_sandbox/{what}"), "", body)
    }

    /// Asks the sandbox for anything; `head` are lines of the request's head.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, head: &str, body: &str) -> serde_json::Value {
        let address = self.sandbox.address();
        let mut stream = TcpStream::connect(address).expect("a connection");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{head}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        serde_json::from_str(body).expect("JSON")
    }

    /// An account spends money.
    pub(crate) fn spend(&self, account: Sid, price: &str) {
        let body = format!(
            "{{\"account\": \"{account}\", \"category\": \"sms-outbound\", \"count\": 1, \"price\": \"{price}\"}}"
        );
        self.control("POST", "usage", &body);
    }

    /// Changes the SQLite store behind everybody's back: so much time passes that way, too.
    pub(crate) fn sql(&self, statement: &'static str) {
        use sqlx::Connection as _;
        let url = format!("sqlite:{}", self.path("ringfence.db").display());
        self.runtime.block_on(async {
            let mut connection = sqlx::SqliteConnection::connect(&url).await.expect("the store");
            sqlx::query(statement).execute(&mut connection).await.expect("a statement");
        });
    }

    /// How often the audit log has this action, sealed or not.
    pub(crate) fn noted(&self, action: &str) -> i64 {
        use sqlx::Connection as _;
        let url = format!("sqlite:{}", self.path("ringfence.db").display());
        self.runtime.block_on(async {
            let mut connection = sqlx::SqliteConnection::connect(&url).await.expect("the store");
            let count =
                sqlx::query_scalar("SELECT count(*) FROM audit WHERE action = $1").bind(action.to_owned());
            count.fetch_one(&mut connection).await.expect("a number")
        })
    }

    /// The sealed rows of the audit log whose action this is. `serve` seals; without it nothing is.
    pub(crate) fn audited(&self, action: &str) -> Vec<serde_json::Value> {
        let run = self.run(&["audit", "export"]).code(0);
        let rows = run.out.lines().map(|line| serde_json::from_str(line).expect("a row"));
        rows.filter(|row: &serde_json::Value| row["action"] == action).collect()
    }
}

/// A `serve` at work. It is stopped with this value.
pub(crate) struct Serving {
    child: Child,
    reader: Option<std::thread::JoinHandle<String>>,
}

impl Serving {
    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it in the middle of whatever it does (`kill -9`).
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is there");
        let status = self.child.wait().expect("it ends");
        assert_eq!(status.code(), None, "a signal ended it");
    }

    /// Asks it to stop again and again until it has ended, and gives its log.
    pub(crate) fn stop_impatiently(mut self) -> String {
        let began = Instant::now();
        while self.child.try_wait().expect("a state").is_none() {
            _ = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill");
            assert!(began.elapsed() < PATIENCE, "it never ended");
        }
        self.reader.take().expect("it is taken once").join().expect("its log")
    }

    /// Stops it in good order, and gives its log.
    pub(crate) fn stop(mut self) -> String {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill");
        assert!(asked.success());
        assert!(self.child.wait().expect("it ends").success());
        self.reader.take().expect("it is taken once").join().expect("its log")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
