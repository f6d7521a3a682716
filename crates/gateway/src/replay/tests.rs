use std::pin::{Pin, pin};
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::{Body, Frame};
use proptest::prelude::*;

use super::kept::{MAX_KEPT_BODY, MAX_KEPT_HEADERS, keepable};
use super::*;

const DAY: Duration = Duration::from_hours(24);
const MIB: usize = 1 << 20;

// --- Who is first ---

#[test]
fn nothing_is_remembered_of_a_failed_first() {
    let cache = ReplayCache::new(MIB, DAY);
    let now = Instant::now();
    first(&cache, 1, now).fail();
    drop(first(&cache, 1, now));
    first(&cache, 1, now).fail();
    assert_eq!(cache.figures(), ReplayFigures::default());
}

#[test]
fn a_first_that_ended_well_is_known_with_its_answer() {
    let cache = ReplayCache::new(MIB, DAY);
    let now = Instant::now();
    first(&cache, 1, now).complete(Some(answer(b"<Response/>")));
    match cache.begin(key(1), now) {
        Begin::Known(Known::Answer(answer)) => assert_eq!(answer.body().as_ref(), b"<Response/>"),
        other => panic!("{other:?}"),
    }
    first(&cache, 2, now).complete(None);
    assert!(matches!(cache.begin(key(2), now), Begin::Known(Known::WithoutAnswer)));
}

#[test]
fn a_repeat_during_the_first_waits_for_it() {
    let cache = ReplayCache::new(MIB, DAY);
    let now = Instant::now();
    let ticket = first(&cache, 1, now);
    let mut waits = pin!(waiter(&cache, 1, now).wait());
    assert!(poll(waits.as_mut()).is_pending());
    first(&cache, 2, now).complete(None);
    assert!(poll(waits.as_mut()).is_pending(), "another key's end is not ours");
    ticket.complete(Some(answer(b"once")));
    assert!(matches!(poll(waits.as_mut()), Poll::Ready(Begin::Known(Known::Answer(_)))));
}

#[test]
fn a_waiter_that_is_polled_late_misses_nothing() {
    let cache = ReplayCache::new(MIB, DAY);
    let now = Instant::now();
    let ticket = first(&cache, 1, now);
    let waiter = waiter(&cache, 1, now);
    ticket.complete(None);
    assert!(matches!(poll(pin!(waiter.wait())), Poll::Ready(Begin::Known(Known::WithoutAnswer))));
}

#[test]
fn of_those_who_wait_for_a_failed_first_one_is_next_and_the_others_wait_on() {
    let cache = ReplayCache::new(MIB, DAY);
    let now = Instant::now();
    let ticket = first(&cache, 1, now);
    let waiters: Vec<_> = (0..20).map(|_| waiter(&cache, 1, now)).collect();
    ticket.fail();
    let mut next = Vec::new();
    let mut waiting = 0;
    for waiter in waiters {
        match poll(pin!(waiter.wait())) {
            Poll::Ready(Begin::First(ticket)) => next.push(ticket),
            Poll::Ready(Begin::Running(_)) => waiting += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((next.len(), waiting), (1, 19));
}

#[test]
fn a_waiter_that_gives_up_holds_up_nobody() {
    let cache = ReplayCache::new(MIB, DAY);
    let now = Instant::now();
    let ticket = first(&cache, 1, now);
    {
        let mut gives_up = pin!(waiter(&cache, 1, now).wait());
        assert!(poll(gives_up.as_mut()).is_pending());
    }
    let mut stays = pin!(waiter(&cache, 1, now).wait());
    assert!(poll(stays.as_mut()).is_pending());
    ticket.fail();
    assert!(matches!(poll(stays.as_mut()), Poll::Ready(Begin::First(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_tasks_at_once_forward_one_at_a_time_and_succeed_once_for_each_key() {
    const KEYS: usize = 4;
    const FAILURES: usize = 7;
    let cache = ReplayCache::new(MIB, DAY);
    let now = Instant::now();
    let running: Arc<[AtomicUsize; KEYS]> = Arc::default();
    let tried: Arc<[AtomicUsize; KEYS]> = Arc::default();
    let known = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let (cache, running, tried, known) =
                (cache.clone(), running.clone(), tried.clone(), known.clone());
            let lane = number % KEYS;
            tokio::spawn(async move {
                let mut begin = cache.begin(key(lane), now);
                loop {
                    match begin {
                        Begin::First(ticket) => {
                            assert_eq!(running[lane].fetch_add(1, Ordering::SeqCst), 0, "two firsts at once");
                            tokio::task::yield_now().await;
                            let earlier = tried[lane].fetch_add(1, Ordering::SeqCst);
                            assert_eq!(running[lane].fetch_sub(1, Ordering::SeqCst), 1);
                            match earlier {
                                FAILURES => ticket.complete(Some(answer(b"once"))),
                                even if even % 2 == 0 => ticket.fail(),
                                _ => drop(ticket),
                            }
                            return;
                        }
                        Begin::Running(waiter) => begin = waiter.wait().await,
                        Begin::Known(_) => {
                            known.fetch_add(1, Ordering::SeqCst);
                            return;
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for lane in tried.iter() {
        assert_eq!(lane.load(Ordering::SeqCst), FAILURES + 1, "after a success nobody is first");
    }
    assert_eq!(known.load(Ordering::SeqCst), 200 - KEYS * (FAILURES + 1));
    assert_eq!((cache.figures().entries, cache.figures().running), (KEYS as u64, 0));
}

// --- How long, and how much ---

#[test]
fn an_entry_is_known_until_its_time_is_over_and_not_after() {
    let cache = ReplayCache::new(MIB, DAY);
    let began = Instant::now();
    first(&cache, 1, began).complete(None);
    let just_before = began + DAY.saturating_sub(Duration::from_nanos(1));
    assert!(matches!(cache.begin(key(1), just_before), Begin::Known(_)));
    assert!(matches!(cache.begin(key(1), began + DAY), Begin::First(_)));
    assert_eq!(cache.figures().expired, 1);
}

#[test]
fn entries_expire_also_when_they_ended_in_another_order_than_they_began() {
    let cache = ReplayCache::new(MIB, DAY);
    let began = Instant::now();
    let second = Duration::from_secs(1);
    let slow = first(&cache, 1, began);
    first(&cache, 2, began + second).complete(None);
    slow.complete(None);
    cache.sweep(began + DAY);
    assert_eq!(cache.figures().entries, 2, "the queue stays sorted: none goes early");
    cache.sweep(began + second + DAY);
    let after = cache.figures();
    assert_eq!((after.entries, after.expired, after.kept_bytes), (0, 2, 0));
}

#[test]
fn a_running_request_neither_expires_nor_is_pushed_out() {
    let cache = ReplayCache::new(0, DAY);
    let began = Instant::now();
    let ticket = first(&cache, 1, began);
    cache.sweep(began + DAY * 2);
    assert!(matches!(cache.begin(key(1), began + DAY * 2), Begin::Running(_)));
    ticket.complete(Some(answer(b"")));
    assert_eq!(
        (cache.figures().entries, cache.figures().pushed_out),
        (0, 1),
        "a budget of zero keeps nothing"
    );
}

#[test]
fn a_full_memory_pushes_out_the_oldest_first_and_says_so() {
    let cache = ReplayCache::new(MIB, DAY);
    let now = Instant::now();
    let large = vec![b'x'; MAX_KEPT_BODY];
    for number in 0..40 {
        first(&cache, number, now).complete(Some(answer(&large)));
    }
    let figures = cache.figures();
    assert!(figures.kept_bytes <= MIB as u64, "{figures:?}");
    assert!(figures.entries >= 14, "{figures:?}");
    assert_eq!(figures.entries + figures.pushed_out, 40);
    assert!(matches!(cache.begin(key(39), now), Begin::Known(_)));
    assert!(matches!(cache.begin(key(0), now), Begin::First(_)));
}

#[test]
fn a_time_to_live_without_end_is_no_overflow() {
    let cache = ReplayCache::new(MIB, Duration::MAX);
    first(&cache, 1, Instant::now()).complete(None);
    assert!(matches!(cache.begin(key(1), Instant::now() + DAY * 365), Begin::Known(_)));
}

proptest! {
    #[test]
    fn whatever_happens_the_books_agree_with_what_is_kept(steps in prop::collection::vec((0_usize..12, 0_usize..6, 0_usize..70_000), 1..120)) {
        let time_to_live = Duration::from_secs(20);
        let cache = ReplayCache::new(300_000, time_to_live);
        let mut now = Instant::now();
        let mut out = HashMap::new();
        for (name, action, size) in steps {
            now += Duration::from_secs(u64::from(action == 5) * 7);
            match (out.remove(&name), action) {
                (Some(ticket), 0) => Ticket::fail(ticket),
                (Some(ticket), 1) => ticket.complete(None),
                (Some(ticket), _) => ticket.complete(KeptAnswer::new(StatusCode::OK, &HeaderMap::new(), &vec![0; size])),
                (None, _) => if let Begin::First(ticket) = cache.begin(key(name), now) { out.insert(name, ticket); },
            }
            audit(&cache, out.len());
        }
        out.clear();
        cache.sweep(now + time_to_live + time_to_live);
        let end = cache.figures();
        prop_assert_eq!((end.kept_bytes, end.entries, end.running), (0, 0, 0));
    }
}

/// Recounts every shard from nothing.
fn audit(cache: &ReplayCache, out: usize) {
    let mut running = 0;
    for shard in &cache.inner.shards {
        let shard = lock(shard);
        let mut bytes = 0;
        let mut finished = 0;
        for entry in shard.entries.values() {
            bytes += ENTRY_BYTES;
            match entry {
                Entry::Running(_) => running += 1,
                Entry::Finished(answer) => {
                    finished += 1;
                    bytes += answer.as_ref().map_or(0, |answer| answer.bytes());
                }
            }
        }
        assert_eq!((shard.bytes, shard.finished.len()), (bytes, finished));
        assert!(shard.finished.iter().is_sorted_by_key(|(since, _)| *since));
        assert!(shard.bytes <= cache.inner.shard_budget || finished == 0);
    }
    assert_eq!(running, out);
}

// --- Keys ---

#[test]
fn each_part_of_a_request_makes_another_key() {
    let account = AccountSid::parse(b"AC00000000000000000000000000000001").unwrap();
    let other = AccountSid::parse(b"AC00000000000000000000000000000002").unwrap();
    let keys = [
        ReplayKey::new(1, Some(&account), b"signature"),
        ReplayKey::new(2, Some(&account), b"signature"),
        ReplayKey::new(1, Some(&other), b"signature"),
        ReplayKey::new(1, None, b"signature"),
        ReplayKey::new(1, Some(&account), b"signaturf"),
    ];
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[index + 1..].contains(key), "key {index} is not alone");
    }
}

#[test]
fn no_byte_can_move_from_one_part_of_a_key_to_the_next() {
    let account = AccountSid::parse(b"AC00000000000000000000000000000001").unwrap();
    let moved = [account.as_str().as_bytes(), b"signature"].concat();
    assert_ne!(ReplayKey::new(1, Some(&account), b"signature"), ReplayKey::new(1, None, &moved));
}

// --- Answers ---

#[test]
fn what_is_not_2xx_or_a_part_or_is_too_large_is_not_kept() {
    let none = HeaderMap::new();
    let limit = MAX_KEPT_BODY as u64;
    for status in [100, 101, 199, 206, 300, 302, 304, 400, 404, 429, 500, 503] {
        assert!(!keepable(StatusCode::from_u16(status).unwrap(), &none, 0), "{status}");
    }
    assert!(!keepable(StatusCode::OK, &none, limit + 1));
    assert!(keepable(StatusCode::OK, &none, limit));
    assert!(keepable(StatusCode::NO_CONTENT, &none, 0));
    let mut large = HeaderMap::new();
    large.insert("x-large", HeaderValue::from_bytes(&vec![b'x'; MAX_KEPT_HEADERS]).unwrap());
    assert!(!keepable(StatusCode::OK, &large, 0));
}

#[test]
fn a_kept_answer_hands_nobody_a_session() {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    headers.append(SET_COOKIE, HeaderValue::from_static("session=1"));
    headers.append(SET_COOKIE, HeaderValue::from_static("other=2"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("2"));
    headers.append("x-two", HeaderValue::from_static("a"));
    headers.append("x-two", HeaderValue::from_static("b"));
    let kept = KeptAnswer::new(StatusCode::CREATED, &headers, b"ok").unwrap();
    let mut expected = HeaderMap::new();
    expected.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    expected.append("x-two", HeaderValue::from_static("a"));
    expected.append("x-two", HeaderValue::from_static("b"));
    assert_eq!((kept.status(), kept.headers()), (StatusCode::CREATED, expected));
}

#[test]
fn a_kept_answer_holds_no_slice_of_a_read_buffer() {
    let buffer = Bytes::from(vec![b'v'; 8192]);
    let range = buffer.as_ptr_range();
    let mut headers = HeaderMap::new();
    headers.insert("x-name", HeaderValue::from_maybe_shared(buffer.slice(100..110)).unwrap());
    assert!(range.contains(&headers["x-name"].as_bytes().as_ptr()), "the test's own premise");
    let kept = KeptAnswer::new(StatusCode::OK, &headers, &buffer.slice(200..300)).unwrap();
    assert_eq!(kept.headers(), headers);
    assert!(!range.contains(&kept.headers()["x-name"].as_bytes().as_ptr()));
    assert!(!range.contains(&kept.body().as_ptr()));
}

// --- Recording ---

#[test]
fn an_answer_that_breaks_off_or_is_dropped_half_way_is_not_remembered() {
    let broken = [Piece::Data(b"half"), Piece::Break];
    assert_eq!(recorded(Keep::Answer, 200, None, &broken, usize::MAX), Outcome::Nothing);
    let whole = [Piece::Data(b"half"), Piece::Data(b"half")];
    assert_eq!(recorded(Keep::Answer, 200, None, &whole, 1), Outcome::Nothing, "dropped after one piece");
    assert_eq!(recorded(Keep::Fact, 200, None, &broken, usize::MAX), Outcome::Nothing);
}

#[test]
fn an_answer_shorter_than_its_content_length_is_not_remembered() {
    assert_eq!(recorded(Keep::Answer, 200, Some("9"), &[Piece::Data(b"half")], usize::MAX), Outcome::Nothing);
}

#[test]
fn an_answer_that_is_not_2xx_lets_the_next_try_at_once() {
    assert_eq!(recorded(Keep::Answer, 503, None, &[Piece::Data(b"busy")], 0), Outcome::Nothing);
    assert_eq!(recorded(Keep::Fact, 302, None, &[], usize::MAX), Outcome::Nothing);
}

#[test]
fn a_complete_answer_is_kept_as_it_streamed() {
    let pieces = [Piece::Data(b"<Resp"), Piece::Data(b""), Piece::Data(b"onse/>")];
    assert_eq!(
        recorded(Keep::Answer, 200, None, &pieces, usize::MAX),
        Outcome::Answer(b"<Response/>".to_vec())
    );
    assert_eq!(
        recorded(Keep::Answer, 204, None, &[], 0),
        Outcome::Answer(Vec::new()),
        "ended before it began"
    );
    assert_eq!(recorded(Keep::Fact, 200, None, &pieces, usize::MAX), Outcome::Fact);
}

#[test]
fn a_server_that_drops_the_body_when_it_has_all_of_it_has_still_completed_it() {
    let pieces = [Piece::Data(b"all")];
    assert_eq!(recorded(Keep::Answer, 200, Some("3"), &pieces, 1), Outcome::Answer(b"all".to_vec()));
    // Without a length the body itself says that this piece was its last.
    assert_eq!(recorded(Keep::Answer, 200, None, &pieces, 1), Outcome::Answer(b"all".to_vec()));
}

#[test]
fn an_answer_too_large_to_keep_is_known_without_it() {
    static LARGE: [u8; MAX_KEPT_BODY] = [b'x'; MAX_KEPT_BODY];
    let fits = [Piece::Data(&LARGE)];
    assert_eq!(recorded(Keep::Answer, 200, None, &fits, usize::MAX), Outcome::Answer(LARGE.to_vec()));
    let over = [Piece::Data(&LARGE), Piece::Data(b"x")];
    assert_eq!(recorded(Keep::Answer, 200, None, &over, usize::MAX), Outcome::Fact);
    assert_eq!(recorded(Keep::Answer, 200, Some("65537"), &over, usize::MAX), Outcome::Fact);
    assert_eq!(
        recorded(Keep::Answer, 200, Some("nine"), &[Piece::Data(b"ok")], usize::MAX),
        Outcome::Answer(b"ok".to_vec())
    );
}

#[test]
fn an_answer_with_trailers_is_known_without_it() {
    assert_eq!(
        recorded(Keep::Answer, 200, None, &[Piece::Data(b"ok"), Piece::Trailers], usize::MAX),
        Outcome::Fact
    );
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Nothing,
    Fact,
    Answer(Vec<u8>),
}

/// Streams an answer through a recorder, dropping it after `frames` polls, and tells what is remembered.
fn recorded(
    keep: Keep,
    status: u16,
    length: Option<&'static str>,
    pieces: &[Piece],
    frames: usize,
) -> Outcome {
    let cache = ReplayCache::new(MIB, DAY);
    let now = Instant::now();
    let mut headers = HeaderMap::new();
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static(length));
    }
    let status = StatusCode::from_u16(status).unwrap();
    let recording = Recording::new(first(&cache, 1, now), keep, status, &headers);
    let mut body = Recorder::new(recording, Pieces(pieces.iter().copied().collect()));
    let mut passed = Vec::new();
    for _ in 0..frames {
        match Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(frame))) => {
                passed.extend_from_slice(frame.data_ref().map_or(b"", |data| data));
            }
            Poll::Ready(Some(Err(Broken)) | None) => break,
            Poll::Pending => unreachable!("these pieces are always ready"),
        }
    }
    let sent: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes()).copied().collect();
    assert!(sent.starts_with(&passed) && (frames < pieces.len() || passed == sent), "it passes unchanged");
    drop(body);
    match cache.begin(key(1), now) {
        Begin::First(_) => Outcome::Nothing,
        Begin::Running(_) => panic!("the ticket is still out"),
        Begin::Known(Known::WithoutAnswer) => Outcome::Fact,
        Begin::Known(Known::Answer(answer)) => Outcome::Answer(answer.body().to_vec()),
    }
}

#[derive(Debug, Clone, Copy)]
enum Piece {
    Data(&'static [u8]),
    Trailers,
    Break,
}

impl Piece {
    fn bytes(&self) -> &'static [u8] {
        if let Self::Data(data) = self { data } else { b"" }
    }
}

#[derive(Debug)]
struct Broken;

struct Pieces(VecDeque<Piece>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(self.0.pop_front().map(|piece| match piece {
            Piece::Data(data) => Ok(Frame::data(Bytes::from_static(data))),
            Piece::Trailers => Ok(Frame::trailers(HeaderMap::new())),
            Piece::Break => Err(Broken),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

// --- Short names for what every test does ---

fn key(number: usize) -> ReplayKey {
    ReplayKey::new(7, None, &number.to_be_bytes())
}

fn first(cache: &ReplayCache, number: usize, now: Instant) -> Ticket {
    match cache.begin(key(number), now) {
        Begin::First(ticket) => ticket,
        other => panic!("expected to be first, was {other:?}"),
    }
}

fn waiter(cache: &ReplayCache, number: usize, now: Instant) -> Waiter {
    match cache.begin(key(number), now) {
        Begin::Running(waiter) => waiter,
        other => panic!("expected to wait, was {other:?}"),
    }
}

fn answer(body: &[u8]) -> KeptAnswer {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    KeptAnswer::new(StatusCode::OK, &headers, body).unwrap()
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
