//! An installation with people, and a browser each.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ringfence_control::people::{
    self, Answer, Credentials, Hasher, Invitation, Known, People, Refused, Result, Rules, Step, Visitor,
};
use ringfence_model::{Actor, Clock, Secret, Sid};
use ringfence_second_factor::policy::{Demands, Policy, Strength};
use ringfence_second_factor::totp::Seed;
use ringfence_store::{FactorSecret, Grant, Keys, Location, MasterKey, Role, Session, Store, Where};
use ringfence_testkit::ManualClock;

pub(crate) const PASSWORD: &str = "tulip cement orbit";

pub(crate) struct House {
    pub(crate) people: People,
    pub(crate) store: Arc<Store>,
    pub(crate) hasher: Hasher,
    hand: Arc<ManualClock>,
    _directory: tempfile::TempDir,
}

/// A person with a factor, and what their application shares.
pub(crate) struct Bound {
    pub(crate) login: String,
    pub(crate) seed: Seed,
    pub(crate) codes: Vec<Secret>,
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new(text)
}

pub(crate) fn operator() -> Actor {
    Actor::CommandLine("alice".to_owned())
}

pub(crate) fn account(number: u128) -> Where {
    Where::Account(Sid::new(*b"AC", number))
}

pub(crate) fn everywhere(role: Role) -> Grant {
    Grant { place: Where::Everywhere, role }
}

pub(crate) fn at(address: &str) -> Visitor {
    Visitor { address: address.to_owned(), agent: "Firefox on Linux".to_owned(), marks: Vec::new() }
}

pub(crate) fn home() -> Visitor {
    at("203.0.113.7")
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(Rules::default()).await
    }

    pub(crate) async fn with(rules: Rules) -> Self {
        Self::with_places(rules, 1).await
    }

    /// With so many places to compute hashes at: where each finds one, nobody is turned away because the machine is slow.
    pub(crate) async fn with_places(rules: Rules, places: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(directory.path().join("ringfence.db"));
        let keys = Keys::Given { current: MasterKey::from_bytes([7; 32]), previous: Vec::new() };
        let hand = ManualClock::new();
        let store = Arc::new(Store::open(&location, &keys, hand.now()).await.unwrap());
        let clock: Arc<dyn Clock> = Arc::clone(&hand) as _;
        let hasher = Hasher::new(places);
        let people = People::new(Arc::clone(&store), hasher.clone(), rules, clock);
        Self { people, store, hasher, hand, _directory: directory }
    }

    /// The same installation after a reload, with other rules.
    pub(crate) fn stricter(&self, rules: Rules) -> People {
        People::new(Arc::clone(&self.store), self.hasher.clone(), rules, self.clock())
    }

    pub(crate) fn wait(&self, seconds: u64) {
        self.hand.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.hand) as _
    }

    pub(crate) async fn invite(&self, login: &str, grants: Vec<Grant>) -> Invitation {
        people::add(&self.store, &operator(), login, grants, self.people.now()).await.unwrap()
    }

    /// Somebody with a password, an authenticator application and recovery codes.
    pub(crate) async fn bound(&self, login: &str, grants: Vec<Grant>) -> Bound {
        self.bound_with(login, PASSWORD, grants).await
    }

    pub(crate) async fn bound_with(&self, login: &str, password: &str, grants: Vec<Grant>) -> Bound {
        let invitation = self.invite(login, grants).await;
        let code = secret(&invitation.code.spelled());
        let Step::Bind { token } =
            self.people.begin_binding(&code, &secret(password), &home()).await.unwrap()
        else {
            panic!("a code leads to binding");
        };
        let session = self.session(&token).await;
        self.people.new_totp(&session).await.unwrap();
        let seed = self.seed(&invitation.person.id).await;
        let typed = secret(&seed.code_at(self.people.now()));
        self.people.confirm_totp(&session, &typed).await.unwrap();
        let codes = self.people.new_recovery_codes(&session).await.unwrap();
        let codes = codes.iter().map(|code| secret(&code.spelled())).collect();
        self.people.finish_binding(&token, &session, &home()).await.unwrap();
        // The code of this step was shown, and is not taken again.
        self.wait(30);
        Bound { login: login.to_owned(), seed, codes }
    }

    /// What an authenticator application has scanned.
    pub(crate) async fn seed(&self, person: &str) -> Seed {
        let factors = self.store.factors(person).await.unwrap();
        let mut seeds = factors.into_iter().filter_map(|factor| match factor.secret {
            FactorSecret::Totp(seed) => Some(seed),
            _ => None,
        });
        seeds.next_back().unwrap()
    }

    pub(crate) async fn session(&self, token: &Secret) -> Session {
        self.people.session(token).await.unwrap().unwrap()
    }

    pub(crate) async fn sign_in(&self, login: &str, password: &str, from: &Visitor) -> Result<Step> {
        self.sign_in_with(login, password, &Known::default(), from).await
    }

    pub(crate) async fn sign_in_with(
        &self,
        login: &str,
        password: &str,
        known: &Known,
        from: &Visitor,
    ) -> Result<Step> {
        let typed = Credentials { login: login.to_owned(), password: secret(password) };
        self.people.sign_in(&typed, known, from).await
    }

    /// The right password, and what is asked for then.
    pub(crate) async fn asked(&self, bound: &Bound, from: &Visitor) -> Secret {
        match self.sign_in(&bound.login, PASSWORD, from).await.unwrap() {
            Step::Ask { token, .. } => token,
            step => panic!("the second factor is asked for: {step:?}"),
        }
    }

    /// What the application shows now, which is not taken twice: the next time is another step.
    pub(crate) async fn show(&self, bound: &Bound, token: &Secret, trust: bool) -> (Secret, Option<Secret>) {
        let session = self.session(token).await;
        let answer = Answer::Totp(secret(&bound.seed.code_at(self.people.now())));
        let step = self.people.show(token, &session, &answer, trust, &home()).await.unwrap();
        self.wait(30);
        match step {
            Step::Inside { token, device, .. } => (token, device),
            step => panic!("inside: {step:?}"),
        }
    }

    /// The mark of a browser in which they were inside.
    pub(crate) async fn marked(&self, bound: &Bound) -> Known {
        let token = self.asked(bound, &home()).await;
        let session = self.session(&token).await;
        let answer = Answer::Totp(secret(&bound.seed.code_at(self.people.now())));
        self.wait(30);
        match self.people.show(&token, &session, &answer, false, &home()).await.unwrap() {
            Step::Inside { mark, .. } => Known { marks: vec![mark], ..Known::default() },
            step => panic!("inside: {step:?}"),
        }
    }

    /// Inside, with the second factor.
    pub(crate) async fn inside(&self, bound: &Bound) -> Secret {
        let token = self.asked(bound, &home()).await;
        self.show(bound, &token, false).await.0
    }

    /// The logins of those who have no factor that does there.
    pub(crate) async fn left_out(&self, place: Where) -> Vec<String> {
        let policies = self.store.policies().await.unwrap();
        let mut left_out = self.people.left_out(&policies).await.unwrap();
        left_out.remove(&place).unwrap_or_default().into_iter().map(|person| person.login).collect()
    }

    pub(crate) async fn set_policy(&self, place: Where, policy: Policy) {
        let demands = Demands { policy, strength: Strength::Any };
        self.store.set_policy(&operator(), place, demands, self.people.now()).await.unwrap();
    }
}

/// All of them at once.
pub(crate) async fn futures<T>(each: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = each.map(|it| Some(Box::pin(it))).collect();
    let mut done: Vec<Option<T>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (waits, done) in waiting.iter_mut().zip(&mut done) {
            if let Some(future) = waits
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                (*waits, *done) = (None, Some(value));
            }
        }
        if waiting.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// What refused it.
pub(crate) fn why<T>(result: Result<T>) -> Refused {
    match result {
        Ok(_) => panic!("it is refused"),
        Err(refused) => refused,
    }
}
