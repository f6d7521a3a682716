//! What nobody signed, sent to everything that must refuse it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::Uri;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::super::finding::Check;
use super::super::hooks::{self, Hook, Leads, host_and_port};
use super::super::outside::{self, Asked, Said, Unsigned};
use super::super::web::{self, NoAnswer, Web};
use super::{AT_ONCE, Examination, OUT_OF_TIME};

/// A request that must be refused.
struct ToAsk {
    what: Unsigned,
    url: String,
    method: String,
}

impl Examination {
    /// Sends what nobody signed to each route, and to each application behind one that has a public address.
    pub(super) async fn own_unsigned(&mut self, web: &Arc<Web>) {
        let mut to_ask = Vec::new();
        let gate = self.setup.gate.clone();
        for route in gate.iter().flat_map(|gate| &gate.routes) {
            let (label, watches_only) = (route.label.clone(), route.watches_only);
            let what = Unsigned::Route { label, watches_only, refusal_status: route.refusal_status };
            to_ask.push(ToAsk { what, url: route.url.clone(), method: route.method.clone() });
            let Some(upstream) = &route.upstream else { continue };
            // An address that only this network reaches is no way past the gate.
            let host = upstream.parse::<Uri>().ok().and_then(|uri| host_and_port(&uri)).map(|(host, _)| host);
            let shown = hooks::shown(upstream);
            let why = match host {
                None => "it is no URL".to_owned(),
                Some(host) => match self.in_time(web::is_public(&host)).await {
                    Ok(Some(false)) => continue,
                    Ok(Some(true)) => {
                        let what = Unsigned::Upstream { label: route.label.clone() };
                        let (url, method) = (upstream.clone(), route.method.clone());
                        to_ask.push(ToAsk { what, url, method });
                        continue;
                    }
                    Ok(None) => "its name does not resolve".to_owned(),
                    Err(why) => why,
                },
            };
            self.report.not_made(Check::UnsignedRequest, None, format!("{shown}: {why}"));
        }
        self.ask_each(web, to_ask).await;
    }

    /// The same to the URLs that Twilio has and that lead to no route.
    pub(super) async fn unsigned_hooks(&mut self, web: &Arc<Web>, hooks: &[Hook]) {
        let mut to_ask = Vec::new();
        let mut seen = BTreeSet::new();
        for hook in hooks {
            let Some(uri) = hook.uri() else {
                let why = format!("{} is no URL: {}", hook.place(), hooks::shown(&hook.url));
                self.report.not_made(Check::UnsignedRequest, Some(hook.account), why);
                continue;
            };
            if hooks::is_twilios_own(&uri) {
                continue;
            }
            // What leads to a route was asked there.
            let led = self.setup.gate.as_ref().map(|gate| (gate.leads_to)(&uri, &hook.method));
            if !matches!(led, Some(Leads::Route(_))) && seen.insert((uri.to_string(), hook.method.clone())) {
                let what = Unsigned::Hook { account: hook.account, place: hook.place() };
                to_ask.push(ToAsk { what, url: uri.to_string(), method: hook.method.clone() });
            }
        }
        self.ask_each(web, to_ask).await;
    }

    /// Several hosts at once, each one thing after the other, and none any more once it did not answer.
    async fn ask_each(&mut self, web: &Arc<Web>, to_ask: Vec<ToAsk>) {
        let mut by_host: BTreeMap<Option<(String, u16)>, Vec<ToAsk>> = BTreeMap::new();
        for ask in to_ask {
            let host = ask.url.parse().ok().and_then(|uri| host_and_port(&uri));
            by_host.entry(host).or_default().push(ask);
        }
        let mut waiting = by_host.into_values();
        let mut asking = JoinSet::new();
        let (mut asked, mut findings) = (0, Vec::new());
        loop {
            while asking.len() < AT_ONCE
                && let Some(asks) = waiting.next()
            {
                if let Some(first) = asks.first() {
                    self.tell(&format!("an unsigned request to {}", hooks::shown(&first.url)));
                }
                asking.spawn(ask_host(Arc::clone(web), asks, self.give_up));
            }
            let Some(done) = asking.join_next().await else { break };
            let done = done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            for (ToAsk { what, url, .. }, answer) in done {
                let shown = hooks::shown(&url);
                let account = match &what {
                    Unsigned::Hook { account, .. } => Some(*account),
                    Unsigned::Route { .. } | Unsigned::Upstream { .. } => None,
                };
                let why = match answer.map(|status| (status, outside::said(&what, status))) {
                    Ok((status, Said::Unclear(why))) => format!("{shown} answered {status}: {why}"),
                    Ok((status, _)) => {
                        asked += 1;
                        findings.extend(outside::unsigned(&Asked { what, url: shown, status }));
                        continue;
                    }
                    Err(why) => format!("{shown}: {why}"),
                };
                self.report.not_made(Check::UnsignedRequest, account, why);
            }
        }
        self.report.made(Check::UnsignedRequest, asked, findings);
    }
}

/// Asks one host. What did not answer once is not waited for again.
async fn ask_host(web: Arc<Web>, asks: Vec<ToAsk>, give_up: Instant) -> Vec<(ToAsk, Result<u16, String>)> {
    let mut is_away = false;
    let mut done = Vec::new();
    for ask in asks {
        let answer = match ask.url.parse::<Uri>() {
            Err(_) => Err("it is no URL".to_owned()),
            Ok(_) if is_away => Err("its host did not answer before".to_owned()),
            Ok(uri) => match timeout_at(give_up, web.ask(&uri, &ask.method)).await {
                Ok(Ok(status)) => Ok(status),
                Ok(Err(why)) => {
                    is_away = matches!(why, NoAnswer::Away(_));
                    Err(why.to_string())
                }
                Err(_) => Err(OUT_OF_TIME.to_owned()),
            },
        };
        done.push((ask, answer));
    }
    done
}
