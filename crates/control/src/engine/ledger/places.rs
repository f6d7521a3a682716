//! Where an account sent before its traffic came through here: learnt once from Twilio's lists, so that a limit of unknown
//! places knows them from the first day on. Until an account is learnt such a limit only watches there.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::DialPrefix;
use ringfence_model::{PhoneNumber, Sid};
use ringfence_store::Result;
use ringfence_twilio::client::{self, Client, Pages};
use ringfence_twilio::wire::{
    Call, CallDirection, CallStatus, Message, MessageDirection, MessageStatus, Rfc2822,
};
use serde::de::DeserializeOwned;

use super::{Engine, Reconciled};

/// So many accounts are read in one run; the next one goes on behind them, so that those whose lists cannot be read keep
/// nobody waiting.
const ACCOUNTS_AT_ONCE: usize = 5;
/// So much of a list is read at most, in pages of a thousand, from the newest on.
const PAGES_MAX: usize = 20;
/// Where that does not reach back far enough, one page of each day before tells of that day.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A beginning of a number, and when something went there.
type Seen = BTreeSet<(DialPrefix, Timestamp)>;

impl Engine {
    /// Learns of the next accounts where they sent within the longest time that a limit of unknown places looks back.
    pub(super) async fn learn_places(&self, reconciled: &mut Reconciled) -> Result<()> {
        let longest = self.limits.iter().filter_map(|applied| applied.limit.unseen).map(|it| it.within).max();
        let Some(longest) = longest else { return Ok(()) };
        let back = SignedDuration::from_secs(i64::from(longest));
        let since = self.now().saturating_sub(back).unwrap_or(Timestamp::MIN);
        for sid in self.next_to_learn(since).await? {
            let Some(account) = self.store.find_account(sid).await? else { continue };
            // Without a token nothing of it goes through the egress either (84012).
            let Some(client) = self.clients.for_account(&account) else { continue };
            match self.sent_before(&client, sid, since).await {
                Ok(seen) => self.store.learn_traffic(sid, seen, since).await?,
                Err(error) => reconciled.troubles.push((sid, error.to_string())),
            }
        }
        Ok(())
    }

    async fn next_to_learn(&self, since: Timestamp) -> Result<Vec<Sid>> {
        let all = self.store.accounts_to_learn(since).await?;
        let mut last = self.learnt_last.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(next(all, &mut last))
    }

    async fn sent_before(
        &self,
        client: &Client,
        account: Sid,
        since: Timestamp,
    ) -> std::result::Result<Seen, client::Error> {
        let mut seen = Seen::new();
        let list = |sent_until| client::MessageFilter { sent_until, ..client::MessageFilter::default() };
        let messages = |until| client.messages(account).list(&list(until));
        let created = |it: &Message| it.date_created.as_ref().map(|at: &Rfc2822| at.0);
        let mut reached =
            read(messages(None), PAGES_MAX, since, created, message, &mut seen).await?.min(self.now());
        while reached > since {
            reached = reached.saturating_sub(DAY).unwrap_or(since);
            reached =
                read(messages(Some(reached)), 1, since, created, message, &mut seen).await?.min(reached);
        }
        let list = |started_until| client::CallFilter { started_until, ..client::CallFilter::default() };
        let calls = |until| client.calls(account).list(&list(until));
        let created = |it: &Call| it.date_created.as_ref().map(|at: &Rfc2822| at.0);
        let mut reached =
            read(calls(None), PAGES_MAX, since, created, call, &mut seen).await?.min(self.now());
        while reached > since {
            reached = reached.saturating_sub(DAY).unwrap_or(since);
            reached = read(calls(Some(reached)), 1, since, created, call, &mut seen).await?.min(reached);
        }
        Ok(seen)
    }
}

/// The next ones behind those that were read last, and then from the first on. They come in their order.
fn next(mut all: Vec<Sid>, last: &mut Option<Sid>) -> Vec<Sid> {
    let behind = all.partition_point(|sid| last.is_some_and(|last| *sid <= last));
    all.rotate_left(behind);
    all.truncate(ACCOUNTS_AT_ONCE);
    *last = all.last().copied().or(*last);
    all
}

/// Reads pages from the newest on; says how far back that has reached: to `since` where the list has no more.
async fn read<T: DeserializeOwned>(
    pages: Pages<T>,
    most: usize,
    since: Timestamp,
    created: impl Fn(&T) -> Option<Timestamp>,
    went_to: impl Fn(&T) -> Option<&str>,
    seen: &mut Seen,
) -> std::result::Result<Timestamp, client::Error> {
    let mut pages = pages.page_size(1000);
    let mut reached = Timestamp::MAX;
    for _ in 0..most {
        let Some(page) = pages.next().await? else { return Ok(since) };
        for it in &page {
            let Some(at) = created(it) else { continue };
            reached = reached.min(at);
            // `whatsapp:+44…` goes to a telephone too.
            let number = |to: &str| PhoneNumber::parse(to.strip_prefix("whatsapp:").unwrap_or(to)).ok();
            let to = went_to(it).and_then(number);
            seen.extend(to.filter(|_| at >= since).map(|to| (DialPrefix::of(to), at)));
        }
        if reached <= since {
            return Ok(since);
        }
    }
    Ok(reached)
}

/// Whom a message went to that was sent and has not failed.
fn message(message: &Message) -> Option<&str> {
    let is_sent = !matches!(message.direction, MessageDirection::Inbound);
    let failed = matches!(
        message.status,
        MessageStatus::Failed | MessageStatus::Undelivered | MessageStatus::Canceled
    );
    message.to.as_deref().filter(|_| is_sent && !failed)
}

/// Whom a call went to that was answered.
fn call(call: &Call) -> Option<&str> {
    let is_made = !matches!(call.direction, CallDirection::Inbound);
    call.to.as_deref().filter(|_| is_made && call.status == CallStatus::Completed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_whose_lists_cannot_be_read_keep_nobody_waiting() {
        let sid = |number: usize| Sid::parse(&format!("AC{number:032x}")).unwrap();
        let all: Vec<Sid> = (0..12).map(sid).collect();
        let mut last = None;
        let mut read = |all: &[Sid]| next(all.to_vec(), &mut last);
        assert_eq!(read(&all), all[..5]);
        assert_eq!(read(&all), all[5..10]);
        assert_eq!(read(&all), [&all[10..], &all[..3]].concat());
        // What is learnt meanwhile is not asked again.
        assert_eq!(read(&all[8..]), all[8..]);
        assert_eq!(read(&[]), []);
    }
}
