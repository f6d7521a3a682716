//! The overview: the three promises at a glance, and what needs a person.

use askama::Template;
use bytes::Bytes;
use http::Response;
use jiff::SignedDuration;
use ringfence_control::views::{
    BreakerFilter, BreakerView, LimitView, OrderState, Orders, Page, TokenState, TokenView, UnreadView,
};
use ringfence_model::Amount;
use ringfence_second_factor::policy::Policy;
use ringfence_store::{Role, SignIn, SignInOutcome, Where};

use super::shown;
use super::spending::{Line, Standing, urgency};
use crate::console::RouteCounts;
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::picture::{self, Picture};
use crate::routes::Call;
use crate::words;

/// So many breakers that pass are shown, the nearest to their limits.
const NEAREST: usize = 8;
/// So many accounts are named whose usage is not counted.
const UNREAD: usize = 5;
/// So many that do not pass are shown.
const STOPPED: usize = 50;
/// So many reasons are told apart.
const REASONS: usize = 5;
/// So far back attempts to sign in are counted, and so many of them are read at most.
const SIGN_INS_SINCE: SignedDuration = SignedDuration::from_hours(24);
const SIGN_INS_MAX: usize = 1_000;
/// So many of them are shown.
const SIGN_INS_SHOWN: usize = 6;

#[derive(Template)]
#[template(path = "overview.html")]
struct View {
    frame: Frame,
    at: String,
    requests: Option<Requests>,
    tripped: usize,
    probing: usize,
    would_trip: usize,
    passing: usize,
    has_limits: bool,
    stopped: Vec<Line>,
    stopped_left_out: usize,
    nearest: Vec<Line>,
    sign_ins: SignIns,
    needs: Vec<Need>,
}

/// What the gate of this node did.
#[derive(Debug)]
struct Requests {
    admitted: String,
    refused: String,
    picture: Picture,
    reasons: Vec<(String, String)>,
    is_silent: bool,
}

/// Attempts to sign in whose password was right.
#[derive(Debug)]
struct SignIns {
    inside: String,
    stopped: String,
    picture: Picture,
    shown: Vec<SignInLine>,
    is_silent: bool,
    /// Whether these are only the visitor's own.
    are_own: bool,
    /// Whether there are more than were looked at.
    are_more: bool,
    /// What a password alone opens, where that was set.
    opened: Option<String>,
    /// Whether whoever looks may change that.
    may_set: bool,
}

#[derive(Debug)]
struct SignInLine {
    who: String,
    when: String,
    at: String,
    address: String,
    is_stopped: bool,
    what: &'static str,
}

/// Something that waits for a person.
#[derive(Debug)]
struct Need {
    what: String,
    to_do: String,
    link: Option<(&'static str, String)>,
}

pub(crate) async fn show(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let views = call.engine.views();
    let limits = views.limits().limits;
    let filter = BreakerFilter { account: call.signed_in.only_account(), ..BreakerFilter::default() };
    let all = views.breakers(&filter, &Page::all()).await?.breakers;
    // The sum of all accounts is nobody's who looks at one.
    let is_everywhere = call.signed_in.place() == Where::Everywhere;
    let mut all: Vec<_> = all.into_iter().filter(|it| is_everywhere || it.account.is_some()).collect();
    all.sort_by_key(urgency);
    let count = |standing: Standing| all.iter().filter(|breaker| Standing::of(breaker) == standing).count();
    let (tripped, probing) = (count(Standing::Stops), count(Standing::OnTrial));
    let (would_trip, passing) = (count(Standing::WouldStop), count(Standing::Passes));
    let stopped = all.iter().filter(|breaker| Standing::of(breaker) < Standing::WouldStop);
    let stopped_left_out = stopped.clone().count().saturating_sub(STOPPED);
    let near = all.iter().filter(|it| Standing::of(it) >= Standing::WouldStop && is_used(it));
    let (stopped, nearest) = (stopped.take(STOPPED), near.take(NEAREST));
    let (mut stopped_lines, mut nearest_lines) = (Vec::new(), Vec::new());
    for (found, lines) in
        [(stopped.collect::<Vec<_>>(), &mut stopped_lines), (nearest.collect(), &mut nearest_lines)]
    {
        for breaker in found {
            lines.push(Line::of(&call, breaker, &limits).with_history(&call, breaker).await?);
        }
    }
    let view = View {
        at: words::exactly(&call.now),
        requests: call
            .console
            .gate
            .as_ref()
            .filter(|_| is_everywhere)
            .map(|gate| Requests::of(&(gate.counts)())),
        tripped,
        probing,
        would_trip,
        passing,
        has_limits: !limits.is_empty(),
        stopped: stopped_lines,
        stopped_left_out,
        nearest: nearest_lines,
        sign_ins: sign_ins(&call).await?,
        needs: needs(&call, &limits).await?,
        frame: Frame::new(&call, Section::Overview),
    };
    shown(&view)
}

/// Whether anything of it was used in this window: less than one per cent, too.
fn is_used(breaker: &BreakerView) -> bool {
    let is_some = breaker.used.parse::<Amount>().is_ok_and(|used| used > Amount::ZERO);
    breaker.percent.is_some_and(|percent| percent > 0 || is_some)
}

impl Requests {
    fn of(routes: &[RouteCounts]) -> Self {
        let admitted: u64 = routes.iter().map(|route| route.admitted).sum();
        let mut reasons = std::collections::BTreeMap::<&str, u64>::new();
        for refusals in routes.iter().flat_map(|route| &route.refused) {
            *reasons.entry(&refusals.reason).or_default() += refusals.count;
        }
        let refused: u64 = reasons.values().sum();
        let mut reasons: Vec<_> = reasons.into_iter().filter(|(_, count)| *count > 0).collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Self {
            admitted: words::count(admitted),
            refused: words::count(refused),
            picture: picture::split(admitted, refused, &format!("{admitted} admitted, {refused} refused")),
            reasons: reasons
                .into_iter()
                .take(REASONS)
                .map(|(reason, count)| (reason.replace('_', " "), words::count(count)))
                .collect(),
            is_silent: admitted + refused == 0,
        }
    }
}

async fn sign_ins(call: &Call<'_>) -> Result<SignIns, Failed> {
    let store = call.engine.store();
    let since = call.now.saturating_sub(SIGN_INS_SINCE).unwrap_or(call.now);
    let me = call.signed_in.person();
    let are_own = call.signed_in.place() != Where::Everywhere;
    let (found, people) = if are_own {
        (store.sign_ins(&me.id, SIGN_INS_MAX).await?, Vec::new())
    } else {
        (store.sign_ins_since(since, SIGN_INS_MAX).await?, store.persons().await?)
    };
    let found: Vec<_> = found.into_iter().filter(|sign_in| sign_in.at >= since).collect();
    let is_inside = |it: &SignIn| matches!(it.outcome, SignInOutcome::Known | SignInOutcome::New);
    let inside = found.iter().filter(|it| is_inside(it)).count() as u64;
    let stopped = found.len() as u64 - inside;
    let line = |sign_in: &SignIn| SignInLine {
        who: people
            .iter()
            .find(|person| person.id == sign_in.person)
            .map_or_else(|| me.login.clone(), |person| person.login.clone()),
        when: words::ago(&sign_in.at, &call.now),
        at: sign_in.at.to_string(),
        address: sign_in.address.clone(),
        is_stopped: !is_inside(sign_in),
        what: match sign_in.outcome {
            SignInOutcome::Known => "signed in",
            SignInOutcome::New => "signed in on a new device",
            SignInOutcome::Waiting => "password right, no second factor",
            SignInOutcome::Guessed => "password or second factor wrong too often in an open session",
            SignInOutcome::Failed => "password right, second factor wrong",
        },
    };
    Ok(SignIns {
        inside: words::count(inside),
        stopped: words::count(stopped),
        picture: picture::split(inside, stopped, &format!("{inside} signed in, {stopped} stopped")),
        shown: found.iter().take(SIGN_INS_SHOWN).map(line).collect(),
        is_silent: found.is_empty(),
        are_own,
        are_more: found.len() == SIGN_INS_MAX,
        opened: opened_by_password(call).await?,
        may_set: call.signed_in.role() == Some(Role::Owner),
    })
}

/// What a password alone opens: of the account that is looked at, or of all.
async fn opened_by_password(call: &Call<'_>) -> Result<Option<String>, Failed> {
    let minimum = call.people.rules().minimum;
    let mut set = call.engine.store().policies().await?;
    set.retain(|set| set.demands.at_least(minimum).policy == Policy::Disabled);
    let is_set = |place| set.iter().any(|set| set.place == place);
    Ok(match call.signed_in.place() {
        Where::Everywhere if is_set(Where::Everywhere) => Some("all accounts as a whole".to_owned()),
        Where::Everywhere if set.is_empty() => None,
        Where::Everywhere => Some(words::many(set.len(), "account", "accounts")),
        place @ Where::Account(_) => is_set(place).then(|| "this account".to_owned()),
    })
}

/// What waits for a person. Whoever looks at one account hears of that one.
async fn needs(call: &Call<'_>, limits: &[LimitView]) -> Result<Vec<Need>, Failed> {
    let mut needs = Vec::new();
    if let Some(sid) = call.signed_in.only_account() {
        let account = call.engine.views().account(sid).await?;
        if !account.is_as_wanted {
            needs.push(Need {
                what: format!("The account is {} at Twilio, and is not to be.", account.status),
                to_do: "It is ordered, and repeated until Twilio shows it.".to_owned(),
                link: Some(("See the account", format!("/accounts/{sid}"))),
            });
        }
        let unread = call.engine.views().usage_unread().await?;
        needs.extend(unread.iter().filter(|it| it.account.sid == sid).map(not_counted));
        return Ok(needs);
    }
    let status = call.engine.views().status().await?;
    if limits.is_empty() {
        needs.push(Need {
            what: "No limit is configured, so nothing stops an account that spends.".to_owned(),
            to_do: "Add a [[limit]] to the configuration; with enforce = false it only watches at first."
                .to_owned(),
            link: None,
        });
    }
    if status.accounts.known == 0 {
        needs.push(Need {
            what: "No account is known yet.".to_owned(),
            to_do: "They are read from Twilio within a minute of the start; the log says what keeps it."
                .to_owned(),
            link: None,
        });
    }
    let not_as_wanted = status.accounts.not_as_wanted.len() + status.accounts.left_out;
    if not_as_wanted > 0 {
        needs.push(Need {
            what: format!(
                "{} not what they are to be at Twilio.",
                words::many(not_as_wanted, "account is", "accounts are")
            ),
            to_do: "It is ordered, and repeated until Twilio shows it.".to_owned(),
            link: Some(("See them", "/accounts?show=not-as-wanted".to_owned())),
        });
    }
    let left_suspended = status.accounts.left_suspended.len();
    if left_suspended > 0 {
        needs.push(Need {
            what: format!(
                "{} suspended by a limit that is not in the configuration any more.",
                words::many(left_suspended, "account is", "accounts are")
            ),
            to_do:
                "Nothing lets them go by itself: resume each on its page, or with `ringfence account resume`."
                    .to_owned(),
            link: Some(("See what is suspended", "/accounts?show=suspended".to_owned())),
        });
    }
    needs.extend(status.unread.iter().take(UNREAD).map(not_counted));
    if let Some(more) = status.unread.len().checked_sub(UNREAD).filter(|more| *more > 0) {
        needs.push(Need {
            what: format!(
                "What {} is not counted.",
                words::many(more, "more account spends", "more accounts spend")
            ),
            to_do: String::new(),
            link: Some(("See them all", "/accounts?show=not-counted".to_owned())),
        });
    }
    needs.extend(orders(&status.orders));
    if !status.nodes.limits_agree {
        needs.push(Need {
            what: "Nodes have different limits, and those that differ decide nothing.".to_owned(),
            to_do: "Give all nodes the same configuration, then run `ringfence limits apply`.".to_owned(),
            link: Some(("See the limits", "/limits".to_owned())),
        });
    }
    needs.extend(status.tokens.iter().map(token));
    Ok(needs)
}

/// An account whose limits may be blind.
fn not_counted(unread: &UnreadView) -> Need {
    Need {
        what: format!("What {} spends is not counted, so its limits may not see it.", unread.account.shown()),
        to_do: format!("Since {}: {}", words::exactly(&unread.since), unread.why),
        link: Some(("See the account", format!("/accounts/{}", unread.account.sid))),
    }
}

/// An auth token that is being replaced, or was and is still configured.
fn token(token: &TokenView) -> Need {
    let sid = token.account.sid;
    let (what, to_do) = if token.state == TokenState::Replaced {
        (
            format!("The configured auth token of {sid} was replaced."),
            "The store’s counts in its place. Write the new one into the configuration: a node that begins while the \
             store is away knows only what is configured."
                .to_owned(),
        )
    } else {
        (
            format!("The auth token of {sid} is being replaced."),
            format!("`ringfence token status {sid}` says what it waits for."),
        )
    };
    Need { what, to_do, link: Some(("See the account", format!("/accounts/{sid}"))) }
}

fn orders(orders: &Orders) -> Vec<Need> {
    let troubled =
        orders.orders.iter().filter(|it| matches!(it.state, OrderState::Failing | OrderState::GivenUp));
    let mut needs: Vec<_> = troubled
        .take(5)
        .map(|order| {
            let of =
                order.account.as_ref().map(|account| format!(" for {}", account.sid)).unwrap_or_default();
            let state =
                if order.state == OrderState::GivenUp { "was given up" } else { "fails, and is tried again" };
            Need {
                what: format!("The order `{}`{of} {state}.", order.kind),
                to_do: order.last_error.clone().unwrap_or_default(),
                link: order
                    .account
                    .as_ref()
                    .map(|account| ("See the account", format!("/accounts/{}", account.sid))),
            }
        })
        .collect();
    let left = (orders.failing + orders.given_up).saturating_sub(needs.len() as u64);
    if left > 0 {
        needs.push(Need {
            what: format!("{} more orders fail.", words::count(left)),
            to_do: "`ringfence status` lists them.".to_owned(),
            link: None,
        });
    }
    needs
}
