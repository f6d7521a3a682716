//! Files as clients fetch them: in parts, by their heads, and where Twilio keeps them apart from its API.

use ringfence_sandbox::{SandboxOptions, Settings};

use crate::kit::{Served, start_with};

fn sandbox() -> Served {
    let settings = Settings { media_requires_auth: true, media_redirects: true, ..Settings::default() };
    start_with(SandboxOptions { virtual_clock: true, settings, ..SandboxOptions::default() })
}

/// The path of a picture that was sent.
async fn picture(sandbox: &Served) -> String {
    let from = sandbox.sandbox.phone_numbers()[0].replace('+', "%2B");
    let form = format!("To=%2B14155550100&From={from}&MediaUrl=https%3A%2F%2Fa.example%2Fcat.png");
    let messages = format!("/2010-04-01/Accounts/{}/Messages", sandbox.sandbox.account_sid());
    let (status, sent) = sandbox.twilio("POST", &format!("{messages}.json"), &form).await;
    assert_eq!(status, 201, "{sent}");
    let message = sent["sid"].as_str().expect("a SID");
    let (_, list) = sandbox.twilio("GET", &format!("{messages}/{message}/Media.json"), "").await;
    let uri = list["media_list"][0]["uri"].as_str().expect("a path").to_owned();
    uri.strip_suffix(".json").expect("JSON").to_owned()
}

/// Where the API sends on to, as a path of the sandbox.
async fn led_to(sandbox: &Served, path: &str) -> String {
    let led = sandbox.ask("GET", path, &sandbox.authorization(), "").await;
    assert_eq!(led.status, 307);
    let location = led.header("location").expect("a redirect");
    location.strip_prefix(&format!("http://{}", sandbox.address())).expect("a path of the sandbox").to_owned()
}

#[tokio::test]
async fn where_files_are_takes_the_signature_alone_for_four_hours() {
    let sandbox = sandbox();
    let path = picture(&sandbox).await;
    assert_eq!(sandbox.ask("GET", &path, "", "").await.status, 401);
    let file = led_to(&sandbox, &path).await;
    assert!(file.starts_with("/mms.twiliocdn.com/AC"), "{file}");
    let both = sandbox.ask("GET", &file, &sandbox.authorization(), "").await;
    assert!(both.status == 400 && both.text().contains("Only one auth mechanism allowed"), "{}", both.text());
    for wrong in [
        file.replace("Signature=", "Signature=0"),
        file.replace("Expires=", "Expires=1"),
        file.split('?').next().unwrap().to_owned(),
        file.replace("/ME", "/MM"),
        "/mms.twiliocdn.com/".to_owned(),
        "/mms.twiliocdn.com/x/y?z".to_owned(),
    ] {
        assert_eq!(sandbox.ask("GET", &wrong, "", "").await.status, 403, "{wrong}");
    }
    assert_eq!(sandbox.ask("POST", &file, "", "").await.status, 405);
    let served = sandbox.ask("GET", &file, "", "").await;
    assert_eq!((served.status, served.header("content-type")), (200, Some("image/png")));
    sandbox.sandbox.advance(std::time::Duration::from_hours(4)).await;
    assert_eq!(sandbox.ask("GET", &file, "", "").await.status, 403, "it is over");
}

#[tokio::test]
async fn one_part_of_a_file_is_given_and_what_is_beyond_its_end_is_not() {
    let sandbox = sandbox();
    let path = picture(&sandbox).await;
    let file = led_to(&sandbox, &path).await;
    let size = sandbox.ask("GET", &file, "", "").await.body.len();
    for (range, status, told, bytes) in [
        ("bytes=1-3", 206, format!("bytes 1-3/{size}"), 3),
        ("bytes=1-", 206, format!("bytes 1-{}/{size}", size - 1), size - 1),
        ("bytes=-2", 206, format!("bytes {}-{}/{size}", size - 2, size - 1), 2),
        ("bytes=0-999999", 206, format!("bytes 0-{}/{size}", size - 1), size),
        ("bytes=999999-", 416, format!("bytes */{size}"), 0),
        ("bytes=3-1", 416, format!("bytes */{size}"), 0),
    ] {
        let part = sandbox.ask("GET", &file, &format!("Range: {range}\r\n"), "").await;
        assert_eq!((part.status, part.header("content-range")), (status, Some(&*told)), "{range}");
        assert_eq!(part.body.len(), bytes, "{range}");
    }
    for odd in ["bytes=-", "bytes=0-1,3-4", "items=0-1", "bytes=a-b"] {
        assert_eq!(sandbox.ask("GET", &file, &format!("Range: {odd}\r\n"), "").await.status, 200, "{odd}");
    }
}
