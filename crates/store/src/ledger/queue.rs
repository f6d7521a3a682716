//! The line before the ledger: while one batch is being written, the next gathers.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::Now;
use super::batch::{self, Did, Op};
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

async fn work(writer: WriterLine, mut waiting: mpsc::Receiver<Waiting>) {
    let mut taken = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut taken, BATCH).await > 0 {
        let (mut ops, mut replies) = (Vec::with_capacity(taken.len()), Vec::with_capacity(taken.len()));
        for Waiting { op, now, reply } in taken.drain(..) {
            ops.push((op, now));
            replies.push(reply);
        }
        let outcome =
            writer.write(Arc::new(ops), |ops, transaction| Box::pin(batch::run(ops, transaction))).await;
        match outcome {
            // Where nobody waits any more, it was carried out all the same.
            Ok(all) => replies.into_iter().zip(all).for_each(|(reply, did)| drop(reply.send(Ok(did)))),
            Err(error) => replies.into_iter().for_each(|reply| drop(reply.send(Err(error.clone())))),
        }
    }
}
