//! A page on the web has no business with the sandbox of whoever looks at it.

use crate::kit::start;

#[tokio::test]
async fn pages_of_other_origins_are_refused() {
    let sandbox = start();
    let own = format!("Host: {}\r\n", sandbox.address());
    for headers in [
        format!("{own}Origin: https://evil.example\r\n"),
        format!("{own}Origin: null\r\n"),
        format!("{own}Sec-Fetch-Site: cross-site\r\n"),
        format!("{own}Sec-Fetch-Site: same-site\r\n"),
        "Host: evil.example\r\n".to_owned(),
        format!(
            "Host: evil.example:{}\r\nOrigin: http://evil.example:{}\r\n",
            sandbox.address().port(),
            sandbox.address().port()
        ),
    ] {
        for (method, target) in [
            ("POST", "/_sandbox/reset"),
            ("POST", "/_sandbox/forge"),
            ("POST", "/_sandbox/phones/text"),
            ("GET", "/_sandbox/snapshot"),
            ("GET", "/_sandbox/phones"),
            ("GET", "/_sandbox/events"),
        ] {
            let response = sandbox.ask(method, target, &headers, "").await;
            assert_eq!(response.status, 403, "{method} {target} {headers}: {}", response.text());
            assert_eq!(response.header("access-control-allow-origin"), None);
        }
    }
}

#[tokio::test]
async fn its_own_page_may() {
    let sandbox = start();
    let address = sandbox.address();
    let headers = format!("Host: {address}\r\nOrigin: http://{address}\r\nSec-Fetch-Site: same-origin\r\n");
    assert_eq!(sandbox.ask("POST", "/_sandbox/reset", &headers, "").await.status, 200);
}

#[tokio::test]
async fn every_answer_forbids_frames_scripts_of_others_and_guessing() {
    let sandbox = start();
    for target in ["/_sandbox/phones", "/_sandbox/", "/_sandbox/snapshot", "/_sandbox/nowhere"] {
        let response = sandbox.ask("GET", target, "Accept: text/html\r\n", "").await;
        let policy = response.header("content-security-policy").unwrap_or_default().to_owned();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{target}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{target}");
        assert_eq!(response.header("x-frame-options"), Some("DENY"), "{target}");
        assert_eq!(response.header("cache-control"), Some("no-store"), "{target}");
    }
}
