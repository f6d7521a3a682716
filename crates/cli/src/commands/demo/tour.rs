//! The tour: each stop sends one request through the real gate and says what should come of it.

use std::collections::BTreeMap;

use ringfence_signature::{Algorithm, Signed, Signer};

use super::client::{Outgoing, WEBSOCKET_KEY, get, send};
use super::{PARENT, PUBLIC_URL, SHARED_KEY_ID, TENANT, World};
use crate::commands::paper::Paper;

/// What should come of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// This status, and the application sees it.
    Admitted(u16),
    /// 200, and the application does not see it again.
    AnsweredAgain,
    /// This status, for this reason, and the application never sees it.
    Refused(u16, &'static str),
}

struct Stop {
    what: &'static str,
    outgoing: Outgoing,
    told: Told,
}

/// Sends every request of the tour; says how many did not go as told.
pub(super) async fn give(world: &World, out: &mut Paper) -> anyhow::Result<usize> {
    let mut wrong = 0;
    out.line("Genuine requests, signed as Twilio signs them:");
    for stop in genuine(world) {
        wrong += usize::from(!visit(world, &stop, out).await?);
    }
    out.line("");
    out.line("Forgeries; the caller hears only the status, the reason is the operator's:");
    for stop in forged(world) {
        wrong += usize::from(!visit(world, &stop, out).await?);
    }
    Ok(wrong)
}

async fn visit(world: &World, stop: &Stop, out: &mut Paper) -> anyhow::Result<bool> {
    let (seen, reasons) = (world.application.seen(), refusals(world).await?);
    let reply = send(world.gate, &stop.outgoing).await?;
    let reached = world.application.seen() - seen;
    let reason = newest(&reasons, &refusals(world).await?);
    let as_told = match stop.told {
        Told::Admitted(status) => reply.status == status && reached == 1 && reason.is_none(),
        Told::AnsweredAgain => reply.status == 200 && reached == 0 && reason.is_none(),
        Told::Refused(status, told) => {
            reply.status == status && reached == 0 && reason.as_deref() == Some(told) && reply.body.is_empty()
        }
    };
    let outcome = match (&reason, reached) {
        (Some(reason), _) => format!("{} refused: {reason}", reply.status),
        (None, 0) => format!("{} answered from memory, the application did not see it", reply.status),
        (None, _) => format!("{} admitted", reply.status),
    };
    let mark = if as_told { "ok " } else { "WRONG" };
    out.line(&format!("  {mark} {:<62} {outcome}", stop.what));
    if !as_told {
        out.line(&format!("        told: {:?}; the application saw {reached} of it", stop.told));
    }
    Ok(as_told)
}

/// Refusals so far, by reason, as the metrics tell them.
async fn refusals(world: &World) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for line in get(world.admin, "/metrics").await?.lines() {
        if !(line.starts_with("ringfence_requests_total{") && line.contains("verdict=\"refuse\"")) {
            continue;
        }
        let reason = line.split("reason=\"").nth(1).and_then(|rest| rest.split('"').next());
        let count = line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok());
        if let (Some(reason), Some(count)) = (reason, count) {
            *counts.entry(reason.to_owned()).or_default() += count;
        }
    }
    Ok(counts)
}

fn newest(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Option<String> {
    after
        .iter()
        .find(|(reason, count)| before.get(*reason).unwrap_or(&0) < count)
        .map(|(reason, _)| reason.clone())
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

fn call(account: &str) -> Vec<(String, String)> {
    [
        ("AccountSid", account),
        ("CallSid", "CA00000000000000000000000000000001"),
        ("CallStatus", "ringing"),
        ("Direction", "inbound"),
        ("From", "+14155550100"),
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

fn genuine(world: &World) -> Vec<Stop> {
    let twilio = Signer::token(&world.secrets.parent_token);
    let tenant = Signer::token(&world.secrets.tenant_token);
    let shared = Signer::shared_key(SHARED_KEY_ID, &world.secrets.shared_key, Algorithm::HmacSha256);
    let url = |path: &str| format!("{PUBLIC_URL}{path}");
    let stop = |what, outgoing, told| Stop { what, outgoing, told };
    let inbound = wire(&twilio.form(&url("/twilio/sms"), sms(PARENT, 1)));
    vec![
        stop("an inbound SMS", inbound.clone(), Told::Admitted(200)),
        stop("the same SMS again, as in a retry or a replay", inbound, Told::AnsweredAgain),
        stop(
            "a call, from a subaccount with its own token",
            wire(&tenant.form(&url("/twilio/voice"), call(TENANT))),
            Told::Admitted(200),
        ),
        stop(
            "an Event Streams batch in JSON, its body bound by bodySHA256",
            wire(&twilio.json(&url("/twilio/events"), "[{\"specversion\":\"1.0\"}]")),
            Told::Admitted(200),
        ),
        stop(
            "a GET with its fields in the query",
            wire(&twilio.get(&url("/twilio/status?MessageStatus=delivered"))),
            Told::Admitted(200),
        ),
        stop(
            "a form signed with a SharedKey (HMAC-SHA256)",
            wire(&shared.form(&url("/twilio/sms"), sms(PARENT, 2))),
            Told::Admitted(200),
        ),
        stop(
            "a URL that Twilio signed with its default port, :443",
            wire(&twilio.form(&format!("{PUBLIC_URL}:443/twilio/sms"), sms(PARENT, 3))),
            Told::Admitted(200),
        ),
        stop(
            "a WebSocket handshake for a media stream",
            wire(&twilio.websocket("wss://hooks.example.com/twilio/media"))
                .header("connection", "Upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-key", WEBSOCKET_KEY)
                .header("sec-websocket-version", "13"),
            Told::Admitted(101),
        ),
        stop(
            "a media request with HTTP Basic credentials",
            basic("/media/1").header("authorization", &world.secrets.basic_credentials()),
            Told::Admitted(200),
        ),
    ]
}

fn basic(target: &str) -> Outgoing {
    Outgoing {
        method: "GET".to_owned(),
        target: target.to_owned(),
        headers: vec![("host".to_owned(), "hooks.example.com".to_owned())],
        body: Vec::new(),
    }
}

fn forged(world: &World) -> Vec<Stop> {
    let twilio = Signer::token(&world.secrets.parent_token);
    let tenant = Signer::token(&world.secrets.tenant_token);
    let stranger = Signer::token("00000000000000000000000000000000");
    let url = |path: &str| format!("{PUBLIC_URL}{path}");
    let good = wire(&twilio.form(&url("/twilio/sms"), sms(PARENT, 9)));
    let refused = |what, outgoing, reason| Stop { what, outgoing, told: Told::Refused(403, reason) };
    let replaced = |from: &str, to: &str| {
        let mut outgoing = good.clone();
        outgoing.body = String::from_utf8_lossy(&outgoing.body).replacen(from, to, 1).into_bytes();
        outgoing
    };
    let mut bodied = wire(&twilio.get(&url("/twilio/status"))).header("content-type", "application/json");
    "POST".clone_into(&mut bodied.method);
    bodied.body = b"{\"evil\":true}".to_vec();
    let mut swapped = wire(&twilio.json(&url("/twilio/events"), "[1]"));
    swapped.body = b"[2]".to_vec();
    let mut elsewhere = good.clone();
    "/twilio/admin".clone_into(&mut elsewhere.target);
    let mut cleaner = good.clone();
    "/twilio/x/../sms".clone_into(&mut cleaner.target);
    vec![
        refused("no signature at all", good.clone().without("x-twilio-signature"), "missing_signature"),
        refused(
            "a signature by a stranger's token",
            wire(&stranger.form(&url("/twilio/sms"), sms(PARENT, 9))),
            "signature_mismatch",
        ),
        refused(
            "another sender written into a genuine SMS",
            replaced("From=%2B14155550100", "From=%2B14155559999"),
            "signature_mismatch",
        ),
        refused(
            "a second sender added to a genuine SMS",
            replaced("From=", "From=%2B1999&From="),
            "signature_mismatch",
        ),
        refused("a genuine SMS sent to another path", elsewhere, "signature_mismatch"),
        refused("the same path, spelled another way", cleaner, "signature_mismatch"),
        refused("text moved across a parameter's border: Bodyx=…", replaced("Body=I", "BodyI="), "strict"),
        refused(
            "a tenant that signs, with its own token, for its neighbour",
            wire(&tenant.form(&url("/twilio/sms"), sms(PARENT, 9))),
            "account_mismatch",
        ),
        refused("a JSON body swapped under a genuine signature", swapped, "body_hash_mismatch"),
        refused("a JSON body under the signature of a bare URL", bodied, "body_hash_missing"),
        Stop {
            what: "a second Host header",
            outgoing: good.clone().header("host", "evil.example"),
            told: Told::Refused(400, "repeated_host"),
        },
        Stop {
            what: "X_Forwarded_For, which some servers read as X-Forwarded-For",
            outgoing: good.clone().header("x_forwarded_for", "127.0.0.1"),
            told: Told::Refused(400, "header_underscore"),
        },
        Stop {
            what: "a media request with a wrong password",
            outgoing: basic("/media/1").header("authorization", "Basic dHdpbGlvOnR3aWxpbw=="),
            told: Told::Refused(401, "basic_wrong"),
        },
        Stop {
            what: "a path that no route names",
            outgoing: basic("/admin"),
            told: Told::Refused(404, "no_route"),
        },
    ]
}
