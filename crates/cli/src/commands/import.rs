//! `ringfence import`: routes out of what is there already, as TOML to copy. Nothing is written and nothing changed.
//!
//! What cannot be a route is said with its place and the reason, in the same output, so that nobody takes the rest for all.

mod account;
mod nginx;
mod nginx_files;
mod proposal;

use std::fmt::Write as _;
use std::path::PathBuf;

use self::nginx_files::{Dump, OnDisk};
use self::proposal::Proposals;
use super::words::count;
use crate::exit::{Answer, Failure};

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Read the configuration of an nginx: its servers, locations and upstreams.
    Nginx(NginxArguments),
    /// Read the URLs that Twilio was told: of numbers, applications, Messaging Services and SIP domains.
    Account(account::Arguments),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
It follows `include` from the folder of FILE, and reads what `nginx -T` prints, which has all files in it. A location becomes
a route where both would take the same path and pass it on as it came: prefixes, = and ^~. Regular expressions, rewrites,
variables and paths that nginx changes are listed with their lines and left to you. A route that would take what nginx leads
to another application comes as a question, with a # before each line.

Examples:
  ringfence import nginx /etc/nginx/nginx.conf >> ringfence.toml
  nginx -T 2>/dev/null | ringfence import nginx -

Exit codes: 0 there are routes; 1 there is none, or none without a question; 2 the file cannot be read.")]
struct NginxArguments {
    /// The main file; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    match &arguments.command {
        Command::Nginx(arguments) => of_nginx(arguments),
        Command::Account(arguments) => account::run(arguments),
    }
}

fn of_nginx(arguments: &NginxArguments) -> Result<Answer, Failure> {
    let text = nginx_files::read_main(&arguments.file)?;
    let proposals = match Dump::of(&text) {
        Some(dump) => nginx::read(&dump),
        None => nginx::read(&OnDisk::new(&arguments.file, text)),
    };
    let proposals = proposals
        .map_err(|wrong| Failure::usage(wrong).hint("`nginx -t` says whether nginx itself can read it"))?;
    let name = match arguments.file.to_str() {
        Some("-") => "this nginx".to_owned(),
        _ => arguments.file.display().to_string(),
    };
    let head = [
        format!("What {name} sends on, as routes of Ringfence."),
        "Keep those that Twilio calls: a route lets in only what Twilio signed.".to_owned(),
        "nginx stays in front. Each of these locations leads to the gate then, with the Host that came:".to_owned(),
        "  proxy_pass http://127.0.0.1:8080;".to_owned(),
        "  proxy_set_header Host $host;   # else nginx sends 127.0.0.1:8080, and no route with a host takes that: 404".to_owned(),
    ];
    Ok(answer(&proposals, &head))
}

fn answer(proposals: &Proposals, head: &[String]) -> Answer {
    let routes = proposals.routes.len();
    let asked = proposals.routes.iter().filter(|it| !it.asks.is_empty()).count();
    let mut note = count(routes, "route");
    let are = match (asked, routes) {
        (1, 1) => "; it is a question".to_owned(),
        (1, _) => "; 1 of them is a question".to_owned(),
        _ => format!("; {asked} of them are questions"),
    };
    if asked > 0 {
        _ = write!(note, "{are}, with a # before each line until you answer");
    }
    if routes == 0 && proposals.left_out.is_empty() {
        note.push_str(": no URL leads anywhere");
    }
    match proposals.left_out.len() {
        0 => {}
        left_out => _ = write!(note, "; {left_out} not imported, with the reasons at the end"),
    }
    Answer {
        output: proposals.as_toml(head).into_bytes(),
        notes: vec![note],
        is_no: routes == asked,
        ..Answer::default()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::SystemTime;

    use super::*;
    use crate::config::{Surroundings, resolve};

    /// Each route that is proposed is one that the configuration takes.
    pub(super) fn all_load(proposals: &Proposals) {
        const KEYS: [&str; 8] = [
            "[[route]]",
            "path = ",
            "host = ",
            "public_url = ",
            "upstream = ",
            "upstream_name = ",
            "check = ",
            "basic = ",
        ];
        let head = "[listen]\ngate = \"127.0.0.1:8080\"\n[[account]]\nsid = \"AC00000000000000000000000000000000\"\n\
                    auth_token = { env = \"TOKEN\" }\n";
        let as_printed = proposals.as_toml(&["routes".to_owned()]);
        // With the answers that a person gives to what is asked, and without the files, which are on another machine.
        let routes: String = as_printed
            .lines()
            .filter(|line| {
                let key = line.trim_start_matches("# ").split(" = ").next();
                !["upstream_ca", "upstream_certificate", "upstream_key"].map(Some).contains(&key)
            })
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if KEYS.iter().any(|key| rest.starts_with(key)) => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let env = |_: &str| Some("0123456789abcdef0123456789abcdef".to_owned());
        let around = Surroundings { folder: Path::new("/nowhere"), env: &env, now: SystemTime::UNIX_EPOCH };
        let text = format!("{head}{routes}");
        if proposals.routes.is_empty() {
            assert!(!routes.contains("[[route]]"));
            return;
        }
        let loaded = resolve(&text, Path::new("ringfence.toml"), &around).expect(&text);
        assert_eq!(loaded.settings.routes.len(), proposals.routes.len(), "{text}");
        let in_force = proposals.routes.iter().filter(|it| it.asks.is_empty()).count();
        assert_eq!(as_printed.lines().filter(|line| *line == "[[route]]").count(), in_force, "{as_printed}");
    }
}
