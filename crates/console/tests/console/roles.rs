//! The matrix: which role may open and do what, and where.

use std::collections::BTreeSet;

use ringfence_console::Console;
use ringfence_model::Sid;
use ringfence_store::{Grant, NewToken, Role, Where};

use crate::world::{Browser, Page, World};

/// What each may, in the order auditor, operator, owner of everything; auditor, operator, owner of the account that the
/// path is about. `y` is let in, `n` is refused with a 403.
const MATRIX: [(&str, &str, &str); 77] = [
    ("GET", "/go-to", "yyy yyy"),
    ("POST", "/go-to", "yyy yyy"),
    ("GET", "/", "yyy yyy"),
    ("GET", "/accounts", "yyy yyy"),
    ("GET", "/accounts/{}", "yyy yyy"),
    ("GET", "/accounts/{}/suspend", "nyy nyy"),
    ("POST", "/accounts/{}/suspend", "nyy nyy"),
    ("GET", "/accounts/{}/resume", "nyy nyy"),
    ("POST", "/accounts/{}/resume", "nyy nyy"),
    ("GET", "/accounts/{}/token/rotate", "nny nny"),
    ("POST", "/accounts/{}/token/rotate", "nny nny"),
    ("GET", "/accounts/{}/token/undo", "nny nny"),
    ("POST", "/accounts/{}/token/undo", "nny nny"),
    ("GET", "/accounts/{}/shared-key/rotate", "nny nny"),
    ("POST", "/accounts/{}/shared-key/rotate", "nny nny"),
    ("GET", "/accounts/{}/shared-key/undo", "nny nny"),
    ("POST", "/accounts/{}/shared-key/undo", "nny nny"),
    ("GET", "/accounts/{}/shared-key/apply", "nny nny"),
    ("POST", "/accounts/{}/shared-key/apply", "nny nny"),
    ("GET", "/accounts/{}/ledger", "yyy yyy"),
    ("GET", "/accounts/{}/prices", "yyy yyy"),
    ("GET", "/ledger", "yyy yyy"),
    ("GET", "/prices", "yyy yyy"),
    ("GET", "/incidents", "yyy yyy"),
    ("GET", "/incident", "yyy yyy"),
    ("GET", "/breakers/trip", "nyy nyy"),
    ("POST", "/breakers/trip", "nyy nyy"),
    ("GET", "/breakers/reset", "nyy nyy"),
    ("POST", "/breakers/reset", "nyy nyy"),
    ("GET", "/limits", "yyy yyy"),
    ("GET", "/limits/plan", "yyy nnn"),
    ("GET", "/requests", "yyy yyy"),
    ("GET", "/requests/purge", "nny nnn"),
    ("POST", "/requests/purge", "nny nnn"),
    ("GET", "/services", "yyy nnn"),
    ("GET", "/services/resume", "nyy nnn"),
    ("POST", "/services/resume", "nyy nnn"),
    ("GET", "/audit", "yyy yyy"),
    ("GET", "/audit/verify", "yyy nnn"),
    ("GET", "/keys", "nny nny"),
    ("GET", "/keys/new", "nny nny"),
    ("POST", "/keys/new", "nny nny"),
    ("GET", "/keys/{}/revoke", "nny nny"),
    ("POST", "/keys/{}/revoke", "nny nny"),
    ("GET", "/credentials", "nny nnn"),
    ("GET", "/credentials/{}/revoke", "nny nnn"),
    ("POST", "/credentials/{}/revoke", "nny nnn"),
    ("GET", "/people", "nny nnn"),
    ("POST", "/people", "nny nnn"),
    ("GET", "/people/{}", "nny nnn"),
    ("POST", "/people/{}/role", "nny nnn"),
    ("GET", "/people/{}/remove-role", "nny nnn"),
    ("POST", "/people/{}/remove-role", "nny nnn"),
    ("GET", "/people/{}/lock", "nny nnn"),
    ("POST", "/people/{}/lock", "nny nnn"),
    ("GET", "/people/{}/reset", "nny nnn"),
    ("POST", "/people/{}/reset", "nny nnn"),
    ("GET", "/people/{}/remove-passkey", "nny nnn"),
    ("POST", "/people/{}/remove-passkey", "nny nnn"),
    ("GET", "/people/{}/end-devices", "nny nnn"),
    ("POST", "/people/{}/end-devices", "nny nnn"),
    ("GET", "/people/{}/end-sessions", "nny nnn"),
    ("POST", "/people/{}/end-sessions", "nny nnn"),
    ("GET", "/people/{}/remove", "nny nnn"),
    ("POST", "/people/{}/remove", "nny nnn"),
    ("GET", "/policies", "nny nny"),
    ("POST", "/policies", "nny nny"),
    ("GET", "/security", "yyy yyy"),
    ("GET", "/security/password", "yyy yyy"),
    ("POST", "/security/password", "yyy yyy"),
    ("GET", "/security/phone", "yyy yyy"),
    ("POST", "/security/phone", "yyy yyy"),
    ("GET", "/security/passkey", "yyy yyy"),
    ("POST", "/security/passkey", "yyy yyy"),
    ("POST", "/security/devices", "yyy yyy"),
    ("POST", "/security/sessions", "yyy yyy"),
    ("POST", "/sign-out", "yyy yyy"),
];

/// Everybody's who has not signed in yet.
const DOOR: [&str; 7] =
    ["/sign-in", "/second-factor", "/hand-over", "/bind", "/forgot", "/reset-password", "/lock"];

#[tokio::test]
async fn each_role_may_what_the_matrix_says_and_no_more() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    let by = ringfence_model::Actor::CommandLine("ops".to_owned());
    let token =
        NewToken { name: "t".into(), scopes: vec!["read".into()], networks: vec![], expires_at: None };
    let (token, _) = world.store.create_token(&by, token, world.now()).await.unwrap();
    let key = world.key("shop", Some(account)).await.0;
    let grants = vec![Grant { place: Where::Everywhere, role: Role::Auditor }];
    let nobody = world.store.add_person(&by, "nobody@example.com", grants, world.now()).await.unwrap();
    for (number, role, place) in [
        (0, Role::Auditor, Where::Everywhere),
        (1, Role::Operator, Where::Everywhere),
        (2, Role::Owner, Where::Everywhere),
        (4, Role::Auditor, Where::Account(account)),
        (5, Role::Operator, Where::Account(account)),
        (6, Role::Owner, Where::Account(account)),
    ] {
        let browser = world.signed_in(&format!("{number}@example.com"), role, place).await;
        for (method, path, allowed) in MATRIX {
            let may = allowed.as_bytes()[number] == b'y';
            let path = match path.split_once("{}") {
                Some(("/people/", rest)) => format!("/people/{}{rest}", nobody.id),
                Some(("/keys/", rest)) => format!("/keys/{key}{rest}"),
                Some(("/credentials/", rest)) => format!("/credentials/{}{rest}", token.id),
                Some((before, rest)) => format!("{before}{account}{rest}"),
                None => path.to_owned(),
            };
            let status = asked(&browser, method, &path, account).await;
            // An act is let in without a reason, and stops at the form; an earlier one may have removed the person.
            // So is a page of what there is nothing to do about now.
            let let_in = [200, 303, 404, 409, 422].contains(&status);
            assert!(
                let_in == may && (may || status == 403),
                "{role:?} at {place:?}: {method} {path}: {status}"
            );
        }
    }
}

async fn asked(browser: &Browser<'_>, method: &str, path: &str, account: Sid) -> u16 {
    let account = account.to_string();
    let breaker = [("limit", "fifty a day"), ("account", account.as_str())];
    match method {
        "GET" if path.starts_with("/breakers") => {
            browser.get(&format!("{path}?limit=fifty+a+day&account={account}")).await.status
        }
        "GET" => browser.get(path).await.status,
        _ if path.starts_with("/breakers") => browser.post(path, &breaker).await.status,
        _ => browser.post(path, &[("locked", "1")]).await.status,
    }
}

#[tokio::test]
async fn a_visitor_looks_after_their_own_sign_in_and_sees_nothing_else() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    for (number, place) in [(1, Where::Everywhere), (2, Where::Account(account))] {
        let browser = world.signed_in(&format!("{number}@example.com"), Role::Visitor, place).await;
        for (method, path, _) in MATRIX {
            let path = path.replace("{}", &account.to_string());
            let answered = match method {
                "GET" => browser.get(&path).await,
                _ => Page::of(world.answer(browser.request(method, &path), "").await),
            };
            let expected: &[u16] = match (method, path.as_str()) {
                ("GET", "/") => &[303],
                // Without what only their own pages know, an own act stops there; what they do not have is not there.
                (_, own) if own.starts_with("/security") || own == "/sign-out" || own == "/go-to" => {
                    &[200, 403, 404]
                }
                _ => &[403],
            };
            assert!(expected.contains(&answered.status), "{method} {path}: {}", answered.status);
            let role = "you look at this with the role visitor";
            assert_eq!(answered.text.contains(role), expected == [403], "{method} {path}");
        }
        assert_eq!(browser.get("/").await.header("location"), "/security");
        let page = browser.get("/security").await;
        assert_eq!(page.status, 200);
        for section in ["/accounts", "/limits", "/audit", "/people", "/policies", "/credentials", "/keys"] {
            page.does_not_say(&format!("href=\"{section}\""));
        }
    }
}

#[test]
fn the_matrix_has_every_page_and_every_act() {
    let told: BTreeSet<_> = MATRIX.iter().map(|(method, path, _)| (*method, *path)).collect();
    let there: BTreeSet<_> = Console::routes()
        .filter(|(_, path)| !path.starts_with("/assets/"))
        .filter(|(_, path)| !DOOR.iter().any(|door| path.starts_with(door)))
        .map(|(method, path)| (method.as_str(), path))
        .collect();
    assert_eq!(told, there);
}

#[tokio::test]
async fn whoever_has_one_account_sees_and_stops_no_other() {
    let world = World::new().await;
    let (own, other) = (world.subaccount("own customer").await, world.subaccount("somebody else").await);
    world.spend(other, "60").await;
    world.spend(own, "45").await;
    let browser = world.signed_in("o@example.com", Role::Owner, Where::Account(own)).await;
    let paths = [
        format!("/accounts/{other}"),
        format!("/accounts/{other}/suspend"),
        format!("/breakers/trip?limit=fifty+a+day&account={other}"),
        "/breakers/trip?limit=all+together".to_owned(),
    ];
    for path in paths {
        assert_eq!(browser.get(&path).await.status, 404, "{path}");
    }
    let refused = browser.post(&format!("/accounts/{other}/suspend"), &[("reason", "because")]).await;
    assert_eq!(refused.status, 404);
    for limit in ["fifty a day", "all together"] {
        let fields = [("limit", limit), ("account", &other.to_string()), ("reason", "because")];
        assert_eq!(browser.post("/breakers/trip", &fields).await.status, 404);
    }
    let together = browser.post("/breakers/trip", &[("limit", "all together"), ("reason", "because")]).await;
    assert_eq!(together.status, 404, "the sum of all is for those who look at all");
    for path in ["/", "/limits", "/audit", &format!("/accounts/{own}")] {
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        for secret in [&other.to_string(), "somebody else", "all together"] {
            assert!(!page.text.contains(secret), "{path} tells of {secret}:\n{}", page.text);
        }
    }
    assert_eq!(browser.get("/accounts").await.header("location"), format!("/accounts/{own}"));
}

#[tokio::test]
async fn a_role_that_was_taken_away_counts_at_once_and_one_can_still_leave() {
    let world = World::new().await;
    let _owner = world.owner().await;
    let browser = world.signed_in("a@example.com", Role::Auditor, Where::Everywhere).await;
    let csrf = browser.csrf().await;
    let by = ringfence_model::Actor::CommandLine("ops".to_owned());
    world.store.remove_role(&by, &browser.person, Where::Everywhere, world.now()).await.unwrap();
    let page = browser.get("/").await;
    assert_eq!(page.status, 403);
    page.says("you have no role here any more");
    page.says(&format!("action=\"/sign-out\"><input type=\"hidden\" name=\"csrf\" value=\"{csrf}\">"));
    let request = browser.request("POST", "/sign-out");
    let left = world.answer(request, format!("csrf={csrf}")).await;
    assert_eq!(left.status(), 303);
    assert_eq!(browser.get("/").await.header("location"), "/sign-in");
}
