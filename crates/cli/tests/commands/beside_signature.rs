//! What the gate refuses whatever the signature is worth, as `verify` and `explain` tell it.

use crate::{CONFIG, Files, run, signed_request};

/// Who may come in by a password.
const BASIC: &str = r#"[{ user = "twilio", password = { file = "password" } }]"#;

#[test]
fn what_the_gate_refuses_beside_the_signature_is_told_by_verify_and_explain() {
    let files = Files::new();
    let with_password =
        |check: &str| CONFIG.replace("\"signature\"", &format!("\"{check}\"\nbasic = {BASIC}"));
    let signature = files.write("signature.toml", CONFIG);
    let both = files.write("both.toml", &with_password("signature+basic"));
    let basic = files.write("basic.toml", &with_password("basic"));
    let small = files.write("small.toml", &format!("{CONFIG}body_cap = \"10B\"\n"));
    files.write("password", "correct horse battery");
    let request = signed_request();
    // `twilio:correct horse battery`
    let right = "Authorization: Basic dHdpbGlvOmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ==";
    let wrong = "Authorization: Basic dHdpbGlvOm5v";
    for (config, header, code, told) in [
        (&signature, "X-Fine: 1", 0, "allow"),
        (&signature, "X_Request_Id: 1", 1, "answers 400 whatever the signature is worth: header_underscore"),
        (&signature, "Host: other.example", 1, "repeated_host"),
        (&signature, "Content-Encoding: gzip", 1, "content_encoding"),
        (&signature, "Upgrade: websocket", 1, "websocket_handshake_incomplete"),
        (&small, "X-Fine: 1", 1, "answers 413"),
        (&both, "X-Fine: 1", 1, "answers 401 whatever the signature is worth: basic_missing"),
        (&both, wrong, 1, "basic_wrong"),
        (&both, right, 0, "allow"),
        (&basic, "X-Fine: 1", 1, "basic_missing"),
        (&basic, right, 0, "asks for a password alone"),
    ] {
        let request = files.write("request", &request.replacen("\r\n", &format!("\r\n{header}\r\n"), 1));
        for command in ["verify", "explain"] {
            run(&[command, "--http", &request, "--config", config]).code(code).says(told);
        }
        let json = run(&["verify", "--http", &request, "--config", config, "--json"]).code(code);
        json.says(if code == 0 { "\"verdict\":\"allow\"" } else { "\"verdict\":\"refuse\"" });
    }
}

#[test]
fn a_target_that_is_none_or_could_be_another_routes_is_refused_whatever_its_signature_is_worth() {
    let files = Files::new();
    files.write("password", "correct horse battery");
    let partner = CONFIG.split("[[route]]").nth(1).expect("a route").replace("/twilio/", "/partner/");
    let partner = partner.replace("\"signature\"", &format!("\"basic\"\nbasic = {BASIC}"));
    let config = files.write("two.toml", &format!("{CONFIG}\n[[route]]{partner}"));
    let request = signed_request().replacen(
        "\r\n",
        "\r\nAuthorization: Basic dHdpbGlvOmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ==\r\n",
        1,
    );
    for (target, told) in [
        ("/partner/%2e%2e/twilio/sms", "answers 400 whatever the signature is worth: path_in_two_ways"),
        ("/twilio/<sms>", "malformed_http"),
    ] {
        let request = files.write("request", &request.replacen("/twilio/sms?tenant=7", target, 1));
        for command in ["verify", "explain"] {
            run(&[command, "--http", &request, "--config", &config]).code(1).says(told);
        }
    }
}
