//! Who signs in: for the owners of the whole installation.

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_control::people::{self, Invitation, Refused};
use ringfence_model::Sid;
use ringfence_second_factor::policy::{Demands, Policy};
use ringfence_store::{Error, Grant, Person, Role, Where};

use super::{refused_in_words, shown, shown_again};
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::routes::Call;
use crate::words;

#[derive(Template)]
#[template(path = "people.html")]
struct View {
    frame: Frame,
    rows: Vec<Row>,
    login: String,
    role: String,
    account: String,
    problem: Option<String>,
    account_problem: Option<String>,
    /// A code that was just made: whose it is, and until when.
    code: Option<Code>,
}

#[derive(Debug)]
struct Row {
    id: String,
    login: String,
    roles: String,
    class: &'static str,
    state: &'static str,
    seen: String,
}

#[derive(Debug)]
struct Code {
    login: String,
    spelled: String,
    until: String,
}

impl Code {
    fn of(invitation: &Invitation) -> Self {
        Self {
            login: invitation.person.login.clone(),
            spelled: invitation.code.spelled().as_str().to_owned(),
            until: words::when(&invitation.expires_at),
        }
    }
}

pub(crate) async fn show(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    list(&call, None, None, None).await
}

async fn list(
    call: &Call<'_>,
    problem: Option<String>,
    account_problem: Option<String>,
    code: Option<Code>,
) -> Result<Response<Bytes>, Failed> {
    let store = call.engine.store();
    let mut rows = Vec::new();
    for person in store.persons().await? {
        let last = store.sign_ins(&person.id, 1).await?.pop();
        let (class, state) = state(&person);
        rows.push(Row {
            roles: roles(&person),
            seen: last.map_or_else(|| "never".to_owned(), |it| words::ago(&it.at, &call.now)),
            id: person.id,
            login: person.login,
            class,
            state,
        });
    }
    let is_wrong = problem.is_some() || account_problem.is_some();
    let typed = |name: &str| if is_wrong { call.form.get(name).to_owned() } else { String::new() };
    let view = View {
        frame: Frame::new(call, Section::People),
        rows,
        login: typed("login"),
        role: typed("role"),
        account: typed("account"),
        problem,
        account_problem,
        code,
    };
    if is_wrong { shown_again(&view) } else { shown(&view) }
}

fn state(person: &Person) -> (&'static str, &'static str) {
    match (person.locked_at, person.has_password) {
        (Some(_), _) => ("bad", "locked"),
        (None, false) => ("near", "invited"),
        (None, true) => ("good", "signs in"),
    }
}

fn roles(person: &Person) -> String {
    let roles = person.grants.iter().map(|grant| match grant.place {
        Where::Everywhere => grant.role.word().to_owned(),
        Where::Account(sid) => format!("{} of {sid}", grant.role.word()),
    });
    let roles: Vec<String> = roles.collect();
    if roles.is_empty() { "no role".to_owned() } else { roles.join(", ") }
}

/// The role and the place that a form gives.
fn grant(call: &Call<'_>) -> Result<Grant, &'static str> {
    let role = Role::from_word(call.form.get("role")).ok_or("Choose a role.")?;
    let place = match call.form.get("account") {
        "" => Where::Everywhere,
        text => {
            let sid = Sid::parse(text).ok().filter(|sid| sid.is("AC"));
            Where::Account(sid.ok_or(
                "An account's SID is AC and 32 hexadecimal digits; leave it empty for all accounts.",
            )?)
        }
    };
    Ok(Grant { place, role })
}

pub(crate) async fn add(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let grant = match grant(&call) {
        Ok(grant) => grant,
        Err(problem) => return list(&call, None, Some(problem.to_owned()), None).await,
    };
    let by = call.signed_in.actor();
    let login = call.form.get("login");
    match people::add(call.engine.store(), &by, login, vec![grant], call.now).await {
        // On the answer itself: the code is nowhere else.
        Ok(invitation) => list(&call, None, None, Some(Code::of(&invitation))).await,
        Err(Refused::Store(Error::Conflict { .. })) => {
            list(&call, Some(format!("Somebody signs in as {login} already.")), None, None).await
        }
        Err(refused) => list(&call, Some(refused_in_words(&refused, call.now)?), None, None).await,
    }
}

#[derive(Template)]
#[template(path = "person.html")]
struct PersonView {
    frame: Frame,
    id: String,
    login: String,
    class: &'static str,
    state: &'static str,
    is_locked: bool,
    is_self: bool,
    grants: Vec<(String, String, String)>,
    factors: String,
    problem: Option<String>,
    code: Option<Code>,
}

async fn meant(call: &Call<'_>) -> Result<Person, Failed> {
    call.engine.store().person(call.piece).await?.ok_or(Failed::NotFound)
}

pub(crate) async fn person(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    page(&call, None, None).await
}

async fn page(
    call: &Call<'_>,
    problem: Option<String>,
    code: Option<Code>,
) -> Result<Response<Bytes>, Failed> {
    let person = meant(call).await?;
    let factors = call.engine.store().factors(&person.id).await?;
    let counting = factors.iter().filter(|it| it.verified_at.is_some());
    let factors: Vec<&str> = counting.map(|it| it.secret.kind().word()).collect();
    let (class, state) = state(&person);
    let is_wrong = problem.is_some();
    let view = PersonView {
        frame: Frame::new(call, Section::People),
        is_locked: person.locked_at.is_some(),
        is_self: person.id == call.signed_in.person().id,
        grants: person
            .grants
            .iter()
            .map(|grant| {
                let place = grant.place.text();
                let name = if place == "*" { "all accounts".to_owned() } else { place.clone() };
                (place, name, grant.role.word().to_owned())
            })
            .collect(),
        factors: if factors.is_empty() { "none".to_owned() } else { factors.join(", ") },
        id: person.id,
        login: person.login,
        class,
        state,
        problem,
        code,
    };
    if is_wrong { shown_again(&view) } else { shown(&view) }
}

/// Where the store keeps the last owner, that is told; whatever else it says is no page.
fn kept(error: Error) -> Result<String, Failed> {
    match error {
        Error::Conflict { .. } => {
            Ok("The last owner of everything stays one: make another owner first.".to_owned())
        }
        Error::Missing { .. } => Err(Failed::NotFound),
        error => Err(Failed::Store(error)),
    }
}

pub(crate) async fn set_role(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = meant(&call).await?;
    let grant = match grant(&call) {
        Ok(grant) => grant,
        Err(problem) => return page(&call, Some(problem.to_owned()), None).await,
    };
    match call.engine.store().set_role(&call.signed_in.actor(), &person.id, grant, call.now).await {
        Ok(()) => Ok(words::redirect(&format!("/people/{}?done=role", person.id))),
        Err(error) => page(&call, Some(kept(error)?), None).await,
    }
}

pub(crate) async fn remove_role(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = meant(&call).await?;
    let place = Where::from_text(call.form.get("account")).ok_or(Failed::NotFound)?;
    match call.engine.store().remove_role(&call.signed_in.actor(), &person.id, place, call.now).await {
        Ok(_) => Ok(words::redirect(&format!("/people/{}?done=role", person.id))),
        Err(error) => page(&call, Some(kept(error)?), None).await,
    }
}

pub(crate) async fn lock(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = meant(&call).await?;
    let locked = call.form.get("locked") == "1";
    call.engine.store().lock_person(&call.signed_in.actor(), &person.id, locked, call.now).await?;
    Ok(words::redirect(&format!("/people/{}?done=lock", person.id)))
}

pub(crate) async fn reset(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = meant(&call).await?;
    let by = call.signed_in.actor();
    let reset = people::reset_second_factor(call.engine.store(), &by, person, call.now).await;
    let invitation = reset.map_err(Failed::of_people)?;
    page(&call, None, Some(Code::of(&invitation))).await
}

pub(crate) async fn remove(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let person = meant(&call).await?;
    match call.engine.store().remove_person(&call.signed_in.actor(), &person.id, call.now).await {
        Ok(()) => Ok(words::redirect("/people?done=removed")),
        Err(error) => page(&call, Some(kept(error)?), None).await,
    }
}

#[derive(Template)]
#[template(path = "policies.html")]
struct PoliciesView {
    frame: Frame,
    rows: Vec<(String, &'static str, bool, String)>,
    minimum: &'static str,
    place: String,
    problem: Option<String>,
}

/// Each policy with what it means, as the form offers it.
const OFFERED: [(Policy, &str); 3] = [
    (Policy::EverySignIn, "At every sign-in"),
    (Policy::OncePerComputer, "Once per computer, then trusted for a time"),
    (Policy::Disabled, "Disabled: the password alone opens it"),
];

pub(crate) async fn policies(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    policies_page(&call, None).await
}

async fn policies_page(call: &Call<'_>, problem: Option<String>) -> Result<Response<Bytes>, Failed> {
    let only = call.signed_in.only_account();
    let set = call.engine.store().policies().await?;
    // Another account's policy is its owners' business.
    let seen = set.into_iter().filter(|policy| only.is_none_or(|only| policy.place == Where::Account(only)));
    let rows = seen.map(|policy| {
        let name = match policy.place {
            Where::Everywhere => "All accounts, as a whole".to_owned(),
            Where::Account(sid) => sid.to_string(),
        };
        (name, in_words(policy.demands.policy), policy.demands.strong, words::when(&policy.set_at))
    });
    let is_wrong = problem.is_some();
    let view = PoliciesView {
        rows: rows.collect(),
        minimum: in_words(call.people.rules().minimum.policy),
        place: only.map(|sid| sid.to_string()).unwrap_or_default(),
        frame: Frame::new(call, Section::Policies),
        problem,
    };
    if is_wrong { shown_again(&view) } else { shown(&view) }
}

fn in_words(policy: Policy) -> &'static str {
    OFFERED.iter().find(|(it, _)| *it == policy).map_or("", |(_, words)| words)
}

pub(crate) async fn set_policy(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let place = match (call.signed_in.only_account(), call.form.get("account")) {
        (Some(only), _) => Some(Where::Account(only)),
        (None, "") => Some(Where::Everywhere),
        (None, text) => Sid::parse(text).ok().filter(|sid| sid.is("AC")).map(Where::Account),
    };
    let Some(place) = place else {
        let problem =
            "An account's SID is AC and 32 hexadecimal digits; leave it empty for all accounts as a whole.";
        return policies_page(&call, Some(problem.to_owned())).await;
    };
    let Some(policy) = Policy::from_word(call.form.get("policy")) else {
        return policies_page(&call, Some("Choose a policy.".to_owned())).await;
    };
    let demands = Demands { policy, strong: call.form.filled("strong").is_some() };
    match call.people.set_policy(call.signed_in.session(), place, demands).await {
        Ok(()) => Ok(words::redirect("/policies?done=policy")),
        Err(refused) => policies_page(&call, Some(refused_in_words(&refused, call.now)?)).await,
    }
}
