//! Where the key of one request comes from: the environment, a file, or (with a warning) the command line.

use std::path::PathBuf;

use ringfence_model::Secret;
use ringfence_signature::{AccountKeys, AccountSid, Algorithm, Keyring, Signer};

use crate::config;
use crate::exit::Failure;

/// Read where nothing else is said: the name that Twilio's own tools use.
const USUAL_VARIABLE: &str = "TWILIO_AUTH_TOKEN";

/// The key to sign or verify with.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Key")]
pub(crate) struct KeyArguments {
    #[arg(
        long,
        value_name = "NAME",
        group = "token_source",
        help = "Environment variable that holds the auth token; TWILIO_AUTH_TOKEN if nothing is said"
    )]
    token_env: Option<String>,
    /// File that holds it
    #[arg(long, value_name = "FILE", group = "token_source")]
    token_file: Option<PathBuf>,
    /// The token itself; others on this machine can read it from the list of processes
    #[arg(long, value_name = "TOKEN", group = "token_source")]
    token: Option<String>,
    /// The token is the secret of the SharedKey with this id
    #[arg(long, value_name = "ID", requires = "algorithm")]
    shared_key: Option<String>,
    #[arg(long, value_name = "NAME", requires = "shared_key", value_parser = parse_algorithm,
        help = "The SharedKey's algorithm: HMAC_SHA256 or HMAC_SHA1")]
    algorithm: Option<Algorithm>,
}

/// One key, and what a person should know about where it came from.
#[derive(Debug)]
pub(crate) struct OneKey {
    secret: Secret,
    shared: Option<(String, Algorithm)>,
    pub(crate) notes: Vec<String>,
}

impl KeyArguments {
    /// Reads the key.
    pub(crate) fn read(&self) -> Result<OneKey, Failure> {
        let mut notes = Vec::new();
        let secret = if let Some(token) = &self.token {
            notes.push(
                "warning: --token can be read by others on this machine; --token-env or --token-file cannot"
                    .to_owned(),
            );
            Secret::new(token)
        } else if let Some(path) = &self.token_file {
            let (secret, readable_by_all) = config::secret::read_file(path).map_err(Failure::usage)?;
            if readable_by_all {
                notes.push(format!(
                    "warning: every user of this machine can read {0}; run `chmod o-r {0}`",
                    path.display()
                ));
            }
            secret
        } else {
            let name = self.token_env.as_deref().unwrap_or(USUAL_VARIABLE);
            let Some(token) = config::environment(name) else {
                let what = if self.token_env.is_some() {
                    format!("the environment variable {name} is not set")
                } else {
                    format!(
                        "there is no key: {name} is not set, and neither --token-env nor --token-file is given"
                    )
                };
                return Err(Failure::usage(what)
                    .hint(format!("run `read -rs {name} && export {name}`, or add --token-file FILE")));
            };
            Secret::new(token)
        };
        if secret.is_empty() {
            return Err(Failure::usage("the key is empty; anybody could sign with it"));
        }
        let shared = self.shared_key.clone().zip(self.algorithm);
        Ok(OneKey { secret, shared, notes })
    }
}

impl OneKey {
    /// For making signatures.
    pub(crate) fn signer(&self) -> Signer {
        match &self.shared {
            Some((id, algorithm)) => Signer::shared_key(id, self.secret.expose(), *algorithm),
            None => Signer::token(self.secret.expose()),
        }
    }

    /// For checking them. Without an account, `AccountSid` is not looked at.
    pub(crate) fn keyring(&self, account: Option<AccountSid>) -> Result<Keyring, Failure> {
        let keys = account.map_or_else(AccountKeys::anonymous, AccountKeys::new);
        let keys = match &self.shared {
            Some((id, algorithm)) => keys.shared_key(id, self.secret.expose(), *algorithm),
            None => keys.primary(self.secret.expose()),
        };
        Keyring::new([keys]).map_err(Failure::usage)
    }
}

fn parse_algorithm(text: &str) -> Result<Algorithm, &'static str> {
    Algorithm::parse(text).ok_or("write HMAC_SHA256 or HMAC_SHA1")
}
