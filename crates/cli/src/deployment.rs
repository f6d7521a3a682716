//! The deployment as `ringfence doctor` and the daily job examine it: what of the configuration others can see.

use std::path::Path;
use std::sync::Arc;

use hyper::{Method, Uri};
use jiff::Timestamp;
use ringfence_control::doctor::{
    ConfiguredSender, Gate, Leads, LookAtUpstream, PublicRoute, SendsBy, TlsUpstream, UpstreamTrouble,
    Validity, Words,
};
use ringfence_control::node::Examination;
use ringfence_control::notices::{Sender, shell_word};
use ringfence_control::second_factor::Delivery;
use ringfence_gateway::route_table::{Found, find};
use ringfence_gateway::settings::{Mode, PathRule, Route, Settings, Upstream};
use ringfence_gateway::upstream::{UpstreamAddress, UpstreamError};

use crate::config::Loaded;
use crate::config::control::Control;

/// What `serve` examines once a day, unless the configuration says never.
pub(crate) fn examination(loaded: &Loaded) -> Option<Examination> {
    let doctor = &loaded.control.doctor;
    Some(Examination {
        every: doctor.every?,
        gate: gate(&loaded.settings),
        senders: senders(&loaded.control),
        roots: doctor.roots.clone(),
        words: words(&loaded.file),
    })
}

/// How commands are typed with this configuration.
pub(crate) fn words(file: &Path) -> Words {
    Words { config: shell_word(&file.display().to_string()) }
}

/// The gate; none where no webhook comes in here.
pub(crate) fn gate(settings: &Settings) -> Option<Gate> {
    if settings.routes.is_empty() {
        return None;
    }
    let routes: Arc<[Known]> = settings.routes.iter().map(Known::of).collect();
    let public = settings.routes.iter().map(public).collect();
    let leads_to = move |uri: &Uri, method: &str| leads(&routes, uri, method);
    Some(Gate { leads_to: Arc::new(leads_to), routes: public, upstreams: upstreams(&settings.routes) })
}

/// A copy of what finds a route, which outlives the settings that the gate takes for itself.
struct Known(Route);

impl AsRef<Route> for Known {
    fn as_ref(&self) -> &Route {
        &self.0
    }
}

impl Known {
    fn of(route: &Route) -> Self {
        use ringfence_gateway::settings::Check;
        Self(Route {
            label: Arc::clone(&route.label),
            host: route.host.clone(),
            path: route.path.clone(),
            methods: route.methods.clone(),
            public_url: route.public_url.clone(),
            upstream: route.upstream.clone(),
            mode: route.mode,
            // What is checked there does not say where a URL leads.
            check: Check::Signature,
            strict: route.strict,
            accounts: None,
            replay: route.replay,
            refusal_status: route.refusal_status,
            body_cap: route.body_cap,
            timeout: route.timeout,
            proof: None,
            resign: None,
            twiml: route.twiml,
            signed_by: route.signed_by,
        })
    }
}

/// Where the gate would lead a request for this URL, if it is one of the gate's.
fn leads(routes: &[Known], uri: &Uri, method: &str) -> Leads {
    let method = method.parse().unwrap_or(Method::POST);
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let mut answer = Leads::Elsewhere;
    for route in routes.iter().filter(|route| is_at(&route.0, uri)) {
        if answer == Leads::Elsewhere {
            answer = Leads::NoRoute;
        }
        let Some(target) = target_behind(&route.0, uri) else { continue };
        // The route that takes it may be another one, with another public URL: then it is asked for that one.
        let is_its_own = |found: &Known| target_behind(&found.0, uri).as_deref() == Some(&*target);
        match find(routes, authority, &target, &method) {
            Found::Route(found) if is_its_own(found) => return Leads::Route(found.0.label.to_string()),
            Found::OtherMethods(found) if is_its_own(found) => {
                answer = Leads::OtherMethods(found.0.label.to_string());
            }
            Found::Route(_) | Found::OtherMethods(_) | Found::Nothing => {}
        }
    }
    answer
}

/// Whether a URL is at the host and port of a route's public URL.
fn is_at(route: &Route, uri: &Uri) -> bool {
    let Ok(public) = route.public_url.to_string().parse::<Uri>() else { return false };
    let is_tls = |uri: &Uri| matches!(uri.scheme_str(), Some("https" | "wss"));
    let port = |uri: &Uri| uri.port_u16().unwrap_or(if is_tls(uri) { 443 } else { 80 });
    // A URL in clear is told as such, and leads to the gate all the same.
    let same_port = port(&public) == port(uri) || (is_tls(&public) && !is_tls(uri) && uri.port().is_none());
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    host(&public).is_some() && host(&public) == host(uri) && same_port
}

/// What the gate is asked for when Twilio asks for this URL: it without the public URL of the route. None where it does
/// not begin so.
fn target_behind(route: &Route, uri: &Uri) -> Option<String> {
    let public: Uri = route.public_url.to_string().parse().ok()?;
    let target = uri.path_and_query().map_or("/", |it| it.as_str());
    let rest = target.strip_prefix(public.path().trim_end_matches('/'))?;
    (is_at(route, uri) && rest.starts_with('/')).then(|| rest.to_owned())
}

fn public(route: &Route) -> PublicRoute {
    // Any path under a prefix does.
    let path = match &route.path {
        PathRule::Exact(path) => path.clone(),
        PathRule::Prefix(prefix) => format!("{prefix}ringfence-doctor"),
    };
    let public_url = route.public_url.to_string();
    let public_url = match public_url.split_once("://") {
        Some(("ws", rest)) => format!("http://{rest}"),
        Some(("wss", rest)) => format!("https://{rest}"),
        _ => public_url,
    };
    let method = if route.methods.contains(&Method::POST) { "POST" } else { "GET" };
    let upstream = match &route.upstream {
        Upstream::Application(address) => Some(format!("{address}{path}")),
        Upstream::Breaker | Upstream::SecondFactor => None,
    };
    PublicRoute {
        label: route.label.to_string(),
        url: format!("{public_url}{path}"),
        public_url,
        method: method.to_owned(),
        watches_only: route.mode == Mode::Shadow,
        refusal_status: route.refusal_status.as_u16(),
        upstream,
    }
}

/// The applications that are asked over TLS: each once, with what is demanded of its certificate.
fn upstreams(routes: &[Route]) -> Vec<TlsUpstream> {
    let mut all: Vec<(UpstreamAddress, TlsUpstream)> = Vec::new();
    for route in routes {
        let Upstream::Application(address) = &route.upstream else { continue };
        let Some((_, name)) = address.proves() else { continue };
        let label = route.label.to_string();
        if let Some((_, known)) = all.iter_mut().find(|(known, _)| known == address) {
            known.routes.push(label);
            continue;
        }
        let upstream = TlsUpstream {
            address: address.to_string(),
            name: name.to_string(),
            routes: vec![label],
            look: looks_at(address.clone()),
        };
        all.push((address.clone(), upstream));
    }
    all.into_iter().map(|(_, upstream)| upstream).collect()
}

fn looks_at(address: UpstreamAddress) -> LookAtUpstream {
    Arc::new(move |until| {
        let address = address.clone();
        Box::pin(async move {
            let shown = address.reach(until).await.map_err(|error| match error {
                UpstreamError::Tls { .. } => UpstreamTrouble::NoTls(error.to_string()),
                error => UpstreamTrouble::Away(error.to_string()),
            })?;
            Ok(shown.and_then(|shown| {
                let time = |at| Timestamp::try_from(at).ok();
                Some(Validity { not_before: time(shown.not_before)?, not_after: time(shown.not_after)? })
            }))
        })
    })
}

/// Who sends codes and notices, as far as Twilio can say whose they are: a name instead of a number cannot be looked up.
pub(crate) fn senders(control: &Control) -> Vec<ConfiguredSender> {
    let number = |text: &str| text.starts_with('+').then(|| SendsBy::Number(text.to_owned()));
    let sends = |sender: &Sender| match sender {
        Sender::Name(name) => number(name),
        Sender::Service(service) => Some(SendsBy::Service(*service)),
    };
    let mut senders = Vec::new();
    let mut add = |at: &str, account, by: Option<SendsBy>| {
        senders.extend(by.map(|by| ConfiguredSender { at: at.to_owned(), account, by }));
    };
    if let Some(second_factor) = &control.second_factor
        && let Delivery::Programmable { sender, caller } = &second_factor.delivery
    {
        add("the sender of [second_factor]", second_factor.account, sends(sender));
        let caller = caller.as_ref().map(|caller| SendsBy::Caller(caller.to_string()));
        add("the caller of [second_factor]", second_factor.account, caller);
    }
    if let Some(settings) = control.notify.as_ref().and_then(|notify| notify.settings().ok()) {
        if let Some(sms) = &settings.sms {
            add("sms of [notify]", sms.account, sends(&sms.from));
        }
        if let Some(call) = &settings.call {
            add("call of [notify]", call.account, Some(SendsBy::Caller(call.from.to_string())));
        }
    }
    senders
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::config::{Surroundings, resolve};

    const ROUTES: &str = r#"
        [listen]
        gate = "127.0.0.1:8443"
        [[account]]
        sid = "AC00000000000000000000000000000001"
        auth_token = { env = "TOKEN" }
        [[route]]
        path = "/sms"
        public_url = "https://hooks.example.com"
        upstream = "http://127.0.0.1:3000"
        check = "signature"
        methods = ["POST"]
        [[route]]
        path = "/twilio/"
        public_url = "https://proxy.example.com:8443/base"
        upstream = "http://127.0.0.1:3000"
        check = "signature"
        [[route]]
        path = "/media"
        public_url = "wss://hooks.example.com"
        upstream = "http://127.0.0.1:3000"
        check = "signature"
    "#;

    fn gate() -> Gate {
        let env = |_: &str| Some("0123456789abcdef0123456789abcdef".to_owned());
        let around = Surroundings { folder: Path::new("/nowhere"), env: &env, now: SystemTime::UNIX_EPOCH };
        let loaded = resolve(ROUTES, Path::new("r.toml"), &around).expect("it is right");
        super::gate(&loaded.settings).expect("there are routes")
    }

    #[test]
    fn a_url_leads_to_the_route_that_would_take_it_and_no_look_alike_does() {
        let gate = gate();
        let leads = |url: &str, method: &str| (gate.leads_to)(&url.parse().expect("a URL"), method);
        let route = |label: &str| Leads::Route(label.to_owned());
        for (url, expected) in [
            ("https://hooks.example.com/sms", route("/sms")),
            ("https://HOOKS.example.com:443/sms?tenant=7", route("/sms")),
            ("https://user:password@hooks.example.com/sms", route("/sms")),
            ("http://hooks.example.com/sms", route("/sms")),
            ("wss://hooks.example.com/media", route("/media")),
            ("https://proxy.example.com:8443/base/twilio/voice", route("/twilio/")),
            ("https://hooks.example.com/sms/", Leads::NoRoute),
            ("https://hooks.example.com/", Leads::NoRoute),
            ("https://proxy.example.com:8443/twilio/voice", Leads::NoRoute),
            ("https://proxy.example.com:8443/based/twilio/voice", Leads::NoRoute),
            // The gate would take it, but its signature would be of another URL.
            ("https://hooks.example.com/twilio/voice", Leads::NoRoute),
            ("https://hooks.example.com:8443/sms", Leads::Elsewhere),
            ("https://hooks.example.com.evil.example/sms", Leads::Elsewhere),
            ("https://hooks.example.com@evil.example/sms", Leads::Elsewhere),
        ] {
            assert_eq!(leads(url, "POST"), expected, "{url}");
        }
        let other = Leads::OtherMethods("/sms".to_owned());
        assert_eq!(leads("https://hooks.example.com/sms", "GET"), other);
    }

    #[test]
    fn each_route_has_a_url_to_ask_as_others_reach_it() {
        let urls: Vec<_> = gate().routes.into_iter().map(|route| route.url).collect();
        assert_eq!(
            urls,
            [
                "https://hooks.example.com/sms",
                "https://proxy.example.com:8443/base/twilio/ringfence-doctor",
                "https://hooks.example.com/media",
            ]
        );
    }
}
