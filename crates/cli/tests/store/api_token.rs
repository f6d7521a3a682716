//! `ringfence api-token`.

use ringfence_model::Secret;

use crate::installation::{Installation, now};

#[test]
fn a_token_that_makes_no_sense_is_refused_before_the_store_is_touched() {
    let installation = Installation::new();
    for (arguments, expected) in [
        (vec!["--name", " "], "say what it is for"),
        (vec!["--name", "a\nb"], "a name is one line of text"),
        (vec!["--name", "ci", "--scope", "root"], "[possible values: read, operate, admin]"),
        (vec!["--name", "ci", "--expires", "90"], "write a time such as 12h or 90d, or `never`"),
        (vec!["--name", "ci", "--expires", "0s"], "the token would be worthless at once"),
        (vec!["--name", "ci", "--from", "10.0.0.1/8"], "it has bits beyond its length; is 10.0.0.0/8 meant?"),
        (vec!["--name", "ci", "--from", "everywhere"], "write a network such as 10.0.0.0/8"),
        (vec![], "--name <NAME>"),
    ] {
        let arguments = [vec!["api-token", "create"], arguments].concat();
        installation.run(&arguments).code(2).prints_nothing().complains(expected);
    }
    assert!(!installation.path("ringfence.db").exists());
    let run = installation.run(&["api-token", "create", "--name", "ci", "--expires", "99999999d"]);
    run.code(2).prints_nothing().complains("--expires is too long");
    assert_eq!(installation.run(&["api-token", "list"]).code(0).out, "there is no token\n");
}

#[test]
fn a_token_that_is_not_there_cannot_be_revoked() {
    let run = Installation::new().run(&["api-token", "revoke", "tk_000000000000"]).code(2).prints_nothing();
    run.complains("there is no token tk_000000000000")
        .complains("hint: `ringfence api-token list` shows them");
}

#[test]
fn a_token_is_shown_once_and_only_reads_for_ninety_days_if_nothing_is_said() {
    let installation = Installation::new();
    let made = installation.run(&["api-token", "create", "--name", "dashboard"]).code(0);
    let secret = made.out.trim_end().to_owned();
    assert!(
        secret.starts_with("rf_") && secret.len() == 67 && !secret.contains(char::is_whitespace),
        "{secret}"
    );
    assert!(!made.err.contains(&secret));
    made.complains("may read until ").complains("from anywhere; keep it now, it is not shown again");

    let listed = installation.run(&["api-token", "list", "--json"]).code(0);
    assert!(!listed.out.contains(&secret));
    let tokens = listed.json();
    let token = &tokens[0];
    assert_eq!(
        (&token["name"], &token["scopes"][0], &token["state"]),
        (&"dashboard".into(), &"read".into(), &"good".into())
    );
    let time = |key: &str| token[key].as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time");
    assert_eq!(time("expires_at").duration_since(time("created_at")).as_hours(), 90 * 24);
    let database = std::fs::read(installation.path("ringfence.db")).expect("the database");
    assert!(!database.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "only a hash is kept");
}

#[test]
fn a_token_is_what_was_asked_for_until_it_is_revoked_and_the_log_says_by_whom() {
    let installation = Installation::new();
    let made = installation.run(&[
        "api-token",
        "create",
        "--name",
        "ops",
        "--scope",
        "operate",
        "--expires",
        "never",
        "--from",
        "10.0.0.0/8",
        "--from",
        "::ffff:192.0.2.7",
        "--json",
    ]);
    let made = made.code(0).json();
    let id = made["id"].as_str().expect("an id");
    let secret = Secret::new(made["token"].as_str().expect("a secret"));
    let find =
        || installation.in_store(async |store| store.find_token(&secret, now()).await.expect("an answer"));
    let token = find().expect("it is good");
    assert_eq!((token.scopes, token.expires_at), (vec!["operate".to_owned()], None));
    assert_eq!(token.networks, ["10.0.0.0/8", "192.0.2.7/32"]);
    installation
        .run(&["api-token", "list"])
        .code(0)
        .says(&format!("{id} operate  good     never                10.0.0.0/8,192.0.2.7/32 ops\n"));

    for _ in 0..2 {
        let run = installation.run(&["api-token", "revoke", id]).code(0);
        assert_eq!(run.out, format!("token {id} is revoked\n"));
    }
    assert_eq!(find(), None);
    installation.run(&["api-token", "list"]).code(0).says(&format!("{id} operate  revoked"));

    let rows = installation.in_store(async |store| store.audit_rows(None, None, 10).await.expect("rows"));
    let rows: Vec<_> = rows.into_iter().filter(|row| row.action.starts_with("token.")).collect();
    let told: Vec<_> = rows.iter().map(|row| (row.action.as_str(), row.target.as_str())).collect();
    let target = format!("token {id}");
    assert_eq!(told, [("token.revoke", target.as_str()), ("token.create", target.as_str())]);
    for row in rows {
        assert_eq!(row.actor.kind(), "command-line");
        // The environment alone names nobody.
        assert!(
            row.actor.name().starts_with("alice as ") && row.actor.name().len() > 9,
            "{}",
            row.actor.name()
        );
    }
}
