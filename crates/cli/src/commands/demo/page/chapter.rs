//! A chapter of the page: what it shows, and the one act that may be going on in it.
//!
//! An act is a task of its own. Whoever posted the form waits for its end a moment, so that what is quick is on the page that
//! they get; what takes longer is shown as it goes on.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// How long the answer to a form waits for what it began.
const MOMENT: Duration = Duration::from_millis(900);

/// What a chapter shows, and what goes on in it.
#[derive(Debug, Default)]
pub(super) struct Chapter<T> {
    state: RefCell<T>,
    doing: RefCell<Option<String>>,
    problem: RefCell<Option<String>>,
    over: Notify,
}

/// Says that the act is over, however it ended.
struct Over<T>(Rc<Chapter<T>>);

impl<T> Drop for Over<T> {
    fn drop(&mut self) {
        self.0.doing.take();
        self.0.over.notify_waiters();
    }
}

impl<T: 'static> Chapter<T> {
    /// Reads or changes what is shown.
    pub(super) fn with<R>(&self, look: impl FnOnce(&mut T) -> R) -> R {
        look(&mut self.state.borrow_mut())
    }

    /// What goes on, in words.
    pub(super) fn doing(&self) -> Option<String> {
        self.doing.borrow().clone()
    }

    /// Why the last act did not come to its end.
    pub(super) fn problem(&self) -> Option<String> {
        self.problem.borrow().clone()
    }

    /// Tells how far the act has come.
    pub(super) fn tell(&self, what: &str) {
        if let Some(doing) = &mut *self.doing.borrow_mut() {
            what.clone_into(doing);
        }
    }

    /// Begins an act, unless one goes on already, and waits for its end a moment.
    pub(super) async fn act(
        self: &Rc<Self>,
        what: &str,
        act: impl Future<Output = anyhow::Result<()>> + 'static,
    ) {
        self.begin(what, act);
        // What takes longer is shown as it goes on.
        let _still_going_on = timeout(MOMENT, self.is_over()).await;
    }

    /// Begins an act, unless one goes on already.
    pub(super) fn begin(
        self: &Rc<Self>,
        what: &str,
        act: impl Future<Output = anyhow::Result<()>> + 'static,
    ) {
        if self.doing.borrow().is_some() {
            return;
        }
        self.doing.replace(Some(what.to_owned()));
        self.problem.take();
        let over = Over(Rc::clone(self));
        tokio::task::spawn_local(async move {
            if let Err(error) = act.await {
                over.0.problem.replace(Some(format!("{error:#}")));
            }
            drop(over);
        });
    }

    /// Ends when nothing goes on.
    pub(super) async fn is_over(&self) {
        loop {
            let over = self.over.notified();
            tokio::pin!(over);
            over.as_mut().enable();
            if self.doing.borrow().is_none() {
                return;
            }
            over.await;
        }
    }
}
