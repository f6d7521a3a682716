//! The servers under test and the configuration each is given: the best plain one its manual offers, on one core.

use crate::Outcome;
use crate::arguments::Arguments;
use crate::process;
use crate::webhook::{ACCOUNT, HOST, PUBLIC_URL, TOKEN};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proxy {
    Nginx {
        tls: bool,
    },
    Haproxy,
    /// This program's own `bare-hyper`.
    BareHyper,
    Ringfence {
        tls: bool,
        replay: &'static str,
    },
    /// Express with Twilio's middleware; it answers by itself, or proxies to the upstream.
    Express {
        proxies: bool,
    },
}

impl Proxy {
    pub(crate) fn tls(self) -> bool {
        matches!(self, Self::Nginx { tls: true } | Self::Ringfence { tls: true, .. })
    }

    /// Does it look at the signature?
    pub(crate) fn checks(self) -> bool {
        matches!(self, Self::Ringfence { .. } | Self::Express { .. })
    }

    pub(crate) fn reaches_upstream(self) -> bool {
        self != Self::Express { proxies: false }
    }
}

/// Where the programs are and where their files go.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    ringfence: PathBuf,
    express: PathBuf,
    /// Appended to Ringfence's configuration, to try a setting.
    extra: String,
}

impl Place {
    /// Reads `--ringfence PATH`, `--express FOLDER` (where `npm install` was run) and `--extra FILE`.
    pub(crate) fn new(arguments: &Arguments) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        crate::tls::write_certificate(folder.path())?;
        let token = folder.path().join("token");
        fs::write(&token, TOKEN)?;
        make_private(&token)?;
        let extra = match arguments.text("extra", "") {
            "" => String::new(),
            file => fs::read_to_string(file)?,
        };
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let default_binary = here.join("../target/dist/ringfence");
        Ok(Self {
            folder,
            ringfence: arguments.text("ringfence", &default_binary.to_string_lossy()).into(),
            express: arguments.text("express", &here.join("official").to_string_lossy()).into(),
            extra,
        })
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// Why `proxy` cannot be measured on this machine, if it cannot.
    pub(crate) fn missing(&self, proxy: Proxy) -> Option<String> {
        let needs_program =
            |name: &str| process::find(name).is_none().then(|| format!("{name} is not installed"));
        match proxy {
            Proxy::Nginx { .. } => needs_program("nginx"),
            Proxy::Haproxy => needs_program("haproxy"),
            Proxy::Ringfence { .. } if !self.ringfence.is_file() => {
                Some(format!("no {}", self.ringfence.display()))
            }
            Proxy::BareHyper | Proxy::Ringfence { .. } => None,
            Proxy::Express { .. } => needs_program("node").or_else(|| {
                let absent = !self.express.join("node_modules/twilio").is_dir();
                absent.then(|| format!("run `npm install` in {}", self.express.display()))
            }),
        }
    }

    /// Writes the configuration and says how to start it.
    pub(crate) fn command(&self, proxy: Proxy, port: u16, upstream: u16) -> Outcome<Command> {
        match proxy {
            Proxy::Nginx { tls } => nginx(self.folder.path(), tls, port, upstream),
            Proxy::Haproxy => self.haproxy(port, upstream),
            Proxy::BareHyper => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("bare-hyper").args([
                    "--port",
                    &port.to_string(),
                    "--upstream",
                    &upstream.to_string(),
                ]);
                Ok(command)
            }
            Proxy::Ringfence { tls, replay } => self.ringfence(tls, replay, port, upstream),
            Proxy::Express { proxies } => {
                let mut command = Command::new("node");
                command.arg(self.express.join("express.mjs")).arg(port.to_string());
                if proxies {
                    command.arg(upstream.to_string());
                }
                command
                    .env("NODE_ENV", "production")
                    .env("TWILIO_AUTH_TOKEN", TOKEN)
                    .env("PUBLIC_HOST", HOST);
                Ok(command)
            }
        }
    }

    fn haproxy(&self, port: u16, upstream: u16) -> Outcome<Command> {
        let config = format!(
            "global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend public
    bind 127.0.0.1:{port}
    default_backend application
backend application
    server one 127.0.0.1:{upstream}
"
        );
        let file = self.write("haproxy.cfg", &config)?;
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-q").arg("-f").arg(file);
        Ok(command)
    }

    fn ringfence(&self, tls: bool, replay: &str, port: u16, upstream: u16) -> Outcome<Command> {
        let folder = self.folder.path().display();
        let tls = if tls {
            format!("[tls]\ncertificate = \"{folder}/tls.crt\"\nkey = \"{folder}/tls.key\"\n")
        } else {
            String::new()
        };
        let config = format!(
            "[listen]
gate = \"127.0.0.1:{port}\"
{tls}
[[account]]
sid = \"{ACCOUNT}\"
auth_token = {{ file = \"{folder}/token\" }}
[[route]]
path = \"/twilio/\"
public_url = \"{PUBLIC_URL}\"
upstream = \"http://127.0.0.1:{upstream}\"
check = \"signature\"
replay = \"{replay}\"
{}",
            self.extra
        );
        let file = self.write("ringfence.toml", &config)?;
        let mut command = Command::new(&self.ringfence);
        command.arg("serve").arg("--config").arg(file);
        Ok(command)
    }

    fn write(&self, name: &str, text: &str) -> Outcome<PathBuf> {
        let file = self.folder.path().join(name);
        fs::write(&file, text)?;
        Ok(file)
    }
}

/// Connections are kept on both sides, nothing is logged, and no connection is closed for its age.
pub(crate) fn nginx(folder: &Path, tls: bool, port: u16, upstream: u16) -> Outcome<Command> {
    let shown = folder.display();
    let (listen, certificate) = if tls {
        (
            " ssl",
            format!(
                "ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {shown}/tls.crt; ssl_certificate_key {shown}/tls.key;"
            ),
        )
    } else {
        ("", String::new())
    };
    let config = format!(
        "daemon off; worker_processes 1; pid {shown}/nginx.pid; error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {shown}/body; proxy_temp_path {shown}/proxy; fastcgi_temp_path {shown}/fastcgi;
    uwsgi_temp_path {shown}/uwsgi; scgi_temp_path {shown}/scgi;
    keepalive_requests 1000000000;
    upstream application {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port}{listen};
        {certificate}
        location / {{
            proxy_pass http://application;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $host;
        }}
    }}
}}
"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, config)?;
    let mut command = Command::new("nginx");
    command.arg("-e").arg("stderr").arg("-p").arg(folder).arg("-c").arg(file);
    Ok(command)
}

/// A file that others may read is no place for a token, and Ringfence may say so.
pub(crate) fn make_private(file: &Path) -> Outcome {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))?;
    Ok(())
}
