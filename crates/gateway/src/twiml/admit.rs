//! What an answer leads to, set aside: under the account that the signature proved, once for each webhook.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use ringfence_breaker::charge::categories;
use ringfence_breaker::{AppliedLimit, Asked, DialPrefix, Line, State, Subject, holds, tripped};
use ringfence_model::Sid;
use ringfence_store::{AnswerAdmission, AnswerPart, NewAnswer, Store, fresh_answer_key};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};

use super::price::{Kind, Step};
use crate::egress::{EgressEnd, EgressRules, KnownAccount, Refusal, refused, scoped};

/// For the store to decide. Twilio waits 15 seconds for the whole answer.
const STORE_MAX: Duration = Duration::from_secs(5);
/// No call is longer.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Whose answer it is.
pub(super) struct Asker<'a> {
    pub(super) account: Sid,
    pub(super) known: &'a KnownAccount,
    /// The call or message, or the reservation of a task.
    pub(super) subject: Sid,
    /// What tells this webhook from others about the same call or message, and is the same when it comes again; without
    /// it each is another.
    pub(super) occasion: Option<&'a [u8]>,
}

/// To look for a trip, which a call that rings waits for. Where that takes longer the application is asked.
const LOOK_MAX: Duration = Duration::from_millis(300);

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Now,
    /// When the same webhook came before.
    Before,
}

/// Sets aside what an answer leads to.
pub(super) async fn admit(
    end: &EgressEnd,
    rules: &EgressRules,
    asker: &Asker<'_>,
    steps: &[Step],
    deadline: Instant,
) -> Result<Taken, Refusal> {
    let deadline = deadline.min(Instant::now() + STORE_MAX);
    let account = scoped(rules, asker.account, asker.known)?;
    let store = end.store()?;
    // A message goes out at once, or when the words before it in a call are spoken; a call that Twilio makes may begin as
    // late as the call lasts in which it is dialled.
    let longest =
        rules.book(asker.account).map(|book| SignedDuration::from_secs(book.assumed().longest().into()));
    let patience = longest.unwrap_or(DAY);
    let work = async {
        let mut parts = Vec::with_capacity(steps.len());
        for step in steps {
            let asked = Asked {
                account,
                credential: None,
                tenant: None,
                destination: step.destination,
                charge: &step.charge,
            };
            parts.push(AnswerPart {
                operation: step.kind.operation().to_owned(),
                worst: step.charge.price(),
                holds: holds(&rules.limits, &asked),
                party: party(&store, asker.subject, step).await?,
                beginning: step.destination.map(DialPrefix::of),
                patience,
            });
        }
        let new = NewAnswer {
            key: asker.occasion.map_or_else(fresh_answer_key, |occasion| key(asker, occasion, steps)),
            parent: asker.subject,
            account: asker.account,
            parts,
            limits: Arc::clone(&rules.fingerprint),
        };
        let now = end.ledger_now();
        match store.admit_answer(new, now).await {
            Ok(AnswerAdmission::Admitted(watched)) => {
                for it in watched {
                    end.metrics.would_refuse(&it.limit);
                }
                Ok(Taken::Now)
            }
            Ok(AnswerAdmission::Before) => Ok(Taken::Before),
            Ok(AnswerAdmission::Refused(why)) => Err(refused(end, why, now)),
            Err(error) => {
                tracing::error!(%error, "the store admitted nothing");
                Err(Refusal::StoreAway)
            }
        }
    };
    let begun = Instant::now();
    let outcome = timeout_at(deadline, work).await.unwrap_or(Err(Refusal::StoreAway));
    end.metrics.admission(begun.elapsed());
    outcome
}

/// How the call or message is found in Twilio's lists: a call by whom it goes to and by the call that dials it, a message
/// by whom it goes to and comes from.
async fn party(store: &Store, subject: Sid, step: &Step) -> Result<Option<String>, Refusal> {
    let Some(to) = &step.to else { return Ok(None) };
    let tag = match step.kind {
        Kind::Call => store.dialled_tag(to, subject).await,
        Kind::Message => store.reply_tag(to, step.from.as_deref().unwrap_or_default()).await,
        // What TaskRouter calls stands in the list as if it had been asked for.
        Kind::Assigned => store.party_tag(to, step.from.as_deref().unwrap_or_default()).await,
        Kind::Other => return Ok(None),
    };
    tag.map(Some).map_err(|error| {
        tracing::error!(%error, "the store has no keys for what it remembers of an answer");
        Refusal::StoreAway
    })
}

/// What an answer is known by. A repeat that leads to something else is another answer.
fn key(asker: &Asker<'_>, occasion: &[u8], steps: &[Step]) -> String {
    let mut hash = Sha256::new();
    let mut put = |bytes: &[u8]| {
        hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(bytes);
    };
    put(asker.account.to_string().as_bytes());
    put(asker.subject.to_string().as_bytes());
    put(occasion);
    for Step { kind, charge, to, from, .. } in steps {
        put(kind.operation().as_bytes());
        put(to.as_deref().unwrap_or_default().as_bytes());
        put(from.as_deref().unwrap_or_default().as_bytes());
        for Line { categories, price, usage, count, .. } in &charge.lines {
            put(categories.join(",").as_bytes());
            for amount in [price, usage, count] {
                put(&amount.micros().to_be_bytes());
            }
        }
    }
    let digest: [u8; 32] = hash.finalize().into();
    let half: [u8; 16] = std::array::from_fn(|place| digest[place]);
    format!("{:032x}", u128::from_be_bytes(half))
}

/// The limit by which no call of an account passes any more; none where nobody can say.
pub(super) async fn tripped_limit(
    end: &EgressEnd,
    rules: &EgressRules,
    account: Sid,
    known: &KnownAccount,
    deadline: Instant,
) -> Option<String> {
    let scoped = scoped(rules, account, known).ok()?;
    let store = end.store().ok()?;
    let now = end.window_now();
    let look = async {
        for subject in [Subject::Account(account), Subject::Together] {
            let breakers = store.breakers_of::<State>(&subject.to_string()).await.ok()?;
            let counts_calls = |it: &&Arc<AppliedLimit>| categories::counts_calls(&it.limit.category);
            let of_subject = rules.limits.iter().filter(|it| it.subject(&scoped) == Some(subject));
            let mut applied = of_subject.filter(counts_calls);
            let is_tripped = |it: &&Arc<AppliedLimit>| {
                let breaker = breakers.iter().find(|breaker| breaker.limit == it.limit.name);
                breaker.is_some_and(|breaker| tripped(&it.limit, &breaker.state, now))
            };
            if let Some(applied) = applied.find(is_tripped) {
                return Some(applied.limit.name.clone());
            }
        }
        None
    };
    timeout_at(deadline.min(Instant::now() + LOOK_MAX), look).await.ok().flatten()
}
