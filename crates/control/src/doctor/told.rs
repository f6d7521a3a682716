//! What an examination says that was not said before. Pure.
//!
//! All that one check found anew is one notice: three hundred subaccounts with the same fault are one piece of news. What
//! could not be looked at is not mended.

use std::collections::BTreeMap;

use ringfence_store::{FindingKey, FindingsChange, OpenFinding};

use super::finding::{Check, Finding, Report};
use crate::decide::told;
use crate::notices::{Event, Notice, Severity};

/// So many are named in one notice.
const NAMED: usize = 10;

/// What has notices of its own, and comes and goes with each window.
const TOLD_ELSEWHERE: [Check; 1] = [Check::NearLimits];

/// What changes, compared with what was told and is not mended.
pub(crate) fn changes(open: &[OpenFinding], report: &Report) -> FindingsChange {
    let known: BTreeMap<&FindingKey, Severity> = open.iter().map(|it| (&it.key, severity(it))).collect();
    let found: BTreeMap<FindingKey, &Finding> = report.findings.iter().map(|it| (key(it), it)).collect();

    let mut new: BTreeMap<Check, Vec<(FindingKey, &Finding)>> = BTreeMap::new();
    // In the order of the report: the gravest first.
    for finding in report.findings.iter().filter(|finding| !TOLD_ELSEWHERE.contains(&finding.check)) {
        let key = key(finding);
        if known.get(&key).is_none_or(|known| *known < finding.severity) {
            new.entry(finding.check).or_default().push((key, finding));
        }
    }
    let mut eased = Vec::new();
    let mut mended: BTreeMap<&str, Vec<&OpenFinding>> = BTreeMap::new();
    for finding in open {
        match found.get(&finding.key) {
            Some(now) if now.severity < severity(finding) && now.severity > Severity::Info => {
                eased.push((finding.key.clone(), now.severity.name().to_owned()));
            }
            // What is wrong no more, and only worth knowing now, is mended.
            Some(now) if now.severity >= severity(finding) => {}
            Some(_) => mended.entry(&finding.key.check).or_default().push(finding),
            None if was_looked_at(report, &finding.key) => {
                mended.entry(&finding.key.check).or_default().push(finding);
            }
            None => {}
        }
    }
    FindingsChange {
        eased,
        new: new.into_values().filter_map(|findings| news(report, &findings)).collect(),
        mended: mended.into_iter().map(|(check, findings)| relief(report, check, &findings)).collect(),
    }
}

type News = (Vec<(FindingKey, String)>, ringfence_store::NewEffect);

fn news(report: &Report, findings: &[(FindingKey, &Finding)]) -> Option<News> {
    let (_, first) = findings.first()?;
    let whole = |finding: &Finding| match finding.account {
        Some(account) if !finding.what.contains(&account.to_string()) => {
            format!("{} (account {account})", finding.what)
        }
        _ => finding.what.clone(),
    };
    let event = Event::Found {
        check: first.check.name().to_owned(),
        severity: findings.iter().map(|(_, it)| it.severity).max().unwrap_or(Severity::Info),
        findings: findings.iter().take(NAMED).map(|(_, it)| whole(it)).collect(),
        more: findings.len().saturating_sub(NAMED),
        why: first.why.clone(),
        mend: first.mend.how.clone(),
    };
    let keys = findings.iter().map(|(key, it)| (key.clone(), it.severity.name().to_owned())).collect();
    Some((keys, told(&Notice { at: report.at, event })))
}

type Relief = (Vec<FindingKey>, Option<ringfence_store::NewEffect>);

fn relief(report: &Report, check: &str, findings: &[&OpenFinding]) -> Relief {
    let keys = findings.iter().map(|finding| finding.key.clone()).collect();
    // What was only worth knowing was not wrong, so it is not mended: it is of the past.
    let wrong: Vec<_> = findings.iter().filter(|finding| finding.severity != Severity::Info.name()).collect();
    if wrong.is_empty() {
        return (keys, None);
    }
    let event = Event::Mended {
        check: check.to_owned(),
        places: wrong.iter().take(NAMED).map(|it| place(&it.key)).collect(),
        more: wrong.len().saturating_sub(NAMED),
    };
    (keys, Some(told(&Notice { at: report.at, event })))
}

fn place(key: &FindingKey) -> String {
    if key.account.is_empty() { key.place.clone() } else { format!("{} of {}", key.place, key.account) }
}

/// An account that is suspended, or that a failed list left out, was not looked at, whatever the check.
fn was_looked_at(report: &Report, key: &FindingKey) -> bool {
    let is_seen = key.account.is_empty() || report.seen.iter().any(|seen| seen.to_string() == key.account);
    is_seen
        && !report.not_made.iter().any(|it| {
            it.check.name() == key.check
                && it.account.is_none_or(|account| account.to_string() == key.account)
        })
}

fn severity(finding: &OpenFinding) -> Severity {
    finding.severity.parse().unwrap_or(Severity::Info)
}

/// What tells a finding from all others.
pub(crate) fn key(finding: &Finding) -> FindingKey {
    FindingKey {
        check: finding.check.name().to_owned(),
        account: finding.account.map(|account| account.to_string()).unwrap_or_default(),
        place: finding.place.clone(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use ringfence_model::Sid;

    use super::*;
    use crate::doctor::Mend;

    const ONE: Sid = Sid::new(*b"AC", 1);
    const OTHER: Sid = Sid::new(*b"AC", 2);

    fn finding(check: Check, severity: Severity, account: Sid, place: &str) -> Finding {
        Finding {
            check,
            severity,
            account: Some(account),
            place: place.to_owned(),
            what: format!("{place} is wrong"),
            why: "Because.".to_owned(),
            mend: Mend::by_hand("Do it"),
        }
    }

    fn report(findings: Vec<Finding>) -> Report {
        let mut report = Report::new(Timestamp::UNIX_EPOCH);
        report.seen.extend([ONE, OTHER]);
        for finding in findings {
            report.made(finding.check, 1, vec![finding]);
        }
        report
    }

    fn open(report: &Report) -> Vec<OpenFinding> {
        let of = |it: &Finding| OpenFinding {
            key: key(it),
            severity: it.severity.name().to_owned(),
            since: report.at,
        };
        report.findings.iter().map(of).collect()
    }

    #[test]
    fn what_was_not_looked_at_is_not_mended() {
        let before = report(vec![
            finding(Check::WebhookHttps, Severity::Critical, ONE, "PN1/sms_url"),
            finding(Check::WebhookHttps, Severity::Critical, OTHER, "PN2/sms_url"),
        ]);
        let mut now = report(Vec::new());
        now.not_made(Check::WebhookHttps, Some(ONE), "Twilio is away");
        let change = changes(&open(&before), &now);
        let mended: Vec<_> = change.mended.iter().flat_map(|(keys, _)| keys).map(|key| &key.place).collect();
        assert_eq!(mended, ["PN2/sms_url"], "the other account was looked at");
        now.not_made(Check::WebhookHttps, None, "there was no time");
        assert!(changes(&open(&before), &now).mended.is_empty());
    }

    #[test]
    fn of_an_account_that_was_not_read_nothing_is_mended() {
        let before = report(vec![finding(Check::Keys, Severity::Warning, ONE, "SK1")]);
        let mut now = report(Vec::new());
        now.seen.remove(&ONE);
        assert!(changes(&open(&before), &now).mended.is_empty(), "it is suspended, or its list failed");
        now.seen.insert(ONE);
        assert_eq!(changes(&open(&before), &now).mended.len(), 1);
    }

    #[test]
    fn what_gets_graver_is_news_and_what_eases_is_not() {
        let of = |severity| report(vec![finding(Check::Keys, severity, ONE, "SK1")]);
        let (info, warning, critical) = (of(Severity::Info), of(Severity::Warning), of(Severity::Critical));
        assert_eq!(changes(&open(&warning), &critical).new.len(), 1);
        assert_eq!(changes(&open(&info), &warning).new.len(), 1);
        let eased = changes(&open(&critical), &warning);
        assert!(eased.new.is_empty() && eased.mended.is_empty());
        assert_eq!(eased.eased[0].1, "warning");
        let harmless = changes(&open(&critical), &info);
        assert!(harmless.new.is_empty() && harmless.mended[0].1.is_some());
    }

    #[test]
    fn a_limit_that_is_near_is_told_by_its_own_notice() {
        let near = report(vec![finding(Check::NearLimits, Severity::Warning, ONE, "a day")]);
        assert!(changes(&[], &near).new.is_empty());
    }

    #[test]
    fn what_was_told_is_not_told_again_and_what_one_check_found_anew_is_one_notice() {
        let known = finding(Check::WebhookHttps, Severity::Critical, ONE, "PN1/sms_url");
        let before = report(vec![known.clone()]);
        assert!(changes(&open(&before), &before).new.is_empty());

        let many =
            (0..30).map(|n| finding(Check::WebhookHttps, Severity::Critical, OTHER, &format!("PN{n}/x")));
        let other = finding(Check::Keys, Severity::Warning, ONE, "SK1");
        let now = report(many.chain([known, other]).collect());
        let change = changes(&open(&before), &now);
        let sizes: Vec<_> = change.new.iter().map(|(keys, _)| keys.len()).collect();
        assert_eq!(sizes, [30, 1]);
        let notice: Notice = serde_json::from_value(change.new[0].1.payload.clone()).unwrap();
        let Event::Found { findings, more, severity, .. } = notice.event else {
            panic!("it is another notice")
        };
        assert_eq!((findings.len(), more, severity), (10, 20, Severity::Critical));
    }

    #[test]
    fn what_was_only_worth_knowing_goes_without_a_word() {
        let before = report(vec![
            finding(Check::Changes, Severity::Info, ONE, "AE1"),
            finding(Check::Keys, Severity::Warning, ONE, "SK1"),
        ]);
        let change = changes(&open(&before), &report(Vec::new()));
        let told: Vec<_> =
            change.mended.iter().map(|(keys, notice)| (keys.len(), notice.is_some())).collect();
        assert_eq!(told, [(1, false), (1, true)]);
    }
}
