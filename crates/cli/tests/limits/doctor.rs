//! `ringfence doctor`: each fault is found where it is, and not where it is not.
//!
//! The gate is the real one, over TLS, and Twilio the sandbox, into which each test puts its fault.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests may fail like tests")]

use std::collections::BTreeMap;
use std::net::TcpListener;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ringfence_testkit::{Answer, Certificates, PostgresDatabase, Upstream, certificates};
use serde_json::Value;

use crate::world::{LIMITS, Run, Serving, World};

/// A whole deployment without a fault.
struct Deployment {
    world: World,
    certificates: Certificates,
    port: u16,
    application: Upstream,
    more: String,
}

impl Deployment {
    fn new() -> Self {
        Self::with(World::new(), "")
    }

    fn with(world: World, more: &str) -> Self {
        let application = world.runtime.block_on(Upstream::start(|_| async { Answer::new(200, "") }));
        let port = ringfence_testkit::free_port();
        let deployment =
            Self { world, certificates: certificates(), port, application, more: more.to_owned() };
        deployment.world.control("PATCH", "settings", r#"{"geo_default": "home"}"#);
        deployment.world.subaccount("Customer 7");
        deployment.configure(|text| text);
        deployment
    }

    /// Writes the configuration, changed so.
    fn configure(&self, change: impl FnOnce(String) -> String) {
        let Self { port, certificates, application, more, world } = self;
        let folder = certificates.directory().display();
        let text = format!(
            "[listen]\ngate = \"127.0.0.1:{port}\"\n\n[tls]\ncertificate = \"{folder}/server.pem\"\nkey = \
             \"{folder}/server.key\"\n\n[[account]]\nsid = \"{sid}\"\nauth_token = {{ env = \"TWILIO_AUTH_TOKEN\" }}\n\
             subaccounts = true\n\n[store]\n{store}\n\n[twilio]\nbase_url = \"{twilio}\"\npoll_interval = \"1s\"\n\
             timeout = \"5s\"\n\n[doctor]\nca_file = \"{folder}/ca.pem\"\nevery = \"never\"\n\n[[route]]\npath = \
             \"/triggers\"\npublic_url = \"https://127.0.0.1:{port}\"\nupstream = \"breaker\"\ncheck = \
             \"signature\"\n\n[[route]]\npath = \"/sms\"\npublic_url = \"https://127.0.0.1:{port}\"\nupstream = \
             \"http://{address}\"\ncheck = \"signature\"\n\n{LIMITS}\n[[limit]]\nname = \"the parent\"\nscope = \
             \"parent\"\nwindow = \"daily\"\nat = \"100\"\nthen = [\"end-calls\"]\n\n{more}",
            sid = world.account(),
            store = world.store(),
            twilio = world.twilio(),
            address = application.address(),
        );
        std::fs::write(world.path("ringfence.toml"), change(text)).unwrap();
    }

    /// A `serve` that has put its triggers at Twilio.
    fn serve(&self) -> Serving {
        self.world.run(&["limits", "apply"]).code(0);
        self.world.serve()
    }

    fn examine(&self) -> Examined {
        let run = self.world.run(&["doctor", "--json"]);
        Examined { json: run.json(), run }
    }

    /// Asks Twilio for something as the main account.
    fn twilio(&self, what: &str, form: &str) -> Value {
        let credentials = BASE64.encode(format!("{}:0123456789abcdef0123456789abcdef", self.world.account()));
        let head = format!(
            "Authorization: Basic {credentials}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        );
        let account = self.world.account();
        self.world.ask("POST", &format!("/2010-04-01/Accounts/{account}/{what}.json"), &head, form)
    }

    /// The account's first number has this URL.
    fn number_has(&self, parameter: &str, url: &str) {
        let page = self.world.control("GET", "snapshot", "");
        let number = page["numbers"][0]["sid"].as_str().unwrap().to_owned();
        self.twilio(&format!("IncomingPhoneNumbers/{number}"), &format!("{parameter}={url}"));
    }
}

struct Examined {
    run: Run,
    json: Value,
}

impl Examined {
    fn outcomes(&self) -> BTreeMap<String, String> {
        let checks = self.json["checks"].as_array().unwrap();
        checks
            .iter()
            .map(|it| (it["check"].as_str().unwrap().to_owned(), it["outcome"].as_str().unwrap().to_owned()))
            .collect()
    }

    #[track_caller]
    fn outcome(&self, check: &str, expected: &str) -> &Self {
        let outcomes = self.outcomes();
        assert_eq!(outcomes[check], expected, "{check}: {:#}", self.json);
        self
    }

    #[track_caller]
    fn code(&self, expected: i32) -> &Self {
        assert_eq!(self.run.code, expected, "{:#}\n{}", self.json, self.run.err);
        self
    }

    /// The findings of a check, each with what mends it.
    #[track_caller]
    fn finds(&self, check: &str, what: &str) -> &Self {
        let all = self.json["findings"].as_array().unwrap();
        let found = all
            .iter()
            .find(|it| it["check"] == check && it["what"].as_str().is_some_and(|text| text.contains(what)));
        let found = found.unwrap_or_else(|| panic!("{check} does not find {what:?}: {:#}", self.json));
        assert!(
            !found["why"].as_str().unwrap().is_empty() && !found["mend"]["how"].as_str().unwrap().is_empty()
        );
        self
    }

    #[track_caller]
    fn finds_nothing(&self, check: &str) -> &Self {
        let all = self.json["findings"].as_array().unwrap();
        assert!(all.iter().all(|it| it["check"] != check), "{check}: {:#}", self.json);
        self
    }
}

#[test]
fn a_deployment_without_a_fault_is_sound() {
    let deployment = Deployment::new();
    deployment.number_has("SmsUrl", &format!("https://127.0.0.1:{}/sms", deployment.port));
    let serving = deployment.serve();
    let examined = deployment.examine();
    for check in [
        "store-durability",
        "webhook-https",
        "webhook-gate",
        "unsigned-request",
        "limits",
        "triggers",
        "certificate",
        "tls-versions",
        "clock",
        "store",
        "geo-permissions",
        "near-limits",
        "changes",
    ] {
        examined.outcome(check, "passed");
    }
    for check in ["upstream-tls", "sender", "mail", "media", "keys", "sip-domains"] {
        examined.outcome(check, "nothing-to-check");
    }
    examined.code(0);
    assert_eq!(examined.json["is_sound"], true);
    // What was sent without a signature reached the gate, and not the application.
    assert_eq!(deployment.application.requests().len(), 0);
    let text = deployment.world.run(&["doctor"]).code(0);
    assert!(text.out.lines().all(|line| line.chars().count() <= 80), "{}", text.out);
    assert!(text.out.contains("13 checks passed"), "{}", text.out);
    serving.stop();
}

#[test]
fn urls_that_lead_past_the_gate_in_clear_and_to_no_route_are_found() {
    let deployment = Deployment::new();
    let past = format!("http://{}/status", deployment.application.address());
    // What stands in the configuration as an address of ours is asked, though only this network reaches it.
    let ours = format!(
        "\n[[route]]\npath = \"/aside\"\npublic_url = \"http://{0}\"\nupstream = \"http://{0}\"\ncheck = \"signature\"\n",
        deployment.application.address()
    );
    deployment.configure(|text| text + &ours);
    deployment.number_has("StatusCallback", &past);
    deployment.number_has("VoiceUrl", &format!("https://127.0.0.1:{}/voice", deployment.port));
    deployment.twilio("Applications", "FriendlyName=app&SmsUrl=https://app.example.invalid/sms");
    deployment.twilio("SIP/Domains", "DomainName=acme.sip.twilio.com&VoiceUrl=http://a.example.invalid/sip");
    let serving = deployment.serve();
    let examined = deployment.examine();
    examined.finds("webhook-https", "status_callback of the number PN");
    examined.finds("webhook-gate", "past the gate").finds("webhook-gate", "for which the gate has no route");
    examined.finds("webhook-gate", "sms_url of the application AP");
    examined.finds("webhook-https", "voice_url of the SIP domain SD");
    // It was really sent, and the application took it.
    examined.finds("unsigned-request", "was answered with 200").code(1);
    assert!(deployment.application.requests().iter().any(|it| it.target == "/status"));
    // A host that nobody can look up was not asked.
    assert!(examined.json["not_made"].to_string().contains("app.example.invalid"), "{:#}", examined.json);
    examined.finds("sip-domains", "acme.sip.twilio.com");
    serving.stop();
}

#[test]
fn whoever_writes_urls_at_twilio_looks_at_no_other_port_of_ours() {
    let deployment = Deployment::new();
    let beside = format!("http://{}/status", deployment.application.address());
    deployment.number_has("StatusCallback", &beside);
    let serving = deployment.serve();
    let examined = deployment.examine();
    examined.finds("webhook-gate", "past the gate");
    assert!(examined.json["not_made"].to_string().contains("outside this network"), "{:#}", examined.json);
    assert_eq!(deployment.application.requests().len(), 0);
    serving.stop();
}

#[test]
fn a_certificate_that_twilio_does_not_take_is_found() {
    let deployment = Deployment::new();
    let serving = deployment.serve();
    deployment.configure(|text| {
        let ca_file = text.lines().find(|line| line.starts_with("ca_file")).unwrap().to_owned();
        text.replace(&ca_file, "")
    });
    let examined = deployment.examine();
    examined.finds("certificate", "UnknownIssuer").code(1);
    // Nothing was sent to who could not show who they are.
    assert!(examined.json["not_made"].to_string().contains("unsigned-request"), "{:#}", examined.json);
    examined.outcome("unsigned-request", "not-made");
    serving.stop();
}

#[test]
fn an_application_whose_certificate_the_gate_does_not_take_is_found() {
    let deployment = Deployment::new();
    let files = certificates();
    let config = files.server_config(&[b"http/1.1"]);
    let application =
        deployment.world.runtime.block_on(Upstream::start_tls(config, |_| async { Answer::new(200, "") }));
    let (in_clear, over_tls) = (
        format!("http://{}", deployment.application.address()),
        format!("https://localhost:{}", application.address().port()),
    );
    let authority = files.authority_path();
    let leads = |more: &str| {
        let upstream = format!("\"{over_tls}\"\n{more}");
        deployment.configure(|text| text.replace(&format!("\"{in_clear}\""), &upstream));
    };
    leads(&format!("upstream_ca = \"{}\"", authority.display()));
    let serving = deployment.serve();
    deployment.examine().outcome("upstream-tls", "passed");
    // Nobody that is trusted for it has signed it; or it is not whom the route names.
    for (more, why) in [
        (String::new(), "no authority that is trusted for it"),
        (
            format!("upstream_ca = \"{}\"\nupstream_name = \"other.example\"", authority.display()),
            "for another name",
        ),
    ] {
        leads(&more);
        let examined = deployment.examine();
        examined.finds("upstream-tls", why).code(1);
    }
    assert_eq!(application.requests().len(), 0, "nothing is sent to it");
    // Who is not there has shown nothing.
    let nobody = format!("\"https://localhost:{}\"", ringfence_testkit::free_port());
    deployment.configure(|text| text.replace(&format!("\"{in_clear}\""), &nobody));
    deployment.examine().outcome("upstream-tls", "not-made");
    serving.stop();
}

#[test]
fn accounts_without_limits_or_triggers_are_found_and_so_is_nobody_at_work() {
    let deployment = Deployment::new();
    deployment.configure(|text| {
        let begin = text.find("[[limit]]\nname = \"the parent\"").unwrap();
        text[..begin].to_owned()
    });
    deployment.world.run(&["limits", "apply"]).code(0);
    let examined = deployment.examine();
    examined.finds("limits", "No limit holds for the account").finds("limits", "No node is at work");
    examined.outcome("triggers", "passed").code(1);
    // Somebody takes a trigger away.
    let account = deployment.world.subaccount("Customer 8");
    deployment.world.run(&["limits", "apply"]).code(0);
    let trigger = deployment.world.triggers(account)[0].sid.clone();
    deployment.world.delete_trigger(account, &trigger);
    let examined = deployment.examine();
    examined.finds("triggers", "has no usage trigger").outcome("triggers", "failed");
    // The configuration has other limits than those that hold.
    deployment.configure(|text| text.replace("at = \"50\"", "at = \"40\""));
    deployment.examine().finds("limits", "are not those that hold");
}

#[test]
fn a_store_that_is_not_there_is_found_and_none_is_made() {
    let deployment = Deployment::new();
    let examined = deployment.examine();
    examined.finds("store", "there is no store").outcome("store-durability", "not-made").code(1);
    assert_eq!(deployment.world.files(), ["ringfence.toml"]);
}

#[test]
fn a_server_that_loses_commits_is_found_wherever_that_was_set() {
    let Some(database) = PostgresDatabase::create() else { return };
    let store = format!("url = \"{}\"\nmaster_key = {{ env = \"STORE_KEY\" }}", database.url());
    let deployment = Deployment::with(World::with(&store, LIMITS), "");
    deployment.world.run(&["limits", "apply"]).code(0);
    // The tests' cluster waits for no disk.
    let examined = deployment.examine();
    examined.finds("store-durability", "fsync is off").finds("store-durability", "full_page_writes is off");
    let name = database.psql("SELECT current_database()").trim().to_owned();
    database.psql(&format!("ALTER DATABASE {name} SET synchronous_commit = off"));
    let examined = deployment.examine();
    examined.finds("store-durability", "synchronous_commit is off by default").code(1);
    let text = deployment.world.run(&["doctor"]).code(1);
    text.says(&format!("psql -c 'ALTER DATABASE {name} SET synchronous_commit = on'"));
}

#[test]
fn senders_that_the_account_does_not_have_and_a_deaf_mail_server_are_found() {
    let world = World::new();
    let (sid, own) = (world.account(), world.number());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let notify = |from: &str, mail: &str| {
        format!(
            "[notify]\nsms = {{ account = \"{sid}\", from = \"{from}\", to = [\"+12025550143\"] }}\ncall = {{ account \
             = \"{sid}\", from = \"{from}\", to = [\"+12025550143\"] }}\n{mail}"
        )
    };
    let mail = format!(
        "mail = {{ smtp = \"smtp://127.0.0.1:{closed}\", from = \"a@example.com\", to = [\"b@example.com\"] }}\n"
    );
    let mut deployment = Deployment::with(world, &notify("+12025550199", &mail));
    deployment.world.run(&["limits", "apply"]).code(0);
    let examined = deployment.examine();
    examined.finds("sender", "sms of [notify]").finds("sender", "call of [notify]").code(1);
    examined.finds("mail", "Mail cannot be sent");
    assert!(!examined.json.to_string().contains("+12025550199"), "numbers are not told whole");

    deployment.more = notify(&own, "");
    deployment.configure(|text| text);
    deployment.examine().outcome("sender", "passed").outcome("mail", "nothing-to-check");
}

#[test]
fn a_clock_that_is_not_twilio_s_and_keys_of_long_ago_are_found() {
    // Twilio's clock is 400 days behind: what is made there now was made long ago.
    let world = World::with_twilio_s_clock("url = \"sqlite:ringfence.db\"", LIMITS, -400 * 86_400);
    let deployment = Deployment::with(world, "");
    deployment.twilio("Keys", "FriendlyName=forgotten");
    deployment.world.run(&["limits", "apply"]).code(0);
    let examined = deployment.examine();
    examined.finds("clock", "seconds ahead of Twilio's").finds("keys", "forgotten) is 400 days old").code(1);
}

#[test]
fn what_was_made_at_twilio_lately_is_told_and_fails_nothing() {
    let deployment = Deployment::new();
    let serving = deployment.serve();
    deployment.twilio("Keys", "FriendlyName=new");
    let led = format!("https://127.0.0.1:{}/sms", deployment.port);
    deployment.number_has("SmsUrl", &led);
    let examined = deployment.examine();
    examined.finds("changes", "api-key.created SK").outcome("changes", "passed").code(0);
    examined.finds("changes", &format!("sms_url leads to {led}"));
    examined.outcome("keys", "passed");
    serving.stop();
}

#[test]
fn countries_that_nobody_needs_are_found() {
    let deployment = Deployment::new();
    deployment.world.run(&["limits", "apply"]).code(0);
    deployment.examine().finds_nothing("geo-permissions").outcome("geo-permissions", "passed");
    deployment.world.control("PATCH", "settings", r#"{"geo_default": "all"}"#);
    let examined = deployment.examine();
    examined.finds("geo-permissions", "Texts may go to").outcome("geo-permissions", "failed");
}

#[test]
fn a_domain_with_a_list_of_addresses_is_sound() {
    let deployment = Deployment::new();
    let domain = deployment.twilio("SIP/Domains", "DomainName=acme.sip.twilio.com");
    deployment.examine().finds("sip-domains", "acme.sip.twilio.com");
    let list = deployment.twilio("SIP/IpAccessControlLists", "FriendlyName=office");
    let (domain, list) = (domain["sid"].as_str().unwrap(), list["sid"].as_str().unwrap());
    deployment.twilio(
        &format!("SIP/Domains/{domain}/Auth/Calls/IpAccessControlListMappings"),
        &format!("IpAccessControlListSid={list}"),
    );
    deployment.examine().outcome("sip-domains", "passed");
}

#[test]
fn an_account_near_its_limit_is_found() {
    let deployment = Deployment::new();
    let account = deployment.world.subaccount("Customer 9");
    let serving = deployment.serve();
    deployment.world.spend(account, "45");
    deployment.world.until(&["doctor", "--json"], |run| {
        run.json()["checks"].as_array().is_some_and(|checks| {
            checks.iter().any(|it| it["check"] == "near-limits" && it["outcome"] == "failed")
        })
    });
    deployment.examine().finds("near-limits", "45 of 50 is used").code(1);
    serving.stop();
}

#[test]
fn what_twilio_does_not_answer_was_not_checked_and_never_passed() {
    let deployment = Deployment::new();
    let serving = deployment.serve();
    let fault = r#"{"api": [{"method": "GET", "path": "/IncomingPhoneNumbers", "status": 403}]}"#;
    deployment.world.control("POST", "faults", fault);
    let examined = deployment.examine();
    examined.outcome("webhook-https", "not-made").outcome("webhook-gate", "not-made").code(69);
    assert_eq!((&examined.json["is_sound"], &examined.json["is_whole"]), (&false.into(), &false.into()));
    deployment.world.control("DELETE", "faults", "");
    // Time that is up is no pass either.
    let run = deployment.world.run(&["doctor", "--deadline", "1ms", "--json"]);
    let examined = Examined { json: run.json(), run };
    for check in ["webhook-https", "unsigned-request", "limits", "certificate", "clock", "changes"] {
        examined.outcome(check, "not-made");
    }
    examined.code(69);
    serving.stop();
}

#[test]
fn recordings_that_everybody_may_fetch_are_found() {
    let deployment = Deployment::new();
    let settings = r#"{"calls": {"phones": "answer", "queued_ms": 0, "ringing_ms": 0, "talk_s": 1}}"#;
    deployment.world.control("PATCH", "settings", settings);
    let from = deployment.world.number().replace('+', "%2B");
    let form = format!(
        "From={from}&To=%2B12025550143&Twiml=%3CResponse%3E%3CRecord%20maxLength%3D%221%22/%3E%3C/Response%3E"
    );
    deployment.twilio("Calls", &form);
    deployment.world.until(&["doctor", "--json"], |run| {
        run.json()["checks"]
            .as_array()
            .is_some_and(|checks| checks.iter().any(|it| it["check"] == "media" && it["outcome"] == "failed"))
    });
    deployment.examine().finds("media", "given to everybody");
    deployment.world.control("PATCH", "settings", r#"{"media_requires_auth": true}"#);
    deployment.examine().outcome("media", "passed");
}
