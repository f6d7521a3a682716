//! Requests whose length or shape two readers could see in two ways: what request smuggling is made of (RFC 9112, 11.2).
//!
//! Each case is the bytes of one connection: a webhook that is signed, in this framing, and behind it a second signed
//! request. Where the framing is doubtful the second must never reach the application, since whatever stands before the
//! gate may have taken it for a part of the first one's body; where there is no doubt, both reach it, byte for byte.

use ringfence_testkit::RawClient;

use crate::world::{ACCOUNT, World, sms, twilio, url, wire};

/// What becomes of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Neither reaches the application; one answer, with this status, and the connection ends.
    Refused(u16),
    /// The first is refused with this status. Where it ends is beyond doubt, so the second is taken.
    Passed(u16),
    /// The first is taken by the one reading that RFC 9112 gives it, and the connection ends before the second.
    Alone,
    /// Both are taken.
    Both,
}
use Fate::{Alone, Both, Passed, Refused};

/// A case: its name, the lines of the head that speak of the body, the body on the wire, and what becomes of it. `{}`
/// stands for the signed body, `{n}` for its length, `{all}` for the length of everything that follows the head.
type Case = (&'static str, &'static str, &'static str, Fate);

/// The body as one chunk.
const CHUNKED: &str = "{x}\r\n{}\r\n0\r\n\r\n";

const LENGTHS: &[Case] = &[
    ("one length", "Content-Length: {n}", "{}", Both),
    ("zeros before it", "Content-Length: 000{n}", "{}", Both),
    ("two that agree", "Content-Length: {n}\r\nContent-Length: {n}", "{}", Both),
    ("two that differ", "Content-Length: {n}\r\nContent-Length: {all}", "{}", Refused(400)),
    ("a list that agrees", "Content-Length: {n}, {n}", "{}", Refused(400)),
    ("a list that differs", "Content-Length: {n}, {all}", "{}", Refused(400)),
    ("a sign", "Content-Length: +{n}", "{}", Refused(400)),
    ("less than nothing", "Content-Length: -1", "{}", Refused(400)),
    ("hexadecimal", "Content-Length: 0x{n}", "{}", Refused(400)),
    ("a space inside", "Content-Length: 1 {n}", "{}", Refused(400)),
    ("a fraction", "Content-Length: {n}.0", "{}", Refused(400)),
    ("nothing", "Content-Length:", "{}", Refused(400)),
    ("more than 64 bits", "Content-Length: 18446744073709551617", "{}", Refused(400)),
    ("more than the cap", "Content-Length: 65537", "{}", Refused(413)),
    ("a space before the colon", "Content-Length : {n}", "{}", Refused(400)),
    ("an underscore", "Content-Length: {n}\r\nContent_Length: 0", "{}", Passed(400)),
    ("a fold", "Content-Length:\r\n {n}", "{}", Refused(400)),
];

const CODINGS: &[Case] = &[
    ("chunks", "Transfer-Encoding: chunked", CHUNKED, Alone),
    ("another case", "tRANSFER-eNCODING: cHUNKED", CHUNKED, Alone),
    ("zeros before a size", "Transfer-Encoding: chunked", "000{x}\r\n{}\r\n0\r\n\r\n", Alone),
    ("CL.TE", "Content-Length: {all}\r\nTransfer-Encoding: chunked", CHUNKED, Alone),
    ("TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 4", CHUNKED, Alone),
    ("CL.0", "Content-Length: 0\r\nTransfer-Encoding: chunked", CHUNKED, Alone),
    ("identity last", "Transfer-Encoding: chunked, identity", CHUNKED, Refused(400)),
    ("identity first", "Transfer-Encoding: identity, chunked", CHUNKED, Refused(400)),
    ("a coding before it", "Transfer-Encoding: gzip, chunked", CHUNKED, Refused(400)),
    ("chunked twice", "Transfer-Encoding: chunked, chunked", CHUNKED, Refused(400)),
    ("two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x", CHUNKED, Refused(400)),
    ("two fields, chunked last", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked", CHUNKED, Refused(400)),
    ("a word that is none", "Transfer-Encoding: xchunked", CHUNKED, Refused(400)),
    ("in quotes", "Transfer-Encoding: \"chunked\"", CHUNKED, Refused(400)),
    ("a vertical tab", "Transfer-Encoding: \u{b}chunked", CHUNKED, Refused(400)),
    ("a parameter", "Transfer-Encoding: chunked;q=1", CHUNKED, Refused(400)),
    ("nothing", "Transfer-Encoding:", CHUNKED, Refused(400)),
    ("a space before the colon", "Transfer-Encoding : chunked", CHUNKED, Refused(400)),
    ("an underscore", "Content-Length: {n}\r\nTransfer_Encoding: chunked", "{}", Passed(400)),
    ("a fold", "Transfer-Encoding:\r\n chunked", CHUNKED, Refused(400)),
    ("behind a bare return", "X: y\rTransfer-Encoding: chunked", CHUNKED, Refused(400)),
    ("behind a bare feed", "Content-Length: {n}\nTransfer-Encoding: chunked", "{}", Refused(400)),
];

const CHUNKS: &[Case] = &[
    ("an extension", "Transfer-Encoding: chunked", "{x};a=b\r\n{}\r\n0;c\r\n\r\n", Alone),
    ("a trailer", "Transfer-Encoding: chunked", "{x}\r\n{}\r\n0\r\nX-Note: y\r\n\r\n", Alone),
    (
        "a length as a trailer",
        "Transfer-Encoding: chunked",
        "{x}\r\n{}\r\n0\r\nContent-Length: 4\r\n\r\n",
        Alone,
    ),
    (
        "a signature as a trailer",
        "Transfer-Encoding: chunked",
        "{x}\r\n{}\r\n0\r\nX-Twilio-Signature: y\r\n\r\n",
        Alone,
    ),
    ("a long extension", "Transfer-Encoding: chunked", "{x};{long}\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("a prefix", "Transfer-Encoding: chunked", "0x{x}\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("a sign", "Transfer-Encoding: chunked", "+{x}\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("less than nothing", "Transfer-Encoding: chunked", "-1\r\n{}\r\n0\r\n\r\n", Refused(400)),
    (
        "more than 64 bits",
        "Transfer-Encoding: chunked",
        "1000000000000000{x}\r\n{}\r\n0\r\n\r\n",
        Refused(400),
    ),
    ("a bare feed after a size", "Transfer-Encoding: chunked", "{x}\n{}\r\n0\r\n\r\n", Refused(400)),
    ("a bare feed in an extension", "Transfer-Encoding: chunked", "{x};a\n{}\r\n0\r\n\r\n", Refused(400)),
    ("a bare return after a size", "Transfer-Encoding: chunked", "{x}\r{}\r\n0\r\n\r\n", Refused(400)),
    ("no end of a chunk", "Transfer-Encoding: chunked", "{x}\r\n{}0\r\n\r\n", Refused(400)),
    ("two bytes more than a size", "Transfer-Encoding: chunked", "{x}\r\n{}xx\r\n0\r\n\r\n", Refused(400)),
    // The head behind it is taken for trailers by hyper, so that its body would be read as a request.
    (
        "a bare feed at the end",
        "Transfer-Encoding: chunked",
        "{x}\r\n{}\r\n0\r\n\nPOST /public HTTP/1.1\r\nHost: hooks.example.com\r\nContent-Length: 9\r\n\r\n",
        Alone,
    ),
    (
        "a bare feed after a trailer",
        "Transfer-Encoding: chunked",
        "{x}\r\n{}\r\n0\r\nX: a\n\r\nPOST /public HTTP/1.1\r\nHost: hooks.example.com\r\nContent-Length: 9\r\n\r\n",
        Alone,
    ),
    ("no size", "Transfer-Encoding: chunked", "\r\n{}\r\n0\r\n\r\n", Refused(400)),
];

const HEADS: &[Case] = &[
    ("a fold", "X: a\r\n b\r\nContent-Length: {n}", "{}", Refused(400)),
    ("a line without a colon", "X\r\nContent-Length: {n}", "{}", Refused(400)),
    ("a name that is empty", ": x\r\nContent-Length: {n}", "{}", Refused(400)),
    ("a NUL in a value", "X: a\0b\r\nContent-Length: {n}", "{}", Refused(400)),
    ("a bare return in a value", "X: a\rb\r\nContent-Length: {n}", "{}", Refused(400)),
    ("a parenthesis in a name", "X(: a\r\nContent-Length: {n}", "{}", Refused(400)),
    ("a second host", "Host: evil.example\r\nContent-Length: {n}", "{}", Passed(400)),
    ("a value of 200,000 bytes", "X: {long}\r\nContent-Length: {n}", "{}", Refused(431)),
    ("an answer that is waited for", "Expect: 100-continue\r\nContent-Length: {n}", "{}", Both),
    ("another expectation", "Expect: x\r\nContent-Length: {n}", "{}", Both),
    (
        "a switch to HTTP/2",
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: {n}",
        "{}",
        Both,
    ),
    ("the end of the connection", "Connection: close\r\nContent-Length: {n}", "{}", Alone),
];

/// The same for the first line, where `{}` stands for the target.
const LINES: &[(&str, &str, Fate)] = &[
    ("as it is", "POST {} HTTP/1.1\r\n", Both),
    ("an empty line before it", "\r\nPOST {} HTTP/1.1\r\n", Both),
    ("a bare feed", "POST {} HTTP/1.1\n", Both),
    ("two spaces", "POST  {} HTTP/1.1\r\n", Refused(400)),
    ("a tab", "POST\t{} HTTP/1.1\r\n", Refused(400)),
    ("a space before it", " POST {} HTTP/1.1\r\n", Refused(400)),
    ("a space behind it", "POST {} HTTP/1.1 \r\n", Refused(400)),
    ("a method in small letters", "post {} HTTP/1.1\r\n", Passed(405)),
    ("no version", "POST {}\r\n", Refused(400)),
    ("HTTP/0.9", "POST {} HTTP/0.9\r\n", Refused(400)),
    ("HTTP/1.0", "POST {} HTTP/1.0\r\n", Alone),
    ("HTTP/1.2", "POST {} HTTP/1.2\r\n", Refused(400)),
    ("HTTP/2.0", "POST {} HTTP/2.0\r\n", Refused(400)),
    ("a version in small letters", "POST {} http/1.1\r\n", Refused(400)),
    ("the whole URL", "POST https://hooks.example.com{} HTTP/1.1\r\n", Both),
    ("the URL of another host", "POST https://evil.example{} HTTP/1.1\r\n", Passed(400)),
    ("an authority alone", "POST hooks.example.com:443 HTTP/1.1\r\n", Passed(400)),
    ("a star", "POST * HTTP/1.1\r\n", Passed(400)),
    ("no slash", "POST twilio/sms HTTP/1.1\r\n", Refused(400)),
    ("a NUL in the target", "POST {}\0 HTTP/1.1\r\n", Refused(400)),
    ("a bare return in the target", "POST {}\r HTTP/1.1\r\n", Refused(400)),
];

const TARGET: &str = "/twilio/sms";
const SECOND: &str = "/twilio/second";

/// What came of a connection: the statuses of all answers, and what reached the application.
struct Outcome {
    statuses: Vec<u16>,
    reached: Vec<(String, Vec<u8>)>,
}

async fn outcome(line: &str, framing: &str, body: &str) -> (Outcome, Vec<u8>) {
    let world = World::new().await;
    let signed = twilio().form(&url(TARGET), sms(ACCOUNT));
    let text = String::from_utf8(signed.body.clone()).unwrap();
    let second = wire(&twilio().get(&url(SECOND)));
    let filled = |template: &str, all: usize| {
        let long = "x".repeat(200_000);
        let [n, x, all] = [text.len().to_string(), format!("{:x}", text.len()), all.to_string()];
        let filled = template.replace("{n}", &n).replace("{x}", &x).replace("{all}", &all);
        filled.replace("{long}", &long).replace("{}", &text)
    };
    let body = filled(body, 0);
    let mut request = line.replace("{}", TARGET);
    request.push_str("Host: hooks.example.com\r\n");
    for (name, value) in &signed.headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str(&filled(framing, body.len() + second.len()));
    request.push_str("\r\n\r\n");
    let bytes = [request.as_bytes(), body.as_bytes(), &second].concat();
    let mut client = RawClient::connect(world.gate()).await.unwrap();
    // Whoever is refused early reads no more; the answer is what counts.
    let _ = client.send(&bytes).await;
    let mut statuses = Vec::new();
    // Two answers and a connection that goes on, or one and its end; with the second answer what reached is settled.
    while statuses.len() < 2
        && let Ok(response) = client.read_response().await
    {
        statuses.push(response.status);
    }
    let reached = world.upstream.requests().into_iter().map(|it| (it.target, it.body.to_vec())).collect();
    (Outcome { statuses, reached }, signed.body)
}

/// What is otherwise than the case says.
async fn difference(name: &str, line: &str, framing: &str, body: &str, fate: Fate) -> Option<String> {
    let (outcome, signed) = outcome(line, framing, body).await;
    let first = (TARGET.to_owned(), signed);
    let (statuses, reached) = match fate {
        Refused(status) => (vec![status], vec![]),
        Passed(status) => (vec![status, 200], vec![(SECOND.to_owned(), Vec::new())]),
        Alone => (vec![200], vec![first]),
        Both => (vec![200, 200], vec![first, (SECOND.to_owned(), Vec::new())]),
    };
    let is_so = outcome.statuses == statuses && outcome.reached == reached;
    let targets: Vec<_> = outcome.reached.iter().map(|(target, _)| target).collect();
    (!is_so).then(|| format!("{name}: {fate:?}, but {:?} and {targets:?}", outcome.statuses))
}

async fn holds(cases: &[Case]) {
    let mut wrong = Vec::new();
    for (name, framing, body, fate) in cases {
        wrong.extend(difference(name, "POST {} HTTP/1.1\r\n", framing, body, *fate).await);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_length_that_could_be_two_is_refused() {
    holds(LENGTHS).await;
}

#[tokio::test]
async fn a_coding_that_could_be_none_is_refused() {
    holds(CODINGS).await;
}

#[tokio::test]
async fn chunks_that_could_end_elsewhere_are_refused() {
    holds(CHUNKS).await;
}

#[tokio::test]
async fn a_head_that_could_be_read_in_two_ways_is_refused() {
    holds(HEADS).await;
}

#[tokio::test]
async fn a_first_line_that_could_be_read_in_two_ways_is_refused() {
    let mut wrong = Vec::new();
    for (name, line, fate) in LINES {
        wrong.extend(difference(name, line, "Content-Length: {n}", "{}", *fate).await);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
