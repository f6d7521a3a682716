//! What goes on by itself is waited for, and whoever waits is told what for.

use std::time::Duration;

use anyhow::Context;
use tokio::time::{sleep, timeout};

/// How long anything may take that goes on by itself.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// What takes longer is told of meanwhile.
const SILENCE: Duration = Duration::from_secs(1);

/// Whom somebody tells what they wait for.
pub(super) type Teller<'a> = &'a dyn Fn(&str);

/// Asks until there is an answer. Where that takes a while, `tell` hears what is waited for, once.
pub(super) async fn until<T>(
    what: &str,
    tell: Teller<'_>,
    ask: impl AsyncFn() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let asking = async {
        loop {
            match ask().await {
                Ok(None) => sleep(LOOK_AGAIN).await,
                Ok(Some(answer)) => return Ok(answer),
                Err(error) => return Err(error),
            }
        }
    };
    tokio::pin!(asking);
    if let Ok(answer) = timeout(SILENCE, &mut asking).await {
        return answer;
    }
    tell(what);
    timeout(PATIENCE, asking)
        .await
        .with_context(|| format!("not so within {} s: {what}", (SILENCE + PATIENCE).as_secs()))?
}
