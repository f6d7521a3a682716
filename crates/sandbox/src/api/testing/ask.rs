//! The same as functions, for tests that hold a world of their own.

use http::Method;
use ringfence_model::Sid;
use ringfence_twilio::wire::Form;
use serde_json::Value;

use crate::api::{Base, Incoming, Refusal, Reply, Router, handle, operations};
use crate::world::World;

/// Who asks: user name and password.
pub(crate) type Credentials = fn(&World) -> (String, String);

/// The main account with its auth token.
pub(crate) fn as_main(world: &World) -> (String, String) {
    credentials_of(world, world.accounts.main())
}

/// An account with its auth token.
pub(crate) fn credentials_of(world: &World, account: Sid) -> (String, String) {
    let token = world.accounts.find(account).map(|account| account.auth_token.clone());
    (account.to_string(), token.unwrap_or_default())
}

/// A request with a form, as an SDK sends it; the product is found by the path.
pub(crate) fn ask(
    world: &mut World,
    credentials: (String, String),
    method: Method,
    target: &str,
    form: &[(&str, &str)],
) -> Result<Reply, Refusal> {
    let router = Router::new(operations());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let incoming = Incoming {
        method,
        product: None,
        path: path.to_owned(),
        query: Form::parse(query.as_bytes()),
        form: form.iter().copied().collect(),
        credentials: Some(credentials),
        base: Base::Own("http://127.0.0.1:4010".to_owned()),
    };
    handle(&router, world, incoming)
}

/// What a GET shows that must succeed.
pub(crate) fn get(world: &mut World, who: Credentials, target: &str) -> Value {
    let credentials = who(world);
    body(ask(world, credentials, Method::GET, target, &[]))
}

/// What a POST shows that must succeed.
pub(crate) fn post(world: &mut World, who: Credentials, target: &str, form: &[(&str, &str)]) -> Value {
    let credentials = who(world);
    body(ask(world, credentials, Method::POST, target, form))
}

/// The code of the error of a POST that must be refused.
pub(crate) fn refused(
    world: &mut World,
    who: Credentials,
    target: &str,
    form: &[(&str, &str)],
) -> (u16, u32) {
    let credentials = who(world);
    match ask(world, credentials, Method::POST, target, form) {
        Ok(reply) => panic!("{target} was carried out: {}", String::from_utf8_lossy(&reply.body)),
        Err(refusal) => (refusal.error.status, refusal.error.code),
    }
}

/// The JSON of an answer that says yes.
pub(crate) fn body(answer: Result<Reply, Refusal>) -> Value {
    let reply = answer.unwrap_or_else(|refusal| panic!("refused: {:?}", refusal.error));
    serde_json::from_slice(&reply.body).unwrap_or(Value::Null)
}
