//! The ledger: what is spent and set aside under each limit beside what Twilio counts, whether limits that only watch may
//! act, and the requests whose end is not known yet.

use std::collections::BTreeSet;

use askama::Template;
use bytes::Bytes;
use http::Response;
use jiff::{SignedDuration, Timestamp};
use ringfence_control::views::{LedgerLine, LimitView, ReportedEgress, Verdict};
use ringfence_control::virtual_credentials;
use ringfence_model::Sid;
use ringfence_store::{ListedBefore, ListedReservation, Listing, ReservationState};

use super::standing::Standing;
use super::{account_named, shown};
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::routes::Call;
use crate::words;

/// Sums of a page.
const SUMS: usize = 25;
/// No page has more sums than this.
const SUMS_MAX: usize = 1_000;
/// Requests of a page.
const SIZE: usize = 25;
/// So far back what has ended is shown.
const ENDED_SINCE: SignedDuration = SignedDuration::from_hours(24);

/// Which requests are shown, as the form says it.
const SHOWN: [(&str, &str); 3] = [("", "Open"), ("in-doubt", "In doubt"), ("ended", "Ended in the last day")];

#[derive(Template)]
#[template(path = "ledger.html")]
struct View {
    frame: Frame,
    at: String,
    /// Where this page is.
    path: String,
    /// The account that it is about; none where it is about all.
    account: Option<(String, String)>,
    /// Whether accounts are told apart.
    is_everywhere: bool,
    has_egress: bool,
    sums: Vec<Sum>,
    sums_left_out: usize,
    more_sums: Option<String>,
    watched: Vec<Watched>,
    rows: Vec<Row>,
    show: String,
    older: Option<String>,
    newest: Option<String>,
}

/// One limit on one subject.
#[derive(Debug)]
struct Sum {
    limit: String,
    it: Standing,
    twilio: String,
    open: String,
}

/// A limit that only watches.
#[derive(Debug)]
struct Watched {
    limit: String,
    class: &'static str,
    word: &'static str,
    summary: String,
    price_book: Option<String>,
    operations: Vec<Operation>,
}

/// How far the price book was off for one operation.
#[derive(Debug)]
struct Operation {
    name: String,
    admitted: String,
    priced: String,
    worst: String,
    spent: String,
    /// How often it was too low, and by how much in all.
    under: Option<String>,
    unpriced: Option<String>,
}

/// A request.
#[derive(Debug)]
struct Row {
    at: String,
    exactly: String,
    operation: String,
    account: String,
    account_name: String,
    class: &'static str,
    state: &'static str,
    worst: String,
    price: Option<String>,
    /// Whether it cost more than was set aside.
    is_under: bool,
    /// What the number is known by here.
    party: Option<String>,
    resource: Option<String>,
    /// Who asked.
    by: Asker,
}

/// Who asked for something that costs.
#[derive(Debug)]
enum Asker {
    /// A credential that may be named.
    Credential(Sid),
    /// One that opens other accounts too.
    Unnamed,
    /// An application, in its answer to this call or message.
    Answer(Sid),
    /// Ringfence: for a code of the second factor.
    Ringfence,
}

/// Of all that whoever asks may see.
pub(crate) async fn show(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    match call.signed_in.only_account() {
        Some(only) => Ok(words::redirect(&format!("/accounts/{only}/ledger"))),
        None => page(&call, None).await,
    }
}

/// Of one account.
pub(crate) async fn of_account(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let account = account_named(&call, call.piece)?;
    page(&call, Some(account)).await
}

async fn page(call: &Call<'_>, account: Option<Sid>) -> Result<Response<Bytes>, Failed> {
    let is_everywhere = call.signed_in.only_account().is_none();
    let views = call.engine.views();
    let named = match account {
        Some(sid) => Some((sid.to_string(), views.account(sid).await?.friendly_name)),
        None => None,
    };
    let path = account.map_or_else(|| "/ledger".to_owned(), |sid| format!("/accounts/{sid}/ledger"));
    let lines = views.ledger(account, is_everywhere).await?.sums;
    let limits = views.limits().limits;
    let sums_shown = call.query.get("sums").parse().unwrap_or(SUMS).clamp(SUMS, SUMS_MAX);
    let show =
        SHOWN.iter().find(|(value, _)| *value == call.query.get("show")).map_or("", |(value, _)| value);
    let rows = rows(call, account, show).await?;
    let before = call.query.filled("before").map(|before| format!("&before={before}")).unwrap_or_default();
    let more_sums =
        more(sums_shown, lines.len()).map(|more| format!("{path}?sums={more}&show={show}{before}"));
    let link = |before: &str| format!("{path}?show={show}&before={before}");
    let credentials = credentials(call, &rows).await?;
    let older =
        (rows.len() > SIZE).then(|| rows.get(SIZE - 1).map(|last| cursor(&last.before(listing(call, show)))));
    let names = call.engine.store().accounts().await?;
    let name_of = |sid: Sid| {
        let found = names.iter().find(|account| account.sid == sid);
        found.map(|account| account.friendly_name.clone()).unwrap_or_default()
    };
    let view = View {
        at: words::exactly(&call.now),
        is_everywhere: is_everywhere && account.is_none(),
        has_egress: call.console.egress.is_some(),
        sums_left_out: lines.len().saturating_sub(sums_shown),
        more_sums,
        sums: lines.iter().take(sums_shown).map(|line| Sum::of(call, line, &limits, account)).collect(),
        // It stands beside what is live, and is read off the whole audit log.
        watched: if call.query.has("live") { Vec::new() } else { watched(call, account).await? },
        rows: rows
            .iter()
            .take(SIZE)
            .map(|row| Row::of(call, row, name_of(row.it.account), &credentials))
            .collect(),
        older: older.flatten().map(|before| link(&before)),
        newest: call.query.filled("before").map(|_| format!("{path}?show={show}")),
        show: show.to_owned(),
        account: named,
        path,
        frame: Frame::new(call, Section::Ledger),
    };
    shown(&view)
}

/// How many sums a page with more of them has; none where there are no more, or where no page has more.
fn more(shown: usize, all: usize) -> Option<usize> {
    (shown < all.min(SUMS_MAX)).then(|| (shown * 4).min(SUMS_MAX))
}

fn listing(call: &Call<'_>, show: &str) -> Listing {
    match show {
        "in-doubt" => Listing::InDoubt,
        "ended" => Listing::Ended(call.now.saturating_sub(ENDED_SINCE).unwrap_or(Timestamp::MIN)),
        _ => Listing::Open,
    }
}

/// The requests of a page, and one more where there is another page.
async fn rows(call: &Call<'_>, account: Option<Sid>, show: &str) -> Result<Vec<ListedReservation>, Failed> {
    let before = call.query.filled("before").map(read_cursor).transpose()?;
    let listing = listing(call, show);
    Ok(call.engine.store().list_reservations(listing, account, before.as_ref(), SIZE + 1).await?)
}

/// The credentials that may be named. Whoever looks after one account does not learn of those that open others too.
async fn credentials(call: &Call<'_>, rows: &[ListedReservation]) -> Result<BTreeSet<Sid>, Failed> {
    let mut named: BTreeSet<Sid> = rows.iter().filter_map(|row| row.credential).collect();
    if let Some(only) = call.signed_in.only_account() {
        for sid in named.clone() {
            let found = virtual_credentials::find(call.engine.store(), sid).await?;
            if !found.is_some_and(|credential| credential.is_for_only(only)) {
                named.remove(&sid);
            }
        }
    }
    Ok(named)
}

fn cursor(before: &ListedBefore) -> String {
    format!("{}-{}", before.at.as_microsecond(), before.id)
}

fn read_cursor(text: &str) -> Result<ListedBefore, Failed> {
    let (at, id) = text.split_once('-').ok_or(Failed::NotFound)?;
    let at = at.parse().ok().and_then(|at| Timestamp::from_microsecond(at).ok()).ok_or(Failed::NotFound)?;
    let is_name = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_name { Ok(ListedBefore { at, id: id.to_owned() }) } else { Err(Failed::NotFound) }
}

impl Sum {
    fn of(call: &Call<'_>, line: &LedgerLine, limits: &[LimitView], account: Option<Sid>) -> Self {
        let amount = |text: &String| words::amount(text, line.currency.as_deref());
        let limit = limits.iter().find(|limit| limit.name == line.limit);
        let mut it = Standing::of_sum(line, limit, call.now);
        // The page is about it.
        if account.is_some() && line.account.as_ref().map(|named| named.sid) == account {
            (it.whose, it.link) = (String::new(), None);
        }
        Self {
            limit: line.limit.clone(),
            it,
            twilio: match (&line.twilio, line.read_at) {
                (Some(seen), Some(at)) => {
                    format!("Twilio counts {}, read {}", amount(seen), words::ago(&at, &call.now))
                }
                (Some(seen), None) => format!("Twilio counts {}", amount(seen)),
                (None, _) if line.waits_for_figure && line.enforce => {
                    "Twilio’s figure was not read yet, so nothing is admitted".to_owned()
                }
                (None, _) if line.waits_for_figure => "Twilio’s figure was not read yet".to_owned(),
                (None, _) => "Twilio counts nothing of the kind".to_owned(),
            },
            open: match usize::try_from(line.open).unwrap_or(usize::MAX) {
                0 => "nothing open".to_owned(),
                open => words::many(open, "request open", "requests open"),
            },
        }
    }
}

async fn watched(call: &Call<'_>, account: Option<Sid>) -> Result<Vec<Watched>, Failed> {
    let views = call.engine.views();
    let mut watched = Vec::new();
    match account {
        Some(account) => {
            for it in views.watched(account).await? {
                watched.push(Watched::of(it.limit, it.verdict, it.summary, it.egress));
            }
        }
        None => {
            for it in views.report(None, false, None).await?.limits {
                watched.push(Watched::of(it.limit, it.verdict, it.summary, it.egress));
            }
        }
    }
    Ok(watched)
}

impl Watched {
    fn of(limit: String, verdict: Verdict, summary: String, egress: Option<ReportedEgress>) -> Self {
        let (class, word) = match verdict {
            Verdict::SafeToEnforce | Verdict::StoppedNothing => ("good", "safe to enforce"),
            Verdict::WouldHaveStopped | Verdict::Stopped => ("near", "would have refused"),
            Verdict::TooEarly => ("quiet", "too little seen yet"),
        };
        let price_book = egress.as_ref().and_then(|egress| egress.price_book.clone());
        let operations = egress.map(|egress| {
            let currency = egress.currency;
            let amount = |text: Option<String>| {
                // Of several currencies there is no sum.
                text.map_or_else(|| "—".to_owned(), |text| words::amount(&text, currency.as_deref()))
            };
            let operations = egress.operations.into_iter().map(|of| Operation {
                admitted: words::count(of.admitted),
                priced: words::count(of.priced),
                worst: amount(of.worst),
                spent: amount(of.spent),
                under: (of.under > 0)
                    .then(|| format!("{} ({})", words::count(of.under), amount(of.under_by))),
                unpriced: (of.unpriced > 0).then(|| words::count(of.unpriced)),
                name: of.operation,
            });
            operations.collect()
        });
        Self { limit, class, word, summary, price_book, operations: operations.unwrap_or_default() }
    }
}

impl Asker {
    fn of(row: &ListedReservation, named: &BTreeSet<Sid>) -> Self {
        match (row.credential, row.it.parent) {
            (Some(credential), _) if named.contains(&credential) => Self::Credential(credential),
            (Some(_), _) => Self::Unnamed,
            (None, Some(parent)) => Self::Answer(parent),
            (None, None) => Self::Ringfence,
        }
    }
}

impl Row {
    fn of(
        call: &Call<'_>,
        row: &ListedReservation,
        account_name: String,
        credentials: &BTreeSet<Sid>,
    ) -> Self {
        let ListedReservation { it, credential: _, price, ended_at } = row;
        let at = ended_at.unwrap_or(it.admitted_at);
        let (class, state) = match it.state {
            ReservationState::Open => ("quiet", "open: nobody has answered yet"),
            ReservationState::Sent => ("quiet", "made: its price is not known yet"),
            ReservationState::InDoubt => ("near", "in doubt: spent until it is found"),
            ReservationState::Priced => ("quiet", "priced: what is billed beside it is set aside"),
            ReservationState::Settled if price.is_none() => {
                ("near", "settled at its worst: nobody told its price")
            }
            ReservationState::Settled => ("good", "settled"),
            ReservationState::Void => ("quiet", "nothing was made"),
        };
        Self {
            at: words::ago(&at, &call.now),
            exactly: words::exactly(&at),
            operation: it.operation.clone(),
            account: it.account.to_string(),
            account_name,
            class,
            state,
            worst: it.worst.to_string(),
            price: price.map(|price| price.to_string()),
            is_under: price.is_some_and(|price| price > it.worst),
            // Enough to see that two went to the same one.
            party: it.party.as_ref().and_then(|tag| tag.get(..8)).map(str::to_owned),
            resource: it.resource.map(|sid| sid.to_string()),
            by: Asker::of(row, credentials),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SUMS, SUMS_MAX, more};

    #[test]
    fn no_link_leads_to_more_than_a_page_shows() {
        assert_eq!(more(SUMS, SUMS), None);
        assert_eq!(more(SUMS, SUMS + 1), Some(100));
        assert_eq!(more(400, 5_000), Some(SUMS_MAX));
        assert_eq!(more(SUMS_MAX, 5_000), None, "it would be the same page");
    }
}
