//! What things cost an account is read from Twilio, with the account's own credentials, and kept.
//!
//! A price list is some two hundred requests for messages, as many for calls and as many for numbers, so it is read once
//! in a long time; what could not be read keeps the price that was known, and is read again at the next run. A subaccount
//! pays what its parent pays, so only parents are asked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::price_book::{
    InvalidPrices, Learnt, NetworkPrices, NumberTypePrice, PrefixPrice, Prices, Source, sharing,
};
use ringfence_model::{Actor, Country, Sid};
use ringfence_store::{self as store, Account, StoredPrices};
use ringfence_twilio::client::{self, Client};
use ringfence_twilio::wire::PricedCountry;
use tokio::task::JoinSet;

use super::Engine;
use crate::prices;

/// Which prices are read, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricesWanted {
    /// Of these countries, and of those whose numbers cannot be told from theirs; of all, where none are named.
    pub countries: BTreeSet<Country>,
    /// A price that is older is read again.
    pub every: Duration,
}

impl Default for PricesWanted {
    fn default() -> Self {
        Self { countries: BTreeSet::new(), every: Duration::from_hours(24) }
    }
}

/// Why a price is not known, or not anew.
#[derive(Debug, thiserror::Error)]
pub enum PriceUnread {
    /// Nobody has the account's own credentials, and Twilio tells its prices to no other.
    #[error("its own credentials are not known, so its prices cannot be read")]
    NoCredentials,
    /// Twilio did not say.
    #[error("prices of {what} are not known anew: {error}")]
    Twilio {
        /// Of what.
        what: String,
        /// Why.
        #[source]
        error: client::Error,
    },
    /// Twilio said what cannot be taken over.
    #[error("prices of {what} are not taken over: {error}")]
    Invalid {
        /// Of what.
        what: String,
        /// Why.
        #[source]
        error: InvalidPrices,
    },
    /// A defect of ours.
    #[error("reading them panicked")]
    Panicked,
}

/// What reading the prices of one account came to.
#[derive(Debug, Default)]
pub struct PricesRead {
    /// How many lists of countries were read.
    pub countries: usize,
    /// What was not.
    pub unread: Vec<PriceUnread>,
}

/// Requests that are under way at once: prices are not urgent, and others ask Twilio too.
const AT_ONCE: usize = 4;

/// What is priced by country.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Messages,
    Calls,
    Numbers,
}

/// What one country's list says.
enum Rows {
    Messages(Vec<NetworkPrices>),
    Calls(Vec<PrefixPrice>),
    Numbers(Vec<NumberTypePrice>),
}

struct Answer {
    list: List,
    country: String,
    currency: String,
    rows: Result<Rows, InvalidPrices>,
}

impl List {
    const ALL: [Self; 3] = [Self::Messages, Self::Calls, Self::Numbers];

    fn of(self, country: &str) -> String {
        match self {
            Self::Messages => format!("messages to {country}"),
            Self::Calls => format!("calls to {country}"),
            Self::Numbers => format!("numbers of {country}"),
        }
    }

    /// Since when a country's prices are known.
    fn known(self, prices: &Prices) -> BTreeMap<&str, Timestamp> {
        fn ages<T>(of: &BTreeMap<String, Learnt<T>>) -> BTreeMap<&str, Timestamp> {
            of.iter().map(|(country, learnt)| (&**country, learnt.at)).collect()
        }
        match self {
            Self::Messages => ages(&prices.messages),
            Self::Calls => ages(&prices.calls),
            Self::Numbers => ages(&prices.numbers),
        }
    }

    /// Forgets the prices of all other countries.
    fn keep_only(self, countries: &BTreeSet<String>, prices: &mut Prices) {
        match self {
            Self::Messages => prices.messages.retain(|country, _| countries.contains(country)),
            Self::Calls => prices.calls.retain(|country, _| countries.contains(country)),
            Self::Numbers => prices.numbers.retain(|country, _| countries.contains(country)),
        }
    }

    async fn countries(self, client: &Client) -> Result<Vec<PricedCountry>, client::Error> {
        let pricing = client.pricing();
        match self {
            Self::Messages => pricing.messaging_countries().all().await,
            Self::Calls => pricing.voice_countries().all().await,
            Self::Numbers => pricing.phone_number_countries().all().await,
        }
    }

    async fn read(self, client: &Client, country: String) -> Result<Answer, (String, client::Error)> {
        let pricing = client.pricing();
        let failed = |error| (self.of(&country), error);
        let (currency, rows) = match self {
            Self::Messages => {
                let answer = pricing.messaging_country(&country).await.map_err(failed)?;
                let rows = prices::messages(&answer);
                (answer.price_unit, Ok(Rows::Messages(rows)))
            }
            Self::Calls => {
                let answer = pricing.voice_country(&country).await.map_err(failed)?;
                let rows = prices::calls(&answer).map(Rows::Calls);
                (answer.price_unit, rows)
            }
            Self::Numbers => {
                let answer = pricing.phone_number_country(&country).await.map_err(failed)?;
                let rows = prices::numbers(&answer);
                (answer.price_unit, Ok(Rows::Numbers(rows)))
            }
        };
        Ok(Answer { list: self, country, currency, rows })
    }
}

impl Engine {
    /// Reads the prices of a parent account that are not known or too old, and keeps them. It asks nothing as long as all
    /// are new enough.
    pub async fn read_prices(&self, account: &Account, wanted: &PricesWanted) -> store::Result<PricesRead> {
        let mut read = PricesRead::default();
        let now = self.now();
        let stored = match self.store.prices(account.sid).await {
            Ok(stored) => stored,
            // Another version has written it: what cannot be read is learnt anew.
            Err(store::Error::Corrupt { place, why }) => {
                tracing::warn!(account = %account.sid, place, why, "prices that cannot be read are read anew");
                None
            }
            Err(error) => return Err(error),
        };
        let every = SignedDuration::try_from(wanted.every).unwrap_or(SignedDuration::MAX);
        let too_old = now.checked_sub(every).unwrap_or(Timestamp::MIN);
        if stored.as_ref().is_some_and(|stored| stored.fetched_at > too_old && is_of(&stored.prices, wanted))
        {
            return Ok(read);
        }
        let Some(client) = self.clients.own(account) else {
            read.unread.push(PriceUnread::NoCredentials);
            return Ok(read);
        };
        let fetched_before = stored.as_ref().map(|stored| stored.fetched_at);
        let before = stored.map_or_else(|| Prices::new(""), |stored| stored.prices);

        let mut due = VecDeque::new();
        let mut listed = Vec::new();
        for list in List::ALL {
            match list.countries(&client).await {
                Ok(countries) => {
                    let countries = countries.into_iter().map(|it| it.iso_country);
                    let countries: BTreeSet<String> = countries.filter(|it| wants(wanted, it)).collect();
                    let known = list.known(&before);
                    let is_due = |country: &&String| known.get(&***country).is_none_or(|at| *at <= too_old);
                    due.extend(countries.iter().filter(is_due).map(|country| (list, country.clone())));
                    listed.push((list, countries));
                }
                Err(error) => {
                    let what = list.of("every country");
                    read.unread.push(PriceUnread::Twilio { what, error });
                }
            }
        }
        let answers = ask(&client, due, &mut read.unread).await;
        let mut after = take_over(before.clone(), answers, account.sid, now, &mut read);
        for (list, countries) in &listed {
            list.keep_only(countries, &mut after);
        }
        let is_known = |list: List, country: &String| list.known(&after).contains_key(&**country);
        let is_complete = read.unread.is_empty()
            && listed.iter().all(|(list, countries)| countries.iter().all(|it| is_known(*list, it)));
        let is_new = after != before || (is_complete && fetched_before.is_none_or(|at| at <= too_old));
        if is_new && !after.currency.is_empty() {
            let fetched_at = if is_complete { now } else { Timestamp::UNIX_EPOCH };
            self.keep_prices(StoredPrices { account: account.sid, fetched_at, prices: after }).await?;
        }
        Ok(read)
    }

    /// Keeps prices under the next version, which goes on also where the old document could not be read.
    async fn keep_prices(&self, mut stored: StoredPrices) -> store::Result<()> {
        let versions = self.store.price_versions().await?;
        let version =
            versions.iter().find(|(sid, _)| *sid == stored.account).map_or(0, |(_, version)| *version);
        stored.prices.version = version + 1;
        match self.store.keep_prices(&Actor::job("prices"), stored, self.now()).await {
            // Another node was quicker, and its prices are as new.
            Err(error) if error.is_conflict() => Ok(()),
            kept => kept,
        }
    }
}

/// Whether prices of a country are read: if it is wanted, or one whose numbers cannot be told from its own.
fn wants(wanted: &PricesWanted, country: &str) -> bool {
    let is_named = |country: &str| wanted.countries.iter().any(|it| it.as_str() == country);
    wanted.countries.is_empty() || sharing(country).any(is_named)
}

/// Whether a book has of the countries that are wanted as many as it could, and no others.
fn is_of(prices: &Prices, wanted: &PricesWanted) -> bool {
    let known: BTreeSet<&str> = prices.messages.keys().chain(prices.calls.keys()).map(|it| &**it).collect();
    let is_wanted = known.iter().all(|country| wants(wanted, country));
    is_wanted && wanted.countries.iter().all(|country| known.contains(country.as_str()))
}

/// Asks for what is due, several at once.
async fn ask(
    client: &Client,
    mut due: VecDeque<(List, String)>,
    unread: &mut Vec<PriceUnread>,
) -> Vec<Answer> {
    let mut asking = JoinSet::new();
    let mut answers = Vec::new();
    loop {
        while asking.len() < AT_ONCE
            && let Some((list, country)) = due.pop_front()
        {
            let client = client.clone();
            asking.spawn(async move { list.read(&client, country).await });
        }
        match asking.join_next().await {
            None => return answers,
            Some(Ok(Ok(answer))) => answers.push(answer),
            Some(Ok(Err((what, error)))) => unread.push(PriceUnread::Twilio { what, error }),
            Some(Err(_)) => unread.push(PriceUnread::Panicked),
        }
    }
}

/// The old prices with what Twilio said in their place. An account whose currency has changed has no old prices.
fn take_over(
    before: Prices,
    answers: Vec<Answer>,
    account: Sid,
    now: Timestamp,
    read: &mut PricesRead,
) -> Prices {
    let mut after = match answers.first() {
        Some(first) if !before.currency.eq_ignore_ascii_case(&first.currency) => Prices::new(&first.currency),
        _ => before,
    };
    for Answer { list, country, currency, rows } in answers {
        let from = Source::Account(account);
        let taken = rows.and_then(|rows| match rows {
            Rows::Messages(is) => after.learn_messages(&country, &currency, Learnt { from, at: now, is }),
            Rows::Calls(is) => after.learn_calls(&country, &currency, Learnt { from, at: now, is }),
            Rows::Numbers(is) => after.learn_numbers(&country, &currency, Learnt { from, at: now, is }),
        });
        match taken {
            Ok(()) => read.countries += 1,
            Err(error) => read.unread.push(PriceUnread::Invalid { what: list.of(&country), error }),
        }
    }
    after
}
