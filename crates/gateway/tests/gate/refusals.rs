//! What does not get in.

use http::StatusCode;
use ringfence_gateway::basic::{BasicUsers, PasswordCheck};
use ringfence_gateway::settings::{Check, Mode};
use ringfence_model::Secret;
use ringfence_signature::{Signer, Strict};
use ringfence_testkit::{PATIENCE, RawClient};

use crate::world::{
    ACCOUNT, NEIGHBOUR, NEIGHBOUR_TOKEN, World, call, replaced, sid, sms, twilio, url, wire, wire_with,
};

/// Sends a request that must be refused, and checks that it was, for this reason.
async fn refuses(request: impl AsRef<[u8]>, status: u16, reason: &str) {
    let world = World::new().await;
    let response = world.send(request).await;
    let count = world.refused(reason).await;
    world.assert_refused(&response, status, reason, count);
}

fn signed_sms() -> Vec<u8> {
    wire(&twilio().form(&url("/twilio/sms"), sms(ACCOUNT)))
}

#[tokio::test]
async fn a_request_without_a_signature_is_refused() {
    let request = signed_sms();
    let text = String::from_utf8(request).unwrap();
    let unsigned: String =
        text.split_inclusive("\r\n").filter(|line| !line.starts_with("x-twilio-sig")).collect();
    refuses(unsigned, 403, "missing_signature").await;
}

#[tokio::test]
async fn a_signature_by_another_key_is_refused() {
    let stranger = Signer::token("33333333333333333333333333333333");
    refuses(wire(&stranger.form(&url("/twilio/sms"), sms(ACCOUNT))), 403, "signature_mismatch").await;
}

#[tokio::test]
async fn a_changed_value_is_refused() {
    refuses(replaced(&signed_sms(), "NumMedia=0", "NumMedia=1"), 403, "signature_mismatch").await;
}

#[tokio::test]
async fn a_request_for_another_path_is_refused() {
    refuses(replaced(&signed_sms(), "/twilio/sms ", "/twilio/sm2 "), 403, "signature_mismatch").await;
}

#[tokio::test]
async fn a_tenant_that_signs_for_its_neighbour_is_refused() {
    let tenant = Signer::token(NEIGHBOUR_TOKEN);
    refuses(wire(&tenant.form(&url("/twilio/sms"), sms(ACCOUNT))), 403, "account_mismatch").await;
}

#[tokio::test]
async fn the_parents_token_does_not_stand_for_a_subaccount() {
    refuses(wire(&twilio().form(&url("/twilio/sms"), sms(NEIGHBOUR))), 403, "account_mismatch").await;
}

#[tokio::test]
async fn an_account_that_the_route_does_not_list_is_refused() {
    let world = World::with(|settings| settings.routes[0].accounts = Some(vec![sid(ACCOUNT)])).await;
    let signed = Signer::token(NEIGHBOUR_TOKEN).form(&url("/twilio/sms"), sms(NEIGHBOUR));
    let response = world.send_signed(&signed).await;
    let count = world.refused("account_not_allowed").await;
    world.assert_refused(&response, 403, "account_not_allowed", count);
}

#[tokio::test]
async fn the_signature_of_a_url_never_blesses_a_body() {
    let bare = wire(&twilio().get(&url("/twilio/events")));
    let posted = replaced(&bare, "GET ", "POST ");
    let with_body = replaced(
        &posted,
        "\r\n\r\n",
        "\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"a\": 1}",
    );
    refuses(with_body, 403, "body_hash_missing").await;
    let get_with_body = replaced(&bare, "\r\n\r\n", "\r\nContent-Length: 2\r\n\r\nhi");
    refuses(get_with_body, 403, "body_hash_missing").await;
}

#[tokio::test]
async fn a_chunked_body_under_the_signature_of_a_url_is_refused() {
    let bare = wire(&twilio().get(&url("/twilio/events")));
    let chunked = replaced(&bare, "\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    refuses(chunked, 403, "body_hash_missing").await;
}

#[tokio::test]
async fn a_swapped_json_body_is_refused() {
    let request = wire(&twilio().json(&url("/twilio/events"), "{\"a\":1}"));
    refuses(replaced(&request, "{\"a\":1}", "{\"a\":2}"), 403, "body_hash_mismatch").await;
}

#[tokio::test]
async fn text_moved_across_the_border_of_a_parameter_is_refused() {
    refuses(replaced(&signed_sms(), "Body=It", "BodyIt="), 403, "strict").await;
}

#[tokio::test]
async fn a_form_that_some_would_cut_at_another_sign_is_refused() {
    let fields = sms(ACCOUNT).into_iter().map(|(name, value)| {
        let value = if name == "Body" { "APPROVE;From=+15559998888".to_owned() } else { value };
        (name, value)
    });
    let signed = twilio().form(&url("/twilio/sms"), fields.collect::<Vec<_>>());
    let world = World::new().await;
    assert_eq!(world.send_signed(&signed).await.status, 200);
    // As long as before, and with the same parameters.
    let cut = [&replaced(&wire(&signed), "APPROVE%3B", "APPROVE;")[..], b"&&"].concat();
    refuses(cut, 403, "strict").await;
}

#[tokio::test]
async fn strict_report_only_counts() {
    let world = World::with(|settings| settings.routes[0].strict = Strict::Report).await;
    let response = world.send(replaced(&signed_sms(), "Body=It", "BodyIt=")).await;
    assert_eq!(response.status, 200);
    assert!(world.metrics().await.contains("ringfence_strict_findings_total{"));
}

#[tokio::test]
async fn two_signatures_are_refused_before_either_is_read() {
    let signed = twilio().form(&url("/twilio/sms"), sms(ACCOUNT));
    refuses(wire_with(&signed, &["X-Twilio-Signature: AAAA"]), 400, "repeated_signature").await;
}

#[tokio::test]
async fn a_header_name_with_an_underscore_is_refused() {
    let signed = twilio().form(&url("/twilio/sms"), sms(ACCOUNT));
    refuses(wire_with(&signed, &["X_Ringfence_Account: AC1"]), 400, "header_underscore").await;
}

#[tokio::test]
async fn two_forwarding_headers_of_one_name_are_refused() {
    let signed = twilio().form(&url("/twilio/sms"), sms(ACCOUNT));
    let lines = ["X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.2"];
    refuses(wire_with(&signed, &lines), 400, "header_repeated").await;
}

#[tokio::test]
async fn a_host_that_differs_from_an_absolute_target_is_refused() {
    let request = replaced(&signed_sms(), "POST /twilio/sms", "POST http://evil.example/twilio/sms");
    refuses(request, 400, "host_differs_from_target").await;
}

#[tokio::test]
async fn two_hosts_are_refused() {
    refuses(replaced(&signed_sms(), "\r\nHost:", "\r\nHost: evil.example\r\nHost:"), 400, "repeated_host")
        .await;
}

#[tokio::test]
async fn a_path_without_a_route_is_not_found() {
    refuses("GET /admin HTTP/1.1\r\nHost: a\r\n\r\n", 404, "no_route").await;
}

#[tokio::test]
async fn a_method_that_the_route_does_not_take_is_named_in_allow() {
    let world = World::new().await;
    let response = world.send("DELETE /twilio/sms HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((response.status, response.header("allow")), (405, Some("GET, POST")));
    assert_eq!(world.upstream.requests().len(), 0);
}

#[tokio::test]
async fn a_body_over_the_cap_is_refused_and_the_caller_hears_it() {
    let world = World::with(|settings| settings.routes[0].body_cap = 1000).await;
    let signed = twilio().form(&url("/twilio/sms"), [("Body", "x".repeat(2_000_000))]);
    let response = world.send_signed(&signed).await;
    let count = world.refused("body_too_large").await;
    world.assert_refused(&response, 413, "body_too_large", count);
    let signature = "X-Twilio-Signature: AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let head =
        format!("POST /twilio/sms HTTP/1.1\r\nHost: a\r\n{signature}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let body = format!("{head}800\r\n{}\r\n0\r\n\r\n", "x".repeat(0x800));
    assert_eq!(world.send(body).await.status, 413);
}

#[tokio::test]
async fn refusal_status_may_be_401() {
    let world = World::with(|settings| settings.routes[0].refusal_status = StatusCode::UNAUTHORIZED).await;
    let response = world.send("GET /twilio/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(response.status, 401);
    assert!(response.header("www-authenticate").is_some_and(|scheme| !scheme.contains("Basic")));
}

fn basic_users() -> BasicUsers {
    let plain = |password: &str| PasswordCheck::Plain(Secret::new(password));
    BasicUsers::new([("twilio".to_owned(), plain("old")), ("twilio2".to_owned(), plain("new"))]).unwrap()
}

#[tokio::test]
async fn basic_credentials_are_asked_for_in_twilios_words() {
    let world = World::with(|settings| settings.routes[0].check = Check::Basic(basic_users())).await;
    let response = world.send("GET /twilio/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let challenge = response.header("www-authenticate");
    assert_eq!((response.status, challenge), (401, Some("Basic realm=\"Twilio only!\"")));
    let wrong = "GET /twilio/x HTTP/1.1\r\nHost: a\r\nAuthorization: Basic dHdpbGlvOm5ldw==\r\n\r\n";
    assert_eq!(world.send(wrong).await.status, 401, "one user's name with the other's password");
    assert_eq!(world.upstream.requests().len(), 0);
    let right = "GET /twilio/x HTTP/1.1\r\nHost: a\r\nAuthorization: Basic dHdpbGlvOm9sZA==\r\n\r\n";
    assert_eq!(world.send(right).await.status, 200);
}

#[tokio::test]
async fn signature_and_basic_demands_both() {
    let world =
        World::with(|settings| settings.routes[0].check = Check::SignatureAndBasic(basic_users())).await;
    let signed = twilio().form(&url("/twilio/voice"), call(ACCOUNT));
    assert_eq!(world.send_signed(&signed).await.status, 401, "a signature alone");
    let authorization = "Authorization: Basic dHdpbGlvMjpuZXc=";
    let unsigned = format!("GET /twilio/x HTTP/1.1\r\nHost: a\r\n{authorization}\r\n\r\n");
    assert_eq!(world.send(unsigned).await.status, 403, "credentials alone");
    assert_eq!(world.upstream.requests().len(), 0);
    assert_eq!(world.send(wire_with(&signed, &[authorization])).await.status, 200);
    let with_userinfo = twilio().form("https://twilio2:new@hooks.example.com/twilio/voice", call(ACCOUNT));
    let request = wire_with(&with_userinfo, &[authorization]);
    assert_eq!(world.send(request).await.status, 200, "signed with the credentials in the URL");
}

#[tokio::test]
async fn a_shadow_route_answers_204_to_everything_and_forwards_nothing() {
    let world = World::with(|settings| settings.routes[0].mode = Mode::Shadow).await;
    assert_eq!(world.send(signed_sms()).await.status, 204);
    assert_eq!(world.send("GET /twilio/x HTTP/1.1\r\nHost: a\r\n\r\n").await.status, 204);
    assert_eq!(world.upstream.requests().len(), 0);
    assert_eq!(world.refused("missing_signature").await, 1);
    assert!(world.metrics().await.contains("verdict=\"allow\",reason=\"\"} 1"));
}

#[tokio::test]
async fn a_refused_caller_may_go_on_with_its_connection() {
    let world = World::new().await;
    let mut client = RawClient::connect(world.gate()).await.unwrap();
    let forged = replaced(&signed_sms(), "NumMedia=0", "NumMedia=1");
    assert_eq!(client.exchange(&forged).await.unwrap().status, 403);
    assert_eq!(client.exchange(signed_sms()).await.unwrap().status, 200);
}

#[tokio::test]
async fn an_encoded_body_is_refused_since_nobody_signed_the_coding() {
    let signed = twilio().form(&url("/twilio/sms"), sms(ACCOUNT));
    refuses(wire_with(&signed, &["Content-Encoding: gzip"]), 400, "content_encoding").await;
}

#[tokio::test]
async fn what_is_not_http_is_counted_too() {
    let world = World::new().await;
    assert_eq!(world.send("POST /twilio/sms HTTP/1.1\r\nHost : a\r\n\r\n").await.status, 400);
    let head = format!("GET /twilio/sms HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(200_000));
    assert_eq!(world.send(head).await.status, 431);
    // hyper answers first; the count follows when its connection has ended.
    let counted = async {
        while (world.refused("malformed_http").await, world.refused("head_too_large").await) != (1, 1) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("both are counted");
}

#[tokio::test]
async fn a_head_is_refused_from_one_byte_over_its_cap_on_in_however_few_pieces_it_comes() {
    let world = World::new().await;
    let cap = crate::world::settings(world.upstream.address()).limits.head_bytes_max;
    let of_bytes = |bytes: usize| {
        let signed = twilio().get(&url("/twilio/sms"));
        let plain = wire_with(&signed, &["X-Long: "]);
        wire_with(&signed, &[&format!("X-Long: {}", "x".repeat(bytes - plain.len()))])
    };
    assert_eq!(world.send(of_bytes(cap)).await.status, 200);
    for over in [1, 1_000, cap / 4] {
        assert_eq!(world.send(of_bytes(cap + over)).await.status, 431, "{over}");
    }
    assert_eq!((world.refused("head_too_large").await, world.upstream.connections()), (3, 1));
}
