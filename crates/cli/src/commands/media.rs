//! `ringfence media`: links that open one file for a time, and the end of all of them.
//!
//! A link is made here without asking anybody: its key is in the store. Whoever has the link can open it, so each one leaves
//! a row in the audit log.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use ringfence_gateway::media::{LINK_AT_MOST_FOR, LinkKey, MediaPath};
use ringfence_gateway::settings::Media;
use ringfence_model::Sid;
use serde_json::json;

use super::act::{parse_reason, reason_of};
use super::with_store::{self, Opened, StoreArguments, failure};
use crate::config;
use crate::config::units;
use crate::exit::{Answer, Failure};

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a link to one file; whoever has it can open it until it ends.
    Link(LinkArguments),
    /// End every link there is, at once: one was seen by somebody who should not have it.
    EndLinks(EndArguments),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "The link alone goes to standard output, everything else to standard error.")]
struct LinkArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// The file: `MediaUrl0` or `RecordingUrl` of a webhook, or the `uri` of the resource
    #[arg(value_name = "URL")]
    url: String,
    /// How long it is good, up to 7d
    #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = parse_time)]
    good_for: Duration,
}

#[derive(Debug, clap::Args)]
struct EndArguments {
    /// The configuration, whose [store] says where the store is
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Why; the audit log keeps it. Needed; asked for if it is not given and you sit at a terminal
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    match &arguments.command {
        Command::Link(arguments) => {
            let loaded = config::load(&arguments.store.config)?;
            let media = loaded.settings.media.as_ref().ok_or_else(|| {
                Failure::configuration(format!(
                    "{} has no [media], so nothing would open the link",
                    loaded.file.display()
                ))
                .hint("add [media] with `listen` and `public_url`")
            })?;
            let base = media.twilio.to_string();
            let path = MediaPath::of_url(&arguments.url, &base).map_err(Failure::usage)?;
            with_store::run(&arguments.store.config, async |opened| {
                link(arguments, media, path, opened).await
            })
        }
        Command::EndLinks(arguments) => {
            let reason = reason_of(arguments.reason.as_ref())?;
            with_store::run(&arguments.config, async |opened| {
                let ended = opened.store.end_media_links(&opened.by, &reason, opened.now).await;
                ended.map_err(|error| failure(&error))?;
                Ok(Answer::text("all links are ended; every node knows it within 10 seconds\n"))
            })
        }
    }
}

async fn link(
    arguments: &LinkArguments,
    media: &Media,
    path: MediaPath,
    opened: &Opened,
) -> Result<Answer, Failure> {
    if !is_known(path.account(), media, opened).await? {
        return Err(Failure::usage(format!(
            "there is no auth token of {} here, so nothing would open the link",
            path.account()
        ))
        .hint("`ringfence account list` shows the accounts that are known"));
    }
    let until = opened.now.checked_add(arguments.good_for).map_err(Failure::usage)?;
    // A link counts whole seconds.
    let until = Timestamp::from_second(until.as_second()).map_err(Failure::usage)?;
    let expires = u64::try_from(until.as_second()).map_err(Failure::usage)?;
    let key = opened.store.media_link_key().await.map_err(|error| failure(&error))?;
    let noted = opened.store.note_media_link(&opened.by, path.account(), path.sid(), until, opened.now).await;
    noted.map_err(|error| failure(&error))?;
    let url = format!("{}{}", media.public_url, LinkKey::new(&key).link(path, expires));
    if arguments.store.json {
        return Ok(Answer::text(format!("{}\n", json!({ "url": url, "expires_at": until.to_string() }))));
    }
    let mut answer = Answer::text(format!("{url}\n"));
    answer.notes.push(format!("whoever has this link can open the file until {until}"));
    Ok(answer)
}

/// Whether Twilio can be asked with the account's own credentials: those of the configuration, or those that were found.
async fn is_known(account: Sid, media: &Media, opened: &Opened) -> Result<bool, Failure> {
    if media.accounts.iter().any(|known| known.sid == account) {
        return Ok(true);
    }
    let found = opened.store.find_account(account).await.map_err(|error| failure(&error))?;
    Ok(found.is_some_and(|found| found.auth_token.is_some() && found.gone_at.is_none()))
}

fn parse_time(text: &str) -> Result<Duration, String> {
    match units::duration(text) {
        Ok(time) if time < Duration::from_secs(1) => Err("it would be worthless at once".to_owned()),
        Ok(time) if time > LINK_AT_MOST_FOR => {
            Err("it is too long; a link is good for 7d at most".to_owned())
        }
        Ok(time) => Ok(time),
        Err(what) => Err(format!("it {what}; write a time such as 15m, 1h or 7d")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_good_for_a_week_at_most_and_for_a_second_at_least() {
        for text in ["", "0s", "500ms", "8d", "604801s", "1w", "an hour"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
        assert_eq!(parse_time("7d"), Ok(LINK_AT_MOST_FOR));
        assert_eq!(parse_time("1s"), Ok(Duration::from_secs(1)));
    }
}
