//! What frameworks and home-made senders do to form fields.

use super::{
    Cause, json, rewrite,
    variants::{self, Change, Piece},
};
use crate::{Request, fields, strict::known_name};

type Field = (Vec<u8>, Vec<u8>);

/// Larger forms are tried as they came, and as not signed at all.
const FIELDS_MAX: usize = 200;
const BODY_BYTES_MAX: usize = 32 * 1024;

/// What the fields may have been when they were signed; first as they came.
pub(super) fn variants(request: &Request<'_>) -> Vec<Piece> {
    if request.body.is_empty() {
        return if request.is_form() { blank_only(&[]) } else { vec![(None, Vec::new())] };
    }
    let received = read(request.body);
    if !request.is_form() {
        let mut variants = vec![(None, Vec::new())];
        if request.body.contains(&b'=') {
            variants.push((Some((Cause::ContentType, None)), signed(&received)));
        }
        if let Some(members) = json::flat_members(request.body) {
            variants.push((Some((Cause::JsonAsForm, None)), signed(&members)));
        }
        return variants;
    }
    // More than Twilio sends would only burn time and memory.
    if received.len() > FIELDS_MAX || request.body.len() > BODY_BYTES_MAX {
        return vec![(None, signed(&received)), (Some(variants::body_not_signed(request)), Vec::new())];
    }
    let mut variants: Vec<(Change, Vec<u8>)> = vec![(variants::body_not_signed(request), Vec::new())];
    let mut add = |cause, text| variants.push(((cause, None), text));
    add(Cause::RawBodySigned, request.body.to_vec());
    for values in [
        |value: &[u8]| rewrite::replace(value, b" ", b"+"),
        |value: &[u8]| rewrite::replace(value, b"+", b" "),
        |value: &[u8]| match value.strip_prefix(b" ") {
            Some(rest) => [b"+", rest].concat(),
            None => value.to_vec(),
        },
    ] {
        add(Cause::PlusInField, signed(&map(&received, values)));
    }
    add(Cause::LineEndings, signed(&map(&received, |value| rewrite::replace(value, b"\r\n", b"\n"))));
    add(Cause::LineEndings, signed(&map(&received, to_crlf)));
    add(Cause::FieldEncoding, signed(&map(&received, |value| rewrite::percent_decode(value, true))));
    add(Cause::FieldEncoding, signed(&map(&received, |value| rewrite::percent_decode(value, false))));
    add(Cause::FieldEncoding, signed(&raw(request.body)));
    add(Cause::FieldEncoding, signed(&map(&received, latin1_to_utf8)));
    add(Cause::FieldEncoding, signed(&map(&received, utf8_to_latin1)));
    add(Cause::FieldEncoding, signed(&map(&received, unescape_html)));
    add(Cause::FieldTrimmed, signed(&map(&received, |value| value.trim_ascii().to_vec())));
    for text in misordered(&received) {
        add(Cause::Unsorted, text);
    }
    for text in with_duplicates_settled(&received) {
        add(Cause::Duplicates, text);
    }
    variants.extend(without_blanks(&received));
    for (at, (name, _)) in received.iter().enumerate().take(60) {
        for (before, after) in
            [("", " "), ("", "\n"), ("", "\r\n"), (" ", ""), ("", "  "), (" ", " "), ("\n", "")]
        {
            let mut padded = received.clone();
            padded[at].1 = [before.as_bytes(), &padded[at].1, after.as_bytes()].concat();
            variants.push(((Cause::FieldTrimmed, known_name(name).map(str::to_owned)), signed(&padded)));
        }
    }
    let mut pieces = blank_only(&received);
    let as_received = pieces[0].1.clone();
    let blanks = pieces.split_off(1);
    for (change, text) in variants {
        if text != as_received && pieces.iter().all(|(_, known)| *known != text) {
            pieces.push((Some(change), text));
        }
    }
    // Last, because there are so many of them.
    pieces.extend(blanks);
    pieces.extend(padded_pairs(&received));
    pieces
}

/// Blank fields taken out that something put in: all of them, then each one, then each two.
fn without_blanks(received: &[Field]) -> Vec<(Change, Vec<u8>)> {
    let blanks: Vec<usize> = (0..received.len()).filter(|at| received[*at].1.is_empty()).take(60).collect();
    let mut sets = vec![blanks.clone()];
    sets.extend(blanks.iter().map(|at| vec![*at]));
    let few = &blanks[..blanks.len().min(10)];
    sets.extend(
        few.iter().enumerate().flat_map(|(nth, one)| few[..nth].iter().map(|other| vec![*other, *one])),
    );
    let without = |set: &Vec<usize>| {
        let kept = received.iter().enumerate().filter(|(at, _)| !set.contains(at));
        let kept: Vec<Field> = kept.map(|(_, field)| field.clone()).collect();
        ((Cause::BlankFieldsAdded, known_names(received, set)), signed(&kept))
    };
    sets.iter().filter(|set| !set.is_empty()).map(without).collect()
}

/// White space put back at the end of two fields at once: `Body` first, and others that hold words.
fn padded_pairs(received: &[Field]) -> Vec<Piece> {
    let is_text = |(name, value): &Field| {
        !name.ends_with(b"Sid") && value.iter().any(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii())
    };
    let mut texts: Vec<usize> = (0..received.len()).filter(|at| is_text(&received[*at])).collect();
    texts.sort_by_key(|at| received[*at].0 != b"Body");
    texts.truncate(10);
    let mut pieces = Vec::new();
    for (nth, one) in texts.iter().enumerate() {
        for other in &texts[nth + 1..] {
            for (end, other_end) in [(b" ", b" "), (b"\n", b"\n"), (b" ", b"\n"), (b"\n", b" ")] {
                let mut padded = received.to_vec();
                padded[*one].1.extend(end);
                padded[*other].1.extend(other_end);
                let detail = known_names(received, &[*one, *other]);
                pieces.push((Some((Cause::FieldTrimmed, detail)), signed(&padded)));
            }
        }
    }
    pieces
}

/// The names of these fields, where all of them are names that Twilio uses.
fn known_names(received: &[Field], places: &[usize]) -> Option<String> {
    let names: Option<Vec<&str>> = places.iter().map(|at| known_name(&received[*at].0)).collect();
    names.filter(|names| names.len() <= 9).map(|names| names.join(", "))
}

/// Fields and query mixed up: the query cut at each place, and what follows signed as fields.
pub(super) fn query_as_form(request: &Request<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let Some(query) = request.url.query().filter(|query| !query.is_empty()) else { return Vec::new() };
    let body = if request.is_form() { read(request.body) } else { Vec::new() };
    let pairs: Vec<&[u8]> = query.split(|byte| *byte == b'&').collect();
    if pairs.len() > 60 {
        return Vec::new();
    }
    let with_body = |moved: &[&[u8]]| signed(&[read(&moved.join(&b'&')), body.clone()].concat());
    let mut variants = vec![([b"?", query].concat(), with_body(&pairs))];
    for kept in 0..pairs.len() {
        let left = pairs[..kept].join(&b'&');
        let left = if kept == 0 { left } else { [&b"?"[..], &left].concat() };
        variants.push((left, with_body(&pairs[kept..])));
    }
    variants
}

/// As received, and then with blank fields put back that Twilio often sends.
fn blank_only(received: &[Field]) -> Vec<Piece> {
    const PLACES: [&str; 4] = ["City", "State", "Zip", "Country"];
    const OTHERS: [&str; 20] = [
        "Body",
        "From",
        "To",
        "Caller",
        "Called",
        "Digits",
        "ErrorMessage",
        "ErrorCode",
        "ForwardedFrom",
        "CallerName",
        "ParentCallSid",
        "RecordingUrl",
        "SpeechResult",
        "ProfileName",
        "DialCallSid",
        "Attributes",
        "UniqueName",
        "ClientIdentity",
        "WindowStartAt",
        "EmptyParam",
    ];
    let mut pieces = vec![(None, signed(received))];
    let has = |name: &str| received.iter().any(|(known, _)| known == name.as_bytes());
    let mut try_with = |names: &[String]| {
        let mut fields = received.to_vec();
        fields.extend(names.iter().map(|name| (name.clone().into_bytes(), Vec::new())));
        let detail = (names.len() <= 9).then(|| names.join(", "));
        pieces.push((Some((Cause::BlankFieldsDropped, detail)), signed(&fields)));
    };
    if received.is_empty() {
        return pieces;
    }
    for name in OTHERS.into_iter().filter(|name| !has(name)) {
        try_with(&[name.to_owned()]);
    }
    // Each place is a pair in a call (`From…` and `Caller…`), alone in a message.
    let is_call = received.iter().any(|(name, _)| name.starts_with(b"Call"));
    let parties: [&[&str]; 2] =
        if is_call { [&["From", "Caller"], &["To", "Called"]] } else { [&["From"], &["To"]] };
    let groups: Vec<Vec<String>> = parties
        .iter()
        .flat_map(|parties| {
            PLACES.map(|place| parties.iter().map(|party| format!("{party}{place}")).collect())
        })
        .map(|names: Vec<String>| names.into_iter().filter(|name| !has(name)).collect::<Vec<_>>())
        .filter(|names| !names.is_empty())
        .collect();
    for subset in 1_u32..1 << groups.len() {
        let chosen = groups.iter().enumerate().filter(|(at, _)| subset >> at & 1 == 1);
        let mut names: Vec<String> = chosen.flat_map(|(_, names)| names.clone()).collect();
        try_with(&names);
        if !has("Body") && !is_call {
            names.push("Body".to_owned());
            try_with(&names);
        }
    }
    pieces
}

fn read(raw: &[u8]) -> Vec<Field> {
    fields(raw).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// Names and values as they were on the wire, never decoded.
fn raw(body: &[u8]) -> Vec<Field> {
    let cut = |piece: &[u8]| match memchr::memchr(b'=', piece) {
        Some(at) => (piece[..at].to_vec(), piece[at + 1..].to_vec()),
        None => (piece.to_vec(), Vec::new()),
    };
    body.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty()).map(cut).collect()
}

fn map(fields: &[Field], value: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Field> {
    fields.iter().map(|(name, old)| (name.clone(), value(old))).collect()
}

/// What Twilio signs of fields.
fn signed(fields: &[Field]) -> Vec<u8> {
    let mut sorted: Vec<&Field> = fields.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    concat(sorted.into_iter())
}

fn concat<'a>(fields: impl Iterator<Item = &'a Field>) -> Vec<u8> {
    fields.flat_map(|(name, value)| name.iter().chain(value)).copied().collect()
}

fn misordered(received: &[Field]) -> Vec<Vec<u8>> {
    let by = |key: fn(&Field) -> Vec<u8>| {
        let mut sorted = received.to_vec();
        sorted.sort_by_key(key);
        concat(sorted.iter())
    };
    vec![
        concat(received.iter()),
        by(|(name, _)| name.to_ascii_lowercase()),
        by(|(name, _)| name.clone()),
        by(|(name, value)| [&name[..], value].concat()),
        by(|(name, value)| [name, &b"="[..], value].concat()),
        concat(received.iter().rev()),
    ]
}

fn with_duplicates_settled(received: &[Field]) -> Vec<Vec<u8>> {
    let mut sorted = received.to_vec();
    sorted.sort_by(|left, right| left.0.cmp(&right.0));
    let grouped: Vec<&[Field]> = sorted.chunk_by(|left, right| left.0 == right.0).collect();
    let one = |pick: fn(&[Field]) -> Vec<u8>| -> Vec<u8> {
        let fields: Vec<Field> = grouped.iter().map(|group| (group[0].0.clone(), pick(group))).collect();
        concat(fields.iter())
    };
    let mut repeated = sorted.clone();
    repeated.sort();
    vec![
        split_at_commas(received),
        one(|group| group[0].1.clone()),
        one(|group| group[group.len() - 1].1.clone()),
        one(|group| group.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>().join(&b',')),
        one(|group| group.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>().concat()),
        concat(sorted.iter()),
        concat(repeated.iter()),
    ]
}

/// What a framework joined with commas, as the several values that were signed.
fn split_at_commas(received: &[Field]) -> Vec<u8> {
    let values = |(name, value): &Field| -> Vec<Field> {
        value.split(|byte| *byte == b',').map(|one| (name.clone(), one.to_vec())).collect()
    };
    signed(&received.iter().flat_map(values).collect::<Vec<_>>())
}

fn to_crlf(value: &[u8]) -> Vec<u8> {
    rewrite::replace(&rewrite::replace(value, b"\r\n", b"\n"), b"\n", b"\r\n")
}

fn latin1_to_utf8(value: &[u8]) -> Vec<u8> {
    value.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes()
}

fn utf8_to_latin1(value: &[u8]) -> Vec<u8> {
    let text = str::from_utf8(value).ok();
    text.and_then(|text| text.chars().map(|it| u8::try_from(u32::from(it)).ok()).collect())
        .unwrap_or_else(|| value.to_vec())
}

fn unescape_html(value: &[u8]) -> Vec<u8> {
    let entities: [(&[u8], &[u8]); 6] = [
        (b"&lt;", b"<"),
        (b"&gt;", b">"),
        (b"&quot;", b"\""),
        (b"&#039;", b"'"),
        (b"&#39;", b"'"),
        (b"&amp;", b"&"),
    ];
    entities.into_iter().fold(value.to_vec(), |text, (entity, plain)| rewrite::replace(&text, entity, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, value: &str) -> Field {
        (name.as_bytes().to_vec(), value.as_bytes().to_vec())
    }

    fn form(body: &[u8]) -> Request<'_> {
        Request {
            method: "POST",
            url: crate::ReceivedUrl::parse(b"https://h.example/"),
            websocket: false,
            content_type: Some(b"application/x-www-form-urlencoded"),
            body,
            signature: None,
            settings: None,
        }
    }

    #[test]
    fn a_form_beyond_what_twilio_sends_is_tried_as_it_came_and_as_not_signed() {
        let fields = |count: usize| vec!["a=1"; count].join("&");
        let bytes = |count: usize| format!("a={}", "1".repeat(count - 2));
        for (within, beyond) in [(fields(200), fields(201)), (bytes(32_768), bytes(32_769))] {
            assert!(variants(&form(within.as_bytes())).len() > 2, "{}", within.len());
            assert_eq!(variants(&form(beyond.as_bytes())).len(), 2, "{}", beyond.len());
        }
    }

    #[test]
    fn each_form_of_the_fields_is_tried_once() {
        let pieces = variants(&form(b"Body=Hi&From=%2B1&b=&b=2"));
        let mut texts: Vec<&[u8]> = pieces.iter().map(|(_, text)| &text[..]).collect();
        let count = texts.len();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), count);
    }

    #[test]
    fn a_query_of_sixty_fields_is_cut_at_each_and_a_longer_one_at_none() {
        for (count, forms) in [(60, 61), (61, 0)] {
            let url = format!("https://h.example/?{}", vec!["a=1"; count].join("&"));
            let request = Request { url: crate::ReceivedUrl::parse(url.as_bytes()), ..form(b"") };
            assert_eq!(query_as_form(&request).len(), forms, "{count}");
        }
    }

    #[test]
    fn what_was_on_the_wire_is_cut_and_not_decoded() {
        let expected = [field("a", "%41"), field("b", ""), field("c", "d=e"), field("", "x")];
        assert_eq!(raw(b"a=%41&b&&c=d=e&=x"), expected);
    }

    #[test]
    fn text_is_turned_between_its_encodings_where_it_can_be() {
        assert_eq!(utf8_to_latin1("caf\u{e9}".as_bytes()), b"caf\xe9");
        assert_eq!(utf8_to_latin1("\u{20ac}5".as_bytes()), "\u{20ac}5".as_bytes(), "no euro in Latin-1");
        assert_eq!(utf8_to_latin1(b"\xe9"), b"\xe9", "it is none of UTF-8");
        assert_eq!(latin1_to_utf8(b"caf\xe9"), "caf\u{e9}".as_bytes());
    }

    #[test]
    fn two_texts_at_once_get_their_white_space_back_and_no_sid_nor_number_does() {
        let received =
            [field("Body", "hi"), field("City", "\u{d6}"), field("MessageSid", "SMa"), field("N", "1")];
        let pieces = padded_pairs(&received);
        assert_eq!(pieces.len(), 4, "of one pair four");
        assert!(pieces.iter().any(|(_, text)| text == "Bodyhi City\u{d6}\nMessageSidSMaN1".as_bytes()));
    }

    #[test]
    fn blank_fields_are_put_in_where_there_are_none_and_those_of_a_call_in_pairs() {
        let texts = |received: &[Field]| -> Vec<String> {
            let pieces = blank_only(received).into_iter();
            pieces.map(|(_, text)| String::from_utf8_lossy(&text).into_owned()).collect()
        };
        let call = texts(&[field("CallSid", "CA1")]);
        assert!(call.contains(&"CallSidCA1CallerCityFromCity".to_owned()), "{call:?}");
        assert!(
            !call.iter().any(|text| text.contains("Body") && text.contains("City")),
            "a call has no text"
        );
        let message = texts(&[field("MessageSid", "SM1")]);
        assert!(message.contains(&"BodyFromCityMessageSidSM1".to_owned()));
        assert!(message.contains(&"MessageSidSM1ToZip".to_owned()), "any of them alone");
        let all = "FromCityFromCountryFromStateFromZipMessageSidSM1ToCityToCountryToStateToZip";
        assert!(message.contains(&all.to_owned()), "and all of them");
        let with_text = texts(&[field("Body", "x"), field("MessageSid", "SM1")]);
        assert!(
            with_text.iter().all(|text| text.matches("Body").count() == 1),
            "what is there is not put in"
        );
    }
}
