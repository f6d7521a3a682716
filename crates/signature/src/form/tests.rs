use proptest::prelude::*;

use super::*;

fn signed(raw: &[u8]) -> Vec<u8> {
    let mut form = FormBuffer::default();
    form.read(raw).unwrap();
    let mut out = vec![0; form.decoded_len() + SLACK];
    let end = form.write_signed(&mut out, 0);
    out.truncate(end);
    out
}

/// The same by the plain reader and the standard library's maps.
fn signed_plainly(raw: &[u8]) -> Vec<u8> {
    let pairs: std::collections::BTreeSet<_> = fields(raw).collect();
    pairs.into_iter().flat_map(|(name, value)| [name, value]).collect::<Vec<_>>().concat()
}

#[track_caller]
fn check(raw: &str, expected: &str) {
    assert_eq!(String::from_utf8_lossy(&signed(raw.as_bytes())), expected);
    assert_eq!(String::from_utf8_lossy(&signed_plainly(raw.as_bytes())), expected);
}

#[test]
fn bad_escapes_and_semicolons_are_data() {
    check("Body=100%", "Body100%");
    check("Body=%", "Body%");
    check("Body=%4", "Body%4");
    check("Body=%zz%4g&a=%%41", "Body%zz%4ga%A");
    check("Body=a;b&c=%3b", "Bodya;bc;");
}

#[test]
fn escapes_are_decoded_once() {
    check("Body=%2541&B%6fdz=%2B+", "Body%41Bodz+ ");
}

#[test]
fn blanks_are_kept_and_empty_pieces_skipped() {
    check("&&b=&a&&=v&", "vab");
    check("", "");
    check("&", "");
    check("=", "");
}

#[test]
fn only_the_first_equals_sign_ends_the_name() {
    check("a=b=c", "ab=c");
    check("a%3Db=c", "a=bc");
}

#[test]
fn names_that_begin_alike_are_sorted_to_their_end() {
    check(
        "MediaContentType1=b&MediaContentType10=c&MediaContentType0=a",
        "MediaContentType0aMediaContentType1bMediaContentType10c",
    );
    check("a%00=2&a=1", "a1a\u{0}2");
    check("abcdefghijkl=1&abcdefghijk=2&abcdefghijklm=3", "abcdefghijk2abcdefghijkl1abcdefghijklm3");
}

#[test]
fn values_of_one_name_are_sorted_and_said_once() {
    check("Digits=5678&Digits=1234&Digits=1234", "Digits1234Digits5678");
    check("a=10&a=9&a=", "aa10a9");
}

#[test]
fn ten_thousand_fields_are_read_and_one_more_is_refused() {
    let mut form = FormBuffer::default();
    let body = "a=1&".repeat(MAX_FIELDS);
    assert_eq!(form.read(body.as_bytes()), Ok(()));
    assert_eq!(form.fields().iter().count(), 1);
    assert_eq!(form.read(format!("{body}b").as_bytes()), Err(TooManyFields));
    assert_eq!(form.read("&".repeat(1 << 20).as_bytes()), Ok(()));
}

#[test]
fn a_buffer_that_grew_large_is_given_back() {
    let mut form = FormBuffer::default();
    form.read(&vec![b'a'; 1 << 20]).unwrap();
    form.read(b"a=1").unwrap();
    assert!(form.decoded.capacity() < KEPT_BYTES);
}

proptest! {
    #[test]
    fn both_readers_agree_on_any_bytes(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(signed(&raw), signed_plainly(&raw));
    }

    #[test]
    fn both_readers_agree_on_what_looks_like_a_form(raw in "([ab]{0,3}|abcdefghijkl|[&=%+]|%[0-9a-fA-F]{2}|%00|é){0,60}") {
        prop_assert_eq!(signed(raw.as_bytes()), signed_plainly(raw.as_bytes()));
    }
}
