//! `ringfence import account`: the URLs that Twilio was told, as routes.
//!
//! Twilio's own lists are the truth about what it calls; the doctor reads the same ones. Passwords in URLs are not shown.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::Uri;
use percent_encoding::percent_decode_str;
use ringfence_control::doctor::{Webhook, webhooks};
use ringfence_control::engine::{Clients, KnownAccount};
use ringfence_control::rotation;
use ringfence_gateway::settings::Upstream;
use ringfence_model::{Secret, Sid};
use ringfence_store::Version;
use ringfence_twilio::client::{BaseUrl, Settings};

use super::answer;
use super::proposal::{Proposal, Proposals, User};
use crate::commands::token_argument::{TokenArguments, of_environment};
use crate::commands::words::count;
use crate::commands::{with_engine, with_store};
use crate::config::{self, Loaded};
use crate::control_plane;
use crate::exit::{Answer, Failure};

/// Where the token is if nothing says otherwise, as Twilio's own tools have it.
const VARIABLE: &str = "TWILIO_AUTH_TOKEN";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
It asks Twilio for the account and, with a parent's token, for all of its subaccounts, and changes nothing. Where the
application listens is not known at Twilio: --upstream says it.

Examples:
  ringfence import account AC… --token-env TWILIO_AUTH_TOKEN --upstream http://127.0.0.1:3000
  ringfence import account AC… --config ringfence.toml

Exit codes: 0 there are routes; 1 there is none; 2 wrong usage; 64 wrong configuration; 69 not everything could be read:
Twilio does not answer, or refuses the credentials.")]
pub(super) struct Arguments {
    /// The account
    #[arg(value_name = "SID", value_parser = account)]
    account: Sid,
    #[command(flatten)]
    token: TokenArguments,
    /// Take the credentials and the way to Twilio from this configuration
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token_env", "token_file", "token_stdin", "twilio"])]
    config: Option<PathBuf>,
    /// Where Twilio is: the address of a sandbox
    #[arg(long, value_name = "URL", help_heading = "Twilio", value_parser = base_url)]
    twilio: Option<BaseUrl>,
    /// Where the application listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000", value_parser = upstream)]
    upstream: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let found = with_store::block_on(async { Ok(webhooks(&clients(arguments).await?).await) })?;
    if found.accounts == 0
        && let Some((account, why)) = found.unread.first()
    {
        return Err(Failure::unavailable(format!("{account} could not be read: {why}")));
    }
    let mut proposals = Proposals::default();
    propose_all(&found.found, &arguments.upstream, &mut proposals);
    for (account, why) in &found.unread {
        proposals.leave_out(account.to_string(), format!("could not be read: {why}"));
    }
    for (account, status) in found.inactive.iter().filter(|(_, status)| status != "closed") {
        proposals.leave_out(
            account.to_string(),
            format!("is {status}: Twilio shows nothing of it until it is active"),
        );
    }
    let head = [
        format!(
            "What Twilio was told to call: {} of {}.",
            count(found.found.len(), "URL"),
            count(found.accounts, "account")
        ),
        "A route lets in only what Twilio signed. Several under one folder may be one: path = \"/twilio/\"."
            .to_owned(),
        format!("The application is taken to listen at {}.", arguments.upstream),
    ];
    Ok(Answer { is_unavailable: !found.unread.is_empty(), ..answer(&proposals, &head) })
}

async fn clients(arguments: &Arguments) -> Result<Clients, Failure> {
    let sid = arguments.account;
    if let Some(file) = &arguments.config {
        let loaded = config::load(file)?;
        let credentials = loaded.control.credentials.iter().find(|it| it.account == sid);
        if credentials.is_none() {
            return Err(Failure::configuration(format!("{} has no auth token of {sid}", file.display()))
                .hint("name an account of the configuration, or say where the token is with --token-env"));
        }
        let rotated = rotated(&loaded).await?;
        let mut control = loaded.control;
        control.credentials.retain(|it| it.account == sid);
        let clients = control_plane::clients(&control).map_err(Failure::configuration)?;
        clients.ask_with(rotated);
        return Ok(clients);
    }
    let auth_token = match arguments.token.read()? {
        Some((token, _)) => token,
        None => of_environment(VARIABLE).map_err(|it| {
            it.hint("say where the auth token is: --token-env NAME, --token-file FILE or --token-stdin")
        })?,
    };
    let settings = Settings::at(arguments.twilio.clone().unwrap_or_default());
    let known = KnownAccount { sid, parent: None, auth_token, finds_subaccounts: true };
    Clients::new(&settings, vec![known]).map_err(Failure::usage)
}

/// The tokens that count in the place of those of the configuration, as the store has them. Where there is none, or one that
/// would have to be upgraded first, there are none that it could tell.
async fn rotated(loaded: &Loaded) -> Result<BTreeMap<Sid, Secret>, Failure> {
    let Some(configured) = &loaded.control.store else { return Ok(BTreeMap::new()) };
    if with_engine::version(loaded).await? < Version::NEWEST {
        return Ok(BTreeMap::new());
    }
    let clients = control_plane::clients(&loaded.control).map_err(Failure::configuration)?;
    let store = with_store::open(configured, with_store::now()?).await?;
    let in_use = rotation::in_use(&store, &clients).await.map_err(|error| with_store::failure(&error));
    store.close().await;
    Ok(in_use?.tokens.iter().map(|it| (it.account, it.ask.clone())).collect())
}

/// A route goes by host and path alone, so of two URLs of one the usual one goes first: over TLS, and without a port.
fn propose_all(webhooks: &[Webhook], upstream: &str, proposals: &mut Proposals) {
    let is_odd = |webhook: &&Webhook| match &webhook.uri {
        Some(uri) => (uri.scheme_str() != Some("https"), uri.port().is_some()),
        None => (true, true),
    };
    let mut webhooks: Vec<_> = webhooks.iter().collect();
    webhooks.sort_by_key(is_odd);
    for webhook in webhooks {
        propose(webhook, upstream, proposals);
    }
}

/// The route of a URL, or why it has none.
fn propose(webhook: &Webhook, upstream: &str, proposals: &mut Proposals) {
    let Webhook { account, place, uri, is_twilios_own, method, .. } = webhook;
    let place = format!("{account} {place}");
    let Some(uri) = uri else {
        return proposals.leave_out(place, "Twilio has no URL there that could be called");
    };
    let authority = uri.authority().map_or("", |it| it.as_str());
    let (user, authority) = match authority.rsplit_once('@') {
        Some((user, authority)) => (Some(user), authority),
        None => (None, authority),
    };
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    if *is_twilios_own {
        return proposals.leave_out(place, format!("{host} is Twilio itself"));
    }
    if host.ends_with(".twil.io") {
        let why = format!(
            "{host} is a Function that runs at Twilio: make it protected there, no gate stands before it"
        );
        return proposals.leave_out(place, why);
    }
    let mut notes = vec![format!("{method} {}: {place}", without_password(uri, authority))];
    let user = user.map(credentials);
    if user.as_ref().is_some_and(|(_, is_encoded)| *is_encoded) {
        notes.push(
            "its user or its password is written with %, and what Twilio signs of that is not known: better letters and digits"
                .to_owned(),
        );
    }
    if uri.scheme_str() != Some("https") {
        notes.push("it is without TLS: tell Twilio an https:// URL".to_owned());
    }
    if !matches!(method.as_str(), "GET" | "POST") {
        notes.push(format!("a route takes GET and POST: add methods = [\"{}\"]", method.escape_default()));
    }
    let scheme = uri.scheme_str().unwrap_or("https");
    let public_url = format!("{scheme}://{}", authority.to_ascii_lowercase());
    let (path, upstream) = (uri.path().to_owned(), upstream.to_owned());
    if path.ends_with('/') {
        notes.push("a route whose path ends with / takes all that begins so".to_owned());
    }
    let users = user.into_iter().map(|(user, _)| user).collect();
    proposals.add(Proposal { path, public_url, upstream, users, notes, ..Proposal::default() }, &place);
}

/// What stands before the `@` of a URL, as Basic carries it, and whether the URL writes some of it with `%`.
fn credentials(userinfo: &str) -> (User, bool) {
    let (name, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = User { name: decoded(name), password: Secret::new(decoded(password)) };
    (user, userinfo.contains('%'))
}

/// A URL as it may be shown: its query may hold a key.
fn without_password(uri: &Uri, authority: &str) -> String {
    let query = if uri.query().is_some() { "?…" } else { "" };
    format!("{}://{authority}{}{query}", uri.scheme_str().unwrap_or("https"), uri.path())
}

fn account(text: &str) -> Result<Sid, &'static str> {
    match Sid::parse(text) {
        Ok(sid) if sid.is("AC") => Ok(sid),
        _ => Err("write AC and 32 hexadecimal digits"),
    }
}

fn base_url(text: &str) -> Result<BaseUrl, String> {
    text.parse().map_err(|error| format!("{error}"))
}

fn upstream(text: &str) -> Result<String, String> {
    match text.parse::<Upstream>() {
        Ok(Upstream::Application(address)) => Ok(address.to_string()),
        Ok(_) => Err("write the address of the application, such as http://127.0.0.1:3000".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(urls: &[&str]) -> Proposals {
        let webhook = |(number, url): (usize, &&str)| {
            let uri: Option<Uri> = url.split('#').next().and_then(|url| url.parse().ok());
            let is_twilios_own =
                uri.as_ref().is_some_and(|uri| uri.host().is_some_and(|it| it.ends_with(".twilio.com")));
            Webhook {
                account: Sid::new(*b"AC", 1),
                place: format!("PN{number}/sms_url"),
                url: (*url).to_owned(),
                uri,
                is_twilios_own,
                method: "POST".to_owned(),
            }
        };
        let webhooks: Vec<_> = urls.iter().enumerate().map(webhook).collect();
        let mut proposals = Proposals::default();
        propose_all(&webhooks, "http://127.0.0.1:3000", &mut proposals);
        super::super::tests::all_load(&proposals);
        proposals
    }

    #[test]
    fn what_no_gate_stands_before_is_left_out_with_the_reason() {
        let proposals = of(&["https://handler.twilio.com/twiml/EH1", "https://shop-1.twil.io/sms", "no url"]);
        assert!(proposals.routes.is_empty());
        let why: Vec<_> = proposals.left_out.iter().map(|it| it.why.as_str()).collect();
        assert!(
            why[0].contains("Twilio itself") && why[1].contains("Function") && why[2].contains("no URL"),
            "{why:?}"
        );
    }

    #[test]
    fn each_url_is_a_route_once_without_its_query_and_its_password() {
        let proposals = of(&[
            "https://hooks.example.com/sms?key=hush",
            "https://Hooks.example.com/sms#rc=3",
            "https://user:hush@hooks.example.com:8443/voice",
            "http://other.example.com/",
        ]);
        let short: Vec<_> =
            proposals.routes.iter().map(|it| (it.path.as_str(), it.public_url.as_str())).collect();
        assert_eq!(
            short,
            [
                ("/sms", "https://hooks.example.com"),
                ("/voice", "https://hooks.example.com:8443"),
                ("/", "http://other.example.com"),
            ]
        );
        let text = proposals.as_toml(&[]);
        assert!(!text.contains("hush"), "{text}");
        assert!(text.contains("host = \"hooks.example.com\""), "{text}");
        assert!(proposals.routes[2].notes.iter().any(|it| it.contains("without TLS")));
    }

    #[test]
    fn a_url_with_a_password_becomes_a_route_that_asks_for_it() {
        let of_one = of(&["https://twilio:hush@hooks.example.com/sms"]).as_toml(&[]);
        let lines = "check = \"signature+basic\"\nbasic = [{ user = \"twilio\", password = { env = \"WEBHOOK_PASSWORD\" } }]\n";
        assert!(of_one.contains(lines), "{of_one}");
        assert!(
            of_one
                .contains("# Set WEBHOOK_PASSWORD to the password that stands in this URL beside twilio.\n")
        );
        assert!(!of_one.contains("hush"), "{of_one}");

        let several = of(&[
            "https://twilio:hush@hooks.example.com/sms",
            "https://twilio:hush@hooks.example.com/voice",
            "https://twilio:quiet@hooks.example.com/sms",
            "https://other:hu%2Fsh@hooks.example.com/voice",
        ]);
        let text = several.as_toml(&[]);
        let user = |user: &str, variable: &str| {
            format!("{{ user = \"{user}\", password = {{ env = \"{variable}\" }} }}")
        };
        for users in [
            [user("twilio", "WEBHOOK_PASSWORD"), user("twilio", "WEBHOOK_PASSWORD_2")],
            [user("twilio", "WEBHOOK_PASSWORD"), user("other", "WEBHOOK_PASSWORD_3")],
        ] {
            assert!(text.contains(&format!("basic = [{}]\n", users.join(", "))), "{text}");
        }
        assert!(text.contains("is written with %"), "{text}");
    }

    #[test]
    fn of_two_urls_with_and_without_a_password_the_second_is_left_out_and_so_is_one_that_is_no_password() {
        let proposals = of(&["https://hooks.example.com/sms", "https://twilio:hush@hooks.example.com/sms"]);
        assert_eq!(proposals.routes.len(), 1);
        assert!(proposals.left_out[0].why.contains("one has a password and the other none"), "{proposals:?}");
        for url in ["https://twilio@hooks.example.com/sms", "https://a%3Ab:hush@hooks.example.com/sms"] {
            let proposals = of(&[url]);
            assert!(proposals.routes.is_empty(), "{proposals:?}");
            assert!(proposals.left_out[0].why.contains("no route can ask for"), "{proposals:?}");
        }
    }

    #[test]
    fn of_two_ports_of_a_host_the_usual_one_becomes_the_route() {
        let proposals = of(&[
            "http://hooks.example.com/sms",
            "https://hooks.example.com:8443/sms",
            "https://hooks.example.com/sms",
        ]);
        assert_eq!(proposals.routes.len(), 1);
        assert_eq!(proposals.routes[0].public_url, "https://hooks.example.com");
        assert_eq!(proposals.left_out.len(), 2);
    }
}
