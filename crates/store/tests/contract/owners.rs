//! Who stays an owner of everything: somebody who is let in.

use ringfence_model::{PhoneNumber, Secret};
use ringfence_second_factor::policy::{Demands, Policy, Strength};
use ringfence_second_factor::totp::Seed;
use ringfence_store::{Because, Error, FactorSecret, Lock, Person, Role, Told, Where};

use crate::persons::{account, everywhere, factor, maria, person};
use crate::world::{World, on_both, operator, start};

on_both! {
    an_owner_whose_factor_is_not_taken_takes_nobodys_place_who_signs_in,
}

async fn an_owner_whose_factor_is_not_taken_takes_nobodys_place_who_signs_in(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let olga = person(store, "olga@example.com", vec![everywhere(Role::Owner)]).await;
    for person in [&maria, &olga] {
        store.set_password(&by, &person.id, &Secret::new("hash"), Told::nobody(), start()).await.unwrap();
    }
    factor(store, &maria, FactorSecret::Totp(Seed::new([3; 20]))).await;
    let phone = FactorSecret::Phone(PhoneNumber::parse("+14155550123").unwrap());
    factor(store, &olga, phone).await;
    let strict = |strength| Because::from(&by).under(strength);
    let goes = async |by: Because, person: &Person| {
        let refused = [
            store.set_role(by.clone(), &person.id, everywhere(Role::Operator), start()).await,
            store.remove_role(by.clone(), &person.id, Where::Everywhere, start()).await.map(drop),
            store.lock_person(by.clone(), &person.id, Lock::Out, start()).await.map(drop),
            store.remove_person(by, &person.id, start()).await,
        ];
        for refused in refused {
            assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
        }
    };
    // By the configuration, then by the policy of everything. One of an account says nothing of it.
    goes(strict(Strength::NoPhone), &maria).await;
    let demands = |strength| Demands { policy: Policy::EverySignIn, strength };
    let set = async |place, strength| {
        store.set_policy(&by, place, demands(strength), start()).await.unwrap();
    };
    set(Where::Everywhere, Strength::NoPhone).await;
    goes(strict(Strength::Any), &maria).await;
    // Whoever has saved codes alone comes as long as they last: in the place of one who is not let in, and of no other.
    store.new_recovery_codes(&by, &olga.id, Told::nobody(), start()).await.unwrap();
    goes(strict(Strength::Any), &maria).await;
    let never = person(store, "never@example.com", vec![everywhere(Role::Owner)]).await;
    set(Where::Everywhere, Strength::Any).await;
    set(account(1), Strength::PhishingResistant).await;
    store.remove_role(&by, &maria.id, Where::Everywhere, start()).await.unwrap();
    set(Where::Everywhere, Strength::NoPhone).await;
    goes(strict(Strength::Any), &olga).await;
    // Where nobody is let in any more, anybody may go.
    set(Where::Everywhere, Strength::PhishingResistant).await;
    store.remove_person(&by, &olga.id, start()).await.unwrap();
    goes(strict(Strength::Any), &never).await;
}
