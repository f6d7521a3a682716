//! The page as a browser meets it: the real router, before everything that the demonstration runs.

use std::rc::Rc;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Request, Response, StatusCode};

use super::Page;
use super::sign_in::VISITOR;
use crate::commands::demo::{Running, runtime};

const HOST: &str = "127.0.0.1:8300";
const ORIGIN: &str = "http://127.0.0.1:8300";
const RIGHT: &[(&str, &str)] = &[("host", HOST), ("origin", ORIGIN), ("sec-fetch-site", "same-origin")];

/// Runs a test with a demonstration of its own.
fn visit(test: impl AsyncFnOnce(&Rc<Page>)) {
    let running = Running::start(runtime().expect("a runtime")).expect("everything starts");
    let page = Rc::new(Page::new(running.world.clone(), HOST.parse().expect("an address")));
    running.block_on(test(&page));
    drop(page);
    running.stop();
}

async fn ask(
    page: &Rc<Page>,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response<Bytes> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    page.answer(request.body(Bytes::copy_from_slice(body.as_bytes())).expect("a request")).await
}

async fn see(page: &Rc<Page>) -> String {
    let response = ask(page, "GET", "/", &[("host", HOST)], "").await;
    assert_eq!(response.status(), StatusCode::OK);
    String::from_utf8(response.into_body().to_vec()).expect("text")
}

/// Posts a form, and waits until what it began is over; gives the page after it.
async fn press(page: &Rc<Page>, path: &str, fields: &[(&str, &str)]) -> String {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let response = ask(page, "POST", path, RIGHT, &body).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER, "{path}");
    tokio::join!(page.forge.is_over(), page.money.is_over(), page.sign_in.is_over());
    see(page).await
}

#[test]
fn nobody_but_this_page_may_drive_it() {
    visit(async |page| {
        let form = "how=genuine&from=%2B12025550143&body=x";
        for headers in [
            // Another site, by what its browser says.
            &[("host", HOST), ("origin", "https://evil.example")][..],
            &[("host", HOST), ("origin", "null")],
            &[("host", HOST), ("origin", "http://127.0.0.1:8400")],
            &[("host", HOST), ("origin", ORIGIN), ("sec-fetch-site", "cross-site")],
            &[("host", HOST), ("origin", ORIGIN), ("sec-fetch-site", "same-site")],
            &[("host", HOST), ("sec-fetch-site", "none")],
            // A form says where it comes from.
            &[("host", HOST)],
            // A name that somebody lets lead here.
            &[("host", "evil.example:8300"), ("origin", "http://evil.example:8300")],
            &[("host", "127.0.0.1:8301"), ("origin", "http://127.0.0.1:8301")],
            &[("host", "localhost.evil.example:8300"), ("sec-fetch-site", "same-origin")],
            &[("host", HOST), ("host", "evil.example"), ("origin", ORIGIN)],
            &[("origin", ORIGIN)],
        ] {
            for path in ["/forge", "/money", "/sign-in/password", "/sign-in/send", "/sign-in/again"] {
                let response = ask(page, "POST", path, headers, form).await;
                assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path} {headers:?}");
            }
        }
        let rebound = ask(page, "GET", "/", &[("host", "evil.example")], "").await;
        assert_eq!(rebound.status(), StatusCode::FORBIDDEN, "nor is it read under a foreign name");
        assert_eq!(page.world.application.seen(), 0, "nothing was sent");
        assert!(page.money.with(|state| state.runs) == 0 && page.money.doing().is_none());

        let by_name = [("host", "localhost:8300"), ("origin", "http://localhost:8300")];
        let response = ask(page, "POST", "/forge", &by_name, form).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "its own names pass");
        assert_eq!(page.world.application.seen(), 1);
    });
}

#[test]
fn at_port_80_it_is_opened_and_driven_by_names_without_a_port_and_elsewhere_it_is_not() {
    visit(async |page| {
        let of_80 = Rc::new(Page::new(page.world.clone(), "127.0.0.1:80".parse().expect("an address")));
        for (host, origin) in [
            ("127.0.0.1", "http://127.0.0.1"),
            ("localhost", "http://localhost"),
            ("127.0.0.1:80", "http://127.0.0.1:80"),
        ] {
            let headers = [("host", host), ("origin", origin), ("sec-fetch-site", "same-origin")];
            let opened = ask(&of_80, "GET", "/", &headers[..1], "").await;
            assert_eq!(opened.status(), StatusCode::OK, "{host}");
            let pressed = ask(&of_80, "POST", "/sign-in/again", &headers, "").await;
            assert_eq!(pressed.status(), StatusCode::SEE_OTHER, "{host}");
            if !host.contains(':') {
                let elsewhere = ask(page, "GET", "/", &headers[..1], "").await;
                assert_eq!(elsewhere.status(), StatusCode::FORBIDDEN, "{host}");
            }
        }
        let foreign = ask(&of_80, "GET", "/", &[("host", "evil.example")], "").await;
        assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    });
}

#[test]
fn every_answer_has_the_policy_and_what_is_not_there_is_told() {
    visit(async |page| {
        for (method, path, status) in [
            ("GET", "/", StatusCode::OK),
            ("HEAD", "/", StatusCode::OK),
            ("GET", "/assets/demo.css", StatusCode::OK),
            ("GET", "/assets/demo.js", StatusCode::OK),
            ("GET", "/money", StatusCode::SEE_OTHER),
            ("GET", "/sign-in/code", StatusCode::SEE_OTHER),
            ("GET", "/other", StatusCode::NOT_FOUND),
            ("POST", "/other", StatusCode::NOT_FOUND),
            ("POST", "/", StatusCode::METHOD_NOT_ALLOWED),
            ("PUT", "/forge", StatusCode::METHOD_NOT_ALLOWED),
        ] {
            let response = ask(page, method, path, RIGHT, "").await;
            assert_eq!(response.status(), status, "{method} {path}");
            let policy = response.headers().get("content-security-policy").map(HeaderValue::to_str);
            let policy = policy.expect("a policy").expect("text");
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
            assert_eq!(response.headers()["x-frame-options"], "DENY");
        }
        assert_eq!(page.world.application.seen(), 0, "a GET changes nothing");
    });
}

#[test]
fn what_twilio_did_not_send_never_arrives_and_explain_says_why() {
    visit(async |page| {
        let typed = |how| [("how", how), ("from", "+12025550143"), ("body", "Cancel <b>4711</b> & go")];
        for (how, verdict, explained) in [
            (
                "no-signature",
                "403 refused: missing_signature",
                "The request has no X-Twilio-Signature header.",
            ),
            ("wrong-token", "403 refused: signature_mismatch", "Refused: the signature does not match."),
        ] {
            let shown = press(page, "/forge", &typed(how)).await;
            assert!(shown.contains(verdict) && shown.contains(explained), "{how}: {shown}");
            assert_eq!(page.world.application.seen(), 0, "{how}");
        }
        // Whoever changes a genuine one must have seen one: it is sent before.
        let shown = press(page, "/forge", &typed("letter")).await;
        assert!(shown.contains("403 refused: signature_mismatch"), "{shown}");
        assert!(shown.contains("Body=<mark>D</mark>ancel &#60;b&#62;4711&#60;/b&#62; &#38; go"), "{shown}");
        assert_eq!(page.world.application.seen(), 1, "the genuine one alone");
        for (how, verdict, explained) in [
            (
                "elsewhere",
                "403 refused: signature_mismatch",
                "Twilio signed the URL without the query that came with it.",
            ),
            ("replay", "200 answered from memory, the application did not see it", "allow: signed with the"),
        ] {
            let shown = press(page, "/forge", &typed(how)).await;
            assert!(shown.contains(verdict) && shown.contains(explained), "{how}: {shown}");
            assert_eq!(page.world.application.seen(), 1, "{how}");
        }
        let shown = press(page, "/forge", &typed("genuine")).await;
        assert!(shown.contains("200 admitted") && shown.contains("as its request number 2"), "{shown}");
        assert!(shown.contains("Body=Cancel &#60;b&#62;4711&#60;/b&#62; &#38; go"), "{shown}");
        assert!(!shown.contains("<b>4711"), "nothing that is typed breaks out of the page");
    });
}

#[test]
fn the_thief_is_let_loose_once_however_often_it_is_clicked_and_once_more_after_a_reset() {
    visit(async |page| {
        let click = || ask(page, "POST", "/money", RIGHT, "");
        let (first, second) = tokio::join!(click(), click());
        assert_eq!((first.status(), second.status()), (StatusCode::SEE_OTHER, StatusCode::SEE_OTHER));
        let again = async || {
            let shown = see(page).await;
            let (_, rest) = shown.split_once("content=\"1; url=").expect("without a script it goes on, too");
            rest.split_once('"').map(|(url, _)| url.to_owned())
        };
        assert_ne!(again().await, again().await, "a browser loads the same one not again");
        let shown = press(page, "/money", &[]).await;
        assert_eq!(page.money.with(|state| state.runs), 1, "three clicks, one thief");
        let lanes = |page: &Rc<Page>| page.money.with(|state| state.lanes.clone());
        let [free, stopped, held] = lanes(page);
        let limit = crate::commands::demo::installation::LIMIT_AT;
        assert!(free.so_far.spent > stopped.so_far.spent && free.so_far.last.is_none(), "{free:?}");
        assert!(stopped.so_far.spent > limit && stopped.is_suspended, "{stopped:?}");
        assert!(held.so_far.spent < limit && held.so_far.sent > 0 && held.is_suspended, "{held:?}");
        assert!(
            shown.contains("Past the limit: $0.00") && shown.contains("told by a request that did not fit")
        );

        press(page, "/money", &[]).await;
        assert_eq!(page.money.problem(), None);
        assert_eq!(page.money.with(|state| state.runs), 2);
        let [_, stopped, held] = lanes(page);
        assert!(stopped.so_far.spent > limit && stopped.is_suspended, "{stopped:?}");
        assert!(held.so_far.spent < limit && held.so_far.sent > 0, "{held:?}");
    });
}

#[test]
fn a_password_alone_opens_nothing_and_the_code_of_the_phone_does_once() {
    visit(async |page| {
        let password = async |typed| {
            press(page, "/sign-in/password", &[("login", VISITOR.login), ("password", typed)]).await
        };
        let shown = password("tulip").await;
        assert!(shown.contains("The address or the password is wrong."), "{shown}");
        assert!(!shown.contains("door-code"), "and nothing more is asked");
        // Whoever was not asked for a code cannot type one.
        let shown = press(page, "/sign-in/code", &[("code", "123456")]).await;
        assert!(shown.contains("door-password"), "{shown}");

        let shown = password(VISITOR.password).await;
        assert!(shown.contains("back to /sign-in"), "the password alone: {shown}");
        let shown = press(page, "/sign-in/code", &[("code", "123456")]).await;
        assert!(shown.contains("This is not the code.") && !shown.contains("You are in"), "{shown}");

        let shown = press(page, "/sign-in/send", &[("channel", "sms")]).await;
        let (_, text) = shown.split_once("code is: ").expect("the text is on the phone");
        let code = text[..6].to_owned();
        let shown = press(page, "/sign-in/code", &[("code", &code)]).await;
        assert!(shown.contains("You are in"), "{shown}");
        assert!(see(page).await.contains("You are in"), "a reload shows the same");

        press(page, "/sign-in/again", &[]).await;
        password(VISITOR.password).await;
        let shown = press(page, "/sign-in/code", &[("code", &code)]).await;
        assert!(shown.contains("This is not the code.") && !shown.contains("You are in"), "it was good once");
        let shown = press(page, "/sign-in/send", &[("channel", "call")]).await;
        assert!(shown.contains("In a call with"), "{shown}");
        assert_eq!(shown.matches("code is: ").count(), 1, "a mailbox hears none: {shown}");
        let shown = press(page, "/sign-in/key", &[]).await;
        let (_, said) = shown.rsplit_once("code is: ").expect("it is said");
        let code: String = said.chars().filter(char::is_ascii_digit).take(6).collect();
        let shown = press(page, "/sign-in/code", &[("code", &code)]).await;
        assert!(shown.contains("You are in"), "{shown}");
    });
}
