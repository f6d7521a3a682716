//! What locations take over from the levels above them, and what of it is told.

use super::*;

#[test]
fn a_host_that_nginx_tells_the_application_is_said_to_stay_behind() {
    let pass = "proxy_pass http://127.0.0.1:3000;";
    let note = |inside: &str| {
        let route = of(&server(inside)).unwrap().routes.remove(0);
        route.notes.into_iter().find(|note| note.contains("Host"))
    };
    let said =
        note(&format!("location /a/ {{ {pass}\nproxy_set_header host internal.example.com; }}")).unwrap();
    assert!(
        said.starts_with("nginx.conf:5: proxy_set_header Host internal.example.com stays behind"),
        "{said}"
    );
    let above = format!("proxy_set_header Host $proxy_host;\nlocation /a/ {{ {pass} }}");
    assert!(note(&above).is_some_and(|said| said.starts_with("nginx.conf:4: ")));
    let below = format!(
        "proxy_set_header Host x;\nlocation /a/ {{ {pass} proxy_set_header X-Real-IP $remote_addr; }}"
    );
    assert_eq!(note(&below), None, "nginx takes none over where the location has one");
    for value in ["$host", "$http_host", "$host:$server_port", "$server_name"] {
        assert_eq!(note(&format!("location /a/ {{ {pass} proxy_set_header Host {value}; }}")), None);
    }
}

#[test]
fn no_advice_is_cut_off() {
    let long = "x".repeat(100);
    let inside = format!(
        "include /etc/{long};\nclient_max_body_size 20m;\nlocation /a/ {{ proxy_pass https://app; auth_basic x; \
         proxy_ssl_trusted_certificate ca.pem; proxy_ssl_name $host; proxy_set_header Host {long}; }}\n\
         location /b/ {{ try_files $uri @b; }} location /{long}/ {{ proxy_pass http://127.0.0.1:1/{long}/x; }}"
    );
    let text = of(&server(&inside)).unwrap().as_toml(&[]);
    assert!(text.contains("of a public authority or of one in upstream_ca\n"), "{text}");
    assert!(!text.contains('…'), "{text}");
}

#[test]
fn what_stays_behind_is_told_wherever_it_stands_unless_a_nearer_level_says_another() {
    let pass = "proxy_pass http://127.0.0.1:3000;";
    let told = |text: &str| -> Vec<String> {
        let notes = of(text).unwrap().routes.remove(0).notes;
        let behind = notes.iter().filter_map(|note| note.split_once(" stays behind; here the signature"));
        behind.map(|(what, _)| what.replace("nginx.conf:", "")).collect()
    };
    let in_http = |inside: &str| format!("http {{ auth_basic x; allow 10.0.0.0/8;\n{}\n}}", server(inside));
    assert_eq!(told(&in_http(&format!("location /a/ {{ {pass} }}"))), ["1: auth_basic", "1: allow"]);
    let nearer = format!(
        "auth_basic off;\nlocation /a/ {{ {pass}\ndeny all; deny 10.0.0.0/8; limit_except GET {{ }} }}"
    );
    assert_eq!(told(&in_http(&nearer)), ["7: deny", "7: limit_except"]);
    assert_eq!(told(&server(&format!("location /a/ {{ {pass} }}"))), [""; 0]);
}

#[test]
fn the_target_as_it_came_may_be_said_in_words() {
    let to = |pass: &str| {
        let text = format!(
            "upstream app {{ server 10.0.0.7:3000; }}\n{}",
            server(&format!("location /a/ {{ {pass} }}"))
        );
        of(&text).unwrap()
    };
    let proposals = to("proxy_pass http://app$request_uri;");
    assert_eq!(proposals.routes[0].upstream, "http://10.0.0.7:3000");
    let proposals = to("proxy_pass https://app$request_uri; proxy_ssl_verify on;");
    assert_eq!(proposals.routes[0].proves.name.as_deref(), Some("app"));
    for other in [
        "http://app/a/$request_uri",
        "http://app$uri",
        "http://$app$request_uri",
        "http://app$request_uri$args",
    ] {
        assert_eq!(to(&format!("proxy_pass {other};")).routes, [], "{other}");
    }
}
