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
fn a_url_that_was_signed_with_its_password_is_judged_as_the_gate_judges_it() {
    let files = Files::new();
    files.write("password", "sesame");
    let both = CONFIG.replace("\"signature\"", &format!("\"signature+basic\"\nbasic = {BASIC}"));
    let both = files.write("both.toml", &both);
    // What Twilio was told, and what it signs on some products; the password itself comes as a field.
    let signed = run(&[
        "sign",
        "--url",
        "https://twilio:sesame@hooks.example.com/twilio/sms",
        "--param",
        "Body=Hi",
        "--http",
    ]);
    let signed = signed.code(0).out;
    assert!(!signed.contains("sesame"), "{signed}");
    let with = |credentials: &str| {
        let field = format!("\r\nAuthorization: Basic {credentials}\r\n");
        files.write("request", &signed.replacen("\r\n", &field, 1))
    };
    // `twilio:sesame`, `twilio:no`
    let right = with("dHdpbGlvOnNlc2FtZQ==");
    let verified = run(&["verify", "--http", &right, "--config", &both]).code(0);
    verified.says("allow").says("url form: as-received+userinfo-added");
    run(&["explain", "--http", &right, "--config", &both]).code(0).says("allow");
    let wrong = with("dHdpbGlvOm5v");
    run(&["verify", "--http", &wrong, "--config", &both]).code(1).says("basic_wrong");
    // What is damaged then is found too, and the password is not printed.
    let damaged = with("dHdpbGlvOnNlc2FtZQ==");
    let text = std::fs::read_to_string(&damaged).expect("a file").replace("Body=Hi", "Body=Hi+");
    let damaged = files.write("damaged", &text.replace("Content-Length: 7", "Content-Length: 8"));
    let explained = run(&["explain", "--http", &damaged, "--config", &both]).code(1);
    assert!(!explained.out.contains("None of"), "{}", explained.out);
    assert!(!explained.out.contains("sesame"), "{}", explained.out);
}

#[test]
fn why_no_route_takes_a_request_has_the_name_that_the_log_has_for_it() {
    let files = Files::new();
    let config = files.write("ringfence.toml", CONFIG);
    files.write("password", "sesame");
    let basic = CONFIG.replace("\"signature\"", &format!("\"basic\"\nbasic = {BASIC}"));
    let basic = files.write("basic.toml", &basic);
    for (config, method, path, reason) in [
        (&config, "POST", "/elsewhere", "no_route"),
        (&config, "PUT", "/twilio/sms", "method_not_allowed"),
        (&basic, "POST", "/twilio/sms", "basic"),
    ] {
        let url = format!("https://hooks.example.com{path}");
        let verify = ["verify", "--url", &url, "--method", method, "--config", config, "--json"];
        run(&verify).code(1).says(&format!("\"reason\":\"{reason}\""));
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
