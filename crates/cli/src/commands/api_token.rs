//! `ringfence api-token`: who may use the API, for what and for how long.
//!
//! A token is printed once, alone on standard output, so that a script can take it from there; the store keeps a hash.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use clap::ValueEnum;
use ipnet::IpNet;
use jiff::Timestamp;
use ringfence_store::{NewToken, Token};
use serde_json::{Value, json};

use super::with_store::{self, Opened, StoreArguments, failure};
use crate::config::units;
use crate::exit::{Answer, Failure};

/// The longest name, in characters: it is a line in lists.
const NAME_MAX: usize = 100;

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a token; it is shown this once.
    Create(CreateArguments),
    /// All tokens, the newest first, without their secrets.
    List(StoreArguments),
    /// Make a token worthless, at once and for good.
    Revoke(RevokeArguments),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "The token alone goes to standard output, everything else to standard error.")]
struct CreateArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// What it is for
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    name: String,
    /// What it may do
    #[arg(long, value_name = "SCOPE", value_enum, default_value_t = Scope::Read)]
    scope: Scope,
    /// After what time it is worthless, such as 12h or 90d; or `never`
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = parse_life)]
    expires: Life,
    /// A network that it may be used from, such as 10.0.0.0/8; repeat it for more. From anywhere if not given
    #[arg(long = "from", value_name = "CIDR", value_parser = parse_network)]
    networks: Vec<IpNet>,
}

#[derive(Debug, clap::Args)]
struct RevokeArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// The id of the token, as `list` shows it
    #[arg(value_name = "ID")]
    id: String,
}

/// What a token may do; each may also do what the one before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scope {
    /// See what there is
    Read,
    /// Trip and reset breakers, suspend and resume accounts, too
    Operate,
    /// Everything
    Admin,
}

impl Scope {
    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

/// For how long a token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Never,
    For(Duration),
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    match &arguments.command {
        Command::Create(arguments) => {
            with_store::run(&arguments.store.config, async |opened| create(arguments, opened).await)
        }
        Command::List(arguments) => with_store::look(&arguments.config, async |opened| {
            let tokens = opened.store.tokens().await.map_err(|error| failure(&error))?;
            let output = if arguments.json {
                let tokens: Vec<_> = tokens.iter().map(|token| as_json(token, opened.now)).collect();
                format!("{}\n", Value::from(tokens))
            } else {
                as_table(&tokens, opened.now)
            };
            Ok(Answer::text(output))
        }),
        Command::Revoke(arguments) => with_store::run(&arguments.store.config, async |opened| {
            let id = &arguments.id;
            opened.store.revoke_token(&opened.by, id, opened.now).await.map_err(|error| {
                let is_unknown = matches!(error, ringfence_store::Error::Missing { .. });
                let failure = failure(&error);
                if is_unknown { failure.hint("`ringfence api-token list` shows them") } else { failure }
            })?;
            Ok(Answer::text(if arguments.store.json {
                format!("{}\n", json!({ "id": id, "state": "revoked" }))
            } else {
                format!("token {id} is revoked\n")
            }))
        }),
    }
}

async fn create(arguments: &CreateArguments, opened: &Opened) -> Result<Answer, Failure> {
    let expires_at = match arguments.expires {
        Life::Never => None,
        Life::For(duration) => Some(
            opened
                .now
                .checked_add(duration)
                .map_err(|_| Failure::usage("--expires is too long; `never` says that it has no end"))?,
        ),
    };
    let wanted = NewToken {
        name: arguments.name.clone(),
        scopes: vec![arguments.scope.word().to_owned()],
        networks: arguments.networks.iter().map(IpNet::to_string).collect(),
        expires_at,
    };
    let created = opened.store.create_token(&opened.by, wanted, opened.now).await;
    let (token, secret) = created.map_err(|error| failure(&error))?;
    if arguments.store.json {
        let mut json = as_json(&token, opened.now);
        json["token"] = secret.expose().into();
        return Ok(Answer::text(format!("{json}\n")));
    }
    let mut answer = Answer::text(format!("{}\n", secret.expose()));
    let end = token.expires_at.map_or("for ever".to_owned(), |end| format!("until {}", seconds(end)));
    answer.notes.push(format!(
        "token {} may {} {end}, from {}; keep it now, it is not shown again",
        token.id,
        token.scopes.join(", "),
        from(&token),
    ));
    if token.expires_at.is_none() {
        answer
            .notes
            .push("warning: a token without an end is good for whoever finds it, years from now".to_owned());
    }
    Ok(answer)
}

/// Why a token opens nothing, or that it does.
fn state(token: &Token, now: Timestamp) -> &'static str {
    if token.is_good(now) {
        "good"
    } else if token.revoked_at.is_some() {
        "revoked"
    } else {
        "expired"
    }
}

fn as_json(token: &Token, now: Timestamp) -> Value {
    json!({
        "id": token.id,
        "name": token.name,
        "scopes": token.scopes,
        "networks": token.networks,
        "created_at": seconds(token.created_at),
        "expires_at": token.expires_at.map(seconds),
        "revoked_at": token.revoked_at.map(seconds),
        "state": state(token, now),
    })
}

fn as_table(tokens: &[Token], now: Timestamp) -> String {
    if tokens.is_empty() {
        return "there is no token\n".to_owned();
    }
    let mut text =
        format!("{:<15} {:<8} {:<8} {:<20} {:<20} NAME\n", "ID", "SCOPE", "STATE", "EXPIRES", "FROM");
    for token in tokens {
        let expires = token.expires_at.map_or("never".to_owned(), seconds);
        _ = writeln!(
            text,
            "{:<15} {:<8} {:<8} {expires:<20} {:<20} {}",
            token.id,
            token.scopes.join(","),
            state(token, now),
            from(token),
            token.name
        );
    }
    text
}

fn from(token: &Token) -> String {
    if token.networks.is_empty() { "anywhere".to_owned() } else { token.networks.join(",") }
}

/// To the second, as people read a time.
fn seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

pub(super) fn parse_name(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        Err("say what it is for")
    } else if text.chars().count() > NAME_MAX {
        Err("a name has at most 100 characters")
    } else if text.chars().any(char::is_control) {
        Err("a name is one line of text")
    } else {
        Ok(text.to_owned())
    }
}

fn parse_life(text: &str) -> Result<Life, String> {
    if text == "never" {
        return Ok(Life::Never);
    }
    match units::duration(text) {
        Ok(Duration::ZERO) => Err("the token would be worthless at once".to_owned()),
        Ok(duration) => Ok(Life::For(duration)),
        Err(what) => Err(format!("it {what}; write a time such as 12h or 90d, or `never`")),
    }
}

/// A time that is not over at once.
pub(super) fn parse_time(text: &str) -> Result<Duration, String> {
    match units::duration(text) {
        Ok(Duration::ZERO) => Err("it would be worthless at once".to_owned()),
        Ok(duration) => Ok(duration),
        Err(what) => Err(format!("it {what}; write a time such as 12h or 90d")),
    }
}

/// A network, or one address. Addresses of IPv4 that are written as of IPv6 are read as the former, as those of callers are.
fn parse_network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network: IpNet = text.parse().map_err(|_| "write a network such as 10.0.0.0/8".to_owned())?;
    if network != network.trunc() {
        return Err(format!("it has bits beyond its length; is {} meant?", network.trunc()));
    }
    match (network.addr().to_canonical(), network.prefix_len()) {
        (IpAddr::V4(address), length @ 96..) if network.addr().is_ipv6() => {
            IpNet::new(IpAddr::V4(address), length - 96).map_err(|error| error.to_string())
        }
        _ => Ok(network),
    }
}
