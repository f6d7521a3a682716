//! The line before the ledger: while one batch is being written, the next gathers.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::batch::{self, Did, Op, part_id};
use super::{Now, Sent};
use crate::Result;
use crate::error::Error;
use crate::write::{Writer, WriterLine};

/// Acts that may wait in line. Whoever comes later waits for a place.
const QUEUE: usize = 8192;
/// Acts in one transaction. More makes each wait longer, and gains nothing once the commit is a small part of it.
const BATCH: usize = 512;

struct Waiting {
    op: Op,
    now: Now,
    reply: oneshot::Sender<Result<Did>>,
}

/// The line before the ledger.
pub(crate) struct Queue {
    line: mpsc::Sender<Waiting>,
    task: JoinHandle<()>,
}

impl Queue {
    /// Begins a task that writes through the store's writer, for as long as that one lives.
    pub(crate) fn start(writer: &Writer) -> Self {
        let (line, waiting) = mpsc::channel(QUEUE);
        Self { line, task: tokio::spawn(work(writer.line(), waiting)) }
    }

    /// Carries out an act in the next batch, and answers after its commit.
    pub(crate) async fn carry_out(&self, op: Op, now: Now) -> Result<Did> {
        let (reply, answer) = oneshot::channel();
        self.line.send(Waiting { op, now, reply }).await.map_err(|_| Error::closed())?;
        answer.await.map_err(|_| Error::closed())?
    }

    /// Carries out all of them, in as few batches as they fit into. What has failed is an error of its own.
    pub(crate) async fn carry_out_each(&self, ops: Vec<Op>, now: Now) -> Vec<Result<Did>> {
        let mut answers = Vec::with_capacity(ops.len());
        for op in ops {
            let (reply, answer) = oneshot::channel();
            let queued = self.line.send(Waiting { op, now, reply }).await;
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

/// The reservations of an admission that nobody heard of. An answer that came twice at once may have been given to whoever
/// still waits.
fn given_back<'a>(op: &'a Op, all: &'a [(Op, Now)]) -> impl Iterator<Item = String> + use<'a> {
    let (admitted, answer) = match op {
        Op::Admit { id, .. } => (Some(id.clone()), None),
        Op::Answer(new) => {
            let same = |(other, _): &&(Op, Now)| matches!(other, Op::Answer(it) if it.key == new.key);
            (None, (all.iter().filter(same).count() == 1).then_some(new))
        }
        _ => (None, None),
    };
    let parts = answer.into_iter().flat_map(|new| (0..new.parts.len()).map(|number| part_id(new, number)));
    admitted.into_iter().chain(parts)
}

async fn work(writer: WriterLine, mut waiting: mpsc::Receiver<Waiting>) {
    let mut taken = Vec::with_capacity(BATCH);
    // Admissions that nobody heard of: nothing can have been sent, so what was set aside comes back.
    let mut unheard: Vec<(Op, Now)> = Vec::new();
    while !unheard.is_empty() || waiting.recv_many(&mut taken, BATCH).await > 0 {
        let mut ops = std::mem::take(&mut unheard);
        let mut replies: Vec<Option<oneshot::Sender<Result<Did>>>> = ops.iter().map(|_| None).collect();
        // Who asked for money and waits no longer shall get none; what else was asked for is carried out.
        let asks = |op: &Op| matches!(op, Op::Admit { .. } | Op::Answer(_));
        for Waiting { op, now, reply } in taken.drain(..).filter(|it| !(asks(&it.op) && it.reply.is_closed()))
        {
            ops.push((op, now));
            replies.push(Some(reply));
        }
        if ops.is_empty() {
            continue;
        }
        let ops = Arc::new(ops);
        let outcome =
            writer.write(Arc::clone(&ops), |ops, transaction| Box::pin(batch::run(ops, transaction))).await;
        match outcome {
            Ok(all) => {
                for (((op, now), reply), did) in ops.iter().zip(replies).zip(all) {
                    let is_new = matches!(did, Did::Admitted(_));
                    let is_heard = reply.is_none_or(|reply| reply.send(Ok(did)).is_ok());
                    if !is_heard && is_new {
                        unheard.extend(
                            given_back(op, &ops).map(|id| (Op::Sent { id, sent: Sent::Nothing }, *now)),
                        );
                    }
                }
            }
            Err(error) => {
                for reply in replies.into_iter().flatten() {
                    // Where nobody waits any more, there is nobody to tell.
                    drop(reply.send(Err(error.clone())));
                }
            }
        }
    }
}
