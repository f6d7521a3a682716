//! Nodes that die while something about a sign-in is changed: what was changed was told, wherever that was.

use std::future::poll_fn;
use std::task::Poll;

use jiff::SignedDuration;
use ringfence_control::people::{Rules, Step};
use ringfence_second_factor::policy::{Demands, Policy, Strength};
use ringfence_store::{Grant, Lock, NewPasskey, Purpose, Role, Session};
use ringfence_testkit::authenticator::{Authenticator, Made};

use crate::house::{Bound, House, PASSWORD, account, everywhere, home, operator, secret};

const HOST: &str = "console.example";

/// What was asked for, as far as it came until the node died: it was polled so often, and never again.
pub(crate) async fn until_a_crash<T>(asked: impl Future<Output = T>, polls: usize) -> Option<T> {
    let (mut asked, mut left) = (Box::pin(asked), polls);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        asked.as_mut().poll(context).map(Some)
    })
    .await
}

/// How many letters about a change there are, after everything that was begun in the store has ended. They are gone then.
async fn letters(house: &House) -> usize {
    letters_about(house, "Your sign-in was changed").await
}

/// The same with this subject.
async fn letters_about(house: &House, subject: &str) -> usize {
    let now = house.people.now();
    let life = house.store.join("one", "h", now).await.unwrap();
    let claims = house.store.claim_effects(&life, "letter", 99, now, now).await.unwrap();
    let mut letters = 0;
    for claim in claims {
        letters += usize::from(claim.effect.payload["subject"] == subject);
        house.store.complete_effect(&operator(), &claim, now).await.unwrap();
    }
    letters
}

/// Somebody inside, of whose sign-in nobody has been told anything yet.
async fn inside(house: &House, bound: &Bound) -> Session {
    let token = house.inside(bound).await;
    letters(house).await;
    house.session(&token).await
}

async fn house() -> (House, Bound) {
    let house = House::with(Rules { console_url: Some(format!("https://{HOST}")), ..Rules::default() }).await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    (house, maria)
}

#[tokio::test]
async fn wherever_a_node_dies_new_recovery_codes_are_made_only_together_with_the_letter_about_them() {
    let (house, maria) = house().await;
    let mut were = Vec::new();
    for polls in 1.. {
        let session = inside(&house, &maria).await;
        let before = codes(&house, &session).await;
        let ended = until_a_crash(house.people.new_recovery_codes(&session), polls).await;
        let told = letters(&house).await;
        let is_changed = codes(&house, &session).await != before;
        assert_eq!(told, usize::from(is_changed), "{polls} polls");
        were.push(is_changed);
        if let Some(ended) = ended {
            ended.unwrap();
            break;
        }
    }
    is_changed_at_the_end(&were);
}

#[tokio::test]
async fn wherever_a_node_dies_a_policy_is_changed_only_together_with_the_letters_to_whom_it_leaves_out() {
    let (house, maria) = house().await;
    house.set_policy(account(1), Policy::Disabled).await;
    for login in ["op@example.com", "other@example.com"] {
        let grant = Grant { place: account(1), role: Role::Operator };
        let code = secret(&house.invite(login, vec![grant]).await.code.spelled());
        let step = house.people.begin_binding(&code, &secret(PASSWORD), &home()).await.unwrap();
        let Step::Bind { token } = step else { panic!("{step:?}") };
        let session = house.session(&token).await;
        house.people.finish_binding(&token, &session, &home()).await.unwrap();
    }
    let once = Demands { policy: Policy::OncePerComputer, strength: Strength::Any };
    let mut were = Vec::new();
    for polls in 1.. {
        let session = inside(&house, &maria).await;
        house.set_policy(account(1), Policy::Disabled).await;
        let asked = house.people.set_policy(&session, account(1), once, "an audit");
        let ended = until_a_crash(asked, polls).await;
        let told = letters_about(&house, "You need another second factor").await;
        let policies = house.store.policies().await.unwrap();
        let is_changed = policies.iter().any(|set| set.place == account(1) && set.demands == once);
        assert_eq!(told, if is_changed { 2 } else { 0 }, "{polls} polls");
        were.push(is_changed);
        if let Some(ended) = ended {
            ended.unwrap();
            break;
        }
    }
    is_changed_at_the_end(&were);
}

/// The factor that the codes are, which is another one when they are made anew.
async fn codes(house: &House, session: &Session) -> Vec<String> {
    let factors = house.store.factors(&session.person.id).await.unwrap();
    factors.into_iter().map(|factor| factor.id).collect()
}

#[tokio::test]
async fn wherever_a_node_dies_a_passkey_is_bound_only_together_with_the_letter_about_it() {
    let (house, maria) = house().await;
    let mut were = Vec::new();
    for polls in 1_u32.. {
        let session = inside(&house, &maria).await;
        let authenticator = Authenticator::new(&polls.to_be_bytes(), HOST);
        let options = house.people.ask_to_make_passkey(&session).await.unwrap();
        let Made { client_data, attestation } = authenticator.makes(options["challenge"].as_str().unwrap());
        let new = NewPasskey { name: "key".to_owned(), transports: Vec::new(), client_data, attestation };
        let asked = house.people.bind_passkey(&session, new);
        let ended = until_a_crash(asked, usize::try_from(polls).unwrap()).await;
        let told = letters(&house).await;
        let bound = house.store.passkeys(&session.person.id).await.unwrap();
        assert_eq!(told, bound.len(), "{polls} polls");
        were.push(!bound.is_empty());
        if let Some(ended) = ended {
            ended.unwrap();
            break;
        }
        for passkey in bound {
            house.people.remove_factor(&session, &passkey.factor).await.unwrap();
        }
    }
    is_changed_at_the_end(&were);
}

#[tokio::test]
async fn wherever_a_node_dies_a_password_is_changed_only_together_with_the_letter_about_it() {
    let (house, maria) = house().await;
    let mut were = [Vec::new(), Vec::new()];
    for polls in 1.. {
        let session = inside(&house, &maria).await;
        let (old, new) = (secret(PASSWORD), secret("harbour violin nine"));
        let ended = until_a_crash(house.people.change_password(&session, &old, &new, &home()), polls).await;
        were[0].push(is_changed_and_told(&house, &maria, polls).await);
        if let Some(ended) = ended {
            ended.unwrap();
            break;
        }
    }
    // With a mailed link.
    for polls in 1.. {
        let (_, code) = house.people.begin_reset(&maria.login).await.unwrap().unwrap();
        let (code, new) = (secret(&code.spelled()), secret("harbour violin nine"));
        let ended = until_a_crash(house.people.reset_password(&code, &new), polls).await;
        were[1].push(is_changed_and_told(&house, &maria, polls).await);
        if let Some(ended) = ended {
            ended.unwrap();
            break;
        }
    }
    for were in were {
        is_changed_at_the_end(&were);
    }
}

/// Whether the password is another one, as the letters say too. It is the first one again then.
async fn is_changed_and_told(house: &House, maria: &Bound, polls: usize) -> bool {
    let told = letters(house).await;
    house.wait(3_600);
    let (person, hash) = house.store.person_by_login(&maria.login).await.unwrap().unwrap();
    let place = house.hasher.place(ringfence_control::people::Asks::Known).await.unwrap();
    let is_changed = !place.is(&secret(PASSWORD), hash.as_ref()).await.unwrap();
    assert_eq!(told, usize::from(is_changed), "{polls} polls");
    if is_changed {
        let (hash, told) =
            (house.hasher.hash(&secret(PASSWORD), [7; 16]).await.unwrap(), ringfence_store::Told::nobody());
        let by = operator();
        house.store.set_password(&by, &person.id, &hash, told, house.people.now()).await.unwrap();
    }
    is_changed
}

/// It died once at least, since a write waits for another task of this thread; a read may be there at the first poll.
fn is_changed_at_the_end(were: &[bool]) {
    assert!(were.len() > 1 && were.last() == Some(&true), "{were:?}");
}

#[tokio::test]
async fn wherever_a_node_dies_the_link_to_lock_is_used_up_only_together_with_the_lock() {
    let (house, maria) = house().await;
    let (person, _) = house.store.person_by_login(&maria.login).await.unwrap().unwrap();
    let (by, hour) = (operator(), SignedDuration::from_hours(1));
    let mut were = Vec::new();
    for polls in 1.. {
        let now = house.people.now();
        let code = house.store.give_out_code(&by, &person.id, Purpose::Lock, hour, now).await.unwrap();
        let code = secret(&code.spelled());
        let ended = until_a_crash(house.people.lock_by_code(&code), polls).await;
        letters(&house).await; // what was begun in the store has ended then
        let is_used = house.people.whose_code(Purpose::Lock, &code).await.unwrap().is_none();
        let is_locked = house.store.lock_person(&by, &person.id, Lock::Off, now).await.unwrap();
        assert_eq!(is_used, is_locked, "{polls} polls");
        were.push(is_locked);
        if let Some(ended) = ended {
            ended.unwrap();
            break;
        }
    }
    is_changed_at_the_end(&were);
}
