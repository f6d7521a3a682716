use std::pin::pin;
use std::task::{Context, Waker};

use ringfence_signature::fields;
use ringfence_store::{Keys, Location, MasterKey};
use tokio::sync::mpsc;

use super::*;

const NOW: u64 = 1_800_000_000_123_456;

fn fired(token: &str) -> Fired {
    let account = "AC00000000000000000000000000000001";
    let trigger = "UT00000000000000000000000000000001";
    let body = format!("AccountSid={account}&UsageTriggerSid={trigger}&IdempotencyToken={token}");
    Fired::read(fields(body.as_bytes())).unwrap()
}

fn key(token: &str) -> String {
    fired(token).into_observation().key
}

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

fn given(store: Store) -> Arc<dyn Fn() -> Option<Arc<Store>> + Send + Sync> {
    let store = Arc::new(store);
    Arc::new(move || Some(Arc::clone(&store)))
}

/// A taker on a new SQLite file, and the times that it woke somebody.
async fn taker() -> (Taker, mpsc::UnboundedReceiver<()>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(folder.path().join("ringfence.db"));
    let store = Store::open(
        &location,
        &Keys::Given { current: MasterKey::from_bytes([7; 32]), previous: vec![] },
        timestamp(NOW),
    )
    .await
    .unwrap();
    let (sender, woken) = mpsc::unbounded_channel();
    let woken_by = Arc::new(move || sender.send(()).unwrap());
    (Taker::new(Intake { store: given(store), woken: woken_by }), woken, folder)
}

#[tokio::test]
async fn while_the_store_is_not_there_yet_nothing_is_taken_and_the_sender_comes_again() {
    let taker = Taker::new(Intake { store: Arc::new(|| None), woken: Arc::new(|| panic!("for nothing")) });
    let kept = taker.keep(fired("a"), NOW, soon(), ()).await;
    assert!(matches!(kept, Err(NotKept::NoStore)));
    assert_eq!(answer("/triggers", kept).1.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn without_a_place_nothing_is_stored_and_with_one_again_it_is() {
    let (taker, _woken, _folder) = taker().await;
    let all = u32::try_from(PLACES).unwrap();
    let taken = Arc::clone(&taker.places).try_acquire_many_owned(all).unwrap();
    assert!(matches!(taker.keep(fired("a"), NOW, soon(), ()).await, Err(NotKept::Overloaded)));
    assert_eq!((taker.intake.store)().unwrap().find_observation(&key("a")).await.unwrap(), None);
    drop(taken);
    assert_eq!(taker.keep(fired("a"), NOW, soon(), ()).await.unwrap(), Seen::New);
    assert_eq!(taker.places.available_permits(), PLACES);
}

#[tokio::test]
async fn a_caller_who_hangs_up_takes_nothing_along() {
    let (taker, mut woken, _folder) = taker().await;
    let (held, mut let_go) = mpsc::channel::<()>(1);
    {
        let mut keep = pin!(taker.keep(fired("a"), NOW, soon(), held));
        assert!(keep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!(woken.recv().await, Some(()));
    let stored = (taker.intake.store)().unwrap().find_observation(&key("a")).await.unwrap().unwrap();
    assert_eq!(stored.received_at, timestamp(NOW));
    assert_eq!(let_go.recv().await, None, "what it held to its end is let go");
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_not_a_200() {
    let (taker, mut woken, _folder) = taker().await;
    // Over already: timers count in milliseconds, in one of which a fast disk has written it.
    let over = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
    let kept = taker.keep(fired("a"), NOW, over, ()).await;
    assert!(matches!(kept, Err(NotKept::TooSlow)));
    woken.recv().await.unwrap();
    assert_eq!(taker.keep(fired("a"), NOW, soon(), ()).await.unwrap(), Seen::Before, "it is known again");
}

#[test]
fn a_clock_that_is_far_off_is_no_panic() {
    for micros in [0, u64::MAX, NOW] {
        assert!(timestamp(micros) >= Timestamp::UNIX_EPOCH);
    }
}
