//! Accounts that are found while the gate runs: their webhooks pass from then on, and nobody else's do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringfence_gateway::settings::{PathRule, SignedBy, Upstream as Leads};
use ringfence_gateway::{Hooks, Keys, KnownKeys, LearntAccount, LearntSharedKey, RotatedTokens, SignedWith};
use ringfence_model::{Secret, Sid};
use ringfence_signature::{AccountKeys, Algorithm, Keyring, Signer};
use ringfence_testkit::Upstream;

use crate::world::{
    ACCOUNT, NEIGHBOUR, NEIGHBOUR_TOKEN, TOKEN, World, call, route, settings, sid, twilio, url,
    waiting_upstream, wire,
};

const NEW: &str = "AC00000000000000000000000000000003";
const NEW_TOKEN: &str = "33333333333333333333333333333333";

fn found(account: &str, parent: &str, token: &str) -> LearntAccount {
    LearntAccount {
        sid: Sid::parse(account).unwrap(),
        parent: Some(Sid::parse(parent).unwrap()),
        auth_token: Secret::new(token),
        friendly_name: String::new(),
        created: jiff::Timestamp::UNIX_EPOCH,
    }
}

fn known(accounts: Vec<LearntAccount>, rotated: Vec<RotatedTokens>) -> KnownKeys {
    KnownKeys { accounts, rotated, ..KnownKeys::default() }
}

/// A gate before an application, and what gives it keys.
async fn gate() -> (World, Keys) {
    let world = World::before(Upstream::saying("application").await, |_| {});
    let keys = world.gateway.keys();
    (world, keys)
}

async fn status(world: &World, token: &str, account: &str) -> u16 {
    let signed = Signer::token(token).form(&url("/twilio/voice"), call(account));
    world.send_signed(&signed).await.status
}

async fn accounts(world: &World) -> (i64, i64) {
    let count =
        async |source: &str| world.metric(&format!("ringfence_accounts{{source=\"{source}\"}}")).await;
    (count("configured").await, count("learnt").await)
}

#[tokio::test]
async fn a_new_account_is_refused_until_it_is_learnt_and_again_once_it_is_gone() {
    let (world, keys) = gate().await;
    assert_eq!(status(&world, NEW_TOKEN, NEW).await, 403);
    assert_eq!(world.refused("unknown_account").await, 1);
    keys.learn(vec![found(NEW, ACCOUNT, NEW_TOKEN)]);
    assert_eq!(status(&world, NEW_TOKEN, NEW).await, 200);
    assert_eq!(accounts(&world).await, (2, 1));
    keys.clone().learn(vec![]);
    assert_eq!(status(&world, NEW_TOKEN, NEW).await, 403);
    assert_eq!((world.refused("unknown_account").await, world.upstream.requests().len()), (2, 1));
    assert_eq!(accounts(&world).await, (2, 0));
}

#[tokio::test]
async fn what_is_known_at_the_start_holds_for_the_first_request() {
    let known = known(vec![found(NEW, ACCOUNT, NEW_TOKEN)], Vec::new());
    let world = World::knowing(Upstream::saying("application").await, Hooks::default(), known, |_| {});
    assert_eq!(accounts(&world).await, (2, 1));
    assert_eq!(status(&world, NEW_TOKEN, NEW).await, 200);
}

#[tokio::test]
async fn a_learnt_token_opens_no_other_account() {
    let (world, keys) = gate().await;
    keys.learn(vec![found(NEW, ACCOUNT, NEW_TOKEN)]);
    for account in [ACCOUNT, NEIGHBOUR] {
        assert_eq!(status(&world, NEW_TOKEN, account).await, 403);
    }
    for token in [TOKEN, NEIGHBOUR_TOKEN] {
        assert_eq!(status(&world, token, NEW).await, 403, "not even its parent's");
    }
    assert_eq!(world.upstream.requests().len(), 0);
}

#[tokio::test]
async fn configured_keys_hold_whatever_is_learnt() {
    let (world, keys) = gate().await;
    keys.learn(vec![found(ACCOUNT, ACCOUNT, NEW_TOKEN), found(NEIGHBOUR, NEW, NEW_TOKEN)]);
    for token in [TOKEN, NEW_TOKEN] {
        assert_eq!(status(&world, token, ACCOUNT).await, 200);
    }
    assert_eq!(status(&world, NEIGHBOUR_TOKEN, NEIGHBOUR).await, 200);
    assert_eq!(accounts(&world).await, (2, 0), "they are configured all the same");
    keys.learn(vec![]);
    assert_eq!(status(&world, TOKEN, ACCOUNT).await, 200);
    assert_eq!(status(&world, NEIGHBOUR_TOKEN, NEIGHBOUR).await, 200);
    assert_eq!(status(&world, NEW_TOKEN, ACCOUNT).await, 403);
}

#[tokio::test]
async fn a_route_that_lists_accounts_admits_no_learnt_one_besides() {
    let world = World::with(|settings| settings.routes[0].accounts = Some(vec![sid(ACCOUNT)])).await;
    world.gateway.keys().learn(vec![found(NEW, ACCOUNT, NEW_TOKEN)]);
    assert_eq!(status(&world, NEW_TOKEN, NEW).await, 403);
    assert_eq!(world.refused("account_not_allowed").await, 1);
    let listed = World::with(|settings| settings.routes[0].accounts = Some(vec![sid(NEW)])).await;
    listed.gateway.keys().learn(vec![found(NEW, ACCOUNT, NEW_TOKEN)]);
    assert_eq!(status(&listed, NEW_TOKEN, NEW).await, 200, "one that it lists it admits");
}

#[tokio::test]
async fn a_trigger_under_a_learnt_subaccount_may_be_signed_by_its_parent() {
    let world = World::with(|settings| {
        let address = settings.routes[0].upstream.address().unwrap().authority().parse().unwrap();
        let mut trigger = route(address);
        trigger.path = PathRule::Exact("/trigger".to_owned());
        trigger.upstream = Leads::Breaker;
        settings.routes.push(trigger);
    })
    .await;
    let by_parent = wire(&twilio().form(&url("/trigger"), call(NEW)));
    assert_eq!(world.send(&by_parent).await.status, 403);
    world.gateway.keys().learn(vec![found(NEW, ACCOUNT, NEW_TOKEN)]);
    assert_eq!(world.send(&by_parent).await.status, 503, "admitted, though nobody takes triggers here");
}

#[tokio::test]
async fn the_token_before_a_change_counts_for_five_minutes() {
    let (world, keys) = gate().await;
    let rotated = "44444444444444444444444444444444";
    keys.learn(vec![found(NEW, ACCOUNT, NEW_TOKEN)]);
    keys.learn(vec![found(NEW, ACCOUNT, rotated)]);
    for token in [NEW_TOKEN, rotated] {
        assert_eq!(status(&world, token, NEW).await, 200);
    }
    world.clock.advance(Duration::from_mins(5));
    keys.learn(vec![found(NEW, ACCOUNT, rotated)]);
    assert_eq!(status(&world, NEW_TOKEN, NEW).await, 403);
    assert_eq!(status(&world, rotated, NEW).await, 200);
}

#[tokio::test]
async fn a_reload_keeps_what_was_learnt_and_forgets_what_was_configured() {
    let (world, keys) = gate().await;
    keys.learn(vec![found(NEW, ACCOUNT, NEW_TOKEN)]);
    let mut changed = settings(world.upstream.address());
    changed.keyring = Keyring::new([AccountKeys::new(sid(ACCOUNT)).primary(TOKEN)]).unwrap();
    world.gateway.reload(changed).unwrap();
    assert_eq!(status(&world, NEW_TOKEN, NEW).await, 200);
    assert_eq!(status(&world, NEIGHBOUR_TOKEN, NEIGHBOUR).await, 403);
    assert_eq!(accounts(&world).await, (1, 1));
    keys.learn(vec![]);
    assert_eq!(status(&world, NEW_TOKEN, NEW).await, 403, "also of the new configuration");
    assert_eq!(status(&world, TOKEN, ACCOUNT).await, 200);
}

/// Either of them makes the snapshot that requests read, from what both of them said.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn of_reloads_and_lists_that_come_together_neither_is_lost() {
    let (world, keys) = gate().await;
    let world = Arc::new(world);
    let ended = Arc::new(AtomicBool::new(false));
    let (reloading, over) = (Arc::clone(&world), Arc::clone(&ended));
    let reloads = tokio::task::spawn_blocking(move || {
        let mut count = 0;
        while count < 200 || !over.load(Ordering::SeqCst) {
            let mut changed = settings(reloading.upstream.address());
            changed.routes[0].refusal_status =
                if count % 2 == 0 { http::StatusCode::UNAUTHORIZED } else { http::StatusCode::FORBIDDEN };
            reloading.gateway.reload(changed).unwrap();
            count += 1;
        }
        let mut last = settings(reloading.upstream.address());
        last.routes[0].refusal_status = http::StatusCode::UNAUTHORIZED;
        reloading.gateway.reload(last).unwrap();
    });
    for round in 0..100 {
        keys.learn(vec![found(NEW, ACCOUNT, NEW_TOKEN)]);
        assert_eq!(status(&world, NEW_TOKEN, NEW).await, 200, "round {round}");
        keys.learn(vec![]);
        assert_ne!(status(&world, NEW_TOKEN, NEW).await, 200, "round {round}");
    }
    ended.store(true, Ordering::SeqCst);
    reloads.await.unwrap();
    assert_eq!(status(&world, NEW_TOKEN, NEW).await, 401, "the last configuration is in force");
}

#[tokio::test]
async fn a_request_in_work_ends_by_the_keys_that_let_it_in() {
    let (go, upstream) = waiting_upstream("done").await;
    let world = World::before(upstream, |_| {});
    let keys = world.gateway.keys();
    keys.learn(vec![found(NEW, ACCOUNT, NEW_TOKEN)]);
    let request = wire(&Signer::token(NEW_TOKEN).form(&url("/twilio/voice"), call(NEW)));
    let mut client = ringfence_testkit::RawClient::connect(world.gate()).await.unwrap();
    client.send(&request).await.unwrap();
    while world.upstream.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    keys.learn(vec![]);
    go.send(true).unwrap();
    assert_eq!(client.read_response().await.unwrap().text(), "done");
    assert_eq!(client.exchange(&request).await.unwrap().status, 403);
}

#[tokio::test]
async fn keys_of_a_gate_that_has_stopped_do_nothing() {
    let (world, keys) = gate().await;
    let World { gateway, .. } = world;
    tokio::task::spawn_blocking(move || gateway.stop()).await.unwrap();
    keys.learn(vec![found(NEW, ACCOUNT, NEW_TOKEN)]);
    assert_eq!(format!("{keys:?}"), "Keys(…)");
}

/// The configured account with another token in the place of the configured one.
fn rotated(signs: &str, or: Option<&str>, is_watched: bool) -> RotatedTokens {
    RotatedTokens {
        sid: Sid::parse(ACCOUNT).unwrap(),
        ask: Secret::new(NEW_TOKEN),
        signs: Secret::new(signs),
        or: or.map(Secret::new),
        replaced: vec![Secret::new(TOKEN)],
        is_watched,
    }
}

#[tokio::test]
async fn a_token_that_was_replaced_is_refused_although_it_is_configured_and_learnt() {
    let (world, keys) = gate().await;
    let stolen = vec![found(ACCOUNT, ACCOUNT, TOKEN)];
    assert!(keys.learn_with(known(stolen.clone(), vec![rotated(NEW_TOKEN, None, false)])).is_empty());
    assert_eq!(status(&world, TOKEN, ACCOUNT).await, 403);
    assert_eq!(status(&world, NEW_TOKEN, ACCOUNT).await, 200);
    // A reload with the same configuration changes nothing about it, and nothing comes back by itself.
    world.gateway.reload(settings(world.upstream.address())).unwrap();
    assert_eq!(status(&world, TOKEN, ACCOUNT).await, 403);
    keys.learn(stolen);
    assert_eq!(status(&world, TOKEN, ACCOUNT).await, 200, "the rotation is not known any more");
}

#[tokio::test]
async fn both_tokens_pass_around_a_promotion_and_it_is_told_which_of_them_signed() {
    let (world, keys) = gate().await;
    let about_to = RotatedTokens { replaced: Vec::new(), ..rotated(TOKEN, Some(NEW_TOKEN), false) };
    assert!(keys.learn_with(known(vec![], vec![about_to])).is_empty());
    for token in [TOKEN, NEW_TOKEN] {
        assert_eq!(status(&world, token, ACCOUNT).await, 200);
    }
    assert_eq!(keys.take_signed_with(), [], "nobody watches yet");
    let promoted = RotatedTokens { replaced: Vec::new(), ..rotated(NEW_TOKEN, Some(TOKEN), true) };
    keys.learn_with(known(vec![], vec![promoted.clone()]));
    let account = Sid::parse(ACCOUNT).unwrap();
    assert_eq!(status(&world, NEIGHBOUR_TOKEN, NEIGHBOUR).await, 200);
    assert_eq!(status(&world, NEW_TOKEN, NEIGHBOUR).await, 403);
    assert_eq!(keys.take_signed_with(), [], "it was none of its requests");
    assert_eq!(status(&world, TOKEN, ACCOUNT).await, 200);
    assert_eq!(keys.take_signed_with(), [SignedWith { account, new: false, old: true }]);
    assert_eq!(status(&world, NEW_TOKEN, ACCOUNT).await, 200);
    // The same once more forgets nothing.
    keys.learn_with(known(vec![], vec![promoted]));
    assert_eq!(keys.take_signed_with(), [SignedWith { account, new: true, old: false }]);
    assert_eq!(keys.take_signed_with(), [], "it is told once");
}

#[tokio::test]
async fn an_account_with_too_many_keys_besides_is_named() {
    let mut many = AccountKeys::new(sid(ACCOUNT)).primary(TOKEN);
    for number in 0..7 {
        many = many.previous(&format!("older {number}"));
    }
    let world = World::before(Upstream::saying("application").await, |settings| {
        settings.keyring = Keyring::new([many]).unwrap();
    });
    let keys = world.gateway.keys();
    let two = RotatedTokens { replaced: Vec::new(), ..rotated(TOKEN, Some(NEW_TOKEN), false) };
    assert_eq!(keys.learn_with(known(vec![], vec![two])), [Sid::parse(ACCOUNT).unwrap()]);
}

#[tokio::test]
async fn a_token_of_a_rotation_opens_nothing_where_its_account_is_unknown_or_gone() {
    let (world, keys) = gate().await;
    let of_new = |or: Option<&str>| RotatedTokens {
        sid: Sid::parse(NEW).unwrap(),
        replaced: Vec::new(),
        ..rotated(NEW_TOKEN, or, false)
    };
    let tokens = [NEW_TOKEN, "about to be promoted"];
    let rotation = vec![of_new(Some(tokens[1]))];
    assert!(
        keys.learn_with(known(vec![], rotation.clone())).is_empty(),
        "and its rotation need not wait for this gate"
    );
    for token in tokens {
        assert_eq!(status(&world, token, NEW).await, 403, "it is not known here");
    }
    assert_eq!(accounts(&world).await, (2, 0));
    keys.learn_with(known(vec![found(NEW, ACCOUNT, NEW_TOKEN)], rotation.clone()));
    for token in tokens {
        assert_eq!(status(&world, token, NEW).await, 200);
    }
    keys.learn_with(known(vec![], rotation));
    for token in tokens {
        assert_eq!(status(&world, token, NEW).await, 403, "Twilio lists it no more");
    }
}

#[tokio::test]
async fn a_token_that_a_rotation_forgot_is_refused_at_once_although_its_promotion_was_not_seen_here() {
    let (world, keys) = gate().await;
    let (old, new) = (NEW_TOKEN, "44444444444444444444444444444444");
    let made = RotatedTokens {
        sid: Sid::parse(NEW).unwrap(),
        ask: Secret::new(new),
        replaced: Vec::new(),
        ..rotated(old, Some(new), false)
    };
    keys.learn_with(known(vec![found(NEW, ACCOUNT, old)], vec![made]));
    keys.learn_with(known(vec![found(NEW, ACCOUNT, new)], vec![]));
    assert_eq!(status(&world, old, NEW).await, 403);
    assert_eq!(status(&world, new, NEW).await, 200);
}

#[tokio::test]
async fn an_account_whose_second_token_keeps_a_key_of_its_route_from_being_tried_is_named() {
    let of = |number: u8| sid(&format!("AC{number:032x}"));
    let token = |number: u8| if number == 1 { TOKEN.to_owned() } else { format!("token of {number}") };
    let start = |accounts: u8, listed: bool| {
        let listed = listed.then(|| (1..=accounts).map(of).collect::<Vec<_>>());
        let keyring =
            Keyring::new((1..=accounts).map(|number| AccountKeys::new(of(number)).primary(&token(number))));
        World::with(move |settings| {
            settings.keyring = keyring.unwrap();
            settings.routes[0].accounts = listed;
        })
    };
    let two = || RotatedTokens { replaced: Vec::new(), ..rotated(TOKEN, Some(NEW_TOKEN), false) };
    for listed in [true, false] {
        let full = start(8, listed).await;
        let last = Signer::token(&token(8)).get(&url("/twilio/voice"));
        assert_eq!(full.send_signed(&last).await.status, 200, "a request that names nobody");
        let named = full.gateway.keys().learn_with(known(vec![], vec![two()]));
        assert_eq!(named, [Sid::parse(ACCOUNT).unwrap()], "the last one's is tried no more");
        let one = RotatedTokens { ask: Secret::new(NEW_TOKEN), ..rotated(NEW_TOKEN, None, false) };
        assert!(
            full.gateway.keys().learn_with(known(vec![], vec![one])).is_empty(),
            "one in the place of one"
        );
        // What was so before, and is warned of, holds up no rotation.
        for accounts in [7, 9] {
            let world = start(accounts, listed).await;
            assert!(world.gateway.keys().learn_with(known(vec![], vec![two()])).is_empty(), "{accounts}");
        }
    }
}

#[tokio::test]
async fn a_reload_that_brings_a_replaced_token_back_accepts_it_at_no_moment() {
    let world = World::before(Upstream::saying("application").await, |settings| {
        settings.keyring = Keyring::new([AccountKeys::new(sid(ACCOUNT)).primary(NEW_TOKEN)]).unwrap();
    });
    assert_eq!(status(&world, TOKEN, ACCOUNT).await, 403);
    let known = known(vec![], vec![rotated(NEW_TOKEN, None, false)]);
    world.gateway.reload_with(settings(world.upstream.address()), Some(known)).unwrap();
    assert_eq!(status(&world, TOKEN, ACCOUNT).await, 403);
    assert_eq!(status(&world, NEW_TOKEN, ACCOUNT).await, 200);
}

#[tokio::test]
async fn a_shared_key_counts_from_when_it_is_learnt_until_it_is_not_and_beside_the_auth_token() {
    let (world, keys) = gate().await;
    let by_key = |id: &str| {
        let signer = Signer::shared_key(id, "a secret of Twilio's", Algorithm::HmacSha256);
        signer.form(&url("/twilio/voice"), call(ACCOUNT))
    };
    assert_eq!(world.send_signed(&by_key("key1")).await.status, 403);
    assert_eq!(world.refused("unknown_shared_key").await, 1);
    let shared = ["key1", "key2"].map(|id| LearntSharedKey {
        account: Sid::parse(ACCOUNT).unwrap(),
        id: id.to_owned(),
        secret: Secret::new("a secret of Twilio's"),
        algorithm: Algorithm::HmacSha256,
    });
    assert!(keys.learn_with(KnownKeys { shared: shared.to_vec(), ..KnownKeys::default() }).is_empty());
    for id in ["key1", "key2"] {
        assert_eq!(world.send_signed(&by_key(id)).await.status, 200, "{id}");
    }
    assert_eq!(status(&world, TOKEN, ACCOUNT).await, 200);
    let weaker = Signer::shared_key("key1", "a secret of Twilio's", Algorithm::HmacSha1);
    let weaker = weaker.form(&url("/twilio/voice"), call(ACCOUNT));
    assert_eq!(world.send_signed(&weaker).await.status, 403, "the algorithm is pinned");
    let [_, second] = shared;
    keys.learn_with(KnownKeys { shared: vec![second], ..KnownKeys::default() });
    assert_eq!(world.send_signed(&by_key("key1")).await.status, 403, "it was taken back");
    assert_eq!(world.send_signed(&by_key("key2")).await.status, 200);
}

#[tokio::test]
async fn a_route_for_shared_keys_alone_refuses_what_the_auth_token_signed() {
    let world = World::before(Upstream::saying("application").await, |settings| {
        settings.routes[0].signed_by = SignedBy::SharedKey;
        let account = AccountKeys::new(sid(ACCOUNT)).primary(TOKEN);
        settings.keyring =
            Keyring::new([account.shared_key("key1", "secret", Algorithm::HmacSha256)]).unwrap();
    });
    assert_eq!(status(&world, TOKEN, ACCOUNT).await, 403);
    assert_eq!(world.refused("shared_key_required").await, 1);
    assert!(world.upstream.requests().is_empty());
    let signed = Signer::shared_key("key1", "secret", Algorithm::HmacSha256);
    let signed = signed.form(&url("/twilio/voice"), call(ACCOUNT));
    assert_eq!(world.send_signed(&signed).await.status, 200);
}
