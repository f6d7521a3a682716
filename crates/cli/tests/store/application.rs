//! `ringfence application` and `ringfence key`.

use crate::installation::Installation;

#[test]
fn an_application_that_makes_no_sense_is_refused_before_the_store_is_touched() {
    let installation = Installation::new();
    for (arguments, expected) in [
        (vec![""], "a name has 1 to 32 characters"),
        (vec!["call 555 0123"], "must not look like a phone number"),
        (vec!["Owl", "--digits", "5"], "a code has 6 to 10 digits"),
        (vec!["Owl", "--country", "UK"], "`UK` is no country"),
        (vec!["Owl", "--host", "https://example.com"], "is no name of a host"),
    ] {
        let arguments = [vec!["application", "add"], arguments].concat();
        installation.run(&arguments).code(2).prints_nothing().complains(expected);
    }
    assert!(!installation.path("ringfence.db").exists());
    installation.run(&["migrate"]).code(0);
    assert_eq!(installation.run(&["application", "list"]).code(0).out, "there is no application\n");
}

#[test]
fn what_is_not_there_is_named() {
    let installation = Installation::new();
    let sid = "VA00000000000000000000000000000001";
    let run = installation.run(&["application", "remove", sid]).code(2).prints_nothing();
    run.complains(&format!("there is no application {sid}"))
        .complains("`ringfence application list` shows them");
    let resume = ["application", "resume", sid, "--prefix", "+1415555"];
    installation
        .run(&resume)
        .code(2)
        .prints_nothing()
        .complains("`ringfence application stopped` shows them");
    assert_eq!(installation.run(&["application", "stopped"]).code(0).out, "no prefix is stopped\n");
    installation.run(&["application", "remove", "x"]).code(2).complains("there is no application x");
    let resume = ["application", "resume", "x", "--prefix", "+1415555"];
    installation.run(&resume).code(2).prints_nothing().complains("there is no application x");
    let create = ["key", "create", "--application", "Owl", "--name", "ci"];
    installation.run(&create).code(2).prints_nothing().complains("there is no application Owl");
    let sid = "SK00000000000000000000000000000001";
    let run = installation.run(&["key", "revoke", sid]).code(2).prints_nothing();
    run.complains("`ringfence key list` shows them");
    installation.run(&["key", "revoke", "x"]).code(2).complains("is SK and 32 hexadecimal digits");
    installation.run(&["application", "add", "Owl"]).code(0);
    installation.run(&["application", "add", "Owl"]).code(0);
    let remove = installation.run(&["application", "remove", "Owl"]).code(2).prints_nothing();
    remove.complains("several applications are called Owl: give the SID");
    installation.run(&["application", "add", "Elk"]).code(0);
    installation
        .run(&["application", "remove", "Elk"])
        .code(0)
        .says("is removed, and its credentials are revoked");
    let list = installation.run(&["application", "list"]).code(0);
    assert!(!list.out.contains("Elk") && list.out.contains("Owl"), "{}", list.out);
    installation.run(&create).code(2).complains("several applications are called Owl: give the SID");
}

#[test]
fn a_secret_is_shown_once_and_ends_with_its_application() {
    let installation = Installation::new();
    let added =
        installation.run(&["application", "add", "Owl", "--country", "US", "--host", "owl.example"]).code(0);
    let service = added.out.trim().to_owned();
    assert!(service.starts_with("VA") && service.len() == 34, "{service}");
    let listed = installation.run(&["application", "list", "--json"]).code(0).json();
    assert_eq!((&listed[0]["name"], &listed[0]["settings"]["countries"][0]), (&"Owl".into(), &"US".into()));

    let create = ["key", "create", "--application", &service, "--name", "ci", "--expires", "90d"];
    let made = installation.run(&create).code(0).complains("keep it now, it is not shown again");
    let secret = made.out.trim().to_owned();
    let is_plain = secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    assert!(
        secret.starts_with("rfk") && secret.len() == 67 && is_plain,
        "Twilio's Go library takes no other: {secret}"
    );
    assert!(!made.err.contains(&secret));
    let keys = installation.run(&["key", "list", "--json"]).code(0);
    assert!(!keys.out.contains(&secret));
    let keys = keys.json();
    assert_eq!((&keys[0]["state"], &keys[0]["application"]), (&"good".into(), &service.clone().into()));
    let database = std::fs::read(installation.path("ringfence.db")).expect("the database");
    assert!(!database.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "only a hash is kept");

    installation.run(&["application", "remove", &service]).code(0);
    let keys = installation.run(&["key", "list", "--json"]).code(0).json();
    assert_eq!(keys[0]["state"], "revoked");
    assert_eq!(installation.run(&["application", "list"]).code(0).out, "there is no application\n");
}

#[test]
fn why_a_key_was_revoked_is_in_the_audit_log() {
    let installation = Installation::new();
    let service = installation.run(&["application", "add", "Owl"]).code(0).out.trim().to_owned();
    let revoke = |reason: Option<&str>| {
        installation.run(&["key", "create", "--application", &service, "--name", "ci"]).code(0);
        let keys = installation.run(&["key", "list", "--json"]).code(0).json();
        let good = keys.as_array().expect("a list").iter().find(|key| key["state"] == "good").expect("a key");
        let sid = good["sid"].as_str().expect("a SID").to_owned();
        let mut words = vec!["key", "revoke", &sid];
        words.extend(reason.map(|reason| ["--reason", reason]).into_iter().flatten());
        installation.run(&words).code(0);
        installation.seal();
        let log = installation.run(&["audit", "export"]).code(0).out;
        log.lines()
            .find(|line| line.contains(&sid) && line.contains("credential.revoke"))
            .expect("it is logged")
            .to_owned()
    };
    assert!(revoke(Some("it was in a public repository")).contains("it was in a public repository"));
    assert!(!revoke(None).contains("reason"), "nobody is made to give one");
}

#[test]
fn a_change_of_an_application_leaves_what_is_not_named_and_its_credentials_as_they_were() {
    let installation = Installation::new();
    let add = ["application", "add", "Owl", "--country", "US", "--digits", "8", "--warning"];
    let service = installation.run(&add).code(0).out.trim().to_owned();
    installation.run(&["key", "create", "--application", &service, "--name", "ci"]).code(0);
    let change = |more: &[&str]| installation.run(&[&["application", "change", "Owl"], more].concat());
    for (more, expected) in [
        (&["--digits", "5"][..], "a code has 6 to 10 digits"),
        (&["--host", "https://owl.example"], "is no name of a host"),
        (&["--host", "1.2.3.4"], "is no name of a host"),
        (&["--host", "owl.example", "--no-host"], "cannot be used with"),
        (&[], "nothing is said that is to change"),
        (&["--name", "555 0123"], "must not look like a phone number"),
    ] {
        change(more).code(2).prints_nothing().complains(expected);
    }
    let changed = change(&["--host", "owl.example", "--all-countries", "--json"]).code(0).json();
    let expected = serde_json::json!({
        "digits": 8, "countries": [], "host": "owl.example", "warning": true, "custom_codes": false,
    });
    assert_eq!((&changed["sid"], &changed["settings"]), (&service.clone().into(), &expected));
    let changed = change(&["--name", "Owl Bank", "--no-host", "--warning", "false"]).code(0);
    assert_eq!(changed.out, format!("application {service} (Owl Bank) is changed\n"));
    let listed = installation.run(&["application", "list", "--json"]).code(0).json();
    assert_eq!(listed[0]["settings"]["host"], serde_json::Value::Null);
    assert_eq!(listed[0]["settings"]["warning"], false);
    assert_eq!(installation.run(&["key", "list", "--json"]).code(0).json()[0]["state"], "good");
    change(&["--digits", "6"]).code(2).complains("there is no application Owl");
}

#[test]
fn a_country_that_no_code_goes_to_and_a_host_that_texts_have_no_room_for_are_told() {
    let installation = Installation::with(
        "[store]\nurl = \"sqlite:ringfence.db\"\n[second_factor]\naccount = \"AC00000000000000000000000000000000\"\n\
         sender = \"+15005550006\"\ncountries = [\"US\", \"GB\", \"DE\"]\n",
    );
    let add = ["application", "add", "Owl", "--country", "GB", "--country", "FR"];
    installation.run(&add).code(0).complains("note: no code goes to FR: `countries` of [second_factor]");
    let plain = installation.run(&["application", "change", "Owl", "--country", "GB"]).code(0);
    assert!(!plain.err.contains("note:"), "{}", plain.err);
    let host = "sign-in.internal.eu-west-1.example-bank.com";
    let changed = installation.run(&["application", "change", "Owl", "--host", host]).code(0);
    changed.complains(&format!("texts that have no room for {host} come without it"));
}

const ACCOUNT: &str = "AC00000000000000000000000000000001";

#[test]
fn a_virtual_credential_that_makes_no_sense_is_refused_before_the_store_is_touched() {
    let installation = Installation::new();
    let create = |more: &[&str]| {
        let arguments = [&["key", "create", "--name", "shop"], more].concat();
        installation.run(&arguments).code(2).prints_nothing();
    };
    create(&[]);
    create(&["--account", "SK00000000000000000000000000000001"]);
    create(&["--account", ACCOUNT, "--application", "Owl"]);
    create(&["--account", ACCOUNT, "--all-accounts"]);
    create(&["--account", ACCOUNT, "--may-approve"]);
    create(&["--account", ACCOUNT, "--operation", "everything"]);
    create(&["--account", ACCOUNT, "--destination", "uk"]);
    assert!(!installation.path("ringfence.db").exists());
}

#[test]
fn a_virtual_credential_says_what_it_is_for_and_shows_its_secret_once() {
    let installation = Installation::new();
    let create = ["key", "create", "--account", ACCOUNT, "--name", "shop", "--operation", "messages,lookups"];
    let more =
        ["--destination", "GB,+1415", "--sender", "+15550006789", "--tenant", "acme", "--expires", "90d"];
    let made = installation.run(&[&create[..], &more[..]].concat()).code(0).complains(ACCOUNT);
    let secret = made.out.trim().to_owned();
    let is_plain = secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    assert!(
        secret.starts_with("rfk") && secret.len() == 67 && is_plain,
        "Twilio's Go library takes no other: {secret}"
    );
    let keys = installation.run(&["key", "list", "--json"]).code(0).json();
    assert_eq!((&keys[0]["kind"], &keys[0]["application"]), (&"egress".into(), &serde_json::Value::Null));
    let scopes = [
        format!("account={ACCOUNT}"),
        "operation=messages".to_owned(),
        "operation=lookups".to_owned(),
        "destination=GB".to_owned(),
        "destination=+1415".to_owned(),
        "sender=+15550006789".to_owned(),
        "tenant=acme".to_owned(),
    ];
    assert_eq!(keys[0]["scopes"], serde_json::json!(scopes));
    let plain = ["key", "create", "--all-accounts", "--name", "all", "--json"];
    let plain = installation.run(&plain).code(0).json();
    assert_eq!(plain["scopes"][0], "account=*");
    assert_eq!(plain["scopes"].as_array().map(Vec::len), Some(5), "and the four of the default");
}

#[test]
fn the_list_says_what_each_credential_may_do_who_made_it_and_when_it_was_used() {
    let installation = Installation::new();
    let account = "AC00000000000000000000000000000001";
    let create = ["key", "create", "--account", account, "--name", "shop"];
    installation.run(&create).code(0);
    let narrow =
        ["--operation", "messages", "--destination", "GB,+1415", "--sender", "ACME", "--tenant", "blue"];
    installation.run(&[&create[..], &narrow[..]].concat()).code(0);
    let listed = installation.run(&["key", "list"]).code(0).out;
    for line in [
        format!("for {account}: messages, calls, verifications, lookups\n"),
        format!("for {account}: messages; to GB, +1415; as ACME; tenant blue\n"),
        " by command-line alice".to_owned(),
        "; never used\n".to_owned(),
    ] {
        assert!(listed.contains(&line), "{line}: {listed}");
    }
    let nowhere = ["--destination", "UK"];
    let refused = installation.run(&[&create[..], &nowhere[..]].concat()).code(2).prints_nothing();
    refused.complains("UK is no country").complains("GB for the United Kingdom");
}
