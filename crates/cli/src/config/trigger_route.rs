//! The route of usage triggers (`upstream = "breaker"`): what it must have, and what would have no effect on it.

use hyper::Method;
use ringfence_gateway::settings::{Mode, PathRule, Route, Upstream};

use super::problems::Problems;
use super::raw::Table;
use super::route::{CheckWord, Rest};

/// Notes what keeps this route from taking triggers.
pub(super) fn fits(
    table: &Table<'_>,
    check: Option<CheckWord>,
    mode: Mode,
    methods: Option<&[Method]>,
    rest: &Rest<'_>,
    problems: &mut Problems,
) {
    if check.is_some_and(|check| check != CheckWord::Signature) {
        table.wrong(
            "check",
            "a usage trigger is signed and knows no password; write check = \"signature\"",
            problems,
        );
    }
    if mode == Mode::Shadow {
        table.wrong(
            "mode",
            "a trigger that is only watched suspends nothing; write mode = \"enforce\", or enforce = false in the \
             [[limit]]",
            problems,
        );
    }
    if table.find("path").and_then(|field| field.as_text()).is_some_and(|path| path.ends_with('/')) {
        table.wrong("path", "triggers call one URL, so write an exact path, without / at its end", problems);
    }
    let scheme =
        table.find("public_url").and_then(|field| field.as_text()).and_then(|url| url.split_once("://"));
    if scheme.is_some_and(|(scheme, _)| scheme.to_ascii_lowercase().starts_with("ws")) {
        table.wrong("public_url", "triggers call over http; write a URL with https://", problems);
    }
    if methods.is_some_and(|methods| !methods.contains(&Method::POST)) {
        table.wrong("methods", "triggers call with POST; add it", problems);
    }
    for key in ["proof_key", "resign_url", "replay", "twiml"] {
        if table.has(key) {
            table.wrong(
                key,
                "upstream = \"breaker\" forwards nothing, so it would have no effect; remove it",
                problems,
            );
        }
    }
    if !rest.has_store {
        table.wrong(
            "upstream",
            "what a trigger says is kept until it is dealt with, and there is no [store]; add one with url = \
             \"sqlite:ringfence.db\"",
            problems,
        );
    }
    if rest.listen.gate.is_none() {
        table.wrong(
            "upstream",
            "triggers are taken by the gate itself, and [listen] gives it no address; add `gate`",
            problems,
        );
    }
}

/// What triggers call, where there is a route for them.
pub(super) fn url(routes: &[Route]) -> Option<String> {
    let route = routes.iter().find(|route| route.upstream == Upstream::Breaker)?;
    let (PathRule::Exact(path) | PathRule::Prefix(path)) = &route.path;
    Some(format!("{}{path}", route.public_url))
}
