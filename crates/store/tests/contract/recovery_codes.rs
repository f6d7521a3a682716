use ringfence_second_factor::failures::Rule;
use ringfence_second_factor::recovery::RecoveryCode;
use ringfence_store::Told;

use crate::persons::{maria, person};
use crate::world::{World, all, on_both, operator, start};

on_both! {
    a_recovery_code_is_good_once_and_for_its_owner,
    new_recovery_codes_take_the_place_of_the_old,
}

async fn a_recovery_code_is_good_once_and_for_its_owner(world: World) {
    let (store, by) = (&world.store, operator());
    let (maria, other) = (maria(store).await, person(store, "o@example.com", vec![]).await);
    let codes = store.new_recovery_codes(&by, &maria.id, Told::nobody(), start()).await.unwrap();
    store.new_recovery_codes(&by, &other.id, Told::nobody(), start()).await.unwrap();
    let own = store.factors(&maria.id).await.unwrap().pop().unwrap();
    let foreign = store.factors(&other.id).await.unwrap().pop().unwrap();
    let code = RecoveryCode::typed(&codes[0].spelled()).unwrap();
    assert_eq!(
        store.use_recovery_code(&by, &foreign, &code, Told::nobody(), start()).await.unwrap(),
        Ok(false)
    );
    let uses = all((0..4).map(|_| store.use_recovery_code(&by, &own, &code, Told::nobody(), start()))).await;
    assert_eq!(uses.iter().filter(|it| matches!(it, Ok(Ok(true)))).count(), 1, "{uses:?}");
    assert_eq!(store.recovery_codes_left(&maria.id).await.unwrap(), 9);
    assert_eq!(store.recovery_codes_left(&other.id).await.unwrap(), 10);
}

async fn new_recovery_codes_take_the_place_of_the_old(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let old = store.new_recovery_codes(&by, &maria.id, Told::nobody(), start()).await.unwrap();
    let subject = store.factors(&maria.id).await.unwrap()[0].subject();
    store.count_attempt(&subject, Rule::Person, start()).await.unwrap().unwrap();
    store.new_recovery_codes(&by, &maria.id, Told::nobody(), start()).await.unwrap();
    assert_eq!(store.failures(&subject).await.unwrap().count, 0, "nothing is left of those of before");
    let factors = store.factors(&maria.id).await.unwrap();
    assert_eq!(factors.len(), 1);
    let used = store.use_recovery_code(&by, &factors[0], &old[0], Told::nobody(), start()).await.unwrap();
    assert_eq!((used, store.recovery_codes_left(&maria.id).await.unwrap()), (Ok(false), 10));
}
