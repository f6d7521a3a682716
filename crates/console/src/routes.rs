//! Every page and every act there is, and who may come.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use jiff::Timestamp;
use ringfence_control::engine::Engine;
use ringfence_control::people::People;
use ringfence_store::{Role, Where};

use crate::assets;
use crate::console::ConsoleSetup;
use crate::door::{self, Door};
use crate::failed::Failed;
use crate::form::Fields;
use crate::pages::{
    account, accounts, audit, breaker, credentials, incidents, keys, ledger, limits, new_key, overview,
    people, places, policies, prices, requests, security, services, shared_key, sign_out, token, trust,
};
use crate::signed_in::SignedIn;
use crate::typed::Again;

/// An answer that is being made.
pub(crate) type Running<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Failed>> + Send + 'a>>;

/// One page or act.
pub(crate) struct Route {
    pub(crate) method: Method,
    /// `{}` stands for one piece that varies.
    pub(crate) path: &'static str,
    pub(crate) run: Run,
}

/// Who may come, and what is run then.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// Everybody.
    Open(for<'a> fn(Open<'a>) -> Running<'a>),
    /// Everybody: the pages before somebody is inside.
    Door(for<'a> fn(Door<'a>) -> Running<'a>),
    /// Whoever is signed in and has the role.
    Inside(Needs, RunInside),
}

/// What is run for whoever is inside.
pub(crate) type RunInside = for<'a> fn(Call<'a>) -> Running<'a>;

/// What somebody who is signed in needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// This role at least, where they look; none where being signed in does.
    pub(crate) role: Option<Role>,
    /// Whether it must be for the whole installation.
    pub(crate) everywhere: bool,
    /// Whether it is dangerous, and wants the second factor of the last minutes.
    pub(crate) fresh: bool,
}

impl Needs {
    /// Refuses whoever has not the role where they look.
    pub(crate) fn allow(self, signed_in: &SignedIn) -> Result<(), Failed> {
        let Self { role: needs, everywhere, .. } = self;
        let role = signed_in.role();
        if everywhere && signed_in.place() != Where::Everywhere || role < needs {
            let csrf = signed_in.csrf().to_owned();
            return Err(Failed::Forbidden { needs, everywhere, role, csrf });
        }
        Ok(())
    }
}

/// A request of anybody.
pub(crate) struct Open<'a> {
    #[expect(dead_code, reason = "pages before the sign-in read it")]
    pub(crate) request: &'a Request<Bytes>,
    #[expect(dead_code, reason = "same")]
    pub(crate) query: Fields,
}

/// A request of somebody who is signed in and has the role that the route needs.
pub(crate) struct Call<'a> {
    pub(crate) console: &'a ConsoleSetup,
    pub(crate) engine: &'a Arc<Engine>,
    pub(crate) signed_in: &'a SignedIn,
    /// What they may change about people, themselves first.
    pub(crate) people: People,
    /// Whose browser it is.
    pub(crate) visitor: ringfence_control::people::Visitor,
    /// The piece of the path that varies.
    pub(crate) piece: &'a str,
    pub(crate) query: Fields,
    /// What was sent, of a form whose origin was checked.
    pub(crate) form: Fields,
    /// Why `form` has what was typed into the form of this page before, where it is to be shown again.
    pub(crate) again: Option<Again>,
    /// What they looked at when they typed something into the form of this page, where that was something else.
    pub(crate) elsewhere: Option<Where>,
    pub(crate) now: Timestamp,
}

impl Call<'_> {
    /// Has the page show what was typed into its form before.
    pub(crate) fn show_again(&mut self, typed: Fields, why: Again) {
        self.query.add(&typed);
        self.form = typed;
        self.again = Some(why);
    }
}

const fn open(path: &'static str, run: for<'a> fn(Open<'a>) -> Running<'a>) -> Route {
    Route { method: Method::GET, path, run: Run::Open(run) }
}

const fn door(method: Method, path: &'static str, run: for<'a> fn(Door<'a>) -> Running<'a>) -> Route {
    Route { method, path, run: Run::Door(run) }
}

const fn inside(
    method: Method,
    path: &'static str,
    role: Role,
    everywhere: bool,
    run: for<'a> fn(Call<'a>) -> Running<'a>,
) -> Route {
    Route { method, path, run: Run::Inside(Needs { role: Some(role), everywhere, fresh: false }, run) }
}

/// The same for what is dangerous: it gives more than it takes, or cannot be undone.
const fn dangerous(
    method: Method,
    path: &'static str,
    role: Role,
    everywhere: bool,
    run: for<'a> fn(Call<'a>) -> Running<'a>,
) -> Route {
    Route { method, path, run: Run::Inside(Needs { role: Some(role), everywhere, fresh: true }, run) }
}

use Role::{Auditor, Operator, Owner, Visitor};

/// All of them.
pub(crate) const ROUTES: &[Route] = &[
    open("/assets/console.css", assets::style),
    open("/assets/console.js", assets::script),
    open("/assets/once.js", assets::once_script),
    open("/assets/passkey.js", assets::passkey_script),
    door(Method::GET, "/sign-in", |it| Box::pin(door::ask_sign_in(it))),
    door(Method::POST, "/sign-in", |it| Box::pin(door::sign_in(it))),
    door(Method::GET, "/second-factor", |it| Box::pin(door::ask_second_factor(it))),
    door(Method::POST, "/second-factor", |it| Box::pin(door::second_factor(it))),
    door(Method::GET, "/hand-over", |it| Box::pin(door::hand_over(it))),
    door(Method::GET, "/bind", |it| Box::pin(door::ask_bind(it))),
    door(Method::POST, "/bind", |it| Box::pin(door::bind(it))),
    door(Method::GET, "/bind/factors", |it| Box::pin(door::factors(it))),
    door(Method::POST, "/bind/totp", |it| Box::pin(door::confirm(it))),
    door(Method::POST, "/second-factor/send", |it| Box::pin(door::send_code(it))),
    door(Method::POST, "/second-factor/passkey", |it| Box::pin(door::ask_for_passkey(it))),
    door(Method::POST, "/bind/passkey/options", |it| Box::pin(door::ask_to_make_passkey(it))),
    door(Method::POST, "/bind/passkey", |it| Box::pin(door::bind_passkey(it))),
    door(Method::POST, "/bind/phone", |it| Box::pin(door::add_phone(it))),
    door(Method::POST, "/bind/phone/code", |it| Box::pin(door::confirm_phone(it))),
    door(Method::POST, "/bind/codes", |it| Box::pin(door::codes(it))),
    door(Method::POST, "/bind/finish", |it| Box::pin(door::finish(it))),
    door(Method::GET, "/forgot", |it| Box::pin(ready(door::ask_forgot(&it)))),
    door(Method::POST, "/forgot", |it| Box::pin(ready(door::forgot(&it)))),
    door(Method::GET, "/reset-password", |it| Box::pin(door::ask_reset(it))),
    door(Method::POST, "/reset-password", |it| Box::pin(door::reset(it))),
    door(Method::GET, "/lock", |it| Box::pin(door::ask_lock(it))),
    door(Method::POST, "/lock", |it| Box::pin(door::lock(it))),
    door(Method::POST, "/go-to", |it| Box::pin(door::go_to(it))),
    // Whoever lost the role where they look finds where else they have one.
    Route {
        method: Method::GET,
        path: "/go-to",
        run: Run::Inside(Needs { role: None, everywhere: false, fresh: false }, |call| {
            Box::pin(places::show(call))
        }),
    },
    inside(Method::GET, "/", Auditor, false, |call| Box::pin(overview::show(call))),
    inside(Method::GET, "/accounts", Auditor, false, |call| Box::pin(accounts::show(call))),
    inside(Method::GET, "/accounts/{}", Auditor, false, |call| Box::pin(account::show(call))),
    inside(Method::GET, "/accounts/{}/suspend", Operator, false, |call| Box::pin(account::ask_suspend(call))),
    inside(Method::POST, "/accounts/{}/suspend", Operator, false, |call| Box::pin(account::suspend(call))),
    dangerous(Method::GET, "/accounts/{}/resume", Operator, false, |call| {
        Box::pin(account::ask_resume(call))
    }),
    dangerous(Method::POST, "/accounts/{}/resume", Operator, false, |call| Box::pin(account::resume(call))),
    dangerous(Method::GET, "/accounts/{}/token/rotate", Owner, false, |call| {
        Box::pin(token::ask_rotate(call))
    }),
    dangerous(Method::POST, "/accounts/{}/token/rotate", Owner, false, |call| Box::pin(token::rotate(call))),
    dangerous(Method::GET, "/accounts/{}/token/undo", Owner, false, |call| Box::pin(token::ask_undo(call))),
    dangerous(Method::POST, "/accounts/{}/token/undo", Owner, false, |call| Box::pin(token::undo(call))),
    dangerous(Method::GET, "/accounts/{}/shared-key/rotate", Owner, false, |call| {
        Box::pin(shared_key::ask_rotate(call))
    }),
    dangerous(Method::POST, "/accounts/{}/shared-key/rotate", Owner, false, |call| {
        Box::pin(shared_key::rotate(call))
    }),
    dangerous(Method::GET, "/accounts/{}/shared-key/undo", Owner, false, |call| {
        Box::pin(shared_key::ask_undo(call))
    }),
    dangerous(Method::POST, "/accounts/{}/shared-key/undo", Owner, false, |call| {
        Box::pin(shared_key::undo(call))
    }),
    dangerous(Method::GET, "/accounts/{}/shared-key/apply", Owner, false, |call| {
        Box::pin(shared_key::ask_apply(call))
    }),
    dangerous(Method::POST, "/accounts/{}/shared-key/apply", Owner, false, |call| {
        Box::pin(shared_key::apply(call))
    }),
    inside(Method::GET, "/accounts/{}/ledger", Auditor, false, |call| Box::pin(ledger::of_account(call))),
    inside(Method::GET, "/accounts/{}/prices", Auditor, false, |call| Box::pin(prices::of_account(call))),
    inside(Method::GET, "/ledger", Auditor, false, |call| Box::pin(ledger::show(call))),
    inside(Method::GET, "/incidents", Auditor, false, |call| Box::pin(incidents::show(call))),
    inside(Method::GET, "/incident", Auditor, false, |call| Box::pin(incidents::one(call))),
    inside(Method::GET, "/prices", Auditor, false, |call| Box::pin(prices::show(call))),
    inside(Method::GET, "/breakers/trip", Operator, false, |call| Box::pin(breaker::ask_trip(call))),
    inside(Method::POST, "/breakers/trip", Operator, false, |call| Box::pin(breaker::trip(call))),
    dangerous(Method::GET, "/breakers/reset", Operator, false, |call| Box::pin(breaker::ask_reset(call))),
    dangerous(Method::POST, "/breakers/reset", Operator, false, |call| Box::pin(breaker::reset(call))),
    inside(Method::GET, "/limits", Auditor, false, |call| Box::pin(limits::show(call))),
    inside(Method::GET, "/limits/plan", Auditor, true, |call| Box::pin(limits::plan(call))),
    inside(Method::GET, "/requests", Auditor, false, |call| Box::pin(requests::show(call))),
    dangerous(Method::GET, "/requests/purge", Owner, true, |call| Box::pin(requests::ask_purge(call))),
    dangerous(Method::POST, "/requests/purge", Owner, true, |call| Box::pin(requests::purge(call))),
    inside(Method::GET, "/services", Auditor, true, |call| Box::pin(services::show(call))),
    dangerous(Method::GET, "/services/resume", Operator, true, |call| Box::pin(services::ask_resume(call))),
    dangerous(Method::POST, "/services/resume", Operator, true, |call| Box::pin(services::resume(call))),
    inside(Method::GET, "/audit", Auditor, false, |call| Box::pin(audit::show(call))),
    inside(Method::GET, "/audit/verify", Auditor, true, |call| Box::pin(audit::verify(call))),
    inside(Method::GET, "/keys", Owner, false, |call| Box::pin(keys::show(call))),
    dangerous(Method::GET, "/keys/new", Owner, false, |call| Box::pin(ready(new_key::ask(&call)))),
    dangerous(Method::POST, "/keys/new", Owner, false, |call| Box::pin(new_key::make(call))),
    dangerous(Method::GET, "/keys/{}/revoke", Owner, false, |call| Box::pin(keys::ask_revoke(call))),
    dangerous(Method::POST, "/keys/{}/revoke", Owner, false, |call| Box::pin(keys::revoke(call))),
    inside(Method::GET, "/credentials", Owner, true, |call| Box::pin(credentials::show(call))),
    dangerous(Method::GET, "/credentials/{}/revoke", Owner, true, |call| {
        Box::pin(credentials::ask_revoke(call))
    }),
    dangerous(Method::POST, "/credentials/{}/revoke", Owner, true, |call| {
        Box::pin(credentials::revoke(call))
    }),
    dangerous(Method::GET, "/people", Owner, true, |call| Box::pin(people::show(call))),
    dangerous(Method::POST, "/people", Owner, true, |call| Box::pin(people::add(call))),
    dangerous(Method::GET, "/people/{}", Owner, true, |call| Box::pin(people::person(call))),
    dangerous(Method::POST, "/people/{}/role", Owner, true, |call| Box::pin(people::set_role(call))),
    dangerous(Method::GET, "/people/{}/remove-role", Owner, true, |call| {
        Box::pin(people::ask_remove_role(call))
    }),
    dangerous(Method::POST, "/people/{}/remove-role", Owner, true, |call| {
        Box::pin(people::remove_role(call))
    }),
    dangerous(Method::GET, "/people/{}/lock", Owner, true, |call| Box::pin(people::ask_lock(call))),
    dangerous(Method::POST, "/people/{}/lock", Owner, true, |call| Box::pin(people::lock(call))),
    dangerous(Method::GET, "/people/{}/reset", Owner, true, |call| Box::pin(people::ask_reset(call))),
    dangerous(Method::POST, "/people/{}/reset", Owner, true, |call| Box::pin(people::reset(call))),
    dangerous(Method::GET, "/people/{}/remove-passkey", Owner, true, |call| {
        Box::pin(people::ask_remove_passkey(call))
    }),
    dangerous(Method::POST, "/people/{}/remove-passkey", Owner, true, |call| {
        Box::pin(people::remove_passkey(call))
    }),
    dangerous(Method::GET, "/people/{}/end-devices", Owner, true, |call| {
        Box::pin(trust::ask_end_devices(call))
    }),
    dangerous(Method::POST, "/people/{}/end-devices", Owner, true, |call| Box::pin(trust::end_devices(call))),
    dangerous(Method::GET, "/people/{}/end-sessions", Owner, true, |call| {
        Box::pin(trust::ask_end_sessions(call))
    }),
    dangerous(Method::POST, "/people/{}/end-sessions", Owner, true, |call| {
        Box::pin(trust::end_sessions(call))
    }),
    dangerous(Method::GET, "/people/{}/remove", Owner, true, |call| Box::pin(people::ask_remove(call))),
    dangerous(Method::POST, "/people/{}/remove", Owner, true, |call| Box::pin(people::remove(call))),
    dangerous(Method::GET, "/policies", Owner, false, |call| Box::pin(policies::show(call))),
    dangerous(Method::POST, "/policies", Owner, false, |call| Box::pin(policies::set(call))),
    inside(Method::GET, "/security", Visitor, false, |call| Box::pin(security::show(call))),
    inside(Method::GET, "/security/password", Visitor, false, |call| {
        Box::pin(ready(security::ask_password(&call)))
    }),
    inside(Method::POST, "/security/password", Visitor, false, |call| Box::pin(security::password(call))),
    dangerous(Method::GET, "/security/phone", Visitor, false, |call| Box::pin(security::ask_phone(call))),
    dangerous(Method::POST, "/security/phone", Visitor, false, |call| Box::pin(security::remove_phone(call))),
    dangerous(Method::GET, "/security/passkey", Visitor, false, |call| Box::pin(security::ask_passkey(call))),
    dangerous(Method::POST, "/security/passkey", Visitor, false, |call| {
        Box::pin(security::remove_passkey(call))
    }),
    inside(Method::POST, "/security/devices", Visitor, false, |call| Box::pin(security::end_device(call))),
    inside(Method::POST, "/security/sessions", Visitor, false, |call| Box::pin(security::end_session(call))),
    // Whose role was taken from them can leave all the same.
    Route {
        method: Method::POST,
        path: "/sign-out",
        run: Run::Inside(Needs { role: None, everywhere: false, fresh: false }, |call| {
            Box::pin(sign_out::sign_out(call))
        }),
    },
];

/// The route that a request means, with the piece of its path that varies.
pub(crate) fn find<'p>(method: &Method, path: &'p str) -> Result<(&'static Route, &'p str), Failed> {
    // A HEAD is a GET whose body is not wanted.
    let wanted = if method == Method::HEAD { &Method::GET } else { method };
    let mut allowed = Vec::new();
    for route in ROUTES {
        let Some(piece) = matched(route.path, path) else { continue };
        if route.method == *wanted {
            return Ok((route, piece));
        }
        allowed.push(route.method.as_str());
        if route.method == Method::GET {
            allowed.push("HEAD");
        }
    }
    if allowed.is_empty() { Err(Failed::NotFound) } else { Err(Failed::MethodNotAllowed(allowed.join(", "))) }
}

/// What stands for the piece that varies, if the path is of this form. The bytes count: nothing is decoded.
fn matched<'p>(form: &str, path: &'p str) -> Option<&'p str> {
    match form.split_once("{}") {
        None => (form == path).then_some(""),
        Some((before, after)) => {
            let piece = path.strip_prefix(before)?.strip_suffix(after)?;
            (!piece.is_empty() && !piece.contains('/')).then_some(piece)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_compared_byte_for_byte() {
        for path in
            ["", "//", "/Accounts", "/accounts/", "/accounts//suspend", "/accounts/a/b", "/%61ccounts"]
        {
            assert!(matches!(find(&Method::GET, path), Err(Failed::NotFound)), "{path}");
        }
        let (route, piece) = find(&Method::POST, "/accounts/AC1/suspend").expect("a route");
        assert_eq!((route.path, piece), ("/accounts/{}/suspend", "AC1"));
    }

    #[test]
    fn another_method_is_told_which_there_are() {
        let refused = |method: Method, path: &str| match find(&method, path) {
            Err(Failed::MethodNotAllowed(allowed)) => allowed,
            _ => String::new(),
        };
        assert_eq!(refused(Method::POST, "/"), "GET, HEAD");
        assert_eq!(refused(Method::DELETE, "/breakers/reset"), "GET, HEAD, POST");
        assert_eq!(refused(Method::GET, "/sign-out"), "POST");
    }
}
