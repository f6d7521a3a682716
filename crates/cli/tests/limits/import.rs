//! `ringfence import`: what is there already becomes routes that load, and nothing is written.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail like tests")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::world::{TOKEN, World};

/// Puts a URL at the first number of the main account.
fn number_has(world: &World, parameter: &str, url: &str) {
    let credentials = BASE64.encode(format!("{}:{TOKEN}", world.account()));
    let head =
        format!("Authorization: Basic {credentials}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
    let number = world.control("GET", "snapshot", "")["numbers"][0]["sid"].as_str().unwrap().to_owned();
    let path = format!("/2010-04-01/Accounts/{}/IncomingPhoneNumbers/{number}.json", world.account());
    world.ask("POST", &path, &head, &format!("{parameter}={url}"));
}

/// The output, after a configuration without routes, is a configuration that is right.
fn loads(world: &World, routes: &str) {
    let head = format!(
        "[listen]\ngate = \"127.0.0.1:8081\"\n\n[[account]]\nsid = \"{}\"\nauth_token = {{ env = \"TWILIO_AUTH_TOKEN\" }}\n\n",
        world.account()
    );
    std::fs::write(world.path("imported.toml"), format!("{head}{routes}")).unwrap();
    world.run_with("imported.toml", &["check"]).code(0);
}

#[test]
fn a_wrong_token_and_an_account_that_is_none_are_told() {
    let world = World::new();
    let (sid, twilio) = (world.account().to_string(), world.twilio());
    std::fs::write(world.path("wrong"), "00000000000000000000000000000000").unwrap();
    world
        .run_plain(&["import", "account", &sid, "--token-file", "wrong", "--twilio", &twilio])
        .code(69)
        .complains("Twilio refuses its auth token");
    world
        .run_plain(&["import", "account", "SK1", "--twilio", &twilio])
        .code(2)
        .complains("32 hexadecimal digits");
    world
        .run_plain(&["import", "account", "AC00000000000000000000000000000001", "--config", "ringfence.toml"])
        .code(64)
        .complains("has no auth token of");
}

#[test]
fn an_account_without_urls_of_its_own_has_no_routes() {
    let world = World::new();
    let (sid, twilio) = (world.account().to_string(), world.twilio());
    let run = world.run_plain(&["import", "account", &sid, "--twilio", &twilio]);
    assert!(!run.out.contains("[[route]]"), "{run:?}");
    run.code(1);
}

#[test]
fn what_twilio_was_told_of_the_account_becomes_routes_that_load() {
    let world = World::new();
    let (sid, twilio) = (world.account().to_string(), world.twilio());
    number_has(&world, "SmsUrl", "https://hooks.example.com/sms?tenant=7");
    number_has(&world, "VoiceUrl", "https://hooks.example.com/voice");
    number_has(&world, "StatusCallback", "https://handler.twilio.com/twiml/EH1");
    let before = world.files();
    let run = world
        .run_plain(&["import", "account", &sid, "--twilio", &twilio, "--upstream", "http://127.0.0.1:4000"])
        .code(0);
    assert_eq!(run.out.matches("[[route]]").count(), 2, "{run:?}");
    let run = run
        .says("path = \"/sms\"")
        .says("path = \"/voice\"")
        .says("upstream = \"http://127.0.0.1:4000\"")
        .says("handler.twilio.com is Twilio itself")
        .says("What Twilio was told to call: 3 URLs of 1 account.")
        .complains("2 routes; 1 not imported");
    loads(&world, &run.out);
    assert_eq!(before.len() + 1, world.files().len(), "only the test wrote a file");
    let sub = world.subaccount("Customer 7").to_string();
    let token = world.token_of(&sub);
    let head = format!(
        "Authorization: Basic {}\r\nContent-Type: application/x-www-form-urlencoded\r\n",
        BASE64.encode(format!("{sub}:{token}"))
    );
    let form = "FriendlyName=app&SmsUrl=https://hooks.example.com/customers/7/sms";
    world.ask("POST", &format!("/2010-04-01/Accounts/{sub}/Applications.json"), &head, form);
    let run = world.run_plain(&["import", "account", &sid, "--twilio", &twilio]).code(0);
    assert!(run.out.contains("path = \"/customers/7/sms\"") && run.out.contains(&sub), "{run:?}");
    loads(&world, &run.out);
    let by_configuration =
        world.run_plain(&["import", "account", &sid, "--config", "ringfence.toml"]).code(0);
    assert_eq!(by_configuration.out, run.out);
    // Twilio shows nothing of an account that is suspended, which is no account without URLs.
    world.suspend(sub.parse().expect("a SID"));
    let run = world.run_plain(&["import", "account", &sid, "--twilio", &twilio]).code(0);
    assert!(!run.out.contains("/customers/7/sms"), "{run:?}");
    run.says(&format!("{sub}: is suspended"));
}

#[test]
fn the_nginx_of_the_examples_and_one_with_includes_become_routes_that_load() {
    let world = World::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/nginx.conf");
    let run = world
        .run_plain(&["import", "nginx", example])
        .code(0)
        .says("public_url = \"https://hooks.example.com\"");
    loads(&world, &run.out);

    std::fs::create_dir(world.path("sites")).unwrap();
    let site = "server {\n  listen 443 ssl;\n  server_name app.example.com;\n  location /twilio/ { proxy_pass http://app; }\n  \
                location ~ \\.php$ { proxy_pass http://app; }\n}\n";
    std::fs::write(world.path("sites/app.conf"), site).unwrap();
    let main = "events {}\nhttp {\n  upstream app { server 127.0.0.1:3000; }\n  include sites/*.conf;\n}\n";
    std::fs::write(world.path("nginx.conf"), main).unwrap();
    let run = world
        .run_plain(&["import", "nginx", "nginx.conf"])
        .code(0)
        .says("path = \"/twilio/\"\npublic_url = \"https://app.example.com\"\nupstream = \"http://127.0.0.1:3000\"")
        .says("sites/app.conf:5: location ~ \\.php$: a route has a plain path")
        .complains("1 route; 1 not imported");
    loads(&world, &run.out);
}

#[test]
fn a_route_that_is_a_question_is_not_in_force_and_a_script_is_told() {
    let world = World::new();
    let site = "server {\n listen 443 ssl;\n server_name a.example.com;\n location / { proxy_pass http://127.0.0.1:1; }\n \
                location /voice/ { proxy_pass http://127.0.0.1:2/; }\n LOCATION }\n";
    std::fs::write(world.path("site"), site.replace("LOCATION", "")).unwrap();
    let run = world.run_plain(&["import", "nginx", "site"]).code(1).complains("1 route; it is a question");
    assert!(run.out.contains("\n# [[route]]\n") && !run.out.contains("\n[[route]]"), "{run:?}");
    let more = "location = /sms { proxy_pass http://127.0.0.1:1; }";
    std::fs::write(world.path("site"), site.replace("LOCATION", more)).unwrap();
    let run =
        world.run_plain(&["import", "nginx", "site"]).code(0).complains("2 routes; 1 of them is a question");
    loads(&world, &run.out);
}

#[test]
fn a_file_that_nginx_could_not_read_either_is_told_with_its_line() {
    let world = World::new();
    std::fs::write(world.path("broken.conf"), "http {\n  server {\n").unwrap();
    world
        .run_plain(&["import", "nginx", "broken.conf"])
        .code(2)
        .complains("broken.conf:2: a block is opened");
    std::fs::write(world.path("empty.conf"), "events {}").unwrap();
    world.run_plain(&["import", "nginx", "empty.conf"]).code(1).complains("0 routes: no URL leads anywhere");
    world.run_plain(&["import", "nginx", "missing.conf"]).code(2).complains("cannot read missing.conf");
}
