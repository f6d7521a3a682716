//! Hashes of passwords: argon2id (RFC 9106) with the costs of OWASP's sheet, few at a time.
//!
//! A hash costs 19 MiB and some twenty milliseconds on purpose. So at most so many are computed at once as there are
//! places, few may wait for one, for two seconds at most, and a flood of sign-ins starves nothing else. One place more is for
//! those who are known, so that a flood of strangers does not keep them out. What is stored is sealed with the master key
//! besides, so a copy of the database alone cannot be tried.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use ringfence_model::Secret;
use ringfence_second_factor::password;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// KiB of memory, passes and lanes: OWASP Password Storage Cheat Sheet, argon2id.
const COST: (u32, u32, u32) = (19 * 1_024, 2, 1);

/// How long somebody waits for a place.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many strangers may wait at once. Each holds one of the requests that the console works on, of which the rest is left for
/// everybody else; whoever comes on top is told at once that it is busy.
const WAITING_MAX: usize = 32;

/// Too many passwords are being looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being looked at: try again in some seconds")]
pub struct Busy;

/// Hashes and compares passwords.
#[derive(Debug, Clone)]
pub struct Hasher {
    places: Arc<Semaphore>,
    /// For strangers who wait for one of these.
    waiting: Arc<Semaphore>,
    /// For those who are known.
    reserved: Arc<Semaphore>,
    /// Of no password: what is compared with where there is nobody, so that it takes as long.
    nobody: Arc<str>,
}

/// The right to compute one hash.
#[derive(Debug)]
pub struct Place {
    permit: OwnedSemaphorePermit,
    nobody: Arc<str>,
}

/// Who wants a password hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Anybody at the door.
    Stranger,
    /// Somebody inside, with a code of ours, or in a browser that was inside before.
    Known,
}

impl Hasher {
    /// With so many places.
    pub fn new(places: usize) -> Self {
        let nobody = hash(&Secret::new("nobody has this password"), [0x5a; 16]);
        Self {
            places: Arc::new(Semaphore::new(places.max(1))),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            reserved: Arc::new(Semaphore::new(1)),
            nobody: nobody.expose().into(),
        }
    }

    /// Whether there is a place, or one to wait for it.
    pub fn has_room(&self, asks: Asks) -> Result<(), Busy> {
        let is_full = self.places.available_permits() == 0 && self.waiting.available_permits() == 0;
        if asks == Asks::Stranger && is_full { Err(Busy) } else { Ok(()) }
    }

    /// A place, once there is one. Whoever counts attempts takes it before: nobody has tried anything who found no place.
    pub async fn place(&self, asks: Asks) -> Result<Place, Busy> {
        let (places, _waits) = match (asks, Arc::clone(&self.places).try_acquire_owned()) {
            (_, Ok(permit)) => return Ok(Place { permit, nobody: Arc::clone(&self.nobody) }),
            (Asks::Stranger, Err(_)) => (&self.places, Some(self.waiting.try_acquire().map_err(|_| Busy)?)),
            (Asks::Known, Err(_)) => (&self.reserved, None),
        };
        let permit = timeout(PATIENCE, Arc::clone(places).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(Busy) };
        Ok(Place { permit, nobody: Arc::clone(&self.nobody) })
    }

    /// The hash of a password, with this salt.
    pub async fn hash(&self, password: &Secret, salt: [u8; 16]) -> Result<Secret, Busy> {
        let password = normal(password);
        self.place(Asks::Known).await?.run(move || hash(&password, salt)).await
    }
}

impl Place {
    /// Whether it is the password of this hash. Without a hash it is not, and that takes as long to say.
    pub async fn is(self, password: &Secret, of: Option<&Secret>) -> Result<bool, Busy> {
        let (password, is_somebody) = (normal(password), of.is_some());
        let of = of.cloned().unwrap_or_else(|| Secret::new(&*self.nobody));
        let is_it = self
            .run(move || argon2().verify_password(password.expose().as_bytes(), of.expose()).is_ok())
            .await?;
        Ok(is_it && is_somebody)
    }

    async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let done = tokio::task::spawn_blocking(move || {
            // A test counts these: whoever is not there costs as many.
            tracing::trace!("a hash is computed");
            let done = work();
            drop(self.permit);
            done
        });
        // Only a runtime that ends gives up what it was handed.
        done.await.map_err(|_| Busy)
    }
}

/// The same password, however a keyboard composes its letters.
fn normal(password: &Secret) -> Secret {
    Secret::new(&**password::normal(password.expose()))
}

fn argon2() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).expect("the costs are within what argon2 allows");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &Secret, salt: [u8; 16]) -> Secret {
    let hash = argon2().hash_password_with_salt(password.expose().as_bytes(), &salt);
    Secret::new(hash.expect("19 MiB can be had, and the salt has its length").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text)
    }

    async fn is(hasher: &Hasher, password: &str, of: Option<&Secret>) -> Result<bool, Busy> {
        hasher.place(Asks::Stranger).await?.is(&secret(password), of).await
    }

    #[tokio::test]
    async fn only_the_password_itself_is_it() {
        let hasher = Hasher::new(2);
        let hash = hasher.hash(&secret("tulip cement orbit"), [7; 16]).await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(is(&hasher, "tulip cement orbit", Some(&hash)).await.unwrap());
        for wrong in ["", "tulip cement orbi", "tulip cement orbit ", "Tulip cement orbit"] {
            assert!(!is(&hasher, wrong, Some(&hash)).await.unwrap(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_password_is_the_same_however_a_keyboard_composes_it() {
        let hasher = Hasher::new(2);
        let hash = hasher.hash(&secret("Z\u{fc}rich im Regen"), [7; 16]).await.unwrap();
        assert!(is(&hasher, "Zu\u{308}rich im Regen", Some(&hash)).await.unwrap());
        assert!(!is(&hasher, "Zurich im Regen", Some(&hash)).await.unwrap());
    }

    #[tokio::test]
    async fn nobody_has_any_password() {
        let hasher = Hasher::new(2);
        assert!(!is(&hasher, "nobody has this password", None).await.unwrap());
        assert!(!is(&hasher, "x", Some(&secret("no hash at all"))).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_finds_no_place_is_told_to_come_again() {
        let hasher = Hasher::new(1);
        let held = hasher.place(Asks::Stranger).await.unwrap();
        assert_eq!(is(&hasher, "x", None).await, Err(Busy));
        drop(held);
        assert_eq!(is(&hasher, "x", None).await, Ok(false));
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_strangers_wait_and_whoever_comes_on_top_is_told_at_once() {
        let hasher = Arc::new(Hasher::new(1));
        let held = hasher.place(Asks::Stranger).await.unwrap();
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..WAITING_MAX {
            let hasher = Arc::clone(&hasher);
            waiting.spawn(async move { is(&hasher, "x", None).await });
        }
        tokio::task::yield_now().await;
        let asked = tokio::time::Instant::now();
        assert_eq!(is(&hasher, "x", None).await, Err(Busy));
        assert_eq!(asked.elapsed(), Duration::ZERO);
        assert_eq!((hasher.has_room(Asks::Stranger), hasher.has_room(Asks::Known)), (Err(Busy), Ok(())));
        drop(held);
        // Those who waited get their turn, and so does whoever comes after them.
        while let Some(waited) = waiting.join_next().await {
            assert_eq!(waited.unwrap(), Ok(false));
        }
        assert_eq!(hasher.has_room(Asks::Stranger), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_strangers_leaves_a_place_for_those_who_are_known() {
        let hasher = Hasher::new(1);
        let flood = hasher.place(Asks::Stranger).await.unwrap();
        let known = hasher.place(Asks::Known).await.unwrap();
        assert!(hasher.place(Asks::Known).await.is_err(), "they wait for each other as well");
        assert_eq!(known.is(&secret("x"), None).await, Ok(false));
        drop(flood);
    }
}
