//! What is kept of requests: written on the control plane's threads, and shown by the console.

use std::sync::Arc;

use ringfence_console::Requests;
use ringfence_gateway::settings::Inspect;
use ringfence_gateway::{Keeper, Verdicts};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Shared;
use crate::control_plane;

/// The one who writes.
pub(super) struct Keeping {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Keeping {
    /// Writes what is left, for some seconds at most.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "what is kept of requests was not written by anybody any more");
        }
    }
}

/// Sets it to work.
pub(super) fn keep(runtime: &Runtime, shared: &Arc<Shared>, keeper: Keeper) -> Keeping {
    let (stop, stopped) = watch::channel(false);
    let shared = Arc::clone(shared);
    let store = move || shared.store.get().cloned();
    let task = runtime.spawn(keeper.run(store, control_plane::name_of_node(), stopped));
    Keeping { stop, task }
}

/// Where the console finds requests.
pub(super) fn seen(inspect: Inspect, shared: &Arc<Shared>) -> Requests {
    match inspect {
        Inspect::Nothing => Requests::Nowhere,
        Inspect::InMemory(_) => {
            let shared = Arc::clone(shared);
            Requests::InMemory(Arc::new(move || {
                shared.verdicts.get().and_then(Verdicts::recent).unwrap_or_default()
            }))
        }
        Inspect::InStore { .. } => Requests::InStore,
    }
}
