//! The second factor as a service: each application, how many codes it sent, how many came back, and where it is stopped.

use askama::Template;
use bytes::Bytes;
use http::Response;
use jiff::SignedDuration;
use ringfence_control::second_factor::{Application, Delivery, Settings};
use ringfence_second_factor::pumping::Cap;
use ringfence_store::{Credential, SendFilter, StoppedPrefix, Summary};

use super::act::{Act, ask, ask_again, reason};
use super::shown;
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::picture::{self, Picture};
use crate::routes::Call;
use crate::words;

const DAY: SignedDuration = SignedDuration::from_hours(24);
const WEEK: SignedDuration = SignedDuration::from_hours(24 * 7);

#[derive(Template)]
#[template(path = "services.html")]
struct View {
    frame: Frame,
    applications: Vec<Line>,
    stopped: Vec<Stopped>,
    /// How codes go out; none where none do.
    sending: Option<Sending>,
}

#[derive(Debug)]
struct Line {
    sid: String,
    name: String,
    digits: u8,
    host: Option<String>,
    countries: String,
    credentials: String,
    /// Of the last day and the last week.
    counted: [Counted; 2],
}

/// Codes of some time.
#[derive(Debug)]
struct Counted {
    sent: String,
    entered: String,
    /// In per cent; none where nothing was sent.
    share: Option<u64>,
    picture: Picture,
}

#[derive(Debug)]
struct Stopped {
    prefix: String,
    application: String,
    until: String,
    link: String,
}

#[derive(Debug)]
struct Sending {
    how: String,
    countries: String,
    /// What is capped, and how.
    caps: Vec<(&'static str, String)>,
}

pub(crate) async fn show(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let store = call.engine.store();
    let mut applications = Vec::new();
    for stored in store.applications().await? {
        let application = Application::read(stored)?;
        let credentials = store.credentials(Some(application.sid)).await?;
        let counted = [counted(&call, &application, DAY).await?, counted(&call, &application, WEEK).await?];
        applications.push(Line::of(&call, application, &credentials, counted));
    }
    let stopped = store.stopped_prefixes(call.now).await?;
    let stopped = stopped.iter().map(|it| Stopped::of(it, &applications)).collect();
    let sending = call.engine.second_factor().map(|factor| Sending::of(factor.settings()));
    let frame = Frame::new(&call, Section::Services);
    shown(&View { frame, applications, stopped, sending })
}

async fn counted(
    call: &Call<'_>,
    application: &Application,
    back: SignedDuration,
) -> Result<Counted, Failed> {
    let filter = SendFilter {
        application: application.sid.to_string(),
        since: Some(call.now.saturating_sub(back).unwrap_or(call.now)),
        ..SendFilter::default()
    };
    let Summary { total, converted } = call.engine.store().summarise_code_sends(&filter).await?;
    let left = total.saturating_sub(converted);
    Ok(Counted {
        sent: words::count(total),
        entered: words::count(converted),
        share: (total > 0).then(|| converted * 100 / total),
        picture: picture::split(converted, left, &format!("{converted} entered, {left} not")),
    })
}

impl Line {
    fn of(
        call: &Call<'_>,
        application: Application,
        credentials: &[Credential],
        counted: [Counted; 2],
    ) -> Self {
        let good = credentials.iter().filter(|credential| credential.is_good(call.now)).count();
        let Application { sid, name, settings, .. } = application;
        Self {
            sid: sid.to_string(),
            name,
            digits: settings.digits,
            host: settings.host,
            countries: if settings.countries.is_empty() {
                "all that are allowed".to_owned()
            } else {
                settings.countries.join(", ")
            },
            credentials: words::many(good, "key", "keys"),
            counted,
        }
    }
}

impl Stopped {
    fn of(stopped: &StoppedPrefix, applications: &[Line]) -> Self {
        let of = applications.iter().find(|line| line.sid == stopped.application);
        Self {
            prefix: stopped.prefix.clone(),
            application: of.map_or_else(|| stopped.application.clone(), |line| line.name.clone()),
            until: words::when(&stopped.until),
            link: format!(
                "/services/resume?application={}&prefix={}",
                words::query_value(&stopped.application),
                words::query_value(&stopped.prefix)
            ),
        }
    }
}

impl Sending {
    fn of(settings: &Settings) -> Self {
        let how = match (&settings.delivery, &settings.key_url) {
            (Delivery::Verify { service }, _) => format!("by the service {service} of Twilio's Verify"),
            (Delivery::Programmable { caller: None, .. }, _) => "as text messages".to_owned(),
            (Delivery::Programmable { .. }, None) => "as text messages and calls".to_owned(),
            (Delivery::Programmable { .. }, Some(_)) => {
                "as text messages, and as calls that say the code after a key was pressed".to_owned()
            }
        };
        let limits = &settings.limits;
        let countries: Vec<_> = limits.countries.iter().map(ToString::to_string).collect();
        let caps = [
            ("one number, by all applications together", &limits.number),
            ("one address, of one application", &limits.address),
            ("one user of an application", &limits.user),
            ("numbers that differ in their last four digits", &limits.prefix),
            ("one country", &limits.country),
            ("all of an application", &limits.total),
        ];
        Self {
            how: format!("From {}, {how}.", settings.account),
            countries: if countries.is_empty() { "none".to_owned() } else { countries.join(", ") },
            caps: caps.into_iter().map(|(what, caps)| (what, in_words(caps))).collect(),
        }
    }
}

/// `5 in 10 minutes, 20 in a day`.
fn in_words(caps: &[Cap]) -> String {
    let one = |cap: &Cap| {
        let time = match cap.seconds {
            86_400 => "a day".to_owned(),
            seconds if seconds % 86_400 == 0 => format!("{} days", seconds / 86_400),
            3_600 => "an hour".to_owned(),
            seconds if seconds % 3_600 == 0 => format!("{} hours", seconds / 3_600),
            seconds if seconds % 60 == 0 => words::minutes(i64::from(seconds / 60)),
            seconds => format!("{seconds} seconds"),
        };
        format!("{} in {time}", words::count(u64::from(cap.most)))
    };
    caps.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The prefix that is meant, if it is stopped.
async fn meant(call: &Call<'_>) -> Result<StoppedPrefix, Failed> {
    let named = |name: &str| {
        call.form.filled(name).or_else(|| call.query.filled(name)).unwrap_or_default().to_owned()
    };
    let (application, prefix) = (named("application"), named("prefix"));
    let stopped = call.engine.store().stopped_prefixes(call.now).await?;
    let is_it = |it: &StoppedPrefix| it.application == application && it.prefix == prefix;
    stopped.into_iter().find(is_it).ok_or(Failed::NotFound)
}

fn act(stopped: &StoppedPrefix) -> Act {
    Act {
        section: Section::Services,
        title: format!("Send codes to {}… again", stopped.prefix),
        effects: vec![
            "It is stopped because many codes went there and nobody entered them, as when somebody is paid for each \
             text that arrives."
                .to_owned(),
            format!("Left alone, it ends at {}.", words::when(&stopped.until)),
        ],
        path: "/services/resume".to_owned(),
        button: "Send again",
        is_dangerous: true,
        hidden: vec![("application", stopped.application.clone()), ("prefix", stopped.prefix.clone())],
        allow: None,
        wants_reason: true,
        back: "/services".to_owned(),
    }
}

pub(crate) async fn ask_resume(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let stopped = meant(&call).await?;
    ask(&call, act(&stopped))
}

pub(crate) async fn resume(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let stopped = meant(&call).await?;
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(wrong) => return ask_again(&call, act(&stopped), wrong),
    };
    let (by, store) = (call.signed_in.actor(), call.engine.store());
    store.resume_prefix(&by, &stopped.application, &stopped.prefix, Some(reason), call.now).await?;
    Ok(words::redirect("/services?done=resume-prefix"))
}
