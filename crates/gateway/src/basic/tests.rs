use super::*;

#[test]
fn no_header_is_missing() {
    assert_eq!(users().check(None).unwrap_err(), BasicRefusal::Missing);
}

#[test]
fn another_scheme_or_a_broken_encoding_is_malformed() {
    let cases: [&[u8]; 18] = [
        b"",
        b"Basic",
        b"Basic ",
        b"Basic   ",
        b"Basic\tdHdpbGlvOnNlY3JldA==",
        b"BasicdHdpbGlvOnNlY3JldA==",
        b"Bearer dHdpbGlvOnNlY3JldA==",
        b" Basic dHdpbGlvOnNlY3JldA==",
        b"Basic dHdpbGlvOnNlY3JldA==, Basic x",
        b"Basic dHdpbGlvOnNlY3JldA== ",
        b"Basic dHdpbGlvOnNlY3JldA=",  // padding cut
        b"Basic dHdpbGlvOnNlY3JldA",   // padding gone
        b"Basic dHdpbGlvOnNlY3JldB==", // spare bits set
        b"Basic dHdpbGlv\nOnNlY3JldA==",
        b"Basic dHdp-GlvOnNlY3_ldA==", // the URL alphabet
        b"Basic \xff\xfe",
        b"Basic dHdpbGlv", // `twilio`, no colon
        b"Basic realm=\"Twilio only!\"",
    ];
    for case in cases {
        assert_eq!(
            users().check(Some(case)).unwrap_err(),
            BasicRefusal::Malformed,
            "{:?}",
            String::from_utf8_lossy(case)
        );
    }
}

#[test]
fn credentials_longer_than_any_are_not_even_hashed() {
    let long = header(&format!("twilio:{}", "x".repeat(1024)));
    assert_eq!(users().check(Some(&long)).unwrap_err(), BasicRefusal::Malformed);
}

#[test]
fn wrong_credentials_are_refused_whichever_half_is_wrong() {
    for wrong in [
        "twilio:Secret",
        "twilio:secre",
        "twilio:secrets",
        "twilio:",
        "Twilio:secret",
        "other:secret",
        ":secret",
        ":",
        "twilio:secret\0",
        "twilio :secret",
        "second:secret",
        "twilio:old",
    ] {
        assert_eq!(
            users().check(Some(&header(wrong))).unwrap_err(),
            BasicRefusal::WrongCredentials,
            "{wrong}"
        );
    }
}

#[test]
fn the_hash_itself_is_no_password() {
    let hash: [u8; 32] = Sha256::digest("old").into();
    let hex = hash.map(|byte| format!("{byte:02x}")).concat();
    assert!(users().check(Some(&header(&format!("second:{hex}")))).is_err());
    let mut raw = b"second:".to_vec();
    raw.extend(hash);
    let raw = format!("Basic {}", STANDARD.encode(raw)).into_bytes();
    assert!(users().check(Some(&raw)).is_err());
}

#[test]
fn every_listed_user_comes_in_by_name_and_password() {
    for (text, user) in [
        ("twilio:secret", "twilio"),
        ("twilio:with:colons:", "twilio"),
        ("second:old", "second"),
        ("zoë:pässwörd", "zoë"),
    ] {
        let users = users();
        let header = header(text);
        let matched = users.check(Some(&header)).unwrap();
        assert_eq!((matched.user(), matched.userinfo()), (user, text.as_bytes()));
    }
}

#[test]
fn the_scheme_is_case_insensitive_and_may_stand_off() {
    let users = users();
    for scheme in ["basic ", "BASIC ", "bAsIc   "] {
        let header = format!("{scheme}{}", STANDARD.encode("twilio:secret"));
        assert_eq!(users.check(Some(header.as_bytes())).unwrap().user(), "twilio");
    }
}

#[test]
fn a_list_that_lets_in_nobody_or_anybody_is_refused() {
    let plain = |name: &str, password: &str| (name.to_owned(), PasswordCheck::Plain(Secret::new(password)));
    let empty_hash = PasswordCheck::Sha256(Sha256::digest("").into());
    assert_eq!(BasicUsers::new([]).unwrap_err(), BasicUsersError::NoUsers);
    assert_eq!(BasicUsers::new([plain("", "x")]).unwrap_err(), BasicUsersError::EmptyName);
    assert_eq!(
        BasicUsers::new([plain("a:b", "x")]).unwrap_err(),
        BasicUsersError::ColonInName { user: "a:b".to_owned() }
    );
    assert_eq!(
        BasicUsers::new([plain("a", "")]).unwrap_err(),
        BasicUsersError::EmptyPassword { user: "a".to_owned() }
    );
    assert_eq!(
        BasicUsers::new([("a".to_owned(), empty_hash)]).unwrap_err(),
        BasicUsersError::EmptyPassword { user: "a".to_owned() }
    );
}

#[test]
fn nothing_that_is_printed_shows_a_password() {
    let users = users();
    let header = header("twilio:secret");
    let printed = format!("{users:?} {:?}", users.check(Some(&header)).unwrap());
    assert_eq!(printed, r#"["twilio", "twilio", "second", "zoë"] UserMatch { user: "twilio", .. }"#);
}

fn users() -> BasicUsers {
    let plain = |name: &str, password: &str| (name.to_owned(), PasswordCheck::Plain(Secret::new(password)));
    BasicUsers::new([
        plain("twilio", "secret"),
        plain("twilio", "with:colons:"),
        ("second".to_owned(), PasswordCheck::Sha256(Sha256::digest("old").into())),
        plain("zoë", "pässwörd"),
    ])
    .unwrap()
}

fn header(credentials: &str) -> Vec<u8> {
    format!("Basic {}", STANDARD.encode(credentials)).into_bytes()
}
