//! `shared-keys`: webhooks are signed by the keys that the configuration wants, and rules at Twilio are for every route.

use std::collections::BTreeSet;

use ringfence_model::Sid;

use super::super::Words;
use super::super::facts::Facts;
use super::super::finding::{Check, Finding, Mend};
use super::{AT_ONCE, Examination};
use crate::notices::Severity;
use crate::shared_keys::{Brought, Change, url_of};

impl Examination {
    /// Compares what is at Twilio with what is wanted.
    pub(super) async fn shared_keys(&mut self, facts: &[Facts]) {
        let Some(settings) = self.setup.shared_keys.clone() else { return };
        let Some(engine) = self.setup.engine.clone() else {
            return self.report.not_made(
                Check::SharedKeys,
                None,
                "the store, which has the keys, is not open",
            );
        };
        self.tell("the SharedKeys at Twilio");
        let in_use: BTreeSet<Sid> = facts.iter().map(|facts| facts.account.sid).collect();
        let compare = async {
            let mut known = engine.store().accounts().await?;
            known.retain(|account| in_use.contains(&account.sid));
            engine.bring_shared_keys(&settings, &known, None, AT_ONCE).await
        };
        match self.in_time(compare).await {
            Ok(Ok(all)) => {
                for it in &all {
                    if let Some(trouble) = &it.trouble {
                        self.report.not_made(Check::SharedKeys, Some(it.account), trouble.to_string());
                    }
                }
                let words = self.setup.words.clone();
                let findings = all.iter().flat_map(|it| of_account(it, &words)).collect();
                self.report.made(Check::SharedKeys, all.len(), findings);
            }
            Ok(Err(error)) => self.report.not_made(Check::SharedKeys, None, error.to_string()),
            Err(why) => self.report.not_made(Check::SharedKeys, None, why),
        }
    }
}

/// What is not as it is wanted. What is only under way is no finding.
fn of_account(it: &Brought, words: &Words) -> Vec<Finding> {
    let finding = |severity, place: String, what: String, mend: Mend| {
        Finding {
        check: Check::SharedKeys,
        severity,
        account: Some(it.account),
        place,
        what,
        why: "The auth token signs these webhooks, which also opens Twilio's API; a route with signed_by = \"shared-key\" refuses \
              them."
            .to_owned(),
        mend,
    }
    };
    let apply = || {
        let how = "Bring it in line; `shared-keys plan` shows before what that changes";
        Mend::by(how, words.command("shared-keys apply"))
    };
    let mut findings = Vec::new();
    for change in &it.changes {
        let (place, what) = match change {
            Change::CreateKey { why, .. } => {
                ("key".to_owned(), format!("{} needs another SharedKey, as {why}", it.account))
            }
            Change::CreateRule { matches, .. } => {
                let url = url_of(matches);
                (url.to_owned(), format!("No rule at Twilio has a SharedKey sign webhooks to {url}"))
            }
            Change::MendRule { edited, .. } => {
                let (url, is_for) = (url_of(&edited.matches), url_of(&edited.is_for));
                let what = format!(
                    "The rule {} that Ringfence made for {url} was edited at Twilio and is for {is_for} now",
                    edited.rule
                );
                (url.to_owned(), what)
            }
            Change::PointRule { matches, .. } => {
                let url = url_of(matches);
                (url.to_owned(), format!("The rule at Twilio for {url} has something else sign"))
            }
            _ => continue,
        };
        findings.push(finding(Severity::Warning, place, what, apply()));
    }
    for other in &it.left.in_the_way {
        let url = url_of(&other.matches);
        findings.push(finding(
            Severity::Warning,
            url.to_owned(),
            format!("The rule {} at Twilio, which Ringfence did not make, is for {url}", other.rule),
            Mend::by_hand("Delete it at Twilio, or write signed_by = \"auth-token\" for the route"),
        ));
    }
    for other in &it.left.edited {
        let url = url_of(&other.matches);
        let is_for = url_of(&other.is_for);
        findings.push(finding(
            Severity::Warning,
            url.to_owned(),
            format!(
                "Twilio shows the rule {} that Ringfence made for {url} with {is_for}, and lets none be made for {url}",
                other.rule
            ),
            Mend::by_hand("Look at it at Twilio; if it was edited, delete it: at the next look it is made again"),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use ringfence_twilio::wire::RuleMatch;

    use super::*;
    use crate::shared_keys::{Edited, Foreign, Plan, Waits};

    fn brought(changes: Vec<Change>) -> Brought {
        Brought { account: Sid::new(*b"AC", 1), changes, left: Plan::default(), trouble: None }
    }

    #[test]
    fn what_is_under_way_is_no_finding() {
        let words = Words { config: "ringfence.toml".to_owned() };
        let mut waits =
            brought(vec![Change::DeleteSetting("s".to_owned()), Change::DeleteKey("k".to_owned())]);
        waits.left.waits = vec![Waits::Operator];
        assert!(of_account(&waits, &words).is_empty());
    }

    #[test]
    fn a_rule_that_is_missing_points_elsewhere_or_is_somebody_elses_is_found_at_its_url() {
        let words = Words { config: "ringfence.toml".to_owned() };
        let of = |url: &str| RuleMatch::Prefix(format!("https://h.example{url}"));
        let setting = || "s".to_owned();
        let create = Change::CreateRule { matches: of("/a/"), setting: setting() };
        let point = Change::PointRule { rule: "r".to_owned(), matches: of("/b/"), setting: setting() };
        let mut wrong = brought(vec![create, point]);
        wrong.left.in_the_way = vec![Foreign { rule: "theirs".to_owned(), matches: of("/c/") }];
        let edited = |path: &str| Edited { rule: "ours".to_owned(), matches: of(path), is_for: of("/e/") };
        wrong.changes.push(Change::MendRule { edited: edited("/m/"), setting: setting() });
        wrong.left.edited = vec![edited("/d/")];
        let found = of_account(&wrong, &words);
        let places: Vec<_> = found.iter().map(|it| it.place.as_str()).collect();
        let urls = ["/a/", "/b/", "/m/", "/c/", "/d/"].map(|path| format!("https://h.example{path}"));
        assert_eq!(places, urls);
        assert!(found[2].what.ends_with("is for https://h.example/e/ now"), "{}", found[2].what);
        assert_eq!(
            found[0].mend.command.as_deref(),
            Some("ringfence shared-keys apply --config ringfence.toml")
        );
        assert_eq!((found[2].mend.command == found[0].mend.command, &found[3].mend.command), (true, &None));
    }
}
