//! What the demo runs, as an operator would have it: a configuration in a folder, its secrets in files beside it. The
//! folder is gone when the demo ends.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ringfence_model::Amount;
use tempfile::TempDir;

use super::{PUBLIC_URL, SHARED_KEY_ID, Secrets};

/// The limit that the tour runs into.
pub(super) const LIMIT: &str = "fifty a day";
/// What it allows, in US dollars.
pub(super) const LIMIT_AT: Amount = Amount::from_units(50);

/// The accounts that it holds for.
const TENANTS: &str = "Tenant *";

/// A folder with a configuration. It is removed with this value.
#[derive(Debug)]
pub(super) struct Installation {
    folder: TempDir,
}

/// Where the parts of the demonstration are.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) gate: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) console: SocketAddr,
    pub(super) egress: SocketAddr,
    pub(super) application: SocketAddr,
    pub(super) sandbox: SocketAddr,
    pub(super) mail: SocketAddr,
    /// The account whose credentials Ringfence has.
    pub(super) parent: &'a str,
    pub(super) parent_token: &'a str,
    /// Its number, which codes come from.
    pub(super) parent_number: &'a str,
}

impl Installation {
    pub(super) fn make(parts: &Parts<'_>, secrets: &Secrets) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("ringfence-demo-").tempdir()?;
        let made = Self { folder };
        for (name, secret) in [
            ("auth-token", parts.parent_token),
            ("shared-key", &secrets.shared_key),
            ("proof-key", &secrets.proof_key),
            ("password", &secrets.basic_password),
        ] {
            made.write(name, secret)?;
        }
        made.write("ringfence.toml", &configuration(parts))?;
        Ok(made)
    }

    /// The configuration.
    pub(super) fn file(&self) -> PathBuf {
        self.path().join("ringfence.toml")
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// For its owner alone.
    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path().join(name))?;
        file.write_all(text.as_bytes())
    }
}

/// What anybody could write for the product.
fn configuration(parts: &Parts<'_>) -> String {
    let Parts { gate, admin, console, egress, application, sandbox, mail, parent, parent_number, .. } = parts;
    format!(
        r#"# Of `ringfence demo`.

[listen]
gate = "{gate}"
admin = "{admin}"
console = "{console}"
egress = "{egress}"

[store]
url = "sqlite:ringfence.db"

[twilio]
base_url = "http://{sandbox}"
# A minute of Twilio's is a second here, so it is asked more often, too.
poll_interval = "2s"

# The credentials of the parent account. Its subaccounts are found at Twilio, with their tokens.
[[account]]
sid = "{parent}"
auth_token = {{ file = "auth-token" }}
subaccounts = true
shared_keys = [{{ id = "{SHARED_KEY_ID}", secret = {{ file = "shared-key" }}, algorithm = "HMAC_SHA256" }}]

[[route]]
path = "/twilio/"
public_url = "http://{gate}"
upstream = "http://{application}"
check = "signature"
proof_key = {{ file = "proof-key" }}

[[route]]
path = "/hooks/"
public_url = "{PUBLIC_URL}"
upstream = "http://{application}"
check = "signature"

[[route]]
path = "/media/"
public_url = "{PUBLIC_URL}"
upstream = "http://{application}"
check = "basic"
basic = [{{ user = "twilio", password = {{ file = "password" }} }}]

# Usage triggers at Twilio call this.
[[route]]
path = "/ringfence/triggers"
public_url = "http://{gate}"
upstream = "breaker"
check = "signature"

# A call says its code when a key was pressed, so that a mailbox hears none.
[[route]]
path = "/ringfence/keys"
public_url = "http://{gate}"
upstream = "second-factor"
check = "signature"

# Whom it names so. One more account is guarded by nobody: what becomes of it is shown beside the others.
[[limit]]
name = "{LIMIT}"
scope = {{ name = "{TENANTS}" }}
window = "daily"
at = "{LIMIT_AT}"
then = ["suspend", "end-calls", "cancel-queued", "notify"]

[[limit]]
name = "ten thousand a day in all"
scope = {{ name = "{TENANTS}" }}
per = "together"
window = "daily"
at = "10000"

# Codes for whoever signs in to the console go out from here.
[second_factor]
account = "{parent}"
sender = "{parent_number}"
caller = "{parent_number}"
countries = ["US"]

[notify.mail]
smtp = "smtp://{mail}"
from = "ringfence@example.com"
to = ["operator@example.com"]
"#
    )
}
