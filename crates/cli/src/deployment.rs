//! The deployment as `ringfence doctor` and the daily job examine it: what of the configuration others can see.

use std::path::Path;
use std::sync::Arc;

use hyper::{Method, Uri};
use ringfence_control::doctor::{ConfiguredSender, Gate, Leads, PublicRoute, SendsBy, Words};
use ringfence_control::node::Examination;
use ringfence_control::notices::{Sender, shell_word};
use ringfence_control::second_factor::Delivery;
use ringfence_gateway::route_table::{Found, find};
use ringfence_gateway::settings::{Mode, PathRule, Route, Settings, Upstream};

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
    Some(Gate { leads_to: Arc::new(leads_to), routes: public })
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
        })
    }
}

/// Where the gate would lead a request for this URL, if it is one of the gate's.
fn leads(routes: &[Known], uri: &Uri, method: &str) -> Leads {
    let method = method.parse().unwrap_or(Method::POST);
    let mut answer = Leads::Elsewhere;
    for route in routes {
        let Some(target) = target_behind(&route.0, uri) else { continue };
        // Another route may take it, and its public URL may be another one: each is asked for its own.
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let (found, leads) = match find(routes, host, &target, &method) {
            Found::Route(found) => (Some(found), Leads::Route(found.0.label.to_string())),
            Found::OtherMethods(found) => (Some(found), Leads::OtherMethods(found.0.label.to_string())),
            Found::Nothing => (None, Leads::NoRoute),
        };
        match (found, &leads) {
            (Some(found), Leads::Route(_)) if target_behind(&found.0, uri).is_some() => return leads,
            (Some(found), Leads::OtherMethods(_)) if target_behind(&found.0, uri).is_some() => answer = leads,
            _ if answer == Leads::Elsewhere => answer = Leads::NoRoute,
            _ => {}
        }
    }
    answer
}

/// What the gate is asked for when Twilio asks for this URL: it without the public URL of the route. None where it does
/// not begin so.
fn target_behind(route: &Route, uri: &Uri) -> Option<String> {
    let public: Uri = route.public_url.to_string().parse().ok()?;
    let is_tls = |uri: &Uri| matches!(uri.scheme_str(), Some("https" | "wss"));
    let port = |uri: &Uri| uri.port_u16().unwrap_or(if is_tls(uri) { 443 } else { 80 });
    // A URL in clear is told as such, and leads to the gate all the same.
    let same_port = port(&public) == port(uri) || (is_tls(&public) != is_tls(uri) && uri.port().is_none());
    let same_host = public.host()?.eq_ignore_ascii_case(uri.host()?);
    let target = uri.path_and_query().map_or("/", |it| it.as_str());
    let prefix = public.path().trim_end_matches('/');
    let rest = target.strip_prefix(prefix)?;
    (same_host && same_port && rest.starts_with('/')).then(|| rest.to_owned())
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
        Upstream::Application(address) => Some(format!("http://{}{path}", address.authority())),
        Upstream::Breaker | Upstream::SecondFactor => None,
    };
    PublicRoute {
        label: route.label.to_string(),
        url: format!("{public_url}{path}"),
        public_url,
        method: method.to_owned(),
        watches_only: route.mode == Mode::Shadow,
        upstream,
    }
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
