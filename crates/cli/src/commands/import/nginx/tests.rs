//! What becomes a route and what does not; and that no text whatever is more than an error.

mod levels;

use std::fmt::Write as _;

use proptest::prelude::*;

use super::tree::Wrong;
use super::*;
use crate::commands::import::proposal::{LeftOut, Proposal};
use crate::commands::import::tests::all_load;

/// Files by name; the first is the one that everything begins in.
struct Files(Vec<(&'static str, String)>);

impl Sources for Files {
    fn main(&self) -> String {
        self.0[0].0.to_owned()
    }

    fn included(&self, pattern: &str) -> Included {
        let files = self.0.iter().filter(|(name, _)| *name == pattern);
        let files: Vec<_> = files.map(|(name, _)| (*name).to_owned()).collect();
        let problems = if files.is_empty() { vec![format!("there is no {pattern}")] } else { Vec::new() };
        Included { files, problems }
    }

    fn text(&self, name: &str, bytes_max: usize) -> Result<String, Unread> {
        let text =
            self.0.iter().find(|(it, _)| *it == name).map(|(_, text)| text.clone()).unwrap_or_default();
        if text.len() > bytes_max { Err(Unread::TooLong) } else { Ok(text) }
    }
}

fn of(text: &str) -> Result<crate::commands::import::proposal::Proposals, Wrong> {
    read(&Files(vec![("nginx.conf", text.to_owned())]))
}

/// A server over TLS with this in it.
fn server(inside: &str) -> String {
    format!("server {{\nlisten 443 ssl;\nserver_name hooks.example.com;\n{inside}\n}}")
}

fn routes(text: &str) -> Vec<(String, String, String)> {
    let short = |it: Proposal| (it.path, it.public_url, it.upstream);
    of(text).unwrap().routes.into_iter().map(short).collect()
}

fn route(path: &str, public_url: &str, upstream: &str) -> (String, String, String) {
    (path.to_owned(), public_url.to_owned(), upstream.to_owned())
}

#[track_caller]
fn left_out(inside: &str, line: usize, why: &str) {
    let proposals = of(&server(inside)).unwrap();
    assert!(proposals.routes.is_empty(), "{proposals:?}");
    let place = format!("nginx.conf:{line}");
    let is_it = |it: &LeftOut| it.place == place && it.why.contains(why);
    assert!(proposals.left_out.iter().any(is_it), "{why} at {place} is not in {:?}", proposals.left_out);
}

#[test]
fn what_has_no_equal_is_left_out_with_its_line_and_the_reason() {
    let pass = "proxy_pass http://127.0.0.1:3000;";
    left_out(&format!("location ~ ^/sms {{ {pass} }}"), 4, "regular expression");
    left_out(&format!("location ~* \\.php$ {{ {pass} }}"), 4, "regular expression");
    left_out("location /a/ {\nproxy_pass http://$backend;\n}", 5, "variable");
    left_out("location /a/ {\nproxy_pass http://127.0.0.1:3000/;\n}", 5, "nginx makes / of /a/");
    left_out("location /a/ {\nproxy_pass https://127.0.0.1:3000/;\n}", 5, "nginx makes / of /a/");
    left_out(
        "location /a/ {\nproxy_pass https://app;\nproxy_ssl_name -x;\n}",
        4,
        "the name in a certificate",
    );
    left_out("location /a/ { proxy_pass http://unix:/run/app.sock; }", 4, "Unix sockets");
    left_out(
        &format!("location /a/ {{ {pass}\nrewrite ^/a/(.*) /$1 break; }}"),
        5,
        "rewrite ^/a/(.*) /$1 break",
    );
    left_out(&format!("location /a/ {{ {pass}\nif ($arg_x) {{ return 403; }} }}"), 5, "if ($arg_x)");
    left_out("location /a/ {\nroot /var/www;\n}", 5, "root");
    left_out(&format!("location = /auth {{ {pass}\ninternal; }}"), 5, "is for nginx itself");
    left_out(&format!("location /a/ {{ {pass}\nproxy_method GET; }}"), 5, "another request");
    left_out(&format!("location /a/ {{ {pass}\nproxy_set_body x; }}"), 5, "another request");
    left_out("location / {\ntry_files $uri @app;\n}", 5, "and then goes to @app");
    left_out("location /a/ { }", 4, "no proxy_pass");
    left_out(&format!("location @a {{ {pass} }}"), 4, "only nginx itself");
    left_out(&format!("location /a%20b/ {{ {pass} }}"), 4, "decoded");
    left_out(&format!("location /a/../b/ {{ {pass} }}"), 4, "nginx never comes here");
    left_out(&format!("location = /a/. {{ {pass} }}"), 4, "nginx never comes here");
    left_out("return 301 https://example.com$request_uri;", 4, "return 301");
}

#[test]
fn a_server_that_nobody_could_be_told_of_is_left_out() {
    for name in ["_", "*.example.com", "~^(?<tenant>.+)$", "\"\""] {
        let text = format!(
            "server {{ listen 443 ssl; server_name {name}; location / {{ proxy_pass http://127.0.0.1:3000; }} }}"
        );
        let proposals = of(&text).unwrap();
        assert!(
            proposals.routes.is_empty() && proposals.left_out[0].why.contains("server_name"),
            "{proposals:?}"
        );
    }
}

#[test]
fn a_name_that_begins_with_a_dot_is_the_host_without_it_and_all_below_it() {
    let named = |names: &str| {
        let location = "location / { proxy_pass http://127.0.0.1:3000; }";
        of(&format!("server {{ listen 443 ssl; server_name {names}; {location} }}")).unwrap().routes.remove(0)
    };
    let route = named(".example.com");
    assert_eq!(route.public_url, "https://example.com");
    assert!(route.notes.iter().any(|note| note.contains("also called .example.com")), "{route:?}");
    assert_eq!(named(".example.com hooks.example.org").public_url, "https://hooks.example.org");
}

#[test]
fn longer_bodies_than_a_route_takes_are_told_with_what_to_add() {
    let note = |text: &str| {
        let route = of(text).unwrap().routes.remove(0);
        route.notes.into_iter().find(|note| note.contains("body_cap"))
    };
    let pass = "proxy_pass http://127.0.0.1:3000;";
    let location = format!("location /a/ {{ {pass} }}");
    assert_eq!(note(&server(&location)), None);
    let said = note(&format!("http {{ client_max_body_size 20m;\n{} }}", server(&location)));
    assert_eq!(
        said.as_deref(),
        Some(
            "nginx.conf:1: nginx takes bodies of up to 20m, and a route 1 MiB: add body_cap = \"20 MiB\" if Twilio sends \
             them"
        )
    );
    let nearer = format!("client_max_body_size 1g;\nlocation /a/ {{ client_max_body_size 512k; {pass} }}");
    assert_eq!(note(&server(&nearer)), None);
    let any = note(&server(&format!("client_max_body_size 0;\n{location}"))).unwrap();
    assert!(any.contains("of any length") && any.contains("64 MiB"), "{any}");
    let most = note(&server(&format!("client_max_body_size 1G;\n{location}"))).unwrap();
    assert!(most.contains("body_cap = \"64 MiB\""), "{most}");
}

#[test]
fn a_server_on_a_unix_socket_alone_has_no_url_of_its_own() {
    let on = |listen: &str| {
        let location = "location / { proxy_pass http://127.0.0.1:3000; }";
        of(&format!("server {{ {listen} server_name u.example.com; {location} }}")).unwrap()
    };
    let proposals = on("listen unix:/run/u.sock; listen unix:/run/v.sock ssl;");
    assert!(proposals.routes.is_empty(), "{proposals:?}");
    assert!(proposals.left_out[0].why.contains("a Unix socket alone"), "{proposals:?}");
    assert_eq!(on("listen unix:/run/u.sock; listen 443 ssl;").routes[0].public_url, "https://u.example.com");
    assert_eq!(on("").routes[0].public_url, "http://u.example.com", "port 80, as nginx takes it");
}

#[test]
fn an_empty_name_beside_others_is_none_that_it_is_called() {
    let text = "server { listen 443 ssl; server_name \"\" a.example.com \"\"; location / { proxy_pass http://127.0.0.1:3000; } }";
    let proposals = of(text).unwrap();
    assert_eq!(proposals.routes[0].public_url, "https://a.example.com");
    assert!(!proposals.routes[0].notes.iter().any(|note| note.contains("also called")), "{proposals:?}");
}

#[test]
fn a_mark_of_the_encoding_at_the_beginning_is_no_part_of_a_word() {
    let text = format!("\u{feff}{}", server("location / { proxy_pass http://127.0.0.1:3000; }"));
    assert_eq!(routes(&text).len(), 1);
}

#[test]
fn what_is_no_configuration_is_told_with_its_line() {
    let said = |text: &str| of(text).unwrap_err().to_string();
    assert!(said("server {\n").starts_with("nginx.conf:1: a block is opened"));
    assert!(said("\n}\n").starts_with("nginx.conf:2: a closing brace"));
    assert!(said("listen 80\n").starts_with("nginx.conf:1: a directive does not end"));
    assert!(said("a { b 'c }").starts_with("nginx.conf:1: a quote is opened"));
    assert!(said("a {\n{").starts_with("nginx.conf:2: a block or a semicolon has no directive"));
    assert!(said(&"a {".repeat(40)).contains("nested deeper"));
}

#[test]
fn a_file_that_includes_itself_ends() {
    let files = Files(vec![("nginx.conf", "include nginx.conf;".to_owned())]);
    assert!(matches!(read(&files), Err(Wrong::IncludesItself(_))));
    // Not deep, and wide: each file includes the next one many times.
    let names = ["1", "2", "3", "4", "5", "6", "7"];
    let files =
        names.iter().zip(&names[1..]).map(|(this, next)| (*this, format!("include {next};").repeat(9)));
    let files = Files(files.chain([("7", String::new())]).collect());
    assert_eq!(read(&files), Err(Wrong::TooLarge));
}

/// Files without an end, which counts what is asked of it.
struct Endless {
    asked: std::cell::Cell<usize>,
}

impl Sources for Endless {
    fn main(&self) -> String {
        "nginx.conf".to_owned()
    }

    fn included(&self, _pattern: &str) -> Included {
        Included { files: (0..500).map(|number| number.to_string()).collect(), problems: Vec::new() }
    }

    fn text(&self, name: &str, bytes_max: usize) -> Result<String, Unread> {
        const MIB: usize = 1 << 20;
        if name == self.main() {
            return Ok("include *;".to_owned());
        }
        self.asked.set(self.asked.get() + bytes_max.min(MIB));
        if bytes_max < MIB { Err(Unread::TooLong) } else { Ok(" ".repeat(MIB)) }
    }
}

#[test]
fn no_more_is_read_than_all_files_together_may_have() {
    let files = Endless { asked: std::cell::Cell::new(0) };
    assert_eq!(read(&files), Err(Wrong::TooLarge));
    assert!(files.asked.get() <= BYTES_MAX, "{}", files.asked.get());
}

#[test]
fn one_include_that_cannot_be_read_takes_nothing_from_the_others() {
    struct Half;
    impl Sources for Half {
        fn main(&self) -> String {
            "nginx.conf".to_owned()
        }

        fn included(&self, _pattern: &str) -> Included {
            Included { files: vec!["bad".to_owned(), "good".to_owned()], problems: Vec::new() }
        }

        fn text(&self, name: &str, _bytes_max: usize) -> Result<String, Unread> {
            match name {
                "nginx.conf" => Ok("include *;".to_owned()),
                "good" => Ok(server("location /a/ { proxy_pass http://127.0.0.1:1; }")),
                _ => Err(Unread::Cannot("bad cannot be read".to_owned())),
            }
        }
    }
    let proposals = read(&Half).unwrap();
    assert_eq!(short(&proposals), [("/a/", "1", 0, 0)]);
    assert_eq!(
        proposals.left_out,
        [LeftOut { place: "nginx.conf:1".to_owned(), why: "include: bad cannot be read".to_owned() }]
    );
}

#[test]
fn an_include_that_is_not_there_is_told_and_the_rest_is_read() {
    let text =
        format!("include missing.conf;\n{}", server("location /a/ { proxy_pass http://127.0.0.1:3000; }"));
    let proposals = of(&text).unwrap();
    assert_eq!(proposals.routes.len(), 1);
    assert_eq!(proposals.left_out[0].place, "nginx.conf:1");
    assert!(proposals.left_out[0].why.contains("missing.conf"));
}

#[test]
fn plain_locations_become_routes_wherever_they_stand() {
    let site = server(
        "location /twilio/ { proxy_pass http://app; }\nlocation = /sms { proxy_pass http://127.0.0.1:3000; }",
    );
    let files = Files(vec![
        ("nginx.conf", "http { upstream app { server 10.0.0.7:3000 down; server 10.0.0.8:3000 weight=2; server 10.0.0.9; }\ninclude sites/a; }".to_owned()),
        ("sites/a", site),
    ]);
    let proposals = read(&files).unwrap();
    assert_eq!(proposals.left_out, []);
    let [prefix, exact] = proposals.routes.as_slice() else { panic!("{proposals:?}") };
    assert_eq!((prefix.path.as_str(), prefix.upstream.as_str()), ("/twilio/", "http://10.0.0.8:3000"));
    assert_eq!(prefix.notes[0], "sites/a:4: location /twilio/");
    assert!(prefix.notes[1].contains("has 2 servers"), "{prefix:?}");
    assert_eq!((exact.path.as_str(), exact.upstream.as_str()), ("/sms", "http://127.0.0.1:3000"));
}

#[test]
fn modifiers_ports_and_paths_that_stay_are_read() {
    let of = |listen: &str, location: &str, to: &str| {
        routes(&format!(
            "server {{ {listen} server_name _ Hooks.Example.com; location {location} {{ proxy_pass {to}; }} }}"
        ))
    };
    let app = "http://127.0.0.1:3000";
    let tls = "listen 443 ssl http2; listen [::]:443 ssl;";
    let url = "https://hooks.example.com";
    assert_eq!(of(tls, "^~ /a/", app), [route("/a/", url, app)]);
    assert_eq!(of(tls, "=/a", app), [route("/a", url, app)]);
    assert_eq!(of(tls, "/a/", &format!("{app}/a/")), [route("/a/", url, app)]);
    assert_eq!(of(tls, "/", &format!("{app}/")), [route("/", url, app)]);
    assert_eq!(of(tls, "/a", app), [route("/a", url, app), route("/a/", url, app)]);
    assert_eq!(
        of("listen 80; listen 8443 ssl;", "/", app),
        [route("/", "https://hooks.example.com:8443", app)]
    );
    assert_eq!(of("listen 127.0.0.1:8080;", "/", app), [route("/", "http://hooks.example.com:8080", app)]);
    assert_eq!(of("", "/", "http://app:3000"), [route("/", "http://hooks.example.com", "http://app:3000")]);
}

/// A server with locations that lead to a port of this machine, or are as they are written.
fn with(locations: &[(&str, &str)]) -> crate::commands::import::proposal::Proposals {
    let block = |(location, to): &(&str, &str)| match to.parse::<u16>() {
        Ok(port) => format!("location {location} {{ proxy_pass http://127.0.0.1:{port}; }}\n"),
        Err(_) => format!("location {location} {{ {to} }}\n"),
    };
    let proposals = of(&server(&locations.iter().map(block).collect::<String>())).unwrap();
    all_load(&proposals);
    proposals
}

/// Each route's path and port, and what it stays away from and asks about.
fn short(proposals: &crate::commands::import::proposal::Proposals) -> Vec<(&str, &str, usize, usize)> {
    let short = |it: &'_ Proposal| (it.stays.len(), it.asks.len());
    let port = |it: &'_ str| it.rfind(':').map_or(0, |at| at + 1);
    proposals
        .routes
        .iter()
        .map(|it| (it.path.as_str(), &it.upstream[port(&it.upstream)..], short(it).0, short(it).1))
        .collect()
}

#[test]
fn an_exact_path_that_ends_with_a_slash_never_becomes_all_that_begins_so() {
    let alone = with(&[("= /", "1")]);
    assert_eq!(alone.routes, []);
    assert!(alone.left_out[0].why.contains("this is / alone"), "{alone:?}");
    assert_eq!(short(&with(&[("= /a/", "1"), ("/b/", "2")])), [("/b/", "2", 0, 0)]);

    let same = with(&[("= /", "1"), ("/", "1")]);
    assert_eq!((short(&same), same.left_out.len()), (vec![("/", "1", 0, 0)], 0));
    assert!(same.routes[0].notes.iter().any(|it| it == "nginx.conf:4: location = / is in it"), "{same:?}");

    let other = with(&[("= /", "1"), ("/", "2")]);
    assert_eq!((short(&other), other.left_out.len()), (vec![("/", "2", 0, 1)], 1), "it would be taken there");
}

#[test]
fn what_is_left_out_below_a_prefix_is_told_there_and_another_application_is_asked_about() {
    let own = [("/", "1"), ("/static/", "root /var/www;"), ("= /health", "return 204;"), ("/a/", "2")];
    let proposals = with(&own);
    assert_eq!(short(&proposals), [("/", "1", 2, 0), ("/a/", "2", 0, 0)]);
    let text = proposals.as_toml(&[]);
    let told = "# The proxy itself answers these. Keep them there: this route would take them too.\n\
                #   nginx.conf:5: location /static/\n#   nginx.conf:6: location = /health\n[[route]]\npath = \"/\"\n";
    assert!(text.contains(told), "{text}");

    for elsewhere in [
        "proxy_pass http://127.0.0.1:2/;",
        "proxy_pass http://$voice;",
        "proxy_pass https://127.0.0.1:2/;",
        "fastcgi_pass 127.0.0.1:2;",
        "rewrite ^ /x break; proxy_pass http://127.0.0.1:2;",
        "try_files $uri @voice;",
    ] {
        let proposals = with(&[("/", "1"), ("/voice/", elsewhere), ("/a/", "1")]);
        assert_eq!(short(&proposals), [("/", "1", 0, 1), ("/a/", "1", 0, 0)], "{elsewhere}");
        let text = proposals.as_toml(&[]);
        assert!(text.contains("#   nginx.conf:5: location /voice/\n"), "{text}");
        assert!(
            text.contains("\n# [[route]]\n# path = \"/\"\n")
                && text.contains("\n[[route]]\npath = \"/a/\"\n"),
            "{text}"
        );
    }
    // The nearest route would take it, and no other.
    let nested = with(&[("/", "1"), ("/a/", "1"), ("/a/b/", "proxy_pass http://$b;")]);
    assert_eq!(short(&nested), [("/", "1", 0, 0), ("/a/", "1", 0, 1)]);
}

#[test]
fn a_regular_expression_comes_before_a_prefix_but_not_before_the_one_that_has_the_last_word() {
    let places = [("/a/", "1"), ("^~ /b/", "1"), ("= /c", "1"), ("/d", "1")];
    let with_pattern =
        |pattern: &'static str, to: &'static str| with(&[&places[..], &[(pattern, to)]].concat());
    let asked =
        [("/a/", "1", 0, 1), ("/b/", "1", 0, 0), ("/c", "1", 0, 0), ("/d", "1", 0, 0), ("/d/", "1", 0, 1)];
    assert_eq!(short(&with_pattern("~ \\.php$", "fastcgi_pass 127.0.0.1:9;")), asked);
    assert_eq!(short(&with_pattern("~ \\.php$", "2")), asked, "another application");
    let none =
        [("/a/", "1", 0, 0), ("/b/", "1", 0, 0), ("/c", "1", 0, 0), ("/d", "1", 0, 0), ("/d/", "1", 0, 0)];
    assert_eq!(short(&with_pattern("~ \\.php$", "1")), none, "the same application");
    assert_eq!(short(&with_pattern("~* ^/other/.*\\.php$", "2")), none, "it cannot match there");
    let own =
        [("/a/", "1", 1, 0), ("/b/", "1", 0, 0), ("/c", "1", 0, 0), ("/d", "1", 0, 0), ("/d/", "1", 0, 0)];
    assert_eq!(short(&with_pattern("~ ^/a/.*\\.css$", "root /var/www;")), own);
    // /a.php is no path of a route of /a, and ^~ / has not the last word about it.
    let gap = with(&[("^~ /", "1"), ("/a", "1"), ("~ \\.php$", "2")]);
    assert_eq!(short(&gap), [("/", "1", 0, 1), ("/a", "1", 0, 0), ("/a/", "1", 0, 1)]);
    // nginx looks into the longest location alone.
    let inner = "proxy_pass http://127.0.0.1:1; location = /a/x { proxy_pass http://127.0.0.1:2; } location /c/ { proxy_pass http://127.0.0.1:2; }";
    let hidden = with(&[("/", inner), ("/a", "1")]);
    assert_eq!(short(&hidden), [("/", "1", 0, 0), ("/c/", "2", 0, 0), ("/a", "1", 0, 0), ("/a/", "1", 0, 0)]);
    assert!(hidden.left_out[0].why.contains("location = /a/x: nginx never comes here"), "{hidden:?}");
    // In a location, it comes before what that itself does.
    let inner = "proxy_pass http://127.0.0.1:1; location ~ \\.php$ { proxy_pass http://$x; } location /a/b/ { proxy_pass http://127.0.0.1:1; }";
    assert_eq!(
        short(&with(&[("^~ /a/", inner), ("/c/", "1")])),
        [("/a/", "1", 0, 1), ("/a/b/", "1", 0, 1), ("/c/", "1", 0, 0)]
    );
}

#[test]
fn the_exact_location_and_the_longer_one_win_whatever_their_order() {
    let (short_one, exact, longer) = (("/a", "1"), ("= /a", "2"), ("/a/", "3"));
    for all in [[short_one, exact, longer], [longer, exact, short_one], [exact, short_one, longer]] {
        let proposals = with(&all);
        let mut routes = short(&proposals);
        routes.sort_unstable();
        assert_eq!(routes, [("/a", "2", 0, 0), ("/a/", "3", 0, 0)]);
        assert!(proposals.left_out[0].why.contains("what it takes besides"), "{proposals:?}");
    }
    assert_eq!(short(&with(&[short_one, exact])), [("/a/", "1", 0, 0), ("/a", "2", 0, 0)]);
    // One that is left out is left out, and no shorter one takes its place unasked.
    let out = ("/a/", "proxy_pass http://$x;");
    assert_eq!(short(&with(&[short_one, out])), [("/a", "1", 0, 0)]);
    assert_eq!(short(&with(&[out, short_one, ("/", "1")])), [("/a", "1", 0, 0), ("/", "1", 0, 1)]);
    let wider = with(&[short_one, ("/", "2")]);
    assert!(
        wider.routes[0].notes[1].ends_with("/amore does; a route does not, and that would go to the route /"),
        "{wider:?}"
    );
}

#[test]
fn locations_in_locations_are_found_and_the_first_of_two_alike_stays() {
    let inner = "location /a/ { location /a/b/ { proxy_pass http://127.0.0.1:1; } }";
    assert_eq!(routes(&server(inner)), [route("/a/b/", "https://hooks.example.com", "http://127.0.0.1:1")]);
    let twice = of(&(server("location / { proxy_pass http://127.0.0.1:1; }")
        + &server("location / { proxy_pass http://127.0.0.1:2; }")))
    .unwrap();
    assert_eq!(twice.routes.len(), 1);
    assert!(twice.left_out[0].why.contains("already"), "{twice:?}");
}

#[test]
fn a_server_over_tls_goes_before_its_twin_without_whichever_stands_first() {
    let plain = "server { listen 80; server_name a.example.com;\nlocation / { proxy_pass http://127.0.0.1:1; }\n\
                 location /only/ { proxy_pass http://127.0.0.1:1; } }\n";
    let tls = "server { listen 443 ssl; server_name a.example.com;\nlocation / { proxy_pass http://127.0.0.1:1; } }\n";
    let other = "server { listen 8443 ssl; server_name a.example.com; location /a/ { proxy_pass http://127.0.0.1:2; } }\n";
    let url = "https://a.example.com";
    for text in [[plain, tls, other].concat(), [other, tls, plain].concat(), [tls, plain, other].concat()] {
        assert_eq!(routes(&text), [route("/", url, "http://127.0.0.1:1")]);
        let left_out = of(&text).unwrap().left_out;
        let why = left_out.iter().map(|it| it.why.as_str()).collect::<Vec<_>>();
        assert_eq!(why.len(), 3, "{why:?}");
        assert!(why.iter().all(|why| why.contains("is at https://a.example.com already")), "{why:?}");
    }
    // What the other one does not have is imported.
    let narrow = tls.replace("location /", "location /a/");
    let kept = routes(&[plain, &narrow].concat());
    assert!(kept.contains(&route("/only/", "http://a.example.com", "http://127.0.0.1:1")), "{kept:?}");
}

proptest! {
    #[test]
    fn no_text_is_more_than_an_error(text in any::<String>()) {
        _ = of(&text);
    }

    #[test]
    fn nor_is_one_of_the_words_that_nginx_knows(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "server", "http", "location", "upstream", "include", "listen 443 ssl", "server_name a.example.com",
            "proxy_pass http://app", "proxy_pass http://127.0.0.1:3000/x", "proxy_pass http://[::1]", "=", "^~", "~", "/a", "/a/", "/\u{e9}",
            "@x", "{", "}", ";", "'", "\"", "\\", "#", "\n", "$x", "${", "content_by_lua_block", "return 301 x", "if", "rewrite",
            "nginx.conf", "server 127.0.0.1:1", "server unix:/x", "listen unix:/x", "listen [::]:1", "https://",
        ]), 0..120),
    ) {
        if let Ok(proposals) = of(&words.join(" ")) {
            all_load(&proposals);
        }
    }

    #[test]
    fn every_route_of_a_configuration_that_could_be_anybodys_loads(
        servers in proptest::collection::vec((
            "[a-z]{1,5}\\.example\\.com|_|\\*\\.example\\.com",
            "(80|443 ssl|8443 ssl|\\[::\\]:443 ssl|unix:/run/x)",
            proptest::collection::vec(("(= |\\^~ |~ )?", "/[a-z.~+%{}$\"'|-]{0,6}/?", "(127\\.0\\.0\\.1:3000|app|\\[::1\\]:80|b.c|unix:/x)(/[a-z]{0,3})?"), 0..5),
        ), 0..4),
    ) {
        let mut text = "upstream app { server 10.0.0.1; server 10.0.0.2:1; }\n".to_owned();
        for (name, listen, locations) in servers {
            _ = writeln!(text, "server {{ server_name {name}; listen {listen};");
            for (modifier, path, to) in locations {
                _ = writeln!(text, "location {modifier}{path} {{ proxy_pass http://{to}; }}");
            }
            text += "}\n";
        }
        if let Ok(proposals) = of(&text) {
            all_load(&proposals);
        }
    }
}

/// What an application over TLS must prove by the only route, and what is said of it.
#[track_caller]
fn over_tls(inside: &str) -> (String, Proves, String) {
    let proposals = of(&server(inside)).unwrap();
    all_load(&proposals);
    let [route] = proposals.routes.as_slice() else { panic!("{proposals:?}") };
    (route.upstream.clone(), route.proves.clone(), route.notes.join("\n"))
}

#[test]
fn what_nginx_does_not_check_is_said_to_be_checked_from_now_on() {
    for inside in ["", "proxy_ssl_verify off;"] {
        let (upstream, proves, notes) =
            over_tls(&format!("location /a/ {{ proxy_pass https://app.internal:8443; {inside} }}"));
        assert_eq!((upstream.as_str(), proves), ("https://app.internal:8443", Proves::default()));
        assert!(notes.contains("nginx does not check the certificate"), "{notes}");
    }
    let (_, proves, notes) = over_tls("location /a/ { proxy_pass http://app; proxy_ssl_name other; }");
    assert_eq!(proves, Proves::default(), "in clear there is nothing to prove");
    assert!(!notes.contains("certificate"), "{notes}");
}

#[test]
fn what_nginx_checks_is_taken_over_from_each_level() {
    let (upstream, proves, notes) = over_tls(
        "proxy_ssl_verify on;\nproxy_ssl_trusted_certificate /etc/ca.pem;\nproxy_ssl_name above;\n\
         location /a/ { proxy_pass https://10.0.0.7; proxy_ssl_name app.internal;\n\
         proxy_ssl_certificate /etc/c.pem; proxy_ssl_certificate_key /etc/c.key; }",
    );
    let expected = Proves {
        authorities: Some("/etc/ca.pem".to_owned()),
        name: Some("app.internal".to_owned()),
        identity: Some(("/etc/c.pem".to_owned(), "/etc/c.key".to_owned())),
    };
    assert_eq!((upstream.as_str(), proves), ("https://10.0.0.7", expected));
    assert!(!notes.contains("does not check") && !notes.contains("own folder"), "{notes}");
}

#[test]
fn the_name_that_nginx_checks_is_that_of_proxy_pass_wherever_the_servers_are() {
    let inside = "location /a/ { proxy_pass https://backend; proxy_ssl_verify on;\n\
                  proxy_ssl_trusted_certificate ca.pem; }";
    let text = format!("upstream backend {{ server 10.0.0.7; }}\n{}", server(inside));
    let proposals = of(&text).unwrap();
    all_load(&proposals);
    let route = &proposals.routes[0];
    // Port 80 is nginx's for such a server, over TLS too.
    assert_eq!(route.upstream, "https://10.0.0.7:80");
    assert_eq!(route.proves.name.as_deref(), Some("backend"));
    assert!(route.notes.iter().any(|note| note.contains("own folder")), "{:?}", route.notes);
}

#[test]
fn a_variable_in_what_an_application_must_prove_is_left_to_people() {
    let (_, proves, notes) =
        over_tls("location /a/ { proxy_pass https://app; proxy_ssl_verify on; proxy_ssl_name $host; }");
    assert_eq!(proves, Proves::default());
    assert!(notes.contains("proxy_ssl_name $host: a variable"), "{notes}");
}
