//! `[media]`, which has its address in itself.

use super::*;

const MEDIA: &str = "[media]\nlisten = \"127.0.0.1:8600\"\npublic_url = \"https://media.example.com\"\n[store]\n\
                     url = \"sqlite:a.db\"\n[[account]]\nsid = \"AC00000000000000000000000000000000\"\n\
                     auth_token = { env = \"TOKEN\" }\n";
const PROTECTED: &str = "[listen]\nconsole = \"127.0.0.1:8400\"\ntrusted_proxies = [\"127.0.0.1\"]\n[console]\n\
                         url = \"https://ringfence.example.com\"\n[[console.protect]]\nhost = \"recordings.example.com\"\n\
                         account = \"AC00000000000000000000000000000000\"\nproof_key = { env = \"TOKEN\" }\n";

#[track_caller]
fn refused(lines: &str, expected: &str) {
    let error = read(lines).expect_err(lines).to_string();
    assert_eq!(error.lines().count(), 1, "one mistake is told once:\n{error}");
    assert!(error.contains(expected), "{lines}:\n{error}\ndoes not say\n{expected}");
}

#[test]
fn a_guard_that_could_open_nothing_or_in_clear_is_refused() {
    refused(&MEDIA.replace("listen = \"127.0.0.1:8600\"\n", ""), "[media] has no `listen`");
    refused(
        &MEDIA.replace("public_url = \"https://media.example.com\"\n", ""),
        "[media] has no `public_url`",
    );
    refused(&MEDIA.replace("[store]\nurl = \"sqlite:a.db\"\n", ""), "[media] needs a [store]");
    refused(MEDIA.split("[[account]]").next().unwrap(), "no account has an auth token");
    refused(&MEDIA.replace("TOKEN", "UNSET"), "the environment variable UNSET is not set");
    let led_here = MEDIA.split_once("[[account]]").unwrap().0.replace("8600", "3000");
    refused(&format!("{SOUND}{led_here}"), "127.0.0.1:3000 is the `upstream` of the route /twilio/");
    refused(
        &MEDIA.replace("127.0.0.1:8600", "0.0.0.0:8600"),
        "without [tls]: links and files would travel in clear",
    );
    let taken = format!("[listen]\nadmin = \"127.0.0.1:8600\"\n{MEDIA}");
    refused(&taken, "127.0.0.1:8600 is the address of `admin` in [listen] already");
}

#[test]
fn values_that_would_open_too_much_or_nothing_are_refused() {
    for (line, expected) in [
        ("public_url = \"http://media.example.com\"", "it begins with https://"),
        ("public_url = \"https://media.example.com/files\"", "only scheme, host and port belong here"),
        ("public_url = \"media.example.com\"", "is no URL"),
        ("public_url = 1", "a text"),
    ] {
        refused(&MEDIA.replace("public_url = \"https://media.example.com\"", line), expected);
    }
    for (line, expected) in [
        ("hosts = []", "it is empty"),
        ("hosts = [\"10.0.0.1\"]", "is an address"),
        ("hosts = [\"*.com\"]", "has a wildcard that stands for too much"),
        ("hosts = [\"https://mms.twiliocdn.com\"]", "is no name of a host"),
        ("hosts = \"*.twilio.com\"", "a list of hosts"),
        ("timeout = \"1h\"", "is too long"),
        ("size_max = \"1 kB\"", "is too small"),
        ("size_max = \"9 GiB\"", "is too much"),
        ("size_max = \"500\"", "has no unit"),
        ("sign_in_host = \"recordings.example.com\"", "is the host of no [[console.protect]]"),
        ("links = \"1h\"", "unknown key"),
    ] {
        refused(&MEDIA.replace("[store]", &format!("{line}\n[store]")), expected);
    }
}

#[test]
fn a_sign_in_without_a_stamp_and_the_console_s_own_host_are_refused() {
    let signed_in = MEDIA.replace("[store]", "sign_in_host = \"recordings.example.com\"\n[store]");
    let both = format!("{PROTECTED}{signed_in}");
    refused(&both.replace("proof_key = { env = \"TOKEN\" }\n", ""), "has no `proof_key`");
    refused(
        &both.replace("sign_in_host = \"recordings", "sign_in_host = \"wiki"),
        "is the host of no [[console.protect]]",
    );
    refused(
        &both.replace("https://media.example.com", "https://ringfence.example.com:8443"),
        "the console's own host",
    );
    let loaded = read(&both).unwrap();
    let sign_in = loaded.settings.media.unwrap().sign_in.unwrap();
    assert_eq!(sign_in.host, "recordings.example.com");
    assert_eq!(sign_in.account.map(|account| account.to_string()).as_deref(), Some(PARENT));
    // What the console stamps is what the guard believes.
    let host = loaded.control.rules.hosts.find("recordings.example.com").unwrap();
    let stamp = host.stamp("alice@example.com", 1_800_000_000).unwrap();
    let lines = [sign_in.host.as_bytes(), b"alice@example.com"];
    assert_eq!(sign_in.key.check(stamp.as_bytes(), &lines, 1_800_000_030, Duration::from_mins(1)), Ok(()));
}

#[test]
fn what_leads_nowhere_or_to_everybody_s_storage_is_a_warning() {
    warned(
        &MEDIA.replace("https://media.example.com", "http://127.0.0.1:8600"),
        "nobody elsewhere can open them",
    );
    let hosts = "hosts = [\"*.twiliocdn.com\", \"*.amazonaws.com\"]\n[store]";
    warned(&MEDIA.replace("[store]", hosts), "everybody's storage");
}

#[test]
fn the_section_alone_is_enough_and_says_what_it_means() {
    let loaded = read(MEDIA).unwrap();
    assert_eq!(loaded.warnings, []);
    let (listen, media) = (loaded.settings.listen, loaded.settings.media.unwrap());
    assert_eq!(listen.media.map(|at| at.to_string()).as_deref(), Some("127.0.0.1:8600"));
    assert_eq!((&*media.public_url, media.bytes_max), ("https://media.example.com", 512 << 20));
    assert_eq!((media.timeout, media.accounts.len()), (Duration::from_secs(30), 1));
    let hosts: Vec<_> = media.hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ringfence_gateway::media::HOSTS);
    assert!(media.sign_in.is_none());
    // Behind a proxy that ends TLS, off loopback.
    let listed = format!(
        "[listen]\ntrusted_proxies = [\"10.0.0.1\"]\n{}",
        MEDIA.replace("127.0.0.1:8600", "10.0.0.2:8600")
    );
    assert!(read(&listed).is_ok());
}
