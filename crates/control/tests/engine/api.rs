//! The API: who may, what it answers, and that its document says the same; on both databases.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use jiff::{Timestamp, ToSpan as _};
use ringfence_breaker::{Action, Limit, Per};
use ringfence_control::api::{Api, ApiSetup};
use ringfence_model::{Actor, Sid};
use ringfence_store::NewToken;
use serde_json::{Value, json};

use crate::database::{Database, on_both};
use crate::node::{Node, fifty_a_day};
use crate::shape;

const LIMIT: &str = "fifty a day";

on_both! {
    no_endpoint_opens_for_a_token_that_is_missing_wrong_expired_revoked_or_from_elsewhere => no_endpoint_opens_for_a_token_that_is_missing_wrong_expired_revoked_or_from_elsewhere,
    a_scope_opens_what_it_holds_and_nothing_beyond => a_scope_opens_what_it_holds_and_nothing_beyond,
    a_token_opens_from_its_networks_however_the_socket_writes_the_address => a_token_opens_from_its_networks_however_the_socket_writes_the_address,
    an_authorization_that_is_no_bearer_token_is_refused => an_authorization_that_is_no_bearer_token_is_refused,
    the_document_needs_no_token_and_nothing_else_is_there => the_document_needs_no_token_and_nothing_else_is_there,
    a_head_is_a_get_without_its_body => a_head_is_a_get_without_its_body,
    what_is_wrong_with_a_query_is_named => what_is_wrong_with_a_query_is_named,
    what_is_wrong_with_a_body_is_named_by_its_place_and_nothing_is_done => what_is_wrong_with_a_body_is_named_by_its_place_and_nothing_is_done,
    acts_are_carried_out_and_the_audit_log_names_the_token => acts_are_carried_out_and_the_audit_log_names_the_token,
    every_view_is_what_the_document_says_while_things_happen => every_view_is_what_the_document_says_while_things_happen,
}

/// An installation, its API, and an account in it.
pub(crate) struct Served {
    pub(crate) node: Node,
    api: Api,
    document: Value,
    pub(crate) account: Sid,
}

/// An answer, whose body and head were found to be what the document says.
pub(crate) struct Answered {
    status: StatusCode,
    response: Response<Bytes>,
    pub(crate) body: Value,
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
    }

    fn code(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or_default())
    }
}

impl Served {
    pub(crate) async fn start(database: fn() -> Database) -> Self {
        Self::with(database, vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await
    }

    async fn with(database: fn() -> Database, limits: Vec<Limit>) -> Self {
        let node = Node::on(database(), limits).await;
        let (account, _) = node.world.subaccount("customer").await;
        node.engine.synchronise_accounts().await.expect("synchronised");
        let engine = Arc::clone(&node.engine);
        let api = Api::new(ApiSetup { engine: Arc::new(move || Ok(Arc::clone(&engine))) });
        let document = api.answer(peer("127.0.0.1"), request(Method::GET, "/openapi.json", None, None)).await;
        let document = serde_json::from_slice(document.body()).expect("JSON");
        Self { node, api, document, account }
    }

    async fn token_of(
        &self,
        scope: &str,
        networks: &[&str],
        expires_at: Option<Timestamp>,
    ) -> (String, String) {
        let token = NewToken {
            name: "test".to_owned(),
            scopes: vec![scope.to_owned()],
            networks: networks.iter().map(|it| (*it).to_owned()).collect(),
            expires_at,
        };
        let by = Actor::CommandLine("ops".to_owned());
        let (token, secret) = self.node.store.create_token(&by, token, self.node.now()).await.expect("made");
        (token.id, secret.expose().to_owned())
    }

    pub(crate) async fn token(&self, scope: &str) -> String {
        self.token_of(scope, &[], None).await.1
    }

    /// Asks from 127.0.0.1.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Answered {
        let body = body.map(Value::to_string);
        self.ask_from("127.0.0.1", method, path, token, body.as_deref()).await
    }

    async fn ask_from(
        &self,
        from: &str,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&str>,
    ) -> Answered {
        let method: Method = method.parse().expect("a method");
        let sent = request(method.clone(), path, token, body);
        let response = self.api.answer(peer(from), sent).await;
        let body = if response.headers()["content-type"] == "application/jsonl" {
            Value::String(String::from_utf8(response.body().to_vec()).expect("text"))
        } else {
            serde_json::from_slice(response.body()).expect("JSON")
        };
        let answered = Answered { status: response.status(), response, body };
        assert_eq!(answered.header("cache-control"), "no-store");
        self.check(&method, path, &answered);
        answered
    }

    /// What is answered is what the document says.
    fn check(&self, method: &Method, path: &str, answered: &Answered) {
        let path = path.split('?').next().unwrap_or_default();
        let template = self.template(path);
        let operation = &self.document["paths"][&template][method.as_str().to_ascii_lowercase()];
        let (problem, status) = (json!({ "$ref": "#/components/schemas/Problem" }), answered.status.as_u16());
        let is_documented = !operation.is_null();
        let shape = if is_documented {
            let described = &operation["responses"][status.to_string()];
            assert!(!described.is_null(), "{method} {template}: {status} is not in the document");
            for (name, _) in described["headers"].as_object().into_iter().flatten() {
                assert_ne!(
                    answered.header(&name.to_ascii_lowercase()),
                    "",
                    "{method} {template} {status}: {name}"
                );
            }
            let media = &described["content"][answered.header("content-type")];
            assert!(!media.is_null(), "{method} {template} {status}: {}", answered.header("content-type"));
            &media["schema"]
        } else {
            assert!(matches!(status, 404 | 405), "{method} {path}: {status}");
            &problem
        };
        shape::check(&self.document, shape, &answered.body);
        if status >= 400 {
            assert_eq!(answered.body["status"], json!(status));
        }
    }

    fn template(&self, path: &str) -> String {
        let account = self.account.to_string();
        let template = path.split('/').map(|part| if part.starts_with("AC") { "{sid}" } else { part });
        let template = template.collect::<Vec<_>>().join("/");
        assert!(!template.contains(&account));
        template
    }

    /// Each operation of the document: method, path, scope, and a body that is good where it takes one.
    fn operations(&self) -> Vec<(String, String, String, Option<Value>)> {
        let mut found = Vec::new();
        for (template, item) in self.document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                let Some(scope) = operation["security"][0]["token"][0].as_str() else { continue };
                let path = template.replace("{sid}", &self.account.to_string());
                let body = operation.get("requestBody").map(|_| {
                    if template.starts_with("/v1/breakers") {
                        json!({ "limit": LIMIT, "account": self.account, "reason": "leak" })
                    } else {
                        json!({ "reason": "leak" })
                    }
                });
                found.push((method.to_ascii_uppercase(), path, scope.to_owned(), body));
            }
        }
        assert_eq!(found.len(), 26, "{found:?}");
        found
    }
}

fn peer(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().expect("an address"), 40_000)
}

fn request(method: Method, path: &str, token: Option<&str>, body: Option<&str>) -> Request<Bytes> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    request.body(Bytes::copy_from_slice(body.unwrap_or_default().as_bytes())).expect("a request")
}

async fn no_endpoint_opens_for_a_token_that_is_missing_wrong_expired_revoked_or_from_elsewhere(
    database: fn() -> Database,
) {
    let served = Served::start(database).await;
    let soon = served.node.now().checked_add(1.minutes()).expect("a time");
    let (_, expired) = served.token_of("admin", &[], Some(soon)).await;
    let (id, revoked) = served.token_of("admin", &[], None).await;
    let by = Actor::CommandLine("ops".to_owned());
    served.node.store.revoke_token(&by, &id, served.node.now()).await.expect("revoked");
    let (_, elsewhere) = served.token_of("admin", &["10.0.0.0/8", "2001:db8::/32"], None).await;
    let (_, nowhere) = served.token_of("admin", &["ten"], None).await;
    served.node.advance(60).await;
    let wrong = format!("rf_{}", "0".repeat(64));
    let rows = served.node.audit_actions().await.len();
    for (method, path, _, body) in served.operations() {
        let none = served.ask(&method, &path, None, body.as_ref()).await;
        assert_eq!(none.code(), (401, "no-token"), "{method} {path}");
        assert_eq!(none.header("www-authenticate"), "Bearer realm=\"ringfence\"");
        let mut details = Vec::new();
        for token in [&wrong, &expired, &revoked, &elsewhere, &nowhere] {
            let refused = served.ask(&method, &path, Some(token), body.as_ref()).await;
            assert_eq!(refused.code(), (401, "invalid-token"), "{method} {path}");
            assert_eq!(
                refused.header("www-authenticate"),
                "Bearer realm=\"ringfence\", error=\"invalid_token\""
            );
            details.push(refused.body);
        }
        details.dedup();
        assert_eq!(details.len(), 1, "nobody learns what is wrong with it");
    }
    assert_eq!(served.node.audit_actions().await.len(), rows, "nothing was done");
}

async fn a_scope_opens_what_it_holds_and_nothing_beyond(database: fn() -> Database) {
    let served = Served::start(database).await;
    let order = ["read", "operate", "admin"];
    let rank = |scope: &str| order.iter().position(|it| *it == scope);
    for scope in ["reed", "read", "operate", "admin"] {
        let token = served.token(scope).await;
        for (method, path, wanted, body) in served.operations() {
            let answered = served.ask(&method, &path, Some(&token), body.as_ref()).await;
            if rank(scope) >= rank(&wanted) && rank(scope).is_some() {
                assert!(
                    matches!(answered.status.as_u16(), 200 | 409),
                    "{scope} {method} {path}: {}",
                    answered.body
                );
            } else {
                assert_eq!(answered.code(), (403, "insufficient-scope"), "{scope} {method} {path}");
                let challenge = format!("error=\"insufficient_scope\", scope=\"{wanted}\"");
                assert!(answered.header("www-authenticate").ends_with(&challenge));
            }
        }
    }
}

async fn a_token_opens_from_its_networks_however_the_socket_writes_the_address(database: fn() -> Database) {
    let served = Served::start(database).await;
    let (_, token) = served.token_of("read", &["10.0.0.0/8", "2001:db8::/32"], None).await;
    let ask =
        async |from| served.ask_from(from, "GET", "/v1/limits", Some(&token), None).await.status.as_u16();
    for from in ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"] {
        assert_eq!(ask(from).await, 200, "{from}");
    }
    for from in ["11.0.0.1", "::ffff:11.0.0.1", "2001:db9::1", "::10.1.2.3", "127.0.0.1", "::1"] {
        assert_eq!(ask(from).await, 401, "{from}");
    }
}

async fn an_authorization_that_is_no_bearer_token_is_refused(database: fn() -> Database) {
    let served = Served::start(database).await;
    let token = served.token("read").await;
    let ask = async |values: &[&str]| {
        let mut sent = request(Method::GET, "/v1/limits", None, None);
        for value in values {
            sent.headers_mut().append("authorization", value.parse().expect("a value"));
        }
        served.api.answer(peer("127.0.0.1"), sent).await.status().as_u16()
    };
    let good = format!("Bearer {token}");
    assert_eq!(ask(&[&good]).await, 200);
    assert_eq!(ask(&[&format!("bEARER  {token}")]).await, 200, "a scheme is the same in capitals");
    assert_eq!(ask(&[&good, &good]).await, 400);
    for value in
        [&*token, "Bearer", "Bearer ", "Basic eDp5", &format!("Bearer{token}"), &format!("Token {token}")]
    {
        assert_eq!(ask(&[value]).await, 401, "{value}");
    }
    let in_query = served.ask("GET", &format!("/v1/limits?access_token={token}"), None, None).await;
    assert_eq!(in_query.code(), (401, "no-token"));
}

async fn the_document_needs_no_token_and_nothing_else_is_there(database: fn() -> Database) {
    let served = Served::start(database).await;
    let asked = served.api.answer(peer("10.0.0.1"), request(Method::GET, "/openapi.json", None, None)).await;
    assert_eq!(asked.status(), StatusCode::OK);
    let token = served.token("admin").await;
    for path in
        ["/v1", "/v1/", "/v1/statu", "/v1/status/", "/v1//status", "/v1/accounts//suspend", "/openapi.json/"]
    {
        let answered = served.ask("GET", path, Some(&token), None).await;
        assert_eq!(answered.code(), (404, "not-found"), "{path}");
    }
    for (method, path, allow) in [
        ("POST", "/v1/status", "GET, HEAD"),
        ("GET", "/v1/breakers/trip", "POST"),
        ("HEAD", "/v1/breakers/reset", "POST"),
        ("DELETE", "/v1/accounts", "GET, HEAD"),
        ("OPTIONS", "/openapi.json", "GET, HEAD"),
    ] {
        let sent = request(method.parse().expect("a method"), path, Some(&token), None);
        let answered = served.api.answer(peer("127.0.0.1"), sent).await;
        assert_eq!(
            (answered.status().as_u16(), &answered.headers()["allow"]),
            (405, &allow.parse().expect("text"))
        );
    }
}

async fn a_head_is_a_get_without_its_body(database: fn() -> Database) {
    let served = Served::start(database).await;
    let token = served.token("read").await;
    for (path, token) in [("/v1/limits", Some(&*token)), ("/v1/limits", None), ("/openapi.json", None)] {
        let get = served.api.answer(peer("127.0.0.1"), request(Method::GET, path, token, None)).await;
        let head = served.api.answer(peer("127.0.0.1"), request(Method::HEAD, path, token, None)).await;
        assert_eq!((head.status(), head.body().len()), (get.status(), 0));
        assert_eq!(head.headers()["content-length"], get.body().len().to_string().as_str());
        assert_eq!(head.headers()["content-type"], get.headers()["content-type"]);
    }
}

async fn what_is_wrong_with_a_query_is_named(database: fn() -> Database) {
    let served = Served::start(database).await;
    let token = served.token("read").await;
    for (path, parameters) in [
        ("/v1/limits?x=1", vec!["x"]),
        ("/v1/breakers?phase=open&account=AC1", vec!["phase", "account"]),
        ("/v1/breakers?limit=a&limit=b", vec!["limit"]),
        ("/v1/audit?page_size=0", vec!["page_size"]),
        ("/v1/audit?page_size=1001", vec!["page_size"]),
        ("/v1/audit?page_size=%2B5", vec!["page_size"]),
        ("/v1/audit?cursor=x", vec!["cursor"]),
        ("/v1/orders?cursor=x", vec!["cursor"]),
        ("/v1/orders?page_size=1001", vec!["page_size"]),
        ("/v1/audit/export?after=-1", vec!["after"]),
        ("/v1/audit/export?after=%2B1", vec!["after"]),
        ("/v1/audit/export?after=9223372036854775808", vec!["after"]),
        ("/v1/audit/export?after=", vec!["after"]),
        ("/v1/audit/export?cursor=1&with_personal=true", vec!["cursor", "with_personal"]),
        ("/v1/audit?target=a%00", vec!["target"]),
        ("/v1/report?since=yesterday&all=1", vec!["since", "all"]),
    ] {
        let answered = served.ask("GET", path, Some(&token), None).await;
        assert_eq!(answered.code(), (400, "invalid-query"), "{path}");
        let errors = answered.body["errors"].as_array().expect("errors");
        let named: Vec<_> = errors.iter().filter_map(|error| error["parameter"].as_str()).collect();
        assert_eq!(named, parameters, "{path}");
    }
    assert_eq!(
        served.ask("GET", "/v1/report?limit=sixty", Some(&token), None).await.code(),
        (404, "no-limit")
    );
    let since = "/v1/report?since=2026-03-01T00:00:00+01:00&all=true&limit=fifty+a+day";
    assert_eq!(served.ask("GET", since, Some(&token), None).await.status, StatusCode::OK);
}

async fn what_is_wrong_with_a_body_is_named_by_its_place_and_nothing_is_done(database: fn() -> Database) {
    let served = Served::start(database).await;
    let (token, account) = (served.token("operate").await, served.account);
    let rows = served.node.audit_actions().await.len();
    let long = format!("{{\"limit\": \"{LIMIT}\", \"reason\": \"{}\"}}", "x".repeat(501));
    for (body, code, pointer) in [
        ("", (422, "invalid-body"), "#"),
        ("{", (400, "malformed-json"), ""),
        ("{\"limit\": \"a\", \"reason\": \"b\"} x", (400, "malformed-json"), ""),
        ("[\"fifty a day\", null, \"leak\"]", (422, "invalid-body"), "#"),
        ("null", (422, "invalid-body"), "#"),
        ("{}", (422, "invalid-body"), "#"),
        ("{\"limit\": 5, \"reason\": \"b\"}", (422, "invalid-body"), "#/limit"),
        ("{\"limit\": \"a\", \"reason\": \" \"}", (422, "invalid-body"), "#/reason"),
        ("{\"limit\": \"a\", \"reason\": \"a\\nb\"}", (422, "invalid-body"), "#/reason"),
        ("{\"limit\": \"a\", \"reason\": \"b\", \"account\": \"AC1\"}", (422, "invalid-body"), "#/account"),
        ("{\"limit\": \"a\", \"reason\": \"b\", \"allow\": \"-1\"}", (422, "invalid-body"), "#/allow"),
        ("{\"limit\": \"a\", \"reason\": \"b\", \"allow\": 5}", (422, "invalid-body"), "#/allow"),
        ("{\"limit\": \"a\", \"reason\": \"b\", \"why\": \"c\"}", (422, "invalid-body"), "#/why"),
        (&long, (422, "invalid-body"), "#/reason"),
        ("{\"limit\": \"sixty\", \"reason\": \"b\"}", (404, "no-limit"), ""),
        ("{\"limit\": \"fifty a day\", \"reason\": \"b\"}", (409, "out-of-scope"), ""),
    ] {
        let answered =
            served.ask_from("127.0.0.1", "POST", "/v1/breakers/reset", Some(&token), Some(body)).await;
        assert_eq!(answered.code(), code, "{body}: {}", answered.body);
        let found = answered.body["errors"][0]["pointer"].as_str().unwrap_or_default();
        assert_eq!(found, pointer, "{body}: {}", answered.body);
    }
    let stranger = Sid::new(*b"AC", 99);
    let trip = json!({ "limit": LIMIT, "account": stranger, "reason": "leak" });
    assert_eq!(
        served.ask("POST", "/v1/breakers/trip", Some(&token), Some(&trip)).await.status.as_u16() / 100,
        4
    );
    let why = json!({ "reason": "leak" });
    for path in [format!("/v1/accounts/{stranger}/suspend"), "/v1/accounts/ACx/suspend".to_owned()] {
        assert_eq!(served.ask("POST", &path, Some(&token), Some(&why)).await.code(), (404, "no-account"));
    }
    let parent = format!("/v1/accounts/{}/suspend", served.node.world.sandbox.account_sid());
    assert_eq!(served.ask("POST", &parent, Some(&token), Some(&why)).await.code(), (409, "parent-account"));
    let lift = json!({ "limit": LIMIT, "account": account, "reason": "leak" });
    let lifted = served.ask("POST", "/v1/breakers/reset", Some(&token), Some(&lift)).await;
    assert_eq!(lifted.code(), (409, "not-tripped"));
    for (content_type, status) in [("text/plain", 415), ("", 415), ("Application/JSON; charset=utf-8", 200)] {
        let mut sent = request(Method::POST, "/v1/breakers/trip", Some(&token), None);
        if !content_type.is_empty() {
            sent.headers_mut().insert("content-type", content_type.parse().expect("a value"));
        }
        *sent.body_mut() = Bytes::from(lift.to_string());
        let before = served.node.audit_actions().await.len();
        assert_eq!(served.api.answer(peer("127.0.0.1"), sent).await.status().as_u16(), status);
        assert_eq!(before, rows, "nothing that was refused was done");
    }
    let large = format!("{{\"reason\": \"{}\"}}", "x".repeat(17_000));
    let answered =
        served.ask_from("127.0.0.1", "POST", "/v1/breakers/trip", Some(&token), Some(&large)).await;
    assert_eq!(answered.code(), (413, "too-large"));
}

async fn acts_are_carried_out_and_the_audit_log_names_the_token(database: fn() -> Database) {
    let served = Served::start(database).await;
    let (id, token) = served.token_of("operate", &[], None).await;
    let (account, path) = (served.account, format!("/v1/accounts/{}", served.account));
    let breaker = json!({ "limit": LIMIT, "account": account, "reason": "leak" });
    let tripped = served.ask("POST", "/v1/breakers/trip", Some(&token), Some(&breaker)).await;
    assert_eq!(
        (&tripped.body["phase"], &tripped.body["tripped"]["by_operator"]),
        (&json!("tripped"), &json!(true))
    );
    served.node.work().await;
    let suspended = served.ask("GET", &path, Some(&token), None).await;
    assert_eq!(
        (&suspended.body["status"], &suspended.body["is_as_wanted"]),
        (&json!("suspended"), &json!(true))
    );
    let why = json!({ "reason": "called" });
    let held = served.ask("POST", &format!("{path}/resume"), Some(&token), Some(&why)).await;
    assert_eq!(held.code(), (409, "held"));

    let lift = json!({ "limit": LIMIT, "account": account, "allow": "12.5", "reason": "called" });
    let lifted = served.ask("POST", "/v1/breakers/reset", Some(&token), Some(&lift)).await;
    assert_eq!(lifted.body["probing"]["allowed_more"], json!("12.5"));
    let again = served.ask("POST", &format!("{path}/suspend"), Some(&token), Some(&why)).await;
    assert_eq!(
        (&again.body["wanted"], &again.body["why"]["by_operator"]),
        (&json!("suspended"), &json!(true))
    );
    let resumed = served.ask("POST", &format!("{path}/resume"), Some(&token), Some(&why)).await;
    assert_eq!(resumed.body["wanted"], json!("active"));
    served.node.work().await;
    assert_eq!(served.ask("GET", &path, Some(&token), None).await.body["status"], json!("active"));

    let log = served.ask("GET", "/v1/audit?page_size=1000", Some(&token), None).await;
    let by_token: Vec<_> = log.body["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .filter(|row| row["actor"] == json!({ "kind": "token", "name": format!("{id} (test)") }))
        .filter_map(|row| row["action"].as_str())
        .collect();
    for action in ["breaker.trip", "breaker.reset", "account.want"] {
        assert!(by_token.iter().any(|it| it.starts_with(action)), "{action}: {by_token:?}");
    }
    assert!(!log.body.to_string().contains(&token));
}

async fn every_view_is_what_the_document_says_while_things_happen(database: fn() -> Database) {
    let together =
        Limit { name: "all".to_owned(), enforce: false, ..fifty_a_day(Per::Together, vec![Action::Notify]) };
    let served =
        Served::with(database, vec![fifty_a_day(Per::Account, vec![Action::Suspend]), together]).await;
    let token = served.token("read").await;
    served.node.spend(served.account, "61.25").await;
    served.node.advance(3600).await;
    served.node.poll().await;
    for _ in 0..2 {
        for (method, path, _, _) in served.operations().into_iter().filter(|it| it.0 == "GET") {
            let answered = served.ask(&method, &path, Some(&token), None).await;
            assert_eq!(answered.status, StatusCode::OK, "{path}: {}", answered.body);
        }
        served.node.work().await;
    }
    let page = served.ask("GET", "/v1/breakers?page_size=1&phase=tripped", Some(&token), None).await;
    let cursor = page.body["next"].as_str().expect("there is more").replace(' ', "%20");
    let rest =
        served.ask("GET", &format!("/v1/breakers?phase=tripped&cursor={cursor}"), Some(&token), None).await;
    assert_eq!(rest.body["breakers"][0]["limit"], json!("all"));
    assert_eq!(rest.body["next"], Value::Null);
}

#[tokio::test]
async fn a_node_that_does_not_work_says_why() {
    let api = Api::new(ApiSetup { engine: Arc::new(|| Err("the limits differ".to_owned())) });
    let token = format!("rf_{}", "0".repeat(64));
    let asked = api.answer(peer("127.0.0.1"), request(Method::GET, "/v1/status", Some(&token), None)).await;
    let body: Value = serde_json::from_slice(asked.body()).expect("JSON");
    assert_eq!((asked.status().as_u16(), &body["detail"]), (503, &json!("the limits differ")));
    assert!(asked.headers().contains_key("retry-after"));
}
