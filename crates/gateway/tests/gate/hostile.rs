//! 100,000 mutated requests: none admitted, none a 500, and the gate as well as before.

use ringfence_testkit::RawClient;
use tokio::task::JoinSet;

use crate::world::{ACCOUNT, World, call, sms, twilio, url, wire};

const MUTANTS: usize = 100_000;
const CLIENTS: usize = 8;

/// xorshift64*: the same mutants at every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % below
    }
}

/// The requests that are mutated; each is genuine as it stands.
fn genuine() -> Vec<Vec<u8>> {
    vec![
        wire(&twilio().form(&url("/twilio/sms"), sms(ACCOUNT))),
        wire(&twilio().form(&url("/twilio/voice?x=1"), call(ACCOUNT))),
        wire(&twilio().json(&url("/twilio/events"), "[{\"specversion\":\"1.0\"}]")),
        wire(&twilio().get(&url("/twilio/status?MessageStatus=delivered"))),
    ]
}

/// One to three changes of what is signed: the target, the signature, the content type or the body. Changes that
/// leave the signed meaning as it was are left out, so every mutant is a forgery.
fn mutate(request: &[u8], dice: &mut Dice) -> Vec<u8> {
    loop {
        let mut bytes = request.to_vec();
        for _ in 0..=dice.roll(3) {
            if bytes.is_empty() {
                break;
            }
            let at = dice.roll(bytes.len());
            match dice.roll(6) {
                0 => bytes[at] = u8::try_from(dice.roll(256)).unwrap(),
                1 => bytes[at] ^= 1 << dice.roll(8),
                2 => bytes.insert(at, u8::try_from(dice.roll(256)).unwrap()),
                3 => drop(bytes.remove(at)),
                4 => {
                    let end = (at + dice.roll(40)).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    let to = dice.roll(bytes.len());
                    bytes.splice(to..to, piece);
                }
                _ => bytes.truncate(at.max(1)),
            }
        }
        if meaning(&bytes) != meaning(request) {
            return bytes;
        }
    }
}

/// What of a request is signed. Method, `Host` and the rest of the head are not: a mutant that differs in nothing
/// else is genuine.
#[derive(PartialEq)]
struct Meaning {
    target: Vec<u8>,
    signatures: Vec<Vec<u8>>,
    is_form: bool,
    /// As the content type has it read.
    body: Vec<u8>,
}

fn meaning(request: &[u8]) -> Option<Meaning> {
    // Empty lines before a request are nobody's, and a line may end without its carriage return (RFC 9112, 2.2).
    let request = &request[request.iter().position(|byte| !b"\r\n".contains(byte))?..];
    let ends = [&b"\n\r\n"[..], b"\n\n"];
    let found = |end: &&[u8]| Some(request.windows(end.len()).position(|window| window == *end)? + end.len());
    let (head, body) = request.split_at(ends.iter().filter_map(found).min()?);
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let target = lines.next()?.split(|byte| *byte == b' ').nth(1)?;
    // A fragment is no part of a target; hyper drops it.
    let target = target.split(|byte| *byte == b'#').next()?.to_vec();
    let field = |line: &[u8], name: &str| {
        let value = line.strip_prefix(format!("{name}:").as_bytes())?;
        Some(value.trim_ascii().to_vec())
    };
    let (mut signatures, mut is_form, mut length) = (Vec::new(), false, 0);
    for line in lines {
        let lower = line.to_ascii_lowercase();
        if field(&lower, "x-twilio-signature").is_some() {
            signatures.push(line[b"x-twilio-signature:".len()..].trim_ascii().to_vec());
        }
        if let Some(value) = field(&lower, "content-length") {
            length = std::str::from_utf8(&value).ok()?.parse().ok()?;
        }
        if let Some(value) = field(&lower, "content-type") {
            let media_type =
                value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_vec();
            is_form |= media_type == b"application/x-www-form-urlencoded";
        }
    }
    // What follows the body is the next request on the connection.
    let body = &body[..body.len().min(length)];
    Some(Meaning {
        target,
        signatures,
        is_form,
        body: if is_form { parameters(body) } else { body.to_vec() },
    })
}

/// The names and values of a form in the order and number in which they are signed.
fn parameters(body: &[u8]) -> Vec<u8> {
    let fields = ringfence_signature::fields(body);
    let mut fields: Vec<(Vec<u8>, Vec<u8>)> =
        fields.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    fields.sort();
    fields.dedup();
    fields.into_iter().flat_map(|(name, value)| [name, value].concat()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_of_100_000_mutated_requests_is_admitted_and_none_is_a_500() {
    let world = World::with(|settings| {
        settings.limits.head_timeout = std::time::Duration::from_millis(20);
        settings.limits.body_timeout = std::time::Duration::from_millis(20);
    })
    .await;
    let gate = world.gate();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(async move {
            let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (client as u64 + 1));
            let originals = genuine();
            let mut answers = 0;
            for _ in 0..MUTANTS / CLIENTS {
                let mutant = mutate(&originals[dice.roll(originals.len())], &mut dice);
                let mut connection = RawClient::connect(gate).await.unwrap();
                if connection.send(&mutant).await.is_err() {
                    continue;
                }
                let _half_closed = connection.finish().await;
                if let Ok(response) = connection.read_response().await {
                    let shown = String::from_utf8_lossy(&mutant).into_owned();
                    assert!((400..500).contains(&response.status), "{} for {shown}", response.status);
                    answers += 1;
                }
            }
            answers
        });
    }
    let mut answers = 0;
    while let Some(done) = clients.join_next().await {
        answers += done.unwrap();
    }
    assert!(answers > MUTANTS / 2, "most mutants are whole enough to be answered: {answers}");
    let admitted: Vec<_> = world.upstream.requests();
    assert!(admitted.is_empty(), "{admitted:?}");
    for original in genuine() {
        assert_eq!(world.send(original).await.status, 200, "the gate is as well as before");
    }
}
