//! What one verification costs next to the bare HMAC of the same bytes, as ratios of medians over interleaved
//! rounds: `cargo run --release -p ringfence-signature --example speed`.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use hmac::{Hmac, KeyInit, Mac};
use ringfence_signature::{
    AccountKeys, Keyring, Policy, ReceivedUrl, Request, Scratch, Signer, Strict, Verdict, fields, verify,
};
use sha1::Sha1;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const URL: &str = "https://hooks.example.com/twilio/0?tenant=t0";
/// An inbound SMS in the order in which Twilio sends it: 21 parameters, 585 bytes.
const BODY: &str = "ToCountry=US&ToState=CA&SmsMessageSid=SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&NumMedia=0&ToCity=SAN+FRANC\
ISCO&FromZip=94105&SmsSid=SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&FromState=CA&SmsStatus=received&FromCit\
y=OAKLAND&Body=Hello+there%2C+it%27s+me%21+%3A-%29+See+you+at+8+tonight+at+the+caf+or+so,+whenever+it+suits+you\
+best+then%3F&FromCountry=US&To=%2B14155550100&MessagingServiceSid=MGbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\
b&ToZip=94105&NumSegments=1&MessageSid=SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&AccountSid=AC0123456789abc\
def0123456789abcdef&From=%2B14155550101&OptOutType=&ApiVersion=2010-04-01";

/// Many short rounds: on a busy machine most of them are not interrupted.
const ROUNDS: usize = 4_001;
const TURNS: u32 = 64;

#[expect(clippy::print_stdout, reason = "figures for a person at a terminal")]
fn main() {
    let account = "AC0123456789abcdef0123456789abcdef".parse().expect("a SID");
    let keyring = Keyring::new([AccountKeys::new(account).primary(TOKEN)]).expect("one key");
    let signed = Signer::token(TOKEN).form_body(URL, BODY);
    let genuine = signed.request();
    let forged = Request { signature: Some(b"RSOYDt4T1cUTdK1PDd93/VVr8B8="), ..genuine };
    let canonical = canonical_string();
    let floor_key = Hmac::<Sha1>::new_from_slice(TOKEN.as_bytes()).expect("any length");
    let lax = Policy::default();
    let strict = Policy { strict: Strict::Refuse, ..lax };
    let mut scratch = Scratch::default();
    assert!(matches!(verify(&genuine, &keyring, &lax, &mut scratch), Verdict::Allow(_)));
    assert!(matches!(verify(&forged, &keyring, &lax, &mut scratch), Verdict::Refuse(_)));

    let mut check = |request: &Request<'_>, policy: &Policy<'_>| {
        time(|| {
            let parsed =
                Request { url: ReceivedUrl::parse(black_box(URL.as_bytes())), ..*black_box(request) };
            black_box(verify(&parsed, &keyring, policy, &mut scratch));
        })
    };
    let mut rounds: [Vec<Duration>; 4] = Default::default();
    for _ in 0..ROUNDS {
        rounds[0].push(time(|| {
            black_box(floor_key.clone().chain_update(black_box(&canonical)).finalize());
        }));
        rounds[1].push(check(&genuine, &lax));
        rounds[2].push(check(&genuine, &strict));
        rounds[3].push(check(&forged, &lax));
    }
    let medians = rounds.map(|mut round| {
        round.sort_unstable();
        round[ROUNDS / 2].as_secs_f64() * 1e9 / f64::from(TURNS)
    });
    println!(
        "{} parameters, {} bytes, {} signed",
        fields(BODY.as_bytes()).count(),
        BODY.len(),
        canonical.len()
    );
    for (name, nanoseconds) in ["bare HMAC-SHA1", "genuine", "genuine, strict", "forged"].iter().zip(medians)
    {
        println!("{name:16} {nanoseconds:7.0} ns {:6.2} x", nanoseconds / medians[0]);
    }
}

fn time(mut work: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..TURNS {
        work();
    }
    start.elapsed()
}

fn canonical_string() -> Vec<u8> {
    let mut pairs: Vec<_> = fields(BODY.as_bytes()).collect();
    pairs.sort();
    let pairs = pairs.into_iter().flat_map(|(name, value)| [name.into_owned(), value.into_owned()]);
    std::iter::once(URL.as_bytes().to_vec()).chain(pairs).collect::<Vec<_>>().concat()
}
