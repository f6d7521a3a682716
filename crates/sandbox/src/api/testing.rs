//! Asks the API as a test does: by path and form, with the credentials of one account, without HTTP.

mod ask;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Sid;
use ringfence_twilio::wire::Form;
use serde_json::Value;

use super::{Base, Incoming, Product, Router, operations};
use crate::settings::Settings;
use crate::world::testing::world_of;
use crate::world::{World, accounts};

pub(crate) use ask::*;

/// A world, and who asks it.
pub(crate) struct Api {
    pub(crate) world: World,
    pub(crate) main: Sid,
    router: Router,
    credentials: (String, String),
    product: Option<Product>,
}

/// An account with its token.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) sid: Sid,
    pub(crate) token: String,
}

impl Api {
    /// A new world, asked by its main account.
    pub(crate) fn new() -> Self {
        let world = world_of(1, Timestamp::from_second(1_800_000_000).unwrap(), Settings::default());
        let main = world.accounts.main();
        let mut api = Self {
            world,
            main,
            router: Router::new(operations()),
            credentials: (String::new(), String::new()),
            product: None,
        };
        api.as_main();
        api
    }

    pub(crate) fn subaccount(&mut self, name: &str) -> Credentials {
        let sid = accounts::create(&mut self.world, self.main, name.to_owned());
        self.credentials_of(sid)
    }

    pub(crate) fn credentials_of(&self, sid: Sid) -> Credentials {
        Credentials { sid, token: self.world.accounts.find(sid).unwrap().auth_token.clone() }
    }

    /// From now on the main account asks, with its present token.
    pub(crate) fn as_main(&mut self) -> &mut Self {
        let main = self.credentials_of(self.main);
        self.as_account(&main)
    }

    /// From now on this account asks.
    pub(crate) fn as_account(&mut self, account: &Credentials) -> &mut Self {
        self.as_user(&account.sid.to_string(), &account.token)
    }

    /// From now on somebody with this user name and password asks.
    pub(crate) fn as_user(&mut self, user: &str, password: &str) -> &mut Self {
        self.credentials = (user.to_owned(), password.to_owned());
        self
    }

    /// From now on this product alone is meant.
    pub(crate) fn of(&mut self, product: Product) -> &mut Self {
        self.product = Some(product);
        self
    }

    pub(crate) fn get(&mut self, path: &str) -> (u16, Value) {
        self.ask(http::Method::GET, path, &[])
    }

    pub(crate) fn post(&mut self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        self.ask(http::Method::POST, path, form)
    }

    pub(crate) fn patch(&mut self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        self.ask(http::Method::PATCH, path, form)
    }

    /// A number of the main account.
    pub(crate) fn number(&self) -> String {
        self.world.numbers.of(self.main).next().unwrap().phone_number.to_string()
    }

    pub(crate) fn delete(&mut self, path: &str) -> (u16, Value) {
        self.ask(http::Method::DELETE, path, &[])
    }

    pub(crate) fn pass_s(&mut self, seconds: i64) {
        let until = self.world.now + SignedDuration::from_secs(seconds);
        self.world.pass_time(until, false);
    }

    fn ask(&mut self, method: http::Method, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let incoming = Incoming {
            method,
            product: self.product,
            path: path.to_owned(),
            query: Form::parse(query.as_bytes()),
            form: form.iter().copied().collect(),
            credentials: Some(self.credentials.clone()),
            base: Base::Twilio,
        };
        match super::handle(&self.router, &mut self.world, incoming) {
            Ok(reply) => (reply.status, serde_json::from_slice(&reply.body).unwrap_or(Value::Null)),
            Err(refusal) => (refusal.error.status, serde_json::to_value(&refusal.error).unwrap()),
        }
    }
}

/// Status and code of a refusal.
pub(crate) fn error((status, body): (u16, Value)) -> (u16, u64) {
    (status, body["code"].as_u64().unwrap_or_else(|| panic!("no error: {status} {body}")))
}
