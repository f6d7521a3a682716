//! The routes that end with us (`upstream = "breaker"` for usage triggers, `upstream = "second-factor"` for keys pressed in
//! calls that carry codes): what they must have, and what would have no effect on them.

use hyper::Method;
use ringfence_control::second_factor::{Delivery, Settings};
use ringfence_gateway::settings::{Mode, PathRule, Route, Upstream};

use super::problems::Problems;
use super::raw::Table;
use super::route::{CheckWord, Rest};

/// What is said of one of them.
pub(super) struct OwnRoute {
    /// As it is typed.
    pub(super) word: &'static str,
    /// Who calls it.
    who: &'static str,
    /// Why a password does not do.
    knows_no_password: &'static str,
    shadowed: &'static str,
    needs_store: &'static str,
}

const BREAKER: OwnRoute = OwnRoute {
    word: "breaker",
    who: "triggers",
    knows_no_password: "a usage trigger is signed and knows no password",
    shadowed: "a trigger that is only watched suspends nothing; write mode = \"enforce\", or enforce = false in the \
               [[limit]]",
    needs_store: "what a trigger says is kept until it is dealt with",
};

const SECOND_FACTOR: OwnRoute = OwnRoute {
    word: "second-factor",
    who: "calls that carry codes",
    knows_no_password: "a pressed key is signed and knows no password",
    shadowed: "a call whose keys are only watched never says its code; write mode = \"enforce\"",
    needs_store: "codes are derived from what is kept",
};

/// The route of this upstream, if it ends with us.
pub(super) fn of(upstream: &Upstream) -> Option<&'static OwnRoute> {
    match upstream {
        Upstream::Application(_) => None,
        Upstream::Breaker => Some(&BREAKER),
        Upstream::SecondFactor => Some(&SECOND_FACTOR),
    }
}

impl OwnRoute {
    /// Notes what keeps this route from being of use.
    pub(super) fn fits(
        &self,
        table: &Table<'_>,
        check: Option<CheckWord>,
        mode: Mode,
        methods: Option<&[Method]>,
        rest: &Rest<'_>,
        problems: &mut Problems,
    ) {
        let Self { word, who, .. } = self;
        if check.is_some_and(|check| check != CheckWord::Signature) {
            let why = self.knows_no_password;
            table.wrong("check", format_args!("{why}; write check = \"signature\""), problems);
        }
        if mode == Mode::Shadow {
            table.wrong("mode", self.shadowed, problems);
        }
        if table.find("path").and_then(|field| field.as_text()).is_some_and(|path| path.ends_with('/')) {
            let what = format_args!("{who} call one URL, so write an exact path, without / at its end");
            table.wrong("path", what, problems);
        }
        let scheme =
            table.find("public_url").and_then(|field| field.as_text()).and_then(|url| url.split_once("://"));
        if scheme.is_some_and(|(scheme, _)| scheme.to_ascii_lowercase().starts_with("ws")) {
            let what = format_args!("{who} call over http; write a URL with https://");
            table.wrong("public_url", what, problems);
        }
        if methods.is_some_and(|methods| !methods.contains(&Method::POST)) {
            table.wrong("methods", format_args!("{who} call with POST; add it"), problems);
        }
        for key in ["proof_key", "resign_url", "replay", "twiml"] {
            if table.has(key) {
                let what = format_args!(
                    "upstream = \"{word}\" forwards nothing, so it would have no effect; remove it"
                );
                table.wrong(key, what, problems);
            }
        }
        if !rest.has_store {
            let what = format_args!(
                "{}, and there is no [store]; add one with url = \"sqlite:ringfence.db\"",
                self.needs_store
            );
            table.wrong("upstream", what, problems);
        }
        if rest.listen.gate.is_none() {
            let what = format_args!(
                "{who} are taken by the gate itself, and [listen] gives it no address; add `gate`"
            );
            table.wrong("upstream", what, problems);
        }
    }

    /// What is wrong with a second route of this kind.
    pub(super) fn is_second(&self, line: usize) -> String {
        match self.word {
            "breaker" => format!(
                "the route of line {line} takes usage triggers already, and they call one URL; remove one"
            ),
            _ => format!(
                "the route of line {line} takes pressed keys already, and calls tell one URL; remove one"
            ),
        }
    }
}

/// Notes a route for pressed keys where nobody is called. `is_there` says whether the file has a `[second_factor]`,
/// right or wrong.
pub(super) fn check_keys(
    tables: &[Table<'_>],
    is_there: bool,
    settings: Option<&Settings>,
    problems: &mut Problems,
) {
    let takes_keys = |table: &&Table<'_>| {
        table.find("upstream").and_then(|field| field.as_text()) == Some(SECOND_FACTOR.word)
    };
    let Some(table) = tables.iter().find(takes_keys) else { return };
    let what = match settings {
        None if is_there => return,
        None => {
            "there is no [second_factor] whose calls carry codes; add one with `caller`, or remove this route"
        }
        Some(Settings { delivery: Delivery::Verify { .. }, .. }) => {
            "with `verify_service` Twilio's Verify makes the calls, and nobody presses a key for us; remove one of them"
        }
        Some(Settings { delivery: Delivery::Programmable { caller: None, .. }, .. }) => {
            "[second_factor] calls nobody without `caller`; add it there, or remove this route"
        }
        Some(_) => return,
    };
    table.wrong("upstream", what, problems);
}

/// What is called at the route to this upstream, where there is one.
pub(super) fn url(routes: &[Route], upstream: &Upstream) -> Option<String> {
    let route = routes.iter().find(|route| route.upstream == *upstream)?;
    let (PathRule::Exact(path) | PathRule::Prefix(path)) = &route.path;
    Some(format!("{}{path}", route.public_url))
}
