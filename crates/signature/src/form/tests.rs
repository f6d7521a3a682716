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
fn a_buffer_is_as_large_as_its_form_needs_and_one_that_grew_large_is_given_back() {
    let mut form = FormBuffer::default();
    let read = |form: &mut FormBuffer, len| form.read(&vec![b'a'; len]).map(|()| form.decoded.len());
    assert_eq!(read(&mut form, 128 * 1024), Ok(128 * 1024 + SLACK));
    assert_eq!(read(&mut form, 3), Ok(128 * 1024 + SLACK), "no webhook of a known kind is so long");
    assert_eq!(read(&mut form, 1 << 20), Ok((1 << 20) + SLACK));
    assert_eq!(read(&mut form, KEPT_BYTES - SLACK), Ok(KEPT_BYTES));
    assert_eq!(read(&mut form, 3), Ok(KEPT_BYTES), "no larger than is kept");
    assert_eq!(read(&mut form, KEPT_BYTES + 1 - SLACK), Ok(KEPT_BYTES + 1));
    assert_eq!(read(&mut form, KEPT_BYTES + 1 - SLACK), Ok(KEPT_BYTES + 1));
    assert_eq!(read(&mut form, 3), Ok(3 + SLACK));
    assert!(form.decoded.capacity() < KEPT_BYTES);
}

/// Names of the table in any order, each at most once.
fn known_names() -> impl Strategy<Value = Vec<&'static str>> {
    let names: Vec<_> = crate::names::all().map(|known| known.name).collect();
    let most = names.len();
    proptest::sample::subsequence(names, 0..most).prop_shuffle()
}

#[test]
fn well_known_names_that_differ_are_put_in_order_without_a_comparison() {
    let mut form = FormBuffer::default();
    let names: Vec<_> = crate::names::all().map(|known| known.name).collect();
    for (raw, is_by_rank) in
        [(names.join("&"), true), ("Body&Body".to_owned(), false), ("Body&Nobody".to_owned(), false)]
    {
        form.read(raw.as_bytes()).unwrap();
        assert_eq!((form.by_rank.is_all, form.sort_keys.is_empty()), (is_by_rank, is_by_rank), "{raw}");
    }
    form.read(b"To=a&Body=b&From=c").unwrap();
    assert!(form.by_rank.is_all, "what was read before is forgotten");
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

    #[test]
    fn both_readers_agree_on_well_known_names(names in known_names()) {
        let raw = names.iter().enumerate().map(|(n, name)| format!("{name}={n}")).collect::<Vec<_>>().join("&");
        prop_assert_eq!(signed(raw.as_bytes()), signed_plainly(raw.as_bytes()));
    }

    #[test]
    fn what_was_read_before_leaves_nothing(
        before in "([ab]|To|From|Body|[&=]){0,20}", raw in "([ab]|To|From|Body|[&=]){0,20}",
    ) {
        let mut form = FormBuffer::default();
        let mut read = |raw: &str| {
            form.read(raw.as_bytes()).unwrap();
            form.fields().iter().map(|field| (field.name.to_vec(), field.value.to_vec())).collect::<Vec<_>>()
        };
        let _ = read(&before);
        let again = read(&raw);
        prop_assert_eq!(again.iter().flat_map(|(name, value)| [&name[..], value]).collect::<Vec<_>>().concat(), signed(raw.as_bytes()));
    }
}
