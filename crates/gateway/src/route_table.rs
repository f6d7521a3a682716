//! Which route takes a request. Paths are compared byte for byte: what is routed is what is verified.

use http::Method;

use crate::settings::{PathRule, Route};

/// What the table says of a path and a method.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a, T> {
    /// This route takes it.
    Route(&'a T),
    /// A route takes the path, but none of them this method.
    OtherMethods(&'a T),
    /// Nothing takes the path.
    Nothing,
}

/// Finds the most specific route: one for the host before one for any, an exact path before a prefix, a longer
/// prefix before a shorter one. Only then does the method count, so that a broad route never takes over what a
/// narrow one turns away.
pub fn find<'a, T: AsRef<Route>>(
    routes: &'a [T],
    authority: &str,
    target: &str,
    method: &Method,
) -> Found<'a, T> {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let mut best: Option<(Rank, &T)> = None;
    for candidate in routes {
        let route = candidate.as_ref();
        let Some(rank) = rank(route, authority, path) else { continue };
        let better = match best {
            None => true,
            Some((best_rank, held)) => {
                rank > best_rank || (rank == best_rank && !held.as_ref().methods.contains(method))
            }
        };
        if better {
            best = Some((rank, candidate));
        }
    }
    match best {
        Some((_, found)) if found.as_ref().methods.contains(method) => Found::Route(found),
        Some((_, found)) => Found::OtherMethods(found),
        None => Found::Nothing,
    }
}

/// For this host, exact, length of the path: compared in this order.
type Rank = (bool, bool, usize);

/// How specific a matching route is: for this host, exact, length of its path.
fn rank(route: &Route, authority: &str, path: &str) -> Option<Rank> {
    if !route.is_for(authority) {
        return None;
    }
    let for_host = route.host.is_some();
    match &route.path {
        PathRule::Exact(exact) if exact == path => Some((for_host, true, exact.len())),
        PathRule::Prefix(prefix) if path.starts_with(prefix.as_str()) => {
            Some((for_host, false, prefix.len()))
        }
        PathRule::Exact(_) | PathRule::Prefix(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Check, Mode, Replay, SignedBy, Twiml};
    use http::StatusCode;
    use ringfence_signature::{PublicUrl, Strict};
    use std::sync::Arc;
    use std::time::Duration;

    struct Entry(Route);

    impl AsRef<Route> for Entry {
        fn as_ref(&self) -> &Route {
            &self.0
        }
    }

    fn route(label: &str, host: Option<&str>, path: PathRule, methods: &[Method]) -> Entry {
        Entry(Route {
            label: Arc::from(label),
            host: host.map(str::to_owned),
            path,
            methods: methods.to_vec(),
            public_url: PublicUrl::parse("https://hooks.example.com").expect("a public URL"),
            upstream: "http://127.0.0.1:3000".parse().expect("an upstream"),
            check: Check::Signature,
            mode: Mode::Enforce,
            strict: Strict::Refuse,
            accounts: None,
            replay: Replay::Auto,
            refusal_status: StatusCode::FORBIDDEN,
            body_cap: 1024,
            timeout: Duration::from_secs(14),
            proof: None,
            resign: None,
            twiml: Twiml::Pass,
            signed_by: SignedBy::Any,
        })
    }

    fn table() -> Vec<Entry> {
        let both = [Method::GET, Method::POST];
        vec![
            route("all", None, PathRule::Prefix("/".into()), &both),
            route("twilio", None, PathRule::Prefix("/twilio/".into()), &both),
            route("sms-post", None, PathRule::Exact("/twilio/sms".into()), &[Method::POST]),
            route("sms-get", None, PathRule::Exact("/twilio/sms".into()), &[Method::GET]),
            route("b", Some("b.example"), PathRule::Prefix("/".into()), &[Method::POST]),
        ]
    }

    fn found(authority: &str, target: &str, method: &Method) -> String {
        match find(&table(), authority, target, method) {
            Found::Route(entry) => entry.0.label.to_string(),
            Found::OtherMethods(entry) => format!("{} refuses the method", entry.0.label),
            Found::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn a_broad_route_does_not_take_over_what_a_narrow_one_turns_away() {
        assert_eq!(found("b.example", "/x", &Method::GET), "b refuses the method");
    }

    #[test]
    fn the_most_specific_route_wins_whatever_the_order() {
        assert_eq!(found("a.example", "/x", &Method::POST), "all");
        assert_eq!(found("a.example", "/twilio/x", &Method::POST), "twilio");
        assert_eq!(found("a.example", "/twilio/sms?x=/", &Method::POST), "sms-post");
        assert_eq!(found("a.example", "/twilio/sms", &Method::GET), "sms-get");
        assert_eq!(found("B.example:8443", "/twilio/sms", &Method::POST), "b");
    }

    #[test]
    fn paths_are_compared_byte_for_byte() {
        assert_eq!(found("a.example", "/twilio/%73ms", &Method::POST), "twilio");
        assert_eq!(found("a.example", "/%74wilio/sms", &Method::POST), "all");
        assert_eq!(found("a.example", "/x/../twilio/sms", &Method::POST), "all");
        assert_eq!(found("a.example", "//twilio/sms", &Method::POST), "all");
    }

    #[test]
    fn a_path_that_no_route_takes_is_found_by_nothing() {
        let only = [route("sms", None, PathRule::Exact("/sms".into()), &[Method::POST])];
        assert!(matches!(find(&only, "a", "/sms/", &Method::POST), Found::Nothing));
        assert!(matches!(find(&only, "a", "/sms?x=1", &Method::POST), Found::Route(_)));
    }
}
