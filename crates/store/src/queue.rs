//! A line before the [writer](crate::write): while one batch of acts is being written, the next gathers.
//!
//! The writer shares a commit among writes that know nothing of each other, and each pays for its own statements. Acts of one
//! kind know more. What all of them need is locked in one order and read at once, each is decided in memory in its turn, and
//! what changed is written at once: a batch costs as many statements as a lone act.
//!
//! An act that cannot be carried out, such as one whose row was tampered with, spoils its batch. Then each is carried out
//! alone, and it alone fails.

use std::ops::Range;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::Result;
use crate::error::Error;
use crate::sql::Transaction;
use crate::write::{Outcome, Writer, WriterLine};

/// Acts that may wait in line. Whoever comes later waits for a place.
const QUEUE: usize = 8192;
/// Acts in one transaction. More makes each wait longer, and gains nothing once the commit is a small part of it.
const BATCH: usize = 512;

/// What is carried out in batches. Once it is in line that happens, whoever waits for the answer, unless it says otherwise.
pub(crate) trait Batched: Sized + Send + Sync + 'static {
    /// What became of one.
    type Did: Send + 'static;

    /// Carries out all of them, and says what became of each, in their order. It may be run again from the start when the
    /// connection broke or another node stood in the way, so it changes nothing but the database.
    fn carry_out<'a>(acts: &'a [Self], transaction: &'a mut Transaction) -> Outcome<'a, Vec<Self::Did>>;

    /// Whether it is left out where nobody waits for it any more.
    fn is_for_who_waits(&self) -> bool {
        false
    }

    /// What takes it back, where it was done and nobody heard of it; `all` is its batch.
    fn taken_back(&self, _did: &Self::Did, _all: &[Self]) -> Vec<Self> {
        Vec::new()
    }
}

struct Waiting<A: Batched> {
    act: A,
    reply: oneshot::Sender<Result<A::Did>>,
}

/// The line before the acts of one kind.
pub(crate) struct Queue<A: Batched> {
    line: mpsc::Sender<Waiting<A>>,
    task: JoinHandle<()>,
}

impl<A: Batched> Queue<A> {
    /// Begins a task that writes through the store's writer, for as long as that one lives.
    pub(crate) fn start(writer: &Writer) -> Self {
        let (line, waiting) = mpsc::channel(QUEUE);
        Self { line, task: tokio::spawn(work(writer.line(), waiting)) }
    }

    /// Carries out an act in the next batch, and answers after its commit.
    pub(crate) async fn carry_out(&self, act: A) -> Result<A::Did> {
        let (reply, answer) = oneshot::channel();
        self.line.send(Waiting { act, reply }).await.map_err(|_| Error::closed())?;
        answer.await.map_err(|_| Error::closed())?
    }

    /// Carries out all of them, in as few batches as they fit into. What has failed is an error of its own.
    pub(crate) async fn carry_out_each(&self, acts: Vec<A>) -> Vec<Result<A::Did>> {
        let mut answers = Vec::with_capacity(acts.len());
        for act in acts {
            let (reply, answer) = oneshot::channel();
            let queued = self.line.send(Waiting { act, reply }).await;
            answers.push(queued.map(|()| answer).map_err(|_| Error::closed()));
        }
        let mut outcomes = Vec::with_capacity(answers.len());
        for answer in answers {
            outcomes.push(match answer {
                Ok(answer) => answer.await.unwrap_or_else(|_| Err(Error::closed())),
                Err(error) => Err(error),
            });
        }
        outcomes
    }

    /// Carries out what is queued, then ends.
    pub(crate) async fn finish(self) {
        drop(self.line);
        // A task that was cancelled because the runtime ends has nobody left to tell.
        let _ = self.task.await;
    }
}

async fn work<A: Batched>(writer: WriterLine, mut waiting: mpsc::Receiver<Waiting<A>>) {
    let mut taken = Vec::with_capacity(BATCH);
    // What takes back that of which nobody heard.
    let mut unheard: Vec<A> = Vec::new();
    while !unheard.is_empty() || waiting.recv_many(&mut taken, BATCH).await > 0 {
        let mut acts = std::mem::take(&mut unheard);
        let mut replies: Vec<Option<oneshot::Sender<Result<A::Did>>>> = acts.iter().map(|_| None).collect();
        let is_wanted = |it: &Waiting<A>| !(it.act.is_for_who_waits() && it.reply.is_closed());
        for Waiting { act, reply } in taken.drain(..).filter(is_wanted) {
            acts.push(act);
            replies.push(Some(reply));
        }
        let acts = Arc::new(acts);
        let outcomes = write(&writer, &acts).await;
        for ((act, reply), outcome) in acts.iter().zip(replies).zip(outcomes) {
            let unanswered = match reply {
                Some(reply) => reply.send(outcome).err(),
                None => Some(outcome),
            };
            if let Some(Ok(did)) = unanswered {
                unheard.extend(act.taken_back(&did, &acts));
            }
        }
    }
}

/// What became of each.
async fn write<A: Batched>(writer: &WriterLine, acts: &Arc<Vec<A>>) -> Vec<Result<A::Did>> {
    let error = match write_some(writer, acts, 0..acts.len()).await {
        Ok(all) => return all.into_iter().map(Ok).collect(),
        Err(error) => error,
    };
    // What is to be told to all of them from here on, without trying.
    let mut end = (acts.len() == 1 || error.is_away()).then_some(error);
    let mut outcomes = Vec::with_capacity(acts.len());
    for index in 0..acts.len() {
        let outcome = match &end {
            Some(error) => Err(error.clone()),
            None => write_some(writer, acts, index..index + 1)
                .await
                .and_then(|mut alone| alone.pop().ok_or_else(Error::closed)), // one act has one outcome
        };
        if end.is_none() {
            end = outcome.as_ref().err().filter(|error| error.is_away()).cloned();
        }
        outcomes.push(outcome);
    }
    outcomes
}

async fn write_some<A: Batched>(
    writer: &WriterLine,
    acts: &Arc<Vec<A>>,
    range: Range<usize>,
) -> Result<Vec<A::Did>> {
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let some = (Arc::clone(acts), range);
    writer
        .write(some, |(acts, range), transaction| {
            A::carry_out(acts.get(range.clone()).unwrap_or_default(), transaction)
        })
        .await
}
