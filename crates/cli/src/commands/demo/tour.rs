//! The tour's first part: each stop sends one request through the real gate and says what should come of it.
//!
//! What the sandbox sends goes by itself; what it never sends (JSON, WebSockets, requests that are broken on purpose)
//! is made here, with its tokens or from what it sent.

use anyhow::Context;
use ringfence_signature::{Algorithm, Signed, Signer};
use serde_json::Value;

use super::attack;
use super::client::{Outgoing, WEBSOCKET_KEY};
use super::gate::{Act, Seen, Told, watch};
use super::operator;
use super::show::Show;
use super::twilio::Delivery;
use super::{PUBLIC_URL, SHARED_KEY_ID, World};
use crate::commands::paper::{Paper, waits};

struct Stop {
    what: &'static str,
    act: Act,
    told: Told,
}

/// Sends every request of the tour; says how many did not go as told.
pub(super) async fn give(world: &World, out: &mut Paper) -> anyhow::Result<usize> {
    let mut show = Show::new(out);
    // The gate knows the tenants' tokens once they were read from Twilio.
    attack::guarded(world, &world.twilio.tenant, &waits).await?;
    show.out.line("Genuine requests, sent by the sandbox or signed as Twilio signs them:");
    let first = Stop {
        what: "a text from a phone to the application's number",
        act: Act::Text("It's 100% ok & fine? \u{1f680}"),
        told: Told::Admitted(200),
    };
    let text = visit(world, &first, &mut show).await?.delivery.context("the sandbox sent no text")?;
    for stop in genuine(world, &text) {
        visit(world, &stop, &mut show).await?;
    }
    show.out.line("");
    show.out.line("Forgeries; the caller hears only the status, the reason is the operator's:");
    for stop in forged(world, &text) {
        visit(world, &stop, &mut show).await?;
    }
    let mut added = text.request.clone();
    added.target.push_str("?user=admin");
    let stop = Stop {
        what: "something added to the URL of a genuine text",
        act: Act::Send(added),
        told: Told::Refused(403, "signature_mismatch"),
    };
    let refused = visit(world, &stop, &mut show).await?;
    show.out.line("");
    show.out.line("Why? The operator asks, with the request as it was saved:");
    show.typed(&operator::explain(world, &refused.request).await?);
    Ok(show.wrong)
}

async fn visit(world: &World, stop: &Stop, show: &mut Show<'_>) -> anyhow::Result<Seen> {
    let seen = watch(world, &stop.act).await?;
    let as_told = seen.is(stop.told);
    show.line(as_told, stop.what, &seen.shown());
    if !as_told {
        show.out.line(&format!("        told: {:?}; the application saw {} of it", stop.told, seen.reached));
    }
    Ok(seen)
}

/// The fields of an inbound SMS. The number makes each request one of its own.
fn sms(account: &str, number: u32) -> Vec<(String, String)> {
    let sid = format!("SM{number:032x}");
    [
        ("AccountSid", account),
        ("ApiVersion", "2010-04-01"),
        ("Body", "It's 100% ok & fine? \u{1f680}"),
        ("From", "+14155550100"),
        ("FromCity", "SAN FRANCISCO"),
        ("FromCountry", "US"),
        ("FromZip", ""),
        ("MessageSid", &sid),
        ("NumMedia", "0"),
        ("NumSegments", "1"),
        ("SmsMessageSid", &sid),
        ("SmsSid", &sid),
        ("SmsStatus", "received"),
        ("To", "+14155550199"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// A signed request as it goes over the wire.
fn wire(signed: &Signed) -> Outgoing {
    let mut outgoing = Outgoing {
        method: signed.method.to_owned(),
        target: signed.target().into_owned(),
        headers: vec![("host".to_owned(), "hooks.example.com".to_owned())],
        body: signed.body.clone(),
    };
    outgoing.headers.extend(signed.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    outgoing
}

fn genuine(world: &World, text: &Delivery) -> Vec<Stop> {
    let parent = &world.twilio.parent;
    let twilio = Signer::token(&parent.token);
    let shared = Signer::shared_key(SHARED_KEY_ID, &world.secrets.shared_key, Algorithm::HmacSha256);
    let url = |path: &str| format!("{PUBLIC_URL}{path}");
    let admitted = |what, outgoing| Stop { what, act: Act::Send(outgoing), told: Told::Admitted(200) };
    vec![
        Stop {
            what: "the same webhook again, as in a retry or a replay",
            act: Act::Replay(text.clone()),
            told: Told::AnsweredAgain,
        },
        Stop {
            what: "a call to a subaccount's number, signed with its own token",
            act: Act::CallTenant,
            told: Told::Admitted(200),
        },
        Stop { what: "a GET with its fields in the query", act: Act::Get, told: Told::Admitted(200) },
        admitted(
            "an Event Streams batch in JSON, its body bound by bodySHA256",
            wire(&twilio.json(&url("/hooks/events"), "[{\"specversion\":\"1.0\"}]")),
        ),
        admitted(
            "a form signed with a SharedKey (HMAC-SHA256)",
            wire(&shared.form(&url("/hooks/sms"), sms(&parent.sid, 2))),
        ),
        admitted(
            "a URL that Twilio signed with its default port, :443",
            wire(&twilio.form(&format!("{PUBLIC_URL}:443/hooks/sms"), sms(&parent.sid, 3))),
        ),
        Stop {
            what: "a WebSocket handshake for a media stream",
            act: Act::Send(
                wire(&twilio.websocket("wss://hooks.example.com/hooks/media"))
                    .header("connection", "Upgrade")
                    .header("upgrade", "websocket")
                    .header("sec-websocket-key", WEBSOCKET_KEY)
                    .header("sec-websocket-version", "13"),
            ),
            told: Told::Admitted(101),
        },
        admitted(
            "a media request with HTTP Basic credentials",
            hooked("GET", "/media/1").header("authorization", &world.secrets.basic_credentials()),
        ),
    ]
}

fn hooked(method: &str, target: &str) -> Outgoing {
    Outgoing::new(method, target).header("host", "hooks.example.com")
}

fn forged(world: &World, text: &Delivery) -> Vec<Stop> {
    let twilio = Signer::token(&world.twilio.parent.token);
    let url = |path: &str| format!("{PUBLIC_URL}{path}");
    let refused =
        |what, outgoing, reason| Stop { what, act: Act::Send(outgoing), told: Told::Refused(403, reason) };
    let forged = |what, how, reason| Stop {
        what,
        act: Act::Forge(how, Value::Null),
        told: Told::Refused(403, reason),
    };
    // What somebody can make of a genuine request that he has seen.
    let good = &text.request;
    let replaced = |from: &str, to: &str| {
        let mut outgoing = good.clone();
        outgoing.body = String::from_utf8_lossy(&outgoing.body).replacen(from, to, 1).into_bytes();
        outgoing
    };
    let mut bodied = wire(&twilio.get(&url("/hooks/status"))).header("content-type", "application/json");
    "POST".clone_into(&mut bodied.method);
    bodied.body = b"{\"evil\":true}".to_vec();
    let mut swapped = wire(&twilio.json(&url("/hooks/events"), "[1]"));
    swapped.body = b"[2]".to_vec();
    let mut elsewhere = good.clone();
    "/twilio/admin".clone_into(&mut elsewhere.target);
    let mut cleaner = good.clone();
    "/twilio/x/../sms".clone_into(&mut cleaner.target);
    vec![
        forged("no signature at all", "no-signature", "missing_signature"),
        forged("a signature by a stranger's token", "wrong-token", "signature_mismatch"),
        forged("a parameter changed after it was signed", "changed-body", "signature_mismatch"),
        forged(
            "a tenant that signs, with its own token, for its neighbour",
            "other-account",
            "account_mismatch",
        ),
        refused(
            "another sender written into a genuine text",
            replaced("From=%2B1202", "From=%2B1203"),
            "signature_mismatch",
        ),
        refused(
            "a second sender added to a genuine text",
            replaced("From=", "From=%2B1999&From="),
            "signature_mismatch",
        ),
        refused("a genuine text sent to another path", elsewhere, "signature_mismatch"),
        refused("the same path, spelled another way", cleaner, "signature_mismatch"),
        refused("text moved across a parameter's border: BodyI=…", replaced("Body=I", "BodyI="), "strict"),
        refused("a JSON body swapped under a genuine signature", swapped, "body_hash_mismatch"),
        refused("a JSON body under the signature of a bare URL", bodied, "body_hash_missing"),
        Stop {
            what: "a second Host header",
            act: Act::Send(good.clone().header("host", "evil.example")),
            told: Told::Refused(400, "repeated_host"),
        },
        Stop {
            what: "X_Forwarded_For, which some servers read as X-Forwarded-For",
            act: Act::Send(good.clone().header("x_forwarded_for", "127.0.0.1")),
            told: Told::Refused(400, "header_underscore"),
        },
        Stop {
            what: "a media request with a wrong password",
            act: Act::Send(hooked("GET", "/media/1").header("authorization", "Basic dHdpbGlvOnR3aWxpbw==")),
            told: Told::Refused(401, "basic_wrong"),
        },
        Stop {
            what: "a path that no route names",
            act: Act::Send(hooked("GET", "/admin")),
            told: Told::Refused(404, "no_route"),
        },
    ]
}
