use ringfence_model::{Secret, Sid};
use ringfence_store::{
    Added, BreakerChange, Error, NewLimit, NewToken, NewTrigger, Seen, SeenAccount, Step, Wanted, Wish,
    WishedBy,
};
use serde_json::json;

use crate::world::{World, after, on_both, operator, start};

on_both! {
    an_account_that_nobody_saw_cannot_be_wanted,
    accounts_follow_what_twilio_says,
    a_list_that_is_not_complete_makes_nobody_gone,
    a_token_that_an_answer_lacks_is_kept,
    times_that_an_answer_lacks_are_kept,
    what_was_taken_first_is_what_is_given_back,
    a_wish_is_written_with_the_step_that_leads_to_it,
    limits_are_applied_as_a_difference,
    triggers_are_ours_only_once_and_fire_once_a_period,
    a_token_opens_only_while_it_is_good,
}

fn sid(number: u128) -> Sid {
    Sid::new(*b"AC", number)
}

fn seen(number: u128, status: &str) -> SeenAccount {
    let parent = (number != 1).then(|| sid(1));
    let friendly_name = format!("Customer {number}");
    SeenAccount {
        sid: sid(number),
        parent,
        friendly_name,
        status: status.into(),
        auth_token: None,
        created: None,
        changed: None,
    }
}

fn suspended() -> Wanted {
    Wanted::Suspended(Wish {
        by: WishedBy::Limit("daily".into()),
        reason: "over $50".into(),
        since: after(3),
    })
}

async fn an_account_that_nobody_saw_cannot_be_wanted(world: World) {
    let refused = world.store.want_account(&operator(), sid(9), suspended(), start()).await.unwrap_err();
    assert!(matches!(refused, Error::Missing { .. }), "{refused:?}");
    assert_eq!(world.store.find_account(sid(9)).await.unwrap(), None);
}

async fn accounts_follow_what_twilio_says(world: World) {
    let store = &world.store;
    let first = vec![seen(1, "active"), seen(2, "active"), seen(3, "active")];
    let outcome = store.synchronise_accounts(&operator(), first.clone(), true, start()).await.unwrap();
    assert_eq!(outcome.new, [sid(1), sid(2), sid(3)]);
    let quiet = store.synchronise_accounts(&operator(), first, true, after(1)).await.unwrap();
    assert_eq!(quiet, ringfence_store::Synchronised::default());
    let rows = store.audit_rows(None, None, 99).await.unwrap().len();
    assert_eq!(rows, 4, "the beginning and three new ones");

    let second = vec![seen(1, "active"), seen(2, "suspended")];
    let outcome = store.synchronise_accounts(&operator(), second, true, after(2)).await.unwrap();
    assert_eq!(outcome.changed, [(sid(2), "active".to_owned(), "suspended".to_owned())]);
    assert_eq!(outcome.gone, [sid(3)]);
    let gone = store.find_account(sid(3)).await.unwrap().unwrap();
    assert_eq!((gone.gone_at, gone.last_seen), (Some(after(2)), start()), "seen, to the hour");

    let third = vec![seen(1, "active"), seen(2, "suspended"), seen(3, "active")];
    let outcome = store.synchronise_accounts(&operator(), third, true, after(3)).await.unwrap();
    assert_eq!((outcome.new, outcome.gone), (vec![sid(3)], vec![]));
    let back = store.find_account(sid(3)).await.unwrap().unwrap();
    assert_eq!((back.gone_at, back.first_seen), (None, start()));
    let names: Vec<_> = store.accounts().await.unwrap().into_iter().map(|it| it.friendly_name).collect();
    assert_eq!(names, ["Customer 1", "Customer 2", "Customer 3"]);
}

async fn a_list_that_is_not_complete_makes_nobody_gone(world: World) {
    let store = &world.store;
    store
        .synchronise_accounts(&operator(), vec![seen(1, "active"), seen(2, "active")], true, start())
        .await
        .unwrap();
    let outcome =
        store.synchronise_accounts(&operator(), vec![seen(1, "active")], false, after(1)).await.unwrap();
    assert_eq!(outcome.gone, []);
    assert_eq!(store.find_account(sid(2)).await.unwrap().unwrap().gone_at, None);
}

async fn a_token_that_an_answer_lacks_is_kept(world: World) {
    let store = &world.store;
    let with = |token: &str| SeenAccount { auth_token: Some(Secret::new(token)), ..seen(2, "active") };
    for (account, expected) in [(with("one"), "one"), (seen(2, "active"), "one"), (with("two"), "two")] {
        store.synchronise_accounts(&operator(), vec![account], true, start()).await.unwrap();
        let kept = store.find_account(sid(2)).await.unwrap().unwrap();
        assert_eq!(kept.auth_token, Some(Secret::new(expected)));
    }
    let rows = store.audit_rows(Some(&format!("account {}", sid(2))), None, 9).await.unwrap();
    let actions: Vec<_> = rows.iter().map(|row| row.action.as_str()).collect();
    assert_eq!(actions, ["account.token", "account.new"]);
}

async fn times_that_an_answer_lacks_are_kept(world: World) {
    let store = &world.store;
    let with = |created, changed| SeenAccount { created, changed, ..seen(2, "active") };
    for (account, created, changed) in [
        (with(None, None), start(), None),
        (with(Some(after(-99)), Some(after(-9))), after(-99), Some(after(-9))),
        (with(None, None), after(-99), Some(after(-9))),
        (with(None, Some(after(-1))), after(-99), Some(after(-1))),
    ] {
        store.synchronise_accounts(&operator(), vec![account], true, start()).await.unwrap();
        let kept = store.find_account(sid(2)).await.unwrap().unwrap();
        assert_eq!((kept.created, kept.changed_at, kept.first_seen), (created, changed, start()));
    }
}

async fn what_was_taken_first_is_what_is_given_back(world: World) {
    let store = &world.store;
    assert_eq!(store.find_taken(sid(2), "geo").await.unwrap(), None);
    assert!(!store.give_back(&operator(), sid(2), "geo", start()).await.unwrap());
    for (value, expected) in [(json!(["DE", "AT"]), Added::New), (json!([]), Added::Before)] {
        let kept = store.keep_taken(&operator(), sid(2), "geo", value, start()).await.unwrap();
        assert_eq!(kept, expected);
        assert_eq!(store.find_taken(sid(2), "geo").await.unwrap(), Some(json!(["DE", "AT"])));
    }
    assert_eq!(store.find_taken(sid(2), "keys").await.unwrap(), None);
    assert_eq!(store.find_taken(sid(3), "geo").await.unwrap(), None);

    assert!(store.give_back(&operator(), sid(2), "geo", after(1)).await.unwrap());
    assert!(!store.give_back(&operator(), sid(2), "geo", after(2)).await.unwrap());
    let rows = store.audit_rows(Some(&format!("account {}", sid(2))), None, 9).await.unwrap();
    let noted: Vec<_> = rows.iter().map(|row| (row.action.as_str(), row.detail["what"].as_str())).collect();
    assert_eq!(noted, [("account.give-back", Some("geo")), ("account.take", Some("geo"))]);
    let again = store.keep_taken(&operator(), sid(2), "geo", json!(["CH"]), after(3)).await.unwrap();
    assert_eq!(again, Added::New);
    assert_eq!(store.find_taken(sid(2), "geo").await.unwrap(), Some(json!(["CH"])));
}

async fn a_wish_is_written_with_the_step_that_leads_to_it(world: World) {
    let store = &world.store;
    store.synchronise_accounts(&operator(), vec![seen(2, "active")], true, start()).await.unwrap();
    let change = |version| BreakerChange {
        limit: "daily".into(),
        subject: sid(2).to_string(),
        version,
        state: json!("Tripped"),
        audit: None,
        seen: None,
    };
    let wants = vec![(sid(2), suspended())];
    let late = Step { changes: vec![change(5)], wants: wants.clone(), ..Step::default() };
    assert!(store.step(&operator(), late, start()).await.unwrap_err().is_conflict());
    assert_eq!(store.find_account(sid(2)).await.unwrap().unwrap().wanted, Wanted::AsItIs);

    let step = Step { changes: vec![change(0)], wants, ..Step::default() };
    store.step(&operator(), step, after(3)).await.unwrap();
    assert_eq!(store.find_account(sid(2)).await.unwrap().unwrap().wanted, suspended());
    for by in [WishedBy::Operator, WishedBy::Twilio] {
        let wanted = Wanted::Active(Wish { by, reason: "paid\0".into(), since: after(4) });
        store.want_account(&operator(), sid(2), wanted.clone(), after(4)).await.unwrap();
        let Wanted::Active(kept) = store.find_account(sid(2)).await.unwrap().unwrap().wanted else {
            panic!()
        };
        assert_eq!((kept.reason.as_str(), kept.since), ("paid\u{fffd}", after(4)));
    }
    store.want_account(&operator(), sid(2), Wanted::AsItIs, after(5)).await.unwrap();
    assert_eq!(store.find_account(sid(2)).await.unwrap().unwrap().wanted, Wanted::AsItIs);
}

async fn limits_are_applied_as_a_difference(world: World) {
    let store = &world.store;
    let since = |hash: &str| if hash == "2" { after(7) } else { start() };
    let limit = |name: &str, hash: &str| NewLimit {
        name: name.into(),
        definition: json!({ "threshold": hash }),
        hash: hash.into(),
        since: since(hash),
    };
    let outcome = store
        .apply_limits(&operator(), vec![limit("a", "1"), limit("b", "1"), limit("c", "1")], start())
        .await
        .unwrap();
    assert_eq!(outcome.added, ["a", "b", "c"]);
    let second = vec![limit("a", "1"), limit("b", "2"), limit("d", "1")];
    let outcome = store.apply_limits(&operator(), second, after(1)).await.unwrap();
    assert_eq!(
        (outcome.added, outcome.changed, outcome.removed),
        (vec!["d".into()], vec!["b".into()], vec!["c".into()])
    );
    let applied = store.applied_limits().await.unwrap();
    let kept: Vec<_> = applied.iter().map(|it| (it.name.as_str(), it.hash.as_str(), it.applied_at)).collect();
    assert_eq!(kept, [("a", "1", start()), ("b", "2", after(7)), ("d", "1", start())]);
    assert_eq!(
        store.audit_rows(Some("limit b"), None, 9).await.unwrap()[0].detail["definition"]["threshold"],
        "2"
    );
}

async fn triggers_are_ours_only_once_and_fire_once_a_period(world: World) {
    let store = &world.store;
    let ours = Sid::new(*b"UT", 1);
    let trigger = NewTrigger {
        sid: ours,
        account: sid(2),
        limit: "daily".into(),
        subject: sid(2).to_string(),
        value: "50.000000".into(),
        definition: json!({ "Recurring": "daily" }),
    };
    let unknown = store.trigger_fired(&operator(), ours, "2026-11-26", start()).await.unwrap_err();
    assert!(matches!(unknown, Error::Missing { .. }));
    assert_eq!(store.add_trigger(&operator(), trigger.clone(), start()).await.unwrap(), Seen::New);
    assert_eq!(store.add_trigger(&operator(), trigger, after(1)).await.unwrap(), Seen::Before);
    for (period, expected) in
        [("2026-11-26", Seen::New), ("2026-11-26", Seen::Before), ("2026-11-27", Seen::New)]
    {
        assert_eq!(store.trigger_fired(&operator(), ours, period, after(2)).await.unwrap(), expected);
    }
    let kept = store.find_trigger(ours).await.unwrap().unwrap();
    assert_eq!(kept.fired, Some(("2026-11-27".to_owned(), after(2))));
    assert_eq!((kept.account, kept.value.as_str(), kept.created_at), (sid(2), "50.000000", start()));
    assert_eq!(store.triggers().await.unwrap(), [kept]);
    assert!(store.remove_trigger(&operator(), ours, "no longer wanted", after(3)).await.unwrap());
    assert!(!store.remove_trigger(&operator(), ours, "no longer wanted", after(3)).await.unwrap());
}

async fn a_token_opens_only_while_it_is_good(world: World) {
    let store = &world.store;
    let new = |expires_at| NewToken {
        name: "deploy".into(),
        scopes: vec!["status:read".into()],
        networks: vec!["10.0.0.0/8".into()],
        expires_at,
    };
    assert_eq!(store.find_token(&Secret::new("rf_"), start()).await.unwrap(), None);
    let (token, secret) = store.create_token(&operator(), new(Some(after(10))), start()).await.unwrap();
    assert!(secret.expose().starts_with("rf_") && secret.expose().len() == 67);
    assert_eq!(store.find_token(&secret, after(9)).await.unwrap(), Some(token.clone()));
    assert_eq!(store.find_token(&secret, after(10)).await.unwrap(), None, "it has expired");
    assert_eq!(store.find_token(&Secret::new(format!("{}0", secret.expose())), start()).await.unwrap(), None);

    let (forever, secret) = store.create_token(&operator(), new(None), after(1)).await.unwrap();
    assert_ne!(forever.id, token.id);
    assert!(store.find_token(&secret, after(999_999_999)).await.unwrap().is_some());
    store.revoke_token(&operator(), &forever.id, after(2)).await.unwrap();
    store.revoke_token(&operator(), &forever.id, after(3)).await.unwrap();
    assert_eq!(store.find_token(&secret, after(2)).await.unwrap(), None, "it is revoked");
    let known: Vec<_> = store.tokens().await.unwrap().into_iter().map(|it| it.revoked_at).collect();
    assert_eq!(known, [Some(after(2)), None]);
    assert!(matches!(store.revoke_token(&operator(), "tk_none", start()).await, Err(Error::Missing { .. })));
}
