//! The report for a terminal of 80 columns: the findings, what could not be looked at, and one line for each check.

use std::fmt::Write as _;

use ringfence_control::notices::Severity;

use super::{Check, Finding, NotMade, Outcome, Report};
use crate::commands::words::{count, wrapped};

pub(super) fn of(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text.push_str(&of_finding(finding));
        text.push('\n');
    }
    if !report.not_made.is_empty() {
        text.push_str("NOT CHECKED\n");
        for it in &report.not_made {
            text.push_str(&of_not_made(it));
        }
        text.push('\n');
    }
    for check in Check::ALL {
        let sign = match report.outcome(check) {
            Outcome::Failed => "FAILED   ",
            Outcome::NotMade => "unknown  ",
            Outcome::Passed => "ok       ",
            Outcome::NothingToCheck => "nothing  ",
        };
        _ = writeln!(text, "{sign}  {:<18}  {}", check.name(), check.promise());
    }
    text.push('\n');
    text.push_str(&summary(report));
    text
}

fn of_finding(finding: &Finding) -> String {
    let mut text = format!("{} {}: {}\n", word(finding.severity), finding.check.name(), finding.place);
    if let Some(account) = finding.account {
        _ = writeln!(text, "    account {account}");
    }
    text.push_str(&wrapped(&finding.what, 4));
    text.push_str(&wrapped(&format!("Why: {}", finding.why), 4));
    let end = if finding.mend.command.is_some() { ":" } else { "." };
    text.push_str(&wrapped(&format!("To mend it: {}{end}", finding.mend.how), 4));
    for line in finding.mend.command.iter().flat_map(|command| command.lines()) {
        // It is copied, so it is not wrapped.
        _ = writeln!(text, "        {line}");
    }
    text
}

fn of_not_made(it: &NotMade) -> String {
    let whose = it.account.map(|account| format!(" of {account}")).unwrap_or_default();
    format!("  {}{whose}\n{}", it.check.name(), wrapped(&it.why, 4))
}

fn summary(report: &Report) -> String {
    let of = |outcome| Check::ALL.into_iter().filter(|check| report.outcome(*check) == outcome).count();
    let failing = report.findings.iter().filter(|finding| finding.severity > Severity::Info).count();
    let told = report.findings.len() - failing;
    let mut parts = Vec::new();
    if failing > 0 {
        parts.push(format!("{} to mend in {}", count(failing, "thing"), count(of(Outcome::Failed), "check")));
    }
    if told > 0 {
        parts.push(format!("{} worth knowing", count(told, "thing")));
    }
    if !report.is_whole() {
        parts.push("not everything could be looked at".to_owned());
    }
    parts.push(format!("{} passed", count(of(Outcome::Passed), "check")));
    wrapped(&parts.join("; "), 0)
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "NOTE    ",
        Severity::Warning => "WARNING ",
        Severity::Critical => "CRITICAL",
    }
}
