//! Applications that are spoken to over TLS.

use std::fs;

use ringfence_gateway::settings::Upstream;
use ringfence_testkit::{Certificates, certificates};

use super::*;

/// The sound file with another upstream and these lines in its route, read beside the files.
fn read_beside(files: &Certificates, upstream: &str, lines: &str) -> Result<Loaded, ConfigError> {
    let text = SOUND.replace("http://127.0.0.1:3000", upstream);
    let env = |_: &str| Some("0123456789abcdef0123456789abcdef".to_owned());
    let now = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365 * 50);
    let around = Surroundings { folder: files.directory(), env: &env, now };
    resolve(&format!("{text}{lines}\n"), Path::new("r.toml"), &around)
}

#[track_caller]
fn wrong(files: &Certificates, upstream: &str, lines: &str, expected: &str) {
    let error = read_beside(files, upstream, lines).expect_err(lines).to_string();
    assert_eq!(error.lines().count(), 1, "one mistake is told once:\n{error}");
    assert!(error.contains(expected), "{lines}:\n{error}\ndoes not say\n{expected}");
}

#[track_caller]
fn warnings(files: &Certificates, upstream: &str, lines: &str) -> Vec<String> {
    let loaded = read_beside(files, upstream, lines).unwrap_or_else(|error| panic!("{error}"));
    loaded.warnings.iter().map(|it| it.in_file(Path::new("r.toml"))).collect()
}

const LOCAL: &str = "https://localhost:8000";
const FAR: &str = "https://app.internal";

#[test]
fn each_fault_of_a_file_is_named_with_its_key_and_line() {
    let files = certificates();
    let _client = files.client_paths();
    fs::write(files.directory().join("empty.pem"), "").unwrap();
    fs::write(
        files.directory().join("junk.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    for (lines, expected) in [
        ("upstream_ca = \"no.pem\"", "r.toml:13: `upstream_ca` in [[route]]: "),
        ("upstream_ca = \"no.pem\"", "no.pem: cannot be read"),
        ("upstream_ca = \"\"", "\"\" is empty; write the path of a PEM file"),
        ("upstream_ca = \"empty.pem\"", "holds no certificate"),
        ("upstream_ca = \"server.key\"", "holds no certificate"),
        ("upstream_ca = \"junk.pem\"", "junk.pem: certificate 1 cannot be that of an authority"),
        ("upstream_ca = true", "this is true or false, not a text; write the path of a PEM file"),
        ("upstream_certificate = \"client.pem\"", "add `upstream_key`"),
        ("upstream_key = \"client.key\"", "add `upstream_certificate`"),
        (
            "upstream_certificate = \"client.pem\"\nupstream_key = \"server.key\"",
            "r.toml:13: `upstream_certificate` in [[route]]: ",
        ),
        ("upstream_certificate = \"client.pem\"\nupstream_key = \"server.key\"", "does not belong to"),
        ("upstream_name = \"https://app.internal\"", "is neither a DNS name nor an IP address"),
        ("upstream_name = \"\"", "is neither a DNS name nor an IP address"),
    ] {
        wrong(&files, LOCAL, lines, expected);
    }
}

#[test]
fn a_key_of_the_gate_that_cannot_be_used_is_told_of_the_key() {
    let files = certificates();
    let _client = files.client_paths();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    fs::write(files.directory().join("encrypted.key"), encrypted).unwrap();
    for (certificate, key, told) in [
        ("server.pem", "encrypted.key", "`key` in [tls]: "),
        ("server.pem", "client.key", "`key` in [tls]: "),
        ("server.pem", "server.pem", "`key` in [tls]: "),
        ("server.key", "server.key", "`certificate` in [tls]: "),
    ] {
        let lines = format!("[tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"");
        wrong(&files, LOCAL, &lines, told);
    }
}

#[test]
fn what_a_certificate_must_prove_has_no_effect_in_clear_and_is_refused_there() {
    let files = certificates();
    let _client = files.client_paths();
    for line in [
        "upstream_ca = \"ca.pem\"",
        "upstream_name = \"app.internal\"",
        "upstream_certificate = \"client.pem\"",
        "upstream_key = \"client.key\"",
    ] {
        wrong(
            &files,
            "http://127.0.0.1:3000",
            line,
            "http://127.0.0.1:3000 shows no certificate, so it would have no effect",
        );
    }
}

#[test]
fn there_is_no_key_that_turns_the_check_of_a_certificate_off() {
    let files = certificates();
    for key in ["upstream_verify", "upstream_insecure", "insecure_skip_verify", "tls_verify"] {
        let error = read_beside(&files, LOCAL, &format!("{key} = false")).expect_err(key).to_string();
        assert!(error.contains("unknown key"), "{error}");
    }
}

#[test]
fn an_upstream_over_tls_demands_what_is_written_and_public_authorities_by_default() {
    let files = certificates();
    let (chain, _) = files.client_paths();
    let loaded = read_beside(
        &files,
        "https://localhost",
        "upstream_ca = \"ca.pem\"\nupstream_name = \"App.internal\"\nupstream_certificate = \"client.pem\"\n\
         upstream_key = \"client.key\"",
    )
    .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.warnings, []);
    let Upstream::Application(address) = &loaded.settings.routes[0].upstream else {
        panic!("no application")
    };
    let (tls, name) = address.proves().expect("it is over TLS");
    assert_eq!(
        (address.to_string().as_str(), name.to_string().as_str()),
        ("https://localhost", "app.internal")
    );
    assert_eq!(tls.authorities(), Some(&*files.authority_path()));
    assert_eq!(tls.identity(), Some(&*chain));

    let loaded = read_beside(&files, LOCAL, "").unwrap_or_else(|error| panic!("{error}"));
    let (tls, name) = loaded.settings.routes[0].upstream.address().and_then(|it| it.proves()).expect("TLS");
    assert_eq!((tls.authorities(), tls.identity(), name.to_string().as_str()), (None, None, "localhost"));
}

#[test]
fn routes_that_name_the_same_files_share_them() {
    let files = certificates();
    let second = "upstream_ca = \"ca.pem\"\n[[route]]\npath = \"/b\"\npublic_url = \"https://hooks.example.com\"\n\
                  upstream = \"https://localhost:8000\"\ncheck = \"signature\"\nupstream_ca = \"ca.pem\"";
    let loaded = read_beside(&files, LOCAL, second).unwrap_or_else(|error| panic!("{error}"));
    let [one, two] = loaded.settings.routes.as_slice() else { panic!("two routes") };
    assert_eq!(one.upstream, two.upstream);
    // Read again, as at a reload, they are others: a connection made before proves nothing about them.
    let again = read_beside(&files, LOCAL, second).unwrap_or_else(|error| panic!("{error}"));
    assert_ne!(one.upstream, again.settings.routes[0].upstream);
}

#[test]
fn a_certificate_of_ours_that_has_expired_is_a_warning() {
    let files = certificates();
    files.renew_for_years(2001, 2002);
    let lines = "upstream_certificate = \"server.pem\"\nupstream_key = \"server.key\"";
    let said = warnings(&files, LOCAL, lines);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("it has expired, so the application will refuse it"), "{said:?}");
}

#[test]
fn an_upstream_on_another_machine_is_told_what_it_lacks() {
    let files = certificates();
    let _client = files.client_paths();
    let proof = "proof_key = { env = \"KEY\" }";
    let shown = "upstream_certificate = \"client.pem\"\nupstream_key = \"client.key\"";
    for (upstream, lines, expected) in [
        ("http://app.internal:3000", "", "webhooks reach it in clear, and without `proof_key`"),
        ("http://10.0.0.7:3000", proof, "whoever is on the way reads them; write https://"),
        (FAR, "", "it is not on this machine, and without `proof_key`"),
    ] {
        let said = warnings(&files, upstream, lines);
        assert!(said.len() == 1 && said[0].contains(expected), "{upstream} {lines}: {said:?}");
    }
    for (upstream, lines) in [
        (FAR, proof),
        (FAR, shown),
        (LOCAL, ""),
        ("http://application:3000", proof),
        ("http://10.0.0.7:3000", "mode = \"shadow\""),
    ] {
        assert_eq!(warnings(&files, upstream, lines), Vec::<String>::new(), "{upstream} {lines}");
    }
}
