//! The listeners of the console and of the second factor.

use super::*;

const BOTH: [&str; 2] = ["console", "second_factor"];

/// A file with a store and these lines in [listen].
fn stored(lines: &str) -> String {
    let text = SOUND.replacen("[listen]", &format!("[listen]\n{lines}"), 1);
    format!("{text}\n[store]\nurl = \"sqlite:a.db\"\n{SENDING}")
}

/// What the second factor's listener is for.
const SENDING: &str = "[second_factor]\naccount = \"AC00000000000000000000000000000000\"\n\
                       sender = \"+15550006789\"\ncountries = [\"US\"]\n";

#[track_caller]
fn stored_refused(lines: &str, expected: &str) {
    let error = read(&stored(lines)).expect_err(lines).to_string();
    assert_eq!(error.lines().count(), 1, "one mistake is told once:\n{error}");
    assert!(error.contains(expected), "{lines}:\n{error}\ndoes not say\n{expected}");
}

#[test]
fn without_a_store_neither_is_served() {
    for key in BOTH {
        let line = format!("{key} = \"127.0.0.1:1\"");
        refused(
            "[listen]",
            &line,
            &format!("r.toml:2: `{key}` in [listen]: what it shows and keeps is in the store"),
        );
        assert_eq!(read(&stored(&line)).expect("it is right").warnings, []);
    }
}

#[test]
fn passwords_and_codes_never_travel_in_clear() {
    for key in BOTH {
        for address in ["0.0.0.0:1", "10.0.0.5:1", "[::]:1"] {
            let line = format!("{key} = \"{address}\"");
            stored_refused(&line, "add [tls], or listen on 127.0.0.1, or list the proxy that ends TLS");
            let behind = format!("{line}\ntrusted_proxies = [\"10.0.0.9\"]");
            assert_eq!(read(&stored(&behind)).expect("a proxy ends TLS").warnings, []);
            let acme = "[tls]\nacme = { domains = [\"h.example\"], contact = \"a@b.example\" }\n";
            let loaded = read(&format!("{}{acme}", stored(&line))).expect("it has TLS");
            assert_eq!(loaded.warnings, []);
        }
        for address in ["127.0.0.1:1", "[::1]:1"] {
            assert!(read(&stored(&format!("{key} = \"{address}\""))).is_ok(), "{address}");
        }
    }
}

#[test]
fn all_addresses_of_the_machine_are_each_of_them() {
    for (gate, admin, is_free) in [
        ("127.0.0.1:8443", "0.0.0.0:8443", false),
        ("0.0.0.0:8443", "127.0.0.1:8443", false),
        ("[::]:8443", "127.0.0.1:8443", false),
        ("[::1]:8443", "[::]:8443", false),
        ("[::1]:8443", "0.0.0.0:8443", true),
        ("10.0.0.5:8443", "127.0.0.1:8443", true),
        ("127.0.0.1:8443", "0.0.0.0:8444", true),
        ("127.0.0.1:0", "0.0.0.0:0", true),
    ] {
        let text = SOUND.replacen("127.0.0.1:8443", &format!("{gate}\"\nadmin = \"{admin}"), 1);
        let told = read(&text).err().map(|error| error.to_string());
        assert_eq!(told.is_none(), is_free, "{gate} and {admin}: {told:?}");
        let is_said = |told: String| told.contains(&format!("{admin} is taken by `gate` at {gate}"));
        assert!(told.is_none_or(is_said), "{gate} and {admin}");
    }
}

#[test]
fn each_has_an_address_of_its_own() {
    stored_refused("console = \"127.0.0.1:8443\"", "is the address of `gate` already");
    stored_refused(
        "console = \"127.0.0.1:1\"\nsecond_factor = \"127.0.0.1:1\"",
        "is the address of `console` already",
    );
    stored_refused("console = \"127.0.0.1:3000\"", "this is `console` of [listen], our own address");
    stored_refused(
        "second_factor = \"127.0.0.1:3000\"",
        "this is `second_factor` of [listen], our own address",
    );
    stored_refused("egress = \"127.0.0.1:3000\"", "this is `egress` of [listen], our own address");
}

#[test]
fn either_may_be_all_that_is_served_and_tls_is_for_them_too() {
    let alone = |key: &str, address: &str| {
        format!("[listen]\n{key} = \"{address}\"\n[store]\nurl = \"sqlite:a.db\"\n")
    };
    let acme = "[tls]\nacme = { domains = [\"h.example\"], contact = \"a@b.example\" }\n";
    for key in BOTH {
        assert!(read(&alone(key, "127.0.0.1:1")).is_ok(), "{key} needs neither gate nor route");
        assert!(
            read(&format!("{}{acme}", alone(key, "0.0.0.0:1"))).is_ok(),
            "{key} needs no gate for its TLS"
        );
        let error = read(&format!("{}{acme}", alone(key, "127.0.0.1:1"))).expect_err("idle TLS").to_string();
        assert!(error.contains("[listen] gives none of them an address"), "{error}");
    }
}
