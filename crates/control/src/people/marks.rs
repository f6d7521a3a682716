//! Marks of browsers: who was inside in a browser before is counted apart when passwords are tried.
//!
//! Whoever knows a login can try passwords until there are pauses, and would keep its owner out by that. So the browser of
//! somebody who was inside keeps a mark, an HMAC of the login and of random bytes, and attempts that come with it have
//! counters of their own, which no stranger moves. It is no factor, and nothing is trusted because of it: whoever steals
//! one may try as slowly as anybody else. It is made of the login and not of the person, so it is judged before anybody
//! was looked for, and takes as long where there is nobody.

use ringfence_model::Secret;
use ringfence_second_factor::tag::TagKey;
use ringfence_store::random_salt;
use subtle::ConstantTimeEq as _;

use super::letters::hex;
use super::{People, Result};

/// What a browser's marks begin with.
pub const BEGINS: &str = "bm_";

/// What tags of them are made for: which cookie of a browser is whose, and that it is one of ours.
const OF: &str = "browser-of";
const MARK: &str = "browser-mark";

impl People {
    /// A mark for a browser in which this login is inside: `name.random.tag`, where the name is the same for each mark of
    /// the login.
    pub(super) async fn mark(&self, login: &str) -> Result<Secret> {
        let random = hex(&random_salt());
        let keys = self.store.factor_keys().await?;
        Ok(Secret::new(format!("{}.{random}.{}", name(&keys.tags, login), tag(&keys.tags, login, &random))))
    }

    /// The random part of the mark of this login among these, by which its attempts are counted.
    pub(super) async fn marked(&self, login: &str, marks: &[Secret]) -> Result<Option<String>> {
        let keys = self.store.factor_keys().await?;
        let own = name(&keys.tags, login);
        let random = |mark: &Secret| {
            let (_, rest) = mark.expose().split_once('.').filter(|(name, _)| *name == own)?;
            let (random, shown) = rest.split_once('.')?;
            let is_it = tag(&keys.tags, login, random).as_bytes().ct_eq(shown.as_bytes());
            bool::from(is_it).then(|| random.to_owned())
        };
        Ok(marks.iter().find_map(random))
    }
}

fn name(key: &TagKey, login: &str) -> String {
    let mut name = key.tag(OF, login);
    name.truncate(16);
    format!("{BEGINS}{name}")
}

fn tag(key: &TagKey, login: &str, random: &str) -> String {
    // Neither has a line break: a mark is one value of a cookie.
    key.tag(MARK, &format!("{random}\n{login}"))
}
